"""Conversations as rows of tokens: what the network reads, and how much each token counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from moonlet.chat.template import Family, Segment, render_segments
from moonlet.chat.tokenizer import Tokenizer
from moonlet.simulate.episode import Conversation
from moonlet.train.attention import Text

LEAST = 400  # tokens for which a row is filled further: a shorter cut is all declarations and no turns
PROMPT_WEIGHT = 0.04  # of a token the assistant reads, against 1 of one it must write
EVERY = 4  # of the tokens that it reads one in so many counts, that much more: the head costs a fifth of a step


@dataclass(frozen=True, slots=True)
class Batch:
    """ids (B, T + 1) and weights (B, T): weights[b, t] counts the prediction of ids[b, t + 1].

    texts: the conversations of each row, which do not see one another. real (B, T): which ids that are read are of one,
    and do not only fill the row.
    """

    ids: NDArray[np.int64]
    weights: NDArray[np.float32]
    texts: tuple[tuple[Text, ...], ...]
    real: NDArray[np.bool_]

    @property
    def written(self) -> NDArray[np.bool_]:
        """Which predictions are the assistant's own."""
        own: NDArray[np.bool_] = self.weights == 1.0
        return own


class Rows:
    """Packs an endless stream of conversations. `taken` counts them, so that a stopped run can skip to its place."""

    def __init__(self, conversations: Iterator[Conversation], tokenizer: Tokenizer, family: Family = "moonlet") -> None:
        """`family`: in whose form the conversations are written."""
        self.conversations = conversations
        self.tokenizer, self.family = tokenizer, family
        self.taken = 0
        pad = tokenizer.special("[PAD]")
        assert pad is not None, "the small vocabulary has a padding token"
        self.pad = pad

    def skip(self, count: int) -> None:
        for _ in range(count):
            next(self.conversations)
        self.taken += count

    def batch(self, rows: int, length: int) -> Batch:
        """Rows of `length` + 1 tokens. Every row begins with a conversation; none runs on into the next row."""
        ids = np.full((rows, length + 1), self.pad, np.int64)
        weights = np.zeros((rows, length + 1), np.float32)
        texts: list[tuple[Text, ...]] = []
        for row in range(rows):
            at, begun = 0, []
            while length - at > LEAST or at == 0:
                pieces = self._cut(length + 1 - at)
                begun.append(at)
                for piece in pieces:
                    end = at + len(piece.ids)
                    ids[row, at:end] = piece.ids
                    if piece.trained:
                        weights[row, at:end] = 1.0
                    else:
                        weights[row, at + (self.taken - at) % EVERY : end : EVERY] = PROMPT_WEIGHT * EVERY
                    at = end
            weights[row, begun] = 0.0  # nothing before it foretells a conversation's first token
            texts.append(tuple((begin, end, 0) for begin, end in pairwise((*begun, length))))
        return Batch(ids, weights[:, 1:], tuple(texts), ids[:, :-1] != self.pad)

    def _cut(self, room: int) -> list[Segment]:
        """The next conversation, as many of its turns as there is room for; what can have no turn is passed over."""
        while True:
            one = next(self.conversations)
            self.taken += 1
            if kept := turns(one, self.tokenizer, self.family, room):
                return kept


def turns(one: Conversation, tokenizer: Tokenizer, family: Family, room: int) -> list[Segment]:
    """A conversation's beginning, as many of its turns as `room` tokens hold; empty if they hold none. Raises
    TemplateError."""
    segments = render_segments(tokenizer, family, one.messages, one.tools, generate=False)
    used = best = 0
    for i, segment in enumerate(segments):
        used += len(segment.ids)
        if used > room:
            break
        if segment.trained:
            best = i + 1
    return segments[:best]
