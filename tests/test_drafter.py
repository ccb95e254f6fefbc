"""Guesses: what is found, what is worth computing, and that no reply changes by them."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest

import engines
from moonlet.engine.drafter import Draft, Guesser, PromptLookup, worthwhile
from moonlet.engine.engine import Engine, EngineOptions
from moonlet.engine.pace import Pace
from moonlet.engine.sampler import Sampling
from moonlet.engine.sequence import Sequence as Running

OPTIONS = EngineOptions(cache_tokens=4096, threads=1)


def plainly(ids: Sequence[int], limit: int) -> list[int]:
    """What PromptLookup finds, by looking everywhere."""
    places = [end for end in range(3, len(ids)) if ids[end - 3 : end] == ids[-3:]][::-1][: PromptLookup.CANDIDATES]
    best, longest = 0, 0
    for end in places:
        same = next(
            (n for n in range(3, PromptLookup.COMPARED) if n >= end or ids[end - 1 - n] != ids[-1 - n]),
            PromptLookup.COMPARED,
        )
        if same > longest:
            best, longest = end, same
    if not best:
        return []
    guess = list(ids[best:])
    return [guess[i % len(guess)] for i in range(limit)]


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 60])
def test_lookup_finds_what_a_search_everywhere_finds(length: int) -> None:
    for seed in range(30):
        rng = random.Random(seed)
        ids = [rng.randrange(3) for _ in range(length)]
        lookup = PromptLookup(ids)
        for _ in range(40):
            assert lookup.draft(ids, 7).ids == (plainly(ids, 7) if len(ids) > 3 else []), (seed, ids)
            ids += [rng.randrange(3) for _ in range(rng.randrange(1, 4))]


def test_a_longer_match_is_preferred_and_surer() -> None:
    ids = [1, 2, 3, 4, 5, 6, 7, 8, 0, 3, 4, 5, 9, 0, 1, 2, 3, 4, 5]
    draft = PromptLookup(ids).draft(ids, 3)
    assert draft.ids == [6, 7, 8]
    assert draft.sure > PromptLookup([3, 4, 5, 6, 3, 4, 5]).draft([3, 4, 5, 6, 3, 4, 5], 1).sure


@pytest.mark.parametrize(
    ("chance", "cost", "count"), [(0.9, 0.5, 6), (0.9, 0.02, 32), (0.5, 0.5, 0), (0.4, 0.5, 0), (1.0, 0.99, 32)]
)
def test_a_guess_is_computed_while_it_is_likelier_than_its_row_costs(chance: float, cost: float, count: int) -> None:
    assert worthwhile(chance, cost, 32) == count


class Fixed:
    def __init__(self, sure: float) -> None:
        self.sure = sure

    def draft(self, ids: Sequence[int], limit: int) -> Draft:
        return Draft([7] * limit, self.sure)


def test_a_drafter_that_is_wrong_is_switched_off_and_comes_back_when_it_is_right() -> None:
    guesser, ids = Guesser([Fixed(0.7)]), [1]
    counts = []
    for new in [7] * 10 + [1] * 20 + [7] * 30:
        counts.append(len(guesser.guess(ids, 8, 0.4, 1.0)))
        ids.append(new)
    assert counts[9] > counts[0] > 0  # right: longer
    assert max(counts[20:30]) == 0  # wrong: off, but watched
    assert counts[-1] > 0


def test_a_drafter_that_costs_more_than_it_brings_is_hardly_asked() -> None:
    class Slow(Fixed):
        asked = 0

        def draft(self, ids: Sequence[int], limit: int) -> Draft:
            self.asked += 1
            return super().draft(ids, limit)

    slow = Slow(0.9)
    guesser = Guesser([slow])
    for count in range(200):
        guesser.guess([1] * (count + 1), 8, 0.1, 1e-9)
    assert slow.asked < 8


class Oracle:
    """Knows the reply, and is wrong now and then; so sure of itself that it is always heard."""

    def __init__(self, prompt: Sequence[int], replies: dict[tuple[int, ...], list[int]], seed: int) -> None:
        self.whole = [*prompt, *replies[tuple(prompt)]]
        self.rng = random.Random(seed)

    def draft(self, ids: Sequence[int], limit: int) -> Draft:
        ahead = self.whole[len(ids) : len(ids) + self.rng.randrange(limit + 1)]
        return Draft([id if self.rng.random() < 0.8 else 5 for id in ahead], 1.0)


class Odd:
    """A grammar: after an even id only odd ones, and 21 is followed by 22 23 24."""

    def __init__(self) -> None:
        self.last = 0

    def mask(self) -> np.ndarray:
        return np.full(10, 0x55555555 << (1 - self.last % 2) & 0xFFFFFFFF, np.uint32)

    def accept(self, id: int) -> None:
        self.last = id

    def forced(self) -> list[int]:
        return [22, 24, 25] if self.last == 21 else []


SETTINGS = [
    {"temperature": 0.0},
    {"temperature": 1.0, "seed": 3},
    {"temperature": 0.8, "seed": 4, "top_p": 0.9, "presence_penalty": 1.0, "repetition_penalty": 1.2},
    {"temperature": 1.0, "seed": 5, "top_k": 12, "frequency_penalty": 0.4, "logit_bias": {21: 6.0}},
]


@pytest.mark.parametrize("grammar", [False, True])
@pytest.mark.parametrize("logprobs", [True, False])
def test_no_reply_changes_by_guesses(monkeypatch: pytest.MonkeyPatch, grammar: bool, logprobs: bool) -> None:
    """Greedy or by chance, with penalties and grammar: the same tokens and, to the bit, the same logprobs."""
    monkeypatch.setattr(Pace, "row_cost", lambda *_: 0.0)
    prompts = [engines.ids(20 + 30 * i, i) for i in range(len(SETTINGS))]
    samplings = [Sampling(max_tokens=60, logprobs=logprobs, **s) for s in SETTINGS]  # type: ignore[arg-type]

    def run(engine: Engine, together: bool) -> list[engines.Said]:
        todo = list(zip(prompts, samplings))
        if not together:
            return [engines.said(engine.submit(p, s, Odd() if grammar else None)) for p, s in todo]
        replies = [engine.submit(p, s, Odd() if grammar else None) for p, s in todo]
        out = [engines.said(reply) for reply in replies]
        stats = [reply.stats for reply in replies]
        assert all(0 < s.right_tokens < s.guessed_tokens and s.steps < 50 for s in stats), stats
        assert all(s.output_tokens == 60 for s in stats)
        return out

    with Engine(engines.folder(), OPTIONS, drafting=()) as engine:
        plain = run(engine, False)
    assert not logprobs or all(logprob is not None for reply in plain for _, logprob in reply)
    replies = {tuple(p): [id for id, _ in reply] for p, reply in zip(prompts, plain)}
    for seed in range(3):
        drafting = [lambda prompt, seed=seed: Oracle(prompt, replies, seed), PromptLookup]
        with Engine(engines.folder(), OPTIONS, drafting) as engine:
            assert run(engine, True) == plain


def test_logprobs_do_not_change_the_reply() -> None:
    with Engine(engines.folder(), OPTIONS) as engine:
        prompt, said = engines.ids(30, 1), []
        for logprobs in (False, True):
            sampling = Sampling(max_tokens=80, seed=1, logprobs=logprobs, logit_bias={21: 5.0})
            said.append([token.id for token in engine.submit(prompt, sampling, Odd())])
    assert said[0] == said[1]
    assert 21 in said[0]


def test_tokens_drawn_beside_guesses_follow_the_probabilities() -> None:
    """The law of speculative sampling: a guess is kept with its probability, else another is drawn."""
    share = np.array([0.5, 0.3, 0.15, 0.05])
    rows = np.log(np.stack([share, share[::-1], share])).astype(np.float32)
    firsts, seconds = np.zeros(4), np.zeros(4)
    for seed in range(6000):
        sequence = Running([0], Sampling(max_tokens=9, seed=seed), None, 4)
        sequence.guess = [1, 2]
        sequence.advance(rows)
        firsts[sequence.ids[1]] += 1
        if sequence.ids[1] == 1:
            seconds[sequence.ids[2]] += 1
    np.testing.assert_allclose(firsts / firsts.sum(), share, atol=0.025)
    np.testing.assert_allclose(seconds / seconds.sum(), share[::-1], atol=0.05)


def test_a_repeating_reply_takes_fewer_steps_than_it_has_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Greedy text of a tiny random model soon runs in circles, which the lookup sees."""
    monkeypatch.setattr(Pace, "row_cost", lambda *_: 0.3)
    monkeypatch.setattr(Pace, "token_s", lambda *_: 1.0)  # a token of the tiny model is quicker than looking it up
    with Engine(engines.folder(), OPTIONS) as engine:
        reply = engine.submit([5] * 3 + engines.ids(20, 2), Sampling(max_tokens=600, temperature=0, logit_bias={7: 30}))
        assert [token.id for token in reply] == [7] * 600
    assert reply.stats.steps < 60
    assert reply.stats.right_tokens > 0.9 * reply.stats.guessed_tokens


def test_guesses_that_could_not_be_computed_do_not_count() -> None:
    """Their experts could not be read: there are no logits for them, and the cache holds nothing of use."""

    class Then:
        def mask(self) -> None: ...
        def accept(self, id: int) -> None: ...
        def forced(self) -> list[int]:
            return [2, 3]

    sequence = Running([0], Sampling(max_tokens=9, temperature=0), Then(), 4)
    sequence.guess = [1, 2, 3]
    sequence.advance(np.eye(4, dtype=np.float32)[[1, 2]])  # only the first guess was computed
    assert sequence.ids == [0, 1, 2, 3] and sequence.computed == 2
