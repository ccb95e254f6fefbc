"""What the page's Books asks: what was used by day, key and model, quotas, who waits now, and what it came to.

A key sees its own lines. An admin, and whoever sits at a machine that needs no key, sees everybody's.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol

from fastapi import FastAPI, Request

from moonlet.ledger import keys, report
from moonlet.ledger.books import Books
from moonlet.ledger.database import Database, DatabaseError
from moonlet.ledger.keys import NANO, Key
from moonlet.ledger.quota import Used, day, month
from moonlet.ledger.report import Line
from moonlet.ledger.rows import used_by
from moonlet.llm import LLM, Priority, Queued
from moonlet.server.accounts import Account, Accounts
from moonlet.server.apart import apart
from moonlet.server.body import read_json
from moonlet.server.errors import ApiError
from moonlet.server.fields import as_object, short
from moonlet.server.page_who import Viewer, viewer

MOST_DAYS = 366
NAMED = 5  # keys, or models, with a colour of their own in a chart; the rest is added up
_DAY_S = 86400.0


class Against(Protocol):
    """What owning came to so far beside what the same would have cost elsewhere: as `moonlet ledger --against`."""

    def __call__(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """One object, parts by key. Raises ValueError with one line."""
        ...


def mount(app: FastAPI, model: LLM, accounts: Accounts, books: Books | None) -> None:
    """The paths below /api/books. Who knows prices puts what it needs for `against` into the application's state."""
    app.state.against = None

    @app.get("/api/books", include_in_schema=False)
    async def all_books(request: Request) -> dict[str, Any]:
        days = _days(request.query_params.get("days", "30"))
        if books is None:
            raise ApiError("this server keeps no books", status=404)
        who = viewer(request)
        try:
            # Not in asyncio's pool: every request needs that for its key, and this may take seconds.
            return await apart(lambda: _told(books, who, days, time.time()))
        except DatabaseError:
            raise ApiError("the books cannot be read at the moment", status=503, retry_s=5) from None

    @app.get("/api/books/now", include_in_schema=False)
    async def now(request: Request) -> dict[str, Any]:
        return under_way(model, accounts.under_way(), viewer(request), time.time())

    @app.post("/api/books/against", include_in_schema=False)
    async def so_far(request: Request) -> dict[str, Any]:
        against: Against | None = app.state.against
        if against is None:
            raise ApiError("this server knows no prices", status=404)
        who, asked = viewer(request), as_object(await read_json(request))
        try:
            found = await apart(lambda: against(asked))
        except ValueError as error:
            raise ApiError(str(error)) from None
        return found | {"own": False} if who.all else _own_part(found, who)


# ---- sums -----------------------------------------------------------------------------------------------------------


def _days(text: str) -> int:
    if not text.isdecimal() or len(text) > 3 or not 1 <= int(text) <= MOST_DAYS:
        raise ApiError(f"days must be a whole number within 1 and {MOST_DAYS}, got {short(text)}", "days")
    return int(text)


