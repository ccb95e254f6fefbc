"""What a machine costs and what it replaces: three numbers that are never mixed.

cash            what leaves the account each year: electricity, rent, network
full            cash, and what the machine loses in value, the interest on it, the hours of whoever looks after it
counterfactual  what the same work costs elsewhere: tokens at a provider's prices, or subscriptions

Amounts are decimals with a currency; two currencies do not add. Nothing is converted silently.
"""

from __future__ import annotations

import random
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache, total_ordering
from importlib.resources import files

HOURS = Decimal(8760)  # of a year
MOST_WATTS = 10**8  # of one machine
_ALL_WATTS = 10**16  # of as many as a team needs
MILLION = Decimal(1_000_000)


class MoneyError(Exception):
    """An amount that makes no sense, or two currencies in one sum."""


@total_ordering
@dataclass(frozen=True, slots=True)
class Money:
    """An exact amount of one currency."""

    amount: Decimal
    currency: str = "USD"

    def _same(self, other: Money) -> None:
        if self.currency != other.currency:
            raise MoneyError(f"{self.currency} and {other.currency} do not add up; state all prices in one currency")

    def __add__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.amount + other.amount, self.currency)

    def __sub__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.amount - other.amount, self.currency)

    def __mul__(self, factor: Decimal | int) -> Money:
        return Money(self.amount * factor, self.currency)

    def __truediv__(self, divisor: Decimal | int) -> Money:
        return Money(self.amount / divisor, self.currency)

    def __lt__(self, other: Money) -> bool:
        self._same(other)
        return self.amount < other.amount

    def __str__(self) -> str:
        sign = {"USD": "$", "EUR": "€", "GBP": "£"}.get(self.currency, f"{self.currency} ")
        digits = 0 if abs(self.amount) >= 1000 else 2
        return f"{'-' if self.amount < 0 else ''}{sign}{abs(self.amount):,.{digits}f}"


def nothing(currency: str = "USD") -> Money:
    """No money, in that currency."""
    return Money(Decimal(0), currency)


# ---- what is owned --------------------------------------------------------------------------------------------------

# MACRS, half-year convention, 200 % declining balance: IRS Publication 946, table A-1 (5-year property: computers).
MACRS_5 = tuple(Decimal(s) / 100 for s in ("20.00", "32.00", "19.20", "11.52", "11.52", "5.76"))


@dataclass(frozen=True, slots=True)
class Schedule:
    """A tax schedule: which share of the price is written off in each year."""

    name: str
    shares: tuple[Decimal, ...]
    source: str

    def __post_init__(self) -> None:
        if sum(self.shares) != 1 or min(self.shares) < 0:
            raise MoneyError(f"schedule {self.name}: its shares must sum to 1, got {sum(self.shares)}")


def straight_line(years: int) -> Schedule:
    if not 1 <= years <= 50:
        raise MoneyError(f"depreciation must take 1 to 50 years, got {years}")
    each = (Decimal(1) / years).quantize(Decimal("1e-12"))
    return Schedule(f"straight line, {years} years", (*[each] * (years - 1), 1 - each * (years - 1)), "arithmetic")


def bonus(first_year: Decimal, rest: Schedule) -> Schedule:
    """A bonus share at once, the rest by another schedule."""
    if not 0 <= first_year <= 1:
        raise MoneyError(f"a bonus must be within 0 and 1, got {first_year}")
    shares = [(1 - first_year) * share for share in rest.shares]
    shares[0] += 1 - sum(shares)
    return Schedule(f"{first_year:.0%} at once, {rest.name}", tuple(shares), rest.source)


@cache
def tax_rules() -> dict[str, tuple[Schedule, Decimal]]:
    """Schedule and rate by country and year ("us-2026"), from taxes.toml."""
    data = tomllib.loads((files(__package__) / "taxes.toml").read_text(encoding="utf-8"))
    rules = {}
    for name, entry in data.items():
        plain = (
            Schedule("MACRS, 5 years", MACRS_5, "") if entry["schedule"] == "macrs" else straight_line(entry["years"])
        )
        schedule = bonus(Decimal(entry["bonus"]), plain) if Decimal(entry["bonus"]) else plain
        rules[name] = (replace(schedule, source=entry["source"]), Decimal(entry["rate"]))
    return rules


