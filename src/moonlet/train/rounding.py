"""Training that knows of int4: experts are rounded in the forward pass as a folder will hold them, as K2-Thinking did.

Weights go in groups of 32 along a row, each with one bfloat16 scale and codes from -7 to 7, exactly as
`kernels.quantise` packs them; what is trained stays float32 below. The gradient passes through the rounding as if it
were not there (straight through), so small pushes add up until a code turns.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

GROUP = 32  # weights with one scale
LIMIT = 7  # largest code


class _Rounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor) -> Tensor:
        weight = weight.bfloat16().float()  # a checkpoint, of which folders are made, holds no more
        cols = weight.shape[-1]
        padded = F.pad(weight, (0, -cols % GROUP))
        groups = padded.view(*weight.shape[:-1], -1, GROUP)
        bits = (groups.abs().amax(-1, keepdim=True) / LIMIT).view(torch.int32)
        scale = (bits + 0xFFFF >> 16 << 16).view(torch.float32)  # up to the next bfloat16: no code passes the limit
        codes = torch.where(scale > 0, groups / scale, 0).round().clamp(-LIMIT, LIMIT)
        out: Tensor = (codes * scale).view_as(padded)[..., :cols].contiguous()
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad


def rounded(weight: Tensor) -> Tensor:
    """weight, float32 (..., rows, cols), as it is after packing as int4, with the gradient of the weight itself."""
    out: Tensor = _Rounded.apply(weight)  # type: ignore[no-untyped-call]
    return out
