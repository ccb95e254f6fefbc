"""Where a model fits and how fast it is: machines, models, placement, routing, speed."""

import json
import math
import shutil
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonlet.engine.groups import cores_limit, memory_limit
from moonlet.local import find
from moonlet.model import anatomy
from moonlet.model.folder import open_folder
from moonlet.planner import gguf, measure, probe, prove, routing, system
from moonlet.planner.fit import Wish, fit, rooms
from moonlet.planner.machine import GB, Machine, MachineError, catalogue, describe, find_machine, read_machine
from moonlet.planner.rates import MeasuredRates
from moonlet.planner.routing import TraceError, measured, replay, zipf
from moonlet.planner.speed import Correction, Load, assumptions, numbers, speed
from moonlet.planner.subject import UnknownModelError, known_models, subject

K2 = subject("moonshotai/Kimi-K2-Thinking")
EPYC = find_machine("epyc-768gb")
MACHINES = st.sampled_from(sorted(catalogue()))

# ---- machines -------------------------------------------------------------------------------------------------------


def test_every_figure_of_the_catalogue_has_a_source_and_a_date() -> None:
    machines = catalogue()
    assert len(machines) >= 20
    for machine in machines.values():
        assert machine.price and machine.watts_load and machine.currency == "USD", machine.name
        for name, figure in machine.figures.items():
            assert figure.source and figure.source != "own description" and figure.date, (machine.name, name)


