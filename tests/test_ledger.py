"""The ledger: rows, sums, retention, and what is left of it when a server dies or a disk is full.

Everything that speaks SQL runs on SQLite and on a real PostgreSQL server.
"""

import errno
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from moonlet.ledger import keys, report
from moonlet.ledger.books import Books, Entry, OverLimitError, Took
from moonlet.ledger.database import Database, DatabaseError, open_database, without_password
from moonlet.ledger.keys import NANO, KeyEndedError, KeyRefusedError, Limits
from moonlet.ledger.money import Price
from postgres import postgres

TOOK = Took(100, 40, 10, 3, queue_s=0.5, prefill_s=1.0, decode_s=2.0, expert_hits=7, expert_reads=2, bytes_read=4096)
NOVEMBER = 1_795_000_000.0  # 2026-11-18, 09:46:40 UTC


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty ledger may be opened, as often as is wanted."""
    if request.param == "sqlite":
        return str(tmp_path / "ledger.sqlite")
    url: str = request.getfixturevalue("server")
    import psycopg

    name = f"test_{time.monotonic_ns()}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return url.replace("/postgres?", f"/{name}?")


@pytest.fixture
def database(place: str) -> Iterator[Database]:
    with closing(open_database(place)) as opened:
        yield opened


@contextmanager
def books(place: str, **settings: object) -> Iterator[Books]:
    with closing(Books(open_database(place), **settings)) as opened:  # type: ignore[arg-type]
        yield opened


def rows(place: str) -> list[dict[str, object]]:
    with closing(open_database(place)) as opened:
        return list(report.rows(opened))


def spent(database: Database) -> dict[str, tuple[int, int]]:
    with database.reading() as connection:
        return {row[0]: (row[1], row[2]) for row in connection.run("SELECT period, tokens, nano_usd FROM spent")}


# Rows.


def test_a_row_is_there_from_admission_to_the_end(place: str) -> None:
    with books(place, price=Price.read("0.60/0.15/2.50"), clock=lambda: NOVEMBER) as kept:
        key, _ = keys.add(kept.database, "ann", owner="team")
        entry = kept.admit(key, "chat", "nano", 100, 50, asked="secret words")
        (row,) = report.rows(kept.database)
        assert (row["state"], row["key_name"], row["owner"], row["prompt_tokens"]) == ("running", "ann", "team", None)
        assert spent(kept.database)["2026-11-18"] == (150, 100 * 600 + 50 * 2500)
        kept.settle(entry, "done", TOOK)
        (row,) = report.rows(kept.database, prompts=True)
        assert row["state"] == "done" and row["ended"] == NOVEMBER and row["day"] == "2026-11-18"
        for name in ("prompt_tokens", "cached_tokens", "output_tokens", "thinking_tokens", "prefill_s", "bytes_read"):
            assert row[name] == getattr(TOOK, name)
        cost = 60 * 600 + 40 * 150 + 10 * 2500
        assert (row["nano_usd"], row["price"], row["joules"]) == (cost, "0.60/0.15/2.50", None)
        assert row["asked"] is None  # prompts are not kept unless that is asked for
        # What lay in the cache counts for no quota: 60 computed and 10 written.
        assert spent(kept.database) == {"2026-11-18": (70, cost), "2026-11": (70, cost)}


def test_prompts_are_kept_only_when_asked(place: str) -> None:
    with books(place, keep_prompts=True) as kept:
        kept.settle(kept.admit(None, "chat", "nano", 1, 1, asked='{"messages": []}'), "done", TOOK)
        (row,) = report.rows(kept.database, prompts=True)
        assert row["asked"] == '{"messages": []}' and "asked" not in next(report.rows(kept.database))
        assert report.prune(kept.database, time.time() + 1) == 1
        with kept.database.reading() as connection:
            assert connection.run("SELECT COUNT(*) FROM prompts") == [(0,)]


def test_settling_twice_charges_once(place: str) -> None:
    with books(place) as kept:
        key, _ = keys.add(kept.database, "ann")
        entry = kept.admit(key, "chat", "nano", 100, 50)
        kept.settle(entry, "done", TOOK)
        kept.settle(entry, "done", TOOK)
        assert set(spent(kept.database).values()) == {(70, 0)} and len(list(report.rows(kept.database))) == 1


def test_a_request_belongs_to_the_day_and_month_in_which_it_began(place: str) -> None:
    now = [1_796_083_199.0]  # the last second of November 2026
    with books(place, clock=lambda: now[0]) as kept:
        key, _ = keys.add(kept.database, "ann", limits=Limits(tokens_per_month=100))
        entry = kept.admit(key, "chat", "nano", 50, 50)
        with pytest.raises(OverLimitError):
            kept.admit(key, "chat", "nano", 1, 0)
        now[0] += 1
        kept.admit(key, "chat", "nano", 50, 50)
        kept.settle(entry, "done", Took(50, 0, 20))
        assert spent(kept.database)["2026-11"] == spent(kept.database)["2026-11-30"] == (70, 0)
        assert spent(kept.database)["2026-12"] == (100, 0)


def test_sums_by_key_day_and_model(place: str) -> None:
    now = [NOVEMBER]
    with books(place, price=Price.read("1/1/1"), clock=lambda: now[0]) as kept:
        ann, _ = keys.add(kept.database, "ann", owner="team")
        bob, _ = keys.add(kept.database, "bob", owner="team")
        for key, model, state, days in (
            (ann, "nano", "done", 0),
            (ann, "big", "error", 1),
            (bob, "nano", "cancelled", 1),
            (None, "nano", "done", 2),
        ):
            now[0] = NOVEMBER + days * 86400
            kept.settle(kept.admit(key, "chat", model, 100, 50), state, TOOK)  # type: ignore[arg-type]
        kept.admit(ann, "chat", "nano", 5, 5)

        def told(by: report.By | None, *bounds: float | None) -> dict[str, int]:
            return {line.name: line.requests for line in report.sums(kept.database, by, *bounds)}

        assert told("key") == {"ann": 3, "bob": 1, "(no key)": 1} and told("owner") == {"team": 4, "(no key)": 1}
        assert told("day") == {"2026-11-18": 1, "2026-11-19": 2, "2026-11-20": 2}
        assert told("model") == {"nano": 4, "big": 1} and told(None) == {"all": 5}
        assert told("day", NOVEMBER + 1, NOVEMBER + 86401) == {"2026-11-19": 2}
        line = next(line for line in report.sums(kept.database, "key") if line.name == "ann")
        assert (line.done, line.error, line.running, line.prompt_tokens, line.cached_tokens) == (1, 1, 1, 200, 80)
        assert (line.prefill_s, line.expert_hits, line.bytes_read) == (2.0, 14, 8192)
        assert line.nano_usd == 2 * 110 * 1000 and line.joules_measured is None and line.joules_modelled is None
        assert report.sums(kept.database, None, NOVEMBER + 10 * 86400) == []


def test_a_report_holds_up_no_request_and_changes_nothing(place: str) -> None:
    with books(place) as kept, ThreadPoolExecutor(1) as beside:
        with kept.database.reporting() as connection:
            assert connection.run("SELECT COUNT(*) FROM requests") == [(0,)]
            asked = beside.submit(lambda: kept.settle(kept.admit(None, "chat", "nano", 1, 1), "done", TOOK))
            asked.result(20)
            assert connection.run("SELECT state FROM requests") == [("done",)]
        with pytest.raises(DatabaseError), kept.database.reporting() as connection:
            connection.run("DELETE FROM requests")
        assert len(list(report.rows(kept.database))) == 1


def test_old_rows_are_deleted_and_quotas_stay(place: str) -> None:
    with books(place, clock=lambda: NOVEMBER) as kept:
        key, _ = keys.add(kept.database, "ann")
        kept.settle(kept.admit(key, "chat", "nano", 100, 50), "done", TOOK)
        kept.admit(key, "chat", "nano", 100, 50)  # still running: never deleted
        assert report.prune(kept.database, NOVEMBER) == 0
        assert report.prune(kept.database, NOVEMBER + 1) == 1
        assert [row["state"] for row in report.rows(kept.database)] == ["running"]
        assert spent(kept.database)["2026-11"] == (70 + 150, 0)


def test_many_rows_come_in_pages_in_their_order(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "_PAGE", 7)
    with books(place, clock=lambda: NOVEMBER) as kept:
        ids = {kept.settle(kept.admit(None, "chat", "nano", 1, 1), "done", TOOK).id for _ in range(30)}
        assert [row["id"] for row in report.rows(kept.database, NOVEMBER, NOVEMBER + 1)] == sorted(ids)
        assert report.prune(kept.database, NOVEMBER + 1) == 30


# Keys.


def test_a_key_is_shown_once_and_only_its_hash_is_kept(place: str) -> None:
    with closing(open_database(place)) as database:
        key, secret = keys.add(database, "ann", scopes=("chat",), limits=Limits(concurrent=2))
        other, _ = keys.add(database, "bob", owner="team", weight=2, priority="batch", expires=time.time() - 1)
        assert secret.startswith(key.prefix) and len(secret) == len(keys.MARK) + 43
        assert keys.of_secret(database, secret) == key and keys.all_keys(database) == [key, other]
        assert key.usable(time.time()) and not other.usable(time.time())
        assert keys.of_secret(database, secret[:-1]) is None and keys.of_secret(database, "\ud800") is None
        with database.reading() as connection:
            stored = str(connection.run("SELECT * FROM keys"))
        assert secret not in stored and secret[len(key.prefix) :] not in stored
        assert not keys.revoke(database, "ann").usable(time.time())
        found = keys.of_secret(database, secret)
        assert found is not None and found.revoked == keys.revoke(database, "ann").revoked
        assert keys.limit(database, "bob", {"tokens_per_day": 5, "concurrent": None}).limits == Limits(tokens_per_day=5)
        assert keys.all_keys(database)[1].limits == Limits(tokens_per_day=5)
        assert keys.limit(database, "bob", {"tokens_per_day": None}).limits == Limits()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"name": "ann"}, "already"),
        ({"name": ""}, "name is 1 to 64"),
        ({"name": "a b"}, "name is 1 to 64"),
        ({"name": "x\n"}, "name is 1 to 64"),
        ({"name": "x" * 65}, "name is 1 to 64"),
        ({"weight": 0}, "weight must be between"),
    ],
)
def test_keys_that_cannot_be(tmp_path: Path, change: dict[str, object], told: str) -> None:
    with closing(open_database(tmp_path / "ledger")) as database:
        keys.add(database, "ann")
        with pytest.raises(KeyRefusedError, match=told):
            keys.add(database, **{"name": "bob", **change})  # type: ignore[arg-type]
        with pytest.raises(KeyRefusedError, match="no key 'eve'"):
            keys.revoke(database, "eve")
        with pytest.raises(KeyRefusedError, match="at least 1"):
            keys.limit(database, "ann", {"concurrent": 0})
        assert len(keys.all_keys(database)) == 1


def test_a_key_that_has_ended_is_admitted_no_more(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also to whom the key was given while it was good, and also while nothing can be written."""
    now = [NOVEMBER]
    with books(place, clock=lambda: now[0]) as kept:
        ann, _ = keys.add(kept.database, "ann")
        bob, _ = keys.add(kept.database, "bob", expires=NOVEMBER + 10)
        kept.settle(kept.admit(ann, "chat", "nano", 1, 1), "done", TOOK)
        kept.settle(kept.admit(bob, "chat", "nano", 1, 1), "done", TOOK)
        keys.revoke(kept.database, "ann")
        now[0] += 10
        for _ in range(2):
            with pytest.raises(KeyEndedError, match="the key ann was revoked"):
                kept.admit(ann, "chat", "nano", 1, 1)
            with pytest.raises(KeyEndedError, match="the key bob has expired"):
                kept.admit(bob, "chat", "nano", 1, 1)
            monkeypatch.setattr(kept.database, "transaction", _full)
            kept.admit(None, "chat", "nano", 1, 1)
        assert kept.waiting == 2 and len(list(report.rows(kept.database))) == 2
        monkeypatch.undo()


