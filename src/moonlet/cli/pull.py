"""`moonlet pull`: a repository or a folder in the public layout becomes a model folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from moonlet.cli.progress import bytes_progress
from moonlet.engine.engine import EngineOptions
from moonlet.local import Local, make_golden
from moonlet.model.anatomy import size
from moonlet.model.convert import ConvertOptions, Report
from moonlet.model.pull import pull


def main(asked: argparse.Namespace) -> int:
    target = Path(asked.to).expanduser() if asked.to else None
    options = ConvertOptions(dense=asked.dense, experts=asked.experts)
    with bytes_progress(f"pulling {asked.source}") as progress:
        report = pull(asked.source, target, options, keep=asked.keep, progress=progress)
    console = Console(highlight=False, soft_wrap=True)
    for line in _told(report):
        console.print(line, markup=False)
    if report.folder.meta["golden"] is None:
        # What other machines and later versions are compared with.
        with Local(report.folder, EngineOptions(cache_tokens=1024)) as model:
            make_golden(model)
    console.print(f"ready: moonlet run {_name(asked)}", markup=False)
    return 0


def _told(report: Report) -> list[str]:
    formats = report.folder.formats
    lines = [f"{report.folder.path}: {size(report.bytes)}, experts {formats.experts}, the rest {formats.dense}"]
    for part, error in (("experts", report.experts_error), ("the rest", report.dense_error)):
        if error:
            lines.append(f"rounding of {part}: {error:.2%} of the weights' root mean square")
    if report.skipped:
        kinds = ", ".join(f"{count} {kind}" for kind, count in report.skipped.items())
        lines.append(f"left out, as nothing here uses them: {kinds}")
    return lines


def _name(asked: argparse.Namespace) -> str:
    """What `moonlet run` is to be given."""
    if asked.to:
        return str(asked.to)
    folder = Path(asked.source).expanduser()
    return folder.resolve().name if folder.is_dir() else str(asked.source)
