"""Runs that the page started: an agent each, in a thread of its own, whose frames are kept so that whoever lost the
connection hears the rest, and whose questions wait for a person."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import suppress
from dataclasses import dataclass, field

from moonlet.agent import Event
from moonlet.agent.approval import Answer, Question
from moonlet.ledger.money import Price
from moonlet.llm import LLMError
from moonlet.server.a2a_run import work
from moonlet.server.errors import ApiError, api_error
from moonlet.server.page_frames import Frame, Frames
from moonlet.server.stream import KEEP_ALIVE_S
from moonlet.server.watched import WatchedRun
from moonlet.tools.running import Running

_log = logging.getLogger("moonlet.server")

MOST = 64  # runs at work at the same time
KEPT = 200  # runs whose frames are kept
KEPT_S = 3600.0  # after their end
MOST_OF_ONE = 8  # of them, of one key
LOOKS, LOOK_BYTES = 1024, 8 << 20  # frames of one run about experts that are kept: many, and nobody needs the old ones
ANSWER_S = 1800.0  # that a person has for a question; after that it is a no


@dataclass
class Asked:
    """A question that waits for a person."""

    number: int
    answered: threading.Event = field(default_factory=threading.Event)
    answer: Answer = "no"


class Run:
    """One run. Frames are numbered from 1."""

    def __init__(self, owner: str, title: str, price: Price | None) -> None:
        self.id = secrets.token_urlsafe(9)
        self.owner, self.title = owner, title
        self.ended = 0.0  # seconds since 1970; 0: it is at work
        self.running = Running()
        self.shown: WatchedRun | None = None  # to whoever looks at the agents' work
        self._frames: list[str | None] = []  # None: no longer kept
        self._looks: deque[int] = deque()
        self._look_bytes = 0
        self._translate = Frames(price)
        self._lock = threading.Lock()
        self._asked: dict[int, Asked] = {}
        self._questions = 0
        self._told_over = False  # no frame comes any more
        self._listeners: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    def begin(self, events: Generator[Event, None, None]) -> None:
        """Sets the agent to work, in a thread of its own."""
        work(events, self.running, self._hear, lambda event: False)

    def stop(self) -> None:
        """Ends it soon: what was said so far stays."""
        self.running.stop()

    def ask(self, question: Question) -> Answer:
        """Waits for a person. Called by the agent's thread."""
        with self._lock:
            self._questions += 1
            asked = self._asked[self._questions] = Asked(self._questions)
        told = {"id": question.call.id, "name": question.call.name, "arguments": question.call.arguments}
        hints = question.checked.tool.hints
        self.tell(
            {"type": "question", "number": asked.number, **told, "why": question.why, "lasting": question.lasting}
            | ({"hints": hints} if hints else {})
        )
        if self.shown:
            self.shown.asked(str(asked.number), question, lambda answer: self.answer(asked.number, answer))
        self.running.on_stop(asked.answered.set)  # also if it was stopped just before
        asked.answered.wait(ANSWER_S)
        with self._lock:
            del self._asked[asked.number]
        answer: Answer = "no" if self.running.stopped else asked.answer
        if self.shown:
            self.shown.answered(str(asked.number), answer)
        return answer

    def answer(self, number: int, answer: Answer) -> bool:
        """False if there is no such question, or it was answered."""
        asked = self._asked.get(number)
        if asked is None or asked.answered.is_set():
            return False
        asked.answer = answer
        asked.answered.set()
        return True

    def tell(self, frame: Frame) -> None:
        """Keeps a frame and wakes who listens. From any thread."""
        line = json.dumps(frame, separators=(",", ":"))  # ASCII: a model may write half a surrogate pair
        with self._lock:
            self._frames.append(line)
            if frame["type"] == "look":
                self._looks.append(len(self._frames) - 1)
                self._look_bytes += len(line)
                while len(self._looks) > LOOKS or self._look_bytes > LOOK_BYTES:
                    old = self._looks.popleft()
                    self._look_bytes -= len(self._frames[old] or "")
                    self._frames[old] = None
        self._wake()

    def _wake(self) -> None:
        with self._lock:
            listeners = list(self._listeners)
        for loop, news in listeners:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(news.set)

    async def listen(self, after: int, may: Callable[[], bool] = lambda: True) -> AsyncIterator[str]:
        """The frames behind that number as server-sent events, to the end of the run, or until whoever listens `may` no
        longer, which is asked in a thread every KEEP_ALIVE_S."""
        news, looked = asyncio.Event(), time.monotonic()
        listener = (asyncio.get_running_loop(), news)
        with self._lock:
            self._listeners.add(listener)
        try:
            yield "retry: 500\n\n"
            at = min(max(after, 0), len(self._frames))
            while True:
                news.clear()
                over = self._told_over  # before the frames: it is set when the last one is there
                frames = self._frames[at:]
                if frames:
                    yield "".join(f"id: {at + i + 1}\ndata: {line}\n\n" for i, line in enumerate(frames) if line)
                at += len(frames)
                if over:
                    break
                if not frames:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(news.wait(), KEEP_ALIVE_S)
                    if not news.is_set():
                        yield ": keep-alive\n\n"
                if time.monotonic() - looked >= KEEP_ALIVE_S:
                    if not await asyncio.to_thread(may):
                        return  # without its end: who asks for the rest is told why not
                    looked = time.monotonic()
            yield "data: [DONE]\n\n"
        finally:
            with self._lock:
                self._listeners.discard(listener)

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.ended > 0

    def _hear(self, event: Event | Exception | None) -> None:
        if event is None:
            return self._end()
        if isinstance(event, Exception):
            if not isinstance(event, LLMError | ApiError):
                _log.error("a run of the page broke", exc_info=event)
            problem = api_error(event)
            self.tell({"type": "error", "message": str(problem), "status": problem.status})
            return self._end(failed=True)
        frame = self._translate.of(event)
        if frame is not None:
            self.tell(frame)

    def _end(self, failed: bool = False) -> None:
        if self.running.stopped and not failed:
            self.tell({"type": "ended", "reason": "cancelled", "spent": None})
        self.ended = time.time()
        if self.shown:
            self.shown.end("error" if failed else "cancelled")  # unless its record says how it ended
        self.tell({"type": "over"})
        self._told_over = True
        self._wake()


