"""The agent offered by `moonlet serve --a2a`, and other agents as tools of `moonlet agent --a2a`."""

from __future__ import annotations

import argparse
import os
import re
import socket
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import FastAPI

from moonlet.agent.results import TRUST_NOTE
from moonlet.cli import UsageError
from moonlet.ledger.books import Books
from moonlet.ledger.keys import Key
from moonlet.llm import LLM
from moonlet.llm.loading import Loading
from moonlet.server import a2a
from moonlet.server.a2a_card import Face, Signer, SigningKeyError
from moonlet.server.a2a_executor import AgentExecution, Offered
from moonlet.server.charged import Charged
from moonlet.server.keys import Access
from moonlet.tools.a2a import Cost, Remote, RemoteAgentError, connect
from moonlet.tools.basic import calculator, clock
from moonlet.tools.tool import Tool

_NAMED_KEY = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(https?://.*)")


def offer(asked: argparse.Namespace, app: FastAPI, loading: Loading, books: Books, access: Access, port: int) -> None:
    """Offers an agent with a calculator and a clock at /a2a. Raises UsageError, DatabaseError."""
    host = f"[{asked.host}]" if ":" in asked.host else asked.host
    url = asked.a2a_url or f"{'https' if asked.cert else 'http'}://{host}:{port}"
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"--a2a-url {url}: how others reach this server, like https://agents.example.org")
    tools = (calculator(), clock(lambda: datetime.now().astimezone()))

    def model(key: Key | None) -> LLM:
        loading.wait()  # tasks that were left unfinished come before the model is there
        return Charged(loading, app.state.accounts, key, "a2a")

    try:
        signer = Signer.open(Path(asked.a2a_sign).expanduser()) if asked.a2a_sign else None
    except SigningKeyError as error:
        raise UsageError(f"--a2a-sign {error}") from None
    beside, place = _grpc(asked, app, url) if asked.a2a_grpc else (None, "")
    about = f"The model {loading.name} on its owner's machine, with a calculator and a clock. It answers and asks back."
    system = f"You do tasks that other agents and programs give you. {TRUST_NOTE}"
    a2a.mount(
        app,
        Face(url, loading.name, about, keys_needed=access.keys_needed, grpc=place),
        AgentExecution(Offered(tools, system), model, books.database, app.state.watched),
        books.database,
        tools=[tool.spec for tool in tools],
        signer=signer,
        push_hosts=[one.lower() for one in asked.a2a_push or ()],
        beside=beside,
    )


def _grpc(asked: argparse.Namespace, app: FastAPI, url: str) -> tuple[a2a.Beside, str]:
    """What answers over gRPC, and where callers find it: on the host by which they reach this server. Raises
    UsageError."""
    try:
        from moonlet.server.a2a_grpc import Place, listening
    except ImportError:  # an extra of the package
        raise UsageError("--a2a-grpc needs gRPC: pip install 'moonlet[grpc]'") from None
    host, port = asked.a2a_grpc
    try:  # gRPC takes no socket from us, and would say later and in more words that it cannot listen
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.create_server((host, port), family=family) as free:
            port = int(free.getsockname()[1])
    except OSError as error:
        raise UsageError(f"--a2a-grpc: cannot listen on {host} port {port}: {error.strerror}") from None
    certificate = (Path(asked.key_file).read_bytes(), Path(asked.cert).read_bytes()) if asked.cert else None
    place = Place(host, port, certificate)
    named = urlsplit(url).hostname if asked.a2a_url or host in ("0.0.0.0", "::") else host
    return partial(listening, place=place, door=app.state.door), place.at(named or host)


def remote_agents(sources: Sequence[str], own: Sequence[Tool], noted: Callable[[Cost], None]) -> list[Tool]:
    """The tools of agents elsewhere: a URL each, or VARIABLE=URL where the environment variable holds the key for
    it. Raises UsageError."""
    found: list[Tool] = []
    for source in sources:
        named = _NAMED_KEY.fullmatch(source)
        url = named[2] if named else source
        key = os.environ.get(named[1]) if named else None
        if named and not key:
            raise UsageError(f"--a2a {source}: the environment has no {named[1]}")
        try:
            found += connect(Remote(url, key), [tool.spec.name for tool in (*own, *found)], noted)
        except RemoteAgentError as error:
            raise UsageError(f"--a2a {error}") from None
    return found
