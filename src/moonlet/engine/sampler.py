"""From a row of logits to a token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are chosen. Steps in this order: penalties, bias, grammar, temperature, top-k, top-p, min-p."""

    max_tokens: int = 1024
    temperature: float = 1.0  # 0: always the likeliest
    top_p: float = 1.0  # the smallest set of likeliest tokens with this probability
    top_k: int = 0  # 0: no limit
    min_p: float = 0.0  # as a share of the likeliest token's probability
    presence_penalty: float = 0.0  # taken once off the logit of a token already written
    frequency_penalty: float = 0.0  # taken off once for each time it was written
    repetition_penalty: float = 1.0  # divides a positive logit of a token already read or written
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    seed: int | None = None
    logprobs: bool = False  # of each token, under the model itself: before penalties, bias, grammar and temperature
    top_logprobs: int = 0  # and of so many likeliest ones
    stop_ids: tuple[int, ...] = ()  # end the reply and are no part of it

    def __post_init__(self) -> None:
        def check(holds: bool, what: str) -> None:
            if not holds:
                raise ValueError(what)

        check(self.max_tokens >= 1, f"max_tokens must be at least 1, got {self.max_tokens}")
        check(0 <= self.temperature <= 100, f"temperature must be within 0 and 100, got {self.temperature}")
        check(0 < self.top_p <= 1, f"top_p must be above 0 and at most 1, got {self.top_p}")
        check(self.top_k >= 0, f"top_k must not be negative, got {self.top_k}")
        check(0 <= self.min_p <= 1, f"min_p must be within 0 and 1, got {self.min_p}")
        for name in ("presence_penalty", "frequency_penalty"):
            check(-2 <= getattr(self, name) <= 2, f"{name} must be within -2 and 2, got {getattr(self, name)}")
        check(0 < self.repetition_penalty <= 10, f"repetition_penalty is out of range: {self.repetition_penalty}")
        check(0 <= self.top_logprobs <= 20, f"top_logprobs must be within 0 and 20, got {self.top_logprobs}")


class Constraint(Protocol):
    """What may come next. One object follows one reply."""

    def mask(self) -> NDArray[np.uint32] | None:
        """Allowed ids as bits, 32 to a word, lowest first; None when all are."""

    def accept(self, id: int) -> None:
        """The reply goes on with this id."""

    def forced(self) -> list[int]:
        """The ids that can only come next, in order; empty when there is a choice."""


@dataclass(frozen=True, slots=True)
class Token:
    id: int
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()  # likeliest first


class Sampler:
    """Draws the tokens of one reply."""

    def __init__(self, sampling: Sampling, prompt: Sequence[int], vocab: int) -> None:
        self.sampling = sampling
        self.vocab = vocab
        self.random = np.random.Generator(np.random.PCG64(sampling.seed))
        self.read = np.unique(np.asarray(prompt, np.int64)) if sampling.repetition_penalty != 1 else None
        self.written: dict[int, int] = {}
        if bad := [id for id in sampling.logit_bias if not 0 <= id < vocab]:
            raise ValueError(f"logit_bias names id {bad[0]}, outside the vocabulary of {vocab}")

    def draw(self, logits: NDArray[np.float32], mask: NDArray[np.uint32] | None) -> Token:
        """A token from logits (V,), which are left as they are. ValueError if they are not numbers."""
        raw = logits
        logits = self._steer(logits)
        if mask is not None:
            allowed = np.unpackbits(mask.view(np.uint8), bitorder="little", count=self.vocab)  # short: filled with 0
            logits = np.where(allowed, logits, np.float32(-np.inf))
        best = int(np.argmax(logits))
        if not np.isfinite(logits[best]):
            raise ValueError("the model's logits are not finite" if mask is None else "no token is allowed")
        id = best if self.sampling.temperature == 0 else self._pick(logits)
        return self.note(id, raw)

    def note(self, id: int, raw: NDArray[np.float32] | None = None) -> Token:
        """The token for an id that was drawn, or that could only come next."""
        self.written[id] = self.written.get(id, 0) + 1
        if not self.sampling.logprobs or raw is None:
            return Token(id)
        wide = raw.astype(np.float64)
        wide -= wide.max()
        wide -= np.log(np.exp(wide).sum())
        count = self.sampling.top_logprobs
        likeliest = np.argpartition(-wide, count)[:count] if count else np.empty(0, np.int64)
        likeliest = likeliest[np.argsort(-wide[likeliest], kind="stable")]
        return Token(id, float(wide[id]), tuple((int(i), float(wide[i])) for i in likeliest))

    def _steer(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Penalties and bias."""
        s = self.sampling
        steered = logits
        if self.read is not None:
            steered = steered.copy()
            seen = np.union1d(self.read, np.fromiter(self.written, np.int64, len(self.written)))
            values = steered[seen]
            steered[seen] = np.where(values > 0, values / s.repetition_penalty, values * s.repetition_penalty)
        if self.written and (s.presence_penalty or s.frequency_penalty):
            steered = steered.copy()
            ids = np.fromiter(self.written, np.int64, len(self.written))
            counts = np.fromiter(self.written.values(), np.float32, len(self.written))
            steered[ids] -= np.float32(s.presence_penalty) + np.float32(s.frequency_penalty) * counts
        if s.logit_bias:
            steered = steered.copy()
            for id, bias in s.logit_bias.items():
                steered[id] += bias
        return steered

    def _pick(self, logits: NDArray[np.float32]) -> int:
        s = self.sampling
        ids = np.flatnonzero(logits > -np.inf)
        scaled = logits[ids].astype(np.float64) / s.temperature
        if s.top_k and s.top_k < len(ids):
            keep = np.argpartition(-scaled, s.top_k - 1)[: s.top_k]
            ids, scaled = ids[keep], scaled[keep]
        weights = np.exp(scaled - scaled.max())
        weights /= weights.sum()
        if s.top_p < 1:
            order = np.argsort(-weights, kind="stable")
            before = np.cumsum(weights[order]) - weights[order]
            keep = order[before < s.top_p]
            ids, weights = ids[keep], weights[keep]
        if s.min_p > 0:
            live = weights >= s.min_p * weights.max()
            ids, weights = ids[live], weights[live]
        # In order of ids, so that a seed gives the same token whatever was filtered on the way.
        order = np.argsort(ids)
        ids, reach = ids[order], np.cumsum(weights[order])
        return int(ids[np.searchsorted(reach, self.random.random() * reach[-1], side="right").clip(max=len(ids) - 1)])
