"""Which experts tokens meet: how many different ones a batch reads, and how many of those lie in a cache.

Experts are not equally popular. `Popularity` holds how likely one token is to choose each expert of a layer; it comes
from a measured trace or from a stated assumption: popularity falls as rank to the power of -skew (Zipf). Tokens are
taken to choose independently of one another, which overstates how many different experts a batch meets: neighbours in
one text share some.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moonlet.model.config import ModelConfig

from .said import Said

# Between an even router (0) and the word frequencies of a language (1). K2's router is balanced by training: over much
# text its experts are used nearly evenly, within one conversation they are not.
ASSUMED_SKEW = 0.6


class TraceError(Exception):
    """A trace that is none, or one of another model."""


@dataclass(frozen=True, slots=True)
class Popularity:
    """Chance (E,) that one token chooses each expert of a layer, most popular first; the chances sum to K."""

    chances: NDArray[np.float64]
    origin: Said  # where it comes from, for the list of assumptions

    @property
    def experts(self) -> int:
        return len(self.chances)

    @property
    def per_token(self) -> float:
        return float(self.chances.sum())

    def distinct(self, tokens: float) -> float:
        """Experts of one layer that `tokens` tokens meet at least once: from K for one token towards E."""
        return float((1 - (1 - self.chances) ** tokens).sum())

    def missing(self, tokens: float, slots: float) -> float:
        """Of the distinct experts that `tokens` tokens meet in a layer, those not in a cache of the last used `slots`.

        Che's approximation: an expert stays for a time that is the same for all, so that on average `slots` are there.
        """
        if slots >= self.experts:
            return 0.0
        if slots <= 0:
            return self.distinct(tokens)
        low, high = 0.0, 1.0
        while self._kept(high) < slots and high < 1e12:
            high *= 2
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if self._kept(middle) < slots else (low, middle)
        absent = np.exp(-self.chances * high)
        return float(((1 - (1 - self.chances) ** tokens) * absent).sum())

    def hit_rate(self, slots: float, tokens: float = 1) -> float:
        """Share of the distinct experts of `tokens` tokens that such a cache holds."""
        met = self.distinct(tokens)
        return 1 - self.missing(tokens, slots) / met if met else 1.0

    def _kept(self, time: float) -> float:
        return float((1 - np.exp(-self.chances * time)).sum())


def zipf(experts: int, per_token: int, skew: float = ASSUMED_SKEW) -> Popularity:
    """Popularity by rank, with no expert chosen more than once by a token."""
    if not 1 <= per_token <= experts:
        raise ValueError(f"{per_token} experts a token of {experts}")
    if not 0 <= skew <= 4 or not math.isfinite(skew):
        raise ValueError(f"skew must be within 0 and 4, got {skew}")
    weights = np.arange(1, experts + 1, dtype=np.float64) ** -skew
    if skew == 0:
        chances = np.full(experts, per_token / experts)
    else:  # a draw of K without repeats: the chance of each saturates at 1
        low, high = 0.0, 1.0
        while (1 - np.exp(-high * weights)).sum() < per_token * (1 - 1e-12) and high < 1e30:
            high *= 2
        for _ in range(200):
            middle = (low + high) / 2
            low, high = (middle, high) if (1 - np.exp(-middle * weights)).sum() < per_token else (low, middle)
        chances = 1 - np.exp(-high * weights)
    told = f"popularity of experts falls as rank^-{skew:g} (an assumption; --trace measures it)"
    return Popularity(chances, Said("zipf", told, skew=skew))


def measured(chosen: NDArray[np.int32], config: ModelConfig, name: str = "a trace") -> Popularity:
    """Popularity by the choices (sparse layers, T, K) of a run: per layer sorted, then averaged over the layers.

    Raises TraceError, also for a trace of a model with other layers or experts.
    """
    experts = config.experts
    if chosen.ndim != 3 or not chosen.size or chosen.min() < 0 or chosen.max() >= experts:
        raise TraceError(f"{name}: holds no choices (layers, tokens, K) among {experts} experts")
    layers, tokens, k = chosen.shape
    if (layers, k) != (config.sparse_layers, config.experts_per_token):
        needed = f"{config.sparse_layers} layers with {config.experts_per_token} experts a token"
        raise TraceError(f"{name}: is of another model, {layers} layers with {k} experts a token; needed are {needed}")
    counts = np.stack([np.bincount(layer.reshape(-1), minlength=experts) for layer in chosen])
    ranked = np.sort(counts, axis=1)[:, ::-1].mean(axis=0) / tokens
    told = f"routing measured in {name}: {tokens} tokens, {layers} layers"
    origin = Said("measured_routing", told, name=name, tokens=tokens, layers=layers)
    return Popularity(np.minimum(ranked, 1.0), origin)


def replay(chosen: NDArray[np.int32], slots: int) -> float:
    """Hit rate of a cache of the last used `slots` experts a layer on a trace (layers, T, K), token by token."""
    hits = total = 0
    for layer in chosen:
        cache: OrderedDict[int, None] = OrderedDict()
        for token in layer:
            for expert in token.tolist():
                total += 1
                if expert in cache:
                    hits += 1
                    cache.move_to_end(expert)
                elif slots > 0:
                    cache[expert] = None
                    if len(cache) > slots:
                        cache.popitem(last=False)
    return hits / total if total else 0.0
