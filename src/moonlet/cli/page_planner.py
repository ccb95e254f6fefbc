"""What the page of `moonlet serve` asks that takes the whole house: plans, and what owning has come to."""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import fields
from decimal import Decimal
from typing import Any

from fastapi import FastAPI

from moonlet.cli import UsageError, against
from moonlet.cli.open import is_url
from moonlet.ledger.database import Database, DatabaseError
from moonlet.local import NANO
from moonlet.planner.given import given
from moonlet.planner.machine import MachineError, catalogue
from moonlet.planner.money import MoneyError
from moonlet.planner.payback import PaybackError
from moonlet.planner.plan import Terms
from moonlet.planner.prices import PriceError
from moonlet.planner.said import plain
from moonlet.planner.sliders import Sliders
from moonlet.server.page_books import Against

_AMOUNTS = ("price", "tariff")
_WATTS = ("watts", "idle_watts")
_ASKED = (*_AMOUNTS, *_WATTS, "against", "machine")
_KEPT_S = 20.0  # an answer, which takes all rows of the ledger: several may look at it


def offer(asked: argparse.Namespace, app: FastAPI, name: str, database: Database) -> None:
    """Adds them to the application that serves the model `name`, with the books of `database`."""
    place = asked.model or NANO
    app.state.planner = Sliders(None if is_url(place) else (name, place))
    app.state.against = _remembered(lambda wanted: _so_far(wanted, database))


def _so_far(wanted: Mapping[str, Any], database: Database) -> dict[str, Any]:
    """As `moonlet ledger --against NAME --machine NAME --json` tells it. Raises ValueError."""
    flags: dict[str, Any] = {field.name: None for field in fields(Terms)}
    flags |= {"by": "key", "people": None, "since": None, "until": None, "machine": None}
    flags |= {name: _amount(name, wanted.get(name)) for name in _AMOUNTS}
    flags |= {name: None if (found := _amount(name, wanted.get(name))) is None else float(found) for name in _WATTS}
    for name in ("against", "machine"):
        if not isinstance(wanted.get(name), str | None):
            raise ValueError(f"{name} must be a name")
    flags["against"] = (wanted.get("against") or "")[:200]
    if machine := wanted.get("machine"):
        if machine not in catalogue():  # by name only: a page names no files of the server
            raise ValueError(f"there is no machine {str(machine)[:60]!r} in the catalogue")
        flags["machine"] = machine
    try:
        it = against.reckon(argparse.Namespace(**flags), database, time.time())
        return against.as_json(it) | {"sentences": plain(it.sentences), "notes": plain(it.notes)}
    except (UsageError, PaybackError, MoneyError, PriceError, MachineError) as error:
        raise ValueError(str(error)) from None
    except ArithmeticError:
        raise ValueError("these numbers are too far apart to be reckoned with") from None
    except DatabaseError:
        raise ValueError("the ledger cannot be read at the moment") from None


def _amount(name: str, value: object) -> Decimal | None:
    """Of JSON, where it may be a text so that nothing is rounded."""
    if value is None or value == "":
        return None
    return given(name, value)


def _remembered(work: Callable[[Mapping[str, Any]], dict[str, Any]]) -> Against:
    """The same, which is not worked out again for as long as nothing much can have changed."""
    kept: dict[str, tuple[float, dict[str, Any]]] = {}
    one_at_a_time = threading.Lock()  # each reads the whole ledger

    def found(asked: Mapping[str, Any]) -> dict[str, Any]:
        name = repr(sorted((key, asked[key]) for key in _ASKED if key in asked))
        with one_at_a_time:
            now = time.monotonic()
            for old in [one for one, (until, _) in kept.items() if until < now]:
                del kept[old]
            if name not in kept:
                kept[name] = now + _KEPT_S, work(asked)
            return kept[name][1]

    return found