def test_a_machine_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "box.toml"
    file.write_text("memory_gb = 64\nmemory_gbs = 90\ntops = 5\n")
    machine = read_machine(file)
    assert (machine.memory_bytes, machine.read_bytes_s, machine.disk_read_bytes_s) == (64 * GB, 90 * GB, 0)
    file.write_text('[machine.mine]\nlike = "epyc-768gb"\ncard = "h100"\ncard_count = 2\nprice = 1000\n')
    mine = read_machine(file)
    assert mine.memory_bytes == EPYC.memory_bytes and mine.cards and mine.cards.count == 2 and mine.price == 1000
    file.write_text('[machine.small]\nlike = "epyc-768gb"\nmemory_gb = 64\n[machine.other]\nlike = "8x-h200"\n')
    assert find_machine(f"{file}:small").memory_bytes == 64 * GB


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("memory_gb = 64\nmemory_gbs = 90\n", "the figure tops is missing"),
        ("memory_gb = -1\nmemory_gbs = 90\ntops = 5\n", "memory_gb must be within"),
        ("memory_gb = true\nmemory_gbs = 90\ntops = 5\n", "must be a number, got True"),
        ("memory_gb = 64\nmemory_gbs = 90\ntops = 5\nspeed = 3\n", "unknown figure 'speed'"),
        ("memory_gb = 64\nmemory_gbs = 90\ntops = 5\nprice = -3\n", "price must be within"),
        ("memory_gb = 64\nmemory_gbs = 90\ntops = 5\ncard_count = 1\n", "the figure card_gb is missing"),
        ("memory_gb = 64\nmemory_gbs = 90\ntops = 5\nidle_w = 90\nload_w = 10\n", "idles at more watts"),
        ("memory_gb = ", "not readable as TOML"),
        ('[machine.a]\nlike = "b"\n', "no machine named 'b'"),
        ('[machine.a]\nlike = "epyc-768gb"\n[machine.b]\nlike = "8x-h200"\n', "which of its machines?"),
    ],
)
def test_a_bad_machine_is_told_in_one_line(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "box.toml"
    file.write_text(text)
    with pytest.raises(MachineError, match=told) as caught:
        read_machine(file)
    assert "\n" not in str(caught.value)


def test_cards_as_nvidia_smi_lists_them() -> None:
    cards, name = system.parse_cards("NVIDIA H200, 143771, 700.00\nNVIDIA H200, 143771, 700.00\n")
    assert cards and (cards.count, cards.read_bytes_s, cards.watts, name) == (2, 4.8e12, 700, "NVIDIA H200")
    for name, read, ops in (
        ("H200 NVL", 4.8e12, 835e12), ("H100 80GB HBM3", 3.35e12, 989e12), ("H100 PCIe", 2e12, 756e12),
        ("A100-SXM4-80GB", 2.039e12, 312e12), ("A100 80GB PCIe", 1.935e12, 312e12),
        ("A100-PCIE-40GB", 1.555e12, 312e12), ("A100-SXM4-40GB", 1.555e12, 312e12), ("L40S", 864e9, 362e12),
        ("L40", 864e9, 181e12), ("RTX 6000 Ada Generation", 960e9, 182e12),
        ("RTX PRO 6000 Blackwell Server Edition", 1.792e12, 500e12),
    ):  # fmt: skip
        cards, _ = system.parse_cards(f"NVIDIA {name}, 40960, 300.00\n")
        assert cards and (cards.read_bytes_s, cards.flops) == (read, ops), name
    for name in ("NVIDIA GeForce RTX 4090 Laptop GPU", "NVIDIA H2000"):
        assert system.parse_cards(f"{name}, 16376, 150.00\n") == (None, name)
    assert system.parse_cards("Quadro P400, 2048, [N/A]\n") == (None, "Quadro P400")
    assert system.parse_cards("no devices were found") == (None, "")


def test_what_the_system_says_makes_sense() -> None:
    seen = system.look()
    assert seen.cores >= 1 and seen.numa_nodes >= 1 and seen.memory_bytes > 1 << 28 and seen.last_cache_bytes > 0


# ---- models ---------------------------------------------------------------------------------------------------------


def test_known_models_need_no_file() -> None:
    assert {"kimi-k2-thinking", "moonlight-16b-a3b", "deepseek-v3"} <= set(known_models())
    assert K2.parameters == 1_026_407_202_816
    assert round(K2.stored_bytes / 1e9) == 594 and round(K2.read_bytes / 1e9, 1) == 33.0
    assert subject("Kimi-K2-Instruct-0905").config.max_positions == 262_144


def test_sizes_are_those_of_the_anatomy() -> None:
    whole = anatomy.anatomy(K2.config, anatomy.Formats(experts="int4"))
    assert K2.stored_bytes == pytest.approx(whole.stored_bytes, abs=7)
    assert K2.read_bytes == pytest.approx(whole.read_bytes, abs=7)
    smaller = K2.with_formats(dense="int8")
    assert smaller.experts_bytes == K2.experts_bytes and smaller.dense_bytes < 0.6 * K2.dense_bytes


def test_an_unknown_model_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UnknownModelError, match="no known model"):
        subject("kimi-k9")
    with pytest.raises(gguf.GgufError, match="No such file"):
        subject(str(tmp_path / "none.gguf"))


def _gguf(pairs: dict[str, object], tensors: list[tuple[str, list[int], int]]) -> bytes:
    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value.encode())) + value.encode()

    out = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(pairs))
    for key, value in pairs.items():
        out += text(key)
        if isinstance(value, str):
            out += struct.pack("<I", 8) + text(value)
        elif isinstance(value, list):
            out += struct.pack("<IIQ", 9, 8, len(value)) + b"".join(text(item) for item in value)
        else:
            out += struct.pack("<II", 4, value)
    for name, sides, kind in tensors:
        out += text(name) + struct.pack(f"<I{len(sides)}QIQ", len(sides), *sides, kind, 0)
    return out


