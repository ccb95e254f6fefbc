"""The curves of reinforcement learning runs as one picture, and their data beside it.

python -m bench.rl_curves OUT.svg NAME=RUN_FOLDER [NAME=RUN_FOLDER ...]

RUN_FOLDER is that of `moonlet train rl`. Four panels over the steps: goal rate of rollouts, and on held-out tasks with
95 % intervals; length; distance to the policy that drew. OUT.csv gets what is drawn, one line a point.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping
from pathlib import Path

from moonlet.simulate.report import wilson
from moonlet.train.curves import Line, picture, smooth

SMOOTH = 5  # steps on either side: rollouts of one step are few


def main() -> int:
    target, runs = Path(sys.argv[1]), dict(one.split("=", 1) for one in sys.argv[2:])
    panels = {
        "goal rate of rollouts, %": [rolled(name, Path(path), "goal", 100) for name, path in runs.items()],
        "goal rate on held-out tasks, %": [held_out(name, Path(path)) for name, path in runs.items()],
        "tokens an attempt wrote": [rolled(name, Path(path), "length", 1) for name, path in runs.items()],
        "KL of a choice to the policy that drew": [rolled(name, Path(path), "kl", 1) for name, path in runs.items()],
    }
    target.write_text(picture(panels, list(runs)), encoding="utf-8")
    with target.with_suffix(".csv").open("w", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["panel", "run", "step", "value", "low", "high"])
        for title, lines in panels.items():
            for line in lines:
                ends = {x: (low, high) for x, low, high in line.spans}
                for x, y in line.points:
                    writer.writerow([title, line.name, f"{x:.0f}", f"{y:.5g}", *(f"{v:.4g}" for v in ends.get(x, ()))])
    return 0


def rows(path: Path) -> list[Mapping[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def rolled(name: str, folder: Path, column: str, times: float) -> Line:
    """A column of the steps' record, each point the mean of the steps around it."""
    steps = rows(folder / "rl" / "progress.csv")
    return Line(name, smooth([(float(step["step"]), float(step[column]) * times) for step in steps], SMOOTH))


def held_out(name: str, folder: Path) -> Line:
    points, spans = [], []
    for one in rows(folder / "rl" / "trials.csv"):
        step, tasks, passed = (int(one[key]) for key in ("step", "tasks", "passed"))
        low, high = wilson(passed, tasks)
        points.append((float(step), 100 * passed / tasks))
        spans.append((float(step), 100 * low, 100 * high))
    return Line(name, points, spans)


if __name__ == "__main__":
    sys.exit(main())
