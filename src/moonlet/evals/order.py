"""Does it take the steps of a task in the order in which they depend on one another?"""

from __future__ import annotations

import json

from moonlet.evals import worlds
from moonlet.evals.calls import same_calls
from moonlet.evals.question import Marks, Question
from moonlet.simulate.making import Making, make
from moonlet.simulate.rollout import Trajectory
from moonlet.simulate.tasks import Task

GROUP = "order"
ORDER, GOAL = "steps in the right order", "several steps, goal reached"


def questions(seed: int, n: int) -> list[Question]:
    """n tasks with calls that need what earlier ones give, and only one way of doing them."""
    found = worlds.keys(seed + 2, ("steps",), personas=("plain", "terse", "chatty", "mixed"))
    return [
        *worlds.played(GROUP, GOAL, found, n, judge, lambda one: any(needs(one.task)) and not fused(one), (ORDER, GOAL))
    ]


def judge(task: Task, done: Trajectory) -> Marks:
    """The calls of the solution must be among those made, each in a turn behind those whose results it needs; calls
    that need nothing of one another may stand in any order, or side by side. Of several calls of a tool, it is the one
    that is word for word the solution's; else the first."""
    made = [(turn, call) for turn, message in enumerate(done.messages) for call in message.calls]
    turns: list[int] = []  # in which the calls of the solution were made
    for wanted, needed in zip(task.goal.calls, needs(task), strict=True):
        begin = max((turns[one] for one in needed), default=-1)
        fit = [one for one in made if one[1].name == wanted[0] and one[0] > begin]
        found = next((one for one in fit if same_calls([one[1]], [wanted])), fit[0] if fit else None)
        if found is None:
            return {ORDER: False, GOAL: done.verdict.passed}
        made.remove(found)
        turns.append(found[0])
    return {ORDER: True, GOAL: done.verdict.passed}


def fused(one: worlds.Posed) -> bool:
    """Whether a tool is shown that looks a record up and acts on it in one call."""
    making = Making(one.task.key)
    making.task()
    return bool(making.fused)


def needs(task: Task) -> list[list[int]]:
    """For each call of the solution, those before it whose results named a record that it is about and the user had
    not named."""
    _, stage = make(task.key)
    tools = {tool.spec.name: tool for tool in stage.tools()}
    records = {key for table in stage.state.values() for key in table}
    said = " ".join([task.opening, *(reply.text for reply in task.replies)])
    results: list[str] = []
    found = []
    for name, arguments in task.goal.calls:
        unsaid = [
            value for value in arguments.values() if isinstance(value, str) and value in records and value not in said
        ]
        found.append([place for place, result in enumerate(results) if any(value in result for value in unsaid)])
        results.append(json.dumps(tools[name].run(arguments), ensure_ascii=False, default=str))
    return found
