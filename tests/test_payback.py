"""What owning came to so far, from the ledger's rows: parts that sum, time that is shared, and what is said of it."""

import argparse
import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import date
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonlet.cli import main, make_parser
from moonlet.cli.against import reckon
from moonlet.ledger import keys
from moonlet.ledger.books import Books, Took
from moonlet.ledger.database import open_database
from moonlet.planner.machine import find_machine
from moonlet.planner.money import Money, MoneyError, nothing
from moonlet.planner.payback import PaybackError, SoFar, busy, gather, shared, so_far
from moonlet.planner.plan import Terms
from moonlet.planner.prices import find_price

TODAY = date(2026, 11, 28)
DAY = 86400.0
YEAR = 365 * DAY
API, SEAT = find_price("moonshotai/kimi-k2.6"), find_price("claude-max-20x")


def row(started: float, ended: float | None, **changes: Any) -> dict[str, Any]:
    plain = {"key_name": "ann", "owner": "team", "model": "k2", "state": "done" if ended is not None else "running"}
    plain |= {"prompt_tokens": 1000, "cached_tokens": 900, "output_tokens": 50, "joules": None}
    return {"started": started, "ended": ended, **plain, **changes}


def owning(rows: Sequence[dict[str, Any]], until: float = YEAR, **changes: Any) -> SoFar:
    """A machine of $10,000 that draws 1 kW at work and 100 W idle, since time 0."""
    given = {"terms": Terms(price=Decimal(10_000)), "against": API, "people": None, "machine": None, **changes}
    watts = given.pop("watts", (1000.0, 100.0))
    added = gather(rows, until, watts[0])
    return so_far(added, 0, until, watts=watts, today=TODAY, **given)


# ---- time -----------------------------------------------------------------------------------------------------------


def test_time_is_shared_among_those_under_way() -> None:
    rows = [row(0, 10, key_name="a"), row(0, 4, key_name="b"), row(2, 4, key_name="c"), row(20, None, key_name="d")]
    parts = {found["key_name"]: seconds for found, seconds in busy(rows, until=26)}
    assert parts == pytest.approx({"a": 1 + 2 / 3 + 6, "b": 1 + 2 / 3, "c": 2 / 3, "d": 6})


times = st.floats(0, 1000, allow_nan=False).map(lambda value: round(value, 3))
names = st.sampled_from(["ann", "bob", "eve", None])
tokens = st.integers(0, 10**9)


@st.composite
def ledgers(draw: st.DrawFn) -> list[dict[str, Any]]:
    rows = []
    for started, length in draw(st.lists(st.tuples(times, times), max_size=25)):
        prompt = draw(tokens)
        name = draw(names)
        rows.append(
            row(
                started,
                draw(st.sampled_from([started + length, started + length, None])),
                key_name=name,
                owner=name and draw(st.sampled_from(["team", name])),
                prompt_tokens=prompt,
                cached_tokens=draw(st.integers(0, prompt)),
                output_tokens=draw(tokens),
                joules=draw(st.none() | st.floats(0, 1e6)),
            )
        )
        if draw(st.integers(0, 9)) == 0:
            rows[-1] |= {"state": "lost", "ended": None, "joules": None}
    return sorted(rows, key=lambda one: one["started"])


def union(rows: Sequence[dict[str, Any]], until: float) -> float:
    """Seconds in which at least one ran, counted the plain way."""
    spans = [(r["started"], until if r["ended"] is None else r["ended"]) for r in rows if r["state"] != "lost"]
    marks = sorted({mark for start, end in spans for mark in (min(start, until), min(end, until))})
    return sum(b - a for a, b in pairwise(marks) if any(s <= a and b <= e for s, e in spans))


@given(ledgers())
@settings(deadline=None, max_examples=150)
def test_all_parts_sum_to_the_whole(rows: list[dict[str, Any]]) -> None:
    until = 1500.0
    assert len([*busy(rows, until)]) == len(rows)
    assert sum(seconds for _, seconds in busy(rows, until)) == pytest.approx(union(rows, until), abs=1e-6)
    for against in (API, SEAT):
        found = owning(rows, until, against=against)
        assert found.rows.busy_s == pytest.approx(union(rows, until), abs=1e-6)
        assert 0 <= found.utilisation <= 1
        if not rows:
            assert found.elsewhere == nothing() and found.saved < nothing()
            continue
        cash, full, elsewhere = (sum((one[i] for one in found.by_part), nothing()) for i in (1, 2, 3))
        assert (cash, full, elsewhere) == (found.cash, found.full, found.elsewhere)
        assert found.cash == sum(found.cash_lines.values(), nothing())
        assert found.full == sum(found.full_lines.values(), nothing()) >= found.cash
        assert all(amount.amount >= 0 for one in found.by_part for amount in one[1:])
        assert found.saved == found.elsewhere - found.cash
        assert sum(part.requests for part, *_ in found.by_part) == len(rows)


