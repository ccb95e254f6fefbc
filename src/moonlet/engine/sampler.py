"""From a row of logits to a token."""

from __future__ import annotations

import math
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
    """`chance` is the log probability with which it was drawn: under grammar, temperature and all else that steered the
    choice. It is 0 where nothing else could come."""

    id: int
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()  # likeliest first
    chance: float = 0.0


class Sampler:
    """Draws the tokens of one reply. Each drawn token takes one random number, whatever was guessed before it, so a
    seed gives the same reply with guesses and without."""

    def __init__(self, sampling: Sampling, prompt: Sequence[int], vocab: int) -> None:
        self.sampling = sampling
        self.vocab = vocab
        self.random = np.random.Generator(np.random.PCG64(sampling.seed))
        self._seen: NDArray[np.bool_] | None = None  # (V,): read or written
        if sampling.repetition_penalty != 1:
            self._seen = np.zeros(vocab, np.bool_)
            self._seen[np.asarray(prompt, np.int64)] = True
        self.written: dict[int, int] = {}
        self._penalises = self._seen is not None or bool(sampling.presence_penalty or sampling.frequency_penalty)
        self._wide = np.zeros(0, np.float32)  # scratch (3, V rounded up to _BLOCK), made when it is first needed
        self._mask: NDArray[np.uint32] | None = None  # what _bits are of
        self._bits = np.zeros(0, np.bool_)
        if bad := [id for id in sampling.logit_bias if not 0 <= id < vocab]:
            raise ValueError(f"logit_bias names id {bad[0]}, outside the vocabulary of {vocab}")

    def draw(self, logits: NDArray[np.float32], mask: NDArray[np.uint32] | None) -> Token:
        """A token from logits (V,), which are left as they are. ValueError if they are not numbers."""
        steered = self._steer(logits)
        best = int(steered.argmax())
        if mask is not None and (self.sampling.temperature > 0 or not allows(mask, best)):
            steered = self._masked(steered, mask)
            best = int(steered.argmax())
        if not math.isfinite(steered[best]):
            raise ValueError("the model's logits are not finite" if mask is None else "no token is allowed")
        id, chance = (best, 0.0) if self.sampling.temperature == 0 else self._pick(steered, best)
        return self.note(id, logits, chance)

    def note(self, id: int, raw: NDArray[np.float32] | None = None, chance: float = 0.0) -> Token:
        """The token for an id that was drawn, or that could only come next; `raw` are the logits in its place."""
        self.written[id] = self.written.get(id, 0) + 1
        if self._seen is not None:
            self._seen[id] = True
        if not self.sampling.logprobs or raw is None:
            return Token(id, chance=chance)
        count, most = self.sampling.top_logprobs, raw.max()
        if not math.isfinite(most):
            raise ValueError("the model's logits are not finite")
        shares = np.subtract(raw, most, out=self._scratch(0))
        whole = math.log(float(np.exp(shares, out=shares).sum(dtype=np.float64)))
        likeliest = np.empty(0, np.int64)
        if count:  # equal ones in the order of ids, as the choice itself takes them
            least = -np.partition(-raw, count - 1)[count - 1]
            likeliest = np.flatnonzero(raw >= least)
            likeliest = likeliest[np.argsort(-raw[likeliest], kind="stable")][:count]

        def logprob(i: int) -> float:
            return float(raw[i]) - float(most) - whole

        return Token(id, logprob(id), tuple((int(i), logprob(int(i))) for i in likeliest), chance)

    def _scratch(self, row: int) -> NDArray[np.float32]:
        if not self._wide.size:
            self._wide = np.zeros((3, -(-self.vocab // _BLOCK) * _BLOCK), np.float32)
        return self._wide[row, : self.vocab]

    def _steer(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Penalties and bias."""
        s = self.sampling
        if not self._penalises and not s.logit_bias:
            return logits
        steered = self._scratch(1)
        np.copyto(steered, logits)
        ids = np.fromiter(self.written, np.int64, len(self.written))
        if self._seen is not None:
            seen = np.flatnonzero(self._seen)
            values = steered[seen]
            steered[seen] = np.where(values > 0, values / s.repetition_penalty, values * s.repetition_penalty)
        if len(ids) and (s.presence_penalty or s.frequency_penalty):
            counts = np.fromiter(self.written.values(), np.float32, len(self.written))
            steered[ids] -= np.float32(s.presence_penalty) + np.float32(s.frequency_penalty) * counts
        for id, bias in s.logit_bias.items():
            steered[id] += bias
        return steered

    def _masked(self, logits: NDArray[np.float32], mask: NDArray[np.uint32]) -> NDArray[np.float32]:
        if mask is not self._mask:  # the masks of free text are the same object again and again, and never change
            self._bits = np.unpackbits(mask.view(np.uint8), bitorder="little", count=self.vocab).view(np.bool_)
            self._mask = None if mask.flags.writeable else mask
        masked = self._scratch(2)
        masked.fill(-np.inf)
        np.copyto(masked, logits, where=self._bits)  # a mask that is too short was filled with 0
        return masked

    def _pick(self, logits: NDArray[np.float32], best: int) -> tuple[int, float]:
        """An id by chance, and the log probability that it had."""
        s = self.sampling
        weights = np.subtract(logits, logits[best], out=self._scratch(0))
        weights /= np.float32(max(s.temperature, 1e-6))  # below that, one token takes all in any case
        np.exp(weights, out=weights)  # the likeliest weighs 1
        if not s.top_k and s.top_p == 1 and s.min_p == 0:
            blocks = self._wide[0].reshape(-1, _BLOCK)  # beyond the vocabulary they are 0
            reach = np.cumsum(blocks.sum(axis=1), dtype=np.float64)
            at = self.random.random() * reach[-1]
            block = _fall(reach, at)
            inside = np.cumsum(blocks[block], dtype=np.float64)
            id = block * _BLOCK + _fall(inside, at - (reach[block - 1] if block else 0.0))
            return id, _log_share(weights[id], reach[-1])
        ids = np.sort(self._kept(weights))  # in order of ids: a seed gives the same token whatever was filtered
        reach = np.cumsum(weights[ids], dtype=np.float64)
        id = int(ids[_fall(reach, self.random.random() * reach[-1])])
        return id, _log_share(weights[id], reach[-1])

    def _kept(self, weights: NDArray[np.float32]) -> NDArray[np.int64]:
        """The ids that top-k, top-p and min-p leave. Each keeps the likeliest ones, so few have to be sorted."""
        s = self.sampling
        if s.top_k and s.top_k < self.vocab:
            most = self._wide[0].reshape(-1, _BLOCK).max(axis=1)
            # That many blocks hold something as large as this: whatever is smaller is not among the top k.
            least = np.partition(most, -s.top_k)[-s.top_k] if s.top_k <= len(most) else np.float32(0)
            ids = np.flatnonzero(weights >= least)
            ids = ids[np.argsort(-weights[ids], kind="stable")][: s.top_k]
            whole = float(weights[ids].sum(dtype=np.float64))
        else:
            whole = float(weights.sum(dtype=np.float64))
            for least in (1e-2, 1e-4, 1e-6, 0.0) if s.top_p < 1 else (s.min_p,):
                ids = np.flatnonzero(weights >= least)
                if float(weights[ids].sum(dtype=np.float64)) >= s.top_p * whole:
                    break
            ids = ids[np.argsort(-weights[ids], kind="stable")]
        sorted_ = weights[ids].astype(np.float64)
        keep = sorted_ >= max(s.min_p, np.finfo(np.float64).tiny)  # what a mask forbids weighs nothing
        if s.top_p < 1:
            keep &= np.cumsum(sorted_) - sorted_ < s.top_p * whole
        return ids[keep]


_BLOCK = 128  # ids whose weights are summed before one of them is looked for


def allows(mask: NDArray[np.uint32], id: int) -> bool:
    """Whether a constraint's mask lets this id come next."""
    return id >> 5 < len(mask) and bool(int(mask[id >> 5]) >> (id & 31) & 1)


def only_one(mask: NDArray[np.uint32]) -> int | None:
    """The id, if the mask allows no other."""
    if np.count_nonzero(mask[:64]) > 1:  # free text, mostly
        return None
    words = np.flatnonzero(mask)
    if len(words) != 1:
        return None
    word = int(mask[words[0]])
    return int(words[0]) * 32 + word.bit_length() - 1 if word & (word - 1) == 0 else None


def _log_share(weight: np.float32, whole: np.float64) -> float:
    return math.log(float(weight)) - math.log(float(whole))


def _fall(reach: NDArray[np.float64], at: float) -> int:
    """Where `at` falls among weights whose running sum is `reach`; never on one that weighs nothing."""
    place = int(reach.searchsorted(at, side="right"))
    return place if place < len(reach) else int(reach.searchsorted(reach[-1]))
