"""Authorization at servers that want it: the user's browser, a listener on loopback, tokens in the owner's file."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl, ValidationError

from moonlet.tools.mcp.config import ServerConfig

WAIT_S = 300.0  # for the user in the browser
_PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nmoonlet: you can close this."


class OAuthRefusedError(Exception):
    """The user or the server did not let the authorization come to its end."""


class Tokens:
    """Of one server, kept between runs; readable by the owner alone."""

    def __init__(self, folder: Path, config: ServerConfig) -> None:
        self._file = folder / f"{hashlib.sha256(config.url.encode()).hexdigest()[:24]}.json"
        self._given = config.oauth

    @property
    def port(self) -> int:
        """That the browser came back to when the client was registered; 0 if it never was."""
        port = self._read().get("port")
        return port if isinstance(port, int) else 0

    def set_port(self, port: int) -> None:
        self._write({**self._read(), "port": port})

    def forget_client(self) -> None:
        """The registration names another port: the server must be told anew."""
        self._write({key: value for key, value in self._read().items() if key not in ("client", "tokens")})

    async def get_tokens(self) -> OAuthToken | None:
        found = self._read().get("tokens")
        return OAuthToken.model_validate(found) if found else None

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self._write({**self._read(), "tokens": tokens.model_dump(mode="json", exclude_none=True)})

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        if found := self._read().get("client"):
            return OAuthClientInformationFull.model_validate(found)
        if self._given.client_id is None:
            return None
        secret = self._given.client_secret
        return OAuthClientInformationFull(
            client_id=self._given.client_id,
            client_secret=secret,
            redirect_uris=[AnyUrl(f"http://127.0.0.1:{self.port}/callback")],
            token_endpoint_auth_method="client_secret_basic" if secret else "none",
        )

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self._write({**self._read(), "client": client_info.model_dump(mode="json", exclude_none=True)})

    def _read(self) -> dict[str, object]:
        try:
            found = json.loads(self._file.read_text(encoding="utf-8"))
            return found if isinstance(found, dict) else {}
        except (OSError, ValueError, ValidationError):
            return {}

    def _write(self, state: dict[str, object]) -> None:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = self._file.with_suffix(".new")
        descriptor = os.open(beside, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(state, file)
        os.replace(beside, self._file)


def provider(
    config: ServerConfig, folder: Path, visit: Callable[[str], bool], paused: Callable[[], AbstractContextManager[None]]
) -> tuple[OAuthClientProvider, socket.socket]:
    """What authorizes requests to this server, and the listening socket, to be closed with it. `visit` shows the user
    an address and tells whether they agree; it is called in a thread. While they log in calls are `paused`."""
    tokens = Tokens(folder, config)
    known = tokens.port
    try:
        bound = socket.create_server(("127.0.0.1", known or config.oauth.port))
    except OSError:
        tokens.forget_client()
        bound = socket.create_server(("127.0.0.1", config.oauth.port))
    bound.setblocking(False)
    port = int(bound.getsockname()[1])
    if port != known:
        tokens.set_port(port)

    async def redirect(url: str) -> None:
        with paused():
            if not await asyncio.to_thread(visit, url):
                raise OAuthRefusedError("the user did not go there")

    async def callback() -> AuthorizationCodeResult:
        with paused():
            return await _callback(bound)

    metadata = OAuthClientMetadata(
        client_name="moonlet",
        redirect_uris=[AnyUrl(f"http://127.0.0.1:{port}/callback")],
        grant_types=["authorization_code", "refresh_token"],
        response_types=["code"],
    )
    auth = OAuthClientProvider(
        config.url,
        metadata,
        tokens,
        redirect_handler=redirect,
        callback_handler=callback,
        client_metadata_url=config.oauth.metadata_url,
    )
    return auth, bound


async def _callback(bound: socket.socket) -> AuthorizationCodeResult:
    """What the browser brings back."""
    come: asyncio.Future[AuthorizationCodeResult] = asyncio.get_running_loop().create_future()

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer), suppress(ValueError, OSError):  # a line without an end, or cut off
            asked = (await reader.readline()).decode("latin-1").split(" ")
            query = parse_qs(urlsplit(asked[1]).query) if len(asked) > 1 else {}
            first = {name: values[0] for name, values in query.items()}
            writer.write(_PAGE)
            if come.done():
                return
            if "error" in first:
                come.set_exception(OAuthRefusedError(f"the server said {first['error'][:100]!r}"))
            elif "code" in first:  # a browser may ask for other things first
                come.set_result(
                    AuthorizationCodeResult(code=first["code"], state=first.get("state"), iss=first.get("iss"))
                )

    # Side by side: a browser opens connections beforehand on which it says nothing.
    server = await asyncio.start_server(hear, sock=bound.dup())
    try:
        return await asyncio.wait_for(come, WAIT_S)
    finally:
        server.close()
