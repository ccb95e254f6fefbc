"""A real vLLM behind `moonlet serve --engine vllm`: it answers, calls a tool, is killed, and is there again.

    python -m bench.real_vllm CHECKPOINT [--minutes 10]

CHECKPOINT is a folder in the public layout that vLLM takes (such as an export of the small model). vLLM must be
installed in this environment, or its `vllm` be the first on PATH. Exit code 1 if a step fails.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from bench.fleet import Part, until

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a place",
        "parameters": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
    },
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.real_vllm")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--minutes", type=float, default=10.0, help="to load")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        port = 8765
        words = ["serve", str(asked.checkpoint), "--engine", "vllm", "--port", str(port)]
        env = {**os.environ, "MOONLET_HOME": home}
        part = Part("front", [sys.executable, "-m", "moonlet", *words], env, port)
        part.start()
        try:
            until(part.answers, asked.minutes * 60)
            for step in (_answers, _streams, _calls, _comes_back):
                begun = time.monotonic()
                step(part, asked.checkpoint.name, asked.minutes * 60)
                print(f"{step.__name__.strip('_').replace('_', ' ')}: {time.monotonic() - begun:.1f} s", flush=True)
        except (AssertionError, TimeoutError, httpx.HTTPError) as error:
            print(f"failed: {error}")
            return 1
        finally:
            assert part.process is not None
            part.process.send_signal(signal.SIGINT)
            part.process.wait(90)
    return 0


def _ask(part: Part, model: str, text: str, **more: Any) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 100, **more}
    return httpx.post(f"http://127.0.0.1:{part.port}/v1/chat/completions", json=body, timeout=600)


def _answers(part: Part, model: str, _: float) -> None:
    answer = _ask(part, model, "Hello!", temperature=0)
    assert answer.status_code == 200, answer.text
    usage = answer.json()["usage"]
    assert usage["prompt_tokens"] > 0 and usage["completion_tokens"] > 0, usage


def _streams(part: Part, model: str, _: float) -> None:
    whole = _ask(part, model, "Hello!", temperature=0).json()["choices"][0]["message"]["content"]
    lines = _ask(part, model, "Hello!", temperature=0, stream=True).text.splitlines()
    chunks = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
    text = "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
    assert text == (whole or ""), (text, whole)


def _calls(part: Part, model: str, _: float) -> None:
    answer = _ask(part, model, "What is the weather in Oslo?", tools=[TOOL], tool_choice="required", temperature=0)
    assert answer.status_code == 200, answer.text
    call = answer.json()["choices"][0]["message"]["tool_calls"][0]
    assert "place" in json.loads(call["function"]["arguments"]), call
    assert call["id"] == "functions.get_weather:0", call


def _comes_back(part: Part, model: str, seconds: float) -> None:
    assert part.process is not None
    for pid in _below(part.process.pid):
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if any(word.endswith(b"vllm") for word in command) and b"moonlet.fleet.leash" not in command:
            os.kill(pid, signal.SIGKILL)
            break
    else:
        raise AssertionError("no process of vLLM was found")
    until(lambda: not part.answers(), 30)
    until(part.answers, seconds)
    assert _ask(part, model, "Hello!").status_code == 200


def _below(pid: int) -> Iterator[int]:
    """The processes that a process has started, and those that they have."""
    told = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout
    for child in map(int, told.split()):
        yield child
        yield from _below(child)


if __name__ == "__main__":
    sys.exit(main())
