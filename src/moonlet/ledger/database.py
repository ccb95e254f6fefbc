"""One thin layer over SQLite and PostgreSQL: transactions of plain SQL with `?` for values.

Both also answer a question that only the system can: whether another server that shares the database still lives. Each
server holds a lock that ends with its process however that ends: a locked file beside SQLite's, an advisory lock of the
session in PostgreSQL.
"""

from __future__ import annotations

import fcntl
import glob
import logging
import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

from .schema import MIGRATIONS

WAIT_S = 5.0  # for another process that is writing
_IMPATIENT_S = 0.05  # of it, for who can come again: others of this process wait meanwhile
SYNC_S = 0.05  # after a commit that was not to be durable at once

_log = logging.getLogger("moonlet.ledger")

Value = str | int | float | None
Row = tuple[Any, ...]


class DatabaseError(Exception):
    """The database cannot be opened, read or written."""


class RowError(DatabaseError):
    """What was to be written cannot be, however often it is tried."""


class Connection(Protocol):
    """What runs within a transaction."""

    lock_rows: str  # ends a SELECT whose rows this transaction will change

    def run(self, sql: str, values: Sequence[Value] = ()) -> list[Row]:
        """The rows of one statement; of one that changes something, none unless it says RETURNING."""
        ...


class Database(Protocol):
    """Safe to use from any thread; one transaction runs at a time, whatever is being reported."""

    name: str  # for messages: a path, or a URL without its password
    server: int  # this opening of the database, as others see it in the rows it leaves

    @contextmanager
    def transaction(self, durable: bool = True, patient: bool = True) -> Iterator[Connection]:
        """Kept as a whole at its end, or not at all, whatever becomes of the process. `durable`: a power cut must not
        take it back either, however soon after; otherwise one may that comes within moments. `patient`: waits long
        for another process that is writing. Raises DatabaseError."""
        ...

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """For statements that change nothing: works where nothing can be written. Raises DatabaseError."""
        ...

    @contextmanager
    def reporting(self) -> Iterator[Connection]:
        """For those of them that look through many rows: one at a time, over a connection of their own, so that no
        request waits for them. Raises DatabaseError."""
        ...

    def hold(self) -> None:
        """From now on this opening counts as alive, until its process ends. Raises DatabaseError."""
        ...

    def is_dead(self, server: int) -> bool:
        """Whether the server of that number has ended, however it did. Raises DatabaseError."""
        ...

    def close(self) -> None: ...


def open_database(place: str | Path) -> Database:
    """A file of SQLite, made if it is not there, or a `postgresql://` URL. Raises DatabaseError."""
    if str(place).startswith(("postgresql://", "postgres://")):
        try:
            from .postgres import Postgres
        except ImportError:  # an extra of the package
            raise DatabaseError("a postgresql:// ledger needs psycopg: pip install 'moonlet[postgres]'") from None
        return Postgres(str(place))
    if "://" in str(place):
        raise DatabaseError(f"{without_password(str(place))}: a ledger is a file or a postgresql:// URL")
    return Sqlite(Path(place).expanduser())


def without_password(url: str) -> str:
    """The URL as it may be shown: passwords, in whichever place they can stand, are left out."""
    try:
        parts = urlsplit(url)
        user, at, place = parts.netloc.rpartition("@")
        return urlunsplit((parts.scheme, user.partition(":")[0] + at + place, parts.path, "", ""))
    except ValueError:
        return url.partition("://")[0] + "://..."


def migrate(connection: Connection, name: str) -> None:
    """Brings the tables to this version's, within one transaction."""
    connection.run("CREATE TABLE IF NOT EXISTS moonlet_schema (version BIGINT PRIMARY KEY)")
    done = {int(row[0]) for row in connection.run("SELECT version FROM moonlet_schema")}
    if done and max(done) > max(MIGRATIONS):
        raise DatabaseError(f"{name}: a newer moonlet wrote it (tables {max(done)}, known here {max(MIGRATIONS)})")
    for version, statements in MIGRATIONS.items():
        if version not in done:
            for statement in statements:
                connection.run(statement)
            connection.run("INSERT INTO moonlet_schema VALUES (?)", (version,))


class _SqliteConnection:
    lock_rows = ""  # a transaction that writes has the whole file to itself

    def __init__(self, inner: sqlite3.Connection) -> None:
        self._inner = inner

    def run(self, sql: str, values: Sequence[Value] = ()) -> list[Row]:
        return self._inner.execute(sql, tuple(values)).fetchall()


