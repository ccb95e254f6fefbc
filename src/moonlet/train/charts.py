"""A run to look at: `progress.svg` beside its record, and TensorBoard's files where that is installed."""

from __future__ import annotations

import csv
import importlib.util
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moonlet.train.curves import HEIGHT, LEFT, RIGHT, WIDTH, Line, picture

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

PANELS = {
    "loss": "loss of the assistant's tokens",
    "right": "share of them predicted",
    "score": "largest attention score",
    "busiest": "busiest expert's load, times its share",
}
POINTS = 400  # of a curve at most: each is the mean of the steps it stands for


def draw(record: Path, loads: Sequence[Sequence[float]]) -> None:
    """Writes the picture of a record beside it: curves, and the load of every expert (row: layer) in the last step."""
    if not record.exists():
        return
    with record.open() as file:
        rows = list(csv.DictReader(file))
    panels = {title: [Line("run", _thinned(rows, column))] for column, title in PANELS.items()}
    extra = [(f"load of each expert in step {rows[-1]['step']}", loads_panel(loads))] if loads else []
    beside = record.with_suffix(".svg.part")
    beside.write_text(picture(panels, [], extra), encoding="utf-8")
    os.replace(beside, record.with_suffix(".svg"))


def _thinned(rows: Sequence[dict[str, str]], column: str) -> list[tuple[float, float]]:
    each = -(-len(rows) // POINTS)
    parts = [rows[i : i + each] for i in range(0, len(rows), each)]
    return [(float(part[-1]["step"]), sum(float(row[column]) for row in part) / len(part)) for part in parts]


def loads_panel(loads: Sequence[Sequence[float]]) -> str:
    """A row of cells for each sparse layer, darker the busier: white has nothing to do, full has twice its share."""
    tall = min(24.0, (HEIGHT - 60) / len(loads))
    wide = (WIDTH - LEFT - RIGHT) / max(map(len, loads))
    out = []
    for layer, row in enumerate(loads):
        y = 30 + layer * tall
        out.append(f'<text x="{LEFT - 6}" y="{y + tall / 2 + 4:.1f}" text-anchor="end">{layer + 1}</text>')
        for expert, load in enumerate(row):
            told = f"sparse layer {layer + 1}, expert {expert}: {load:.2f} times its share"
            place = f'x="{LEFT + expert * wide:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{tall:.1f}"'
            paint = f'stroke="#ddd" fill="#1f6feb" fill-opacity="{min(load / 2, 1):.2f}"'
            out.append(f"<rect {place} {paint}><title>{told}</title></rect>")
    least, most = min(map(min, loads)), max(map(max, loads))
    told = f"from {least:.2f} to {most:.2f} times an even share"
    out.append(f'<text x="{LEFT}" y="{30 + len(loads) * tall + 18:.1f}">{told}; rows: sparse layers</text>')
    return "".join(out)


class Board:
    """TensorBoard's files in `tensorboard/` of the run's folder; nothing where it is not installed, or not wanted."""

    def __init__(self, folder: Path, step: int, wanted: bool = True) -> None:
        self._writer: Any = None
        if wanted and installed():
            from torch.utils.tensorboard import SummaryWriter

            # Steps after the checkpoint come again: what was written of them is hidden.
            self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def add(self, step: DataclassInstance) -> None:
        """The values of a step."""
        if self._writer is None:
            return
        values = asdict(step)
        for name, value in values.items():
            if name != "step":
                self._writer.add_scalar(name, value, values["step"])

    def close(self) -> None:
        """Writes what is not written yet."""
        if self._writer is not None:
            self._writer.close()


def installed() -> bool:
    """Whether TensorBoard is."""
    return importlib.util.find_spec("tensorboard") is not None
