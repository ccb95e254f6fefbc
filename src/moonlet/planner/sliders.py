"""The plan while somebody drags: the same answer as `moonlet plan --json`, and the curves around it.

What is asked for comes from a page, so models and machines are known by name only, never by path. Where a model lies on
a machine and how fast it is depends on neither the team nor the prices: it is worked out once for each pair.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from decimal import Decimal
from functools import cached_property, lru_cache
from typing import Any

from moonlet.local import ModelNotFoundError
from moonlet.model.config import ConfigError
from moonlet.model.folder import FolderError

from . import measure
from .answer import as_json
from .fit import Fit, Wish, fit
from .gguf import GgufError
from .given import given
from .machine import catalogue, find_machine
from .money import Money, MoneyError
from .plan import LEAST_PACE, USUAL_API, USUAL_SEAT, Plan, Terms, boxes_for
from .prices import ModelPrice, PriceError, SeatPrice, find_price, model_prices, seat_prices, stale
from .said import plain
from .speed import NONE, Correction, Speed, speed
from .subject import Subject, UnknownModelError, known_models, subject
from .team import Team

_log = logging.getLogger("moonlet.planner")

HERE = "this"  # the machine that was measured
USUAL_MODEL, USUAL_MACHINE = "kimi-k2-thinking", "epyc-768gb-1x-rtx-pro-6000"
TEAMS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 65, 80, 100)  # along the curves
MOST = {"developers": 10_000, "tokens_per_day": 10**9}  # that a page may ask for
_TEAM, _TERMS = Team(), Terms()  # as `moonlet plan` takes them to be
_LONGEST = 100.0  # years of payback that a curve shows

# What a page may set: how it is read. The rest is as `moonlet plan` has it.
_WHOLE = ("developers", "tokens_per_day")
_AMOUNTS = ("tariff", "price", "watts", "idle_watts")
_NAMES = ("model", "machine", "api", "seat")


class SlidersError(ValueError):
    """What was asked for cannot be planned; one line says why."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A position of all sliders. `api` and `seat` are what renting is compared with; empty: not with that."""

    model: str = USUAL_MODEL
    machine: str = USUAL_MACHINE
    developers: int = _TEAM.developers
    tokens_per_day: int = _TEAM.tokens_per_day
    tariff: Decimal = _TERMS.tariff
    price: Decimal | None = None  # of the machine, as are the watts; None: its own
    watts: Decimal | None = None
    idle_watts: Decimal | None = None
    api: str = USUAL_API
    seat: str = USUAL_SEAT

    @classmethod
    def read(cls, asked: Mapping[str, Any]) -> Wanted:
        """From JSON. Raises SlidersError; what is unknown is a mistake, too."""
        if unknown := asked.keys() - {*_WHOLE, *_AMOUNTS, *_NAMES}:
            raise SlidersError(f"there is no {sorted(unknown)[0][:40]!r} to set")
        found: dict[str, Any] = {}
        for name, value in asked.items():
            if value is None and name in ("price", "watts", "idle_watts"):
                continue
            found[name] = _name(name, value) if name in _NAMES else _number(name, value)
        return cls(**found)


def _name(name: str, value: object) -> str:
    if not isinstance(value, str) or len(value) > 200:
        raise SlidersError(f"{name} must be a name")
    return value


def _number(name: str, value: object) -> int | Decimal:
    try:
        number = given(name, value)
    except ValueError as error:
        raise SlidersError(str(error)) from None
    if name not in _WHOLE:
        return number
    if number != number.to_integral_value() or not 1 <= number <= MOST[name]:
        raise SlidersError(f"{name} must be a whole number within 1 and {MOST[name]:,}, got {number:f}")
    return int(number)


