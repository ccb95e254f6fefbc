"""Two agents on one machine solve a task together over A2A while one of them is killed and started again."""

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from a2a_servers import SLOW_S
from moonlet.tools.a2a import Remote, connect

pytestmark = pytest.mark.long

SERVERS = Path(__file__).with_name("a2a_servers.py")


class Server:
    """An agent in a process of its own, on a port that it keeps."""

    def __init__(self, who: str, ledger: Path, worker: str = "") -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [sys.executable, str(SERVERS), who, str(ledger), str(self.port), *([worker] if worker else [])]
        self._begin()

    def start(self) -> None:
        self._begin()
        self.wait()

    def wait(self) -> None:
        wait_for(self._answers, "the server answers", 60)

    def _begin(self) -> None:
        self._process = subprocess.Popen(self._command)

    def kill(self) -> None:
        """As a power cut would: nothing can be put in order."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def _answers(self) -> bool:
        assert self._process.poll() is None, "the server ended"
        try:
            return httpx.get(self.url + "/health").is_success
        except httpx.HTTPError:
            return False


@contextmanager
def two(folder: Path) -> Iterator[tuple[Server, Server, Path]]:
    """The boss, its worker, and where the worker's steps are written."""
    worker = Server("WORKER", folder / "worker.db")
    try:
        worker.wait()  # the boss reads its card
        boss = Server("BOSS", folder / "boss.db", worker.url)
        try:
            boss.wait()
            yield boss, worker, folder / "worker.db.steps"
        finally:
            boss.kill()
    finally:
        worker.kill()


def wait_for(true: Callable[[], bool], what: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.05)


def steps(log: Path) -> list[str]:
    return log.read_text().split() if log.exists() else []


@pytest.mark.parametrize("killed", ["worker", "boss", "both"])
def test_the_task_is_solved_though_an_agent_is_killed_in_the_middle(tmp_path: Path, killed: str) -> None:
    with two(tmp_path) as (boss, worker, log):
        give, _ = connect(Remote(boss.url))
        answers: list[str] = []
        asking = threading.Thread(target=lambda: answers.append(give.run({"message": "count to three"})))
        asking.start()
        wait_for(lambda: steps(log) == ["1"], "the first step is done")
        time.sleep(SLOW_S / 6)  # the second is under way
        for server in {"worker": [worker], "boss": [boss], "both": [worker, boss]}[killed]:
            server.kill()
            server.start()
        asking.join(150)
        assert answers and "The worker says" in answers[0] and "step 1, step 2, step 3" in answers[0]
        assert sorted(set(steps(log))) == ["1", "2", "3"]
        assert steps(log).count("1") == steps(log).count("3") == 1  # finished calls are not run again
