"""Two fronts before two engines on one ledger, each of them killed in turn: is anything lost, booked twice, overrun?

    python -m bench.fleet postgresql://... [--requests 10000] [--clients 32] [--every 3] [--out FILE]

The fronts are `moonlet serve --engine`, the engines moonlet's server with prepared replies; all are processes of their
own. Every few seconds one of the four is killed (SIGKILL) and started again. Clients hold conversations: each request
sends the last one's messages and one more. One that fails is asked again, by the other front. At the end the ledger is
held against what clients saw:

- every request that a client saw answered is one row, and there are no rows of requests that nobody made;
- no id occurs twice, and nothing is left `running` once the dead fronts' rows are marked lost;
- what the keys used is the sum of their rows, and more than their limit by one request of each front at most.

Told besides: what share of the prompts' characters met an engine that knew them.

Exit code 1 if one of them does not hold.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from moonlet.chat.messages import Message, Text, ToolSpec
from moonlet.ledger import keys, report
from moonlet.ledger.books import Books
from moonlet.ledger.database import Database, open_database
from moonlet.ledger.keys import Limits
from moonlet.ledger.quota import day
from moonlet.llm import PLAIN, Done, Event, ReplyOptions, Usage

WORDS = 12  # of a reply, a token each
PAUSE_S = 0.002  # between them
TURNS = 6  # of a conversation
MOST = 64  # tokens of a reply, as it is asked for
START_S = 300.0  # that a part may take to come up, on a machine with other things to do
LIMITED = 40_000  # tokens a day of the key that meets its limit


class Prepared:
    """Answers with a few words, and counts a word of the prompt as a token."""

    name = "kimi"

    def __init__(self, pause_s: float) -> None:
        self._pause_s = pause_s

    def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = (), options: ReplyOptions = PLAIN
    ) -> Iterator[Event]:
        prompt = sum(len(message.content.split()) for message in messages)
        for number in range(WORDS):
            time.sleep(self._pause_s)
            yield Text(f"word{number} ")
        text = "".join(f"word{number} " for number in range(WORDS))
        yield Done(Message("assistant", text), "stop", Usage(prompt, output_tokens=WORDS))


@dataclass(slots=True)
class Part:
    """A front or an engine: a process that can be killed and started again on its port."""

    name: str
    command: list[str]
    env: dict[str, str]
    port: int
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, env=self.env, stdout=subprocess.DEVNULL)

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def answers(self) -> bool:
        with suppress(httpx.HTTPError):
            return httpx.get(f"http://127.0.0.1:{self.port}/health", timeout=2).status_code == 200
        return False


@dataclass(slots=True)
class Seen:
    """What clients saw."""

    answered: Counter[str] = field(default_factory=Counter)  # by key
    refused: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)  # before or after their first word; asked again
    lock: threading.Lock = field(default_factory=threading.Lock)
    left: int = 0  # requests still to be made


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.fleet")
    parser.add_argument("ledger", nargs="?")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--every", type=float, default=3.0, metavar="S", help="between kills")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--engine", type=int, metavar="PORT", help=argparse.SUPPRESS)
    parser.add_argument("--pause", type=float, default=PAUSE_S, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.engine:
        serve_prepared(asked.engine, asked.pause)
        return 0
    if not asked.ledger:
        parser.error("name the ledger, a postgresql:// URL")
    told = run(asked.ledger, asked.requests, asked.clients, asked.every)
    print(json.dumps(told, indent=1))
    if asked.out:
        asked.out.write_text(json.dumps(told, indent=1) + "\n")
    return 0 if all(told["holds"].values()) else 1


def serve_prepared(port: int, pause_s: float) -> None:
    """An engine, until it is killed."""
    import uvicorn

    from moonlet.server.app import create_app

    uvicorn.run(create_app(Prepared(pause_s)), host="127.0.0.1", port=port, log_level="error", access_log=False)


def run(ledger: str, requests: int, clients: int, every_s: float) -> dict[str, Any]:
    """The figures, and under `holds` what of them is as it must be."""
    with closing(open_database(ledger)) as database, tempfile.TemporaryDirectory() as home:
        secrets = {name: keys.add(database, name)[1] for name in ("ann", "ben")}
        secrets["cho"] = keys.add(database, "cho", limits=Limits(tokens_per_day=LIMITED))[1]
        watcher = keys.add(database, "watcher", scopes=("admin",))[1]
        parts = _parts(ledger, home)
        try:
            for part in parts:
                part.start()
            until(lambda: all(part.answers() for part in parts), START_S)
            seen = Seen(left=requests)
            began = time.monotonic()
            kills, prefix = _under_fire(parts, seen, secrets, clients, every_s, watcher)
            seconds = time.monotonic() - began
            until(lambda: all(part.answers() for part in parts), START_S)
        finally:
            for part in parts:
                if part.process is not None:
                    part.kill()
        with closing(Books(open_database(ledger))):  # marks what the killed fronts left open
            pass
        return _told(database, seen, kills, prefix) | {"seconds": round(seconds, 1)}


def _parts(ledger: str, home: str) -> list[Part]:
    engines = [prepared_engine(f"engine{number}", home) for number in range(2)]
    return [*engines, *(front_of(f"front{number}", home, ledger, engines, "--require-key") for number in range(2))]


def prepared_engine(name: str, home: str, pause_s: float = PAUSE_S) -> Part:
    """moonlet's server with prepared replies."""
    port = free_port()
    command = [sys.executable, "-m", "bench.fleet", "--engine", str(port), "--pause", str(pause_s)]
    return Part(name, command, {**os.environ, "MOONLET_HOME": home}, port)


