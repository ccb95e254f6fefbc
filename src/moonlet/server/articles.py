"""`/v1/articles`: a recording goes in, sent as it is or by its address; an article comes out, with progress."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from starlette.requests import ClientDisconnect

from moonlet.server.article_jobs import OVER, Job, Jobs
from moonlet.server.body import content_type, read_json
from moonlet.server.errors import ApiError
from moonlet.server.fields import as_object, typed
from moonlet.server.keys import key_of, owner_of
from moonlet.server.stream import KEEP_ALIVE_S, NO_BUFFER
from moonlet.server.watched import Watched

MAX_UPLOAD = 8 << 30  # bytes of a recording
_SPARE = 2 << 30  # bytes that stay free on the disk
_POLL_S = 0.5
_CHUNK = 1 << 20
_SENT = re.compile(r"(?:video|audio)/[\w.+-]+|application/octet-stream|application/mp4")
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,5}")
KINDS = {
    "html": "text/html; charset=utf-8",
    "md": "text/markdown; charset=utf-8",
    "json": "application/json",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "srt": "application/x-subrip; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
}
# What an article's page may do when a browser opens it here, whatever a text in it should manage to be taken for.
SHUT = "sandbox allow-popups; default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def add_articles(app: FastAPI, jobs: Jobs, wishes: Mapping[str, tuple[str, ...]]) -> None:
    """The paths. `wishes`: options of an article and the values each may have; none: any text up to 200 characters."""

    @app.post("/v1/articles", status_code=202)
    async def new_article(request: Request) -> Response:
        with jobs.place(owner_of(request)) as (id, folder):
            if content_type(request) == "application/json":
                body = as_object(await read_json(request))
                source, sent = address(body), None
                wish = wish_of(body, wishes)
            elif _SENT.fullmatch(content_type(request)):
                wish = wish_of(dict(request.query_params), wishes)
                source = request.query_params.get("name") or "recording"
                sent = await _keep(request, folder, source)
            else:
                told = "send JSON with a source, or the recording as video/*, audio/* or application/octet-stream"
                raise ApiError(told, status=415)
            key = key_of(request)
            job = Job(id, owner_of(request), key.id if key else None, source, sent, wish)
            await asyncio.to_thread(jobs.add, job)
        return JSONResponse(shown(jobs, job), 202, {"Location": f"/v1/articles/{id}"})

    @app.get("/v1/articles")
    async def all_articles(request: Request) -> dict[str, Any]:
        return {"object": "list", "data": [shown(jobs, job) for job in jobs.of(owner_of(request))]}

    @app.get("/v1/articles/{id}")
    async def one_article(request: Request, id: str) -> dict[str, Any]:
        return shown(jobs, jobs.find(owner_of(request), id))

    @app.get("/v1/articles/{id}/events")
    async def article_events(request: Request, id: str) -> Response:
        jobs.find(owner_of(request), id)
        events = _events(jobs, owner_of(request), id, request.app.state.watched)
        return StreamingResponse(events, media_type="text/event-stream", headers=NO_BUFFER)

    @app.get("/v1/articles/{id}/article.{kind}")
    async def article_file(request: Request, id: str, kind: str) -> Response:
        if kind not in KINDS:
            raise ApiError(f"articles are had as {', '.join(KINDS)}", code="not_found", status=404)
        path = jobs.file(owner_of(request), id, kind)
        headers = {"Content-Security-Policy": SHUT, "X-Content-Type-Options": "nosniff"}
        return FileResponse(path, media_type=KINDS[kind], headers=headers)

    @app.post("/v1/articles/{id}/cancel")
    async def cancel_article(request: Request, id: str) -> dict[str, Any]:
        return shown(jobs, await asyncio.to_thread(jobs.cancel, owner_of(request), id))

    @app.post("/v1/articles/{id}/resume", status_code=202)
    async def resume_article(request: Request, id: str) -> dict[str, Any]:
        return shown(jobs, await asyncio.to_thread(jobs.resume, owner_of(request), id))

    @app.delete("/v1/articles/{id}")
    async def delete_article(request: Request, id: str) -> dict[str, Any]:
        await asyncio.to_thread(jobs.delete, owner_of(request), id)
        return {"id": id, "object": "article", "deleted": True}


def address(body: Mapping[str, Any]) -> str:
    """Where the recording is. Files of the server's machine are not to be had: whoever has one sends it. Raises
    ApiError."""
    source = typed(body, "source", str)
    if not source or not source.lower().startswith(("http://", "https://")) or len(source) > 2000:
        told = "source must be an address that begins with http:// or https://; a file is sent as the body itself"
        raise ApiError(told, "source")
    return str(source)


def wish_of(body: Mapping[str, Any], wishes: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """The options that are given. Raises ApiError."""
    wish: dict[str, str] = {}
    for name, values in wishes.items():
        value = typed(body, name, str)
        if value is None:
            continue
        if values and value not in values:
            raise ApiError(f"{name} must be one of {', '.join(values)}", name)
        if not value.strip() or len(value) > 200:
            raise ApiError(f"{name} must have 1 to 200 characters", name)
        wish[name] = value
    return wish


async def _keep(request: Request, folder: Path, name: str) -> str:
    """Writes what is sent into a file below the folder; its path there, with as much of its name as is harmless, since
    that becomes the recording's title. Raises ApiError."""
    suffix = _SUFFIX.fullmatch(Path(name).suffix)
    stem = re.sub(r"[^\w -]+", "", Path(name).stem).strip(" -")[:60] or "recording"
    kept = f"sent/{stem}{suffix[0].lower() if suffix else ''}"
    size = 0
    try:
        (folder / "sent").mkdir()
        with (folder / kept).open("xb") as file:
            async for part in request.stream():
                size += len(part)
                if size > MAX_UPLOAD:
                    raise ApiError(f"the recording is larger than {MAX_UPLOAD >> 30} GiB", status=413)
                if size // _CHUNK != (size - len(part)) // _CHUNK and shutil.disk_usage(folder).free < _SPARE:
                    raise ApiError("the server has no room for this recording", status=507)
                await asyncio.to_thread(file.write, part)
    except ClientDisconnect:
        raise ApiError("the client closed the connection", status=499) from None
    except OSError as error:
        raise ApiError(f"the recording cannot be kept: {error.strerror}", status=507) from None
    if not size:
        raise ApiError("the body is empty: send the recording")
    return kept


