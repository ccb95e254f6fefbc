"""A folder in the public layout: config.json and safetensors files, read a stretch of rows at a time.

Names here are the plain ones ("model.layers.0.self_attn.o_proj.weight"); the prefix of vision wrappers is put before
them when a file is asked. A weight is stored in one of three ways: plain (bf16, f16 or f32), fp8 beside its block
scales, int4 beside its group scales. Files are read by position into fresh memory and never mapped, so that a file cut
short while it is read is an error and not the end of the process.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from moonlet.kernels import Format

from . import decode
from .config import ModelConfig, read_config
from .shards import CheckpointError, read_shard_index
from .tensorfile import Tensor, TensorFileError, read_header

Values = NDArray[np.float32] | NDArray[np.uint16]  # uint16: bf16 bits

_PREFIX = "language_model."
_VISION = ("vision_tower.", "mm_projector.", "multi_modal_projector.")
_FLOATS = ("BF16", "F16", "F32")
_NUMPY = {"BF16": "<u2", "F16": "<f2", "F32": "<f4", "F8_E4M3": "u1", "I32": "<i4"}


@dataclass(frozen=True, slots=True)
class Weight:
    """A weight of the model and how the checkpoint stores it. `shape`: (rows, cols), or (n,) of a vector."""

    name: str
    shape: tuple[int, ...]
    storage: Literal["plain", "fp8", "int4"]

    def tensors(self) -> dict[str, tuple[tuple[str, ...], tuple[int, ...]]]:
        """The stored tensors it is made of: the number formats allowed and the shape of each."""
        if self.storage == "plain":
            return {self.name: (_FLOATS, self.shape)}
        rows, cols = self.shape
        if self.storage == "fp8":
            blocks = (-(-rows // decode.FP8_BLOCK), -(-cols // decode.FP8_BLOCK))
            return {self.name: (("F8_E4M3",), self.shape), f"{self.name}_scale_inv": (("F32", "BF16"), blocks)}
        return {
            f"{self.name}_packed": (("I32",), (rows, -(-cols // 8))),
            f"{self.name}_scale": (("BF16",), (rows, -(-cols // decode.INT4_GROUP))),
            f"{self.name}_shape": (("I32",), (2,)),
        }


def _plain_format(folder: Path) -> Format:
    """The least of our formats that holds every weight which is stored plainly, by what config.json says."""
    raw = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    core = raw.get("text_config") or raw
    stated = core.get("torch_dtype", core.get("dtype"))
    return "f32" if stated in ("float32", "float16") else "bf16"


class Checkpoint:
    """Weights by name. Files may appear after the opening (a download in progress); each is checked by `open_shard`.

    Every method raises CheckpointError: one line that names the file and the tensor.
    """

    def __init__(self, folder: Path) -> None:
        """Reads config.json (ConfigError) and the list of tensors, no weights."""
        self.folder = folder
        self.config: ModelConfig = read_config(folder)
        self.plain = _plain_format(folder)
        self.listing, listed = read_shard_index(folder)
        prefixed = any(name.startswith(_PREFIX) for name in listed)
        self.prefix = _PREFIX if prefixed else ""
        skipped: Counter[str] = Counter()
        self.files: dict[str, str] = {}  # plain name -> file
        for name, file in listed.items():
            kind = self._unused(name)
            if kind:
                skipped[kind] += 1
            else:
                self.files[name.removeprefix(self.prefix)] = file
        self.skipped: Mapping[str, int] = dict(skipped)
        self.shards: tuple[str, ...] = tuple(sorted(set(self.files.values())))
        self._open: dict[str, tuple[int, dict[str, Tensor]]] = {}

    def _unused(self, name: str) -> str | None:
        """What kind of tensor that no model of ours uses, or None."""
        if name.startswith(_VISION):
            return "vision"
        plain = name.removeprefix(self.prefix)
        if plain.endswith(".rotary_emb.inv_freq"):
            return "inv_freq"
        parts = plain.split(".")
        numbered = plain.startswith("model.layers.") and parts[2].isdecimal() and len(parts[2]) < 10
        if numbered and int(parts[2]) >= self.config.layers:
            return "prediction layers"
        return "tied head" if self.config.tied and plain == "lm_head.weight" else None

    def __enter__(self) -> Checkpoint:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        for descriptor, _ in self._open.values():
            os.close(descriptor)
        self._open.clear()

    def weight(self, name: str, *shape: int) -> Weight:
        """The weight of that name, which must have that shape; how it is stored follows from the names listed."""
        if name in self.files:
            scaled = len(shape) == 2 and f"{name}_scale_inv" in self.files
            return Weight(name, shape, "fp8" if scaled else "plain")
        found = Weight(name, shape, "int4")
        present = [part for part in found.tensors() if part in self.files] if len(shape) == 2 else []
        if not present:
            raise CheckpointError(f"{self.listing}: tensor {self.prefix}{name} is missing")
        for part in found.tensors():
            if part not in self.files:
                raise CheckpointError(f"{self.listing}: tensor {self.prefix}{part} is missing beside {present[0]}")
        return found

    def check_claimed(self, weights: Iterable[Weight]) -> None:
        """Refuses a checkpoint with tensors that no weight needs: it is of another graph, whatever its config says."""
        claimed = {part for weight in weights for part in weight.tensors()}
        for name, file in self.files.items():
            if name not in claimed:
                raise CheckpointError(f"{self.folder / file}: tensor {self.prefix}{name} has no place in this model")

    def shards_of(self, weight: Weight) -> set[str]:
        """The files that hold the weight's tensors."""
        return {self.files[part] for part in weight.tensors()}

    def by_shard(self, weights: Iterable[Weight]) -> dict[str, list[Weight]]:
        """Which of these weights each file has a tensor of."""
        found: dict[str, list[Weight]] = {shard: [] for shard in self.shards}
        for weight in weights:
            for shard in self.shards_of(weight):
                found[shard].append(weight)
        return found

    def open_shard(self, shard: str, weights: Iterable[Weight]) -> None:
        """Opens a file, unless it is open, and checks that it holds its share of these weights as it should."""
        if shard in self._open:
            return
        path = self.folder / shard
        try:
            tensors = read_header(path)
            self._open[shard] = (os.open(path, os.O_RDONLY), tensors)
        except TensorFileError as error:
            raise CheckpointError(str(error)) from None
        except OSError as error:
            raise CheckpointError(f"{path}: not readable ({error.strerror})") from None
        for weight in weights:
            for part, (dtypes, shape) in weight.tensors().items():
                if self.files[part] == shard:
                    self._check(weight, part, dtypes, shape)

    def close_shard(self, shard: str) -> None:
        if shard in self._open:
            descriptor, _ = self._open.pop(shard)
            os.close(descriptor)

    def _check(self, weight: Weight, part: str, dtypes: tuple[str, ...], shape: tuple[int, ...]) -> None:
        tensor = self._open[self.files[part]][1].get(self.prefix + part)
        where = self._where(part)
        if tensor is None:
            raise CheckpointError(f"{where} is missing, although the index places it here")
        if weight.storage == "plain" and tensor.dtype == "F8_E4M3":
            raise CheckpointError(f"{where} is F8_E4M3 without a weight_scale_inv")
        if tensor.dtype not in dtypes:
            raise CheckpointError(f"{where} is {tensor.dtype}, expected {' or '.join(dtypes)}")
        if tensor.shape != shape:
            raise CheckpointError(f"{where} has shape {list(tensor.shape)}, the config asks for {list(shape)}")
        if weight.storage == "int4" and part.endswith("_shape"):
            stated = tuple(self._read(part).tolist())
            if stated != weight.shape:
                raise CheckpointError(f"{where} says {list(stated)}, the config asks for {list(weight.shape)}")

    def _where(self, part: str) -> str:
        return f"{self.folder / self.files[part]}: tensor {self.prefix}{part}"

    def values(self, weight: Weight, begin: int = 0, end: int | None = None) -> Values:
        """Rows begin..end of a weight: uint16 holding bf16 bits where it is stored so, else float32.

        For fp8, `begin` must be a multiple of 128, as blocks of rows share a scale.
        """
        if weight.storage == "int4":
            codes, scales = self.codes(weight, begin, end)
            return decode.int4_to_float(codes, scales)
        if weight.storage == "fp8":
            return self._fp8(weight, begin, weight.shape[0] if end is None else end)
        stored = self._read(weight.name, begin, end)
        if not decode.finite(stored):
            raise CheckpointError(f"{self._where(weight.name)} holds NaN or infinity")
        return stored if stored.dtype == np.uint16 else decode.as_float(stored)

    def _fp8(self, weight: Weight, begin: int, end: int) -> NDArray[np.float32]:
        block = decode.FP8_BLOCK
        assert begin % block == 0, f"rows of fp8 are read from a multiple of {block}, not from {begin}"
        scale_name = f"{weight.name}_scale_inv"
        scales = self._read(scale_name, begin // block, -(-end // block))
        if not decode.finite(scales):
            raise CheckpointError(f"{self._where(scale_name)} holds NaN or infinity")
        values = decode.fp8_to_float(self._read(weight.name, begin, end), decode.as_float(scales))
        if not decode.finite(values):
            raise CheckpointError(f"{self._where(weight.name)} holds NaN or infinity")
        return values

    def codes(
        self, weight: Weight, begin: int = 0, end: int | None = None
    ) -> tuple[NDArray[np.int8], NDArray[np.uint16]]:
        """Rows begin..end of an int4 weight as stored: codes (rows, cols) from -8 to 7, bf16 scales of groups of 32."""
        scale_name = f"{weight.name}_scale"
        scales = self._read(scale_name, begin, end)
        if not decode.finite(scales):
            raise CheckpointError(f"{self._where(scale_name)} holds NaN or infinity")
        return decode.int4_codes(self._read(f"{weight.name}_packed", begin, end), weight.shape[1]), scales

    def _read(self, part: str, begin: int = 0, end: int | None = None) -> NDArray[Any]:
        """Rows begin..end of a stored tensor, as they lie in the file."""
        descriptor, tensors = self._open[self.files[part]]
        tensor = tensors[self.prefix + part]
        rows = tensor.shape[0]
        end = rows if end is None else end
        assert 0 <= begin <= end <= rows, f"rows {begin}..{end} of {part}, which has {rows}"
        made = np.empty((end - begin, *tensor.shape[1:]), _NUMPY[tensor.dtype])
        room = made.reshape(-1).view(np.uint8).data
        at = tensor.begin + begin * (made.nbytes // max(end - begin, 1))
        try:
            while room:
                count = os.preadv(descriptor, [room], at)
                if count == 0:
                    raise CheckpointError(f"{self._where(part)} is cut off: the file became shorter")
                room, at = room[count:], at + count
        except OSError as error:
            raise CheckpointError(f"{self._where(part)} is not readable ({error.strerror})") from None
        return made
