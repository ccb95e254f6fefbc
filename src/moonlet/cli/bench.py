"""`moonlet bench`: runs a model on this machine and prints predicted | measured | error for all that plan predicted."""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from moonlet.chat.tokenizer import Tokenizer
from moonlet.cli import UsageError, whole
from moonlet.cli.plan import measured_now, ticking
from moonlet.local import NANO, find
from moonlet.model.folder import ModelFolder, open_folder
from moonlet.planner import measure, prove
from moonlet.planner.fit import fit
from moonlet.planner.measure import Measured
from moonlet.planner.prove import Row, Test
from moonlet.planner.speed import speed
from moonlet.planner.subject import subject


def main(asked: argparse.Namespace) -> int:
    path = find(asked.model or NANO)
    if not (path / "moonlet.json").exists():
        raise UsageError(f"{path}: is a checkpoint; `moonlet pull {path}` makes a model folder of it")
    folder = open_folder(path)
    if asked.text and not asked.trace:
        raise UsageError("--text says what --trace reads")
    if asked.trace:
        whole.check(Path(asked.trace))
        _trace(asked, folder)
    measured = measure.kept() or measured_now()
    test = Test(asked.prompt, asked.tokens, tuple(asked.batches))
    memory = asked.memory or 0
    placed = fit(subject(str(path)), measured.machine, prove.wish(test, folder, memory))
    if not placed.fits:
        raise UsageError(f"{placed.why}; what would do: {placed.change}")
    working = speed(placed, correction=measured.correction)
    settings = prove.options(test, asked.threads or 0, memory)
    with ticking(f"running {folder.path.name}") as tick:
        rows = prove.prove(folder, working, test, settings, tick)
    if asked.keep:
        measure.correct(prove.correction(rows, measured.correction))
    if asked.json:
        print(json.dumps([_row_json(row) for row in rows], indent=2))
    else:
        _show(rows, measured, asked.keep)
    return 0


def _trace(asked: argparse.Namespace, folder: ModelFolder) -> None:
    most = max(folder.config.max_positions - asked.tokens - 1, 1)
    ids = _read(asked, folder) if asked.text else _drawn(folder, asked.prompt)
    chosen = prove.trace(folder, ids[:most], asked.tokens, asked.threads or 0)
    with whole.writing(Path(asked.trace)) as file:
        np.save(file.buffer, chosen.astype(np.uint16))


def _read(asked: argparse.Namespace, folder: ModelFolder) -> list[int]:
    try:
        ids = Tokenizer.load(folder.path).encode(Path(asked.text).read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise UsageError(f"--text {asked.text}: is no UTF-8 text") from None
    if not ids:
        raise UsageError(f"--text {asked.text}: is empty")
    return ids


def _drawn(folder: ModelFolder, count: int) -> list[int]:
    dice = random.Random(0)
    return [dice.randrange(folder.config.vocab) for _ in range(count)]


def _show(rows: list[Row], measured: Measured, keep: bool) -> None:
    console = Console(highlight=False)
    table = Table(box=box.SIMPLE_HEAD)
    for i, title in enumerate(("", "predicted", "measured", "error", "")):
        table.add_column(title, justify="right" if 0 < i < 4 else "left")
    for row in rows:
        error = "" if row.error is None else f"{row.error:+.0%}"
        table.add_row(row.name, _number(row.predicted), _number(row.measured), error, row.unit)
    console.print(table)
    console.print(f"predicted from this machine as measured on {measured.when}", soft_wrap=True)
    if keep:
        console.print("later plans of this machine are corrected by it", soft_wrap=True)


def _number(value: float | None) -> str:
    if value is None:
        return "?"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _row_json(row: Row) -> dict[str, object]:
    return {
        "name": row.name,
        "unit": row.unit,
        "predicted": row.predicted,
        "measured": row.measured,
        "error": row.error,
    }
