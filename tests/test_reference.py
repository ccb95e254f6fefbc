"""The reference against transformers' own classes, and the packed layouts against what their descriptions say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import tiny
from moonlet.kernels import reference
from moonlet.model.config import read_config

FORMATS: tuple[reference.Format, ...] = ("f32", "bf16", "int8", "int4")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def compare(folder: Path, tokens: int = 48, more: int = 64) -> None:
    """Logits over a prompt, and the next tokens chosen greedily, are transformers'."""
    config, weights, judge = read_config(folder), tiny.arrays(folder), tiny.transformers_model(folder)
    ids = torch.randint(0, 256, (1, tokens), generator=torch.Generator().manual_seed(7))
    with torch.no_grad():
        expected = judge(ids).logits[0].numpy()
        continued = tiny.greedy(judge, ids, more)
    logits = reference.forward(weights, config, ids[0].tolist())
    assert logits.dtype == np.float32 and logits.shape == expected.shape
    assert np.abs(logits - expected).max() < 1e-5 * np.ptp(expected)
    # Row t is the model's word on token t + 1: one pass over the whole continuation checks every greedy choice.
    told = reference.forward(weights, config, continued[0].tolist())[tokens - 1 : -1].argmax(1)
    assert told.tolist() == continued[0, tokens:].tolist()


@pytest.mark.parametrize("variant", tiny.VARIANTS)
def test_forward_is_that_of_transformers(tmp_path: Path, variant: str) -> None:
    tiny.write(tmp_path, variant, "f32")
    compare(tmp_path)


@pytest.mark.parametrize("dtype", ["bf16", "f16", "fp8", "int4"])
def test_forward_with_weights_of_every_number_format(tmp_path: Path, dtype: str) -> None:
    tiny.write(tmp_path, "k2-thinking", dtype, shards=3, seed=1)
    compare(tmp_path)


def test_forward_with_a_tied_head_a_large_eps_and_positions_past_the_original_context(tmp_path: Path) -> None:
    yarn = {"rope_scaling": tiny.config()["rope_scaling"] | {"original_max_position_embeddings": 64}}
    tiny.write(tmp_path, "k2", "f32", changes={"tie_word_embeddings": True, "rms_norm_eps": 0.01, **yarn})
    compare(tmp_path, tokens=160)


def test_a_router_bias_steers_the_choice_and_not_the_weights() -> None:
    logits = np.log(np.array([[1.0, 1 / 3, 1 / 9]]))  # sigmoids 1/2, 1/4, 1/10
    choice, weights = reference.route(logits, np.array([0.0, 0.0, 0.5]), 2, scale=2.0)
    assert choice.tolist() == [[2, 0]]
    np.testing.assert_allclose(weights, [[2 / 6, 10 / 6]])


@pytest.mark.parametrize(("kind", "chosen"), [("sigmoid", [2, 3]), ("softmax", [0, 2])])
def test_groups_are_ranked_by_two_best_or_by_the_best(kind: Any, chosen: list[int]) -> None:
    # Groups {0, 1}, {2, 3}, {4, 5}: the first has the single best expert, the second the best pair.
    logits = np.array([[3.0, -9.0, 2.0, 1.5, 0.0, 0.0]])
    kept = 1 if kind == "sigmoid" else 2
    choice, _ = reference.route(logits, np.zeros(6), 2, kind, groups=3, groups_kept=kept, normalise=False)
    assert choice.tolist() == [chosen]


def test_attention_over_a_longer_cache_sees_only_the_past() -> None:
    random = np.random.default_rng(0)
    q_nope, q_rope = random.normal(size=(3, 2, 8)), random.normal(size=(3, 2, 4))
    cache, k_up, v_up = random.normal(size=(9, 20)), random.normal(size=(2, 16, 8)), random.normal(size=(2, 5, 16))
    at = np.array([2, 3, 4])
    out = reference.attend(q_nope, q_rope, cache, k_up, v_up, 0.3, at)
    for t, h in np.ndindex(3, 2):
        past = cache[: at[t] + 1]
        keys = np.concatenate([past[:, :16] @ k_up[h], past[:, 16:]], axis=1)  # written out, as transformers has it
        p = reference.softmax(0.3 * keys @ np.concatenate([q_nope[t, h], q_rope[t, h]]))
        np.testing.assert_allclose(out[t, h], p @ (past[:, :16] @ v_up[h].T))


def random_weight(rows: int, cols: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(rows, cols)).astype(np.float32)


