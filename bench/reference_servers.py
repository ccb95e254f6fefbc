"""Six reference MCP servers, none of them ours, used by the agent in one run: python -m bench.reference_servers

Three come from npm (everything, filesystem, memory), three from PyPI (time, git, fetch). The model is scripted: what is
shown is that the agent starts them, calls them, and gets the right things back. They are installed under build/, the
Python ones in an environment of their own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bench.conformance import PLACE, node
from moonlet.agent import Agent, CallResult, Ended, Limits, Notice
from moonlet.agent.approval import Approvals
from moonlet.agent.record import Record
from moonlet.chat.messages import Message, ToolCall
from moonlet.llm.scripted import Scripted
from moonlet.tools.mcp.config import ServerConfig
from moonlet.tools.mcp.host import Host

NPM = {name: f"@modelcontextprotocol/server-{name}" for name in ("everything", "filesystem", "memory")}
PYPI = ("time", "git", "fetch")
VENV = PLACE.parent / "mcp-servers"


def install() -> None:
    """What is not there yet."""
    missing = [package for package in NPM.values() if not (PLACE / "node_modules" / package).exists()]
    if missing:
        PLACE.mkdir(parents=True, exist_ok=True)
        if not (PLACE / "node_modules").exists():
            (PLACE / "package.json").write_text("{}")
        subprocess.run(["npm", "install", "--no-fund", "--no-audit", "--silent", *missing], cwd=PLACE, check=True)
    if not (VENV / "bin" / "mcp-server-fetch").exists():
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
        packages = [f"mcp-server-{name}" for name in PYPI]
        subprocess.run([str(VENV / "bin" / "python"), "-m", "pip", "install", "-q", *packages], check=True)


def servers(folder: Path) -> list[ServerConfig]:
    """All six, as an mcp.json would describe them."""
    program = node()
    found = []
    for name, package in NPM.items():
        home = PLACE / "node_modules" / package
        entry = next(iter(json.loads((home / "package.json").read_text(encoding="utf-8"))["bin"].values()))
        args = {"filesystem": (str(folder),), "everything": ("stdio",)}.get(name, ())
        env = {"MEMORY_FILE_PATH": str(folder / "memory.jsonl")} if name == "memory" else {}
        found.append(ServerConfig(name, command=program, args=(str(home / entry), *args), env=env))
    more = {
        "time": ("--local-timezone", "Europe/Berlin"),
        "git": ("--repository", str(folder)),
        "fetch": ("--allow-private-ips",),
    }
    found += [ServerConfig(n, command=str(VENV / "bin" / f"mcp-server-{n}"), args=more[n]) for n in PYPI]
    return found


def plan(folder: Path, url: str) -> list[tuple[str, dict[str, Any], str]]:
    """Calls of the run, and what each result must hold."""
    noon = {"source_timezone": "Europe/Berlin", "time": "12:00", "target_timezone": "Asia/Bangkok"}
    entity = {"name": "Ada", "entityType": "person", "observations": ["likes trains"]}
    return [
        ("everything__echo", {"message": "hello"}, "hello"),
        ("everything__get-sum", {"a": 19, "b": 23}, "42"),
        ("filesystem__write_file", {"path": str(folder / "note.txt"), "content": "from the agent"}, "uccess"),
        ("filesystem__read_text_file", {"path": str(folder / "note.txt")}, "from the agent"),
        ("memory__create_entities", {"entities": [entity]}, "Ada"),
        ("memory__search_nodes", {"query": "trains"}, "Ada"),
        ("time__convert_time", noon, "Asia/Bangkok"),
        ("git__git_status", {"repo_path": str(folder)}, "note.txt"),
        ("git__git_add", {"repo_path": str(folder), "files": ["note.txt"]}, "staged"),
        ("git__git_diff_staged", {"repo_path": str(folder)}, "from the agent"),
        ("fetch__fetch", {"url": f"{url}/page.html"}, "for the fetch server"),
    ]


def main() -> int:
    install()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place).resolve()
        subprocess.run(["git", "init", "-q", str(folder)], check=True)
        pages = folder / "pages"
        pages.mkdir()
        (pages / "page.html").write_text(
            "<html><body><h1>A page of our own</h1><p>for the fetch server</p></body></html>"
        )
        quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
        site = ThreadingHTTPServer(("127.0.0.1", 0), partial(quiet, directory=str(pages)))
        threading.Thread(target=site.serve_forever, daemon=True).start()
        calls = plan(folder, f"http://127.0.0.1:{site.server_address[1]}")
        ok = run(folder, calls)
        site.shutdown()
    return 0 if ok else 1


def run(folder: Path, calls: Sequence[tuple[str, dict[str, Any], str]]) -> bool:
    """One run of the agent; a line for each call."""
    replies = [
        Message("assistant", calls=(ToolCall(f"functions.{name}:{i}", name, json.dumps(given)),))
        for i, (name, given, _) in enumerate(calls)
    ]
    bad = 0
    with Host(servers(folder), folder / "state", roots=[folder]) as host:
        for name, (connection, offer) in host.offers().items():
            counts = f"{len(offer.tools)} tools, {len(offer.prompts)} prompts, {len(offer.resources)} resources"
            print(f"{name}: revision {connection.version or 'none'}, {counts}")
        record = Record.create(folder / "state" / "run.jsonl", "scripted")
        agent = Agent(
            Scripted([*replies, "Done."]), host, limits=Limits(steps=50), approve=Approvals("yes"), record=record
        )
        expected = iter(calls)
        for event in agent.ask("Use every server"):
            if isinstance(event, CallResult):
                name, _, wanted = next(expected)
                good = not event.failed and wanted in event.text
                bad += not good
                print(f"{'ok  ' if good else 'BAD '} {name} ({event.seconds * 1000:.0f} ms)")
                if not good:
                    print(f"     {event.text[:500]}")
            elif isinstance(event, Notice):
                print(event.text)
            elif isinstance(event, Ended):
                print(f"ended: {event.reason}; {event.spent.calls} calls on {len(host.offers())} servers")
    return bad == 0


if __name__ == "__main__":
    os.environ.setdefault("NO_PROXY", "*")
    raise SystemExit(main())
