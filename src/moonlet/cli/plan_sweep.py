"""`moonlet plan --sweep 10,100,1000`: the simulated days of teams of several sizes side by side, each on as many
machines as it needs; on a Ray cluster if that is asked for."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, replace

from rich import box
from rich.console import Console
from rich.table import Table

from moonlet.cli import UsageError
from moonlet.on_ray import RayPool
from moonlet.planner.plan import Plan
from moonlet.planner.simulate import Result, Simulation

Row = tuple[str, int, int, Result]  # machine, developers, machines, their day


def main(asked: argparse.Namespace, plans: Sequence[Plan], console: Console) -> int:
    """Prints the days of all sizes on all machines."""
    for plan in plans:
        if plan.speed is None:
            raise UsageError(f"nothing to simulate: {plan.verdict}")
    rows = sweep(plans, asked.sweep, asked.boxes, asked.ray)
    if asked.json:
        names = ("machine", "developers", "machines")
        days = [dict(zip(names, row)) | asdict(row[3]) | {"verdict": row[3].verdict} for row in rows]
        print(json.dumps({"model": plans[0].fit.subject.name, "sweep": days}, indent=2))
        return 0
    table = Table(box=box.SIMPLE_HEAD)
    titles = ("machine", "developers", "machines", "first token: half, nine of ten", "a turn: half", "busy", "")
    for title in titles:
        table.add_column(title, justify="left" if title in ("machine", "") else "right")
    for name, developers, boxes, day in rows:
        first = f"{day.first_token_s[0]:.1f} s, {day.first_token_s[1]:.1f} s"
        told = "saturated" if day.saturated else ""
        table.add_row(name, f"{developers:,}", f"{boxes:,}", first, f"{day.turn_s[0]:.1f} s", f"{day.busy:.0%}", told)
    console.print(table)
    return 0


def sweep(plans: Sequence[Plan], sizes: Sequence[int], boxes: int | None = None, ray: bool = False) -> list[Row]:
    """A day for each machine and number of developers. `boxes`: machines for all; None: as many as each needs."""
    wanted = [replace(plan, team=replace(plan.team, developers=developers)) for plan in plans for developers in sizes]
    if ray:
        with RayPool() as pool:
            coming = [pool.submit(_day, plan, boxes) for plan in wanted]
            days = [one.result() for one in coming]
    else:
        days = [_day(plan, boxes) for plan in wanted]
    return [(plan.fit.machine.name, plan.team.developers, boxes or plan.boxes, day) for plan, day in zip(wanted, days)]


def _day(plan: Plan, boxes: int | None) -> Result:
    assert plan.speed
    return Simulation(plan.speed, plan.team, boxes=boxes or plan.boxes).run()
