"""A model folder, opened and verified: what the engine computes from, and what a conversion leaves behind."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from moonlet import kernels
from moonlet.kernels import FORMATS, Format

from .checksum import Meter, Progress, sha256
from .config import ConfigError, ModelConfig, read_config
from .layout import ALIGN, DENSE_FILE, FORMAT, META_FILE, Formats, expert_row_bytes, experts_file, file_layouts
from .tensorfile import Tensor, TensorFileError, read_header, shown

_VIEWS = {"U8": np.uint8, "BF16": np.uint16, "F32": np.float32}
_META_LIMIT = 100_000_000  # bytes; a real one has some ten thousand


class FolderError(Exception):
    """The folder is no model folder, is incomplete or damaged, or its parts contradict one another."""


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """An opened folder. `meta` is what moonlet.json holds."""

    path: Path
    config: ModelConfig
    formats: Formats
    meta: Mapping[str, Any]

    def dense(self) -> dict[str, NDArray[Any]]:
        """The tensors of dense.safetensors by name, mapped and not copied: uint8, uint16 (bf16 bits) or float32."""
        path = self.path / DENSE_FILE
        try:
            tensors = read_header(path)
            mapped = kernels.map_file(path)
        except (TensorFileError, OSError, ValueError) as error:
            raise FolderError(f"{path}: cannot be mapped ({error})") from None
        return {
            name: mapped[tensor.begin : tensor.end].view(_VIEWS[tensor.dtype]).reshape(tensor.shape)
            for name, tensor in tensors.items()
        }

    def experts_file(self, layer: int) -> tuple[Path, int, int, int]:
        """Where the experts of a sparse layer lie: file, byte of the first one, how many, bytes of each."""
        path = self.path / experts_file(layer)
        rows = self.config.experts
        row_bytes = expert_row_bytes(self.config, self.formats.experts)
        return path, path.stat().st_size - rows * row_bytes, rows, row_bytes

    def verify_checksums(self, progress: Progress | None = None) -> None:
        """Reads every file and compares its sha256. Raises FolderError, one line that names the first wrong file."""
        meter = Meter(progress)
        files: Mapping[str, Any] = self.meta["files"]
        meter.total = sum(entry["bytes"] for entry in files.values())
        for name, entry in files.items():
            path = self.path / name
            try:
                found = sha256(path, meter)
            except OSError as error:
                raise FolderError(f"{path}: not readable ({error.strerror})") from None
            if found != entry["sha256"]:
                raise FolderError(f"{path}: its bytes are not those that were written (sha256 differs); pull it again")

    def write_golden(self, prompt: Sequence[int], tokens: Sequence[int]) -> ModelFolder:
        """Records which tokens this model answers to a prompt, to be compared at a start. Returns the folder anew."""
        meta = {**self.meta, "golden": {"prompt": list(prompt), "tokens": list(tokens)}}
        write_meta(self.path, meta)
        return ModelFolder(self.path, self.config, self.formats, meta)


def default_path(name: str) -> Path:
    """Where the model of that name lives unless told otherwise: under $MOONLET_HOME or ~/.cache/moonlet."""
    home = os.environ.get("MOONLET_HOME")
    return (Path(home) if home else Path.home() / ".cache" / "moonlet") / "models" / name


def write_meta(path: Path, meta: Mapping[str, Any]) -> None:
    """Writes a folder's moonlet.json beside and renames it, so that it is the old or the new one at any moment."""
    beside = path / f"{META_FILE}.part"
    with beside.open("w", encoding="utf-8") as file:
        json.dump(meta, file, indent=1, ensure_ascii=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path / META_FILE)


def open_folder(path: Path) -> ModelFolder:
    """Opens a model folder after a quick look at everything but the weights themselves.

    Every file is there in its size, headers are sound, and the tensors are those the config asks for. Raises
    FolderError, one line that names the file.
    """
    meta = _read_meta(path)
    try:
        config = read_config(path)
    except ConfigError as error:
        raise FolderError(str(error)) from None
    formats = _formats(path, meta)
    tensor_files = [name for name in meta["files"] if name.endswith(".safetensors")]
    wanted = {DENSE_FILE, *(experts_file(layer) for layer in _sparse(path, config, len(tensor_files)))}
    for name in sorted(wanted - set(tensor_files)):
        raise FolderError(f"{path / META_FILE}: does not list {name}, which the config asks for")
    for name in sorted(set(tensor_files) - wanted):
        raise FolderError(f"{path / META_FILE}: lists {name}, for which the config has no place")
    for name, entry in meta["files"].items():
        _check_size(path / name, entry["bytes"])
    _check_tensors(path, config, formats)
    return ModelFolder(path, config, formats, meta)


def _sparse(path: Path, config: ModelConfig, tensor_files: int) -> range:
    # Before anything is counted layer by layer: a damaged config may speak of two thousand million layers.
    if config.sparse_layers + 1 != tensor_files:
        raise FolderError(
            f"{path / 'config.json'}: has {config.sparse_layers} layers with experts, moonlet.json lists "
            f"{tensor_files - 1} files of them"
        )
    return range(config.dense_layers, config.layers)


