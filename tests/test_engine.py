"""The engine over token ids: the same tokens whatever the company, the chunks, the threads or the cache."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import tiny
from moonlet import kernels
from moonlet.engine.batch import Batch
from moonlet.engine.engine import Engine, EngineError, EngineOptions
from moonlet.engine.memory import step_bytes
from moonlet.engine.network import Network
from moonlet.engine.sampler import Sampler, Sampling
from moonlet.engine.sequence import Seen, Trace
from moonlet.model.convert import ConvertOptions, convert
from moonlet.model.folder import ModelFolder, open_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    path = tmp_path_factory.mktemp("engine")
    tiny.write(path / "source", "k2", "bf16")
    convert(path / "source", path / "model", ConvertOptions(dense="int8", experts="int4"))
    return open_folder(path / "model")


@pytest.fixture
def engine(folder: ModelFolder) -> Iterator[Engine]:
    with Engine(folder, EngineOptions(cache_tokens=4096)) as engine:
        yield engine


def ids_of(engine: Engine, prompt: list[int], **settings: object) -> list[int]:
    sampling = Sampling(**{"max_tokens": 20, "temperature": 0.0, **settings})  # type: ignore[arg-type]
    return [token.id for token in engine.submit(prompt, sampling)]


def prompts(count: int, vocab: int, longest: int = 200, seed: int = 0) -> list[list[int]]:
    rng = random.Random(seed)
    return [[rng.randrange(vocab) for _ in range(rng.randint(1, longest))] for _ in range(count)]


@pytest.mark.parametrize("isa", kernels.isas())
@pytest.mark.parametrize("exact", [False, True])
def test_logits_are_bit_identical_in_any_chunks_and_threads(folder: ModelFolder, isa: str, exact: bool) -> None:
    ids = prompts(1, folder.config.vocab, 150, seed=3)[0] * 2
    found = []
    for step_tokens, threads in [(512, 1), (1, 2), (7, 3), (64, 2)]:
        options = EngineOptions(cache_tokens=1024, step_tokens=step_tokens, threads=threads, isa=isa, exact=exact)
        with Engine(folder, options) as engine:
            found.append(engine.logits(ids))
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


@pytest.mark.long
def test_a_long_context_is_read_in_spans_by_one_thread_or_several_to_the_same_bits(folder: ModelFolder) -> None:
    rng = random.Random(5)
    ids = [rng.randrange(folder.config.vocab) for _ in range(1200)]
    found = []
    for step_tokens, threads in [(512, 1), (16, 2), (2, 3)]:
        with Engine(folder, EngineOptions(cache_tokens=2048, step_tokens=step_tokens, threads=threads)) as engine:
            found.append(engine.logits(ids)[1000:])
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("first", [False, True])
def test_a_reply_beside_an_expanded_prompt_is_the_one_alone(folder: ModelFolder, threads: int, first: bool) -> None:
    """Its cache is long enough to be read in spans by several threads, and belongs to it."""
    config, known, beside = folder.config, 1200, 300
    ids = np.random.default_rng(0).integers(0, config.vocab, known + 1).astype(np.int32)
    network = Network(folder, tokens=512, rows=2, pages=60, threads=threads, expanded=True)
    batch = Batch(512, 2, 2, known, 30, config.sparse_layers, config.experts_per_token)
    batch.pages[:] = np.arange(60).reshape(2, 30)

    def step(*parts: tuple[int, int, int]) -> NDArray[np.float32]:
        """Of (sequence, begin, end): the logits behind each part."""
        batch.clear()
        for sequence, begin, end in parts:
            here = slice(batch.tokens, batch.tokens + end - begin)
            batch.ids[here], batch.positions[here] = ids[begin:end], np.arange(begin, end)
            batch.sequences[here] = sequence
            batch.want[batch.rows] = here.stop - 1
            batch.tokens, batch.rows = here.stop, batch.rows + 1
        return network.step(batch)[0][: len(parts), : config.vocab].copy()

    for begin in range(0, known, beside):
        step((0, begin, begin + beside))
    reply, prompt = (0, known, known + 1), (1, 0, beside)
    alone = step(reply)[0]
    together = step(reply, prompt)[0] if first else step(prompt, reply)[1]
    np.testing.assert_array_equal(together, alone)


def test_the_buffers_of_every_thread_are_reckoned_with(folder: ModelFolder) -> None:
    found = []
    for threads in (1, 8):
        with Engine(folder, EngineOptions(cache_tokens=1024, expanded=True, threads=threads)) as engine:
            found.append(engine.memory.workspace)
            assert engine.memory.workspace >= engine._network._native.workspace_bytes
    assert found[1] > found[0]


@pytest.mark.long
@pytest.mark.parametrize("isa", kernels.isas())
def test_prompts_in_the_expanded_form_say_what_the_absorbed_form_says(folder: ModelFolder, isa: str) -> None:
    """Both are as far from the exact numbers; a prompt cut in the same way has the same bits whatever the threads."""
    rng = random.Random(1)
    many = [[rng.randrange(folder.config.vocab) for _ in range(length)] for length in range(260, 900, 53)]
    sampling = Sampling(max_tokens=2, temperature=0.0, logprobs=True)

    def said(**options: Any) -> list[float]:
        with Engine(folder, EngineOptions(cache_tokens=2048, **options)) as engine:
            return [token.logprob or 0.0 for prompt in many for token in engine.submit(prompt, sampling)][::2]

    exact, absorbed = said(exact=True), said(isa=isa)
    found = [said(isa=isa, expanded=True, step_tokens=tokens, threads=n) for tokens, n in [(0, 1), (0, 3), (300, 2)]]
    assert found[0] == found[1] and found[0] != absorbed
    for expanded in (absorbed, *found):
        assert np.mean(np.abs(np.subtract(expanded, exact))) < 0.03


@pytest.mark.parametrize("isa", kernels.isas())
def test_a_cache_of_int8(folder: ModelFolder, isa: str) -> None:
    """Half the bytes; the same bits however a prompt is cut and whoever reads it, and near what bf16 gives."""
    rng = random.Random(3)
    ids = [rng.randrange(folder.config.vocab) for _ in range(700)]

    def read(**options: Any) -> tuple[NDArray[np.float32], int]:
        with Engine(folder, EngineOptions(cache_tokens=1024, isa=isa, **options)) as engine:
            return engine.logits(ids), engine.memory.cache

    exact, _ = read(exact=True)
    wide, bytes_wide = read()
    small, bytes_small = read(cache="int8", threads=1)
    assert bytes_small < 0.55 * bytes_wide + 8 * 1024 * folder.config.layers
    for step_tokens, threads in [(512, 3), (37, 2), (700, 1)]:
        np.testing.assert_array_equal(read(cache="int8", step_tokens=step_tokens, threads=threads)[0], small)
    kl = [float(_kl(exact, found)) for found in (wide, small)]
    assert kl[1] < 5e-3 and not np.array_equal(small, wide), kl


def _kl(exact: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    """Mean over positions."""
    p, q = (x - np.log(np.exp(x - x.max(-1, keepdims=True)).sum(-1, keepdims=True)) - x.max(-1, keepdims=True)
            for x in (exact.astype(np.float64), found.astype(np.float64)))  # fmt: skip
    return float((np.exp(p) * (p - q)).sum(-1).mean())


def test_what_of_the_cache_goes_together() -> None:
    with pytest.raises(ValueError, match="exact and expanded"):
        EngineOptions(exact=True, expanded=True)
    for other in ({"exact": True}, {"expanded": True}):
        with pytest.raises(ValueError, match="a cache of int8 excludes exact and expanded"):
            EngineOptions(cache="int8", **other)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="the cache is bf16 or int8, not 'int4'"):
        EngineOptions(cache="int4")  # type: ignore[arg-type]


def test_replies_are_the_same_alone_and_in_any_company(folder: ModelFolder) -> None:
    """Random schedules: logprobs are compared, not only tokens, so that a single bit would show."""
    many = prompts(12, folder.config.vocab)
    settings = {"max_tokens": 15, "temperature": 0.0, "logprobs": True}

    def run(engine: Engine, prompt: list[int]) -> list[tuple[int, float | None]]:
        return [(t.id, t.logprob) for t in engine.submit(prompt, Sampling(**settings))]  # type: ignore[arg-type]

    with Engine(folder, EngineOptions(cache_tokens=2048, threads=1)) as engine:
        alone = [run(engine, prompt) for prompt in many]
    for seed, (step_tokens, sequences) in enumerate([(512, 16), (37, 5), (100, 2), (16, 12)]):
        rng = random.Random(seed)
        options = EngineOptions(cache_tokens=2048, step_tokens=step_tokens, max_sequences=sequences)
        with Engine(folder, options) as engine:
            order = rng.sample(range(len(many)), len(many))
            replies = {i: engine.submit(many[i], Sampling(**settings)) for i in order}  # type: ignore[arg-type]
            for i in order:
                assert [(t.id, t.logprob) for t in replies[i]] == alone[i]


def test_a_known_beginning_is_not_computed_again_and_changes_nothing(engine: Engine) -> None:
    prompt = prompts(1, engine.config.vocab, seed=5)[0] * 3
    first = engine.submit(prompt, Sampling(max_tokens=30, temperature=0, logprobs=True))
    said = [(t.id, t.logprob) for t in first]
    again = engine.submit(prompt, Sampling(max_tokens=30, temperature=0, logprobs=True))
    assert [(t.id, t.logprob) for t in again] == said
    assert first.stats.cached_tokens == 0
    assert again.stats.cached_tokens == (len(prompt) - 1) // kernels.PAGE * kernels.PAGE > 0
    longer = [*prompt, *(id for id, _ in said), 5, 6]
    turn = engine.submit(longer, Sampling(max_tokens=2, temperature=0))
    list(turn)
    assert turn.stats.cached_tokens >= again.stats.cached_tokens


def test_greedy_tokens_are_those_of_transformers(tmp_path: Path) -> None:
    tiny.write(tmp_path / "source", "moonlight", "bf16")
    convert(tmp_path / "source", tmp_path / "model")
    prompt = prompts(1, 352, 40)[0]
    with Engine(open_folder(tmp_path / "model"), EngineOptions(cache_tokens=512, exact=True)) as engine:
        mine = ids_of(engine, prompt, max_tokens=64)
    judge = tiny.transformers_model(tmp_path / "source")
    assert mine == tiny.greedy(judge, torch.tensor([prompt]), 64)[0].tolist()[-64:]


def test_more_replies_than_places_wait_their_turn(folder: ModelFolder) -> None:
    with Engine(folder, EngineOptions(cache_tokens=512, max_sequences=3, step_tokens=50)) as engine:
        replies = [engine.submit(p, Sampling(max_tokens=60, temperature=0)) for p in prompts(20, 500, 100)]
        assert [len(list(reply)) for reply in replies] == [60] * 20
        assert {reply.finish for reply in replies} == {"length"}


def test_a_reply_ends_at_a_stop_id_which_is_no_part_of_it(engine: Engine) -> None:
    prompt = prompts(1, engine.config.vocab, seed=8)[0]
    said = ids_of(engine, prompt)
    stop = said[7]
    reply = engine.submit(prompt, Sampling(max_tokens=20, temperature=0, stop_ids=(stop,)))
    assert [t.id for t in reply] == said[: said.index(stop)]
    assert reply.finish == "stop"


def test_a_cancelled_reply_ends_and_frees_its_place(engine: Engine) -> None:
    reply = engine.submit([1, 2, 3], Sampling(max_tokens=3000, temperature=0))
    for count, _ in enumerate(reply):
        if count == 3:
            reply.cancel()
    assert reply.finish == "cancelled"
    assert reply.stats.output_tokens < 3000
    assert len(ids_of(engine, [4, 5], max_tokens=2000)) == 2000


def test_close_ends_what_is_under_way(folder: ModelFolder) -> None:
    engine = Engine(folder, EngineOptions(cache_tokens=4096))
    reply = engine.submit([1], Sampling(max_tokens=4000))
    closer = threading.Timer(0.05, engine.close)
    closer.start()
    list(reply)
    assert reply.finish == "cancelled"
    with pytest.raises(EngineError, match="closed"):
        engine.submit([1])


_PROGRAM = """
import resource, sys, time
from pathlib import Path
from moonlet.engine.engine import Engine, EngineError, EngineOptions
from moonlet.model.folder import open_folder

