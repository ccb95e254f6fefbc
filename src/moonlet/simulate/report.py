"""What many trajectories say together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

from moonlet.simulate.rollout import Trajectory

Z = 1.96  # of a normal distribution: 95 % lie within


@dataclass(frozen=True, slots=True)
class Row:
    """Counts and shares of the trajectories of one sort. `needless` is calls a task."""

    name: str
    tasks: int
    passed: int
    state: float
    told: float
    arguments: float
    needless: float

    @property
    def interval(self) -> tuple[float, float]:
        """95 % of the share that passed (Wilson)."""
        return wilson(self.passed, self.tasks)

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "tasks": self.tasks,
            "passed": self.passed,
            "interval": [round(end, 4) for end in self.interval],
            "state": round(self.state, 4),
            "told": round(self.told, 4),
            "arguments": round(self.arguments, 4),
            "needless": round(self.needless, 4),
        }


def wilson(passed: int, tasks: int) -> tuple[float, float]:
    """Between which shares the true one lies, 19 times of 20."""
    share = passed / tasks
    middle, width = share + Z * Z / (2 * tasks), Z * sqrt(share * (1 - share) / tasks + Z * Z / (4 * tasks * tasks))
    return max(0.0, (middle - width) / (1 + Z * Z / tasks)), min(1.0, (middle + width) / (1 + Z * Z / tasks))


def report(done: Sequence[Trajectory]) -> list[Row]:
    """Rows by kind of task, by language, by form of the tools, and of all."""
    groups: list[tuple[str, Callable[[Trajectory], str]]] = [
        ("", lambda one: one.key.kind),
        ("language ", lambda one: one.key.language),
        ("tools ", lambda one: "declared anew" if one.key.evolved else "as they are"),
        ("", lambda one: "all"),
    ]
    rows = []
    for prefix, of in groups:
        names = list(dict.fromkeys(of(one) for one in done))
        if len(names) > 1 or names == ["all"]:
            rows += [_row(prefix + name, [one for one in done if of(one) == name]) for name in names]
    return rows


def _row(name: str, done: Sequence[Trajectory]) -> Row:
    def share(of: Callable[[Trajectory], float]) -> float:
        return sum(of(one) for one in done) / len(done)

    return Row(
        name,
        len(done),
        sum(one.verdict.passed for one in done),
        share(lambda one: one.verdict.state),
        share(lambda one: one.verdict.told),
        share(lambda one: one.verdict.arguments),
        share(lambda one: one.verdict.needless),
    )
