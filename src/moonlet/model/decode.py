"""The number formats of public checkpoints, as arrays: bytes in, float32 or integer codes out.

fp8 is e4m3fn (bias 7, no infinity, NaN = 0x7f and 0xff) in squares of 128x128 that share a float32 scale, which
multiplies although its tensor is called `weight_scale_inv`. int4 is compressed-tensors' `pack-quantized`: eight codes
in an int32, lowest nibble first, stored as code + 8; every 32 along a row share a bf16 scale.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FP8_BLOCK = 128
INT4_GROUP = 32

_BF16_EXPONENT = 0x7F80  # all ones: infinity or NaN


def as_float(values: NDArray[Any]) -> NDArray[np.float32]:
    """float32 of floats or, where uint16, of bf16 bits. Exact; not copied where it is float32 already."""
    if values.dtype == np.uint16:
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float32, copy=False)


def float_to_bf16(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """bf16 bits of finite float32 values, rounded to nearest, ties to even."""
    bits = np.ascontiguousarray(values).view(np.uint32)
    return ((bits + (0x7FFF + ((bits >> 16) & 1))) >> 16).astype(np.uint16)


def _e4m3_values() -> NDArray[np.float32]:
    code = np.arange(256)
    exponent, fraction = code >> 3 & 15, code & 7
    size = np.where(exponent == 0, fraction * 2.0**-9, (8 + fraction) * 2.0 ** (exponent - 10))
    size[exponent * 8 + fraction == 0x7F] = np.nan
    return np.where(code < 128, size, -size).astype(np.float32)


E4M3 = _e4m3_values()


def fp8_to_float(codes: NDArray[np.uint8], scales: NDArray[np.float32]) -> NDArray[np.float32]:
    """codes (rows, cols) of e4m3fn times the scale of their block; scales (ceil(rows/128), ceil(cols/128))."""
    values = np.empty(codes.shape, np.float32)
    np.take(E4M3, codes, out=values, mode="clip")  # mode: without it numpy goes through a buffer
    along = np.repeat(scales, FP8_BLOCK, axis=1)[:, : codes.shape[1]]
    for block, scale in enumerate(along):
        values[block * FP8_BLOCK : (block + 1) * FP8_BLOCK] *= scale
    return values


def int4_codes(words: NDArray[np.int32], cols: int) -> NDArray[np.int8]:
    """words (rows, ceil(cols/8)) unpacked to codes (rows, cols) from -8 to 7."""
    pairs = words.astype("<i4", copy=False).view(np.uint8).astype(np.uint16)  # two nibbles a byte
    pairs |= pairs << 4
    pairs &= 0x0F0F  # one nibble a byte
    pairs ^= 0x0808  # minus 8, in four bits of two's complement
    pairs |= (pairs & 0x0808) * 0x1E  # the sign into the upper four
    return np.ascontiguousarray(pairs.astype("<u2", copy=False).view(np.int8)[:, :cols])


def int4_to_float(codes: NDArray[np.int8], scales: NDArray[np.uint16]) -> NDArray[np.float32]:
    """codes (rows, cols) times the scale of their group; scales: bf16 bits (rows, ceil(cols/32))."""
    return codes * np.repeat(as_float(scales), INT4_GROUP, axis=1)[:, : codes.shape[1]]


def finite(values: NDArray[Any]) -> bool:
    """Whether none of these floats, or where uint16 bf16 bits, is infinite or NaN."""
    if values.size == 0:
        return True
    if values.dtype == np.uint16:
        return bool((values & 0x7FFF).max() < _BF16_EXPONENT)
    return bool(np.isfinite(values.max()) and np.isfinite(values.min()))  # both are NaN when any value is
