"""Guessing what comes next, so that one step may write several tokens.

A guess is computed together with the token before it, which costs little where a step mostly waits for weights. It
counts only if it is what is then drawn: replies are the same with guesses and without, token by token, also when they
are drawn by chance (each token is drawn from the model's own probabilities, and then compared).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

LONGEST = 32  # tokens guessed at once


class Draft(NamedTuple):
    ids: list[int]  # that may come next, in order; empty: no idea
    sure: float  # the drafter's own opinion: how likely each is, if those before it are right


class Drafter(Protocol):
    """Guesses the next ids of one sequence."""

    def draft(self, ids: Sequence[int], limit: int) -> Draft:
        """At most `limit` ids after `ids`, which only ever grow from one call to the next."""


Drafting = Callable[[Sequence[int]], Drafter]  # a drafter for a sequence that begins with this prompt

_NONE = Draft([], 0.0)


class PromptLookup:
    """Finds where the last ids stood before and guesses that it goes on as it did there.

    Agents repeat themselves: file contents, paths, names of arguments.
    """

    SHORTEST = 3  # ids that must be the same
    CANDIDATES = 6  # places that are compared, the latest first
    COMPARED = 24  # ids back to which they are

    def __init__(self, prompt: Sequence[int]) -> None:
        """Sorts the prompt's triples: some milliseconds for 100,000 ids, better not on the engine's thread."""
        numbers = np.asarray(prompt, np.int64)
        triples = (numbers[:-2] << 42) | (numbers[1:-1] << 21) | numbers[2:] if len(numbers) > 2 else numbers[:0]
        order = np.argsort(triples, kind="stable")
        self._triples = triples[order]
        self._ends = (order + 3).astype(np.int32)  # where the triple ends, and so what follows it begins
        earlier = np.zeros(len(numbers) + 1, np.int32)
        same = self._triples[1:] == self._triples[:-1]
        earlier[self._ends[1:][same]] = self._ends[:-1][same]
        self._earlier = earlier  # by end: the same triple's end before, 0 for none
        self._written: dict[int, int] = {}  # the same for what came after the prompt
        self._earlier_written: list[int] = []
        self._known = len(numbers)  # ids whose triples are known

    def draft(self, ids: Sequence[int], limit: int) -> Draft:
        count = len(ids)
        self._learn(ids, count)
        if count < self.SHORTEST or limit < 1:
            return _NONE
        end = self._before(count)
        best, longest = 0, 0
        for _ in range(self.CANDIDATES):
            if end == 0:
                break
            same = self.SHORTEST
            while same < self.COMPARED and same < end and ids[end - 1 - same] == ids[count - 1 - same]:
                same += 1
            if same > longest:
                best, longest = end, same
            if same == self.COMPARED:
                break
            end = self._before(end)
        if best == 0:
            return _NONE
        guess = list(ids[best : best + limit])
        while len(guess) < limit:  # what repeats up to its own end goes on in circles
            guess.append(guess[len(guess) - (count - best)])
        return Draft(guess, longest / (longest + 2))

    def _learn(self, ids: Sequence[int], count: int) -> None:
        for end in range(self._known + 1, count + 1):
            if end < self.SHORTEST:
                self._earlier_written.append(0)
                continue
            triple = ids[end - 3] << 42 | ids[end - 2] << 21 | ids[end - 1]
            self._earlier_written.append(self._written.get(triple) or self._in_prompt(triple))
            self._written[triple] = end
        self._known = count

    def _before(self, end: int) -> int:
        """Where the triple that ends at `end` ended last before."""
        first = len(self._earlier)
        return int(self._earlier[end]) if end < first else self._earlier_written[end - first]

    def _in_prompt(self, triple: int) -> int:
        place = int(self._triples.searchsorted(triple, side="right")) - 1
        return int(self._ends[place]) if place >= 0 and self._triples[place] == triple else 0


@runtime_checkable
class Likely(Protocol):
    """A grammar that knows what mostly comes next where it allows more: a sampler's Constraint may have this."""

    def likely(self) -> list[int]:
        """Ids that the grammar allows, in order; empty: no idea."""


