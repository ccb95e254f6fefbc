"""What of the long prompts of coding agents is found again.

    python -m bench.sessions /tmp/agents [--node FOLDER_OF_NODE_22] [--only codex]         (packages: see bench.clients)

Each agent does its loop three times with prepared replies: twice in one folder, once in another. Its prompts are
rendered in K2's form with K2's vocabulary, and compared: how much of the next turn, of a new session in the same
folder, of one elsewhere and of one tomorrow (the same with tomorrow's date in the place of today's) lies in whole pages
before the first difference, with the text around it. Claude Code does it once more with its billing line, which the
server leaves out, left in.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from pytest import MonkeyPatch

from bench.agents import CLIENTS, NODE
from bench.clients import run
from moonlet.chat.messages import Message, ToolSpec
from moonlet.chat.template import render
from moonlet.kernels import PAGE
from moonlet.llm.scripted import Scripted
from moonlet.server import anthropic
from vocabularies import k2

_DATES = ("%Y-%m-%d", "%a %b %d %Y", "%A, %B %d, %Y", "%A %B %d %Y", "%B %d, %Y", "%m/%d/%Y", "%-m/%-d/%Y", "%Y/%m/%d")


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


def tomorrow(model: Scripted) -> list[int]:
    """The first request with tools as it would be a day later, as far as it tells the date."""
    messages, tools = next((messages, tools) for messages, tools, _ in model.asked if tools)
    now = datetime.now()
    for form in _DATES:
        old, new = (day.strftime(form) for day in (now, now + timedelta(days=1)))
        messages = tuple(replace(message, content=message.content.replace(old, new)) for message in messages)
        tools = tuple(replace(tool, description=tool.description.replace(old, new)) for tool in tools)
    return _rendered(messages, tools)


def compare(name: str, packages: Path, node: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as here, tempfile.TemporaryDirectory() as there:
        models = [run(name, packages, node, Path(place))[1] for place in (here, here, there)]
    first, again, away = map(prompts, models)
    others = {"next turn": first[1], "new session": again[0], "other folder": away[0], "tomorrow": tomorrow(models[0])}
    found = {"tokens": len(first[0]), **{what: kept(first[0], other) for what, other in others.items()}}
    # All of the turn before that fills pages, if the next one is found whole.
    found["next turn at best"] = len(first[0]) // PAGE * PAGE / len(first[1])
    print(f"{name}: {found}")
    for what, other in others.items():
        print(f"  {what} differs first at {_same(first[0], other):,}: {difference(first[0], other)}", flush=True)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", type=Path)
    parser.add_argument("--node", default=NODE)
    parser.add_argument("--only")
    asked = parser.parse_args()
    names, packages = [asked.only] if asked.only else [*CLIENTS], asked.packages.resolve()
    found = {name: compare(name, packages, asked.node) for name in names}
    if "claude-code" in names:
        with MonkeyPatch.context() as patch:
            patch.setattr(anthropic, "_BILLING", "a line that nobody sends")
            found["claude-code with its billing line"] = compare("claude-code", packages, asked.node)
    print(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
