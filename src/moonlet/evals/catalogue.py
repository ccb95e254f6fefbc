"""128 tools that look alike, a request for each, and what is said to them that no tool is to be called for.

`catalogue.txt` and `no_call.txt`, beside this file, were written by hand; their heads say in which form.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from random import Random
from typing import Any

from moonlet.chat.messages import Message, ToolSpec
from moonlet.tools.tool import parameters

SYSTEM = Message("system", "Today is 2026-11-23, Monday.")
SCALARS = ("string", "integer", "number", "boolean")
NEAR = 3  # of the family, beside the right one, where a few tools are shown


@dataclass(frozen=True, slots=True)
class Entry:
    """A tool and the request that it alone fits. `alone`: without it none of its family can do what is asked."""

    family: str
    spec: ToolSpec
    alone: bool
    request: str
    right: tuple[Mapping[str, Any], ...]  # arguments, the first as one would expect them


@lru_cache(maxsize=1)
def entries() -> tuple[Entry, ...]:
    """The catalogue, in its order."""
    found: list[Entry] = []
    for head, *lines in _blocks("catalogue.txt"):
        for tool, request, right in zip(lines[::3], lines[1::3], lines[2::3], strict=True):
            name, about, takes = (part.strip() for part in tool.split(" | "))
            spec = ToolSpec(name.lstrip("*"), about, _parameters(takes))
            answers = tuple(json.loads(one) for one in right.removeprefix("= ").split(" or "))
            found.append(Entry(head[3:], spec, name.startswith("*"), request.removeprefix("> "), answers))
    return tuple(found)


def _blocks(name: str) -> list[list[str]]:
    """The lines of each part of a text file of this package; parts begin with ##."""
    text = resources.files("moonlet.evals").joinpath(name).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not re.match(r"#(?!#)", line)]
    starts = [place for place, line in enumerate(lines) if line.startswith("## ")]
    return [lines[start:end] for start, end in zip(starts, [*starts[1:], None])]


def _parameters(text: str) -> dict[str, Any]:
    """The schema of `to: string (email address), priority?: low/normal/high`."""
    required: dict[str, Any] = {}
    optional: dict[str, Any] = {}
    for name, left_out, kind, about in re.findall(r"(\w+)(\??): ([\w/]+)(?: \(([^()]*)\))?", text):
        schema: dict[str, Any] = {"type": kind} if kind in SCALARS else {"type": "string", "enum": kind.split("/")}
        (optional if left_out else required)[name] = {**schema, **({"description": about} if about else {})}
    return parameters(required, optional)


@lru_cache(maxsize=1)
def talk() -> tuple[str, ...]:
    """What needs no tool."""
    return tuple(_blocks("no_call.txt")[0][1:])


@lru_cache(maxsize=1)
def missing() -> tuple[tuple[str, str], ...]:
    """Tool and request, of which something is left out that only the user knows."""
    return tuple((name, request) for name, request in (line.split(" | ") for line in _blocks("no_call.txt")[1][1:]))


def entry(name: str) -> Entry:
    return next(one for one in entries() if one.spec.name == name)


def some(entry: Entry, count: int, rng: Random, near: int = NEAR) -> tuple[ToolSpec, ...]:
    """So many tools, shuffled: the right one, `near` of its family, and others of any family (none of its own while
    there are others)."""
    family = [one for one in entries() if one.family == entry.family and one is not entry]
    chosen = [entry, *rng.sample(family, min(near, len(family), count - 1))]
    others = [one for one in entries() if one.family != entry.family]
    chosen += rng.sample(others, min(count - len(chosen), len(others)))
    return shuffled([one.spec for one in chosen], rng)


def without(entry: Entry, count: int, rng: Random, near: bool) -> tuple[ToolSpec, ...]:
    """So many tools that cannot do what the entry's request wants: with `near` the rest of its family first."""
    family = [one.spec for one in entries() if one.family == entry.family and one is not entry] if near else []
    others = [one.spec for one in entries() if one.family != entry.family]
    return shuffled([*family, *rng.sample(others, count - len(family))], rng)


def shuffled(specs: Sequence[ToolSpec], rng: Random) -> tuple[ToolSpec, ...]:
    return tuple(rng.sample(list(specs), len(specs)))


def said(text: str) -> tuple[Message, ...]:
    """A conversation that begins with these words."""
    return SYSTEM, Message("user", text)
