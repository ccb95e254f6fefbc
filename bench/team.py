"""A team on one server: 64 streaming clients with 8 keys for 10 minutes, some of which leave in the middle.

    python -m bench.team [MODEL] [--minutes 10] [--clients 64] [--out FILE]

Says whether every request was answered, whether memory stayed flat (2 %), whether the keys got shares by their weights
(10 %), and whether what was left is freed: nothing runs or waits any more, and what was left early was not written to
its end. Exit code 1 if one of them does not hold. MODEL: the small one by default. `--out` keeps the figures as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from moonlet.ledger import keys, report
from moonlet.ledger.database import Database, open_database

WEIGHTS = (2.0, 2.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5)  # of the keys
LEAVES = 0.1  # of the requests, by a client that has read enough
SAMPLE_S = 2.0
WORDS = "the weather in Oslo tomorrow and what is on the calendar of Ann after lunch on Friday".split()  # noqa: SIM905


@dataclass(slots=True)
class Seen:
    """What the clients and the watch saw."""

    answered: Counter[str] = field(default_factory=Counter)  # whole streams, by key
    left: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    first_s: list[float] = field(default_factory=list)
    resident: list[tuple[float, int]] = field(default_factory=list)  # time, bytes


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.team")
    parser.add_argument("model", nargs="?", default="nano")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, closing(open_database(Path(home) / "ledger.sqlite")) as database:
        secrets = {f"key{i}": keys.add(database, f"key{i}", weight=w)[1] for i, w in enumerate(WEIGHTS)}
        watcher = keys.add(database, "watcher", scopes=("admin",))[1]
        env = {**os.environ, "MOONLET_HOME": home, "MOONLET_LEDGER": database.name}
        command = [sys.executable, "-m", "moonlet", "serve", "--no-trial", asked.model, "--port", "0", "--require-key"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as server:
            assert server.stdout is not None
            try:
                line = server.stdout.readline()
                name, url = line.split(" answers at ")[0], line.split(" answers at ")[1].split()[0]
                began = time.time()
                seen = asyncio.run(_load(url, name, secrets, asked.clients, asked.minutes * 60, server.pid))
                time.sleep(2)  # what was left ends within a step
                under_way = _under_way(url, watcher)
                told = _report(seen, database, began, asked.minutes * 60, under_way)
            finally:
                server.terminate()
    if asked.out:
        asked.out.write_text(json.dumps({"model": name, "clients": asked.clients, **told}, indent=1) + "\n")
    return 0 if all(told["holds"].values()) else 1


async def _load(url: str, name: str, secrets: dict[str, str], clients: int, seconds: float, pid: int) -> Seen:
    seen, until = Seen(), time.monotonic() + seconds
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=clients)
    async with httpx.AsyncClient(base_url=url, timeout=600, limits=limits) as http, asyncio.TaskGroup() as group:
        group.create_task(_watch(seen, pid, until))
        for number in range(clients):
            key = f"key{number % len(secrets)}"
            group.create_task(_client(seen, http, name, key, secrets[key], until, random.Random(number)))
    return seen


async def _client(
    seen: Seen, http: httpx.AsyncClient, name: str, key: str, secret: str, until: float, chance: random.Random
) -> None:
    headers = {"Authorization": f"Bearer {secret}"}
    while time.monotonic() < until:
        prompt = " ".join(chance.choices(WORDS, k=chance.choice((5, 20, 100, 400))))
        body = {"model": name, "messages": [{"role": "user", "content": prompt}], "temperature": 1, "stream": True}
        body |= {"max_tokens": chance.choice((20, 60, 200)), "seed": chance.randrange(1 << 30)}
        enough = chance.randrange(1, 10) if chance.random() < LEAVES else None
        try:
            await _one(seen, http, key, headers, body, enough)
        except (httpx.HTTPError, ValueError, KeyError) as error:
            seen.errors.append(f"{type(error).__name__}: {error}")


async def _one(
    seen: Seen, http: httpx.AsyncClient, key: str, headers: dict[str, str], body: dict[str, object], enough: int | None
) -> None:
    began, chunks, whole = time.monotonic(), 0, False
    async with http.stream("POST", "/chat/completions", json=body, headers=headers) as answer:
        if answer.status_code != 200:
            raise ValueError(f"{answer.status_code} {(await answer.aread())[:200]!r}")
        async for line in answer.aiter_lines():
            if line.startswith("data: {"):
                chunk = json.loads(line[6:])
                if "error" in chunk:
                    raise ValueError(chunk["error"]["message"])
                chunks += 1
                if chunks == 2:  # the first one only names the role
                    seen.first_s.append(time.monotonic() - began)
            whole = whole or line == "data: [DONE]"
            if enough is not None and chunks > enough:
                seen.left[key] += 1
                return
    if not whole:
        raise ValueError("a stream without its end")
    seen.answered[key] += 1


async def _watch(seen: Seen, pid: int, until: float) -> None:
    page = os.sysconf("SC_PAGE_SIZE")
    while time.monotonic() < until:
        resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page
        seen.resident.append((time.monotonic(), resident))
        await asyncio.sleep(SAMPLE_S)


def _under_way(url: str, secret: str) -> float:
    """Requests that run or wait, as the server's metrics have it."""
    page = httpx.get(url.removesuffix("/v1") + "/metrics", headers={"x-api-key": secret}, timeout=60)
    page.raise_for_status()
    counts = [line.split()[-1] for line in page.text.splitlines() if line.startswith("moonlet_num_requests_")]
    assert len(counts) == 2, page.text
    return sum(map(float, counts))


