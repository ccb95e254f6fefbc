"""A real vLLM behind `moonlet serve --engine vllm`: clients, log probabilities, and what happens when it is killed.

    python -m bench.real_vllm [CHECKPOINT] [--environment FOLDER] [--minutes 10] [--only STEP]

CHECKPOINT is a folder in the public layout; without it, it is the small model (`bench.small_public`). FOLDER is where
vLLM is installed, an environment of its own; else its `vllm` must be on PATH. Steps:

- `suite`: the client suite (`bench.foreign_suite`) through the front;
- `logits`: the engine, as it is served, computes what ours does (`bench.same_logits`);
- `killed`: its server is killed while one request has been sent nothing and another is under way. With no other engine
  the first fails with what happened; a second front, which has moonlet's own engine beside this one, answers it from
  there; what was under way ends with an error in its stream. It is started again, and answers;
- `core`: the same engine's inner process is killed: it is started again too.

Exit code 1 if a step fails.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from bench import foreign_suite, same_logits, small_public
from bench.fleet import Part

SECOND = "second"  # the name of moonlet's own engine


@dataclass(frozen=True, slots=True)
class Scene:
    """What runs."""

    front: Part  # started the engine
    both: Part  # a front before that engine and moonlet's own
    model: str
    checkpoint: Path
    seconds: float  # to load

    @property
    def url(self) -> str:
        """Of the front."""
        return f"http://127.0.0.1:{self.front.port}/v1"

    @property
    def engine(self) -> str:
        """The URL at which the engine itself listens."""
        words = Path(f"/proc/{self.server}/cmdline").read_bytes().decode().split("\0")
        return f"http://127.0.0.1:{words[words.index('--port') + 1]}/v1"

    @property
    def server(self) -> int:
        """The process that listens."""
        return self._process(lambda words: any(word.endswith("/vllm") for word in words) and "serve" in words)

    @property
    def core(self) -> int:
        """The process that computes."""
        return self._process(lambda words: "EngineCore" in words[0])

    def _process(self, fits: Callable[[list[str]], bool]) -> int:
        assert self.front.process is not None
        for pid in _below(self.front.process.pid):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
            if "moonlet.fleet.leash" not in words and fits(words):
                return pid
        raise AssertionError("no such process of vLLM was found")


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.real_vllm")
    parser.add_argument("checkpoint", type=Path, nargs="?")
    parser.add_argument("--environment", type=Path, metavar="FOLDER", help="where vLLM is installed")
    parser.add_argument("--minutes", type=float, default=10.0, help="to load")
    parser.add_argument("--only", choices=STEPS, action="append")
    asked = parser.parse_args()
    failed = []
    with tempfile.TemporaryDirectory() as home:
        same_logits.in_place(asked.environment, Path(home))
        checkpoint = asked.checkpoint or small_public.write(Path(home) / "small")
        with _running(checkpoint, Path(home), asked.minutes * 60) as scene:
            for name in asked.only or STEPS:
                begun = time.monotonic()
                try:
                    STEPS[name](scene)
                    print(f"{name}: holds, {time.monotonic() - begun:.1f} s", flush=True)
                except Exception:
                    failed.append(name)
                    print(f"{name}: FAILS\n{traceback.format_exc()}", flush=True)
    return 1 if failed else 0


@contextmanager
def _running(checkpoint: Path, home: Path, seconds: float) -> Iterator[Scene]:
    served = small_public.for_vllm_on_cpu(checkpoint, home / "served")
    front = _part("front", home, str(served), "--engine", "vllm")
    own = _part("own", home, "nano", "--threads", "1", "--no-trial")
    both = _part("both", home, served.name)
    scene = Scene(front, both, served.name, checkpoint, seconds)
    parts = [front, own, both]
    try:
        front.start()
        _until(lambda: front.answers() or _ended(front), seconds)
        assert not _ended(front), "moonlet gave up on the engine"
        both.command += ["--engine", f"{scene.engine},name=vllm"]
        both.command += ["--engine", f"http://127.0.0.1:{own.port}/v1,name={SECOND}"]
        own.start()
        both.start()
        _until(lambda: own.answers() and both.answers(), 120)
        yield scene
    finally:
        for part in parts:
            if part.process is not None and part.process.poll() is None:
                part.process.send_signal(signal.SIGINT)
        for part in parts:
            if part.process is not None:
                part.process.wait(90)


def _until(condition: Callable[[], bool], seconds: float) -> None:
    """Looks twice a second: the engine needs the processor."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.5)


