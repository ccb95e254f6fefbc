"""One reply on its way: the ids so far, its pages, and the line to whoever waits for it."""

from __future__ import annotations

import queue
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Sequence as Ids
from dataclasses import dataclass, field, fields
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .cache import extend_keys
from .drafter import Guesser
from .sampler import Constraint, Sampler, Sampling, Token, only_one

Finish = Literal["stop", "length", "cancelled", "error"]
Priority = Literal["interactive", "batch"]


@dataclass(frozen=True, slots=True)
class Seen:
    """What a step did for one of its replies, as whoever looks on hears it. Arrays are copies.

    T are the tokens of the reply that were computed and kept, K the experts of a token in each of the sparse layers.
    """

    start: int  # position of the first of the tokens in prompt and reply
    ids: tuple[int, ...]  # T
    chosen: NDArray[np.int32]  # (sparse layers, T, K)
    weights: NDArray[np.float32]  # (sparse layers, T, K): how much of each one's output counts
    tiers: NDArray[np.uint8]  # (sparse layers, T, K): where each was when it was asked for, a place in kernels.TIERS
    parts_s: Mapping[str, float]  # the whole step's time: by the names of kernels.PARTS
    step_tokens: int  # that the whole step computed, for this reply and others
    reads: Reads  # of the whole step


Trace = Callable[[Seen], None]


@dataclass(frozen=True, slots=True)
class Terms:
    """How a reply is served beside others."""

    owner: str = ""  # owners share the machine by weight, whatever each of them asks for
    weight: float = 1.0
    priority: Priority = "interactive"  # batch: with what interactive replies leave
    deadline_s: float | None = None  # after it was submitted; what has not ended by then fails with DeadlineError

    def __post_init__(self) -> None:
        if not 0 < self.weight < float("inf"):
            raise ValueError(f"weight must be above 0, got {self.weight}")
        if self.priority not in ("interactive", "batch"):
            raise ValueError(f"priority must be interactive or batch, got {self.priority!r}")
        if self.deadline_s is not None and not self.deadline_s > 0:
            raise ValueError(f"deadline_s must be above 0, got {self.deadline_s}")


@dataclass(frozen=True, slots=True)
class Reads:
    """What streaming experts from disk came to; all zero where every expert is in memory.

    An expert counts once for each layer of a step that asked for it, however many tokens chose it. A reply's part of a
    step that it shared goes by tokens, and is then fractional.
    """

    hits: float = 0  # experts that were in memory when a layer asked for them
    misses: float = 0
    pinned_hits: float = 0  # of the hits, those read at the start for having been used in earlier runs
    read_bytes: float = 0
    wait_s: float = 0  # in which nothing could be computed for want of an expert
    guesses_right: float = 0  # read ahead and then asked for
    guesses_wrong: float = 0
    faults: float = 0  # experts that could not be read

    @property
    def hit_rate(self) -> float | None:
        asked = self.hits + self.misses
        return self.hits / asked if asked else None

    def __add__(self, other: Reads) -> Reads:
        return Reads(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def __sub__(self, other: Reads) -> Reads:
        return self + other.part(-1)

    def part(self, share: float) -> Reads:
        return Reads(*(getattr(self, f.name) * share for f in fields(self)))


@dataclass(slots=True)
class Stats:
    """What a reply took. Times in seconds."""

    prompt_tokens: int = 0  # cancelled, or late, before the first token: as far as they were read
    cached_tokens: int = 0  # of the prompt, not computed again
    restored_tokens: int = 0  # of those, read back from disk
    output_tokens: int = 0
    forced_tokens: int = 0  # of the output, appended because nothing else could come
    guessed_tokens: int = 0  # computed on a guess
    right_tokens: int = 0  # of those, what was then written
    steps: int = 0  # that wrote output
    preemptions: int = 0  # how often it gave its place back and was taken up again
    queue_s: float = 0.0
    prefill_s: float = 0.0  # from the first step to the first token
    decode_s: float = 0.0  # from the first token to the last
    experts_seen: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((0, 0), bool))  # (sparse layers, E)

    reads: Reads = Reads()  # its part of those of the steps it took part in

    @property
    def decode_tokens_per_s(self) -> float:
        return (self.output_tokens - 1) / self.decode_s if self.decode_s > 0 else 0.0


