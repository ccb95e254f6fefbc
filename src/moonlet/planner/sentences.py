"""What a plan says: its first line and what it rests on, as sentences that can be said in other languages."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from .cluster import cluster
from .money import Money
from .prices import ModelPrice, SeatPrice, stale
from .said import Said
from .speed import Bars, assumptions
from .subject import Subject
from .team import Team

if TYPE_CHECKING:
    from .plan import Plan

PROMPT, PATIENCE_S = 8192, 30.0  # what a coding agent begins with, and how long one likes to wait for it


def verdict(plan: Plan) -> list[Said]:
    """What the first line says."""
    name, machine = plan.fit.subject.name, plan.fit.machine.name
    if not plan.fit.fits:
        why, change = plan.fit.why, plan.fit.change
        what = Said("no_fit", f"{name} does not fit on {machine}: {why}.", model=name, machine=machine, why=why)
        return [what, Said("would_do", f"What would do: {change}.", change=change), *_instead(plan)]
    fast = f"at about {_pace(plan.pace)} tokens/s for one."
    pace = {"pace": plan.pace.value, "low": plan.pace.low, "high": plan.pace.high}
    runs = Said("runs", f"{name} runs on {machine} {fast}", model=name, machine=machine, **pace)
    if plan.owned is None:
        return [runs, Said("state_price", "State a price and watts to compare with renting.")]
    if plan.boxes > 1:
        many = f"{name} runs on {plan.boxes} × {machine} {fast}"
        runs = Said("runs_many", many, model=name, machine=machine, count=plan.boxes, **pace)
    return [*_cheaper(plan), runs, *_slow(plan)]


def _cheaper(plan: Plan) -> list[Said]:
    """Whether owning or renting is, and where that turns."""
    assert plan.owned
    count, people, way = plan.team.developers, _people(plan.team), plan.rented_as
    saved = plan.counterfactual - plan.owned.full
    if saved.amount > 0:
        told = f"Owning is cheaper for {people}, by {saved} a year against {way}."
        return [Said("own", told, count=count, saved=saved, way=way)]
    more, again = saved * -1, plan.developers_needed
    rent = Said("rent", f"Renting is cheaper for {people}, by {more} a year ({way}).", count=count, saved=more, way=way)
    if again:
        return [rent, Said("pays_from", f"Owning pays from {again} developers on.", count=again)]
    return [rent, Said("pays_never", "No team size changes that.")]


def _slow(plan: Plan) -> list[Said]:
    """A warning for who would wait: prices do not say that it is no fun."""
    first = plan.first_token_s
    if not plan.usable:
        return [Said("slow", "It writes slowly: agents will wait.")]
    if first > PATIENCE_S:
        told = f"It reads slowly: the first {PROMPT:,} tokens of a conversation take {first:.0f} s."
        return [Said("late", told, tokens=PROMPT, seconds=first)]
    return []


def _instead(plan: Plan) -> list[Said]:
    """On what it would run, and whether that pays: the answer when the machine asked for is too small."""
    other = plan.alternative
    if other is None or other.owned is None:
        return []
    left = other.counterfactual - other.owned.full
    own = left.amount > 0
    saved = left if own else left * -1
    pays = f"owning it is cheaper by {saved} a year" if own else f"renting is cheaper by {saved} a year"
    machine = f"{other.boxes} × {other.fit.machine.name}" if other.boxes > 1 else other.fit.machine.name
    which = f"{machine}, {other.owned.price}; for {_people(plan.team)} {pays}"
    values = {"machine": machine, "price": other.owned.price, "count": plan.team.developers, "saved": saved}
    told = f"Cheapest that runs it at a usable pace: {which}."
    return [Said("instead_own" if own else "instead_rent", told, **values)]


def notes(plan: Plan) -> list[Said]:
    """Assumptions and warnings, one sentence each."""
    said = [*assumptions(plan.speed), *_spread(plan)] if plan.speed else []
    team, terms, machine = plan.team, plan.terms, plan.fit.machine
    if machine.cards is None and plan.fit.published and plan.fit.published.fp8:
        said.append(_pulled(plan.fit.subject))
    told = (
        f"a developer: {team.tokens_per_day:,} tokens a day ({team.cached_share:.0%} read again from the cache, "
        f"{team.output_share:.0%} written), {team.days} days a year, {team.hours} hours"
    )
    by = {"tokens": team.tokens_per_day, "cached": team.cached_share, "written": team.output_share}
    said.append(Said("developer", told, **by, days=team.days, hours=team.hours))
    said.append(kept_for(terms.years, terms.residual, terms.interest, terms.admin_hours))
    said += [dated(price, plan.today) for price in (plan.api, plan.seat) if price]
    if plan.seat:
        told = f"{plan.seat.title} has caps: {plan.seat.caps}"
        said.append(Said("caps", told, seat=plan.seat.title, caps=plan.seat.caps))
    if machine.priced and (age := (plan.today - machine.priced).days) > 180:
        told = f"the machine's price is of {machine.priced}, {age} days old"
        said.append(Said("old_price", told, date=machine.priced, count=age))
    return said


def _spread(plan: Plan) -> list[Said]:
    """That engines for cards lay the model over several machines, each of which this plan has run it by itself."""
    shape = cluster(plan)
    if shape is None or shape.nodes == 1:
        return []
    machines = shape.nodes * shape.replicas
    one = "machine that runs" if plan.boxes == 1 else "machines, each of which runs"
    told = (
        f"this plan is of {plan.boxes} {one} the model by itself; vLLM and SGLang keep all weights in cards, so that "
        f"`moonlet deploy` lays it over {machines} machines (engines × machines of one: {shape.replicas} × "
        f"{shape.nodes}), whose speed is not planned"
    )
    by = {"machines": machines, "engines": shape.replicas, "nodes": shape.nodes}
    return [Said("spread", told, count=plan.boxes, **by)]


def _pulled(made: Subject) -> Said:
    """What became of fp8."""
    dense, experts, router = (made.part(name).format for name in ("attention", "experts", "router"))
    told = (
        f"published as fp8, which moonlet's engine does not compute with: dense parts as {dense}, experts as "
        f"{experts} and routers as {router}, as `moonlet pull` makes them; engines for cards keep fp8"
    )
    return Said("pulled", told, dense=dense, experts=experts, router=router)


def kept_for(
    years: int, residual: Decimal, interest: Decimal, admin_hours: Decimal, tariff: Money | None = None
) -> Said:
    """How long a machine is kept, and what that is reckoned with."""
    told = (
        f"kept {years} years, sold for {residual:.0%}, {interest:.0%} interest, {admin_hours} hours of care a year"
        f"{f', {tariff.amount:f} {tariff.currency} a kWh' if tariff else ''}"
    )
    values = {"count": years, "residual": residual, "interest": interest, "hours": admin_hours}
    return Said("kept_with", told, **values, tariff=tariff) if tariff else Said("kept", told, **values)


def dated(price: ModelPrice | SeatPrice, today: date) -> Said:
    """Where a price is from, and whether it is old."""
    old = stale(price, today)
    told = f"price of {price.name}: {price.source}, {price.dated}{f' (STALE: {old})' if old else ''}"
    values = {"name": price.name, "source": price.source, "date": price.dated}
    return Said("stale", told, **values, count=price.age_days(today)) if old else Said("dated", told, **values)


def _people(team: Team) -> str:
    return f"{team.developers} developer{'s' if team.developers > 1 else ''}"


def _pace(bars: Bars) -> str:
    digits = 1 if bars.value < 20 else 0
    return f"{bars.value:.{digits}f} ({bars.low:.{digits}f} to {bars.high:.{digits}f})"
