"""OpenAI's responses: a request to what it asks for. The way back is in `response_stream`."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from moonlet.chat.messages import Message, MessageError, Role, ToolCall, ToolSpec, distinct, make_tool
from moonlet.llm import ReplyOptions
from moonlet.server.errors import ApiError
from moonlet.server.fields import as_object, json_schema, named_tool, short, typed
from moonlet.server.openai import read_priority
from moonlet.server.replies import Asked

# Tools that OpenAI runs itself and without which a model answers from what it knows. Codex always declares the first.
_HOSTED = (
    "web_search",
    "web_search_preview",
    "web_search_2025_08_26",
    "web_search_preview_2025_03_11",
    "image_generation",
)
# What such tools left in a conversation.
_PASSED_OVER = ("web_search_call", "image_generation_call", "compaction_trigger")
_OURS = "moonlet."  # how a thought begins that this server put into an item's `encrypted_content`
_ROLES: Mapping[str, Role] = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}


@dataclass(frozen=True, slots=True)
class Form:
    """How a tool was declared, which is how its calls are written."""

    kind: str = "function"  # or custom: its input is a text
    name: str = ""
    namespace: str | None = None


@dataclass(frozen=True, slots=True)
class ResponseRequest:
    """A request, understood."""

    asked: Asked  # without the messages of the responses before
    instructions: str | None
    previous: str | None  # id of the response that this one goes on from
    stream: bool
    store: bool
    forms: Mapping[str, Form]  # of the tools, by the names that the model knows
    encrypted: bool  # thoughts are wanted in a form that can be sent back
    echo: Mapping[str, Any]  # fields that the response repeats
    items: list[Any] = field(default_factory=list)  # the input as it came

    def continuing(self, before: Sequence[Message]) -> ResponseRequest:
        """With the messages of the responses before."""
        system = (Message("system", self.instructions),) if self.instructions else ()
        return replace(self, asked=replace(self.asked, messages=(*system, *before, *self.asked.messages)))


_ONLY: Mapping[str, tuple[Any, ...]] = {
    "background": (None, False),
    "conversation": (None,),
    "prompt": (None,),
}


def read(body: Any) -> ResponseRequest:
    """The request in a JSON body. Raises ApiError."""
    body = as_object(body)
    for name, allowed in _ONLY.items():
        if body.get(name) not in allowed:
            raise ApiError(f"{name} {short(body[name])} is not supported by this server", name)
    tools, forms = _tools(body.get("tools"))
    choice, tools = _tool_choice(body, tools)
    items = _items(body)
    include = body.get("include") or []
    if not isinstance(include, list):
        raise ApiError("include must be a list", "include")
    reasoning = typed(body, "reasoning", dict) or {}
    text = typed(body, "text", dict) or {}
    top_logprobs = typed(body, "top_logprobs", int) or 0
    try:
        options = ReplyOptions(
            max_tokens=typed(body, "max_output_tokens", int),
            temperature=typed(body, "temperature", int, float),
            top_p=typed(body, "top_p", int, float),
            tool_choice=choice,
            thinking=reasoning.get("effort") != "none",
            logprobs=bool(top_logprobs) or "message.output_text.logprobs" in include,
            top_logprobs=top_logprobs,
            parallel_calls=typed(body, "parallel_tool_calls", bool) is not False,
            priority=read_priority(body),
            answer_schema=_answer_schema(text),
        )
    except ValueError as error:
        raise ApiError(str(error), str(error).split()[0]) from None
    instructions = typed(body, "instructions", str)
    return ResponseRequest(
        Asked(typed(body, "model", str) or "", tuple(_messages(items, forms)), tools, options),
        instructions=instructions,
        previous=typed(body, "previous_response_id", str),
        stream=bool(typed(body, "stream", bool)),
        store=typed(body, "store", bool) is not False,
        forms=forms,
        encrypted="reasoning.encrypted_content" in include,
        echo={
            "instructions": instructions,
            "max_output_tokens": options.max_tokens,
            "metadata": typed(body, "metadata", dict) or {},
            "parallel_tool_calls": options.parallel_calls,
            "previous_response_id": body.get("previous_response_id"),
            "service_tier": "flex" if options.priority == "batch" else "default",
            "reasoning": {"effort": reasoning.get("effort"), "summary": None},
            "temperature": options.temperature,
            "text": {**text, "format": text.get("format") or {"type": "text"}},
            "tool_choice": body.get("tool_choice") or "auto",
            "tools": body.get("tools") or [],
            "top_logprobs": top_logprobs,
            "top_p": options.top_p,
            "truncation": "disabled",
            "user": typed(body, "user", str),
        },
        items=items,
    )


def _items(body: Mapping[str, Any]) -> list[Any]:
    raw = body.get("input")
    if isinstance(raw, str):
        return [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": raw}]}]
    if raw is None and body.get("previous_response_id"):
        return []
    if not isinstance(raw, list) or not (raw or body.get("previous_response_id")):
        raise ApiError("input must be a text or a list of at least one item", "input")
    return raw


def _answer_schema(text: Mapping[str, Any]) -> Mapping[str, Any] | None:
    form = typed(text, "format", dict, place="text.") or {"type": "text"}
    match form.get("type"):
        case "text":
            return None
        case "json_object":
            return {"type": "object"}
        case "json_schema":
            return json_schema(form, "text.format")
    raise ApiError(f"text.format {short(form)} must be text, json_object or json_schema", "text")


# Tools.


def _tools(raw: Any) -> tuple[tuple[ToolSpec, ...], dict[str, Form]]:
    if not isinstance(raw, list | None):
        raise ApiError(f"tools must be a list, got {short(raw)}", "tools")
    found = [*_declared(raw or [], "tools", None)]
    try:
        specs = distinct([spec for spec, _ in found])
    except MessageError as error:
        raise ApiError(str(error), "tools") from None
    return specs, {spec.name: form for spec, form in found}


def _declared(raw: list[Any], where: str, namespace: str | None) -> Iterator[tuple[ToolSpec, Form]]:
    """The tools of a list; those of a namespace are known to the model by `namespace.name`."""
    for i, tool in enumerate(raw):
        place = f"{where}[{i}]"
        if not isinstance(tool, dict):
            raise ApiError(f"{place} must be an object", "tools")
        kind, name, description = tool.get("type"), tool.get("name"), tool.get("description")
        inside = f"{namespace}.{name}" if namespace and isinstance(name, str) else name
        try:
            if kind == "function":
                yield (
                    make_tool(inside, description, tool.get("parameters"), place, "parameters"),
                    Form("function", name if isinstance(name, str) else "", namespace),
                )
            elif kind == "custom":
                form = Form("custom", name if isinstance(name, str) else "", namespace)
                yield make_tool(inside, _described(tool), _TEXT_INPUT, place, "parameters"), form
            elif kind == "namespace" and namespace is None and isinstance(name, str) and name:
                inner = tool.get("tools")
                yield from _declared(inner if isinstance(inner, list) else [], f"{place}.tools", name)
            elif kind not in _HOSTED:
                raise ApiError(f"{place}: a tool of type {short(kind)} is not supported by this server", "tools")
        except MessageError as error:
            raise ApiError(str(error), "tools") from None


_TEXT_INPUT = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
    "additionalProperties": False,
}


def _described(tool: Mapping[str, Any]) -> Any:
    """A custom tool's description with its grammar, which is told to the model; it is not enforced inside a string."""
    form, description = tool.get("format"), tool.get("description")
    if isinstance(form, dict) and form.get("type") == "grammar" and isinstance(description, str | None):
        return f"{description or ''}\nThe input follows this {form.get('syntax')} grammar:\n{form.get('definition')}"
    return description


