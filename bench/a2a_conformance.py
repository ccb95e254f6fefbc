"""The A2A conformance kit (github.com/a2aproject/a2a-tck, branch 1.0-dev) against our server.

    python bench/a2a_conformance.py PATH_OF_THE_KIT [--python PYTHON] [--transport jsonrpc,http_json,grpc] [--types]

PYTHON has the kit's own requirements (pytest, pytest-asyncio, pytest-html, grpcio, jsonschema, gherkin-official,
Jinja2). The server is the product's, on free ports of this machine; only what works on tasks is the kit's: it tells by
the beginning of a message's id what is to happen (its scenarios/*.feature). Prints each requirement that is not met,
and the shares; exits 1 below 99 % of MUST or not above 95 % of all that were tested.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.tasks import TaskUpdater
from a2a.types import Part, Task, TaskState, TaskStatus
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Value

from moonlet.ledger.books import Books
from moonlet.ledger.database import open_database
from moonlet.llm.scripted import Scripted
from moonlet.server import a2a
from moonlet.server.a2a_card import Face
from moonlet.server.a2a_grpc import Place, listening
from moonlet.server.app import create_app

ARTIFACTS = {
    "tck-artifact-text": Part(text="Generated text content"),
    "tck-artifact-file-url": Part(url="https://example.com/output.txt", media_type="text/plain", filename="output.txt"),
    "tck-artifact-file": Part(raw=b"tck", media_type="text/plain", filename="output.txt"),
    "tck-artifact-data": Part(data=ParseDict({"key": "value", "count": 42}, Value())),
    "tck-stream-001": Part(text="Stream hello from TCK"),
    "tck-stream-003": Part(text="Stream task lifecycle"),
    "tck-stream-ordering-001": Part(text="Ordered output"),
    "tck-stream-artifact-text": Part(text="Streamed text content"),
    "tck-stream-artifact-file": Part(raw=b"tck", media_type="text/plain", filename="output.txt"),
}
LONG_S = 4.0  # of the task that is subscribed to again: twice the kit's patience


class KitExecutor(AgentExecutor):
    """Does what the kit's scenarios say."""

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        assert context.message and context.task_id and context.context_id
        wanted = context.message.message_id
        task = TaskUpdater(event_queue, context.task_id, context.context_id)
        if wanted.startswith("tck-message-response"):
            return await event_queue.enqueue_event(task.new_agent_message([Part(text="Direct message response")]))
        if context.current_task is None:
            begun = TaskStatus(state=TaskState.TASK_STATE_SUBMITTED)
            begun.timestamp.GetCurrentTime()
            ids = {"id": context.task_id, "context_id": context.context_id}
            await event_queue.enqueue_event(Task(**ids, status=begun, history=[context.message]))
        if wanted.startswith("tck-input-required"):
            return await task.requires_input()
        if wanted.startswith("tck-reject-task"):
            return await task.reject(task.new_agent_message([Part(text="rejected")]))
        if wanted.startswith(("tck-stream", "test-resubscribe")) and not wanted.startswith("tck-stream-002"):
            await task.start_work()
        if wanted.startswith("test-resubscribe-message-id"):
            await asyncio.sleep(LONG_S)
        if wanted.startswith("tck-stream-artifact-chunked"):
            chunked = {"artifact_id": "chunked", "name": "chunked"}
            await task.add_artifact([Part(text="chunk-1 ")], append=False, **chunked)
            await task.add_artifact([Part(text="chunk-2")], append=True, last_chunk=True, **chunked)
        for beginning, part in ARTIFACTS.items():
            if wanted.startswith(beginning):
                await task.add_artifact([part])
                break
        done = wanted.startswith("tck-complete-task")
        await task.complete(task.new_agent_message([Part(text="Hello from TCK")]) if done else None)

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        assert context.task_id and context.context_id
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("kit", type=Path)
    asked.add_argument("--python", default=sys.executable)
    asked.add_argument("--transport", default="jsonrpc,http_json")
    asked.add_argument("--types", action="store_true", help="the agent takes text alone, and refuses other media types")
    options = asked.parse_args()
    if not (options.kit / "run_tck.py").exists():
        print(f"{options.kit}: not the kit: it has no run_tck.py", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(Path(folder) / "ledger.db")
        bound = socket.create_server(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        with socket.create_server(("127.0.0.1", 0)) as free:
            place = Place("127.0.0.1", free.getsockname()[1])
        app = create_app(Scripted([]), Books(database))
        face = Face(
            url,
            "moonlet",
            "What works on tasks here is the conformance kit's",
            modes=("text/plain",) if options.types else ("*/*",),
            grpc=place.at(place.host),
        )
        beside = partial(listening, place=place, door=app.state.door)
        a2a.mount(app, face, KitExecutor(), database, push_hosts=("localhost",), beside=beside)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        command = [options.python, "run_tck.py", "--sut-host", url, "--transport", options.transport]
        subprocess.run(command, cwd=options.kit, stdout=sys.stderr, check=False)
        server.should_exit = True
        thread.join(10)
        database.close()
    return report(json.loads((options.kit / "reports" / "compatibility.json").read_text()))


def report(found: dict[str, Any]) -> int:
    """Shares by level, and what is not met. A requirement is met if it is over every transport that was tested."""
    counts: dict[str, Counter[str]] = {}
    for name, requirement in found["per_requirement"].items():
        level, status = requirement["level"], requirement["status"]
        counts.setdefault(level, Counter())[status] += 1
        if status == "FAIL":
            print(f"not met: {name} ({level}): {requirement['errors'][0][:300] if requirement['errors'] else ''}")
    shares = {level: (count["PASS"], count["PASS"] + count["FAIL"]) for level, count in counts.items()}
    shares["overall"] = (sum(met for met, _ in shares.values()), sum(tested for _, tested in shares.values()))
    for level, (met, tested) in shares.items():
        left = counts.get(level, Counter())
        untested = f", {left['SKIPPED']} skipped, {left['NOT TESTED']} without a test" if left else ""
        print(f"{level}: {met} of {tested} tested are met ({100 * met / max(tested, 1):.1f} %){untested}")
    print(f"the kit's own figures: {found['summary']}")
    must, overall = shares["MUST"], shares["overall"]
    return 0 if must[0] >= 0.99 * must[1] and overall[0] > 0.95 * overall[1] else 1


if __name__ == "__main__":
    sys.exit(main())