@dataclass(frozen=True, slots=True)
class Ownership:
    """A machine, or as many as a team needs, bought and kept. Rates are shares of a year, watts those of all together.
    MoneyError if one is bad."""

    price: Money
    watts_load: Decimal
    watts_idle: Decimal
    utilisation: Decimal  # share of the hours it is on that it computes
    hours: Decimal = HOURS  # of a year that it is on
    tariff: Money = Money(Decimal("0.1786"))  # a kWh
    pue: Decimal = Decimal(1)  # power of the room over power of the machine
    network: Money = Money(Decimal(0))  # a year
    rent: Money = Money(Decimal(0))  # of its place, a year
    years: int = 4  # kept
    residual: Decimal = Decimal("0.15")  # of the price, when it is sold
    interest: Decimal = Decimal("0.06")  # on the mean of what is bound
    admin_hours: Decimal = Decimal(24)  # a year
    admin_wage: Money = Money(Decimal(80))  # an hour

    def __post_init__(self) -> None:
        amounts = {n: getattr(self, n) for n in ("price", "tariff", "network", "rent", "admin_wage")}
        for name, money in amounts.items():
            self.price._same(money)
            if money.amount < 0:
                raise MoneyError(f"{name} must not be negative, got {money}")
        for name, least, most in (
            ("watts_load", 0, _ALL_WATTS), ("watts_idle", 0, _ALL_WATTS), ("utilisation", 0, 1), ("hours", 0, HOURS),
            ("pue", 1, 5), ("residual", 0, 1), ("interest", 0, 1), ("admin_hours", 0, 10**6), ("years", 1, 50),
        ):  # fmt: skip
            if not least <= getattr(self, name) <= most:
                raise MoneyError(f"{name} must be within {least} and {most}, got {getattr(self, name)}")

    @property
    def kwh(self) -> Decimal:
        """A year, at the socket of the room."""
        watts = self.watts_load * self.utilisation + self.watts_idle * (1 - self.utilisation)
        return watts * self.hours * self.pue / 1000

    @property
    def cash_lines(self) -> dict[str, Money]:
        """What is paid in a year, by what it is for."""
        return {"electricity": self.tariff * self.kwh, "network": self.network, "rent": self.rent}

    @property
    def cash(self) -> Money:
        """A year."""
        return total(self.cash_lines.values(), self.price.currency)

    @property
    def full_lines(self) -> dict[str, Money]:
        """Cash, and what does not leave the account in the year. Value is lost evenly, down to the residual."""
        loss = self.price * (1 - self.residual) / self.years
        bound = self.price * (1 + self.residual) / 2
        admin = self.admin_wage * self.admin_hours
        return {**self.cash_lines, "loss of value": loss, "interest": bound * self.interest, "care": admin}

    @property
    def full(self) -> Money:
        """A year."""
        return total(self.full_lines.values(), self.price.currency)


def total(amounts: Iterable[Money], currency: str) -> Money:
    """Their sum. MoneyError if one is in another currency."""
    result = nothing(currency)
    for money in amounts:
        result += money
    return result


def tax_saved(price: Money, schedule: Schedule, rate: Decimal) -> list[Money]:
    """By year: what writing the machine off saves in tax at that rate. Stated apart: it is no cost of running."""
    if not 0 <= rate <= 1:
        raise MoneyError(f"a tax rate must be within 0 and 1, got {rate}")
    return [price * share * rate for share in schedule.shares]


# ---- what is replaced -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Use:
    """Tokens of a year, all people together."""

    prompt: Decimal  # computed anew
    cached: Decimal  # read again from a cache
    output: Decimal

    def __post_init__(self) -> None:
        for name in ("prompt", "cached", "output"):
            if getattr(self, name) < 0:
                raise MoneyError(f"{name} tokens must not be negative, got {getattr(self, name)}")

    @property
    def all(self) -> Decimal:
        return self.prompt + self.cached + self.output

    def __mul__(self, factor: Decimal) -> Use:
        return Use(self.prompt * factor, self.cached * factor, self.output * factor)


