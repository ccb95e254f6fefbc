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
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice

from . import keys
from .database import Connection, Database, DatabaseError, RowError
from .energy import Meter
from .keys import Key, KeyEndedError
from .money import Price
from .quota import Refusal, Used, decide
from .rows import Answered, Entry, State, Took, lose, used_by, with_waiting, write

__all__ = ["Answered", "Books", "Entry", "OverLimitError", "State", "Took"]

MAX_WAITING = 10_000  # rows kept in memory while nothing can be written; beyond, the oldest are given up
_RETRY_S = 1.0  # how often that is tried again
_PART = 200  # rows that are written in one transaction then
_PAUSE_S = 0.001  # between two: of a lock that is taken again at once others get nothing
_SWEEP_S = 5.0  # how often a refused request makes us look for servers that have died

_log = logging.getLogger("moonlet.ledger")


class OverLimitError(Exception):
    """The key's quota does not allow this request now."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal


class Books:
    """Safe to use from any thread. Close it, so that what waits in memory is tried once more."""

    def __init__(
        self,
        database: Database,
        price: Price | None = None,
        meter: Meter | None = None,
        keep_prompts: bool = False,
        clock: Callable[[], float] = time.time,
        others: Sequence[Price] = (),
    ) -> None:
        """`price`: of tokens; `others`: of engines that have their own."""
        self.database = database
        self.price = price
        self.most_price = Price.most([*([price] if price else []), *others])  # that a request may turn out to have
        self.keep_prompts = keep_prompts
        self.failures = 0  # attempts to write that failed
        self.given_up = 0  # rows that could not be kept at all
        self._meter = meter
        self._clock = clock
        self._lock = threading.Lock()
        self._settled = threading.Condition(self._lock)
        self._under_way: set[str] = set()  # admitted and not settled
        self._waiting: dict[str, Entry] = {}  # rows that could not be written yet, oldest first
        self._away = False  # it could not even be read: only who catches up looks whether it has come back
        self._swept = 0.0
        self._closed = threading.Event()
        self._catching_up: threading.Thread | None = None  # while rows wait
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
        """Opens the row of a request that takes at most so many tokens. Raises OverLimitError, KeyEndedError: what runs
        for hours comes here for each reply, with the key as it was when it began."""
        price, most = self.price, self.most_price
        entry = Entry(
            id="req_" + secrets.token_hex(12),
            started=self._clock(),
            key_id=key.id if key else None,
            key_name=key.name if key else None,
            owner=key.owner if key else None,
            api=api,
            model=model,
            charged_tokens=prompt_tokens + output_tokens,
            charged_nano_usd=most.most_nano_usd(prompt_tokens, output_tokens) if most else 0,
            price=str(price) if price else None,
            asked=asked if self.keep_prompts else None,
        )
        try:
            self._open(entry, key)
        except OverLimitError:
            if not self._sweep():
                raise
            self._open(entry, key)  # a server had died, and its requests no longer count
        with self._lock:
            self._under_way.add(entry.id)
        return replace(entry, energy_mark=self._meter.begin()) if self._meter else entry

    def settle(
        self, entry: Entry, state: State, took: Took, error: str | None = None, answered: Answered | None = None
    ) -> Entry:
        """Closes the row with what the request took, and who answered it. Never raises: what cannot be written
        waits."""
        joules = self._meter.end(entry.energy_mark) if self._meter else None
        price, cost = (answered and answered.price) or self.price, answered.nano_usd if answered else None
        if cost is None and price is not None:
            cost = price.nano_usd(took.prompt_tokens, took.cached_tokens, took.output_tokens)
        closed = replace(
            entry,
            state=state,
            ended=self._clock(),
            error=error and _line(error),
            took=took,
            # What lay in the cache was not computed, and does not count.
            charged_tokens=took.prompt_tokens - took.cached_tokens + took.output_tokens,
            charged_nano_usd=cost or 0,
            joules=joules,
            joules_from=None if joules is None or self._meter is None else self._meter.origin,
            nano_usd=cost,
            price=str(price) if price else None,
            engine=answered.engine if answered else None,
            overflow=answered.overflow if answered else False,
        )
        self._keep(closed)
        with self._settled:
            self._under_way.discard(entry.id)
            self._settled.notify_all()
        return closed

    def wait_settled(self, timeout_s: float) -> None:
        """Until every request that was admitted here is settled, or the time is up."""
        with self._settled:
            self._settled.wait_for(lambda: not self._under_way, timeout_s)

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
                        lost += lose(connection, id)
        if lost:
            _log.warning(
                "%s: %d requests were under way when their server ended; marked lost", self.database.name, lost
            )
        return lost

    def close(self) -> None:
        """Tries once more to write what waits, and says what could not be kept."""
        self._closed.set()
        if catching_up := self._catching_up:
            catching_up.join()
        self._flush(patient=True)
        with self._lock:
            if gone := self._waiting.values():
                tokens = sum(entry.took.prompt_tokens + entry.took.output_tokens for entry in gone)
                _log.error("%s: %d requests with %d tokens could not be kept", self.database.name, len(gone), tokens)
        self.database.close()

    def _open(self, entry: Entry, key: Key | None) -> None:
        with self._lock:
            try:
                # While rows wait, nobody is kept waiting to see that nothing can be written.
                if not self._waiting:
                    with self.database.transaction(durable=False) as connection:
                        if key:
                            self._decide(connection, keys.by_id(connection, key.id), entry)
                        write(connection, entry, self.database.server, new=True)
                    return
            except DatabaseError as error:
                self._failed(error)
            if key:
                self._decide_unwritten(key, entry)
            self._wait(entry)

    def _decide(self, connection: Connection | None, key: Key, entry: Entry) -> None:
        limits = key.limits
        if not key.usable(entry.started):
            raise KeyEndedError(key)
        if limits.nano_usd_per_month is not None and self.most_price is None:
            raise OverLimitError(Refusal("money per month", "money", "none", "a price, which this server lacks", None))
        used = used_by(connection, key.id, entry.started, limits) if connection else Used()
        for other in self._waiting.values():
            if other.key_id == key.id:
                used = with_waiting(connection, used, other, entry.started)
        if refusal := decide(limits, used, entry.charged_tokens, entry.charged_nano_usd, entry.started):
            raise OverLimitError(refusal)

    def _decide_unwritten(self, key: Key, entry: Entry) -> None:
        """A full disk can still be read; a database that is away cannot, and the rows in memory must do."""
        if not self._away:
            try:
                with self.database.reading() as connection:
                    return self._decide(connection, keys.by_id(connection, key.id, hold=False), entry)
            except DatabaseError:
                self._away = True
        self._decide(None, key, entry)

    def _keep(self, entry: Entry) -> None:
        with self._lock:
            try:
                if not self._waiting:
                    # The answer waits for this, and need not for the disk.
                    with self.database.transaction(durable=False) as connection:
                        write(connection, entry, self.database.server)
                    return
            except RowError as error:
                return self._give_up(entry, error)
            except DatabaseError as error:
                self._failed(error)
            self._wait(entry)

    def _wait(self, entry: Entry) -> None:
        self._waiting[entry.id] = replace(entry, asked=None)  # the numbers wait; prompts can be of any size
        if self._catching_up is None or not self._catching_up.is_alive():
            self._catching_up = threading.Thread(target=self._catch_up, name="moonlet-ledger", daemon=True)
            self._catching_up.start()
        while len(self._waiting) > MAX_WAITING:
            del self._waiting[next(iter(self._waiting))]
            self.given_up += 1

    def _catch_up(self) -> None:
        while not self._closed.wait(_RETRY_S):
            self._flush(patient=False)  # it is tried again soon
            with self._lock:
                if not self._waiting:
                    self._catching_up = None
                    return

    def _flush(self, patient: bool) -> None:
        """Writes what waits, in parts and without the lock, so that no request waits for it. The rows of a part go on
        waiting until it is written: who is admitted meanwhile counts them, what is settled meanwhile comes after."""
        written, most = set[str](), _PART
        while part := self._oldest(most):
            try:
                with self.database.transaction(patient=patient) as connection:
                    for entry in part:
                        write(connection, entry, self.database.server)
                written |= {entry.id for entry in part}
                self._away = False
            except RowError as error:
                if len(part) > 1:  # it is one of them
                    most = 1
                    continue
                with self._lock:
                    self._give_up(part[0], error)
            except DatabaseError as error:
                with self._lock:
                    return self._failed(error)
            most = min(2 * most, _PART)
            with self._lock:
                for entry in part:
                    if self._waiting.get(entry.id) is entry:  # it may have been settled since
                        del self._waiting[entry.id]
                if written and not self._waiting:
                    told = "%s: can be written again; %d requests caught up"
                    _log.warning(told, self.database.name, len(written))
            time.sleep(_PAUSE_S)

    def _oldest(self, most: int) -> list[Entry]:
        with self._lock:
            return list(islice(self._waiting.values(), most))

    def _give_up(self, entry: Entry, error: RowError) -> None:
        """Its request is over all the same: as one that runs it would be counted for as long as we do."""
        self.given_up += 1
        _log.error("the ledger does not take the row %s: %s", entry.id, error)
        if entry.state != "running":
            try:
                with self.database.transaction(durable=False) as connection:
                    lose(connection, entry.id)
            except DatabaseError as failed:
                self._failed(failed)

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


def _line(text: str) -> str:
    """As one line that every database takes."""
    return " ".join(text.replace("\0", " ").encode("utf-8", "replace").decode().split())[:300]
