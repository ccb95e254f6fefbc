"""What a model can call: a declared tool, its run function, and one checked call.

A mistake of the model (unknown tool, broken JSON, wrong types) and a failure that the tool reports (`ToolError`) are
data: the text that comes back says what is wrong, so that the model can mend it.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from moonlet.chat.messages import ToolCall, ToolSpec

TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


class ToolError(Exception):
    """The tool cannot do what was asked; the message is for the model and, through it, for the user."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool and what it does.

    `run` takes checked arguments and returns a str or anything JSON can hold, or raises ToolError.
    `changes` says that a call has effects, so a host may ask its user first.
    """

    spec: ToolSpec
    run: Callable[[Mapping[str, Any]], Any]
    changes: bool = False
    sends: bool = False  # what it is given leaves this machine, or reaches a program of somebody else
    outside: bool = False  # others write its results: data, never instructions
    timeout_s: float | None = None  # of one call; None: the host's limit
    hints: str = ""  # what the server that offers it says of it: shown to the user, decides nothing
    covers: Callable[[Mapping[str, Any]], str] | None = None  # what a lasting yes is for; None: every call of it


@dataclass(frozen=True, slots=True)
class Outcome:
    """The text for the model, and whether the call failed."""

    text: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Checked:
    """A call that can be run."""

    tool: Tool
    arguments: Mapping[str, Any]


def parameters(required: Mapping[str, Any] | None = None, optional: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The JSON schema of an object with these properties."""
    required = required or {}
    properties = {**required, **(optional or {})}
    return {"type": "object", "properties": properties, "required": list(required)}


def call(tools: Iterable[Tool], wanted: ToolCall) -> str:
    """Run the wanted call and return the text for the model; every mistake comes back as {"error": ...}."""
    checked = checked_call(tools, wanted)
    return (run(checked) if isinstance(checked, Checked) else checked).text


def checked_call(tools: Iterable[Tool], wanted: ToolCall) -> Checked | Outcome:
    """The tool and the arguments that are meant, or what is wrong with the call."""
    by_name = {tool.spec.name: tool for tool in tools}
    tool = by_name.get(wanted.name)
    if tool is None:
        return failure(f"there is no tool {wanted.name!r}; the tools are: {', '.join(by_name) or 'none'}")
    schema = {"type": "object", **tool.spec.parameters}
    try:
        arguments = _without_nulls(json.loads(wanted.arguments or "{}"), schema)
        wrong = check(arguments, schema, "arguments")
    except (ValueError, RecursionError) as mistake:  # what can just be read may be nested too deep to be told
        return failure(f"the arguments of {wanted.name} are not valid JSON: {mistake}")
    return failure(f"{wanted.name}: {wrong}") if wrong else Checked(tool, _with_integers(arguments, schema))


def _without_nulls(arguments: Any, schema: Mapping[str, Any]) -> Any:
    """Models write null for what they leave out; where null is no value, it is left out."""
    if not isinstance(arguments, dict):
        return arguments
    properties, required = schema.get("properties") or {}, schema.get("required") or ()

    def left_out(name: str, value: Any) -> bool:
        return value is None and name not in required and check(None, properties.get(name, {}), name) is not None

    return {name: value for name, value in arguments.items() if not left_out(name, value)}


def _with_integers(value: Any, schema: Mapping[str, Any] | bool) -> Any:
    """What was checked, with an int wherever an integer is declared: JSON takes 2.0 for one, Python does not."""
    if isinstance(schema, bool):
        return value
    choices = schema.get("anyOf") or schema.get("oneOf") or ()
    if fitting := next((choice for choice in choices if check(value, choice, "") is None), None):
        value = _with_integers(value, fitting)
    if isinstance(value, float) and value.is_integer():
        return int(value) if "integer" in _types(schema) else value
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        return [_with_integers(item, schema["items"]) for item in value]
    if isinstance(value, dict):
        declared = schema.get("properties") or {}
        return value | {name: _with_integers(value[name], declared[name]) for name in declared if name in value}
    return value


