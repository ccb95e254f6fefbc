"""What an agent's next turn costs: only what is new, in memory and after a restart; and what a changed line loses."""

from __future__ import annotations

import os
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engines
from moonlet.chat.messages import Message, ToolSpec
from moonlet.chat.template import render
from moonlet.engine.engine import Engine, EngineOptions
from moonlet.engine.sampler import Sampler, Sampling
from moonlet.engine.sequence import Reply
from moonlet.kernels import PAGE
from vocabularies import k2

GREEDY = Sampling(max_tokens=4, temperature=0)


def computed(reply: Reply) -> int:
    """Tokens of its prompt that were read."""
    list(reply)
    return reply.stats.prompt_tokens - reply.stats.cached_tokens


def test_every_turn_of_a_conversation_reads_only_its_new_tail(tmp_path: Path) -> None:
    options = EngineOptions(cache_tokens=8192, threads=1, spill_bytes=1 << 30, spill_path=tmp_path)
    talk = engines.ids(3000, 0)
    with Engine(engines.folder(), options) as engine:
        assert computed(engine.submit(talk, GREEDY)) == 3000
        for turn in range(1, 4):
            talk += engines.ids(300, turn)
            reply = engine.submit(talk, GREEDY)
            assert computed(reply) < 300 + PAGE and reply.stats.restored_tokens == 0
    talk += engines.ids(300, 9)
    with Engine(engines.folder(), options) as engine:
        reply = engine.submit(talk, GREEDY)
        assert computed(reply) < 300 + PAGE and reply.stats.restored_tokens > 3500
    assert len([*tmp_path.glob("*/*.pages")]) <= 4  # few large reads


def test_turns_that_come_faster_than_the_disk_writes_are_all_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same pages wait for the disk in the jobs of several turns, and are one conversation's all the same."""
    sync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (time.sleep(0.3), sync(file)))
    options = EngineOptions(cache_tokens=8192, threads=1, spill_bytes=1 << 30, spill_path=tmp_path)
    talk = engines.ids(3000, 0)
    with Engine(engines.folder(), options) as engine:
        for turn in range(4):
            talk += engines.ids(200, turn)
            computed(engine.submit(talk, GREEDY))
    with Engine(engines.folder(), options) as engine:
        assert computed(engine.submit(talk, GREEDY)) < PAGE + 1


def test_two_sessions_that_alternate_keep_their_own_beginnings() -> None:
    """Headers that differ make two branches; neither drives the other out while there is room."""
    with Engine(engines.folder(), EngineOptions(cache_tokens=8192, threads=1)) as engine:
        one, other = ([header, *engines.ids(2000, 5)] for header in (1, 2))
        assert [computed(engine.submit(ids, GREEDY)) for ids in (one, other)] == [2001, 2001]
        assert max(computed(engine.submit(ids, GREEDY)) for ids in (one, other, one, other)) < PAGE + 1


def common(one: list[int], other: list[int]) -> float:
    """The share of a prompt that lies in pages before the first difference."""
    same = next(i for i, (a, b) in enumerate(zip(one, other)) if a != b)
    return same // PAGE * PAGE / len(one)


def agent(header: str, tools: int, footer: str = "") -> list[int]:
    """The first request of a coding agent: so many tools of usual length, a system text of some 2,000 tokens."""
    parameters: dict[str, Any] = {
        "type": "object",
        "required": ["path"],
        "properties": {
            name: {"type": "string", "description": f"The {name} to work on, absolute, never relative to anything."}
            for name in ("path", "pattern", "replacement", "mode", "limit")
        },
    }
    told = "Use this to look at or change something in the project; prefer it to the shell where both would do. "
    specs = [ToolSpec(f"tool_{i}", told * 8, parameters) for i in range(tools)]
    rules = "\n".join(
        f"{i}. Keep to the rules of the project and say what you did and why in short." for i in range(110)
    )
    system = f"{header}\nYou are a coding agent.\n{rules}\n{footer}"
    return render(k2(), "k2-instruct", [Message("system", system), Message("user", "Mend the build.")], specs)


@pytest.mark.parametrize(("tools", "kept"), [(18, (0.6, 0.8)), (4, (0.2, 0.4)), (0, (0.0, 0.0))])
def test_what_a_changed_first_line_of_the_system_text_loses(tools: int, kept: tuple[float, float]) -> None:
    """K2's template declares the tools before the system text: they stay. All after the changed line is read anew."""
    one, other = (agent(f"billing: session={session}; date=2026-03-04", tools) for session in ("3fa2", "91bc"))
    print(f"{tools} tools: {common(one, other):.0%} of {len(one)} tokens kept")
    assert kept[0] <= common(one, other) <= kept[1]


def test_the_same_line_at_the_end_of_the_system_text_loses_next_to_nothing() -> None:
    one, other = (agent("", 18, f"billing: session={session}") for session in ("3fa2", "91bc"))
    assert common(one, other) > 0.95


@pytest.mark.parametrize("settings", [{"temperature": 0}, {"temperature": 1.0}, {"temperature": 0.7, "logprobs": True}])
def test_drawing_a_token_makes_no_array_of_the_vocabulary_s_size(settings: dict[str, Any]) -> None:
    vocab = 163_840
    logits = np.random.default_rng(0).normal(size=vocab).astype(np.float32)
    sampler = Sampler(Sampling(seed=1, **settings), [], vocab)
    mask = np.full(vocab // 32, 0xFFFFFFFF, np.uint32)
    mask.flags.writeable = False
    for allowed in (None, mask):
        sampler.draw(logits, allowed)
        tracemalloc.start()
        sampler.draw(logits, allowed)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 100_000
