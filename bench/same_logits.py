"""Whether another engine computes of an export what ours does: log probabilities of some hundred tokens, one by one.

    python -m bench.same_logits CHECKPOINT [--environment FOLDER_OF_VLLM]

Conversations with calls, in three scripts, are rendered here and by the engine's own template, which must give the
same ids. Then each token's log probability after all that stand before it is asked of the engine (`prompt_logprobs`)
and computed by ours: of the same bfloat16 weights with activations in float32 (`exact`), and as the model is shipped
(int8 weights, int8 activations), which is told and not judged.

Two engines are compared, with the tolerances of TOLERANCE. With `--dtype float32` the weights are the same numbers and
only the order of sums differs. As it is served (bfloat16) every activation is rounded to eight bits on its way, which
is a relative 2^-9 at each of some fifty roundings; a rounding now and then picks another expert for a token. The
likeliest token is judged where its lead is larger than the tolerance.

Exit code 1 if they differ by more.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

import moonlet
from bench import small_public
from moonlet.chat.messages import Message, ToolCall, ToolSpec, to_openai, tool_to_openai
from moonlet.chat.template import render
from moonlet.fleet.launch import Shape, command
from moonlet.fleet.process import EngineProcess, wait_started
from moonlet.local import Local

# Of a token's log probability, in nats: the largest difference, and the mean.
TOLERANCE = {"float32": (0.01, 0.001), "bfloat16": (1.0, 0.05)}
# What an engine on a processor needs: little room, and attention in its expanded form, which takes heads of this size.
# Its threads are not bound to one core each, which another program may need.
ON_CPU = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_MLA_DISABLE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "HF_HUB_OFFLINE": "1",
}

PLACE = {"type": "object", "properties": {"place": {"type": "string", "description": "A city."},
         "unit": {"enum": ["C", "F"]}}, "required": ["place"]}  # fmt: skip
ROUTE = {"type": "object", "properties": {"from": {"type": "string"}, "stops": {"type": "array", "items": {"type":
         "string"}}, "fast": {"type": ["boolean", "null"]}}, "required": ["from", "stops"]}  # fmt: skip
TOOLS = (ToolSpec("get_weather", "The weather of a place.", PLACE), ToolSpec("plan_route", "Plans a\n way.", ROUTE))


@dataclass(frozen=True, slots=True)
class Talk:
    """A conversation that is compared."""

    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()


def _called(question: str, name: str, arguments: str, result: str, answer: str, more: str) -> Talk:
    call = ToolCall(f"functions.{name}:0", name, arguments)
    messages = (
        Message("system", "You are a helpful assistant. Today is 2026-11-28."),
        Message("user", question),
        Message("assistant", calls=(call,)),
        Message("tool", result, call_id=call.id),
        Message("assistant", answer),
        Message("user", more),
    )
    return Talk(messages, TOOLS)


TALKS = (
    Talk((Message("user", "Hello! Who are you, and what can you do for me this afternoon?"),)),
    _called(
        "What is the weather like in Oslo?", "get_weather", '{"place": "Oslo", "unit": "C"}',
        '{"sky": "clear", "degrees": -3}', "It is clear in Oslo, at -3 degrees.", "Is it colder in Tromsø than 12.5?",
    ),
    _called(
        "พรุ่งนี้ที่กรุงเทพฯ อากาศเป็นอย่างไร", "get_weather", '{"place": "กรุงเทพฯ"}', '{"sky": "grey", "degrees": 31}',
        "พรุ่งนี้ที่กรุงเทพฯ มีเมฆมาก 31 องศา", "ขอบคุณ แล้วเชียงใหม่ล่ะ",
    ),
    _called(
        "从北京经过济南到上海怎么走?", "plan_route", '{"from": "北京", "stops": ["济南", "上海"]}',
        '{"hours": 5.5, "trains": ["G17", "G2"]}', "先坐 G17 到济南,再坐 G2 到上海,一共五个半小时。", "有没有更快的?",
    ),
)  # fmt: skip


def prepared(model: Local) -> list[list[int]]:
    """The ids of each conversation, as our template writes them."""
    return [render(model.tokenizer, model.family, talk.messages, talk.tools) for talk in TALKS]


def same_ids(url: str, name: str, ids: list[list[int]]) -> bool:
    """Whether the engine's template and vocabulary give the same."""
    for talk, expected in zip(TALKS, ids, strict=True):
        body: dict[str, Any] = {"model": name, "messages": [to_openai(message) for message in talk.messages]}
        if talk.tools:
            body["tools"] = [tool_to_openai(tool) for tool in talk.tools]
        answer = httpx.post(f"{url.removesuffix('/v1')}/tokenize", json=body, timeout=60)
        answer.raise_for_status()
        if answer.json()["tokens"] != expected:
            print(f"other ids of {talk.messages[0].content[:40]!r}:\n{expected}\n{answer.json()['tokens']}")
            return False
    return True


@dataclass(frozen=True, slots=True)
class Judged:
    """Of each token but the first of each conversation: its log probability there, and the likeliest token."""

    logprobs: NDArray[np.float64]
    likeliest: NDArray[np.int64]
    leads: NDArray[np.float64]  # of the likeliest over the next


