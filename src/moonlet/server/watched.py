"""Runs of agents as whoever looks on sees them: the lines of their records, and questions that wait for a person.

A run is what its record says (`moonlet.agent.record`), here kept in memory. What is over is forgotten when there are
many. Whoever runs an agent tells of it, and answers questions itself:

    shown = watched.begin(owner, who, title, model.name, "page", stop=run.stop)
    agent = Agent(..., record=shown.record())
    shown.asked("1", question, run.answer) ... shown.answered("1", "yes") ... shown.end("error")
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from moonlet.agent.approval import Answer, Question
from moonlet.agent.record import FORMAT, Record
from moonlet.server.fields import whole_characters

KEPT = 200  # runs; beyond, the oldest that are over are forgotten
CHANGES = 4096  # that a listener may have missed before it has to look at everything again
_LONGEST = 20_000  # characters of a text in a line
_MOST_LINES = 5000  # of a run in memory; its record goes on

Origin = Literal["page", "a2a"]
State = Literal["working", "asking", "waiting", "over"]
Line = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """Something happened to a run: a line came, or, without one, its summary is another."""

    number: int
    run: WatchedRun
    line: int | None


class Watched:
    """Safe to use from any thread."""

    def __init__(self) -> None:
        self.born = secrets.token_hex(4)  # tells one server's numbers from the next one's
        self._lock = threading.Lock()
        self._runs: dict[str, WatchedRun] = {}  # oldest first
        self._changes: deque[Change] = deque(maxlen=CHANGES)
        self._last = 0
        self._wakers: set[Callable[[], None]] = set()
        self.closing = False  # nobody is to listen any longer

    def begin(
        self, owner: str, who: str, title: str, model: str, origin: Origin,
        id: str | None = None, stop: Callable[[], None] | None = None,
    ) -> WatchedRun:  # fmt: skip
        """A run that begins, or goes on if there is one of this `id`. `owner` is the id of its key, `who` the key's
        name, both empty without one; `stop` ends it."""
        with self._lock:
            run = self._runs.get(id or "")
            if run is None or run.owner != owner:
                id = id or "run_" + secrets.token_hex(12)
                run = WatchedRun(self, id, owner, who, whole_characters(" ".join(title.split())[:200]), model, origin)
                self._runs[run.id] = run
                # Those that wait for their callers go last: their records bring them back.
                idle = [one.id for state in ("over", "waiting") for one in self._runs.values() if one.state == state]
                for old in idle[: max(len(self._runs) - KEPT, 0)]:
                    del self._runs[old]
        run.resume(stop)
        return run

    def all(self, owner: str | None = None) -> list[WatchedRun]:
        """Those of an owner, or of all, the newest first."""
        with self._lock:
            return [run for run in reversed(self._runs.values()) if owner is None or run.owner == owner]

    def find(self, id: str) -> WatchedRun | None:
        """The run of this id; None if there is none, or it is forgotten."""
        with self._lock:
            return self._runs.get(id)

    @property
    def last(self) -> int:
        """Number of the last change."""
        return self._last

    def since(self, number: int) -> list[Change] | None:
        """What changed after that number; None if it is not known any more."""
        with self._lock:
            if number > self._last or (self._changes and number < self._changes[0].number - 1):
                return None
            return [change for change in self._changes if change.number > number]

    @contextmanager
    def waking(self, waker: Callable[[], None]) -> Iterator[None]:
        """In the block `waker` is called, from any thread, whenever something changed."""
        with self._lock:
            self._wakers.add(waker)
        try:
            yield
        finally:
            with self._lock:
                self._wakers.discard(waker)

    def close(self) -> None:
        """Whoever listens is to leave: the server ends. Takes no lock, so that a signal's handler may call it."""
        self.closing = True
        for wake in list(self._wakers):
            wake()

    def changed(self, run: WatchedRun, line: int | None = None) -> None:
        """A run tells that it changed."""
        with self._lock:
            self._last += 1
            self._changes.append(Change(self._last, run, line))
            wakers = list(self._wakers)
        for wake in wakers:
            wake()


