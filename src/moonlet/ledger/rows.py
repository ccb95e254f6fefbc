"""One row of the books, and the SQL that writes it together with what its key has spent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .database import Connection, Row
from .keys import Limits
from .money import Price
from .quota import MINUTE_S, Used, day, month

State = Literal["running", "done", "cancelled", "error", "lost"]


@dataclass(frozen=True, slots=True)
class Took:
    """What a request took. None: not known."""

    prompt_tokens: int = 0
    cached_tokens: int = 0  # of the prompt
    output_tokens: int = 0
    thinking_tokens: int | None = None  # of the output
    queue_s: float | None = None
    prefill_s: float | None = None
    decode_s: float | None = None
    expert_hits: int | None = None  # experts that were in memory when they were needed
    expert_reads: int | None = None  # experts that had to be read
    bytes_read: int | None = None  # of the disk, for those


@dataclass(frozen=True, slots=True)
class Answered:
    """By which engine, where there are several."""

    engine: str
    overflow: bool = False  # rented, because the others were busy or away
    price: Price | None = None  # of its own
    nano_usd: int | None = None  # what it took cost; None: to be reckoned from the tokens


@dataclass(frozen=True, slots=True)
class Entry:
    """A row, as it stands in the books or is to stand there."""

    id: str
    started: float
    key_id: str | None
    key_name: str | None
    owner: str | None
    api: str
    model: str
    charged_tokens: int  # against quotas: the most it can take while it runs, then what it took
    charged_nano_usd: int
    state: State = "running"
    ended: float | None = None
    error: str | None = None
    took: Took = Took()
    joules: float | None = None
    joules_from: str | None = None
    nano_usd: int | None = None
    price: str | None = None
    engine: str | None = None  # that answered, where there are several
    overflow: bool = False  # and was rented for it
    asked: str | None = None  # the request's own words, if they are to be kept
    energy_mark: float = field(default=0.0, compare=False)


_COLUMNS = (
    "id, server, started, ended, day, key_id, key_name, owner, api, model, state, error, prompt_tokens, cached_tokens, "
    "output_tokens, thinking_tokens, queue_s, prefill_s, decode_s, expert_hits, expert_reads, bytes_read, joules, "
    "joules_from, nano_usd, price, charged_tokens, charged_nano_usd, engine, overflow"
)
_NAMES = _COLUMNS.split(", ")
_UPSERT = (
    f"INSERT INTO requests ({_COLUMNS}) VALUES ({', '.join('?' * len(_NAMES))}) "
    f"ON CONFLICT (id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _NAMES[1:])}"
)


def write(connection: Connection, entry: Entry, server: int, new: bool = False) -> None:
    """The row as it is now, and what its key has spent by it. `new`: there cannot be one of its id yet."""
    took, known = entry.took, entry.state != "running"
    tokens, nano_usd, _ = (None if new else _written(connection, entry.id)) or _UNWRITTEN
    connection.run(
        _UPSERT,
        (
            *(entry.id, server, entry.started, entry.ended, day(entry.started)),
            *(entry.key_id, entry.key_name, entry.owner, entry.api, entry.model, entry.state, entry.error),
            *((took.prompt_tokens, took.cached_tokens, took.output_tokens) if known else (None, None, None)),
            *(took.thinking_tokens, took.queue_s, took.prefill_s, took.decode_s),
            *(took.expert_hits, took.expert_reads, took.bytes_read, entry.joules, entry.joules_from),
            *(entry.nano_usd, entry.price, entry.charged_tokens, entry.charged_nano_usd),
            *(entry.engine, int(entry.overflow) if entry.engine else None),
        ),
    )
    if entry.key_id:
        _spend(
            connection, entry.key_id, entry.started, entry.charged_tokens - tokens, entry.charged_nano_usd - nano_usd
        )
    if entry.asked is not None:
        connection.run("INSERT INTO prompts VALUES (?, ?) ON CONFLICT DO NOTHING", (entry.id, entry.asked))


_UNWRITTEN = (0, 0, None)


def _written(connection: Connection, id: str) -> tuple[int, int, State] | None:
    """Of a row as the database has it: tokens and billionths of a dollar that are charged, its state."""
    rows = connection.run(
        f"SELECT charged_tokens, charged_nano_usd, state FROM requests WHERE id = ?{connection.lock_rows}", (id,)
    )
    return (rows[0][0], rows[0][1], rows[0][2]) if rows else None


def _spend(connection: Connection, key_id: str, started: float, tokens: int, nano_usd: int) -> None:
    connection.run(
        "INSERT INTO spent VALUES (?, ?, ?, ?), (?, ?, ?, ?) ON CONFLICT (key_id, period) DO UPDATE "
        "SET tokens = spent.tokens + excluded.tokens, nano_usd = spent.nano_usd + excluded.nano_usd",
        (key_id, day(started), tokens, nano_usd, key_id, month(started), tokens, nano_usd),
    )


def lose(connection: Connection, id: str) -> int:
    """What a lost request took is not known: it is charged nothing. Returns 1, or 0 if it was closed meanwhile."""
    tokens, nano_usd, _ = _written(connection, id) or _UNWRITTEN
    lost = connection.run(
        "UPDATE requests SET state = 'lost', charged_tokens = 0, charged_nano_usd = 0 "
        "WHERE id = ? AND state = 'running' RETURNING key_id, started",
        (id,),
    )
    for key_id, started in lost:
        if key_id:
            _spend(connection, key_id, started, -tokens, -nano_usd)
    return len(lost)


def used_by(connection: Connection, key_id: str, now: float, limits: Limits | None = None) -> Used:
    """What a key has used by `now`, as far as these limits ask for it; all of it without. Raises DatabaseError."""
    minute: list[Row] = []
    spent: dict[str, tuple[int, int]] = {}
    running = 0
    if limits is None or limits.tokens_per_minute is not None:
        minute = connection.run(
            "SELECT started, charged_tokens FROM requests WHERE key_id = ? AND started > ?", (key_id, now - MINUTE_S)
        )
    longer = limits and (limits.tokens_per_day, limits.tokens_per_month, limits.nano_usd_per_month)
    if longer != (None, None, None):
        rows = connection.run(
            "SELECT period, tokens, nano_usd FROM spent WHERE key_id = ? AND period IN (?, ?)",
            (key_id, day(now), month(now)),
        )
        spent = {period: (tokens, nano_usd) for period, tokens, nano_usd in rows}
    if limits is None or limits.concurrent is not None:
        count = "SELECT COUNT(*) FROM requests WHERE key_id = ? AND state = 'running'"
        running = connection.run(count, (key_id,))[0][0]
    return Used(
        minute=tuple((started, tokens) for started, tokens in minute),
        day_tokens=spent.get(day(now), (0, 0))[0],
        month_tokens=spent.get(month(now), (0, 0))[0],
        month_nano_usd=spent.get(month(now), (0, 0))[1],
        running=running,
    )


def with_waiting(connection: Connection | None, used: Used, entry: Entry, now: float) -> Used:
    """What the key has used, with a row as it waits in memory in place of what the database holds of it."""
    tokens, nano_usd, state = (_written(connection, entry.id) if connection else None) or _UNWRITTEN
    tokens, nano_usd = entry.charged_tokens - tokens, entry.charged_nano_usd - nano_usd
    same_month = month(entry.started) == month(now)
    return Used(
        minute=(*used.minute, (entry.started, tokens)) if entry.started > now - MINUTE_S else used.minute,
        day_tokens=used.day_tokens + tokens * (day(entry.started) == day(now)),
        month_tokens=used.month_tokens + tokens * same_month,
        month_nano_usd=used.month_nano_usd + nano_usd * same_month,
        running=used.running + (entry.state == "running") - (state == "running"),
    )
