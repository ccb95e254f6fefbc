"""What a conversation is made of, and the OpenAI form of the same things.

Everything that speaks or is spoken to in this package exchanges these types; wire formats are pairs of pure
translations from and to them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Role = Literal["system", "user", "assistant", "tool"]

# `developer` is OpenAI's later name for system; `_input` occurs in recorded traffic of K2's own service.
_ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "_input": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}
_MAX_DEPTH = 64  # of a schema: everything that walks one recurses
CHOICES = ("auto", "none", "required")  # of a call; anything else names the tool that must be called
_TOOL_NAME = re.compile(r"[^\s<|>]{1,128}")


class MessageError(Exception):
    """A message or a tool of a request is not of the form that the protocol asks for."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    id: str
    name: str
    arguments: str  # JSON text, as written: it may be invalid when a model wrote it


@dataclass(frozen=True, slots=True)
class ToolSpec:
    name: str
    description: str
    parameters: Mapping[str, Any]  # JSON schema of the arguments; empty means none are taken


@dataclass(frozen=True, slots=True)
class Message:
    role: Role
    content: str = ""
    thinking: str = ""
    calls: tuple[ToolCall, ...] = ()
    name: str | None = None
    call_id: str | None = None  # of a tool's result: the call that it answers


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Thinking:
    text: str


@dataclass(frozen=True, slots=True)
class CallStart:
    index: int  # position in the reply
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class CallArguments:
    index: int
    text: str


@dataclass(frozen=True, slots=True)
class CallEnd:
    index: int
    call: ToolCall


Event = Text | Thinking | CallStart | CallArguments | CallEnd


def from_openai(messages: Sequence[Mapping[str, Any]]) -> tuple[Message, ...]:
    """Messages of a chat-completions request. Raises MessageError naming the place."""
    _expect(isinstance(messages, Sequence) and not isinstance(messages, str), "messages must be a list")
    return tuple(_message(raw, f"messages[{i}]") for i, raw in enumerate(messages))


def to_openai(message: Message) -> dict[str, Any]:
    """The chat-completions form of a message; `from_openai` gives the same message back."""
    raw: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.name is not None:
        raw["name"] = message.name
    if message.thinking:
        raw["reasoning_content"] = message.thinking
    if message.calls:
        raw["content"] = message.content or None
        raw["tool_calls"] = [call_to_openai(call) for call in message.calls]
    if message.call_id is not None:
        raw["tool_call_id"] = message.call_id
    return raw


def call_to_openai(call: ToolCall) -> dict[str, Any]:
    """The form of a call inside `tool_calls`."""
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def tools_from_openai(tools: Sequence[Mapping[str, Any]]) -> tuple[ToolSpec, ...]:
    """Tools of a chat-completions request. Raises MessageError naming the place."""
    _expect(isinstance(tools, Sequence) and not isinstance(tools, str), "tools must be a list")
    return distinct([_tool(raw, f"tools[{i}]") for i, raw in enumerate(tools)])


def tool_to_openai(spec: ToolSpec) -> dict[str, Any]:
    """The chat-completions form of a tool; an empty description or schema is left out."""
    function: dict[str, Any] = {"name": spec.name}
    if spec.description:
        function["description"] = spec.description
    if spec.parameters:
        function["parameters"] = dict(spec.parameters)
    return {"type": "function", "function": function}


def _expect(condition: bool, complaint: str) -> None:
    if not condition:
        raise MessageError(complaint)


def _message(raw: Any, place: str) -> Message:
    _expect(isinstance(raw, Mapping), f"{place} must be an object")
    role = raw.get("role")
    _expect(isinstance(role, str) and role in _ROLES, f"{place}.role {role!r} is none of {', '.join(_ROLES)}")
    calls = raw.get("tool_calls") or ()
    _expect(isinstance(calls, Sequence) and not isinstance(calls, str), f"{place}.tool_calls must be a list")
    _expect(not calls or role == "assistant", f"{place}: only an assistant message has tool_calls")
    return Message(
        role=_ROLES[role],
        content=_content(raw.get("content"), f"{place}.content"),
        # K2.6 reads `reasoning` first, then the older `reasoning_content`.
        thinking=_text(raw, "reasoning", place) or _text(raw, "reasoning_content", place) or "",
        calls=tuple(_call(call, f"{place}.tool_calls[{i}]") for i, call in enumerate(calls)),
        name=_text(raw, "name", place),
        call_id=_text(raw, "tool_call_id", place),
    )


