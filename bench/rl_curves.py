"""The curves of reinforcement learning runs as one picture, and their data beside it.

python -m bench.rl_curves OUT.svg NAME=RUN_FOLDER [NAME=RUN_FOLDER ...]

RUN_FOLDER is that of `moonlet train rl`. Four panels over the steps: goal rate of rollouts, and on held-out tasks with
95 % intervals; length; distance to the policy that drew. OUT.csv gets what is drawn, one line a point.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from moonlet.simulate.report import wilson

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 400, 240, 54, 14, 30, 40
COLOURS = ("#1f6feb", "#d1242f", "#1a7f37", "#8250df")
SMOOTH = 5  # steps on either side: rollouts of one step are few


@dataclass(frozen=True, slots=True)
class Line:
    """Points (x, y), and for some the ends of an interval."""

    name: str
    points: Sequence[tuple[float, float]]
    spans: Sequence[tuple[float, float, float]] = ()


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
    values = [float(step[column]) * times for step in steps]
    points = []
    for i, step in enumerate(steps):
        near = values[max(i - SMOOTH, 0) : i + SMOOTH + 1]
        points.append((float(step["step"]), sum(near) / len(near)))
    return Line(name, points)


def held_out(name: str, folder: Path) -> Line:
    points, spans = [], []
    for one in rows(folder / "rl" / "trials.csv"):
        step, tasks, passed = (int(one[key]) for key in ("step", "tasks", "passed"))
        low, high = wilson(passed, tasks)
        points.append((float(step), 100 * passed / tasks))
        spans.append((float(step), 100 * low, 100 * high))
    return Line(name, points, spans)


def picture(panels: Mapping[str, Sequence[Line]], names: Sequence[str]) -> str:
    """Two panels a row on white, with a legend below."""
    high = (len(panels) + 1) // 2 * HEIGHT + 26
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDTH} {high}" font-family="sans-serif" '
        f'font-size="11"><rect width="100%" height="100%" fill="#fff"/>'
    ]
    for i, (title, lines) in enumerate(panels.items()):
        out.append(f'<g transform="translate({i % 2 * WIDTH} {i // 2 * HEIGHT})">{panel(title, lines)}</g>')
    for i, name in enumerate(names):
        x = LEFT + i * 180
        out.append(f'<rect x="{x}" y="{high - 18}" width="14" height="4" fill="{COLOURS[i % len(COLOURS)]}"/>')
        out.append(f'<text x="{x + 20}" y="{high - 12}">{escape(name)}</text>')
    return "\n".join([*out, "</svg>\n"])


def panel(title: str, lines: Sequence[Line]) -> str:
    """One chart from 0, with five marks on either axis."""
    most_x = max((x for line in lines for x, _ in line.points), default=1.0) or 1.0
    tops = [y for line in lines for _, y in line.points] + [top for line in lines for _, _, top in line.spans]
    most_y = max(tops, default=1.0) * 1.05 or 1.0

    def at(x: float, y: float) -> str:
        across = LEFT + x / most_x * (WIDTH - LEFT - RIGHT)
        return f"{across:.1f},{HEIGHT - BOTTOM - y / most_y * (HEIGHT - TOP - BOTTOM):.1f}"

    out = [f'<text x="{LEFT}" y="18" font-weight="bold">{escape(title)}</text>']
    for mark in range(5):
        x, y = most_x * mark / 4, most_y * mark / 4
        left, height = at(0, y).split(",")
        out.append(f'<path d="M{left},{height}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        out.append(f'<text x="{LEFT - 6}" y="{float(height) + 4:.1f}" text-anchor="end">{y:.3g}</text>')
        across = at(x, 0).split(",")[0]
        out.append(f'<text x="{across}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{x:.0f}</text>')
    out.append(f'<text x="{WIDTH / 2}" y="{HEIGHT - 8}" text-anchor="middle">step</text>')
    for i, line in enumerate(lines):
        colour = COLOURS[i % len(COLOURS)]
        out += [
            f'<path d="M{at(x, low)}L{at(x, high)}" stroke="{colour}" opacity="0.4"/>' for x, low, high in line.spans
        ]
        path = " ".join(at(x, y) for x, y in line.points)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.8"/>')
    return "".join(out)


if __name__ == "__main__":
    sys.exit(main())
