"""Quotas, for any limits, times and sizes: never exceeded, never stingier than they say, and told truly."""

import calendar
import math
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from moonlet.ledger import keys
from moonlet.ledger.books import Books, OverLimitError, Took
from moonlet.ledger.database import open_database
from moonlet.ledger.keys import NANO, Limits
from moonlet.ledger.money import Price
from moonlet.ledger.quota import MINUTE_S, Used, day, decide, dollars, month, next_day, next_month

START = 1_796_083_100.0  # 100 s before November 2026 ends, UTC
SIZES = st.integers(0, 120)
LIMIT = st.none() | st.integers(1, 400)
LIMITS = st.builds(Limits, LIMIT, LIMIT, LIMIT, st.none() | st.integers(1, 4), st.none() | st.integers(1, 400_000))


@settings(max_examples=300, deadline=None)
@given(
    limits=LIMITS,
    asked=st.lists(st.tuples(st.floats(0, 40), SIZES, SIZES), min_size=1, max_size=25),
)
def test_sliding_minute_day_month_and_money_hold_over_any_history(
    limits: Limits, asked: Sequence[tuple[float, int, int]]
) -> None:
    """A model of the books in a list: each request is charged its most, then settled with less."""
    now, charged = START, list[tuple[float, int]]()
    for wait, most, took in asked:
        now += wait
        used = _used(charged, now)
        refusal = decide(limits, used, most, most * 1000, now)
        if refusal is None:
            charged.append((now, most))
            _check(limits, charged, now)
            charged[-1] = (now, min(took, most))  # settled at once
        elif refusal.retry_after_s is None:
            sizes = (limits.tokens_per_minute, limits.tokens_per_day, limits.tokens_per_month)
            assert any(most > size for size in sizes if size is not None) or (
                limits.nano_usd_per_month is not None and most * 1000 > limits.nano_usd_per_month
            )
        else:
            # What is told is true: not a moment earlier, and then it fits if nobody else came.
            later = now + refusal.retry_after_s
            assert decide(limits, _used(charged, later), most, most * 1000, later) is None
            early = now + refusal.retry_after_s * 0.999 - 1e-3
            if early > now:
                assert decide(limits, _used(charged, early), most, most * 1000, early) is not None


def _used(charged: Sequence[tuple[float, int]], now: float) -> Used:
    of_day = [tokens for start, tokens in charged if day(start) == day(now)]
    of_month = [tokens for start, tokens in charged if month(start) == month(now)]
    minute = tuple((start, tokens) for start, tokens in charged if start > now - MINUTE_S)
    return Used(minute, sum(of_day), sum(of_month), sum(of_month) * 1000)


def _check(limits: Limits, charged: Sequence[tuple[float, int]], now: float) -> None:
    used = _used(charged, now)
    assert sum(tokens for _, tokens in used.minute) <= (limits.tokens_per_minute or math.inf)
    assert used.day_tokens <= (limits.tokens_per_day or math.inf)
    assert used.month_tokens <= (limits.tokens_per_month or math.inf)
    assert used.month_nano_usd <= (limits.nano_usd_per_month or math.inf)


@settings(max_examples=25, deadline=None)
@given(
    limits=LIMITS,
    steps=st.lists(st.tuples(st.floats(0, 40), SIZES, SIZES, st.integers(0, 3)), min_size=1, max_size=12),
)
def test_the_books_decide_as_the_model_says(limits: Limits, steps: Sequence[tuple[float, int, int, int]]) -> None:
    """The same on a real database, with requests that stay under way for a while."""
    now = [START]
    with tempfile.TemporaryDirectory() as place:
        books = Books(open_database(Path(place) / "ledger"), Price.read("1/1/1"), clock=lambda: now[0])
        with closing(books):
            key, _ = keys.add(books.database, "ann", limits=limits)
            known: dict[str, tuple[float, int]] = {}
            running = []
            for wait, most, took, ends in steps:
                now[0] += wait
                for entry in running[:ends]:
                    books.settle(entry, "done", Took(0, 0, min(took, entry.charged_tokens)))
                    known[entry.id] = (entry.started, min(took, entry.charged_tokens))
                running = running[ends:]
                model = _used(list(known.values()), now[0])
                model = Used(model.minute, model.day_tokens, model.month_tokens, model.month_nano_usd, len(running))
                expected = decide(limits, model, most, most * 1000, now[0])
                try:
                    entry = books.admit(key, "chat", "nano", 0, most)
                except OverLimitError as error:
                    assert expected is not None and error.refusal == expected
                else:
                    assert expected is None
                    running.append(entry)
                    known[entry.id] = (now[0], most)


@given(st.floats(0, 4e9))
@example(START + 100)
@example(1_798_761_599.5)  # a moment before a year ends
def test_periods_end_where_the_next_ones_begin(now: float) -> None:
    for name, end in ((day, next_day(now)), (month, next_month(now))):
        assert now < end and name(end) != name(now) and name(end - 1) == name(now)
    assert calendar.timegm(time.strptime(day(now), "%Y-%m-%d")) <= now


def test_the_longest_wait_is_told() -> None:
    limits = Limits(tokens_per_minute=10, tokens_per_day=10, concurrent=1)
    used = Used(((START - 30, 10),), 10, 10, 0, 1)
    refusal = decide(limits, used, 5, 0, START)
    assert refusal is not None and refusal.limit == "tokens per day" and refusal.retry_after_s == 100
    refusal = decide(limits, used, 11, 0, START)
    assert refusal is not None and refusal.retry_after_s is None


@pytest.mark.parametrize(
    ("nano_usd", "told"),
    [(0, "$0.00"), (12 * NANO + NANO // 2, "$12.50"), (1_500_000, "$0.0015"), (1234 * NANO, "$1,234.00")],
)
def test_dollars(nano_usd: int, told: str) -> None:
    assert dollars(nano_usd) == told
