"""Causal attention for training: the product a block of queries at a time, and each head's largest score with it.

The library's own causal attention does not tell the scores, whose maximum over the batch QK-Clip needs, and on a
processor it multiplies at a fifth of the speed of a plain matrix product. On a processor our own kernels read bf16
(native/causal.cpp). Elsewhere, and in float32, scores of a block of queries against all keys before its end are written
out, as float32, and stay in the cache until they have been used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from moonlet import _native

BLOCK = 128  # queries at a time; of four heads of 1024 keys their scores are 2 MB

# Reads values (B, H, S, value) by queries, keys and the scale of their scores: (B, H, T, value), largest score (H,).
Attend = Callable[[Tensor, Tensor, Tensor, float], tuple[Tensor, Tensor]]


class _Causal(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, scale: float, starts: Sequence[Sequence[int]]
    ) -> tuple[Tensor, Tensor]:
        B, H, T, _ = q.shape
        past = k.shape[2] - T  # keys before the first query
        scaled, keys = q.float() * scale, k.float().mT
        future = torch.full((BLOCK, BLOCK), float("-inf"), device=q.device).triu(1)
        out = torch.empty(B, H, T, v.shape[-1], dtype=v.dtype, device=v.device)
        largest, shares = [], []
        for b, first, s, t in _blocks(q, past, starts):
            scores = scaled[b, :, s:t] @ keys[b, :, :, first : past + t]
            scores[..., past + s - first :] += future[: t - s, : t - s]
            largest.append(scores.amax((1, 2)))
            share = torch.softmax(scores, -1).to(v.dtype)
            out[b, :, s:t] = share @ v[b, :, first : past + t]
            shares.append(share)
        ctx.save_for_backward(q, k, v, out, *shares)
        ctx.scale, ctx.starts = scale, starts
        highest = torch.stack(largest).amax(0)
        ctx.mark_non_differentiable(highest)
        return out, highest

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        """With P the shares, dP = dO V^T and delta = rowsum(dO O): dV = P^T dO, dS = P (dP - delta), dQ = dS K and
        dK = dS^T Q (as in FlashAttention, arXiv 2205.14135, appendix B)."""
        q, k, v, out, *shares = ctx.saved_tensors
        past = k.shape[2] - q.shape[2]
        # delta is taken off inside the product, as two more columns: what is left of rounding it to bfloat16 once is
        # the second. Zeros fill up to a width that multiplies fast.
        delta = (grad.float() * out.float()).sum(-1, keepdim=True)
        coarse = delta.to(v.dtype)
        fine = (delta - coarse.float()).to(v.dtype)
        zero = v.new_zeros(())
        wide = torch.cat([grad, -coarse, -fine, zero.expand(*grad.shape[:-1], 14)], -1)
        values = torch.cat([v, v.new_ones(()).expand(*v.shape[:-1], 2), zero.expand(*v.shape[:-1], 14)], -1).mT
        dq = torch.empty_like(q)
        dk, dv = (torch.zeros(x.shape, device=x.device) for x in (k, v))
        rest = iter(shares)
        for b, first, s, t in _blocks(q, past, ctx.starts):
            share, seen = next(rest), slice(first, past + t)
            dv[b, :, seen] += share.mT @ grad[b, :, s:t]
            dscore = (wide[b, :, s:t] @ values[b, :, :, seen]).mul_(share)
            dq[b, :, s:t] = dscore @ k[b, :, seen]
            dk[b, :, seen] += dscore.mT @ q[b, :, s:t]
        return dq * ctx.scale, (dk * ctx.scale).to(k.dtype), dv.to(v.dtype), None, None


class _Native(torch.autograd.Function):
    """The same for bf16 on a processor."""

    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, scale: float, starts: Sequence[Sequence[int]]
    ) -> tuple[Tensor, Tensor]:
        q, k, v = q.contiguous(), k.contiguous(), v.contiguous()
        B, H, T, _ = q.shape
        texts = [list(one) for one in starts] or [[0]] * B
        out = v.new_empty(B, H, T, v.shape[-1])
        lse, highest = torch.empty(B, H, T), torch.empty(B, H)
        threads = torch.get_num_threads()
        _native.causal_read(
            _bits(q), _bits(k), _bits(v), scale, texts, _bits(out), lse.numpy(), highest.numpy(), threads
        )
        ctx.save_for_backward(q, k, v, out, lse)
        ctx.scale, ctx.texts, ctx.threads = scale, texts, threads
        largest = highest.amax(0)
        ctx.mark_non_differentiable(largest)
        return out, largest

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        q, k, v, out, lse = ctx.saved_tensors
        dq, dk, dv = torch.empty(q.shape), torch.empty(k.shape), torch.empty(v.shape)
        inputs = (_bits(q), _bits(k), _bits(v), ctx.scale, ctx.texts, _bits(out), lse.numpy(), _bits(grad.contiguous()))
        _native.causal_back(*inputs, dq.numpy(), dk.numpy(), dv.numpy(), ctx.threads)
        return dq.bfloat16(), dk.bfloat16(), dv.bfloat16(), None, None


def _bits(x: Tensor) -> NDArray[np.uint16]:
    """The bits of a bf16 tensor that lies in one piece, where they are."""
    return x.detach().view(torch.int16).numpy().view(np.uint16)


def _blocks(q: Tensor, past: int, starts: Sequence[Sequence[int]]) -> Iterator[tuple[int, int, int, int]]:
    """Row, the first key that is seen, and the queries (first, end), of every block of queries of one text."""
    T = q.shape[2]
    for b in range(len(q)):
        texts = starts[b] if starts else (0,)
        for begin, end in pairwise((*texts, T)):
            for s in range(begin, end, BLOCK):
                yield b, begin, s, min(s + BLOCK, end)


def causal_attention(
    q: Tensor, k: Tensor, v: Tensor, scale: float, starts: Sequence[Sequence[int]] = ()
) -> tuple[Tensor, Tensor]:
    """Softmax(scale q k^T) v over each token's past and itself, and the largest score of each head.

    q: (B, H, T, head), k: (B, H, S, head), v: (B, H, S, value), S >= T: the queries are of the last T tokens. starts,
    where S = T: of each row where its texts begin, the first at 0; a token sees its own text alone. Returns
    (B, H, T, value) and (H,) float32.
    """
    ours = q.device.type == "cpu" and q.dtype == k.dtype == v.dtype == torch.bfloat16
    with torch.autocast(q.device.type, enabled=False):
        out, largest = (_Native if ours else _Causal).apply(q, k, v, scale, starts)  # type: ignore[no-untyped-call]
    return out, largest


def branched_attention(q: Tensor, k: Tensor, v: Tensor, scale: float, ends: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The same where the tokens are a stem and branches: a branch sees the stem and itself.

    `ends`: where the stem ends, and each branch after it; the last one is T.
    """
    stem = ends[0]
    parts, largest = [], []
    for start, end in pairwise([0, *ends]):
        before = min(start, stem)
        keys, values = (torch.cat([x[:, :, :before], x[:, :, start:end]], 2) for x in (k, v))
        out, highest = causal_attention(q[:, :, start:end], keys, values, scale)
        parts.append(out)
        largest.append(highest)
    return torch.cat(parts, 2), torch.stack(largest).amax(0)
