"""The arithmetic of a model in plain NumPy: what the native code must compute, and the shortest way to understand it.

Three parts. *Numbers*: how weights and activations are written in few bits, and where each of them lies in memory.
*Operations*: what one layer is made of. *Forward*: the whole model, from token ids to logits.

Letters for shapes: T tokens, V vocabulary, D width, H heads, N and R the parts of a head without and with position,
L latent width, P cached positions, E experts, K experts per token, F expert width.

Everything here is slow and clear, and computes in the number type of what it is given: float32, or float64 for a judge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # a name for the checker only: at run time this file knows nothing of the rows above it
    from moonlet.model.config import ModelConfig

Array = NDArray[np.floating[Any]]  # float32 or float64
Integers = NDArray[np.integer[Any]]
Format = Literal["f32", "bf16", "int8", "int4"]

GROUP = 32  # columns that share a scale
BLOCK = 32  # rows that are stored together

# The largest code. Quantising never gives -8, but codes that were quantised elsewhere may hold it.
_LIMIT = {"int8": 127, "int4": 7}
_TILE_BYTES = {"f32": 4096, "bf16": 2048, "int8": 1024 + 64, "int4": 512 + 64}  # of BLOCK x GROUP weights


# ---- numbers --------------------------------------------------------------------------------------------------------


def to_bf16(x: Array, up: bool = False) -> NDArray[np.uint16]:
    """Bits of the nearest bf16, half to even; with `up`, of the least bf16 not below x (for x of at least 0)."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    step = 0xFFFF if up else 0x7FFF + (bits >> 16 & 1)
    return (bits + step >> 16).astype(np.uint16)