class Sliders:
    """What the page asks. `served`: name and place of the model that is served, if it is one that can be planned."""

    def __init__(self, served: tuple[str, str] | None = None, today: date | None = None) -> None:
        self._served, self._today = served, today
        self._surely = threading.Lock()

    def choices(self) -> dict[str, Any]:
        """What can be chosen, and where the sliders stand at first."""
        return {
            "models": [*([self._served[0]] if self._served and self._own else []), *known_models()],
            "machines": self._machines(),
            "apis": [_price_json(price, self._day) for _, price in sorted(model_prices().items())],
            "seats": [_price_json(price, self._day) for price in seat_prices().values()],
            "usual": {name: str(v) if isinstance(v, Decimal) else v for name, v in asdict(Wanted()).items()},
            "most": MOST,
        }

    def answer(self, asked: Mapping[str, Any], sure: bool = False) -> dict[str, Any]:
        """The plan, what its first line says as data, and its curves. Raises SlidersError."""
        wanted = Wanted.read(asked)
        if sure:
            with self._surely:  # seconds of work: one at a time leaves the processor to the model
                return self._answer(wanted, True)
        return self._answer(wanted, False)

    def _answer(self, wanted: Wanted, sure: bool) -> dict[str, Any]:
        try:
            plan = self.plan(wanted)
            found = as_json(plan, sure=sure) | {"said": _said(plan), "curves": _curves(plan), "free": plan.fit.free}
            return found | {"sentences": plain(plan.sentences), "notes": plain(plan.notes)}
        except (MoneyError, PriceError, UnknownModelError, ModelNotFoundError, OSError) as error:
            raise SlidersError(str(error)) from None
        except ArithmeticError:
            raise SlidersError("these numbers are too far apart to be reckoned with") from None

    def plan(self, wanted: Wanted) -> Plan:
        """As `moonlet plan` makes it. Raises SlidersError, MoneyError, PriceError."""
        placed, working = self._placed(wanted.model, wanted.machine)
        if wanted.watts is not None or wanted.idle_watts is not None:
            machine = placed.machine
            load = machine.watts_load if wanted.watts is None else float(wanted.watts)
            idle = machine.watts_idle if wanted.idle_watts is None else float(wanted.idle_watts)
            placed = replace(placed, machine=replace(machine, watts_load=load, watts_idle=min(idle, load)))
            working = replace(working, fit=placed) if working else None
        api = find_price(wanted.api) if wanted.api else None
        seat = find_price(wanted.seat) if wanted.seat else None
        if not isinstance(api, ModelPrice | None) or not isinstance(seat, SeatPrice | None):
            raise SlidersError("api must be a model with a price, seat a subscription")
        if api is None and seat is None:
            raise SlidersError("there must be something to compare with: api, seat or both")
        team = Team(developers=wanted.developers, tokens_per_day=wanted.tokens_per_day)
        return Plan(placed, working, team, Terms(tariff=wanted.tariff, price=wanted.price), api, seat, self._day)

    @property
    def _day(self) -> date:
        return self._today or date.today()

    @cached_property
    def _own(self) -> Subject | None:
        """The served model, if the planner understands it."""
        try:
            return subject(self._served[1]) if self._served else None
        except (UnknownModelError, ModelNotFoundError, ConfigError, FolderError, GgufError, OSError) as error:
            _log.warning("the served model is not offered on the page's Plan: %s", error)
            return None

    def _placed(self, model: str, machine: str) -> tuple[Fit, Speed | None]:
        if self._served and model == self._served[0] and self._own:
            it = replace(self._own, name=model)
        elif model in known_models():
            it = subject(model)
        else:
            raise SlidersError(f"there is no model {model!r} to plan with")
        if machine == HERE:
            return _here(it)
        if machine not in catalogue():
            raise SlidersError(f"there is no machine {machine!r} in the catalogue")
        return _in_catalogue(it, machine)

    def _machines(self) -> list[dict[str, Any]]:
        kept = measure.kept()
        found = [kept.machine] if kept else []
        return [
            {
                "name": machine.name,
                "title": machine.title,
                "price": None if machine.price is None else str(machine.price),
                "currency": machine.currency,
                "watts_load": machine.watts_load,
                "watts_idle": machine.watts_idle,
            }
            for machine in [*found, *catalogue().values()]
        ]


@lru_cache(maxsize=256)
def _in_catalogue(model: Subject, machine: str) -> tuple[Fit, Speed | None]:
    return _place(model, fit(model, find_machine(machine), Wish()), NONE)


def _here(model: Subject) -> tuple[Fit, Speed | None]:
    """On the machine that was measured: never measured from here, which would take the server's machine for 20 s."""
    kept = measure.kept()
    if kept is None:
        raise SlidersError("this machine is not measured yet: `moonlet plan MODEL` does that once")
    return _place(model, fit(model, kept.machine, Wish()), kept.correction)


def _place(model: Subject, placed: Fit, correction: Correction) -> tuple[Fit, Speed | None]:
    return placed, speed(placed, correction=correction) if placed.fits else None


def _price_json(price: ModelPrice | SeatPrice, today: date) -> dict[str, Any]:
    found = {"name": price.name, "date": price.dated.isoformat(), "stale": bool(stale(price, today))}
    if isinstance(price, SeatPrice):
        return found | {"title": price.title, "month": str(price.month.amount), "caps": price.caps}
    it = price.price
    return found | {kind: str(getattr(it, kind).amount) for kind in ("prompt", "cached", "output")}


def _said(plan: Plan) -> dict[str, Any]:
    """What the first line rests on."""
    if not plan.speed:
        return {"kind": "no fit"}
    pace = {"value": plan.pace.value, "low": plan.pace.low, "high": plan.pace.high, "least": LEAST_PACE}
    if plan.owned is None:
        return {"kind": "no price", "pace": pace}
    saved = plan.counterfactual - plan.owned.full
    return {
        "pace": pace,
        "kind": "own" if saved.amount > 0 else "rent",
        "saved_a_year": str(saved.amount),
        "way": plan.rented_as,
        "machines": plan.boxes,
        "payback_years": _years(plan.payback_years),
    }


def _curves(plan: Plan) -> dict[str, Any] | None:
    """Payback and cost of a year by developers, and cost of a million written tokens by replies at the same time."""
    if plan.owned is None:
        return None
    counts = sorted({*TEAMS, plan.team.developers})
    teams = [replace(plan.team, developers=count) for count in counts]
    owned = [plan.owned_by(team) for team in teams]
    rented = [replace(plan, team=team).rented for team in teams]
    million = [plan.per_million(count) for count in plan.batches]
    return {
        "developers": counts,
        "payback_years": [_years(plan.payback_at(count)) for count in counts],
        "machines": [boxes_for(team.output_per_s / plan.capacity) for team in teams],
        "cash": [_amount(one.cash) for one in owned],
        "full": [_amount(one.full) for one in owned],
        "elsewhere": {name: [_amount(ways[name]) for ways in rented] for name in plan.rented},
        "replies": list(plan.batches),
        "per_million": [_amount(cost["output"]) for cost in million if cost],
        "per_million_elsewhere": _amount(plan.api.price.output) if plan.api else None,
    }


def _amount(money: Money) -> float:
    """For a curve: its points are drawn, not added up."""
    return round(float(money.amount), 4)


def _years(years: Decimal | None) -> float | None:
    return None if years is None or years > _LONGEST else round(float(years), 3)
