"""`moonlet plan`: does the model fit, how fast is it, does owning pay. Said before a byte of weights is downloaded."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from moonlet.cli import UsageError, plan_sweep, whole
from moonlet.cli.console import for_tables
from moonlet.model.anatomy import size
from moonlet.planner import answer, measure, money, report, routing
from moonlet.planner.capacity import BATCHES
from moonlet.planner.fit import Fit, Wish, fit
from moonlet.planner.machine import Machine, catalogue, find_machine
from moonlet.planner.measure import Measured
from moonlet.planner.plan import PACE_CONTEXT, PROMPTS, TEAMS, USAGE_TEAMS, USUAL_API, USUAL_SEAT, Plan, Terms
from moonlet.planner.prices import ModelPrice, SeatPrice, find_price
from moonlet.planner.routing import Popularity
from moonlet.planner.simulate import Result, Simulation
from moonlet.planner.speed import NONE, Correction, Load, speed
from moonlet.planner.subject import Subject, known_models, subject
from moonlet.planner.team import Team

BAR = 40  # characters of the longest bar


def main(asked: argparse.Namespace) -> int:
    if asked.model is None:
        if asked.json or asked.machine or asked.developers:
            raise UsageError("name the model that is planned; `moonlet plan` alone lists models and machines")
        _list()
        return 0
    if asked.ray and not asked.sweep:
        raise UsageError("--ray is for the many days of a --sweep")
    if asked.boxes and not asked.simulate:
        raise UsageError("--boxes is for the day of --simulate")
    if asked.sweep and (asked.developers or asked.html):
        raise UsageError(f"--sweep is a table of teams: leave {'--team' if asked.developers else '--html'} out")
    if asked.tax and asked.tax not in (rules := money.tax_rules()):
        raise UsageError(f"no tax rules {asked.tax!r}, known are {', '.join(rules)}")
    if asked.html:
        whole.check(Path(asked.html))
    model = subject(asked.model)
    machine, correction = _machine(asked)
    try:
        wish = Wish(
            context=asked.context or 0,
            sequences=asked.sequences,
            dense=asked.dense,
            experts=asked.experts,
            stream=not asked.no_stream,
            memory_bytes=asked.memory or 0,
            cache=asked.cache,
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
    popularity = _popularity(asked, model)
    plan = make(asked, fit(model, machine, wish), popularity, correction)
    others = [make(asked, fit(model, find_machine(n), wish), popularity, NONE, False) for n in asked.compare]
    if asked.sweep:
        return plan_sweep.main(asked, [plan, *others], for_tables())
    day = _simulated(asked, plan) if asked.simulate else None
    if asked.html:
        whole.write(Path(asked.html), report.html(plan, others, day))
    if asked.json:
        print(json.dumps(answer.as_json(plan, others, day), indent=2))
    else:
        _show(plan, others, day, asked)
    return 0


def make(
    asked: argparse.Namespace, placed: Fit, popularity: Popularity, correction: Correction, own: bool = True
) -> Plan:
    """A plan by the command's flags; `own`: the price and watts of the flags are this machine's."""
    if own and (asked.watts is not None or asked.idle_watts is not None):
        machine = placed.machine
        load = machine.watts_load if asked.watts is None else asked.watts
        idle = machine.watts_idle if asked.idle_watts is None else asked.idle_watts
        placed = replace(placed, machine=replace(machine, watts_load=load, watts_idle=min(idle, load)))
    api, seat = _against(asked.against)
    names = (field.name for field in fields(Terms) if own or field.name != "price")
    terms = Terms(**{name: value for name in names if (value := getattr(asked, name)) is not None})
    if not 0 < terms.hours <= money.HOURS:
        told = f"--on-hours must be above 0 and at most {money.HOURS}, the hours of a year, got {terms.hours}"
        raise UsageError(told)
    team = Team(**{name: value for name in _TEAM if (value := getattr(asked, name)) is not None})
    if terms.hours < (worked := team.days * team.hours):
        told = f"a team that works {team.days} days a year, {team.hours} hours each, needs it on {worked} hours a year"
        raise UsageError(f"{told}: --on-hours must be at least that (or --days fewer), got {terms.hours}")
    working = speed(placed, popularity, correction) if placed.fits else None
    plan = Plan(placed, working, team, terms, api, seat, date.today())
    plan.owned  # noqa: B018 - amounts that make no sense are told before anything is printed
    return plan


_TEAM = ("developers", "tokens_per_day", "cached_share", "output_share", "days")


def _machine(asked: argparse.Namespace) -> tuple[Machine, Correction]:
    """The one that is named, or this one, measured if it was not yet."""
    if asked.machine:
        return find_machine(asked.machine), NONE
    measured = None if asked.measure else measure.kept()
    measured = measured or measured_now()
    return measured.machine, measured.correction


def measured_now() -> Measured:
    """This machine, measured, and kept for the next time if that can be."""
    with ticking() as tick:
        measured = measure.measure(tick)
    try:
        measure.keep(measured)
    except OSError as error:  # a home that cannot be written to is no reason not to plan
        print(f"what was measured is not kept: {error}", file=sys.stderr)
    return measured


@contextmanager
def ticking(title: str = "measuring this machine") -> Iterator[Callable[[str], None]]:
    """Gives a function to be told what is going on; a line that changes on a terminal, one plain line elsewhere."""
    console = Console(stderr=True)
    if console.is_terminal:
        with console.status(title) as status:
            yield lambda what: status.update(f"{title}: {what}")
        return
    console.print(title, highlight=False, markup=False)
    yield lambda what: None


def _against(names: list[str]) -> tuple[ModelPrice | None, SeatPrice | None]:
    """What renting is compared with; both usual ways when nothing is named."""
    api: ModelPrice | None = None
    seat: SeatPrice | None = None
    for name in names or [USUAL_API, USUAL_SEAT]:
        price = find_price(name)
        if isinstance(price, ModelPrice):
            api = price
        else:
            seat = price
    return api, seat


def _popularity(asked: argparse.Namespace, model: Subject) -> Popularity:
    config = model.config
    if asked.trace:
        return routing.measured(read_trace(Path(asked.trace)), config, asked.trace)
    try:
        return routing.zipf(config.experts, config.experts_per_token, asked.skew)
    except ValueError as error:
        raise UsageError(str(error)) from None


def read_trace(path: Path) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Choices (sparse layers, T, K) as `moonlet bench --trace` wrote them."""
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise routing.TraceError(f"{path}: no trace can be read ({error})") from None
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "iu":
        raise routing.TraceError(f"{path}: holds no whole numbers (layers, tokens, K)")
    return found.astype(np.int32)


