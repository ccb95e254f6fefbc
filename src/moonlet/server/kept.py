"""Responses that later requests may go on from: for a day, and not more than a fixed amount. They are in memory alone,
unless what is asked may be kept."""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from moonlet.chat.messages import Message
from moonlet.ledger.database import DatabaseError
from moonlet.server.errors import ApiError
from moonlet.server.kept_beyond import Beyond
from moonlet.server.response_stream import response_of

KEPT_S = 24 * 3600
KEPT_BYTES = 64 << 20
_INSTEAD = "send the items themselves, as most clients do with `store: false`"


@dataclass(frozen=True, slots=True)
class Kept:
    """One response with the conversation up to and with it."""

    response: dict[str, Any]
    messages: tuple[Message, ...]  # without instructions, which belong to one request
    items: list[Any]  # the input of its own request
    owner: str
    size: int
    born_s: float
    written: Future[bool] | None = None  # besides; the result is whether it could be


class KeptResponses:
    """By id, each for its owner only. The oldest make room for new ones."""

    def __init__(
        self,
        kept_bytes: int = KEPT_BYTES,
        clock: Callable[[], float] = time.monotonic,
        beyond: Beyond | None = None,
    ) -> None:
        """`beyond`: where they are kept besides."""
        self.beyond = beyond
        self._bytes = kept_bytes
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._used = 0

    def keep(self, owner: str, response: dict[str, Any], messages: tuple[Message, ...], items: list[Any]) -> None:
        """One that is larger than the whole amount is not kept."""
        size = len(json.dumps([response, items])) + sum(
            len(m.content) + len(m.thinking) + sum(len(call.arguments) for call in m.calls) for m in messages
        )
        if size > self._bytes:  # all others would have to go for it
            return
        written = self.beyond.keep(owner, response, messages, items) if self.beyond is not None else None
        with self._lock:
            self._kept[response["id"]] = Kept(response, messages, items, owner, size, self._clock(), written)
            self._used += size
            while self._kept and (self._used > self._bytes or self._old(next(iter(self._kept.values())))):
                self._used -= self._kept.popitem(last=False)[1].size

    def find(self, owner: str, id: str) -> Kept | None:
        """None if there is none, or not for this owner. Raises DatabaseError."""
        with self._lock:
            kept = self._kept.get(id)
        if kept is not None and (kept.owner != owner or self._old(kept)):
            return None
        if kept is not None and (self.beyond is None or self._there(self.beyond, id, kept)):
            return kept
        found = self.beyond.find(owner, id) if self.beyond is not None else None
        return Kept(*found, owner, 0, self._clock()) if found else None

    def whole(self, owner: str, body: Any) -> Any:
        """A request's body with the items themselves where its input refers to them. Raises ApiError if one is not
        kept for this owner, DatabaseError."""
        given = body.get("input") if isinstance(body, dict) else None
        if not isinstance(given, list):
            return body
        items: dict[str, Any] = {}  # of the responses that were looked up, by their ids
        looked: set[str] = set()
        whole = []
        for i, item in enumerate(given):
            if isinstance(item, dict) and item.get("type") == "item_reference":
                id = str(item.get("id"))
                if (of := response_of(id)) not in looked:
                    looked.add(of)
                    kept = self.find(owner, of)
                    items |= {one["id"]: one for one in kept.response["output"]} if kept else {}
                if id not in items:
                    raise ApiError(f"input[{i}]: {self.missing(f'item {id[:80]!r}')}; {_INSTEAD}", "input")
                item = items[id]
            whole.append(item)
        return {**body, "input": whole}

    def missing(self, what: str) -> str:
        """What is said of something that is not found."""
        until = "" if self.beyond else ", until the server stops"
        return f"there is no {what}: responses are kept for a day{until}"

    def drop(self, owner: str, id: str) -> None:
        """Forgets one of this owner's. Raises DatabaseError."""
        with self._lock:
            kept = self._kept.get(id)
            if kept is not None and kept.owner == owner:
                del self._kept[id]
                self._used -= kept.size
        if self.beyond is not None:
            self.beyond.drop(owner, id)

    def close(self) -> None:
        """Waits for what is to be written."""
        if self.beyond is not None:
            self.beyond.close()

    def _there(self, beyond: Beyond, id: str, kept: Kept) -> bool:
        """Whether no other server of the ledger has forgotten it. What is not written none can know."""
        if kept.written is None or not kept.written.done() or not kept.written.result():
            return True
        try:
            return beyond.has(kept.owner, id)
        except DatabaseError:  # nor can anybody while the ledger is away
            return True

    def _old(self, kept: Kept) -> bool:
        return self._clock() - kept.born_s > KEPT_S
