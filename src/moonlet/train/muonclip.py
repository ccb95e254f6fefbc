"""MuonClip, the optimiser of Kimi K2: Muon with Moonlight's scaling, AdamW for what is no matrix, and QK-Clip.

Sources: Muon's scaling and weight decay, arXiv 2502.16982; QK-Clip, arXiv 2507.20534 (section 2.1 and its algorithm 1).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim import Optimizer

from moonlet.train.network import Network

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # coefficients of the quintic iteration
STEPS = 5


def orthogonalise(x: Tensor) -> Tensor:
    """The nearest matrix with all singular values about 1. x: (..., n, m), any number of matrices at once."""
    a, b, c = NEWTON_SCHULZ
    tall = x.shape[-2] > x.shape[-1]
    turned = x.mT if tall else x
    # The iteration forgives the precision, and is most of the optimiser's time.
    y = turned.bfloat16().reshape(-1, *turned.shape[-2:])
    y = y / (y.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(STEPS):
        gram = torch.bmm(y, y.mT)
        y = torch.baddbmm(y, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), y, beta=a)
    y = y.view(turned.shape)
    out: Tensor = (y.mT if tall else y).to(x.dtype)
    return out


class Muon(Optimizer):
    """For matrices (n, m), or stacks of them (E, n, m), each orthogonalised on its own."""

    def __init__(self, weights: Iterable[Tensor], lr: float, momentum: float = 0.95, decay: float = 0.1) -> None:
        super().__init__(list(weights), {"lr": lr, "momentum": momentum, "decay": decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            lr, mu = group["lr"], group["momentum"]
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                momentum = state["momentum"].mul_(mu).add_(weight.grad)
                update = orthogonalise(weight.grad + mu * momentum)  # Nesterov's form
                # 0.2 sqrt(max) gives the update the root mean square of AdamW's, so its learning rates carry over.
                update *= 0.2 * max(weight.shape[-2:]) ** 0.5
                weight.mul_(1 - lr * group["decay"]).add_(update, alpha=-lr)


@torch.no_grad()
def qk_clip(network: Network, threshold: float = 100.0) -> list[float]:
    """Shrinks the queries and keys of every head whose largest score passed the threshold in the last forward.

    By gamma = threshold / largest: parts without position by its root on both sides, the rotated query by gamma, since
    the rotated key is shared by all heads and is left alone. Returns the largest score of each layer.
    """
    highest = []
    for attention in network.attentions():
        largest = attention.largest
        if largest is None:
            highest.append(0.0)
            continue
        highest.append(float(largest.max()))
        c = attention.config
        gamma = (threshold / largest.clamp(min=threshold))[:, None, None]
        if bool((gamma == 1).all()):
            continue
        q = attention.q_proj if c.q_rank is None else attention.q_b_proj
        rows = q.weight.view(c.heads, c.head, -1)
        rows[:, : c.nope] *= gamma.sqrt()
        rows[:, c.nope :] *= gamma
        attention.kv_b_proj.weight.view(c.heads, c.nope + c.value, -1)[:, : c.nope] *= gamma.sqrt()
    return highest


class MuonClip:
    """The three together. `lr` is Muon's; AdamW (embedding, head, norms) runs at `adam_share` of it."""

    def __init__(self, network: Network, lr: float, decay: float = 0.1, adam_share: float = 1.0) -> None:
        self.network = network
        self.adam_share = adam_share
        matrices: list[Tensor] = []
        others: list[Tensor] = []
        for name, weight in network.named_parameters():
            plain = weight.ndim < 2 or "embed_tokens" in name or "lm_head" in name
            (others if plain else matrices).append(weight)
        self.muon = Muon(matrices, lr, decay=decay)
        # Gains decay too: without it the norms' outputs grow and attention scores with them (arXiv 2502.16982).
        self.adam = torch.optim.AdamW(others, lr * adam_share, betas=(0.9, 0.95), weight_decay=decay)

    def step(self, lr: float) -> list[float]:
        """One step at learning rate `lr`; returns each layer's largest attention score before clipping."""
        for group in self.muon.param_groups:
            group["lr"] = lr
        for group in self.adam.param_groups:
            group["lr"] = lr * self.adam_share
        self.muon.step()
        self.adam.step()
        return qk_clip(self.network)

    def zero_grad(self) -> None:
        self.muon.zero_grad(set_to_none=True)
        self.adam.zero_grad(set_to_none=True)

    def state_dict(self) -> dict[str, object]:
        return {"muon": self.muon.state_dict(), "adam": self.adam.state_dict()}

    def load_state_dict(self, state: dict[str, object]) -> None:
        self.muon.load_state_dict(state["muon"])  # type: ignore[arg-type]
        self.adam.load_state_dict(state["adam"])  # type: ignore[arg-type]
