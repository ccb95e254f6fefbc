"""Work that may take minutes, in a thread of its own.

asyncio's pool is small, and every request needs it for its key.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from typing import TypeVar, cast

T = TypeVar("T")


async def apart(work: Callable[[], T]) -> T:
    """What `work` returns or raises. The thread is a daemon: it holds up no end of the process."""
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

    threading.Thread(target=run, name="moonlet-apart", daemon=True).start()
    return await over
