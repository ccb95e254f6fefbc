"""What the small model does with MCP servers that are not ours: python -m bench.reference_small [MODEL] [TASK]

Each task is put in several wordings, as a user would type them, to `moonlet agent` with one of the reference servers of
bench/reference_servers.py and no other tools. A wording counts if the right tool was called and gave what was wanted,
and if the answer tells it; where only the call was right that is printed too. Nothing is prepared for the model: the
servers' declarations and the agent's instructions are those of any run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.reference_servers import install, servers


@dataclass(frozen=True, slots=True)
class Task:
    """`result`: what the right tool's result must hold; `answer`: words of which one must be in the answer."""

    server: str
    tool: str
    wordings: tuple[str, ...]
    result: str
    answer: tuple[str, ...]


def tasks(folder: Path) -> dict[str, Task]:
    """What can be asked of the servers, in a folder with a repository, a note and a remembered person."""
    return {
        "time": Task(
            "time",
            "get_current_time",
            (
                "What time is it in Asia/Tokyo?",
                "Tell me the current time in Europe/Paris",
                "time in America/New_York please",
                "What is the time in Asia/Bangkok now?",
            ),
            '"timezone"',
            (":",),
        ),
        "convert": Task(
            "time",
            "convert_time",
            (
                "Convert 16:30 from Europe/Berlin to Asia/Tokyo",
                "Convert the time 16:30 from Europe/Berlin time to Asia/Tokyo time",
                "If it is 16:30 in Europe/Berlin, what time is it in Asia/Tokyo?",
            ),
            '"target"',
            ("23:30", "00:30", "11:30"),
        ),
        "status": Task(
            "git",
            "git_status",
            (
                f"Show the git status of {folder}",
                f"What is the status of the repository {folder}?",
                f"git status {folder}",
            ),
            "note.txt",
            ("note.txt", "untracked"),
        ),
        "branches": Task(
            "git",
            "git_log",
            (f"Show the log of the repository {folder}", f"git log of {folder}", f"Show the commit logs of {folder}"),
            "first commit",
            ("first commit",),
        ),
        "sum": Task(
            "everything",
            "get-sum",
            ("What is the sum of 19 and 23?", "Get the sum of 19 and 23", "Add 19 and 23"),
            "42",
            ("42",),
        ),
        "echo": Task(
            "everything",
            "echo",
            ("Echo the message hello world", "Echo back hello world", 'Echo "hello world"'),
            "hello world",
            ("hello world",),
        ),
        "search": Task(
            "memory",
            "search_nodes",
            ("Search for nodes about trains", "Search the knowledge graph for trains", "Search nodes for trains"),
            "Ada",
            ("Ada",),
        ),
        "graph": Task(
            "memory",
            "read_graph",
            ("Read the graph", "Read the entire knowledge graph", "Show me the knowledge graph"),
            "Ada",
            ("Ada",),
        ),
        "open": Task(
            "memory",
            "open_nodes",
            ("Open the node Ada", "Open node Ada", "Show me the node Ada"),
            "Ada",
            ("Ada", "trains"),
        ),
        "read": Task(
            "filesystem",
            "read_text_file",
            (f"Read the file {folder}/note.txt", f"Show me what is in {folder}/note.txt"),
            "buy stamps",
            ("stamps",),
        ),
        "list": Task(
            "filesystem",
            "list_directory",
            (f"List the directory {folder}", f"List the files in {folder}"),
            "note.txt",
            ("note.txt",),
        ),
    }


def prepare(folder: Path) -> None:
    """A repository with one commit, a file that is not in it, and something remembered."""
    git = ["git", "-C", str(folder), "-c", "user.name=T", "-c", "user.email=t@example.org"]
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    (folder / "read.me").write_text("a repository\n", encoding="utf-8")
    subprocess.run([*git, "add", "read.me"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "first commit"], check=True)
    (folder / "note.txt").write_text("buy stamps\n", encoding="utf-8")
    known = {"type": "entity", "name": "Ada", "entityType": "person", "observations": ["likes trains"]}
    (folder / "memory.jsonl").write_text(json.dumps(known) + "\n", encoding="utf-8")


def ask(model: str, wording: str, config: Path) -> list[dict[str, Any]]:
    """The events of one run of the agent."""
    command = [sys.executable, "-m", "moonlet", "agent", wording, "--model", model, "--mcp", str(config)]
    command += ["--tools", "none", "--yes", "--json", "--limits", "steps=4,seconds=60"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return events or [{"event": "error", "text": done.stderr.strip()[-300:]}]


def judge(task: Task, events: Sequence[Mapping[str, Any]]) -> tuple[bool, bool, str]:
    """Whether the right call was made and gave what was wanted, whether the answer tells it, and what happened."""
    results = [one for one in events if one["event"] == "result" and not one["failed"]]
    called = any(one["name"].endswith(task.tool) and task.result in one["text"] for one in results)
    answers = [one["message"].get("content") or "" for one in events if one["event"] == "reply"]
    answer = answers[-1] if answers else ""
    made = [f"{call['function']['name']} {call['function']['arguments']}" for one in events if one["event"] == "reply"
            for call in one["message"].get("tool_calls") or ()]  # fmt: skip
    happened = "; ".join(made) + " -> " + (answer or str(events[-1])[:300])
    return called, called and any(word in answer for word in task.answer), happened


def main() -> int:
    model = sys.argv[1] if len(sys.argv) > 1 else "nano"
    install()
    done = 0
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place).resolve() / "work"
        folder.mkdir()
        prepare(folder)
        chosen = {name: task for name, task in tasks(folder).items() if name in sys.argv[2:] or not sys.argv[2:]}
        for name, task in chosen.items():
            (config,) = [one for one in servers(folder) if one.name == task.server]
            file = Path(place) / f"{task.server}.json"
            entry = {"command": config.command, "args": list(config.args), "env": dict(config.env)}
            file.write_text(json.dumps({"mcpServers": {task.server: entry}}), encoding="utf-8")
            found = [judge(task, ask(model, wording, file)) for wording in task.wordings]
            full = sum(one[1] for one in found)
            done += full > 0
            calls = sum(one[0] for one in found)
            print(f"{name} ({task.server}): {full} of {len(found)} wordings done, right call in {calls}")
            for wording, (called, told, answer) in zip(task.wordings, found):
                how = "done" if told else "called" if called else "no"
                print(f"  {how:6} {wording}\n         -> {' '.join(answer.split())[:200]}", flush=True)
    print(f"{done} of {len(chosen)} tasks are done in one wording at least")
    return 0 if done >= 3 else 1


if __name__ == "__main__":
    os.environ.setdefault("NO_PROXY", "*")
    raise SystemExit(main())
