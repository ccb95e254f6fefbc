"""Attention for training: latent, causal, several texts in a row, and each head's largest score with it.

The library's own causal attention does not tell the scores, whose maximum over the batch QK-Clip needs, and on a
processor it multiplies at a fifth of the speed of a plain matrix product. On a processor our own kernels read bf16
(native/texts.cpp), from the projections to what a head reads. Elsewhere, and in float32, keys and values are written
out, and scores of a block of queries against all keys before its end, as float32, which stay in the cache until they
have been used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from moonlet import kernels

BLOCK = 128  # queries at a time; of four heads of 1024 keys their scores are 2 MB

# The tokens [begin, end) of a row; each sees the row's first `before` tokens, and its own text up to itself. `before`
# is nothing, or where the row's first text ends.
Text = tuple[int, int, int]


def latent_attention(
    q: Tensor, kv: Tensor, rope: Tensor, cosine: Tensor, sine: Tensor, scale: float, texts: Sequence[Sequence[Text]]
) -> tuple[Tensor, Tensor]:
    """What each head reads of the texts of its row, (B, T, H, value), and the largest score of each head, (H,) float32.

    q: (B, T, H, N + R), of which the last R numbers are rotated here; kv: (B, T, H, N + value), keys' parts without
    position and values; rope: (B, T, R), keys' parts with position, also rotated here, for all heads. cosine, sine:
    (T, R / 2). texts: those of each row, one after the other.
    """
    ours = q.device.type == "cpu" and q.dtype == kv.dtype == rope.dtype == torch.bfloat16
    with torch.autocast(q.device.type, enabled=False):
        if ours:
            read, largest = _Native.apply(q, kv, rope, cosine, sine, scale, texts)  # type: ignore[no-untyped-call]
            return read, largest
        R = rope.shape[-1]
        N = q.shape[-1] - R
        q, kv = q.transpose(1, 2), kv.transpose(1, 2)
        q = torch.cat([q[..., :N], rotate(q[..., N:], cosine, sine)], -1)
        k_rope = rotate(rope[:, None], cosine, sine).expand(-1, q.shape[1], -1, -1)
        k = torch.cat([kv[..., :N], k_rope], -1)
        rows, highest = [], []
        for b, row in enumerate(texts):
            parts = []
            for begin, end, before in row:
                keys, values = (torch.cat([x[b, :, :before], x[b, :, begin:end]], 1) for x in (k, kv[..., N:]))
                part, most = _Causal.apply(q[b, :, begin:end], keys, values, scale)  # type: ignore[no-untyped-call]
                parts.append(part)
                highest.append(most)
            rows.append(torch.cat(parts, 1))
        return torch.stack(rows).transpose(1, 2), torch.stack(highest).amax(0)


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Turns the pairs (2i, 2i+1) of the last axis. x: (..., T, R); cosine, sine: (T, R/2)."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack([even * cosine - odd * sine, odd * cosine + even * sine], dim=-1).flatten(-2).to(x.dtype)


class _Native(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        q: Tensor,
        kv: Tensor,
        rope: Tensor,
        cosine: Tensor,
        sine: Tensor,
        scale: float,
        texts: Sequence[Sequence[Text]],
    ) -> tuple[Tensor, Tensor]:
        q, kv, rope, cosine, sine = (x.contiguous() for x in (q, kv, rope, cosine, sine))
        B, T, H, _ = q.shape
        out = q.new_empty(B, T, H, kv.shape[-1] - q.shape[-1] + rope.shape[-1])
        lse, largest = torch.empty(B, H, T), torch.empty(H)
        rows, threads = [list(row) for row in texts], torch.get_num_threads()
        given = (_bits(q), _bits(kv), _bits(rope), cosine.numpy(), sine.numpy())
        kernels.attend_texts(*given, scale, rows, _bits(out), lse.numpy(), largest.numpy(), threads)
        ctx.save_for_backward(q, kv, rope, cosine, sine, out, lse)
        ctx.scale, ctx.rows, ctx.threads = scale, rows, threads
        ctx.mark_non_differentiable(largest)
        return out, largest

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        q, kv, rope, cosine, sine, out, lse = ctx.saved_tensors
        dq, dkv, drope = torch.empty_like(q), torch.empty_like(kv), torch.empty_like(rope)
        given = (_bits(q), _bits(kv), _bits(rope), cosine.numpy(), sine.numpy())
        read, made = (_bits(out), lse.numpy(), _bits(grad.contiguous())), (_bits(dq), _bits(dkv), _bits(drope))
        kernels.attend_texts_back(*given, ctx.scale, ctx.rows, *read, *made, ctx.threads)
        return dq, dkv, drope, None, None, None, None


def _bits(x: Tensor) -> NDArray[np.uint16]:
    """The bits of a bf16 tensor that lies in one piece, where they are."""
    return x.detach().view(torch.int16).numpy().view(np.uint16)


class _Causal(torch.autograd.Function):
    """q: (H, T, head), k: (H, S, head), v: (H, S, value), S >= T: the queries are of the last T tokens. Returns
    (H, T, value), and the largest score of each head."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, scale: float) -> tuple[Tensor, Tensor]:
        H, T, _ = q.shape
        past = k.shape[1] - T  # keys before the first query
        scaled, keys = q.float() * scale, k.float().mT
        future = torch.full((BLOCK, BLOCK), float("-inf"), device=q.device).triu(1)
        out = torch.empty(H, T, v.shape[-1], dtype=v.dtype, device=v.device)
        largest, shares = [], []
        for s in range(0, T, BLOCK):
            t = min(s + BLOCK, T)
            scores = scaled[:, s:t] @ keys[:, :, : past + t]
            scores[..., past + s :] += future[: t - s, : t - s]
            largest.append(scores.amax((1, 2)))
            share = torch.softmax(scores, -1).to(v.dtype)
            out[:, s:t] = share @ v[:, : past + t]
            shares.append(share)
        ctx.save_for_backward(q, k, v, out, *shares)
        ctx.scale = scale
        highest = torch.stack(largest).amax(0)
        ctx.mark_non_differentiable(highest)
        return out, highest

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """With P the shares, dP = dO V^T and delta = rowsum(dO O): dV = P^T dO, dS = P (dP - delta), dQ = dS K and
        dK = dS^T Q (as in FlashAttention, arXiv 2205.14135, appendix B)."""
        q, k, v, out, *shares = ctx.saved_tensors
        T, past = q.shape[1], k.shape[1] - q.shape[1]
        delta = (grad.float() * out.float()).sum(-1, keepdim=True)
        dq = torch.empty_like(q)
        dk, dv = (torch.zeros(x.shape, device=x.device) for x in (k, v))
        for s, share in zip(range(0, T, BLOCK), shares, strict=True):
            t = min(s + BLOCK, T)
            seen = past + t
            dv[:, :seen] += share.mT @ grad[:, s:t]
            dshare = (grad[:, s:t] @ v[:, :seen].mT).float()
            dscore = (dshare.sub_(delta[:, s:t]) * share).to(q.dtype)
            dq[:, s:t] = dscore @ k[:, :seen]
            dk[:, :seen] += dscore.mT @ q[:, s:t]
        return dq * ctx.scale, (dk * ctx.scale).to(k.dtype), dv.to(v.dtype), None
