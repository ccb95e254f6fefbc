"""Coding agents against the real engine, and what of their long prompts is found again.

    python -m bench.sessions /tmp/agents [--node FOLDER_OF_NODE_22] [--only codex]         (packages: see bench.clients)

Each agent does its loop three times with prepared replies: twice in one folder, once in another. Its prompts are
rendered in K2's form with K2's vocabulary, and compared: how much of the next turn, of a new session in the same folder
and of one elsewhere lies in whole pages before the first difference, with the text around it. Then the agent is started
once more against the small model with a longer context, which may only talk: no request may be refused.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import moonlet
from bench.clients import CLIENTS, _Recorder, run, serving, start
from bench.turns import longer
from moonlet.chat.messages import Message, ToolSpec
from moonlet.chat.template import render
from moonlet.kernels import PAGE
from moonlet.llm import Event, ReplyOptions
from moonlet.llm.scripted import Scripted
from moonlet.local import Local
from moonlet.server.app import create_app
from vocabularies import k2

CONTEXT = 131_072  # tokens of the small model's vocabulary, which has a fortieth of K2's


def prompts(model: Scripted) -> list[list[int]]:
    """Of each request with tools, in K2's form."""
    return [_rendered(messages, tools) for messages, tools, _ in model.asked if tools]


def _rendered(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> list[int]:
    return render(k2(), "k2-instruct", messages, tools)


def kept(one: list[int], other: list[int]) -> float:
    """Which share of `other` lies in whole pages that `one` has, too."""
    return _same(one, other) // PAGE * PAGE / len(other)


def _same(one: list[int], other: list[int]) -> int:
    return next((i for i, (a, b) in enumerate(zip(one, other)) if a != b), min(len(one), len(other)))


def difference(one: list[int], other: list[int]) -> str:
    """The text around the first difference."""
    at = _same(one, other)
    return " | ".join(repr(k2().decode(ids[max(at - 12, 0) : at + 12])) for ids in (one, other))


def compare(name: str, packages: Path, node: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as here, tempfile.TemporaryDirectory() as there:
        first, again, away = (prompts(run(name, packages, node, Path(place))[1]) for place in (here, here, there))
    found = {
        "tokens": len(first[0]),
        "next turn": kept(first[0], first[1]),
        "new session": kept(first[0], again[0]),
        "other folder": kept(first[0], away[0]),
    }
    print(f"{name}: {found}")
    for what, other in (("next turn", first[1]), ("new session", again[0]), ("other folder", away[0])):
        print(f"  {what} differs first at {_same(first[0], other):,}: {difference(first[0], other)}", flush=True)
    return found


class Talking:
    """A model that calls nothing and says little: what it knows of agents is not to be let loose on a machine."""

    def __init__(self, model: Local) -> None:
        self._model, self.name, self.count = model, model.name, model.count

    def reply(self, messages: Sequence[Message], tools: Sequence[ToolSpec], options: ReplyOptions) -> Iterator[Event]:
        return self._model.reply(messages, tools, replace(options, tool_choice="none", max_tokens=32))


def against_the_engine(name: str, packages: Path, node: str) -> bool:
    """True if the agent's requests were all answered by the real engine. What it makes of them is another matter."""
    with tempfile.TemporaryDirectory() as place:
        folder = longer(Path(place) / "long", CONTEXT)
        with moonlet.load(folder, cache_tokens=CONTEXT) as model:
            recorder = _Recorder(create_app(Talking(model)))
            with serving(recorder) as url:
                done = start(name, packages, node, Path(place), url, model.name, limit_s=900)
    statuses = [status for path, status in recorder.statuses if path.startswith("/v1/") and "models" not in path]
    tools = sum(bool(body.get("tools")) for _, body in recorder.bodies)
    print(f"{name}: {statuses} from the engine, {tools} requests with tools, exit code {done.returncode}", flush=True)
    return tools > 0 and set(statuses) == {200}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", type=Path)
    parser.add_argument("--node", default="/usr/bin")
    parser.add_argument("--only")
    asked = parser.parse_args()
    names, packages = [asked.only] if asked.only else [*CLIENTS], asked.packages.resolve()
    found = {name: compare(name, packages, asked.node) for name in names}
    print(json.dumps(found, indent=1))
    return 0 if all([against_the_engine(name, packages, asked.node) for name in names]) else 1


if __name__ == "__main__":
    sys.exit(main())