class Sqlite:
    """A file. The journal is synced at each durable commit, with all that went before, and SYNC_S after any other."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.server = secrets.randbits(62)
        self._lock = threading.Lock()
        self._held: int | None = None
        self._durable = True
        self._reports = threading.Lock()
        self._read_only = f"{path.absolute().as_uri()}?mode=ro"
        self._journal = f"{path.absolute()}-wal"
        self._unsynced = threading.Event()  # there are commits that a power cut could take back
        self._syncing: threading.Thread | None = None
        self._closing = threading.Event()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # who used what is nobody else's business
            self._inner = sqlite3.connect(path, timeout=WAIT_S, isolation_level=None, check_same_thread=False)
            self._inner.execute("PRAGMA journal_mode = WAL")
            self._inner.execute("PRAGMA synchronous = FULL")
            self._connection = _SqliteConnection(self._inner)
            if not self._is_current():  # on a full disk a ledger that is there opens all the same
                with self.transaction() as connection:
                    migrate(connection, self.name)
        except (OSError, sqlite3.Error) as error:
            raise DatabaseError(f"{self.name}: cannot be opened as a ledger ({error})") from None

    def _is_current(self) -> bool:
        try:
            newest = self._inner.execute("SELECT MAX(version) FROM moonlet_schema").fetchone()[0]
        except sqlite3.OperationalError:  # no such table: a new file
            return False
        return bool(newest == max(MIGRATIONS))

    @contextmanager
    def transaction(self, durable: bool = True, patient: bool = True) -> Iterator[Connection]:
        with self._lock, self._told():
            if durable is not self._durable:  # it holds until it is said again
                self._inner.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
                self._durable = durable
            self._begin(patient)
            try:
                yield self._connection
                self._inner.execute("COMMIT")
                if not durable:
                    self._sync_soon()
            finally:
                if self._inner.in_transaction:
                    self._inner.execute("ROLLBACK")

    def _begin(self, patient: bool) -> None:
        if not patient:
            self._inner.execute(f"PRAGMA busy_timeout = {int(_IMPATIENT_S * 1000)}")
        try:
            self._inner.execute("BEGIN IMMEDIATE")
        finally:
            if not patient:
                self._inner.execute(f"PRAGMA busy_timeout = {int(WAIT_S * 1000)}")

    def _sync_soon(self) -> None:
        self._unsynced.set()
        if self._syncing is None:
            self._syncing = threading.Thread(target=self._sync, name="moonlet-ledger-sync", daemon=True)
            self._syncing.start()

    def _sync(self) -> None:
        """Beside the requests, whose answers need not wait for the disk, and for many of them at once."""
        failing = closing = False
        while not closing:
            self._unsynced.wait()
            self._closing.wait(SYNC_S)
            self._unsynced.clear()
            closing = self._closing.is_set()  # after that: whoever closes sets this first, and its call is not lost
            try:
                journal = os.open(self._journal, os.O_RDONLY)
                try:
                    os.fsync(journal)
                finally:
                    os.close(journal)
                failing = False
            except OSError as error:
                if not failing:
                    _log.error("%s: a power cut could take back the latest rows: %s", self.name, error.strerror)
                failing = True

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self._lock, self._told():
            yield self._connection

    @contextmanager
    def reporting(self) -> Iterator[Connection]:
        with self._reports, self._told(), closing(sqlite3.connect(self._read_only, WAIT_S, uri=True)) as inner:
            yield _SqliteConnection(inner)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.DataError, sqlite3.IntegrityError, OverflowError, UnicodeEncodeError) as error:
            raise RowError(f"{self.name}: {error}") from None
        except (sqlite3.Error, OSError) as error:
            raise DatabaseError(f"{self.name}: {error}") from None

    def hold(self) -> None:
        with self._told():
            for left in glob.glob(glob.escape(self.name) + "-server-*"):
                self.is_dead(int(left.rpartition("-")[2], 16))  # what dead ones leave is cleared away
            file = self._lock_file(self.server)
            while True:
                self._held = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
                fcntl.flock(self._held, fcntl.LOCK_EX)
                with suppress(FileNotFoundError):
                    if os.path.samestat(os.fstat(self._held), os.stat(file)):
                        return
                os.close(self._held)  # somebody cleared it away before it was locked

    def is_dead(self, server: int) -> bool:
        if server == self.server:
            return False
        try:
            file = os.open(self._lock_file(server), os.O_RDWR)
        except FileNotFoundError:
            return True
        except OSError as error:
            raise DatabaseError(f"{self._lock_file(server)}: {error.strerror}") from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with suppress(OSError):
                os.unlink(self._lock_file(server))
        except BlockingIOError:
            return False
        finally:
            os.close(file)
        return True

    def _lock_file(self, server: int) -> str:
        return f"{self.name}-server-{server:x}"

    def close(self) -> None:
        with self._lock:
            if self._syncing is not None:
                self._closing.set()
                self._unsynced.set()
                self._syncing.join()
            self._inner.close()
        if self._held is not None:
            with suppress(OSError):
                os.unlink(self._lock_file(self.server))
            os.close(self._held)
            self._held = None
