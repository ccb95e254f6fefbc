"""One safetensors file: which tensors it holds, and where their bytes lie.

The format (huggingface/safetensors): 8 bytes, the little-endian length of a header; the header, a JSON object of
name -> dtype, shape, data_offsets; then the bytes of all tensors, one after the other without a gap. Files come from
anywhere, so nothing in a header is believed before it was checked against the file.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HEADER_LIMIT = 100_000_000  # bytes; the format's own limit

# Bits of one element.
_BITS = {"BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6}
_BITS |= {"U16": 16, "I16": 16, "F16": 16, "BF16": 16, "U32": 32, "I32": 32, "F32": 32}
_BITS |= {"U64": 64, "I64": 64, "F64": 64, "C64": 64}


class TensorFileError(Exception):
    """The file cannot be read, or is not a sound safetensors file."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor of a file; `begin` and `end` count bytes from the start of the file."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def read_header(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name. Raises TensorFileError, one line that names the file and what is wrong."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size < 8:
                raise TensorFileError(f"{path}: has {size} bytes, too few for a safetensors file (cut off?)")
            length = int.from_bytes(file.read(8), "little")
            if length > HEADER_LIMIT:
                raise TensorFileError(f"{path}: its header claims {length} bytes, more than any safetensors file has")
            if length > size - 8:
                raise TensorFileError(f"{path}: its header claims {length} bytes, the file has {size} (cut off?)")
            text = file.read(length)
    except FileNotFoundError:
        raise TensorFileError(f"{path}: not found") from None
    except OSError as error:
        raise TensorFileError(f"{path}: not readable ({error.strerror})") from None
    tensors: dict[str, Tensor] = {}
    for name, entry in _parse(path, text).items():
        if not name.isprintable():
            raise TensorFileError(f"{path}: its header names a tensor {shown(name)}")
        if name != "__metadata__":
            tensors[name] = _tensor(f"{path}: tensor {name}", entry, 8 + length, size)
    _check_cover(path, tensors, 8 + length, size)
    return tensors


def _parse(path: Path, text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else error
        raise TensorFileError(f"{path}: its header is damaged ({reason})") from None
    if not isinstance(header, dict):
        raise TensorFileError(f"{path}: its header is damaged (no object)")
    return header


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        (twice, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"{shown(twice)} appears twice")
    return made


def _tensor(where: str, entry: Any, data: int, size: int) -> Tensor:
    if not isinstance(entry, dict):
        raise TensorFileError(f"{where}: its entry in the header is damaged")
    dtype: Any = entry.get("dtype")
    shape: Any = entry.get("shape")
    offsets: Any = entry.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in _BITS:
        raise TensorFileError(f"{where}: unknown number format {shown(dtype)}")
    if not _counts(shape):
        raise TensorFileError(f"{where}: impossible shape {shown(shape)}")
    if not _counts(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise TensorFileError(f"{where}: impossible data_offsets {shown(offsets)}")
    begin, end = data + offsets[0], data + offsets[1]
    if end > size:
        raise TensorFileError(f"{where}: ends at byte {end}, the file at {size} (cut off?)")
    bits = tensor_bits(dtype, shape)
    if bits != 8 * (end - begin):
        needed = -(-bits // 8)
        raise TensorFileError(f"{where}: {dtype} {list(shape)} takes {needed} bytes, its offsets say {end - begin}")
    return Tensor(dtype, tuple(shape), begin, end)


def shown(value: object) -> str:
    """Something found in a file, for an error line: whatever it is, it stays a short part of one line."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _counts(values: Any) -> bool:
    whole = isinstance(values, list) and len(values) <= 16
    return whole and all(type(n) is int and 0 <= n < 2**63 for n in values)


def _check_cover(path: Path, tensors: Mapping[str, Tensor], data: int, size: int) -> None:
    """Every byte of the data belongs to exactly one tensor."""
    at, before = data, ""
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].end)):
        if tensor.begin < at:
            raise TensorFileError(f"{path}: tensors {before} and {name} overlap")
        if tensor.begin > at:
            raise TensorFileError(f"{path}: {tensor.begin - at} bytes before tensor {name} belong to no tensor")
        at, before = tensor.end, name
    if at != size:
        raise TensorFileError(f"{path}: its last {size - at} bytes belong to no tensor")


def tensor_bits(dtype: str, shape: Sequence[int]) -> int:
    """Bits that a tensor of this dtype and shape takes."""
    bits = _BITS[dtype]
    for n in shape:
        bits *= n
    return bits


def build_header(tensors: Mapping[str, tuple[str, Sequence[int]]], align: int) -> tuple[bytes, dict[str, Tensor]]:
    """The head of a new file whose tensors follow one another as given, their first byte at a multiple of `align`.

    Returns the bytes of the head and the tensors' places; the file ends where the last tensor ends.
    """
    entries: dict[str, Any] = {}
    at = 0
    for name, (dtype, shape) in tensors.items():
        end = at + tensor_bits(dtype, shape) // 8
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, end]}
        at = end
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % align)
    data = 8 + len(text)
    places = {
        name: Tensor(e["dtype"], tuple(e["shape"]), data + e["data_offsets"][0], data + e["data_offsets"][1])
        for name, e in entries.items()
    }
    return len(text).to_bytes(8, "little") + text, places
