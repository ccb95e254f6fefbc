"""The HTTP application. A reply runs in a thread of its own; the loop here only passes its events on."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, suppress
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from moonlet import llm
from moonlet.llm import LLM, Event, LLMError, RefusedError
from moonlet.server import openai
from moonlet.server.openai import BadRequest

MAX_BODY = 32 << 20  # bytes of a request
LOOPBACK = ("127.0.0.1", "::1", "localhost")
_POLL_S = 0.25  # how often an unstreamed request looks whether its client is still there

_log = logging.getLogger("moonlet.server")


def create_app(model: LLM) -> FastAPI:
    """The application that answers with `model`."""
    app = FastAPI(title="moonlet", docs_url=None, redoc_url=None)
    began = int(time.time())
    card = {"id": model.name, "object": "model", "created": began, "owned_by": "moonlet"}

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [card]}

    @app.get("/v1/models/{name:path}")
    async def one_model(name: str) -> dict[str, Any]:
        _check_model(name, model)
        return card

    @app.post("/v1/chat/completions")
    async def chat_completions(request: Request) -> Response:
        asked = openai.read(await _json(request))
        _check_model(asked.model, model)
        # Rendering and queueing take a moment of computing, which must not stop the streams of others.
        events = await asyncio.to_thread(model.reply, asked.messages, asked.tools, asked.options)
        chunks = openai.Chunks(model.name, asked.include_usage or not asked.stream)
        if asked.stream:
            return StreamingResponse(_sse(chunks, events), media_type="text/event-stream", headers=_NO_BUFFER)
        return JSONResponse(openai.completion(chunks.of(await _unless_gone(request, events))))

    app.add_middleware(_LoopbackNames)
    app.add_exception_handler(BadRequest, _bad_request)
    app.add_exception_handler(LLMError, _model_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _our_error)
    return app


_NO_BUFFER = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


class _LoopbackNames:
    """Refuses requests addressed to another name: a web page whose name was pointed at this machine sends those."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _host(Headers(scope=scope).get("host", "")) not in LOOPBACK:
            refusal = JSONResponse(openai.error(f"this server answers to {', '.join(LOOPBACK)} only", 403), 403)
            return await refusal(scope, receive, send)
        await self._app(scope, receive, send)


def _host(header: str) -> str | None:
    try:
        return urlsplit("//" + header).hostname
    except ValueError:
        return None


async def _json(request: Request) -> Any:
    # A web page may send text/plain anywhere without asking; JSON it may not.
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise BadRequest("the Content-Type must be application/json", status=415)
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY:
            raise BadRequest(f"the body is larger than {MAX_BODY >> 20} MiB", status=413)
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the body is not JSON: {error}") from None


def _check_model(name: str, model: LLM) -> None:
    if name != model.name:
        raise BadRequest(
            f"there is no model {name!r} here, only {model.name!r}", "model", code="model_not_found", status=404
        )


async def _sse(chunks: openai.Chunks, events: Iterator[Event]) -> AsyncIterator[str]:
    """A server-sent stream. An error on the way is its last message, as OpenAI's clients expect."""
    yield _data(chunks.first())
    try:
        async with aclosing(_listen(events)) as heard:
            async for event in heard:
                for chunk in chunks.next(event):
                    yield _data(chunk)
        yield "data: [DONE]\n\n"
    except LLMError as error:
        yield _data(openai.error(str(error), _status(error)))
    except Exception:
        _log.exception("a reply broke")
        yield _data(openai.error("the server failed on this reply; its log says why", 500))


def _data(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False, separators=(',', ':'))}\n\n"


async def _unless_gone(request: Request, events: Iterator[Event]) -> list[Event]:
    """All events of a reply, which is ended early if its client goes away."""

    async def collect() -> list[Event]:
        async with aclosing(_listen(events)) as heard:
            return [event async for event in heard]

    task = asyncio.create_task(collect())
    while not (await asyncio.wait({task}, timeout=_POLL_S))[0]:
        if await request.is_disconnected():
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            raise BadRequest("the client closed the connection", status=499)
    return task.result()


async def _listen(events: Iterator[Event]) -> AsyncGenerator[Event, None]:
    """The events of a reply, read by a thread. Closing this ends the reply."""
    loop = asyncio.get_running_loop()
    heard: asyncio.Queue[Event | Exception | None] = asyncio.Queue()
    left = threading.Event()

    def tell(item: Event | Exception | None) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody listens any more
            loop.call_soon_threadsafe(heard.put_nowait, item)

    def read() -> None:
        try:
            for event in events:
                if left.is_set():
                    break
                tell(event)
            tell(None)
        except Exception as error:
            tell(error)
        finally:
            llm.close(events)

    threading.Thread(target=read, name="moonlet-reply", daemon=True).start()
    try:
        while (item := await heard.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        left.set()
        llm.close(events)


def _status(error: LLMError) -> int:
    return 400 if isinstance(error, RefusedError) else 500


async def _bad_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, BadRequest)
    return JSONResponse(openai.error(str(error), error.status, error.param, error.code), error.status)


async def _model_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, LLMError)
    return JSONResponse(openai.error(str(error), _status(error)), _status(error))


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    told = f"{request.method} {request.url.path}: {error.detail}"
    return JSONResponse(openai.error(told, error.status_code), error.status_code, error.headers)


async def _our_error(request: Request, error: Exception) -> Response:
    return JSONResponse(openai.error("the server failed on this request; its log says why", 500), 500)