folder = open_folder(Path(sys.argv[1]))
if settings := eval(sys.argv[2]):
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (512 << 20),) * 2)
try:
    engine = Engine(folder, EngineOptions(memory_bytes=1 << 60, **settings))
except EngineError as error:
    sys.exit(str(error))
engine.submit([1] * 20_000)
time.sleep(0.05)
"""


def _program(folder: ModelFolder, settings: dict[str, int]) -> subprocess.CompletedProcess[str]:
    """That leaves its engine open, in the middle of a prompt; with settings, of little address space."""
    asked = [sys.executable, "-c", _PROGRAM, str(folder.path), repr(settings)]
    return subprocess.run(asked, capture_output=True, text=True, timeout=120)


def test_a_program_may_end_in_the_middle_of_a_step(folder: ModelFolder) -> None:
    ended = _program(folder, {})
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not keep to that limit")
@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"threads": 1000, "cache_tokens": 512}, "refuses a thread, number .* of 1000: .*--threads"),
        ({"threads": 1, "cache_tokens": 1 << 24}, "refuses .* bytes .*--cache-tokens"),
    ],
)
def test_what_the_system_refuses_is_said(folder: ModelFolder, settings: dict[str, int], says: str) -> None:
    ended = _program(folder, settings)
    assert ended.returncode == 1 and ended.stderr.count("\n") == 1
    assert re.search(says, ended.stderr)


@pytest.mark.parametrize(
    "sizes",
    [
        {"experts": 128, "experts_per_token": 65},
        {"experts": 512, "groups": 512, "groups_kept": 512},
        {"experts": 1_000_000_000},
        {"heads": 2**31 - 1},
        {"heads": 1 << 20, "nope": 1 << 20},
        {"width": 2**31 - 1},
        {"shared_experts": 2**31 - 1},
    ],
)
def test_sizes_that_no_step_could_have_are_refused(folder: ModelFolder, sizes: dict[str, int]) -> None:
    with pytest.raises(EngineError, match="the engine runs no such model"):
        step_bytes(replace(folder.config, **sizes), 512)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [-1, 4, 1 << 30])
def test_every_page_that_is_read_is_in_the_cache(folder: ModelFolder, bad: int) -> None:
    network = Network(folder, tokens=8, rows=8, pages=4, threads=1)
    one, after = np.ones(1, np.int32), np.full(1, kernels.PAGE, np.int32)
    table = np.asarray([[bad, 0]], np.int32)
    with pytest.raises(ValueError, match="a page is outside the cache"):
        network._native.step(one, after, one * 0, table, one * 0, network._logits)


def test_a_closed_engine_has_no_threads_and_says_so(folder: ModelFolder) -> None:
    if not Path("/proc/self/task").exists():
        pytest.skip("this system does not list a process's threads")
    before = _threads()
    engine = Engine(folder, EngineOptions(cache_tokens=512, threads=3, expert_bytes=200_000))
    ids_of(engine, [1, 2, 3])
    own = _threads() - before
    assert engine.memory.streamed and len(own) >= 3 + 4  # that compute and that read
    engine.close()
    deadline = time.monotonic() + 20
    while _threads() & own:  # one that was joined may still be listed
        assert time.monotonic() < deadline
        time.sleep(0.01)
    for ask in (engine.tiers, lambda: engine.set_budget(300_000), lambda: engine.logits([1])):
        with pytest.raises(EngineError, match="the engine is closed"):
            ask()


def _threads() -> set[str]:
    return {one.name for one in Path("/proc/self/task").iterdir()}


@pytest.mark.parametrize(
    ("prompt", "says"),
    [([], "empty"), ([0, 512], "512 is outside"), ([-1], "-1 is outside"), ([1] * 4096, "4096 tokens.*holds 4096")],
)
def test_prompts_that_cannot_be_served(engine: Engine, prompt: list[int], says: str) -> None:
    with pytest.raises(EngineError, match=says):
        engine.submit(prompt)


def test_a_grammar_allows_only_its_own_and_forced_tokens_take_no_step(engine: Engine) -> None:
    class Script:
        """Any of 3 and 4, then 7 8 9, and so on."""

        def __init__(self) -> None:
            self.taken: list[int] = []

        def mask(self) -> np.ndarray:
            bits = np.zeros(engine.config.vocab // 32, np.uint32)
            bits[0] = (1 << 3) | (1 << 4)
            return bits

        def accept(self, id: int) -> None:
            self.taken.append(id)

        def forced(self) -> list[int]:
            return [7, 8, 9]

    script = Script()
    reply = engine.submit([1, 2], Sampling(max_tokens=10, temperature=1, seed=1), script)
    said = [t.id for t in reply]
    assert len(said) == 10 and said == script.taken
    assert all(id in (3, 4) for id in said[::4]) and said[1:4] == [7, 8, 9] == said[5:8]
    assert reply.stats.forced_tokens == 7


def test_a_grammar_that_fails_ends_its_own_reply_only(engine: Engine) -> None:
    class Broken:
        def mask(self) -> None:
            raise RuntimeError("no such rule")

        def accept(self, id: int) -> None: ...

        def forced(self) -> list[int]:
            return []

    bystander = engine.submit([1, 2, 3], Sampling(max_tokens=100, temperature=0))
    with pytest.raises(EngineError, match="no such rule"):
        list(engine.submit([4, 5], Sampling(), Broken()))
    assert len(list(bystander)) == 100


@pytest.mark.parametrize("fault", ["likely", "a likely id", "a forced id"])
def test_guesses_that_fail_end_their_own_reply_only(engine: Engine, fault: str) -> None:
    class Broken:
        def mask(self) -> None:
            return None

        def accept(self, id: int) -> None: ...

        def forced(self) -> list[int]:
            return [10**6] if fault == "a forced id" else []

        def likely(self) -> list[int]:
            if fault == "likely":
                raise RuntimeError("no such rule")
            return [10**6] if fault == "a likely id" else []

    bystander = engine.submit([1, 2, 3], Sampling(max_tokens=100, temperature=0))
    with pytest.raises(EngineError, match=r"no such rule|id 1000000 is outside the vocabulary"):
        list(engine.submit([4, 5], Sampling(max_tokens=30), Broken()))
    assert len(list(bystander)) == 100


def test_experts_seen_are_those_that_wrote_the_reply(engine: Engine) -> None:
    reply = engine.submit([1, 2, 3], Sampling(max_tokens=1, temperature=0))
    list(reply)
    assert not reply.stats.experts_seen.any()  # the first token comes from the prompt alone
    reply = engine.submit([1, 2, 3], Sampling(max_tokens=2, temperature=0))
    list(reply)
    assert reply.stats.experts_seen.sum(1).tolist() == [engine.config.experts_per_token] * engine.config.sparse_layers


def drawn(logits: list[float], count: int = 2000, **settings: object) -> np.ndarray:
    """Shares of the ids drawn."""
    sampler = Sampler(Sampling(**{"seed": 0, **settings}), [], len(logits))  # type: ignore[arg-type]
    row = np.asarray(logits, np.float32)
    ids = [sampler.draw(row, None).id for _ in range(count)]
    return np.bincount(ids, minlength=len(logits)) / count


def test_sampling_follows_the_probabilities() -> None:
    logits = np.log([0.5, 0.3, 0.15, 0.05]).tolist()
    np.testing.assert_allclose(drawn(logits, 20000), [0.5, 0.3, 0.15, 0.05], atol=0.012)
    np.testing.assert_allclose(drawn(logits, temperature=0), [1, 0, 0, 0])
    np.testing.assert_allclose(drawn(logits, 20000, top_k=2), [0.625, 0.375, 0, 0], atol=0.012)
    np.testing.assert_allclose(drawn(logits, 20000, top_p=0.6), [0.625, 0.375, 0, 0], atol=0.012)
    np.testing.assert_allclose(drawn(logits, 20000, min_p=0.2), np.array([10, 6, 3, 0]) / 19, atol=0.012)
    sharp = np.array([0.5, 0.3, 0.15, 0.05]) ** 2
    np.testing.assert_allclose(drawn(logits, 20000, temperature=0.5), sharp / sharp.sum(), atol=0.012)
    np.testing.assert_allclose(drawn(logits, logit_bias={3: 100.0}), [0, 0, 0, 1])


def test_penalties() -> None:
    row = np.asarray([2.0, 1.9, -1.0], np.float32)
    presence = Sampler(Sampling(temperature=0, presence_penalty=0.5), [], 3)
    assert [presence.draw(row, None).id for _ in range(3)] == [0, 1, 0]
    frequency = Sampler(Sampling(temperature=0, frequency_penalty=0.15), [], 3)
    assert [frequency.draw(row, None).id for _ in range(4)] == [0, 1, 0, 1]
    repetition = Sampler(Sampling(temperature=0, repetition_penalty=2.0), [0], 3)
    assert repetition.draw(row, None).id == 1


def test_logprobs_are_those_of_the_model() -> None:
    sampler = Sampler(Sampling(temperature=0, logprobs=True, top_logprobs=2, logit_bias={1: 9.0}), [], 3)
    token = sampler.draw(np.log(np.asarray([0.7, 0.2, 0.1], np.float32)), None)
    assert token.id == 1
    assert token.logprob == pytest.approx(np.log(0.2), abs=1e-6)
    assert [id for id, _ in token.top] == [0, 1]
    assert token.top[0][1] == pytest.approx(np.log(0.7), abs=1e-6)


def test_ids_beyond_the_grammar_s_vocabulary_are_not_allowed() -> None:
    sampler = Sampler(Sampling(temperature=0), [], 70)
    row = np.zeros(70, np.float32)
    row[69], row[3] = 9, 1
    assert sampler.draw(row, np.asarray([0xFFFFFFFF], np.uint32)).id == 3


def test_a_seed_repeats_a_reply(engine: Engine) -> None:
    one = ids_of(engine, [1, 2, 3], temperature=1.0, seed=42, top_p=0.9)
    assert ids_of(engine, [1, 2, 3], temperature=1.0, seed=42, top_p=0.9) == one
    assert ids_of(engine, [1, 2, 3], temperature=1.0, seed=43, top_p=0.9) != one


@pytest.mark.parametrize(
    "bad",
    [{"temperature": -1}, {"top_p": 0}, {"top_k": -1}, {"min_p": 2}, {"max_tokens": 0}, {"presence_penalty": 3}],
)
def test_sampling_out_of_range_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        Sampling(**bad)  # type: ignore[arg-type]


def test_logits_that_are_no_numbers_end_the_reply_with_the_reason() -> None:
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError, match="not finite"):
            Sampler(Sampling(), [], 4).draw(np.full(4, bad, np.float32), None)
        grammar = np.array([0b0110], np.uint32)  # even where it forbids the bad one: a logprob would be none
        with pytest.raises(ValueError, match="not finite"):
            Sampler(Sampling(logprobs=True), [], 4).draw(np.array([bad, 1, 2, 3], np.float32), grammar)


def test_a_trace_hears_of_every_token_once(folder: ModelFolder) -> None:
    heard: list[Seen] = []
    prompt = list(range(40))
    with Engine(folder, EngineOptions(cache_tokens=512, step_tokens=16)) as engine:
        reply = engine.submit(prompt, Sampling(max_tokens=12, temperature=0), trace=heard.append)
        written = [token.id for token in reply]
        assert (engine.tiers() == kernels.TIERS.index("memory")).all()
    at = 0
    for seen in heard:
        shape = (folder.config.sparse_layers, len(seen.ids), folder.config.experts_per_token)
        assert seen.start == at and seen.chosen.shape == seen.weights.shape == seen.tiers.shape == shape
        assert (seen.weights > 0).all() and (seen.tiers == kernels.TIERS.index("memory")).all()
        told = seen.parts_s
        assert seen.step_tokens == len(seen.ids) and tuple(told) == kernels.PARTS
        assert min(told["attention"], told["router"], told["experts"], told["head"]) > 0 == told["disk"]
        at += len(seen.ids)
    assert [id for seen in heard for id in seen.ids] == [*prompt, *written[:-1]]  # nothing follows the last token


def test_looking_on_changes_no_bit(folder: ModelFolder) -> None:
    def written(trace: Trace | None) -> list[tuple[int, float | None]]:
        with Engine(folder, EngineOptions(cache_tokens=512)) as engine:
            reply = engine.submit(list(range(30)), Sampling(max_tokens=12, seed=3, logprobs=True), trace=trace)
            return [(token.id, token.logprob) for token in reply]

    assert written(None) == written(lambda seen: None)