@given(st.decimals(0, 10**9, places=12), st.lists(st.floats(0, 1e9), max_size=9))
def test_shares_of_an_amount_sum_to_it(amount: Decimal, weights: list[float]) -> None:
    parts = shared(Money(amount), weights)
    assert len(parts) == len(weights) and all(part.amount >= 0 for part in parts)
    assert not weights or sum(parts, nothing()) == Money(amount)


# ---- money ----------------------------------------------------------------------------------------------------------


def test_a_year_by_hand() -> None:
    hours = 876  # a tenth of the year at work, one request after the other, all of one key
    rows = [row(n * 7200.0, n * 7200.0 + 3600, prompt_tokens=10**6, cached_tokens=900_000) for n in range(hours)]
    found = owning(rows)
    assert float(found.utilisation) == pytest.approx(0.1) and found.years == 1
    lines = {name: float(amount.amount) for name, amount in found.full_lines.items()}
    assert lines["electricity at work"] == pytest.approx(876 * 1 * 0.1786)
    assert lines["electricity idle"] == pytest.approx(7884 * 0.1 * 0.1786)
    assert lines["loss of value"] == pytest.approx(10_000 * 0.85 / 4)
    assert lines["interest"] == pytest.approx(10_000 * 1.15 / 2 * 0.06) and lines["care"] == pytest.approx(24 * 80)
    by_token = hours * (Decimal("0.1") * Decimal("0.95") + Decimal("0.9") * Decimal("0.16") + Decimal("0.00005") * 4)
    assert found.elsewhere == Money(by_token)
    assert found.verdict.startswith("Nothing is paid back of $10,000: moonshotai/kimi-k2.6 would have cost $")
    assert "renting was cheaper so far" in found.verdict


def test_payback_is_the_price_over_the_cash_saved() -> None:
    rows = [row(0, YEAR / 4, prompt_tokens=10**10, cached_tokens=0)]
    found = owning(rows, until=YEAR / 2)
    assert found.paid == found.saved.amount / 10_000 and found.payback_years is not None
    assert found.payback_years == pytest.approx(Decimal("0.5") / found.paid)  # what half a year paid of it
    assert f"{found.paid:.1%} of $10,000 is paid back" in found.verdict
    assert owning(rows, until=YEAR / 2, terms=Terms(price=Decimal(100))).verdict.startswith("Paid back: ")
    assert owning(rows, terms=Terms(price=Decimal(0))).paid is None


def test_energy_is_what_was_measured_else_watts_over_the_time_at_work() -> None:
    rows = [row(0, 3600, joules=7_200_000.0), row(3600, 7200)]
    found = owning(rows)
    assert float(found.cash_lines["electricity at work"].amount) == pytest.approx((2 + 1) * 0.1786)
    assert any("1 requests not measured" in note for note in found.notes)
    with pytest.raises(PaybackError, match="the energy of 1 requests was not measured: state --watts"):
        owning(rows, watts=(0.0, 0.0))
    measured = owning(rows[:1], watts=(0.0, 0.0))
    assert any("idle watts not stated" in note for note in measured.notes)


def test_value_is_lost_once() -> None:
    found = owning([row(0, 10)], until=10 * YEAR)
    assert found.full_lines["loss of value"] == Money(Decimal(8_500))


def test_seats_count_from_the_first_request_of_each_owner() -> None:
    rows = [
        row(0, 10, key_name="a", owner="team"),
        row(1, 11, key_name="b", owner="team", prompt_tokens=3000 + 50, cached_tokens=0),
        row(YEAR / 2, YEAR / 2 + 1, key_name="c", owner="eve"),
    ]
    found = owning(rows, against=SEAT)
    assert float(found.elsewhere.amount) == pytest.approx(200 * 12 + 200 * 6)
    by = {part.name: float(elsewhere.amount) for part, *_, elsewhere in found.by_part}
    assert by["a"] + by["b"] == pytest.approx(2400) and by["b"] / by["a"] == pytest.approx(3100 / 1050)
    assert owning(rows, against=SEAT, people=5).elsewhere == Money(Decimal(12_000))


def test_lost_requests_and_other_models_are_told() -> None:
    lost = row(5, None, state="lost", prompt_tokens=None, cached_tokens=None, output_tokens=None)
    found = owning([row(0, 10), lost, row(20, 30, model="nano")])
    assert found.rows.busy_s == 20 and found.rows.lost == 1
    told = " ".join(found.notes)
    assert "1 requests were lost" in told and "2 models" in told and "STALE" in told


def test_two_currencies_never_mix() -> None:
    machine = replace(find_machine("epyc-768gb"), currency="EUR")
    with pytest.raises(MoneyError, match=r"EUR and USD|USD and EUR"):
        owning([row(0, 10)], machine=machine, terms=Terms())


