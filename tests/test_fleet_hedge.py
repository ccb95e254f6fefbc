"""An engine that is silent for long is raced by another one, if the owner wants that."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from foreign import Body, Chunks, Foreign, called, delta, said, usage
from moonlet.fleet.hedge import faster
from moonlet.ledger.database import Database, open_database
from moonlet.llm import Done, Event, LLMError, Served
from test_fleet import BEGUN, CLOCK, RENTED, USER, fleet_of, hello, wait_for, whole


class Slow(Foreign):
    """Silent until it may go."""

    def __init__(self, text: str = "slow", status: int = 200) -> None:
        self.go = threading.Event()

        def reply(body: Body) -> Chunks | int:
            self.go.wait(20)
            return said(text) if status == 200 else status

        super().__init__(reply)

    def close(self) -> None:
        self.go.set()
        super().close()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(open_database(tmp_path / "ledger.sqlite")) as opened:
        yield opened


def test_the_second_answers_where_the_first_is_silent() -> None:
    with Slow() as slow, Foreign(hello("fast")) as fast, fleet_of(slow.url, fast.url, hedge_s=0.05) as fleet:
        assert whole(fleet) == (fast.name, "fast")
        assert fleet.counts.all()["engine_hedged"] == {fast.name: 1}
        assert fleet.replicas[0].in_flight == 1 and fleet.replicas[0].up  # slow is not ill
        slow.go.set()
        wait_for(lambda: fleet.replicas[0].in_flight == 0)
        assert "engine_replies" in fleet.counts.all() and slow.name not in fleet.counts.all()["engine_replies"]


def test_the_first_wins_if_it_speaks_first() -> None:
    with Slow("first") as slow, Slow("second") as slower, fleet_of(slow.url, slower.url, hedge_s=0.05) as fleet:
        threading.Timer(0.3, slow.go.set).start()
        assert whole(fleet) == (slow.name, "first") and len(slower.bodies) == 1


def test_nobody_is_asked_twice_unless_that_is_wanted_or_needed() -> None:
    with Slow() as slow, Foreign(hello("fast")) as fast:
        for hedge_s in (None, 10.0):
            slow.go.clear()
            with fleet_of(slow.url, fast.url, hedge_s=hedge_s) as fleet:
                threading.Timer(0.2, slow.go.set).start()
                assert whole(fleet) == (slow.name, "slow") and not fast.bodies


def test_nothing_is_rented_for_it(database: Database) -> None:
    with (
        Slow() as slow,
        Foreign(hello("far")) as far,
        fleet_of(slow.url, f"{far.url},{RENTED}", database=database, hedge_s=0.02) as fleet,
    ):
        threading.Timer(0.3, slow.go.set).start()
        assert whole(fleet) == (slow.name, "slow") and not far.bodies


def test_one_that_fails_in_the_race_loses_it() -> None:
    with Slow(status=500) as ill, Slow("well") as well, fleet_of(ill.url, well.url, hedge_s=0.05) as fleet:
        threading.Timer(0.2, ill.go.set).start()
        threading.Timer(0.5, well.go.set).start()
        assert whole(fleet) == (well.name, "well")
        assert fleet.counts.all()["engine_failures"] == {ill.name: 1}
    with Slow(status=500) as ill, Slow(status=500) as worse, fleet_of(ill.url, worse.url, hedge_s=0.05) as fleet:
        for one in (ill, worse):
            threading.Timer(0.2, one.go.set).start()
        with pytest.raises(LLMError, match="status 500"):
            whole(fleet)


REST = [delta(tool_calls=[{"index": 0, "function": {"arguments": "}"}}]), delta("tool_calls"), usage(20, 8)]


def test_a_call_that_is_being_written_is_no_silence() -> None:
    go = threading.Event()

    def writes(body: Body) -> Any:
        yield BEGUN
        go.wait(20)
        yield from REST

    with Foreign(writes) as slow, Foreign(hello("fast")) as fast, fleet_of(slow.url, fast.url, hedge_s=0.5) as fleet:
        threading.Timer(1.5, go.set).start()
        *_, done = fleet.reply(USER, [CLOCK])
        assert isinstance(done, Done) and len(done.message.calls) == 1
        assert done.served == Served(slow.name) and not fast.bodies


@pytest.mark.parametrize("fails", [False, True], ids=["goes on", "fails"])
def test_of_two_that_write_calls_the_later_is_left_where_it_begins(fails: bool) -> None:
    """And is asked again, if then the other one fails."""
    begin, end = threading.Event(), threading.Event()

    def writes() -> Any:
        begin.wait(60)
        yield BEGUN
        end.wait(60)
        yield from [{"error": {"message": "out of memory"}}] if fails else REST

    reply: Any = lambda body: called(("clock", "{}")) if end.is_set() else writes()
    with Foreign(reply) as one, Foreign(reply) as two, fleet_of(one.url, two.url, hedge_s=0.05) as fleet:
        heard: list[Event] = []
        reading = threading.Thread(target=lambda: heard.extend(fleet.reply(USER, [CLOCK])), daemon=True)
        reading.start()
        wait_for(lambda: bool(two.bodies))
        begin.set()
        wait_for(lambda: sum(replica.in_flight for replica in fleet.replicas) == 1)
        end.set()
        reading.join(30)
        done = heard[-1]
        assert isinstance(done, Done) and len(done.message.calls) == 1
        assert len(one.bodies) + len(two.bodies) == 2 + fails
        assert sum(fleet.counts.all().get("engine_failures", {}).values()) == fails


def test_what_comes_too_late_is_dropped() -> None:
    dropped: list[str] = []

    def late() -> str:
        time.sleep(0.2)
        return "late"

    assert faster(late, lambda: lambda: "second", 0.02, dropped.append) == "second"
    wait_for(lambda: dropped == ["late"])
    assert faster(late, lambda: None, 0.02, dropped.append) == "late" and dropped == ["late"]
