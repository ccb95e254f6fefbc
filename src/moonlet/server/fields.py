"""Reading fields of a request that anybody may have written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moonlet.chat.messages import ToolSpec
from moonlet.llm.characters import whole_characters as whole_characters
from moonlet.server.errors import ApiError

_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a string", dict: "an object"}


def as_object(body: Any) -> dict[str, Any]:
    """The body itself. Raises ApiError unless it is a JSON object."""
    if not isinstance(body, dict):
        raise ApiError("the body must be a JSON object")
    return body


def typed(body: Mapping[str, Any], name: str, *kinds: type, place: str = "") -> Any:
    """The value of a field, None if it is absent. Raises ApiError if it is of another type."""
    value = body.get(name)
    if value is None or (isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))):
        return value
    words = _WORDS.get(kinds[-1], "a list")
    raise ApiError(f"{place}{name} must be {words}, got {short(value)}", (place + name).split(".")[0].split("[")[0])


def short(value: Any) -> str:
    """A value as an error message shows it."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def strings(body: Mapping[str, Any], name: str, most: int = 16) -> tuple[str, ...]:
    """A field that is a string or a list of strings. Raises ApiError."""
    value = body.get(name)
    listed = [value] if isinstance(value, str) else [] if value is None else value
    if not isinstance(listed, list) or len(listed) > most or not all(isinstance(one, str) for one in listed):
        raise ApiError(f"{name} must be a string or a list of at most {most} strings", name)
    return tuple(listed)


def named_tool(name: Any, tools: tuple[ToolSpec, ...]) -> str:
    """The name of a tool that must be called. Raises ApiError if there is none of that name."""
    if not isinstance(name, str):
        raise ApiError(f"tool_choice must be auto, none, required or name a tool, got {short(name)}", "tool_choice")
    if all(name != tool.name for tool in tools):
        raise ApiError(f"tool_choice names {name!r}, which is not among the tools", "tool_choice")
    return name


def json_schema(form: Mapping[str, Any], place: str) -> Mapping[str, Any]:
    """The schema of a wanted answer. Raises ApiError."""
    schema = form.get("schema")
    if not isinstance(schema, dict):
        raise ApiError(f"{place}.schema must be an object, got {short(schema)}", place.split(".")[0])
    return schema
