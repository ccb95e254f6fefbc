"""ik_llama.cpp through the `llama-bench` that was given by hand, weights repacked at the start (-rtr 1).

It draws random tokens itself. Its rows are one sequence's: for several at a time it has none.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bench.peers.task import Task, parts


def flags(row: str, tokens: int) -> list[str] | None:
    """None: llama-bench has no such row."""
    kind, count = parts(row)
    if kind == "prefill":
        return ["-p", str(count), "-n", "0"]
    return ["-p", "0", "-n", str(tokens)] if (kind, count) == ("decode", 1) else None


def measure(program: Path, task: Task, within: Sequence[str] = ()) -> tuple[dict[str, float | str], str]:
    """Tokens a second by row, and what ran. OSError or CalledProcessError if it does not. within: put before it."""
    repacked = "0" if task.memory else "1"  # a copy, for which there is no room in less memory
    rows: dict[str, float | str] = {}
    about = "llama-bench"
    for row in task.rows:
        wanted = flags(row, task.tokens)
        if wanted is None:
            rows[row] = "llama-bench runs one sequence only"
            continue
        fixed = ["-m", task.model, "-t", str(task.threads), "-r", "1", "-rtr", repacked, "-o", "json"]
        told = read(subprocess.check_output([*within, program, *fixed, *wanted], text=True, stderr=subprocess.PIPE))
        rows[row] = float(told[-1]["avg_ts"])
        about = (
            f"llama-bench of build {told[-1].get('build_commit', '?')}, -rtr {repacked}, Q4_0, {task.threads} threads"
        )
    return rows, about


def read(output: str) -> Sequence[dict[str, float]]:
    """The JSON list in what llama-bench printed; builds of it print other lines around."""
    return json.loads(output[output.index("[\n") : output.rindex("]") + 1])  # type: ignore[no-any-return]
