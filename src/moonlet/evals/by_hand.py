"""Requests that were typed for the tools of `moonlet run`: is the whole call right?

The requests (`requests.jsonl`, beside this file) were typed by hand as different people would. Training does not read
them; 3 of the 701 ("hiya", "what's the hour") occur word for word in 15,000 training conversations of three seeds. A
line: `request`, the `calls` that are right (none: no tool fits or something must be
asked first), perhaps `or` (other lists of calls that are as right), `missing` (it must be asked back), `language` (zh,
th; else English).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from importlib import resources
from typing import Any

from moonlet.chat.messages import Message
from moonlet.evals.calls import Wanted, same_calls
from moonlet.evals.question import Asked, Marks, Question
from moonlet.simulate.demo import system_text
from moonlet.simulate.world import World

GROUP = "hand-written requests, demonstration tools"
TODAY = date(2026, 11, 23)
CALLED = "a call where one is wanted"
NO_CALL, NOT_MISSING = "no call when no tool fits", "no call when something is missing"
EXACT, TOOL = "whole call exact", "right tool"


@dataclass(frozen=True, slots=True)
class Request:
    """One request and every list of calls that answers it rightly; the empty list means that none is to be made."""

    text: str
    right: tuple[tuple[Wanted, ...], ...]
    missing: bool = False
    language: str = "en"

    @property
    def rows(self) -> tuple[str, ...]:
        """Where it counts."""
        tongue = "" if self.language == "en" else ", Thai and Chinese"
        if self.right[0]:
            return EXACT + tongue, TOOL + tongue, CALLED
        return (NOT_MISSING,) if self.missing else (NO_CALL + tongue,)


def requests() -> list[Request]:
    """All of them."""
    text = resources.files("moonlet.evals").joinpath("requests.jsonl").read_text(encoding="utf-8")
    return [parse(json.loads(line)) for line in text.splitlines()]


def parse(row: Mapping[str, Any]) -> Request:
    """One line of the file."""
    lists = [row["calls"], *row.get("or", ())]
    right = tuple(tuple((call["name"], call["arguments"]) for call in calls) for calls in lists)
    return Request(row["request"], right, row.get("missing", False), row.get("language", "en"))


def questions() -> list[Question]:
    """Every request under all tools of the demonstration, in a conversation of its own."""
    specs = tuple(tool.spec for tool in World(0, TODAY).tools())
    system = Message("system", system_text(TODAY))
    return [
        Asked(f"by hand/{one.text}", GROUP, one.rows, (system, Message("user", one.text)), specs, judge(one))
        for one in requests()
    ]


def judge(request: Request) -> Callable[[Message], Marks]:
    """Judges a reply to the request."""

    def marks(reply: Message) -> Marks:
        names = [call.name for call in reply.calls]
        exact = any(same_calls(reply.calls, right) for right in request.right)
        tool = any(names == [name for name, _ in right] for right in request.right)
        return dict(zip(request.rows, (exact, tool, bool(names))))

    return marks
