"""The real server on a free port of this machine, with any model behind it."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.applications import Starlette

from moonlet.chat.parser import Parser
from moonlet.ledger.books import Books
from moonlet.llm import LLM, Done, Usage
from moonlet.llm.scripted import Scripted
from moonlet.server.app import create_app
from moonlet.server.keys import Access


class CutInThought(Scripted):
    """Begins a call of the first tool within a thought, where its limit ends the reply."""

    def reply(self, *asked: Any) -> Iterator[Any]:
        parser = Parser(None, "k2-thinking", asked[1], thinking_open=True)
        call = f"<|tool_call_begin|>functions.{asked[1][0].name}:0<|tool_call_argument_begin|>"
        yield from parser.feed_text(f'I look. {call}{{"place": "Os') + parser.finish()
        yield Done(parser.message, "length", Usage())


@contextmanager
def serving(
    model: LLM,
    books: Books | None = None,
    access: Access = Access(),
    more: Callable[[FastAPI], object] = lambda app: None,
) -> Iterator[str]:
    """The URL of a server that answers with `model`, up to and with /v1; `more` adds to the application."""
    app = create_app(model, books, access)
    more(app)
    with serving_app(app) as url:
        yield f"{url}/v1"


@contextmanager
def serving_app(app: Starlette) -> Iterator[str]:
    """The URL of a server of this application."""
    bound = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
