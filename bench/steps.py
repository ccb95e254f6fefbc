"""What a step takes besides reading weights, and how many tokens take no step.

    python -m bench.steps [--only python,calls,long,long-int8,start] [--folder LARGE] [--json]

python   the part of a step that is not the native code's, one reply of the small model
calls    calls under a schema by the small model, greedily: their steps, and their time against that of as many tokens
         written one by one without a schema; the tokens against those that are drawn one by one under it
long     a token of Moonlight's shape behind 32,768 others, against the bytes of the cache at the memory's rate;
         long-int8: the same with --cache int8, against the bytes that bf16 takes
start    from the start of a process to the first token of LARGE, a folder that lies in the page cache; only with it

Medians of five; the memory's rate is measured beside the row that needs it. Ends with 1 if something does not hold.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench import shapes
from moonlet.chat.constrain import CallConstraint
from moonlet.chat.messages import Message, ToolSpec
from moonlet.chat.template import render
from moonlet.engine.engine import Engine, EngineOptions
from moonlet.engine.sampler import Constraint, Sampling
from moonlet.kernels import CacheFormat
from moonlet.local import find, load
from moonlet.model.folder import open_folder
from moonlet.model.layout import Formats
from moonlet.planner import measure

RUNS = 5
LONG = 32_768
LATENT_BYTES = 1152  # of the cache, for a token and a layer: (512 + 64) in bf16
LAYERS = 2  # of the shape that is written for `long`; the others are like its second

TEXT = {"type": "string", "maxLength": 24}
TOOLS = [
    ToolSpec(name, name, {"type": "object", "properties": properties, "required": list(properties)})
    for name, properties in {
        "create_ticket": {
            "title": TEXT,
            "priority": {"enum": ["low", "medium", "high", "urgent"]},
            "component": {"enum": ["frontend", "backend", "database", "infrastructure"]},
            "assignee": {
                "type": "object",
                "required": ["team", "user_id"],
                "properties": {"team": {"enum": ["platform", "product"]}, "user_id": {"type": "integer"}},
            },
            "due_date": {"type": "string", "format": "date"},
        },
        "book_flight": {
            "departure_airport": {"type": "string", "pattern": "^[A-Z]{3}$"},
            "arrival_airport": {"type": "string", "pattern": "^[A-Z]{3}$"},
            "departure_date": {"type": "string", "format": "date"},
            "cabin_class": {"enum": ["economy", "premium_economy", "business", "first"]},
            "seat_preference": {"enum": ["window", "aisle", "none"]},
        },
        "search_code": {
            "query": TEXT,
            "directory": TEXT,
            "case_sensitive": {"type": "boolean"},
            "include_tests": {"type": "boolean"},
            "sort_order": {"enum": ["relevance", "path", "modified"]},
        },
    }.items()
]
ASKED = {
    "create_ticket": "Open a ticket: checkout fails, urgent, backend, user 4711 of platform, due 2026-03-04.",
    "book_flight": "Book me from OSL to BKK on 2026-05-03, economy, window seat.",
    "search_code": "Search the code in src/shop for total_price, sorted by path.",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    found: str
    asked: str
    holds: bool
    numbers: dict[str, float]


class Clocked:
    """The native model with a clock around its step."""

    def __init__(self, native: Any) -> None:
        self._native, self.seconds = native, 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._native, name)

    def step(self, *arguments: Any) -> Any:
        begun = time.perf_counter()
        try:
            return self._native.step(*arguments)
        finally:
            self.seconds += time.perf_counter() - begun


class Unforced:
    """The same grammar for an engine that draws every token."""

    def __init__(self, whole: Constraint) -> None:
        self.mask, self.accept = whole.mask, whole.accept

    def forced(self) -> list[int]:
        return []


def python(asked: argparse.Namespace) -> Row:
    steps = 400
    with Engine(open_folder(find("nano")), EngineOptions(cache_tokens=4096), drafting=()) as engine:
        clock = Clocked(engine._network._native)
        engine._network._native = clock  # type: ignore[assignment]
        whole, native = [], []
        for run in range(RUNS + 1):
            reply = iter(engine.submit(list(range(100, 132)), Sampling(max_tokens=steps + 2, seed=run)))
            next(reply)
            begun, clock.seconds = time.perf_counter(), 0.0
            for _ in range(steps):
                next(reply)
            whole.append((time.perf_counter() - begun) / steps)
            native.append(clock.seconds / steps)
            list(reply)
    rest = statistics.median(a - b for a, b in zip(whole[1:], native[1:]))
    step = statistics.median(whole[1:])
    return Row(
        "python",
        f"{rest * 1e6:.0f} us of {step * 1e6:.0f} us a token",
        "at most 150 us, or 3 %",
        rest < max(150e-6, 0.03 * step),
        {"python_us": rest * 1e6, "token_us": step * 1e6},
    )


def calls(asked: argparse.Namespace) -> Row:
    model = load("nano", cache_tokens=8192)
    tokenizer, family = model.tokenizer, model.family
    stop = tokenizer.special("<|im_end|>")
    assert stop is not None
    sampling = Sampling(max_tokens=2000, temperature=0, stop_ids=(stop,))

    def ask(engine: Engine, name: str, drawn: bool) -> tuple[list[int], int, float]:
        grammar: Constraint = CallConstraint(tokenizer, TOOLS, name, family=family, limit=sampling.max_tokens)
        reply = engine.submit(prompts[name], sampling, Unforced(grammar) if drawn else grammar)
        written = [token.id for token in reply]
        return written, reply.stats.steps, reply.stats.decode_s

    prompts = {name: render(tokenizer, family, [Message("user", said)], TOOLS) for name, said in ASKED.items()}
    tokens = steps = 0
    same, times = True, list[float]()
    with model, Engine(model.folder, EngineOptions(cache_tokens=8192), drafting=()) as plain:
        for run in range(RUNS + 1):
            spent = alone = 0.0
            for name, prompt in prompts.items():
                ours, took, seconds = ask(model.engine, name, drawn=False)
                same &= ours == ask(plain, name, drawn=True)[0]
                free = plain.submit(prompt, Sampling(max_tokens=len(ours), temperature=0))
                assert len(list(free)) == len(ours)
                spent, alone = spent + seconds, alone + free.stats.decode_s
                if run == RUNS:
                    tokens, steps = tokens + len(ours), steps + took
            times.append(alone / spent)
    saved, faster = 1 - steps / tokens, statistics.median(times[1:])
    return Row(
        "calls",
        f"{saved:.0%} of {tokens} tokens without a step of their own, {faster:.2f} times as fast, "
        + ("the same tokens" if same else "OTHER TOKENS"),
        "35 %, 1.5 times, the same",
        same and saved >= 0.35 and faster >= 1.5,
        {"saved": saved, "faster": faster},
    )


def long(asked: argparse.Namespace, cache: CacheFormat = "bf16") -> Row:
    random_, threads = random.Random(0), len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as place:
        shapes.write(Path(place) / "m", "moonlight", Formats("int4", "int4"), num_hidden_layers=LAYERS,
                     max_position_embeddings=LONG + 1024)  # fmt: skip
        folder = open_folder(Path(place) / "m")
        with Engine(folder, EngineOptions(cache_tokens=LONG + 1024, cache=cache), drafting=()) as engine:

            def token_s(behind: int) -> float:
                seen: list[float] = []
                ids = [random_.randrange(engine.config.vocab) for _ in range(behind)]
                reply = engine.submit(
                    ids, Sampling(max_tokens=48), trace=lambda one: seen.append(one.parts_s["attention"])
                )
                list(reply)
                return statistics.median(seen[-40:]) / LAYERS

            short, far = token_s(64), token_s(LONG)
            rate = statistics.median(measure.memory_by_threads(threads, 256 << 20)[threads] for _ in range(RUNS))
    read = LONG * LATENT_BYTES / rate
    return Row(
        "long" if cache == "bf16" else "long-int8",
        f"{(far - short) * 1e3:.2f} ms a layer more than without, {(far - short) / read:.2f} times what its bytes take",
        "at most 1.25 times, with the weights' bytes",
        far - short <= 1.25 * read,
        {"layer_ms": (far - short) * 1e3, "bytes_ms": read * 1e3, "memory_gbs": rate / 1e9},
    )


FIRST = """
from pathlib import Path; import sys
from moonlet.engine.engine import Engine, EngineOptions
from moonlet.engine.sampler import Sampling
from moonlet.model.folder import open_folder
with Engine(open_folder(Path(sys.argv[1])), EngineOptions(cache_tokens=4096)) as engine:
    next(iter(engine.submit([5, 6, 7, 8], Sampling(max_tokens=1))))
    print("first", flush=True)