def asked(url: str, name: str, ids: list[list[int]]) -> Judged:
    """What the engine at `url` says."""
    logprobs, likeliest, leads = [], [], []
    for prompt in ids:
        body = {"model": name, "prompt": prompt, "max_tokens": 1, "temperature": 0, "prompt_logprobs": 2}
        answer = httpx.post(f"{url}/completions", json=body, timeout=600)
        answer.raise_for_status()
        for id, found in zip(prompt[1:], answer.json()["choices"][0]["prompt_logprobs"][1:], strict=True):
            by_rank = sorted((one["rank"], one["logprob"], int(other)) for other, one in found.items())
            logprobs.append(found[str(id)]["logprob"])
            likeliest.append(by_rank[0][2])
            leads.append(by_rank[0][1] - by_rank[1][1])
    return Judged(np.array(logprobs), np.array(likeliest), np.array(leads))


def computed(model: Local, ids: list[list[int]]) -> Judged:
    """What our engine says."""
    logprobs, likeliest, leads = [], [], []
    for prompt in ids:
        rows = model.logits(prompt)[:-1].astype(np.float64)
        rows -= np.log(np.exp(rows - rows.max(1, keepdims=True)).sum(1, keepdims=True)) + rows.max(1, keepdims=True)
        logprobs.append(rows[np.arange(len(rows)), prompt[1:]])
        order = np.sort(rows, 1)
        likeliest.append(rows.argmax(1))
        leads.append(order[:, -1] - order[:, -2])
    return Judged(np.concatenate(logprobs), np.concatenate(likeliest), np.concatenate(leads))


def compared(name: str, theirs: Judged, ours: Judged, tolerance: tuple[float, float] | None) -> bool:
    """Prints how far they are apart; whether that is within the tolerance, if there is one."""
    gap = np.abs(theirs.logprobs - ours.logprobs)
    other = theirs.likeliest != ours.likeliest
    limit = tolerance[0] if tolerance else 0.0
    clear = other & (np.minimum(theirs.leads, ours.leads) > limit)
    print(
        f"{name}: {len(gap)} tokens; log probabilities differ by {gap.mean():.5f} in the mean, {gap.max():.5f} "
        f"at most; another token is the likeliest at {other.sum()} places, at {clear.sum()} by a lead above {limit}"
    )
    return tolerance is None or bool(gap.max() < limit and gap.mean() < tolerance[1] and not clear.any())


@contextmanager
def vllm(checkpoint: Path, name: str, *words: str) -> Iterator[str]:
    """The URL of a vLLM started here, on a free port of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = str(bound.getsockname()[1])
    started = [*command("vllm", str(checkpoint), name, Shape(), "127.0.0.1", port), *words]
    process, url = EngineProcess("vllm", started, print), f"http://127.0.0.1:{port}/v1"
    try:
        wait_started(process, lambda: _up(url), print, 10)
        yield url
    finally:
        process.stop()


def _up(url: str) -> bool:
    time.sleep(0.5)
    try:
        return httpx.get(f"{url}/models", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def in_place(environment: Path | None, home: Path) -> None:
    """Its `vllm` is found first, through a script in `home` that spares it compiling, which takes longer than all that
    is tried here. What it needs on a processor is said, where nobody said otherwise."""
    program = shutil.which("vllm") if environment is None else str(environment.resolve() / "bin" / "vllm")
    if program is None:
        sys.exit("there is no vllm on PATH; name its environment with --environment")
    script = home / "bin" / "vllm"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(program)} "$@" --enforce-eager\n', encoding="utf-8")
    script.chmod(0o755)
    os.environ["PATH"] = f"{script.parent}{os.pathsep}{os.environ['PATH']}"
    os.environ["MOONLET_HOME"] = str(home)
    for variable, value in ON_CPU.items():
        os.environ.setdefault(variable, value)


def judged(checkpoint: Path, url: str, name: str, dtype: str) -> bool:
    """Whether the engine at `url` agrees with ours on this checkpoint. Prints by how much."""
    with moonlet.load(checkpoint, exact=True, threads=1, cache_tokens=4096) as model:
        ids = prepared(model)
        ours = computed(model, ids)
    alike, theirs = same_ids(url, name, ids), asked(url, name, ids)
    holds = compared(f"vLLM ({dtype}) and ours of the same weights", theirs, ours, TOLERANCE[dtype])
    with moonlet.load("nano", threads=1, cache_tokens=4096) as model:
        compared(f"vLLM ({dtype}) and ours as it is shipped", theirs, computed(model, ids), None)
    return alike and holds


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.same_logits")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--environment", type=Path, metavar="FOLDER", help="where vLLM is installed")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        in_place(given.environment, Path(home))
        served = small_public.for_vllm_on_cpu(given.checkpoint, Path(home) / "served")
        with vllm(served, "small", "--dtype", "float32") as url:
            return 0 if judged(given.checkpoint, url, "small", "float32") else 1


if __name__ == "__main__":
    sys.exit(main())
