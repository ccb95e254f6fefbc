"""How far `moonlet plan` is from what this machine does, for models that the calibration never saw.

    python -m bench.plan_accuracy [--place FOLDER] [--only NAME] [--rounds N]

Random-weight folders of real shapes are written one after the other, run, and removed. Each is judged in several
rounds, and before each round the machine is measured, on small random models of other shapes (moonlet.planner.probe): a
shared machine is not the same for long. A row has the medians of its rounds, of the errors as well. Needs 12 GB of
disk, half an hour, and a machine on which nothing else runs. Prints a Markdown table; exit code 1 unless the median
error is below 15 % and none is above 30 %.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import shapes
from moonlet.local import find
from moonlet.model.folder import ModelFolder, open_folder
from moonlet.model.layout import Formats
from moonlet.planner import measure, prove
from moonlet.planner.fit import fit
from moonlet.planner.prove import Row, Test
from moonlet.planner.routing import zipf
from moonlet.planner.speed import speed
from moonlet.planner.subject import subject

BATCHES = (1, 2, 4, 8)
MEDIAN, MOST = 0.15, 0.30  # of errors, as shares
ROUNDS, RUNS = 5, 1  # RUNS of each number in a round


@dataclass(frozen=True)
class Judged:
    """A model to be judged; `memory_share` of its bytes is what the engine may use, 1: all of it is in memory."""

    name: str
    shape: str
    dense: str
    experts: str
    changes: dict[str, int] = field(default_factory=dict)
    memory_share: float = 1.0


_K2 = {"num_hidden_layers": 3, "n_routed_experts": 96, "vocab_size": 32_768}
JUDGED = [  # those of one folder stand together: it is written once
    Judged("nano", "", "", ""),
    Judged("k2 layers bf16/int4", "k2", "bf16", "int4", _K2),
    Judged("k2 layers bf16/int4, streamed", "k2", "bf16", "int4", _K2, 0.6),
    Judged("moonlight int8/int4", "moonlight", "int8", "int4"),
    Judged("moonlight int8/int4, streamed", "moonlight", "int8", "int4", {}, 0.5),
    Judged("k2 layers int8/int4", "k2", "int8", "int4", _K2),
    Judged("moonlight bf16/int4, 14 layers", "moonlight", "bf16", "int4", {"num_hidden_layers": 14}),
    Judged("k2 layers int4/int8, 48 experts", "k2", "int4", "int8", _K2 | {"n_routed_experts": 48}),
]


def judge(it: Judged, place: Path, rounds: int) -> list[Judgement]:
    """Rows of one model, which is run in so many rounds."""
    folder = open_folder(find("nano")) if not it.shape else _written(it, place)
    return [_median(rows) for rows in zip(*(_round(it, folder) for _ in range(rounds)))]


def _round(it: Judged, folder: ModelFolder) -> list[Row]:
    machine = measure.measure()
    size = sum(file.stat().st_size for file in folder.path.iterdir())
    memory = int(size * it.memory_share) if it.memory_share < 1 else 0
    test = Test(512, 16, BATCHES, RUNS)
    placed = fit(subject(str(folder.path)), machine.machine, prove.wish(test, folder, memory))
    config = folder.config
    # Routers of random weights choose evenly; the small model's is trained, and a plan's usual assumption is judged.
    even = zipf(config.experts, config.experts_per_token, 0.0) if it.shape else None
    working = speed(placed, even)
    rows = prove.prove(folder, working, test, prove.options(test, memory_bytes=memory), lambda what: None)
    return [row for row in rows if row.name.startswith(("decode", "prompt"))]


@dataclass(frozen=True)
class Judgement:
    """The medians of a number's rounds."""

    name: str
    unit: str
    predicted: float
    measured: float
    error: float


def _median(rows: Sequence[Row]) -> Judgement:
    predicted, measured, errors = ([getattr(row, of) for row in rows] for of in ("predicted", "measured", "error"))
    middle = statistics.median
    return Judgement(rows[0].name, rows[0].unit, middle(predicted), middle(measured), middle(errors))


def _written(it: Judged, place: Path) -> ModelFolder:
    path = place / it.name.removesuffix(", streamed").replace(" ", "-").replace("/", "-").replace(",", "")
    if not path.exists():
        for other in place.iterdir():
            shutil.rmtree(other)
        shapes.write(path, it.shape, Formats(it.dense, it.experts), **it.changes)  # type: ignore[arg-type]
        os.sync()  # else the system writes it out while the model is timed
    return open_folder(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--place", type=Path, help="where folders are written for a while")
    parser.add_argument("--only", help="models whose name contains this")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    asked = parser.parse_args()
    print("| model | what | predicted | measured | error |\n| --- | --- | --- | --- | --- |")
    errors: list[float] = []
    with tempfile.TemporaryDirectory(dir=asked.place) as place:
        for it in JUDGED:
            if asked.only and asked.only not in it.name:
                continue
            rows = judge(it, Path(place), asked.rounds)
            for row in rows:
                errors.append(abs(row.error))
                cells = f"{row.predicted:.3g} | {row.measured:.3g} | {row.error:+.0%}"
                print(f"| {it.name} | {row.name}, {row.unit} | {cells} |", flush=True)
    middle, worst = statistics.median(errors), max(errors)
    print(f"\n{len(errors)} numbers: median error {middle:.0%}, largest {worst:.0%}")
    sys.exit(0 if middle < MEDIAN and worst <= MOST else 1)


if __name__ == "__main__":
    main()
