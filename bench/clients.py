"""Coding agents as people run them, through a tool loop against our server with prepared replies, offline.

    npm install --prefix /tmp/agents @anthropic-ai/claude-code @openai/codex @moonshot-ai/kimi-code opencode-ai
    python -m bench.clients /tmp/agents [--record tests/data/clients] [--node FOLDER_OF_NODE_22] [--only codex]

Each is asked to read a file and say what is in it. The prepared model asks for the client's own reading tool and then
repeats what the tool returned, so the answer can be right only if the loop went round. `--record` keeps the requests
for the tests, without their words: every text longer than a name is replaced by its length.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.types import Message as Part

from moonlet.chat.messages import Message, ToolCall, ToolSpec
from moonlet.llm.scripted import Scripted
from moonlet.server.app import create_app

QUESTION = "Read notes.txt and tell me the launch code."
NOTES = "The launch code is 4417.\n"
MODEL = "scripted"


@dataclass(frozen=True, slots=True)
class Client:
    """How a client is started: its command, its variables, the files that it wants in its home."""

    command: Callable[[Path, str, str], list[str]]  # of the folder of packages, the server's URL, the model's name
    environment: Callable[[str, str], Mapping[str, str]] = lambda url, model: {}
    files: Callable[[str, str], Mapping[str, str]] = lambda url, model: {}


def _codex(packages: Path, url: str, model: str) -> list[str]:
    provider = f'{{name="moonlet",base_url="{url}/v1",env_key="MOONLET_API_KEY",wire_api="responses"}}'
    settings = ["-c", "model_provider=moonlet", "-c", f"model_providers.moonlet={provider}"]
    # Its own sandbox does not work in a home that is under /tmp, where this one is.
    settings += ["--sandbox", "danger-full-access", "--skip-git-repo-check"]
    return [_bin(packages, "codex"), "exec", *settings, "-m", model, QUESTION]


def _claude(packages: Path, url: str, model: str) -> list[str]:
    binary = next((packages / "node_modules/@anthropic-ai").glob("claude-code-*/claude"), None)
    return [str(binary or _bin(packages, "claude")), "-p", QUESTION, "--allowedTools", "Read"]


def _opencode(packages: Path, url: str, model: str) -> list[str]:
    binary = packages / "node_modules/opencode-linux-x64/bin/opencode"
    return [str(binary if binary.exists() else _bin(packages, "opencode")), "run", "-m", f"moonlet/{model}", QUESTION]


def _bin(packages: Path, name: str) -> str:
    return str(packages / "node_modules/.bin" / name)


def _opencode_config(url: str, model: str) -> Mapping[str, str]:
    options = {"baseURL": f"{url}/v1", "apiKey": "anything"}
    provider = {"npm": "@ai-sdk/openai-compatible", "name": "moonlet", "options": options, "models": {model: {}}}
    return {".config/opencode/opencode.json": json.dumps({"provider": {"moonlet": provider}})}


def _kimi_config(url: str, model: str) -> Mapping[str, str]:
    return {
        ".kimi-code/config.toml": f"""default_model = "{model}"
telemetry = false
[providers.moonlet]
type = "openai"
base_url = "{url}/v1"
api_key = "anything"
[models.{model}]
provider = "moonlet"
model = "{model}"
max_context_size = 32768
capabilities = ["thinking", "tool_use"]
"""
    }


CLIENTS = {
    "claude-code": Client(
        _claude,
        lambda url, model: {
            "ANTHROPIC_BASE_URL": url,
            "ANTHROPIC_AUTH_TOKEN": "anything",
            "ANTHROPIC_MODEL": model,
            "ANTHROPIC_DEFAULT_HAIKU_MODEL": model,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        },
    ),
    "codex": Client(_codex, lambda url, model: {"MOONLET_API_KEY": "anything"}),
    "opencode": Client(_opencode, lambda url, model: {"OPENCODE_DISABLE_MODELS_FETCH": "1"}, _opencode_config),
    "kimi-code": Client(lambda packages, url, model: [_bin(packages, "kimi"), "-p", QUESTION], files=_kimi_config),
}


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


def run(name: str, packages: Path, node: str, place: Path) -> tuple[list[tuple[str, dict[str, Any]]], Scripted]:
    """One client's loop, with its home and its work under `place`: what it posted, and the model that was asked.
    SystemExit if it did not find the answer."""
    model = Scripted(repeat(answer), name=MODEL, piece=7)
    recorder = _Recorder(create_app(model))
    with serving(recorder) as url:
        done = start(name, packages, node, place, url, MODEL)
    if "4417" not in done.stdout:
        told = f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}\n{recorder.statuses}"
        raise SystemExit(f"{name} did not find the answer:\n{told}")
    print(f"{name}: {len(recorder.bodies)} requests, {recorder.statuses}", flush=True)
    return recorder.bodies, model


def start(
    name: str, packages: Path, node: str, place: Path, url: str, model: str, limit_s: float = 180
) -> subprocess.CompletedProcess[str]:
    """Runs a client until it ends, asking `model` at `url`."""
    home, work = place / "home", place / "work"
    for folder in (home, work):
        folder.mkdir(parents=True, exist_ok=True)
    (work / "notes.txt").write_text(NOTES)
    os.environ["MOONLET_CLIENT_WORK"] = str(work)
    client = CLIENTS[name]
    for path, text in client.files(url, model).items():
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_text(text)
    environment = {"HOME": str(home), "PATH": f"{node}:/usr/bin:/bin", "TERM": "dumb", "IS_SANDBOX": "1"}
    environment |= client.environment(url, model)
    return subprocess.run(
        client.command(packages, url, model), cwd=work, env=environment, stdin=subprocess.DEVNULL, text=True,
        capture_output=True, timeout=limit_s,
    )  # fmt: skip


@contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """The URL of a server with this application."""
    bound = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", type=Path)
    parser.add_argument("--record", type=Path)
    parser.add_argument("--node", default="/usr/bin")
    parser.add_argument("--only")
    asked = parser.parse_args()
    for name in [asked.only] if asked.only else CLIENTS:
        with tempfile.TemporaryDirectory() as place:
            bodies, _ = run(name, asked.packages.resolve(), asked.node, Path(place))
        if asked.record:
            asked.record.mkdir(parents=True, exist_ok=True)
            kept = [{"path": path, "body": reduced(body)} for path, body in bodies]
            (asked.record / f"{name}.json").write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    sys.exit(main())
