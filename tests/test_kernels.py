"""Every native operation against its NumPy twin, on every instruction set this machine has, over awkward sizes."""

from __future__ import annotations

import numpy as np
import pytest

from moonlet import kernels
from moonlet.kernels import reference

ISAS = kernels.isas()
SIZES = [(1, 1), (5, 3), (32, 32), (33, 31), (64, 96), (97, 160), (256, 224), (31, 513)]
TOKENS = [1, 2, 3, 4, 5, 7, 64, 65, 130]


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def close(got: np.ndarray, want: np.ndarray, tolerance: float = 2e-5) -> None:
    scale = np.abs(want).max() + 1e-6
    assert got.shape == want.shape
    assert np.abs(got - want).max() <= tolerance * scale


@pytest.mark.parametrize("format", kernels.FORMATS)
@pytest.mark.parametrize(("rows", "cols"), SIZES)
def test_packing_is_the_specified_layout(format: kernels.Format, rows: int, cols: int) -> None:
    weight = normal(rows, cols)
    packed = kernels.pack(weight, format)
    assert packed.nbytes == kernels.packed_bytes(format, rows, cols) == reference.packed_bytes(format, rows, cols)
    np.testing.assert_array_equal(packed, reference.pack(weight, format))
    unpacked = kernels.unpack(packed, format, rows, cols)
    np.testing.assert_array_equal(unpacked, reference.unpack(packed, format, rows, cols))
    bound = {"f32": 0, "bf16": 2**-8, "int8": 1 / 250, "int4": 1 / 13}[format]
    assert np.abs(unpacked - weight).max() <= bound * np.abs(weight).max()


@pytest.mark.parametrize("format", ["int8", "int4"])
def test_packed_codes_come_back_unchanged(format: kernels.Format) -> None:
    random = np.random.default_rng(1)
    limit = 127 if format == "int8" else 7
    codes = random.integers(-limit - (format == "int4"), limit + 1, (45, 70)).astype(np.int8)
    scales = reference.to_bf16(random.random((45, 3)).astype(np.float32))
    packed = kernels.pack_codes(codes, scales, format)
    np.testing.assert_array_equal(packed, reference.pack_codes(codes, scales, format))
    found_codes, found_scales = reference.unpack_codes(packed, format, 45, 70)
    np.testing.assert_array_equal(found_codes, codes)
    np.testing.assert_array_equal(found_scales, scales)


def test_bf16_bits_are_packed_as_they_are() -> None:
    bits = reference.to_bf16(normal(40, 33))
    np.testing.assert_array_equal(kernels.pack(bits, "bf16"), reference.pack(bits, "bf16"))


@pytest.mark.parametrize("bad", [-9, 8])
def test_a_code_out_of_range_is_refused(bad: int) -> None:
    with pytest.raises(ValueError, match="out of range"):
        kernels.pack_codes(np.full((1, 1), bad, np.int8), np.ones((1, 1), np.uint16), "int4")


def test_extreme_weights_quantise_without_harm() -> None:
    weight = np.zeros((4, 64), np.float32)
    weight[1] = 1e-42  # below the smallest normal number
    weight[2, 0] = 3e38
    weight[3, :2] = [-7, 1]
    for format in ("int8", "int4"):
        assert np.isfinite(kernels.unpack(kernels.pack(weight, format), format, 4, 64)).all()
    np.testing.assert_array_equal(kernels.unpack(kernels.pack(weight, "int4"), "int4", 4, 64)[3, :2], [-7, 1])


@pytest.mark.parametrize("isa", ISAS)
def test_quantised_activations(isa: str) -> None:
    x = normal(6, 130)
    x[0] = 0
    x[1] *= 1e-30
    codes, scales = kernels.quantise(x, isa)
    want_codes, want_scales = reference.quantise_activations(x)
    np.testing.assert_array_equal(scales, want_scales)
    np.testing.assert_array_equal(codes, want_codes)


