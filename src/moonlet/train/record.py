"""The record of a run: a line of CSV for each step, in step with the checkpoint."""

from __future__ import annotations

import csv
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def append(path: Path, step: DataclassInstance) -> None:
    """A step's values; with the first, the names of its fields above them."""
    fresh = not path.exists() or not path.stat().st_size  # one that found no room leaves an empty file
    with path.open("a", newline="") as out:
        writer = csv.DictWriter(out, asdict(step), lineterminator="\n")
        if fresh:
            writer.writeheader()
        writer.writerow({k: round(v, 6) if isinstance(v, float) else v for k, v in asdict(step).items()})


def cut(path: Path, step: int) -> None:
    """Takes away the lines of steps after this one, which come again, and perhaps one that was cut off."""
    if path.exists():
        rows = path.read_text().splitlines(keepends=True)
        kept = [row for row in rows[1:] if row.endswith("\n") and int(row.split(",")[0]) <= step]
        beside = path.with_suffix(".part")
        beside.write_text("".join([*rows[:1], *kept]))
        os.replace(beside, path)


def has(path: Path, step: int) -> bool:
    """Whether there is a line of this step."""
    return path.exists() and any(row.startswith(f"{step},") for row in path.read_text().splitlines())
