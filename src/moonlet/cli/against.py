"""`moonlet ledger --against`: what owning has come to so far, beside what the same would have cost elsewhere."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from moonlet.cli import UsageError
from moonlet.cli.view import clean, show
from moonlet.cli.when import shown
from moonlet.ledger import report
from moonlet.ledger.database import Database
from moonlet.planner.machine import find_machine
from moonlet.planner.money import Money
from moonlet.planner.payback import PaybackError, Rows, SoFar, gather, so_far
from moonlet.planner.plan import Terms
from moonlet.planner.prices import SeatPrice, find_price

_GROUPS = {"key": "key_name", "owner": "owner"}


def tell(asked: argparse.Namespace, database: Database) -> None:
    """Prints it. Raises UsageError, PaybackError, MoneyError, PriceError, MachineError."""
    if asked.by not in _GROUPS or asked.csv or asked.rows:
        raise UsageError("--against tells by key or owner, as a table or with --json")
    found = reckon(asked, database, time.time())
    if asked.json:
        print(json.dumps(as_json(found), indent=2))
    else:
        _show(found, asked.by)


def reckon(asked: argparse.Namespace, database: Database, now: float) -> SoFar:
    """By the flags, up to now at the latest."""
    against = find_price(asked.against)
    if asked.people is not None and not isinstance(against, SeatPrice):
        raise UsageError(f"--people is for subscriptions; {against.name} is paid by the token")
    machine = find_machine(asked.machine) if asked.machine else None
    load = asked.watts if asked.watts is not None else machine.watts_load if machine else 0.0
    idle = asked.idle_watts if asked.idle_watts is not None else machine.watts_idle if machine else 0.0
    if idle > load > 0:
        raise UsageError(f"--idle-watts {idle:g}: a machine does not draw more idle than the {load:g} W at work")
    terms = Terms(**{f.name: value for f in fields(Terms) if (value := getattr(asked, f.name)) is not None})
    until = min(now, asked.until) if asked.until is not None else now
    rows = gather(report.rows(database, asked.since, until), until, load, _GROUPS[asked.by])
    since = asked.since if asked.since is not None else _first(rows)
    today = datetime.fromtimestamp(now, UTC).date()
    return so_far(rows, since, until, terms, machine, (load, idle), against, asked.people, today)


def _first(rows: Rows) -> float:
    if not rows.parts:
        raise PaybackError("the ledger has no requests; --since says from when on the machine counts")
    return min(part.since for part in rows.parts)


def _show(found: SoFar, by: str) -> None:
    console = Console(highlight=False, width=None if Console().is_terminal else 120)
    console.print(found.verdict, style="bold" if console.is_terminal else "", soft_wrap=True)
    days, years = (found.until - found.since) / 86400, found.years
    busy, on = found.rows.busy_s / 3600, found.on_s / 3600
    console.print(
        f"{shown(found.since)} to {shown(found.until)} UTC, {days:,.1f} days; computing {busy:,.1f} of the {on:,.1f} "
        f"hours that the machine was on: {found.utilisation:.1%}",
        soft_wrap=True,
    )
    table = Table(box=box.SIMPLE_HEAD)
    for i, title in enumerate(("", "so far", "a year like this")):
        table.add_column(title, justify="right" if i else "left")

    def row(name: str, amount: Money, style: str = "") -> None:
        table.add_row(name, str(amount), str(amount / years), style=style)

    for name, amount in found.cash_lines.items():
        row(f"  {name}", amount)
    row("cash", found.cash, "bold")
    for name, amount in found.full_lines.items():
        if name not in found.cash_lines:
            row(f"  {name}", amount)
    row("full cost", found.full, "bold")
    table.add_section()
    row(f"elsewhere: {found.against.name}", found.elsewhere, "bold")
    console.print(table)
    show(_parts(found, by))
    for note in found.notes:
        console.print(f"- {note}", soft_wrap=True, markup=False)


def _parts(found: SoFar, by: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for i, title in enumerate((by, "requests", "prompt", "cached", "output", "busy", "cash", "full cost", "elsewhere")):
        table.add_column(title, justify="right" if i else "left", no_wrap=bool(i))
    for part, cash, full, elsewhere in found.by_part:
        counts = [f"{count:,}" for count in (part.requests, part.prompt, part.cached, part.output)]
        share = part.busy_s / found.on_s
        table.add_row(clean(part.name), *counts, f"{share:.1%}", str(cash), str(full), str(elsewhere))
    return table


def as_json(found: SoFar) -> dict[str, Any]:
    """One object; amounts of money as strings, so that nothing is rounded on the way."""

    def plain(amount: Money) -> str:
        return f"{amount.amount:f}"

    paid, years = found.paid, found.payback_years
    return {
        "verdict": found.verdict,
        "against": found.against.name,
        "since": found.since,
        "until": found.until,
        "years": float(found.years),
        "on_s": found.on_s,
        "busy_s": found.rows.busy_s,
        "utilisation": float(found.utilisation),
        "currency": found.currency,
        "price": plain(found.owned.price),
        "cash": plain(found.cash),
        "full": plain(found.full),
        "elsewhere": plain(found.elsewhere),
        "lines": {name: plain(amount) for name, amount in found.full_lines.items()},
        "saved": plain(found.saved),
        "paid_share": None if paid is None else float(round(paid, 6)),
        "payback_years": None if years is None else float(round(years, 3)),
        "lost_requests": found.rows.lost,
        "parts": [
            {
                "name": part.name,
                "owner": part.owner,
                "requests": part.requests,
                "prompt_tokens": part.prompt,
                "cached_tokens": part.cached,
                "output_tokens": part.output,
                "busy_s": part.busy_s,
                "joules": float(part.joules),
                "cash": plain(cash),
                "full": plain(full),
                "elsewhere": plain(elsewhere),
            }
            for part, cash, full, elsewhere in found.by_part
        ],
        "assumptions": found.notes,
    }
