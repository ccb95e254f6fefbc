"""`moonlet mcp`: a model and its books, offered to MCP clients over standard input and output."""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from moonlet.chat.messages import ToolSpec
from moonlet.cli import UsageError, make_parser
from moonlet.cli.article_extra import missing
from moonlet.cli.open import open_any
from moonlet.llm import LLM
from moonlet.server.accounts import Accounts
from moonlet.server.mcp import ask_tool, make_server, serve_stdio
from moonlet.tools.tool import Tool, ToolError, parameters

VERB_S = 120.0  # of a verb that is asked for


def main(asked: argparse.Namespace) -> int:
    with open_any(asked) as (model, _):
        asyncio.run(serve_stdio(make_server([*offered(model), *_articles(asked, model)])))
    return 0


def _articles(asked: argparse.Namespace, model: LLM) -> Sequence[Tool]:
    """`make_article`, of recordings in the folder that is given for it."""
    if not asked.articles:
        return []
    if told := missing():
        raise UsageError(f"--articles: {told}")
    from moonlet.cli import article_jobs

    try:
        return [article_jobs.tool(Path(asked.articles).expanduser(), model)]
    except ToolError as error:
        raise UsageError(f"--articles {error}") from None


def offered(
    model: LLM, accounts: Accounts | None = None, own: bool = True, ledger: str | None = None
) -> Sequence[Tool]:
    """What we offer: asking the model, and the verbs of this installation that tell something worth asking for. Where
    others than the `own`er come in, no verb runs for them: each may only ask, and is charged.
    `ledger`: where it is kept, if not in the usual place."""
    verbs = next(action.choices for action in make_parser()._actions if action.dest == "verb")
    assert isinstance(verbs, dict)
    return [ask_tool(model, accounts), *(_verb(name, ledger) for name in _OFFERED if name in verbs and own)]


# Verbs as tools: what they are for, and the arguments they take as words.
_OFFERED: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "plan": (
        "Plan a machine for a model: does it fit, how fast, what does it cost against renting",
        parameters({"model": {"type": "string", "description": "Such as moonshotai/Kimi-K2-Thinking"}}),
    ),
    "ledger": ("What the model was used for: tokens, energy and money", {}),
    "info": (
        "A model's anatomy: parameters, bytes, cache",
        parameters({"model": {"type": "string", "description": "A folder or the name of a pulled model"}}),
    ),
}


def _verb(name: str, ledger: str | None) -> Tool:
    """`moonlet NAME ... --json` in a process of its own: what it prints is its own, and so is its fall."""
    about, schema = _OFFERED[name]
    place = {"MOONLET_LEDGER": ledger} if ledger else {}  # by the environment: a password is not seen there

    def run(arguments: Mapping[str, Any]) -> str:
        command = [sys.executable, "-m", "moonlet", name, "--json", "--", *map(str, arguments.values())]
        environment = {**os.environ, **place}
        done = subprocess.run(
            command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=VERB_S, env=environment
        )
        if done.returncode:
            raise ToolError(" ".join(done.stderr.split())[-500:] or f"it ended with {done.returncode}")
        return done.stdout

    return Tool(ToolSpec(name, about, schema), run)