class Runs:
    """All runs of this server, the newest last. What one key began, no other finds."""

    def __init__(self) -> None:
        self._runs: OrderedDict[str, Run] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, run: Run, begin: Callable[[Run], Generator[Event, None, None]]) -> Run:
        """Begins it. Raises ApiError if too many are at work."""
        with self._lock:
            self._forget()
            at_work = [one.owner for one in self._runs.values() if not one.over]
            if at_work.count(run.owner) >= MOST_OF_ONE:
                told = f"{MOST_OF_ONE} runs of yours are at work already; try again when one has ended"
                raise ApiError(told, status=429, retry_s=5)
            if len(at_work) >= MOST:
                raise ApiError(f"{MOST} runs are at work already; try again when one has ended", status=429, retry_s=5)
            self._runs[run.id] = run
        try:
            run.begin(begin(run))
        except BaseException:
            with self._lock:
                self._runs.pop(run.id, None)
            raise
        return run

    def find(self, owner: str, id: str) -> Run:
        """Raises ApiError 404."""
        run = self._runs.get(id)
        if run is None or run.owner != owner:
            raise ApiError("there is no such run: the server was restarted since, or it ended long ago", status=404)
        return run

    def close(self) -> None:
        """Stops all: the server ends."""
        with self._lock:
            runs = list(self._runs.values())
        for run in runs:
            if not run.over:
                run.stop()

    def _forget(self) -> None:
        over = [run for run in self._runs.values() if run.over]
        old = {run.id for run in over if run.ended < time.time() - KEPT_S}
        old |= {run.id for run in over[: max(len(over) - KEPT, 0)]}
        for id in old:
            del self._runs[id]
