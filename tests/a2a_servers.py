"""Agents offered over A2A by the real server, in this process or in one of its own.

    python tests/a2a_servers.py WORKER|BOSS LEDGER PORT [URL_OF_THE_WORKER]

The two agents of the restart tests: the boss hands its task to the worker; the worker writes each of its three steps
into LEDGER.steps, one line each, and takes its time for the second.
"""

import itertools
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from moonlet.agent.approval import allow_all
from moonlet.chat.messages import Message, ToolCall, ToolSpec
from moonlet.ledger.books import Books
from moonlet.ledger.database import open_database
from moonlet.llm import LLM
from moonlet.llm.scripted import Scripted
from moonlet.server import a2a
from moonlet.server.a2a_card import Face, Signer
from moonlet.server.a2a_executor import AgentExecution, Offered
from moonlet.server.a2a_grpc import Place, listening
from moonlet.server.app import create_app
from moonlet.server.charged import Charged
from moonlet.server.keys import Access
from moonlet.tools.a2a import Remote, connect
from moonlet.tools.running import here
from moonlet.tools.tool import Tool, parameters

SLOW_S = 3.0
FREE = Offered(approve=allow_all)


def offer(
    model: LLM,
    books: Books,
    url: str,
    offered: Offered,
    access: Access = Access(),
    name: str = "worker",
    grpc: Place | None = None,
    **more: Any,
) -> FastAPI:
    """The application with an agent at /a2a, and over gRPC where a place is given."""
    app = create_app(model, books, access)
    charged = partial(Charged, model, app.state.accounts, api="a2a")
    executor = AgentExecution(offered, lambda key: charged(key=key), books.database, app.state.watched)
    face = Face(url, name, "Counts things.", keys_needed=access.keys_needed, grpc=grpc.at(grpc.host) if grpc else "")
    if grpc:
        more["beside"] = partial(listening, place=grpc, door=app.state.door)
    a2a.mount(app, face, executor, books.database, **more)
    return app


@contextmanager
def offering(
    model: LLM,
    ledger: Path,
    offered: Offered = FREE,
    access: Access = Access(),
    signer: Signer | None = None,
    **more: Any,
) -> Iterator[str]:
    """The URL of a server whose agent is offered, until the block ends; then it is stopped as by a signal."""
    bound = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{bound.getsockname()[1]}"
    books = Books(open_database(ledger))
    app = offer(model, books, url, offered, access, signer=signer, **more)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.005)
    try:
        yield url
    finally:
        server.should_exit = True
        thread.join(15)
        books.close()


def last(messages: Sequence[Message], role: str) -> Message | None:
    """The newest message of a role."""
    return next((one for one in reversed(messages) if one.role == role), None)


def worker_says(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> Message | str:
    """Three steps, one call each, then the sum."""
    done = [one for one in messages if one.role == "tool"]
    if len(done) == 3:
        return "All three steps are done: " + ", ".join(one.content for one in done)
    return Message("assistant", calls=(ToolCall(f"c{len(done)}", "step", f'{{"number": {len(done) + 1}}}'),))


def boss_says(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> Message | str:
    """Hands the task on; if it was cut off while it waited, looks what became of it until it is done."""
    result = last(messages, "tool")
    if result is None:
        return Message("assistant", calls=(ToolCall("b0", "agent_worker", '{"message": "do the three steps"}'),))
    if "All three steps are done" in result.content:
        return f"The worker says: {result.content}"
    time.sleep(0.3)
    count = sum(one.role == "tool" for one in messages)
    return Message("assistant", calls=(ToolCall(f"b{count}", "agent_worker_tasks", "{}"),))


def step_tool(log: Path) -> Tool:
    """Writes its number into the file; the second takes its time."""

    def step(arguments: Mapping[str, Any]) -> str:
        number = arguments["number"]
        if number == 2:
            here().wait(SLOW_S)
        with log.open("a") as file:
            file.write(f"{number}\n")
        return f"step {number}"

    return Tool(ToolSpec("step", "One step", parameters({"number": {"type": "integer"}})), step)


def main(who: str, ledger: str, port: str, worker: str = "") -> None:
    """One of the two agents, until it is killed."""
    books = Books(open_database(ledger))
    says = worker_says if who == "WORKER" else boss_says
    model = Scripted(itertools.repeat(says), name=who.lower())
    tools = (step_tool(Path(ledger + ".steps")),) if who == "WORKER" else connect(Remote(worker))
    offered = Offered(tools, approve=allow_all)
    app = offer(model, books, f"http://127.0.0.1:{port}", offered, name=who.lower())
    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning", timeout_graceful_shutdown=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