def _full(*_: object, **__: object) -> NoReturn:
    raise DatabaseError("the disk is full")


# Quotas among threads and servers.


def test_no_limit_is_exceeded_by_many_at_once(place: str) -> None:
    """Four servers on one database, eight requests at a time: exactly as many are admitted as fit."""
    with closing(open_database(place)) as database:
        key, _ = keys.add(database, "ann", limits=Limits(tokens_per_day=1000))
    servers = [Books(open_database(place)) for _ in range(4)]

    def ask(number: int) -> Entry | None:
        try:
            return servers[number % 4].admit(key, "chat", "nano", 60, 40)
        except OverLimitError:
            return None

    with ThreadPoolExecutor(8) as pool:
        entries = [entry for entry in pool.map(ask, range(32)) if entry]
    assert len(entries) == 10
    assert all(server.failures == 0 for server in servers)
    for number, entry in enumerate(entries):
        servers[number % 4].settle(entry, "done", Took(60, 50, 10))  # 20 of each reserved 100
    assert set(spent(servers[0].database).values()) == {(200, 0)}
    with ThreadPoolExecutor(8) as pool:
        assert len([entry for entry in pool.map(ask, range(32)) if entry]) == 8
    for server in servers:
        server.close()


@pytest.mark.parametrize(
    ("limits", "limit"),
    [
        (Limits(tokens_per_minute=99), "tokens per minute"),
        (Limits(tokens_per_day=99), "tokens per day"),
        (Limits(tokens_per_month=99), "tokens per month"),
        (Limits(concurrent=1), "concurrent requests"),
        (Limits(nano_usd_per_month=99_000), "money per month"),
    ],
)
def test_which_limit_is_told(tmp_path: Path, limits: Limits, limit: str) -> None:
    with books(str(tmp_path / "ledger"), price=Price.read("1/1/1"), clock=lambda: NOVEMBER) as kept:
        key, _ = keys.add(kept.database, "ann", limits=limits)
        entry = kept.admit(key, "chat", "nano", 30, 30)
        with pytest.raises(OverLimitError) as refused:
            kept.admit(key, "chat", "nano", 20, 20)
        refusal = refused.value.refusal
        assert refusal.limit == limit and refusal.retry_after_s is not None and limit in str(refusal)
        kept.settle(entry, "done", Took(30, 0, 29))
        kept.admit(key, "chat", "nano", 20, 20)
        if limit != "concurrent requests":
            with pytest.raises(OverLimitError) as refused:
                kept.admit(key, "chat", "nano", 60, 40)
            assert refused.value.refusal.retry_after_s is None and "whole limit" in str(refused.value)


