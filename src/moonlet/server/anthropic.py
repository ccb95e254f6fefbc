"""Anthropic's messages as a pair of pure translations: a request to what it asks for, a reply's events to its stream.

The unstreamed answer is the sum of the same stream, so the two can never differ.
"""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from moonlet.chat.messages import (
    CallArguments,
    CallEnd,
    CallStart,
    Message,
    MessageError,
    Text,
    Thinking,
    ToolCall,
    ToolSpec,
    distinct,
    make_tool,
)
from moonlet.llm import Done, Event, ReplyOptions, Usage
from moonlet.server.errors import ApiError
from moonlet.server.fields import as_object, json_schema, named_tool, short, strings, typed, whole_characters
from moonlet.server.replies import Asked

# Tools that Anthropic runs itself. A model without them answers without them; Claude Code may declare them.
_HOSTED = ("web_search_", "web_fetch_", "code_execution_", "tool_search_")
# For Anthropic's books, not for the model; it changes from request to request.
_BILLING = "x-anthropic-billing-header:"
# Thoughts come back signed; ours need no proof, but clients expect one.
_SIGNATURE = "bW9vbmxldA=="


@dataclass(frozen=True, slots=True)
class MessagesRequest:
    """A request, understood."""

    asked: Asked
    stream: bool
    thoughts: bool  # whether the client wants to see them


def read(body: Any, counting: bool = False) -> MessagesRequest:
    """The request in a JSON body. Raises ApiError. `counting`: only the prompt's tokens are wanted."""
    body = as_object(body)
    if body.get("mcp_servers"):
        raise ApiError("mcp_servers is not supported by this server: it does not reach out", "mcp_servers")
    messages = (*_system(body), *_messages(body.get("messages")))
    tools = _tools(body.get("tools"))
    choice, parallel = _tool_choice(body, tools)
    thinking = (typed(body, "thinking", dict) or {}).get("type") in ("enabled", "adaptive")
    limit = typed(body, "max_tokens", int)
    if limit is None and not counting:
        raise ApiError("max_tokens: a whole number is required", "max_tokens")
    try:
        options = ReplyOptions(
            max_tokens=limit,
            temperature=typed(body, "temperature", int, float),
            top_p=typed(body, "top_p", int, float),
            top_k=typed(body, "top_k", int),
            stop=strings(body, "stop_sequences", most=64),
            tool_choice=choice,
            thinking=thinking,
            parallel_calls=parallel,
            answer_schema=_answer_schema(body),
        )
    except ValueError as error:
        raise ApiError(str(error), str(error).split()[0]) from None
    asked = Asked(typed(body, "model", str) or "", messages, tools, options)
    return MessagesRequest(asked, bool(typed(body, "stream", bool)), thinking)


def _system(body: Mapping[str, Any]) -> list[Message]:
    raw = body.get("system")
    blocks = (
        [raw] if isinstance(raw, str) else [_text_of(b, f"system[{i}]") for i, b in enumerate(_listed(raw, "system"))]
    )
    text = "\n\n".join(block for block in blocks if not block.startswith(_BILLING))
    return [Message("system", text)] if text else []


def _listed(raw: Any, place: str) -> list[Any]:
    if raw is None:
        return []
    if not isinstance(raw, list):
        raise ApiError(f"{place} must be a string or a list of blocks, got {short(raw)}", place.split("[")[0])
    return raw


def _text_of(block: Any, place: str) -> str:
    """The text of a block that must be text."""
    kind = block.get("type") if isinstance(block, dict) else None
    if kind != "text":
        raise ApiError(f"{place}: a block of type {kind!r} is not supported here, only text", place.split("[")[0])
    text = block.get("text")
    if not isinstance(text, str):
        raise ApiError(f"{place}.text must be a string", place.split("[")[0])
    return text


def _messages(raw: Any) -> list[Message]:
    if not isinstance(raw, list) or not raw:
        raise ApiError("messages must be a list of at least one message", "messages")
    out: list[Message] = []
    for i, message in enumerate(raw):
        place = f"messages[{i}]"
        if not isinstance(message, dict):
            raise ApiError(f"{place} must be an object", "messages")
        role, content = message.get("role"), message.get("content")
        blocks = (
            [{"type": "text", "text": content}] if isinstance(content, str) else _listed(content, place + ".content")
        )
        if role == "assistant":
            out.append(_assistant(blocks, place))
        elif role == "user":
            out += _user(blocks, place)
        elif role == "system":
            out.append(Message("system", "\n".join(_text_of(b, f"{place}.content[{j}]") for j, b in enumerate(blocks))))
        else:
            raise ApiError(f"{place}.role {short(role)} is none of user, assistant, system", "messages")
    if out and out[-1].role == "assistant":
        raise ApiError("messages end with the assistant: a reply cannot be begun for the model", "messages")
    return out