def _report(seen: Seen, database: Database, began: float, seconds: float, under_way: float) -> dict[str, Any]:
    lines = report.sums(database, "key")
    states = {state: sum(getattr(line, state) for line in lines) for state in ("done", "cancelled", "error", "running")}
    left = seen.left.total()
    print(
        f"{seconds / 60:g} minutes, {states}, {left} left, {len(seen.errors)} errors at the clients: {seen.errors[:3]}"
    )
    print(f"first token: median {statistics.median(seen.first_s):.2f} s, worst {max(seen.first_s):.2f} s")
    early, late = _memory(seen.resident)
    off = _unfair(database, began, seconds)
    # A short reply may be complete before its client has left it.
    freed = states["running"] == under_way == 0 and left / 2 <= states["cancelled"] <= left
    holds = {
        "no error": not seen.errors and not states["error"],
        "memory flat": late <= early * 1.02,
        "fair": off <= 0.1,
        "freed": freed,
    }
    print(" · ".join(f"{name}: {'holds' if it else 'DOES NOT HOLD'}" for name, it in holds.items()))
    return {
        "minutes": seconds / 60,
        "requests": states,
        "left": left,
        "errors": len(seen.errors),
        "output_tokens": sum(line.output_tokens for line in lines),
        "prompt_tokens": sum(line.prompt_tokens for line in lines),
        "cached_tokens": sum(line.cached_tokens for line in lines),
        "memory_bytes": {"second sixth": early, "last sixth": late},
        "share_off_at_most": round(off, 4),
        "under_way_at_the_end": under_way,
        "holds": holds,
    }


def _memory(resident: list[tuple[float, int]]) -> tuple[float, float]:
    """Resident bytes in the second sixth and in the last: caches fill in the first."""
    sixth = max(len(resident) // 6, 1)
    parts = resident[sixth : 2 * sixth], resident[-sixth:]
    early, late = (statistics.median(size for _, size in part) for part in parts)
    print(f"memory: {early / 1e6:,.0f} MB, at the end {late / 1e6:,.0f} MB ({late / early - 1:+.1%})")
    return early, late


def _unfair(database: Database, began: float, seconds: float) -> float:
    """How far a key's share of the computed tokens was off its weight's, at most; all had requests waiting."""
    got: Counter[str] = Counter()
    for row in report.rows(database, began, began + seconds * 0.95):
        got[row["key_name"]] += (row["prompt_tokens"] or 0) - (row["cached_tokens"] or 0) + (row["output_tokens"] or 0)
    whole, weights = sum(got.values()), sum(WEIGHTS)
    worst = 0.0
    for number, weight in enumerate(WEIGHTS):
        share, due = got[f"key{number}"] / whole, weight / weights
        worst = max(worst, abs(share / due - 1))
        print(f"  key{number}: weight {weight:g}, {share:.1%} of the tokens, {due:.1%} due")
    return worst


if __name__ == "__main__":
    sys.exit(main())
