"""What a front adds to a request: the same engine asked directly and through `moonlet serve --engine`.

    python -m bench.front [--requests 400] [--streams 64]

The engine is moonlet's server with prepared replies, in a process of its own, so that its time is the same both ways.
One request after another for the milliseconds added to each (p50, p99), then so many streams at once for those added to
a token. Run it on a quiet machine with a core for each of the three processes, or it measures their queue.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx

from bench.fleet import WORDS, Part, front_of, prepared_engine, until

WARM = 20  # requests before any is counted


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.front")
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--streams", type=int, default=64)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        engine = prepared_engine("engine", home, pause_s=0.0)
        front = front_of("front", home, str(Path(home) / "ledger.sqlite"), [engine])
        parts = [engine, front]
        try:
            for part in parts:
                part.start()
            until(lambda: all(part.answers() for part in parts), 60)
            whole = {part.name: _one_by_one(part, asked.requests) for part in parts}
            streams = {part.name: _at_once(part, asked.streams) for part in parts}
        finally:
            for part in parts:
                part.kill()
    added = [statistics.quantiles(whole["front"], n=100)[at] - statistics.quantiles(whole["engine"], n=100)[at]
             for at in (49, 98)]  # fmt: skip
    told = {
        "requests": asked.requests,
        "added_p50_ms": round(1000 * added[0], 2),
        "added_p99_ms": round(1000 * added[1], 2),
        "streams": asked.streams,
        "added_ms_a_token": round(1000 * (streams["front"] - streams["engine"]), 3),
    }
    print(json.dumps(told, indent=1))
    return 0


def _body(stream: bool) -> dict[str, object]:
    return {"model": "kimi", "messages": [{"role": "user", "content": "Hello"}], "stream": stream, "max_tokens": 64}


def _one_by_one(part: Part, count: int) -> list[float]:
    """Seconds of each request."""
    took = []
    with httpx.Client(timeout=30) as client:
        for number in range(WARM + count):
            begun = time.perf_counter()
            client.post(f"http://127.0.0.1:{part.port}/v1/chat/completions", json=_body(False)).raise_for_status()
            if number >= WARM:
                took.append(time.perf_counter() - begun)
    return took


def _at_once(part: Part, streams: int) -> float:
    """Median seconds of a token, with so many streams."""
    took: list[float] = []

    def read() -> None:
        with httpx.Client(timeout=60) as client:
            begun = time.perf_counter()
            client.post(f"http://127.0.0.1:{part.port}/v1/chat/completions", json=_body(True)).raise_for_status()
            took.append((time.perf_counter() - begun) / WORDS)

    threads = [threading.Thread(target=read) for _ in range(streams)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statistics.median(took)


if __name__ == "__main__":
    sys.exit(main())
