"""The first time that a model is served it is tried by itself: after the server answers, behind its users, and once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from moonlet.cli.trial import Trial
from moonlet.evals import kept, short
from moonlet.llm import PLAIN, ReplyOptions
from moonlet.local import load

WAIT_S = 120.0


@contextmanager
def served(home: Path, *flags: str) -> Iterator[tuple[str, Path, subprocess.Popen[bytes]]]:
    """`moonlet serve` of the small model: its URL and where its output lies."""
    log = home / f"log-{time.monotonic_ns()}"
    command = [sys.executable, "-m", "moonlet", "serve", "nano", "--port", "0", *flags]
    env = {**os.environ, "MOONLET_HOME": str(home), "MOONLET_LEDGER": str(home / "ledger.db")}
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out, env=env) as server:
        try:
            until(log, "  tools: ")
            yield log.read_text().split(" answers at ")[1].split()[0], log, server
        finally:
            server.kill()


def until(log: Path, words: str) -> str:
    end = time.monotonic() + WAIT_S
    while words not in log.read_text():
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.02)
    return log.read_text()


@pytest.mark.long
def test_a_model_is_tried_when_it_is_first_served(tmp_path: Path) -> None:
    with served(tmp_path) as (url, log, server):
        assert "tools: tried now for the first time" in log.read_text()
        body = {"model": "nano", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 8}
        assert httpx.post(f"{url}/chat/completions", json=body, timeout=WAIT_S).status_code == 200
        line = until(log, "tools: calls when").splitlines()[-1].strip()
        assert f"{short.TOOL} " in line and f"{short.REFUSED} " in line and "no time" not in line
        server.send_signal(signal.SIGINT)
        assert server.wait(WAIT_S) == 0 and "Traceback" not in log.read_text()
    (found,) = (json.loads(file.read_text()) for file in (tmp_path / "tools").iterdir())
    assert found["asked"] == found["of"] == 24 and f"tools: {kept.line(found)}" == line
    with served(tmp_path) as (_, log, server):
        assert line in log.read_text() and "tried now" not in log.read_text()


def test_unless_it_is_not_wanted(tmp_path: Path) -> None:
    with served(tmp_path, "--no-trial") as (_, log, _):
        assert "not tried yet; `moonlet doctor --tools nano`" in log.read_text()
    assert not (tmp_path / "tools").exists()


def tried(lines: list[str], seconds: float, monkeypatch: pytest.MonkeyPatch) -> list[ReplyOptions]:
    """How the small model was asked by a trial that had so many seconds; none: it is closed at once."""
    with load("nano", cache_tokens=4096, threads=1) as model:
        asked: list[ReplyOptions] = []
        reply = model.reply

        def listened(messages, tools=(), options=PLAIN):  # type: ignore[no-untyped-def]
            asked.append(options)
            return reply(messages, tools, options)

        monkeypatch.setattr(model, "reply", listened)
        trial = Trial(model, lines.append, seconds)
        if seconds < 0:
            trial.close()
        trial.join()
    return asked


def test_users_go_first_and_time_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOONLET_HOME", str(tmp_path))
    lines: list[str] = []
    (asked,) = tried(lines, 0.0, monkeypatch)
    assert asked.priority == "batch" and asked.max_tokens == short.REPLY_TOKENS
    assert lines and lines[0].endswith("(1 of 24 questions: there was no time for more)")


def test_a_server_that_is_stopped_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOONLET_HOME", str(tmp_path))
    lines: list[str] = []
    assert len(tried(lines, -1.0, monkeypatch)) <= 1
    assert not lines and not (tmp_path / "tools").exists()
