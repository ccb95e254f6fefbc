"""Experts streamed from disk: the same bits as in memory, whatever the budget, the company, the disk or its faults."""

from __future__ import annotations

import random
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import tiny
from moonlet import kernels
from moonlet._native import ExpertStore
from moonlet.engine.engine import Engine, EngineError, EngineOptions
from moonlet.engine.experts import HEAT_FILE, HEAT_LEAST, Heat, read_heat, write_heat
from moonlet.engine.memory import group_rooms, share_out
from moonlet.engine.sampler import Sampling
from moonlet.engine.sequence import Reply, Seen
from moonlet.model.convert import ConvertOptions, convert
from moonlet.model.folder import ModelFolder, open_folder
from moonlet.model.layout import expert_row_bytes, experts_file

E, K, LAYERS = 24, 6, 4  # of the tiny model: experts, of which chosen, and sparse layers
Said = list[tuple[int, float | None]]


@dataclass(frozen=True)
class Tiny:
    folder: ModelFolder

    @property
    def row(self) -> int:
        return expert_row_bytes(self.folder.config, self.folder.formats.experts)

    def budget(self, slots: int) -> int:
        """Bytes for so many experts in memory and what is noted about them."""
        return slots * (self.row + 64) + E * LAYERS * 20

    def stream(self, slots: int, **options: object) -> Engine:
        # One thread: where the machine is busy, several wait for one another many times a step.
        settings = {"cache_tokens": 2048, "threads": 1, "expert_bytes": self.budget(slots), **options}
        engine = Engine(self.folder, EngineOptions(**settings))  # type: ignore[arg-type]
        assert engine.memory.streamed and store(engine).slots == slots
        return engine


def store(engine: Engine) -> object:
    return engine._network.experts.native


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    path = tmp_path_factory.mktemp("store")
    tiny.write(path / "source", "k2", "bf16", changes={"num_hidden_layers": LAYERS + 1})
    convert(path / "source", path / "model", ConvertOptions(dense="int8", experts="int4"))
    return Tiny(open_folder(path / "model"))


@pytest.fixture
def own(model: Tiny, tmp_path: Path) -> Tiny:
    """A copy that the test may break."""
    shutil.copytree(model.folder.path, tmp_path / "model")
    return Tiny(open_folder(tmp_path / "model"))


def prompts(count: int, longest: int = 150, seed: int = 0) -> list[list[int]]:
    rng = random.Random(seed)
    return [[rng.randrange(512) for _ in range(rng.randint(1, longest))] for _ in range(count)]


def submit(engine: Engine, prompt: list[int], tokens: int = 12) -> Reply:
    return engine.submit(prompt, Sampling(max_tokens=tokens, temperature=0, logprobs=True))


def said(reply: Reply) -> Said:
    return [(token.id, token.logprob) for token in reply]


@pytest.fixture(scope="module")
def resident(model: Tiny) -> tuple[list[list[int]], list[Said], NDArray[np.float32]]:
    """Prompts, what the model says to them with all experts in memory, and the logits of one of them."""
    many = prompts(8, 80)
    with Engine(model.folder, EngineOptions(cache_tokens=2048, threads=1)) as engine:
        assert not engine.memory.streamed
        return many, [said(submit(engine, prompt)) for prompt in many], engine.logits(many[0])


# ---- the same bits --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slots", [2, 3, K, 4 * K, E * LAYERS - 1])
def test_streamed_is_resident_to_the_last_bit(
    model: Tiny, resident: tuple[list[list[int]], list[Said], NDArray[np.float32]], slots: int
) -> None:
    many, answers, logits = resident
    with model.stream(slots) as engine:
        np.testing.assert_array_equal(engine.logits(many[0]), logits)
        for prompt, answer in zip(many, answers):
            assert said(submit(engine, prompt)) == answer


