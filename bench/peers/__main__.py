"""moonlet beside its peers, the same shapes on the same machine in the same hour: docs/performance.md.

    python -m bench.peers [--only moonlight] [--layers 4] [--rows "decode 1,prefill 512"] [--rounds 1]
                          [--llama-bench PATH] [--place FOLDER] [--save FOLDER] [--memory BYTES]

Peers that are packages are installed under build/peers first (once; llama.cpp is compiled, which takes a while).
ik_llama.cpp is no package: give the path of a `llama-bench` of it. In each round everyone has a turn in a process of
its own, starting with files that are not in memory; a row is done once a turn. The table has medians of the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.peers import cases, environments, limited, limits, results, run_llama_bench
from bench.peers.cases import CASES, Case, Runner
from bench.peers.results import Record
from bench.peers.task import Task, here
from moonlet import kernels
from moonlet.planner import system

ROUNDS = 5
TOKENS = 32  # timed steps of a decode row
TURN_S = 3600.0  # after which a turn is given up


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def installed(runners: Sequence[Runner]) -> dict[str, str]:
    """Why a runner cannot run, by its name."""
    missing = {}
    made: dict[str, str] = {}
    for runner in runners:
        needed = [runner.environment] if runner.environment else []
        needed += [environments.GGUF] if runner.form == "gguf" else []
        for environment in needed:
            if environment.name not in made:
                note(f"environment {environment.name}")
                made[environment.name] = environment.install()
            if made[environment.name]:
                missing[runner.name] = made[environment.name]
    return missing


def turn(runner: Runner, task: Task, llama_bench: Path | None) -> tuple[dict[str, float | str], str]:
    """The rows of one runner, once, and what it says of itself. What goes wrong becomes the rows' text."""
    try:
        if runner.module == "run_llama_bench":
            assert llama_bench
            with limited.group(task.memory) as within:
                return run_llama_bench.measure(llama_bench, task, within)
        python = runner.environment.python if runner.environment else sys.executable
        command = [python, "-m", f"bench.peers.{runner.module}", task.to_json()]
        # Two spinning threads more than there are cores would cost a peer milliseconds a step.
        threads = {"OMP_NUM_THREADS": str(task.threads), "TOKENIZERS_PARALLELISM": "false"}
        with limited.group(task.memory) as within:
            done = subprocess.run(
                [*within, *command],
                cwd=here(),
                env=os.environ | threads,
                capture_output=True,
                text=True,
                timeout=TURN_S,
                check=True,
            )
        told = json.loads([line for line in done.stdout.splitlines() if line.startswith('{"rows"')][-1])
        return told["rows"], told["about"]
    except subprocess.CalledProcessError as error:
        said = [line for line in str(error.stderr).splitlines() if line.strip()][-1:]
        why = f"ended with {error.returncode}: {' '.join(said)[:160]}".replace("|", "/")
    except (OSError, ValueError, LookupError, subprocess.TimeoutExpired) as error:
        why = f"does not run: {error}"[:160].replace("|", "/")
    return dict.fromkeys(task.rows, why), ""


def wanted(runner: Runner, rows: Sequence[str]) -> list[str]:
    """Those of the rows that are of interest."""
    return [row for row in rows if not runner.only or row in runner.only]


def run(case: Case, asked: argparse.Namespace, record: Record, seen: system.System, missing: dict[str, str]) -> None:
    """All rounds of a case; its files are written first and gone afterwards."""
    rows = [row for row in case.rows if not asked.rows or row in asked.rows]
    config = case.config(seen.memory_bytes, asked.layers)
    record.layers[case.name] = config.get("num_hidden_layers", 0)
    runners = [runner for runner in case.runners if wanted(runner, rows)]
    able = [runner for runner in runners if runner.name not in missing] if config else []
    for runner in runners:  # all lines, in this order
        for row in wanted(runner, rows):
            record.entry(case.name, row, runner.name)
        if runner not in able:
            why = missing[runner.name] if config else "not one sparse layer fits into memory"
            record.add(case, runner, dict.fromkeys(wanted(runner, rows), why))
    with tempfile.TemporaryDirectory(dir=asked.place) as folder:
        place = Path(folder)
        models = {}
        for runner in able:
            note(f"{case.name}: writing {config['num_hidden_layers']} layers for {runner.name}")
            models[runner.name] = cases.write(runner, config, case.shape, place)
        for round in range(asked.rounds):
            record.limits.append(limits.now(record.threads))
            for runner in able:
                note(f"{case.name}, round {round + 1}: {runner.name}")
                cases.forget(place)
                own = wanted(runner, rows)
                model = str(models[runner.name])
                task = Task(model, config, own, round, record.threads, asked.tokens, runner.expanded, asked.memory)
                found, about = turn(runner, task, asked.llama_bench)
                record.add(case, runner, found)
                if about:
                    record.about[runner.name] = about
    if able and not asked.memory:  # else the disk limits, and what it gives depends on what is kept
        record.judge(case, config, limits.median(record.limits))


def run_all(asked: argparse.Namespace) -> None:
    chosen = [case for case in CASES if not asked.only or asked.only in case.name]
    chosen = [case for case in chosen if not asked.rows or set(asked.rows) & set(case.rows)]
    missing = installed([runner for case in chosen for runner in case.runners])
    if not asked.llama_bench:
        missing[cases.IK.name] = "is no package: --llama-bench PATH"
    seen = system.look()
    allowed = f", {asked.memory / 1e9:.1f} GB of them for a turn" if asked.memory else ""
    record = Record(f"{seen.processor}, {seen.memory_bytes / 1e9:.0f} GB{allowed}", kernels.cores())
    with tempfile.TemporaryDirectory(dir=asked.place) as folder:
        record.disk, record.disk_direct = limits.disk(Path(folder))
    for case in chosen:
        run(case, asked, record, seen, missing)
        if record.limits:
            results.save(record, limits.median(record.limits), asked.save)  # after each: hours may have gone into it
    if not record.limits:
        raise SystemExit("nothing was run: no shape fits, or none has such a name or row")
    middle = limits.median(record.limits)
    print(results.preface(record, middle) + "\n\n" + results.table(record))
    note(f"saved as {asked.save}/peers.json, .md and .svg")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", help="shapes whose name contains this: " + ", ".join(case.name for case in CASES))
    parser.add_argument("--layers", type=int, help="at most so many")
    parser.add_argument("--rows", type=lambda text: [row.strip() for row in text.split(",")], help="these rows only")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--tokens", type=int, default=TOKENS, help="steps of a decode row that are timed")
    parser.add_argument("--memory", type=int, default=0, metavar="BYTES", help="that everyone has; needs root on Linux")
    parser.add_argument("--llama-bench", type=Path, help="the program of that name, built from ik_llama.cpp")
    parser.add_argument("--place", type=Path, help="where weights are written for a while")
    parser.add_argument("--save", type=Path, default=here() / "build" / "bench", help="where the results go")
    asked = parser.parse_args(arguments)
    if asked.llama_bench and not os.access(asked.llama_bench, os.X_OK):
        parser.error(f"--llama-bench: {asked.llama_bench} is no program")
    return asked


if __name__ == "__main__":
    run_all(parse(sys.argv[1:]))
