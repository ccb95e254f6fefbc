"""A ledger that cannot be written for a while: nobody waits for it, and what waited is written when it can be."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from moonlet.ledger import database, keys, report, rows
from moonlet.ledger.books import Books, Entry, OverLimitError, Took
from moonlet.ledger.database import DatabaseError, open_database
from moonlet.ledger.keys import Limits
from postgres import postgres

pytestmark = pytest.mark.long


def full(*_: object, **__: object) -> NoReturn:
    raise DatabaseError("the disk is full")


def test_many_rows_are_caught_up_fast_and_hold_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a disk whose syncs take 20 ms each; one of the rows is none that a database takes."""
    with closing(Books(open_database(tmp_path / "ledger"))) as kept:
        key, _ = keys.add(kept.database, "ann", limits=Limits(tokens_per_day=1_000_000))
        monkeypatch.setattr(kept.database, "transaction", full)
        odd = kept.admit(None, "chat", "nano", 1, 1)
        kept.settle(odd, "done", Took(1, 0, 1 << 70))
        many = [kept.settle(kept.admit(None, "chat", "nano", 1, 1), "done", Took(1, 0, 1)) for _ in range(2000)]
        under_way = kept.admit(key, "chat", "nano", 10, 10)
        monkeypatch.undo()
        transaction = kept.database.transaction

        @contextmanager
        def slow(durable: bool = True, **how: bool) -> Iterator[object]:
            with transaction(durable, **how) as connection:
                yield connection
                time.sleep(0.02 * durable)

        monkeypatch.setattr(kept.database, "transaction", slow)
        began, slowest, met = time.monotonic(), 0.0, list[Entry]()
        while kept.waiting or len(met) < 3:
            last = time.monotonic()
            met.append(kept.settle(kept.admit(key, "chat", "nano", 1, 1), "done", Took(1, 0, 1)))
            slowest = max(slowest, time.monotonic() - last)
            if len(met) == 3:
                kept.settle(under_way, "done", Took(10, 0, 10))
            assert time.monotonic() < began + 20
            time.sleep(0.05)
        assert slowest < 1 and kept.given_up == 1
        states = {str(row["id"]): row["state"] for row in report.rows(kept.database)}
        assert states == dict.fromkeys([entry.id for entry in (*many, under_way, *met)], "done")
        with kept.database.reading() as connection:
            assert {row[0] for row in connection.run("SELECT tokens FROM spent")} == {20 + 2 * len(met)}


def test_nobody_waits_for_who_looks_for_a_postgresql_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    psycopg = pytest.importorskip("psycopg", reason="psycopg, the driver of PostgreSQL, is not installed")
    connect = psycopg.connect

    def unreachable(*_: object, **__: object) -> NoReturn:
        time.sleep(2)
        raise psycopg.OperationalError("connection timeout expired")

    with postgres() as url, closing(Books(open_database(url))) as kept:
        key, _ = keys.add(kept.database, "ann", limits=Limits(concurrent=9))
        with connect(url, autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
                "AND pid <> pg_backend_pid()"
            )
        monkeypatch.setattr(psycopg, "connect", unreachable)
        sent = [kept.settle(kept.admit(key, "chat", "nano", 1, 1), "done", Took(1, 0, 1))]  # it waits, and finds out
        slowest, until = 0.0, time.monotonic() + 9
        while time.monotonic() < until:
            began = time.monotonic()
            sent.append(kept.settle(kept.admit(key, "chat", "nano", 1, 1), "done", Took(1, 0, 1)))
            slowest = max(slowest, time.monotonic() - began)
            time.sleep(0.02)
        assert slowest < 1 and kept.waiting == len(sent)
        monkeypatch.undo()
        until = time.monotonic() + 20
        while kept.waiting:
            assert time.monotonic() < until
            time.sleep(0.05)
        assert {str(row["id"]) for row in report.rows(kept.database)} == {entry.id for entry in sent}


def test_requests_at_once_are_counted_while_rows_are_caught_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those of a part that is written and still waits for that to be noted."""
    with closing(Books(open_database(tmp_path / "ledger"))) as kept:
        key, _ = keys.add(kept.database, "ann", limits=Limits(concurrent=2))
        early = [kept.admit(key, "chat", "nano", 1, 1) for _ in range(2)]
        monkeypatch.setattr(kept, "_flush", lambda patient: None)
        with monkeypatch.context() as away:
            away.setattr(kept.database, "transaction", full)
            over = [kept.settle(entry, "done", Took(1, 0, 1)) for entry in early]
        with kept.database.transaction() as connection:
            for entry in over:
                rows.write(connection, entry, kept.database.server)
        for _ in range(2):
            kept.admit(key, "chat", "nano", 1, 1)
        with pytest.raises(OverLimitError, match="concurrent"):
            kept.admit(key, "chat", "nano", 1, 1)
        monkeypatch.undo()


def test_a_new_line_to_postgresql_is_used_only_with_its_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The old session may still hold it; without it other servers take this one for dead."""
    psycopg = pytest.importorskip("psycopg", reason="psycopg, the driver of PostgreSQL, is not installed")
    with postgres() as url, closing(Books(open_database(url))) as kept, closing(open_database(url)) as other:
        monkeypatch.setattr(kept.database._line, "_settings", "-c lock_timeout=100")  # type: ignore[attr-defined]
        entry = kept.admit(None, "chat", "nano", 1, 1)
        with psycopg.connect(url, autocommit=True) as holds:
            waits = threading.Thread(
                target=holds.execute, args=("SELECT pg_advisory_lock(%s)", (kept.database.server,))
            )
            waits.start()
            with psycopg.connect(url, autocommit=True) as ends:
                ends.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted")
            waits.join(20)
            kept.settle(entry, "done", Took(1, 0, 1))
            assert kept.waiting == 1
            time.sleep(2.1)  # it is tried again then
            kept._flush(patient=True)
            assert kept.waiting == 1
        until = time.monotonic() + 20
        while kept.waiting:
            assert time.monotonic() < until
            time.sleep(0.05)
        assert not other.is_dead(kept.database.server)


def test_a_close_is_not_lost_between_two_lines_of_the_thread_that_syncs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "SYNC_S", 2e-4)
    dice = random.Random(0)
    for _ in range(300):
        ledger = open_database(tmp_path / "ledger")
        with ledger.transaction(durable=False) as connection:
            connection.run("SELECT 1")
        time.sleep(dice.random() * 6e-4)
        closing_thread = threading.Thread(target=ledger.close, daemon=True)
        closing_thread.start()
        closing_thread.join(10)
        assert not closing_thread.is_alive()
