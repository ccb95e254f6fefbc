"""The answer as data: what `moonlet plan --json` prints and what the page shows. Amounts of money are strings, so that
nothing is rounded on the way; an amount of a year, years of payback and prices of a million tokens each say so by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from .cluster import cluster
from .plan import PROMPTS, TEAMS, Plan
from .simulate import Result
from .speed import Load


def as_json(plan: Plan, others: Sequence[Plan] = (), day: Result | None = None, sure: bool = True) -> dict[str, Any]:
    """One object. `sure`: with how sure it is, a thousand draws that take longer than all the rest."""
    fit = plan.fit
    found: dict[str, Any] = {
        "verdict": plan.verdict,
        "model": {"name": fit.subject.name, "origin": fit.subject.origin, "bytes": fit.subject.stored_bytes},
        "machine": {"name": fit.machine.name, "title": fit.machine.title, "estimates": fit.machine.estimates},
        "fits": fit.fits,
        "why": fit.why,
        "change": fit.change,
        "homes": [{"part": home.part, "place": home.place, "bytes": home.bytes} for home in fit.homes],
        "largest_context": fit.largest_context,
        "context": fit.context,
        "cluster": None if (shape := cluster(plan)) is None else asdict(shape) | {"machines": shape.nodes},
        "assumptions": plan.notes,
    }
    if plan.speed:
        found["speed"] = _speed_json(plan)
        found["money"] = _money_json(plan, sure)
    if day:
        found["simulation"] = {
            name: getattr(day, name) for name in Result.__dataclass_fields__
        } | {"verdict": day.verdict}  # fmt: skip
    if others:
        found["compared"] = [as_json(other, sure=sure) for other in others]
    return found


def _speed_json(plan: Plan) -> dict[str, Any]:
    assert plan.speed
    step = plan.speed.step(1, Load(1, plan.fit.context))
    decode = []
    for count in plan.batches:
        rate = plan.writes(count)
        decode.append({"sequences": count, "tokens_s": rate.value, "low": rate.low, "high": rate.high})
    prefill = []
    for tokens in PROMPTS:
        if tokens <= max(plan.fit.largest_context, 1024):
            rate, first = plan.speed.prefill(tokens), plan.speed.first_token(tokens)
            prefill.append({"tokens": tokens, "tokens_s": rate.value, "low": rate.low, "high": rate.high,
                            "first_token_s": first.value})  # fmt: skip
    return {"decode": decode, "prefill": prefill, "read_bytes_per_token": step.read_bytes,
            "hit_rate": step.hit_rate, "seconds_of_a_token": step.parts}  # fmt: skip


def _money_json(plan: Plan, sure: bool) -> dict[str, Any] | None:
    owned = plan.owned
    if owned is None:
        return None
    years = {count: plan.payback_at(count) for count in TEAMS}
    cost = plan.per_million(plan.sequences)
    found = {
        "currency": owned.price.currency,
        "machines": plan.boxes,
        "price": str(owned.price.amount),
        "cash_a_year": str(owned.cash.amount),
        "full_a_year": str(owned.full.amount),
        "elsewhere_a_year": {name: str(amount.amount) for name, amount in plan.rented.items()},
        "payback_years": {str(n): None if value is None else str(round(value, 2)) for n, value in years.items()},
        "break_even": {
            "developers": plan.developers_needed,
            "tokens_per_day": plan.tokens_needed,
            "price": plan.price_needed and str(plan.price_needed.amount),
        },
        "per_million": {kind: str(amount.amount) for kind, amount in cost.items()} if cost else None,
    }
    return found | _sure_json(plan) if sure else found


def _sure_json(plan: Plan) -> dict[str, Any]:
    band = plan.band
    return {
        "saved_a_year": band and {"low": str(band.low), "middle": str(band.middle), "high": str(band.high),
                                  "share_positive": band.positive},
        "sensitivity": [{"name": s.name, "low": str(s.low), "high": str(s.high)} for s in plan.swings],
    }  # fmt: skip
