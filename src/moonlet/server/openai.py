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
from moonlet.ledger.keys import Priority
from moonlet.llm import Done, Event, ReplyOptions, Scored, ScoredToken, Usage
from moonlet.server.errors import ApiError
from moonlet.server.fields import as_object, json_schema, named_tool, short, strings, typed
from moonlet.server.replies import Asked

MAX_REPLIES = 8  # to one request


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A request, understood."""

    asked: Asked
    stream: bool
    include_usage: bool  # in a chunk at the end of a stream


# Fields that would change the answer, and the values with which they do not. Others that are unknown do no harm.
_ONLY: Mapping[str, tuple[Any, ...]] = {
    "modalities": (None, [], ["text"]),
    "audio": (None,),
    "functions": (None, []),
    "function_call": (None, "none", "auto"),
    "web_search_options": (None,),
}


def read(body: Any) -> ChatRequest:
    """The request in a JSON body. Raises ApiError."""
    body = as_object(body)
    for name, allowed in _ONLY.items():
        if body.get(name) not in allowed:
            raise ApiError(f"{name} {short(body[name])} is not supported by this server", name)
    try:
        messages = from_openai(body.get("messages") or ())
        tools = tools_from_openai(body.get("tools") or ())
    except MessageError as error:
        raise ApiError(str(error), "tools" if str(error).startswith("tools") else "messages") from None
    if not messages:
        raise ApiError("messages must hold at least one message", "messages")
    choice, tools = _tool_choice(body, tools)
    logprobs = bool(typed(body, "logprobs", bool))
    top_logprobs = typed(body, "top_logprobs", int) or 0
    if top_logprobs and not logprobs:
        raise ApiError("top_logprobs needs logprobs to be true", "top_logprobs")
    options = read_options(
        body,
        max_tokens=limit
        if (limit := typed(body, "max_completion_tokens", int)) is not None
        else body.get("max_tokens"),
        tool_choice=choice,
        thinking=_thinking(body),
        logprobs=logprobs,
        top_logprobs=top_logprobs,
        parallel_calls=typed(body, "parallel_tool_calls", bool) is not False,
        priority=read_priority(body),
        answer_schema=_answer_schema(body),
    )
    return ChatRequest(
        Asked(typed(body, "model", str) or "", messages, tools, options, count=read_count(body)),
        stream=bool(typed(body, "stream", bool)),
        include_usage=read_include_usage(body),
    )


def read_options(body: Mapping[str, Any], **more: Any) -> ReplyOptions:
    """The options that OpenAI's APIs have in common, and `more` of them. Raises ApiError."""
    try:
        typed({"max_tokens": more.get("max_tokens")}, "max_tokens", int)
        return ReplyOptions(
            temperature=typed(body, "temperature", int, float),
            top_p=typed(body, "top_p", int, float),
            top_k=typed(body, "top_k", int),
            presence_penalty=typed(body, "presence_penalty", int, float) or 0.0,
            frequency_penalty=typed(body, "frequency_penalty", int, float) or 0.0,
            logit_bias=_logit_bias(body),
            seed=typed(body, "seed", int),
            stop=strings(body, "stop"),
            **more,
        )
    except ValueError as error:
        raise ApiError(str(error), str(error).split()[0]) from None


def read_count(body: Mapping[str, Any]) -> int:
    """How many replies are wanted. Raises ApiError."""
    count = typed(body, "n", int)
    if count is not None and not 1 <= count <= MAX_REPLIES:
        raise ApiError(f"n must be from 1 to {MAX_REPLIES}, got {count}", "n")
    return count or 1


def read_priority(body: Mapping[str, Any]) -> Priority:
    """OpenAI's `flex` is for what may wait; its other tiers are bought, and there is nothing to buy here."""
    return "batch" if body.get("service_tier") == "flex" else "interactive"


def read_include_usage(body: Mapping[str, Any]) -> bool:
    """Whether a stream is to end with the usage. Raises ApiError."""
    stream_options = typed(body, "stream_options", dict) or {}
    return bool(typed(stream_options, "include_usage", bool, place="stream_options."))


def _thinking(body: Mapping[str, Any]) -> bool:
    """Every spelling by which a request may ask not to think: of vLLM and SGLang, Kimi, OpenAI, OpenRouter."""
    template = typed(body, "chat_template_kwargs", dict) or {}
    kimi, router = body.get("thinking"), body.get("reasoning")
    asked = [
        template.get("thinking", template.get("enable_thinking")),
        body.get("enable_thinking"),
        False if isinstance(kimi, dict) and kimi.get("type") == "disabled" else kimi,
        False
        if isinstance(router, dict) and (router.get("enabled") is False or router.get("effort") == "none")
        else None,
        False if body.get("reasoning_effort") == "none" else None,
    ]
    return all(one is not False for one in asked)


