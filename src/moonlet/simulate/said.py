"""Requests on the demonstration tools that somebody typed whole, with the words that are arguments marked
(wordings/en_said.txt, th_said.txt, zh_said.txt): `Can u schedule {title=vet for Biscuit} {day=next Monday}`.

A line stands under its tool (`# add_event`), under a tool, the parameter that it leaves out and what is then asked
(`# add_event - day: On which day?`), under `# several`, where a parameter has its tool in front
(`{set_timer.duration=ten minutes}`, a digit behind the second of one tool), or under `# none`, which no tool fits.
`{amount=twelve|12}` is said otherwise than it is meant; behind ` || ` follows what is meant and not said
(`|| power=off`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from random import Random
from typing import Any

from moonlet.simulate.episode import Episode, Wanted
from moonlet.simulate.requests import ORDER, lowered, ordered

SLOT = re.compile(r"\{(?:(\w+)\.)?(\w+)=([^{}|]*)(?:\|([^{}]*))?\}")
IMPLIED = re.compile(r"(?:(\w+)\.)?(\w+)=([^,]+)")
NUMBERS = frozenset({"amount", "degrees", "brightness"})
CLOSED = NUMBERS | {"expression", "power", "reason"}
# What another value cannot take the place of: it hangs together with the words around it.
BOUND = CLOSED | {"from_unit", "to_unit", "day", "time", "when"}
SHARE = 0.6  # of the requests of an exercise
ANY = 0.12  # share of the requests of one call that are of any tool, be it here or not
EXCHANGED = 0.4  # share of values that are those of another line
LOWER = 0.2  # share of messages typed in lower case
NONE, SEVERAL, MISSING = "none", "several", "missing"
KINDS = {"": 0.68, NONE: 0.18, SEVERAL: 0.1, MISSING: 0.04}  # shares of the messages; "": one call

Place = tuple[str, str, str]  # a tool, its parameter, and the word or the letter in front of the value


@dataclass(frozen=True, slots=True)
class Line:
    """A message, and what is left out of it: a parameter of its tool."""

    text: str
    tool: str
    missing: str = ""
    question: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """A message, the calls that it means, the parameter that it leaves out and the question for it."""

    text: str
    calls: tuple[Wanted, ...]
    missing: str = ""
    question: str = ""


@dataclass(frozen=True, slots=True)
class Lines:
    """What a language's file holds: lines by section, and copied values by where they stand."""

    sections: Mapping[str, Sequence[Line]]
    values: Mapping[Place, Sequence[str]]


@cache
def lines(language: str) -> Lines:
    """The lines of a language, read once."""
    text = resources.files("moonlet.simulate").joinpath("wordings", f"{language}_said.txt").read_text(encoding="utf-8")
    sections: dict[str, list[Line]] = {}
    values: dict[Place, list[str]] = {}
    tool = missing = question = ""
    for line in filter(None, text.splitlines()):
        if line.startswith("# "):
            tool, _, asked = line[2:].partition(" - ")
            missing, _, question = asked.partition(": ")
            continue
        sections.setdefault(MISSING if missing else tool, []).append(Line(line, tool, missing, question))
        for match in SLOT.finditer(line):
            if match[4] is None:
                values.setdefault(_place(match, tool), []).append(match[3])
    return Lines(sections, values)


def turn(episode: Episode, language: str, tools: Sequence[str], refusal: str, rng: Random) -> Wanted | None:
    """A message, and what the assistant does: the calls that these tools can make of it, without results, what is
    missing asked back first; or the refusal. Returns the last of the calls."""
    one = drawn(language, tools, rng)
    calls = [wanted for wanted in one.calls if wanted[0] in tools]
    episode.user(one.text)
    if not calls:
        episode.answer(refusal)
        return None
    if one.missing:
        text, whole = completed(one, language, rng)
        episode.answer(one.question)
        episode.user(text)
        calls = [whole]
    episode.asked(calls)
    return calls[-1]


def drawn(language: str, tools: Sequence[str], rng: Random) -> Said:
    """A message of the language: of one of these tools mostly, of another, of several or of none."""
    kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
    found = lines(language)
    section = kind or rng.choice(list(ORDER) if rng.random() < ANY else tools)
    return filled(rng.choice(found.sections[section]), found, language, rng)


def filled(line: Line, found: Lines, language: str, rng: Random) -> Said:
    """The line's message, some of its values those of other lines."""
    calls: dict[str, dict[str, Any]] = {line.tool: {}} if line.tool in ORDER else {}

    def put(match: re.Match[str]) -> str:
        said, meant = match[3], match[4] or match[3]
        alone = match[4] is None and not any(map(said.count, referred))
        if alone and match[2] not in BOUND and rng.random() < EXCHANGED:
            said = meant = rng.choice(found.values[_place(match, line.tool)])
        calls.setdefault(match[1] or line.tool, {})[match[2]] = _typed(match[2], meant)
        return said

    text, _, implied = line.text.partition(" || ")
    given = [(one[0], one[1], one[3]) for one in SLOT.findall(text)] + IMPLIED.findall(implied)
    referred = [value for _, key, value in given if value and key not in CLOSED]  # by other words of the line
    text = SLOT.sub(put, text)
    for tool, key, value in IMPLIED.findall(implied):
        calls.setdefault(tool or line.tool, {})[key] = _typed(key, value)
    if language == "en" and rng.random() < LOWER:
        text, calls = text.lower(), {key: lowered(arguments, {}) for key, arguments in calls.items()}
    wanted = tuple((_tool(key), ordered(_tool(key), arguments)) for key, arguments in calls.items())
    return Said(text, wanted, line.missing, line.question)


def completed(one: Said, language: str, rng: Random) -> tuple[str, Wanted]:
    """What is said when the missing parameter is asked for, and the call."""
    (tool, arguments), every = one.calls[0], lines(language).values
    said = rng.choice(every[rng.choice([place for place in every if place[:2] == (tool, one.missing)])])
    return said, (tool, ordered(tool, {**arguments, one.missing: _typed(one.missing, said)}))


def _place(match: re.Match[str], tool: str) -> Place:
    before = match.string[: match.start()].rstrip()
    word = re.search(r"[a-z']+$|.$|^$", before.lower())
    assert word
    return _tool(match[1] or tool), match[2], word[0]


def _tool(key: str) -> str:
    """The tool of a key, which may have a digit behind it."""
    return key.rstrip("0123456789")


def _typed(key: str, value: str) -> Any:
    if key not in NUMBERS:
        return value
    return float(value) if "." in value else int(value)