def _told(books: Books, who: Viewer, days: int, now: float) -> dict[str, Any]:
    since = (now // _DAY_S - days + 1) * _DAY_S  # whole UTC days, today among them
    key_id, database = who.sees, books.database
    whole = report.sums(database, None, since, key_id=key_id)
    return {
        "days": [day(since + n * _DAY_S) for n in range(days)],
        "since": since,
        "now": now,
        "own": not who.all,
        "who": who.name,
        "price": str(books.price) if books.price else None,
        "waiting_rows": books.waiting,
        "total": line_json(whole[0]) if whole else None,
        "daily": [{"day": when} | line_json(line) for when, line in report.daily(database, None, since, key_id=key_id)],
        "keys": [line_json(line) for line in report.sums(database, "key", since, key_id=key_id)],
        "models": [line_json(line) for line in report.sums(database, "model", since, key_id=key_id)],
        "daily_keys": _series(report.daily(database, "key", since, key_id=key_id)),
        "daily_models": _series(report.daily(database, "model", since, key_id=key_id)),
        "quotas": quotas(database, who, now),
    }


def line_json(line: Line) -> dict[str, Any]:
    """A line with its money in dollars and its energy in watt hours."""
    told = asdict(line)
    nano_usd, measured, modelled = (told.pop(name) for name in ("nano_usd", "joules_measured", "joules_modelled"))
    return told | {
        "usd": None if nano_usd is None else nano_usd / NANO,
        "wh_measured": None if measured is None else measured / 3600,
        "wh_modelled": None if modelled is None else modelled / 3600,
    }


def _series(daily: Sequence[tuple[str, Line]]) -> list[dict[str, Any]]:
    """By day and name; names beyond those with most tokens are added up as ""."""
    tokens: dict[str, int] = {}
    for _, line in daily:
        tokens[line.name] = tokens.get(line.name, 0) + line.prompt_tokens + line.output_tokens
    named = set(sorted(tokens, key=lambda name: -tokens[name])[:NAMED])
    sums: dict[tuple[str, str], dict[str, float]] = {}
    for when, line in daily:
        one = sums.setdefault(
            (when, line.name if line.name in named else ""), dict.fromkeys(("tokens", "wh", "usd"), 0)
        )
        one["tokens"] += line.prompt_tokens + line.output_tokens
        one["wh"] += ((line.joules_measured or 0) + (line.joules_modelled or 0)) / 3600
        one["usd"] += (line.nano_usd or 0) / NANO
    return [{"day": when, "name": name} | one for (when, name), one in sums.items()]


# ---- quotas ---------------------------------------------------------------------------------------------------------

MOST_KEYS = 200  # whose quotas are told at once


def quotas(database: Database, who: Viewer, now: float) -> list[dict[str, Any]]:
    """What each usable key may use, and has used by now."""
    found = [key for key in keys.all_keys(database) if key.usable(now) and (who.all or key.id == who.owner)]
    with database.reporting() as connection:
        return [_quota(key, used_by(connection, key.id, now), now) for key in found[:MOST_KEYS]]


def _quota(key: Key, used: Used, now: float) -> dict[str, Any]:
    limits, minute = key.limits, sum(tokens for _, tokens in used.minute)
    bounds = {
        "tokens_per_minute": (limits.tokens_per_minute, minute),
        "tokens_per_day": (limits.tokens_per_day, used.day_tokens),
        "tokens_per_month": (limits.tokens_per_month, used.month_tokens),
        "concurrent": (limits.concurrent, used.running),
        "usd_per_month": (limits.nano_usd_per_month, used.month_nano_usd),
    }
    scale = {"usd_per_month": NANO}
    return {
        "name": key.name,
        "owner": key.owner,
        "expires": key.expires,
        "weight": key.weight,
        "priority": key.priority,
        "day": day(now),
        "month": month(now),
        "limits": [
            {"name": name, "limit": limit / scale.get(name, 1), "used": spent / scale.get(name, 1)}
            for name, (limit, spent) in bounds.items()
            if limit is not None
        ],
    }


# ---- now ------------------------------------------------------------------------------------------------------------


def under_way(model: LLM, accounts: Sequence[Account], who: Viewer, now: float) -> dict[str, Any]:
    """Requests that are answered, read or wait, and each one's place in the line. Others' names are told to who sees
    all; that they are there, to everybody: it is why one waits."""
    places: dict[tuple[str, Priority], list[int]] = {}
    for place, kind in enumerate(model.in_line() if isinstance(model, Queued) else (), 1):
        places.setdefault(kind, []).append(place)
    silent: dict[tuple[str, Priority], list[Account]] = {}
    for account in accounts:
        if not account.pieces:
            silent.setdefault((_owner(account), account.options.priority), []).append(account)
    waiting = {}  # of an owner's requests of one priority the youngest: the older ones have their places already
    for kind, mine in places.items():
        for account, place in zip(reversed(silent.get(kind, [])), reversed(mine)):
            waiting[id(account)] = place
    told = [_request(account, waiting.get(id(account)), who, now) for account in accounts]
    return {"now": now, "requests": told, "waiting": len(waiting)}


def _owner(account: Account) -> str:
    return account.key.id if account.key else ""


def _request(account: Account, place: int | None, who: Viewer, now: float) -> dict[str, Any]:
    known = who.all or _owner(account) == who.owner
    return {
        "key": account.key.name if account.key and known else None,
        "known": known,
        "api": account.api if known else "",
        "seconds": round(now - account.since, 1),
        "state": "waiting" if place else "writing" if account.pieces else "reading",
        "place": place,
        "tokens": account.pieces,
    }


# ---- owning ---------------------------------------------------------------------------------------------------------


def _own_part(found: Mapping[str, Any], who: Viewer) -> dict[str, Any]:
    """Of what everybody came to, one key's part alone: what each of the others did is not told."""
    parts = [part for part in found["parts"] if part["name"] == who.name]
    told = {name: found[name] for name in ("against", "since", "until", "currency", "notes")}
    mine = parts[0] if parts else {"cash": "0", "full": "0", "elsewhere": "0"}
    return told | {"own": True, "parts": parts, **{name: mine[name] for name in ("cash", "full", "elsewhere")}}
