"""The servers of one run and their tools. An event loop in a thread of its own keeps the connections; everything here
is called from other threads."""

from __future__ import annotations

import asyncio
import re
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import mcp_types as types

from moonlet.chat.messages import Message, ToolSpec
from moonlet.tools.mcp.asking import Asking, Person, Sample
from moonlet.tools.mcp.config import ServerConfig
from moonlet.tools.mcp.connection import Connection, Offer
from moonlet.tools.mcp.content import hints_of, resource_text, result_text, spec_of, text_of
from moonlet.tools.running import here
from moonlet.tools.tool import Tool, ToolError, parameters

T = TypeVar("T")
MAX_NAME = 64  # characters of a tool's name: what common endpoints take
_NOTICES = 50  # that are kept until somebody asks


class HostError(Exception):
    """A server, or what is asked of it, is not there."""


class Host:
    """Use as a context manager. Servers that do not come up are told of in `notices`; the others work."""

    def __init__(
        self,
        servers: Sequence[ServerConfig],
        state: Path,
        person: Person | None = None,
        sample: Sample | None = None,
        roots: Sequence[Path] = (),
    ) -> None:
        """`state`: folder for tokens. Without a `person` no server can ask for anything; with `sample` the model may
        answer for servers, if the person allows it."""
        self._notices: deque[str] = deque(maxlen=_NOTICES)
        self._lock = threading.Lock()
        self._person, self._sample, self._roots = person, sample, tuple(roots)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="mcp", daemon=True)
        self._made: dict[tuple[str, str], tuple[types.Tool, Tool]] = {}
        named = _distinct([server.name for server in servers])
        self._connections = {
            name: Connection(server, partial(self._asking, name), partial(self._note, name), state, self._visit(name))
            for name, server in zip(named, servers)
        }
        self._tasks: list[Future[None]] = []

    def __enter__(self) -> Host:
        self._thread.start()
        for connection in self._connections.values():
            self._tasks.append(asyncio.run_coroutine_threadsafe(connection.live(), self._loop))
        ready = [self._submit(self._settled(connection)) for connection in self._connections.values()]
        for one in ready:
            one.result()
        return self

    def __exit__(self, *exception: object) -> None:
        self._submit(self._leave()).result(timeout=30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)

    def tools(self) -> list[Tool]:
        """Every tool of every server, under names that no two share."""
        found: list[Tool] = []
        taken: set[str] = set()
        for server, connection in self._connections.items():
            if connection.given_up:
                continue
            for tool in connection.offer.tools:
                found.append(self._tool(server, connection, tool, taken))
            if connection.offer.reads:
                found += self._resource_tools(server, connection, taken)
        return found

    def notices(self) -> list[str]:
        """What happened to servers since this was last asked."""
        told = []
        while self._notices:
            told.append(self._notices.popleft())
        return told

    def allowed(self) -> list[str]:
        """Names of tools that the user's own configuration lets run without a question."""
        return [
            _name(server, tool, set())
            for server, connection in self._connections.items()
            for tool in connection.config.allowed
        ]

    def offers(self) -> Mapping[str, tuple[Connection, Offer]]:
        """What each server offers just now."""
        return {name: (connection, connection.offer) for name, connection in self._connections.items()}

    def prompt(self, server: str, name: str, arguments: Mapping[str, str]) -> list[Message]:
        """The messages of a server's prompt. Raises HostError."""
        connection = self._connections.get(server)
        if connection is None:
            raise HostError(f"there is no server {server}; there are: {', '.join(self._connections) or 'none'}")
        try:
            result: types.GetPromptResult = self._wait(
                connection.request(lambda client: client.get_prompt(name, dict(arguments)))
            )
        except ToolError as error:
            raise HostError(str(error)) from None
        return [Message(one.role, text_of([one.content])) for one in result.messages]

    def _tool(self, server: str, connection: Connection, tool: types.Tool, taken: set[str]) -> Tool:
        """Made once for each declaration, so that an unchanged tool stays the same object."""
        name = _name(server, tool.name, taken)
        known = self._made.get((server, name))
        if known and known[0] == tool:
            return known[1]

        def run(arguments: Mapping[str, Any]) -> str:
            result: types.CallToolResult = self._wait(connection.call(tool.name, arguments, here()))
            if result.is_error:
                raise ToolError(result_text(result) or "it failed and says no more")
            return result_text(result)

        made = Tool(
            spec_of(name, tool),
            run,
            # The hint orders calls; whether one may run at all is asked in any case.
            changes=not (tool.annotations and tool.annotations.read_only_hint is True),
            sends=True,
            outside=True,
            hints=hints_of(tool),
        )
        self._made[(server, name)] = (tool, made)
        return made

    def _resource_tools(self, server: str, connection: Connection, taken: set[str]) -> list[Tool]:
        def listing(arguments: Mapping[str, Any]) -> list[dict[str, str]]:
            offer = connection.offer
            found = [{"uri": str(one.uri), "name": one.name, "about": one.description or ""} for one in offer.resources]
            return found + [
                {"uri_template": one.uri_template, "name": one.name, "about": one.description or ""}
                for one in offer.templates
            ]

        def read(arguments: Mapping[str, Any]) -> str:
            uri = arguments["uri"]
            result: types.ReadResourceResult = self._wait(connection.request(lambda client: client.read_resource(uri)))
            return resource_text(result.contents)

        list_name = _name(server, "list_resources", taken)
        read_name = _name(server, "read_resource", taken)
        about = {"uri": {"type": "string", "description": f"As {list_name} gives it, with a template filled in"}}
        return [
            Tool(ToolSpec(list_name, f"List what can be read from {server}", {}), listing, outside=True),
            Tool(
                ToolSpec(read_name, f"Read something from {server}", parameters(about)), read, sends=True, outside=True
            ),
        ]

    def _asking(self, server: str, paused: Callable[[], Any]) -> tuple[Asking, bool, bool]:
        asking = Asking(server, self._person, self._sample, self._roots, paused, self._lock)
        return asking, self._person is not None, self._person is not None and self._sample is not None

    def _visit(self, server: str) -> Callable[[str], bool] | None:
        person = self._person
        if person is None:
            return None

        def visit(url: str) -> bool:
            with self._lock:
                return person.visit(server, "it asks you to log in", url)

        return visit

    def _note(self, server: str, text: str) -> None:
        self._notices.append(f"server {server}: {text}")

    async def _settled(self, connection: Connection) -> None:
        """Connected, or failed once."""
        try:
            await connection.connected()
        except ToolError:
            return

    async def _leave(self) -> None:
        for task in self._tasks:
            task.cancel()
        ours = asyncio.current_task()
        rest = [task for task in asyncio.all_tasks() if task is not ours]
        if rest:
            await asyncio.wait(rest, timeout=15)

    def _submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        """The work's result; a call that is stopped cancels it, which tells the server."""
        future = self._submit(work)
        here().on_stop(lambda: _cancel(future))
        try:
            return future.result()
        except CancelledError:
            raise ToolError("stopped") from None


def _cancel(future: Future[Any]) -> None:
    future.cancel()


def _distinct(names: Sequence[str]) -> list[str]:
    """Names that differ, also once they are cleaned."""
    found: list[str] = []
    taken: set[str] = set()
    for name in names:
        clean = _clean(name)[:22].strip("_") or "server"  # stands whole, with its number, in the names of its tools
        number = 2
        distinct = clean
        while distinct in taken:
            distinct, number = f"{clean}{number}", number + 1
        taken.add(distinct)
        found.append(distinct)
    return found


def _name(server: str, tool: str, taken: set[str]) -> str:
    """A tool's name for the model: its server's first, so that no server can offer another's tools."""
    wanted = f"{server[:24]}__{_clean(tool)}"[:MAX_NAME]
    number, name = 2, wanted
    while name in taken:
        name, number = f"{wanted[: MAX_NAME - 4]}_{number}", number + 1
    taken.add(name)
    return name


def _clean(name: str) -> str:
    # Two underscores part a server from its tool, so no name may hold them.
    return re.sub(r"_{2,}", "_", re.sub(r"[^A-Za-z0-9_-]", "_", name)).strip("_")