@pytest.mark.parametrize("seed", range(6))
def test_random_schedules_are_resident_to_the_last_bit(
    model: Tiny, resident: tuple[list[list[int]], list[Said], NDArray[np.float32]], seed: int
) -> None:
    """Any budget, threads, chunks and company, with the budget changing under way."""
    many, answers, _ = resident
    rng = random.Random(seed)
    options = {
        "threads": rng.choice([1, 1, 2]),
        "step_tokens": rng.choice([7, 33, 100, 512]),
        "max_sequences": rng.choice([2, 5, 10]),
    }
    with model.stream(rng.choice([2, 5, 9, 30, 60]), **options) as engine:
        order = rng.sample(range(len(many)), len(many))
        replies = {i: submit(engine, many[i]) for i in order}
        for i in order:
            engine.set_budget(model.budget(rng.choice([2, 3, 8, 25, 50, E * LAYERS])))
            assert said(replies[i]) == answers[i]


@pytest.mark.parametrize("isa", kernels.isas())
@pytest.mark.parametrize("exact", [False, True])
def test_every_instruction_set_streams(model: Tiny, isa: str, exact: bool) -> None:
    prompt = prompts(1, seed=4)[0]
    with Engine(model.folder, EngineOptions(cache_tokens=512, isa=isa, exact=exact)) as engine:
        wanted = engine.logits(prompt)
    with model.stream(7, cache_tokens=512, isa=isa, exact=exact) as engine:
        np.testing.assert_array_equal(engine.logits(prompt), wanted)


