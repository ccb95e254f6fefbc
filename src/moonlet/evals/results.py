"""Does it tell the user what the tools returned, and go on calling only where that is needed?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from moonlet.chat.messages import Message
from moonlet.evals import worlds
from moonlet.evals.question import Asked, Marks, Question
from moonlet.simulate.phrases import told
from moonlet.simulate.rollout import rollout

GROUP = "use of results"
TOLD = "answer tells what was found"


def questions(seed: int, n: int) -> list[Question]:
    """n conversations of the worlds up to a result that the user waits for."""
    found: list[Question] = []
    kinds = worlds.keys(seed + 3, ("single", "steps", "parallel"), personas=("plain", "terse", "chatty"))
    for one in worlds.posed(kinds, n, lambda one: bool(one.task.goal.told) and not one.task.replies):
        messages = rollout(one.task.key, None).messages
        judge = tells(one.task.goal.told)
        found.append(Asked(f"{GROUP}/{one.task.key}", GROUP, (TOLD,), messages[:-1], one.tools, judge))
    return found


def tells(facts: Sequence[Sequence[str]]) -> Callable[[Message], Marks]:
    """Judges whether of each fact one of its wordings is in the reply, which calls nothing."""
    return lambda reply: {TOLD: not reply.calls and all(told(reply.content, ways) for ways in facts)}
