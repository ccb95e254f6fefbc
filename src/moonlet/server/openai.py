"""OpenAI's chat completions as a pair of pure translations: a request to what it asks for, a reply's events to chunks.

The unstreamed answer is the sum of the same chunks, so the two can never differ.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from moonlet.chat.messages import (
    CallArguments,
    CallEnd,
    CallStart,
    MessageError,
    Text,
    Thinking,
    ToolSpec,
    from_openai,
    tools_from_openai,
)
from moonlet.llm import Done, Event, ReplyOptions, Usage
from moonlet.server.errors import ApiError
from moonlet.server.replies import Asked


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A request, understood."""

    asked: Asked
    stream: bool
    include_usage: bool  # in a chunk at the end of a stream


# Fields that would change the answer, and the values with which they do not. Others that are unknown do no harm.
_ONLY: Mapping[str, tuple[Any, ...]] = {
    "n": (None, 1),
    "logprobs": (None, False),
    "top_logprobs": (None, 0),
    "response_format": (None, {"type": "text"}),
    "modalities": (None, ["text"]),
    "audio": (None,),
    "functions": (None, []),
    "function_call": (None, "none", "auto"),
    "web_search_options": (None,),
    "parallel_tool_calls": (None, True),
}


def read(body: Any) -> ChatRequest:
    """The request in a JSON body. Raises ApiError."""
    if not isinstance(body, dict):
        raise ApiError("the body must be a JSON object")
    for name, allowed in _ONLY.items():
        if body.get(name) not in allowed:
            raise ApiError(f"{name} {_short(body[name])} is not supported by this server", name)
    try:
        messages = from_openai(body.get("messages") or ())
        tools = tools_from_openai(body.get("tools") or ())
    except MessageError as error:
        raise ApiError(str(error), "tools" if str(error).startswith("tools") else "messages") from None
    if not messages:
        raise ApiError("messages must hold at least one message", "messages")
    stream_options = _typed(body, "stream_options", dict) or {}
    return ChatRequest(
        Asked(_typed(body, "model", str) or "", messages, tools, _options(body, tools)),
        stream=bool(_typed(body, "stream", bool)),
        include_usage=bool(_typed(stream_options, "include_usage", bool)),
    )


def _options(body: Mapping[str, Any], tools: tuple[ToolSpec, ...]) -> ReplyOptions:
    template = _typed(body, "chat_template_kwargs", dict) or {}  # as vLLM and SGLang take it
    thinking = template.get("thinking", template.get("enable_thinking", True))
    limit = _typed(body, "max_completion_tokens", int)
    try:
        return ReplyOptions(
            max_tokens=_typed(body, "max_tokens", int) if limit is None else limit,
            temperature=_typed(body, "temperature", int, float),
            top_p=_typed(body, "top_p", int, float),
            presence_penalty=_typed(body, "presence_penalty", int, float) or 0.0,
            frequency_penalty=_typed(body, "frequency_penalty", int, float) or 0.0,
            logit_bias=_logit_bias(body),
            seed=_typed(body, "seed", int),
            stop=_stop(body),
            tool_choice=_tool_choice(body, tools),
            thinking=thinking is not False,
        )
    except ValueError as error:
        raise ApiError(str(error), str(error).split()[0]) from None


def _typed(body: Mapping[str, Any], name: str, *kinds: type) -> Any:
    """The value of a field, None if it is absent. Raises ApiError if it is of another type."""
    value = body.get(name)
    if value is None or (isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))):
        return value
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "a string", dict: "an object"}
    raise ApiError(f"{name} must be {words[kinds[-1]]}, got {_short(value)}", name)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _logit_bias(body: Mapping[str, Any]) -> dict[int, float]:
    bias = _typed(body, "logit_bias", dict) or {}
    try:
        if not all(-100 <= float(value) <= 100 for value in bias.values()):
            raise ValueError
        return {int(id): float(value) for id, value in bias.items()}
    except (ValueError, TypeError):
        raise ApiError("logit_bias must give numbers from -100 to 100 by token id", "logit_bias") from None


def _stop(body: Mapping[str, Any]) -> tuple[str, ...]:
    stop = body.get("stop")
    stops = [stop] if isinstance(stop, str) else [] if stop is None else stop
    if not isinstance(stops, list) or len(stops) > 16 or not all(isinstance(one, str) for one in stops):
        raise ApiError("stop must be a string or a list of at most 16 strings", "stop")
    return tuple(stops)


