"""The same agent over gRPC, protocols 1.0 and 0.3, on a port of its own, behind the same keys and certificate.

No web page can ask here: browsers do not speak gRPC, and what they can send is no call of it. So names of the host are
not looked at.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import grpc
from a2a.auth.user import User
from a2a.compat.v0_3 import a2a_v0_3_pb2_grpc
from a2a.compat.v0_3.grpc_handler import CompatGrpcHandler
from a2a.server.context import ServerCallContext
from a2a.server.request_handlers import RequestHandler
from a2a.server.request_handlers.grpc_handler import DefaultGrpcServerCallContextBuilder, GrpcHandler
from a2a.types import a2a_pb2_grpc
from a2a.utils.constants import VERSION_HEADER
from a2a.utils.errors import VersionNotSupportedError

from moonlet.ledger.database import DatabaseError
from moonlet.ledger.keys import Key
from moonlet.server.a2a import MAX_BODY
from moonlet.server.a2a_caller import Caller
from moonlet.server.errors import ApiError, api_error
from moonlet.server.keys import Door, secrets_of, told

GRACE_S = 1.0  # for calls under way when the server ends
_REFUSED = {
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    503: grpc.StatusCode.UNAVAILABLE,
}
_KEY: ContextVar[Key | None] = ContextVar("moonlet_grpc_key", default=None)  # with which the call came in
_log = logging.getLogger("moonlet.server")


@dataclass(frozen=True, slots=True)
class Place:
    """Where gRPC is answered."""

    host: str
    port: int
    certificate: tuple[bytes, bytes] | None = field(default=None, repr=False)  # private key and chain in PEM, for TLS

    def at(self, host: str) -> str:
        """The address under a name of its host."""
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


@asynccontextmanager
async def listening(handler: RequestHandler, place: Place, door: Door) -> AsyncIterator[None]:
    """Answers in the block, in the event loop that works on the tasks. Raises RuntimeError if the port is taken."""
    # Without the second option two servers could share a port, and callers would meet one or the other.
    options = (("grpc.max_receive_message_length", MAX_BODY), ("grpc.so_reuseport", 0))
    server = grpc.aio.server(interceptors=(_Guard(door),), options=options)
    newest, older = GrpcHandler(handler, _Contexts("1")), CompatGrpcHandler(handler, _Contexts("0"))
    a2a_pb2_grpc.add_A2AServiceServicer_to_server(newest, server)  # type: ignore[no-untyped-call]
    a2a_v0_3_pb2_grpc.add_A2AServiceServicer_to_server(older, server)  # type: ignore[no-untyped-call]
    address = place.at(place.host)
    if place.certificate:
        server.add_secure_port(address, grpc.ssl_server_credentials([place.certificate]))
    else:
        server.add_insecure_port(address)
    await server.start()
    try:
        yield
    finally:
        await server.stop(GRACE_S)


class _Contexts(DefaultGrpcServerCallContextBuilder):
    """Builds the SDK's context of a call for one version of the protocol, which has a service of its own."""

    def __init__(self, major: str) -> None:
        self._major = major

    def build(self, context: Any) -> ServerCallContext:
        """Raises VersionNotSupportedError if the caller says that it speaks another one."""
        asked = _metadata(context).get(VERSION_HEADER.lower(), "")
        if asked and asked.partition(".")[0] != self._major:
            raise VersionNotSupportedError(message=f"version {asked[:20]!r} of A2A is not spoken by this service")
        return super().build(context)

    def build_user(self, context: Any) -> User:
        return Caller(_KEY.get())


class _Guard(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Lets calls through the door; what breaks inside is logged, and callers are told no more than that."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], details: Any) -> Any:
        """The handler of a call with the door before it; None where there is no such call."""
        handler = await continuation(details)
        if handler is None:
            return None
        if handler.response_streaming:

            async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
                await self._admit(context)
                try:
                    async for answer in handler.unary_stream(request, context):
                        yield answer
                except Exception as error:
                    await _broke(context, error)

            forms = handler.request_deserializer, handler.response_serializer
            return grpc.unary_stream_rpc_method_handler(stream, *forms)

        async def single(request: Any, context: Any) -> Any:
            await self._admit(context)
            try:
                return await handler.unary_unary(request, context)
            except Exception as error:
                await _broke(context, error)

        return grpc.unary_unary_rpc_method_handler(single, handler.request_deserializer, handler.response_serializer)

    async def _admit(self, context: Any) -> None:
        """Finds the call's key, or ends the call."""
        try:
            _KEY.set(await asyncio.to_thread(self._door.check, "chat", secrets_of(_metadata(context))))
        except (ApiError, DatabaseError) as error:
            refused = api_error(told(error))
            await context.abort(_REFUSED[refused.status], str(refused))


async def _broke(context: Any, error: Exception) -> None:
    """Ends a call that broke. Raises what ends it."""
    if isinstance(error, grpc.aio.AbortError):  # it was ended in order
        raise error
    _log.error("a call over gRPC broke", exc_info=error)
    await context.abort(grpc.StatusCode.INTERNAL, "the server failed on this call; its log says why")


def _metadata(context: Any) -> Mapping[str, str]:
    """What came with a call beside its message; names are in small letters already."""
    return {name: value for name, value in context.invocation_metadata() or () if isinstance(value, str)}
