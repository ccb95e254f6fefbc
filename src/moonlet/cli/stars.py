"""The experts of a sparse model in the terminal: a row for each layer, brighter where an expert works or worked."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rich.text import Text as Line

from moonlet.llm import TIERS, Look

FADE = 0.72  # of a star's light is left after each token
# From idle to busy, and what flares: colours of the 256 that every terminal has.
_HEAT = ("#24294e", "#3a448c", "#7068c8", "#d6a08c", "#f6cf8a", "#fff4da")
_MARKS = "·∙•●"


class Stars:
    """What was seen of a reply, or of several."""

    def __init__(self) -> None:
        self.tokens = 0
        self._counts = np.zeros((0, 0), np.int64)  # [layers, E]
        self._light = np.zeros((0, 0))
        self._chosen = self._asked = self._there = 0

    def add(self, look: Look) -> None:
        """Tokens of a reply; those of its prompt are read too fast to be seen."""
        if look.prompt or not look.chosen.size:
            return
        layers, tokens, self._chosen = look.chosen.shape
        self._grow(layers, int(look.chosen.max()) + 1)
        every = np.arange(layers)[:, None]
        for t in range(tokens):
            self._light *= FADE
            chosen = every, look.chosen[:, t]  # of a layer each one once, so that none is counted less
            self._counts[chosen] += 1
            self._light[chosen] = 1.0
        self.tokens += tokens
        self._asked += look.tiers.size
        self._there += int((look.tiers != TIERS.index("disk")).sum())

    def map(self, width: int, height: int, experts: int = 0) -> Line:
        """At most so many lines; neighbours share a place where there is not enough of it."""
        if not self._counts.size:
            return Line()
        self._grow(len(self._counts), experts)
        heat = _fitted(self._counts / max(self.tokens, 1), height, width - 8)
        light = _fitted(self._light, height, width - 8)
        fair = self._chosen / self._counts.shape[1]
        gap = " " if 2 * heat.shape[1] <= width - 8 else ""
        rows = []
        for heats, lights in zip(heat, light):
            row = Line("      ")
            for share, now in zip(heats, lights):
                warm = min(float(np.sqrt(share / fair)) / 2.4, 1.0) if share else 0.0
                colour = _HEAT[-1] if now > 0.5 else _HEAT[min(int(warm * 5 + (share > 0)), 4)]
                row.append(_MARKS[min(int(max(warm, now) * 4), 3)] + gap, style=colour)
            rows.append(row)
        return Line("\n").join(rows)

    def sentence(self, experts: int = 0) -> str:
        """How much of the model worked."""
        if not self.tokens:
            return ""
        layers, seen = self._counts.shape
        every = max(experts, seen)
        used = (self._counts > 0).sum() / (layers * every)
        told = f"{self._chosen} of {every} experts in each of {layers} layers for each token; "
        told += f"{used:.0%} of them worked at least once in {self.tokens} tokens"
        return told + (f"; {self._there / self._asked:.0%} were in memory" if self._there < self._asked else "")

    def _grow(self, layers: int, experts: int) -> None:
        if (layers, experts) != self._counts.shape and (experts > self._counts.shape[1] or not self._counts.size):
            wider = ((0, layers - len(self._counts)), (0, experts - self._counts.shape[1]))
            self._counts, self._light = np.pad(self._counts, wider), np.pad(self._light, wider)


def _fitted(values: NDArray[np.float64], rows: int, columns: int) -> NDArray[np.float64]:
    """The largest of each group of neighbours, so that it fits."""
    down, across = -(-values.shape[0] // max(rows, 1)), -(-values.shape[1] // max(columns, 1))
    padded = np.pad(values, ((0, -values.shape[0] % down), (0, -values.shape[1] % across)))
    grouped = padded.reshape(padded.shape[0] // down, down, padded.shape[1] // across, across)
    return np.asarray(grouped.max(axis=(1, 3)))
