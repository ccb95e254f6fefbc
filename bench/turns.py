"""What the next turn of a long agent conversation costs: time to its first token as a share of the first turn's.

    python -m bench.turns [FOLDER] [--tokens 20000] [--talks 3] [--out FILE]

A real `moonlet serve` with `--prefixes` is asked for the first turn of so many tokens, for a second one, and, after it
was stopped and started again, for a third. Tokens that were computed are told beside the times. Without FOLDER it is
the small model with a longer context than it was trained for: its answers are worth nothing then, its times are those
of a model of its size. Each figure is the median over the talks.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx

import moonlet

WORDS = "the build fails because a test of the parser reads a file that is not there any more and says so".split()  # noqa: SIM905
TAIL = 125  # words that each turn adds, about 300 tokens of the small model
TURNS = ("first", "second", "after a restart")
# A client that is kept, as an agent's is: making one reads the certificates of all authorities, which takes 20 ms.
CLIENT = httpx.Client(timeout=3600, verify=False)


def main() -> int:
    asked = flags("bench.turns", talks=3)
    with tempfile.TemporaryDirectory() as home:
        folder = asked.folder or longer(Path(home) / "long", asked.tokens * 2)
        found = measure(folder, Path(home), asked.tokens, asked.talks)
    holds = report(found)
    if asked.out:
        asked.out.write_text(json.dumps(found, indent=1) + "\n")
    return 0 if holds else 1


def flags(prog: str, **counted: int) -> argparse.Namespace:
    """What was asked for: a folder, tokens, a file, and a number by each of these names."""
    parser = argparse.ArgumentParser(prog=prog)
    parser.add_argument("folder", nargs="?", type=Path)
    for name, usual in {**counted, "tokens": 20_000}.items():
        parser.add_argument(f"--{name}", type=int, default=usual)
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def longer(folder: Path, positions: int) -> Path:
    """The small model with room for so many positions."""
    source = Path(moonlet.__file__).parent / "nano"
    shutil.copytree(source, folder)
    config = json.loads((folder / "config.json").read_text()) | {"max_position_embeddings": positions}
    text = json.dumps(config).encode()
    (folder / "config.json").write_bytes(text)
    meta = json.loads((folder / "moonlet.json").read_text())
    meta["files"]["config.json"] = {"bytes": len(text), "sha256": sha256(text).hexdigest()}
    meta["golden"] = None
    (folder / "moonlet.json").write_text(json.dumps(meta))
    return folder


def measure(folder: Path, home: Path, tokens: int, talks: int) -> list[dict[str, Any]]:
    """A row for each talk and turn."""
    found, talking = [], [[{"role": "user", "content": ""}] for _ in range(talks)]
    room = ["--cache-tokens", str(tokens * (talks + 1)), "--prefixes", "64G"]
    with serving(folder, home, room) as (url, name):
        ask(url, name, [{"role": "user", "content": "hello"}])  # what is done once
        for number, talk in enumerate(talking):
            talk[0]["content"] = text_of(url, name, tokens, number)
            for turn in TURNS[:2]:
                found.append({"talk": number, "turn": turn, **ask(url, name, talk)})
                talk += [{"role": "assistant", "content": "I see."}, {"role": "user", "content": words(TAIL, number)}]
    with serving(folder, home, room) as (url, name):
        ask(url, name, [{"role": "user", "content": "hello"}])
        for number, talk in enumerate(talking):
            found.append({"talk": number, "turn": TURNS[2], **ask(url, name, talk)})
    return found


def words(count: int, seed: int) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=count))


def text_of(url: str, name: str, tokens: int, seed: int) -> str:
    """A text of about so many tokens of this model."""
    body = {"model": name, "messages": [{"role": "user", "content": words(1000, seed)}]}
    thousand = httpx.post(f"{url}/messages/count_tokens", json=body, timeout=60).json()["input_tokens"]
    return words(tokens * 1000 // thousand, seed)


def ask(url: str, name: str, messages: list[dict[str, str]]) -> dict[str, Any]:
    """One streamed reply: seconds to its first token, tokens of its prompt and those of them that were computed."""
    body = {"model": name, "messages": messages, "max_tokens": 2, "temperature": 0, "stream": True}
    body["stream_options"] = {"include_usage": True}
    began, first, usage = time.perf_counter(), None, {}
    with CLIENT.stream("POST", f"{url}/chat/completions", json=body) as answer:
        assert answer.status_code == 200, answer.read()
        for line in answer.iter_lines():
            if line.startswith("data: {"):
                chunk = json.loads(line[6:])
                usage = chunk.get("usage") or usage
                if first is None and speaks(chunk):
                    first = time.perf_counter() - began
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    return {"first_token_s": first, "prompt": usage["prompt_tokens"], "computed": usage["prompt_tokens"] - cached}


def speaks(chunk: dict[str, Any]) -> bool:
    """Whether a piece of a stream says something, or that nothing will be said: the first one only names the role."""
    parts = ("content", "reasoning_content", "tool_calls")
    return any(choice["finish_reason"] or any(map(choice["delta"].get, parts)) for choice in chunk["choices"])


@contextmanager
def serving(folder: Path, home: Path, flags: list[str]) -> Iterator[tuple[str, str]]:
    """URL and model of a server as a process, stopped in order."""
    command = [sys.executable, "-m", "moonlet", "serve", "--no-trial", str(folder), "--port", "0", *flags]
    environment = {**os.environ, "MOONLET_HOME": str(home)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        assert server.stdout is not None
        try:
            line = server.stdout.readline()
            yield line.split(" answers at ")[1].split()[0], line.split(" answers at ")[0]
        finally:
            server.terminate()


def report(found: list[dict[str, Any]]) -> bool:
    """True if every later turn computed its tail alone."""
    middle = {
        turn: {
            key: statistics.median(row[key] for row in found if row["turn"] == turn)
            for key in ("first_token_s", "prompt", "computed")
        }
        for turn in TURNS
    }
    for turn, row in middle.items():
        share = row["first_token_s"] / middle["first"]["first_token_s"]
        print(
            f"{turn:>16}: {row['prompt']:,.0f} tokens, {row['computed']:,.0f} computed, "
            f"first token after {row['first_token_s']:.3f} s ({share:.1%} of the first turn's)"
        )
    return all(row["computed"] < 4 * TAIL for row in found if row["turn"] != "first")


if __name__ == "__main__":
    sys.exit(main())
