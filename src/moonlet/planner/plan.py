"""The answer: does it fit, how fast is it, does owning pay. Everything that the terminal, the page and JSON show."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from functools import cached_property

from . import capacity
from .fit import Fit, fit
from .machine import catalogue
from .money import (
    HOURS,
    MOST_WATTS,
    Band,
    Money,
    MoneyError,
    Ownership,
    Swing,
    monte_carlo,
    nothing,
    payback,
    tornado,
    with_changes,
)
from .prices import ModelPrice, SeatPrice
from .said import Said
from .sentences import PROMPT, notes, verdict
from .speed import Bars, Load, Speed, speed
from .team import Team

USAGE_TEAMS = (1, 5, 20, 100)
TEAMS = (1, 2, 3, 5, 10, 20, 50, 100)
USUAL_API, USUAL_SEAT = "moonshotai/kimi-k2.6", "claude-max-20x"  # compared with when nothing is named
PROMPTS = (1024, 8192, 32768)  # tokens of the prompts whose reading is told
PACE_CONTEXT = 8192  # tokens behind the reply whose pace is told
PEAK = 2.0  # the busiest hour over the mean
_MOST_DEVELOPERS = 10_000  # of the teams that are looked at
LEAST_PACE = 8.0  # tokens a second for one person: slower than a reader, agents then wait more than they work


@dataclass(frozen=True, slots=True)
class Terms:
    """What money depends on besides the machine. Amounts in the machine's currency."""

    tariff: Decimal = Decimal("0.1786")  # of a kWh
    pue: Decimal = Decimal(1)
    hours: Decimal = HOURS  # a year that the machine is on
    years: int = 4
    residual: Decimal = Decimal("0.15")
    interest: Decimal = Decimal("0.06")
    admin_hours: Decimal = Decimal(24)  # a year
    admin_wage: Decimal = Decimal(80)
    network: Decimal = Decimal(0)  # a year
    rent: Decimal = Decimal(0)  # a year
    price: Decimal | None = None  # of the machine; None: its own

    def owning(self, price: Money, watts_load: Decimal, watts_idle: Decimal, utilisation: Decimal) -> Ownership:
        """A year of a machine on these terms. MoneyError if a number makes no sense."""
        return Ownership(
            price=price,
            watts_load=watts_load,
            watts_idle=watts_idle,
            utilisation=utilisation,
            hours=self.hours,
            tariff=Money(self.tariff, price.currency),
            pue=self.pue,
            network=Money(self.network, price.currency),
            rent=Money(self.rent, price.currency),
            years=self.years,
            residual=self.residual,
            interest=self.interest,
            admin_hours=self.admin_hours,
            admin_wage=Money(self.admin_wage, price.currency),
        )