def _answer_schema(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    form = typed(body, "response_format", dict)
    match form and form.get("type"):
        case None if not form:
            return None
        case "text":
            return None
        case "json_object":
            return {"type": "object"}
        case "json_schema":
            return json_schema(
                typed(form, "json_schema", dict, place="response_format.") or {}, "response_format.json_schema"
            )
    raise ApiError(f"response_format {short(form)} must be text, json_object or json_schema", "response_format")


def _logit_bias(body: Mapping[str, Any]) -> dict[int, float]:
    bias = typed(body, "logit_bias", dict) or {}
    try:
        if not all(-100 <= float(value) <= 100 for value in bias.values()):
            raise ValueError
        return {int(id): float(value) for id, value in bias.items()}
    except (ValueError, TypeError, OverflowError):
        raise ApiError("logit_bias must give numbers from -100 to 100 by token id", "logit_bias") from None


def _tool_choice(body: Mapping[str, Any], tools: tuple[ToolSpec, ...]) -> tuple[str, tuple[ToolSpec, ...]]:
    """The choice, and the tools that it leaves."""
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        allowed = typed(choice, "allowed_tools", dict, place="tool_choice.") or choice
        wanted = allowed.get("tools")
        if not isinstance(wanted, list) or not wanted:
            raise ApiError("tool_choice.allowed_tools.tools must be a list of tools", "tool_choice")
        names = {named_tool(_name_in(one), tools) for one in wanted}
        tools = tuple(tool for tool in tools if tool.name in names)
        choice = allowed.get("mode", "auto")
    if choice is None or choice in ("auto", "none"):
        return choice or "auto", tools
    if choice == "required":
        if not tools:
            raise ApiError("tool_choice is 'required' but there are no tools", "tool_choice")
        return "required", tools
    if not isinstance(choice, dict) or choice.get("type") != "function":
        raise ApiError(
            f"tool_choice must be auto, none, required or name a function, got {short(choice)}", "tool_choice"
        )
    return named_tool(_name_in(choice), tools), tools


def _name_in(choice: Any) -> Any:
    """The name of a tool that is pointed at, whether it lies in `function` or beside the type."""
    if not isinstance(choice, dict):
        return None
    function = choice.get("function")
    return function.get("name") if isinstance(function, dict) else choice.get("name")


@dataclass(slots=True)
class _Choice:
    """Where one reply of a stream stands."""

    open_call: bool = False
    waiting: list[ScoredToken] = field(default_factory=list)  # tokens whose text has not been sent
    text_bytes: int = 0  # sent
    token_bytes: int = 0  # of the tokens sent

    def shown(self, text: str) -> list[ScoredToken]:
        """The tokens that a text which is sent is made of."""
        self.text_bytes += len(text.encode())
        count = 0
        for token in self.waiting:
            if self.token_bytes + len(token.text) > self.text_bytes:
                break
            self.token_bytes += len(token.text)
            count += 1
        sent, self.waiting = self.waiting[:count], self.waiting[count:]
        return sent


@dataclass(slots=True)
class Chunks:
    """Turns the events of one answer into `chat.completion.chunk` objects."""

    model: str
    include_usage: bool = False
    count: int = 1
    id: str = field(default_factory=lambda: f"chatcmpl-{secrets.token_hex(12)}")
    created: int = field(default_factory=lambda: int(time.time()))
    named: bool = False
    closing: str = "data: [DONE]\n\n"
    _choices: dict[int, _Choice] = field(default_factory=dict)
    _usages: list[Usage] = field(default_factory=list)

    def begin(self) -> Iterator[dict[str, Any]]:
        """The chunks that name the role."""
        for number in range(self.count):
            self._choices[number] = _Choice()
            yield self._chunk(number, {"role": "assistant", "content": ""})

    def next(self, number: int, event: Event) -> Iterator[dict[str, Any]]:
        """The chunks of an event."""
        choice = self._choices[number]
        match event:
            case Scored(tokens):
                choice.waiting += tokens
            case Text(text):
                # Text after a call that has begun and not ended is that call once more, cut off by a limit: the client
                # has it already.
                if not choice.open_call:
                    yield self._chunk(number, {"content": text}, tokens=choice.shown(text))
            case Thinking(text):
                if not choice.open_call:  # as for text: a call begun in a thought
                    yield self._chunk(number, {"reasoning_content": text, "reasoning": text})
            case CallStart(index, id, name):
                choice.open_call = True
                function = {"name": name, "arguments": ""}
                call = {"index": index, "id": id, "type": "function", "function": function}
                yield self._chunk(number, {"tool_calls": [call]})
            case CallArguments(index, text):
                yield self._chunk(number, {"tool_calls": [{"index": index, "function": {"arguments": text}}]})
            case CallEnd():
                choice.open_call = False
            case Done(_, finish, usage, stop):
                self._usages.append(usage)
                rest = choice.waiting if stop is None else []  # what a stop string cut off was not said
                yield self._chunk(number, {}, "stop" if finish == "cancelled" else finish, rest)

    def end(self) -> Iterator[dict[str, Any]]:
        """The chunk of the usage."""
        if self.include_usage:
            yield {**self._head(), "choices": [], "usage": usage_of(self._usages)}

    def failed(self, error: ApiError) -> Iterator[dict[str, Any]]:
        yield error_body(error)

    def alive(self) -> None:
        return None

    def whole(self, frames: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        return completion(frames)

    def _head(self) -> dict[str, Any]:
        return {"id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": self.model}

    def _chunk(
        self, number: int, delta: dict[str, Any], finish: str | None = None, tokens: Iterable[ScoredToken] = ()
    ) -> dict[str, Any]:
        scored = [_scored(token) for token in tokens]
        logprobs = {"content": scored, "refusal": None} if scored else None
        choice = {"index": number, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return {**self._head(), "choices": [choice], **({"usage": None} if self.include_usage else {})}


def _scored(token: ScoredToken) -> dict[str, Any]:
    def one(text: bytes, logprob: float) -> dict[str, Any]:
        return {"token": text.decode(errors="replace"), "logprob": logprob, "bytes": list(text)}

    return {**one(token.text, token.logprob), "top_logprobs": [one(text, logprob) for text, logprob in token.top]}


def completion(chunks: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The `chat.completion` that the chunks of an answer, usage included, add up to."""
    choices: dict[int, dict[str, Any]] = {}
    usage, last = None, None
    for chunk in chunks:
        last = chunk
        usage = chunk.get("usage") or usage
        for part in chunk["choices"]:
            _add(choices, part)
    assert last is not None and all(choice["finish_reason"] for choice in choices.values()), "a reply without its end"
    for choice in choices.values():
        message = choice["message"]
        if "tool_calls" in message:
            message["tool_calls"] = [call for _, call in sorted(message["tool_calls"].items())]
            message["content"] = message["content"] or None
    return {
        "id": last["id"],
        "object": "chat.completion",
        "created": last["created"],
        "model": last["model"],
        "choices": [choices[number] for number in sorted(choices)],
        "usage": usage,
    }


def _add(choices: dict[int, dict[str, Any]], part: Mapping[str, Any]) -> None:
    """Adds a chunk's part of a choice to the choice."""
    message: dict[str, Any] = {"role": "assistant", "content": "", "refusal": None}
    empty = {"index": part["index"], "message": message, "logprobs": None, "finish_reason": None}
    choice = choices.setdefault(part["index"], empty)
    message, delta = choice["message"], part["delta"]
    message["content"] += delta.get("content") or ""
    for key in ("reasoning_content", "reasoning"):
        if key in delta:
            message[key] = message.get(key, "") + delta[key]
    for call in delta.get("tool_calls", ()):
        _add_call(message.setdefault("tool_calls", {}), call)
    choice["finish_reason"] = part["finish_reason"] or choice["finish_reason"]
    if part["logprobs"]:
        before = choice["logprobs"] or {"content": [], "refusal": None}
        choice["logprobs"] = {**before, "content": before["content"] + part["logprobs"]["content"]}


def _add_call(calls: dict[int, dict[str, Any]], part: Mapping[str, Any]) -> None:
    function = part["function"]
    if part["index"] not in calls:
        calls[part["index"]] = {"id": part["id"], "type": "function", "function": dict(function)}
    else:
        calls[part["index"]]["function"]["arguments"] += function["arguments"]


def usage_of(usages: Iterable[Usage], prompts: int = 1) -> dict[str, Any]:
    """The usage of replies to `prompts` prompts, as many to each and in their order. A prompt counts once, however many
    replies it has."""
    listed = list(usages)
    each = max(len(listed) // prompts, 1)
    prompt = sum(usage.prompt_tokens for usage in listed) // each
    # The first reply to a prompt computes it, the others find it in the cache.
    cached = sum(min(one.cached_tokens for one in listed[at : at + each]) for at in range(0, len(listed), each))
    output = sum(usage.output_tokens for usage in listed)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": sum(usage.thinking_tokens for usage in listed)},
    }


def error_body(error: ApiError) -> dict[str, Any]:
    """The body of an answer that is an error."""
    kinds = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
    kind = kinds.get(error.status, "invalid_request_error" if error.status < 500 else "server_error")
    return {"error": {"message": str(error), "type": kind, "param": error.param, "code": error.code}}
