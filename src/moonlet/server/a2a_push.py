"""Push notifications: callers are told of their tasks at an address that they name, which must not be one of ours.

A caller could otherwise make this server post to machines that only it can reach. So loopback, private, link-local and
other special addresses are refused unless the owner allows the host, when the address is set and again whenever it is
used; the name is resolved once, and that address is the one connected to; redirects are not followed.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Sequence
from functools import partial

import httpx
from a2a.server.tasks.push_notification_sender import PushNotificationEvent, PushNotificationSender
from a2a.types import TaskPushNotificationConfig
from a2a.utils.proto_utils import to_stream_response
from google.protobuf.json_format import MessageToJson

from moonlet.server.a2a_store import PushConfigs
from moonlet.server.apart import apart
from moonlet.tools.fetch import public

TIMEOUT_S = 10.0  # of one attempt
WAITS_S = (0.5, 2.0)  # before the second and the third attempt
WAITING = 256  # notifications of one configuration; more than that are given up
_log = logging.getLogger("moonlet.server")


class PushRefusedError(Exception):
    """Nothing is sent to this address. `lasting`: nor will it be later."""

    def __init__(self, message: str, lasting: bool = True) -> None:
        super().__init__(message)
        self.lasting = lasting


async def place_of(url: str, allowed: Sequence[str] = ()) -> tuple[httpx.URL, str]:
    """The URL with an address of its host in place of the name, and the name. `allowed` are hosts (`name` or
    `name:port`) that may be anywhere. Raises PushRefusedError."""
    try:
        parsed = httpx.URL(url)
        host = parsed.host.lower()
    except (httpx.InvalidURL, TypeError, UnicodeError) as error:
        raise PushRefusedError(f"not a URL: {error}") from None
    if parsed.scheme not in ("http", "https") or not host:
        raise PushRefusedError("the URL must begin with http:// or https:// and name a host")
    if parsed.userinfo:
        raise PushRefusedError("the URL must hold no password; send credentials in `authentication`")
    port = parsed.port or (443 if parsed.scheme == "https" else 80)
    try:
        asked = apart(partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM))
        found = await asyncio.wait_for(asked, TIMEOUT_S)
    except (OSError, UnicodeError):
        raise PushRefusedError(f"{host} cannot be resolved", lasting=False) from None
    addresses = [str(entry[4][0]) for entry in found]
    if not {host, f"{host}:{port}"} & set(allowed) and not all(map(is_public, addresses)):
        raise PushRefusedError(f"{host} is not a public address; the server's owner can allow it")
    return parsed.copy_with(host=addresses[0]), parsed.netloc.decode("ascii")


def is_public(address: str) -> bool:
    """Whether it is an ordinary address of the Internet."""
    return public(ipaddress.ip_address(address.partition("%")[0]))


class Push(PushNotificationSender):
    """Sends what happens to a task to all who want to know, in order, without the task waiting for it."""

    def __init__(self, configs: PushConfigs, allowed: Sequence[str] = ()) -> None:
        self._configs = configs
        self._allowed = tuple(allowed)
        self._last: dict[tuple[str, str, str], asyncio.Task[None]] = {}  # of each configuration
        self._waiting: dict[tuple[str, str, str], int] = {}

    async def accepts(self, url: str) -> bool:
        """Whether a configuration with this address may be set."""
        try:
            await place_of(url, self._allowed)
        except PushRefusedError as refused:
            return not refused.lasting
        return True

    async def send_notification(self, task_id: str, event: PushNotificationEvent) -> None:
        """Queue the event for every configuration of the task."""
        body = MessageToJson(to_stream_response(event), indent=None)
        for config in await self._configs.get_info_for_dispatch(task_id):
            key = (task_id, config.id, config.url)
            if self._waiting.get(key, 0) >= WAITING:
                _log.warning("a push notification of task %s was given up: too many wait", task_id)
                continue
            self._waiting[key] = self._waiting.get(key, 0) + 1
            sending = asyncio.create_task(self._after(self._last.get(key), config, body))
            self._last[key] = sending
            sending.add_done_callback(partial(self._sent, key))

    async def close(self) -> None:
        """Give up what has not been sent."""
        for sending in list(self._last.values()):
            sending.cancel()
        await asyncio.gather(*self._last.values(), return_exceptions=True)

    def _sent(self, key: tuple[str, str, str], sending: asyncio.Task[None]) -> None:
        self._waiting[key] -= 1
        if self._last.get(key) is sending:
            del self._last[key], self._waiting[key]

    async def _after(self, before: asyncio.Task[None] | None, config: TaskPushNotificationConfig, body: str) -> None:
        if before is not None:
            await asyncio.wait((before,))
        for wait_s in (*WAITS_S, None):
            told = await self._post(config, body)
            if told is None:
                return
            if wait_s is not None:
                await asyncio.sleep(wait_s)
        # The address may hold a secret of the caller's: the log gets its host alone.
        _log.warning("a push notification of task %s was not delivered: %s", config.task_id, told)

    async def _post(self, config: TaskPushNotificationConfig, body: str) -> str | None:
        """One attempt: what went wrong, or None."""
        try:
            url, host = await place_of(config.url, self._allowed)
            headers = {"Host": host, "Content-Type": "application/json", **_credentials(config)}
            names = {"sni_hostname": httpx.URL(config.url).host}
            async with (
                asyncio.timeout(TIMEOUT_S),
                httpx.AsyncClient(trust_env=False, timeout=TIMEOUT_S) as client,
                # The answer's body is not read: it can be of any length.
                client.stream("POST", url, content=body, headers=headers, extensions=names) as answer,
            ):
                return None if answer.is_success else f"HTTP {answer.status_code}"
        except PushRefusedError as refused:
            return str(refused)
        except (httpx.HTTPError, TimeoutError, ValueError) as error:
            return type(error).__name__


def _credentials(config: TaskPushNotificationConfig) -> dict[str, str]:
    headers = {"X-A2A-Notification-Token": config.token} if config.token else {}
    asked = config.authentication
    if asked.scheme and asked.credentials:
        headers["Authorization"] = f"{asked.scheme} {asked.credentials}"
    return headers
