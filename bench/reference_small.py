"""What the small model does with MCP servers that are not ours: python -m bench.reference_small [MODEL] [TASK]

Each task is put in several wordings, as a user would type them, to the agent of `moonlet agent` with one of the
reference servers of bench/reference_servers.py and no other tools. A wording counts if the right tool was called and
gave what was wanted, and if the answer tells it; where only the call was right that is printed too. Nothing is prepared
for the model: the servers' declarations and the agent's instructions are those of any run. Ends with 1 if fewer than
three tasks are done.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from bench.reference_servers import install, servers
from moonlet.agent import Agent, CallResult, Limits
from moonlet.agent.approval import Approvals
from moonlet.agent.instructions import instructions
from moonlet.chat.messages import Message
from moonlet.llm import LLM, LLMError, ReplyOptions
from moonlet.local import load
from moonlet.tools.mcp.host import Host


@dataclass(frozen=True, slots=True)
class Task:
    """`result`: what the right tool's result must hold; `answer`: words of which one must be in the answer."""

    server: str
    tool: str
    wordings: tuple[str, ...]
    result: str
    answer: tuple[str, ...]


# What can be asked of the servers. A {folder} in a wording is the one of `prepare`.
TASKS = {
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
            "Show the git status of {folder}",
            "What is the status of the repository {folder}?",
            "git status {folder}",
        ),
        "note.txt",
        ("note.txt", "untracked"),
    ),
    "branches": Task(
        "git",
        "git_log",
        ("Show the log of the repository {folder}", "git log of {folder}", "Show the commit logs of {folder}"),
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
        ("Read the file {folder}/note.txt", "Show me what is in {folder}/note.txt"),
        "buy stamps",
        ("stamps",),
    ),
    "list": Task(
        "filesystem",
        "list_directory",
        ("List the directory {folder}", "List the files in {folder}"),
        "note.txt",
        ("note.txt",),
    ),
}


def tasks(folder: Path) -> dict[str, Task]:
    """TASKS, asked of a folder with a repository, a note and a remembered person."""
    return {
        title: replace(task, wordings=tuple(one.replace("{folder}", str(folder)) for one in task.wordings))
        for title, task in TASKS.items()
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


def judge(task: Task, model: LLM, host: Host, folder: Path, wording: str) -> tuple[bool, bool, str]:
    """Whether the right call was made and gave what was wanted, whether the answer tells it, and what happened."""
    limits = Limits(steps=4, seconds=60)
    options = ReplyOptions(max_tokens=256)
    system = Message("system", instructions(date.today(), folder.name, servers=True))
    agent = Agent(model, host, [system], limits, options, approve=Approvals("yes"))
    try:
        results = [event for event in agent.ask(wording) if isinstance(event, CallResult)]
    except LLMError as error:
        return False, False, str(error)
    named = [one for one in results if one.call.name == f"{task.server}__{task.tool}"]
    called = any(not one.failed and task.result in one.text for one in named)
    answer = agent.history[-1].content
    made = "; ".join(f"{one.call.name} {one.call.arguments}" for one in results)
    return called, called and any(word in answer for word in task.answer), f"{made} -> {answer}"


def main() -> int:
    name, wanted = (sys.argv[1] if len(sys.argv) > 1 else "nano"), sys.argv[2:]
    install()
    done, count = 0, 0
    with tempfile.TemporaryDirectory() as place, load(name) as model, ExitStack() as opened:
        # A name as people give them: a row of random letters is harder to copy than any folder of theirs.
        folder = Path(tempfile.gettempdir()).resolve() / "garden"
        folder.mkdir()  # FileExistsError rather than somebody else's folder
        opened.callback(shutil.rmtree, folder)
        prepare(folder)
        chosen = {name: task for name, task in tasks(folder).items() if name in wanted or not wanted}
        for server in dict.fromkeys(task.server for task in chosen.values()):
            with Host([one for one in servers(folder) if one.name == server], Path(place), roots=[folder]) as host:
                for title, task in chosen.items():
                    if task.server == server:
                        done += told(title, task, [judge(task, model, host, folder, one) for one in task.wordings])
                        count += 1
    print(f"{done} of {count} tasks are done in one wording at least")
    return 0 if done >= 3 else 1


def told(title: str, task: Task, found: Sequence[tuple[bool, bool, str]]) -> bool:
    """Prints what came of a task; whether one of its wordings was done."""
    full, calls = sum(one[1] for one in found), sum(one[0] for one in found)
    print(f"{title} ({task.server}): {full} of {len(found)} wordings done, right call in {calls}")
    for wording, (called, fully, happened) in zip(task.wordings, found):
        how = "done" if fully else "called" if called else "no"
        print(f"  {how:6} {wording}\n         {' '.join(happened.split())[:240]}", flush=True)
    return full > 0


if __name__ == "__main__":
    os.environ.setdefault("NO_PROXY", "*")
    raise SystemExit(main())