def run(checked: Checked) -> Outcome:
    """Run a checked call. A failure that the tool reports is an outcome; a tool that breaks raises what it raises."""
    try:
        result = checked.tool.run(checked.arguments)
    except ToolError as reported:
        return failure(str(reported))
    text = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)
    return Outcome(text, text.startswith('{"error": '))


def failure(message: str) -> Outcome:
    """The outcome of a call that failed."""
    return Outcome(error(message), failed=True)


def error(message: str) -> str:
    """The result text of a call that failed."""
    return json.dumps({"error": message}, ensure_ascii=False)


def check(value: Any, schema: Mapping[str, Any] | bool, where: str, alone: bool = True) -> str | None:
    """What is wrong with a value under a JSON schema, or None.

    Covers type, enum, const, bounds, items, properties, required, additionalProperties, allOf, anyOf and oneOf; other
    keywords are not looked at. Names that a schema does not declare are wrong unless it says additionalProperties, or
    others beside it may declare them (`alone`: it is no part of another).
    """
    if isinstance(schema, bool):
        return None if schema else f"{where} may not be given"
    apart = alone and "properties" not in schema
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        faults = [check(value, choice, where, apart) for choice in choices]
        if all(faults):
            return faults[0]
    wrong = _check_type(value, schema, where) or _check_choice(value, schema, where)
    wrong = wrong or _first(check(value, part, where, alone=False) for part in schema.get("allOf") or ())
    if wrong:
        return wrong
    if isinstance(value, dict):
        return _check_object(value, schema, where, alone and not _open(schema))
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        return _first(check(item, schema["items"], f"{where}[{index}]") for index, item in enumerate(value))
    return None


def _open(schema: Mapping[str, Any]) -> bool:
    """Whether what stands beside its properties may declare others."""
    parts = [part for name in ("allOf", "anyOf", "oneOf") for part in schema.get(name) or () if isinstance(part, dict)]
    return any(one.keys() & {"$ref", "patternProperties"} for one in (schema, *parts)) or any(
        part.keys() & {"properties", "allOf", "anyOf", "oneOf"} for part in parts
    )


def _first(faults: Iterable[str | None]) -> str | None:
    return next((fault for fault in faults if fault), None)


def _check_type(value: Any, schema: Mapping[str, Any], where: str) -> str | None:
    names = _types(schema)
    if not names or any(_is(value, name) for name in names):
        return None
    return f"{where} must be {' or '.join(names)}, got {json.dumps(value, ensure_ascii=False)[:80]}"


def _types(schema: Mapping[str, Any]) -> list[str]:
    declared = schema.get("type")
    return [declared] if isinstance(declared, str) else list(declared or ())


def _is(value: Any, name: str) -> bool:
    if isinstance(value, bool):  # a bool is an int in Python, not in JSON
        return name == "boolean"
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, TYPES.get(name, (object,)))


def _check_choice(value: Any, schema: Mapping[str, Any], where: str) -> str | None:
    if "enum" in schema and value not in schema["enum"]:
        return f"{where} must be one of {json.dumps(schema['enum'], ensure_ascii=False)}"
    if "const" in schema and value != schema["const"]:
        return f"{where} must be {json.dumps(schema['const'], ensure_ascii=False)}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        if "minimum" in schema and value < schema["minimum"]:
            return f"{where} must be at least {schema['minimum']}"
        if "maximum" in schema and value > schema["maximum"]:
            return f"{where} must be at most {schema['maximum']}"
    return None


def _check_object(value: dict[str, Any], schema: Mapping[str, Any], where: str, closed: bool) -> str | None:
    properties = schema.get("properties") or {}
    for name in schema.get("required") or ():
        if name not in value:
            return f"{name!r} is missing in {where}"
    if closed and properties and not schema.get("additionalProperties"):
        for name in value:
            if name not in properties:
                return f"{where} has no {name!r}; it takes: {', '.join(properties)}"
    return _first(check(item, properties[name], name) for name, item in value.items() if name in properties)
