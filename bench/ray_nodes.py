"""A Ray cluster of two nodes runs what one process runs, to the letter, also when a node dies in the middle.

    python -m bench.ray_nodes [--tasks 220] [--questions 24]

`simulate` (the solutions that are known to be right) and `eval tools` (of the small model behind `moonlet serve`) are
run in this process, on both nodes (of this machine), and once more while one of the two, with all that runs on it, is
killed after a third of the work. What comes must be the same three times. Needs `moonlet[ray]`.

Exit code 1 if it is not.
"""

from __future__ import annotations

import argparse
import difflib
import io
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from bench.fleet import START_S, Part, free_port, until

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_raylet_start_wait_time_s"] = str(int(START_S))  # noqa: SIM112 - its own spelling

Run = Callable[[bool, Callable[[], object]], list[str]]  # on Ray or here; called after each thing; lines of results


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.ray_nodes")
    parser.add_argument("--tasks", type=int, default=220)
    parser.add_argument("--questions", type=int, default=24)
    asked = parser.parse_args()
    told: dict[str, Any] = {"tasks": asked.tasks, "questions": asked.questions}
    with tempfile.TemporaryDirectory() as home, nano(home) as url, nodes() as both:
        simulate, evaluate = partial(_simulate, asked.tasks), partial(_evaluate, url, asked.questions)
        runs: list[tuple[str, Run, int]] = [("simulate", simulate, asked.tasks), ("eval", evaluate, asked.questions)]
        for name, run, count in runs:
            told[name] = _three_times(run, count, both)
            print(json.dumps({name: told[name]}), file=sys.stderr, flush=True)
    told["holds"] = {name: told[name]["same"] for name in ("simulate", "eval")}
    print(json.dumps(told, indent=1))
    return 0 if all(told["holds"].values()) else 1


@contextmanager
def nano(home: str) -> Iterator[str]:
    """The small model behind a server, which all nodes reach."""
    port = free_port()
    command = [sys.executable, "-m", "moonlet", "serve", "nano", "--port", str(port), "--threads", "1"]
    env = {**os.environ, "MOONLET_HOME": home, "MOONLET_LEDGER": str(Path(home) / "ledger.sqlite")}
    server = Part("nano", command, env, port)
    server.start()
    try:
        until(server.answers, START_S)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.kill()


def _three_times(run: Run, count: int, both: Nodes) -> dict[str, Any]:
    begun = time.monotonic()
    found, seconds, alive = [run(False, lambda: None)], [time.monotonic() - begun], []
    done = 0

    def came() -> None:
        nonlocal done
        done += 1
        if done == count // 3:
            both.lose()

    for after_each in (lambda: None, came):
        both.join()
        begun = time.monotonic()
        found.append(run(True, after_each))
        seconds.append(time.monotonic() - begun)
        alive.append(both.count())
    for number, lines in enumerate(found[1:], 2):
        for line in [*difflib.unified_diff(found[0], lines, "one process", f"run {number}", lineterm="", n=0)][:20]:
            print(line[:400], file=sys.stderr)
    return {
        "lines": len(found[0]),
        "same": found[0] == found[1] == found[2],
        "nodes_at_the_end": alive,
        "lost_after": count // 3,
        "seconds": [round(one, 1) for one in seconds],
    }


class Nodes:
    """Two of one processor each, on this machine."""

    def __init__(self) -> None:
        import ray
        from ray.cluster_utils import Cluster

        self._ray: Any = ray
        small = {"num_cpus": 1, "object_store_memory": 100 << 20, "include_dashboard": False}
        self._cluster: Any = Cluster(initialize_head=True, head_node_args=small)
        self._second: Any = None
        ray.init(address=self._cluster.address, log_to_driver=False, logging_level="WARNING")

    def join(self) -> None:
        """The second one is there."""
        if self._second is None:
            self._second = self._cluster.add_node(num_cpus=1, object_store_memory=100 << 20)
            until(lambda: self.count() == 2, START_S)

    def lose(self) -> None:
        """It is killed, with all that runs on it."""
        self._cluster.remove_node(self._second, allow_graceful=False)
        self._second = None

    def count(self) -> int:
        """How many are there, as far as the cluster knows."""
        return sum(bool(node["Alive"]) for node in self._ray.nodes())

    def close(self) -> None:
        self._ray.shutdown()
        self._cluster.shutdown()


@contextmanager
def nodes() -> Iterator[Nodes]:
    both = Nodes()
    try:
        yield both
    finally:
        both.close()


def _simulate(tasks: int, ray: bool, came: Callable[[], object]) -> list[str]:
    from moonlet.simulate.keys import suite
    from moonlet.simulate.parallel import Players, rollouts

    lines = []
    for one in rollouts(suite(tasks, seed=11), Players(), workers=1, ray=ray):
        lines.append(replace(one, seconds=0.0).line())  # all but how long it took
        came()
    return lines


def _evaluate(url: str, questions: int, ray: bool, came: Callable[[], object]) -> list[str]:
    from moonlet.cli import main
    from moonlet.evals.record import Record

    class Told(Record):
        def add(self, *outcome: Any) -> None:
            super().add(*outcome)
            came()

    from moonlet.cli import eval as verb

    with tempfile.TemporaryDirectory() as place:
        record, kept = Path(place) / "r.jsonl", verb.Record
        words = ["eval", "tools", url, "-n", "4", "--limit", str(questions), "--json", "--record", str(record)]
        verb.Record = Told  # type: ignore[misc]
        try:
            with redirect_stdout(io.StringIO()) as said:
                assert main([*words, *(["--ray"] if ray else ["--workers", "1"])]) == 0
        finally:
            verb.Record = kept  # type: ignore[misc]
        marks = Counter(record.read_text().splitlines())
        return [said.getvalue(), *sorted(marks.elements())]


if __name__ == "__main__":
    sys.exit(main())
