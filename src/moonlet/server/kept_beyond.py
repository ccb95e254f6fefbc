"""Responses in the ledger's database, where what is asked may be kept: found again after a restart, and by the other
servers of the ledger. They go after the same day, and the oldest of an owner make room for new ones."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from moonlet.chat.messages import Message, from_openai, to_openai
from moonlet.ledger import report
from moonlet.ledger.database import Database, DatabaseError

_log = logging.getLogger("moonlet.server")

Found = tuple[dict[str, Any], tuple[Message, ...], list[Any]]  # a response, its conversation, its request's input


def forget_old(database: Database, kept_s: float) -> None:
    """For every server at its start, also one that keeps none: those that did may never run again."""
    try:
        with database.transaction() as connection:
            report.forget(connection, time.time() - kept_s)
    except DatabaseError as error:  # a full disk keeps nobody from starting
        _log.warning("old responses could not be deleted: %s", error)


class Beyond:
    """Written in the order of the calls by a thread of its own, so that no stream waits for the disk."""

    def __init__(
        self, database: Database, kept_s: float, kept_bytes: int, clock: Callable[[], float] = time.time
    ) -> None:
        self._database, self._kept_s, self._bytes, self._clock = database, kept_s, kept_bytes, clock
        self._writer = ThreadPoolExecutor(1, "moonlet-kept")
        self._failed = False  # the last time, which was said

    def keep(self, owner: str, response: dict[str, Any], messages: Sequence[Message], items: list[Any]) -> Future[bool]:
        """Soon; then, whether it could be. That it cannot is said in the log, once until it can."""
        born = self._clock()

        def write() -> None:
            told = [to_openai(message) for message in messages]
            texts = [json.dumps(value, ensure_ascii=False) for value in (response, told, items)]
            self._write(owner, response["id"], born, texts)

        return self._writer.submit(self._told, write)

    def find(self, owner: str, id: str) -> Found | None:
        """Raises DatabaseError."""
        sql = "SELECT response, messages, items FROM kept_responses WHERE owner = ? AND id = ? AND born > ?"
        with self._database.reading() as connection:
            rows = connection.run(sql, (owner, id, self._clock() - self._kept_s))
        if not rows:
            return None
        response, messages, items = map(json.loads, rows[0])
        return response, from_openai(messages), items

    def has(self, owner: str, id: str) -> bool:
        """Whether what was written is still there. Raises DatabaseError."""
        with self._database.reading() as connection:
            return bool(connection.run("SELECT 1 FROM kept_responses WHERE owner = ? AND id = ?", (owner, id)))

    def drop(self, owner: str, id: str) -> None:
        """Behind what is still to be written. Raises DatabaseError."""
        self._writer.submit(self._drop, owner, id).result()

    def close(self) -> None:
        """Waits for what is to be written."""
        self._writer.shutdown()

    def _told(self, work: Callable[[], None]) -> bool:
        try:
            work()
            self._failed = False
        except DatabaseError as error:
            if not self._failed:
                _log.warning("responses are kept in memory only: %s", error)
            self._failed = True
        return not self._failed

    def _write(self, owner: str, id: str, born: float, texts: Sequence[str]) -> None:
        with self._database.transaction() as connection:
            report.forget(connection, self._clock() - self._kept_s)
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
