"""What a front adds to a request and to a token: the same engine asked directly and through `moonlet serve --engine`.

    python -m bench.front [--requests 400] [--streams 64] [--rate 25] [--ledger postgresql://...]

The engine is moonlet's server with prepared replies, in a process of its own, so that its time is the same both ways;
the front keeps its books and asks for a key, as one that a team uses.

- Requests one after another, unstreamed, in turn to the engine and to the front: the milliseconds added to the median
  and to the 99th of a hundred. What the engine's own two halves differ by is told as the noise.
- So many streams at once at a usual pace. A word says when it was written (the clock is the machine's, the same in all
  processes), so each token has a delay until it is with its client: the milliseconds that a front adds to it.

Run it on a quiet machine with a core for each of the three processes, or it measures their queue.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx

from bench.fleet import START_S, Part, free_port, front_of, until
from moonlet.chat.messages import Message, Text, ToolSpec
from moonlet.ledger import keys
from moonlet.ledger.database import open_database
from moonlet.llm import PLAIN, Done, Event, ReplyOptions, Usage

WARM = 20  # requests before any is counted
WORDS = 60  # of a streamed reply, a token each
ROUNDS = 3  # of streams, to the engine and the front in turn
BOUNDS = {"added_p50_ms": 3.0, "added_p99_ms": 15.0, "added_ms_a_token": 1.0}


class Stamped:
    """Answers with so many words, each the time at which it is written; a number in the last message says how many."""

    name = "kimi"

    def __init__(self, rate: float) -> None:
        self._pause_s = 1 / rate

    def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = (), options: ReplyOptions = PLAIN
    ) -> Iterator[Event]:
        count, words = int(messages[-1].content), []
        due = time.monotonic()
        for _ in range(count):
            if count > 1:
                due += self._pause_s
                time.sleep(max(due - time.monotonic(), 0))
            words.append(f"{time.monotonic_ns()} ")
            yield Text(words[-1])
        yield Done(Message("assistant", "".join(words)), "stop", Usage(1, output_tokens=count))


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.front")
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--rate", type=float, default=25.0, help="tokens a second of each stream")
    parser.add_argument("--ledger", help="a postgresql:// URL (default: SQLite in a folder of its own)")
    parser.add_argument("--engine", type=int, metavar="PORT", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.engine:
        serve_stamped(asked.engine, asked.rate)
        return 0
    with tempfile.TemporaryDirectory() as home:
        ledger = asked.ledger or str(Path(home) / "ledger.sqlite")
        with closing(open_database(ledger)) as database:
            key = keys.add(database, f"bench-{os.getpid()}")[1]
        engine = _engine(home, asked.rate)
        front = front_of("front", home, ledger, [engine], "--require-key")
        told = _measured(engine, front, key, asked)
    told["holds"] = {name: told[name] < bound for name, bound in BOUNDS.items()}
    print(json.dumps(told, indent=1))
    return 0


def _engine(home: str, rate: float) -> Part:
    port = free_port()
    command = [sys.executable, "-m", "bench.front", "--engine", str(port), "--rate", str(rate)]
    return Part("engine", command, {**os.environ, "MOONLET_HOME": home}, port)


def serve_stamped(port: int, rate: float) -> None:
    """An engine, until it is killed."""
    import uvicorn

    from moonlet.server.app import create_app

    uvicorn.run(create_app(Stamped(rate)), host="127.0.0.1", port=port, log_level="error", access_log=False)


def _measured(engine: Part, front: Part, key: str, asked: argparse.Namespace) -> dict[str, Any]:
    parts = [engine, front]
    try:
        for part in parts:
            part.start()
        until(lambda: all(part.answers() for part in parts), START_S)
        request_s = _cpu_s(front)
        whole = _in_turn(engine, front, key, asked.requests)
        request_s = (_cpu_s(front) - request_s) / (WARM + asked.requests)
        spent, began = _cpu_s(front), time.monotonic()
        rounds = [(_delays(engine, key, asked), _delays(front, key, asked)) for _ in range(ROUNDS)]
        spent, seconds = _cpu_s(front) - spent, time.monotonic() - began
        tokens = ROUNDS * asked.streams * WORDS
    finally:
        for part in parts:
            if part.process is not None:
                part.kill()
    own, through = _quantiles(whole["engine"]), _quantiles(whole["front"])
    halves = [statistics.median(whole["engine"][first::2]) for first in (0, 1)]
    added = [1000 * (statistics.median(theirs) - statistics.median(ours)) for ours, theirs in rounds]
    late = [1000 * (_quantiles(theirs)[98] - _quantiles(ours)[98]) for ours, theirs in rounds]
    return {
        "requests": asked.requests,
        "engine_p50_ms": round(1000 * own[49], 2),
        "added_p50_ms": round(1000 * (through[49] - own[49]), 2),
        "added_p99_ms": round(1000 * (through[98] - own[98]), 2),
        "noise_p50_ms": round(1000 * abs(halves[0] - halves[1]), 2),
        "streams": asked.streams,
        "engine_delay_ms": round(1000 * statistics.median(statistics.median(ours) for ours, _ in rounds), 3),
        "added_ms_a_token": round(statistics.median(added), 3),
        "added_ms_a_token_by_round": [round(one, 3) for one in added],
        "added_p99_ms_a_token": round(statistics.median(late), 3),
        "front_cpu_ms_a_request": round(1000 * request_s, 2),
        "front_cpu_us_a_token": round(1e6 * spent / tokens, 1),
        "front_busy": round(2 * spent / seconds, 2),  # half of the rounds' time is the engine's alone
        "load": round(os.getloadavg()[0], 1),
        "cores": os.cpu_count(),
    }


def _quantiles(values: Sequence[float]) -> list[float]:
    return statistics.quantiles(values, n=100)


def _cpu_s(part: Part) -> float:
    """Seconds of a processor that its process has taken."""
    assert part.process is not None
    fields = Path(f"/proc/{part.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _body(words: int, stream: bool) -> dict[str, object]:
    return {"model": "kimi", "messages": [{"role": "user", "content": str(words)}], "stream": stream}


def _in_turn(engine: Part, front: Part, key: str, count: int) -> dict[str, list[float]]:
    """Seconds of each request of one word."""
    took: dict[str, list[float]] = {"engine": [], "front": []}
    with httpx.Client(timeout=30, headers={"Authorization": f"Bearer {key}"}) as client:
        for number in range(WARM + count):
            for part in (engine, front):
                begun = time.perf_counter()
                client.post(
                    f"http://127.0.0.1:{part.port}/v1/chat/completions", json=_body(1, False)
                ).raise_for_status()
                if number >= WARM:
                    took[part.name].append(time.perf_counter() - begun)
    return took


def _delays(part: Part, key: str, asked: argparse.Namespace) -> list[float]:
    """Seconds from the writing of each token to its coming, of all streams but for their first few."""

    async def all_of_them() -> list[list[float]]:
        return await asyncio.gather(*(one(number) for number in range(asked.streams)))

    async def one(number: int) -> list[float]:
        await asyncio.sleep(number / asked.streams / asked.rate)  # they do not write in step
        reader, writer = await asyncio.open_connection("127.0.0.1", part.port)
        body = json.dumps(_body(WORDS, True)).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        found, last = [], b""
        while line := await reader.readline():
            last = line.strip() or last
            mark = line.find(b'"content":"')
            if mark >= 0 and (stamp := line[mark + 11 :].partition(b" ")[0]).isdigit():
                found.append((time.monotonic_ns() - int(stamp)) / 1e9)
        writer.close()
        assert len(found) == WORDS, f"{len(found)} of {WORDS} words came, and last {last!r}"
        return found[5:]

    return [delay for delays in asyncio.run(all_of_them()) for delay in delays]


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    sys.exit(main())
