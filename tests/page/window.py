"""The page's server, stopped and started at will, and models that answer slowly enough to be looked at."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from moonlet.ledger.books import Books
from moonlet.ledger.database import Database
from moonlet.llm import LLM, PLAIN, Event
from moonlet.local import Local
from moonlet.server.app import create_app
from moonlet.server.keys import Access

SHOTS = Path(__file__).parents[2] / "build" / "page"


def chromium() -> str:
    """Where it is. Skips where there is none: no package index has it."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    pytest.skip("there is no Chromium here: apt install chromium")


class Served:
    """The page's server in this process; it can be stopped and started again at the same address."""

    def __init__(self, model: LLM, books: Books | None = None, access: Access = Access()) -> None:
        self._make = lambda: create_app(model, books, access)
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        bound = socket.create_server(("127.0.0.1", self.port))
        self.port = bound.getsockname()[1]
        self._server = uvicorn.Server(uvicorn.Config(self._make(), log_level="warning", timeout_graceful_shutdown=1))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [bound]}, daemon=True)
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive(), "the server did not start"
            time.sleep(0.005)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)


class Slowly:
    """A model whose events come one by one, so that a test can look at what is half done."""

    def __init__(self, model: Local, wait_s: float) -> None:
        self.model, self.wait_s = model, wait_s

    def __enter__(self) -> None:
        whole = type(self.model).reply

        def reply(messages: Any, tools: Any = (), options: Any = PLAIN) -> Iterator[Event]:
            for event in whole(self.model, messages, tools, options):
                time.sleep(self.wait_s)
                yield event

        self.model.reply = reply  # type: ignore[method-assign]

    def __exit__(self, *exception: object) -> None:
        del self.model.reply


@contextmanager
def booked(model: LLM, database: Database, access: Access = Access()) -> Iterator[Served]:
    """A server with books."""
    books = Books(database, None, None)
    server = Served(model, books, access)
    try:
        yield server
    finally:
        server.stop()
        books.close()
