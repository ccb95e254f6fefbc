"""Which engine a request goes to: the one that knows the longest beginning of it, unless it has much more to do than
another; among equals the one with the least to do.

An engine keeps what it has computed of a prompt. Here that is known as digests of the tools and messages that began the
requests it was sent: a conversation goes where its beginning is, without being bound to it.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol, TypeVar

from moonlet.chat.messages import Message, ToolSpec, to_openai, tool_to_openai

SLACK = 4  # requests that an engine may have more than another, for the sake of what it knows
_KEPT = 20_000  # beginnings known of each engine

Beginnings = Sequence[tuple[bytes, int]]  # digest of tools and messages up to one, and their characters


def beginnings(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> Beginnings:
    """All beginnings of a request that end with a message, the shortest first."""
    chain, size, found = hashlib.blake2b(digest_size=16), 0, []
    parts = [[tool_to_openai(tool) for tool in tools], *map(to_openai, messages)]
    for part in parts:
        text = json.dumps(part, ensure_ascii=False).encode("utf-8", "backslashreplace")
        chain.update(len(text).to_bytes(8, "big") + text)
        size += len(text)
        found.append((chain.digest(), size))
    return found[1:]


class Known:
    """The beginnings that one engine was sent, the oldest forgotten. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._digests: OrderedDict[bytes, None] = OrderedDict()

    def add(self, request: Beginnings) -> None:
        """It is sent a request."""
        with self._lock:
            for digest, _ in request:
                self._digests[digest] = None
                self._digests.move_to_end(digest)
            while len(self._digests) > _KEPT:
                self._digests.popitem(last=False)

    def characters(self, request: Beginnings) -> int:
        """Of the longest beginning that it knows."""
        with self._lock:
            return next((size for digest, size in reversed(request) if digest in self._digests), 0)

    def forget(self) -> None:
        """It was started anew."""
        with self._lock:
            self._digests.clear()


class Busy(Protocol):
    """What is to be known of an engine."""

    known: Known

    @property
    def in_flight(self) -> int:
        """Requests that it has now."""
        ...

    @property
    def answered(self) -> int:
        """Requests that it had in all."""
        ...


B = TypeVar("B", bound=Busy)


def choose(engines: Sequence[B], request: Beginnings) -> B:
    """One of them, of which there is at least one."""
    least = min(engine.in_flight for engine in engines)
    near = [engine for engine in engines if engine.in_flight <= least + SLACK]
    return max(near, key=lambda engine: (engine.known.characters(request), -engine.in_flight, -engine.answered))