def _tool_choice(body: Mapping[str, Any], tools: tuple[ToolSpec, ...]) -> str:
    choice = body.get("tool_choice")
    if choice is None or choice in ("auto", "none"):
        return choice or "auto"
    if choice == "required":
        if not tools:
            raise ApiError("tool_choice is 'required' but there are no tools", "tool_choice")
        return "required"
    named = choice.get("function") if isinstance(choice, dict) and choice.get("type") == "function" else None
    name = named.get("name") if isinstance(named, dict) else None
    if not isinstance(name, str):
        raise ApiError(
            f"tool_choice must be auto, none, required or name a function, got {_short(choice)}", "tool_choice"
        )
    if all(name != tool.name for tool in tools):
        raise ApiError(f"tool_choice names {name!r}, which is not among the tools", "tool_choice")
    return name


@dataclass(slots=True)
class Chunks:
    """Turns the events of one reply into `chat.completion.chunk` objects."""

    model: str
    include_usage: bool = False
    id: str = field(default_factory=lambda: f"chatcmpl-{secrets.token_hex(12)}")
    created: int = field(default_factory=lambda: int(time.time()))
    named: bool = False
    closing: str = "data: [DONE]\n\n"
    _open_call: bool = False
    _usage: Usage | None = None

    def begin(self) -> Iterator[dict[str, Any]]:
        """The chunk that names the role."""
        yield self._chunk({"role": "assistant", "content": ""})

    def next(self, number: int, event: Event) -> Iterator[dict[str, Any]]:
        """The chunks of an event."""
        match event:
            case Text(text):
                # Text after a call that has begun and not ended is that call once more, cut off by a limit: the client
                # has it already.
                if not self._open_call:
                    yield self._chunk({"content": text})
            case Thinking(text):
                yield self._chunk({"reasoning_content": text})
            case CallStart(index, id, name):
                self._open_call = True
                function = {"name": name, "arguments": ""}
                yield self._chunk(
                    {"tool_calls": [{"index": index, "id": id, "type": "function", "function": function}]}
                )
            case CallArguments(index, text):
                yield self._chunk({"tool_calls": [{"index": index, "function": {"arguments": text}}]})
            case CallEnd():
                self._open_call = False
            case Done(_, finish, usage):
                self._usage = usage
                yield self._chunk({}, "stop" if finish == "cancelled" else finish)

    def end(self) -> Iterator[dict[str, Any]]:
        """The chunk of the usage."""
        if self.include_usage and self._usage is not None:
            yield {**self._chunk({}), "choices": [], "usage": _usage(self._usage)}

    def failed(self, error: ApiError) -> Iterator[dict[str, Any]]:
        yield error_body(error)

    def alive(self) -> None:
        return None

    def whole(self, frames: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        return completion(frames)

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}],
        }


def completion(chunks: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The `chat.completion` that a reply's chunks, usage included, add up to."""
    content, thinking = "", ""
    calls: dict[int, dict[str, Any]] = {}
    finish, usage, last = None, None, None
    for chunk in chunks:
        last = chunk
        usage = chunk.get("usage", usage)
        for choice in chunk["choices"]:
            delta = choice["delta"]
            finish = choice["finish_reason"] or finish
            content += delta.get("content") or ""
            thinking += delta.get("reasoning_content", "")
            for part in delta.get("tool_calls", ()):
                _add_part(calls, part)
    assert last is not None and finish is not None, "a reply without its end"
    message: dict[str, Any] = {"role": "assistant", "content": content or None if calls else content, "refusal": None}
    if thinking:
        message["reasoning_content"] = thinking
    if calls:
        message["tool_calls"] = [calls[index] for index in sorted(calls)]
    return {
        "id": last["id"],
        "object": "chat.completion",
        "created": last["created"],
        "model": last["model"],
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
        "usage": usage,
    }


def _add_part(calls: dict[int, dict[str, Any]], part: Mapping[str, Any]) -> None:
    function = part["function"]
    if part["index"] not in calls:
        calls[part["index"]] = {"id": part["id"], "type": "function", "function": dict(function)}
    else:
        calls[part["index"]]["function"]["arguments"] += function["arguments"]


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.prompt_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }


def error_body(error: ApiError) -> dict[str, Any]:
    """The body of an answer that is an error."""
    kind = "invalid_request_error" if error.status < 500 else "server_error"
    return {"error": {"message": str(error), "type": kind, "param": error.param, "code": error.code}}
