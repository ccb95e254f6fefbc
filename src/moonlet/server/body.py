"""JSON bodies of requests, as anybody may have written them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect

from moonlet.server.apart import apart
from moonlet.server.errors import ApiError
from moonlet.server.fields import whole_characters

MAX_BODY = 32 << 20  # bytes of a request
_SHORT = 1 << 16  # bytes that are read in no time; more can take seconds, which must not stop the streams of others

T = TypeVar("T")


async def read_json(request: Request) -> Any:
    """The value of a body. Raises ApiError."""
    return await read_body(request, lambda value: value)


async def read_body(request: Request, read: Callable[[Any], T]) -> T:
    """What `read` makes of the value of a body. Raises ApiError, and what it raises."""
    # A web page may send text/plain anywhere without asking; JSON it may not.
    if content_type(request) != "application/json":
        raise ApiError("the Content-Type must be application/json", status=415)
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > MAX_BODY:
                raise ApiError(f"the body is larger than {MAX_BODY >> 20} MiB", status=413)
    except ClientDisconnect:
        raise ApiError("the client closed the connection", status=499) from None
    work = partial(_read, bytes(body), read)
    return work() if len(body) <= _SHORT else await apart(work)


def _read(body: bytes, read: Callable[[Any], T]) -> T:
    try:
        value = json.loads(body.decode("utf-8-sig"), parse_float=_finite, parse_constant=_finite)
        value = whole_characters(value) if b"\\ud" in body or b"\\uD" in body else value
    except (ValueError, RecursionError) as error:
        raise ApiError(f"the body is not JSON: {error}") from None
    return read(value)


def content_type(request: Request) -> str:
    """The kind of the body, without parameters."""
    return request.headers.get("content-type", "").split(";")[0].strip().lower()


def _finite(text: str) -> float:
    """Python would read NaN, Infinity and 1e999; what follows could not be written as JSON again."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is no number that can be held")
    return value
