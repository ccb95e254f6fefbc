"""One server: connected, watched, connected again. It lives in one task, because a connection must be left where it was
entered; calls come from other tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mcp_types as types
from mcp import Client, MCPError
from mcp.client.session import IncomingMessage
from mcp.client.subscriptions import SubscriptionLost

from moonlet.tools.mcp import oauth, transport
from moonlet.tools.mcp.asking import Asking
from moonlet.tools.mcp.config import ServerConfig
from moonlet.tools.running import Running
from moonlet.tools.tool import ToolError

CONNECT_S = 60.0  # a first start may have to unpack the server
REQUEST_S = 30.0  # for lists and the like; calls have the agent's limit
LISTEN_AGAIN_S = 1.0  # after a stream of changes was lost, at first
RETRIES = 3  # connections in a row that fail before a server is given up
PAGES, ITEMS = 50, 500  # of a list: more are not asked for
_ME = types.Implementation(name="moonlet", version="0.1.0")
# What the SDK itself says of a connection that is over. Servers use the code too, for failures of their own.
_CLOSED = types.ErrorData(code=types.CONNECTION_CLOSED, message="Connection closed")


@dataclass(frozen=True, slots=True)
class Offer:
    """What a server offers."""

    tools: tuple[types.Tool, ...] = ()
    prompts: tuple[types.Prompt, ...] = ()
    resources: tuple[types.Resource, ...] = ()
    templates: tuple[types.ResourceTemplate, ...] = ()

    @property
    def reads(self) -> bool:
        """Whether there is something to read: a server may say that it can have resources, and have none."""
        return bool(self.resources or self.templates)


class Connection:
    """Belongs to the loop of its host; its methods are called there."""

    def __init__(
        self,
        config: ServerConfig,
        make_asking: Callable[[Callable[[], Any]], tuple[Asking, bool, bool]],
        tell: Callable[[str], None],
        state: Path,
        visit: Callable[[str], bool] | None,
    ) -> None:
        """`make_asking` gives the callbacks, and whether somebody can be asked and the model may be. `tell` hears what
        the user should know. `state` keeps tokens; `visit` shows an address to the user."""
        self.config = config
        self.offer = Offer()
        self.version = ""  # of the protocol
        self.instructions = ""
        self.given_up = False
        self._asking, self._person, self._sampling = make_asking(self._paused)
        self._tell, self._state, self._visit = tell, state, visit
        self._client: Client | None = None
        self._ready = asyncio.Event()  # connected, or failed just now
        self._wanted = asyncio.Event()
        self._lost = asyncio.Event()
        self._forgotten = asyncio.Event()  # it no longer knows our session
        self._stale = asyncio.Event()
        self._waiting = 0  # for a connection
        self._failed = 0
        self._why = ""
        self._running: set[Running] = set()
        self._wanted.set()

    async def live(self) -> None:
        """Connect whenever that is wanted, until cancelled."""
        while not self.given_up:
            await self._wanted.wait()
            self._lost.clear()
            try:
                await self._once()
                self._wanted.clear()
                if self._waiting:
                    self._wanted.set()
            except asyncio.CancelledError:
                raise
            except Exception as error:  # the SDK's groups of exceptions among them
                self._failed += 1
                self._why = self._why if self._lost.is_set() and self._why else reason(error)
                self.given_up = self._failed >= RETRIES
                self._tell(self._why + ("; it is given up" if self.given_up else ""))
                self._client = None
                self._wanted.clear()
                self._ready.set()

    async def _once(self) -> None:
        """Connect, learn what is offered, stay until the connection is lost."""
        async with AsyncExitStack() as stack:
            async with asyncio.timeout(CONNECT_S + (oauth.WAIT_S if self.config.url else 0)):
                client = await stack.enter_async_context(self._new_client(stack))
                self.version = client.protocol_version
                self.instructions = (client.instructions or "")[:4000]
                self.offer = await self._ask_offer(client)
            self._client, self._failed, self._why = client, 0, ""
            self._forgotten.clear()  # until now, a method that it does not have looked the same
            self._ready.set()
            tasks = [asyncio.create_task(self._refresh(client)), asyncio.create_task(self._listen(client))]
            stack.callback(lambda: [task.cancel() for task in tasks])
            await self._lost.wait()
            self._client = None
            self._ready.clear()

    def _new_client(self, stack: AsyncExitStack) -> Client:
        streams: AbstractAsyncContextManager[Any]
        if self.config.command:
            streams = transport.stdio(self.config, self._end)
        else:
            auth = None
            if self._visit is not None and "authorization" not in {name.lower() for name in self.config.headers}:
                auth, bound = oauth.provider(self.config, self._state, self._visit, self._paused)
                stack.callback(bound.close)
            streams = transport.http(self.config, auth, self._forgotten.set, self._end)
        return Client(
            streams,
            sampling_callback=self._asking.sample if self._sampling else None,
            elicitation_callback=self._asking.elicit if self._person else None,
            list_roots_callback=self._asking.list_roots,
            message_handler=self._hear,
            client_info=_ME,
            read_timeout_seconds=None,
        )

    def _end(self, why: str) -> None:
        self._why = why
        if self._client is not None:
            self._tell(why)
        self._lost.set()

    async def _hear(self, message: IncomingMessage) -> None:
        match message:
            case (
                types.ToolListChangedNotification()
                | types.PromptListChangedNotification()
                | types.ResourceListChangedNotification()
            ):
                self._stale.set()

    async def _listen(self, client: Client) -> None:
        """From 2026-07-28 on, changes are told on a stream that must be asked for, and again if it is lost."""
        if client.protocol_version < "2026-07-28":
            return
        wait_s = LISTEN_AGAIN_S
        with suppress(MCPError):  # it has no such stream
            while True:
                try:
                    async with client.listen(
                        tools_list_changed=True, prompts_list_changed=True, resources_list_changed=True
                    ) as changes:
                        async for _ in changes:
                            self._stale.set()
                    return  # ended in order
                except (SubscriptionLost, TimeoutError):
                    await asyncio.sleep(wait_s)
                    wait_s = min(wait_s * 2, 60.0)
                    self._stale.set()  # what was told meanwhile is not told again

    async def _refresh(self, client: Client) -> None:
        """Ask again what is offered, whenever the server says that it changed, at most twice a second."""
        while True:
            await self._stale.wait()
            self._stale.clear()
            before = self.offer
            try:
                self.offer = await self._ask_offer(client, again=True)
            except Exception as error:
                self._tell(f"it changed its tools, and asking for them failed: {reason(error)}")
            else:
                if told := _difference(before, self.offer):
                    self._tell(told)
            await asyncio.sleep(0.5)

    async def _ask_offer(self, client: Client, again: bool = False) -> Offer:
        can = client.server_capabilities
        mode: Any = "refresh" if again else "use"

        async def pages(ask: Callable[..., Any], field: str) -> tuple[Any, ...]:
            items: list[Any] = []
            cursor: str | None = None
            for _ in range(PAGES):
                async with asyncio.timeout(REQUEST_S):
                    page = await ask(cursor=cursor, cache_mode=mode)
                items += getattr(page, field)
                cursor = page.next_cursor
                if not cursor or len(items) >= ITEMS:
                    break
            if len(items) > ITEMS or cursor:
                self._tell(f"it offers more than {ITEMS} {field}; the first {min(len(items), ITEMS)} are used")
            return tuple(items[:ITEMS])

        async def beside(had: object, ask: Callable[..., Any], field: str) -> tuple[Any, ...]:
            """Nothing, if it does not list what it says it has: its tools can be used all the same."""
            with suppress(MCPError, TimeoutError):
                return await pages(ask, field) if had else ()
            return ()

        return Offer(
            await pages(client.list_tools, "tools") if can.tools else (),
            *await asyncio.gather(
                beside(can.prompts, client.list_prompts, "prompts"),
                beside(can.resources, client.list_resources, "resources"),
                beside(can.resources, client.list_resource_templates, "resource_templates"),
            ),
        )

    async def connected(self) -> Client:
        """The client, connecting again if need be. Raises ToolError."""
        if self._client is None and not self.given_up:
            if not self._wanted.is_set():
                self._ready.clear()
                self._wanted.set()
            self._waiting += 1
            try:
                await self._ready.wait()
            finally:
                self._waiting -= 1
        if self._client is None:
            raise ToolError(f"server {self.config.name} is not there: {self._why}")
        return self._client

    async def call(self, name: str, arguments: Mapping[str, Any], running: Running) -> types.CallToolResult:
        """Call a tool. Raises ToolError; cancelling tells the server."""

        async def tell(progress: float, total: float | None, message: str | None) -> None:
            share = f"{progress:g}" + (f" of {total:g}" if total else "")
            running.tell(f"{share} {message or ''}".strip()[:200])

        async def ask(client: Client) -> types.CallToolResult:
            return await client.call_tool(name, dict(arguments), progress_callback=tell)

        self._running.add(running)
        try:
            result: types.CallToolResult = await self.request(ask)
            return result
        finally:
            self._running.discard(running)

    async def request(self, ask: Callable[[Client], Any]) -> Any:
        """Ask the server something. Raises ToolError."""
        client = await self.connected()
        task = asyncio.ensure_future(ask(client))
        lost = asyncio.ensure_future(self._lost.wait())
        try:
            await asyncio.wait({task, lost}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise ToolError(f"server {self.config.name}: {self._why}")
            return task.result()
        except ToolError:
            raise
        except MCPError as error:
            if error.error == _CLOSED or self._forgotten.is_set():
                await asyncio.sleep(0.1)  # the transport may know more of why
                self._why = self._why or reason(error)
                self._lost.set()
                raise ToolError(f"server {self.config.name}: {self._why}") from None
            raise ToolError(f"server {self.config.name}: {reason(error)}") from None
        except Exception as error:
            raise ToolError(f"server {self.config.name}: {reason(error)}") from None
        finally:
            lost.cancel()
            if not task.done():
                task.cancel()
                with suppress(BaseException):
                    await task

    @contextmanager
    def _paused(self) -> Iterator[None]:
        with ExitStack() as stack:
            for running in self._running:
                stack.enter_context(running.asking())
            yield


def reason(error: BaseException) -> str:
    """An error of the SDK in one line; of a group of them, the first."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    if isinstance(error, FileNotFoundError):
        return f"there is no command {error.filename}"
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    return " ".join(str(error).split())[:300] or type(error).__name__


def _difference(before: Offer, now: Offer) -> str:
    """What changed among the tools, in words; nothing if nothing did."""
    old, new = ({tool.name: tool for tool in offer.tools} for offer in (before, now))
    told = {
        "added": [name for name in new if name not in old],
        "removed": [name for name in old if name not in new],
        "changed": [name for name in new if name in old and new[name] != old[name]],
    }
    words = [f"{what} {', '.join(names)[:200]}" for what, names in told.items() if names]
    return f"it changed its tools: {'; '.join(words)}" if words else ""
