"""`moonlet serve` for others, as real processes: TLS, keys, kill -9 under load, full disks, two servers, one ledger."""

import io
import json
import os
import resource
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

import speaking
from moonlet.cli import main

pytestmark = pytest.mark.long

BODY = {"messages": [{"role": "user", "content": "hello"}], "temperature": 0}
WAIT_S = 90.0  # for a process that starts on a busy machine


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model folder, made by `moonlet pull`."""
    place = tmp_path_factory.mktemp("models")
    speaking.write(place / "checkpoint")
    told = moonlet(place, "pull", place / "checkpoint", "--to", place / "tiny")
    assert told.returncode == 0, told.stderr
    return place / "tiny"


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


@dataclass
class Told:
    returncode: int
    stdout: str
    stderr: str


def moonlet(ledger: Path, *arguments: object) -> Told:
    """A command that ends, run in this process."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setenv("MOONLET_HOME", str(ledger.parent))
        patch.setenv("MOONLET_LEDGER", str(ledger))
        code = main([str(argument) for argument in arguments])
    return Told(code, out.getvalue(), err.getvalue())


def add_key(ledger: Path, name: str, *limits: object) -> str:
    done = moonlet(ledger, "keys", "add", name, *limits)
    assert done.returncode == 0 and done.stdout.count("\n") == 1, done.stderr
    return done.stdout.strip()


def rows(ledger: Path) -> list[dict[str, Any]]:
    done = moonlet(ledger, "ledger", "--rows")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


