"""A reply of an endpoint under way: how far it has come, and how it is ended early."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import urllib3

from moonlet.llm import Event


class Exchange:
    """How far one reply and its endpoint have come with each other."""

    def __init__(self) -> None:
        self.sent = False  # the endpoint may have been asked
        self.status: int | None = None  # with which it answers
        self.left = False  # nobody listens any more
        self._answer: urllib3.BaseHTTPResponse | None = None  # that is being read

    @property
    def answers(self) -> bool:
        """Whether the endpoint does what it is asked, as far as it has said."""
        return self.status is not None and self.status < 400

    @property
    def unheard(self) -> bool:
        """Whether it may have been asked and has said nothing."""
        return self.sent and self.status is None

    @contextmanager
    def reading(self, answer: urllib3.BaseHTTPResponse) -> Iterator[None]:
        """While it is read. What is not read to its end is cut off."""
        self.status, self._answer = answer.status, answer
        try:
            if self.left:  # while there was nothing yet to be shut
                self.leave()
            yield
        finally:
            self._answer = None
            answer.close()  # one that was read to its end has given its connection back

    def leave(self) -> None:
        """Whoever waits for more of the answer hears its end."""
        self.left = True
        if (answer := self._answer) is not None:
            with suppress(ValueError, RuntimeError, OSError):  # it has ended meanwhile
                answer.shutdown()

    def hang_up(self) -> None:
        """While nobody reads the answer: its endpoint learns that no more is wanted."""
        if (answer := self._answer) is not None:
            answer.close()


class RemoteReply(Iterator[Event]):
    """A reply under way. Unlike a generator it can be closed while another thread waits for its next event; it then
    ends with what has come, at once if the endpoint has begun to answer."""

    def __init__(self, exchange: Exchange, events: Iterator[Event]) -> None:
        self.exchange = exchange
        self._events = events
        self._turn = threading.Lock()  # of whoever reads

    def __next__(self) -> Event:
        with self._turn:
            return next(self._events)

    def close(self) -> None:
        self.exchange.leave()
        if self._turn.acquire(blocking=False):
            try:
                self.exchange.hang_up()
            finally:
                self._turn.release()