_PAIRS: dict[str, object] = {
    "general.architecture": "deepseek2", "deepseek2.block_count": 2, "deepseek2.embedding_length": 64,
    "deepseek2.attention.head_count": 4, "deepseek2.attention.kv_lora_rank": 32, "deepseek2.attention.key_length": 24,
    "deepseek2.attention.value_length": 16, "deepseek2.rope.dimension_count": 8, "deepseek2.feed_forward_length": 128,
    "deepseek2.leading_dense_block_count": 1, "deepseek2.expert_count": 8, "deepseek2.expert_used_count": 2,
    "deepseek2.expert_shared_count": 1, "deepseek2.expert_feed_forward_length": 32, "deepseek2.context_length": 4096,
    "tokenizer.ggml.tokens": ["a"] * 300,
}  # fmt: skip
_TENSORS = [("blk.1.ffn_gate_exps.weight", [64, 32, 8], 8), ("token_embd.weight", [64, 300], 1),
            ("output.weight", [64, 300], 8), ("blk.0.attn_kv_b.weight", [32, 256], 1)]  # fmt: skip


def test_a_gguf_header_is_enough(tmp_path: Path) -> None:
    file = tmp_path / "small.gguf"
    file.write_bytes(_gguf(_PAIRS, _TENSORS))
    it = subject(str(file))
    assert (it.config.experts, it.config.vocab, it.config.nope, it.config.tied) == (8, 300, 16, False)
    assert float(it.part("experts").bytes_per_weight) == 34 / 32 and float(it.part("attention").bytes_per_weight) == 2


