"""Which servers there are: the `mcp.json` of desktop clients, a URL, or a command line.

Both familiar forms are read: `mcpServers` and `servers`; with `command`, `args`, `env`, `envFile`, `cwd`, or `url` and
`headers`; also with the comments and last commas that editors allow. `${NAME}`, `${env:NAME}` and `${NAME:-default}`
stand for environment variables: the way to name a secret that a server needs. It is given no others than these and the
few that every program needs. `${workspaceFolder}` and `${userHome}` are what editors mean by them.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_VARIABLE = re.compile(r"\$\{(?:env:)?([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_ASKED_FOR = re.compile(r"\$\{(?:input|command):[^}]*\}")
_LOOSE = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)  # a string, or a comment
_LAST_COMMA = re.compile(r'("(?:\\.|[^"\\])*")|,(?=\s*[}\]])')


class ConfigError(Exception):
    """The description of a server cannot be used."""


@dataclass(frozen=True, slots=True)
class OAuth:
    """What is known beforehand to a server that asks for authorization; all of it is optional."""

    client_id: str | None = None
    client_secret: str | None = None
    metadata_url: str | None = None  # https, where the client's own description lies
    port: int = 0  # on loopback, that the browser is sent back to; 0 takes a free one


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """One server: a command that speaks over its standard input and output, or a URL."""

    name: str
    command: str = ""
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    cwd: str | None = None
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    old_stream: bool = False  # the transport of 2024-11-05: server-sent events and a second address
    oauth: OAuth = field(default_factory=OAuth, repr=False)
    allowed: tuple[str, ...] = ()  # tools that the user wrote down as needing no question


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in a file something stands, and which folder is worked in."""

    told: str
    folder: Path

    def __str__(self) -> str:
        return self.told


def read_servers(source: str, folder: Path = Path(".")) -> list[ServerConfig]:
    """The servers that a file, a URL or a command line means; `folder` is where they are to work. Raises
    ConfigError."""
    if source.startswith(("http://", "https://")):
        return [ServerConfig(_name_of(source), url=source)]
    path = Path(source).expanduser()
    # A program is executable, and a command line may end in a file that is given to it.
    if (path.suffix == ".json" and len(source.split()) == 1) or (path.is_file() and not os.access(path, os.X_OK)):
        return _read_file(path, folder)
    try:
        command, *args = shlex.split(source)
    except ValueError as error:
        raise ConfigError(f"{source!r}: not a command line ({error})") from None
    # `npx -y @scope/server-name FOLDER` is best called after its package.
    last = next((word for word in (command, *args) if "server" in word or "mcp" in word), command)
    return [ServerConfig(_name_of(last), command=command, args=tuple(args))]


def _read_file(path: Path, folder: Path) -> list[ServerConfig]:
    try:
        whole = _parsed(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not JSON ({error})") from None
    servers = (whole.get("mcpServers") or whole.get("servers")) if isinstance(whole, dict) else None
    if not isinstance(servers, dict):
        raise ConfigError(f"{path}: holds no mcpServers")
    given = [(name, raw) for name, raw in servers.items() if not (isinstance(raw, dict) and raw.get("disabled"))]
    return [_server(name, raw, _Place(f"{path}: {name}", folder)) for name, raw in given]


def _parsed(text: str) -> Any:
    """JSON, or what editors take for it. Raises ValueError, RecursionError."""
    try:
        return json.loads(text)
    except ValueError:
        bare = _LOOSE.sub(lambda match: match[1] or " ", text)
        return json.loads(_LAST_COMMA.sub(lambda match: match[1] or "", bare))


def _server(name: str, raw: Any, place: _Place) -> ServerConfig:
    if not isinstance(raw, dict):
        raise ConfigError(f"{place}: must be an object")
    command, url = _text(raw, "command", place), _text(raw, "url", place) or _text(raw, "serverUrl", place)
    if bool(command) == bool(url):
        raise ConfigError(f"{place}: needs either a command or a url")
    if url and urlsplit(url).scheme not in ("http", "https"):
        raise ConfigError(f"{place}: the url must begin with http:// or https://")
    args = raw.get("args") or []
    if not isinstance(args, list) or not all(isinstance(one, str | int | float) for one in args):
        raise ConfigError(f"{place}: args must be a list of strings")
    oauth = raw.get("oauth") or {}
    if not isinstance(oauth, dict):
        raise ConfigError(f"{place}: oauth must be an object")
    port = oauth.get("callbackPort") or 0
    if not isinstance(port, int) or not 0 <= port <= 65535:
        raise ConfigError(f"{place}: callbackPort must be a port")
    allowed = raw.get("alwaysAllow") or raw.get("autoApprove") or []
    return ServerConfig(
        name,
        command=command,
        args=tuple(_filled(str(one), place) for one in args),
        env={**_env_file(raw, place), **_texts(raw, "env", place)},
        cwd=_text(raw, "cwd", place) or None,
        url=url,
        headers=_texts(raw, "headers", place),
        old_stream=raw.get("type") == "sse" or raw.get("transport") == "sse",
        oauth=OAuth(
            _text(oauth, "clientId", place) or None,
            _text(oauth, "clientSecret", place) or None,
            _text(oauth, "clientMetadataUrl", place) or None,
            port,
        ),
        allowed=tuple(str(one) for one in allowed) if isinstance(allowed, list) else (),
    )


def _text(raw: Mapping[str, Any], key: str, place: _Place) -> str:
    value = raw.get(key) or ""
    if not isinstance(value, str):
        raise ConfigError(f"{place}: {key} must be a string")
    return _filled(value, place)


def _texts(raw: Mapping[str, Any], key: str, place: _Place) -> dict[str, str]:
    value = raw.get(key) or {}
    if not isinstance(value, dict) or not all(isinstance(one, str | int | float) for one in value.values()):
        raise ConfigError(f"{place}: {key} must be an object of strings")
    return {name: _filled(str(one), place) for name, one in value.items()}


def _env_file(raw: Mapping[str, Any], place: _Place) -> dict[str, str]:
    """Variables from a file of `NAME=VALUE` lines; values may be quoted."""
    name = _text(raw, "envFile", place)
    if not name:
        return {}
    try:
        lines = (place.folder / Path(name).expanduser()).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{place}: envFile {name}: {getattr(error, 'strerror', None) or 'not text'}") from None
    parted = [line.strip().removeprefix("export ").partition("=") for line in lines]
    return {
        name.strip(): value[1:-1] if value[:1] in ("'", '"') and value[-1:] == value[0] and value[1:] else value
        for name, equals, value in ((name, equals, value.strip()) for name, equals, value in parted)
        if equals and not name.startswith("#")
    }


def _filled(text: str, place: _Place) -> str:
    if asked := _ASKED_FOR.search(text):
        raise ConfigError(f"{place}: {asked[0]} is asked for by an editor; name an environment variable, ${{NAME}}")
    own = {"workspaceFolder": str(place.folder.resolve()), "userHome": str(Path.home())}

    def value(match: re.Match[str]) -> str:
        found = os.environ.get(match[1], own.get(match[1], match[2]))
        if found is None:
            raise ConfigError(f"{place}: the environment variable {match[1]} is not set")
        return found

    return _VARIABLE.sub(value, text)


def _name_of(source: str) -> str:
    """A short name for a server that was given without one."""
    host = urlsplit(source).hostname if "://" in source else None
    return host or re.sub(r"^(mcp-)?(server-)?|(-mcp)?(-server)?(@.*)?$", "", source.split("/")[-1]) or "server"
