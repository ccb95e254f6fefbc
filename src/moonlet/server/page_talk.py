"""Conversations on the page: runs of an agent that answer them, and, with a key, their place on the server."""

from __future__ import annotations

import base64
from collections.abc import Generator
from typing import Any, get_args

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from moonlet.agent import Agent, Event, Limits
from moonlet.agent.approval import Answer, Approvals, Mode
from moonlet.agent.limits import Price
from moonlet.chat.messages import Message, MessageError, from_openai
from moonlet.ledger.books import Books
from moonlet.llm import LLM, TIERS, ReplyOptions
from moonlet.local import Local
from moonlet.server.a2a_run import StoppableModel, StoppableTools
from moonlet.server.accounts import Accounts
from moonlet.server.apart import apart
from moonlet.server.body import read_json
from moonlet.server.charged import Charged
from moonlet.server.errors import ApiError
from moonlet.server.fields import as_object, short, strings, typed
from moonlet.server.keys import key_of
from moonlet.server.openai import read_options
from moonlet.server.page_about import loaded
from moonlet.server.page_runs import Run, Runs
from moonlet.server.page_tools import Workbench
from moonlet.server.page_who import may_look, same_origin, viewer
from moonlet.server.stream import NO_BUFFER
from moonlet.server.watched import Watched

API = "page"  # in the books
STEPS = 32  # replies of one run
_MODES: tuple[Mode, ...] = ("ask", "yes", "read-only")  # in the order in which a mistake is told of them
_ANSWERS: tuple[Answer, ...] = get_args(Answer)


def mount(app: FastAPI, model: LLM, books: Books | None, bench: Workbench, runs: Runs) -> None:
    """Adds api/tools, api/runs and api/tiers to the application."""
    accounts: Accounts = app.state.accounts
    watched: Watched = app.state.watched

    @app.get("/api/tools", include_in_schema=False)
    async def tools(request: Request) -> list[dict[str, Any]]:
        groups = await apart(lambda: bench.groups(key_of(request), viewer(request).owner, "", model.name))
        return [
            {
                "id": group.id,
                "chosen": group.chosen,
                "tools": [
                    {"name": one.spec.name, "about": one.spec.description, "changes": one.changes, "sends": one.sends}
                    for one in group.tools
                ],
            }
            for group in groups
        ]

    @app.post("/api/runs", include_in_schema=False)
    async def begin(request: Request) -> JSONResponse:
        same_origin(request)
        body = as_object(await read_json(request))
        run = await apart(lambda: _begin(request, body, model, books, accounts, bench, runs, watched))
        return JSONResponse({"id": run.id}, 201)

    @app.get("/api/runs/{id}/events", include_in_schema=False)
    async def events(request: Request, id: str) -> Response:
        same_origin(request)
        owner = viewer(request).owner
        run = runs.find(owner, id)
        last = request.headers.get("last-event-id", "0")
        after = int(last) if last.isdecimal() and len(last) < 10 else 0
        frames = run.listen(after, lambda: may_look(books.database if books else None, owner))
        return StreamingResponse(frames, media_type="text/event-stream", headers=NO_BUFFER)

    @app.post("/api/runs/{id}/answer", include_in_schema=False)
    async def answer(request: Request, id: str) -> dict[str, bool]:
        same_origin(request)
        body = as_object(await read_json(request))
        said, number = body.get("answer"), typed(body, "number", int)
        if said not in _ANSWERS or number is None:
            raise ApiError(f"answer must be one of {', '.join(_ANSWERS)}, with the number of its question", "answer")
        return {"taken": runs.find(viewer(request).owner, id).answer(number, said)}

    @app.post("/api/runs/{id}/stop", include_in_schema=False)
    async def stop(request: Request, id: str) -> dict[str, bool]:
        same_origin(request)
        run = runs.find(viewer(request).owner, id)
        await apart(run.stop)
        return {"stopped": True}

    @app.get("/api/tiers", include_in_schema=False)
    async def tiers(request: Request) -> dict[str, Any]:
        """Where every expert is now: names of tiers, and base64 of a byte for each expert [layers, E]."""
        here = loaded(model)
        if not isinstance(here, Local):
            raise ApiError(f"{model.name} is not on this machine: its experts cannot be seen", status=404)
        found = await apart(here.engine.tiers)
        return {"names": TIERS, "tiers": base64.b64encode(found.tobytes()).decode("ascii")}


def _begin(
    request: Request,
    body: dict[str, Any],
    model: LLM,
    books: Books | None,
    accounts: Accounts,
    bench: Workbench,
    runs: Runs,
    watched: Watched,
) -> Run:
    """Raises ApiError."""
    key, who = key_of(request), viewer(request)
    messages, options, mode = _messages(body), _options(body), body.get("approve", "ask")
    if mode not in _MODES:
        raise ApiError(f"approve must be one of {', '.join(_MODES)}, got {short(mode)}", "approve")
    conversation = (typed(body, "conversation", str) or "")[:64]
    names = None if body.get("tools") is None else strings(body, "tools", 1000)
    tools, system = bench.chosen(key, who.owner, conversation, model.name, names)
    if more := typed(body, "system", str):
        system = f"{system}\n\n{more}"
    if messages[0].role != "system":
        messages = [Message("system", system), *messages]
    stated = books.price if books else None
    price = Price(float(stated.prompt), float(stated.output), float(stated.cached)) if stated else None

    def begin(run: Run) -> Generator[Event, None, None]:
        run.shown = watched.begin(who.owner, who.name, run.title, model.name, "page", run.id, run.stop)
        agent = Agent(
            StoppableModel(Charged(model, accounts, key, API), run.running),
            StoppableTools(tools, (), run.running),
            messages,
            Limits(steps=STEPS),
            options,
            approve=Approvals(mode, ask=run.ask),
            price=price,
            record=run.shown.record(),
        )
        return agent.run()

    return runs.add(Run(who.owner, messages[-1].content[:120], stated), begin)


def _messages(body: dict[str, Any]) -> list[Message]:
    try:
        messages = list(from_openai(body.get("messages") or ()))
    except MessageError as error:
        raise ApiError(str(error), "messages") from None
    if not messages or messages[-1].role not in ("user", "tool"):
        raise ApiError("messages must end with what the user says", "messages")
    return messages


def _options(body: dict[str, Any]) -> ReplyOptions:
    return read_options(
        body,
        max_tokens=body.get("max_tokens"),
        thinking=typed(body, "thinking", bool) is not False,
        look=bool(typed(body, "look", bool)),
    )
