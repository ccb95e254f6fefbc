"""A call while it runs: its clock, its end, and what it tells on the way. A tool reaches its own through `here()`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Running:
    """One call under way, shared by the thread that runs it and the one that watches it."""

    def __init__(self, timeout_s: float | None = None, tell: Callable[[str], None] = lambda _: None) -> None:
        self.tell = tell  # progress in words, for whoever looks on
        self.ended = False  # there is an outcome, in time: it is no longer overdue
        self._timeout_s = timeout_s
        self._begun = time.monotonic()
        self._asked_s = 0.0  # that a person took to answer: the call is not charged for it
        self._asking = 0
        self._asking_since = 0.0
        self._end = threading.Event()
        self._callbacks: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    def left(self) -> float | None:
        """Seconds until its time is up; None if it has no limit."""
        if self._timeout_s is None:
            return None
        with self._lock:
            now = self._asking_since if self._asking else time.monotonic()
            return self._begun + self._timeout_s + self._asked_s - now

    @property
    def stopped(self) -> bool:
        return self._end.is_set()

    def stop(self) -> None:
        """End the call, from any thread: it should give up what it is doing."""
        with self._lock:
            callbacks, self._callbacks = self._callbacks, []
            self._end.set()
        for callback in callbacks:
            callback()

    def on_stop(self, callback: Callable[[], None]) -> None:
        """Called once if the call is stopped; at once if it is already."""
        with self._lock:
            if not self._end.is_set():
                self._callbacks.append(callback)
                return
        callback()

    def wait(self, seconds: float) -> bool:
        """Sleep, unless the call is stopped meanwhile. Whether it was."""
        return self._end.wait(seconds)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """A person is asked in the block: the call's clock stands still."""
        with self._lock:
            if not self._asking:
                self._asking_since = time.monotonic()
            self._asking += 1
        try:
            yield
        finally:
            with self._lock:
                self._asking -= 1
                if not self._asking:
                    self._asked_s += time.monotonic() - self._asking_since


_HERE: ContextVar[Running] = ContextVar("moonlet_running")


def here() -> Running:
    """The call that this code runs for; outside of any, one that has no limit and nobody watches."""
    return _HERE.get(None) or Running()


@contextmanager
def entered(running: Running) -> Iterator[None]:
    """The block runs for this call."""
    token = _HERE.set(running)
    try:
        yield
    finally:
        _HERE.reset(token)
