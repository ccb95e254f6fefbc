"""A model whose replies are counted for a key: each is admitted by its limits and gets its row in the books."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress

from moonlet import llm
from moonlet.chat.messages import Message, ToolSpec
from moonlet.ledger.keys import Key
from moonlet.llm import LLM, PLAIN, Done, Event, LLMError, ReplyOptions, Usage
from moonlet.server.accounts import Account, Accounts
from moonlet.server.replies import Asked


class Charged:
    """The same model, at somebody's expense."""

    def __init__(self, model: LLM, accounts: Accounts, key: Key | None, api: str) -> None:
        self.name = model.name
        self._model, self._accounts, self._key, self._api = model, accounts, key, api

    def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = (), options: ReplyOptions = PLAIN
    ) -> Iterator[Event]:
        """As the model's own. Raises ApiError besides: 429 if the key's limits do not allow it, 401 if it has ended."""
        asked = Asked(self.name, tuple(messages), tuple(tools), options)
        account = self._accounts.open(self._key, self._api, asked)
        try:
            return _ChargedReply(self._model.reply(messages, tools, account.options), account)
        except Exception as error:
            account.close(None, error)
            raise


class _ChargedReply:
    """No generator, because those cannot be closed from another thread while they wait for the model."""

    def __init__(self, events: Iterator[Event], account: Account) -> None:
        self._events, self._account = events, account
        self._lock = threading.Lock()
        self._usage: Usage | None = None
        self._turn = threading.Lock()  # of whoever reads
        self._left = self._ended = False

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        with self._turn:
            return self._next()

    def _next(self) -> Event:
        try:
            event = next(self._events)
        except Exception as error:
            if isinstance(error, LLMError):
                self._usage = error.usage
                self._account.failed(error)
            self._end(None if isinstance(error, StopIteration) else error)
            raise
        self._account.see(event)
        if isinstance(event, Done):
            self._usage = event.usage
        return event

    def close(self) -> None:
        """Nobody listens any more. It goes on to its Done, if it can: what it took is still wanted. While another
        thread reads, that one must close it, or read to the end."""
        self._left = self._left or self._usage is None
        llm.close(self._events)
        if self._turn.acquire(blocking=False):
            try:
                with suppress(Exception):  # StopIteration, too: the account is closed by then
                    while True:
                        self._next()
            finally:
                self._turn.release()

    def _end(self, error: Exception | None) -> None:
        with self._lock:
            ended, self._ended = self._ended, True
        if not ended:
            self._account.close(self._usage, error, self._left)
