"""Our things offered over the Model Context Protocol: at /mcp of the server, and over standard input and output.

What is offered are tools of the same kind as the agent's, so that whoever starts the server decides what they are:
asking the model is always one; planning, the ledger's summary and articles come from their parts of the house.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import mcp_types as types
from fastapi import FastAPI
from mcp.server.lowlevel.server import Server
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from starlette.requests import Request
from starlette.routing import Route

from moonlet.chat.messages import Message, Text, ToolCall, ToolSpec
from moonlet.ledger.keys import Key
from moonlet.llm import LLM, Done, LLMError, ReplyOptions
from moonlet.llm import close as end_reply
from moonlet.server.accounts import Accounts
from moonlet.server.apart import apart
from moonlet.server.charged import Charged
from moonlet.server.errors import ApiError
from moonlet.server.keys import Access, key_of, owner_of
from moonlet.tools.running import Running, entered, here
from moonlet.tools.tool import Checked, Outcome, Tool, ToolError, checked_call, failure, parameters, run

_log = logging.getLogger("moonlet.server")

OWN = Access()  # this machine alone
MAX_TOKENS = 4096  # of an answer that asks for no limit of its own
PATH = "/mcp"
_NEWS_S = 0.5  # between two messages of progress


_CALLER: ContextVar[tuple[str, Key | None]] = ContextVar("moonlet_mcp_caller", default=("", None))


def caller() -> tuple[str, Key | None]:
    """Who owns what is made by the call that this runs in, and the key with which it came in."""
    return _CALLER.get()


def ask_tool(model: LLM, accounts: Accounts | None = None) -> Tool:
    """`ask`: the model answers one question, without tools and without a history. With `accounts` it is in the books,
    within the limits of the key that asks."""
    required = {"question": {"type": "string"}}
    optional = {
        "system": {"type": "string", "description": "Instructions for the answer"},
        "max_tokens": {"type": "integer", "minimum": 1, "description": f"By default {MAX_TOKENS}"},
    }

    def answer(arguments: Mapping[str, Any]) -> str:
        system = [Message("system", arguments["system"])] if arguments.get("system") else []
        options = ReplyOptions(max_tokens=arguments.get("max_tokens") or MAX_TOKENS)
        asked = Charged(model, accounts, caller()[1], "mcp.ask") if accounts else model
        call = here()
        said: list[str] = []
        try:
            events = asked.reply((*system, Message("user", arguments["question"])), (), options)
            call.on_stop(lambda: end_reply(events))
            for event in events:
                if call.stopped:
                    end_reply(events)
                    break
                if isinstance(event, Text):
                    said.append(event.text)
                    call.tell(f"{sum(map(len, said))} characters")
                elif isinstance(event, Done) and event.finish == "length":
                    said.append("\n[the limit of tokens ended the answer here]")
        except (ApiError, LLMError) as error:
            raise ToolError(str(error)) from None
        return "".join(said)

    about = f"Ask the model {model.name}, which runs on its owner's machine, and get its answer"
    return Tool(ToolSpec("ask", about, parameters(required, optional)), answer)


def make_server(tools: Sequence[Tool], version: str = "0.1.0") -> Server[Any]:
    """A protocol server that offers these tools."""

    async def list_tools(context: Any, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_declared(tool) for tool in tools])

    async def call_tool(context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        written = json.dumps(params.arguments or {}, ensure_ascii=False)
        checked = checked_call(tools, ToolCall("", params.name, written))
        request = getattr(context, "request", None)
        _CALLER.set((owner_of(request), key_of(request)) if isinstance(request, Request) else ("", None))
        outcome = await _run(context, checked) if isinstance(checked, Checked) else checked
        content = types.TextContent(type="text", text=outcome.text)
        return types.CallToolResult(content=[content], is_error=outcome.failed)

    return Server(
        "moonlet",
        version=version,
        instructions="An owned model and its books: ask it, plan a machine for one, see what it was used for.",
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


async def _run(context: Any, checked: Checked) -> Outcome:
    """One call in a thread; its progress is passed on, and a caller that gives up ends it."""
    loop = asyncio.get_running_loop()
    last = [0.0]

    def tell(text: str) -> None:
        if loop.time() - last[0] >= _NEWS_S:
            last[0] = loop.time()
            asyncio.run_coroutine_threadsafe(context.session.report_progress(last[0], message=text), loop)

    running = Running(tell=tell)

    def work() -> Outcome:
        with entered(running):
            return run(checked)

    try:
        return await apart(work)
    except asyncio.CancelledError:
        loop.run_in_executor(None, running.stop)  # it may wait for the books
        raise
    except Exception as broken:
        _log.exception("the tool %s broke", checked.tool.spec.name)
        return failure(f"{checked.tool.spec.name} broke: {type(broken).__name__}")


def _declared(tool: Tool) -> types.Tool:
    schema = {"type": "object", "properties": {}, **tool.spec.parameters}
    hints = types.ToolAnnotations(read_only_hint=not tool.changes, open_world_hint=tool.sends)
    return types.Tool(name=tool.spec.name, description=tool.spec.description, input_schema=schema, annotations=hints)


def mount(app: FastAPI, server: Server[Any], access: Access = OWN) -> None:
    """Serve it at /mcp of an application, which asks for keys in front of this as for everything else. Requests
    addressed to other names, or sent by pages of other origins, are refused."""
    hosts = [f"[{name}]" if ":" in name else name for name in access.hosts or ()]
    own = [f"{scheme}://{name}" for host in hosts for name in (host, f"{host}:*") for scheme in ("http", "https")]
    security = TransportSecuritySettings(
        # With keys and any name allowed, who asks holds a key, and is no page under a borrowed name.
        enable_dns_rebinding_protection=access.hosts is not None,
        allowed_hosts=[name for host in hosts for name in (host, f"{host}:*")],
        allowed_origins=[*own, *access.origins],
    )
    manager = StreamableHTTPSessionManager(server, security_settings=security, max_sessions=1000, retry_interval=1000)
    app.router.routes.append(Route(PATH, StreamableHTTPASGIApp(manager)))
    before = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(application: Any) -> AsyncIterator[Any]:
        async with manager.run(), before(application) as state:
            yield state

    app.router.lifespan_context = lifespan


async def serve_stdio(server: Server[Any]) -> None:
    """Answer over standard input and output until the input ends."""
    async with stdio_server() as (heard, said):
        await server.run(heard, said, server.create_initialization_options())