def _user(blocks: list[Any], place: str) -> Iterator[Message]:
    """Results of calls are messages of their own; texts between them are one."""
    texts: list[str] = []
    for i, block in enumerate(blocks):
        here = f"{place}.content[{i}]"
        if isinstance(block, dict) and block.get("type") == "tool_result":
            if texts:
                yield Message("user", "\n".join(texts))
                texts = []
            id, content = block.get("tool_use_id"), block.get("content")
            if not isinstance(id, str):
                raise ApiError(f"{here}.tool_use_id must be a string", "messages")
            parts = (
                [content]
                if isinstance(content, str)
                else [
                    _text_of(part, f"{here}.content[{j}]") for j, part in enumerate(_listed(content, here + ".content"))
                ]
            )
            text = "\n".join(parts)
            if typed(block, "is_error", bool, place=f"{here}."):  # the flag is all that tells a failure from a result
                text = f"The tool failed: {text}" if text.strip() else "The tool failed and said nothing."
            yield Message("tool", text, call_id=id)
        else:
            texts.append(_text_of(block, here))
    if texts or not blocks:
        yield Message("user", "\n".join(texts))


def _assistant(blocks: list[Any], place: str) -> Message:
    text, thinking, calls = "", "", []
    for i, block in enumerate(blocks):
        here = f"{place}.content[{i}]"
        match block.get("type") if isinstance(block, dict) else None:
            case "thinking":
                thought = block.get("thinking")
                thinking += thought if isinstance(thought, str) else ""
            case "redacted_thinking" | "server_tool_use" | "web_search_tool_result" | "web_fetch_tool_result":
                pass  # of another model's making: nothing that this one could read
            case "tool_use":
                id, name, given = block.get("id"), block.get("name"), block.get("input")
                if not (isinstance(id, str) and isinstance(name, str) and name and isinstance(given, dict)):
                    raise ApiError(f"{here} must have an id, a name and an input that is an object", "messages")
                calls.append(ToolCall(id, name, json.dumps(given, ensure_ascii=False)))
            case _:
                text += _text_of(block, here)
    return Message("assistant", text, thinking, tuple(calls))


def _tools(raw: Any) -> tuple[ToolSpec, ...]:
    specs = []
    try:
        for i, tool in enumerate(_listed(raw, "tools")):
            kind = tool.get("type") if isinstance(tool, dict) else ""
            if isinstance(kind, str) and kind.startswith(_HOSTED):
                continue
            if kind not in (None, "custom"):
                raise ApiError(f"tools[{i}]: a tool of type {short(kind)} is not supported, only custom ones", "tools")
            schema = tool.get("input_schema")
            specs.append(make_tool(tool.get("name"), tool.get("description"), schema, f"tools[{i}]", "input_schema"))
        return distinct(specs)
    except MessageError as error:
        raise ApiError(str(error), "tools") from None


def _tool_choice(body: Mapping[str, Any], tools: tuple[ToolSpec, ...]) -> tuple[str, bool]:
    """The choice, and whether there may be several calls."""
    choice = typed(body, "tool_choice", dict) or {"type": "auto"}
    parallel = typed(choice, "disable_parallel_tool_use", bool, place="tool_choice.") is not True
    match choice.get("type"):
        case "auto" | "none" as kind:
            return kind, parallel
        case "any":
            if not tools:
                raise ApiError("tool_choice is 'any' but there are no tools", "tool_choice")
            return "required", parallel
        case "tool":
            return named_tool(choice.get("name"), tools), parallel
        case other:
            raise ApiError(f"tool_choice.type {short(other)} is none of auto, any, tool, none", "tool_choice")


