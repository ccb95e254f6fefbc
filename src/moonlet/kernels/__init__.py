"""The typed face of the native module: packing, and single operations for tests. `reference` specifies all of them.

`isa` names an instruction set ("avx512bf16", "avx512", "avx2", "plain"); empty means the best this processor has.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from moonlet import _native

Format = Literal["f32", "bf16", "int8", "int4"]
FORMATS: tuple[Format, ...] = ("f32", "bf16", "int8", "int4")
CacheFormat = Literal["f32", "bf16", "int8"]
GROUP = 32  # columns that share a scale
PAGE: int = _native.PAGE  # tokens in a page of the latent cache
PARTS: tuple[str, ...] = tuple(_native.PARTS)  # where a step's time goes
TIERS: tuple[str, ...] = tuple(_native.TIERS)  # where an expert's bytes are

Floats = NDArray[np.float32]


def isa() -> str:
    """The instruction set in use."""
    return str(_native.isa())


def isas() -> list[str]:
    """All instruction sets this build and processor can run, best first."""
    return list(_native.isas())


def cores() -> int:
    """Cores this process may use."""
    return int(_native.cores())


def map_file(path: Path) -> NDArray[np.uint8]:
    """A file's bytes, mapped and not copied, in huge pages where the file system has them. OSError if it cannot be."""
    mapped: NDArray[np.uint8] = _native.map_file(str(path))
    return mapped


def packed_bytes(format: Format, rows: int, cols: int) -> int:
    """Size of a packed (rows, cols) matrix."""
    return int(_native.packed_bytes(format, rows, cols))


def pack(weight: NDArray[np.float32] | NDArray[np.uint16], format: Format) -> NDArray[np.uint8]:
    """Weights (rows, cols), float32 or bf16 bits, in the packed layout (packed_bytes,); int8 and int4 quantise."""
    packed: NDArray[np.uint8] = _native.pack(np.ascontiguousarray(weight), format)
    return packed


def pack_codes(
    codes: NDArray[np.int8], scales: NDArray[np.uint16], format: Literal["int8", "int4"]
) -> NDArray[np.uint8]:
    """Codes (rows, cols) and bf16 bits of scales (rows, ceil(cols / 32)) as they are. ValueError: a code is too big."""
    packed: NDArray[np.uint8] = _native.pack_codes(np.ascontiguousarray(codes), np.ascontiguousarray(scales), format)
    return packed


def unpack(packed: NDArray[np.uint8], format: Format, rows: int, cols: int) -> Floats:
    """The weights of a packed matrix, float32 (rows, cols)."""
    weight: Floats = _native.unpack(packed, format, rows, cols)
    return weight


def quantise(x: Floats, isa: str = "") -> tuple[NDArray[np.int8], Floats]:
    """Activations (T, cols) as int8 codes (T, padded cols) and scales (T, groups)."""
    codes, scales = _native.quantise(x, isa)
    return codes, scales


def matmul(
    x: Floats, packed: NDArray[np.uint8], format: Format, rows: int, exact: bool = False, isa: str = ""
) -> Floats:
    """x (T, cols) times the transpose of a packed matrix (rows, cols): (T, rows)."""
    y: Floats = _native.matmul(packed, format, rows, x.shape[1], x, exact, isa)
    return y


def swiglu(
    x: Floats,
    gate: NDArray[np.uint8],
    up: NDArray[np.uint8],
    format: Format,
    rows: int,
    exact: bool = False,
    isa: str = "",
) -> Floats:
    """silu(gate x) * up x for packed (rows, cols) matrices: (T, rows)."""
    h: Floats = _native.swiglu(gate, up, format, rows, x.shape[1], x, exact, isa)
    return h


def rmsnorm(x: Floats, weight: Floats, eps: float, isa: str = "") -> Floats:
    """x (T, D) over its root mean square, times weight (D,)."""
    y: Floats = _native.rmsnorm(x, weight, eps, isa)
    return y


def route(
    logits: Floats,
    bias: Floats,
    experts_per_token: int,
    kind: Literal["sigmoid", "softmax"] = "sigmoid",
    groups: int = 1,
    groups_kept: int = 1,
    normalise: bool = True,
    scale: float = 1.0,
    isa: str = "",
) -> tuple[NDArray[np.int32], Floats]:
    """Chosen experts and their weights, both (T, K)."""
    chosen, weights = _native.route(
        logits, bias, kind == "softmax", experts_per_token, groups, groups_kept, normalise, scale, isa
    )
    return chosen, weights


def attend(q: Floats, rows: Floats, latent: int, scale: float, cache: CacheFormat = "f32", isa: str = "") -> Floats:
    """Softmax of scale * q . row over all rows (n, W), times their first `latent` numbers. q (H, W): (H, latent).
    The rows are read from a cache of that format."""
    out: Floats = _native.attend(q, rows, latent, scale, cache, isa)
    return out


Bits = NDArray[np.uint16]  # of bf16 numbers
Texts = list[list[tuple[int, int, int]]]  # of each row: begin, end, and how many of the row's first tokens are seen too


def attend_texts(
    q: Bits, kv: Bits, rope: Bits, cosine: Floats, sine: Floats, scale: float, texts: Texts, out: Bits, lse: Floats,
    highest: Floats, threads: int, isa: str = "",
) -> None:  # fmt: skip
    """Latent attention of whole rows, for training, into out, lse and highest: native/texts.h says shapes and sums.
    ValueError: shapes or texts do not fit together."""
    _native.attend_texts(q, kv, rope, cosine, sine, scale, texts, out, lse, highest, threads, isa)


def attend_texts_back(
    q: Bits, kv: Bits, rope: Bits, cosine: Floats, sine: Floats, scale: float, texts: Texts, out: Bits, lse: Floats,
    grad: Bits, dq: Bits, dkv: Bits, drope: Bits, threads: int, isa: str = "",
) -> None:  # fmt: skip
    """Its gradients, into dq, dkv and drope, from that of `out`."""
    _native.attend_texts_back(
        q, kv, rope, cosine, sine, scale, texts, out, lse, grad, dq, dkv, drope, threads, isa
    )  # fmt: skip
