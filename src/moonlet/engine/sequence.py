"""One reply on its way: the ids so far, its pages, and the line to whoever waits for it."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from collections.abc import Sequence as Ids
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .sampler import Constraint, Sampler, Sampling, Token

Finish = Literal["stop", "length", "cancelled", "error"]


@dataclass(slots=True)
class Stats:
    """What a reply took. Times in seconds."""

    prompt_tokens: int = 0
    cached_tokens: int = 0  # of the prompt, not computed again
    output_tokens: int = 0
    forced_tokens: int = 0  # of the output, appended because nothing else could come
    queue_s: float = 0.0
    prefill_s: float = 0.0  # from the first step to the first token
    decode_s: float = 0.0  # from the first token to the last
    experts_seen: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((0, 0), bool))  # (sparse layers, E)

    @property
    def decode_tokens_per_s(self) -> float:
        return (self.output_tokens - 1) / self.decode_s if self.decode_s > 0 else 0.0


class EngineError(Exception):
    """A reply that could not be finished, or a request that cannot be served; the message says why."""


class Reply:
    """Iterate it for the tokens, from any thread; afterwards `finish` says why it ended."""

    def __init__(self, stats: Stats) -> None:
        self.stats = stats
        self.finish: Finish | None = None
        self.error = ""
        self.cancelled = False
        self._events: queue.SimpleQueue[Token | None] = queue.SimpleQueue()

    def __iter__(self) -> Iterator[Token]:
        """Raises EngineError if the engine failed."""
        while (token := self._events.get()) is not None:
            yield token
        self._events.put(None)  # a second reader ends too
        if self.finish == "error":
            raise EngineError(self.error)

    def cancel(self) -> None:
        """The sequence ends within a step."""
        self.cancelled = True

    def _put(self, token: Token) -> None:
        self._events.put(token)

    def _end(self, finish: Finish, error: str = "") -> None:
        self.finish, self.error = finish, error
        self._events.put(None)


class Sequence:
    """`ids` grows; `computed` of them lie in the cache, in `pages`."""

    def __init__(self, prompt: Ids[int], sampling: Sampling, constraint: Constraint | None, vocab: int) -> None:
        self.ids = list(prompt)
        self.prompt_length = len(self.ids)
        self.sampling = sampling
        self.sampler = Sampler(sampling, self.ids, vocab)
        self.constraint = constraint
        self.reply = Reply(Stats(prompt_tokens=len(self.ids)))
        self.pages: list[int] = []
        self.computed = 0
        self.submitted = time.perf_counter()
        self.started = 0.0
        self.answered = 0.0

    @property
    def waiting(self) -> int:
        """Tokens not yet in the cache."""
        return len(self.ids) - self.computed

    @property
    def decoding(self) -> bool:
        return self.computed >= self.prompt_length

    @property
    def longest(self) -> int:
        """Tokens it may come to hold."""
        return self.prompt_length + self.sampling.max_tokens

    def advance(self, logits: NDArray[np.float32]) -> None:
        """Draws the next token, and all that the grammar forces after it; ends the reply when it is over."""
        if not self.answered:
            self.answered = time.perf_counter()
            self.reply.stats.prefill_s = self.answered - self.started
        try:
            mask = self.constraint.mask() if self.constraint else None
            token = self.sampler.draw(logits, mask)
            if self._append(token) and self.constraint:
                for id in self.constraint.forced():
                    self.reply.stats.forced_tokens += 1
                    if not self._append(self.sampler.note(id)):
                        return
        except Exception as error:  # a grammar of the caller's making: its reply fails, the others go on
            self.end("error", str(error) or type(error).__name__)

    def _append(self, token: Token) -> bool:
        """False when the reply is over."""
        if token.id in self.sampling.stop_ids:
            self.end("stop")
            return False
        self.ids.append(token.id)
        if self.constraint:
            self.constraint.accept(token.id)
        self.reply.stats.output_tokens += 1
        self.reply._put(token)
        if self.reply.stats.output_tokens >= self.sampling.max_tokens:
            self.end("length")
            return False
        return True

    def end(self, finish: Finish, error: str = "") -> None:
        if self.reply.finish is None:
            if self.answered:
                self.reply.stats.decode_s = time.perf_counter() - self.answered
            self.reply._end(finish, error)

    @property
    def over(self) -> bool:
        return self.reply.finish is not None
