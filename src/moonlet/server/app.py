"""The HTTP application: paths, bodies, and errors in each API's own shape."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from moonlet.chat.messages import Message
from moonlet.ledger.books import Books
from moonlet.ledger.database import DatabaseError
from moonlet.llm import LLM, LLMError
from moonlet.server import (
    anthropic,
    completions,
    document,
    openai,
    page_about,
    page_act,
    page_books,
    page_files,
    page_kept,
    page_plan,
    page_talk,
    responses,
)
from moonlet.server.accounts import Accounts, books_families
from moonlet.server.apart import apart
from moonlet.server.body import read_body, read_json
from moonlet.server.engine_metrics import engine_families
from moonlet.server.errors import ApiError, api_error
from moonlet.server.fleet_metrics import fleet_families
from moonlet.server.kept import KEPT_BYTES, KEPT_S, Kept, KeptResponses
from moonlet.server.kept_beyond import Beyond, forget_old
from moonlet.server.keys import Access, Door, HostCheck, KeyCheck, owner_of
from moonlet.server.metrics import CONTENT_TYPE, Metrics
from moonlet.server.page_about import loaded
from moonlet.server.page_runs import Runs
from moonlet.server.page_tools import Workbench
from moonlet.server.replies import Replies
from moonlet.server.response_stream import ResponseStream
from moonlet.server.stream import answer
from moonlet.server.watched import Watched

T = TypeVar("T")


def create_app(
    model: LLM,
    books: Books | None = None,
    access: Access = Access(),
    bench: Workbench | None = None,
    others: Sequence[LLM] = (),
) -> FastAPI:
    """The application that answers with `model`, keeps `books`, and is open to whom `access` says. `bench`: the tools
    that the page offers. `others`: models that the APIs answer with too, each by its own name."""
    app = FastAPI(title="moonlet", docs_url=None, redoc_url=None)
    models = [model, *others]
    metrics = Metrics(",".join(one.name for one in models))
    app.state.accounts = Accounts(models, metrics, books)  # also of what is mounted beside the APIs
    replies = Replies(models, app.state.accounts)
    if books is not None:
        forget_old(books.database, KEPT_S)
    # What is asked is written down only where that is wanted.
    beyond = Beyond(books.database, KEPT_S, KEPT_BYTES) if books is not None and books.keep_prompts else None
    kept = app.state.kept = KeptResponses(beyond=beyond)
    _add_models(app, replies)
    _add_openai(app, replies)
    _add_responses(app, replies, kept)
    _add_anthropic(app, replies)
    _add_metrics(app, metrics, books, models)
    _add_page(app, model, books, access, bench or Workbench(access))
    if books is not None:
        app.state.door = Door(books.database, access, metrics)  # also for what comes in by another transport
        app.add_middleware(KeyCheck, app.state.door, _failed)
    app.add_middleware(HostCheck, access, _failed)
    if access.origins:
        app.add_middleware(CORSMiddleware, allow_origins=access.origins, allow_methods=["*"], allow_headers=["*"])
    for kind in (ApiError, LLMError, HTTPException, Exception):
        app.add_exception_handler(kind, _failed)
    return app


def _add_models(app: FastAPI, replies: Replies) -> None:
    began = datetime.now(UTC)
    names, created = list(replies.models), int(began.timestamp())
    cards = {name: {"id": name, "object": "model", "created": created, "owned_by": "moonlet"} for name in names}
    theirs = {name: anthropic.model_card(name, began.isoformat(timespec="seconds")) for name in names}

    @app.head("/health", include_in_schema=False)  # as `wget --spider` and watchers ask
    @app.get("/health")
    async def health() -> Response:
        models = replies.models.values()
        ready = any(getattr(model, "ready", True) for model in models)
        why = "loading" if all(loaded(model) is None for model in models) else "no engine answers"
        return JSONResponse({"status": "ok" if ready else why}, 200 if ready else 503)

    @app.get("/v1/models")
    async def models(request: Request) -> dict[str, Any]:
        if "anthropic-version" in request.headers:
            return {"data": [*theirs.values()], "has_more": False, "first_id": names[0], "last_id": names[-1]}
        return {"object": "list", "data": [*cards.values()]}

    @app.get("/v1/models/{wanted:path}")
    async def one_model(request: Request, wanted: str) -> dict[str, Any]:
        replies.named(wanted)
        return (theirs if "anthropic-version" in request.headers else cards)[wanted]


def _add_openai(app: FastAPI, replies: Replies) -> None:
    @app.post("/v1/chat/completions", openapi_extra=document.of_models(document.CHAT, replies.models))
    async def chat_completions(request: Request) -> Response:
        wanted = await read_body(request, openai.read)
        reply = await replies.begin(request, wanted.asked)
        wire = openai.Chunks(wanted.asked.model, wanted.include_usage or not wanted.stream, wanted.asked.count)
        return await answer(request, reply, wire, wanted.stream)

    @app.post("/v1/completions", openapi_extra=document.of_models(document.COMPLETIONS, replies.models))
    async def text_completions(request: Request) -> Response:
        wanted = await read_body(request, completions.read)
        reply = await replies.begin(request, wanted.asked)
        prompts, count = wanted.asked.prompts, wanted.asked.count
        usage = wanted.include_usage or not wanted.stream
        wire = completions.Pieces(wanted.asked.model, prompts, usage, count, wanted.echo)
        return await answer(request, reply, wire, wanted.stream)


def _add_responses(app: FastAPI, replies: Replies, kept: KeptResponses) -> None:
    @app.post("/v1/responses", openapi_extra=document.of_models(document.RESPONSES, replies.models))
    async def new_response(request: Request) -> Response:
        owner, body = owner_of(request), await read_json(request)
        wanted = await _asked(lambda: responses.read(kept.whole(owner, body)))
        own = wanted.asked.messages
        before = () if wanted.previous is None else (await _kept(kept, owner, wanted.previous)).messages
        wanted = wanted.continuing(before)

        def keep(response: dict[str, Any], message: Message) -> None:
            if wanted.store:
                kept.keep(owner, response, (*before, *own, message), wanted.items)

        reply = await replies.begin(request, wanted.asked)
        return await answer(request, reply, ResponseStream(wanted.asked.model, wanted, keep), wanted.stream)

    @app.get("/v1/responses/{id}")
    async def old_response(request: Request, id: str) -> dict[str, Any]:
        return (await _kept(kept, owner_of(request), id)).response

    @app.get("/v1/responses/{id}/input_items")
    async def input_items(request: Request, id: str) -> dict[str, Any]:
        items = (await _kept(kept, owner_of(request), id)).items
        return {"object": "list", "data": items, "has_more": False, "first_id": None, "last_id": None}

    @app.delete("/v1/responses/{id}")
    async def forget_response(request: Request, id: str) -> dict[str, Any]:
        await _kept(kept, owner_of(request), id)
        await _asked(lambda: kept.drop(owner_of(request), id))
        return {"id": id, "object": "response", "deleted": True}


async def _kept(kept: KeptResponses, owner: str, id: str) -> Kept:
    found = await _asked(lambda: kept.find(owner, id))
    if found is None:
        told = kept.missing(f"response {id[:80]!r}")
        raise ApiError(told, "previous_response_id", code="previous_response_not_found", status=404)
    return found


async def _asked(work: Callable[[], T]) -> T:
    """What a database may be asked for, away from the event loop. Callers learn nothing of where it lies."""
    try:
        return await apart(work)
    except DatabaseError:
        raise ApiError("responses cannot be read at the moment", status=503, retry_s=5) from None


def _add_anthropic(app: FastAPI, replies: Replies) -> None:
    @app.post("/v1/messages", openapi_extra=document.of_models(document.MESSAGES, replies.models))
    async def messages(request: Request) -> Response:
        wanted = await read_body(request, anthropic.read)
        reply = await replies.begin(request, wanted.asked)
        return await answer(request, reply, anthropic.Stream(wanted.asked.model, wanted.thoughts), wanted.stream)

    @app.post("/v1/messages/count_tokens", openapi_extra=document.of_models(document.COUNT_TOKENS, replies.models))
    async def count_tokens(request: Request) -> dict[str, int]:
        asked = (await read_body(request, partial(anthropic.read, counting=True))).asked
        count = replies.plain(asked.model).count
        return {"input_tokens": await apart(partial(count, asked.messages, asked.tools, asked.options))}


def _add_metrics(app: FastAPI, metrics: Metrics, books: Books | None, models: Sequence[LLM]) -> None:
    @app.get("/metrics")
    async def prometheus() -> Response:
        here = [loaded(model) for model in models]
        extra = [*books_families(books), *fleet_families(here), *engine_families(here[0])]
        return Response(metrics.text(extra), media_type=CONTENT_TYPE)


def _add_page(app: FastAPI, model: LLM, books: Books | None, access: Access, bench: Workbench) -> None:
    runs = app.state.runs = Runs()
    app.state.watched = Watched()  # runs of whoever begins one: the page, callers of the agent
    page_files.mount(app)
    page_about.mount(app, model, books, access)
    page_talk.mount(app, model, books, bench, runs)
    page_act.mount(app, app.state.watched, books.database if books else None)
    page_books.mount(app, model, app.state.accounts, books)
    page_plan.mount(app)
    if books is not None:
        page_kept.mount(app, books.database)


async def _failed(request: Request, error: Exception) -> Response:
    """Any failure in the API's own shape."""
    told = error
    if isinstance(error, HTTPException):
        told = ApiError(f"{request.method} {request.url.path}: {error.detail}", status=error.status_code)
    problem = api_error(told)
    headers = dict(getattr(error, "headers", None) or {})
    if problem.retry_s is not None:
        headers["Retry-After"] = str(math.ceil(problem.retry_s))
    elif problem.status in (429, 504):
        headers["x-should-retry"] = "false"  # to the official clients, which would try again all the same
    if not isinstance(error, ApiError | LLMError | HTTPException):
        headers["Connection"] = "close"  # uvicorn hangs up after our own faults: who sends more is not to meet that
    return JSONResponse(_error_body(request, problem), problem.status, headers)


def _error_body(request: Request, problem: ApiError) -> dict[str, Any]:
    theirs = request.url.path.startswith("/v1/messages") or "anthropic-version" in request.headers
    return anthropic.error_body(problem) if theirs else openai.error_body(problem)
