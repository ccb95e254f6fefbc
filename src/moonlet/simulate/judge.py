"""Whether a task was done: what the world has become, what the user was told, what was asked, and at what expense."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from moonlet import llm
from moonlet.chat.messages import Message
from moonlet.llm import LLM, Done, ReplyOptions
from moonlet.simulate.phrases import CLAIMS, NO_TOOL, mentioned, told
from moonlet.simulate.stage import Stage, canonical
from moonlet.simulate.tasks import Goal, Task

SLACK = 2  # calls more than the solution has, before they count as needless

RUBRIC = """You judge how an assistant with tools served a user. Be strict; judge only what is written.
What the user wanted: {wish}
The conversation:
{conversation}

For each point answer 1 (true) or 0 (not true), as one JSON object and nothing else:
{{"correct": the assistant's claims agree with the tool results, "complete": everything wanted was done or its failure
explained, "clear": the answer can be understood without seeing the tool results, "polite": the tone is right}}"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`state` to `frugal`, and `answered` to `aimed` are what passing needs; `arguments` says that every call of the
    solution was made word for word, which another right way need not do."""

    state: bool  # exactly the wanted effects
    told: bool  # every fact
    asked: bool  # what could not be known was asked for, not guessed
    acted: bool  # tools were called if and only if they were needed
    frugal: bool  # no needless calls
    arguments: bool
    needless: int  # calls more than the solution has
    answered: bool = True  # it ended with words for the user, which a result read out as it came is not
    honest: bool = True  # no failure was claimed that did not happen
    aimed: bool = True  # what cannot be done was tried, or looked at, and not something else
    rubric: Mapping[str, bool] | None = None  # an llm's opinion, where one was asked

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return not self.faults()

    @property
    def reward(self) -> float:
        """1 for a pass, else 0: parts of a goal earn nothing, or reaching only the easy parts would be learned."""
        return float(self.passed)

    def as_json(self) -> dict[str, Any]:
        return {"passed": self.passed, **asdict(self)}

    def faults(self) -> list[str]:
        """The checks that failed."""
        names = ("state", "told", "asked", "acted", "frugal", "answered", "honest", "aimed")
        found = [name for name in names if not getattr(self, name)]
        return found + [f"rubric: {name}" for name, fine in (self.rubric or {}).items() if not fine]


def judge(goal: Goal, stage: Stage, messages: Sequence[Message]) -> Verdict:
    """The verdict on a conversation, whose calls were made on this stage."""
    assistant = [message for message in messages if message.role == "assistant"]
    calls = [call for message in assistant for call in message.calls]
    words = "\n".join(message.content for message in assistant)
    made = [(call.name, _arguments(call.arguments)) for call in calls]
    needless = len(calls) - len(goal.calls)
    wanted = [(name, canonical(arguments)) for name, arguments in goal.calls]
    return Verdict(
        state=stage.effects() == goal.effects,
        told=all(told(words, ways) for ways in goal.told),
        asked=_questions(messages, goal.asked_for) >= goal.asks,
        acted=bool(calls) == bool(goal.calls),
        frugal=needless <= SLACK,
        arguments=all(one in made for one in wanted),
        needless=max(needless, 0),
        answered=_answered(messages),
        honest=_honest(goal, messages, words),
        aimed=not goal.shows or any(name in goal.shows and _about(goal, text) for name, text in made),
    )


def _about(goal: Goal, arguments: str) -> bool:
    """Whether arguments name the subject: its id, or a word of what it is called."""
    words = [word for one in goal.subject for word in canonical(one).strip('"').split() if len(word) > 2]
    return not words or any(word in arguments for word in words)


def _answered(messages: Sequence[Message]) -> bool:
    """Whether the last words are the assistant's own: a result pasted in whole has every fact, whatever it says."""
    if not messages or messages[-1].role != "assistant":
        return False
    words = messages[-1].content.strip()
    results = [message.content.strip() for message in messages if message.role == "tool"]
    return bool(words) and not any(one in words for one in results if one.startswith(("{", "[")) and len(one) > 2)


def _honest(goal: Goal, messages: Sequence[Message], words: str) -> bool:
    """Whether every failure that was claimed happened: else one answer that owns up to all of them would do for every
    task that cannot be done."""
    if goal.calls and any(mentioned(words, way) for way in NO_TOOL):
        return False
    heard = "\n".join(message.content for message in messages if message.role in ("tool", "user"))
    for claims, reports in CLAIMS:
        claimed = [way for way in claims if mentioned(words, way)]
        if claimed and not any(mentioned(heard, way) for way in (*claimed, *reports)):
            return False
    return True


def _arguments(text: str) -> str:
    try:
        return canonical(json.loads(text or "{}"))
    except (ValueError, RecursionError):
        return text


def _questions(messages: Sequence[Message], before: str) -> int:
    """Answers of the assistant after which the user had to speak again, before this tool was first called."""
    calls = (i for i, message in enumerate(messages) if any(call.name == before for call in message.calls))
    told = messages[: next(calls, len(messages)) + 1]
    return sum(a.role == "assistant" and b.role == "user" for a, b in pairwise(told))


def rubric(model: LLM, task: Task, messages: Sequence[Message]) -> Mapping[str, bool]:
    """Another model's opinion, point by point; one that cannot be read is no. Raises LLMError."""
    lines = []
    for message in messages:
        calls = "".join(f"\n  calls {call.name} {call.arguments}" for call in message.calls)
        lines.append(f"{message.role}: {message.content}{calls}")
    prompt = RUBRIC.format(wish=task.wish, conversation="\n".join(lines))
    events = model.reply([Message("user", prompt)], (), ReplyOptions(temperature=0.0))
    try:
        done = next(event for event in events if isinstance(event, Done))
    finally:
        llm.close(events)
    text = done.message.content
    try:
        told = json.loads(text[text.index("{") : text.rindex("}") + 1])
    except (ValueError, RecursionError):
        told = {}
    return {name: bool(told.get(name)) for name in ("correct", "complete", "clear", "polite")}
