"""What the books say: sums by key, owner, day, model or API, the rows themselves, and their deletion."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Literal

from .database import Connection, Database, Value

By = Literal["key", "owner", "day", "model", "api", "engine"]
_GROUPS: dict[By, str] = {
    "key": "COALESCE(key_name, '(no key)')",
    "owner": "COALESCE(owner, '(no key)')",
    "day": "day",
    "model": "model",
    "api": "api",
    "engine": "COALESCE(engine, '(here)') || CASE WHEN overflow = 1 THEN ' (overflow)' ELSE '' END",
}
_PAGE = 1000  # rows in memory at once


@dataclass(frozen=True, slots=True)
class Line:
    """One line of sums. None where no row knows."""

    name: str
    requests: int
    running: int
    done: int
    cancelled: int
    error: int
    lost: int
    prompt_tokens: int
    cached_tokens: int
    output_tokens: int
    thinking_tokens: int
    queue_s: float
    prefill_s: float
    decode_s: float
    expert_hits: int | None
    expert_reads: int | None
    bytes_read: int | None
    joules_measured: float | None
    joules_modelled: float | None
    nano_usd: int | None


_COUNTS = ", ".join(
    f"COUNT(CASE WHEN state = '{state}' THEN 1 END)" for state in ("running", "done", "cancelled", "error", "lost")
)
_TOKENS = ", ".join(
    f"CAST(COALESCE(SUM({name}), 0) AS BIGINT)"
    for name in ("prompt_tokens", "cached_tokens", "output_tokens", "thinking_tokens")
)
_SECONDS = ", ".join(f"COALESCE(SUM({name}), 0.0)" for name in ("queue_s", "prefill_s", "decode_s"))
_EXPERTS = ", ".join(f"CAST(SUM({name}) AS BIGINT)" for name in ("expert_hits", "expert_reads", "bytes_read"))
_JOULES = (
    "SUM(CASE WHEN joules_from <> 'modelled' THEN joules END), SUM(CASE WHEN joules_from = 'modelled' THEN joules END)"
)


_SUMS = f"COUNT(*), {_COUNTS}, {_TOKENS}, {_SECONDS}, {_EXPERTS}, {_JOULES}, CAST(SUM(nano_usd) AS BIGINT)"


def sums(
    database: Database,
    by: By | None,
    since: float | None = None,
    until: float | None = None,
    key_id: str | None = None,
) -> list[Line]:
    """Sums of the requests that began in [since, until), by name; without `by` a single line. `key_id`: of one key
    alone. Raises DatabaseError."""
    group = _GROUPS[by] if by else "'all'"
    where, values = _where(since, until, key_id)
    with database.reporting() as connection:
        rows = connection.run(f"SELECT {group}, {_SUMS} FROM requests{where} GROUP BY 1 ORDER BY 1", values)
    return [Line(*row) for row in rows]


def daily(
    database: Database,
    by: By | None = None,
    since: float | None = None,
    until: float | None = None,
    key_id: str | None = None,
) -> list[tuple[str, Line]]:
    """The same for every UTC day (like 2026-11-28) that has requests, the first day first. Raises DatabaseError."""
    group = _GROUPS[by] if by else "'all'"
    where, values = _where(since, until, key_id)
    with database.reporting() as connection:
        rows = connection.run(f"SELECT day, {group}, {_SUMS} FROM requests{where} GROUP BY 1, 2 ORDER BY 1, 2", values)
    return [(row[0], Line(*row[1:])) for row in rows]


def rows(
    database: Database, since: float | None = None, until: float | None = None, prompts: bool = False
) -> Iterator[dict[str, Any]]:
    """The rows as they are, in order of their beginning; with what was asked where that was kept."""
    names = ROW_FIELDS + (("asked",) if prompts else ())
    where, values = _where(since, until)
    last: tuple[Value, ...] = ()
    while True:
        after = f"{' AND' if where else ' WHERE'} (started > ? OR (started = ? AND id > ?))" if last else ""
        tables = "requests LEFT JOIN prompts ON request_id = id" if prompts else "requests"
        with database.reporting() as connection:
            page = connection.run(
                f"SELECT {', '.join(names)} FROM {tables}{where}{after} ORDER BY started, id LIMIT {_PAGE}",
                (*values, *last),
            )
        yield from (dict(zip(names, row)) for row in page)
        if len(page) < _PAGE:
            return
        id, started = page[-1][0], page[-1][1]
        last = (started, started, id)


ROW_FIELDS = (
    *("id", "started", "ended", "day", "key_name", "owner", "api", "model", "state", "error"),
    *("prompt_tokens", "cached_tokens", "output_tokens", "thinking_tokens", "queue_s", "prefill_s", "decode_s"),
    *("expert_hits", "expert_reads", "bytes_read", "joules", "joules_from", "nano_usd", "price", "engine", "overflow"),
)
LINE_FIELDS = tuple(field.name for field in fields(Line))


def prune(database: Database, before: float) -> int:
    """Deletes the rows, and prompts, of requests that began before then and are over, and responses that were kept
    before. Returns how many requests.

    What keys have spent stays, so that quotas go on as they were.
    """
    with database.transaction() as connection:
        forget(connection, before)
    deleted = 0
    while count := _prune_some(database, before):
        deleted += count
    return deleted


def forget(connection: Connection, before: float) -> None:
    """Deletes responses that were kept until then to be gone on from."""
    connection.run("DELETE FROM kept_responses WHERE born <= ?", (before,))


def _prune_some(database: Database, before: float) -> int:
    """In parts, so that a server that shares the database never waits long."""
    old = f"SELECT id FROM requests WHERE started < ? AND state <> 'running' ORDER BY started, id LIMIT {_PAGE}"
    with database.transaction() as connection:
        ids = [row[0] for row in connection.run(old, (before,))]
        for table, name in (("prompts", "request_id"), ("requests", "id")):
            _delete(connection, table, name, ids)
    return len(ids)


def _delete(connection: Connection, table: str, name: str, ids: list[str]) -> None:
    if ids:
        connection.run(f"DELETE FROM {table} WHERE {name} IN ({', '.join('?' * len(ids))})", ids)


def _where(since: float | None, until: float | None, key_id: str | None = None) -> tuple[str, tuple[Value, ...]]:
    wanted: tuple[tuple[str, Value], ...] = (("started >= ?", since), ("started < ?", until), ("key_id = ?", key_id))
    bounds = [(condition, value) for condition, value in wanted if value is not None]
    text = " AND ".join(condition for condition, _ in bounds)
    return f" WHERE {text}" if text else "", tuple(value for _, value in bounds)
