"""What one step computes, in arrays that are made once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .sequence import Sequence


class Work:
    """The next `count` tokens of a sequence, and after them its guesses.

    `completes`: its last known id is among them, so that a token can be drawn afterwards.
    """

    __slots__ = ("completes", "count", "sequence", "start", "tokens")

    def __init__(self, sequence: Sequence, count: int, completes: bool, start: int) -> None:
        self.sequence = sequence
        self.count = count
        self.completes = completes
        self.start = start  # its first token in the batch
        self.tokens = count + len(sequence.guess)


class Batch:
    """Filled anew for each step. Every sequence under way has a row of `pages`, its slot."""

    def __init__(
        self, tokens: int, rows: int, slots: int, positions: int, pages: int, layers: int, chosen: int
    ) -> None:
        """`pages`: of the longest sequence; `layers` and `chosen`: sparse layers, and experts of a token in each."""
        self.works: list[Work] = []
        self.tokens = 0
        self.rows = 0  # of logits
        self.ids = np.zeros(tokens, np.int32)
        self.positions = np.zeros(tokens, np.int32)
        self.sequences = np.zeros(tokens, np.int32)
        self.want = np.zeros(rows, np.int32)
        self.pages = np.zeros((slots, pages), np.int32)
        self._counting = np.arange(max(positions, tokens, rows), dtype=np.int32)
        self._chosen = np.zeros(layers * tokens * chosen, np.int32)
        self._layers, self._of_token = layers, chosen

    def clear(self) -> None:
        self.works.clear()
        self.tokens = self.rows = 0

    def add(self, sequence: Sequence, count: int) -> Work:
        """The sequence's next tokens; with the last of them come its guesses, and logits from there on."""
        computed, at = sequence.computed, self.tokens
        work = Work(sequence, count, count == len(sequence.ids) - computed, at)
        end = at + work.tokens
        if work.tokens == 1:
            self.ids[at] = sequence.ids[computed]
            self.positions[at] = computed
            self.sequences[at] = sequence.slot
        else:
            self.ids[at : at + count] = sequence.ids[computed : computed + count]
            self.ids[at + count : end] = sequence.guess
            self.positions[at:end] = self._counting[computed : computed + work.tokens]
            self.sequences[at:end] = sequence.slot
        if work.completes:
            rows = work.tokens - count + 1
            self.want[self.rows : self.rows + rows] = self._counting[end - rows : end]
            self.rows += rows
        self.tokens = end
        self.works.append(work)
        return work

    def chosen(self) -> NDArray[np.int32]:
        """Where the step's chosen experts go: (sparse layers, T, K)."""
        size = self._layers * self.tokens * self._of_token
        return self._chosen[:size].reshape(self._layers, self.tokens, self._of_token)
