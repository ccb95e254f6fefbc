"""Who computes what: pages, places and shares, over random schedules without a model; then with one, to the bit."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import engines
import tiny
from moonlet.engine.batch import Batch
from moonlet.engine.cache import PageCache
from moonlet.engine.drafter import Draft, Guesser, PromptLookup
from moonlet.engine.engine import DeadlineError, Engine, EngineError, EngineOptions, QueueFullError, Terms
from moonlet.engine.line import TURN
from moonlet.engine.pace import Curve, Pace, bytes_read
from moonlet.engine.sampler import Sampling
from moonlet.engine.scheduler import Scheduler
from moonlet.engine.sequence import Reply, Sequence
from moonlet.kernels import PAGE
from moonlet.model.config import parse_config

VOCAB = 64
GREEDY = Sampling(temperature=0)
PLAIN = Terms()


class Drive:
    """A scheduler whose steps are computed by nobody: after position p comes p * 7 mod 64. Checks every batch."""

    def __init__(self, pages: int = 64, step_tokens: int = 256, slots: int = 8, context: int = 0) -> None:
        self.context = context or pages * PAGE
        self.cache = PageCache(pages)
        self.batch = Batch(step_tokens, slots + 64, slots, self.context, -(-self.context // PAGE), 1, 1)
        self.pace = Pace(parse_config(tiny.config("k2")), 0.25, lambda rows: 1.0 + rows / 100)
        self.scheduler = Scheduler(self.cache, self.batch, self.pace, step_tokens, slots, None)
        self.computed = 0  # tokens of prompts
        self.steps = 0
        self.prompt_tokens = 0  # read in the last step
        self.seconds = 0.0  # of the last step

    def add(self, ids: list[int], tokens: int = 10, terms: Terms = PLAIN, guess: bool = False) -> Sequence:
        sampling = replace(GREEDY, max_tokens=tokens)
        guesser = Guesser([PromptLookup(ids)]) if guess else None
        sequence = Sequence(ids, sampling, None, VOCAB, guesser, terms)
        self.scheduler.add(sequence)
        return sequence

    def step(self) -> bool:
        batch = self.scheduler.next()
        if not batch.works:
            return False
        self.check(batch)
        self.steps += 1
        rows, load, self.prompt_tokens = 0, 0.0, 0
        for work in batch.works:
            sequence = work.sequence
            if sequence.reading:
                load += self.pace.load(sequence.computed, work.count)
                self.prompt_tokens += work.count
            else:
                rows += work.tokens
            if work.completes:
                base = len(sequence.ids) - 1
                logits = np.zeros((work.tokens - work.count + 1, VOCAB), np.float32)
                for i, row in enumerate(logits):
                    row[(base + i) * 7 % VOCAB] = 1
                sequence.advance(logits)
            else:
                sequence.computed += work.count
            self.scheduler.settle(work)
        self.computed += self.prompt_tokens
        self.seconds = 0.02 + 0.002 * rows + 0.001 * load  # a machine that is easy to understand
        self.pace.note(rows, load, self.seconds)
        return True

    def run(self, steps: int = 20_000) -> None:
        while self.step():
            assert self.steps < steps, "it does not come to an end"

    def check(self, batch: Batch) -> None:
        """Nobody writes where another one reads, and the arrays say what the sequences are."""
        assert batch.tokens <= len(batch.ids) and batch.rows <= len(batch.want)
        writers: dict[int, int] = {}
        want = 0
        for work in batch.works:
            s, at = work.sequence, work.start
            whole = s.ids[s.computed : s.computed + work.count] + s.guess
            assert batch.ids[at : at + work.tokens].tolist() == whole
            assert batch.positions[at : at + work.tokens].tolist() == [*range(s.computed, s.computed + len(whole))]
            assert set(batch.sequences[at : at + work.tokens].tolist()) == {s.slot}
            assert batch.pages[s.slot, : len(s.pages)].tolist() == s.pages
            assert (len(s.pages)) * PAGE >= s.computed + len(whole)
            for position in range(s.computed, s.computed + len(whole)):
                page = s.pages[position // PAGE]
                assert position // PAGE >= s.known and self.cache._key_of[page] is None
                assert self.cache._users[page] == 1 and writers.setdefault(page, s.slot) == s.slot
            if work.completes:
                wanted = batch.want[want : want + work.tokens - work.count + 1]
                assert wanted.tolist() == [*range(at + work.count - 1, at + work.tokens)]
                want += len(wanted)
        assert want == batch.rows


def expected(sequence: Sequence) -> list[int]:
    start = sequence.prompt_length
    return [(start - 1 + i) * 7 % VOCAB for i in range(sequence.sampling.max_tokens)]


def ids(count: int, seed: int = 0) -> list[int]:
    return engines.ids(count, seed, VOCAB)


@pytest.mark.parametrize("seed", range(12))
def test_random_schedules_end_with_every_token_in_place(seed: int) -> None:
    rng = random.Random(seed)
    drive = Drive(pages=rng.choice([12, 20, 40]), step_tokens=rng.choice([5, 40, 200]), slots=rng.choice([2, 5, 12]))
    common = ids(200, 99)
    todo, everyone = rng.randrange(10, 30), []
    while todo or drive.scheduler.running:
        if todo and rng.random() < 0.3:
            todo -= 1
            prompt = common[: rng.choice([0, 64, 130, 200])] + ids(rng.randrange(1, 300), rng.randrange(9))
            terms = Terms(rng.choice("ab"), rng.choice([1, 2]), rng.choice(["interactive", "batch"]))
            everyone.append(drive.add(prompt, rng.randrange(1, 150), terms, rng.random() < 0.5))
        if rng.random() < 0.02 and everyone:
            rng.choice(everyone).reply.cancel()
        drive.step()
        assert drive.steps < 20_000
    drive.run()
    for sequence in everyone:
        assert sequence.over and not sequence.pages
        written = sequence.ids[sequence.prompt_length :]
        assert written == expected(sequence)[: len(written)]
        assert sequence.reply.cancelled or len(written) == sequence.sampling.max_tokens
    assert drive.cache.available == drive.cache.pages and not drive.scheduler._coming
    assert sorted(drive.scheduler._slots) == [*range(len(drive.scheduler._slots))]


def test_when_pages_run_out_the_latest_arrival_gives_its_own_back() -> None:
    drive = Drive(pages=10, slots=4)
    replies = [drive.add(ids(100, seed), 300) for seed in range(3)]  # each comes to hold 7 pages
    drive.run()
    assert [r.ids[100:] == expected(r) for r in replies] == [True] * 3
    assert replies[0].reply.stats.preemptions == 0 < replies[2].reply.stats.preemptions


def test_one_prompt_asked_for_eight_times_at_once_is_read_once() -> None:
    drive = Drive()
    replies = [drive.add(ids(1000), 5) for _ in range(8)]
    drive.run()
    assert drive.computed < 1000 + 8 * PAGE
    assert [r.reply.stats.cached_tokens for r in replies] == [0] + [15 * PAGE] * 7


def test_what_a_reply_under_way_has_is_shared_at_once() -> None:
    drive = Drive()
    first = drive.add(ids(500), 2000)
    for _ in range(400):
        drive.step()
    assert not first.over
    second = drive.add(first.ids[:], 5)  # a question about the answer so far
    while not second.over:
        drive.step()
    assert second.reply.stats.cached_tokens > 850 and not first.over


@pytest.mark.parametrize("weights", [(1, 1), (3, 1), (1, 2)])
def test_owners_get_what_their_weights_say(weights: tuple[int, int]) -> None:
    """Also when one of them asks for ten times as much: shares of the tokens computed, within 10 %."""
    drive = Drive(pages=400, slots=8)
    for _ in range(3000):
        keep_asking(drive, Terms("a", weights[0]), 2)
        keep_asking(drive, Terms("b", weights[1]), 20)
        drive.step()
    a, b = (drive.scheduler.line.owners[name].served * w for name, w in zip("ab", weights))
    assert a / b == pytest.approx(weights[0] / weights[1], rel=0.1)


def keep_asking(drive: Drive, terms: Terms, waiting: int, prompt: int = 300, tokens: int = 40) -> None:
    """Until so many requests of the owner wait."""
    owners = drive.scheduler.line.owners
    while terms.owner not in owners or len(owners[terms.owner].waiting) < waiting:
        drive.add(ids(prompt, drive.scheduler._arrivals), tokens, terms)


def test_what_an_owner_had_alone_is_not_held_against_it() -> None:
    """Whoever comes next, when nobody has work, does not get as much first."""
    drive, names = Drive(pages=400), ("late", "early")
    for seed in range(40):
        drive.add(ids(1000, seed), 40, Terms("early"))
    drive.run()
    owners, before = drive.scheduler.line.owners, list[float]()
    for _ in range(300):
        for name in names:
            keep_asking(drive, Terms(name), 5, prompt=3000, tokens=5)
        before = before or [owners[name].served for name in names]
        drive.step()
    late, early = (owners[name].served - had for name, had in zip(names, before))
    assert early / late == pytest.approx(1, rel=0.1)


def test_an_owner_who_has_all_places_makes_room_for_another() -> None:
    drive = Drive(pages=400, slots=8)
    for seed in range(20):
        drive.add(ids(50, seed), 1500, Terms("greedy"))
    for _ in range(100):
        drive.step()
    late = drive.add(ids(50, 99), 10, Terms("late"))
    for _ in range(80):
        drive.step()
    assert late.over
    drive.run()


def test_batch_work_does_not_give_way_to_what_cannot_come_in() -> None:
    drive = Drive(pages=20)
    drive.add(ids(9 * PAGE, 1), 400)
    work = drive.add(ids(2 * PAGE, 2), 400, Terms(priority="batch"))
    for _ in range(8):
        drive.step()
    large = drive.add(ids(13 * PAGE, 3), 10, Terms("other"))
    for _ in range(200):
        drive.step()
    assert large.slot < 0 and work.reply.stats.preemptions == 0 and work.reply.stats.output_tokens > 200
    drive.run()
    assert large.reply.finish == work.reply.finish == "length"


def test_batch_work_takes_what_is_left_and_gives_way() -> None:
    drive = Drive(pages=64, slots=2)
    batch = [drive.add(ids(50, seed), 200, Terms(priority="batch")) for seed in range(4)]
    for _ in range(10):
        drive.step()
    asked = [drive.add(ids(50, seed), 20) for seed in (7, 8)]
    for _ in range(25):
        drive.step()
    assert all(s.over for s in asked) and not any(s.over for s in batch)
    drive.run()
    assert [s.ids[50:] == expected(s) for s in batch] == [True] * 4


def test_a_long_prompt_does_not_stall_replies_under_way() -> None:
    """Eight replies under way, at most 250 ms a step: chunks are nearly as large as that allows and no larger."""
    drive = Drive(pages=2000, step_tokens=4096, slots=12, context=100_000)
    drive.pace._even = 10_000  # the context of even cost of a large model
    for seed in range(8):
        drive.add(ids(10, seed), 90_000)
    for _ in range(20):
        drive.step()
    long = drive.add(ids(60_000, 50), 1)
    stalls, chunks = [], []
    while not long.answered:
        drive.step()
        stalls.append(drive.seconds)
        chunks.append(drive.prompt_tokens)
    assert max(stalls) <= 0.25
    assert sum(stalls[10:]) / len(stalls[10:]) > 0.13  # and the budget is used
    assert chunks[-1] < chunks[12]  # far into a prompt a token costs more


def test_a_prompt_is_read_at_full_speed_when_nobody_waits() -> None:
    drive = Drive(pages=200, step_tokens=512)
    drive.add(ids(5000), 1)
    drive.run()
    assert drive.steps == 10


def test_a_short_prompt_does_not_wait_for_a_long_one() -> None:
    drive = Drive(pages=1000, step_tokens=512)
    long = drive.add(ids(40_000, 1), 1)
    drive.step()
    short = drive.add(ids(100, 2), 1)
    steps = drive.steps
    while not short.over:
        drive.step()
    assert drive.steps - steps <= TURN // 512 + 2 and not long.answered


def test_a_prompt_that_needs_many_pages_is_not_passed_for_ever() -> None:
    drive = Drive(pages=40, slots=6)
    for seed in range(4):
        drive.add(ids(300, seed), 60)
    drive.step()
    large, seed = drive.add(ids(2200, 5), 5), 100
    while not large.over:
        seed += 1
        drive.add(ids(100, seed), 60)
        drive.step()
        assert drive.steps < 2000


def test_curves_learn_and_forget() -> None:
    curve = Curve()
    assert curve.largest(1.0) == 0 and curve.at(5) == 0
    for _ in range(20):
        curve.add(64, 0.1)
    assert curve.at(64) == pytest.approx(0.1)
    assert 64 < curve.largest(0.15) < 128 and curve.largest(0.05) < 64
    curve.add(64, 100.0)  # the machine slept
    assert curve.at(64) < 0.2
    for _ in range(20):
        curve.add(64, 0.2)
    assert curve.at(64) == pytest.approx(0.2, rel=0.1)


def test_the_price_of_a_row_is_learned() -> None:
    pace = Pace(parse_config(tiny.config("k2")), 0.25, bytes_read(1000, 10, 384, 8))
    assert pace.row_cost(1) == pytest.approx(80 / 1080, rel=0.1)  # from the bytes, nearly all experts distinct
    for _ in range(5):
        pace.note(1, 0, 0.100)
        pace.note(3, 0, 0.102)
    assert pace.row_cost(1) == 0.02  # nearly free
    for _ in range(20):
        pace.note(3, 0, 0.29)
    assert pace.row_cost(1) == pytest.approx(0.95, abs=0.02)  # every row reads its own experts from disk


# ---- with a model ---------------------------------------------------------------------------------------------------


class Wild:
    """Guesses anything."""

    def __init__(self, prompt: object) -> None:
        self.rng = random.Random(len(str(prompt)))

    def draft(self, ids: object, limit: int) -> Draft:
        return Draft([self.rng.randrange(320) for _ in range(self.rng.randrange(limit + 1))], 1.0)


def test_replies_are_the_same_in_any_schedule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guesses, preemption, sharing, owners, cancelled neighbours, disk and restarts: not a bit changes."""
    monkeypatch.setattr(Pace, "row_cost", lambda *_: 0.0)
    folder, rng = engines.folder(), random.Random(0)
    common = engines.ids(330, 5)
    prompts = [common[: (64, 330)[i % 2]] + engines.ids(rng.randrange(1, 120), i) for i in range(10)]
    samplings = [
        Sampling(max_tokens=rng.randrange(5, 60), logprobs=True, temperature=i % 2, seed=i) for i in range(len(prompts))
    ]
    with Engine(folder, EngineOptions(cache_tokens=2048, threads=1), drafting=()) as engine:
        alone = [engines.said(engine.submit(p, s)) for p, s in zip(prompts, samplings)]
    preempted = restored = guessed = 0
    for seed in range(6):
        rng = random.Random(seed)
        options = EngineOptions(
            cache_tokens=rng.choice([512, 768]),
            step_tokens=rng.choice([9, 64, 300]),
            max_sequences=rng.choice([3, 8]),
            threads=rng.choice([1, 2]),
            spill_bytes=rng.choice([200_000, 1 << 30]) if seed % 3 else 0,
            spill_path=tmp_path,
        )
        with Engine(folder, options, drafting=[Wild, PromptLookup]) as engine:
            order = rng.sample(range(len(prompts)), len(prompts))
            terms = [Terms(rng.choice("ab"), priority=rng.choice(["interactive", "batch"])) for _ in order]
            replies = [(i, engine.submit(prompts[i], samplings[i], None, t)) for i, t in zip(order, terms)]
            noise = engine.submit(engines.ids(200, 77), Sampling(max_tokens=200))
            for i, reply in replies:
                assert engines.said(reply) == alone[i], (seed, i)
                noise.cancel()
                preempted += reply.stats.preemptions
                restored += reply.stats.restored_tokens
                guessed += reply.stats.guessed_tokens
    assert preempted and restored and guessed


