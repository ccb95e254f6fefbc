"""Work that may take minutes, in a thread of its own.

asyncio's pool is small, and every request needs it for its key. Threads that are done wait for more: making one takes
longer than what a front has to do between two events.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from queue import SimpleQueue
from typing import TypeVar, cast

T = TypeVar("T")


_KEPT = 64  # threads that wait for work
_idle: deque[SimpleQueue[Callable[[], object]]] = deque()
os.register_at_fork(after_in_child=_idle.clear)  # threads stay with the parent


def beside(work: Callable[[], object]) -> None:
    """Begins `work`, which handles its own errors. The thread is a daemon: it holds up no end of the process."""
    try:
        box = _idle.pop()
    except IndexError:
        box = SimpleQueue()
        threading.Thread(target=_works, args=(box,), name="moonlet-apart", daemon=True).start()
    box.put(work)


def _works(box: SimpleQueue[Callable[[], object]]) -> None:
    while True:
        box.get()()
        if len(_idle) >= _KEPT:
            return
        _idle.append(box)


async def apart(work: Callable[[], T]) -> T:
    """What `work` returns or raises."""
    loop, context = asyncio.get_running_loop(), copy_context()
    over: asyncio.Future[T] = loop.create_future()

    def tell(result: T | None, error: Exception | None) -> None:
        if over.done():  # whoever waited has gone
            return
        if error is not None:
            over.set_exception(error)
        else:
            over.set_result(cast(T, result))

    def run() -> None:
        result, error = None, None
        try:
            result = context.run(work)
        except Exception as broken:
            error = broken
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(tell, result, error)

    beside(run)
    return await over