def multiplied(x: np.ndarray, format: str, exact: bool, isa: str) -> np.ndarray:
    """The activations that meet the weights: rounded to bf16 where the processor multiplies pairs of bf16."""
    rounded = format == "bf16" and not exact and isa == "avx512bf16"
    return reference.from_bf16(reference.to_bf16(x)) if rounded else x


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("format", kernels.FORMATS)
@pytest.mark.parametrize(("rows", "cols"), SIZES)
def test_matmul(format: kernels.Format, exact: bool, rows: int, cols: int, isa: str) -> None:
    packed = kernels.pack(normal(rows, cols), format)
    for tokens in (1, 5, 66):
        x = normal(tokens, cols, seed=tokens)
        want = reference.matmul(multiplied(x, format, exact, isa), packed, format, rows, exact)
        close(kernels.matmul(x, packed, format, rows, exact, isa), want)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("format", kernels.FORMATS)
def test_a_token_comes_out_the_same_in_any_company(format: kernels.Format, exact: bool, isa: str) -> None:
    packed = kernels.pack(normal(70, 96), format)
    x = normal(max(TOKENS), 96)
    alone = np.concatenate([kernels.matmul(row[None], packed, format, 70, exact, isa) for row in x])
    for tokens in TOKENS:
        np.testing.assert_array_equal(kernels.matmul(x[:tokens], packed, format, 70, exact, isa), alone[:tokens])


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("format", kernels.FORMATS)
def test_swiglu(format: kernels.Format, exact: bool, isa: str) -> None:
    gate, up = kernels.pack(normal(96, 64), format), kernels.pack(normal(96, 64, seed=1), format)
    x = normal(67, 64, seed=2)
    a, b = (reference.matmul(multiplied(x, format, exact, isa), one, format, 96, exact) for one in (gate, up))
    close(kernels.swiglu(x, gate, up, format, 96, exact, isa), a * reference.sigmoid(a) * b)


@pytest.mark.parametrize("isa", ISAS)
def test_swiglu_far_from_zero(isa: str) -> None:
    gate = kernels.pack(np.eye(32, dtype=np.float32), "f32")
    x = np.full((3, 32), [[-200.0], [0.0], [200.0]], np.float32)
    np.testing.assert_allclose(kernels.swiglu(x, gate, gate, "f32", 32, True, isa)[:, 0], [0, 0, 40000], atol=1e-30)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("width", [1, 15, 16, 33, 512, 7168])
def test_rmsnorm(width: int, isa: str) -> None:
    x, weight = normal(3, width), normal(width, seed=1)
    close(kernels.rmsnorm(x, weight, 1e-5, isa), reference.rmsnorm(x, weight, 1e-5))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(
    ("experts", "chosen", "kind", "groups", "kept", "normalise"),
    [
        (384, 8, "sigmoid", 1, 1, True),
        (256, 8, "sigmoid", 8, 4, True),
        (64, 6, "softmax", 1, 1, False),
        (160, 6, "softmax", 8, 3, False),
        (4, 4, "sigmoid", 2, 2, True),
    ],
)
def test_route(experts: int, chosen: int, kind: str, groups: int, kept: int, normalise: bool, isa: str) -> None:
    logits, bias = normal(50, experts), 0.3 * normal(experts, seed=1)
    found, weights = kernels.route(logits, bias, chosen, kind, groups, kept, normalise, 2.5, isa)
    want, want_weights = reference.route(logits, bias, chosen, kind, groups, kept, normalise, 2.5)
    np.testing.assert_array_equal(found, want)
    close(weights, want_weights)


