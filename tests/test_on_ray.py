"""Work on a Ray cluster, where Ray is installed, is that of one machine. bench/ray_nodes.py loses one of two nodes."""

from __future__ import annotations

import builtins
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from foreign import Foreign, called, said
from moonlet.chat.messages import Message
from moonlet.cli import main
from moonlet.ledger import keys, report
from moonlet.ledger.database import open_database
from moonlet.llm import BusyError
from moonlet.llm.remote import Remote
from moonlet.on_ray import RayPool
from moonlet.simulate.keys import suite
from moonlet.simulate.parallel import Players, rollouts
from postgres import postgres

WITHOUT = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed (moonlet[ray])")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """One of this machine alone, which no other program finds."""
    import ray

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    here = str(Path(__file__).parent)
    paths = os.pathsep.join([here, os.environ.get("PYTHONPATH", "")])
    ray.init(
        address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="WARNING",
        runtime_env={"env_vars": {"PYTHONPATH": paths}}, object_store_memory=80 << 20,
    )  # fmt: skip
    yield
    ray.shutdown()


def without(monkeypatch: pytest.MonkeyPatch) -> None:
    importing = builtins.__import__

    def no_ray(name: str, *rest: Any, **more: Any) -> Any:
        if name == "ray":
            raise ImportError
        return importing(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", no_ray)


@pytest.mark.parametrize(
    "words",
    [
        ("simulate", "solution", "-n", "1", "--ray"),
        ("eval", "tools", "http://127.0.0.1:9/v1", "--ray", "--record", "r.jsonl"),
        ("plan", "kimi-k2-thinking", "--machine", "8x-h200", "--sweep", "10", "--ray"),
    ],
    ids=lambda words: words[0],
)
def test_without_ray_it_is_one_line(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    without(monkeypatch)
    monkeypatch.setattr(Remote, "models", lambda self, timeout_s=1.0: ["k2"])
    assert main(list(words)) == 2
    error = capsys.readouterr().err
    assert "ray is not installed: pip install 'moonlet[ray]'" in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("simulate", "nano", "--ray"), "--ray needs an endpoint"),
        (("eval", "tools", "nano", "--ray"), "--ray needs endpoints"),
        (("plan", "kimi-k2-thinking", "--ray"), "--sweep"),
        (("serve", "nano", "--ray", "1-2"), "name those with --engine URL"),
        (("serve", "k2", "--engine", "http://127.0.0.1:9", "--ray", "2", "--a2a"), "--a2a is not for fronts that come"),
        (("serve", "k2", "--engine", "http://127.0.0.1:9", "--ray", "2"), "fronts share a ledger"),
    ],
)
def test_what_cannot_be_sent_is_not(words: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(list(words)) == 2
    assert told in capsys.readouterr().err


def test_a_connection_travels_as_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAR_KEY", "geheim")
    with Foreign(lambda body: said("here")) as engine:
        kind, place = Remote(engine.url, None, "FAR_KEY").__reduce__()
        assert place[:3] == (engine.url, "k2", "FAR_KEY") and "geheim" not in str(place)
        *_, done = kind(*place).reply([Message("user", "Hello")])
        assert done.message.content == "here" and engine.headers[0]["Authorization"] == "Bearer geheim"  # type: ignore[union-attr]


# ---- with it ----


@WITHOUT
def test_a_pool_gives_results_and_mistakes_back(cluster: None) -> None:
    with RayPool() as pool:
        assert pool.size == 2
        assert list(pool.map(pow, range(20), [2] * 20)) == [one * one for one in range(20)]
        with pytest.raises(BusyError) as caught:  # no wrapping of Ray's, and its numbers are there
            pool.submit(_busy).result()
        assert caught.value.retry_s == 7.5
        begun = time.monotonic()
        slow = [pool.submit(time.sleep, 60) for _ in range(4)]
        pool.shutdown(cancel_futures=True)
        assert all(one.cancelled() for one in slow) and time.monotonic() - begun < 30


def _busy() -> None:
    raise BusyError("not now", 7.5)


@WITHOUT
def test_what_ray_tells_of_its_machines_is_no_result(cluster: None, capsys: pytest.CaptureFixture[str]) -> None:
    """Results go to stdout, and `--json > FILE` must hold nothing else when a machine is lost."""
    with RayPool():
        worker: Any = sys.modules["ray._private.worker"]
        worker.print_to_stdstream({"lines": ["it is gone"], "pid": "raylet", "is_err": False}, ignore_prefix=False)
    told = capsys.readouterr()
    assert not told.out and "it is gone" in told.err


@WITHOUT
def test_rollouts_are_those_of_this_machine(cluster: None) -> None:
    keys = suite(6, seed=3)
    far, here = rollouts(keys, Players(), ray=True), rollouts(keys, Players(), workers=1)
    assert [replace(one, seconds=0.0).line() for one in far] == [replace(one, seconds=0.0).line() for one in here]


@WITHOUT
def test_an_eval_is_that_of_this_machine(cluster: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def reply(body: dict[str, Any]) -> Any:
        tools = body.get("tools") or ()
        return called((tools[0]["function"]["name"], "{}")) if tools else said("I do not know.")

    told = []
    with Foreign(reply) as engine:
        for words in ([], ["--ray"]):
            record = tmp_path / f"{len(told)}.jsonl"
            asked = ["eval", "tools", engine.url, "-n", "2", "--limit", "12", "--json", "--record", str(record)]
            assert main([*asked, *words]) == 0
            told.append((json.loads(capsys.readouterr().out), sorted(record.read_text().splitlines())))
    assert told[0] == told[1] and len(told[0][1]) > 12


@WITHOUT
def test_a_sweep_is_that_of_this_machine(cluster: None, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["plan", "kimi-k2-thinking", "--machine", "8x-h200", "--sweep", "2,5", "--json"]
    told = []
    for more in ([], ["--ray"]):
        assert main([*words, *more]) == 0
        told.append(json.loads(capsys.readouterr().out))
    assert told[0] == told[1] and [day["developers"] for day in told[0]["sweep"]] == [2, 5]


@WITHOUT
@pytest.mark.slow
def test_fronts_on_ray_keep_one_ledger(tmp_path: Path) -> None:
    pytest.importorskip("ray.serve", reason="Ray Serve is not installed (moonlet[ray])")
    with postgres() as ledger, Foreign(lambda body: said("far away")) as engine:
        with closing(open_database(ledger)) as database:
            ann = keys.add(database, "ann")[1]
        with socket.create_server(("127.0.0.1", 0)) as bound:
            root = f"http://127.0.0.1:{bound.getsockname()[1]}"
        words = [
            "serve",
            "k2",
            "--engine",
            engine.url,
            "--require-key",
            "--ray",
            "2",
            "--port",
            root.rpartition(":")[2],
        ]
        env = {**os.environ, "MOONLET_LEDGER": ledger, "MOONLET_HOME": str(tmp_path), "RAY_ADDRESS": "local"}
        fronts = subprocess.Popen([sys.executable, "-m", "moonlet", *words], env=env, stdout=subprocess.PIPE, text=True)
        try:
            assert fronts.stdout is not None and "2 to 2 fronts answer" in next(
                line for line in fronts.stdout if "answer" in line
            )
            body = {"model": "k2", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9}
            with httpx.Client(headers={"Authorization": f"Bearer {ann}"}, timeout=60) as client:
                assert httpx.post(f"{root}/v1/chat/completions", json=body).status_code == 401
                for stream in (False, True) * 10:
                    told = client.post(f"{root}/v1/chat/completions", json={**body, "stream": stream}).text
                    assert ("far away" in told) != stream and told.endswith("data: [DONE]\n\n") == stream
        finally:
            fronts.send_signal(signal.SIGINT)
            assert fronts.wait(60) == 0
        with closing(open_database(ledger)) as database:
            rows = list(report.rows(database))
        assert [row["state"] for row in rows] == ["done"] * 20
        with closing(open_database(ledger)) as database, database.reading() as connection:
            assert len(connection.run("SELECT DISTINCT server FROM requests")) == 2