def front_of(name: str, home: str, ledger: str, engines: Sequence[Part], *flags: str) -> Part:
    """A front before them."""
    port = free_port()
    words = ["serve", "kimi", "--port", str(port), "--price", "1/1/1", *flags]
    for part in engines:
        words += ["--engine", f"http://127.0.0.1:{part.port}/v1,name={part.name}"]
    env = {**os.environ, "MOONLET_LEDGER": ledger, "MOONLET_HOME": home}
    return Part(name, [sys.executable, "-m", "moonlet", *words], env, port)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port: int = bound.getsockname()[1]
        return port


def until(condition: Callable[[], bool], seconds: float) -> None:
    """Raises TimeoutError."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("a part did not come up")
        time.sleep(0.02)


def _under_fire(
    parts: Sequence[Part], seen: Seen, secrets: dict[str, str], clients: int, every_s: float, watcher: str
) -> tuple[Counter[str], Counter[str]]:
    """Clients at work while one part after another is killed; how often each was, and what the fronts counted of
    prefixes before they were."""
    fronts = [part for part in parts if part.name.startswith("front")]
    names = list(secrets)
    threads = [
        threading.Thread(target=_client, args=(number, fronts, seen, names[number % len(names)], secrets), daemon=True)
        for number in range(clients)
    ]
    for thread in threads:
        thread.start()
    kills: Counter[str] = Counter()
    prefix: Counter[str] = Counter()
    turn = 0
    while any(thread.is_alive() for thread in threads):
        threads[0].join(every_s)
        if not any(thread.is_alive() for thread in threads):
            break
        part = parts[turn % len(parts)]
        turn += 1
        prefix += _prefixes(part, watcher)
        part.kill()
        kills[part.name] += 1
        part.start()
        until(part.answers, START_S)
    for front in fronts:
        prefix += _prefixes(front, watcher)
    return kills, prefix


def _prefixes(part: Part, watcher: str) -> Counter[str]:
    if not part.name.startswith("front"):
        return Counter()
    headers = {"Authorization": f"Bearer {watcher}"}
    with suppress(httpx.HTTPError):
        text = httpx.get(f"http://127.0.0.1:{part.port}/metrics", headers=headers, timeout=5).text
        return Counter({
            of: int(line.rpartition(" ")[2])
            for line in text.splitlines() for of in ("all", "known")
            if line.startswith("moonlet_engine_prefix_characters_total") and f'of="{of}"' in line
        })  # fmt: skip
    return Counter()


def _client(number: int, fronts: Sequence[Part], seen: Seen, key: str, secrets: dict[str, str]) -> None:
    chance = random.Random(number)
    front, messages = number % len(fronts), list[dict[str, str]]()
    with httpx.Client(headers={"Authorization": f"Bearer {secrets[key]}"}, timeout=20) as client:
        while True:
            with seen.lock:
                if seen.left <= 0:
                    return
                seen.left -= 1
            if len(messages) >= 2 * TURNS:
                messages = []
            messages.append({"role": "user", "content": " ".join(str(chance.random()) for _ in range(20))})
            body = {"model": "kimi", "messages": messages, "stream": chance.random() < 0.5, "max_tokens": MOST}
            while (text := _ask(client, fronts[front].port, body, seen, key)) is None:
                front = (front + 1) % len(fronts)
                time.sleep(0.02)
            messages = [*messages, {"role": "assistant", "content": text}] if text else []


def _ask(client: httpx.Client, port: int, body: dict[str, Any], seen: Seen, key: str) -> str | None:
    """The reply's text; empty if the key's limit did not allow it; None if it failed."""
    try:
        answer = client.post(f"http://127.0.0.1:{port}/v1/chat/completions", json=body)
        text = _text(answer) if answer.status_code == 200 else None
    except httpx.HTTPError:
        answer, text = None, None
    with seen.lock:
        if answer is not None and answer.status_code == 429:
            seen.refused[key] += 1
            return ""
        (seen.failed if text is None else seen.answered)[key] += 1
    return text


def _text(answer: httpx.Response) -> str | None:
    """Of a whole reply; None of one that broke off."""
    if "event-stream" not in answer.headers["content-type"]:
        return str(answer.json()["choices"][0]["message"]["content"])
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]
    if lines[-1:] != ["[DONE]"]:
        return None
    choices = [choice for line in lines[:-1] for choice in json.loads(line)["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def _told(database: Database, seen: Seen, kills: Counter[str], prefix: Counter[str]) -> dict[str, Any]:
    rows = list(report.rows(database))
    states = {key: Counter(row["state"] for row in rows if row["key_name"] == key) for key in ("ann", "ben", "cho")}
    used = Counter[str]()
    for row in rows:
        if row["state"] != "lost":
            used[row["key_name"]] += (row["prompt_tokens"] or 0) + (row["output_tokens"] or 0)
    names, today = {key.id: key.name for key in keys.all_keys(database)}, day(time.time())
    with database.reading() as connection:
        spent = {
            names[id]: tokens
            for id, tokens in connection.run("SELECT key_id, tokens FROM spent WHERE period = ?", (today,))
            if id in names
        }
    done = {key: states[key]["done"] for key in states}
    largest = max((row["prompt_tokens"] or 0 for row in rows), default=0) + MOST
    all_answered = sum(seen.answered.values())
    return {
        "answered": all_answered,
        "failed_and_asked_again": sum(seen.failed.values()),
        "refused_by_quota": sum(seen.refused.values()),
        "rows": dict(sum(states.values(), Counter())),
        "kills": dict(kills),
        "prefix_share": round(prefix["known"] / prefix["all"], 3) if prefix["all"] else None,
        "holds": {
            # A front may be killed after its reply and before its row: then a row is `lost` though the client has it.
            "every answer is a row": all(
                seen.answered[key] <= done[key] + states[key]["lost"] for key in states
            ),
            "no row is of no request": len(rows) <= all_answered + sum(seen.failed.values()),
            "no row is written twice": len({row["id"] for row in rows}) == len(rows),
            "nothing is left running": not any(count["running"] for count in states.values()),
            "what is spent is the sum of the rows": all(spent.get(key, 0) == used[key] for key in states),
            "no limit is exceeded by more than a request a front": used["cho"] <= LIMITED + 2 * largest,
        },
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
