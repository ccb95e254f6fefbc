"""What an endpoint says when it does not answer, as one of our errors."""

from __future__ import annotations

import json
import re
from typing import Any

import urllib3

from moonlet.llm import BusyError, LLMError, RefusedError, ToldError, TooLongError
from moonlet.llm.characters import one_line

_REFUSALS = (400, 404, 413, 422)
# The words in which vLLM, SGLang, llama.cpp and OpenAI's own API tell of a prompt that does not fit.
_CONTEXT = re.compile(
    r"(?:maximum context length|context (?:size|window|length)|max_model_len)\D{0,20}(\d+)", re.IGNORECASE
)
_PROMPT = re.compile(
    r"(\d+) (?:input tokens|tokens from the input|in the messages)|(?:input|request) \((\d+) tokens\)"
    r"|(?:resulted in|input length) \(?(\d+)",
    re.IGNORECASE,
)


def failure(url: str, answer: urllib3.BaseHTTPResponse, body: bytes) -> LLMError:
    """What an answer with an error status says, in one line. `body`: as much of it as was read."""
    try:
        told = message_of(json.loads(body))
    except (ValueError, RecursionError):
        told = one_line(body.decode("utf-8", "replace")) or one_line(answer.reason or "") or "no reason is given"
    if answer.status in _REFUSALS and (error := _too_long(told)) is not None:
        return error
    told = f"{url}: HTTP {answer.status}: {told}"
    if answer.status in (429, 503):
        return BusyError(told, _retry_s(answer))
    kind = RefusedError if answer.status in _REFUSALS else ToldError if answer.status == 500 else LLMError
    return kind(told)


def message_of(body: Any) -> str:
    """The words of an error, in one line."""
    error = body.get("error", body) if isinstance(body, dict) else body
    told = error.get("message", error) if isinstance(error, dict) else error
    return one_line(str(told))


def _too_long(told: str) -> TooLongError | None:
    """Clients shorten a conversation when they hear this; in another's words they would not know it."""
    found = _CONTEXT.search(told)
    if found is None:
        return None
    context, prompt = int(found[1]), _PROMPT.search(told)
    tokens = next((int(group) for group in prompt.groups() if group), 0) if prompt else 0
    exact = tokens > context and "at least" not in told
    return TooLongError(max(tokens, context + 1), context, least=not exact)


def _retry_s(answer: urllib3.BaseHTTPResponse) -> float:
    """When to ask again, as the endpoint says it in seconds; it may also say a date, or nothing."""
    try:
        return min(max(0.1, float(answer.headers.get("retry-after", "1"))), 3600.0)  # of NaN and 0.1, 0.1
    except ValueError:
        return 1.0
