"""A reply's events to those of OpenAI's responses, and what they add up to."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from moonlet.chat.messages import CallArguments, CallEnd, CallStart, Message, Text, Thinking
from moonlet.llm import Done, Event, Scored, ScoredToken, Usage
from moonlet.server.errors import ApiError
from moonlet.server.fields import whole_characters
from moonlet.server.responses import Form, ResponseRequest, packed_thought

Frame = dict[str, Any]


_RANDOM = 16  # bytes of a response's id


def new_id() -> str:
    """Of a response."""
    return f"resp_{secrets.token_hex(_RANDOM)}"


def response_of(item: str) -> str:
    """The id of the response that an item came from, which the item's own id holds: so no list of items is needed to
    find one again."""
    return f"resp_{item.partition('_')[2][: 2 * _RANDOM]}"


@dataclass(slots=True)
class ResponseStream:
    """Turns the events of one reply into the events of a response. `keep` is given the whole one and its message."""

    model: str
    request: ResponseRequest
    keep: Callable[[Frame, Message], None] = lambda response, message: None
    id: str = field(default_factory=new_id)
    created: int = field(default_factory=lambda: int(time.time()))
    named: bool = True
    closing: str = ""
    _number: int = 0  # of the next event
    _output: list[Frame] = field(default_factory=list)  # items that are complete
    _item: Frame | None = None  # the one that is being written
    _text: str = ""  # of it
    _form: Form = field(default_factory=Form)  # of its tool
    _waiting: list[ScoredToken] = field(default_factory=list)
    _done: Done | None = None

    def begin(self) -> Iterator[Frame]:
        yield self._event("response.created", response=self._response("in_progress"))
        yield self._event("response.in_progress", response=self._response("in_progress"))

    def next(self, number: int, event: Event) -> Iterator[Frame]:
        match event:
            case Scored(tokens):
                self._waiting += tokens
            case Text(text):
                # Text in a call that has begun and not ended is that call once more, cut off by a limit.
                if not self._writes("function_call", "custom_tool_call"):
                    yield from self._in_message()
                    self._text += text
                    scored = [_scored(token) for token in self._waiting]
                    self._waiting.clear()
                    yield self._part_event("response.output_text.delta", content_index=0, delta=text, logprobs=scored)
                    self._item_or_fail()["logprobs"] += scored
            case Thinking(text):
                if not self._writes("function_call", "custom_tool_call"):  # as for text: a call begun in a thought
                    yield from self._in_thought()
                    self._text += text
                    yield self._part_event("response.reasoning_text.delta", content_index=0, delta=text)
            case CallStart(_, id, name):
                yield from self._close()
                yield from self._open_call(id, self.request.forms.get(name, Form(name=name)))
            case CallArguments(_, text):
                self._text += text
                if self._form.kind == "function":
                    yield self._part_event("response.function_call_arguments.delta", delta=text)
            case CallEnd():
                yield from self._close()
            case Done():
                self._done = event

    def end(self) -> Iterator[Frame]:
        assert self._done is not None, "a reply without its end"
        cut = self._done.finish == "length"
        yield from self._close("incomplete" if cut else "completed")
        response = self._response("incomplete" if cut else "completed", usage=self._done.usage)
        if cut:
            response["incomplete_details"] = {"reason": "max_output_tokens"}
        self.keep(response, self._done.message)
        yield self._event("response.incomplete" if cut else "response.completed", response=response)

    def failed(self, error: ApiError) -> Iterator[Frame]:
        codes = {429: "rate_limit_exceeded", 400: error.code or "invalid_prompt"}
        response = self._response("failed")
        response["error"] = {"code": codes.get(error.status, "server_error"), "message": str(error)}
        yield self._event("response.failed", response=response)

    def alive(self) -> None:
        return None

    def whole(self, frames: Iterable[Mapping[str, Any]]) -> Frame:
        """The response of the last event, which holds all others' work."""
        *_, last = frames
        response: Frame = last["response"]
        return response

    # Items.

    def _writes(self, *kinds: str) -> bool:
        return self._item is not None and self._item["type"] in kinds

    def _item_or_fail(self) -> Frame:
        assert self._item is not None, "no item is open"
        return self._item

    def _in_message(self) -> Iterator[Frame]:
        if not self._writes("message"):
            yield from self._close()
            item = {
                "type": "message",
                "id": self._item_id("msg"),
                "status": "in_progress",
                "role": "assistant",
                "content": [],
            }
            yield from self._open(item)
            yield self._part_event("response.content_part.added", content_index=0, part=_text_part("", []))
            self._item_or_fail()["logprobs"] = []

    def _in_thought(self) -> Iterator[Frame]:
        if not self._writes("reasoning"):
            yield from self._close()
            yield from self._open({"type": "reasoning", "id": self._item_id("rs"), "summary": [], "content": []})
            part = {"type": "reasoning_text", "text": ""}
            yield self._part_event("response.content_part.added", content_index=0, part=part)

    def _open_call(self, id: str, form: Form) -> Iterator[Frame]:
        self._form = form
        space = {"namespace": form.namespace} if form.namespace else {}
        call = {"call_id": id, "name": form.name, **space, "status": "in_progress"}
        if form.kind == "custom":
            yield from self._open({"type": "custom_tool_call", "id": self._item_id("ctc"), **call, "input": ""})
        else:
            yield from self._open({"type": "function_call", "id": self._item_id("fc"), **call, "arguments": ""})

    def _item_id(self, kind: str) -> str:
        return f"{kind}_{self.id.removeprefix('resp_')}{len(self._output):04x}"

    def _open(self, item: Frame) -> Iterator[Frame]:
        self._item, self._text = item, ""
        yield self._event("response.output_item.added", output_index=len(self._output), item=dict(item))

    def _close(self, status: str = "completed") -> Iterator[Frame]:
        """Ends the item that is being written, if there is one."""
        if self._item is None:
            return
        item, text = self._item, self._text
        match item["type"]:
            case "message":
                part = _text_part(text, item.pop("logprobs"))
                told = {"content_index": 0, "text": text, "logprobs": part["logprobs"]}
                yield self._part_event("response.output_text.done", **told)
                yield self._part_event("response.content_part.done", content_index=0, part=part)
                item |= {"status": status, "content": [part]}
            case "reasoning":
                thought = {"type": "reasoning_text", "text": text}
                yield self._part_event("response.reasoning_text.done", content_index=0, text=text)
                yield self._part_event("response.content_part.done", content_index=0, part=thought)
                item |= {"content": [thought]}
                if self.request.encrypted:
                    item["encrypted_content"] = packed_thought(text)
            case "custom_tool_call":
                given = _input(text)
                yield self._part_event("response.custom_tool_call_input.delta", delta=given)
                yield self._part_event("response.custom_tool_call_input.done", input=given)
                item |= {"status": status, "input": given}
            case "function_call":
                done = {"name": item["name"], "arguments": text}
                yield self._part_event("response.function_call_arguments.done", **done)
                item |= {"status": status, "arguments": text}
        yield self._event("response.output_item.done", output_index=len(self._output), item=item)
        self._output.append(item)
        self._item = None

    def _part_event(self, kind: str, **rest: Any) -> Frame:
        return self._event(kind, item_id=self._item_or_fail()["id"], output_index=len(self._output), **rest)

    def _event(self, kind: str, **rest: Any) -> Frame:
        self._number += 1
        return {"type": kind, "sequence_number": self._number - 1, **rest}

    def _response(self, status: str, usage: Usage | None = None) -> Frame:
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": None,
            "model": self.model,
            "output": list(self._output),
            "store": self.request.store,
            "usage": None if usage is None else _usage(usage),
            **self.request.echo,
        }


def _text_part(text: str, logprobs: list[Frame]) -> Frame:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}


def _scored(token: ScoredToken) -> Frame:
    def one(text: bytes, logprob: float) -> Frame:
        return {"token": text.decode(errors="replace"), "logprob": logprob, "bytes": list(text)}

    return {**one(token.text, token.logprob), "top_logprobs": [one(text, logprob) for text, logprob in token.top]}


def _input(arguments: str) -> str:
    """The text that a custom tool is given; as it stands where a limit cut it off."""
    try:
        value = json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments
    given = value.get("input") if isinstance(value, dict) else None
    return str(whole_characters(given)) if isinstance(given, str) else arguments


def _usage(usage: Usage) -> Frame:
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.thinking_tokens},
        "total_tokens": usage.prompt_tokens + usage.output_tokens,
    }
