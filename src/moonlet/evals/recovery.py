"""Does it recover when a tool fails: try again, own up, say that there is no such thing, accept what is not allowed?"""

from __future__ import annotations

from collections.abc import Mapping

from moonlet.evals import worlds
from moonlet.evals.question import Question, passed
from moonlet.simulate.tasks import TaskKind

GROUP = "recovery"
ROWS: Mapping[TaskKind, str] = {
    "retry": "fails once: tries again",
    "explain": "keeps failing: says so",
    "missing": "no such thing: says so",
    "refused": "not allowed: says so",
}


def questions(seed: int, n: int) -> list[Question]:
    """n tasks a row, judged by what the world has become and what the user was told."""
    found: list[Question] = []
    for kind, row in ROWS.items():
        keys = worlds.keys(seed + 5, (kind,), personas=("plain", "terse", "chatty", "mixed"))
        found += worlds.played(GROUP, row, keys, n, passed(row))
    return found
