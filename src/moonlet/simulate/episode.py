"""A conversation with tools, built turn by turn."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from moonlet.chat.messages import Message, ToolCall, ToolSpec

Wanted = tuple[str, Mapping[str, Any]]  # tool name and arguments


@dataclass(frozen=True, slots=True)
class Conversation:
    """Messages of one conversation and the tools declared in it."""

    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...]


@dataclass(slots=True)
class Episode:
    """A conversation in the making. Calls are numbered through the whole conversation, as the K2 format wants."""

    tools: Sequence[ToolSpec]
    messages: list[Message] = field(default_factory=list)
    calls: int = 0

    def system(self, text: str) -> None:
        self.messages.append(Message("system", text))

    def user(self, text: str) -> None:
        self.messages.append(Message("user", text))

    def answer(self, text: str) -> None:
        self.messages.append(Message("assistant", text))

    def asked(self, wanted: Sequence[Wanted]) -> tuple[ToolCall, ...]:
        """The assistant calls."""
        made = tuple(
            ToolCall(f"functions.{name}:{self.calls + i}", name, json.dumps(arguments, ensure_ascii=False))
            for i, (name, arguments) in enumerate(wanted)
        )
        self.calls += len(made)
        self.messages.append(Message("assistant", calls=made))
        return made

    def call(self, wanted: Sequence[Wanted], run: Callable[[ToolCall], str]) -> list[Any]:
        """The assistant calls; each result text is appended. Returns the results, as values where they are JSON."""
        results = []
        for one in self.asked(wanted):
            text = run(one)
            self.messages.append(Message("tool", text, name=one.name, call_id=one.id))
            results.append(_value(text))
        return results

    def done(self) -> Conversation:
        return Conversation(tuple(self.messages), tuple(self.tools))


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