def _simulated(asked: argparse.Namespace, plan: Plan) -> Result:
    if not plan.speed:
        raise UsageError(f"nothing to simulate: {plan.verdict}")
    return Simulation(plan.speed, plan.team, boxes=asked.boxes or plan.boxes).run()


# ---- shown ----------------------------------------------------------------------------------------------------------


def _list() -> None:
    console = for_tables()
    table = Table(box=box.SIMPLE_HEAD, title="machines (--machine NAME, or a .toml of your own)", title_justify="left")
    for title, justify in (("name", "left"), ("what", "left"), ("price", "right"), ("as of", "left")):
        table.add_column(title, justify=justify)  # type: ignore[arg-type]
    for machine in catalogue().values():
        price = str(money.Money(machine.price, machine.currency)) if machine.price is not None else ""
        table.add_row(machine.name, machine.title, price, str(machine.priced or ""))
    console.print("models by name: " + ", ".join(known_models()), soft_wrap=True)
    console.print("or a folder, a config.json, a .gguf; without --machine this machine is measured", soft_wrap=True)
    console.print(table)


def _show(plan: Plan, others: list[Plan], day: Result | None, asked: argparse.Namespace) -> None:
    console = for_tables()
    console.print(plan.verdict, style="bold" if console.is_terminal else "", soft_wrap=True)
    console.print()
    _show_fit(console, plan)
    if plan.speed:
        _show_speed(console, plan)
        _show_money(console, plan, asked)
    if plan.fit.machine.name == "envelope-80gb":
        _show_envelope(console)
    if day:
        _show_day(console, plan, day)
    if others:
        table = Table(box=box.SIMPLE_HEAD)
        for i, title in enumerate(report.COMPARED_HEAD):
            table.add_column(title, justify="right" if i else "left")
        for row in report.compared_rows([plan, *others]):
            table.add_row(*row)
        console.print(table)
    console.print("assumptions:", style="dim" if console.is_terminal else "")
    for note in plan.notes:
        console.print(f"- {note}", soft_wrap=True, markup=False)


def _show_fit(console: Console, plan: Plan) -> None:
    fit = plan.fit
    if not fit.fits:
        return
    table = Table(box=box.SIMPLE_HEAD)
    for i, title in enumerate(("part", *(("cards",) if fit.machine.cards else ()), "memory", "disk")):
        table.add_column(title, justify="right" if i else "left")
    places = ["cards", "memory", "disk"] if fit.machine.cards else ["memory", "disk"]
    for part in dict.fromkeys(home.part for home in fit.homes):
        found = {home.place: home.bytes for home in fit.homes if home.part == part}
        table.add_row(part, *(size(found[place]) if place in found else "" for place in places))
    table.add_section()
    table.add_row("free", *(size(fit.free.get(place, 0)) for place in places))  # type: ignore[call-overload]
    console.print(table)
    console.print(
        f"largest context {fit.largest_context:,} tokens for {fit.wish.sequences} at a time; {fit.context:,} set aside"
    )


