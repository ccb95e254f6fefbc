"""The coding agents against `moonlet serve` of a real model: `python -m bench.clients PACKAGES --real [FOLDER]`.

Without FOLDER it is the small model with a longer context than it was trained for: what it says there is worth nothing.
What must hold of any model: each request of the agent is answered with 200 and a stream that ends as its API says, the
agent calls a tool that the engine asked for, comes back with the result and ends by itself with exit code 0, and the
ledger has a row for each request.

Between the two a listener passes everything on. It changes two things, so that nothing a model makes up is let loose
on this machine and every agent comes to an end: where there is no result of a tool yet, the engine must call one tool,
which only looks; afterwards it must talk; both briefly.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from bench import turns
from bench.agents import serving, start
from moonlet.ledger import report
from moonlet.ledger.database import open_database

SMALL = Path("nano")  # stands for the small model with room for an agent
CONTEXT = 131_072  # tokens of its vocabulary, which has a fortieth of K2's
BRIEF = 96  # tokens of a reply; a call is brought to its end within them
LIMIT_S = 1800.0  # of an agent
SETTLE_S = 10.0  # of the ledger
LONG = 5_000  # tokens that an agent's own prompt has at least, in any vocabulary

HARMLESS = ("Read", "read", "ReadFile", "view_image")  # tools that only look
LASTS = {"/v1/messages": "message_stop", "/v1/responses": "response.completed", "/v1/chat/completions": "[DONE]"}
_HOP = {"host", "content-length", "connection", "transfer-encoding", "date", "server", "accept-encoding"}


@dataclass(slots=True)
class Exchange:
    """One request and its answer."""

    path: str
    body: dict[str, Any]
    status: int = 0
    ends: str = ""  # the stream's end, or the whole answer
    left: bool = True  # by the agent, before the end

    @property
    def whole(self) -> bool:
        """Whether the answer came to its end as the API has it."""
        if not self.body.get("stream"):
            return not self.left
        last = self.ends.rstrip().rpartition("\n")[2].removeprefix("data: ")
        wanted = LASTS[self.path]
        kind = last if last == "[DONE]" else json.loads(last or "{}").get("type")
        return kind == wanted or (wanted == "response.completed" and kind == "response.incomplete")


class Between:
    """Passes requests on to the server at `url`, and keeps what was asked and how it ended."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.exchanges: list[Exchange] = []
        self.app = Starlette(routes=[Route("/{path:path}", self._pass, methods=["GET", "HEAD", "POST"])])

    async def _pass(self, request: Request) -> Response:
        sent = await request.body()
        exchange = None
        if request.url.path in LASTS:
            body = steered(request.url.path, json.loads(sent))
            exchange, sent = Exchange(request.url.path, body), json.dumps(body).encode()
            self.exchanges.append(exchange)
        headers = {name: value for name, value in request.headers.items() if name not in _HOP}
        http = httpx.AsyncClient(timeout=LIMIT_S)
        url = f"{self._url}{request.url.path}?{request.url.query}".rstrip("?")
        answer = await http.send(http.build_request(request.method, url, headers=headers, content=sent), stream=True)
        if exchange is not None:
            exchange.status = answer.status_code
        told = {name: value for name, value in answer.headers.items() if name not in _HOP}
        return StreamingResponse(_heard(http, answer, exchange), answer.status_code, told)


async def _heard(http: httpx.AsyncClient, answer: httpx.Response, exchange: Exchange | None) -> AsyncIterator[bytes]:
    end = b""
    try:
        async for piece in answer.aiter_bytes():
            end = (end + piece)[-1_000_000:]  # more than the last message of a response, which holds its request
            yield piece
        if exchange is not None:
            exchange.left = False
    finally:
        if exchange is not None:
            exchange.ends = end.decode(errors="replace")
        await answer.aclose()
        await http.aclose()


def steered(path: str, body: dict[str, Any]) -> dict[str, Any]:
    """The same request with one harmless call asked for; or, where a result is there or no such tool, words."""
    names = {tool.get("function", tool).get("name") for tool in body.get("tools") or ()}
    tool = next((name for name in HARMLESS if name in names), None)
    limits = {"/v1/responses": "max_output_tokens", "/v1/chat/completions": "max_completion_tokens"}
    body = {name: value for name, value in body.items() if name != "max_tokens"}
    body[limits.get(path, "max_tokens")] = BRIEF
    if tool is not None and not _has_result(body):
        choices: dict[str, Any] = {
            "/v1/messages": {"type": "tool", "name": tool},
            "/v1/responses": {"type": "function", "name": tool},
            "/v1/chat/completions": {"type": "function", "function": {"name": tool}},
        }
        body["tool_choice"] = choices[path]
    elif names:
        body["tool_choice"] = {"type": "none"} if path == "/v1/messages" else "none"
    return body


def _has_result(body: dict[str, Any]) -> bool:
    said = json.dumps([body.get("messages"), body.get("input")])
    return any(mark in said for mark in ('"type": "tool_result"', '"role": "tool"', '"function_call_output"'))


def main(names: list[str], packages: Path, node: str, model: Path) -> int:
    """Runs the agents one after the other and tells what became of each. 0 if all holds."""
    with tempfile.TemporaryDirectory() as place:
        home = Path(place)
        room = ["--cache-tokens", str(CONTEXT), "--ledger", str(home / "ledger.sqlite")]
        folder = turns.longer(home / "long", CONTEXT) if model == SMALL else model
        with turns.serving(folder, home, room) as (url, name):
            return 0 if all([_one(who, packages, node, home, url, name) for who in names]) else 1


def _rows(ledger: Path, began: float) -> list[dict[str, Any]]:
    """What the ledger has of the requests since then; the last one is written just after its answer ended."""
    with closing(open_database(ledger)) as database:
        until = time.monotonic() + SETTLE_S
        while True:
            rows = list(report.rows(database, began))
            if time.monotonic() > until or all(row["state"] != "running" for row in rows):
                return rows
            time.sleep(0.1)


def _one(who: str, packages: Path, node: str, home: Path, url: str, model: str) -> bool:
    began, between = time.time(), Between(url.removesuffix("/v1"))
    try:
        with serving(between.app) as passed:
            done = start(who, packages, node, home / who, passed, model, LIMIT_S)
    except subprocess.TimeoutExpired:
        print(f"{who}: did not end within {LIMIT_S:g} s; {[(one.path, one.status) for one in between.exchanges]}")
        return False
    rows, asked = _rows(home / "ledger.sqlite", began), between.exchanges
    returned = sum(_has_result(exchange.body) for exchange in asked)
    holds = {
        "200 each": {exchange.status for exchange in asked} == {200},
        "whole streams": all(exchange.whole for exchange in asked),
        "came back with a tool's result": returned > 0,
        "ended by itself": done.returncode == 0,
        "a row each": len(rows) == len(asked) and all(row["state"] == "done" for row in rows),
        "a long prompt": max((row["prompt_tokens"] or 0 for row in rows), default=0) > LONG,
    }
    print(f"{who}: {len(asked)} requests, {returned} with a tool's result, exit code {done.returncode}, {holds}")
    for row in rows:
        read = f"prompt {row['prompt_tokens'] or 0:,} tokens, {row['cached_tokens'] or 0:,} of them cached"
        print(f"  {row['api']}: {read}, {row['output_tokens']} written, {row['state']}", flush=True)
    if not all(holds.values()):
        statuses = [(exchange.path, exchange.status, exchange.whole, exchange.left) for exchange in asked]
        print(f"  {statuses}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return all(holds.values())
