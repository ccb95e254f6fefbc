"""What /metrics tells of engines of others, where those answer."""

from __future__ import annotations

from moonlet.fleet.counts import COUNTED
from moonlet.fleet.fleet import Fleet
from moonlet.llm import LLM
from moonlet.server.metrics import Family, counter


def fleet_families(model: LLM | None) -> list[Family]:
    """Of each engine whether it answers and what it has to do; what became of calls, and of requests."""
    if not isinstance(model, Fleet):
        return []
    now = model.replicas
    counted = model.counts.all()
    return [
        _by_engine("engine_up", "Whether an engine answers.", {one.name: float(one.up) for one in now}),
        _by_engine("engine_requests", "Requests that it has now.", {one.name: one.in_flight for one in now}),
        *(
            counter(name, told, {((label, value),): count for value, count in counted[name].items()})
            for name, (told, label, _) in COUNTED.items()
        ),
    ]


def _by_engine(name: str, told: str, values: dict[str, float]) -> Family:
    return Family(name, "gauge", told, [("", (("engine", engine),), value) for engine, value in values.items()])