def test_a_router_that_fails_still_chooses_experts_that_exist() -> None:
    logits = np.full((1, 8), np.nan, np.float32)
    chosen, _ = kernels.route(logits, np.zeros(8, np.float32), 3)
    assert len(set(chosen[0])) == 3 and chosen.min() >= 0 and chosen.max() < 8


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("bf16", [True, False])
@pytest.mark.parametrize(("heads", "latent", "rope"), [(1, 16, 2), (4, 32, 16), (7, 40, 6), (16, 512, 64)])
@pytest.mark.parametrize("length", [1, 3, 63, 64, 65, 200, 1025, 2500])
def test_attend(heads: int, latent: int, rope: int, length: int, bf16: bool, isa: str) -> None:
    width = latent + rope
    q, rows = normal(heads, width), normal(length, width, seed=1)
    if bf16:
        rows = reference.from_bf16(reference.to_bf16(rows))
    rounded = bf16 and isa == "avx512bf16"  # queries and shares are bf16 there
    asked = reference.from_bf16(reference.to_bf16(q)) if rounded else q
    want = reference.softmax(0.2 * (asked.astype(np.float64) @ rows.T)) @ rows[:, :latent]
    found = kernels.attend(q, rows, latent, 0.2, "bf16" if bf16 else "f32", isa)
    close(found, want) if not rounded else np.testing.assert_allclose(found, want, atol=2**-8 * np.abs(rows).max())


def coded(x: np.ndarray, group: int) -> np.ndarray:
    """Rows as int8 codes hold them, with a scale for each `group` of their numbers."""
    parts = [x[:, at : at + group] for at in range(0, x.shape[1], group)]
    scales = [np.abs(part).max(1, keepdims=True) / 127 for part in parts]
    return np.concatenate([np.round(part / scale) * scale for part, scale in zip(parts, scales, strict=True)], 1)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(
    ("heads", "latent", "rope"), [(1, 16, 4), (4, 32, 16), (7, 40, 8), (9, 200, 68), (32, 512, 64)]
)
@pytest.mark.parametrize("length", [1, 3, 15, 16, 17, 64, 65, 127, 128, 129, 1025, 2500])
def test_attend_to_a_cache_of_int8(heads: int, latent: int, rope: int, length: int, isa: str) -> None:
    q, rows = normal(heads, latent + rope), normal(length, latent + rope, seed=1)
    rows[0] *= 20  # a token need not be as large as others
    parts = slice(0, latent), slice(latent, None)
    kept = np.concatenate([coded(rows[:, part], part.stop or latent + rope) for part in parts], 1)
    asked = np.concatenate([coded(q[:, part], 64) for part in parts], 1).astype(np.float64)
    shares = reference.softmax(0.2 * (asked @ kept.T))
    want = shares @ kept[:, :latent]
    found = kernels.attend(q, rows, latent, 0.2, "int8", isa)
    # Shares times the sizes of what they weigh are codes too, up to half a code off each. The sum of 128 such errors of
    # either sign has a deviation of about one code of the largest, and so has each further stretch of 128.
    largest = (shares * np.abs(kept[:, :latent]).max(1)).max(1, keepdims=True)
    assert (np.abs(found - want) < 5 * (length / 128 + 1) ** 0.5 * largest / 255 + 1e-5).all()
    assert np.linalg.norm(found - want) < 0.01 * np.linalg.norm(want)


@pytest.mark.parametrize("isa", ISAS)
def test_a_token_of_nothing_in_a_cache_of_int8(isa: str) -> None:
    q, rows = normal(3, 48), np.zeros((70, 48), np.float32)
    np.testing.assert_array_equal(kernels.attend(q, rows, 32, 0.2, "int8", isa), np.zeros((3, 32), np.float32))
    rows[20] = normal(1, 48, seed=2)
    assert np.isfinite(kernels.attend(np.zeros_like(q), rows, 32, 0.2, "int8", isa)).all()


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("cache", ["bf16", "int8"])
def test_a_head_reads_the_same_beside_others(cache: kernels.CacheFormat, isa: str) -> None:
    q, rows = normal(40, 96), normal(150, 96, seed=1)
    together = kernels.attend(q, rows, 64, 0.2, cache, isa)
    for heads in (4, 12, 36):
        np.testing.assert_array_equal(kernels.attend(q[:heads], rows, 64, 0.2, cache, isa), together[:heads])