@dataclass(frozen=True, slots=True)
class TokenPrice:
    """For a million tokens."""

    prompt: Money
    cached: Money
    output: Money

    def of(self, use: Use) -> Money:
        """What these tokens cost."""
        return (self.prompt * use.prompt + self.cached * use.cached + self.output * use.output) / MILLION


def payback(price: Money, saved: Money) -> Decimal | None:
    """Years until what is saved each year has paid for the price; None when it never does."""
    price._same(saved)
    if saved.amount <= 0:
        return None
    return price.amount / saved.amount


# ---- how sure -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Swing:
    """What the result becomes when one assumption takes its low and its high value."""

    name: str
    low_input: str
    high_input: str
    low: Decimal
    high: Decimal

    @property
    def width(self) -> Decimal:
        return abs(self.high - self.low)


def tornado(
    evaluate: Callable[[Mapping[str, Decimal]], Decimal], base: Mapping[str, Decimal],
    ranges: Mapping[str, tuple[Decimal, Decimal]],
) -> list[Swing]:  # fmt: skip
    """One assumption at a time from low to high, widest first."""
    swings = []
    for name, (low, high) in ranges.items():
        if not low <= base[name] <= high:
            raise MoneyError(f"{name}: {base[name]} is outside its own range {low} to {high}")
        at = [evaluate({**base, name: value}) for value in (low, high)]
        swings.append(Swing(name, f"{low:g}", f"{high:g}", at[0], at[1]))
    return sorted(swings, key=lambda swing: -swing.width)


@dataclass(frozen=True, slots=True)
class Band:
    """Of many draws: a tenth lies below `low`, half below `middle`, a tenth above `high`."""

    low: Decimal
    middle: Decimal
    high: Decimal
    positive: float  # share of draws above zero


def monte_carlo(
    evaluate: Callable[[Mapping[str, Decimal]], Decimal], base: Mapping[str, Decimal],
    ranges: Mapping[str, tuple[Decimal, Decimal]], draws: int = 1000, seed: int = 0,
) -> Band:  # fmt: skip
    """All assumptions at once, independently, each from a triangle over its range, its peak at the base."""
    if draws < 10:
        raise MoneyError(f"at least 10 draws, got {draws}")
    dice = random.Random(seed)
    results = []
    for _ in range(draws):
        drawn = {
            name: Decimal(str(round(dice.triangular(float(low), float(high), float(base[name])), 9)))
            for name, (low, high) in ranges.items()
        }
        results.append(evaluate({**base, **drawn}))
    results.sort()
    at = [results[min(int(draws * share), draws - 1)] for share in (0.1, 0.5, 0.9)]
    return Band(at[0], at[1], at[2], sum(result > 0 for result in results) / draws)


# ---- the well-known case --------------------------------------------------------------------------------------------

ENVELOPE = Ownership(
    price=Money(Decimal(25_000)),
    watts_load=Decimal(700),
    watts_idle=Decimal(0),
    utilisation=Decimal(1),
    hours=Decimal(720 * 12),  # 504 kWh a month
    tariff=Money(Decimal(90) / Decimal(504)),  # $0.1786
    admin_hours=Decimal(0),
)
ENVELOPE_SEAT = Money(Decimal(200))  # a developer, a month
ENVELOPE_FLAW = (
    "This sum counts one 80 GB card as the whole machine. 10^12 weights in 80 GB are 0.62 bit each: no such model "
    "exists, and the $25,000 do not buy a machine that runs it at a team's pace."
)


def envelope_payback(developers: int) -> Decimal | None:
    """Years by the well-known sum: 25,000 / (2,400 n - 1,080)."""
    if developers < 1:
        raise MoneyError(f"at least one developer, got {developers}")
    return payback(ENVELOPE.price, ENVELOPE_SEAT * 12 * developers - ENVELOPE.cash)


def with_changes(owned: Ownership, values: Mapping[str, Decimal]) -> Ownership:
    """The same with some of its plain numbers and amounts replaced, by name."""
    changes: dict[str, object] = {}
    for name, value in values.items():
        old = getattr(owned, name)
        changes[name] = (
            Money(value, old.currency) if isinstance(old, Money) else round(value) if name == "years" else value
        )
    return replace(owned, **changes)  # type: ignore[arg-type]