class EngineError(Exception):
    """A reply that could not be finished, or a request that cannot be served; the message says why."""


class DeadlineError(EngineError):
    """A reply that had not ended when its time was over."""


class QueueFullError(EngineError):
    """Too many replies wait already. `retry_after_s`: when there is likely to be room."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Reply:
    """Iterate it for the tokens, from any thread; afterwards `finish` says why it ended."""

    def __init__(self, stats: Stats) -> None:
        self.stats = stats
        self.finish: Finish | None = None
        self.error: EngineError | None = None
        self.cancelled = False
        self.stop: Token | None = None  # the one that ended it, which is no part of it
        self._events: queue.SimpleQueue[list[Token] | None] = queue.SimpleQueue()  # what a step wrote; None: the end
        self._heard: deque[Token] = deque()

    def __iter__(self) -> Iterator[Token]:
        """Raises EngineError if the engine failed."""
        while self._heard or self._hear():
            yield self._heard.popleft()
        self._events.put(None)  # a second reader ends too
        if self.error:
            raise self.error

    def _hear(self) -> bool:
        """Waits for what the next step wrote; False at the end."""
        written = self._events.get()
        self._heard.extend(written or ())
        return written is not None

    def cancel(self) -> None:
        """The sequence ends within a step."""
        self.cancelled = True

    def _put(self, tokens: list[Token]) -> None:
        self._events.put(tokens)

    def _announce(self) -> None:
        self._events.put(None)


class Sequence:
    """`ids` grows; `computed` of them lie in the cache, in `pages`."""

    def __init__(
        self,
        prompt: Ids[int],
        sampling: Sampling,
        constraint: Constraint | None,
        vocab: int,
        guesser: Guesser | None = None,
        terms: Terms = Terms(),
        trace: Trace | None = None,
    ) -> None:
        self.ids = list(prompt)
        self.prompt_length = len(self.ids)
        self.sampling = sampling
        self.sampler = Sampler(sampling, self.ids, vocab)
        self.constraint = constraint
        self.guesser = guesser
        self.terms = terms
        self.trace = trace
        self.reply = Reply(Stats(prompt_tokens=len(self.ids)))
        self.keys: list[bytes] = []  # of its full pages, as far as they were needed
        extend_keys(self.keys, self.ids)
        self.pages: list[int] = []
        self.slot = -1  # its row in the batch's table of pages
        self.known = 0  # of its pages the cache knows
        self.reading = False  # its ids up to the last one are not in the cache yet: a prompt, or all after a preemption
        self.loading = False  # pages are on their way from disk
        self.turn = 0  # tokens read since it came to its turn
        self.computed = 0
        self.guess: list[int] = []  # what the step under way computes beyond ids
        self.owed: list[int] = []  # ids that can only come next, whose logits are wanted all the same
        self._mask: NDArray[np.uint32] | None = None  # of the next token, if it was asked for already
        self._mask_known = False
        self._written: list[Token] = []  # in this step; the reader is woken once for all
        self._announced = False
        self.arrival = 0  # counts up
        self.passed = 0  # how often a later one was let in before it
        self.submitted = time.perf_counter()
        self.deadline = self.submitted + terms.deadline_s if terms.deadline_s is not None else None
        self.began_with = 0  # ids, the last time it was let in
        self.started = 0.0
        self.answered = 0.0

    @property
    def waiting(self) -> int:
        """Tokens not yet in the cache."""
        return len(self.ids) - self.computed

    @property
    def over(self) -> bool:
        return self.reply.finish is not None

    def propose(self, limit: int, row_cost: float, token_s: float) -> None:
        """Sets `guess` for the step that computes its last id: at most `limit` ids."""
        # The last guess must leave room for the token that is drawn after it.
        limit = max(min(limit, self.sampling.max_tokens - self.reply.stats.output_tokens - 1), 0)
        self.guess = []
        try:
            guess = self.owed[:limit] if self.owed else []
            if self.guesser and not self.owed:
                guess = self.guesser.guess(self.ids, limit, row_cost, token_s)
            for id in guess:
                self._check(id)
            self.guess = guess
        except Exception as error:  # as in advance; the step that follows announces it
            self._close("error", str(error) or type(error).__name__)

    def advance(self, rows: NDArray[np.float32]) -> None:
        """Draws the next tokens, and all that the grammar forces after each; `announce` follows if it is over.

        rows[0] are the logits after `ids`, rows[i] those after i guesses: they count as long as the guesses are right.
        Guesses for which there are no rows could not be computed.
        """
        stats, guess, base = self.reply.stats, self.guess[: len(rows) - 1], len(self.ids)
        if not self.answered:
            self.answered = time.perf_counter()
            stats.prefill_s = self.answered - self.started
        stats.steps += 1
        right = 0
        try:
            while right == len(self.ids) - base < len(rows) and not self.over:
                self._write(rows[right])
                new = self.ids[base + right :]
                for id, guessed in zip(new, guess[right:]):
                    if id != guessed:
                        break
                    right += 1
        except Exception as error:  # a grammar of the caller's making: its reply fails, the others go on
            self._close("error", str(error) or type(error).__name__)
        if self._written:
            self.reply._put(self._written)
            self._written = []
        self.computed = base + right
        stats.guessed_tokens += len(self.guess)
        stats.right_tokens += right
        self.guess = []

    def _write(self, logits: NDArray[np.float32]) -> None:
        """One token that needs these logits, and those after it that need none."""
        if self.owed:
            self._append(self.sampler.note(self.owed.pop(0), logits))
            return
        mask = self._allowed()
        only = None if mask is None else only_one(mask)
        token = self.sampler.draw(logits, mask) if only is None else self.sampler.note(only, logits)
        if not self._append(token) or not self.constraint:
            return
        forced = self.constraint.forced()
        if self.sampling.logprobs:  # they too have a probability, which the next step knows
            self.owed = forced
            self.reply.stats.forced_tokens += len(forced)
            return
        for id in forced:
            self.reply.stats.forced_tokens += 1
            if not self._append(self.sampler.note(id)):
                return
        while (mask := self._allowed()) is not None and (only := only_one(mask)) is not None:
            if not self._append(self.sampler.note(only)):
                return
            self.reply.stats.forced_tokens += 1

    def _allowed(self) -> NDArray[np.uint32] | None:
        """The grammar's mask for the next token, asked for once."""
        if not self._mask_known:
            self._mask = self.constraint.mask() if self.constraint else None
            self._mask_known = True
        return self._mask

    def _append(self, token: Token) -> bool:
        """False when the reply is over."""
        if token.id in self.sampling.stop_ids:
            self.reply.stop = token
            self._close("stop")
            return False
        self._check(token.id)
        self.ids.append(token.id)
        self._mask_known = False
        if self.constraint:
            self.constraint.accept(token.id)
        self.reply.stats.output_tokens += 1
        self._written.append(token)
        if self.reply.stats.output_tokens >= self.sampling.max_tokens:
            self._close("length")
            return False
        return True

    def _check(self, id: int) -> None:
        """No id that a grammar or a drafter of the caller's making names may end the step of all."""
        if not 0 <= id < self.sampler.vocab:
            raise ValueError(f"id {id} is outside the vocabulary of {self.sampler.vocab}")

    def end(self, finish: Finish, error: str | EngineError = "") -> None:
        """Ends the reply, unless it has ended; whoever reads it hears of it."""
        self._close(finish, error)
        self.announce()

    def announce(self) -> None:
        """Tells the reader of an end, once all is noted that belongs to it."""
        if self.over and not self._announced:
            self._announced = True
            self.reply._announce()

    def _close(self, finish: Finish, error: str | EngineError = "") -> None:
        if self.reply.finish is None:
            stats = self.reply.stats
            if self.answered:
                stats.decode_s = time.perf_counter() - self.answered
            else:  # what was not read is charged to nobody
                stats.prompt_tokens = max(self.computed, stats.cached_tokens)
            if finish == "error":
                self.reply.error = EngineError(error) if isinstance(error, str) else error
            self.reply.finish = finish
