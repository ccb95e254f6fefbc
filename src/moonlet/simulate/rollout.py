"""Rollouts: a task, a user and a model in a world of their own, from the first words to the verdict; and the one JSON
line that each leaves, from which it can be played again."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import add
from typing import Any

from moonlet.agent import Agent, Ended, Limits
from moonlet.chat.messages import (
    Message,
    MessageError,
    ToolSpec,
    from_openai,
    to_openai,
    tool_to_openai,
    tools_from_openai,
)
from moonlet.llm import LLM, PLAIN, LLMError, ReplyOptions, Usage
from moonlet.llm.scripted import Scripted
from moonlet.simulate import judge
from moonlet.simulate.episode import Conversation
from moonlet.simulate.making import make
from moonlet.simulate.mock.server import Server
from moonlet.simulate.mock.tasks import make_mock
from moonlet.simulate.stage import Stage
from moonlet.simulate.tasks import Key, Task
from moonlet.simulate.users import PlayedUser, RecordedUser, ScriptedUser, User

# What a model may write and a line cannot hold: half a surrogate pair, and what some readers end a line at.
UNWRITABLE = re.compile("[\ud800-\udfff\x85\u2028\u2029]")
VERSION = 1
STEPS = 12  # replies of the model to one message of the user
TURNS = 10  # messages of the user


class TrajectoryError(Exception):
    """A line is no trajectory, or it plays differently now."""


@dataclass(frozen=True, slots=True)
class Trajectory:
    """One rollout. `end` says why it ended: "done", the agent's reason, or "failed: ..." if no answer came."""

    key: Key
    model: str
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...]
    verdict: judge.Verdict
    end: str
    usage: Usage = field(default_factory=Usage)
    seconds: float = 0.0
    source: Mapping[str, Any] | None = None  # of tasks for somebody's own tools: the description they were made from

    def line(self) -> str:
        """One line of JSON, without its end."""
        told = {
            "version": VERSION,
            "task": str(self.key),
            "model": self.model,
            "messages": [to_openai(message) for message in self.messages],
            "tools": [tool_to_openai(tool) for tool in self.tools],
            "verdict": self.verdict.as_json(),
            "end": self.end,
            "usage": {name: getattr(self.usage, name) for name in ("prompt_tokens", "cached_tokens", "output_tokens")},
            "seconds": round(self.seconds, 3),
        }
        line = json.dumps({**told, **({"source": self.source} if self.source else {})}, ensure_ascii=False)
        return UNWRITABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", line)

    @classmethod
    def parse(cls, line: str) -> Trajectory:
        """The trajectory of a line. Raises TrajectoryError."""
        try:
            raw = json.loads(line)
            verdict = {name: value for name, value in raw["verdict"].items() if name != "passed"}
            return cls(
                Key.parse(raw["task"]),
                raw["model"],
                from_openai(raw["messages"]),
                tools_from_openai(raw["tools"]),
                judge.Verdict(**verdict),
                raw["end"],
                Usage(**raw["usage"]),
                raw["seconds"],
                raw.get("source"),
            )
        except (ValueError, LookupError, TypeError, AttributeError, MessageError) as error:
            what = f"it has no {error}" if isinstance(error, KeyError) else str(error)
            raise TrajectoryError(f"not a trajectory that `moonlet simulate --out` wrote: {what}") from None

    def conversation(self) -> Conversation:
        """What a model can be trained on."""
        return Conversation(self.messages, self.tools)


def play(
    task: Task,
    stage: Stage,
    model: LLM,
    user: User | None = None,
    options: ReplyOptions = PLAIN,
    critic: LLM | None = None,
) -> Trajectory:
    """The rollout. A model that cannot answer ends it: that is a record too, and raises nothing."""
    user = user or ScriptedUser(task)
    tools = stage.tools()
    agent = Agent(model, tools, [Message("system", task.system)], Limits(steps=STEPS), options)
    begun, usages, end = time.perf_counter(), [Usage()], "done"
    try:
        for _ in range(TURNS):
            words = user.next(agent.history)
            if words is None:
                break
            ended = [event for event in agent.ask(words) if isinstance(event, Ended)][-1]
            usages += ended.usages
            if ended.reason != "stop":
                end = ended.reason
                break
        else:
            end = "turns"
    except LLMError as error:
        end = f"failed: {error}"
    verdict = judge.judge(task.goal, stage, agent.history)
    if critic and verdict.passed:
        try:
            verdict = replace(verdict, rubric=judge.rubric(critic, task, agent.history))
        except LLMError as error:
            end = f"failed: the judge: {error}"
            verdict = replace(verdict, rubric={"judged": False})  # what nobody has judged has not passed
    seconds = time.perf_counter() - begun
    specs = tuple(tool.spec for tool in tools)
    return Trajectory(task.key, model.name, tuple(agent.history), specs, verdict, end, reduce(add, usages), seconds)


def solver(task: Task) -> LLM:
    """A model that does the task in the way that is known to be right."""
    return Scripted(task.solution, name="solution")


def rollout(
    key: Key,
    model: LLM | None,
    options: ReplyOptions = PLAIN,
    played_by: LLM | None = None,
    critic: LLM | None = None,
    server: Server | None = None,
) -> Trajectory:
    """The task of this key, done by a model, or without one in the way that is known to be right; with a server, a task
    for a mock of it."""
    task, stage = make_mock(key, server) if server else make(key)
    user = PlayedUser(played_by, task) if played_by else None
    done = play(task, stage, model or solver(task), user, options, critic)
    return replace(done, source=server.as_json()) if server else done


def replay(recorded: Trajectory) -> Trajectory:
    """The rollout again, with the assistant's and the user's words as recorded: results and verdict are made anew.
    Raises TrajectoryError if they are not what they were."""
    source = recorded.source
    task, stage = make_mock(recorded.key, Server.from_json(source)) if source else make(recorded.key)
    said = [message for message in recorded.messages if message.role == "assistant"]
    again = play(task, stage, Scripted(said, name=recorded.model), RecordedUser(recorded.messages))
    again = replace(again, end=recorded.end, usage=recorded.usage, seconds=recorded.seconds, source=recorded.source)
    again = replace(again, verdict=replace(again.verdict, rubric=recorded.verdict.rubric))
    for place, (before, now) in enumerate(zip(recorded.messages, again.messages)):
        if before != now:
            raise TrajectoryError(
                f"{recorded.key}: message {place} was {before.content[:80]!r}, now {now.content[:80]!r}"
            )
    if again.line() != recorded.line():
        raise TrajectoryError(f"{recorded.key}: it ends differently now")
    return again


def training(trajectories: Sequence[Trajectory]) -> list[Conversation]:
    """Rejection sampling: the conversations of those that passed."""
    return [one.conversation() for one in trajectories if one.verdict.passed]
