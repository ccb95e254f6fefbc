"""The short form: two dozen questions under one list of tools, in less than a minute even on a small machine."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from moonlet.chat.messages import Message, ToolSpec
from moonlet.chat.template import Family, thinks
from moonlet.evals import catalogue
from moonlet.evals.arguments import LEGAL, exactly
from moonlet.evals.asking import REPLY_TOKENS, THOUGHT_TOKENS
from moonlet.evals.catalogue import Entry
from moonlet.evals.choice import called
from moonlet.evals.question import Asked, Marks, Question, no_call
from moonlet.evals.report import Report
from moonlet.llm import ReplyOptions

CALLED, TOOL, EXACT = "calls when a tool is wanted", "right tool of 12", "whole call exact"
TALK, REFUSED = "no call when none is needed", "no call when no tool fits"
GROUP = "tools"
TOOLS, TALKS, BEYOND = 12, 6, 6


def questions(seed: int = 0) -> list[Question]:
    """A request for each of 12 tools, 6 that no tool is needed for, 6 that none of them fits. All prompts begin alike,
    so that their tools are read once."""
    rng = Random(f"short {seed}")
    entries = rng.sample(catalogue.entries(), TOOLS)
    tools = tuple(one.spec for one in entries)
    shown = {one.family for one in entries}
    beyond = rng.sample([one for one in catalogue.entries() if one.family not in shown], BEYOND)
    found: list[Question] = []
    for one in entries:
        rows = (CALLED, TOOL, EXACT, LEGAL)
        found.append(Asked(one.spec.name, GROUP, rows, catalogue.said(one.request), tools, _judge(one, tools)))
    for text in rng.sample([text for text in catalogue.talk() if text.isascii()], TALKS):
        found.append(Asked(text, GROUP, (TALK,), catalogue.said(text), tools, no_call(TALK)))
    for one in beyond:
        found.append(
            Asked(f"no {one.spec.name}", GROUP, (REFUSED,), catalogue.said(one.request), tools, no_call(REFUSED))
        )
    return found


def _judge(entry: Entry, tools: tuple[ToolSpec, ...]) -> Callable[[Message], Marks]:
    tool = called(TOOL, entry.spec.name)
    exact = exactly(EXACT, [[(entry.spec.name, arguments)] for arguments in entry.right], tools)
    return lambda reply: {CALLED: bool(reply.calls), **tool(reply), **exact(reply)}


def options(family: Family) -> ReplyOptions:
    """How a model of this machine is asked: greedily, with room for a thought if it has any."""
    return ReplyOptions(temperature=0.0, max_tokens=THOUGHT_TOKENS if thinks(family) else REPLY_TOKENS)


def result(told: Report, asked: int = TOOLS + TALKS + BEYOND) -> dict[str, Any]:
    """What is kept of a report on one model that was asked so many of the questions."""
    (column,) = told.columns
    counted = [(row.name, row.rates[0]) for row in told.rows]
    rows = [{"row": name, **rate.as_json()} for name, rate in counted if rate]
    refused = next(iter(column.refused), None)
    return {"model": column.label, "asked": asked, "of": TOOLS + TALKS + BEYOND, "rows": rows, "refused": refused}
