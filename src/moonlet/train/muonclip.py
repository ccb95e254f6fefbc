"""MuonClip, the optimiser of Kimi K2: Muon with Moonlight's scaling, AdamW for what is no matrix, and QK-Clip.

Sources: Muon's scaling and weight decay, arXiv 2502.16982; QK-Clip, arXiv 2507.20534 (section 2.1 and its algorithm 1).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from moonlet.train.network import Network
from moonlet.train.processes import Alone

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

    def __init__(
        self,
        weights: Iterable[Tensor],
        lr: float,
        momentum: float = 0.95,
        decay: float = 0.1,
        processes: Alone | None = None,
    ) -> None:
        super().__init__(list(weights), {"lr": lr, "momentum": momentum, "decay": decay})
        self.processes = processes or Alone()

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Moves every weight that has a gradient."""
        for group in self.param_groups:
            lr = group["lr"]
            moving = [weight for weight in group["params"] if weight.grad is not None]
            if not moving:
                continue
            # All weights in one call each: on a device a step of many small ones is all launches.
            updates = list(self.processes.each(orthogonalise, self._pushes(moving, group["momentum"])))
            # 0.2 sqrt(max) gives the update the root mean square of AdamW's, so its learning rates carry over.
            torch._foreach_mul_(updates, [0.2 * max(weight.shape[-2:]) ** 0.5 for weight in moving])
            torch._foreach_mul_(moving, 1 - lr * group["decay"])
            torch._foreach_add_(moving, updates, alpha=-lr)

    def _pushes(self, weights: Sequence[Tensor], mu: float) -> Sequence[Tensor]:
        """Gradient and momentum together, in Nesterov's form."""
        for weight in weights:
            if not self.state[weight]:
                self.state[weight]["momentum"] = torch.zeros_like(weight)
        grads = [weight.grad for weight in weights if weight.grad is not None]
        momenta = [self.state[weight]["momentum"] for weight in weights]
        torch._foreach_mul_(momenta, mu)
        torch._foreach_add_(momenta, grads)
        return torch._foreach_add(grads, momenta, alpha=mu)


THRESHOLD = 100.0  # K2's, for attention scores


@torch.no_grad()
def qk_clip(network: Network, threshold: float = THRESHOLD, processes: Alone | None = None) -> list[float]:
    """Shrinks the queries and keys of every head whose largest score passed the threshold in the last forward.

    By gamma = threshold / largest: parts without position by its root on both sides, the rotated query by gamma, since
    the rotated key is shared by all heads and is left alone. Returns the largest score of each layer.
    """
    processes = processes or Alone()
    attentions = network.attentions()
    seen = (torch.zeros(one.config.heads) if one.largest is None else one.largest for one in attentions)
    every = processes.largest(torch.stack([one.to(network.cosine.device) for one in seen]))
    highest: list[float] = every.amax(1).tolist()  # a device is waited for once, not once a layer
    for attention, largest, most in zip(attentions, every, highest, strict=True):
        if most <= threshold:
            continue
        c = attention.config
        gamma = (threshold / largest.clamp(min=threshold))[:, None]
        root, kept = gamma.sqrt(), torch.ones_like(gamma)
        q = attention.q_proj if c.q_rank is None else attention.q_b_proj
        factors = torch.cat([root.expand(-1, c.nope), gamma.expand(-1, c.rope)], 1)
        processes.scale_rows(q.weight, factors.flatten())
        factors = torch.cat([root.expand(-1, c.nope), kept.expand(-1, c.value)], 1)
        processes.scale_rows(attention.kv_b_proj.weight, factors.flatten())
    return highest


class MuonClip:
    """The three together. `lr` is Muon's; AdamW (embedding, head, norms) runs at `adam_share` of it."""

    def __init__(
        self,
        network: Network,
        lr: float,
        decay: float = 0.1,
        adam_share: float = 1.0,
        processes: Alone | None = None,
        threshold: float = THRESHOLD,
    ) -> None:
        self.network = network
        self.adam_share = adam_share
        self.processes = processes or Alone()
        self.threshold = threshold
        matrices: list[Tensor] = []
        others: list[Tensor] = []
        for name, weight in network.named_parameters():
            plain = weight.ndim < 2 or "embed_tokens" in name or "lm_head" in name
            (others if plain else matrices).append(weight)
        self.muon = Muon(matrices, lr, decay=decay, processes=self.processes)
        # Gains decay too: without it the norms' outputs grow and attention scores with them (arXiv 2502.16982).
        self.adam = torch.optim.AdamW(others, lr * adam_share, betas=(0.9, 0.95), weight_decay=decay, foreach=True)

    def step(self, lr: float) -> list[float]:
        """One step at learning rate `lr`; returns each layer's largest attention score before clipping."""
        for group in self.muon.param_groups:
            group["lr"] = lr
        for group in self.adam.param_groups:
            group["lr"] = lr * self.adam_share
        self.muon.step()
        self.adam.step()
        return qk_clip(self.network, self.threshold, self.processes)

    def zero_grad(self) -> None:
        """Forgets the gradients."""
        self.muon.zero_grad(set_to_none=True)
        self.adam.zero_grad(set_to_none=True)

    def state_dict(self) -> dict[str, Any]:
        """Whole, for the first process."""
        return {name: self.processes.whole(one.state_dict()) for name, one in self._parts().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up what `state_dict` gave; each process its share."""
        for name, one in self._parts().items():
            weights = [weight for group in one.param_groups for weight in group["params"]]
            one.load_state_dict(self.processes.share(state[name], weights))

    def _parts(self) -> dict[str, Optimizer]:
        return {"muon": self.muon, "adam": self.adam}
