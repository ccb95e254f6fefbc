"""What the page's Articles asks beside /v1/articles: an address at which a browser opens what was made.

Links carry no key: neither the page's to an article, nor the article's to the seconds of its recording. So whoever
made articles is given an address that nobody can guess, for an hour. Below it lie the folders of those articles, as
their own links expect them; finished files and the recording that was sent are to be had, nothing else.
"""

from __future__ import annotations

import asyncio
import mimetypes
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse

from moonlet.ledger.database import Database
from moonlet.server.article_jobs import Jobs
from moonlet.server.articles import KINDS, SHUT
from moonlet.server.errors import ApiError
from moonlet.server.keys import OPENED, key_of, owner_of
from moonlet.server.page_who import may_look, same_origin

OPEN_S = 3600.0  # an address is good for so long after it was last asked for
_MOST = 1000  # addresses at a time, one for each who looks


@dataclass(frozen=True, slots=True)
class _Opened:
    """Whose articles an address leads to."""

    owner: str
    key: str  # its id; empty: no key was needed
    until: float


def mount(app: FastAPI, jobs: Jobs, wishes: Mapping[str, tuple[str, ...]], database: Database | None) -> None:
    """The paths, and for api/about the options of an article."""
    app.state.article_options = {name: list(values) for name, values in wishes.items()}
    opened: dict[str, _Opened] = {}

    @app.post("/api/articles/open", include_in_schema=False)
    async def open_articles(request: Request) -> dict[str, Any]:
        same_origin(request)
        owner, key, now = owner_of(request), key_of(request), time.monotonic()
        for old in [token for token, one in opened.items() if one.until < now]:
            del opened[old]
        token = next((token for token, one in opened.items() if one.owner == owner), None)
        if token is None:
            if len(opened) >= _MOST:
                raise ApiError("too many have articles open at the moment", status=429, retry_s=60)
            token = secrets.token_urlsafe(32)
        opened[token] = _Opened(owner, key.id if key else "", now + OPEN_S)
        return {"below": f"{OPENED[1:]}{token}/", "seconds": OPEN_S}

    @app.get(OPENED + "{token}/{id}/{name:path}", include_in_schema=False)
    async def file(token: str, id: str, name: str) -> Response:
        one = opened.get(token)
        if one is None or one.until < time.monotonic() or not await asyncio.to_thread(may_look, database, one.key):
            raise ApiError("this address is not good any more: open the article from the page", status=404)
        return _sent(jobs.path(one.owner, id, name), made=name.startswith("work/"))


def _sent(path: Path, made: bool) -> Response:
    """A finished file as it is everywhere; a recording as nothing but sound and pictures, whatever its name says."""
    headers = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}
    if made:
        kind = KINDS.get(path.suffix[1:], "application/octet-stream")
        return FileResponse(path, media_type=kind, headers=headers | {"Content-Security-Policy": SHUT})
    kind = mimetypes.guess_type(path.name)[0] or ""
    plays = kind.startswith(("video/", "audio/"))
    return FileResponse(path, media_type=kind if plays else "application/octet-stream", headers=headers)
