"""The faster of two that do the same: the second is begun only when the first is silent for long."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TypeVar

T = TypeVar("T")


class Race:
    """Who of several that do the same has begun. It goes on, and the others stop where they would begin."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._first: object = None

    @property
    def begun(self) -> bool:
        """Whether anybody has."""
        return self._first is not None

    def begins(self, who: object) -> bool:
        """Whether it may begin, or go on."""
        with self._lock:
            if self._first is None:
                self._first = who
            return self._first is who

    def fails(self, who: object) -> None:
        """Whoever begins next goes on in its place."""
        with self._lock:
            if self._first is who:
                self._first = None


def faster(
    begin: Callable[[], T], other: Callable[[], Callable[[], T] | None], after_s: float, drop: Callable[[T], None]
) -> T:
    """What `begin` returns. When that takes longer than `after_s`, `other` is asked for a second one, and the first to
    return without an error counts; what comes later is dropped. Raises the last error where all fail."""
    came: SimpleQueue[T | Exception] = SimpleQueue()
    lock, over = threading.Lock(), False

    def run(begin: Callable[[], T]) -> None:
        found: T | Exception
        try:
            found = begin()
        except Exception as error:
            found = error
        with lock:
            late = over
            if not late:
                came.put(found)
        if late and not isinstance(found, Exception):
            drop(found)

    def start(begin: Callable[[], T]) -> None:
        threading.Thread(target=run, args=(begin,), name="moonlet-hedge", daemon=True).start()

    start(begin)
    running = 1
    try:
        found = came.get(timeout=after_s)
    except Empty:
        if (second := other()) is not None:
            start(second)
            running += 1
        found = came.get()
    while isinstance(found, Exception):
        running -= 1
        if not running:
            raise found
        found = came.get()
    with lock:
        over = True
    while not came.empty():
        if not isinstance(late := came.get(), Exception):
            drop(late)
    return found
