"""One part of a recipe: its weights read, brought into the folder's number format, and handed on as bytes.

A matrix is worked on a stretch of rows at a time, so memory does not grow with the model.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from moonlet import kernels
from moonlet.kernels import Format

from .checkpoint import Checkpoint, Values, Weight
from .decode import as_float, float_to_bf16
from .recipe import Part

SAMPLE_ROWS = 32  # of every matrix: what quantisation changes is measured on these

_STRETCH = 1 << 22  # weights worked on at once
_ROWS = 128  # stretches are multiples of this: a row of fp8 blocks, and whole blocks of packed rows

Write = Callable[[int, memoryview], None]  # (place in the file, what goes there)
Error = tuple[float, float]  # squared differences and squared weights of the sample, summed


def make_part(part: Part, checkpoint: Checkpoint, write: Write) -> Error:
    """Makes a part and writes it. Returns what was lost, (0, 0) where the format keeps every value."""
    if part.kind == "packed":
        errors = [
            _pack(checkpoint, weight, part.format, place, write)
            for weight, place in zip(part.weights, part.places, strict=True)
        ]
        return sum(error for error, _ in errors), sum(weight for _, weight in errors)
    (weight,), (place,) = part.weights, part.places
    if part.kind in ("keys", "values"):
        return _pack_heads(part, checkpoint.values(weight), place, write)
    for begin, end in _stretches(weight.shape):
        values = checkpoint.values(weight, begin, end)
        if part.kind == "table" and part.format != "f32":
            made: Values = values if values.dtype == np.uint16 else float_to_bf16(as_float(values))
        else:
            made = as_float(values)
        write(place, made.data)
        place += made.nbytes
    return 0.0, 0.0


def _stretches(shape: tuple[int, ...]) -> list[tuple[int, int]]:
    rows, cols = shape[0], int(np.prod(shape[1:]))
    step = max(_STRETCH // cols // _ROWS, 1) * _ROWS
    return [(begin, min(begin + step, rows)) for begin in range(0, rows, step)]


def _pack(checkpoint: Checkpoint, weight: Weight, format: Format, place: int, write: Write) -> Error:
    """Packs a matrix. int4 codes go into int4 or int8 as they are, so that not a value changes."""
    lost = 0.0, 0.0
    for begin, end in _stretches(weight.shape):
        if weight.storage == "int4" and format in ("int4", "int8"):
            packed = kernels.pack_codes(*checkpoint.codes(weight, begin, end), format)
        else:
            values = checkpoint.values(weight, begin, end)
            packed = kernels.pack(values, format)
            if begin == 0:
                lost = _lost(values, packed, format)
        write(place, packed.data)
        place += packed.nbytes
    return lost


def _pack_heads(part: Part, kv: Values, place: int, write: Write) -> Error:
    """kv_b (H * (N + value), L) holds each head's key rows, then its value rows."""
    heads, rows, cols = part.shape
    by_head = kv.reshape(heads, -1, kv.shape[1])
    matrices = [head[:cols].T if part.kind == "keys" else head[-rows:] for head in by_head]
    packed = [kernels.pack(matrix, part.format) for matrix in matrices]
    write(place, np.concatenate(packed).data)
    return _lost(matrices[0], packed[0], part.format)


def _lost(values: Values, packed: NDArray[np.uint8], format: Format) -> Error:
    """What packing changed in the first rows of a matrix."""
    if format == "f32" or (format == "bf16" and values.dtype == np.uint16):
        return 0.0, 0.0
    exact = as_float(values[:SAMPLE_ROWS])
    rows, cols = exact.shape
    block = packed[: kernels.packed_bytes(format, rows, cols)]
    difference = kernels.unpack(block, format, rows, cols) - exact
    return float(np.square(difference, dtype=np.float64).sum()), float(np.square(exact, dtype=np.float64).sum())