class WatchedRun:
    """One run. Made by `Watched.begin`."""

    def __init__(self, runs: Watched, id: str, owner: str, who: str, title: str, model: str, origin: Origin) -> None:
        self.id, self.owner, self.who, self.title, self.model, self.origin = id, owner, who, title, model, origin
        self.began = time.time()
        self.ended: float | None = None
        self.reason = ""  # why it ended: a reason of the agent's, "error", "lost"
        self.lines: list[Line] = []
        self._runs = runs
        self._lock = threading.Lock()
        self._questions: dict[str, Callable[[Answer], bool]] = {}  # that wait, by id: how each is answered
        self._waiting = False  # for its caller, who was asked something
        self._stop: Callable[[], None] | None = None

    @property
    def state(self) -> State:
        """What it does: a question to a person goes before all else."""
        if self.ended is not None:
            return "over"
        if self._questions:
            return "asking"
        return "waiting" if self._waiting else "working"

    @property
    def stoppable(self) -> bool:
        """Whether `stop` would do something."""
        return self.ended is None and self._stop is not None

    @property
    def asks(self) -> list[Line]:
        """The questions that wait."""
        return [line for line in self.lines if line["event"] == "ask" and line["question"] in self._questions]

    def summary(self) -> dict[str, Any]:
        """What a list shows of it."""
        names = ("id", "who", "title", "model", "origin", "state", "reason", "began", "ended", "stoppable")
        return {name: getattr(self, name) for name in names} | {"lines": len(self.lines)}

    def resume(self, stop: Callable[[], None] | None) -> None:
        """It works, and can be stopped in this way."""
        self.ended, self.reason, self._waiting, self._stop = None, "", False, stop
        self._runs.changed(self)

    def record(self) -> Record:
        """A record whose lines are kept here alone."""
        return _WatchedRecord(self)

    def recall(self, lines: Sequence[Line]) -> None:
        """What its record said before this server knew it."""
        if len(lines) > len(self.lines):
            self.lines = [_short(line) for line in lines[:_MOST_LINES]]
            self._runs.changed(self)

    def take(self, line: Line) -> None:
        """A line of its record."""
        with self._lock:
            if len(self.lines) >= _MOST_LINES and line["event"] != "end":
                return
            self.lines.append(_short(line))
            at = len(self.lines) - 1
            if line["event"] == "message" and line["message"].get("role") == "user":
                self.ended, self.reason = None, ""
            elif line["event"] == "end":
                self.ended, self.reason = line["time"], str(line["reason"])
        self._runs.changed(self, at)

    def wait_for_caller(self) -> None:
        """It asked its caller something and goes on when that is answered."""
        self._waiting = True
        self._runs.changed(self)

    def end(self, reason: str) -> None:
        """It is over, also when its record does not say so: `error`, `cancelled`. Nothing if it has ended."""
        with self._lock:
            if self.ended is not None:
                return
            self.ended, self.reason = time.time(), reason
            self._questions.clear()
        self._runs.changed(self)

    def stop(self) -> bool:
        """Ends what runs. False if it has ended, or cannot be stopped from here."""
        stop = self._stop
        if self.ended is not None or stop is None:
            return False
        stop()
        return True

    def asked(self, id: str, question: Question, answer: Callable[[Answer], bool]) -> None:
        """A call waits for a person, whose answer goes to `answer`: False if it is none any more."""
        call = question.call
        with self._lock:
            self._questions[id] = answer
        told = {"name": call.name, "arguments": call.arguments, "why": question.why, "lasting": question.lasting}
        told["hints"] = question.checked.tool.hints  # what a server says of its own tool, which decides nothing
        self.take(_line("ask", question=id, id=call.id, **told))

    def answered(self, id: str, answer: Answer) -> None:
        """The question was answered, here or elsewhere."""
        with self._lock:
            self._questions.pop(id, None)
        self.take(_line("answer", question=id, answer=answer))

    def answer(self, id: str, answer: Answer) -> bool:
        """Answers a question that waits. False if there is none."""
        take = self._questions.get(id)
        return take is not None and take(answer)


class _WatchedRecord(Record):
    """A record in memory."""

    def __init__(self, run: WatchedRun) -> None:
        super().__init__(Path(f"run {run.id}"), -1)
        self._run = run
        if not run.lines:
            self.write("start", format=FORMAT, model=run.model)

    def write(self, event: str, durable: bool = False, **facts: Any) -> None:
        """Append one line."""
        self._run.take(_line(event, **facts))

    def close(self) -> None:
        """Nothing is open."""


def _line(event: str, **facts: Any) -> dict[str, Any]:
    return {"event": event, "time": round(time.time(), 3), **facts}


def _short(value: Any) -> Any:
    """The same with long texts cut: a run is looked at, its record goes on elsewhere."""
    if isinstance(value, str):
        return whole_characters(value if len(value) <= _LONGEST else value[:_LONGEST] + " [...]")
    if isinstance(value, Mapping):
        return {key: _short(inner) for key, inner in value.items() if key != "full"}
    return [_short(inner) for inner in value] if isinstance(value, list) else value
