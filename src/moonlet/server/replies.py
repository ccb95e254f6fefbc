"""Where every reply of every API begins, where its events pass, and where it ends.

Who may ask, and how much, is decided when a request's account is opened; it is closed once for each request that was
admitted, whatever became of it, with what it took.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial, reduce
from operator import add

from fastapi import Request

from moonlet import llm
from moonlet.chat.messages import Message, ToolSpec
from moonlet.llm import LLM, PLAIN, Done, Event, LateError, LLMError, Plain, ReplyOptions, Served, Usage
from moonlet.server.accounts import Account, Accounts
from moonlet.server.apart import beside
from moonlet.server.errors import ApiError
from moonlet.server.keys import api_of, key_of
from moonlet.server.terms import with_terms

_log = logging.getLogger("moonlet.server")

_GRACE_S = 1.0  # after a deadline: our own engine ends the reply itself, and says how far it came


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request of any API asks of the model."""

    model: str
    messages: tuple[Message, ...] = ()
    tools: tuple[ToolSpec, ...] = ()
    options: ReplyOptions = PLAIN
    prompts: tuple[str | tuple[int, ...], ...] = ()  # texts or ids to be gone on with, in place of messages
    count: int = 1  # replies to the messages, or to each prompt


class Replies:
    """Begins replies of the models that are served, of which mostly there is one."""

    def __init__(self, models: Sequence[LLM], accounts: Accounts) -> None:
        self.models = {model.name: model for model in models}
        self._accounts = accounts

    async def begin(self, request: Request, asked: Asked) -> Reply:
        """A reply on its way. Raises ApiError, LLMError."""
        self.named(asked.model)
        loop = asyncio.get_running_loop()
        begun: asyncio.Future[Reply] = loop.create_future()
        # Rendering and queueing take a moment of computing, which must not stop the streams of others. The thread that
        # does it goes on to read the reply.
        beside(partial(self._run, request, asked, loop, begun))
        return await begun

    def _run(
        self, request: Request, asked: Asked, loop: asyncio.AbstractEventLoop, begun: asyncio.Future[Reply]
    ) -> None:
        reply, error = None, None
        try:
            reply = self._begin(request, asked, loop)
        except Exception as failed:
            error = failed
        with suppress(RuntimeError):  # the loop is closed: nobody listens any more
            loop.call_soon_threadsafe(_tell, begun, reply, error)
        if reply is not None:
            reply.read()

    def _begin(self, request: Request, asked: Asked, loop: asyncio.AbstractEventLoop) -> Reply:
        asked = replace(asked, options=with_terms(asked.options, request.headers))
        account = self._accounts.open(key_of(request), api_of(request), asked)
        asked = replace(asked, options=account.options)
        try:
            replies = self._replies(asked)
        except Exception as error:
            account.close(None, error)
            raise
        return Reply(asked, replies, account, loop)

    def _replies(self, asked: Asked) -> list[Iterator[Event]]:
        begun: list[Iterator[Event]] = []
        try:
            for prompt in asked.prompts or (None,):
                for number in range(asked.count):
                    begun.append(self._reply(asked, prompt, number))
        except Exception:
            for events in begun:
                llm.close(events)
            raise
        return begun

    def _reply(self, asked: Asked, prompt: str | tuple[int, ...] | None, number: int) -> Iterator[Event]:
        options = asked.options
        if options.seed is not None:  # the replies to one prompt must differ
            options = replace(options, seed=options.seed + number)
        if prompt is None:
            return self.named(asked.model).reply(asked.messages, asked.tools, options)
        return self.plain(asked.model).complete(prompt, options)

    def plain(self, name: str) -> Plain:
        """The model of that name, if it takes plain prompts. Raises ApiError."""
        model = self.named(name)
        if not isinstance(model, Plain):
            raise ApiError(f"{name} answers conversations only")
        return model

    def named(self, name: str) -> LLM:
        """The model of that name. Raises ApiError if it is not served."""
        if (model := self.models.get(name)) is None:
            known = f"there is no model {name!r} here, only {', '.join(map(repr, self.models))}"
            raise ApiError(known, "model", code="model_not_found", status=404)
        return model


def _tell(begun: asyncio.Future[Reply], reply: Reply | None, error: Exception | None) -> None:
    if begun.done():  # whoever asked has gone
        if reply is not None:
            reply.leave()
    elif reply is not None:
        begun.set_result(reply)
    elif error is not None:
        begun.set_exception(error)


