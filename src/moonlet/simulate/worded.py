"""Requests written by hand, a line each, for public schemas (wordings/en_schemas.txt) and for tools that were invented
with them (wordings/en_tools.txt, for which there are Thai and Chinese requests too, in th_tools.txt and zh_tools.txt):
`Tide times for {location=Whitby} on {date=3 May}?`

The words after a parameter's name stand in the request and are its argument, or `{guests=twelve|12}` where they differ;
items of a list are parted by semicolons. The files go by fields (`@ field`), for which there are sentences of context
(`> text`), and tools (`# name`), followed by their requests. An invented tool has a description behind its name, a line
for each parameter (`- unit? (string: cm, m): Unit of the lengths`) and for what it returns (`< area (number)`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from random import Random
from typing import Any

from moonlet.simulate.asking import value_of
from moonlet.simulate.blueprints import Blueprint, Parameter, Words
from moonlet.simulate.declaring import Made, in_a_form, words_of

SLOT = re.compile(r"\{(\w+)=([^{}|]*)(?:\|([^{}]*))?\}")
PARAMETER = re.compile(r"(\w+)(\?)? \((?:array of )?(\w+)(?:: ([^()]*))?\): (.*)")
RETURN = re.compile(r"(\w+) \((?:array of )?(\w+)\)")
FILES = {"en": ("en_schemas", "en_tools"), "th": ("th_tools",), "zh": ("zh_tools",)}
FORMS = {"date": re.compile(r"\d{4}-\d\d-\d\d"), "time": re.compile(r"\d\d:\d\d")}  # of normalised arguments
WRITTEN = 0.7  # share of requests that somebody wrote, where there are any for the tool
OWN, ALIKE = 0.5, 0.4  # shares of values: the line's own, and that of any line for a parameter of that name

Pair = tuple[str, str]  # a value as it is said, and as it is meant


@dataclass(frozen=True, slots=True)
class Wordings:
    """What a language's files hold, by tool and by field; the values of every parameter's name; the invented tools."""

    requests: Mapping[str, Sequence[str]]
    contexts: Mapping[str, Sequence[str]]
    values: Mapping[Words, Sequence[Pair]]
    blueprints: Sequence[Blueprint]


def wordings(language: str = "en") -> Wordings:
    """The files of a language, read once."""
    return _read(language)


@cache
def _read(language: str) -> Wordings:
    requests: dict[str, list[str]] = {}
    contexts: dict[str, list[str]] = {}
    values: dict[Words, list[Pair]] = {}
    invented: dict[str, Blueprint] = {}
    field = tool = ""
    for mark, rest, line in _lines(language):
        match mark:
            case "@":
                field = rest
            case ">":
                contexts.setdefault(field, []).append(rest)
            case "#":
                tool, _, description = rest.partition(": ")
                name = words_of(tool)
                if description or language != "en":
                    tool = f"{field}: {tool}"  # others may be called the same
                if description:
                    invented[tool] = Blueprint(name, description, (), (), field, tool)
            case "-":
                made = invented[tool]
                invented[tool] = replace(made, parameters=(*made.parameters, _parameter(rest)))
            case "<":
                made, match_ = invented[tool], RETURN.fullmatch(rest)
                assert match_, line
                invented[tool] = replace(made, returns=(*made.returns, (words_of(match_[1]), match_[2])))
            case _:
                requests.setdefault(tool, []).append(line)
    for lines in requests.values():
        for line in lines:
            for key, said, meant in SLOT.findall(line):
                values.setdefault(words_of(key), []).append((said, meant or said))
    return Wordings(requests, contexts, values, tuple(invented.values()))


def _lines(language: str) -> Iterator[tuple[str, str, str]]:
    """Of each line its first word, the rest, and the whole."""
    for name in FILES[language]:
        text = resources.files("moonlet.simulate").joinpath("wordings", f"{name}.txt").read_text(encoding="utf-8")
        for line in filter(None, text.splitlines()):
            mark, _, rest = line.partition(" ")
            yield mark, rest, line


def _parameter(text: str) -> Parameter:
    match = PARAMETER.fullmatch(text)
    assert match, text
    name, optional, kind, closed, description = match.groups()
    examples = tuple(part.strip() for part in closed.split(",")) if closed else ()
    array = "(array of" in text.partition("):")[0]
    return Parameter(
        words_of(name),
        "array" if array else kind,
        description,
        examples,
        not optional,
        bool(closed),
        kind if array else "string",
    )


def worded(one: Made, rng: Random, lower: bool = False, language: str = "en") -> tuple[str, dict[str, Any]] | None:
    """One of the requests for this tool, its values perhaps others, and its arguments; None if nobody wrote any."""
    lines = wordings(language).requests.get(one.blueprint.key)
    if not lines:
        return None
    text, arguments = filled(rng.choice(lines), SLOT, one, rng, lower, language)
    return (text.lower() if lower else text), arguments


def filled(
    text: str, slot: re.Pattern[str], one: Made, rng: Random, lower: bool = False, language: str = "en"
) -> tuple[str, dict[str, Any]]:
    """The text with this tool's slots filled, their values perhaps others, and the arguments. `slot` finds a slot's
    parameter, words and meaning."""
    own = {parameter.words: parameter for parameter in one.blueprint.parameters}
    arguments: dict[str, Any] = {}

    def put(match: re.Match[str]) -> str:
        parameter = own[words_of(match[1])]
        said, value = _value(parameter, match[2], match[3] or match[2], one, rng, language)
        free = parameter.words not in one.enums and parameter.words not in one.forms
        arguments[one.keys[parameter.words]] = _lowered(value, said) if lower and free else value
        return said

    text = slot.sub(put, text)
    return text, {key: arguments[key] for key in one.keys.values() if key in arguments}


def _lowered(value: Any, said: str) -> Any:
    """The argument of what is typed in lower case: what is copied is so too."""
    if isinstance(value, list):
        return [_lowered(item, said) for item in value]
    return value.lower() if isinstance(value, str) and value in said else value


def _value(parameter: Parameter, said: str, meant: str, one: Made, rng: Random, language: str) -> tuple[str, Any]:
    """Words and argument: the line's own, another line's for a parameter of that name, or generated ones, which are
    English where they are words."""
    if parameter.kind == "boolean":
        return said, meant == "true"
    closed, form = one.enums.get(parameter.words), one.forms.get(parameter.words)
    if form and FORMS[form].fullmatch(meant):
        return said, meant
    if form or (closed is not None and meant not in closed):
        return value_of(parameter, one, rng)
    dice = rng.random()
    text = parameter.kind == "string"
    # A text that is said in another form than it is meant: only this line knows how they belong together.
    if dice > OWN and not (text and (said != meant or closed is not None or in_a_form(parameter))):
        if dice > OWN + ALIKE and (language == "en" or parameter.kind in ("integer", "number")):
            return value_of(parameter, one, rng)
        others = [pair for pair in wordings(language).values.get(parameter.words, ()) if _fits(*pair, parameter.kind)]
        said, meant = rng.choice(others) if others else (said, meant)
    if parameter.kind == "array":
        return said, [_typed(item, parameter.items) for item in meant.split("; ")]
    return said, _typed(meant, parameter.kind)


def _typed(value: str, kind: str) -> Any:
    if kind == "string":
        return value
    return int(value) if kind == "integer" or "." not in value else float(value)


def _fits(said: str, meant: str, kind: str) -> bool:
    """Whether it can be the value of a parameter of that kind."""
    if kind == "integer":
        return re.fullmatch(r"-?\d+", meant) is not None
    if kind == "number":
        return re.fullmatch(r"-?\d+(\.\d+)?", meant) is not None
    return kind == "string" and said == meant
