"""PostgreSQL behind the same layer, through psycopg: `pip install moonlet[postgres]`."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

import psycopg
from psycopg.conninfo import conninfo_to_dict

from .database import WAIT_S, Connection, DatabaseError, Row, RowError, Value, migrate, without_password

_AWAY_S = 2.0  # how long after a failed connection the next is tried
_MIGRATING = 0x6D6F6F6E  # the lock while tables are made; any constant does
# A server that lost its power is noticed in about a minute, not after PostgreSQL's two hours.
_SETTINGS = (
    f"-c lock_timeout={int(WAIT_S * 1000)} -c statement_timeout={int(WAIT_S * 3000)} "
    "-c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3"
)


class _PostgresConnection:
    lock_rows = " FOR UPDATE"

    def __init__(self, inner: psycopg.Connection[Row]) -> None:
        self._inner = inner

    def run(self, sql: str, values: Sequence[Value] = ()) -> list[Row]:
        # A statement of ours is a constant; its ? stand for values alone.
        cursor = self._inner.execute(sql.replace("?", "%s").encode(), tuple(values))
        return cursor.fetchall() if cursor.description else []


class _Reading(_PostgresConnection):
    """Statements that change nothing need no transaction around them, and can be said again over a new line."""

    def __init__(self, connected: Callable[[], psycopg.Connection[Row]]) -> None:
        super().__init__(connected())
        self._connected = connected

    def run(self, sql: str, values: Sequence[Value] = ()) -> list[Row]:
        try:
            return super().run(sql, values)
        except psycopg.OperationalError:
            if not self._inner.closed:
                raise
            self._inner = self._connected()
            return super().run(sql, values)


class _Line:
    """A connection for one at a time. A lost one is made anew for who comes next."""

    def __init__(self, url: str, settings: str = _SETTINGS) -> None:
        self.held: int | None = None  # the advisory lock that it holds, from its beginning on
        self._url, self._settings = url, settings
        self._lock = threading.Lock()
        self._inner: psycopg.Connection[Row] | None = None
        self._away_until = 0.0  # 0: it is not

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Nobody waits for whoever looks whether a server that is away has come back. Raises psycopg.Error."""
        if not self._lock.acquire(blocking=not self._away_until):
            raise psycopg.OperationalError("the server is away")
        try:
            yield
        finally:
            self._lock.release()

    def connected(self) -> psycopg.Connection[Row]:
        """Within a turn. Raises psycopg.Error."""
        if self._inner is None or self._inner.closed:
            if time.monotonic() < self._away_until:  # a server that cannot be reached must not hold up every request
                raise psycopg.OperationalError("the server is away")
            try:
                self._inner = self._connect()
            except psycopg.Error:
                self._away_until = time.monotonic() + _AWAY_S
                raise
            self._away_until = 0.0
        return self._inner

    def _connect(self) -> psycopg.Connection[Row]:
        inner = psycopg.connect(
            self._url,
            autocommit=True,
            connect_timeout=int(WAIT_S),
            options=self._settings,
            application_name="moonlet",
        )
        if self.held is not None:
            try:
                inner.execute("SELECT pg_advisory_lock(%s)", (self.held,))
            except psycopg.Error:
                inner.close()  # without it others would take this server's rows for lost
                raise
        return inner

    def close(self) -> None:
        with self._lock, suppress(psycopg.Error):
            if self._inner is not None:
                self._inner.close()


class Postgres:
    """A database by URL."""

    def __init__(self, url: str) -> None:
        self.name = without_password(url)
        try:
            conninfo_to_dict(url)
        except psycopg.ProgrammingError:  # its words quote the URL, and a password in it
            raise DatabaseError(f"{self.name}: not the URL of a PostgreSQL database") from None
        self.server = secrets.randbits(62)
        self._line = _Line(url)
        self._reports = _Line(url, f"{_SETTINGS} -c default_transaction_read_only=on")
        with self.transaction() as connection:
            connection.run("SELECT pg_advisory_xact_lock(?)", (_MIGRATING,))
            migrate(connection, self.name)

    @contextmanager
    def transaction(self, durable: bool = True, patient: bool = True) -> Iterator[Connection]:
        with self._told(), self._line.turn(), ExitStack() as stack:
            inner = self._line.connected()
            try:
                stack.enter_context(inner.transaction())
            except psycopg.OperationalError:  # the server was started anew, or the line was cut
                if not inner.closed:
                    raise
                inner = self._line.connected()
                stack.enter_context(inner.transaction())
            yield _PostgresConnection(inner)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self._told(), self._line.turn():
            yield _Reading(self._line.connected)

    @contextmanager
    def reporting(self) -> Iterator[Connection]:
        with self._told(), self._reports.turn():
            yield _Reading(self._reports.connected)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (psycopg.DataError, psycopg.IntegrityError, UnicodeEncodeError) as error:
            raise RowError(f"{self.name}: {_said(error)}") from None
        except psycopg.Error as error:
            raise DatabaseError(f"{self.name}: {_said(error)}") from None

    def hold(self) -> None:
        self._line.held = self.server
        with self.transaction() as connection:
            connection.run("SELECT pg_advisory_lock(?)", (self.server,))

    def is_dead(self, server: int) -> bool:
        if server == self.server:
            return False
        with self.transaction() as connection:
            return bool(connection.run("SELECT pg_try_advisory_xact_lock(?)", (server,))[0][0])

    def close(self) -> None:
        self._line.close()
        self._reports.close()


def _said(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
