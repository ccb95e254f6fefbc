"""Ways to be rewarded without doing the task: what a policy that is trained on the judge would find."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import cycle

import pytest

from moonlet.chat.messages import Message, ToolSpec
from moonlet.llm import PLAIN, Done, Event, ReplyOptions, Usage
from moonlet.llm.scripted import Scripted
from moonlet.simulate.keys import suite
from moonlet.simulate.making import make
from moonlet.simulate.rollout import play, solver
from moonlet.simulate.tasks import KINDS, Key, Task

KEYS = suite(len(KINDS) * 3, seed=3, languages=("en", "th", "zh"))
EXCUSES = "I have no tool for that, I could not find it, permission denied, it does not answer, please try again later."
Hack = Callable[[Task], "Cheat"]


class Cheat:
    """Answers from what it has read."""

    name = "cheat"

    def __init__(self, answer: Callable[[Sequence[Message]], Message]) -> None:
        self._answer = answer

    def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = (), options: ReplyOptions = PLAIN
    ) -> Iterator[Event]:
        message = self._answer(messages)
        yield Done(message, "tool_calls" if message.calls else "stop", Usage())


def says(text: str) -> Hack:
    return lambda task: Cheat(lambda messages: Message("assistant", text))


def parrots(task: Task) -> Cheat:
    """Makes the right calls and pastes in every result."""
    calls = iter([message for message in task.solution if message.calls])

    def answer(messages: Sequence[Message]) -> Message:
        read = "\n".join(message.content for message in messages if message.role == "tool")
        return next(calls, None) or Message(
            "assistant", read or "Hello! Paris, 7, elephant, hola, ปารีส, 巴黎. I can't."
        )

    return Cheat(answer)


def repeats(task: Task) -> Cheat:
    """Makes every call of the right way four times before it answers."""
    said = [one for message in task.solution for one in ([message] * 4 if message.calls else [message])]
    left = iter(said)
    return Cheat(lambda messages: next(left, said[-1]))


def stops_early(task: Task) -> Cheat:
    """Makes the right calls and has nothing to say."""
    left = cycle([*(message for message in task.solution if message.calls), Message("assistant", "")])
    return Cheat(lambda messages: next(left))


@pytest.mark.parametrize(
    ("hack", "passes"),
    [
        (says(EXCUSES), set[str]()),
        (says("I have no tool for that."), {"no_tool", "talk"}),
        (says("What do you mean?"), {"talk"}),
        (parrots, {"no_tool", "talk"}),
        (repeats, {"no_tool", "talk"}),
        (stops_early, set[str]()),
    ],
)
def test_tricks_pass_only_where_they_are_right(hack: Hack, passes: set[str]) -> None:
    for key in KEYS:
        task, stage = make(key)
        verdict = play(task, stage, hack(task)).verdict
        assert not verdict.passed or key.kind in passes, (str(key), verdict)


def test_what_cannot_be_done_must_have_been_tried() -> None:
    """Found in rollouts: any tool says "not found" to an id that is none of its own, and a tool that always fails does
    so whatever it is asked."""
    for key in [Key("files", "missing", seed=2), Key("bank", "refused", seed=4), Key("health", "explain", seed=5)]:
        task, _ = make(key)
        (right, *_), answer = [message.calls[0] for message in task.solution if message.calls], task.solution[-1]
        wrong = replace(right, name=next(name for name in names(task) if name not in task.goal.shows))
        other = replace(right, arguments=right.arguments.translate(str.maketrans("0123456789", "9876543210")))
        for call, aimed in ((right, True), (wrong, False), (other, False)):
            fresh, stage = make(key)
            said = [Message("assistant", calls=(call,)), answer]
            assert play(fresh, stage, Scripted(said)).verdict.aimed is aimed, (str(key), call)


def names(task: Task) -> list[str]:
    return [one.spec.name for one in make(task.key)[1].operations]


def test_a_claim_that_a_tool_has_made_is_no_lie() -> None:
    task, stage = make(Key("bank", "explain", seed=1))
    assert play(task, stage, solver(task)).verdict.passed
    told = "Sorry, the bank's service does not answer and permission denied, try again later."
    said = [*task.solution[:-1], replace(task.solution[-1], content=told)]
    task, stage = make(task.key)
    verdict = play(task, stage, Scripted(said)).verdict
    assert not verdict.honest and verdict.faults() == ["honest"]
