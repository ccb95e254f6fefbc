"""One engine of several: whether it answers, what it has to do, what it knows."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from moonlet.chat.messages import Message, ToolSpec
from moonlet.fleet.route import Beginnings, Known
from moonlet.fleet.spec import EngineSpec
from moonlet.llm import LLMError, ReplyOptions
from moonlet.llm.exchange import RemoteReply
from moonlet.llm.remote import Remote

CHECK_S = 5.0  # an engine that takes longer to list its models does not answer


class Replica:
    """Safe to use from any thread. It counts as away until it was seen to answer."""

    def __init__(self, spec: EngineSpec, idle_s: float = 600.0) -> None:
        """`idle_s`: how long a reply may be silent before it counts as broken."""
        self.spec = spec
        self.name = spec.name
        self.known = Known()
        self.answered = self.in_flight = 0
        self.why = "was not reached yet"  # it is away; empty while it is up
        self._busy_until = 0.0
        self._lock = threading.Lock()
        self._idle_s = idle_s
        self._remote: Remote | None = None

    @property
    def up(self) -> bool:
        """Whether it answers, as far as is known."""
        return not self.why

    @property
    def busy(self) -> bool:
        """Whether it said so, or has as many requests as its owner gives it."""
        full = self.spec.slots is not None and self.in_flight >= self.spec.slots
        return full or time.monotonic() < self._busy_until

    def check(self) -> bool:
        """Asks whether it answers and has the model. Whether that is news."""
        was, why = self.why, ""
        try:
            remote = self._connected()
            names = remote.models(CHECK_S)
            if self.spec.model is None and remote.name not in names:
                self._remote = Remote(self.spec.url, names[0], self.spec.key or "", self._idle_s)
            elif remote.name not in names:
                why = f"{self.spec.url}: has no model {remote.name!r}, only {', '.join(names[:5])}"
        except LLMError as error:
            why = str(error)
        if why and not was:
            self.known.forget()
        self.why = why
        return bool(was) != bool(why)

    def eject(self, why: str) -> None:
        """It failed: nothing more is sent there until a check finds that it answers."""
        self.why = why
        self.known.forget()

    def reply(self, messages: Sequence[Message], tools: Sequence[ToolSpec], options: ReplyOptions) -> RemoteReply:
        """What it answers, as it is. Raises LLMError."""
        return self._connected().reply(messages, tools, options)

    def rest(self, seconds: float) -> None:
        """It said that it is busy, for so long."""
        self._busy_until = time.monotonic() + seconds

    @contextmanager
    def working(self, request: Beginnings) -> Iterator[None]:
        """While it has this request."""
        with self._lock:
            self.in_flight += 1
            self.answered += 1
        self.known.add(request)
        try:
            yield
        finally:
            with self._lock:
                self.in_flight -= 1

    @property
    def model(self) -> str | None:
        """As it calls the model; None while that is not known."""
        return self._remote.name if self._remote else self.spec.model

    def close(self) -> None:
        if self._remote is not None:
            self._remote.close()

    def _connected(self) -> Remote:
        with self._lock:
            if self._remote is None:  # its name may have to be asked for, which takes a moment once
                self._remote = Remote(self.spec.url, self.spec.model, self.spec.key or "", self._idle_s)
            return self._remote
