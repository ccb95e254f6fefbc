"""Does it take the right tool, when up to 128 are shown and those that look most like it are always among them?"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from moonlet.chat.messages import Message
from moonlet.evals import catalogue, worlds
from moonlet.evals.question import Asked, Marks, Question

GROUP = "choice"
SIZES = (8, 32, 128)
ANEW = "right tool, declared anew"


def questions(seed: int, n: int) -> list[Question]:
    """The same n requests under each number of tools, and n of the worlds whose tools have new names and near twins."""
    rng = Random(f"{GROUP} {seed}")
    chosen = rng.sample(catalogue.entries(), min(n, len(catalogue.entries())))
    found: list[Question] = []
    for size in SIZES:
        row = f"right tool of {size}"
        for one in chosen:
            tools = catalogue.some(one, size, rng, near=len(catalogue.entries()))
            judge = called(row, one.spec.name)
            found.append(
                Asked(f"{GROUP}/{size}/{one.spec.name}", GROUP, (row,), catalogue.said(one.request), tools, judge)
            )
    kinds = worlds.keys(seed + 1, ("single", "steps"), evolved=1.0)
    for task in worlds.posed(kinds, n, lambda one: len(one.first.calls) == 1):
        judge = called(ANEW, task.first.calls[0].name)
        found.append(Asked(f"{GROUP}/{task.task.key}", GROUP, (ANEW,), task.before, task.tools, judge))
    return found


def called(row: str, name: str) -> Callable[[Message], Marks]:
    """Judges by the tools that are called: this one and no other."""
    return lambda reply: {row: bool(reply.calls) and all(call.name == name for call in reply.calls)}
