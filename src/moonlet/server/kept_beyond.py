"""Responses in the ledger's database, where what is asked may be kept: found again after a restart, and by the other
servers of the ledger. They go after the same day, and the oldest of an owner make room for new ones."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from moonlet.chat.messages import Message, from_openai, to_openai
from moonlet.ledger.database import Connection, Database, DatabaseError

_log = logging.getLogger("moonlet.server")

_TABLE = """CREATE TABLE IF NOT EXISTS kept_responses (
    owner TEXT NOT NULL,
    id TEXT NOT NULL,
    born DOUBLE PRECISION NOT NULL,
    response TEXT NOT NULL,
    messages TEXT NOT NULL,
    items TEXT NOT NULL,
    PRIMARY KEY (owner, id)
)"""

Found = tuple[dict[str, Any], tuple[Message, ...], list[Any]]  # a response, its conversation, its request's input


class Beyond:
    """Written in the order of the calls by a thread of its own, so that no stream waits for the disk."""

    def __init__(
        self, database: Database, kept_s: float, kept_bytes: int, clock: Callable[[], float] = time.time
    ) -> None:
        self._database, self._kept_s, self._bytes, self._clock = database, kept_s, kept_bytes, clock
        self._writer = ThreadPoolExecutor(1, "moonlet-kept")
        self._failed = False  # the last time, which was said
        self._told(self._make)

    def keep(self, owner: str, response: dict[str, Any], messages: Sequence[Message], items: list[Any]) -> None:
        """Soon. That it cannot be is said in the log, once until it can."""
        born = self._clock()

        def write() -> None:
            told = [to_openai(message) for message in messages]
            texts = [json.dumps(value, ensure_ascii=False) for value in (response, told, items)]
            self._write(owner, response["id"], born, texts)

        self._writer.submit(self._told, write)

    def find(self, owner: str, id: str) -> Found | None:
        """Raises DatabaseError."""
        sql = "SELECT response, messages, items FROM kept_responses WHERE owner = ? AND id = ? AND born > ?"
        with self._database.reading() as connection:
            rows = connection.run(sql, (owner, id, self._clock() - self._kept_s))
        if not rows:
            return None
        response, messages, items = map(json.loads, rows[0])
        return response, from_openai(messages), items

    def drop(self, owner: str, id: str) -> None:
        """Behind what is still to be written. Raises DatabaseError."""
        self._writer.submit(self._drop, owner, id).result()

    def close(self) -> None:
        """Waits for what is to be written."""
        self._writer.shutdown()

    def _told(self, work: Callable[[], None]) -> None:
        try:
            work()
            self._failed = False
        except DatabaseError as error:
            if not self._failed:
                _log.warning("responses are kept in memory only: %s", error)
            self._failed = True

    def _make(self) -> None:
        with self._database.transaction() as connection:
            self._clear(connection)

    def _clear(self, connection: Connection) -> None:
        connection.run(_TABLE)
        connection.run("DELETE FROM kept_responses WHERE born <= ?", (self._clock() - self._kept_s,))

    def _write(self, owner: str, id: str, born: float, texts: Sequence[str]) -> None:
        with self._database.transaction() as connection:
            self._clear(connection)
            connection.run("INSERT INTO kept_responses VALUES (?, ?, ?, ?, ?, ?)", (owner, id, born, *texts))
            size = "LENGTH(response) + LENGTH(messages) + LENGTH(items)"
            sql = f"SELECT id, {size} FROM kept_responses WHERE owner = ? ORDER BY born DESC"
            used = 0
            for old, length in connection.run(sql, (owner,)):
                used += length
                if used > self._bytes:
                    connection.run("DELETE FROM kept_responses WHERE owner = ? AND id = ?", (owner, old))

    def _drop(self, owner: str, id: str) -> None:
        with self._database.transaction() as connection:
            connection.run("DELETE FROM kept_responses WHERE owner = ? AND id = ?", (owner, id))
