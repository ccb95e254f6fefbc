"""What owning has come to so far, by the rows of the ledger: cash, full cost, and the same tokens elsewhere.

The machine is busy while at least one request is under way; at each moment that time is shared equally among those
under way. So every key has its part of the machine's time, and the parts add up. Electricity of a request is what was
measured for it, else the machine's watts under load over its part of the time; what the machine draws while nobody
asks, its loss of value, interest, care, network and rent are shared by the same time. Shares of an amount sum to it
exactly.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_FLOOR, Decimal
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any

from .machine import Machine
from .money import HOURS, MOST_WATTS, Money, Ownership, Use, nothing, payback, total
from .plan import Terms
from .prices import ModelPrice, SeatPrice
from .said import Said
from .sentences import dated, kept_for

_YEAR_S = 365 * 86400
_MONTH_S = _YEAR_S / 12
_KWH_J = 3_600_000
_FINE = Decimal("1e-9")  # to which every amount is rounded, so that sums are exact


class PaybackError(Exception):
    """What owning came to cannot be said; the message says what is missing."""


@dataclass(slots=True)
class Part:
    """One key's, or owner's, part of the rows."""

    name: str
    owner: str
    since: float  # its first request
    requests: int = 0
    prompt: int = 0  # computed anew
    cached: int = 0
    output: int = 0
    busy_s: float = 0.0
    joules: Decimal = Decimal(0)  # at work

    @property
    def use(self) -> Use:
        """Its tokens, as prices take them."""
        return Use(Decimal(self.prompt), Decimal(self.cached), Decimal(self.output))


@dataclass(frozen=True, slots=True)
class Rows:
    """All rows, added up by key."""

    parts: tuple[Part, ...]
    models: tuple[str, ...]
    measured: int  # requests whose energy was measured, or modelled when they were served
    unmeasured: int
    lost: int  # requests of which it is not known what they took

    @property
    def busy_s(self) -> float:
        """Seconds in which at least one request was under way."""
        return sum(part.busy_s for part in self.parts)


def gather(rows: Iterable[Mapping[str, Any]], until: float, watts: float, by: str = "key_name") -> Rows:
    """Adds up rows of the ledger, which come in order of their beginning. PaybackError if energy is known in no way.

    `watts`: of the machine at work, 0: not known. `by`: the field that names the parts, key_name or owner."""
    parts: dict[str, Part] = {}
    models: dict[str, None] = {}
    measured = unmeasured = lost = 0
    for row, seconds in busy(rows, until):
        owner = row["owner"] or "(no key)"
        name = row[by] or "(no key)"
        part = parts.setdefault(name, Part(name, owner, row["started"]))
        part.requests += 1
        part.prompt += (row["prompt_tokens"] or 0) - (row["cached_tokens"] or 0)
        part.cached += row["cached_tokens"] or 0
        part.output += row["output_tokens"] or 0
        part.since = min(part.since, row["started"])
        part.busy_s += seconds
        models[row["model"]] = None
        lost += row["state"] == "lost"
        if row["joules"] is not None:
            measured += 1
            part.joules += _decimal(row["joules"])
        elif seconds:
            unmeasured += 1
            part.joules += _decimal(watts * seconds)
    if unmeasured and not watts:
        raise PaybackError(f"the energy of {unmeasured:,} requests was not measured: state --watts, or a --machine")
    return Rows(tuple(sorted(parts.values(), key=lambda p: p.name)), tuple(models), measured, unmeasured, lost)


def busy(rows: Iterable[Mapping[str, Any]], until: float) -> Iterator[tuple[Mapping[str, Any], float]]:
    """Each row, when it ends, with its part of the time in which requests were under way. Rows in order of `started`;
    those that have not ended count until `until`, lost ones not at all: nobody knows when they ended."""
    under_way: list[tuple[float, int, float, Mapping[str, Any]]] = []  # end, number, `each` at the beginning, row
    each = now = 0.0  # seconds for one that had been under way from the beginning on

    def advance(to: float) -> Iterator[tuple[Mapping[str, Any], float]]:
        nonlocal each, now
        while under_way and under_way[0][0] <= to:
            end = under_way[0][0]
            each, now = each + (end - now) / len(under_way), end
            _, _, mark, row = heapq.heappop(under_way)
            yield row, each - mark
        if under_way:
            each += (to - now) / len(under_way)
        now = to

    for number, row in enumerate(rows):
        yield from advance(row["started"])
        if row["state"] == "lost":
            yield row, 0.0
        else:
            end = until if row["ended"] is None else min(row["ended"], until)
            heapq.heappush(under_way, (max(end, now), number, each, row))
    yield from advance(max(until, now))


def shared(amount: Money, weights: Sequence[float]) -> list[Money]:
    """The amount in parts that go by the weights, equally where all are zero, and sum to it exactly."""
    if not any(weights):
        weights = [1.0] * len(weights)
    upto = list(accumulate(weights))
    shares = [Decimal(weight) / Decimal(upto[-1]) for weight in upto[:-1]]
    marks = [Money((amount.amount * share).quantize(_FINE, ROUND_FLOOR), amount.currency) for share in shares]
    # Rounded down, so that what is left for the last is never below zero.
    return [high - low for low, high in pairwise([nothing(amount.currency), *marks, amount])] if weights else []


@dataclass(frozen=True)
class SoFar:
    """What owning and renting came to between two moments. Use `so_far`."""

    rows: Rows
    since: float
    until: float
    owned: Ownership  # a year, with the utilisation that was
    machine: Machine | None
    against: ModelPrice | SeatPrice
    people: int | None  # who would have a seat; None: the owners in the rows
    today: date

    @property
    def years(self) -> Decimal:
        """The time between the two moments, in years of 365 days."""
        return _decimal((self.until - self.since) / _YEAR_S)

    @property
    def on_s(self) -> float:
        """Seconds that the machine was on."""
        return _on_s(self.since, self.until, self.owned.hours, self.rows)

    @property
    def utilisation(self) -> Decimal:
        """Share of the time it was on in which it computed."""
        return self.owned.utilisation

    @property
    def currency(self) -> str:
        """Of every amount."""
        return self.owned.price.currency

    def _energy(self, joules: Decimal) -> Money:
        return _rounded(self.owned.tariff * (joules * self.owned.pue / _KWH_J))

    @cached_property
    def work(self) -> list[Money]:
        """Electricity of the requests, by part."""
        return [self._energy(part.joules) for part in self.rows.parts]

    @cached_property
    def cash_lines(self) -> dict[str, Money]:
        """What was paid, by what it was for."""
        idle_s = self.on_s - self.rows.busy_s
        return {
            "electricity at work": total(self.work, self.currency),
            "electricity idle": self._energy(self.owned.watts_idle * _decimal(idle_s)),
            "network": _rounded(self.owned.network * self.years),
            "rent": _rounded(self.owned.rent * self.years),
        }

    @property
    def cash(self) -> Money:
        """All that was paid, but the machine's price."""
        return total(self.cash_lines.values(), self.currency)

    @cached_property
    def full_lines(self) -> dict[str, Money]:
        """Cash, and what does not leave the account. The value is lost evenly, and only once."""
        a_year, lost = self.owned.full_lines, min(self.years, Decimal(self.owned.years))
        more = {"loss of value": lost, "interest": self.years, "care": self.years}
        return {**self.cash_lines, **{name: _rounded(a_year[name] * years) for name, years in more.items()}}

    @property
    def full(self) -> Money:
        """Cash, and what the machine lost and bound meanwhile."""
        return total(self.full_lines.values(), self.currency)

    @cached_property
    def elsewhere_parts(self) -> list[Money]:
        """What each part would have cost elsewhere."""
        parts = self.rows.parts
        if isinstance(self.against, ModelPrice):
            return [self.against.price.of(part.use) for part in parts]
        owners: dict[str, list[int]] = {}
        for number, part in enumerate(parts):
            owners.setdefault(part.owner, []).append(number)
        found = [nothing(self.against.month.currency)] * len(parts)
        seats = self._seats(owners)
        for owner, numbers in owners.items():
            for number, money in zip(numbers, shared(seats[owner], [float(parts[n].use.all) for n in numbers])):
                found[number] = money
        return found

    def _seats(self, owners: Mapping[str, Sequence[int]]) -> dict[str, Money]:
        """Of each owner: a seat from the first request on; or an equal part of so many people's, all the time."""
        assert isinstance(self.against, SeatPrice)
        if self.people is not None:
            months = _decimal((self.until - self.since) / _MONTH_S)
            whole = self.against.month * months * self.people
            return dict(zip(owners, shared(whole, [1.0] * len(owners))))
        began = {owner: min(self.rows.parts[n].since for n in numbers) for owner, numbers in owners.items()}
        return {owner: self.against.month * _decimal((self.until - at) / _MONTH_S) for owner, at in began.items()}

    @property
    def elsewhere(self) -> Money:
        """The counterfactual."""
        return total(self.elsewhere_parts, self.currency)

    @property
    def saved(self) -> Money:
        """In cash, against renting. Negative: renting would have been cheaper even with the machine as a gift."""
        return self.elsewhere - self.cash

    @property
    def paid(self) -> Decimal | None:
        """Share of the price that has been saved; None for a machine that cost nothing."""
        return self.saved.amount / self.owned.price.amount if self.owned.price.amount else None

    @property
    def payback_years(self) -> Decimal | None:
        """From the beginning on, if all goes on like this; None: never."""
        return payback(self.owned.price, self.saved / self.years)

    @cached_property
    def by_part(self) -> list[tuple[Part, Money, Money, Money]]:
        """Each part with its cash, full cost and counterfactual; they sum to those of all."""
        parts = self.rows.parts
        weights = [part.busy_s for part in parts]
        work = total(self.work, self.currency)
        rest, more = shared(self.cash - work, weights), shared(self.full - self.cash, weights)
        cash = [own + other for own, other in zip(self.work, rest)]
        full = [own + other for own, other in zip(cash, more)]
        return list(zip(parts, cash, full, self.elsewhere_parts))

    @property
    def verdict(self) -> str:
        """The first line."""
        return " ".join(self.sentences)

    @property
    def sentences(self) -> list[Said]:
        """What the first line says."""
        name, price, years = self.against.name, self.owned.price, self.payback_years
        values = {"name": name, "price": price}
        if self.paid is None or self.paid >= 1:
            told = f"Paid back: {self.saved} saved in cash against {name}, {price} paid."
            first = Said("paid_back", told, saved=self.saved, **values)
        elif self.saved.amount <= 0:
            less = self.saved * -1
            told = f"Nothing is paid back of {price}: {name} would have cost {less} less than the cash."
            first = Said("nothing_back", told, less=less, **values)
        else:
            when = f"all of it {years:.1f} years after the beginning if it goes on like this"
            told = f"{self.paid:.1%} of {price} is paid back against {name}; {when}."
            first = Said("partly_back", told, share=self.paid, years=years, **values)
        left = self.elsewhere - self.full
        way, by = ("owning", left) if left.amount > 0 else ("renting", left * -1)
        told = f"In full cost {way} was cheaper so far, by {by}."
        return [first, Said(f"{way}_so_far", told, saved=by)]

    @property
    def notes(self) -> list[Said]:
        """Assumptions and what is not known, one sentence each."""
        rows, owned = self.rows, self.owned
        said = [dated(self.against, self.today), *self._compared, *self._metered]
        said.append(kept_for(owned.years, owned.residual, owned.interest, owned.admin_hours, owned.tariff))
        if rows.lost:
            told = f"{rows.lost:,} requests were lost with their server: what they took is not known, not counted"
            said.append(Said("lost", told, count=rows.lost))
        if len(rows.models) > 1:
            names = ", ".join(rows.models)
            told = f"requests to {len(rows.models)} models, taken to be of one machine: {names}"
            said.append(Said("models", told, count=len(rows.models), names=names))
        if self.until - self.since < 7 * 86400:
            said.append(Said("short", "less than a week: what it says of years is little worth"))
        return said

    @property
    def _compared(self) -> list[Said]:
        """What renting is taken to be, and what the machine is taken to have cost."""
        price, machine = self.against, self.machine
        if isinstance(price, SeatPrice):
            many = self.people
            who = "each owner from the first request on" if many is None else f"{many} people all the time"
            told = f"a seat for {who}; whether its caps allow so many tokens is not known: {price.caps}"
            said = [Said("seats", told, caps=price.caps) if many is None
                    else Said("seats_of", told, count=many, caps=price.caps)]  # fmt: skip
        else:
            said = [Said("same_tokens", "the same tokens, and as many of them read from a cache there")]
        if machine and machine.priced and self.owned.price == Money(machine.price or Decimal(0), self.currency):
            source, guess = machine.figures["price"].source, "price" in machine.estimates
            told = f"price of {machine.name}: {source}, {machine.priced}{' (estimate)' if guess else ''}"
            key = "guessed" if guess else "dated"
            said.append(Said(key, told, name=machine.name, source=source, date=machine.priced))
        return said

    @property
    def _metered(self) -> list[Said]:
        """What of the energy was measured."""
        rows, owned = self.rows, self.owned
        said = []
        if rows.unmeasured:
            told = f"energy of {rows.unmeasured:,} requests not measured: {owned.watts_load:f} W while they ran"
            said.append(Said("unmeasured", told, count=rows.unmeasured, watts=owned.watts_load))
        if rows.measured:
            told = f"energy of {rows.measured:,} requests as the ledger has it; counters see less than the socket"
            said.append(Said("measured", told, count=rows.measured))
        if owned.watts_idle:
            said.append(Said("idle", f"idle: {owned.watts_idle:f} W", watts=owned.watts_idle))
        else:
            said.append(Said("no_idle", "idle watts not stated, counted as none"))
        return said


