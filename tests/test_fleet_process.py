"""Servers of engines that are started here: their flags, their start, their death, and that none is left behind."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from moonlet.cli import main
from moonlet.fleet.launch import PlanError, Shape, command, read_plan, shown, thinks
from moonlet.fleet.process import EngineDiedError, EngineProcess, reason, wait_started

pytestmark = pytest.mark.long

FAKE = Path(__file__).parent / "fake_engine.py"


def wait_for(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether a process runs: one that only waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# ---- flags ----


def test_a_plan_becomes_the_flags_of_each_engine() -> None:
    shape = Shape(tensor=8, expert_parallel=True, context=65536, sequences=32)
    vllm = shown(command("vllm", "moonshotai/Kimi-K2-Thinking", "kimi", shape, "127.0.0.1", "8001"))
    assert vllm == {
        "--tensor-parallel-size": "8", "--pipeline-parallel-size": "1", "--enable-expert-parallel": None,
        "--max-model-len": "65536", "--max-num-seqs": "32", "--trust-remote-code": None, "--port": "8001",
        "--enable-auto-tool-choice": None, "--tool-strict-level": "parameter",
            "--structured-outputs-config.backend": "xgrammar",
            "--structured-outputs-config.disable_any_whitespace": "true",
            "--tool-call-parser": "kimi_k2", "--reasoning-parser": "kimi_k2",
        "--served-model-name": "kimi", "--host": "127.0.0.1", "--enable-prompt-tokens-details": None,
    }  # fmt: skip
    sglang = shown(command("sglang", "moonshotai/Kimi-K2-Instruct", "kimi", shape, "127.0.0.1", "8001"))
    assert sglang["--tp-size"] == sglang["--ep-size"] == "8" and sglang["--context-length"] == "65536"
    assert "--enable-cache-report" in sglang  # without it neither says what was cached, which has a price of its own
    assert "--reasoning-parser" not in sglang  # a parser of thoughts eats the words of a model that has none
    two = Shape(tensor=8, pipeline=2)
    nodes = shown(command("vllm", "k", "k", two, "0.0.0.0", "8000", "1", "lead"))
    assert (nodes["--nnodes"], nodes["--node-rank"], nodes["--master-addr"]) == ("2", "1", "lead")
    found = shown(command("vllm", "Kimi-K2-Instruct", "kimi", Shape(tensor=8, pipeline=2), "127.0.0.1", "8001"))
    assert found["--distributed-executor-backend"] == "ray" and "--nnodes" not in found  # where nobody names a leader
    assert shown(command("sglang", "k", "k", two, "0.0.0.0", "8000", "1", "lead"))["--dist-init-addr"] == "lead:20000"


def test_who_thinks_is_told_by_name_or_template(tmp_path: Path) -> None:
    assert thinks("moonshotai/Kimi-K2-Thinking") and thinks("moonshotai/Kimi-K2.5") and not thinks("Kimi-K2-Instruct")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": "...<think>..."}))
    assert thinks(str(tmp_path))
    (tmp_path / "chat_template.jinja").write_text("no thought")  # where it is a file, the file holds
    assert not thinks(str(tmp_path))
    (tmp_path / "tokenizer_config.json").unlink()
    (tmp_path / "chat_template.jinja").write_text("{{ '<think>' }}")
    assert thinks(str(tmp_path))


def plan(capsys: pytest.CaptureFixture[str], model: str, machine: str) -> dict[str, Any]:
    assert main(["plan", model, "--machine", machine, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_plan_says_how_a_model_lies_on_cards(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    one = plan(capsys, "kimi-k2-thinking", "8x-h200")["cluster"]  # 1,128 GB of cards hold 594 GB of weights
    assert (one["tensor"], one["pipeline"], one["machines"]) == (8, 1, 1)
    several = plan(capsys, "kimi-k2-instruct", "8x-h100")["cluster"]  # 640 GB do not hold 1 TB
    assert (several["tensor"], several["pipeline"], several["machines"]) == (8, 2, 2)
    assert plan(capsys, "kimi-k2-thinking", "epyc-768gb")["cluster"] is None
    file = tmp_path / "plan.json"
    file.write_text(json.dumps({"model": {"name": "k2"}, "cluster": several}))
    assert read_plan(file) == ("k2", Shape(8, 2, several["expert_parallel"], several["context"], None,
                                           several["replicas"]))  # fmt: skip


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "is no JSON"),
        ("[]", "is no plan"),
        ('{"model": {"name": "k"}}', "is no plan"),
        ('{"model": {"name": "k"}, "cluster": null}', "has no cards"),
        ('{"model": {"name": "k"}, "cluster": {"tensor": 0}}', "tensor must be"),
        ('{"model": {"name": "k"}, "cluster": {"tensor": "8"}}', "tensor must be"),
    ],
)
def test_what_is_no_plan_is_said(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(PlanError, match=told):
        read_plan(tmp_path / "plan.json")


# ---- the process ----


@pytest.mark.parametrize(
    ("log", "told"),
    [
        (
            ["a", "torch.OutOfMemoryError: CUDA out of memory. Tried", "[rank0]: bye"],
            "torch.OutOfMemoryError: CUDA out",
        ),
        (['  File "x.py", line 1', "ValueError: no room", "    ^^^^"], "ValueError: no room"),
        (["vllm: error: unrecognized arguments: --x"], "vllm: error: unrecognized arguments: --x"),
        (["(EngineCore_0 pid=7) ERROR 11-28 10:00:00 [core.py:1] RuntimeError: x"], "RuntimeError: x"),
        (["WARNING 11-28 10:00:00 [cpu.py:1] libiomp is not found", "INFO: GET /health 200 OK"], "INFO: GET"),
        (["just gone", ""], "just gone"),
        ([], "it said nothing"),
    ],
)
def test_the_reason_is_one_line_of_the_log(log: list[str], told: str) -> None:
    assert reason(log).startswith(told)


def test_an_engine_that_cannot_start_is_given_up_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_DIES", "ValueError: the model has no room")
    ended: list[str] = []
    process = EngineProcess("vllm", [sys.executable, str(FAKE)], ended.append, pause_s=0.01)
    with pytest.raises(EngineDiedError, match=r"vllm ended \(code 1\): ValueError: the model has no room"):
        wait_started(process, lambda: False, print, 60)
    process.stop()
    assert len(ended) == process.starts == 2


@pytest.mark.parametrize(("wanted", "expected"), [(None, "1"), ("0", "0")])
def test_an_engine_tells_nobody_what_it_is_used_for(
    wanted: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VLLM_NO_USAGE_STATS", raising=False)
    if wanted is not None:
        monkeypatch.setenv("VLLM_NO_USAGE_STATS", wanted)
    ended: list[str] = []
    said = "import os; print(os.environ['VLLM_NO_USAGE_STATS'])"
    process = EngineProcess("vllm", [sys.executable, "-c", said], ended.append, pause_s=60)
    wait_for(lambda: bool(ended))
    process.stop()
    assert ended == [f"vllm ended (code 0): {expected}"]


def test_no_engine_outlives_whoever_started_it() -> None:
    """Also when that is killed: the engine's workers would keep the cards."""
    code = (
        "import sys, time\nfrom moonlet.fleet.process import EngineProcess\n"
        "e = EngineProcess('e', sys.argv[1:], print, stop_s=2)\n"
        "while 'pids' not in e.last_line: time.sleep(0.01)\n"
        "print(e.last_line, flush=True)\ntime.sleep(60)"
    )
    engine = (
        "import os, subprocess, sys, time\n"
        "w = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print('pids', os.getpid(), w.pid, flush=True)\ntime.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, sys.executable, "-c", engine], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    pids = [int(pid) for pid in holder.stdout.readline().split()[1:]]
    assert len(pids) == 2 and all(map(alive, pids))
    holder.kill()
    holder.wait()
    wait_for(lambda: not any(map(alive, pids)))


@contextmanager
def served(home: Path, *words: str, **environment: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`moonlet serve kimi --engine vllm`, where that is the fake."""
    bin = home / "bin"
    bin.mkdir(exist_ok=True)
    (bin / "vllm").write_text(f'#!/bin/sh\nshift\nexec {sys.executable} {FAKE} "$@"\n')
    (bin / "vllm").chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
    command = [sys.executable, "-m", "moonlet", "serve", "kimi", "--engine", "vllm", "--port", str(port), *words]
    path = f"{bin}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "MOONLET_HOME": str(home), **environment}
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
    try:
        yield f"http://127.0.0.1:{port}", server
    finally:
        server.kill()
        server.wait()


def ask(url: str, text: str) -> httpx.Response:
    body = {"model": "kimi", "messages": [{"role": "user", "content": text}]}
    return httpx.post(f"{url}/v1/chat/completions", json=body, timeout=60)


def healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").status_code == 200
    except httpx.HTTPError:
        return False


def test_serve_starts_supervises_and_stops_an_engine(tmp_path: Path) -> None:
    file, args = tmp_path / "plan.json", tmp_path / "args.json"
    file.write_text(json.dumps({"model": {"name": "k2"}, "cluster": {"tensor": 4, "context": 8192}}))
    with served(tmp_path, "--plan", str(file), FAKE_ARGS=str(args), FAKE_LOAD_S="0.2") as (url, server):
        wait_for(lambda: healthy(url))
        flags = shown(json.loads(args.read_text()))
        assert (flags["--tensor-parallel-size"], flags["--max-model-len"]) == ("4", "8192")
        assert flags["--host"] == "127.0.0.1" and flags["--served-model-name"] == "kimi"
        pids = [int(pid) for pid in ask(url, "pids").json()["choices"][0]["message"]["content"].split()]
        failed = ask(url, "die")  # nothing was sent yet, and no other engine is there
        assert failed.status_code == 500
        wait_for(lambda: not alive(pids[1]))  # what it left behind
        wait_for(lambda: healthy(url))
        again = [int(pid) for pid in ask(url, "pids").json()["choices"][0]["message"]["content"].split()]
        assert again[0] != pids[0]
        metrics = httpx.get(f"{url}/metrics").text
        assert 'moonlet_engine_restarts_total{model_name="kimi",engine="vllm"} 1' in metrics
        server.send_signal(signal.SIGINT)
        assert server.wait(60) == 0
        assert not any(map(alive, again))
        assert server.stderr is not None and "Traceback" not in (told := server.stderr.read())
        assert "vllm ended (killed by signal 9)" in told


def test_serve_says_in_one_line_why_its_engine_does_not_start(tmp_path: Path) -> None:
    with served(tmp_path, FAKE_DIES="ValueError: the model has no room") as (_, server):
        assert server.wait(90) == 2 and server.stderr is not None
        last = server.stderr.read().strip().splitlines()[-1]
        assert re.fullmatch(r"moonlet: vllm ended \(code 1\): ValueError: the model has no room", last)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--engine", "vllm"], "name the model"),
        (["kimi", "--engine", "vllm"], "no program 'vllm'"),
        (["kimi", "--engine", "vllm", "--engine", "sglang"], "one engine is started here"),
        (["kimi", "--engine", "tensorrt"], "an engine is a URL"),
        (["kimi", "--engine", "http://127.0.0.1:9", "--plan", "x"], "--plan is for"),
        (["kimi", "--plan", "x"], "--plan says how another engine is started"),
        (["kimi", "--engine", "http://127.0.0.1:9", "--memory", "8G"], "--memory is of moonlet's own engine"),
        (["--engine", "http://127.0.0.1:9"], "cannot connect"),
    ],
)
def test_what_does_not_go_together_is_one_line(
    words: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MOONLET_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["serve", "--port", "0", *words]) == 2
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1
