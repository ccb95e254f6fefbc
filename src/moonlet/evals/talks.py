"""Does a model go on as a simulated conversation does? Each of the assistant's turns is asked for, with what truly came
before it, and judged by what the user would notice: the calls, the facts told, or that nothing was called.

The conversations are drawn from seeds that training does not use. Tools of the made-up kind are composed by the
generator that training uses: their names and words are those of training, the combinations are not.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import Any, Literal

from moonlet.chat.messages import Message, ToolSpec
from moonlet.evals.by_hand import CALLED
from moonlet.evals.calls import same_calls
from moonlet.evals.question import Asked, Marks, Question
from moonlet.simulate import demo, foreign_answers, synthetic
from moonlet.simulate.episode import Conversation
from moonlet.simulate.script import traditional
from moonlet.simulate.talk import NO_TOOL

SEED = 7_000_000  # far from the small seeds that training draws from
REFUSALS = {NO_TOOL, *foreign_answers.NO_TOOL.values(), *map(traditional, foreign_answers.NO_TOOL.values())}

Kind = Literal["call", "answer", "refusal", "other"]
KINDS: dict[Kind, str] = {
    "call": "whole call exact",
    "answer": "answer tells the result",
    "refusal": "no call when no tool fits",
    "other": "no call in other talk",
}


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of the assistant: what came before it and what it was."""

    before: tuple[Message, ...]
    tools: tuple[ToolSpec, ...]
    wanted: Message

    @property
    def kind(self) -> Kind:
        if self.wanted.calls:
            return "call"
        if self.before and self.before[-1].role == "tool":
            return "answer"
        return "refusal" if self.wanted.content in REFUSALS else "other"


def demonstration(seed: int = SEED) -> Iterator[Conversation]:
    """Conversations with the tools of `moonlet run`, without end."""
    rng = Random(seed)
    while True:
        yield demo.conversation(rng)


def made_up(seed: int = SEED) -> Iterator[Conversation]:
    """Conversations with tools composed anew, without end."""
    rng = Random(seed)
    while True:
        yield synthetic.conversation(rng, (), {})


def turns(conversations: Iterable[Conversation]) -> Iterator[Turn]:
    """Every turn of the assistant."""
    for one in conversations:
        for i, message in enumerate(one.messages):
            if message.role == "assistant":
                yield Turn(one.messages[:i], one.tools, message)


def first_calls(conversations: Iterable[Conversation], count: int) -> list[Turn]:
    """The first call of each of so many conversations that begin with one."""
    firsts = (next(turns([one])) for one in conversations)
    return list(islice((turn for turn in firsts if turn.kind == "call"), count))


def questions(seed: int, n: int) -> list[Question]:
    """n turns of each kind, with the tools of the demonstration and with tools composed anew."""
    return [
        *drawn("simulated talk, demonstration tools", demonstration(SEED + seed), n),
        *drawn("simulated talk, tools composed anew, unseen seeds", made_up(SEED + seed), n),
    ]


def drawn(group: str, conversations: Iterable[Conversation], n: int) -> list[Question]:
    """n turns of each kind, in the order in which they come."""
    left = dict.fromkeys(KINDS, n)
    found: list[Question] = []
    for place, turn in enumerate(turns(conversations)):
        if left[turn.kind]:
            left[turn.kind] -= 1
            rows = (KINDS[turn.kind], CALLED) if turn.kind == "call" else (KINDS[turn.kind],)
            found.append(Asked(f"{group}/{place}", group, rows, turn.before, turn.tools, judge(turn)))
        if not any(left.values()):
            return found
    raise AssertionError("conversations without end ended")


def judge(turn: Turn) -> Callable[[Message], Marks]:
    """Judges a reply in the place of this turn."""
    row = KINDS[turn.kind]

    def marks(reply: Message) -> Marks:
        if turn.kind == "call":
            wanted = [(call.name, json.loads(call.arguments)) for call in turn.wanted.calls]
            return {row: same_calls(reply.calls, wanted), CALLED: bool(reply.calls)}
        if turn.kind == "answer":
            results = _results(turn.before)
            return {row: not reply.calls and facts(reply.content, results) == facts(turn.wanted.content, results)}
        return {row: not reply.calls}

    return marks


def _results(before: Sequence[Message]) -> list[str]:
    """The results that have just come."""
    last = len(before)
    while last and before[last - 1].role == "tool":
        last -= 1
    return [message.content for message in before[last:]]


def facts(text: str, results: Sequence[str]) -> set[str]:
    """The words of a text that state something: those with a digit, and those that stand in a value of the results.

    Two texts with equal facts tell the same; a number that comes from nowhere is a fact that is too much.
    """
    told = {word for result in results for value in _values(result) for word in _words(value)}
    return {word for word in _words(text) if word in told or any(letter.isdigit() for letter in word)}


def _words(text: str) -> list[str]:
    return re.findall(r"\w+(?:[.:,'-]\w+)*", text.casefold())


def _values(result: str) -> Iterator[str]:
    """The values in a JSON text, keys left out; a text that is no JSON is one value."""

    def leaves(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list):
            for item in value:
                yield from leaves(item)
        elif value is not None:
            yield str(value)

    try:
        yield from leaves(json.loads(result))
    except ValueError:
        yield result
