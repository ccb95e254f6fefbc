"""Does a model make the right call? Hand-written requests on the demonstration tools, judged call by call.

The requests (`requests.jsonl`, beside this file) were typed by hand as different people would, and are kept out of
training. A line: `request`, the `calls` that are right (none: no tool fits or something must be asked first), perhaps
`or` (other lists of calls that are as right), `missing` (it must be asked back), `language` (zh, th; else English).
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib import resources
from typing import Any

from moonlet.chat.messages import Message, ToolCall, ToolSpec
from moonlet.simulate.demo import system_text
from moonlet.simulate.world import World

Answer = Callable[[Sequence[Message], Sequence[ToolSpec]], Message]
Wanted = tuple[str, Mapping[str, Any]]  # tool name and arguments
TODAY = date(2026, 11, 23)


@dataclass(frozen=True, slots=True)
class Question:
    """One request and every list of calls that answers it rightly; the empty list means that none is to be made."""

    request: str
    right: tuple[tuple[Wanted, ...], ...]
    missing: bool = False
    language: str = "en"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one question. `tool` says that the right tools were called, in order, whatever their arguments."""

    question: Question
    message: Message
    exact: bool
    tool: bool


@dataclass(frozen=True, slots=True)
class Rate:
    """right of total, with the Wilson interval at 95 %."""

    right: int
    total: int

    def interval(self) -> tuple[float, float]:
        """Bounds of the true rate (Wilson 1927): the score interval for z = 1.96; (0, 1) when nothing was counted."""
        if not self.total:
            return 0.0, 1.0
        z, n, p = 1.959964, self.total, self.right / self.total
        centre, spread = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        low, high = (centre - spread) / (1 + z * z / n), (centre + spread) / (1 + z * z / n)
        return max(0.0, low), min(1.0, high)

    def __str__(self) -> str:
        if not self.total:
            return "none"
        low, high = self.interval()
        return f"{self.right}/{self.total} = {self.right / self.total:.1%} ({low:.1%} to {high:.1%})"


def questions() -> list[Question]:
    """The hand-written requests."""
    text = resources.files("moonlet.evals").joinpath("requests.jsonl").read_text(encoding="utf-8")
    return [parse(json.loads(line)) for line in text.splitlines()]


def parse(row: Mapping[str, Any]) -> Question:
    """One line of the file."""
    lists = [row["calls"], *row.get("or", ())]
    right = tuple(tuple((call["name"], call["arguments"]) for call in calls) for calls in lists)
    return Question(row["request"], right, row.get("missing", False), row.get("language", "en"))


def normal(value: Any) -> Any:
    """A value as it is compared: text without regard to case, spacing, quotes and a final full stop; numbers as floats.

    Text that is a number equals the number, as 20 and "20" do.
    """
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str):
        text = " ".join(value.casefold().replace("’", "'").replace("“", '"').replace("”", '"').split()).strip(
            " \"'.,!。"
        )
        try:
            return float(text.replace(",", "")) if re.fullmatch(r"-?\d[\d,]*(?:\.\d+)?", text) else text
        except ValueError:
            return text
    if isinstance(value, Mapping):
        return {key: normal(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [normal(item) for item in value]
    return value


def same_calls(made: Sequence[ToolCall], right: Sequence[Wanted]) -> bool:
    """Whether the calls are these, in this order, with equal arguments; an argument that is null counts as left out."""
    if len(made) != len(right):
        return False
    for call, (name, arguments) in zip(made, right):
        try:
            found = json.loads(call.arguments or "{}")
        except ValueError:
            return False
        if call.name != name or not isinstance(found, dict):
            return False
        if normal({key: value for key, value in found.items() if value is not None}) != normal(arguments):
            return False
    return True


def judge(question: Question, message: Message) -> Outcome:
    """The outcome of a question under this reply."""
    exact = any(same_calls(message.calls, right) for right in question.right)
    names = [call.name for call in message.calls]
    tool = any(names == [name for name, _ in right] for right in question.right)
    return Outcome(question, message, exact, tool)


def run(answer: Answer, asked: Iterable[Question] | None = None) -> list[Outcome]:
    """Ask every question under all tools of the demonstration, each in a conversation of its own."""
    specs = [tool.spec for tool in World(0, TODAY).tools()]
    system = Message("system", system_text(TODAY))
    return [
        judge(question, answer([system, Message("user", question.request)], specs))
        for question in (questions() if asked is None else asked)
    ]


def rates(outcomes: Sequence[Outcome]) -> dict[str, Rate]:
    """The rows of the report, by name."""

    def rate(kept: Callable[[Outcome], bool], right: Callable[[Outcome], bool]) -> Rate:
        found = [outcome for outcome in outcomes if kept(outcome)]
        return Rate(sum(map(right, found)), len(found))

    def calls(outcome: Outcome) -> bool:
        return bool(outcome.question.right[0])

    def english(outcome: Outcome) -> bool:
        return outcome.question.language == "en"

    def beyond(outcome: Outcome) -> bool:
        return not calls(outcome) and not outcome.question.missing

    return {
        "whole call exact": rate(lambda o: calls(o) and english(o), lambda o: o.exact),
        "right tool": rate(lambda o: calls(o) and english(o), lambda o: o.tool),
        "no call when no tool fits": rate(lambda o: beyond(o) and english(o), lambda o: o.exact),
        "no call when something is missing": rate(lambda o: o.question.missing, lambda o: o.exact),
        "a call where one is wanted": rate(calls, lambda o: bool(o.message.calls)),
        "whole call exact, Thai and Chinese": rate(lambda o: calls(o) and not english(o), lambda o: o.exact),
        "right tool, Thai and Chinese": rate(lambda o: calls(o) and not english(o), lambda o: o.tool),
        "no call when no tool fits, Thai and Chinese": rate(lambda o: beyond(o) and not english(o), lambda o: o.exact),
    }


def report(outcomes: Sequence[Outcome]) -> str:
    """The rates with their intervals, and below them every call that was wrong."""
    lines = [f"{name:36} {rate}" for name, rate in rates(outcomes).items()]
    for outcome in outcomes:
        if not outcome.exact:
            made = (
                "; ".join(f"{call.name} {call.arguments}" for call in outcome.message.calls) or outcome.message.content
            )
            lines.append(f"  {outcome.question.request}\n    -> {made}")
    return "\n".join(lines)
