"""What the OpenAPI document says of request bodies, which are read by hand: one field in error is named in each API's
own shape, and unknown fields are let be."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

_TEXT, _FLAG, _OBJECT = {"type": "string"}, {"type": "boolean"}, {"type": "object"}
_COUNT = {"type": "integer", "minimum": 1}
_STRINGS = {"anyOf": [_TEXT, {"type": "array", "items": _TEXT, "maxItems": 16}]}
_SAMPLING = {
    "temperature": {"type": "number", "minimum": 0, "maximum": 2},
    "top_p": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
    "stream": _FLAG,
}
_OPENAI = {
    **_SAMPLING,
    "n": {"type": "integer", "minimum": 1, "maximum": 8},
    "seed": {"type": "integer"},
    "stop": _STRINGS,
    "presence_penalty": {"type": "number", "minimum": -2, "maximum": 2},
    "frequency_penalty": {"type": "number", "minimum": -2, "maximum": 2},
    "logit_bias": {"type": "object", "additionalProperties": {"type": "number", "minimum": -100, "maximum": 100}},
    "stream_options": {"type": "object", "properties": {"include_usage": _FLAG}},
}
_TOOL_CHOICE = {"anyOf": [{"enum": ["auto", "none", "required"]}, _OBJECT]}


def _listed(*properties: str, role: list[str] | None = None) -> dict[str, Any]:
    item = {name: _TEXT for name in properties}
    schema: dict[str, Any] = {"type": "object", "properties": {**item, **({"role": {"enum": role}} if role else {})}}
    return {"type": "array", "minItems": 1, "items": {**schema, "required": [*schema["properties"]]}}


def _body(required: list[str], **properties: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"model": _TEXT, **properties}, "required": ["model", *required]}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


CHAT = _body(
    ["messages"],
    messages=_listed("content", role=["system", "developer", "user", "assistant"]),
    tools={"type": "array", "items": _OBJECT},
    tool_choice=_TOOL_CHOICE,
    parallel_tool_calls=_FLAG,
    response_format={"type": "object", "properties": {"type": {"enum": ["text", "json_object", "json_schema"]}}},
    logprobs=_FLAG,
    top_logprobs={"type": "integer", "minimum": 0, "maximum": 20},
    max_tokens=_COUNT,
    max_completion_tokens=_COUNT,
    chat_template_kwargs=_OBJECT,
    **_OPENAI,
)
COMPLETIONS = _body(
    ["prompt"],
    prompt={"anyOf": [_TEXT, {"type": "array", "items": _TEXT}, {"type": "array", "items": {"type": "integer"}}]},
    max_tokens=_COUNT,
    logprobs={"type": "integer", "minimum": 0, "maximum": 5},
    echo=_FLAG,
    **_OPENAI,
)
RESPONSES = _body(
    ["input"],
    input={"anyOf": [_TEXT, _listed("content", role=["user", "assistant", "system", "developer"])]},
    instructions=_TEXT,
    tools={"type": "array", "items": _OBJECT},
    tool_choice=_TOOL_CHOICE,
    parallel_tool_calls=_FLAG,
    previous_response_id=_TEXT,
    max_output_tokens=_COUNT,
    text=_OBJECT,
    reasoning=_OBJECT,
    include={"type": "array", "items": _TEXT},
    store=_FLAG,
    metadata=_OBJECT,
    **_SAMPLING,
)
_CONVERSATION = {
    "messages": _listed("content", role=["user", "assistant"]),
    "system": {"anyOf": [_TEXT, {"type": "array", "items": _OBJECT}]},
    "tools": {"type": "array", "items": {"type": "object", "properties": {"name": _TEXT, "input_schema": _OBJECT}}},
}
COUNT_TOKENS = _body(["messages"], **_CONVERSATION)
MESSAGES = _body(
    ["messages", "max_tokens"],
    **_CONVERSATION,
    max_tokens=_COUNT,
    tool_choice={"type": "object", "properties": {"type": {"enum": ["auto", "any", "tool", "none"]}}},
    stop_sequences={"type": "array", "items": _TEXT},
    thinking={"type": "object", "properties": {"type": {"enum": ["enabled", "adaptive", "disabled"]}}},
    top_k={"type": "integer", "minimum": 0},
    **_SAMPLING,
)


def of_models(body: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The same, saying which models there are."""
    whole = copy.deepcopy(body)
    whole["requestBody"]["content"]["application/json"]["schema"]["properties"]["model"] = {"enum": [*names]}
    return whole