def test_a_money_limit_needs_a_price(tmp_path: Path) -> None:
    with books(str(tmp_path / "ledger")) as kept:
        key, _ = keys.add(kept.database, "ann", limits=Limits(nano_usd_per_month=NANO))
        with pytest.raises(OverLimitError, match="price"):
            kept.admit(key, "chat", "nano", 1, 1)


# Servers that die.

_SERVER = """
import sys, time
from moonlet.ledger import keys
from moonlet.ledger.books import Books, Took
from moonlet.ledger.database import open_database
books = Books(open_database(sys.argv[1]))
key = next(key for key in keys.all_keys(books.database) if key.name == "ann")
number = 0
while True:
    entry = books.admit(key, "chat", "nano", 10, 10)
    print("open", entry.id, flush=True)
    if number % 3:
        books.settle(entry, "done", Took(5, 0, 5))
        print("done", entry.id, flush=True)
    number += 1
"""


def test_a_killed_server_loses_only_rows_in_flight(place: str) -> None:
    with closing(open_database(place)) as database:
        keys.add(database, "ann")
    living = Books(open_database(place))
    alive = living.admit(None, "chat", "nano", 1, 1)
    child = subprocess.Popen([sys.executable, "-c", _SERVER, place], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    told = "".join(child.stdout.readline() for _ in range(60))
    child.send_signal(signal.SIGKILL)
    told += child.stdout.read()
    child.wait()
    said = told.rpartition("\n")[0].splitlines()  # it may have been killed within a line
    opened = {line.split()[1] for line in said if line.startswith("open")}
    done = {line.split()[1] for line in said if line.startswith("done")}
    time.sleep(0.2)  # PostgreSQL needs a moment to see that a session's process is gone
    living.close_lost()
    states = {str(row["id"]): row["state"] for row in rows(place)}
    assert states.pop(alive.id) == "running", "a living server's row is not lost"
    assert len(set(states) - opened) <= 1, "at most the one that was not yet said"
    assert opened <= set(states) and all(states[id] == "done" for id in done)
    assert {states[id] for id in opened - done} <= {"lost", "done"} and "lost" in states.values()
    kept = 10 * sum(state == "done" for state in states.values())
    assert kept in {tokens for tokens, _ in spent(living.database).values()}, "what was in flight is charged nothing"
    living.close()
    if "://" not in place:
        with books(place) as last:
            locks = list(Path(place).parent.glob("*-server-*"))
            assert [file.name for file in locks] == [f"ledger.sqlite-server-{last.database.server:x}"]


def test_the_next_start_marks_what_was_lost(place: str) -> None:
    first = Books(open_database(place))
    entry = first.admit(None, "chat", "nano", 1, 1)
    first.database.close()  # without settling
    with books(place) as second:
        assert [row["state"] for row in report.rows(second.database)] == ["lost"]
        second.settle(entry, "done", TOOK)  # it was not dead after all
        assert [row["state"] for row in report.rows(second.database)] == ["done"]


def test_a_dead_server_does_not_hold_back_a_key(place: str) -> None:
    with closing(open_database(place)) as database:
        key, _ = keys.add(database, "ann", limits=Limits(concurrent=1))
    with books(place) as living:
        dying = Books(open_database(place))
        dying.admit(key, "chat", "nano", 1, 1)
        with pytest.raises(OverLimitError):
            living.admit(key, "chat", "nano", 1, 1)
        dying.database.close()
        until = time.monotonic() + 10  # PostgreSQL lets go of a lock when its process has seen that the line is closed
        while True:
            living._swept = -1e9
            try:
                living.admit(key, "chat", "nano", 1, 1)
                break
            except OverLimitError:
                assert time.monotonic() < until
                time.sleep(0.01)


# Databases that cannot be used.


def _limit_files(size: int) -> None:
    """Files of this process cannot grow beyond: what a full disk is to a database."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def test_a_full_disk_stops_no_request_and_loses_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    place = str(tmp_path / "ledger")
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    with books(place) as kept:
        key, _ = keys.add(kept.database, "ann", limits=Limits(tokens_per_day=2000, concurrent=5))
        early = [kept.settle(kept.admit(key, "chat", "nano", 10, 10), "done", Took(10, 0, 10)) for _ in range(20)]
        open_before = kept.admit(key, "chat", "nano", 10, 10)
        try:
            _limit_files(4096)
            late = [kept.admit(key, "chat", "nano", 10, 90) for _ in range(4)]
            with pytest.raises(OverLimitError, match="concurrent"):
                kept.admit(key, "chat", "nano", 1, 1)
            kept.settle(open_before, "done", Took(10, 0, 10))
            for entry in late:
                kept.settle(entry, "done", Took(10, 0, 90))
            assert kept.waiting == 5 and kept.failures >= 1 and kept.given_up == 0
            # 400 tokens are written, 20 and 400 wait.
            with pytest.raises(OverLimitError, match="820 used, up to 1,181 wanted"):
                kept.admit(key, "chat", "nano", 1181, 0)
        finally:
            _limit_files(unlimited)
        assert sum("rows wait in memory" in message for message in caplog.messages) == 1
        until = time.monotonic() + 20
        while kept.waiting and time.monotonic() < until:
            time.sleep(0.05)
        after = kept.admit(key, "chat", "nano", 10, 10)
        assert kept.waiting == 0 and any("5 requests caught up" in message for message in caplog.messages)
        kept.settle(after, "done", Took(10, 0, 10))
    states = {row["id"]: row["state"] for row in rows(place)}
    assert states == dict.fromkeys([e.id for e in (*early, open_before, *late, after)], "done")
    with closing(open_database(place)) as database:
        assert set(spent(database).values()) == {(20 * 20 + 20 + 400 + 20, 0)}


def test_what_could_not_be_kept_at_all_is_counted_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moonlet.ledger.books.MAX_WAITING", 3)
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    kept = Books(open_database(tmp_path / "ledger"))
    try:
        _limit_files(4096)
        for _ in range(5):
            kept.settle(kept.admit(None, "chat", "nano", 10, 10), "done", Took(10, 0, 10))
        assert (kept.waiting, kept.given_up) == (3, 2)
        kept.close()
    finally:
        _limit_files(unlimited)
    assert any("3 requests with 60 tokens could not be kept" in message for message in caplog.messages)


def test_a_row_that_no_database_takes_holds_up_no_other(place: str, caplog: pytest.LogCaptureFixture) -> None:
    with books(place) as kept:
        key, _ = keys.add(kept.database, "ann", limits=Limits(concurrent=1))
        odd = kept.admit(None, "chat", "nano", 1, 1)
        kept.settle(odd, "error", TOOK, error="half a \ud800 pair,\na \0 and\nlines")
        impossible = kept.admit(key, "chat", "nano", 1, 1)
        kept.settle(impossible, "done", Took(1, 0, 1 << 70))
        kept.settle(kept.admit(key, "chat", "nano", 1, 1), "done", TOOK)  # it may: nothing of it is under way
        assert (kept.given_up, kept.failures, kept.waiting) == (1, 0, 0)
        assert any(impossible.id in message for message in caplog.messages)
        assert [row["state"] for row in report.rows(kept.database)] == ["error", "lost", "done"]
        assert next(report.rows(kept.database))["error"] == "half a ? pair, a and lines"


def test_a_postgresql_that_is_away_holds_up_nobody(caplog: pytest.LogCaptureFixture) -> None:
    with postgres() as url:
        kept = Books(open_database(url))
        key, _ = keys.add(kept.database, "ann", limits=Limits(concurrent=2))
        before = kept.admit(key, "chat", "nano", 1, 1)
    began = time.monotonic()
    for _ in range(50):
        kept.settle(kept.admit(key, "chat", "nano", 1, 1), "done", TOOK)
    kept.settle(before, "done", TOOK)
    with pytest.raises(DatabaseError):
        keys.all_keys(kept.database)
    assert kept.waiting == 51 and time.monotonic() - began < 20
    kept.close()
    assert any("51 requests with 5610 tokens could not be kept" in message for message in caplog.messages)


def test_rows_reach_the_disk_soon_after_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An answer does not wait for the disk. One sync serves many rows, none is left without one, and a disk that cannot
    is told once."""
    sync, synced = os.fsync, list[float]()

    def seen(file: int) -> None:
        synced.append(time.monotonic())
        sync(file)

    monkeypatch.setattr(os, "fsync", seen)
    with books(str(tmp_path / "ledger.sqlite")) as opened:
        for _ in range(100):
            opened.settle(opened.admit(None, "chat", "nano", 10, 10), "done", TOOK)
            last = time.monotonic()
        while not synced or synced[-1] < last:
            assert time.monotonic() < last + 5
            time.sleep(0.01)
        assert len(synced) < 100

        def fails(file: int) -> None:
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(os, "fsync", fails)
        opened.settle(opened.admit(None, "chat", "nano", 10, 10), "done", TOOK)
    assert caplog.text.count("a power cut could take back the latest rows: Input/output error") == 1


def test_many_processes_open_a_new_ledger_at_once(tmp_path: Path) -> None:
    code = "import sys; from moonlet.ledger.database import open_database as o; d = o(sys.argv[1]); d.hold(); d.close()"
    command = [sys.executable, "-c", code, str(tmp_path / "ledger")]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(6)]
    assert [one.communicate()[1] for one in running] == [""] * 6