def from_bf16(bits: Integers) -> NDArray[np.float32]:
    """A bf16 is the upper half of a float32."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def quantise(weight: Array, format: Format) -> tuple[NDArray[np.int8], NDArray[np.uint16]]:
    """Codes (rows, cols) and bf16 bits of scales (rows, ceil(cols / 32)), so that weight is nearly code * scale.

    The scale is rounded up: the largest weight of a group then never needs a code past the limit.
    """
    rows, cols = weight.shape
    groups = _pad(weight.astype(np.float32), 1, GROUP).reshape(rows, -1, GROUP)
    scales = to_bf16(np.abs(groups).max(2) / np.float32(_LIMIT[format]), up=True)
    unit = from_bf16(scales)[:, :, None]
    codes = np.rint(np.divide(groups, unit, out=np.zeros_like(groups), where=unit > 0))  # half to even
    codes = np.clip(codes, -_LIMIT[format], _LIMIT[format])
    return codes.astype(np.int8).reshape(rows, -1)[:, :cols], scales


def packed_bytes(format: Format, rows: int, cols: int) -> int:
    """Size of a packed matrix: whole tiles of 32 rows by 32 columns."""
    return -(-rows // BLOCK) * -(-cols // GROUP) * _TILE_BYTES[format]


def pack(weight: NDArray[Any], format: Format) -> NDArray[np.uint8]:
    """Weights (rows, cols), floats or bf16 bits as uint16, in the packed layout: uint8 (packed_bytes,).

    Rows are taken in blocks of 32, a block's columns in groups of 32, both filled up with zeros; so 32 x 32 tiles, the
    tiles of a block one after the other. The order inside a tile is the order in which a vector unit wants the weights:
    rows side by side, each with the few columns that one instruction multiplies.

    * f32, bf16: pair of columns by pair. f32: 32 rows of the even one, 32 rows of the odd one. bf16: 32 rows of both,
      the even one first.
    * int8, int4: see pack_codes.
    """
    weight = from_bf16(weight) if weight.dtype == np.uint16 else weight.astype(np.float32)
    if format in ("int8", "int4"):
        return pack_codes(*quantise(weight, format), format)
    tiles = _pad(_pad(weight, 0, BLOCK), 1, GROUP)
    pairs = tiles.reshape(len(tiles) // BLOCK, BLOCK, -1, 2)  # block, row, pair of columns, which of the two
    if format == "f32":
        return pairs.transpose(0, 2, 3, 1).reshape(-1).view(np.uint8)
    return to_bf16(pairs).transpose(0, 2, 1, 3).reshape(-1).view(np.uint8)


def pack_codes(codes: Integers, scales: Integers, format: Format) -> NDArray[np.uint8]:
    """Codes int8 (rows, cols) and bf16 bits of scales (rows, ceil(cols / 32)) in the packed layout, losslessly.

    A tile is its codes, then its 32 scales. int8 goes by four columns: row 0's four, row 1's four, ... row 31's, then
    the next four columns. int4 goes by eight columns: four bytes a row, whose low nibbles are columns 0-3 and whose
    high nibbles are columns 4-7, as code + 8. An empty place holds code 0. So the bytes of a tile are used in the order
    in which they lie, which is what makes a processor fetch ahead.
    """
    whole = _pad(_pad(codes.astype(np.int8), 0, BLOCK), 1, GROUP)
    blocks, groups = len(whole) // BLOCK, whole.shape[1] // GROUP
    if format == "int8":
        by_four = whole.reshape(blocks, BLOCK, groups, 8, 4)  # block, row, group, four columns, which of the four
        ordered = by_four.transpose(0, 2, 3, 1, 4).astype(np.uint8)
    else:
        by_eight = (whole + 8).astype(np.uint8).reshape(blocks, BLOCK, groups, 4, 2, 4)
        nibbles = by_eight[..., 0, :] | by_eight[..., 1, :] << np.uint8(4)
        ordered = nibbles.transpose(0, 2, 3, 1, 4)
    tail = _pad(scales.astype(np.uint16), 0, BLOCK).reshape(blocks, BLOCK, groups).transpose(0, 2, 1)
    tiles = [ordered.reshape(blocks, groups, -1), np.ascontiguousarray(tail).view(np.uint8)]
    return np.concatenate(tiles, axis=2).reshape(-1)


def unpack_codes(
    packed: NDArray[np.uint8], format: Format, rows: int, cols: int
) -> tuple[NDArray[np.int8], NDArray[np.uint16]]:
    """What pack_codes was given."""
    tiles = packed.reshape(-(-rows // BLOCK), -(-cols // GROUP), _TILE_BYTES[format])
    blocks, groups = tiles.shape[:2]
    head, tail = tiles[:, :, : -2 * BLOCK], np.ascontiguousarray(tiles[:, :, -2 * BLOCK :])
    if format == "int8":
        by_four = head.reshape(blocks, groups, 8, BLOCK, 4).view(np.int8)
        codes = by_four.transpose(0, 3, 1, 2, 4)
    else:
        nibbles = head.reshape(blocks, groups, 4, BLOCK, 4)
        both = np.stack([nibbles & 15, nibbles >> 4], axis=4).astype(np.int8) - np.int8(8)
        codes = both.transpose(0, 3, 1, 2, 4, 5)
    scales = tail.view(np.uint16).transpose(0, 2, 1).reshape(blocks * BLOCK, groups)
    return codes.reshape(blocks * BLOCK, groups * GROUP)[:rows, :cols], scales[:rows]


def unpack(packed: NDArray[np.uint8], format: Format, rows: int, cols: int) -> NDArray[np.float32]:
    """The weights of a packed matrix, float32 (rows, cols)."""
    if format in ("int8", "int4"):
        codes, scales = unpack_codes(packed, format, rows, cols)
        return codes * np.repeat(from_bf16(scales), GROUP, axis=1)[:, :cols]
    blocks = -(-rows // BLOCK)
    if format == "f32":
        weight = packed.view(np.float32).reshape(blocks, -1, 2, BLOCK).transpose(0, 3, 1, 2)
    else:
        weight = from_bf16(packed.view(np.uint16)).reshape(blocks, -1, BLOCK, 2).transpose(0, 2, 1, 3)
    return weight.reshape(blocks * BLOCK, -1)[:rows, :cols]


def quantise_activations(x: Array) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Codes (T, cols filled up to groups of 32) and scales float32 (T, groups) of activations (T, cols)."""
    groups = _pad(x.astype(np.float32), 1, GROUP).reshape(len(x), -1, GROUP)
    scales = np.abs(groups).max(2) / np.float32(127)
    unit = scales[:, :, None]
    codes = np.rint(np.divide(groups, unit, out=np.zeros_like(groups), where=unit > 0))  # half to even
    return codes.astype(np.int8).reshape(len(x), -1), scales


def matmul(x: Array, packed: NDArray[np.uint8], format: Format, rows: int, exact: bool = False) -> NDArray[np.float32]:
    """x (T, cols) times the transpose of a packed matrix (rows, cols): (T, rows).

    With int8 or int4 weights, unless `exact`, x is quantised too: the 32 products of a group are summed as whole
    numbers; the sums of the groups, each times its two scales, are added in float32 in the order of columns.
    """
    if exact or format in ("f32", "bf16"):
        return (x @ unpack(packed, format, rows, x.shape[1]).T).astype(np.float32)
    x_codes, x_scales = quantise_activations(x)
    codes, scales = unpack_codes(packed, format, rows, x_codes.shape[1])
    y = np.zeros((len(x), rows), np.float32)
    for group in range(x_scales.shape[1]):
        columns = slice(group * GROUP, (group + 1) * GROUP)
        dots = x_codes[:, columns].astype(np.int32) @ codes[:, columns].astype(np.int32).T
        y += dots.astype(np.float32) * x_scales[:, group, None] * from_bf16(scales[:, group])
    return y