def _show_speed(console: Console, plan: Plan) -> None:
    assert plan.speed
    context = plan.fit.context
    table = Table(box=box.SIMPLE_HEAD)
    for i, title in enumerate(("at the same time", "tokens/s together", "range", "each", "full cost of 1M written")):
        table.add_column(title, justify="right" if i else "left")
    for count in plan.batches:
        rate = plan.writes(count)
        cost = plan.per_million(count)
        told = str(cost["output"]) if cost else ""
        table.add_row(
            f"{count}", f"{rate.value:,.1f}", f"{rate.low:,.1f} to {rate.high:,.1f}", f"{rate.value / count:.1f}", told
        )
    console.print(table)
    told = f"each with {context:,} tokens behind it"
    console.print(told + (f"; the first line above: {PACE_CONTEXT:,}" if context > PACE_CONTEXT else ""))
    if plan.batches != BATCHES:
        console.print(f"the caches of {BATCHES[len(plan.batches)]} at a time do not fit")
    lengths = [n for n in PROMPTS if n <= max(plan.fit.largest_context, 1024)]
    for tokens in lengths:
        rate, first = plan.speed.prefill(tokens), plan.speed.first_token(tokens)
        console.print(f"a prompt of {tokens:>6,}: {rate.value:,.0f} tokens/s, first token after {first.value:.1f} s "
                      f"({first.low:.1f} to {first.high:.1f})")  # fmt: skip
    step = plan.speed.step(1, Load(1, context))
    hit = f", {step.hit_rate:.0%} of its experts in memory" if plan.fit.streams else ""
    console.print(f"one token alone reads {size(round(step.read_once))}{hit}")
    console.print()


def _show_money(console: Console, plan: Plan, asked: argparse.Namespace) -> None:
    owned = plan.owned
    if owned is None:
        console.print("no price or watts of this machine: state --price and --watts to see what owning costs")
        return
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("a year")
    for title in ("all", "a developer"):
        table.add_column(title, justify="right")
    people = plan.team.developers

    def row(name: str, amount: money.Money, style: str = "") -> None:
        table.add_row(name, str(amount), str(amount / people), style=style)

    row("cash", owned.cash, "bold")
    for name, amount in owned.full_lines.items():
        if name not in owned.cash_lines:
            row(f"  {name}", amount)
    row("full cost", owned.full, "bold")
    table.add_section()
    for name, amount in plan.rented.items():
        row(f"elsewhere: {name}", amount)
    console.print(table)
    if asked.tax:
        _show_tax(console, owned, asked.tax)
    if (cost := plan.per_million(plan.sequences)) is not None:
        told = ", ".join(f"{kind} {amount}" for kind, amount in cost.items())
        console.print(f"full cost of a million tokens, {plan.sequences} at a time, busy all working hours: {told}")
    if plan.band:
        console.print(
            f"saved a year in full cost: {plan.band.low:,.0f} to {plan.band.high:,.0f} {owned.price.currency} "
            f"(eight of ten draws); hangs most on {', '.join(swing.name for swing in plan.swings[:3])}"
        )
    console.print()
    _show_payback(console, plan)


def _show_tax(console: Console, owned: money.Ownership, name: str) -> None:
    schedule, rate = money.tax_rules()[name]
    saved = money.tax_saved(owned.price, schedule, rate)
    told = ", ".join(f"year {i}: {amount}" for i, amount in enumerate(saved, 1) if amount.amount)
    console.print(f"tax ({name}, {schedule.name}, {rate:.0%}) saved by writing it off, not counted above: {told}")


def _show_payback(console: Console, plan: Plan) -> None:
    """Years by developers, as bars; never is said in words."""
    years = {count: plan.payback_at(count) for count in TEAMS}
    shown = {count: float(value) for count, value in years.items() if value is not None and value <= 100}
    console.print("payback in years, by developers (price over cash saved)")
    longest = max(shown.values(), default=0.0) or 1.0
    for count in TEAMS:
        if count in shown:
            bar = "█" * max(round(shown[count] / longest * BAR), 1)
            console.print(f"{count:>5}  {bar} {shown[count]:.1f}", markup=False)
        else:
            console.print(f"{count:>5}  never" + ("" if years[count] is None else " (over 100 years)"), markup=False)
    console.print()
    table = Table(box=box.SIMPLE_HEAD, title="payback in years, by use", title_justify="left")
    for i, title in enumerate(("tokens a day of each", *(f"{count} developers" for count in USAGE_TEAMS))):
        table.add_column(title, justify="right" if i else "left")
    for row in plan.usage():
        table.add_row(*row)
    console.print(table)
    console.print(plan.break_evens, soft_wrap=True)
    console.print()


def _show_envelope(console: Console) -> None:
    console.print("the well-known sum: 25,000 / (2,400 n - 1,080) years")
    for count in (1, 2, 3, 5, 10, 20):
        console.print(f"{count:>5} developers: {money.envelope_payback(count):.1f} years")
    console.print(money.ENVELOPE_FLAW, soft_wrap=True)
    console.print()


def _show_day(console: Console, plan: Plan, day: Result) -> None:
    half, most, worst = day.first_token_s
    console.print(
        f"a simulated day of {plan.team.developers:,}: {day.finished:,} of {day.turns:,} turns answered, "
        f"{day.busy:.0%} busy, {day.sequences:.1f} at a time, {day.reused:.0%} of what was sent reused",
        soft_wrap=True,
    )
    console.print(
        f"first token: half within {half:.1f} s, nine of ten {most:.1f} s, 99 of 100 {worst:.1f} s", soft_wrap=True
    )
    console.print(f"{day.verdict}\n", soft_wrap=True)
