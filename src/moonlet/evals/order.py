"""Does it take the steps of a task in the order in which they depend on one another?"""

from __future__ import annotations

from moonlet.evals import worlds
from moonlet.evals.question import Marks, Question
from moonlet.simulate.rollout import Trajectory
from moonlet.simulate.tasks import Task

GROUP = "order"
ORDER, GOAL = "steps in the right order", "several steps, goal reached"


def questions(seed: int, n: int) -> list[Question]:
    """n tasks of two calls or more, the later of which need what the earlier ones give."""
    found = worlds.keys(seed + 2, ("steps",), personas=("plain", "terse", "chatty", "mixed"))
    return [*worlds.played(GROUP, GOAL, found, n, judge, lambda one: len(one.task.goal.calls) > 1, (ORDER, GOAL))]


def judge(task: Task, done: Trajectory) -> Marks:
    """The calls of the solution must be among those made, in their order."""
    made = iter([call.name for message in done.messages for call in message.calls])
    return {ORDER: all(name in made for name, _ in task.goal.calls), GOAL: done.verdict.passed}