@dataclass(frozen=True)
class Plan:
    """Use `answer`. `speed` is None when the model does not fit; then only `fit` says something."""

    fit: Fit
    speed: Speed | None
    team: Team
    terms: Terms
    api: ModelPrice | None  # what renting is compared with: tokens, seats, or the cheaper of both
    seat: SeatPrice | None
    today: date

    # ---- capacity ----

    @cached_property
    def batches(self) -> tuple[int, ...]:
        """Numbers of replies at the same time that are told: those whose caches fit."""
        assert self.speed
        return capacity.batches(self.speed)

    @cached_property
    def sequences(self) -> int:
        """Replies that are under way together when the team works: as many as its tokens need, or with which most is
        written."""
        assert self.speed
        for count in self.batches:
            if self.served(count).value >= self.team.output_per_s:
                return count
        return capacity.busiest(self.speed, self.team)

    def writes(self, sequences: int) -> Bars:
        """Tokens written a second, all together, while nothing is read."""
        assert self.speed
        return capacity.writes(self.speed, sequences)

    def served(self, sequences: int) -> Bars:
        """Tokens written a second, prompts in between included."""
        assert self.speed
        return capacity.served(self.speed, self.team, sequences)

    @cached_property
    def capacity(self) -> float:
        """Tokens a second that it can write for many."""
        return max(self.served(count).value for count in self.batches)

    @property
    def load(self) -> float:
        """Share of that which the team wants while it works; above 1 it cannot be served."""
        return self.team.output_per_s / self.capacity

    @property
    def boxes(self) -> int:
        """Machines that serve the team, its busiest hour included."""
        return boxes_for(self.load)

    # ---- money ----

    @cached_property
    def owned(self) -> Ownership | None:
        """As many machines as the team needs; None without a price or watts."""
        machine = self.fit.machine
        price = self.terms.price if self.terms.price is not None else machine.price
        if price is None or not machine.watts_load or self.speed is None:
            return None
        return self.owning(price, self.team)

    def owning(self, price: Decimal, team: Team) -> Ownership:
        """As many machines at this price each as the team needs. MoneyError if a number makes no sense."""
        machine, terms, money = self.fit.machine, self.terms, self.fit.machine.currency
        if machine.watts_load > MOST_WATTS:
            raise MoneyError(f"watts_load of a machine must be within 0 and {MOST_WATTS}, got {machine.watts_load:g}")
        boxes, utilisation = self._busy(team)
        watts = [Decimal(str(watts)) * boxes for watts in (machine.watts_load, machine.watts_idle)]
        return terms.owning(Money(price * boxes, money), watts[0], watts[1], utilisation)

    def _busy(self, team: Team, tokens: float = 1.0) -> tuple[int, Decimal]:
        """Machines for so many times the team's tokens, and the share of the hours they are on that they compute."""
        load = team.output_per_s * tokens / self.capacity
        boxes = boxes_for(load)
        working = min(Decimal(team.days) * team.hours / self.terms.hours, Decimal(1))
        return boxes, Decimal(str(round(min(load / boxes, 1.0), 6))) * working

    @cached_property
    def rented(self) -> dict[str, Money]:
        """What a year costs elsewhere, by name: the same tokens, or subscriptions for everybody.

        Whether a subscription's caps allow so many tokens is not known.
        """
        found = {}
        if self.api:
            found[self.api.name] = self.api.price.of(self.team.year)
        if self.seat:
            found[self.seat.title] = self.seat.month * 12 * self.team.developers
        return found

    @property
    def rented_as(self) -> str:
        """Name of the cheaper way of renting."""
        return min(self.rented, key=lambda name: self.rented[name])

    @property
    def counterfactual(self) -> Money:
        """A year of the cheaper way of renting."""
        return self.rented[self.rented_as]

    @property
    def payback_years(self) -> Decimal | None:
        """Price over what is saved in cash each year, against the cheaper way of renting."""
        owned = self.owned
        return payback(owned.price, self.counterfactual - owned.cash) if owned else None

    def payback_at(self, developers: int, tokens_per_day: int | None = None) -> Decimal | None:
        """Years for another team."""
        if self.owned is None:
            return None
        team = replace(self.team, developers=developers, tokens_per_day=tokens_per_day or self.team.tokens_per_day)
        mine = self.owned_by(team)
        return payback(mine.price, replace(self, team=team).counterfactual - mine.cash)

    def owned_by(self, team: Team) -> Ownership:
        """As many of these machines as another team needs; only where `owned` is known."""
        assert self.owned
        return self.owning(self.owned.price.amount / self.boxes, team)

    def _share_for(self, team: Team) -> Decimal | None:
        """What owning costs over what renting does, in full cost; None where owning is not cheaper."""
        owned, rented = self.owned_by(team).full, replace(self, team=team).counterfactual
        return owned.amount / rented.amount if owned < rented else None

    def per_million(self, sequences: int) -> dict[str, Money] | None:
        """Full cost of a million tokens when the machine is busy in all working hours with so many sequences.

        The year's cost is spread over seconds; a kind of token takes its share of them. Cached tokens take none.
        """
        owned = self.owned
        if owned is None or self.speed is None:
            return None
        hours = min(self.team.days * self.team.hours, owned.hours)
        one = replace(owned, price=owned.price / self.boxes, watts_load=owned.watts_load / self.boxes,
                      watts_idle=owned.watts_idle / self.boxes, network=owned.network / self.boxes,
                      rent=owned.rent / self.boxes, admin_hours=owned.admin_hours / self.boxes,
                      utilisation=hours / owned.hours)  # fmt: skip
        seconds = float(hours) * 3600
        a_second = one.full / Decimal(str(seconds))
        placed = self.speed.placed_for(sequences)
        assert placed
        writing = self.writes(sequences).value
        reading = placed.prefill(4096).value
        use = self.team.year
        blended = float((use.prompt / Decimal(str(reading)) + use.output / Decimal(str(writing))) / use.all)
        return {
            "prompt": a_second * Decimal(str(1e6 / reading)),
            "cached": Money(Decimal(0), one.price.currency),
            "output": a_second * Decimal(str(1e6 / writing)),
            "blended": a_second * Decimal(str(1e6 * blended)),
        }

    @cached_property
    def developers_needed(self) -> int | None:
        """From how many developers on owning is cheaper in full cost, for each number up to 10,000; None: there is no
        such number.
        """
        if self.owned is None:
            return None
        # Another box makes a step upward, so that there are several crossings: the last is looked for, from above.
        # Owning costs smaller teams no more than this one, so those that pay more than that for renting need no look.
        count = _MOST_DEVELOPERS
        while count and (share := self._share_for(replace(self.team, developers=count))) is not None:
            count = min(int(count * share), count - 1)
        return count + 1 if count < _MOST_DEVELOPERS else None

    @cached_property
    def tokens_needed(self) -> int | None:
        """From how many tokens a day of each developer on owning is cheaper in full cost, up to a billion; None: there
        is no such number.
        """
        if self.owned is None:
            return None
        # From above, by steps of 5 %: more tokens need more machines, and seats cost what they cost with few.
        found, tokens = None, 1e9
        while tokens >= 10_000 and self._share_for(replace(self.team, tokens_per_day=round(tokens))) is not None:
            found = round(tokens)
            tokens /= 1.05
        return found

    @cached_property
    def price_needed(self) -> Money | None:
        """At what price of all machines together owning and renting cost the same; None: not even as a gift."""
        owned = self.owned
        if owned is None:
            return None
        free = replace(owned, price=nothing(owned.price.currency)).full
        a_year = (owned.full - free).amount / owned.price.amount if owned.price.amount else Decimal(0)
        left = self.counterfactual - free
        return left / a_year if left.amount > 0 and a_year > 0 else None

    @cached_property
    def ranges(self) -> dict[str, tuple[Decimal, Decimal]]:
        """What the sensitivity varies: half and twice for what is little known, less for the rest."""
        owned = self.owned
        assert owned
        half, twice = Decimal("0.5"), Decimal(2)
        wide = {
            "price": (owned.price.amount * Decimal("0.8"), owned.price.amount * Decimal("1.3")),
            "tariff": (owned.tariff.amount * half, owned.tariff.amount * twice),
            "residual": (Decimal(0), min(Decimal("0.4"), Decimal(1))),
            "interest": (Decimal(0), Decimal("0.12")),
            "admin_hours": (owned.admin_hours * half, owned.admin_hours * 3),
            "years": (Decimal(3), Decimal(6)),
            "rented price": (half, Decimal("1.25")),
            "tokens": (half, twice),
        }
        base = self.base
        return {name: (min(low, base[name]), max(high, base[name])) for name, (low, high) in wide.items()}

    @cached_property
    def base(self) -> dict[str, Decimal]:
        """Where they stand: the plan itself; "rented price" and "tokens" are factors. Only where `owned` is known."""
        owned = self.owned
        assert owned
        return {
            "price": owned.price.amount, "tariff": owned.tariff.amount, "residual": owned.residual,
            "interest": owned.interest, "admin_hours": owned.admin_hours, "years": Decimal(owned.years),
            "rented price": Decimal(1), "tokens": Decimal(1),
        }  # fmt: skip

    def saved(self, values: Mapping[str, Decimal]) -> Decimal:
        """A year, in full cost, against the cheaper way of renting. Negative: renting is cheaper."""
        owned = self.owned
        assert owned
        tokens = values["tokens"]
        boxes, utilisation = self._busy(self.team, float(tokens))
        more = Decimal(boxes) / self.boxes  # machines: other tokens take another number of them
        plain = {k: v for k, v in values.items() if k not in ("rented price", "tokens")} | {
            "price": values["price"] * more, "watts_load": owned.watts_load * more,
            "watts_idle": owned.watts_idle * more, "utilisation": utilisation,
        }  # fmt: skip
        ways = [self.rented[self.api.name] * tokens] if self.api else []
        ways += [self.rented[self.seat.title]] if self.seat else []
        return (min(ways) * values["rented price"]).amount - with_changes(owned, plain).full.amount

    @cached_property
    def swings(self) -> list[Swing]:
        """What each assumption alone does to what is saved a year, the widest first; none where nothing is owned."""
        return tornado(self.saved, self.base, self.ranges) if self.owned else []

    @cached_property
    def band(self) -> Band | None:
        """What is saved a year when all assumptions vary at once: a thousand draws. None where nothing is owned."""
        return monte_carlo(self.saved, self.base, self.ranges) if self.owned else None

    # ---- the answer ----

    @property
    def pace(self) -> Bars:
        """Tokens a second that one person sees, alone on the machine, in a conversation of PACE_CONTEXT."""
        assert self.speed
        return self.speed.decode(Load(1, min(self.fit.context, PACE_CONTEXT)))

    @property
    def usable(self) -> bool:
        """Whether it runs, and fast enough to be worked with."""
        return self.speed is not None and self.pace.value >= LEAST_PACE

    @property
    def verdict(self) -> str:
        """The first line."""
        return " ".join(self.sentences)

    @property
    def sentences(self) -> list[Said]:
        """What the first line says."""
        return verdict(self)

    @property
    def first_token_s(self) -> float:
        """Until the first token of an answer to what a coding agent begins with."""
        assert self.speed
        return self.speed.first_token(PROMPT).value

    @cached_property
    def alternative(self) -> Plan | None:
        """The cheapest machine of the catalogue, as many as the team needs, that runs the model at a usable pace."""
        found: list[Plan] = []
        for machine in catalogue().values():
            placed = fit(self.fit.published or self.fit.subject, machine, replace(self.fit.wish, memory_bytes=0))
            if placed.fits:
                other = replace(self, fit=placed, speed=speed(placed), terms=replace(self.terms, price=None))
                if other.usable and other.owned:
                    found.append(other)
        return min(found, key=lambda plan: plan.owned.price.amount if plan.owned else Decimal(0), default=None)

    @property
    def break_evens(self) -> str:
        """Where owning and renting cost the same, as a sentence."""
        if self.owned is None:
            return ""
        people, tokens, price = self.developers_needed, self.tokens_needed, self.price_needed
        said = [f"from {f'{people:,}' if people else 'no number of'} developers on"]
        said.append(f"from {f'{tokens:,}' if tokens else 'no number of'} tokens a day of each on")
        said.append(f"at a price below {price}" if price else "not even as a gift")
        return f"Owning is cheaper in full cost {', '.join(said)} (each alone)."

    def usage(self) -> list[list[str]]:
        """Years of payback: a row for each number of tokens a day, a column for each of USAGE_TEAMS."""
        rows = []
        for factor in (Decimal("0.25"), Decimal(1), Decimal(4), Decimal(16)):
            tokens = max(int(self.team.tokens_per_day * factor), 1)
            years = [self.payback_at(count, tokens) for count in USAGE_TEAMS]
            rows.append([f"{tokens:,}", *("never" if y is None or y > 100 else f"{y:.1f}" for y in years)])
        return rows

    @property
    def notes(self) -> list[Said]:
        """Assumptions and warnings, one sentence each."""
        return notes(self)


def boxes_for(load: float) -> int:
    """Machines for a mean load, in machines: the busiest hour is taken to be twice as busy as the mean."""
    return max(1, math.ceil(load * PEAK - 1e-9))
