"""Who may come in: names of the host, keys and their scopes. A refusal is told in each API's own shape."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from fastapi import Request, Response
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from moonlet.ledger import keys
from moonlet.ledger.database import Database, DatabaseError
from moonlet.ledger.keys import MARK, Key, KeyEndedError
from moonlet.server.errors import ApiError
from moonlet.server.metrics import Metrics

LOOPBACK = ("127.0.0.1", "::1", "localhost")

# What anybody may read: that the server lives, and an agent's card, from which callers learn that a key is needed.
_CARDS = [base + "/.well-known/agent-card.json" for base in ("", "/a2a")] + ["/.well-known/jwks.json"]
OPEN = {
    ("HEAD", "/"),
    ("GET", "/"),
    ("HEAD", "/health"),
    ("GET", "/health"),
    *(("GET", path + slash) for path in _CARDS for slash in ("", "/")),
}

OPENED = "/opened/"  # below it, addresses that are themselves a secret

Failed = Callable[[Request, Exception], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Access:
    """Who a server is open to; as it stands, to this machine alone, without a key."""

    hosts: tuple[str, ...] | None = LOOPBACK  # names that a request may be addressed to; None: any
    keys_needed: bool = False
    origins: tuple[str, ...] = ()  # web pages from there may ask, too


class HostCheck:
    """Refuses requests addressed to another name: a web page whose name was pointed at this machine sends those."""

    def __init__(self, app: ASGIApp, access: Access, failed: Failed) -> None:
        self._app, self._hosts, self._failed = app, access.hosts, failed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        hosts = self._hosts
        if hosts is not None and scope["type"] == "http" and _host(Headers(scope=scope).get("host", "")) not in hosts:
            refused = ApiError(f"this server answers to {', '.join(hosts)} only", status=403)
            return await (await self._failed(Request(scope), refused))(scope, receive, send)
        await self._app(scope, receive, send)


class Door:
    """Finds the key of whoever asks, over whatever transport, and refuses them without one where one is needed, or with
    one that is wrong.

    Where none is needed, a client may send anything that it calls a key as long as there are no keys here: the official
    clients cannot be had without.
    """

    def __init__(self, database: Database, access: Access, metrics: Metrics) -> None:
        self._database, self._access, self._metrics = database, access, metrics

    def check(self, scope: keys.Scope, given: Sequence[str]) -> Key | None:
        """The key that is found by the secrets `given`. Raises ApiError, DatabaseError."""
        now = time.time()
        found = [key for secret in given if (key := keys.of_secret(self._database, secret))]
        key = next((key for key in found if key.usable(now)), None)
        if key is None:
            self._check_none(found, given)
        elif scope not in key.scopes:
            self._metrics.refused("scope")
            raise ApiError(f"the key {key.name} may not do this: it lacks the scope {scope}", status=403)
        return key

    def _check_none(self, found: Sequence[Key], given: Sequence[str]) -> None:
        if found:
            why = str(KeyEndedError(found[0]))
        elif not given:
            why = "a key is needed: send it as `Authorization: Bearer KEY` or `x-api-key: KEY`"
        else:
            why = "this key is not known here"
        wrong = found or any(secret.startswith(MARK) for secret in given) or (given and keys.all_keys(self._database))
        if self._access.keys_needed or wrong:
            self._metrics.refused("key")
            raise ApiError(why, code="invalid_api_key", status=401)


class KeyCheck:
    """Lets requests through the door, with their keys."""

    def __init__(self, app: ASGIApp, door: Door, failed: Failed) -> None:
        self._app, self._door, self._failed = app, door, failed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Clients look whether somebody is there before they say who they are.
        if scope["type"] != "http" or _is_open(scope["method"], scope["path"]):
            return await self._app(scope, receive, send)
        try:
            key = await asyncio.to_thread(self._door.check, _scope(scope["path"]), secrets_of(Headers(scope=scope)))
        except (ApiError, DatabaseError) as error:
            response = await self._failed(Request(scope), told(error))
            if response.status_code == 401:
                response.headers["WWW-Authenticate"] = "Bearer"
            return await response(scope, receive, send)
        scope.setdefault("state", {})["key"] = key
        await self._app(scope, receive, send)


def key_of(request: Request) -> Key | None:
    """The key with which a request came in."""
    key = getattr(request.state, "key", None)
    assert key is None or isinstance(key, Key)
    return key


def owner_of(request: Request) -> str:
    """Whose things a request can see: what one key made, no other finds."""
    if key := key_of(request):
        return key.id
    said = request.headers.get("authorization") or request.headers.get("x-api-key") or ""  # no keys here: anything
    return hashlib.sha256(said.encode()).hexdigest()


def api_of(request: Request) -> str:
    """Which API a request speaks, for the books: chat.completions, messages, responses..."""
    return request.url.path.removeprefix("/v1/").strip("/").replace("/", ".")


def _is_open(method: str, path: str) -> bool:
    """Whether anybody may ask: the page's own files hold no secrets, and it asks for the key itself."""
    return (method, path) in OPEN or (method == "GET" and path.startswith(("/page/", OPENED)))


def _scope(path: str) -> keys.Scope:
    if path == "/metrics":
        return "admin"
    return "models" if path == "/v1/models" or path.startswith("/v1/models/") else "chat"


def secrets_of(headers: Mapping[str, str]) -> list[str]:
    """What a client sends as its key, by either of the two usual headers, whose names are in small letters."""
    scheme, _, secret = headers.get("authorization", "").partition(" ")
    bearer = secret.strip() if scheme.lower() == "bearer" else ""
    return [secret for secret in (bearer, headers.get("x-api-key", "").strip()) if secret]


def told(error: Exception) -> Exception:
    """A refusal as clients are told it: nothing of where the ledger lies."""
    if isinstance(error, DatabaseError):
        return ApiError("the keys cannot be read at the moment", status=503, retry_s=5)
    return error


def _host(header: str) -> str | None:
    try:
        return urlsplit("//" + header).hostname
    except ValueError:
        return None
