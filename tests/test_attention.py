"""Attention of the trainer against torch's own, and the largest scores against all scores written out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from moonlet import _native, kernels
from moonlet.train.attention import BLOCK, causal_attention

torch.set_num_threads(1)
Attend = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


@pytest.mark.parametrize("tokens", [1, 7, BLOCK, BLOCK + 1, 3 * BLOCK - 5])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
def test_values_gradients_and_largest_scores(tokens: int, dtype: torch.dtype, tolerance: float) -> None:
    random = torch.Generator().manual_seed(tokens)
    # As the network gives them: heads in the second axis, tokens apart in memory; a value narrower than a key.
    q, k, v = (torch.randn(2, tokens, 3, width, generator=random).transpose(1, 2) for width in (24, 24, 16))
    grad = torch.randn(2, 3, tokens, 16, generator=random)

    def library(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=0.3)

    def ours(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        return causal_attention(q, k, v, 0.3)[0]

    def run(attend: Attend, number: torch.dtype) -> list[torch.Tensor]:
        a, b, c = (x.to(dtype).to(number).requires_grad_() for x in (q, k, v))
        out = attend(a, b, c)
        return [out.detach(), *torch.autograd.grad(out, (a, b, c), grad.to(dtype).to(number))]

    for found, right in zip(run(ours, dtype), run(library, torch.float32), strict=True):
        assert (found.float() - right).norm() <= tolerance * (right.norm() + 1)
    scores = 0.3 * (q.to(dtype).float() @ k.to(dtype).float().mT)
    past = torch.ones(tokens, tokens, dtype=torch.bool).tril()
    _, largest = causal_attention(q.to(dtype), k.to(dtype), v.to(dtype), 0.3)
    torch.testing.assert_close(largest, scores.masked_fill(~past, float("-inf")).amax((0, 2, 3)))


def seen(starts: list[list[int]], tokens: int, past: int = 0) -> torch.Tensor:
    """Which keys (B, 1, T, S) a query sees that begins a text at each of `starts`, or has `past` keys before it."""
    found = torch.zeros(len(starts), 1, tokens, past + tokens, dtype=torch.bool)
    for row, begins in zip(found, starts, strict=True):
        for begin, end in zip(begins, [*begins[1:], tokens], strict=True):
            row[0, begin:end, begin : past + end] = torch.ones(end - begin, past + end - begin).tril(past).bool()
    return found


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("tokens", "starts", "past"),
    [(300, [[0], [0, 17, 290]], 0), (130, [[0, 64], [0, 1]], 0), (70, [[0], [0]], 203), (1, [[0], [0]], 300)],
)
def test_texts_of_a_row_do_not_see_one_another(
    tokens: int, starts: list[list[int]], past: int, dtype: torch.dtype
) -> None:
    random = torch.Generator().manual_seed(tokens)
    q = torch.randn(2, 3, tokens, 24, generator=random).to(dtype)
    k, v = (torch.randn(2, 3, past + tokens, width, generator=random).to(dtype) for width in (24, 40))
    grad = torch.randn(2, 3, tokens, 40, generator=random).to(dtype)
    mask = seen(starts, tokens, past)

    def run(number: torch.dtype, attend: Attend) -> list[torch.Tensor]:
        inputs = [x.to(number).requires_grad_() for x in (q, k, v)]
        out = attend(*inputs)
        return [out, *torch.autograd.grad(out, inputs, grad.to(number))]

    texts = () if past else starts
    found = run(dtype, lambda q, k, v: causal_attention(q, k, v, 0.3, texts)[0])
    right = run(torch.float64, lambda q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=0.3))
    tolerance = 1e-5 if dtype == torch.float32 else 1e-2
    for one, other in zip(found, right, strict=True):
        assert (one.double() - other).norm() <= tolerance * (other.norm() + 1)
    scores = (0.3 * (q.double() @ k.double().mT)).masked_fill(~mask, float("-inf"))
    largest = causal_attention(q, k, v, 0.3, texts)[1]
    torch.testing.assert_close(largest.double(), scores.amax((0, 2, 3)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("isa", kernels.isas())
@pytest.mark.parametrize("width", [24, 64, 192])
def test_kernels_of_every_instruction_set(isa: str, width: int) -> None:
    random = torch.Generator().manual_seed(width)
    B, H, T, value = 2, 2, 333, 40
    q, k = (torch.randn(B, H, T, width, generator=random).bfloat16() for _ in "qk")
    v, grad = (torch.randn(B, H, T, value, generator=random).bfloat16() for _ in "vg")
    starts = [[0, 5, 70], [0, 300]]

    def bits(x: torch.Tensor) -> NDArray[np.uint16]:
        return x.view(torch.int16).numpy().view(np.uint16)

    def run(threads: int) -> list[torch.Tensor]:
        out = torch.empty(B, H, T, value, dtype=torch.bfloat16)
        lse, highest = torch.empty(B, H, T), torch.empty(B, H)
        read = (bits(q), bits(k), bits(v), 0.2, starts)
        _native.causal_read(*read, bits(out), lse.numpy(), highest.numpy(), threads, isa)
        made = [torch.empty(x.shape) for x in (q, k, v)]
        _native.causal_back(*read, bits(out), lse.numpy(), bits(grad), *(x.numpy() for x in made), threads, isa)
        return [out, lse, highest, *made]

    found = run(1)
    for one, other in zip(found, run(3), strict=True):
        assert torch.equal(one, other)  # whoever computes it
    inputs = [x.double().requires_grad_() for x in (q, k, v)]
    right = F.scaled_dot_product_attention(*inputs, attn_mask=seen(starts, T), scale=0.2)
    gradients = torch.autograd.grad(right, inputs, grad.double())
    for one, other in zip((found[0], *found[3:]), (right, *gradients), strict=True):
        assert (one.double() - other).norm() < 6e-3 * other.norm()


def test_what_the_kernels_refuse() -> None:
    x = np.zeros((1, 1, 4, 8), np.uint16)
    out, lse, highest = x.copy(), np.zeros((1, 1, 4), np.float32), np.zeros((1, 1), np.float32)
    for starts in ([[]], [[1]], [[0, 4]], [[0, 2, 2]], [[0], [0]]):
        with pytest.raises(ValueError, match="starts"):
            _native.causal_read(x, x, x, 1.0, starts, out, lse, highest, 1)
    for q, k, v in ((x, x[:, :, :3].copy(), x), (x, x[..., :4].copy(), x), (x, x, x[:, :, :3].copy())):
        with pytest.raises(ValueError):
            _native.causal_read(q, k, v, 1.0, [[0]], out, lse, highest, 1)
