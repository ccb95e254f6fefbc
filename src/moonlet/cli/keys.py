"""`moonlet keys`: who may ask the server, for what, and how much."""

from __future__ import annotations

import argparse
import json
import time
from contextlib import closing
from dataclasses import asdict, fields
from decimal import Decimal, InvalidOperation
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from moonlet.cli import UsageError, when
from moonlet.cli.ledger import open_ledger
from moonlet.cli.view import show
from moonlet.ledger import keys
from moonlet.ledger.database import Database
from moonlet.ledger.keys import NANO, SCOPES, Key, Limits, Scope
from moonlet.ledger.quota import dollars


def main(asked: argparse.Namespace) -> int:
    with closing(open_ledger(asked.ledger, make=asked.action == "add")) as database:
        match asked.action:
            case "add":
                _add(database, asked)
            case "list":
                _list(database, asked.json)
            case "revoke":
                key = keys.revoke(database, asked.name)
                print(f"{key.name} ({key.prefix}...) is refused from now on")
            case "limit":
                changes = _limits(asked)
                if not changes:
                    raise UsageError("name at least one limit, like --tokens-per-day 200000 or --tokens-per-day none")
                print(f"{asked.name}: {_told(keys.limit(database, asked.name, changes).limits) or 'no limits'}")
    return 0


def _add(database: Database, asked: argparse.Namespace) -> None:
    key, secret = keys.add(
        database,
        asked.name,
        owner=asked.owner,
        scopes=_scopes(asked.scopes),
        expires=asked.expires,
        weight=asked.weight,
        priority=asked.priority,
        limits=Limits(**{name: value for name, value in _limits(asked).items() if value is not None}),
    )
    if asked.json:
        print(json.dumps({**_json(key), "secret": secret}, indent=2))
    else:
        Console(stderr=True).print(f"The key of {key.name}, shown this once and kept nowhere:", highlight=False)
        print(secret)


def _scopes(text: str) -> tuple[Scope, ...]:
    wanted = {part.strip() for part in text.split(",")}
    if unknown := wanted - set(SCOPES):
        raise UsageError(f"--scopes: {', '.join(sorted(unknown)) or 'nothing'} is none of {', '.join(SCOPES)}")
    return tuple(scope for scope in SCOPES if scope in wanted)


def _limits(asked: argparse.Namespace) -> dict[str, int | None]:
    """The limits that were named; None for one that shall be no more."""
    named = ((field.name, getattr(asked, field.name)) for field in fields(Limits))
    return {name: None if value == "none" else value for name, value in named if value is not None}


def count(text: str) -> int | str:
    """A limit as it is written: a number, with k or m for thousands or millions, or none."""
    if text == "none":
        return text
    number, factor = (text[:-1], {"k": 1_000, "m": 1_000_000}[text[-1]]) if text[-1:] in ("k", "m") else (text, 1)
    if not number.isascii() or not number.isdigit() or not int(number):
        raise argparse.ArgumentTypeError(f"{text!r} is no count like 5, 200k or 3m, and not none")
    return int(number) * factor


def usd(text: str) -> int | str:
    """An amount in dollars as billionths, or none."""
    if text == "none":
        return text
    try:
        value = Decimal(text.removeprefix("$"))
        if not value.is_finite() or not 0 < value < 1_000_000_000:
            raise ValueError
    except (InvalidOperation, ValueError):
        raise argparse.ArgumentTypeError(f"{text!r} is no amount of dollars like 25 or 0.50, and not none") from None
    return max(int(value * NANO), 1)


def _list(database: Database, as_json: bool) -> None:
    found = keys.all_keys(database)
    if as_json:
        return print(json.dumps([_json(key) for key in found], indent=2))
    table = Table(box=box.SIMPLE_HEAD)
    for title in ("name", "owner", "begins with", "may", "until", "limits"):
        table.add_column(title, no_wrap=title in ("name", "begins with"))
    for key in found:
        until = f"revoked {when.shown(key.revoked)}" if key.revoked else when.shown(key.expires)
        weight = [f"weight {key.weight:g}"] if key.weight != 1 else []
        told = ", ".join([*weight, *(["batch"] if key.priority == "batch" else []), _told(key.limits)])
        style = "" if key.usable(time.time()) else "dim"
        table.add_row(key.name, key.owner, key.prefix, " ".join(key.scopes), until, told, style=style)
    if found:
        show(table)
    else:
        Console(stderr=True).print("There are no keys; `moonlet keys add NAME` makes one.")


def _told(limits: Limits) -> str:
    parts = [
        f"{dollars(value)} per month" if field.name == "nano_usd_per_month" else _count(field.name, value)
        for field in fields(Limits)
        if (value := getattr(limits, field.name)) is not None
    ]
    return ", ".join(parts)


def _count(name: str, value: int) -> str:
    return f"{value} at once" if name == "concurrent" else f"{value:,} {name.replace('_', ' ')}"


def _json(key: Key) -> dict[str, Any]:
    told = {name: value for name, value in asdict(key).items() if name != "limits"}
    limits = asdict(key.limits)
    money = limits.pop("nano_usd_per_month")
    limits["usd_per_month"] = None if money is None else money / NANO
    return {**told, "usable": key.usable(time.time()), "limits": limits}