class FromGrammar:
    """Guesses what a grammar holds likely."""

    def __init__(self, grammar: Likely) -> None:
        self._grammar = grammar

    def draft(self, ids: Sequence[int], limit: int) -> Draft:
        guess = self._grammar.likely()[:limit]
        return Draft(guess, 0.95) if guess else _NONE


def drafters(prompt: Sequence[int], grammar: object, drafting: Sequence[Drafting]) -> list[Drafter]:
    """All that can guess for a reply to this prompt under this grammar, the first to be asked first."""
    known: list[Drafter] = [FromGrammar(grammar)] if isinstance(grammar, Likely) else []
    return known + [make(prompt) for make in drafting]


class _Record:
    """How often a drafter was right, by how sure it was: what is long past counts less."""

    def __init__(self) -> None:
        self.right = [0.0] * 5
        self.wrong = [0.0] * 5
        self.seconds = 0.0  # of a call

    def chance(self, sure: float) -> float:
        at = int(sure * 4.999)
        right, wrong = self.right[at] + 2 * sure, self.wrong[at] + 2 * (1 - sure)
        return right / (right + wrong)

    def note(self, sure: float, right: int, failed: bool) -> None:
        at = int(sure * 4.999)
        self.right[at] = min(self.right[at] * _FADES + right, _MOST)  # a long copy that ends is soon forgotten
        self.wrong[at] = self.wrong[at] * _FADES + failed


_FADES = 0.9
_MOST = 12.0
_ASK_AGAIN = 64  # steps after which a drafter that cost more than it brought is asked once more


class Guesser:
    """Decides what one sequence guesses, and how much of it, from what became of its guesses before.

    A guess is also watched when it was not worth its row, so a drafter that was wrong for a while is used again when it
    would have been right.
    """

    def __init__(self, drafters: Sequence[Drafter]) -> None:
        self._drafters = [(drafter, _Record()) for drafter in drafters]
        self._watched: list[tuple[Draft, _Record]] = []  # what was proposed when the sequence had
        self._since = 0  # ids
        self._rest = 0

    def guess(self, ids: Sequence[int], limit: int, row_cost: float, token_s: float) -> list[int]:
        """At most `limit` ids. `row_cost`: of one more row, as a share of what a token costs now; `token_s`: seconds
        that one takes."""
        if limit < 1:
            return []
        self._watch(ids)
        self._rest = max(self._rest - 1, 0)
        for drafter, record in self._drafters:
            if record.seconds > token_s:  # even one right guess would not bring that back
                if self._rest:
                    continue
                self._rest = _ASK_AGAIN
            began = time.perf_counter()
            draft = drafter.draft(ids, min(limit, LONGEST))
            took = time.perf_counter() - began
            record.seconds = took if not record.seconds else min(record.seconds * 0.9 + took * 0.1, took * 4)
            if not draft.ids:
                continue
            self._watched.append((draft, record))
            if count := worthwhile(record.chance(draft.sure), row_cost, len(draft.ids)):
                return draft.ids[:count]
        return []

    def _watch(self, ids: Sequence[int]) -> None:
        """Compares what was proposed with what came."""
        came = len(ids) - self._since
        for draft, record in self._watched:
            right = 0
            for guessed in draft.ids[:came]:
                if guessed != ids[self._since + right]:
                    break
                right += 1
            record.note(draft.sure, right, right < min(came, len(draft.ids)))
        self._watched.clear()
        self._since = len(ids)


def worthwhile(chance: float, row_cost: float, most: int) -> int:
    """How many guesses to compute: as long as the next one is more likely to be written than its row costs.

    A row pays if what it may write, in tokens, is more than what the same time writes without it. Each guess needs all
    those before it, so its likelihood is `chance` to the power of its place.
    """
    likely, count = chance, 0
    while count < most and likely > row_cost:
        count += 1
        likely *= chance
    return count
