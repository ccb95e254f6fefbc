"""`moonlet article`: a recording becomes an article that can be checked."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from moonlet.cli import UsageError
from moonlet.cli.view import clean

if TYPE_CHECKING:
    from moonlet.article.prepare import Prepared, Preparing, Watch

LINE_S = 10.0  # between plain lines
POLITE = 10  # niceness: whoever sits at the machine comes first


def main(asked: argparse.Namespace) -> int:
    missing = [name for name in ("av", "faster_whisper", "pysubs2") if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError("recordings need more packages: pip install 'moonlet[article]'")
    from moonlet.article.prepare import STAGES, folder_for, recordings
    from moonlet.article.stages import StageError

    redo = asked.again or []
    for stage in redo:
        if stage not in STAGES:
            raise UsageError(f"{stage!r} is no stage; there are: {', '.join(STAGES)}")
    settings = _settings(asked)
    with suppress(OSError):
        os.nice(POLITE)
    sources = recordings(asked.source, settings)
    if len(sources) == 1:
        folder = Path(asked.to).expanduser() if asked.to else folder_for(sources[0], Path())
        _tell(_one(sources[0], folder, settings, redo), folder, asked.json)
        return 0
    failed = 0
    for number, source in enumerate(sources, 1):
        print(f"{number} of {len(sources)}: {clean(source)}", file=sys.stderr)
        folder = folder_for(source, Path(asked.to or ".").expanduser())
        try:
            _tell(_one(source, folder, settings, redo), folder, asked.json)
        except (StageError, OSError) as error:
            failed += 1
            print(f"moonlet: {clean(' '.join(str(error).split()))}", file=sys.stderr)
    return 2 if failed else 0


def _settings(asked: argparse.Namespace) -> Preparing:
    from moonlet.article.download import DownloadSettings
    from moonlet.article.glossary import GlossarySettings, read_glossary
    from moonlet.article.media import MediaSettings
    from moonlet.article.prepare import Preparing
    from moonlet.article.transcript import TranscriptSettings

    given = Path(asked.subtitles).expanduser() if asked.subtitles and asked.subtitles != "none" else None
    use: Any = "none" if asked.subtitles == "none" else "given" if given else "found"
    script: Any = {"hans": "Hans", "hant": "Hant", None: None}[asked.script]
    folder = Path(asked.whisper).expanduser()
    model = str(folder.resolve()) if folder.is_dir() else asked.whisper
    try:
        return Preparing(
            DownloadSettings(tuple(asked.fetch_allow or ())),
            MediaSettings(asked.figures, not asked.no_ocr),
            TranscriptSettings(model, asked.language, asked.beam, use, script),
            GlossarySettings(read_glossary(Path(asked.glossary).expanduser()) if asked.glossary else ()),
            given,
        )
    except ValueError as error:
        raise UsageError(str(error)) from None


def _one(source: str, folder: Path, settings: Preparing, redo: list[str]) -> Prepared:
    from moonlet.article.prepare import locked, prepare

    with locked(folder), stage_progress() as watch:
        try:
            return prepare(source, folder, settings, watch, redo)
        except KeyboardInterrupt:
            print(f"\nstopped; the same command goes on from here ({folder})", file=sys.stderr)
            raise


def _tell(made: Prepared, folder: Path, as_json: bool) -> None:
    recording, said = made.recording, made.transcript
    told = {
        "folder": str(folder),
        "title": recording.title,
        "seconds": round(recording.duration, 3),
        "language": said.language,
        "transcript": said.source,
        "sentences": len(said.sentences),
        "coverage": said.coverage,
        "doubtful": sum(one.doubtful for one in said.sentences),
        "figures": len(recording.figures),
        "changes": [[one.before, one.after, one.count] for one in said.changes],
        "notes": list(recording.notes),
    }
    if as_json:
        print(json.dumps(told, ensure_ascii=False))
        return
    print(
        f"{clean(recording.title)}: {said.language}, {len(said.sentences)} sentences, {len(recording.figures)} figures"
    )
    print(f"  {said.coverage:.1%} of the speech has words; {told['doubtful']} sentences are doubtful")
    for change in said.changes:
        print(f"  {clean(change.before)} is written {clean(change.after)} ({change.count})")
    for note in recording.notes:
        print(f"  {clean(note)}")
    print(f"  {folder}")


@contextmanager
def stage_progress() -> Iterator[Watch]:
    """A bar for each stage with the time left on a terminal, a plain line now and then elsewhere."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield lambda stage: _plain(stage, console)
        return
    columns = (TextColumn("{task.description:>10}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:

        def watch(stage: str) -> Callable[[float, float], None]:
            task: TaskID = bar.add_task(stage, total=None)
            return lambda done, of: bar.update(task, completed=done, total=of or None)

        yield watch


def _plain(stage: str, console: Console) -> Callable[[float, float], None]:
    begun = last = time.monotonic()

    def tell(done: float, of: float) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < LINE_S or done <= 0:
            return
        last = now
        left = (now - begun) * max(of - done, 0.0) / done
        console.print(f"{stage}: {done / max(of, done):.0%}, {left:.0f} s left", soft_wrap=True)

    return tell