def _answer_schema(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    config = typed(body, "output_config", dict) or {}
    form = typed(config, "format", dict, place="output_config.") or typed(body, "output_format", dict)
    if not form:
        return None
    if form.get("type") != "json_schema":
        raise ApiError(f"output_config.format.type {short(form.get('type'))} is not supported, only json_schema")
    return json_schema(form, "output_config.format")


@dataclass(slots=True)
class Stream:
    """Turns the events of one reply into the events of Anthropic's stream."""

    model: str
    thoughts: bool = True
    id: str = field(default_factory=lambda: f"msg_{secrets.token_hex(12)}")
    named: bool = True
    closing: str = ""
    _index: int = -1
    _open: str | None = None  # type of the block that is being written
    _done: Done | None = None

    def begin(self) -> Iterator[dict[str, Any]]:
        """The prompt's tokens are known, and told, at the end: counting them is part of the work."""
        message: dict[str, Any] = {
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": _usage(Usage()),
        }
        yield {"type": "message_start", "message": message}
        yield {"type": "ping"}

    def next(self, number: int, event: Event) -> Iterator[dict[str, Any]]:
        match event:
            case Text(text):
                # Text in a call that has begun and not ended is that call once more, cut off by a limit.
                if self._open != "tool_use":
                    yield from self._in("text", {"type": "text", "text": ""})
                    yield self._delta({"type": "text_delta", "text": text})
            case Thinking(text):
                if self.thoughts and self._open != "tool_use":  # as for text: a call begun in a thought
                    yield from self._in("thinking", {"type": "thinking", "thinking": "", "signature": ""})
                    yield self._delta({"type": "thinking_delta", "thinking": text})
            case CallStart(_, _, name):
                yield from self._close()
                id = f"toolu_{secrets.token_hex(12)}"  # Anthropic's clients take letters, digits, _ and - only
                yield from self._in("tool_use", {"type": "tool_use", "id": id, "name": name, "input": {}})
            case CallArguments(_, text):
                yield self._delta({"type": "input_json_delta", "partial_json": text})
            case CallEnd():
                yield from self._close()
            case Done():
                self._done = event
            case _:
                pass

    def end(self) -> Iterator[dict[str, Any]]:
        assert self._done is not None, "a reply without its end"
        yield from self._close()
        reasons = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "cancelled": "end_turn"}
        stop = self._done.stop
        reason = "stop_sequence" if stop is not None else reasons[self._done.finish]
        delta = {"stop_reason": reason, "stop_sequence": stop}
        yield {"type": "message_delta", "delta": delta, "usage": _usage(self._done.usage)}
        yield {"type": "message_stop"}

    def failed(self, error: ApiError) -> Iterator[dict[str, Any]]:
        yield error_body(error)

    def alive(self) -> dict[str, Any]:
        return {"type": "ping"}

    def whole(self, frames: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        return message(frames)

    def _in(self, kind: str, empty: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Opens a block, unless it is open already."""
        if self._open != kind:
            yield from self._close()
            self._open = kind
            self._index += 1
            yield {"type": "content_block_start", "index": self._index, "content_block": empty}

    def _close(self) -> Iterator[dict[str, Any]]:
        if self._open == "thinking":
            yield self._delta({"type": "signature_delta", "signature": _SIGNATURE})
        if self._open is not None:
            yield {"type": "content_block_stop", "index": self._index}
        self._open = None

    def _delta(self, delta: dict[str, Any]) -> dict[str, Any]:
        return {"type": "content_block_delta", "index": self._index, "delta": delta}


def message(frames: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The message that a stream adds up to."""
    whole: dict[str, Any] = {}
    blocks: list[dict[str, Any]] = []
    for frame in frames:
        match frame["type"]:
            case "message_start":
                whole = dict(frame["message"])
            case "content_block_start":
                blocks.append(dict(frame["content_block"]))
            case "content_block_delta":
                _add(blocks[frame["index"]], frame["delta"])
            case "message_delta":
                whole |= {**frame["delta"], "usage": frame["usage"]}
            case _:
                pass
    for block in blocks:
        if block["type"] == "tool_use":
            block["input"] = _object(block.pop("json", ""))
    return {**whole, "content": blocks}


def _add(block: dict[str, Any], delta: Mapping[str, Any]) -> None:
    match delta["type"]:
        case "text_delta":
            block["text"] += delta["text"]
        case "thinking_delta":
            block["thinking"] += delta["thinking"]
        case "signature_delta":
            block["signature"] = delta["signature"]
        case "input_json_delta":
            block["json"] = block.get("json", "") + delta["partial_json"]


def _object(text: str) -> dict[str, Any]:
    """A call's input; empty where a limit cut it off. A model may spell half a surrogate pair, too."""
    try:
        value = json.loads(text, parse_float=_finite)
    except (ValueError, RecursionError):
        return {}
    return whole_characters(value) if isinstance(value, dict) else {}


def _finite(text: str) -> float:
    """JSON has numbers of any size, and a model may write 1e999; the largest float stands for what is larger."""
    return max(-sys.float_info.max, min(float(text), sys.float_info.max))


def _usage(usage: Usage) -> dict[str, Any]:
    """Anthropic counts the tokens that were read from the cache apart."""
    return {
        "input_tokens": usage.prompt_tokens - usage.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
    }


_KINDS = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}


def error_body(error: ApiError) -> dict[str, Any]:
    """The body of an answer, or the event of a stream, that is an error."""
    kind = _KINDS.get(error.status, "invalid_request_error" if error.status < 500 else "api_error")
    told = str(error)
    if error.too_long:  # the words by which Claude Code knows that it must shorten the conversation
        told = "prompt is too long: {} tokens > {} maximum".format(*error.too_long)
    return {"type": "error", "error": {"type": kind, "message": told}}


def model_card(name: str, created: str) -> dict[str, Any]:
    """A model in Anthropic's list."""
    return {"type": "model", "id": name, "display_name": name, "created_at": created}