def so_far(
    rows: Rows, since: float, until: float, terms: Terms, machine: Machine | None, watts: tuple[float, float],
    against: ModelPrice | SeatPrice, people: int | None, today: date,
) -> SoFar:  # fmt: skip
    """`watts`: under load and idle. PaybackError, MoneyError."""
    if until - since < 1:
        raise PaybackError("the time that is looked at has not begun: --since must lie before --until and before now")
    price = terms.price if terms.price is not None else machine.price if machine else None
    if price is None:
        what = f"{machine.name} has no price" if machine else "what the machine cost is not known"
        raise PaybackError(f"{what}: state --price, or a --machine of the catalogue")
    on_s = _on_s(since, until, terms.hours, rows)
    if not on_s:
        raise PaybackError("the machine was never on: --on-hours must be above 0")
    utilisation = min(_decimal(rows.busy_s / on_s), Decimal(1))
    if max(watts) > MOST_WATTS:
        raise PaybackError(f"watts_load of a machine must be within 0 and {MOST_WATTS}, got {max(watts):g}")
    currency = machine.currency if machine else "USD"
    load, idle = _decimal(watts[0]), _decimal(watts[1])
    owned = terms.owning(Money(price, currency), load, idle, utilisation)
    found = SoFar(rows, since, until, owned, machine, against, people, today)
    found.saved  # noqa: B018 - two currencies are told before anything is printed
    return found


def _on_s(since: float, until: float, hours: Decimal, rows: Rows) -> float:
    """Seconds, by the hours of a year; it was on at least as long as it computed."""
    return max((until - since) * float(hours / HOURS), rows.busy_s)


def _rounded(amount: Money) -> Money:
    return Money(amount.amount.quantize(_FINE), amount.currency)


def _decimal(value: float) -> Decimal:
    return Decimal(str(round(value, 9)))
