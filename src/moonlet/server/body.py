"""The body of a request that anybody may have written."""

from __future__ import annotations

import json
import math
from typing import Any

from fastapi import Request

from moonlet.server.errors import ApiError

MAX_BODY = 32 << 20  # bytes of a request


async def read_json(request: Request) -> Any:
    """The JSON of a request's body. Raises ApiError."""
    # A web page may send text/plain anywhere without asking; JSON it may not.
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise ApiError("the Content-Type must be application/json", status=415)
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY:
            raise ApiError(f"the body is larger than {MAX_BODY >> 20} MiB", status=413)
    try:
        value = json.loads(body.decode("utf-8-sig"), parse_float=_finite, parse_constant=_finite)
        return _whole_characters(value) if b"\\ud" in body or b"\\uD" in body else value
    except (ValueError, RecursionError) as error:
        raise ApiError(f"the body is not JSON: {error}") from None


def _finite(text: str) -> float:
    """Python would read NaN, Infinity and 1e999; what follows could not be written as JSON again."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is no number that can be held")
    return value


def _whole_characters(value: Any) -> Any:
    """The same without halves of surrogate pairs, which JSON can spell and UTF-8 cannot."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_whole_characters(key): _whole_characters(inner) for key, inner in value.items()}
    return [_whole_characters(inner) for inner in value] if isinstance(value, list) else value
