"""Are the arguments those that were meant, and such as the schema allows?"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

from moonlet.chat.messages import Message, ToolSpec
from moonlet.evals import catalogue, talks
from moonlet.evals.calls import Wanted, same_calls
from moonlet.evals.question import Asked, Marks, Question
from moonlet.tools.tool import Checked, Tool, checked_call

GROUP = "arguments"
LEGAL, EXACT, ANEW = "calls fit their schema", "whole call exact", "whole call exact, tools made up anew"
TOOLS = 8


def questions(seed: int, n: int) -> list[Question]:
    """n of the catalogue, and n first calls of conversations with tools that exist nowhere else."""
    rng = Random(f"{GROUP} {seed}")
    found: list[Question] = []
    for one in rng.sample(catalogue.entries(), min(n, len(catalogue.entries()))):
        tools = catalogue.some(one, TOOLS, rng)
        right = [[(one.spec.name, arguments)] for arguments in one.right]
        judge = exactly(EXACT, right, tools)
        key = f"{GROUP}/{one.spec.name}"
        found.append(Asked(key, GROUP, (LEGAL, EXACT), catalogue.said(one.request), tools, judge))
    for place, turn in enumerate(talks.first_calls(talks.made_up(talks.SEED + 1 + seed), n)):
        wanted = [(call.name, json.loads(call.arguments)) for call in turn.wanted.calls]
        judge = exactly(ANEW, [wanted], turn.tools)
        found.append(Asked(f"{GROUP}/{seed}/{place}", GROUP, (LEGAL, ANEW), turn.before, turn.tools, judge))
    return found


def exactly(
    row: str, right: Sequence[Sequence[Wanted | tuple[str, Mapping[str, Any]]]], tools: Sequence[ToolSpec]
) -> Callable[[Message], Marks]:
    """Judges whether the calls are one of those lists; if there are calls, also whether they are legal."""

    def judge(reply: Message) -> Marks:
        exact = {row: any(same_calls(reply.calls, calls) for calls in right)}
        return {**exact, LEGAL: legal(reply, tools)} if reply.calls else exact

    return judge


def legal(reply: Message, tools: Sequence[ToolSpec]) -> bool:
    """Whether every call names a tool that is there, with arguments that its schema allows."""
    shown = [Tool(spec, lambda arguments: "") for spec in tools]
    return all(isinstance(checked_call(shown, call), Checked) for call in reply.calls)
