"""How messages travel, with bounds: a server may not fill our memory, and it is stopped with all it has started."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import httpx2
from mcp.client.sse import sse_client
from mcp.client.stdio import get_default_environment
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from moonlet.tools.mcp.config import ServerConfig

MAX_MESSAGE = 16 << 20  # bytes
FLOOD, PER_S = 2_000, 50  # messages that may come at once, and in each second besides
EXIT_S = 2.0  # for a server to leave when its input is closed, and again when it is asked to
_LAST_WORDS = 2000  # bytes of standard error that are kept
_SESSION = "mcp-session-id"

Streams = tuple[anyio.abc.ObjectReceiveStream[SessionMessage | Exception], anyio.abc.ObjectSendStream[SessionMessage]]


@asynccontextmanager
async def stdio(config: ServerConfig, ended: Callable[[str], None]) -> AsyncIterator[Streams]:
    """A server as a process of its own group. `ended` is told why, once, if it ends or is stopped by itself. Raises
    OSError if it cannot be started."""
    process = await asyncio.create_subprocess_exec(
        config.command,
        *config.args,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**get_default_environment(), **config.env},
        cwd=config.cwd,
        start_new_session=True,
        limit=MAX_MESSAGE,
    )
    assert process.stdin and process.stdout and process.stderr
    heard, receive = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    send, said = anyio.create_memory_object_stream[SessionMessage](0)
    last = bytearray()
    leaving = False

    async def read() -> None:
        told = ""
        pace = _Pace()
        async with heard:
            try:
                while line := await process.stdout.readline():  # type: ignore[union-attr]
                    pace.count()
                    if line.strip():
                        await heard.send(_parsed(line))
            except ValueError:
                told = f"it sent a message of more than {MAX_MESSAGE >> 20} MiB and was stopped"
            except _FloodError as error:
                told = f"{error}, and was stopped"
            except (anyio.ClosedResourceError, anyio.BrokenResourceError, ConnectionError):
                pass
            # Before the stream is closed: what waits for an answer is then told why there is none.
            if not leaving:
                if told:
                    _signal(process, signal.SIGKILL)
                with suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), EXIT_S)
                words = " ".join(last.decode(errors="replace").split())[-300:]
                code = "" if process.returncode is None else f" (exit code {process.returncode})"
                ended(told or f"it ended{code}" + (f": {words}" if words else ""))

    async def listen() -> None:
        while piece := await process.stderr.read(4096):  # type: ignore[union-attr]
            last.extend(piece)
            del last[:-_LAST_WORDS]

    async def write() -> None:
        async with said:
            async for message in said:
                text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                with suppress(ConnectionError):
                    process.stdin.write(text.encode() + b"\n")  # type: ignore[union-attr]
                    await process.stdin.drain()  # type: ignore[union-attr]

    try:
        async with anyio.create_task_group() as group:
            for task in (read, listen, write):
                group.start_soon(task)
            try:
                yield receive, send
            finally:
                leaving = True
                with anyio.CancelScope(shield=True):
                    receive.close()
                    send.close()
                    await _stop(process)
                group.cancel_scope.cancel()
    finally:
        _signal(process, signal.SIGKILL)  # what it started and left behind
        process._transport.close()  # type: ignore[attr-defined]  # pipes that somebody else holds have no end


async def _stop(process: asyncio.subprocess.Process) -> None:
    """As the protocol says: close its input, wait, then end it and all that it started."""
    assert process.stdin
    with suppress(OSError):
        process.stdin.close()
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), EXIT_S)
            return
        _signal(process, number)
    with suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), EXIT_S)


def _signal(process: asyncio.subprocess.Process, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _parsed(line: bytes) -> SessionMessage | Exception:
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValueError as error:
        try:  # half a surrogate pair, as JavaScript writes it where it has cut a text
            whole = json.dumps(json.loads(line), ensure_ascii=False).encode(errors="replace")
            return SessionMessage(jsonrpc_message_adapter.validate_json(whole, by_name=False))
        except (ValueError, RecursionError):
            return error


class _FloodError(Exception):
    pass


class _Pace:
    """Counts messages. Raises _FloodError when too many come."""

    def __init__(self) -> None:
        self._count, self._last = 0.0, time.monotonic()

    def count(self) -> None:
        now = time.monotonic()
        self._count = max(self._count - (now - self._last) * PER_S, 0.0) + 1
        self._last = now
        if self._count > FLOOD:
            raise _FloodError(f"it flooded us: {FLOOD} messages more than {PER_S} a second")


class _Paced:
    """Messages that were received, until there are too many. `flooded` is told why it ended."""

    def __init__(self, inner: Any, flooded: Callable[[str], None]) -> None:
        self._inner, self._flooded = inner, flooded
        self._pace = _Pace()

    @property
    def last_context(self) -> Any:
        return self._inner.last_context

    async def receive(self) -> SessionMessage | Exception:
        message: SessionMessage | Exception = await self._inner.receive()
        try:
            self._pace.count()
        except _FloodError as error:
            self._flooded(str(error))
            raise anyio.EndOfStream from None
        return message

    async def aclose(self) -> None:
        await self._inner.aclose()

    def __aiter__(self) -> _Paced:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> _Paced:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()


@asynccontextmanager
async def http(
    config: ServerConfig, auth: httpx2.Auth | None, forgotten: Callable[[], None], flooded: Callable[[str], None]
) -> AsyncIterator[tuple[Any, Any]]:
    """A server behind a URL. Its headers go to its own origin alone; redirects elsewhere are not followed. `forgotten`
    is told whenever it does not know the session that it has given out, `flooded` if too many messages come."""
    timeout = httpx2.Timeout(30.0, read=300.0)
    if config.old_stream:
        async with sse_client(
            config.url, headers=dict(config.headers), auth=auth, httpx_client_factory=_bounded_client
        ) as (received, send):
            yield _Paced(received, flooded), send
        return
    bounded = _Bounded(httpx2.AsyncHTTPTransport(), forgotten)
    async with (
        httpx2.AsyncClient(headers=dict(config.headers), auth=auth, timeout=timeout, transport=bounded) as client,
        streamable_http_client(config.url, http_client=client, max_sse_event_size=MAX_MESSAGE) as (received, send),
    ):
        yield _Paced(received, flooded), send


def _bounded_client(headers: Any = None, timeout: Any = None, auth: Any = None) -> httpx2.AsyncClient:
    transport = _Bounded(httpx2.AsyncHTTPTransport(), lambda: None)  # its sessions are known by their addresses
    return httpx2.AsyncClient(headers=headers, timeout=timeout, auth=auth, transport=transport)


class _Bounded(httpx2.AsyncBaseTransport):
    """Bodies that are one message are bounded; streams of events are bounded event by event where they are read."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, forgotten: Callable[[], None]) -> None:
        self._inner, self._forgotten = inner, forgotten

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        # Sixteen megabytes that are packed can be sixteen gigabytes.
        request.headers["Accept-Encoding"] = "identity"
        response = await self._inner.handle_async_request(request)
        # The protocol's sign for it; what a server writes beside it is its own affair.
        if response.status_code == 404 and request.method == "POST" and _SESSION in request.headers:
            self._forgotten()
        if response.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
            await response.aclose()
            raise httpx2.ReadError("a packed answer, though unpacked was asked for")
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            response.stream = _Counted(response.stream)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Counted(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for piece in self._inner:
            size += len(piece)
            if size > MAX_MESSAGE:
                raise httpx2.ReadError(f"a message of more than {MAX_MESSAGE >> 20} MiB")
            yield piece

    async def aclose(self) -> None:
        await self._inner.aclose()