def _pad(x: NDArray[Any], axis: int, multiple: int) -> NDArray[Any]:
    """x with zeros after it along an axis, up to a multiple."""
    widths = [(0, 0)] * x.ndim
    widths[axis] = (0, -x.shape[axis] % multiple)
    return np.pad(x, widths)


# ---- operations -----------------------------------------------------------------------------------------------------


def rmsnorm(x: Array, weight: Array, eps: float) -> Array:
    """x over the root of its mean square along the last axis, times weight. Same shape as x."""
    root: Array = np.sqrt((x * x).mean(-1, keepdims=True) + eps)
    return x / root * weight


def rotate(x: Array, positions: Integers, inverse_frequencies: Sequence[float], scale: float = 1.0) -> Array:
    """Turns each pair (x[2i], x[2i+1]) of the last axis by position * inverse_frequencies[i].

    x: (T, ..., R), positions: (T,). Neighbours make a pair; the other custom, x[i] with x[i + R/2], is wrong for these
    weights. `scale` multiplies cosine and sine.
    """
    angles = positions[:, None] * np.asarray(inverse_frequencies)
    angles = angles.reshape(len(x), *[1] * (x.ndim - 2), -1)
    cosine, sine = (scale * np.cos(angles)).astype(x.dtype), (scale * np.sin(angles)).astype(x.dtype)
    turned = np.empty_like(x)
    turned[..., 0::2] = x[..., 0::2] * cosine - x[..., 1::2] * sine
    turned[..., 1::2] = x[..., 1::2] * cosine + x[..., 0::2] * sine
    return turned


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), written so that nothing overflows."""
    small: Array = np.exp(-np.abs(x))
    above: Array = np.where(x >= 0, 1, small)
    return above / (1 + small)


def softmax(x: Array) -> Array:
    """Along the last axis."""
    exps: Array = np.exp(x - x.max(-1, keepdims=True))
    total: Array = exps.sum(-1, keepdims=True)
    return exps / total


def ffn(x: Array, gate: Array, up: Array, down: Array) -> Array:
    """down(silu(gate x) * up x), where silu(a) = a sigmoid(a). x: (T, D), gate and up: (F, D), down: (D, F)."""
    a = x @ gate.T
    return a * sigmoid(a) * (x @ up.T) @ down.T


def route(
    logits: Array,
    bias: Array,
    experts_per_token: int,
    kind: Literal["sigmoid", "softmax"] = "sigmoid",
    groups: int = 1,
    groups_kept: int = 1,
    normalise: bool = True,
    scale: float = 1.0,
) -> tuple[NDArray[np.intp], Array]:
    """Which K experts each token goes to, and with what weights: both (T, K), the most wanted first.

    logits: (T, E), bias: (E,). The bias, by which training kept the experts evenly busy, steers the choice but is no
    part of the weights. With groups, only the experts of the best groups can be chosen: DeepSeek-V3 (sigmoid) ranks
    groups by the sum of their two best experts, V2 (softmax) by the best one. Of equals the first is chosen.
    """
    tokens, experts = logits.shape
    scores = sigmoid(logits) if kind == "sigmoid" else softmax(logits)
    wanted = scores + bias
    if groups > 1:
        grouped = np.sort(wanted.reshape(tokens, groups, -1), axis=2)
        standing = grouped[:, :, -2:].sum(2) if kind == "sigmoid" else grouped[:, :, -1]
        dropped = np.argsort(-standing, axis=1, kind="stable")[:, groups_kept:]
        out = np.zeros((tokens, groups), bool)
        np.put_along_axis(out, dropped, True, axis=1)
        wanted = np.where(np.repeat(out, experts // groups, axis=1), -np.inf, wanted)
    choice = np.argsort(-wanted, axis=1, kind="stable")[:, :experts_per_token]
    weights = np.take_along_axis(scores, choice, axis=1)
    if normalise:
        weights = weights / (weights.sum(1, keepdims=True) + 1e-20)
    return choice, weights * scale


def mix_experts(x: Array, gate: Array, up: Array, down: Array, choice: Integers, weights: Array) -> Array:
    """Sum over each token's chosen experts of weight * ffn. x: (T, D), gate and up: (E, F, D), down: (E, D, F)."""
    y = np.zeros_like(x)
    for expert in np.unique(choice):
        token, rank = np.nonzero(choice == expert)
        y[token] += weights[token, rank, None] * ffn(x[token], gate[expert], up[expert], down[expert])
    return y


