"""The HTTP application: paths, bodies, and errors in each API's own shape."""

from __future__ import annotations

import json
import math
import time
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from moonlet.ledger.books import Books
from moonlet.llm import LLM, LLMError
from moonlet.server import openai
from moonlet.server.accounts import Accounts, books_families
from moonlet.server.errors import ApiError, api_error
from moonlet.server.keys import Access, HostCheck, KeyCheck
from moonlet.server.metrics import CONTENT_TYPE, Metrics
from moonlet.server.replies import Replies
from moonlet.server.stream import answer

MAX_BODY = 32 << 20  # bytes of a request


def create_app(model: LLM, books: Books | None = None, access: Access = Access()) -> FastAPI:
    """The application that answers with `model`, keeps `books`, and is open to whom `access` says."""
    app = FastAPI(title="moonlet", docs_url=None, redoc_url=None)
    metrics = Metrics(model.name)
    replies = Replies(model, Accounts(model, metrics, books))
    began = int(time.time())
    card = {"id": model.name, "object": "model", "created": began, "owned_by": "moonlet"}

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/metrics")
    async def prometheus() -> Response:
        return Response(metrics.text(books_families(books)), media_type=CONTENT_TYPE)

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [card]}

    @app.get("/v1/models/{name:path}")
    async def one_model(name: str) -> dict[str, Any]:
        replies.check_name(name)
        return card

    @app.post("/v1/chat/completions")
    async def chat_completions(request: Request) -> Response:
        wanted = openai.read(await _json(request))
        reply = await replies.begin(request, wanted.asked)
        wire = openai.Chunks(model.name, wanted.include_usage or not wanted.stream)
        return await answer(request, reply, wire, wanted.stream)

    if books is not None:
        app.add_middleware(KeyCheck, books.database, access, metrics, _failed)
    app.add_middleware(HostCheck, access, _failed)
    if access.origins:
        app.add_middleware(CORSMiddleware, allow_origins=access.origins, allow_methods=["*"], allow_headers=["*"])
    for kind in (ApiError, LLMError, HTTPException, Exception):
        app.add_exception_handler(kind, _failed)
    return app


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
    elif problem.status == 429:
        headers["x-should-retry"] = "false"  # to the official clients, which would try again all the same
    return JSONResponse(openai.error_body(problem), problem.status, headers)