def test_postgresql_may_be_started_anew(server: str) -> None:
    import psycopg

    with books(server) as kept:
        entry = kept.admit(None, "chat", "nano", 10, 10)
        with psycopg.connect(server, autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'moonlet' "
                "AND pid <> pg_backend_pid()"
            )
        kept.settle(entry, "done", TOOK)
        assert kept.failures == 0 and [row["state"] for row in report.rows(kept.database)] == ["done"]
        other_books = Books(open_database(server))
        assert not other_books.database.is_dead(kept.database.server), "the new session holds the lock again"
        other_books.close()


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("postgresql://ann:geheim@127.0.0.1:1/db", "127.0.0.1"),
        ("mysql://ann:geheim@host/db", "a file or a postgresql:// URL"),
        ("/proc/nothing/ledger", "cannot be opened"),
    ],
)
def test_a_ledger_that_cannot_be_opened_is_one_clear_line(place: str, told: str) -> None:
    with pytest.raises(DatabaseError, match=told) as error:
        open_database(place)
    assert "\n" not in str(error.value) and "geheim" not in str(error.value)


def test_other_files_and_newer_ledgers_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("this is no database, it is a text, and long enough to be seen as one" * 20)
    with pytest.raises(DatabaseError, match="not a database"):
        open_database(tmp_path / "text")
    with closing(open_database(tmp_path / "ledger")) as database, database.transaction() as connection:
        connection.run("INSERT INTO moonlet_schema VALUES (999)")
    with pytest.raises(DatabaseError, match="a newer moonlet wrote it"):
        open_database(tmp_path / "ledger")


def test_nobody_else_can_read_the_file(tmp_path: Path) -> None:
    with closing(open_database(tmp_path / "ledger")):
        for file in tmp_path.iterdir():
            assert file.stat().st_mode & 0o077 == 0, file


def test_a_url_is_shown_without_its_password() -> None:
    assert without_password("postgresql://ann:x@y@db:5/books?password=z") == "postgresql://ann@db:5/books"
    assert without_password("postgresql://[::bad/") == "postgresql://..."
    for url in ("postgresql://ann:sesame@[bad/x", "postgresql://ann:sesame@db:port/x?nope=1"):
        with pytest.raises(DatabaseError) as told:
            open_database(url)
        assert "sesame" not in str(told.value)