# ---- the command ----------------------------------------------------------------------------------------------------

NOW = 1_795_000_000.0  # 2026-11-18


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ann and Bob of one team, a day's work each, a hundred days ago and since."""
    monkeypatch.setenv("MOONLET_HOME", str(tmp_path))
    place = tmp_path / "ledger.sqlite"
    monkeypatch.setenv("MOONLET_LEDGER", str(place))
    clock = [0.0]
    with closing(Books(open_database(place), clock=lambda: clock[0])) as books:
        people = [keys.add(books.database, name, owner="team")[0] for name in ("ann", "bob")]
        for day in range(100):
            clock[0] = NOW - (100 - day) * DAY
            entry = books.admit(people[day % 2], "chat", "k2", 1, 1)
            clock[0] += 4 * 3600
            books.settle(entry, "done", Took(30_000_000, 27_000_000, 600_000))
    return place


def asked(*flags: str) -> argparse.Namespace:
    return make_parser().parse_args(["ledger", *flags])


def test_the_command_reckons_with_the_rows(ledger: Path) -> None:
    flags = ("--against", "moonshotai/kimi-k2.6", "--machine", "epyc-768gb")
    with closing(open_database(ledger)) as database:
        found = reckon(asked(*flags), database, NOW)
        assert float(found.utilisation) == pytest.approx(4 / 24) and [p.requests for p, *_ in found.by_part] == [50, 50]
        whole = Decimal(100) * (3 * Decimal("0.95") + 27 * Decimal("0.16") + Decimal("0.6") * 4)
        assert found.elsewhere == Money(whole) and found.owned.price.amount == find_machine("epyc-768gb").price
        owner = reckon(asked(*flags, "--by", "owner", "--price", "500"), database, NOW)
        assert [part.name for part, *_ in owner.by_part] == ["team"] and owner.elsewhere == Money(whole)
        assert owner.owned.price == Money(Decimal(500)) and owner.paid and owner.paid > 1
        half = reckon(asked(*flags, "--since", "2026-09-29"), database, NOW)
        assert 49 <= sum(part.requests for part, *_ in half.by_part) <= 51 and half.years < found.years


def test_the_command_tells_it_all(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["ledger", "--until", "2026-11-18", "--against", "claude-max-20x", "--machine", "epyc-768gb"]
    assert main([*flags, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["against"] == "claude-max-20x" and told["currency"] == "USD" and 0 < told["utilisation"] < 0.2
    for name in ("cash", "full", "elsewhere"):
        assert sum(Decimal(part[name]) for part in told["parts"]) == Decimal(told[name])
    assert sum(Decimal(amount) for amount in told["lines"].values()) == Decimal(told["full"])
    assert {part["name"] for part in told["parts"]} == {"ann", "bob"}
    assert main(flags) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Nothing is paid back of $") or " is paid back against claude-max-20x" in shown
    for word in ("cash", "full cost", "elsewhere", "loss of value", "ann", "bob", "hours that the machine was on"):
        assert word in shown
    assert "caps" in shown and "price of epyc-768gb" in shown


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ((), "state --watts, or a --machine"),
        (("--watts", "300"), "state --price, or a --machine"),
        (("--machine", "toaster"), "toaster: not in the catalogue"),
        (("--machine", "epyc-768gb", "--people", "3"), "--people is for subscriptions"),
        (("--machine", "epyc-768gb", "--by", "day"), "by key or owner"),
        (("--machine", "epyc-768gb", "--csv"), "as a table or with --json"),
        (("--machine", "epyc-768gb", "--on-hours", "9000"), "hours must be within"),
        (("--machine", "epyc-768gb", "--on-hours", "0", "--since", "1h"), "the machine was never on"),
        (("--machine", "epyc-768gb", "--since", "2030-01-01"), "--since must lie before"),
        (("--machine", "epyc-768gb", "--until", "2020-01-01"), "no requests"),
        (("--price", "1000", "--watts", "100", "--idle-watts", "200"), "more idle than"),
        (("--price", "1000", "--watts", "100", "--pue", "0.5"), "pue must be within"),
    ],
)
def test_what_is_missing_or_makes_no_sense_is_one_clear_line(
    ledger: Path, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], told: str
) -> None:
    assert main(["ledger", "--against", "moonshotai/kimi-k2.6", *flags]) == 2
    shown = capsys.readouterr()
    assert told in shown.err and shown.err.count("\n") == 1 and not shown.out


def test_flags_of_owning_alone_and_unknown_prices_are_refused(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ledger", "--on-hours", "2000"]) == 2
    assert "--on-hours says what owning costs: --against NAME" in capsys.readouterr().err
    assert main(["ledger", "--against", "no-such-model", "--price", "1"]) == 2
    assert "`moonlet prices` lists" in capsys.readouterr().err
