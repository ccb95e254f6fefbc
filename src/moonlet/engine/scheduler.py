"""Which tokens the next step computes, and who has a place."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence as Ids

from moonlet.kernels import PAGE

from .batch import Batch, Work
from .cache import PageCache, extend_keys
from .line import TURN, Line
from .pace import Pace
from .sequence import DeadlineError, Sequence
from .shelf import Shelf

_PASSED = 8  # sequences that may be let in before one whose pages are not free yet
_SLICE = 64  # tokens that a reply writes before it may have to make room for an owner with fewer places


class Scheduler:
    """Replies under way go on in every step; what room is left reads prompts, in chunks that do not stall them.

    A sequence that is let in gets pages for all it has; more are taken as it grows. When none are left, the latest
    arrival gives its own back and is computed again later, from what the cache still knows of it.
    """

    def __init__(
        self, cache: PageCache, batch: Batch, pace: Pace, step_tokens: int, max_sequences: int, shelf: Shelf | None
    ) -> None:
        self.line = Line()
        self.running: list[Sequence] = []  # in order of rank
        self.finish_s = 0.0  # between one reply's end and the next
        self._cache, self._batch, self._pace, self._shelf = cache, batch, pace, shelf
        self._step_tokens = step_tokens
        self._rows = len(batch.want)
        self._slots = [*range(max_sequences)]
        self._coming: dict[bytes, Sequence] = {}  # who computes the page with this key
        self._stuck = (-1, -1)  # the state of cache and line in which nobody could be let in
        self._arrivals = 0
        self._turn = 0
        self._ended_at = 0.0

    @property
    def idle(self) -> bool:
        return not self.running and not self.line.count

    def add(self, sequence: Sequence) -> None:
        self._arrivals += 1
        sequence.arrival = self._arrivals
        self.line.add(sequence)

    def next(self) -> Batch:
        """The batch of one step, at most `step_tokens` tokens; without works when there is nothing to do."""
        self._drop_ended()
        if self.line.count:
            self._admit()
        self._batch.clear()
        self._plan_prompts(self._plan_replies())
        return self._batch

    def settle(self, work: Work) -> None:
        """A work was computed; its sequence's `computed` says how much of it counts."""
        sequence = work.sequence
        self.line.charge(sequence, work.tokens)
        if sequence.reading:
            sequence.turn += work.count
            if work.completes:
                sequence.reading = False
                self.line.of(sequence).reading.remove(sequence)
        if (sequence.known + 1) * PAGE <= sequence.computed:
            self._learn(sequence)

    def loaded(self, sequence: Sequence, pages: int) -> None:
        """So many of the pages that were on their way from disk have come."""
        sequence.loading = False
        sequence.computed += pages * PAGE
        sequence.reply.stats.restored_tokens += pages * PAGE
        self._note_cached(sequence)
        self._learn(sequence)

    def take(self, count: int) -> list[int] | None:
        """Pages for somebody else's use, if need be from the latest arrivals."""
        while (pages := self._cache.take(count)) is None:
            victim = next((s for s in reversed(self.running) if not s.loading), None)
            if victim is None:
                return None
            self._preempt(victim)
        return pages

    def all(self) -> list[Sequence]:
        return [*self.running, *self.line.waiting()]

    # ---- what a step computes ---------------------------------------------------------------------------------------

    def _plan_replies(self) -> int:
        """Adds the replies under way. Returns the room that is left."""
        replies = [s for s in self.running if not s.reading and not s.loading]
        replies = [s for s in replies if s.slot >= 0 and self._grow(s, len(s.ids))]
        if not replies:
            return self._step_tokens
        if len(replies) > self._step_tokens:  # not all of them fit: one after the other
            self._turn = (self._turn + self._step_tokens) % len(replies)
            replies = replies[self._turn :] + replies[: self._turn]
        room, logits = self._step_tokens, self._rows - len(self.running)
        spare = max(room - sum(s.waiting for s in replies), 0)
        cost, token_s = self._pace.row_cost(len(replies)), self._pace.token_s(len(replies))
        for sequence in replies:
            count = min(sequence.waiting, room)
            if not count:
                break
            if (sequence.guesser or sequence.owed) and count == sequence.waiting:
                sequence.propose(min(spare, logits, self._pages_allow(sequence)), cost, token_s)
                self._grow(sequence, len(sequence.ids) + len(sequence.guess))
            guesses = len(sequence.guess)
            self._batch.add(sequence, count)
            room, spare, logits = room - count - guesses, spare - guesses, logits - guesses
        return room

    def _plan_prompts(self, room: int) -> None:
        """Reads on in prompts, those of the least served owner first."""
        readers = [s for s in self.line.readers() if not s.loading]
        if not readers:
            return
        beside, load = self._batch.tokens, self._pace.room(self._batch.tokens)
        for sequence in readers:
            if sequence.turn >= TURN:
                self._pass_turn(sequence)
            most = room if math.isinf(load) else min(room, max(int(self._pace.tokens(sequence.computed, load)), 0))
            if len(readers) > 1:
                most = min(most, TURN - sequence.turn)
            if self._batch.tokens == beside:  # however little there is room for, prompts come to an end
                most = max(most, min(room, 1))
            if count := min(sequence.waiting, most):
                load -= self._pace.load(sequence.computed, count)
                room -= count
                self._batch.add(sequence, count)

    def _pass_turn(self, sequence: Sequence) -> None:
        reading = self.line.of(sequence).reading
        reading.remove(sequence)
        reading.append(sequence)
        sequence.turn = 0

    def _pages_allow(self, sequence: Sequence) -> int:
        """Tokens it may have beyond its ids without taking anybody's pages."""
        return (len(sequence.pages) + self._cache.available) * PAGE - len(sequence.ids)

    # ---- who has a place --------------------------------------------------------------------------------------------

    def _drop_ended(self) -> None:
        now = time.perf_counter()
        for sequence in self.running:
            _check_end(sequence, now)
        ended = [s for s in self.running if s.over and not s.loading]
        for sequence in ended:
            self._leave(sequence)
            self.finish_s += 0.2 * (min(now - self._ended_at, 60.0) - self.finish_s) if self._ended_at else 0.0
            self._ended_at = now
        if self.line.count:
            for sequence in [*self.line.waiting()]:
                _check_end(sequence, now)
                if sequence.over:
                    self.line.remove(sequence)
        elif ended:
            self.line.forget_idle()

    def _admit(self) -> None:
        # What nobody could be let in with need not be tried again.
        if self._slots and (self._cache.changes, self.line.changes) == self._stuck:
            return
        while self._admit_one():
            pass
        self._stuck = (self._cache.changes, self.line.changes)

    def _admit_one(self) -> bool:
        blocked: list[Sequence] = []
        for sequence in [*self.line.waiting()] if self._slots else self._displacing():
            if self._follows(sequence):
                continue
            if self._enter(sequence):
                for other in blocked:
                    other.passed += 1
                return True
            if sequence.passed >= _PASSED:
                return False
            blocked.append(sequence)
        return False

    def _displacing(self) -> list[Sequence]:
        """Those that wait and for whom one that runs has to give up its place: at most one for each owner and class."""
        first: dict[tuple[str, bool], Sequence] = {}
        for sequence in self.line.waiting():
            first.setdefault((sequence.terms.owner, _class(sequence)), sequence)
        return [sequence for sequence in first.values() if self._displaced_by(sequence)]

    def _displaced_by(self, sequence: Sequence) -> list[Sequence]:
        """Who makes room for one that waits: batch work, and at last one of an owner who has more places by weight."""
        share, found = self.line.of(sequence).share(1), list[Sequence]()
        for victim in reversed(self.running):
            if victim.loading or _class(victim) < _class(sequence):
                continue
            had = victim.reading or len(victim.ids) - victim.began_with >= _SLICE
            owner = self.line.of(victim)
            if _class(victim) > _class(sequence):
                found.append(victim)
            elif had and owner.share(-sum(self.line.of(one) is owner for one in found)) > share:
                return [*found, victim]
        return found

    def _follows(self, sequence: Sequence) -> bool:
        """What it begins with is just being computed for another one: it waits and finds it done."""
        extend_keys(sequence.keys, sequence.ids)
        usable = _usable(sequence)
        known = self._cache.known(sequence.keys[:usable])
        leader = self._coming.get(sequence.keys[known]) if known < usable else None
        return leader is not None and _class(leader) <= _class(sequence)

    def _enter(self, sequence: Sequence) -> bool:
        """Gives the sequence a place and pages for all its ids, those that are known as they are. False: not now."""
        usable = _usable(sequence)
        pages = self._cache.find(sequence.keys[:usable])
        known = len(pages)
        need = -(-len(sequence.ids) // PAGE) - known
        fresh = self._cache.take(need) if self._make_room(sequence, need) else None
        if fresh is None:
            self._cache.release(pages)
            return False
        self._start(sequence, known, pages + fresh)
        if self._shelf is not None:
            sequence.loading = self._shelf.fetch(sequence, sequence.keys[known:usable], sequence.pages[known:usable])
        return True

    def _make_room(self, sequence: Sequence, pages: int) -> bool:
        """A slot, and pages: so many, and one for each that runs, which may want it soon."""
        while True:
            short = self._cache.available < pages + len(self.running)
            if self._slots and not (short and self.running):
                return True
            victims = self._displaced_by(sequence)
            room = self._cache.available + sum(len(victim.pages) for victim in victims)
            if not victims or room < pages + len(self.running) - len(victims):
                return False  # that would not be enough either
            self._preempt(victims[0])

    def _start(self, sequence: Sequence, known: int, pages: list[int]) -> None:
        owner = self.line.of(sequence)
        self.line.remove(sequence)
        owner.running += 1
        owner.reading.append(sequence)
        sequence.slot = self._slots.pop()
        sequence.reading, sequence.turn, sequence.passed = True, 0, 0
        sequence.began_with = len(sequence.ids)
        sequence.computed, sequence.known = known * PAGE, known
        self._hand(sequence, pages)
        for key in sequence.keys[known:]:
            self._coming.setdefault(key, sequence)
        self._note_cached(sequence)
        if not sequence.started:
            sequence.started = time.perf_counter()
            sequence.reply.stats.queue_s = sequence.started - sequence.submitted
        self.running.append(sequence)
        self.running.sort(key=_rank)

    def _grow(self, sequence: Sequence, tokens: int) -> bool:
        """Pages for so many tokens. False: it had to give its own back instead."""
        need = -(-tokens // PAGE) - len(sequence.pages)
        if need <= 0:
            return sequence.slot >= 0
        while (fresh := self._cache.take(need)) is None:
            victim = next((s for s in reversed(self.running) if not s.loading), sequence)
            self._preempt(victim)
            if victim is sequence:
                return False
        self._hand(sequence, fresh)
        return True

    def _hand(self, sequence: Sequence, pages: Ids[int]) -> None:
        first = len(sequence.pages)
        sequence.pages += pages
        self._batch.pages[sequence.slot, first : len(sequence.pages)] = pages

    def _preempt(self, sequence: Sequence) -> None:
        """It gives back its place and waits at the head of its owner's line."""
        self._vacate(sequence)
        sequence.reply.stats.preemptions += 1
        self._cache.release(sequence.pages)
        sequence.pages = []
        self.line.add(sequence, front=True)

    def _leave(self, sequence: Sequence) -> None:
        self._vacate(sequence)
        if self._shelf is not None:
            self._shelf.keep(sequence.keys[: sequence.known], sequence.pages)
        self._cache.release(sequence.pages)
        sequence.pages = []

    def _vacate(self, sequence: Sequence) -> None:
        self.running.remove(sequence)
        owner = self.line.of(sequence)
        owner.running -= 1
        if sequence.reading:
            owner.reading.remove(sequence)
            sequence.reading = False
        for key in sequence.keys[sequence.known :]:
            if self._coming.get(key) is sequence:
                del self._coming[key]
        self._slots.append(sequence.slot)
        sequence.slot = -1

    def _learn(self, sequence: Sequence) -> None:
        """Makes its full pages known to others."""
        full = sequence.computed // PAGE
        if len(sequence.keys) < full:
            extend_keys(sequence.keys, sequence.ids)
        for at in range(sequence.known, full):
            key = sequence.keys[at]
            self._cache.learn(key, sequence.pages[at])
            self._coming.pop(key, None)
        sequence.known = full

    def _note_cached(self, sequence: Sequence) -> None:
        if not sequence.reply.stats.preemptions:
            sequence.reply.stats.cached_tokens = sequence.computed


def _check_end(sequence: Sequence, now: float) -> None:
    if sequence.reply.cancelled:
        sequence.end("cancelled")
    elif sequence.deadline is not None and now > sequence.deadline:
        written = sequence.reply.stats.output_tokens
        told = f"the deadline of {sequence.terms.deadline_s:g} s passed after {written} tokens"
        sequence.end("error", DeadlineError(told))


def _usable(sequence: Sequence) -> int:
    """Full pages that it may take over from others: one token at least is computed."""
    return (len(sequence.ids) - 1) // PAGE


def _class(sequence: Sequence) -> bool:
    """What goes first: False before True."""
    return sequence.terms.priority == "batch"


def _rank(sequence: Sequence) -> tuple[bool, int]:
    return _class(sequence), sequence.arrival
