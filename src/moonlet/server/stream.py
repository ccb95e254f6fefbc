"""A reply on its way to a client, in whatever wire format: as server-sent events, or whole."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import aclosing, suppress
from typing import Any, Protocol

from fastapi import Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from moonlet.llm import Event
from moonlet.server.errors import ApiError, api_error
from moonlet.server.replies import Reply

KEEP_ALIVE_S = 10.0  # a stream that is silent for so long says that it lives: proxies and clients give up on silence
_POLL_S = 0.25  # how often an unstreamed request looks whether its client is still there
NO_BUFFER = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}

Frame = dict[str, Any]  # one message of a stream

_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode  # made once: json.dumps makes it each time


class Wire(Protocol):
    """One answer in the format of an API: from events to the messages of its stream, and from those to the whole."""

    named: bool  # whether messages carry their type as the event's name
    closing: str  # what ends the stream after the last message

    def begin(self) -> Iterator[Frame]:
        """What is sent before anything is known."""

    def next(self, number: int, event: Event) -> Iterator[Frame]:
        """What an event of a reply becomes."""

    def end(self) -> Iterator[Frame]:
        """What is sent after all replies are over."""

    def failed(self, error: ApiError) -> Iterator[Frame]:
        """What is sent instead of the rest."""

    def alive(self) -> Frame | None:
        """What breaks a silence; None for a comment."""

    def whole(self, frames: Iterable[Frame]) -> dict[str, Any]:
        """The unstreamed answer: the sum of the stream's messages."""


class _Stream(StreamingResponse):
    """A stream whose reply ends with it, also when the client left before its beginning."""

    def __init__(self, reply: Reply, wire: Wire, headers: Mapping[str, str]) -> None:
        super().__init__(_sent(reply, wire), media_type="text/event-stream", headers={**NO_BUFFER, **headers})
        self._reply = reply

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._reply.leave()


async def answer(request: Request, reply: Reply, wire: Wire, stream: bool) -> Response:
    """The HTTP response. A client that leaves ends the reply. Raises what the reply raises if it is not streamed, or
    before it has begun."""
    if stream:
        try:
            return _Stream(reply, wire, await reply.placed(KEEP_ALIVE_S))
        except BaseException:  # a client that leaves cancels
            reply.leave()
            raise
    try:
        whole = wire.whole(await _unless_gone(request, reply, wire))
        return JSONResponse(whole, headers=await reply.placed(0))
    finally:
        reply.leave()


async def _sent(reply: Reply, wire: Wire) -> AsyncIterator[str]:
    """The stream's bytes. An error on the way is its last message."""
    try:
        if begun := _data(wire, wire.begin()):
            yield begun
        async with aclosing(reply.events(KEEP_ALIVE_S)) as heard:
            async for events in heard:
                if not events:
                    yield _alive(wire)
                elif text := _data(wire, (frame for one in events for frame in wire.next(*one))):
                    yield text
        yield _data(wire, wire.end()) + wire.closing
    except Exception as error:
        yield _data(wire, wire.failed(api_error(error)))


def _data(wire: Wire, frames: Iterable[Frame]) -> str:
    """Messages of the stream, as many as there are."""
    names = ((f"event: {frame['type']}\n" if wire.named else "", frame) for frame in frames)
    return "".join(f"{name}data: {_JSON(frame)}\n\n" for name, frame in names)


def _alive(wire: Wire) -> str:
    frame = wire.alive()
    return ": keep-alive\n\n" if frame is None else _data(wire, [frame])


async def _unless_gone(request: Request, reply: Reply, wire: Wire) -> list[Frame]:
    """All messages of a reply, which is ended early if its client goes away."""

    async def collect() -> list[Frame]:
        frames = [*wire.begin()]
        async with aclosing(reply.events()) as heard:
            async for events in heard:
                frames += [frame for one in events for frame in wire.next(*one)]
        return [*frames, *wire.end()]

    task = asyncio.create_task(collect())
    while not (await asyncio.wait({task}, timeout=_POLL_S))[0]:
        if await request.is_disconnected():
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            raise ApiError("the client closed the connection", status=499)
    return task.result()