"""


def start(asked: argparse.Namespace) -> Row:
    size = sum(file.stat().st_size for file in asked.folder.iterdir())
    took = []
    for _ in range(RUNS + 1):
        begun = time.perf_counter()
        child = subprocess.Popen([sys.executable, "-c", FIRST, asked.folder], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        assert child.stdout.readline() == "first\n"
        took.append(time.perf_counter() - begun)
        child.wait()
    seconds = statistics.median(took[1:])  # the first brings the folder into the page cache
    return Row(
        "start",
        f"{seconds:.2f} s, {size / 1e9:.1f} GB",
        "1.5 s for 8 GB",
        seconds < 1.5,
        {"seconds": seconds, "bytes": size},
    )


PARTS: dict[str, Callable[[argparse.Namespace], Row]] = {
    "python": python,
    "calls": calls,
    "long": long,
    "long-int8": partial(long, cache="int8"),
    "start": start,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.steps")
    parser.add_argument("--only", help="of " + ", ".join(PARTS))
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    names = asked.only.split(",") if asked.only else [name for name in PARTS if name != "start" or asked.folder]
    if unknown := [name for name in names if name not in PARTS]:
        parser.error(f"no such part: {', '.join(unknown)}")
    if "start" in names and not asked.folder:
        parser.error("start needs a --folder")
    rows = [PARTS[name](asked) for name in names]
    if asked.json:
        print(json.dumps([asdict(row) for row in rows], indent=1))
    else:
        for row in rows:
            print(f"{'holds' if row.holds else 'does not hold':<14} {row.name:<7} {row.found}   (asked: {row.asked})")
    return 0 if all(row.holds for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
