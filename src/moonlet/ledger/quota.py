"""Whether a key may have what it asks for: a pure decision over what it has used.

A request is charged at its start, with the most it can take, and settled at its end with what it took; so no limit is
ever exceeded, however many requests come at once. A request belongs to the minute, the UTC day and the UTC month in
which it began. The minute slides: the requests begun in any 60 seconds are charged no more than the limit.
"""

from __future__ import annotations

import calendar
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

from .keys import NANO, Limits
from .money import Price

MINUTE_S = 60.0
_BUSY_S = 1.0  # when to ask again while others of the key are under way: nobody knows when they end


@dataclass(frozen=True, slots=True)
class Used:
    """What a key is charged with at this moment."""

    minute: tuple[tuple[float, int], ...] = ()  # start and tokens of each request of the last 60 s
    day_tokens: int = 0
    month_tokens: int = 0
    month_nano_usd: int = 0
    running: int = 0


@dataclass(frozen=True, slots=True)
class Refusal:
    """Which limit a request meets."""

    limit: str
    allowed: str
    used: str
    wanted: str
    retry_after_s: float | None  # None: never, as it is

    def __str__(self) -> str:
        if self.retry_after_s is None:
            return f"this request needs {self.wanted}, more than the key's whole limit of {self.allowed} ({self.limit})"
        wait = f"try again in {math.ceil(self.retry_after_s)} s"
        told = f"{self.used} used, {self.wanted} wanted"
        return f"the key's limit of {self.allowed} ({self.limit}) is reached: {told}; {wait}"


def decide(limits: Limits, used: Used, tokens: int, nano_usd: int, now: float) -> Refusal | None:
    """None if a request that takes at most so much may begin now; else the limit that keeps it waiting the longest."""
    refusals = list(_refusals(limits, used, tokens, nano_usd, now))
    return max(refusals, key=lambda r: math.inf if r.retry_after_s is None else r.retry_after_s, default=None)


def most_output(limits: Limits, price: Price | None, prompt_tokens: int, wanted: int) -> int:
    """What a reply that states no limit may write, so that it fits into the key's limits when nothing is used yet."""
    counts = (limits.tokens_per_minute, limits.tokens_per_day, limits.tokens_per_month)
    most = min([wanted, *(count - prompt_tokens for count in counts if count is not None)])
    if limits.nano_usd_per_month is not None and price is not None and price.output:
        left = limits.nano_usd_per_month - price.most_nano_usd(prompt_tokens, 0)
        most = min(most, int(left / (price.output * 1000)))
    return max(most, 1)


def _refusals(limits: Limits, used: Used, tokens: int, nano_usd: int, now: float) -> Iterator[Refusal]:
    minute = sum(charged for _, charged in used.minute)
    if limits.tokens_per_minute is not None and minute + tokens > limits.tokens_per_minute:
        wait = _until_fits(used, minute + tokens - limits.tokens_per_minute, now)
        yield _tokens("tokens per minute", limits.tokens_per_minute, minute, tokens, wait)
    if limits.tokens_per_day is not None and used.day_tokens + tokens > limits.tokens_per_day:
        yield _tokens("tokens per day", limits.tokens_per_day, used.day_tokens, tokens, next_day(now) - now)
    if limits.tokens_per_month is not None and used.month_tokens + tokens > limits.tokens_per_month:
        yield _tokens("tokens per month", limits.tokens_per_month, used.month_tokens, tokens, next_month(now) - now)
    if limits.concurrent is not None and used.running + 1 > limits.concurrent:
        yield Refusal("concurrent requests", str(limits.concurrent), str(used.running), "1 more", _BUSY_S)
    if limits.nano_usd_per_month is not None and used.month_nano_usd + nano_usd > limits.nano_usd_per_month:
        yield Refusal(
            "money per month",
            dollars(limits.nano_usd_per_month),
            dollars(used.month_nano_usd),
            f"up to {dollars(nano_usd)}",
            next_month(now) - now if nano_usd <= limits.nano_usd_per_month else None,
        )


def _tokens(limit: str, allowed: int, used: int, tokens: int, wait_s: float) -> Refusal:
    return Refusal(limit, f"{allowed:,}", f"{used:,}", f"up to {tokens:,}", wait_s if tokens <= allowed else None)


def _until_fits(used: Used, excess: int, now: float) -> float:
    """Seconds until so many tokens too many have left the minute."""
    for start, charged in sorted(used.minute):
        excess -= charged
        if excess <= 0:
            return max(start + MINUTE_S - now, 0.0)
    return MINUTE_S


def day(now: float) -> str:
    """The UTC day, like 2026-11-28."""
    return time.strftime("%Y-%m-%d", time.gmtime(now))


def month(now: float) -> str:
    """The UTC month, like 2026-11."""
    return day(now)[:7]


def next_day(now: float) -> float:
    """When the UTC day ends."""
    return (now // 86400 + 1) * 86400


def next_month(now: float) -> float:
    """When the UTC month ends."""
    today = time.gmtime(now)
    year, number = (today.tm_year, today.tm_mon + 1) if today.tm_mon < 12 else (today.tm_year + 1, 1)
    return float(calendar.timegm((year, number, 1, 0, 0, 0)))


def dollars(nano_usd: int) -> str:
    """Like $12.50, with more places only where they say something."""
    value = f"{nano_usd / NANO:,.6f}".rstrip("0")
    whole, _, part = value.partition(".")
    return f"${whole}.{part.ljust(2, '0')}"
