"""The loop: reply, execute, append, until an end or a limit."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from moonlet import llm
from moonlet.agent.approval import Approve, allow_all
from moonlet.agent.events import CallResult, CallStarted, Ended, Event, Notice, Reason, Ruling
from moonlet.agent.execute import STOPPED, UNKNOWN, Executor
from moonlet.agent.limits import DEFAULTS, Limits, Price, Spent
from moonlet.agent.record import Past, Record
from moonlet.agent.results import Results
from moonlet.chat.messages import Message, ToolCall
from moonlet.llm import LLM, PLAIN, Assembly, Done, LLMError, ReplyOptions, Usage
from moonlet.tools.tool import Outcome, Tool, failure

INTERRUPTED = failure(f"the run was interrupted while this call ran; {UNKNOWN}")


class Toolbox(Protocol):
    """Tools that may change while the agent works."""

    def tools(self) -> Sequence[Tool]:
        """What can be called now."""
        ...

    def notices(self) -> Sequence[str]:
        """What happened since it was last asked."""
        ...


class Agent:
    """Keeps one conversation. `history` is its whole record; it is appended to and never changed."""

    def __init__(
        self,
        model: LLM,
        tools: Sequence[Tool] | Toolbox = (),
        history: Iterable[Message] = (),
        limits: Limits = DEFAULTS,
        options: ReplyOptions = PLAIN,
        *,
        approve: Approve = allow_all,
        price: Price | None = None,
        record: Record | None = None,
        past: Past | None = None,
        rereadable: bool = False,
    ) -> None:
        """`history` begins a conversation, `past` goes on with a recorded one. `rereadable` gives the model a tool
        to read on in results that were cut."""
        self.model = model
        self.limits = limits
        self.options = options
        self.price = price
        self.spent = past.spent if past else Spent()  # by the last request
        self.history: list[Message] = list(past.history) if past else []
        self._given = tools
        self._record = record
        self._past = past
        self._results = Results(limits.result_chars, rereadable)
        self._executor = Executor(self._results, limits.call_s, approve)
        self._extra = (self._results.tool(),) if rereadable else ()
        self._lock = threading.Lock()
        for text, outside in past.longer if past else ():
            self._results.keep(text, outside)
        for message in history:
            self._add(message)

    @property
    def tools(self) -> tuple[Tool, ...]:
        """What the model can call now."""
        given = self._given if isinstance(self._given, Sequence) else self._given.tools()
        return (*given, *self._extra)

    def ask(self, text: str) -> Generator[Event, None, None]:
        """Events of everything that the user's words set off. Closing the iterator stops it and keeps what there is."""
        if self._past and self._past.open:
            self._forsake(self._past)
        self.spent, self._past = Spent(), None
        self._add(Message("user", text))
        return self.run()

    def charge(self, usage: Usage) -> None:
        """Count a reply that the model gave to somebody else in this run's course, from any thread."""
        took = Spent.reply(usage, self.price, steps=0)
        with self._lock:
            self.spent += took
        if self._record:
            self._record.charge(took)

    def run(self) -> Generator[Event, None, None]:
        """Go on from the history as it stands. Raises LLMError, RecordError."""
        usages: list[Usage] = []
        base = time.monotonic() - self.spent.seconds
        until = None if self.limits.seconds is None else base + self.limits.seconds
        if self._past and self._past.open:
            yield from self._settle(self._past, until)
        elif self._past and self._past.broken:
            self.history.pop()  # it is given again, whole
            self._past = None
        elif self._past and self.history and self.history[-1].role == "assistant":
            yield self._end("stop", usages)  # only its last line is missing
            return
        while True:
            self._clock(base)
            reason = "steps" if self.spent.steps >= self.limits.steps else self._reached()
            if reason:
                yield self._end(reason, usages)
                return
            yield from self._notices()
            done = yield from self._reply(until)
            self._clock(base)
            if done is None:
                yield self._end("seconds", usages)
                return
            usages.append(done.usage)
            calls = list(enumerate(done.message.calls))
            if done.finish == "cancelled":
                self._answer(calls, STOPPED)
            elif calls and (reason := self._reached()):
                self._answer(calls, failure(f"not run: the limit of {reason} is reached"))
                yield self._end(reason, usages)
                return
            elif calls:
                yield from self._execute(calls, until)
                continue
            assert done.finish != "tool_calls", "a reply finished with calls and has none"
            yield self._end(self._reached() or done.finish if done.finish == "length" else done.finish, usages)
            return

    def _settle(self, past: Past, until: float | None) -> Generator[Event, None, None]:
        """Calls that a crash left without results: one that may have had an effect is not run again."""
        self._past = None
        answered = dict(past.results)
        for place, changes in sorted(past.started.items()):
            if changes:
                answered[place] = INTERRUPTED.text
                self._result(place, past.open[place], INTERRUPTED)
                yield CallResult(past.open[place], INTERRUPTED.text, True, 0.0, place)
        left = [(place, call) for place, call in enumerate(past.open) if place not in answered]
        yield from self._execute(left, until, past.open, answered, past.settled)

    def _forsake(self, past: Past) -> None:
        """The user goes on to something else: calls that a crash left without results are not run."""
        for place in range(past.settled, len(past.open)):
            call = past.open[place]
            text = past.results.get(place)
            if text is None:
                outcome = INTERRUPTED if past.started.get(place) else STOPPED
                self._result(place, call, outcome)
                text = outcome.text
            self.history.append(Message("tool", text, name=call.name, call_id=call.id))

    def _reply(self, until: float | None) -> Generator[Event, None, Done | None]:
        """One reply, appended when it is whole; of one that is stopped, what was said so far. None: out of time."""
        said, whole, begun = Assembly(), None, time.monotonic()
        events = self.model.reply(self.history, [one.spec for one in self.tools], self._options())
        try:
            for event in _heard(events, until):
                if isinstance(event, Done):
                    whole = event.message
                    self._whole(event, time.monotonic() - begun)
                    yield event
                    return event
                said.add(event)
                yield event
            if until is not None and time.monotonic() >= until:
                self._keep(said)
                return None
        except (GeneratorExit, KeyboardInterrupt):
            if whole is not None:
                self._answer(list(enumerate(whole.calls)), STOPPED)
            else:
                self._keep(said)
            raise
        finally:
            llm.close(events)
        raise LLMError(f"{self.model.name} ended its reply without saying so")

    def _execute(
        self,
        left: Sequence[tuple[int, ToolCall]],
        until: float | None,
        calls: Sequence[ToolCall] | None = None,
        answered: dict[int, str] | None = None,
        written: int = 0,
    ) -> Generator[Event, None, None]:
        """Run what is `left` of a reply's `calls`. Results are recorded as they come and become history in the order
        of the calls. Every call gets one, also when this is stopped half-way."""
        calls = [call for _, call in left] if calls is None else calls
        answered = {} if answered is None else answered
        started: dict[int, bool] = {}
        executing = self._executor.execute(self.tools, left, until)
        try:
            for event in executing:
                if isinstance(event, CallStarted):
                    started[event.index] = event.changes
                    self.spent += Spent(calls=1)
                if self._record and isinstance(event, CallStarted | CallResult | Ruling):
                    # Forced to the disk where something outside may change, so that it is never done twice.
                    self._record.event(event, durable=started.get(event.index, False))
                if isinstance(event, CallResult):
                    answered[event.index] = event.text
                yield event
        finally:
            executing.close()
            for place, call in enumerate(calls):
                if place >= written and place not in answered:
                    outcome = INTERRUPTED if started.get(place) else STOPPED
                    self._result(place, call, outcome)
                    answered[place] = outcome.text
            for place in range(written, len(calls)):
                call = calls[place]
                self.history.append(Message("tool", answered[place], name=call.name, call_id=call.id))

    def _options(self) -> ReplyOptions:
        """The options, with what the limits leave."""
        left = self.spent.output_left(self.limits, self.price)
        wanted = self.options.max_tokens
        return self.options if left is None else replace(self.options, max_tokens=min(left, wanted or left))

    def _whole(self, done: Done, seconds: float) -> None:
        took = Spent.reply(done.usage, self.price)
        self.spent += took
        self.history.append(done.message)
        if self._record:
            self._record.reply(done, took.usd, seconds)

    def _keep(self, said: Assembly) -> None:
        """What was said of a reply that was stopped; calls that nobody ran were not made."""
        if said.message().content:
            self._add(replace(said.message(), calls=()))

    def _answer(self, calls: Iterable[tuple[int, ToolCall]], outcome: Outcome) -> None:
        for place, call in calls:
            self._result(place, call, outcome)
            self.history.append(Message("tool", outcome.text, name=call.name, call_id=call.id))

    def _result(self, place: int, call: ToolCall, outcome: Outcome) -> None:
        if self._record:
            self._record.event(CallResult(call, outcome.text, outcome.failed, 0.0, place))

    def _add(self, message: Message) -> None:
        self.history.append(message)
        if self._record:
            self._record.message(message)

    def _notices(self) -> Iterator[Notice]:
        for text in () if isinstance(self._given, Sequence) else self._given.notices():
            notice = Notice(text)
            if self._record:
                self._record.event(notice)
            yield notice

    def _clock(self, base: float) -> None:
        with self._lock:
            self.spent = replace(self.spent, seconds=time.monotonic() - base)

    def _reached(self) -> Reason | None:
        reached = self.spent.reached(self.limits)
        assert reached is None or reached in ("tokens", "seconds", "usd")
        return reached  # type: ignore[return-value]

    def _end(self, reason: Reason, usages: Sequence[Usage]) -> Ended:
        ended = Ended(reason, tuple(usages), self.spent)
        if self._record:
            self._record.event(ended)
        return ended


def _heard(events: Iterator[llm.Event], until: float | None) -> Iterator[llm.Event]:
    """The events until a time of time.monotonic(). With a time they are read by a thread, because a model that hangs
    can be left, but not interrupted."""
    if until is None:
        yield from events
        return
    heard: queue.SimpleQueue[llm.Event | Exception | None] = queue.SimpleQueue()

    def read() -> None:
        try:
            for event in events:
                heard.put(event)
            heard.put(None)
        except Exception as error:
            heard.put(error)

    threading.Thread(target=read, name="agent-reply", daemon=True).start()
    while True:
        try:
            item = heard.get(timeout=max(until - time.monotonic(), 0.0))
        except queue.Empty:
            return
        if item is None:
            return
        if isinstance(item, Exception):
            raise item
        yield item
