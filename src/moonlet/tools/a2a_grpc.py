"""Agents elsewhere that are reached over gRPC alone: on the host that was named, since their port is another anyhow."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import httpx
from a2a.client import Client, ClientCallContext, ClientCallInterceptor, ClientConfig, ClientFactory
from a2a.client.interceptors import AfterArgs, BeforeArgs
from a2a.types import AgentCard, AgentInterface

BINDING = "GRPC"


def own(card: AgentCard, url: httpx.URL) -> list[AgentInterface]:
    """The card's addresses for gRPC on the host of this URL."""
    found = []
    for one in card.supported_interfaces:
        if one.protocol_binding == BINDING and _place(one.url).host == url.host:
            found.append(one)
    return found


@asynccontextmanager
async def connected(card: AgentCard, secure: bool, key: str | None) -> AsyncIterator[Client]:
    """A client for the addresses of `own`; `secure`: with TLS, as the card was read."""

    def channel(url: str) -> Any:
        target = _place(url).netloc.decode("ascii")
        if secure:
            return grpc.aio.secure_channel(target, grpc.ssl_channel_credentials())
        return grpc.aio.insecure_channel(target)

    config = ClientConfig(supported_protocol_bindings=[BINDING], grpc_channel_factory=channel)
    async with ClientFactory(config).create(card, [_WithKey(key)] if key else []) as client:
        yield client


class _WithKey(ClientCallInterceptor):
    """Sends the key along."""

    def __init__(self, key: str) -> None:
        self._key = key

    async def before(self, args: BeforeArgs) -> None:
        args.context = args.context or ClientCallContext()
        args.context.service_parameters = {
            **(args.context.service_parameters or {}),
            "authorization": f"Bearer {self._key}",
        }

    async def after(self, args: AfterArgs) -> None:
        pass


def _place(url: str) -> httpx.URL:
    """`host:port`, or the same written as a URL. What is neither is no host's."""
    try:
        return httpx.URL(url if "://" in url else f"//{url}")
    except httpx.InvalidURL:
        return httpx.URL("")
