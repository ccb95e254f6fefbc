"""Requests written by hand for each public schema, one line each: `Tide times for {location=Whitby} on {date=3 May}?`

The words after a parameter's name stand in the request and are its argument, or `{guests=twelve|12}` where they differ.
The file (wordings/en_schemas.txt) goes by fields (`@ field`), for which there are sentences of context (`> text`), and
tools (`# name`), followed by their requests.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from random import Random
from typing import Any

from moonlet.simulate.asking import value_of
from moonlet.simulate.blueprints import Parameter, Words
from moonlet.simulate.declaring import Made, words_of

SLOT = re.compile(r"\{(\w+)=([^{}|]*)(?:\|([^{}]*))?\}")
WRITTEN = 0.7  # share of requests that somebody wrote, where there are any for the tool
OWN, ALIKE = 0.5, 0.3  # shares of values: the line's own, and that of any line for a parameter of that name


@dataclass(frozen=True, slots=True)
class Wordings:
    """What the file holds, by tool and by field; and the values of every parameter's name, as said and as meant."""

    requests: Mapping[str, Sequence[str]]
    contexts: Mapping[str, Sequence[str]]
    values: Mapping[Words, Sequence[tuple[str, str]]]


@lru_cache(maxsize=1)
def wordings() -> Wordings:
    """The file, read once."""
    text = resources.files("moonlet.simulate").joinpath("wordings", "en_schemas.txt").read_text(encoding="utf-8")
    requests: dict[str, list[str]] = {}
    contexts: dict[str, list[str]] = {}
    values: dict[Words, list[tuple[str, str]]] = {}
    field = tool = ""
    for line in filter(None, text.splitlines()):
        mark, _, rest = line.partition(" ")
        match mark:
            case "@":
                field = rest
            case ">":
                contexts.setdefault(field, []).append(rest)
            case "#":
                tool = rest
            case _:
                requests.setdefault(tool, []).append(line)
                for key, said, meant in SLOT.findall(line):
                    values.setdefault(words_of(key), []).append((said, meant or said))
    return Wordings(requests, contexts, values)


def worded(one: Made, rng: Random, lower: bool = False) -> tuple[str, dict[str, Any]] | None:
    """One of the requests for this tool, its values perhaps others, and its arguments; None if nobody wrote any."""
    lines = wordings().requests.get(one.blueprint.key)
    if not lines:
        return None
    own = {parameter.words: parameter for parameter in one.blueprint.parameters}
    arguments: dict[str, Any] = {}

    def put(match: re.Match[str]) -> str:
        parameter = own[words_of(match[1])]
        said, value = _value(parameter, match[2], match[3] or match[2], one, rng)
        free = parameter.words not in one.enums and parameter.words not in one.forms
        arguments[one.keys[parameter.words]] = value.lower() if lower and free and isinstance(value, str) else value
        return said

    text = SLOT.sub(put, rng.choice(lines))
    ordered = {key: arguments[key] for key in one.keys.values() if key in arguments}
    return (text.lower() if lower else text), ordered


def _value(parameter: Parameter, said: str, meant: str, one: Made, rng: Random) -> tuple[str, Any]:
    """Words and argument: the line's own, another line's for a parameter of that name, or generated ones."""
    if parameter.kind == "boolean":
        return said, meant == "true"
    closed = one.enums.get(parameter.words)
    if (closed is not None and said not in closed) or parameter.words in one.forms:
        return value_of(parameter, one, rng)
    dice = rng.random()
    if closed is None and dice > OWN:
        if dice > OWN + ALIKE:
            return value_of(parameter, one, rng)
        others = [pair for pair in wordings().values[parameter.words] if _fits(pair[1], parameter.kind)]
        said, meant = rng.choice(others) if others else (said, meant)
    if parameter.kind == "integer":
        return said, int(meant)
    if parameter.kind == "number":
        number = float(meant)
        return said, int(number) if number == int(number) and "." not in meant else number
    if parameter.kind == "array":
        return said, [meant]
    return said, meant


def _fits(value: str, kind: str) -> bool:
    """Whether the text is a value of that kind."""
    if kind == "integer":
        return re.fullmatch(r"-?\d+", value) is not None
    if kind == "number":
        return re.fullmatch(r"-?\d+(\.\d+)?", value) is not None
    return kind == "string"
