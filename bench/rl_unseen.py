"""Models before and after reinforcement learning, on the same unseen tasks of the kinds that were practised.

python -m bench.rl_unseen CONFIG OUT.csv NAME=MODEL [NAME=MODEL ...]

CONFIG is that of `moonlet train rl`. Each of 320 held-out tasks is done once with the likeliest tokens. A line for each
model: goal rate with its 95 % interval, and how far it is from the first model's, by pairs, with theirs. OUT.csv gets a
line for each task; what is in it already is not done again.
"""

from __future__ import annotations

import csv
import sys
import tomllib
from collections.abc import Sequence
from math import sqrt
from pathlib import Path

import moonlet
from moonlet.simulate.keys import suite
from moonlet.simulate.report import Z, wilson
from moonlet.train.practice import try_out

TASKS, SEED = 320, 2026


def main() -> int:
    config, out = tomllib.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2])
    chosen = (config.get(name, ()) for name in ("domains", "kinds", "languages"))
    keys = suite(TASKS, SEED, *chosen, evolved=config.get("evolved", 0.5))
    passed: dict[str, list[bool]] = {}
    if out.exists():
        for row in csv.DictReader(out.open()):
            passed.setdefault(row["model"], []).append(row["passed"] == "1")
    for name, folder in (one.split("=", 1) for one in sys.argv[3:]):
        if len(passed.get(name, ())) < TASKS:
            with moonlet.load(folder, threads=1) as model:
                passed[name] = [one.verdict.passed for one in try_out(model, keys)]
            with out.open("w", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(["model", "task", "passed"])
                writer.writerows([who, key, int(it)] for who, all_ in passed.items() for key, it in zip(keys, all_))
        low, high = wilson(sum(passed[name]), TASKS)
        first = next(iter(passed.values()))
        told = f"{name}: {sum(passed[name]) / TASKS:.1%} ({low:.1%} to {high:.1%}; n = {TASKS})"
        print(f"{told}, {difference(first, passed[name])}" if passed[name] is not first else told, flush=True)
    return 0


def difference(before: Sequence[bool], after: Sequence[bool]) -> str:
    """Points gained on the same tasks, and between what the gain lies 19 times of 20."""
    gains = [int(b) - int(a) for a, b in zip(before, after, strict=True)]
    mean = sum(gains) / len(gains)
    width = Z * sqrt((sum(gain * gain for gain in gains) / len(gains) - mean * mean) / len(gains))
    return f"{100 * mean:+.1f} points ({100 * (mean - width):+.1f} to {100 * (mean + width):+.1f})"


if __name__ == "__main__":
    sys.exit(main())