def _ended(part: Part) -> bool:
    return part.process is not None and part.process.poll() is not None


def _part(name: str, home: Path, *words: str) -> Part:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
    env = {**os.environ, "MOONLET_LEDGER": str(home / f"{name}.sqlite")}
    return Part(name, [sys.executable, "-m", "moonlet", "serve", *words, "--port", str(port)], env, port)


def _suite(scene: Scene) -> None:
    assert foreign_suite.run(scene.url, scene.model)


def _logits(scene: Scene) -> None:
    assert same_logits.judged(scene.checkpoint, scene.engine, scene.model, "bfloat16")


def _killed(scene: Scene) -> None:
    _until(scene.both.answers, 60)
    pid, found = scene.server, dict[str, httpx.Response]()
    stream = _Stream(scene)
    stream.begun.wait(120)
    os.kill(pid, signal.SIGSTOP)  # it takes what it is sent, and says nothing

    def ask(name: str, part: Part) -> None:
        found[name] = _ask(part, scene.model, f"Hello {name}!")

    asking = [threading.Thread(target=ask, args=(name, getattr(scene, name))) for name in ("front", "both")]
    for one in asking:
        one.start()
    time.sleep(1.0)
    assert not found, found
    os.kill(pid, signal.SIGKILL)
    for one in [*asking, stream.thread]:
        one.join(120)
    alone, beside = found["front"], found["both"]
    print(f"  alone: {alone.status_code} {alone.text[:300]}\n  under way: {stream.last[:300]}")
    assert alone.status_code == 500 and alone.json()["error"]["message"], alone.text
    assert beside.status_code == 200 and beside.headers["x-moonlet-engine"] == SECOND, (beside.text, beside.headers)
    assert '"error"' in stream.last and "[DONE]" not in stream.last, stream.last
    _comes_back(scene, pid)


def _core(scene: Scene) -> None:
    pid = scene.server
    os.kill(scene.core, signal.SIGKILL)
    answer = _ask(scene.front, scene.model, "Are you there?")
    print(f"  after the core was killed: {answer.status_code} {answer.text[:300]}")
    assert answer.status_code in (500, 503) and answer.json()["error"]["message"], answer.text
    _comes_back(scene, pid)


STEPS: dict[str, Callable[[Scene], None]] = {"suite": _suite, "logits": _logits, "killed": _killed, "core": _core}


def _comes_back(scene: Scene, pid: int) -> None:
    _until(lambda: not scene.front.answers(), 60)
    _until(scene.front.answers, scene.seconds)
    assert scene.server != pid
    assert _ask(scene.front, scene.model, "Hello!").status_code == 200
    metrics = httpx.get(f"http://127.0.0.1:{scene.front.port}/metrics", timeout=10).text
    print("  " + next(line for line in metrics.splitlines() if line.startswith("moonlet_engine_restarts_total")))


class _Stream:
    """A long reply under way."""

    def __init__(self, scene: Scene) -> None:
        self.begun, self.last = threading.Event(), ""
        self._body = _body(scene.model, "Count.") | {"stream": True, "max_tokens": 3000, "temperature": 2.0}
        self._body["logit_bias"] = {"4066": -100}  # the small model's end
        self._url = f"{scene.url}/chat/completions"
        self.thread = threading.Thread(target=self._read)
        self.thread.start()

    def _read(self) -> None:
        with httpx.stream("POST", self._url, json=self._body, timeout=600) as answer:
            for number, line in enumerate(answer.iter_lines()):
                self.last = line if line.strip() else self.last
                if number > 10:
                    self.begun.set()


def _body(model: str, text: str) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 30}


def _ask(part: Part, model: str, text: str) -> httpx.Response:
    return httpx.post(f"http://127.0.0.1:{part.port}/v1/chat/completions", json=_body(model, text), timeout=600)


def _below(pid: int) -> Iterator[int]:
    """The processes that a process has started, and those that they have."""
    told = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout
    for child in map(int, told.split()):
        yield child
        yield from _below(child)


if __name__ == "__main__":
    sys.exit(main())