def shown(jobs: Jobs, job: Job) -> dict[str, Any]:
    """A job as its owner sees it."""
    outcome, base = job.outcome, f"/v1/articles/{job.id}"
    made = None
    if outcome:
        kinds = [kind for kind in KINDS if any(name.endswith(f"article.{kind}") for name in outcome.files)]
        made = {
            "title": outcome.title,
            "score": outcome.score,
            "mode": outcome.mode,
            "language": outcome.language,
            "files": {kind: f"{base}/article.{kind}" for kind in kinds},
        }
    left = None if job.seconds_left is None else round(job.seconds_left, 1)
    return {
        "id": job.id,
        "object": "article",
        "status": job.state,
        "created_at": int(job.created),
        "source": job.source,
        "options": dict(job.wish),
        "ahead": jobs.ahead(job.id),
        "progress": {"stage": job.stage, "done": round(job.done, 4), "seconds_left": left},
        "error": {"message": job.error} if job.error else None,
        "article": made,
    }


async def _events(jobs: Jobs, owner: str, id: str, watched: Watched) -> AsyncIterator[str]:
    """The job whenever it has changed, until it is over, or the server is told to end."""
    last, silent = "", 0.0
    while not watched.closing:
        try:
            job = jobs.find(owner, id)
        except ApiError:  # deleted meanwhile
            return
        told = json.dumps(shown(jobs, job), ensure_ascii=False, separators=(",", ":"))
        if told != last:
            last, silent = told, 0.0
            yield f"data: {told}\n\n"
        elif silent >= KEEP_ALIVE_S:
            silent = 0.0
            yield ": keep-alive\n\n"
        if job.state in OVER:
            return
        await asyncio.sleep(_POLL_S)
        silent += _POLL_S
