"""Which file of a checkpoint holds which tensor: the index of a sharded one, the header of a single file."""

from __future__ import annotations

import json
import os
from pathlib import Path, PurePosixPath
from typing import Any

from .tensorfile import HEADER_LIMIT, TensorFileError, read_header, shown

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"


class CheckpointError(Exception):
    """A checkpoint is incomplete, damaged, or not of the model that its config.json describes."""


def read_shard_index(folder: Path) -> tuple[Path, dict[str, str]]:
    """The file that lists the tensors, and tensor name -> file name. Raises CheckpointError.

    File names come from strangers: only plain names inside the folder are taken.
    """
    index, single = folder / INDEX, folder / SINGLE
    if not index.exists() and not single.exists():
        raise CheckpointError(f"{folder}: holds neither {INDEX} nor {SINGLE}")
    if not index.exists():
        _check_inside(folder, single, SINGLE)
        try:
            return single, dict.fromkeys(read_header(single), SINGLE)
        except TensorFileError as error:
            raise CheckpointError(str(error)) from None
    names: dict[str, str] = {}
    checked: set[str] = set()
    for tensor, file in _weight_map(index).items():
        if not tensor.isprintable():
            raise CheckpointError(f"{index}: names a tensor {shown(tensor)}")
        if not isinstance(file, str):
            raise CheckpointError(f"{index}: tensor {tensor}: its file is {shown(file)}, not a name")
        if file not in checked:
            _check_inside(folder, index, file)
            checked.add(file)
        names[tensor] = file
    return index, names


def _weight_map(index: Path) -> dict[str, Any]:
    try:
        if index.stat().st_size > HEADER_LIMIT:
            raise CheckpointError(f"{index}: larger than any index of a checkpoint")
        raw = json.loads(index.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else error
        raise CheckpointError(f"{index}: not readable as JSON ({reason})") from None
    weight_map = raw.get("weight_map") if isinstance(raw, dict) else None
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{index}: has no weight_map")
    return weight_map


def _check_inside(folder: Path, named_by: Path, file: str) -> None:
    """Refuses names that lead out of the folder, by themselves or through a link."""
    plain = file.isprintable() and "\\" not in file and PurePosixPath(file).name == file
    if not plain or not file.endswith(".safetensors"):
        raise CheckpointError(f"{named_by}: {shown(file)} is not the name of a safetensors file in this folder")
    path = folder / file
    if not path.is_symlink():
        return
    base = folder.resolve()
    allowed = [base]
    if base.parent.name == "snapshots":
        allowed.append(base.parent.parent / "blobs")  # how huggingface_hub's cache links its files
    target = Path(os.path.realpath(path))  # unlike resolve(), no exception for a link to itself
    if not any(target.is_relative_to(place) for place in allowed):
        raise CheckpointError(f"{path}: is a link that leaves the folder, to {target}")