def _read_meta(path: Path) -> dict[str, Any]:
    file = path / META_FILE
    if not os.path.isdir(path):  # unlike Path.is_dir, no exception for a name that no file can have
        raise FolderError(f"{path}: there is no such folder")
    if not file.exists():
        raise FolderError(f"{path}: is no model folder, it has no {META_FILE} (`moonlet pull {path}` makes one)")
    try:
        if file.stat().st_size > _META_LIMIT:
            raise FolderError(f"{file}: is too large to be what it should be")
        meta = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else error
        raise FolderError(f"{file}: not readable as JSON ({reason})") from None
    if not isinstance(meta, dict):
        raise FolderError(f"{file}: holds no object")
    if meta.get("format") != FORMAT:
        raise FolderError(f"{file}: is of format {shown(meta.get('format'))}, this program reads format {FORMAT}")
    _check_files(file, meta.get("files"))
    _check_golden(file, meta.get("golden"))
    _check_history(file, meta)
    return meta


def _check_files(file: Path, files: Any) -> None:
    if not isinstance(files, dict):
        raise FolderError(f"{file}: has no list of files")
    for name, entry in files.items():
        if not name.isprintable() or "\\" in name or PurePosixPath(name).name != name or name == "..":
            raise FolderError(f"{file}: {shown(name)} is not the name of a file in this folder")
        good = isinstance(entry, dict) and type(entry.get("bytes")) is int and isinstance(entry.get("sha256"), str)
        if not good:
            raise FolderError(f"{file}: its entry of {name} lacks bytes or sha256")


def _check_golden(file: Path, golden: Any) -> None:
    if golden is None:
        return
    lists = [golden.get("prompt"), golden.get("tokens")] if isinstance(golden, dict) else [None]
    for ids in lists:
        if not isinstance(ids, list) or not all(type(i) is int and i >= 0 for i in ids):
            raise FolderError(f"{file}: golden must hold the token ids of a prompt and of its tokens")
    if not golden["prompt"]:
        raise FolderError(f"{file}: golden has an empty prompt")


def _check_history(file: Path, meta: Mapping[str, Any]) -> None:
    """Where the folder comes from and what its making lost."""
    source, error, skipped = (meta.get(key) for key in ("source", "error", "skipped"))
    if not isinstance(source, dict) or not isinstance(source.get("name"), str):
        raise FolderError(f"{file}: does not say of which source the folder was made")
    if not isinstance(error, dict) or not all(isinstance(error.get(k), int | float) for k in ("dense", "experts")):
        raise FolderError(f"{file}: does not say what its number formats lost")
    if not isinstance(skipped, dict):
        raise FolderError(f"{file}: does not say which tensors were left out")


def _formats(path: Path, meta: Mapping[str, Any]) -> Formats:
    stated = meta.get("formats")
    found = [stated.get(part) for part in ("dense", "experts")] if isinstance(stated, dict) else [None, None]
    for format in found:
        if format not in FORMATS:
            known = ", ".join(FORMATS)
            raise FolderError(f"{path / META_FILE}: unknown number format {shown(format)}, known are {known}")
    dense, experts = found
    return Formats(cast(Format, dense), cast(Format, experts))


def _check_size(path: Path, size: int) -> None:
    try:
        found = path.stat().st_size
    except OSError as error:
        raise FolderError(
            f"{path}: {'not found' if isinstance(error, FileNotFoundError) else error.strerror}"
        ) from None
    if found != size:
        raise FolderError(f"{path}: has {found} bytes, {size} were written (cut off?)")


def _check_tensors(path: Path, config: ModelConfig, formats: Formats) -> None:
    """The headers say what the config and the formats ask for, name by name."""
    found = {DENSE_FILE: _header(path / DENSE_FILE)}
    if config.layers > len(found[DENSE_FILE]):
        raise FolderError(f"{path / DENSE_FILE}: holds {len(found[DENSE_FILE])} tensors for {config.layers} layers")
    for name, layout in file_layouts(config, formats).items():
        tensors = found.get(name) or _header(path / name)
        for tensor, place in layout.tensors.items():
            if tensor not in tensors:
                raise FolderError(f"{path / name}: tensor {tensor} is missing")
            is_ = tensors[tensor]
            if (is_.dtype, is_.shape) != (place.dtype, place.shape):
                raise FolderError(
                    f"{path / name}: tensor {tensor} is {is_.dtype} {list(is_.shape)}, the config asks for "
                    f"{place.dtype} {list(place.shape)}"
                )
            if is_.dtype == "U8" and is_.begin % (ALIGN if tensor == "experts" else 64):
                raise FolderError(f"{path / name}: tensor {tensor} begins at byte {is_.begin}, which is not aligned")
        for tensor in tensors.keys() - layout.tensors.keys():
            raise FolderError(f"{path / name}: tensor {tensor} has no place in this model")


def _header(path: Path) -> dict[str, Tensor]:
    try:
        return read_header(path)
    except TensorFileError as error:
        raise FolderError(str(error)) from None