def _text(raw: Mapping[str, Any], key: str, place: str) -> str | None:
    value = raw.get(key)
    _expect(value is None or isinstance(value, str), f"{place}.{key} must be a string")
    return value


def _content(raw: Any, place: str) -> str:
    """Text of a content, whose parts are joined without anything between, as the templates do."""
    if raw is None or isinstance(raw, str):
        return raw or ""
    _expect(isinstance(raw, Sequence), f"{place} must be a string or a list of parts")
    texts = []
    for i, part in enumerate(raw):
        _expect(isinstance(part, Mapping), f"{place}[{i}] must be an object")
        kind = part.get("type", "text")
        _expect(kind in ("text", "refusal"), f"{place}[{i}]: a part of type {kind!r} is not supported, only text")
        _expect(isinstance(part.get(kind), str), f"{place}[{i}].{kind} must be a string")
        texts.append(part[kind])
    return "".join(texts)


def _call(raw: Any, place: str) -> ToolCall:
    _expect(isinstance(raw, Mapping), f"{place} must be an object")
    function = raw.get("function")
    _expect(isinstance(function, Mapping), f"{place}.function must be an object")
    name, arguments = function.get("name"), function.get("arguments")
    _expect(isinstance(name, str) and bool(name), f"{place}.function.name must be a string")
    if isinstance(arguments, Mapping):
        arguments = json.dumps(arguments, ensure_ascii=False)
    _expect(arguments is None or isinstance(arguments, str), f"{place}.function.arguments must be JSON text")
    return ToolCall(id=_text(raw, "id", place) or "", name=name, arguments=arguments or "")


def _tool(raw: Any, place: str) -> ToolSpec:
    _expect(isinstance(raw, Mapping), f"{place} must be an object")
    _expect(raw.get("type", "function") == "function", f"{place}.type {raw.get('type')!r} is not supported")
    function = raw.get("function")
    _expect(isinstance(function, Mapping), f"{place}.function must be an object")
    return make_tool(
        function.get("name"), function.get("description"), function.get("parameters"), f"{place}.function", "parameters"
    )


def make_tool(name: Any, description: Any, parameters: Any, place: str, schema_key: str) -> ToolSpec:
    """A tool of any protocol's parts, whatever they are. Raises MessageError naming the place."""
    _expect(
        isinstance(name, str) and _TOOL_NAME.fullmatch(name) is not None,
        f"{place}.name {name!r} must be 1 to 128 characters without spaces or any of < | >",
    )
    _expect(description is None or isinstance(description, str), f"{place}.description must be a string")
    _expect(parameters is None or isinstance(parameters, Mapping), f"{place}.{schema_key} must be an object")
    _expect(_depth(parameters) <= _MAX_DEPTH, f"{place}.{schema_key} is nested deeper than {_MAX_DEPTH}")
    return ToolSpec(name, description or "", dict(parameters or {}))


def distinct(specs: Sequence[ToolSpec]) -> tuple[ToolSpec, ...]:
    """The tools themselves. Raises MessageError if two have one name."""
    names: set[str] = set()
    for i, spec in enumerate(specs):
        _expect(spec.name not in names, f"tools[{i}]: a second tool named {spec.name!r}")
        names.add(spec.name)
    return tuple(specs)


def _depth(value: Any) -> int:
    """How many objects and lists lie within one another."""
    depth, layer = 0, [value]
    while layer := [item for item in layer if isinstance(item, Mapping | list)]:
        depth += 1
        layer = [inner for item in layer for inner in (item.values() if isinstance(item, Mapping) else item)]
    return depth
