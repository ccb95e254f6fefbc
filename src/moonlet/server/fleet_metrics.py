"""What /metrics tells of engines of others, where those answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from moonlet.fleet.counts import COUNTED
from moonlet.fleet.fleet import Fleet
from moonlet.llm import LLM
from moonlet.server.metrics import Family, counter


def fleet_families(models: Sequence[LLM | None]) -> list[Family]:
    """Of each engine whether it answers and what it has to do; what became of calls, and of requests."""
    fleets = [model for model in models if isinstance(model, Fleet)]
    if not fleets:
        return []
    now = [replica for fleet in fleets for replica in fleet.replicas]
    counted: Counter[tuple[str, str]] = Counter()
    for fleet in fleets:
        for name, counts in fleet.counts.all().items():
            for value, count in counts.items():
                counted[name, value] += count
    return [
        _by_engine("engine_up", "Whether an engine answers.", {one.name: float(one.up) for one in now}),
        _by_engine("engine_requests", "Requests that it has now.", {one.name: one.in_flight for one in now}),
        *(
            counter(name, told, {((label, value),): count for (of, value), count in counted.items() if of == name})
            for name, (told, label, _) in COUNTED.items()
        ),
    ]


def _by_engine(name: str, told: str, values: dict[str, float]) -> Family:
    return Family(name, "gauge", told, [("", (("engine", engine),), value) for engine, value in values.items()])
