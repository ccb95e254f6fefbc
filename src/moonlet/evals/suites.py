"""The suites of `moonlet eval`: which questions each asks. Their questions are the same for the same seed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from moonlet.evals import (
    arguments,
    by_hand,
    choice,
    order,
    public_sets,
    recovery,
    refusal,
    results,
    state,
    talks,
    trigger,
    worlds,
)
from moonlet.evals.question import Question, passed
from moonlet.simulate.tasks import KINDS

Part = Callable[[int, int], list[Question]]  # seed and questions a row -> questions

TOOLS: Mapping[str, Part] = {
    "trigger": trigger.questions,
    "choice": choice.questions,
    "arguments": arguments.questions,
    "order": order.questions,
    "results": results.questions,
    "refusal": refusal.questions,
    "recovery": recovery.questions,
    "state": state.questions,
}
WORLDS = "simulated worlds, unseen seeds"
STEPS, ANY = "several steps, goal reached", "tasks of every kind and language, goal reached"


def held_out(data: Path | None) -> Mapping[str, Part]:
    """What a trained model is worth beyond what it was trained on; without a folder of public sets those are left out.
    The hand-written requests are asked all, whatever the number. Raises DataError."""
    parts: dict[str, Part] = {"by-hand": lambda seed, n: by_hand.questions(), "talk": talks.questions}
    if data:
        public_sets.check(data)
        parts["public"] = lambda seed, n: public_sets.questions(data, seed, n)
    return {**parts, "worlds": _worlds}


def _worlds(seed: int, n: int) -> list[Question]:
    several = worlds.keys(seed + 20, ("steps", "parallel", "retry", "clarify"), languages=("en",))
    every = worlds.keys(seed + 21, KINDS)
    return [
        *worlds.played(WORLDS, STEPS, several, n, passed(STEPS)),
        *worlds.played(WORLDS, ANY, every, n, passed(ANY)),
    ]


def questions(parts: Mapping[str, Part], seed: int, n: int) -> list[Question]:
    """The questions of all parts, in their order."""
    return [question for part in parts.values() for question in part(seed, n)]


def digest(asked: Sequence[Question]) -> str:
    """Of all that is asked: answers to other questions do not go on a record."""
    told = "\n".join(f"{one.id}\n{one.shown}" for one in asked)
    return hashlib.sha256(told.encode("utf-8", "backslashreplace")).hexdigest()[:16]


def spread(asked: Sequence[Question], most: int | None) -> Sequence[Question]:
    """So many of the questions, spread evenly over the suite."""
    if most is None or most >= len(asked):
        return asked
    return [asked[i * len(asked) // most] for i in range(most)]
