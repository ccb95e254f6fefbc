"""How long steps take, learned from those that were made: how much to read at once, and what a guess costs."""

from __future__ import annotations

import math
from collections.abc import Callable

from moonlet.model.config import ModelConfig

_FIRST = 64  # tokens of a prompt read beside others' replies as long as nothing is known
_AIM = 0.53  # of the time that a step may take: on a shared machine some take nearly twice as long as was learned
_AHEAD = 4  # rows over which the price of one more is reckoned before it is known


class Curve:
    """Seconds against a size: running means of both for each half octave."""

    def __init__(self) -> None:
        self._sizes = [0.0] * 64
        self._seconds = [0.0] * 64
        self._count = [0] * 64

    def add(self, size: float, seconds: float) -> None:
        at = _bucket(size)
        seen = self._count[at]
        share = max(0.2, 1 / (seen + 1))
        if seen > 3:
            seconds = min(seconds, 4 * self._seconds[at])  # the machine was busy elsewhere
        self._sizes[at] += (size - self._sizes[at]) * share
        self._seconds[at] += (seconds - self._seconds[at]) * share
        self._count[at] = seen + 1

    def at(self, size: float) -> float:
        """Seconds of that size, 0 if nothing is known: of the nearest smaller one in proportion, or of a larger one."""
        wanted = _bucket(size)
        for at in range(wanted, -1, -1):
            if self._count[at]:
                return self._seconds[at] * (size / self._sizes[at] if at < wanted else 1.0)
        return next((self._seconds[at] for at in range(wanted, 64) if self._count[at]), 0.0)

    def slope(self, size: float) -> float | None:
        """Seconds that one more takes, as a share of the time of one at that size; None as long as it is not known."""
        low = _bucket(size)
        high = next((at for at in range(low + 1, min(low + 7, 64)) if self._count[at] > 3), 0)
        if self._count[low] < 4 or not high:
            return None
        more = (self._seconds[high] - self._seconds[low]) / (self._sizes[high] - self._sizes[low])
        return more * self._sizes[low] / self._seconds[low]

    def largest(self, seconds: float) -> float:
        """The largest size that is known to take no more, or up to twice that in proportion; 0 if nothing is known."""
        known = [at for at in range(64) if self._count[at]]
        fitting = [at for at in known if self._seconds[at] <= seconds]
        if not fitting:
            return self._sizes[known[0]] * seconds / self._seconds[known[0]] if known else 0.0
        best = fitting[-1]
        size = self._sizes[best] * min(2.0, seconds / max(self._seconds[best], 1e-9))
        return min([size, *(self._sizes[at] for at in known if at > best)])


def _bucket(size: float) -> int:
    return min(int(2 * math.log2(size)), 63) if size > 1 else 0


class Pace:
    """`stall_s`: how long a step may take when it reads a prompt beside replies under way.

    `prior(rows)`: what a step of so many rows is expected to cost, in any unit, until it has been seen.
    """

    def __init__(self, config: ModelConfig, stall_s: float, prior: Callable[[int], float]) -> None:
        self._stall_s = stall_s
        self._prior = prior
        self._even = context_of_even_cost(config)
        self._decode = Curve()  # by rows
        self._prefill = Curve()  # by tokens, longer contexts counting for more

    def load(self, start: int, count: int) -> float:
        """Tokens `start` to `start + count` of a prompt, in tokens without a context."""
        return count * (1 + (start + count / 2) / self._even)

    def note(self, rows: int, load: float, seconds: float) -> None:
        """A step with so many rows of replies, and so much of prompts, took that long."""
        if not load:
            self._decode.add(rows, seconds)
        else:
            self._prefill.add(load, max(seconds - (self._decode.at(rows) if rows else 0.0), seconds / 20))

    def room(self, rows: int) -> float:
        """The load of prompts that a step can take beside so many rows without stalling them.

        If those rows alone take longer than they may, prompts get as long again: somebody waits for them too.
        """
        if not rows:
            return math.inf
        alone = self._decode.at(rows)
        return self._prefill.largest(max(_AIM * self._stall_s - alone, alone)) or _FIRST

    def tokens(self, start: int, load: float) -> float:
        """How many tokens of a prompt, from `start`, are that load."""
        return load / (1 + start / self._even)

    def row_cost(self, rows: int) -> float:
        """Time of one more row as a share of the time of a row at present: 0 if it were free, 1 if nothing is shared.

        Where experts are read from disk, or every row chooses its own, it comes near to 1.
        """
        share = self._decode.slope(rows)
        if share is None:
            now, more = self._prior(rows), self._prior(rows + _AHEAD)
            share = (more - now) / _AHEAD * rows / now
        return min(max(share, 0.02), 1.0)

    def token_s(self, rows: int) -> float:
        return self._decode.at(rows) / rows if rows else 0.0


def context_of_even_cost(config: ModelConfig) -> float:
    """The context at which attending to it takes as many multiplications as everything else of a token."""
    c = config
    query = c.width * c.q_rank + c.q_rank * c.heads * (c.nope + c.rope) if c.q_rank else 0
    query = query or c.width * c.heads * (c.nope + c.rope)
    heads = c.heads * (c.nope * c.latent + c.latent * c.value + c.value * c.width)
    rest = c.layers * (query + c.width * (c.latent + c.rope) + heads)
    rest += c.dense_layers * 3 * c.width * c.dense_width
    rest += c.sparse_layers * 3 * c.width * (c.experts_per_token * c.expert_width + c.shared_width)
    return rest / (c.layers * c.heads * (2 * c.latent + c.rope))


def bytes_read(fixed: int, expert: int, experts: int, of_token: int) -> Callable[[int], float]:
    """Bytes that a step of some rows reads: `fixed`, and each distinct expert once, if the router chooses evenly.

    `expert`: bytes of one, in all layers together.
    """

    def prior(rows: int) -> float:
        distinct = experts * (1 - (1 - of_token / experts) ** rows) if experts else 0.0
        return fixed + distinct * expert

    return prior
