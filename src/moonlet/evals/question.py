"""A question asked of a model, and what came of it: one reply to a conversation, or a task in a simulated world."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from moonlet.chat.messages import Message, ToolSpec
from moonlet.evals.patient import Patient
from moonlet.llm import Done, ReplyOptions
from moonlet.simulate.making import make
from moonlet.simulate.rollout import Trajectory, play
from moonlet.simulate.tasks import Key, Task

Marks = Mapping[str, bool]  # row of the report -> whether the model was right there


@dataclass(frozen=True, slots=True)
class Outcome:
    """`refused` says why there is no reply: the prompt is too long for the model, the endpoint does not take it."""

    marks: Marks
    said: str = ""  # what the model did, for a reader
    refused: str = ""
    prompt_tokens: int = 0
    output_tokens: int = 0


class Question(Protocol):
    """`id` names it in a suite, and is the same whenever the suite is made from the same seed. `rows` are those that
    it may mark: a row can stay without a mark where it does not apply to what the model did."""

    @property
    def id(self) -> str: ...
    @property
    def group(self) -> str: ...
    @property
    def rows(self) -> Sequence[str]: ...
    @property
    def shown(self) -> str:
        """What a model is told first, whole: a question with the same id and other words is another question."""
        ...

    def ask(self, model: Patient, options: ReplyOptions) -> Outcome:
        """Raises LLMError if the model cannot be reached."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """One reply, asked for with what came before it."""

    id: str
    group: str
    rows: tuple[str, ...]
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...]
    judge: Callable[[Message], Marks]

    @property
    def shown(self) -> str:
        return repr((self.messages, self.tools))

    def ask(self, model: Patient, options: ReplyOptions) -> Outcome:
        *_, done = model.reply(self.messages, self.tools, options)
        assert isinstance(done, Done), done
        return Outcome(self.judge(done.message), shown(done.message))


@dataclass(frozen=True, slots=True)
class Played:
    """A task in a world of its own, with a user who answers, from the first words to the verdict."""

    id: str
    group: str
    rows: tuple[str, ...]
    key: Key
    judge: Callable[[Task, Trajectory], Marks]

    @property
    def shown(self) -> str:
        task, stage = make(self.key)
        return repr((task.opening, [one.spec for one in stage.operations]))

    def ask(self, model: Patient, options: ReplyOptions) -> Outcome:
        task, stage = make(self.key)
        done = play(task, stage, model, options=options)
        if model.failure:
            raise model.failure
        said = " | ".join(f"{one.role}: {shown(one)}" for one in done.messages if one.role != "system")
        return Outcome(self.judge(task, done), said)


def passed(row: str) -> Callable[[Task, Trajectory], Marks]:
    """Judges by the goal of the task alone."""
    return lambda task, done: {row: done.verdict.passed}


def shown(message: Message) -> str:
    """What a reply does, in a line."""
    calls = [f"{call.name} {call.arguments}" for call in message.calls]
    return " ".join("; ".join([*calls, *([message.content] if message.content else [])]).split())


def any_call(row: str) -> Callable[[Message], Marks]:
    """Judges whether anything is called."""
    return lambda reply: {row: bool(reply.calls)}


def no_call(row: str) -> Callable[[Message], Marks]:
    """Judges whether nothing is called, and something is said."""
    return lambda reply: {row: not reply.calls and bool(reply.content.strip())}