class Reply:
    """What answers one request: one reply of the model, or several side by side.

    Each is read by a thread of its own; the event loop only passes on, as much at a time as has come meanwhile: waking
    it costs more than an event does.
    """

    def __init__(
        self, asked: Asked, replies: Sequence[Iterator[Event]], account: Account, loop: asyncio.AbstractEventLoop
    ) -> None:
        """`loop` is where `events` will be listened to."""
        self.asked = asked
        self._replies = replies
        self._account = account
        self._loop = loop
        within_s = asked.options.deadline_s
        self._until = None if within_s is None else loop.time() + within_s + _GRACE_S
        self._heard: list[tuple[int, Event] | Exception | None] = []  # and not listened to yet
        self._news = asyncio.Event()
        self._left = threading.Event()  # nobody listens any more
        self._lock = threading.Lock()
        self._reading = len(replies)
        self._usages: list[Usage] = []
        self._error: Exception | None = None
        self._served: dict[int, Served] = {}
        self._placed = asyncio.Event()  # every reply has its engine, or none of them waits for one
        self._routed = self._unplaced = sum(getattr(events, "routed", False) for events in replies)
        if not self._unplaced:
            self._placed.set()

    def read(self) -> None:
        """Reads the replies: the first in this thread, until it ends. To be called once."""
        first, *others = enumerate(self._replies)
        for one in others:
            beside(partial(self._read, *one))
        self._read(*first)

    async def events(self, silence_s: float | None = None) -> AsyncGenerator[list[tuple[int, Event]], None]:
        """The events as they come, those together that came together, each with the number of its reply; an empty list
        whenever there were none for so long. To be iterated once."""
        over = 0
        while over < len(self._replies):
            if await self._silent(silence_s):
                yield []
                continue
            with self._lock:
                self._news.clear()
                items, self._heard = self._heard, []
            come: list[tuple[int, Event]] = []
            for item in items:
                if isinstance(item, Exception):
                    if come:
                        yield come
                    raise item
                if item is None:
                    over += 1
                else:
                    come.append(item)
            if come:
                yield come

    async def _silent(self, silence_s: float | None) -> bool:
        """Waits for events; True if there were none for so long. Raises LateError after the reply's deadline."""
        times = [] if silence_s is None else [self._loop.time() + silence_s]
        until = min([*times, *([] if self._until is None else [self._until])], default=None)
        try:
            async with asyncio.timeout_at(until):
                await self._news.wait()
        except TimeoutError:
            if until != self._until:
                return True
            late = LateError(f"the deadline of {self.asked.options.deadline_s:g} s passed")
            self._error = self._error or late
            raise late from None
        return False

    async def placed(self, wait_s: float) -> dict[str, str]:
        """Headers that tell which of several engines answer. Waits for that, but no longer than a client would: then
        only whether one of them is rented is told, and stays so. Raises what a reply raised before it was placed."""
        if not self._placed.is_set():
            within_s = wait_s if self._until is None else min(wait_s, self._until - self._loop.time())
            with suppress(TimeoutError):
                await asyncio.wait_for(self._placed.wait(), within_s)
        if self._error is not None and len(self._served) < self._routed:
            raise self._error
        served = list(self._served.values())
        rented = any(one.overflow for one in served)
        if not self._placed.is_set():
            late = [events for number, events in enumerate(self._replies) if number not in self._served]
            rented = any([await asyncio.to_thread(pin) for pin in map(_pin, late)]) or rented
            served = []
        names = {"x-moonlet-engine": ", ".join(dict.fromkeys(one.engine for one in served))} if served else {}
        return {**names, **({"x-moonlet-overflow": "true"} if rented else {})}

    def leave(self) -> None:
        """Nobody listens any more: what is still on its way ends within a step of the engine."""
        self._left.set()
        for events in self._replies:
            llm.close(events)

    def _read(self, number: int, events: Iterator[Event]) -> None:
        try:
            for event in events:
                self._account.see(event)
                if isinstance(event, Served):
                    self._served[number] = event
                    self._place()
                    continue
                if isinstance(event, Done):
                    self._usages.append(event.usage)
                if self._left.is_set():
                    llm.close(events)  # it goes on to its Done, if it can: what it took is still wanted
                else:
                    self._tell((number, event))
        except Exception as error:
            if not isinstance(error, LLMError):
                _log.exception("a reply broke")
            elif error.usage is not None:
                self._usages.append(error.usage)
                self._account.failed(error)
            self._error = self._error or error
            self._place()
            self._tell(error)
        finally:
            llm.close(events)
            with self._lock:
                self._reading -= 1
                last = self._reading == 0
            if last:
                usage = reduce(add, self._usages) if self._usages else None
                self._account.close(usage, self._error, self._left.is_set())
            self._tell(None)

    def _place(self) -> None:
        """One more reply has its engine, or has failed."""
        with self._lock:
            self._unplaced -= 1
            over = self._unplaced <= 0
        if over:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._placed.set)

    def _tell(self, item: tuple[int, Event] | Exception | None) -> None:
        with self._lock:
            self._heard.append(item)
            called = len(self._heard) > 1  # and has not come yet
        if not called:
            with suppress(RuntimeError):  # the loop is closed: nobody listens any more
                self._loop.call_soon_threadsafe(self._news.set)


def _pin(events: Iterator[Event]) -> Callable[[], bool]:
    """Keeps a reply from being moved to a rented engine, or from it. Says whether it is there."""
    pin: Callable[[], bool] = getattr(events, "pin", lambda: False)
    return pin