def attend(
    q_nope: Array, q_rope: Array, cache: Array, k_up: Array, v_up: Array, scale: float, positions: Integers
) -> Array:
    """Latent attention in its absorbed form: what each head reads, (T, H, value).

    q_nope: (T, H, N), q_rope: (T, H, R) rotated, cache: (P, L + R), k_up: (H, L, N), v_up: (H, value, L); the token at
    positions[t] sees cache rows 0..positions[t].

    Written out, head h would make a key k_up[h].T c and a value v_up[h] c from every cached latent c. Moving those two
    matrices to the query and to the result leaves one row per position for all heads to read, and no keys to keep.
    """
    latent = k_up.shape[1]
    query = np.concatenate([np.einsum("thn,hln->thl", q_nope, k_up), q_rope], axis=2)
    scores = scale * np.einsum("thc,pc->thp", query, cache)
    hidden = np.arange(len(cache)) > positions[:, None, None]
    read = softmax(np.where(hidden, -np.inf, scores)) @ cache[:, :latent]
    values: Array = np.einsum("thl,hvl->thv", read, v_up)
    return values


# ---- forward --------------------------------------------------------------------------------------------------------


def forward(weights: Mapping[str, Array], config: ModelConfig, ids: Sequence[int]) -> Array:
    """Logits (T, V) after each of T token ids: row t is what the model says comes after ids[0..t].

    `weights` has the names of a model folder, as float arrays: embed (V, D), head (V, D), norm (D,), and of each layer
    i, after "layers.i.": attention_norm, q (H(N+R), D) or q_a, q_a_norm, q_b, kv_a (L+R, D), kv_a_norm, k_up (H, L, N),
    v_up (H, value, L), o (D, H value), mlp_norm; then gate, up, down, or in a sparse layer router (E, D), router_bias
    (E,), shared_gate, shared_up, shared_down if any, and expert_gate, expert_up (E, F, D), expert_down (E, D, F).
    """
    x = weights["embed"][np.asarray(ids)]
    for index in range(config.layers):
        layer = {name.split(".", 2)[2]: w for name, w in weights.items() if name.startswith(f"layers.{index}.")}
        x = x + attention(layer, config, rmsnorm(x, layer["attention_norm"], config.eps))
        mlp = dense if index < config.dense_layers else sparse
        x = x + mlp(layer, config, rmsnorm(x, layer["mlp_norm"], config.eps))
    return rmsnorm(x, weights["norm"], config.eps) @ weights["head"].T


def attention(layer: Mapping[str, Array], config: ModelConfig, x: Array) -> Array:
    """Self-attention of one layer over x (T, D), already normalised. Returns (T, D)."""
    positions = np.arange(len(x))
    turn = config.inverse_frequencies(), config.rotation_scale
    if config.q_rank is None:
        q = x @ layer["q"].T
    else:
        q = rmsnorm(x @ layer["q_a"].T, layer["q_a_norm"], config.eps) @ layer["q_b"].T
    q = q.reshape(len(x), config.heads, config.head)
    kv = x @ layer["kv_a"].T
    # All that is kept of a token: L normalised latents, and one rotated key that all heads share.
    latents = rmsnorm(kv[:, : config.latent], layer["kv_a_norm"], config.eps)
    cache = np.concatenate([latents, rotate(kv[:, config.latent :], positions, *turn)], axis=1)
    q_rope = rotate(q[:, :, config.nope :], positions, *turn)
    read = attend(q[:, :, : config.nope], q_rope, cache, layer["k_up"], layer["v_up"], config.score_scale, positions)
    return read.reshape(len(x), -1) @ layer["o"].T


def dense(layer: Mapping[str, Array], config: ModelConfig, x: Array) -> Array:
    """The feed-forward part of a layer without experts. x: (T, D), already normalised."""
    return ffn(x, layer["gate"], layer["up"], layer["down"])


def sparse(layer: Mapping[str, Array], config: ModelConfig, x: Array) -> Array:
    """The feed-forward part of a layer with experts: K chosen ones, and the shared ones, which all tokens pass."""
    choice, weight = route(
        x @ layer["router"].T,
        layer["router_bias"],
        config.experts_per_token,
        config.router,
        config.groups,
        config.groups_kept,
        config.normalise,
        config.routed_scale,
    )
    y = mix_experts(x, layer["expert_gate"], layer["expert_up"], layer["expert_down"], choice, weight)
    if config.shared_experts:
        y += ffn(x, layer["shared_gate"], layer["shared_up"], layer["shared_down"])
    return y
