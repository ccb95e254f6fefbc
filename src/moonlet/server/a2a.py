"""The agent offered to other agents: A2A 1.0 and 0.3 over JSON-RPC and HTTP+JSON at /a2a, streamed and not, and over
what else is handed in.

The protocol is the official SDK's; ours are who may call (keys), where tasks are kept (the ledger's database), what
works on them (an executor, which conformance kits replace by their own), and where notifications may go.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from email.utils import formatdate
from functools import partial
from typing import Any

from a2a.server.agent_execution import AgentExecutor, RequestContext, SimpleRequestContextBuilder
from a2a.server.context import ServerCallContext
from a2a.server.request_handlers import DefaultRequestHandlerV2, RequestHandler
from a2a.server.request_handlers.response_helpers import build_error_response
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes, create_rest_routes
from a2a.types import AgentCard, Role, SendMessageConfiguration, SendMessageRequest, Task
from a2a.utils.constants import A2A_JSON_MEDIA_TYPE, VERSION_HEADER
from a2a.utils.error_handlers import build_rest_error_payload
from a2a.utils.errors import A2AError, ContentTypeNotSupportedError, InvalidRequestError
from fastapi import FastAPI
from google.protobuf.json_format import MessageToJson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Message

from moonlet.chat.messages import ToolSpec
from moonlet.ledger.database import Database, DatabaseError
from moonlet.server.a2a_caller import Contexts, caller_again
from moonlet.server.a2a_card import CARD_PATH, KEYS_PATH, PATH, Face, Signer, make_card
from moonlet.server.a2a_push import Push
from moonlet.server.a2a_store import Left, PushConfigs, Tasks, in_thread, make_tables

MAX_BODY = 8 << 20  # bytes of a request
CARD_AGE_S = 300  # that a card may be kept by who has read it
TYPES = ("application/json", "application/a2a+json")
_log = logging.getLogger("moonlet.server")

Endpoint = Callable[[Request], Awaitable[Response]]
Beside = Callable[[RequestHandler], AbstractAsyncContextManager[None]]


def mount(
    app: FastAPI,
    face: Face,
    executor: AgentExecutor,
    database: Database,
    *,
    tools: Sequence[ToolSpec] = (),
    signer: Signer | None = None,
    push_hosts: Sequence[str] = (),
    beside: Beside | None = None,
) -> None:
    """Offer what `executor` does at /a2a of an application, which asks for keys in front of this as of everything.

    `tools` are named on the card for callers with a key. `push_hosts` may be notified though their addresses are not
    public. `beside` answers over another transport as long as the application runs. Tasks that a server left unfinished
    in `database` are gone on with when the application starts. Raises DatabaseError.
    """
    make_tables(database)
    logging.getLogger("a2a").setLevel(logging.CRITICAL)  # the SDK logs whole requests, with what is secret in them
    tasks, configs = Tasks(database), PushConfigs(database)
    push = Push(configs, push_hosts)
    card, extended = make_card(face), make_card(face, tools)
    if signer:
        card, extended = signer.sign(card, face.url), signer.sign(extended, face.url)
    handler = DefaultRequestHandlerV2(
        executor,
        tasks,
        card,
        push_config_store=configs,
        push_sender=push,
        extended_agent_card=extended if face.keys_needed else None,
        push_url_validator=push.accepts,
        request_context_builder=_ContextBuilder(tasks),
        validate_input_modes="*/*" not in face.modes,
        interrupted_task_timeout=600.0,  # then it is in the database alone, until the caller answers
    )
    for route in _routes(handler, card, signer):
        app.router.routes.append(route)
    before = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(application: Any) -> AsyncIterator[Any]:
        async with before(application) as state, beside(handler) if beside else nullcontext():
            resuming = asyncio.create_task(_go_on(handler, tasks, database))
            yield state
            resuming.cancel()
            await handler.aclose()
            await push.close()

    app.router.lifespan_context = lifespan


class _ContextBuilder(SimpleRequestContextBuilder):
    """A message that names a task need not name its context, too."""

    def __init__(self, tasks: Tasks) -> None:
        super().__init__(task_store=tasks)
        self._tasks = tasks

    async def build(
        self,
        context: ServerCallContext,
        params: SendMessageRequest | None = None,
        task_id: str | None = None,
        context_id: str | None = None,
        task: Task | None = None,
    ) -> RequestContext:
        if task_id and not context_id and (known := await self._tasks.get(task_id, context)):
            context_id = known.context_id
        return await super().build(context, params, task_id, context_id, task)


def _routes(handler: DefaultRequestHandlerV2, card: AgentCard, signer: Signer | None) -> list[Route]:
    """Every path with and without a slash at its end."""
    contexts = Contexts()
    rpc = create_jsonrpc_routes(handler, PATH, contexts, enable_v0_3_compat=True)
    rest = create_rest_routes(handler, contexts, enable_v0_3_compat=True, path_prefix=PATH)
    paths = [(path, endpoint, ["GET"]) for path, endpoint in _card_paths(card)]
    paths += [(route.path, partial(_guarded, route.endpoint, _rpc_error), ["POST"]) for route in rpc]
    for one in rest:
        if isinstance(one, Route):  # besides there is a mount for tenants, which this server does not have
            paths.append((one.path, partial(_guarded, one.endpoint, _rest_error), sorted(one.methods or ())))
    if signer:
        key_set = signer.key_set()

        async def keys(request: Request) -> Response:
            return JSONResponse(key_set, headers={"Cache-Control": f"public, max-age={CARD_AGE_S}"})

        paths.append((KEYS_PATH, keys, ["GET"]))
    return [Route(path + slash, endpoint, methods=methods) for path, endpoint, methods in paths for slash in ("", "/")]


def _card_paths(card: AgentCard) -> list[tuple[str, Endpoint]]:
    """The card as 1.0 has it, and for clients of 0.3, which ask below /a2a, with the fields that they need besides:
    under 1.0 a card has no fields but its own."""
    began = formatdate(usegmt=True)  # since when the card is as it is
    age = f"public, max-age={CARD_AGE_S}"
    (both,) = create_agent_card_routes(card, cache_control=age)
    body = MessageToJson(card, indent=None).encode()
    tag = f'"{hashlib.sha256(body).hexdigest()}"'

    async def older(request: Request) -> Response:
        response: Response = await both.endpoint(request)
        response.headers["Last-Modified"] = began
        return response

    async def newest(request: Request) -> Response:
        if request.headers.get(VERSION_HEADER, "").startswith("0."):
            return await older(request)
        headers = {"ETag": tag, "Cache-Control": age, "Last-Modified": began, "Vary": VERSION_HEADER}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers, media_type="application/json")

    return [(CARD_PATH, newest), (PATH + CARD_PATH, older)]


async def _guarded(endpoint: Endpoint, wrong: Callable[[A2AError, int], Response], request: Request) -> Response:
    """The endpoint, for bodies of JSON that are not too long. A web page may send other types anywhere without
    asking."""
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > MAX_BODY:
                return wrong(InvalidRequestError(message=f"the body is larger than {MAX_BODY >> 20} MiB"), 413)
    except ClientDisconnect:
        return wrong(InvalidRequestError(message="the client closed the connection"), 499)
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if body and kind not in TYPES:
        return wrong(ContentTypeNotSupportedError(message=f"the Content-Type must be {' or '.join(TYPES)}"), 415)
    pending: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

    async def receive() -> Message:
        return pending.pop() if pending else await request.receive()

    response = await endpoint(Request(request.scope, receive))
    if response.headers.get("content-type") == A2A_JSON_MEDIA_TYPE and "a2a+json" not in request.headers.get(
        "accept", ""
    ):
        response.headers["content-type"] = "application/json"  # what 1.0 names; the newer type is for who asks for it
    return response


def _rpc_error(error: A2AError, status: int) -> Response:
    return JSONResponse(build_error_response(None, error), status)


def _rest_error(error: A2AError, status: int) -> Response:
    return JSONResponse(build_rest_error_payload(error), status)


async def _go_on(handler: DefaultRequestHandlerV2, tasks: Tasks, database: Database) -> None:
    """Tasks that a server left when it ended are taken up where they stopped."""
    try:
        found = await asyncio.to_thread(tasks.take_over)
    except DatabaseError as error:
        _log.error("unfinished tasks cannot be found: %s", error)
        return
    for left in found:
        _log.warning("going on with task %s, which was under way when its server ended", left.task.id)
        try:
            await _send_again(handler, database, left)
        except A2AError as error:
            _log.error("task %s cannot be gone on with: %s", left.task.id, error)


async def _send_again(handler: DefaultRequestHandlerV2, database: Database, left: Left) -> None:
    """The caller's last message once more, with the same id: the executor knows by it that it has begun already."""
    said = [message for message in left.task.history if message.role == Role.ROLE_USER]
    if not said:
        return
    message = said[-1]
    message.task_id, message.context_id = left.task.id, left.task.context_id
    caller = await in_thread(caller_again, database, left.owner)
    at_once = SendMessageConfiguration(return_immediately=True)
    request = SendMessageRequest(message=message, configuration=at_once)
    await handler.on_message_send(request, ServerCallContext(user=caller))