def test_several_callers_at_once(
    model: Tiny, resident: tuple[list[list[int]], list[Said], NDArray[np.float32]]
) -> None:
    many, answers, _ = resident
    found: dict[int, Said] = {}
    with model.stream(20) as engine:

        def ask(i: int) -> None:
            found[i] = said(submit(engine, many[i]))

        threads = [threading.Thread(target=ask, args=(i,)) for i in range(len(many))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [found[i] for i in range(len(many))] == answers


# ---- what is read ---------------------------------------------------------------------------------------------------


def test_a_step_reads_each_expert_once_for_all_its_tokens(model: Tiny) -> None:
    """A prompt that asks for nearly all experts, with two slots: each distinct expert of each layer is read once."""
    prompt = prompts(1, seed=9)[0] * 2
    with model.stream(2) as engine:
        reply = submit(engine, prompt, tokens=1)
        said(reply)
        chosen = _distinct(model, prompt)
        assert engine.reads.misses + engine.reads.hits == chosen
        assert engine.reads.read_bytes == engine.reads.misses * model.row
        assert engine.reads.hits == 0 and chosen > 3 * E
        assert reply.stats.reads == engine.reads


def _distinct(model: Tiny, prompt: list[int]) -> int:
    """Experts, counted layer by layer, that a prompt read in one step chooses."""
    with Engine(model.folder, EngineOptions(cache_tokens=2048, threads=1)) as engine:
        noted: list[int] = []
        step = engine._network.step

        def spy(batch: list, watched: bool) -> tuple:  # type: ignore[type-arg]
            rows, chosen = step(batch, watched)
            noted.append(sum(len(set(layer.ravel().tolist())) for layer in chosen))
            return rows, chosen

        engine._network.step = spy  # type: ignore[method-assign]
        said(submit(engine, prompt, tokens=1))
    return noted[0]


def test_with_a_slot_for_each_nothing_is_read_twice(model: Tiny) -> None:
    with model.stream(E * LAYERS - 1) as engine:
        engine.set_budget(model.budget(E * LAYERS))
        for prompt in prompts(6, seed=2):
            said(submit(engine, prompt))
        assert engine.reads.read_bytes <= E * LAYERS * model.row
        before = engine.reads
        for prompt in prompts(6, seed=2):
            said(submit(engine, prompt))
        again = engine.reads - before
        assert again.misses == 0 and again.hit_rate == 1
        # An expert that nobody has needed yet may still be read on a guess, but none a second time.
        assert engine.reads.read_bytes <= E * LAYERS * model.row


def test_the_reads_of_replies_add_up_to_those_of_the_engine(model: Tiny) -> None:
    with model.stream(30, max_sequences=4) as engine:
        replies = [submit(engine, prompt) for prompt in prompts(8, seed=3)]
        for reply in replies:
            said(reply)
        engine.close()
    for field in ("hits", "misses", "read_bytes"):
        assert sum(getattr(r.stats.reads, field) for r in replies) == pytest.approx(getattr(engine.reads, field))
    assert engine.reads.wait_s > 0 and engine.reads.misses > 0 and engine.reads.faults == 0


def test_logits_are_not_charged_to_the_next_reply(model: Tiny) -> None:
    scored, prompt = prompts(2, seed=9)
    with model.stream(2) as engine:
        engine.logits(scored)
        before = engine.reads
        reply = submit(engine, prompt, tokens=1)
        said(reply)
    assert before.misses and engine.reads.read_bytes == engine.reads.misses * model.row
    assert reply.stats.reads.misses == engine.reads.misses - before.misses == _distinct(model, prompt)


def test_a_skewed_use_hits_more_often_than_the_memory_s_share(model: Tiny) -> None:
    """One prompt over and over, the others now and then: what is used often stays through the sweeps of the prompts."""
    usual, *others = [p[:8] for p in prompts(12, seed=6)]
    with model.stream(E * LAYERS // 2, cache_tokens=64 * 4) as engine:
        for other in others:
            for _ in range(4):
                said(submit(engine, usual, tokens=8))
            said(submit(engine, other, tokens=1))
        assert engine.reads.hit_rate is not None and engine.reads.hit_rate > 0.6


def test_guesses_are_counted_and_change_nothing(model: Tiny) -> None:
    prompt = prompts(1, seed=11)[0][:20]
    with Engine(model.folder, EngineOptions(cache_tokens=2048, threads=1)) as engine:
        wanted = said(submit(engine, prompt, tokens=200))
    with model.stream(E * LAYERS // 2) as engine:
        assert said(submit(engine, prompt, tokens=200)) == wanted
        reads = engine.reads
    assert reads.guesses_right + reads.guesses_wrong <= reads.read_bytes / model.row
    assert reads.guesses_right > 0


# ---- the budget -----------------------------------------------------------------------------------------------------


def test_the_budget_is_kept_and_can_change_under_way(model: Tiny) -> None:
    with model.stream(50) as engine:
        native = store(engine)
        for slots in (50, 9, 2, 70, 20):
            engine.set_budget(model.budget(slots))
            said(submit(engine, prompts(1, seed=slots)[0]))
            assert native.slots == slots
            assert 0.98 * model.budget(slots) - model.row <= native.used_bytes <= model.budget(slots)
        with pytest.raises(EngineError, match="at least two of them"):
            engine.set_budget(model.row)
        said(submit(engine, [1, 2, 3]))


def test_a_budget_is_kept_by_an_engine_that_has_nothing_to_do(model: Tiny) -> None:
    with model.stream(60) as engine:
        said(submit(engine, [5, 6, 7], tokens=30))
        engine.set_budget(model.budget(5))
        deadline = time.monotonic() + 20
        while store(engine).slots != 5:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_less_memory_keeps_the_experts_that_are_used_most(model: Tiny) -> None:
    with model.stream(60) as engine:
        for _ in range(3):
            said(submit(engine, [5, 6, 7], tokens=30))
        engine.set_budget(model.budget(40))
        before = engine.reads
        said(submit(engine, [5, 6, 7], tokens=30))
        hits = (engine.reads - before).hit_rate
    assert hits is not None and hits > 0.4  # evicted at random, or emptied, it would be less


def test_whoever_looks_on_hears_where_experts_were(model: Tiny) -> None:
    heard: list[Seen] = []
    places = {name: kernels.TIERS.index(name) for name in ("memory", "cached", "disk")}
    with model.stream(slots=20) as engine:
        said(engine.submit(prompts(1)[0], Sampling(max_tokens=12, temperature=0), trace=heard.append))
        now, misses = engine.tiers(), engine.reads.misses
        assert int((now != places["disk"]).sum()) <= 20
    assert now.shape == (LAYERS, E) and set(np.unique(now)) <= {places["cached"], places["disk"]}
    assert sum(seen.reads.misses for seen in heard) == misses
    for seen in heard:  # each expert that a step found on disk was a miss
        found = {
            (layer, e) for layer, t, k in np.argwhere(seen.tiers == places["disk"]) for e in [seen.chosen[layer, t, k]]
        }
        assert len(found) == seen.reads.misses and not (seen.tiers == places["memory"]).any()
        assert seen.parts_s["disk"] >= 0.9 * seen.reads.wait_s


def test_resident_memory_grows_by_the_budget_alone(tmp_path: Path) -> None:
    """Process memory, measured: 40 slots for 64 experts of 400 kB."""
    changes = {"hidden_size": 512, "moe_intermediate_size": 448, "num_hidden_layers": 3, "n_routed_experts": 32}
    tiny.write(tmp_path / "source", "k2", "bf16", changes=changes)
    convert(tmp_path / "source", tmp_path / "model", ConvertOptions(dense="int8", experts="int4"))
    folder = open_folder(tmp_path / "model")
    budget = 40 * (expert_row_bytes(folder.config, "int4") + 64) + 64 * 20
    with Engine(folder, EngineOptions(cache_tokens=512, expert_bytes=budget, threads=1)) as engine:
        said(submit(engine, prompts(1, 60)[0], tokens=2))
        engine.set_budget(2 * (expert_row_bytes(folder.config, "int4") + 64) + 64 * 20)
        said(submit(engine, prompts(1, 60)[0], tokens=2))
        anonymous = _anonymous()
        engine.set_budget(budget)
        for prompt in prompts(4, 60, seed=1):
            said(submit(engine, prompt, tokens=4))
        assert store(engine).slots == 40
        assert engine.reads.misses > 100  # every slot has been filled
        grown = _anonymous() - anonymous
    assert 0.8 * budget < grown <= 1.02 * budget + (2 << 20)  # what Python needed meanwhile
    assert _anonymous() - anonymous < 0.1 * budget  # the engine is closed, if not forgotten


def _anonymous() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    pytest.skip("this system does not say how much memory a process has")


def test_memory_counts_everything_and_says_when_it_cannot_fit(model: Tiny) -> None:
    def shares(memory: int, **rest: int) -> object:
        return share_out(model.folder, pages=32, rows=32, exact=False, memory_bytes=memory, **rest)

    everything = shares(1 << 40)
    assert not everything.streamed and everything.step_tokens == 512
    assert everything.experts == E * LAYERS * model.row
    assert shares(everything.total) == everything
    less = shares(everything.total - model.row)
    assert less.streamed and less.total == everything.total - model.row
    assert share_out(model.folder, 32, 32, False, 0, 0, model.budget(3)).experts == model.budget(3)
    fixed = everything.total - everything.experts
    with pytest.raises(EngineError, match=r"needs at least .* MB .*are allowed.*--memory.*--cache-tokens") as error:
        shares(fixed + model.row)
    assert "\n" not in str(error.value)
    with pytest.raises(EngineError, match="are allowed"):
        Engine(model.folder, EngineOptions(memory_bytes=1000))


def test_steps_are_longer_where_experts_are_streamed_and_there_is_room(model: Tiny) -> None:
    def steps(expert_bytes: int, **rest: int) -> int:
        return share_out(model.folder, 256, 32, False, expert_bytes=expert_bytes, **rest).step_tokens

    assert steps(model.budget(60)) == 512
    assert steps(model.budget(60), step_tokens=100) == 100
    with Engine(
        model.folder, EngineOptions(cache_tokens=1024, expert_bytes=model.budget(60), step_tokens=64)
    ) as engine:
        assert engine.memory.step_tokens == 64


def test_limits_of_control_groups(tmp_path: Path) -> None:
    def group(path: Path, limit: str, used: int, cached: int, old: bool = False) -> None:
        path.mkdir(parents=True, exist_ok=True)
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes") if old else ("memory.max", "memory.current")
        (path / names[0]).write_text(f"{limit}\n")
        (path / names[1]).write_text(f"{used}\n")
        prefix = "total_" if old else ""
        (path / "memory.stat").write_text(f"anon 5\n{prefix}inactive_file {cached}\n{prefix}active_file 1\n")

    groups, new, old = tmp_path / "groups", tmp_path / "new", tmp_path / "old"
    group(new / "a" / "b", "1000", 700, 99)
    group(new / "a", "max", 900, 0)
    group(new, "5000", 950, 0)
    groups.write_text("0::/a/b\n")
    assert list(group_rooms(groups, new)) == [400, 4051]
    group(old / "memory", "2000", 500, 99, old=True)  # the group's own path is not visible in a container
    groups.write_text("5:cpu:/\n4:memory:/x/y\n0::/\n")
    assert list(group_rooms(groups, old)) == [1600]
    group(old / "memory", str((1 << 63) - 4096), 500, 99, old=True)
    assert list(group_rooms(groups, old)) == []
    assert list(group_rooms(tmp_path / "none", new)) == []


# ---- faults ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "says"), [({"errors": 10_000}, "disk reports an error"), ({"ends": 10_000}, "ends too early")]
)
def test_a_read_that_fails_fails_the_request_and_nothing_else(
    model: Tiny, resident: tuple[list[list[int]], list[Said], NDArray[np.float32]], fault: dict[str, int], says: str
) -> None:
    many, answers, logits = resident
    with model.stream(20) as engine:
        assert said(submit(engine, many[1])) == answers[1]
        store(engine).disturb(**fault)
        with pytest.raises(EngineError, match=rf"experts-\d+\.safetensors: expert \d+ could not be read: .*{says}"):
            said(submit(engine, many[0]))
        with pytest.raises(EngineError, match=says):
            engine.logits(many[0])
        store(engine).disturb()
        for prompt, answer in zip(many, answers):
            assert said(submit(engine, prompt)) == answer
        np.testing.assert_array_equal(engine.logits(many[0]), logits)
        assert engine.reads.faults > 0


def test_one_bad_read_fails_only_the_sequences_that_need_it(
    model: Tiny, resident: tuple[list[list[int]], list[Said], NDArray[np.float32]]
) -> None:
    many, answers, _ = resident
    failed = 0
    for seed in range(4):
        with model.stream(25, step_tokens=64) as engine:
            store(engine).disturb(errors=3)
            replies = [submit(engine, prompt) for prompt in many]
            for i, reply in enumerate(replies):
                try:
                    assert said(reply) == answers[i]
                except EngineError:
                    failed += 1
            assert said(submit(engine, many[seed])) == answers[seed]
    assert 0 < failed < 4 * len(many)


def test_a_file_cut_off_or_changed_while_in_use(
    own: Tiny, resident: tuple[list[list[int]], list[Said], NDArray[np.float32]]
) -> None:
    many, answers, _ = resident
    file = own.folder.path / experts_file(2)
    sound = file.read_bytes()
    for harm, says in [
        (lambda: file.open("r+b").truncate(len(sound) // 4 // 4096 * 4096), "ends too early|was cut off"),
        (lambda: file.write_bytes(sound[:-1] + b"\x01"), "was changed while in use"),
    ]:
        with own.stream(20) as engine:
            assert said(submit(engine, many[0])) == answers[0]
            time.sleep(0.02)  # times of files are coarse
            harm()
            with pytest.raises(EngineError, match=f"experts-002.*({says})"):
                for prompt in many[1:]:
                    said(submit(engine, prompt))
            with pytest.raises(EngineError, match="experts-002"):
                engine.logits(many[0])
        file.write_bytes(sound)
    with own.stream(20) as engine:
        assert said(submit(engine, many[0])) == answers[0]


def test_a_file_that_is_short_at_the_start_is_refused(own: Tiny) -> None:
    with (own.folder.path / experts_file(1)).open("r+b") as file:
        file.truncate(8192)
    with pytest.raises(EngineError, match=r"experts-001\.safetensors: has 8192 bytes, \d+ were written"):
        own.stream(20)


def test_a_slow_disk_changes_only_the_time(
    model: Tiny, resident: tuple[list[list[int]], list[Said], NDArray[np.float32]]
) -> None:
    many, answers, _ = resident
    with model.stream(40) as engine:
        store(engine).disturb(delay_us=500)
        assert said(submit(engine, many[0])) == answers[0]
        assert engine.reads.wait_s > 0.01


def test_closing_while_the_disk_is_slow(model: Tiny) -> None:
    engine = model.stream(10)
    store(engine).disturb(delay_us=20_000)
    reply = submit(engine, prompts(1)[0], tokens=500)
    time.sleep(0.1)
    reply.cancel()
    engine.close()
    said(reply)
    assert reply.finish == "cancelled"


def test_nobody_waits_for_a_disk_that_a_store_waits_for_at_its_end(model: Tiny) -> None:
    dying = ExpertStore(model.budget(20))
    dying.disturb(delay_us=500_000)
    for layer in range(1, LAYERS + 1):
        path, offset, experts, row_bytes = model.folder.experts_file(layer)
        dying.add_layer([str(path)], offset, experts, row_bytes)
    dying.open(np.full((LAYERS, E), 0.5, np.float32), 1e4)
    time.sleep(0.1)  # reads are under way
    closing = threading.Thread(target=[dying].clear)
    del dying
    began = time.monotonic()
    closing.start()
    while closing.is_alive() and time.monotonic() < began + 0.2:
        time.sleep(0.01)
    assert closing.is_alive() and time.monotonic() < began + 0.35
    closing.join()


# ---- several drives -------------------------------------------------------------------------------------------------


@pytest.fixture
def copies(model: Tiny, tmp_path: Path) -> Iterator[tuple[Path, ...]]:
    for name in ("two", "three"):
        shutil.copytree(model.folder.path, tmp_path / name)
    yield tmp_path / "two", tmp_path / "three"


def test_copies_on_other_drives_add_up_and_stand_in_for_one_another(
    model: Tiny, copies: tuple[Path, ...], resident: tuple[list[list[int]], list[Said], NDArray[np.float32]]
) -> None:
    many, answers, _ = resident
    with model.stream(20, also=copies) as engine:
        assert said(submit(engine, many[0])) == answers[0]
        for path in copies:  # two of three drives break
            with (path / experts_file(2)).open("r+b") as file:
                file.truncate(4096)
        store(engine).disturb(errors=2)  # and now and then the third
        for prompt, answer in zip(many[1:], answers[1:]):
            try:
                assert said(submit(engine, prompt)) == answer
            except EngineError:
                assert engine.reads.faults
        assert engine.reads.faults <= 2
        assert said(submit(engine, many[0])) == answers[0]


def test_a_folder_that_is_no_copy_is_refused(model: Tiny, copies: tuple[Path, ...], tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"a copy of the experts cannot be used: .*no such folder"):
        model.stream(20, also=(tmp_path / "nothing",))
    tiny.write(tmp_path / "source", "k2", "bf16", seed=1, changes={"num_hidden_layers": LAYERS + 1})
    convert(tmp_path / "source", tmp_path / "other", ConvertOptions(dense="int8", experts="int4"))
    with pytest.raises(EngineError, match=r"other/experts-001\.safetensors: is no copy"):
        model.stream(20, also=(tmp_path / "other",))


# ---- heat -----------------------------------------------------------------------------------------------------------


def test_what_was_used_is_read_at_the_next_start(own: Tiny) -> None:
    with own.stream(E * LAYERS - 1) as engine:
        said(submit(engine, [3, 1, 4], tokens=HEAT_LEAST + 10))
    heat = read_heat(own.folder)
    assert heat and heat.tokens >= HEAT_LEAST
    np.testing.assert_allclose(heat.share.sum(1), K, rtol=1e-3)
    with own.stream(E * LAYERS // 2) as engine:
        deadline = time.monotonic() + 20
        while store(engine).counters()["read_bytes"] < E * LAYERS // 2 * own.row:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        said(submit(engine, [3, 1, 4], tokens=50))
        reads = engine.reads
    assert reads.pinned_hits > 0 and reads.hit_rate is not None and reads.hit_rate > 0.55


@pytest.mark.long
def test_heat_that_does_not_help_is_let_go(own: Tiny) -> None:
    """Written of experts that are never asked for: their places go to others."""
    used = np.zeros((LAYERS, E), bool)
    with Engine(own.folder, EngineOptions(cache_tokens=4096, threads=1)) as engine:
        reply = submit(engine, [3, 1, 4], tokens=1000)
        said(reply)
        used = reply.stats.experts_seen
    share = np.where(used, 0.0, 0.9).astype(np.float32)
    assert (~used).sum() >= 4, "the tiny model uses nearly everything: another prompt is needed"
    write_heat(own.folder, Heat(share, 1e6))
    with own.stream(int((~used).sum()), cache_tokens=4096) as engine:
        said(submit(engine, [3, 1, 4], tokens=1000))
        early = engine.reads.hit_rate
        assert engine.reads.pinned_hits == 0
        before = engine.reads
        said(submit(engine, [3, 1, 4], tokens=1000))
        late = (engine.reads - before).hit_rate
    assert early is not None and late is not None and late >= early


def test_pinned_experts_give_way_when_memory_shrinks(own: Tiny) -> None:
    """Half of the places were pinned; of half as many places all would be, and nothing could be read any more."""
    write_heat(own.folder, Heat(np.full((LAYERS, E), K / E), 1e6))
    with own.stream(50) as engine:
        said(submit(engine, [3, 1, 4], tokens=20))
        for slots in (20, 6):
            engine.set_budget(own.budget(slots))
            assert said(submit(engine, [1, 5, 9], tokens=40))
            assert store(engine).slots == slots


def test_heat_that_is_stale_or_damaged_is_ignored(own: Tiny) -> None:
    share = np.full((LAYERS, E), 0.25, np.float32)
    write_heat(own.folder, Heat(share, 5000.0))
    found = read_heat(own.folder)
    assert found is not None and found.tokens == 5000
    file = own.folder.path / HEAT_FILE
    sound = file.read_bytes()
    endless = sound.replace(b"5000.0", b"5" * 400)
    for bad in (
        *(b"", b"\n", sound[:-4], sound[:-1] + b"\x7f", sound.replace(b'"format": 1', b'"format": 9'), b"{}\n"),
        endless,
    ):
        file.write_bytes(bad)
        assert read_heat(own.folder) is None
    file.write_bytes(sound)
    files = {**own.folder.meta["files"]}
    files["dense.safetensors"] = {**files["dense.safetensors"], "sha256": "0" * 64}
    other = ModelFolder(own.folder.path, own.folder.config, own.folder.formats, {**own.folder.meta, "files": files})
    assert read_heat(other) is None
    assert list(own.folder.path.glob("*.part")) == []


def test_a_folder_that_cannot_be_written_streams_all_the_same(own: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr("moonlet.engine.experts.write_heat", refuse)
    with own.stream(60) as engine:
        said(submit(engine, [3, 1, 4], tokens=HEAT_LEAST + 10))
    assert not (own.folder.path / HEAT_FILE).exists()
