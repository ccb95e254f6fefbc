"""Does it keep from calling where no tool fits, also where one almost does?"""

from __future__ import annotations

from random import Random

from moonlet.evals import catalogue, worlds
from moonlet.evals.question import Asked, Question, no_call

GROUP = "refusal"
FAR, NEAR, WORLDS = (
    "no call, no tool comes near",
    "no call, tools that nearly fit",
    "no call, in the worlds",
)
TOOLS = 8


def questions(seed: int, n: int) -> list[Question]:
    """n a row; requests of the catalogue whose tool is not shown, and tasks of worlds that have none for them."""
    rng = Random(f"{GROUP} {seed}")
    found: list[Question] = []
    for row, near in ((FAR, False), (NEAR, True)):
        entries = [one for one in catalogue.entries() if one.alone or not near]
        for one in rng.sample(entries, min(n, len(entries))):
            tools = catalogue.without(one, TOOLS, rng, near)
            key = f"{GROUP}/{'near' if near else 'far'}/{one.spec.name}"
            found.append(Asked(key, GROUP, (row,), catalogue.said(one.request), tools, no_call(row)))
    for task in worlds.posed(worlds.keys(seed + 4, ("no_tool",)), n):
        key = f"{GROUP}/{task.task.key}"
        found.append(Asked(key, GROUP, (WORLDS,), task.before, task.tools, no_call(WORLDS)))
    return found