class Server:
    """`moonlet serve` as a process. Its output lies in a file."""

    def __init__(self, folder: Path, ledger: Path, *flags: object, program: Sequence[str] = ("-m", "moonlet")) -> None:
        self.log = ledger.parent / f"log-{time.monotonic_ns()}"
        serve = ("serve", "--no-trial", folder, "--port", 0, "--threads", 1, *flags)
        command = [sys.executable, *program, *serve]
        env = {"MOONLET_HOME": str(ledger.parent), "MOONLET_LEDGER": str(ledger), "PATH": "/usr/bin:/bin"}
        with self.log.open("w") as log:
            self.process = subprocess.Popen([*map(str, command)], stdout=log, stderr=log, env=env)
        _wait_for(lambda: " answers at " in self.log.read_text() or self.process.poll() is not None)
        assert self.process.poll() is None, self.log.read_text()
        before, after = self.log.read_text().split(" answers at ")
        self.model, self.url = before.split()[-1], after.split()[0]

    def ask(self, secret: str | None = None, **body: Any) -> httpx.Response:
        headers = {"x-api-key": secret} if secret else {}
        body = {**BODY, "model": self.model, "max_tokens": 8, **body}
        return httpx.post(f"{self.url}/chat/completions", json=body, headers=headers, timeout=WAIT_S)

    def stop(self) -> str:
        """Ends it as Ctrl-C does. Returns its output."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            assert self.process.wait(30) == 0, self.log.read_text()
        return self.log.read_text()


@contextmanager
def server(folder: Path, ledger: Path, *flags: object, **more: Any) -> Iterator[Server]:
    running = Server(folder, ledger, *flags, **more)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait()


def _wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.02)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        return int(bound.getsockname()[1])


# Beyond loopback. (127.0.0.2 is no name of ours for this machine, so it counts as beyond; the tests stay on it.)


def test_without_a_key_it_never_listens_beyond_loopback(folder: Path, ledger: Path) -> None:
    port = _free_port()
    add_key(ledger, "old")
    assert moonlet(ledger, "keys", "revoke", "old").returncode == 0
    for flags in (
        ("--host", "127.0.0.2"),
        ("--host", "0.0.0.0"),
        ("--require-key",),
        ("--allow-host", "ai.example.org"),
    ):
        done = moonlet(ledger, "serve", folder, "--port", port, *flags)
        assert done.returncode == 2 and done.stderr.count("\n") == 1 and "moonlet keys add NAME" in done.stderr
    with socket.create_server(("127.0.0.2", port)):
        pass


def test_tls_with_a_key(folder: Path, ledger: Path, tmp_path: Path) -> None:
    cert, private = _certificate(tmp_path)
    ann = add_key(ledger, "ann")
    with server(folder, ledger, "--host", "127.0.0.2", "--cert", cert, "--key-file", private) as running:
        assert running.url.startswith("https://127.0.0.2:")
        context = ssl.create_default_context(cafile=cert)
        with httpx.Client(verify=context, timeout=WAIT_S) as client:
            assert client.get(f"{running.url}/models").status_code == 401
            body = {**BODY, "model": running.model, "max_tokens": 3}
            answer = client.post(f"{running.url}/chat/completions", json=body, headers={"x-api-key": ann})
            assert answer.json()["usage"]["completion_tokens"] == 3
        with pytest.raises(httpx.HTTPError):
            httpx.get(running.url.replace("https", "http") + "/models")
        told = running.stop()
    assert "unencrypted" not in told and ann not in told and "Traceback" not in told


def test_without_tls_it_says_so(folder: Path, ledger: Path) -> None:
    ann = add_key(ledger, "ann")
    with server(folder, ledger, "--host", "127.0.0.2") as running:
        assert running.ask().status_code == 401 and running.ask(ann).status_code == 200
        assert httpx.get(f"{running.url}/models", headers={"Host": "any.name", "x-api-key": ann}).status_code == 200
        assert "unencrypted" in running.log.read_text() and "api_key=KEY" in running.log.read_text()


def _certificate(place: Path, *flags: str) -> tuple[Path, Path]:
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificate, is not installed")
    cert, private = place / "cert.pem", place / "key.pem"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2"]
    made += ["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.2", "-out", str(cert), "-keyout", str(private)]
    subprocess.run([*made, *(flags or ["-nodes"])], check=True, capture_output=True)
    return cert, private


def test_keys_of_certificates_that_cannot_be_used(ledger: Path, tmp_path: Path) -> None:
    cert, _ = _certificate(tmp_path)
    (tmp_path / "other").mkdir()
    _, other = _certificate(tmp_path / "other")
    (tmp_path / "locked").mkdir()
    _, locked = _certificate(tmp_path / "locked", "-passout", "pass:geheim")
    for file, told in ((other, "mismatch"), (locked, "is encrypted"), (cert, "--key-file")):
        done = moonlet(ledger, "serve", "--cert", cert, "--key-file", file)
        assert done.returncode == 2 and told in done.stderr and done.stderr.count("\n") == 1, done.stderr


# Servers that die, and disks that are full.


def _stopped_at_work(process: int, ledger: Path) -> bool:
    """Stops the process; whether two requests are under way in it then. If not, it goes on. One of them could be in the
    middle of being closed: written, and not yet seen by others, but found when the journal is read again."""
    os.kill(process, signal.SIGSTOP)
    os.waitid(os.P_PID, process, os.WSTOPPED | os.WNOWAIT)
    with closing(sqlite3.connect(ledger)) as books:
        if books.execute("SELECT COUNT(*) FROM requests WHERE state = 'running'").fetchone()[0] > 1:
            return True
    os.kill(process, signal.SIGCONT)
    return False


def test_kill_9_under_load_loses_only_what_was_in_flight(folder: Path, ledger: Path) -> None:
    ann = add_key(ledger, "ann", "--concurrent", 6)
    answered: list[str] = []
    lock = threading.Lock()
    with server(folder, ledger, "--require-key") as running:

        def client(number: int) -> None:
            while True:
                try:
                    answer = running.ask(ann, max_tokens=8)
                except httpx.HTTPError:
                    return
                assert answer.status_code == 200, answer.text
                with lock:
                    answered.append(answer.json()["id"])

        with ThreadPoolExecutor(6) as pool:
            clients = [pool.submit(client, number) for number in range(6)]
            _wait_for(lambda: len(answered) >= 25)
            _wait_for(lambda: _stopped_at_work(running.process.pid, ledger))
            running.process.kill()
            for one in clients:
                one.result()
    with server(folder, ledger, "--require-key") as again:
        assert "marked lost" in again.log.read_text()
        states = [row["state"] for row in rows(ledger)]
        assert 1 <= states.count("lost") <= 6 and set(states) <= {"done", "lost"}
        assert states.count("done") >= len(answered) > 24, "what was answered is in the books"
        with ThreadPoolExecutor(6) as pool:  # nothing that was lost holds the key back
            assert {answer.status_code for answer in pool.map(lambda _: again.ask(ann), range(6))} == {200}
        again.stop()
    assert [row["state"] for row in rows(ledger)].count("done") == states.count("done") + 6


def test_a_full_disk_under_a_real_server(folder: Path, ledger: Path) -> None:
    ann, watcher = add_key(ledger, "ann", "--tokens-per-day", "1m"), add_key(ledger, "watcher", "--scopes", "admin")
    with server(folder, ledger, "--require-key", "--prefixes", "1G") as running:

        def lost() -> float:
            url = running.url.removesuffix("/v1") + "/metrics"
            page = httpx.get(url, headers={"x-api-key": watcher}, timeout=WAIT_S).text
            (line,) = (line for line in page.splitlines() if line.startswith("moonlet_prefix_pages_lost_total{"))
            return float(line.split()[-1])

        before = [running.ask(ann).json() for _ in range(3)]
        hard = resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (1024, hard))  # no file may grow beyond
        long = [{"role": "user", "content": "hello " * 200}]  # enough pages to be kept
        late = [running.ask(ann, messages=long) for _ in range(4)]
        assert [answer.status_code for answer in late] == [200] * 4
        _wait_for(lambda: lost() > 0)
        assert len(rows(ledger)) == len(before)
        resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
        assert running.ask(ann).status_code == 200
        _wait_for(lambda: [row["state"] for row in rows(ledger)] == ["done"] * 8)
        told = running.stop()
    assert "not all conversations are kept on disk" in told and "ledger" in told, "it says what it could not keep"


def test_two_servers_share_a_ledger_and_its_limits(folder: Path, ledger: Path) -> None:
    ann = add_key(ledger, "ann", "--concurrent", 3)
    with server(folder, ledger, "--require-key") as one, server(folder, ledger, "--require-key") as two:
        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit((one, two)[n % 2].ask, ann, max_tokens=3000, stop="no such text") for n in range(8)]
            codes = [future.result().status_code for future in asked]
        assert codes.count(429) + codes.count(200) == 8 and codes.count(200) >= 3
        most = 0
        for row in (taken := [row for row in rows(ledger) if row["state"] == "done"]):
            most = max(most, sum(other["started"] <= row["started"] < other["ended"] for other in taken))
        assert most <= 3 and len(taken) == codes.count(200)


# Articles.

_WRITES = """
import os, sys
from pathlib import Path
from moonlet.chat.messages import Message
from moonlet.cli import article_jobs, main
from moonlet.server.article_jobs import Outcome

