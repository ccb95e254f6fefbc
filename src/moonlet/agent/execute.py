"""Calls of one reply, executed: checked, allowed, run side by side where nothing is changed, each with its time."""

from __future__ import annotations

import contextvars
import queue
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from itertools import groupby

from moonlet.agent.approval import Approve, allow_all
from moonlet.agent.events import CallResult, CallStarted, Progress, Ruling
from moonlet.agent.results import Results
from moonlet.chat.messages import ToolCall
from moonlet.tools.running import Running, entered
from moonlet.tools.tool import Checked, Outcome, Tool, checked_call, failure, run

PARALLEL = 8  # calls of one reply that run at a time
GRACE_S = 2.0  # for a call that was told to stop
STOPPED = failure("stopped by the user before it ran")
UNKNOWN = "whether it took effect is not known: look before doing it again"

Told = Ruling | CallStarted | Progress | CallResult


class Executor:
    """Runs the calls of one run's replies."""

    def __init__(self, results: Results, call_s: float, approve: Approve = allow_all) -> None:
        self._results = results
        self._call_s = call_s
        self._approve = approve

    def execute(
        self, tools: Sequence[Tool], calls: Sequence[tuple[int, ToolCall]], until: float | None = None
    ) -> Generator[Told, None, None]:
        """Run the calls, given with their places; results come as they end. No call starts or goes on after `until`,
        a time of time.monotonic().

        Neighbours that change nothing run side by side. A call that changes something runs alone and at its place: what
        was asked for after it may depend on it. Closing this stops what runs.
        """
        changing = {one.spec.name for one in tools if one.changes}
        for alone, group in groupby(calls, lambda one: one[1].name in changing):
            batch = list(group)
            width = 1 if alone else PARALLEL
            for begin in range(0, len(batch), width):
                yield from self._together(tools, batch[begin : begin + width], until)

    def _together(
        self, tools: Sequence[Tool], batch: Sequence[tuple[int, ToolCall]], until: float | None
    ) -> Generator[Told, None, None]:
        allowed: list[tuple[int, ToolCall, Checked]] = []
        for index, call in batch:
            checked = checked_call(tools, call)
            if isinstance(checked, Outcome):
                yield self._result(index, call, checked, 0.0)
                continue
            decision = self._approve(call, checked)
            if decision.by is not None:
                yield Ruling(index, call, decision.allowed, decision.by)
            if decision.allowed:
                allowed.append((index, call, checked))
            else:
                yield self._result(index, call, failure(f"not allowed: {decision.why}"), 0.0)
        if until is not None and time.monotonic() >= until:
            for index, call, _ in allowed:
                yield self._result(index, call, failure("not run: the time of the whole run is up"), 0.0)
            return
        for index, call, checked in allowed:
            yield CallStarted(index, call, checked.tool.changes)
        yield from self._watch(allowed, until)

    def _watch(
        self, allowed: Sequence[tuple[int, ToolCall, Checked]], until: float | None
    ) -> Generator[Told, None, None]:
        """Start the calls in threads of their own and tell what they tell. A thread that does not end when it is told
        to is left behind: Python cannot end it."""
        heard: queue.SimpleQueue[tuple[int, Outcome | str]] = queue.SimpleQueue()
        running: dict[int, tuple[ToolCall, Checked, Running, float]] = {}
        for index, call, checked in allowed:
            limit = checked.tool.timeout_s or self._call_s
            one = Running(limit, lambda text, index=index: heard.put((index, text)))  # type: ignore[misc]
            running[index] = (call, checked, one, time.perf_counter())
            _start(index, checked, one, heard)
        try:
            while running:
                try:
                    index, told = heard.get(timeout=_patience(running, until))
                except queue.Empty:
                    yield from self._overdue(running, until)
                    continue
                # Not only when nothing is heard: a call may tell its progress without a pause.
                yield from self._overdue(running, until)
                if index not in running:
                    continue  # it answers after it was given up
                call, checked, _, begun = running[index]
                if isinstance(told, str):
                    yield Progress(call, told)
                else:
                    del running[index]
                    yield self._result(index, call, told, time.perf_counter() - begun, checked.tool)
        finally:
            for _, _, one, _ in running.values():
                one.stop()

    def _overdue(
        self, running: dict[int, tuple[ToolCall, Checked, Running, float]], until: float | None
    ) -> Generator[CallResult, None, None]:
        """Calls whose time is up are stopped and answered for."""
        over = until is not None and time.monotonic() >= until
        for index, (call, checked, one, begun) in list(running.items()):
            left = one.left()
            if one.ended or (not over and (left is None or left > 0)):
                continue
            one.stop()
            del running[index]
            seconds = time.perf_counter() - begun
            told = "stopped: the time of the whole run is up" if over else f"no answer within {seconds:.0f} s; stopped"
            if checked.tool.changes:
                told += f"; {UNKNOWN}"
            yield self._result(index, call, failure(f"{call.name}: {told}"), seconds, checked.tool)

    def _result(
        self, index: int, call: ToolCall, outcome: Outcome, seconds: float, tool: Tool | None = None
    ) -> CallResult:
        text, full = self._results.present(outcome, tool is not None and tool.outside)
        return CallResult(call, text, outcome.failed, seconds, index, full)


def _start(index: int, checked: Checked, one: Running, heard: queue.SimpleQueue[tuple[int, Outcome | str]]) -> None:
    def work() -> None:
        try:
            with entered(one):
                outcome = run(checked)
        except Exception as broken:  # a tool that breaks must not end the conversation
            outcome = failure(f"{checked.tool.spec.name} broke: {type(broken).__name__}: {broken}")
        one.ended = True  # before it is heard, which may be long after: much progress may wait in front of it
        heard.put((index, outcome))

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(work,), name=f"call-{checked.tool.spec.name}", daemon=True).start()


def _patience(running: Mapping[int, tuple[ToolCall, Checked, Running, float]], until: float | None) -> float | None:
    """Seconds until something may be overdue."""
    left = [one.left() for _, _, one, _ in running.values()]
    if until is not None:
        left.append(until - time.monotonic())
    known = [seconds for seconds in left if seconds is not None]
    # A clock that stands still while a person is asked must be looked at again.
    return min(max(min(known), 0.0) + 0.01, 1.0) if known else None
