"""A call as a foreign engine wrote it: mended where it is plain what is meant, else told what is wrong with it.

Mended is the form alone. What would change the meaning (a missing argument, one that the tool does not have, text that
breaks off) is never guessed.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

from jsonschema import ValidationError

from moonlet.chat.messages import ToolCall, ToolSpec
from moonlet.chat.parser import SPELLED, tool_named
from moonlet.fleet.schemas import Schema, told
from moonlet.llm.characters import whole_characters

_FENCE = re.compile(r"```(?:json)?\s*(.*?)\s*```", re.DOTALL)
_ROUNDS = 8  # of mending, each of all faults that can be


@dataclass(frozen=True, slots=True)
class Good:
    """A call that its tool takes."""

    call: ToolCall
    mended: bool


@dataclass(frozen=True, slots=True)
class Fault:
    """A call that it does not take, as written, and why."""

    call: ToolCall
    tool: ToolSpec | None  # that is meant, if that is known
    why: str


class Judge:
    """Knows the tools of one request."""

    def __init__(self, tools: Sequence[ToolSpec]) -> None:
        """Raises SchemaError for a tool whose schema cannot be checked."""
        self.tools = {tool.name: tool for tool in tools}
        self._schemas = {tool.name: Schema(tool) for tool in tools}

    def judge(self, call: ToolCall) -> Good | Fault:
        """Its name and arguments; the id is nobody's business here."""
        name = call.name if call.name in self.tools else tool_named(call.name.strip(), self.tools)
        tool = self.tools.get(name or "")
        if tool is None:
            return Fault(call, None, f"there is no tool {call.name!r}; the tools are: {', '.join(self.tools)}")
        try:
            value, clean = _read(call.arguments)
        except ValueError as mistake:
            return Fault(call, tool, f"its arguments are not a JSON object: {mistake}")
        schema = self._schemas[tool.name]
        try:
            faults = schema.faults(value)
            for _ in range(_ROUNDS):
                if not faults or not _mend(value, faults, tool):
                    break
                clean, faults = False, schema.faults(value)
            arguments = call.arguments if clean else json.dumps(whole_characters(value), ensure_ascii=False)
        except RecursionError:
            return Fault(call, tool, "its arguments are nested too deeply")
        if faults:
            return Fault(call, tool, told(faults))
        return Good(replace(call, name=tool.name, arguments=arguments), not clean or call.name != tool.name)


def object_of(arguments: str) -> dict[str, Any] | None:
    """The JSON object that a text is, if it is one as it stands."""
    try:
        value = _loads(arguments)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _read(arguments: str) -> tuple[dict[str, Any], bool]:
    """The object that is meant, and whether it was written as one. Raises ValueError."""
    value = object_of(arguments)
    if value is not None:
        return value, True
    text = SPELLED.split(arguments, maxsplit=1)[0].strip()  # a mark that leaked, and all after it
    if fenced := _FENCE.fullmatch(text):
        text = fenced[1]
    if text in ("", "null"):
        return {}, False
    found = _loads(text)
    if isinstance(found, str):  # written twice: JSON in a JSON string
        found = _loads(found)
    if not isinstance(found, dict):
        raise ValueError(f"it is {json.dumps(found, ensure_ascii=False)[:60]}")
    return found, False


def _loads(text: str) -> Any:
    """Strict JSON, with numbers that can be written down again. Raises ValueError."""

    def no_constant(name: str) -> Any:
        raise ValueError(f"{name} is no JSON")

    def finite(digits: str) -> float:
        if math.isinf(number := float(digits)):
            raise ValueError(f"{digits[:60]} is larger than a number can be")
        return number

    try:
        return json.loads(text, parse_constant=no_constant, parse_float=finite)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _mend(value: dict[str, Any], faults: Sequence[ValidationError], tool: ToolSpec) -> bool:
    """Changes the value where a fault is one of form. Whether anything was changed."""
    return any([_mend_one(value, fault, tool) for fault in faults])


def _mend_one(value: dict[str, Any], fault: ValidationError, tool: ToolSpec) -> bool:
    path = list(fault.absolute_path)
    if fault.validator != "type" or not path:
        return False
    holder: Any = value
    for step in path[:-1]:
        holder = holder[step]
    last = path[-1]
    if isinstance(holder, dict) and holder[last] is None:  # null for what is left out
        if len(path) == 1 and last in (tool.parameters.get("required") or ()):
            return False
        del holder[last]
        return True
    wanted = fault.validator_value
    for kind in [wanted] if isinstance(wanted, str) else wanted:
        if (new := _as(kind, holder[last])) is not None:
            holder[last] = new
            return True
    return False


def _as(kind: str, value: Any) -> Any:
    """A value that was written in quotes, without them, if it is of that kind; else None. No other change of type is
    only one of form."""
    if not isinstance(value, str) or kind not in ("integer", "number", "boolean", "array", "object"):
        return None
    try:
        inner = _loads(value)
    except ValueError:
        return None
    kinds: dict[str, type | tuple[type, ...]] = {
        "integer": int, "number": (int, float), "boolean": bool, "array": list, "object": dict,
    }  # fmt: skip
    if isinstance(inner, bool) and kind != "boolean":
        return None
    return deepcopy(inner) if isinstance(inner, kinds[kind]) else None
