"""`moonlet ledger`: what was used, by whom, and what it cost."""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from moonlet.cli import UsageError
from moonlet.cli.view import clean, show
from moonlet.ledger import report
from moonlet.ledger.database import Database, open_database
from moonlet.ledger.keys import NANO
from moonlet.ledger.report import Line
from moonlet.model.folder import default_path


def main(asked: argparse.Namespace) -> int:
    if asked.json and asked.csv:
        raise UsageError("--json or --csv, not both")
    if not asked.against and (stray := [flag for flag in _OWNING if getattr(asked, flag) is not None]):
        raise UsageError(f"--{_OWNING[stray[0]]} says what owning costs: --against NAME compares it")
    if asked.prompts and not asked.rows:
        raise UsageError("--prompts is for --rows")
    with closing(open_ledger(asked.ledger)) as database:
        if asked.prune is not None:
            deleted = report.prune(database, time.time() - asked.prune * 86400)
            print(f"{deleted:,} requests older than {asked.prune} days deleted")
        elif asked.against:
            from moonlet.cli import against  # the planner, which the books do without

            against.tell(asked, database)
        elif asked.rows:
            rows = map(_in_dollars, report.rows(database, asked.since, asked.until, prompts=asked.prompts))
            names = [*_in_dollars(dict.fromkeys(report.ROW_FIELDS)), *(["asked"] if asked.prompts else [])]
            _write_csv(names, rows) if asked.csv else _write_json_lines(rows)
        else:
            lines = report.sums(database, asked.by, asked.since, asked.until)
            whole = report.sums(database, None, asked.since, asked.until)
            _sums(asked, lines, whole)
    return 0


# Flags that make sense with --against alone.
_OWNING = {
    name: name.replace("_", "-")
    for name in (
        *("machine", "people", "price", "watts", "idle_watts", "tariff", "pue", "residual", "interest", "admin_hours"),
        *("admin_wage", "network", "rent", "years"),
    )
} | {"hours": "on-hours"}


def open_ledger(place: str | None, make: bool = False) -> Database:
    """The ledger that the arguments name; else $MOONLET_LEDGER, where a password is not seen; else our own file. A file
    that is named is there already, unless it is to be made."""
    home = default_path("").parent
    place = place or os.environ.get("MOONLET_LEDGER")
    if place and not make and "://" not in place and not os.path.exists(os.path.expanduser(place)):
        raise UsageError(f"{place}: there is no ledger")
    return open_database(place or home / "ledger.sqlite")


def _sums(asked: argparse.Namespace, lines: list[Line], whole: list[Line]) -> None:
    told = [_in_dollars(asdict(line)) for line in lines]
    if asked.json:
        print(
            json.dumps(
                {"by": asked.by, "lines": told, "all": _in_dollars(asdict(whole[0])) if whole else None}, indent=2
            )
        )
    elif asked.csv:
        _write_csv(list(_in_dollars(dict.fromkeys(report.LINE_FIELDS))), told)
    elif whole:
        show(_table(asked.by, lines, whole[0]))
    else:
        Console(stderr=True).print("The ledger has no requests of that time.")


def _in_dollars(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with its money in dollars."""
    return {
        "usd" if name == "nano_usd" else name: value / NANO if name == "nano_usd" and value is not None else value
        for name, value in row.items()
    }


def _write_csv(names: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    writer = csv.DictWriter(sys.stdout, names, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _cell(value) for name, value in row.items()})


def _cell(value: Any) -> Any:
    # A spreadsheet would run a text that begins like a formula; names of models come from clients.
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def _write_json_lines(rows: Iterable[Mapping[str, Any]]) -> None:
    for row in rows:
        print(json.dumps(row, ensure_ascii=False))


_NUMBERS = ("requests", "failed", "prompt", "cached", "output", "s/request", "tok/s", "read", "Wh", "USD")


def _table(by: str, lines: list[Line], whole: Line) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column(by)
    for title in _NUMBERS:
        table.add_column(title, justify="right", no_wrap=True)
    for line in lines:
        table.add_row(*_row(line))
    if len(lines) > 1:
        table.add_section()
        table.add_row(*_row(whole), style="bold")
    if whole.joules_modelled is not None:
        table.caption = "~ modelled from declared watts, not measured"
    return table


def _row(line: Line) -> list[str]:
    over = line.requests - line.running
    seconds = line.queue_s + line.prefill_s + line.decode_s
    return [
        clean(line.name),
        f"{line.requests:,}",
        f"{line.error + line.lost:,}",
        f"{line.prompt_tokens:,}",
        f"{line.cached_tokens / line.prompt_tokens:.0%}" if line.prompt_tokens else "",
        f"{line.output_tokens:,}",
        f"{seconds / over:.2f}" if over else "",
        f"{line.output_tokens / line.decode_s:.1f}" if line.decode_s else "",
        f"{line.bytes_read / 1e9:,.1f} GB" if line.bytes_read is not None else "",
        _watt_hours(line),
        f"{line.nano_usd / NANO:,.4f}" if line.nano_usd is not None else "",
    ]


def _watt_hours(line: Line) -> str:
    parts = [(line.joules_measured, ""), (line.joules_modelled, "~")]
    return " + ".join(f"{mark}{joules / 3600:,.2f}" for joules, mark in parts if joules is not None)