def _tool_choice(body: Mapping[str, Any], tools: tuple[ToolSpec, ...]) -> tuple[str, tuple[ToolSpec, ...]]:
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        wanted = choice.get("tools")
        if not isinstance(wanted, list) or not wanted:
            raise ApiError("tool_choice.tools must be a list of tools", "tool_choice")
        names = {named_tool(one.get("name") if isinstance(one, dict) else None, tools) for one in wanted}
        tools = tuple(tool for tool in tools if tool.name in names)
        choice = choice.get("mode", "auto")
    if choice is None or choice in ("auto", "none"):
        return choice or "auto", tools
    if choice == "required":
        if not tools:
            raise ApiError("tool_choice is 'required' but there are no tools", "tool_choice")
        return "required", tools
    if isinstance(choice, dict) and choice.get("type") in ("function", "custom"):
        return named_tool(choice.get("name"), tools), tools
    raise ApiError(f"tool_choice must be auto, none, required or name a tool, got {short(choice)}", "tool_choice")


# Items to messages.


def _messages(items: list[Any], forms: Mapping[str, Form]) -> Iterator[Message]:
    """An assistant's turn comes in pieces: its thought, its text, its calls."""
    turn = Message("assistant")
    for i, item in enumerate(items):
        place = f"input[{i}]"
        if not isinstance(item, dict):
            raise ApiError(f"{place} must be an object", "input")
        kind = item.get("type", "message")
        if kind in _PASSED_OVER:
            continue
        piece = _assistant_piece(item, kind, place)
        if piece is None:
            if turn != Message("assistant"):
                yield turn
            turn = Message("assistant")
            yield _other(item, kind, place)
        elif (turn.calls and not piece.calls) or (turn.content and piece.thinking):
            yield turn
            turn = piece
        else:
            turn = Message(
                "assistant", turn.content + piece.content, turn.thinking + piece.thinking, turn.calls + piece.calls
            )
    if turn != Message("assistant"):
        yield turn


