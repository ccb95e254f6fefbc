"""The objective of Kimi K1.5 and K2: rewards compared within a group, a policy held near the one that was drawn from.

Of K attempts at one task with rewards r_i, and log probabilities log pi_i of what each drew:

    1/K sum_i (r_i - mean r - tau (log pi_i - log old_i))^2 / (2 tau)

(arXiv 2501.12599, section 2.3.2; arXiv 2507.20534, section 3.2.2). Divided by 2 tau its gradient is, where the policy
is still the old one, that of the plain policy gradient, whatever tau is; so tau alone says how far the policy may go.

K attempts, N tokens drawn by them all, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
import torch
from torch import Tensor

from moonlet.train.attention import Text
from moonlet.train.network import Network
from moonlet.train.rollouts import Attempt, Choice, Group


def objective(now: Tensor, old: Tensor, rewards: Tensor, tau: float) -> Tensor:
    """The loss. now, old: log probabilities (K,) of the attempts; rewards (K,)."""
    advantage = rewards - rewards.mean()
    return (advantage - tau * (now - old)).square().mean() / (2 * tau)


def chances(logits: Tensor, ids: Tensor, temperatures: Tensor, allowed: Tensor) -> Tensor:
    """Log probability (N,) of each id among what was allowed in its place, at its temperature.

    logits (N, V); ids, temperatures (N,); allowed (N, V), of which the id is one.
    """
    steered = logits.float().masked_fill(~allowed, float("-inf")) / temperatures[:, None]
    return torch.log_softmax(steered, -1).gather(1, ids[:, None])[:, 0]


@dataclass(frozen=True, slots=True)
class Row:
    """A group as the network reads it: what all its attempts begin with once, and a branch for what each goes on with.

    Only ids that were chosen are in the columns of N: not what users and tools said, nor what the grammar left no
    choice about.
    """

    ids: Tensor  # (1, T): the stem, then the branches
    texts: tuple[Text, ...]  # the stem and each branch
    places: Tensor  # (N,): where in the row stands what was read last before the choice
    chosen: Tensor  # (N,)
    whose: Tensor  # (N,): which attempt's choice it was
    old: Tensor  # (N,): log probability with which it was drawn
    temperatures: Tensor  # (N,)
    allowed: Tensor  # (N, V)
    rewards: Tensor  # (K,)


def row(group: Group, vocab: int) -> Row:
    """The row of a group whose attempts are over."""
    stem = group.attempts[0].said[0].prompt
    branches: list[list[int]] = []
    places: list[int] = []
    choices: list[tuple[int, Choice]] = []
    start = len(stem)
    for which, attempt in enumerate(group.attempts):
        for ids, drawn in stretches(attempt):
            assert tuple(ids[: len(stem)]) == stem, "attempts at one task begin with the same words"
            for at, choice in drawn:
                # What is read last before a branch's first id is the end of the stem.
                places.append(start + at - len(stem) - 1 if at > len(stem) else len(stem) - 1)
                choices.append((which, choice))
            branches.append(ids[len(stem) :])
            start += len(branches[-1])
    ends = accumulate((len(one) for one in branches), initial=len(stem))
    return Row(
        torch.tensor([[*stem, *(id for branch in branches for id in branch)]]),
        ((0, len(stem), 0), *((begin, end, len(stem)) for begin, end in pairwise(ends))),
        torch.tensor(places),
        torch.tensor([choice.id for _, choice in choices]),
        torch.tensor([which for which, _ in choices]),
        torch.tensor([choice.chance for _, choice in choices]),
        torch.tensor([choice.temperature for _, choice in choices]),
        _allowed([choice for _, choice in choices], vocab),
        torch.tensor([one.reward for one in group.attempts]),
    )


def stretches(attempt: Attempt) -> list[tuple[list[int], list[tuple[int, Choice]]]]:
    """The ids that were read and drawn in one go, with the places of the choices among them.

    A prompt mostly is what was read and drawn before it, with results behind. Where it is not (an answer is written in
    other pieces than it was drawn in, a thought is left out), a stretch of its own begins: each id is judged after
    exactly what the engine had read.
    """
    found: list[tuple[list[int], list[tuple[int, Choice]]]] = []
    for one in attempt.said:
        if found and list(one.prompt[: len(found[-1][0])]) == found[-1][0]:
            ids, drawn = found[-1]
            ids += one.prompt[len(ids) :]
        else:
            ids, drawn = list(one.prompt), []
            found.append((ids, drawn))
        for choice in one.drawn:
            if choice.allowed is not None:
                drawn.append((len(ids), choice))
            ids.append(choice.id)
    return [(ids, drawn) for ids, drawn in found if drawn]


def _allowed(choices: Sequence[Choice], vocab: int) -> Tensor:
    """(N, V) of the masks' bits."""
    width = -(-vocab // 32)
    masks = np.zeros((len(choices), width), np.uint32)
    for at, choice in enumerate(choices):
        assert choice.allowed is not None
        masks[at, : len(choice.allowed)] = choice.allowed[:width]
    bits = np.unpackbits(masks.view(np.uint8), axis=1, bitorder="little", count=vocab)
    return torch.from_numpy(bits.view(np.bool_))


@dataclass(frozen=True, slots=True)
class Drift:
    """How far the policy is from the one that was drawn from, at what was drawn."""

    kl: float  # a choice's, estimated by exp(d) - 1 - d of its log ratio d
    ratio: float  # mean size of an attempt's log ratio
    choices: int


def group_loss(network: Network, it: Row, tau: float) -> tuple[Tensor, Drift]:
    """The loss of a group, and how far the network has come."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        states = network.hidden(it.ids, [it.texts])[0, it.places]
        logits = network.lm_head(states)
    each = chances(logits, it.chosen, it.temperatures, it.allowed)
    now, old = (it.rewards.new_zeros(len(it.rewards)).index_add(0, it.whose, x) for x in (each, it.old))
    apart = (each - it.old).detach()
    drift = Drift(float((apart.exp() - 1 - apart).mean()), float((now - old).detach().abs().mean()), len(it.chosen))
    return objective(now, old, it.rewards, tau), drift
