"""What of the long prompts of coding agents is found again.

    python -m bench.sessions /tmp/agents [--node FOLDER_OF_NODE_22] [--only codex]         (packages: see bench.clients)

Each agent does its loop three times with prepared replies: twice in one folder, once in another. Its prompts are
rendered in K2's form with K2's vocabulary, and compared: how much of the next turn, of a new session in the same folder
and of one elsewhere lies in whole pages before the first difference, with the text around it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from bench.agents import CLIENTS, NODE
from bench.clients import run
from moonlet.chat.messages import Message, ToolSpec
from moonlet.chat.template import render
from moonlet.kernels import PAGE
from moonlet.llm.scripted import Scripted
from vocabularies import k2


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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", type=Path)
    parser.add_argument("--node", default=NODE)
    parser.add_argument("--only")
    asked = parser.parse_args()
    names, packages = [asked.only] if asked.only else [*CLIENTS], asked.packages.resolve()
    found = {name: compare(name, packages, asked.node) for name in names}
    print(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
