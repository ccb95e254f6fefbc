"""What servers may ask of their user: input, an answer of the model, folders. A person decides on each, and a server
learns only what is answered to it: nothing of the conversation, of other servers, or of the model's instructions."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import anyio.to_thread
import mcp_types as types
from mcp.client.session import ClientRequestContext
from pydantic import FileUrl

from moonlet.chat.messages import Message
from moonlet.tools.mcp.content import text_of
from moonlet.tools.tool import check

MAX_SAMPLED = 4096  # tokens of one answer for a server
MAX_ASKED = 60_000  # characters of what it asks the model

T = TypeVar("T")
Form = Mapping[str, Any]
Sample = Callable[
    [Sequence[Message], int], tuple[str, str]
]  # the conversation and a limit: the answer, the model's name


class Person(Protocol):
    """Whoever sits in front. None of these is called twice at a time."""

    def fill(self, server: str, message: str, schema: Mapping[str, Any]) -> Form | None:
        """Values for a form of a server; None declines. Raises KeyboardInterrupt or EOFError to leave it."""
        ...

    def visit(self, server: str, message: str, url: str) -> bool:
        """Whether the user agrees to open the address, which this opens or shows."""
        ...

    def lend_model(self, server: str, messages: Sequence[Message]) -> bool:
        """Whether the server may have the model answer this."""
        ...


class Asking:
    """The callbacks of one server's session."""

    def __init__(
        self,
        server: str,
        person: Person | None,
        sample: Sample | None,
        roots: Sequence[Path],
        paused: Callable[[], AbstractContextManager[None]],
        lock: threading.Lock,
    ) -> None:
        """`paused`: in its block the clocks of the server's calls stand still. `lock` is shared by all servers."""
        self._server = server
        self._person, self._sample, self._roots = person, sample, roots
        self._paused = paused
        self._lock = lock

    async def elicit(
        self, context: ClientRequestContext, params: types.ElicitRequestParams
    ) -> types.ElicitResult | types.ErrorData:
        """A form to fill, or an address to visit."""
        try:
            return await self._with_person(lambda: self._elicit(params))
        except (EOFError, KeyboardInterrupt):
            return types.ElicitResult(action="cancel")

    def _elicit(self, params: types.ElicitRequestParams) -> types.ElicitResult:
        assert self._person is not None
        if isinstance(params, types.ElicitRequestURLParams):
            agreed = params.url.startswith("https://") and self._person.visit(self._server, params.message, params.url)
            return types.ElicitResult(action="accept" if agreed else "decline")
        schema = params.requested_schema
        values = self._person.fill(self._server, params.message, schema)
        if values is None:
            return types.ElicitResult(action="decline")
        if check(dict(values), {"type": "object", **schema}, "the form"):
            return types.ElicitResult(action="cancel")  # what the person gave does not fit: nothing is sent
        return types.ElicitResult(action="accept", content=dict(values))

    async def sample(
        self, context: ClientRequestContext, params: types.CreateMessageRequestParams
    ) -> types.CreateMessageResult | types.ErrorData:
        """An answer of the model, if the user allows it."""
        system = [Message("system", params.system_prompt)] if params.system_prompt else []
        asked = [Message(one.role, text_of(one.content_as_list)) for one in params.messages]  # type: ignore[arg-type]
        messages = [*system, *asked]
        if sum(len(message.content) for message in messages) > MAX_ASKED:
            return types.ErrorData(code=types.INVALID_PARAMS, message="the request is too long")

        def answered() -> tuple[str, str] | None:
            assert self._person is not None and self._sample is not None
            if not self._person.lend_model(self._server, messages):
                return None
            return self._sample(messages, max(1, min(params.max_tokens, MAX_SAMPLED)))

        try:
            answer = await self._with_person(answered)
        except Exception as error:  # of the model: the server is told that it failed, and no more
            return types.ErrorData(code=types.INTERNAL_ERROR, message=f"the model failed: {type(error).__name__}")
        if answer is None:
            return types.ErrorData(code=-1, message="User rejected sampling request")
        content = types.TextContent(type="text", text=answer[0])
        return types.CreateMessageResult(role="assistant", content=content, model=answer[1], stop_reason="endTurn")

    async def list_roots(self, context: ClientRequestContext) -> types.ListRootsResult:
        """The folders that the user gave."""
        roots = [types.Root(uri=FileUrl(path.resolve().as_uri()), name=path.name) for path in self._roots]
        return types.ListRootsResult(roots=roots)

    async def _with_person(self, ask: Callable[[], T]) -> T:
        def alone() -> T:
            with self._lock:
                return ask()

        with self._paused():
            return await anyio.to_thread.run_sync(alone, abandon_on_cancel=True)