def make(order):
    while not (Path(os.environ["MOONLET_HOME"]) / "enough").exists():
        if order.stopped():
            raise RuntimeError("stopped")
        list(order.llm.reply([Message("user", "hello")]))
        order.tell("write", 1, 2)
    return Outcome("Boats", 100, "written", "en", ())

article_jobs.maker = lambda *_: make
sys.exit(main(sys.argv[1:]))
"""


def test_an_article_under_way_goes_on_with_the_next_server(folder: Path, ledger: Path) -> None:
    pytest.importorskip("av", reason="moonlet[article] is not installed")
    pytest.importorskip("faster_whisper", reason="moonlet[article] is not installed")
    writes = {"program": ("-c", _WRITES)}
    with server(folder, ledger, "--articles", **writes) as running:
        asked = httpx.post(f"{running.url}/articles", content=b"film", headers={"content-type": "video/mp4"})
        place = f"/articles/{asked.raise_for_status().json()['id']}"
        _wait_for(lambda: httpx.get(running.url + place).json()["progress"]["stage"] == "write")
        running.stop()
    (ledger.parent / "enough").touch()
    with server(folder, ledger, "--articles", **writes) as running:
        _wait_for(lambda: httpx.get(running.url + place).json()["status"] not in ("queued", "running"))
        job = httpx.get(running.url + place).json()
        assert (job["status"], job["error"]) == ("done", None)


# The commands.


def test_keys_and_ledger_on_the_command_line(folder: Path, ledger: Path) -> None:
    ann = add_key(ledger, "ann", "--owner", "research", "--tokens-per-day", "200k", "--usd-per-month", "12.50")
    listed = moonlet(ledger, "keys", "list").stdout
    assert ann[:17] in listed and ann not in listed
    assert "200,000 tokens per day" in listed and "$12.50 per month" in listed
    told = json.loads(moonlet(ledger, "keys", "list", "--json").stdout)
    assert told[0]["limits"]["usd_per_month"] == 12.5 and told[0]["usable"]
    refused = moonlet(ledger, "serve", folder)
    assert refused.returncode == 2 and "--price" in refused.stderr
    assert moonlet(ledger, "keys", "limit", "ann", "--tokens-per-day", "none").stdout == "ann: $12.50 per month\n"
    flags = ("--price", "1/0.5/2", "--watts", 100, "--keep-prompts", "--keep", 30)
    with server(folder, ledger, *flags) as running:
        assert running.ask(ann).status_code == 200 and running.ask(ann, stream=True).status_code == 200
        assert "word for word" in running.stop()
    table = moonlet(ledger, "ledger").stdout
    assert "ann" in table and "~" in table and "modelled from declared watts" in table
    sums = json.loads(moonlet(ledger, "ledger", "--by", "owner", "--since", "1h", "--json").stdout)
    (line,) = sums["lines"]
    assert (line["name"], line["requests"], line["done"], line["output_tokens"]) == ("research", 2, 2, 16)
    cost = (line["prompt_tokens"] - line["cached_tokens"]) * 1 + line["cached_tokens"] * 0.5 + 16 * 2
    assert line["usd"] == pytest.approx(cost / 1e6) and line["joules_modelled"] > 0
    csv = moonlet(ledger, "ledger", "--rows", "--csv", "--prompts").stdout.splitlines()
    assert len(csv) == 3 and csv[0].endswith(",usd,price,engine,overflow,asked") and '""content"": ""hello""' in csv[1]
    assert len(rows(ledger)) == 2
    assert moonlet(ledger, "ledger", "--prune", "1").stdout.startswith("0 requests")
    assert "no requests" in moonlet(ledger, "ledger", "--until", "2020-01-01").stderr
    assert moonlet(ledger, "keys", "revoke", "ann").returncode == 0
    assert not json.loads(moonlet(ledger, "keys", "list", "--json").stdout)[0]["usable"]
