"""Coding agents as people run them, through a tool loop against our server with prepared replies, offline.

    npm install --prefix /tmp/agents @anthropic-ai/claude-code @openai/codex @moonshot-ai/kimi-code opencode-ai
    python -m bench.clients /tmp/agents [--record tests/data/clients] [--node FOLDER_OF_NODE_22] [--only codex]
    python -m bench.clients /tmp/agents --printed
    python -m bench.clients /tmp/agents --real [FOLDER] [--only codex]

Each is asked to read a file and say what is in it. The prepared model asks for the client's own reading tool and then
repeats what the tool returned, so the answer can be right only if the loop went round. `--record` keeps the requests
for the tests, without their words: every text longer than a name is replaced by its length. `--real` runs them against
`moonlet serve` of a real model instead (`bench.real_clients`), `--printed` starts them by the lines that
`moonlet serve` prints.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from itertools import repeat
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.types import Message as Part

from bench import real_clients
from bench.agents import CLIENTS, NODE, NOTES, QUESTION, serving, start
from moonlet.chat.messages import Message, ToolCall, ToolSpec
from moonlet.llm.scripted import Scripted
from moonlet.server.app import create_app

MODEL = "scripted"


def answer(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> Message | str:
    """Asks for the file by whichever tool reads it, then says what came back."""
    last = messages[-1]
    if last.role == "tool":
        found = re.search(r"launch code is (\d+)", last.content)
        return f"The launch code is {found[1]}." if found else f"I could not read it: {last.content[:200]}"
    for tool in tools:
        given = reading_call(tool)
        if given is not None and "launch code" in " ".join(message.content for message in messages):
            return Message("assistant", "I read it.", calls=(ToolCall("functions.x:0", tool.name, json.dumps(given)),))
    return "A title"


def reading_call(tool: ToolSpec) -> dict[str, Any] | None:
    """The arguments with which a tool reads the notes, if it is one that can."""
    properties = tool.parameters.get("properties", {})
    if tool.name in ("Read", "read", "ReadFile"):
        key = next(key for key in properties if "path" in key.lower())
        return {key: str(Path(os.environ["MOONLET_CLIENT_WORK"]) / "notes.txt")}
    if tool.name == "exec_command":
        return {"cmd": "cat notes.txt"}
    return None


class _Recorder:
    """Keeps the bodies that are posted."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.bodies: list[tuple[str, dict[str, Any]]] = []
        self.statuses: list[tuple[str, int]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        heard = bytearray()

        async def listen() -> Part:
            part = await receive()
            heard.extend(part.get("body", b""))
            if part["type"] == "http.request" and not part.get("more_body") and heard:
                self.bodies.append((scope["path"], json.loads(heard)))
            return part

        async def tell(part: Part) -> None:
            if part["type"] == "http.response.start":
                self.statuses.append((scope["path"], part["status"]))
            await send(part)

        await self._app(scope, listen, tell)


def run(
    name: str, packages: Path, node: str, place: Path, printed: bool = False
) -> tuple[list[tuple[str, dict[str, Any]]], Scripted]:
    """One client's loop, with its home and its work under `place`: what it posted, and the model that was asked.
    SystemExit if it did not find the answer."""
    model = Scripted(repeat(answer), name=MODEL, piece=7)
    recorder = _Recorder(create_app(model))
    with serving(recorder) as url:
        done = start(name, packages, node, place, url, MODEL, printed=printed)
    if "4417" not in done.stdout:
        told = f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}\n{recorder.statuses}"
        raise SystemExit(f"{name} did not find the answer:\n{told}")
    print(f"{name}: {len(recorder.bodies)} requests, {recorder.statuses}", flush=True)
    return recorder.bodies, model


# A text of these fields is a name or a choice of the protocol, not somebody's words.
_STRUCTURE = {"type", "role", "name", "model", "enum", "const", "required", "format", "pattern", "$schema", "status",
              "id", "call_id", "tool_use_id", "tool_call_id", "namespace", "tool_choice", "arguments", "summary",
              "effort", "$ref", "include"}  # fmt: skip

_WORK = re.compile(re.escape(tempfile.gettempdir()) + r"/\w+/work/")  # of the client that ran


def reduced(value: Any, key: str = "") -> Any:
    """A body without its words: `<N characters>` in the place of each text of any length."""
    if isinstance(value, dict):
        return {name: reduced(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [reduced(inner, key) for inner in value]
    if not isinstance(value, str):
        return value
    if key in _STRUCTURE and len(value) < 200:
        return _WORK.sub("/home/me/", value)
    if QUESTION in value or NOTES.strip() in value:  # ours
        return QUESTION if QUESTION in value else NOTES
    if key in ("text", "content", "description", "instructions", "title") or len(value) > 20:
        return f"<{len(value)} characters>"
    return value


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", type=Path)
    parser.add_argument("--record", type=Path)
    parser.add_argument("--real", nargs="?", type=Path, const=real_clients.SMALL, metavar="FOLDER")
    parser.add_argument("--printed", action="store_true")
    parser.add_argument("--node", default=NODE)
    parser.add_argument("--only", choices=CLIENTS)
    asked = parser.parse_args()
    names = [asked.only] if asked.only else [*CLIENTS]
    if asked.real:
        return real_clients.main(names, asked.packages.resolve(), asked.node, asked.real)
    for name in names:
        with tempfile.TemporaryDirectory() as place:
            bodies, _ = run(name, asked.packages.resolve(), asked.node, Path(place), asked.printed)
        if asked.record:
            asked.record.mkdir(parents=True, exist_ok=True)
            kept = [{"path": path, "body": reduced(body)} for path, body in bodies]
            (asked.record / f"{name}.json").write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