def _assistant_piece(item: Mapping[str, Any], kind: Any, place: str) -> Message | None:
    """What the model itself said; None if the item is not of its making."""
    if kind == "message" and item.get("role") == "assistant":
        return Message("assistant", _content(item.get("content"), f"{place}.content"))
    if kind == "reasoning":
        return Message("assistant", thinking=_thought(item))
    if kind in ("function_call", "custom_tool_call"):
        id, name, space = item.get("call_id"), item.get("name"), item.get("namespace")
        given = item.get("arguments" if kind == "function_call" else "input")
        if not (isinstance(id, str) and isinstance(name, str) and name and isinstance(given, str | None)):
            raise ApiError(f"{place} must have a call_id, a name and arguments that are text", "input")
        if kind == "custom_tool_call":
            given = json.dumps({"input": given or ""}, ensure_ascii=False)
        name = f"{space}.{name}" if isinstance(space, str) and space else name
        return Message("assistant", calls=(ToolCall(id, name, given or "{}"),))
    return None


def _other(item: Mapping[str, Any], kind: Any, place: str) -> Message:
    if kind in ("function_call_output", "custom_tool_call_output"):
        id, output = item.get("call_id"), item.get("output")
        if not isinstance(id, str):
            raise ApiError(f"{place}.call_id must be a string", "input")
        return Message("tool", _content(output, f"{place}.output"), call_id=id)
    if kind != "message":
        raise ApiError(f"{place}: an item of type {short(kind)} is not supported by this server", "input")
    role = item.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        raise ApiError(f"{place}.role {short(role)} is none of {', '.join(_ROLES)}", "input")
    return Message(_ROLES[role], _content(item.get("content"), f"{place}.content"))


def _content(raw: Any, place: str) -> str:
    if raw is None or isinstance(raw, str):
        return raw or ""
    if not isinstance(raw, list):
        raise ApiError(f"{place} must be a text or a list of parts", "input")
    texts = []
    for i, part in enumerate(raw):
        kind = part.get("type") if isinstance(part, dict) else None
        text = part.get("refusal" if kind == "refusal" else "text") if isinstance(part, dict) else None
        if kind not in ("input_text", "output_text", "text", "refusal"):
            raise ApiError(f"{place}[{i}]: a part of type {short(kind)} is not supported, only text", "input")
        if not isinstance(text, str):
            raise ApiError(f"{place}[{i}].text must be a string", "input")
        texts.append(text)
    return "\n".join(texts)


def _thought(item: Mapping[str, Any]) -> str:
    """The thought of a reasoning item that came back: from its text, or from what this server packed."""
    content = item.get("content")
    if isinstance(content, list) and content:
        return "".join(part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str))
    packed = item.get("encrypted_content")
    if isinstance(packed, str) and packed.startswith(_OURS):
        try:
            return base64.b64decode(packed.removeprefix(_OURS), validate=True).decode()
        except (binascii.Error, ValueError):
            pass
    return ""  # another model's


def packed_thought(text: str) -> str:
    """A thought as an opaque text that a client which keeps nothing here sends back. Not a secret: it was shown."""
    return _OURS + base64.b64encode(text.encode()).decode()
