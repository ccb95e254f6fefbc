"""The rows: opened when a request is admitted, closed when it ends.

The row and the decision to admit are one transaction, so quotas are exact also between servers that share a database.
When nothing can be written (a full disk, a database that is away) requests are answered all the same: their rows wait
in memory, count for quotas there, and are written as soon as that is possible again.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from . import keys
from .database import Connection, Database, DatabaseError
from .energy import Meter
from .keys import Key, Limits
from .money import Price
from .quota import MINUTE_S, Refusal, Used, day, decide, month

State = Literal["running", "done", "cancelled", "error", "lost"]
MAX_WAITING = 10_000  # rows kept in memory while nothing can be written; beyond, the oldest are given up
_SWEEP_S = 5.0  # how often a refused request makes us look for servers that have died

_log = logging.getLogger("moonlet.ledger")


class OverLimitError(Exception):
    """The key's quota does not allow this request now."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal


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
    asked: str | None = None  # the request's own words, if they are to be kept
    energy_mark: float = field(default=0.0, compare=False)


class Books:
    """Safe to use from any thread. Close it, so that what waits in memory is tried once more."""

    def __init__(
        self,
        database: Database,
        price: Price | None = None,
        meter: Meter | None = None,
        keep_prompts: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.database = database
        self.price = price
        self.keep_prompts = keep_prompts
        self.failures = 0  # attempts to write that failed
        self.given_up = 0  # rows that could not be kept at all
        self._meter = meter
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: dict[str, Entry] = {}  # rows that could not be written yet, oldest first
        self._swept = 0.0
        database.hold()
        try:
            self.close_lost()
        except DatabaseError as error:  # a full disk keeps nobody from starting
            self._failed(error)

    @property
    def waiting(self) -> int:
        """Rows that are kept in memory only, at this moment."""
        return len(self._waiting)

    def admit(
        self, key: Key | None, api: str, model: str, prompt_tokens: int, output_tokens: int, asked: str | None = None
    ) -> Entry:
        """Opens the row of a request that takes at most so many tokens. Raises OverLimitError."""
        price = self.price
        entry = Entry(
            id="req_" + secrets.token_hex(12),
            started=self._clock(),
            key_id=key.id if key else None,
            key_name=key.name if key else None,
            owner=key.owner if key else None,
            api=api,
            model=model,
            charged_tokens=prompt_tokens + output_tokens,
            charged_nano_usd=price.most_nano_usd(prompt_tokens, output_tokens) if price else 0,
            price=str(price) if price else None,
            asked=asked if self.keep_prompts else None,
        )
        try:
            self._open(entry, key)
        except OverLimitError:
            if not self._sweep():
                raise
            self._open(entry, key)  # a server had died, and its requests no longer count
        return replace(entry, energy_mark=self._meter.begin()) if self._meter else entry

    def settle(self, entry: Entry, state: State, took: Took, error: str | None = None) -> Entry:
        """Closes the row with what the request took. Never raises: what cannot be written waits."""
        joules = self._meter.end(entry.energy_mark) if self._meter else None
        cost = self.price.nano_usd(took.prompt_tokens, took.cached_tokens, took.output_tokens) if self.price else None
        closed = replace(
            entry,
            state=state,
            ended=self._clock(),
            error=error and " ".join(error.split())[:300],
            took=took,
            # What lay in the cache was not computed, and does not count.
            charged_tokens=took.prompt_tokens - took.cached_tokens + took.output_tokens,
            charged_nano_usd=cost or 0,
            joules=joules,
            joules_from=None if joules is None or self._meter is None else self._meter.origin,
            nano_usd=cost,
        )
        self._keep(closed)
        return closed

    def close_lost(self) -> int:
        """Marks the open rows of servers that have ended without closing them. Returns how many there were."""
        lost = 0
        with self.database.reading() as connection:
            servers = connection.run("SELECT DISTINCT server FROM requests WHERE state = 'running'")
        for (server,) in servers:
            if server != self.database.server and self.database.is_dead(server):
                with self.database.reading() as connection:
                    ids = connection.run("SELECT id FROM requests WHERE state = 'running' AND server = ?", (server,))
                for (id,) in ids:
                    with self.database.transaction() as connection:
                        lost += _lose(connection, id)
        if lost:
            _log.warning(
                "%s: %d requests were under way when their server ended; marked lost", self.database.name, lost
            )
        return lost

    def close(self) -> None:
        """Tries once more to write what waits, and says what could not be kept."""
        with self._lock:
            self._flush()
            if gone := self._waiting.values():
                tokens = sum(entry.took.prompt_tokens + entry.took.output_tokens for entry in gone)
                _log.error("%s: %d requests with %d tokens could not be kept", self.database.name, len(gone), tokens)
        self.database.close()

    def _open(self, entry: Entry, key: Key | None) -> None:
        with self._lock:
            self._flush()
            try:
                with self.database.transaction() as connection:
                    if key:
                        self._decide(connection, keys.by_id(connection, key.id).limits, entry)
                    _write(connection, entry, self.database.server)
                return
            except DatabaseError as error:
                self._failed(error)
            if key:
                self._decide_unwritten(key, entry)
            self._wait(entry)

    def _decide(self, connection: Connection | None, limits: Limits, entry: Entry) -> None:
        assert entry.key_id is not None
        if limits.nano_usd_per_month is not None and self.price is None:
            raise OverLimitError(Refusal("money per month", "money", "none", "a price, which this server lacks", None))
        used = _used(connection, entry.key_id, entry.started) if connection else Used()
        for other in self._waiting.values():
            if other.key_id == entry.key_id:
                used = _with(used, other, entry.started)
        if refusal := decide(limits, used, entry.charged_tokens, entry.charged_nano_usd, entry.started):
            raise OverLimitError(refusal)

    def _decide_unwritten(self, key: Key, entry: Entry) -> None:
        """A full disk can still be read; a database that is away cannot, and the rows in memory must do."""
        try:
            with self.database.reading() as connection:
                self._decide(connection, key.limits, entry)
        except DatabaseError:
            self._decide(None, key.limits, entry)

    def _keep(self, entry: Entry) -> None:
        with self._lock:
            self._flush(without=entry.id)
            try:
                with self.database.transaction() as connection:
                    _write(connection, entry, self.database.server)
                self._waiting.pop(entry.id, None)
            except DatabaseError as error:
                self._failed(error)
                self._wait(entry)

    def _wait(self, entry: Entry) -> None:
        self._waiting[entry.id] = entry
        while len(self._waiting) > MAX_WAITING:
            del self._waiting[next(iter(self._waiting))]
            self.given_up += 1

    def _flush(self, without: str = "") -> None:
        waiting = [entry for entry in self._waiting.values() if entry.id != without]
        if not waiting:
            return
        try:
            with self.database.transaction() as connection:
                for entry in waiting:
                    _write(connection, entry, self.database.server)
        except DatabaseError as error:
            return self._failed(error)
        for entry in waiting:
            del self._waiting[entry.id]
        _log.warning("%s: can be written again; %d requests caught up", self.database.name, len(waiting))

    def _failed(self, error: DatabaseError) -> None:
        self.failures += 1
        if not self._waiting:  # said once for each time of trouble; the metrics count
            _log.error("the ledger cannot be written, its rows wait in memory (at most %d): %s", MAX_WAITING, error)

    def _sweep(self) -> bool:
        with self._lock:
            if time.monotonic() - self._swept < _SWEEP_S:
                return False
            self._swept = time.monotonic()
        try:
            return self.close_lost() > 0
        except DatabaseError:
            return False


_COLUMNS = (
    "id, server, started, ended, day, key_id, key_name, owner, api, model, state, error, prompt_tokens, cached_tokens, "
    "output_tokens, thinking_tokens, queue_s, prefill_s, decode_s, expert_hits, expert_reads, bytes_read, joules, "
    "joules_from, nano_usd, price, charged_tokens, charged_nano_usd"
)
_NAMES = _COLUMNS.split(", ")
_UPSERT = (
    f"INSERT INTO requests ({_COLUMNS}) VALUES ({', '.join('?' * len(_NAMES))}) "
    f"ON CONFLICT (id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _NAMES[1:])}"
)


def _write(connection: Connection, entry: Entry, server: int) -> None:
    """The row as it is now, new or changed, and what its key has spent by it."""
    took, known = entry.took, entry.state != "running"
    tokens, nano_usd = _charged(connection, entry.id)
    connection.run(
        _UPSERT,
        (
            *(entry.id, server, entry.started, entry.ended, day(entry.started)),
            *(entry.key_id, entry.key_name, entry.owner, entry.api, entry.model, entry.state, entry.error),
            *((took.prompt_tokens, took.cached_tokens, took.output_tokens) if known else (None, None, None)),
            *(took.thinking_tokens, took.queue_s, took.prefill_s, took.decode_s),
            *(took.expert_hits, took.expert_reads, took.bytes_read, entry.joules, entry.joules_from),
            *(entry.nano_usd, entry.price, entry.charged_tokens, entry.charged_nano_usd),
        ),
    )
    if entry.key_id:
        _spend(
            connection, entry.key_id, entry.started, entry.charged_tokens - tokens, entry.charged_nano_usd - nano_usd
        )
    if entry.asked is not None:
        connection.run("INSERT INTO prompts VALUES (?, ?) ON CONFLICT DO NOTHING", (entry.id, entry.asked))


def _charged(connection: Connection, id: str) -> tuple[int, int]:
    rows = connection.run(
        f"SELECT charged_tokens, charged_nano_usd FROM requests WHERE id = ?{connection.lock_rows}", (id,)
    )
    return rows[0] if rows else (0, 0)


def _spend(connection: Connection, key_id: str, started: float, tokens: int, nano_usd: int) -> None:
    for period in (day(started), month(started)):
        connection.run(
            "INSERT INTO spent VALUES (?, ?, ?, ?) ON CONFLICT (key_id, period) DO UPDATE "
            "SET tokens = spent.tokens + excluded.tokens, nano_usd = spent.nano_usd + excluded.nano_usd",
            (key_id, period, tokens, nano_usd),
        )


def _lose(connection: Connection, id: str) -> int:
    """What a lost request took is not known: it is charged nothing. Returns 1, or 0 if it was closed meanwhile."""
    tokens, nano_usd = _charged(connection, id)
    lost = connection.run(
        "UPDATE requests SET state = 'lost', charged_tokens = 0, charged_nano_usd = 0 "
        "WHERE id = ? AND state = 'running' RETURNING key_id, started",
        (id,),
    )
    for key_id, started in lost:
        if key_id:
            _spend(connection, key_id, started, -tokens, -nano_usd)
    return len(lost)


def _used(connection: Connection, key_id: str, now: float) -> Used:
    minute = connection.run(
        "SELECT started, charged_tokens FROM requests WHERE key_id = ? AND started > ?", (key_id, now - MINUTE_S)
    )
    spent = {
        period: (tokens, nano_usd)
        for period, tokens, nano_usd in connection.run(
            "SELECT period, tokens, nano_usd FROM spent WHERE key_id = ? AND period IN (?, ?)",
            (key_id, day(now), month(now)),
        )
    }
    running = connection.run("SELECT COUNT(*) FROM requests WHERE key_id = ? AND state = 'running'", (key_id,))
    return Used(
        minute=tuple((started, tokens) for started, tokens in minute),
        day_tokens=spent.get(day(now), (0, 0))[0],
        month_tokens=spent.get(month(now), (0, 0))[0],
        month_nano_usd=spent.get(month(now), (0, 0))[1],
        running=running[0][0],
    )


def _with(used: Used, entry: Entry, now: float) -> Used:
    """What the key has used, together with a row that waits in memory."""
    same_month = month(entry.started) == month(now)
    return Used(
        minute=(*used.minute, (entry.started, entry.charged_tokens)) if entry.started > now - MINUTE_S else used.minute,
        day_tokens=used.day_tokens + entry.charged_tokens * (day(entry.started) == day(now)),
        month_tokens=used.month_tokens + entry.charged_tokens * same_month,
        month_nano_usd=used.month_nano_usd + entry.charged_nano_usd * same_month,
        running=used.running + (entry.state == "running"),
    )
