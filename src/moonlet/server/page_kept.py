"""Conversations that are kept on the server, in the ledger's database: what one key keeps, no other finds."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import FastAPI, Request, Response

from moonlet.ledger.database import Database, DatabaseError
from moonlet.server.apart import apart
from moonlet.server.body import read_json
from moonlet.server.errors import ApiError
from moonlet.server.fields import as_object, typed
from moonlet.server.keys import key_of

T = TypeVar("T")
MOST = 2000  # conversations of a key
MOST_BYTES = 4 << 20  # of one
MOST_OF_ALL = 256 << 20  # characters of all of a key

_TABLE = """CREATE TABLE IF NOT EXISTS page_talks (
    owner TEXT NOT NULL,
    id TEXT NOT NULL,
    title TEXT NOT NULL,
    changed DOUBLE PRECISION NOT NULL,
    talk TEXT NOT NULL,
    PRIMARY KEY (owner, id)
)"""


class Talks:
    """The table. Every method raises DatabaseError."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._made = False

    def all(self, owner: str) -> list[dict[str, Any]]:
        """Names of all, the last changed first."""
        self._make()
        with self._database.reading() as connection:
            sql = "SELECT id, title, changed FROM page_talks WHERE owner = ? ORDER BY changed DESC"
            return [
                {"id": id, "title": title, "changed": changed} for id, title, changed in connection.run(sql, [owner])
            ]

    def find(self, owner: str, id: str) -> Any:
        """One, or None."""
        self._make()
        with self._database.reading() as connection:
            rows = connection.run("SELECT talk FROM page_talks WHERE owner = ? AND id = ?", [owner, id])
        return json.loads(rows[0][0]) if rows else None

    def keep(self, owner: str, id: str, title: str, talk: dict[str, Any]) -> None:
        """In place of what was there, with its turns that `talk` lacks. The oldest makes room. Raises ApiError too."""
        text = _written(talk)
        self._make()
        with self._database.transaction() as connection:
            sql = "SELECT talk FROM page_talks WHERE owner = ? AND id = ?" + connection.lock_rows
            for (before,) in connection.run(sql, [owner, id]):
                text = _written(_joined(json.loads(before), talk))
            connection.run("DELETE FROM page_talks WHERE owner = ? AND id = ?", [owner, id])
            connection.run("INSERT INTO page_talks VALUES (?, ?, ?, ?, ?)", [owner, id, title, time.time(), text])
            sql = "SELECT id, LENGTH(talk) FROM page_talks WHERE owner = ? ORDER BY changed DESC"
            kept = 0
            for place, (old, length) in enumerate(connection.run(sql, [owner])):
                kept += length
                if place >= MOST or kept > MOST_OF_ALL:
                    connection.run("DELETE FROM page_talks WHERE owner = ? AND id = ?", [owner, old])

    def drop(self, owner: str, id: str) -> None:
        """Forgets one."""
        self._make()
        with self._database.transaction() as connection:
            connection.run("DELETE FROM page_talks WHERE owner = ? AND id = ?", [owner, id])

    def _make(self) -> None:
        """The table, if it is not there: a ledger whose page keeps nothing has none."""
        if not self._made:
            with self._database.transaction() as connection:
                connection.run(_TABLE)
            self._made = True


def _joined(before: dict[str, Any], talk: dict[str, Any]) -> dict[str, Any]:
    """Another tab or device may have added turns that this copy does not know; none is ever taken away."""
    then, now = before.get("nodes"), talk.get("nodes")
    return talk | {"nodes": then | now} if isinstance(then, dict) and isinstance(now, dict) else talk


def _written(talk: dict[str, Any]) -> str:
    if len(json.dumps(talk)) > MOST_BYTES:
        raise ApiError(f"a conversation of more than {MOST_BYTES >> 20} MiB is not kept", "talk", status=413)
    return json.dumps(talk, ensure_ascii=False)


def mount(app: FastAPI, database: Database) -> None:
    """Adds api/talks to the application."""
    talks = Talks(database)

    @app.get("/api/talks", include_in_schema=False)
    async def all_talks(request: Request) -> list[dict[str, Any]]:
        owner = _owner(request)
        return await _asked(lambda: talks.all(owner))

    @app.get("/api/talks/{id}", include_in_schema=False)
    async def one_talk(request: Request, id: str) -> Any:
        owner = _owner(request)
        found = await _asked(lambda: talks.find(owner, id))
        if found is None:
            raise ApiError("there is no such conversation", status=404)
        return found

    @app.put("/api/talks/{id}", include_in_schema=False)
    async def keep(request: Request, id: str) -> Response:
        owner, body = _owner(request), as_object(await read_json(request))
        title, talk = (typed(body, "title", str) or "")[:200], typed(body, "talk", dict)
        if talk is None or len(id) > 64:
            raise ApiError("talk must be the conversation, and its name at most 64 characters", "talk")
        await _asked(lambda: talks.keep(owner, id, title, talk))
        return Response(status_code=204)

    @app.delete("/api/talks/{id}", include_in_schema=False)
    async def drop(request: Request, id: str) -> Response:
        owner = _owner(request)
        await _asked(lambda: talks.drop(owner, id))
        return Response(status_code=204)


def _owner(request: Request) -> str:
    key = key_of(request)
    if key is None:
        raise ApiError("conversations are kept here for whoever comes with a key", status=403)
    return key.id


async def _asked(work: Callable[[], T]) -> T:
    """What the database is asked, away from the event loop. Callers learn nothing of where it lies."""
    try:
        return await apart(work)
    except DatabaseError:
        raise ApiError("conversations cannot be read or written at the moment", status=503, retry_s=5) from None