@pytest.mark.parametrize("damage", ["", "GGUX", "GGUF", "cut", "llama"])
def test_a_bad_gguf_is_told_in_one_line(tmp_path: Path, damage: str) -> None:
    whole = _gguf({**_PAIRS, "general.architecture": "llama"} if damage == "llama" else _PAIRS, _TENSORS)
    file = tmp_path / "bad.gguf"
    file.write_bytes(whole[: len(whole) // 2] if damage == "cut" else whole if damage == "llama" else damage.encode())
    with pytest.raises(gguf.GgufError) as caught:
        subject(str(file))
    assert str(file) in str(caught.value) and "\n" not in str(caught.value)


# ---- placement ------------------------------------------------------------------------------------------------------


@given(MACHINES, st.sampled_from([0, 2048, 40_000]), st.integers(1, 8), st.booleans())
@settings(deadline=None, max_examples=60)
def test_parts_fill_their_places_and_sum_to_the_model(name: str, context: int, sequences: int, stream: bool) -> None:
    wish = Wish(context=context, sequences=sequences, stream=stream)
    placed = fit(K2, catalogue()[name], wish)
    if not placed.fits:
        assert placed.why and placed.change
        return
    room = rooms(placed.machine, wish)
    weights = sum(home.bytes for home in placed.homes if home.part not in ("cache", "buffers"))
    assert weights == K2.stored_bytes
    for place in room:
        used = sum(home.bytes for home in placed.homes if home.place == place)
        assert used + placed.free[place] == room[place] and placed.free[place] >= 0
    assert placed.context <= placed.largest_context <= K2.config.max_positions
    assert sum(placed.share(place) for place in room) == pytest.approx(1)
    assert not (placed.streams and not stream)


@given(st.integers(16, 2000), st.integers(1, 1000))
@settings(deadline=None, max_examples=40)
def test_more_memory_never_hurts(gigabytes: int, more: int) -> None:
    small = fit(K2, replace(EPYC, memory_bytes=gigabytes * GB))
    large = fit(K2, replace(EPYC, memory_bytes=(gigabytes + more) * GB))
    assert large.fits >= small.fits
    if small.fits:
        assert large.largest_context >= small.largest_context and large.share("disk") <= small.share("disk")


def test_what_is_proposed_makes_it_fit() -> None:
    small = replace(EPYC, memory_bytes=500 * GB, disk_read_bytes_s=0.0)
    assert "no disk figure" in fit(K2, small).why
    change = fit(K2, small).change
    assert change.endswith("GB in all)")
    needed = int(change.split("(")[1].split()[0].replace(",", ""))
    assert fit(K2, replace(small, memory_bytes=needed * GB)).fits
    assert not fit(K2, replace(small, memory_bytes=(needed - 3) * GB)).fits
    assert fit(K2, replace(EPYC, memory_bytes=500 * GB), Wish(stream=False)).change == "streaming experts from disk"
    tight = replace(EPYC, memory_bytes=640 * GB, disk_read_bytes_s=0.0)
    asked = fit(K2, tight, Wish(context=262_144, sequences=2))
    assert "a context of" in asked.change
    largest = int(asked.change.split()[3].replace(",", ""))
    assert fit(K2, tight, Wish(context=largest, sequences=2)).fits
    assert not fit(K2, tight, Wish(context=largest + 1, sequences=2)).fits
    bf16 = subject("moonlight")
    assert "--dense int8 --experts int8" in fit(bf16, replace(EPYC, memory_bytes=24 * GB, disk_read_bytes_s=0.0)).change


def test_a_limit_of_memory_that_is_too_low_is_what_is_to_be_changed() -> None:
    for wish in (Wish(memory_bytes=8 * GB), Wish(memory_bytes=20 * GB, context=262_144, sequences=1)):
        change = fit(K2, EPYC, wish).change
        assert "--memory limit of" in change and change.endswith("GB or more, or none")
        least = int(change.removeprefix("a --memory limit of ").split()[0])
        assert fit(K2, EPYC, replace(wish, memory_bytes=least * GB)).fits
        assert not fit(K2, EPYC, replace(wish, memory_bytes=(least - 1) * GB)).fits
    small = replace(EPYC, memory_bytes=16 * GB)  # without the limit it is too small, too
    assert fit(K2, small, Wish(memory_bytes=8 * GB)).change.endswith("GB in all)")


def test_a_cache_of_int8_holds_twice_the_context() -> None:
    tight = replace(EPYC, memory_bytes=40 * GB)
    usual, small = (fit(K2, tight, Wish(sequences=4, cache=one)).largest_context for one in ("bf16", "int8"))
    assert 1.9 < small / usual < 2.0
    with_cards = fit(K2, find_machine("8x-h200"), Wish(cache="int8"))
    assert with_cards.machine.cards is None  # engines for cards have no such cache


def test_a_context_beyond_the_models_is_refused() -> None:
    assert "ends at 262,144" in fit(K2, EPYC, Wish(context=300_000)).why
    with pytest.raises(ValueError, match="sequences must be at least 1"):
        Wish(sequences=0)


# ---- routing --------------------------------------------------------------------------------------------------------


@given(st.integers(1, 64), st.integers(0, 320), st.floats(0, 3), st.integers(1, 500), st.floats(0, 500))
@settings(deadline=None)
def test_routing_stays_within_what_is_possible(k: int, more: int, skew: float, tokens: int, slots: float) -> None:
    crowd = zipf(k + more, k, skew)
    assert crowd.per_token == pytest.approx(k, rel=1e-6)
    assert np.all(crowd.chances <= 1) and np.all(np.diff(crowd.chances) <= 1e-12)
    met = crowd.distinct(tokens)
    assert k * (1 - 1e-6) <= met <= min(k + more, k * tokens) + 1e-6
    assert met <= crowd.distinct(tokens + 1) + 1e-9
    missing = crowd.missing(tokens, slots)
    assert -1e-9 <= missing <= met + 1e-9 and crowd.missing(tokens, slots + 10) <= missing + 1e-6


def test_skew_helps_a_cache_and_shrinks_a_batch() -> None:
    even, skewed = zipf(384, 8, 0), zipf(384, 8, 1)
    assert even.distinct(1) == pytest.approx(8) and even.distinct(64) == pytest.approx(284, abs=1)
    assert skewed.distinct(64) < even.distinct(64)
    assert skewed.hit_rate(96) > even.hit_rate(96) == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("skew", [0.0, 0.6, 1.2])
@pytest.mark.parametrize("slots", [12, 48])
def test_the_formula_for_hits_agrees_with_a_replayed_cache(skew: float, slots: int) -> None:
    dice = np.random.default_rng(0)
    crowd = zipf(128, 4, skew)
    weights = -np.log1p(-np.minimum(crowd.chances, 1 - 1e-12))
    keys = dice.exponential(size=(2, 3000, 128)) / weights  # the K smallest: a draw without repeats
    chosen = np.argpartition(keys, 4, axis=2)[:, :, :4].astype(np.int32)
    assert replay(chosen, slots) == pytest.approx(crowd.hit_rate(slots), abs=0.04)
    config = replace(K2.config, layers=K2.config.dense_layers + 2, experts=128, experts_per_token=4)
    again = measured(chosen, config)
    assert again.hit_rate(slots) == pytest.approx(crowd.hit_rate(slots), abs=0.04)
    assert again.distinct(32) == pytest.approx(crowd.distinct(32), rel=0.05)


def test_a_trace_of_another_model_is_refused() -> None:
    layers, k = K2.config.sparse_layers, K2.config.experts_per_token
    assert measured(np.full((layers, 2, k), 9, np.int32), K2.config).per_token <= k
    for shape, choice, told in (
        ((layers, 2, k), 384, "among 384 experts"),
        ((0, 2, k), 9, "holds no choices"),
        ((layers - 1, 2, k), 9, f"{layers - 1} layers with {k} experts a token; needed are {layers} layers with {k}"),
        ((layers, 2, k - 2), 9, "of another model"),
    ):
        with pytest.raises(TraceError, match=told):
            measured(np.full(shape, choice, np.int32), K2.config)


# ---- speed ----------------------------------------------------------------------------------------------------------


@given(MACHINES, st.integers(1, 128), st.integers(1, 30_000))
@settings(deadline=None, max_examples=60)
def test_speeds_are_monotone_and_their_bars_hold_them(name: str, sequences: int, context: int) -> None:
    placed = fit(K2, catalogue()[name])
    if not placed.fits:
        return
    it = speed(placed)
    alone, more = it.decode(Load(sequences, context)), it.decode(Load(sequences + 1, context))
    assert 0 < alone.low <= alone.value <= alone.high
    assert it.each(Load(sequences + 1, context)).value <= it.each(Load(sequences, context)).value * (1 + 1e-9)
    assert more.value >= alone.value * 0.999
    assert it.decode(Load(sequences, context + 5000)).value <= alone.value
    first = it.first_token(context)
    assert first.value < it.first_token(context + 512).value and first.low > 0
    step = it.step(sequences, Load(sequences, context))
    assert min(step.parts.values()) >= 0 and sum(step.parts.values()) == step.seconds > 0
    assert min(step.read_bytes.values()) >= 0 and 0 <= step.hit_rate <= 1
    assert it.served(Load(sequences, context), 4000, 500).value <= alone.value


def test_what_one_token_reads_is_what_the_anatomy_says() -> None:
    step = speed(fit(K2, EPYC)).step(1, Load(1, 0))
    embedding_row = K2.part("embedding").read_bytes
    assert sum(step.read_bytes.values()) == pytest.approx(K2.read_bytes - embedding_row, rel=1e-3)


def test_a_faster_disk_helps_until_computing_takes_longer() -> None:
    small = replace(EPYC, memory_bytes=128 * GB)
    rates = [speed(fit(K2, replace(small, disk_read_bytes_s=r * GB))).decode().value for r in (2, 4, 8, 1000, 2000)]
    assert rates[0] < rates[1] < rates[2] < rates[3] == pytest.approx(rates[4])


def test_assumptions_say_what_was_not_measured() -> None:
    told = " ".join(assumptions(speed(fit(K2, find_machine("8x-h200")))))
    for word in ("peak bandwidth", "rank^-0.6", "cards share each layer", "estimated figures"):
        assert word in told


# ---- measured -------------------------------------------------------------------------------------------------------


def _rates(scale: float = 1.0) -> MeasuredRates:
    points = tuple((float(n), scale * 1e-10 * max(1.0, n / 4)) for n in (1, 4, 64, 256))
    return MeasuredRates({"bf16": points, "int8": points, "int4": points}, 1e-11, 1e-11, 1e-6, 1e-7, 1e-5, 1e-6, 1e-10)


@given(st.floats(1e3, 1e9), st.floats(1, 1e9))
def test_a_model_that_stays_in_the_processors_cache_is_faster(stored: float, more: float) -> None:
    far = _rates()
    near = {name: tuple((n, s / 3) for n, s in curve) for name, curve in far.weight_s.items()}
    rates = replace(far, near_s=near, near_bytes=32e6)

    def seconds(size: float) -> float:
        return rates.for_model(size).seconds(1e6, 1.0625, 1)

    assert seconds(stored) <= seconds(stored + more) + 1e-15
    assert seconds(1e6) == pytest.approx(far.seconds(1e6, 1.0625, 1) / 3)
    assert seconds(64e6) == far.seconds(1e6, 1.0625, 1)


def test_what_lies_between_the_matrices_costs_each_token() -> None:
    config = K2.config
    machine = replace(find_machine("epyc-768gb"), rates=_rates())
    slower = replace(machine, rates=replace(_rates(), number_s=1e-9))
    plain, with_it = (speed(fit(K2, one)).step(64, Load(1, 64)).seconds for one in (machine, slower))
    assert with_it - plain == pytest.approx(64 * numbers(config) * 1e-9)
    assert numbers(config) > config.layers * config.width


@given(st.floats(1, 1000), st.floats(1, 1000), st.sampled_from([4.0, 2.0, 1.0625, 0.5625, 0.3]))
def test_measured_rates_rise_with_tokens_and_weights(tokens: float, more: float, width: float) -> None:
    rates = _rates()
    once = rates.seconds(1e6, width, tokens)
    assert 0 < once <= rates.seconds(1e6, width, tokens + more) + 1e-15
    assert rates.seconds(2e6, width, tokens) == pytest.approx(2 * once)


def test_a_measured_machine_is_kept_and_corrected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOONLET_HOME", str(tmp_path / "home"))
    assert measure.kept() is None
    kept = _measured(system.look())
    measure.keep(kept)
    found = measure.kept()
    assert found and found.machine.rates == kept.machine.rates and found.disk == kept.disk and found.when == kept.when
    assert (found.machine.read_bytes_s, found.machine.ops, found.machine.disk_read_bytes_s) == (9e9, 1e11, 1e9)
    measure.correct(Correction(1.5, 2.0))
    again = measure.kept()
    assert again and again.correction == Correction(1.5, 2.0)
    placed = fit(subject("nano"), kept.machine)
    plain, slower = speed(placed), speed(placed, correction=Correction(1.5, 2.0))
    assert slower.decode().value == pytest.approx(plain.decode().value / 1.5)
    assert slower.prefill(100).value == pytest.approx(plain.prefill(100).value / 2)
    measure.kept_path().write_text("{}")
    assert measure.kept() is None


def _measured(seen: system.System) -> measure.Measured:
    machine = Machine("this", "t", 10 * GB, 9e9, 1e11, disk_bytes=GB, disk_read_bytes_s=1e9, rates=_rates())
    return measure.Measured(machine, seen.processor, measure.date(2026, 1, 2), 3.0, {1: 1e9}, {(4096, 1): 1e8},
                            seen.cores, 1, False, False, "", True)  # fmt: skip


def test_speeds_are_kept_but_memory_and_cards_are_those_of_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same home with a smaller container, a card put in, another processor."""
    monkeypatch.setenv("MOONLET_HOME", str(tmp_path / "home"))
    seen = system.look()
    measure.keep(_measured(seen))
    cards, name = system.parse_cards("NVIDIA H200, 143771, 700.00\n")
    now = replace(seen, memory_bytes=4 * GB, memory_limited=True, cards=cards, cards_name=name)
    monkeypatch.setattr(system, "look", lambda: now)
    found = measure.kept()
    assert found and found.machine.memory_bytes == 4 * GB and found.memory_limited and "4 GB" in found.machine.title
    assert found.machine.cards == cards and found.cards_name == "NVIDIA H200"
    assert found.machine.disk_bytes == shutil.disk_usage(tmp_path).total
    assert found.machine.rates == _rates() and found.when == measure.date(2026, 1, 2)
    for other in (replace(now, processor="another"), replace(now, cores=now.cores + 1)):
        monkeypatch.setattr(system, "look", lambda seen=other: seen)
        assert measure.kept() is None


def test_the_tightest_limit_of_all_control_groups_holds(tmp_path: Path) -> None:
    """As a service under systemd has it: the limit is of its slice or its own group, not of the root's."""

    def told(kinds: str, path: str, **files: str) -> None:
        place = root / path
        place.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (place / name.replace("__", ".")).write_text(text + "\n")
        groups.write_text(kinds + "\n")

    root, groups = tmp_path / "new", tmp_path / "groups"
    told("0::/user.slice/app.service", "user.slice/app.service", memory__max="max", cpu__max="max 100000")
    assert memory_limit(groups, root) is None and cores_limit(groups, root) is None
    told("0::/user.slice/app.service", "user.slice", memory__max="8000000000", cpu__max="400000 100000")
    assert memory_limit(groups, root) == 8 * GB and cores_limit(groups, root) == 4
    told("0::/user.slice/app.service", "user.slice/app.service", memory__max="3000000000", cpu__max="150000 100000")
    assert memory_limit(groups, root) == 3 * GB and cores_limit(groups, root) == 2
    told("0::/elsewhere", "", memory__max="5000000000")  # a container, whose own path is not visible
    assert memory_limit(groups, root) == 5 * GB
    root = tmp_path / "old"
    kinds = "4:memory:/docker/1\n3:cpu,cpuacct:/docker/1\n1:name=systemd:/docker/1"
    told(kinds, "memory/docker/1", memory__limit_in_bytes="9223372036854771712")
    told(kinds, "cpu/docker/1", cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    assert memory_limit(groups, root) is None and cores_limit(groups, root) is None
    told(kinds, "memory", memory__limit_in_bytes="2000000000")
    told(kinds, "cpu/docker/1", cpu__cfs_quota_us="50000", cpu__cfs_period_us="100000")
    assert memory_limit(groups, root) == 2 * GB and cores_limit(groups, root) == 1
    assert memory_limit(tmp_path / "none", root) is None


def test_this_machine_can_be_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small and once: that it runs and gives sound numbers; how exact they are is for a quiet machine to show."""
    monkeypatch.setattr(probe, "COUNTS", (1, 4))
    monkeypatch.setattr(probe, "_TINY_LAYERS", 2)
    rates = probe.measure_rates(tmp_path, 1 << 16, 8 << 20, 0.0, lambda what: None)
    assert set(rates.weight_s) == {"bf16", "int8", "int4"}
    for points in rates.weight_s.values():
        assert [count for count, _ in points] == list(map(float, probe.COUNTS)) and min(s for _, s in points) > 0
    assert rates.near_s.keys() == rates.weight_s.keys()
    assert rates.attend_s > 0 and min(rates.layer_s, rates.token_layer_s, rates.step_s, rates.token_s) >= 0
    assert MeasuredRates.from_json(json.loads(json.dumps(rates.to_json()))) == rates


def test_memory_and_disk_are_read(tmp_path: Path) -> None:
    assert all(rate > 1e6 for rate in measure.memory_by_threads(2, 1 << 22).values())
    measure.write_for_reads(tmp_path / "disk", 16 << 20)
    found, _ = measure.disk_reads(tmp_path / "disk", 0.01)
    assert set(found) == {(length, depth) for length in (256 << 10, 4 << 20) for depth in measure.DISK_DEPTHS}
    assert all(rate > 0 for rate in found.values()) and not (tmp_path / "disk").exists()


def test_what_was_predicted_is_measured() -> None:
    """On the small model: every row has both numbers, and the correction is their ratio."""
    nano = open_folder(find("nano"))
    machine = Machine("this", "t", 10 * GB, 9e9, 1e11, rates=_rates())
    it = speed(fit(subject("nano"), machine, Wish(sequences=2)))
    test = prove.Test(prompt=40, tokens=6, batches=(1, 2), runs=1)
    rows = prove.prove(nano, it, test, prove.options(test), lambda what: None)
    assert [row.name for row in rows if not row.name.startswith(" ")] == [
        "prompt of 40", "first token after 40", "decode x1", "decode x2",
    ]  # fmt: skip
    for row in rows[:2]:
        assert row.predicted and row.measured and row.error == pytest.approx(row.predicted / row.measured - 1)
    found = prove.correction(rows, Correction())
    assert found.prefill == pytest.approx(rows[0].predicted / rows[0].measured)  # type: ignore[operator]


def test_energy_is_of_the_packages_once_also_where_their_counter_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zones = {"intel-rapl:0": "package-0", "intel-rapl:1": "psys"}
    joules, wraps = 997, 1000
    for zone, name in zones.items():
        (tmp_path / zone).mkdir()
        (tmp_path / zone / "name").write_text(name)
        (tmp_path / zone / "max_energy_range_uj").write_text(f"{wraps * 10**6}")
        (tmp_path / zone / "energy_uj").write_text(f"{joules * 10**6}")
    decode = prove._decode

    def takes_four(*arguments: Any) -> float:
        nonlocal joules
        joules += 4
        for zone in zones:
            (tmp_path / zone / "energy_uj").write_text(f"{joules % wraps * 10**6}")
        return decode(*arguments)

    monkeypatch.setattr(prove, "POWERCAP", tmp_path)
    monkeypatch.setattr(prove, "_decode", takes_four)
    machine = Machine("this", "t", 10 * GB, 9e9, 1e11, rates=_rates())
    test = prove.Test(prompt=40, tokens=6, batches=(1, 2), runs=1)
    rows = prove.prove(open_folder(find("nano")), speed(fit(subject("nano"), machine, Wish(sequences=2))), test,
                       prove.options(test), lambda what: None)  # fmt: skip
    told = {row.name.strip(): row.measured for row in rows}
    assert (told["energy, x1"], told["energy, x2"]) == (pytest.approx(4 / 6), pytest.approx(4 / 12))


def test_a_trace_holds_the_experts_that_were_chosen() -> None:
    nano = open_folder(find("nano"))
    chosen = prove.trace(nano, list(range(1, 21)), 5)
    assert chosen.shape == (nano.config.sparse_layers, 25, nano.config.experts_per_token)
    assert routing.measured(chosen, nano.config).per_token == pytest.approx(nano.config.experts_per_token)


def test_describe_takes_bare_numbers() -> None:
    machine = describe("x", {"memory_gb": 1, "memory_gbs": 2, "tops": 3, "price": 4.5})
    assert str(machine.price) == "4.5" and math.isclose(machine.ops, 3e12)


def test_the_evidence_in_the_docs_is_what_the_plan_says() -> None:
    root = Path(__file__).parent.parent
    done = subprocess.run([sys.executable, "-m", "bench.plan_evidence"], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    text = (root / "docs" / "plan-evidence.md").read_text()
    for line in done.stdout.splitlines():
        assert line in text, f"docs/plan-evidence.md lacks: {line} (python -m bench.plan_evidence writes the table)"
