"""Seal-Tools: schemas of 4,076 tools, and requests worded by people, some of which are kept for judging."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moonlet.chat.messages import ToolSpec
from moonlet.simulate.blueprints import Blueprint, Parameter
from moonlet.simulate.declaring import words_of
from moonlet.simulate.packed import lines
from moonlet.tools.tool import parameters

KINDS = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
# Examples that describe a value ("city", "YYYY-MM-DD") instead of being one.
PLACEHOLDER = re.compile(
    r"(?i)yyy|hh:|mm|^(?:etc|city|country|region|state|location|address|specific .*|name|none|any|.* name)$"
)


@dataclass(frozen=True, slots=True)
class Query:
    """A request and its calls. Values that are results of earlier calls are written API_call_0 and so on."""

    id: str
    text: str
    calls: tuple[tuple[str, Mapping[str, Any]], ...]

    @property
    def judges(self) -> bool:
        """Nothing is trained for requests of one call, nor for a fifth of the others."""
        return len(self.calls) == 1 or hashlib.sha256(self.id.encode()).digest()[0] % 5 == 0

    @property
    def apart(self) -> bool:
        """Whether no call needs the result of another."""
        return not any("API_call" in str(value) for _, arguments in self.calls for value in arguments.values())


def requests(data: Path) -> list[Query]:
    """Those of the dev split."""
    found = []
    for line in lines(data / "seal-tools" / "dev.jsonl.xz"):
        raw = json.loads(line)
        calls = tuple((call["api"], call["parameters"]) for call in raw["calling"])
        found.append(Query(raw["id"], raw["query"], calls))
    return found


def judging(data: Path) -> list[Query]:
    """The requests that nothing is trained for."""
    return [one for one in requests(data) if one.judges]


def teaching(data: Path) -> list[Query]:
    """The others, as far as their calls stand apart and none of their tools is kept for judging."""
    kept = held_out(data)
    return [
        one for one in requests(data) if one.apart and not one.judges and kept.isdisjoint(name for name, _ in one.calls)
    ]


def held_out(data: Path) -> frozenset[str]:
    """Tools kept for judging: those of the requests above."""
    return frozenset(name for query in judging(data) for name, _ in query.calls)


def specs(data: Path, names: frozenset[str]) -> dict[str, tuple[str, ToolSpec]]:
    """The declarations of these tools as they are, each with its field."""
    found = {}
    for line in lines(data / "seal-tools" / "tool.jsonl.xz"):
        tool = json.loads(line)
        if tool["api_name"] not in names:
            continue
        own = {key: _schema(one) for key, one in tool["parameters"].items()}
        required = {key: one for key, one in own.items() if key in tool["required"]}
        takes = parameters(required, {key: one for key, one in own.items() if key not in required})
        found[tool["api_name"]] = (
            tool["field"].split("/")[0],
            ToolSpec(tool["api_name"], tool["api_description"], takes),
        )
    return found


def _schema(one: Mapping[str, Any]) -> dict[str, Any]:
    kind = KINDS.get(one.get("type", "str"))
    about = {"description": one["description"]} if one.get("description") else {}
    return {**({"type": kind} if kind else {}), **about}


def blueprints(data: Path, kept_out: bool = False) -> list[Blueprint]:
    """The schemas to train on, or with `kept_out` those to judge on."""
    judged = held_out(data)
    found = []
    for line in lines(data / "seal-tools" / "tool.jsonl.xz"):
        tool = json.loads(line)
        name = words_of(tool["api_name"])
        if (tool["api_name"] in judged) is not kept_out or not name:
            continue
        own = tuple(_parameter(key, one, key in tool["required"]) for key, one in tool["parameters"].items())
        returns = tuple((words_of(key), KINDS.get(one.get("type"), "string")) for key, one in tool["responses"].items())
        found.append(
            Blueprint(name, tool["api_description"], own, returns, tool["field"].split("/")[0], tool["api_name"])
        )
    return found


def _parameter(key: str, one: Mapping[str, Any], required: bool) -> Parameter:
    description = str(one.get("description", ""))
    match = re.search(r"\(e\.g\.?,? ([^()]*)\)", description)
    examples = [part.strip(" .\"'") for part in re.split(r",|\bor\b", match[1])] if match else []
    kept = [text for text in examples if 1 < len(text) < 30 and not PLACEHOLDER.search(text)]
    kind = KINDS.get(one.get("type", "str"), "string")
    return Parameter(
        words_of(key) or (key,), kind, description, tuple(dict.fromkeys(kept)) if kind == "string" else (), required
    )
