"""The HTTP application: paths, bodies, and errors in each API's own shape."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from moonlet.chat.messages import Message
from moonlet.llm import LLM, LLMError
from moonlet.server import anthropic, completions, openai, responses
from moonlet.server.errors import ApiError, api_error
from moonlet.server.kept import Kept, KeptResponses
from moonlet.server.replies import Replies
from moonlet.server.response_stream import ResponseStream
from moonlet.server.stream import answer

MAX_BODY = 32 << 20  # bytes of a request
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def create_app(model: LLM) -> FastAPI:
    """The application that answers with `model`."""
    app = FastAPI(title="moonlet", docs_url=None, redoc_url=None)
    replies, kept = Replies(model), KeptResponses()
    _add_models(app, replies)
    _add_openai(app, replies)
    _add_responses(app, replies, kept)
    _add_anthropic(app, replies)
    app.add_middleware(_LoopbackNames)
    for kind in (ApiError, LLMError, HTTPException, Exception):
        app.add_exception_handler(kind, _failed)
    return app


def _add_models(app: FastAPI, replies: Replies) -> None:
    began = datetime.now(UTC)
    name = replies.model.name
    card = {"id": name, "object": "model", "created": int(began.timestamp()), "owned_by": "moonlet"}
    theirs = anthropic.model_card(name, began.isoformat(timespec="seconds"))

    @app.api_route("/", methods=["GET", "HEAD"])
    async def root() -> dict[str, str]:
        return {"server": "moonlet", "model": name}

    @app.get("/health")
    async def health() -> Response:
        ready = getattr(replies.model, "ready", True)
        return JSONResponse({"status": "ok" if ready else "loading"}, 200 if ready else 503)

    @app.get("/v1/models")
    async def models(request: Request) -> dict[str, Any]:
        if "anthropic-version" in request.headers:
            return {"data": [theirs], "has_more": False, "first_id": name, "last_id": name}
        return {"object": "list", "data": [card]}

    @app.get("/v1/models/{wanted:path}")
    async def one_model(request: Request, wanted: str) -> dict[str, Any]:
        replies.check_name(wanted)
        return theirs if "anthropic-version" in request.headers else card


def _add_openai(app: FastAPI, replies: Replies) -> None:
    name = replies.model.name

    @app.post("/v1/chat/completions")
    async def chat_completions(request: Request) -> Response:
        wanted = openai.read(await _json(request))
        reply = await replies.begin(request, wanted.asked)
        wire = openai.Chunks(name, wanted.include_usage or not wanted.stream, wanted.asked.count)
        return await answer(request, reply, wire, wanted.stream)

    @app.post("/v1/completions")
    async def text_completions(request: Request) -> Response:
        wanted = completions.read(await _json(request))
        reply = await replies.begin(request, wanted.asked)
        prompts, count = wanted.asked.prompts, wanted.asked.count
        wire = completions.Pieces(name, prompts, wanted.include_usage or not wanted.stream, count, wanted.echo)
        return await answer(request, reply, wire, wanted.stream)


def _add_responses(app: FastAPI, replies: Replies, kept: KeptResponses) -> None:
    @app.post("/v1/responses")
    async def new_response(request: Request) -> Response:
        wanted = responses.read(await _json(request))
        owner, own = _owner(request), wanted.asked.messages
        before = () if wanted.previous is None else _kept(kept, owner, wanted.previous).messages
        wanted = wanted.continuing(before)

        def keep(response: dict[str, Any], message: Message) -> None:
            if wanted.store:
                kept.keep(owner, response, (*before, *own, message), wanted.items)

        reply = await replies.begin(request, wanted.asked)
        return await answer(request, reply, ResponseStream(replies.model.name, wanted, keep), wanted.stream)

    @app.get("/v1/responses/{id}")
    async def old_response(request: Request, id: str) -> dict[str, Any]:
        return _kept(kept, _owner(request), id).response

    @app.get("/v1/responses/{id}/input_items")
    async def input_items(request: Request, id: str) -> dict[str, Any]:
        items = _kept(kept, _owner(request), id).items
        return {"object": "list", "data": items, "has_more": False, "first_id": None, "last_id": None}

    @app.delete("/v1/responses/{id}")
    async def forget_response(request: Request, id: str) -> dict[str, Any]:
        _kept(kept, _owner(request), id)
        kept.drop(_owner(request), id)
        return {"id": id, "object": "response", "deleted": True}


def _owner(request: Request) -> str:
    """Whose responses these are: what one key made, no other finds."""
    key = request.headers.get("authorization") or request.headers.get("x-api-key") or ""
    return hashlib.sha256(key.encode()).hexdigest()


def _kept(kept: KeptResponses, owner: str, id: str) -> Kept:
    found = kept.find(owner, id)
    if found is None:
        told = f"there is no response {id[:80]!r}: responses are kept for a day, until the server stops"
        raise ApiError(told, "previous_response_id", code="previous_response_not_found", status=404)
    return found


def _add_anthropic(app: FastAPI, replies: Replies) -> None:
    @app.post("/v1/messages")
    async def messages(request: Request) -> Response:
        wanted = anthropic.read(await _json(request))
        reply = await replies.begin(request, wanted.asked)
        return await answer(request, reply, anthropic.Stream(replies.model.name, wanted.thoughts), wanted.stream)

    @app.post("/v1/messages/count_tokens")
    async def count_tokens(request: Request) -> dict[str, int]:
        asked = anthropic.read(await _json(request), counting=True).asked
        replies.check_name(asked.model)
        count = replies.plain().count
        return {"input_tokens": await asyncio.to_thread(count, asked.messages, asked.tools, asked.options)}


class _LoopbackNames:
    """Refuses requests addressed to another name: a web page whose name was pointed at this machine sends those."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _host(Headers(scope=scope).get("host", "")) not in LOOPBACK:
            refused = ApiError(f"this server answers to {', '.join(LOOPBACK)} only", status=403)
            refusal = JSONResponse(openai.error_body(refused), 403)
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
        raise ApiError("the Content-Type must be application/json", status=415)
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY:
            raise ApiError(f"the body is larger than {MAX_BODY >> 20} MiB", status=413)
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ApiError(f"the body is not JSON: {error}") from None


async def _failed(request: Request, error: Exception) -> Response:
    """Any failure in the API's own shape."""
    told = error
    if isinstance(error, HTTPException):
        told = ApiError(f"{request.method} {request.url.path}: {error.detail}", status=error.status_code)
    problem = api_error(told)
    headers = dict(getattr(error, "headers", None) or {})
    if problem.retry_s is not None:
        headers["Retry-After"] = str(math.ceil(problem.retry_s))
    return JSONResponse(_error_body(request, problem), problem.status, headers)


def _error_body(request: Request, problem: ApiError) -> dict[str, Any]:
    theirs = request.url.path.startswith("/v1/messages") or "anthropic-version" in request.headers
    return anthropic.error_body(problem) if theirs else openai.error_body(problem)
