"""What training computes in another way on an NVIDIA GPU: attention and experts, without a word to the processor.

Attention is FlashAttention (PyTorch's own kernel) over all texts of a step at once. It does not tell its scores; the
logarithm of the sum of their exponentials, which it does tell, is at least the largest and at most ln(tokens) above it,
so that QK-Clip, which is given this, clips a little early and never late. The experts of a layer are one product over
groups of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from moonlet.train.attention import Text, rotate

ALIGN = 16  # an expert's rows are filled up to a multiple of this: the kernels want a group at one of 16 bytes
aten = torch.ops.aten


def starts(texts: Sequence[Sequence[Text]], tokens: int, device: torch.device) -> Tensor:
    """Where the texts of all rows of so many tokens, laid end to end, begin, and the end, int32."""
    begins = [row * tokens + begin for row, its in enumerate(texts) for begin, *_ in its]
    found = torch.tensor([*begins, len(texts) * tokens], dtype=torch.int32, device=device)
    torch._dynamo.maybe_mark_dynamic(found, 0)  # what reads them is compiled once for any number of texts
    return found


def attention(
    q: Tensor, kv: Tensor, rope: Tensor, cosine: Tensor, sine: Tensor, scale: float, starts: Tensor, longest: int
) -> tuple[Tensor, Tensor]:
    """As attention.latent_attention. starts: as that function gives them;
    longest: no text has more tokens."""
    B, T, H, head = q.shape
    R = rope.shape[-1]
    N = head - R
    q = torch.cat([q[..., :N], rotate(q[..., N:], cosine[:, None], sine[:, None])], -1)
    turned = rotate(rope, cosine, sine)[:, :, None].expand(-1, -1, H, -1)
    k, v = torch.cat([kv[..., :N], turned], -1), kv[..., N:]
    # The kernel wants one width for keys and values: the narrower gets zeros.
    wide = max(head, v.shape[-1])
    padded = (F.pad(x, (0, wide - x.shape[-1])).reshape(B * T, H, wide).contiguous() for x in (q, k, v))
    out, lse, *_ = _flash(*padded, starts, longest, scale)
    return out.view(B, T, H, wide)[..., : v.shape[-1]], lse.amax(1)


def experts(x: Tensor, chosen: Tensor, weights: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    """Sum over each token's chosen experts of weight * expert. x: (T, D); chosen, weights: (T, K); gate_up: (E, 2, F,
    D); down: (E, D, F)."""
    device = x.device.type
    if torch.is_autocast_enabled(device):  # does not know of products over groups
        x = x.to(torch.get_autocast_dtype(device))
    T, K = chosen.shape
    E = len(gate_up)
    flat = chosen.flatten()
    order = flat.short().argsort(stable=True)  # two bytes: the fewer, the faster they are sorted
    counts = (flat[:, None] == torch.arange(E, device=x.device)).sum(0)
    filled = (counts + ALIGN - 1) // ALIGN * ALIGN
    ends = filled.cumsum(0)
    owner = flat[order]
    to = torch.arange(T * K, device=x.device) + (ends - filled - counts.cumsum(0) + counts)[owner]
    place = torch.empty_like(order).scatter_(0, order, to)  # of each token's choice, its row
    pair = order.new_full((T * K + E * ALIGN,), T * K).scatter_(0, to, order)  # of each row, its token's choice
    rows: Tensor = _Laid.apply(x, pair, place, K)  # type: ignore[no-untyped-call]
    share: Tensor = _Laid.apply(weights.reshape(-1, 1), pair, place, 1)  # type: ignore[no-untyped-call]
    offs = ends.int()
    gate, up = torch._grouped_mm(rows, gate_up.flatten(1, 2).to(x.dtype).mT, offs=offs).chunk(2, -1)
    # Rows that belong to nobody hold anything at all, which zero times itself would not rid them of.
    inner = torch.where(pair[:, None] < T * K, F.silu(gate) * up, 0)
    made = torch._grouped_mm(inner, down.to(x.dtype).mT, offs=offs)
    out: Tensor = _Gathered.apply(made * share.to(x.dtype), pair, place, K)  # type: ignore[no-untyped-call]
    return out


class _Laid(torch.autograd.Function):
    """x (T, D) as rows (P, D): row p is of the token pair[p] // K, or zero. Its gradient is gathered, not scattered."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, pair: Tensor, place: Tensor, K: int) -> Tensor:
        ctx.save_for_backward(pair, place)
        ctx.K = K
        return _lay(x, pair, place, K)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        _, place = ctx.saved_tensors
        return _gather(grad, place, ctx.K), None, None, None


class _Gathered(torch.autograd.Function):
    """The other way: of each token the sum of its K rows."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, pair: Tensor, place: Tensor, K: int) -> Tensor:
        ctx.save_for_backward(pair, place)
        ctx.K = K
        return _gather(rows, place, K)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        pair, place = ctx.saved_tensors
        return _lay(grad, pair, place, ctx.K), None, None, None


def _lay(x: Tensor, pair: Tensor, place: Tensor, K: int) -> Tensor:
    real = pair < len(place)
    return torch.where(real[:, None], x[torch.where(real, pair, 0) // K], 0)


def _gather(rows: Tensor, place: Tensor, K: int) -> Tensor:
    return rows[place].view(-1, K, rows.shape[-1]).sum(1, dtype=torch.float32).to(rows.dtype)


@torch.library.custom_op("moonlet::flash", mutates_args=())
def _flash(
    q: Tensor, k: Tensor, v: Tensor, starts: Tensor, longest: int, scale: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(tokens, H, head) each: what the heads read, the logarithms (H, tokens), and what the way back wants to have."""
    given = (q, k, v, starts, starts, longest, longest, 0.0, True, False)
    out, lse, seed, offset, _ = aten._flash_attention_forward(*given, scale=scale)
    return out, lse, seed.view(torch.int64), offset.view(torch.int64)


@_flash.register_fake
def _(q: Tensor, k: Tensor, v: Tensor, starts: Tensor, longest: int, scale: float) -> tuple[Tensor, ...]:
    lse = q.new_empty(q.shape[1], q.shape[0], dtype=torch.float32)
    return torch.empty_like(q), lse, q.new_empty(2, dtype=torch.int64), q.new_empty((), dtype=torch.int64)


@torch.library.custom_op("moonlet::flash_back", mutates_args=())
def _flash_back(
    grad: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    lse: Tensor,
    starts: Tensor,
    longest: int,
    scale: float,
    seed: Tensor,
    offset: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    given = (grad.contiguous(), q, k, v, out, lse, starts, starts, longest, longest, 0.0, True)
    unsigned = (seed.view(torch.uint64), offset.view(torch.uint64))
    dq, dk, dv = aten._flash_attention_backward(*given, *unsigned, scale=scale)
    return dq, dk, dv


@_flash_back.register_fake
def _(grad: Tensor, q: Tensor, k: Tensor, v: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    q, k, v, starts, ctx.longest, ctx.scale = inputs
    out, lse, seed, offset = output
    ctx.save_for_backward(q, k, v, out, lse, starts, seed, offset)
    ctx.mark_non_differentiable(lse, seed, offset)


def _back(ctx: Any, grad: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
    q, k, v, out, lse, starts, seed, offset = ctx.saved_tensors
    dq, dk, dv = _flash_back(grad, q, k, v, out, lse, starts, ctx.longest, ctx.scale, seed, offset)
    return dq, dk, dv, None, None, None


_flash.register_autograd(_back, setup_context=_keep)