def test_a_full_queue_says_when_to_come_again() -> None:
    options = EngineOptions(cache_tokens=2048, threads=1, max_sequences=1, max_waiting=4)
    with Engine(engines.folder(), options) as engine:
        running = engine.submit([1], Sampling(max_tokens=2000))
        next(iter(running))
        waiting = [engine.submit([1, i], Sampling(max_tokens=5), None, Terms("a")) for i in (1, 2)]
        while engine._scheduler.line.count < 2:
            time.sleep(0.001)
        with pytest.raises(QueueFullError, match="2 requests of the same owner wait") as full:
            engine.submit([1, 3], Sampling(max_tokens=5), None, Terms("a"))
        assert 1 <= full.value.retry_after_s <= 120
        waiting += [engine.submit([1, i], Sampling(max_tokens=5), None, Terms("b")) for i in (4, 5)]
        with pytest.raises(QueueFullError, match="4 requests wait"):
            engine.submit([1, 6], Sampling(max_tokens=5), None, Terms("c"))
        running.cancel()
        assert [len(list(reply)) for reply in waiting] == [5] * 4


def test_the_limit_for_one_owner_holds_while_a_step_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    under_way, go_on = threading.Event(), threading.Event()
    with Engine(engines.folder(), EngineOptions(cache_tokens=2048, threads=1, max_waiting=8)) as engine:
        step = engine._network.step

        def held(batch: Batch, watched: bool) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
            under_way.set()
            go_on.wait()
            return step(batch, watched)

        def ask(owner: str) -> Reply | None:
            with suppress(QueueFullError):
                return engine.submit([1], Sampling(max_tokens=5), None, Terms(owner))

        monkeypatch.setattr(engine._network, "step", held)
        running = ask("")
        under_way.wait()
        with ThreadPoolExecutor(10) as pool:
            greedy = [reply for reply in pool.map(ask, ["greedy"] * 10) if reply]
        other = ask("other")
        go_on.set()
        assert len(greedy) == 4 and running and other
        assert [len(list(reply)) for reply in (running, other, *greedy)] == [5] * 6
        again = ask("greedy")
        assert again and len(list(again)) == 5


