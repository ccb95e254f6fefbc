"""Names of tools and parameters as the small model has them: `getWaterChemistry` as `get_water_chemistry`.

Its vocabulary holds words in lower case. Capitals within a name break them into pieces that occur in no request
(W|ater|Che|m|i|stry): of 200 requests to such tools it called the right one for 84, with the names spelled out for 132.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from moonlet.chat.messages import ToolSpec

_JOINT = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|-")
# Schemas in which nothing else can speak of a parameter by its name.
_PLAIN = {"type", "properties", "required", "additionalProperties", "title", "description", "$schema"}


@dataclass(frozen=True, slots=True)
class Told:
    """A tool as a model is told of it. `keys`: parameters as they are declared -> as the model has them, where that is
    another name."""

    own: ToolSpec
    tool: ToolSpec
    keys: Mapping[str, str]

    def told(self, arguments: str) -> str:
        """The JSON of a call's arguments as the model has it."""
        return _renamed(arguments, self.keys)

    def meant(self, arguments: str) -> str:
        """The way back."""
        return _renamed(arguments, {told: own for own, told in self.keys.items()})


def spelled(name: str) -> str:
    """A camelCase or kebab-case name in snake_case."""
    return _JOINT.sub("_", name).lower()


def spellings(names: Iterable[str]) -> dict[str, str]:
    """Each name spelled out; those that would become the same name stay as they are."""
    out = {name: spelled(name) for name in names}
    counts = Counter(out.values())
    return {name: one if counts[one] == 1 else name for name, one in out.items()}


def spelled_tools(tools: Sequence[ToolSpec]) -> list[Told]:
    """The tools with their names spelled out, and the names of their parameters."""
    names = spellings(tool.name for tool in tools)
    return [_told(tool, names[tool.name]) for tool in tools]


def _told(tool: ToolSpec, name: str) -> Told:
    schema: dict[str, Any] = dict(tool.parameters)
    properties, required = schema.get("properties"), schema.get("required", [])
    plain = schema.keys() <= _PLAIN and isinstance(required, list) and all(isinstance(one, str) for one in required)
    keys: dict[str, str] = {}
    if plain and isinstance(properties, dict):
        keys = {own: told for own, told in spellings(properties).items() if own != told}
        schema["properties"] = {keys.get(own, own): one for own, one in properties.items()}
        schema["required"] = [keys.get(own, own) for own in required]
    return Told(tool, ToolSpec(name, tool.description, schema if keys else tool.parameters), keys)


def _renamed(arguments: str, keys: Mapping[str, str]) -> str:
    """The JSON object with other keys; what is none stays as it is written."""
    try:
        given: Any = json.loads(arguments) if keys else None
        if not isinstance(given, dict) or given.keys().isdisjoint(keys):
            return arguments
        renamed = {keys.get(key, key): value for key, value in given.items()}
        return json.dumps(renamed, ensure_ascii=False, allow_nan=False)  # a number may be beyond all floats
    except (ValueError, RecursionError):
        return arguments
