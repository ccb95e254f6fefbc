"""The experts' place: in memory where they lie in the files, or streamed from disk into as much memory as is given.

What a streamed run learns about which experts are used is kept beside them in `heat.bin`, for the next start.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from moonlet import _native
from moonlet.model.folder import FolderError, ModelFolder, open_folder
from moonlet.model.layout import experts_file

from .sequence import EngineError, Reads

HEAT_FILE = "heat.bin"
HEAT_FORMAT = 1
HEAT_LEAST = 1024  # tokens; less says nothing about what a model is used for


@dataclass(frozen=True, slots=True)
class Heat:
    """share[layer, expert]: of the tokens, those that chose the expert."""

    share: NDArray[np.float32]
    tokens: float  # how many; old ones count less


class Experts:
    """The native store of a folder's experts. `budget` None: mapped. EngineError if a file cannot be opened."""

    def __init__(self, folder: ModelFolder, budget: int | None, also: Sequence[Path] = ()) -> None:
        self.folder = folder
        self.streamed = budget is not None
        copies = [folder, *(_copy(folder, path) for path in also)] if self.streamed else [folder]
        config = folder.config
        self.native = _native.ExpertStore(-1 if budget is None else budget)
        try:
            for layer in range(config.dense_layers, config.layers):
                places = [_place(copy, layer) for copy in copies]
                _, offset, experts, row_bytes = places[0]
                self.native.add_layer([str(path) for path, *_ in places], offset, experts, row_bytes)
            heat = read_heat(folder) if self.streamed else None
            if heat:
                self.native.open(heat.share, heat.tokens)
            else:
                self.native.open()
        except (OSError, ValueError, RuntimeError) as error:  # files; the budget is too small; the system refuses more
            raise EngineError(str(error)) from None

    def reads(self) -> Reads:
        """All since the start."""
        told = self.native.counters()
        return Reads(wait_s=told.pop("wait_ns") / 1e9, **told)

    def keep_heat(self) -> None:
        """Writes down what was learned, if that is enough and the folder lets us; the next start will do without."""
        if self.streamed and self.folder.config.sparse_layers:
            share, tokens = self.native.heat()
            if tokens >= HEAT_LEAST:
                with suppress(OSError):
                    write_heat(self.folder, Heat(share, tokens))


def _place(folder: ModelFolder, layer: int) -> tuple[Path, int, int, int]:
    """Where the experts of a layer lie, in a file that is as it was when the folder was opened."""
    path, offset, experts, row_bytes = folder.experts_file(layer)
    size, written = path.stat().st_size, folder.meta["files"][path.name]["bytes"]
    if size != written:
        raise EngineError(f"{path}: has {size} bytes, {written} were written (cut off?)")
    return path, offset, experts, row_bytes


def _copy(folder: ModelFolder, path: Path) -> ModelFolder:
    """Another folder with the same experts."""
    try:
        copy = open_folder(path)
    except FolderError as error:
        raise EngineError(f"a copy of the experts cannot be used: {error}") from None
    for layer in range(folder.config.dense_layers, folder.config.layers):
        name = experts_file(layer)
        if copy.meta["files"].get(name) != folder.meta["files"][name]:
            raise EngineError(f"{path / name}: is no copy of the one in {folder.path}")
        if copy.experts_file(layer)[1:] != folder.experts_file(layer)[1:]:
            raise EngineError(f"{path / name}: has its experts in other places than the one in {folder.path}")
    return copy


def read_heat(folder: ModelFolder) -> Heat | None:
    """What earlier runs learned of this model; None if nothing, if it is of other weights, or if it is damaged."""
    shape = (folder.config.sparse_layers, folder.config.experts)
    try:
        data = (folder.path / HEAT_FILE).read_bytes()
        line, body = data.split(b"\n", 1)
        head = json.loads(line)
        share = np.frombuffer(body, "<f4").reshape(shape).astype(np.float32)
        wanted = {"format": HEAT_FORMAT, "model": _identity(folder), "crc32": zlib.crc32(body)}
        tokens = float(head["tokens"])
        sound = all(head[key] == value for key, value in wanted.items()) and HEAT_LEAST <= tokens < 1e15
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    return Heat(share, tokens) if sound and np.all((share >= 0) & (share <= 1)) else None


def write_heat(folder: ModelFolder, heat: Heat) -> None:
    """Replaces heat.bin: a line of JSON, then float32 [sparse layers, E]. The old or the new one at any moment."""
    body = heat.share.astype("<f4").tobytes()
    head = {"format": HEAT_FORMAT, "model": _identity(folder), "crc32": zlib.crc32(body), "tokens": heat.tokens}
    beside = folder.path / f"{HEAT_FILE}.{os.getpid()}.part"
    try:
        beside.write_bytes(json.dumps(head).encode() + b"\n" + body)
        beside.replace(folder.path / HEAT_FILE)
    finally:
        beside.unlink(missing_ok=True)


def _identity(folder: ModelFolder) -> str:
    """Changes with any weight of an expert or a router."""
    files = sorted((name, entry["bytes"], entry["sha256"]) for name, entry in folder.meta["files"].items())
    return hashlib.sha256(json.dumps(files).encode()).hexdigest()[:32]
