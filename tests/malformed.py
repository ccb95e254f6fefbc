"""Bodies of requests that are wrong in some way, the same from the same seed."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

_SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"$ref": "#/$defs/n"}}, "required": ["a"]}
_SCHEMA["$defs"] = {"n": {"type": "integer", "minimum": 1}}
_FUNCTION = {"name": "f", "description": "d", "parameters": _SCHEMA, "strict": True}
_CHAT = {
    "model": "MODEL",
    "messages": [
        {"role": "system", "content": "s"},
        {"role": "user", "content": [{"type": "text", "text": "hello"}]},
        {
            "role": "assistant",
            "content": None,
            "reasoning_content": "r",
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": "x"}'}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": "result"},
    ],
    "tools": [{"type": "function", "function": _FUNCTION}],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": _SCHEMA}},
    "stream": True,
    "stream_options": {"include_usage": True},
    "n": 2,
    "logprobs": True,
    "top_logprobs": 2,
    "max_tokens": 60,
    "temperature": 0.5,
    "top_p": 0.5,
    "seed": 1,
    "stop": ["x"],
    "presence_penalty": 0.5,
    "frequency_penalty": 0.5,
    "logit_bias": {"1": 2},
    "parallel_tool_calls": False,
    "chat_template_kwargs": {"thinking": False},
}
_COMPLETION = {
    "model": "MODEL",
    "prompt": ["a", "b"],
    "max_tokens": 3,
    "logprobs": 2,
    "echo": False,
    "n": 2,
    "stop": "x",
}
_MESSAGES = {
    "model": "MODEL",
    "max_tokens": 60,
    "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {"role": "user", "content": "hello"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "t", "signature": "s"},
                {"type": "text", "text": "t"},
                {"type": "tool_use", "id": "c", "name": "f", "input": {"a": "x"}},
            ],
        },
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "c", "content": [{"type": "text", "text": "r"}]}],
        },
    ],
    "tools": [{"name": "f", "description": "d", "input_schema": _SCHEMA}],
    "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "stop_sequences": ["x"],
    "stream": True,
    "metadata": {"user_id": "u"},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": _SCHEMA}},
}
_RESPONSES = {
    "model": "MODEL",
    "instructions": "i",
    "input": [
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "d"}]},
        {"role": "user", "content": "hello"},
        {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "t"}]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "r"},
        {"type": "custom_tool_call", "call_id": "d", "name": "p", "input": "x"},
        {"type": "custom_tool_call_output", "call_id": "d", "output": [{"type": "input_text", "text": "r"}]},
    ],
    "tools": [
        {"type": "function", **_FUNCTION},
        {"type": "custom", "name": "p", "format": {"type": "grammar", "syntax": "lark", "definition": "start: /x/"}},
        {"type": "namespace", "name": "n", "tools": [{"type": "function", **_FUNCTION}]},
        {"type": "web_search"},
    ],
    "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
    "text": {"format": {"type": "json_schema", "name": "n", "schema": _SCHEMA}},
    "reasoning": {"effort": "none"},
    "include": ["reasoning.encrypted_content"],
    "max_output_tokens": 60,
    "previous_response_id": None,
    "store": True,
    "stream": True,
    "metadata": {"k": "v"},
}
BASES = {
    "/v1/chat/completions": _CHAT,
    "/v1/completions": _COMPLETION,
    "/v1/messages": _MESSAGES,
    "/v1/messages/count_tokens": _MESSAGES,
    "/v1/responses": _RESPONSES,
}
_JUNK: list[Any] = [
    *(None, True, False, 0, 1, -1, 3, 2**31, -(2**63), 10**40, 0.5, -0.0, 1e308, "", "x"),
    *("auto", "MODEL", "\x00", "\ud800"),
    *("<|im_end|>", "<|tool_call_begin|>", "ä" * 300, [], [[]], [None], [0] * 40, {}, {"type": "text"}, {"type": None}),
    *({"a": {"b": {"c": []}}}, {"": ""}, {"$ref": "#"}, {"type": "function"}, [{"type": "text", "text": 3}]),
]  # fmt: skip


def malformed(count: int, model: str, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """So many paths and bodies."""
    for number in range(count):
        rng = random.Random(f"{seed} {number}")
        path = rng.choice([*BASES])
        body = copy.deepcopy(BASES[path])
        if rng.random() < 0.5:  # what must fit a schema is refused for much else
            for name in ("tool_choice", "response_format", "text", "output_config"):
                body.pop(name, None)
        for _ in range(rng.randint(1, 3)):
            body = _changed(rng, body, root=rng.random() < 0.97)
        text = json.dumps(body).replace("MODEL", model).encode()
        yield path, _broken(rng, text) if rng.random() < 0.15 else text


def _changed(rng: random.Random, value: Any, root: bool = False) -> Any:
    """One place of a value in another form; the root itself stays."""
    inner = [*value] if isinstance(value, dict) else [*range(len(value))] if isinstance(value, list) else []
    if not root and (not inner or rng.random() < 0.15):
        return copy.deepcopy(rng.choice(_JUNK))
    if not inner:
        return value
    key = rng.choice(inner)
    if rng.random() < 0.2:
        if isinstance(value, list):
            value.append(copy.deepcopy(rng.choice([value[key], *_JUNK])))
        elif rng.random() < 0.5:
            del value[key]
        else:
            value[str(rng.choice(["x", "type", "content", "n", "name"]))] = copy.deepcopy(rng.choice(_JUNK))
        return value
    value[key] = _changed(rng, value[key])
    return value


def _broken(rng: random.Random, text: bytes) -> bytes:
    """Bytes that are hardly JSON any more."""
    at = rng.randrange(len(text))
    return rng.choice(
        [
            text[:at],
            text[:at] + bytes([rng.randrange(256)]) + text[at + 1 :],
            text.replace(b"0.5", b"NaN", 1).replace(b"60", b"1e999", 1),
            b"[" * 5000,
            b'{"a":' * 5000,
            b"",
            b"null",
            text + text,
        ]
    )
