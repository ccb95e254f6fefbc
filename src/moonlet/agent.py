"""An agent: a model, tools and a history that only grows. Reply, execute, append, until an end or a limit."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

from moonlet import llm
from moonlet.chat.messages import Message, ToolCall
from moonlet.llm import LLM, PLAIN, Assembly, Done, LLMError, ReplyOptions, Usage
from moonlet.tools import tool
from moonlet.tools.tool import Tool

Reason = Literal["stop", "length", "steps", "cancelled"]

PARALLEL = 8  # calls of one reply that run at a time
STOPPED = tool.error("stopped by the user before it ran")


@dataclass(frozen=True, slots=True)
class Limits:
    steps: int = 16  # replies of the model to one request

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps must be at least 1, got {self.steps}")


@dataclass(frozen=True, slots=True)
class CallResult:
    """One call was executed. A failed call is data: the model reads why."""

    call: ToolCall
    text: str
    failed: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Ended:
    """The last event of a run."""

    reason: Reason
    usages: tuple[Usage, ...]  # of each reply


Event = llm.Event | CallResult | Ended


class Agent:
    """Keeps one conversation. `history` is its whole record; it is appended to and never changed."""

    def __init__(
        self,
        model: LLM,
        tools: Sequence[Tool] = (),
        history: Iterable[Message] = (),
        limits: Limits = Limits(),
        options: ReplyOptions = PLAIN,
    ) -> None:
        self.model = model
        self.tools = tuple(tools)
        self.history = list(history)
        self.limits = limits
        self.options = options

    def ask(self, text: str) -> Generator[Event, None, None]:
        """Events of everything that the user's words set off. Closing the iterator stops it and keeps what there is."""
        self.history.append(Message("user", text))
        return self.run()

    def run(self) -> Generator[Event, None, None]:
        """Go on from the history as it stands. Raises LLMError."""
        usages: list[Usage] = []
        for _ in range(self.limits.steps):
            done = yield from self._reply()
            usages.append(done.usage)
            if done.finish == "cancelled":
                self._answer(done.message.calls, STOPPED)
            elif done.message.calls:
                yield from self._execute(done.message.calls)
                continue
            assert done.finish != "tool_calls", "a reply finished with calls and has none"
            yield Ended(done.finish, tuple(usages))
            return
        yield Ended("steps", tuple(usages))

    def _reply(self) -> Generator[Event, None, Done]:
        """One reply, appended when it is whole; of one that is stopped, what was said so far."""
        said = Assembly()
        whole: Message | None = None
        events = self.model.reply(self.history, [one.spec for one in self.tools], self.options)
        try:
            for event in events:
                if isinstance(event, Done):
                    whole = event.message
                    self.history.append(whole)
                    yield event
                    return event
                said.add(event)
                yield event
        except (GeneratorExit, KeyboardInterrupt):
            if whole is not None:
                self._answer(whole.calls, STOPPED)
            elif said.message().content:
                self.history.append(replace(said.message(), calls=()))  # calls that nobody ran were not made
            raise
        finally:
            llm.close(events)
        raise LLMError(f"{self.model.name} ended its reply without saying so")

    def _execute(self, calls: Sequence[ToolCall]) -> Iterator[Event]:
        """Results of the calls, appended as they come. Every call gets one, also when this is stopped half-way."""
        left = list(calls)
        try:
            for result in execute(self.tools, calls):
                self._answer([left.pop(0)], result.text)
                yield result
        finally:
            self._answer(left, STOPPED)

    def _answer(self, calls: Iterable[ToolCall], text: str) -> None:
        self.history += (Message("tool", text, name=call.name, call_id=call.id) for call in calls)


def execute(tools: Sequence[Tool], calls: Sequence[ToolCall]) -> Iterator[CallResult]:
    """Run the calls and give their results in the same order.

    Neighbours that change nothing run side by side. A call that changes something runs alone and at its place: what
    was asked for after it may depend on it.
    """
    changing = {one.spec.name for one in tools if one.changes}
    for alone, group in groupby(calls, lambda call: call.name in changing):
        batch = list(group)
        if alone or len(batch) == 1:
            yield from (_timed(tools, call) for call in batch)
        else:
            with ThreadPoolExecutor(min(PARALLEL, len(batch))) as pool:
                yield from pool.map(lambda call: _timed(tools, call), batch)


def _timed(tools: Sequence[Tool], call: ToolCall) -> CallResult:
    begun = time.perf_counter()
    try:
        text = tool.call(tools, call)
    except Exception as failure:  # a tool that breaks must not end the conversation
        text = tool.error(f"{call.name} broke: {type(failure).__name__}: {failure}")
    return CallResult(call, text, text.startswith('{"error": '), time.perf_counter() - begun)