def test_a_deadline_ends_a_reply_that_runs_and_one_that_waits() -> None:
    options = EngineOptions(cache_tokens=4096, threads=1, max_sequences=1)
    with Engine(engines.folder(), options, drafting=()) as engine:  # with guesses, 4,000 tokens may be in time
        runs, waits = Terms(deadline_s=0.2), Terms(deadline_s=0.1)
        endless = Sampling(max_tokens=4000, temperature=0)
        replies = [engine.submit([1, i], endless, None, terms) for i, terms in enumerate((runs, waits))]
        for reply, told in zip(replies, (r"0\.2 s passed after", r"0\.1 s passed after 0 tokens")):
            with pytest.raises(DeadlineError, match=told):
                list(reply)
        assert replies[0].stats.output_tokens > replies[1].stats.output_tokens == 0
        assert len(list(engine.submit([1], Sampling(max_tokens=5), None, Terms(deadline_s=60)))) == 5


@pytest.mark.parametrize("bad", [{"weight": 0}, {"priority": "soon"}, {"deadline_s": 0}])
def test_terms_out_of_range_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        Terms(**bad)  # type: ignore[arg-type]


def test_scores_take_pages_from_replies_under_way_which_go_on_unchanged() -> None:
    with Engine(engines.folder(), EngineOptions(cache_tokens=512, threads=1)) as engine:
        sampling, prompt = Sampling(max_tokens=250, temperature=0, logprobs=True), engines.ids(100, 1)
        alone = engines.said(engine.submit(prompt, sampling))
        reply = engine.submit(prompt, sampling)
        rows = engine.logits(engines.ids(500, 2))
        assert rows.shape == (500, 320) and engines.said(reply) == alone
        with pytest.raises(EngineError, match="do not fit"):
            engine.logits([1] * 513)


def test_a_step_takes_little_of_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the processor, at one sequence with guesses, the native step left out: well under 150 us."""
    engine = Engine(engines.folder(), EngineOptions(cache_tokens=8192, threads=1))
    engine.close()  # its loop has ended: the steps are taken here
    prompt = engines.ids(50, 1)
    logits = np.random.default_rng(0).normal(size=(200, 320)).astype(np.float32)
    monkeypatch.setattr(
        engine._network, "step", lambda batch, watched: (logits[engine.steps % 100 :][: batch.rows], batch.chosen())
    )
    sampling = Sampling(max_tokens=4000, temperature=0)
    engine._scheduler.add(Sequence(prompt, sampling, None, 320, Guesser([PromptLookup(prompt)])))
    took = []
    for _ in range(15):
        began = time.thread_time()
        for _ in range(100):
            assert engine.step()
        took.append((time.thread_time() - began) / 100)
    assert min(took) < 150e-6
