"""Attention of the trainer against torch's own, and the largest scores against all scores written out."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F

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
