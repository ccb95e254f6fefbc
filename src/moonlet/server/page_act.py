"""What the page's Act asks: runs, their lines as they come, answers to what a run asks its owner.

Watched belong to keys. Who sees those of others (an admin, or whoever sits at the machine) sees their steps, tools and
durations, not what was said, and answers nothing for them.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any, get_args

from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from moonlet.agent.approval import Answer
from moonlet.ledger.database import Database
from moonlet.server.body import read_json
from moonlet.server.errors import ApiError
from moonlet.server.fields import as_object, short
from moonlet.server.page_who import Viewer, may_look, same_origin, viewer
from moonlet.server.stream import KEEP_ALIVE_S, NO_BUFFER
from moonlet.server.watched import Change, Line, Watched, WatchedRun

_ANSWERS: Mapping[str, Answer] = {answer: answer for answer in get_args(Answer)}
_WORDS = ("content", "reasoning_content", "arguments", "text")  # of a line: what was said


def mount(app: FastAPI, runs: Watched, database: Database | None) -> None:
    """The paths below /api/act."""

    @app.get("/api/act", include_in_schema=False)
    async def all_runs(request: Request) -> dict[str, Any]:
        same_origin(request)
        who = viewer(request)
        return {"at": f"{runs.born}-{runs.last}", "runs": [_summary(run, who) for run in runs.all(who.sees)]}

    @app.get("/api/act/events", include_in_schema=False)
    async def events(request: Request) -> StreamingResponse:
        same_origin(request)
        after = request.headers.get("last-event-id") or request.query_params.get("after") or f"{runs.born}-{runs.last}"
        frames = _frames(runs, viewer(request), after, database)
        return StreamingResponse(frames, media_type="text/event-stream", headers=NO_BUFFER)

    @app.get("/api/act/{id}", include_in_schema=False)
    async def one_run(request: Request, id: str) -> dict[str, Any]:
        same_origin(request)
        who = viewer(request)
        run = _found(runs, id, who)
        return _summary(run, who) | {"steps": [_line(run, line, who) for line in list(run.lines)]}

    @app.post("/api/act/{id}/answer", include_in_schema=False)
    async def answer(request: Request, id: str) -> dict[str, Any]:
        same_origin(request)
        who = viewer(request)
        run = _own(runs, id, who)
        body = as_object(await read_json(request))
        question, said = body.get("question"), body.get("answer")
        if not isinstance(said, str) or said not in _ANSWERS:
            raise ApiError(f"answer must be {', '.join(_ANSWERS)}, got {short(said)}", "answer")
        if not isinstance(question, str) or not run.answer(question, _ANSWERS[said]):
            raise ApiError("nothing waits for this answer: it was given already, or the run is over", status=409)
        return {"answered": said}

    @app.post("/api/act/{id}/stop", include_in_schema=False)
    async def stop(request: Request, id: str) -> dict[str, Any]:
        same_origin(request)
        run = _own(runs, id, viewer(request))
        return {"stopped": await asyncio.to_thread(run.stop)}


def _found(runs: Watched, id: str, who: Viewer) -> WatchedRun:
    run = runs.find(id)
    if run is None or (run.owner != who.owner and not who.all):
        raise ApiError(f"there is no run {short(id)}: a server knows those since its start", status=404)
    return run


def _own(runs: Watched, id: str, who: Viewer) -> WatchedRun:
    run = _found(runs, id, who)
    if run.owner != who.owner:
        raise ApiError("this run belongs to another key, which alone may answer for it", status=403)
    return run


def _summary(run: WatchedRun, who: Viewer) -> dict[str, Any]:
    own = run.owner == who.owner
    told = run.summary() | {"own": own, "asks": run.asks if own and run.state == "asking" else []}
    return told if own else told | {"title": "", "stoppable": False}


def _line(run: WatchedRun, line: Line, who: Viewer) -> Line:
    return line if run.owner == who.owner else _unsaid(line)


def _unsaid(value: Any) -> Any:
    """The same without what was said."""
    if isinstance(value, Mapping):
        return {name: "" if name in _WORDS and isinstance(inner, str) else _unsaid(inner)
                for name, inner in value.items()}  # fmt: skip
    return [_unsaid(inner) for inner in value] if isinstance(value, list) else value


async def _frames(runs: Watched, who: Viewer, after: str, database: Database | None) -> AsyncIterator[str]:
    """Every change that the viewer may see, from `after` on, each with its number; `again` when some are not known any
    more, so that everything must be asked for again."""
    born, _, number = after.partition("-")
    last = int(number) if born == runs.born and number.isdecimal() and len(number) < 19 else -1
    loop, woken, looked = asyncio.get_running_loop(), asyncio.Event(), time.monotonic()

    def wake() -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody listens any more
            loop.call_soon_threadsafe(woken.set)

    with runs.waking(wake):
        yield ": here\n\n"  # so that the headers go out
        while not runs.closing:
            woken.clear()
            changes = runs.since(last) if last >= 0 else None
            if changes is None:
                last = runs.last
                yield _sent(f"{runs.born}-{last}", {"kind": "again"})
            for change in changes or ():
                last = change.number
                if who.all or change.run.owner == who.owner:
                    yield _sent(f"{runs.born}-{last}", _change(change, who))
            with suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), KEEP_ALIVE_S)
            if not woken.is_set():
                yield ": alive\n\n"
            if time.monotonic() - looked >= KEEP_ALIVE_S:  # however much there is to be told
                if not await asyncio.to_thread(may_look, database, who.owner):
                    yield "data: [DONE]\n\n"  # who asks again is told why not
                    return
                looked = time.monotonic()


def _change(change: Change, who: Viewer) -> dict[str, Any]:
    told: dict[str, Any] = {"kind": "run", "run": _summary(change.run, who)}
    if change.line is not None:
        told |= {"kind": "line", "line": change.line, "step": _line(change.run, change.run.lines[change.line], who)}
    return told


def _sent(id: str, told: Mapping[str, Any]) -> str:
    return f"id: {id}\ndata: {json.dumps(told, separators=(',', ':'))}\n\n"
