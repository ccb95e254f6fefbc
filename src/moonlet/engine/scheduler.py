"""Which tokens the next step computes."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass

from moonlet.kernels import PAGE

from .cache import PageCache
from .sequence import Sequence


@dataclass(frozen=True, slots=True)
class Work:
    """The next `count` tokens of a sequence."""

    sequence: Sequence
    count: int
    completes: bool  # whether a token can be drawn afterwards


class Scheduler:
    """First come, first served: replies under way go on, what room is left reads prompts in chunks."""

    def __init__(self, cache: PageCache, step_tokens: int, max_sequences: int) -> None:
        self.cache = cache
        self.step_tokens = step_tokens
        self.max_sequences = max_sequences
        self.queue: deque[Sequence] = deque()
        self.running: list[Sequence] = []

    def next(self) -> list[Work]:
        """Work for one step, at most `step_tokens` tokens; empty when there is nothing to do."""
        self._drop_ended()
        self._admit()
        room = self.step_tokens
        batch = []
        for sequence in sorted(self.running, key=lambda s: not s.decoding):  # stable: in order of arrival
            if count := min(sequence.waiting, room):
                batch.append(Work(sequence, count, count == sequence.waiting))
                room -= count
        return batch

    def _drop_ended(self) -> None:
        for sequence in [*self.running, *self.queue]:
            if sequence.reply.cancelled:
                sequence.end("cancelled")
        for sequence in [s for s in self.running if s.over]:
            self.running.remove(sequence)
            self.cache.learn(sequence.ids[: sequence.computed], sequence.pages)
            self.cache.release(sequence.pages)
            sequence.pages = []
        if any(s.over for s in self.queue):
            self.queue = deque(s for s in self.queue if not s.over)

    def _admit(self) -> None:
        while self.queue and len(self.running) < self.max_sequences:
            sequence = self.queue[0]
            known = self.cache.find(sequence.ids)
            fresh = self.cache.take(-(-sequence.longest // PAGE) - len(known))
            if fresh is None:
                self.cache.release(known)
                return
            self.queue.popleft()
            sequence.pages = known + fresh
            sequence.computed = len(known) * PAGE
            sequence.started = time.perf_counter()
            sequence.reply.stats.cached_tokens = sequence.computed
            sequence.reply.stats.queue_s = sequence.started - sequence.submitted
            self.running.append(sequence)