def test_packed_int4_lies_where_the_layout_says() -> None:
    codes = np.random.default_rng(0).integers(-8, 8, (40, 50)).astype(np.int8)
    scales = np.random.default_rng(1).integers(0, 2**15, (40, 2)).astype(np.uint16)
    packed = reference.pack_codes(codes, scales, "int4")
    assert packed.size == reference.packed_bytes("int4", 40, 50) == 2 * 2 * 576
    for row, col in np.ndindex(64, 64):
        tile = packed[(row // 32 * 2 + col // 32) * 576 :][:576]
        byte = tile[col % 32 // 8 * 128 + row % 32 * 4 + col % 4]
        nibble = byte >> 4 if col % 8 >= 4 else byte & 15
        assert nibble == (codes[row, col] + 8 if row < 40 and col < 50 else 8)
        scale = tile[512:].view(np.uint16)[row % 32]
        assert scale == (scales[row, col // 32] if row < 40 else 0)


def test_packed_int8_lies_where_the_layout_says() -> None:
    codes = np.random.default_rng(0).integers(-128, 128, (40, 50)).astype(np.int8)
    packed = reference.pack_codes(codes, np.ones((40, 2), np.uint16), "int8")
    assert packed.size == reference.packed_bytes("int8", 40, 50) == 2 * 2 * 1088
    for row, col in np.ndindex(64, 64):
        tile = packed[(row // 32 * 2 + col // 32) * 1088 :][:1088].view(np.int8)
        code = tile[col % 32 // 4 * 128 + row % 32 * 4 + col % 4]
        assert code == (codes[row, col] if row < 40 and col < 50 else 0)


def test_packed_floats_lie_where_the_layout_says() -> None:
    weight = random_weight(40, 50)
    bf16, f32 = reference.pack(weight, "bf16").view(np.uint16), reference.pack(weight, "f32").view(np.float32)
    for row, col in np.ndindex(40, 50):
        pair = (row // 32 * 32 + col // 2) * 64  # 64 columns after filling up: 32 pairs a block
        assert bf16[pair + row % 32 * 2 + col % 2] == reference.to_bf16(weight[row, col])
        assert f32[pair + col % 2 * 32 + row % 32] == weight[row, col]


@given(st.integers(1, 70), st.integers(1, 100), st.sampled_from(FORMATS), st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_unpacking_gives_back_what_the_format_can_hold(rows: int, cols: int, format: Any, seed: int) -> None:
    weight = random_weight(rows, cols, seed)
    weight[seed % rows] = 0
    packed = reference.pack(weight, format)
    assert packed.dtype == np.uint8 and packed.shape == (reference.packed_bytes(format, rows, cols),)
    back = reference.unpack(packed, format, rows, cols)
    np.testing.assert_array_equal(reference.unpack(reference.pack(back, "f32"), "f32", rows, cols), back)
    assert not back[seed % rows].any()
    step = {"f32": 0.0, "bf16": 2**-8, "int8": 0.5 / 127 * 1.01, "int4": 0.5 / 7 * 1.01}[format]
    assert (np.abs(back - weight) <= step * np.abs(weight).max()).all()
    if format == "bf16":
        np.testing.assert_array_equal(reference.pack(reference.to_bf16(weight), "bf16"), packed)
    elif format != "f32":
        codes, scales = reference.quantise(weight, format)
        codes_back, scales_back = reference.unpack_codes(packed, format, rows, cols)
        np.testing.assert_array_equal(codes_back, codes)
        np.testing.assert_array_equal(scales_back, scales)


def test_quantising_rounds_the_scale_up_and_halves_to_even() -> None:
    weight = np.zeros((1, 32), np.float32)
    weight[0, :5] = [7, 0.5, 1.5, 2.5, -7]
    codes, scales = reference.quantise(weight, "int4")
    assert reference.from_bf16(scales) == 1 and codes[0, :5].tolist() == [7, 0, 2, 2, -7]
    weight[0, 0] = 7.001  # the scale is no bf16 any more: the next one above is taken
    codes, scales = reference.quantise(weight, "int4")
    assert reference.from_bf16(scales) == 1 + 2**-7 and codes[0, 0] == 7


@given(st.integers(1, 5), st.integers(1, 40), st.integers(1, 100), st.sampled_from(["int8", "int4"]))
@settings(max_examples=40, deadline=None)
def test_whole_number_products_are_those_of_the_rounded_activations(t: int, rows: int, cols: int, format: Any) -> None:
    x, packed = random_weight(t, cols, 5), reference.pack(random_weight(rows, cols), format)
    codes, scales = reference.quantise_activations(x)
    rounded = (codes * np.repeat(scales, 32, axis=1))[:, :cols]
    assert (np.abs(rounded - x) <= np.repeat(scales, 32, axis=1)[:, :cols] * 0.501).all()
    plain = rounded.astype(np.float64) @ reference.unpack(packed, format, rows, cols).T.astype(np.float64)
    np.testing.assert_allclose(reference.matmul(x, packed, format, rows), plain, atol=2e-5)
    exact = x.astype(np.float64) @ reference.unpack(packed, format, rows, cols).T.astype(np.float64)
    np.testing.assert_allclose(reference.matmul(x, packed, format, rows, exact=True), exact, atol=2e-5)
