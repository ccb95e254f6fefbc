"""`moonlet article`: a recording becomes an article that can be checked."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from moonlet.cli import UsageError
from moonlet.cli.article_extra import missing
from moonlet.cli.progress import LINE_S
from moonlet.cli.view import clean

if TYPE_CHECKING:
    from moonlet.article.compose import Composed
    from moonlet.article.prepare import Prepared, Preparing, Watch
    from moonlet.llm import LLM


def main(asked: argparse.Namespace) -> int:
    """`moonlet article`. Exit 2 if a recording of several failed; what fails alone is raised."""
    if told := missing():
        raise UsageError(told)
    from moonlet.article import compose
    from moonlet.article.prepare import STAGES, recordings
    from moonlet.cli.article_jobs import POLITE

    redo, stages = asked.again or [], (*STAGES, *compose.STAGES)
    for stage in redo:
        if stage not in stages:
            raise UsageError(f"{stage!r} is no stage; there are: {', '.join(stages)}")
    settings = _settings(asked)
    with suppress(OSError):
        os.nice(POLITE)
    sources = recordings(asked.source, settings)
    with _Writer(asked) as writer:
        return _all(asked, sources, settings, writer)


class _Writer:
    """The model that writes, opened when there is something to write, and what it is to write."""

    def __init__(self, asked: argparse.Namespace) -> None:
        from moonlet.cli.article_jobs import composing

        self._asked, self._stack = asked, ExitStack()
        self._model: LLM | None = None
        names = ("tone", "length", "audience", "unsupported")
        wish = {
            **{name: getattr(asked, name) for name in names},
            **({"language": asked.written} if asked.written else {}),
        }
        try:
            self.settings = composing(wish, asked.context)
        except ValueError as error:
            raise UsageError(str(error)) from None

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def model(self) -> LLM | None:
        """None if nobody writes: none was named, or it is too small to."""
        from moonlet.cli.article_jobs import can_write
        from moonlet.cli.open import open_any

        if self._asked.model and self._model is None:
            self._model, _ = self._stack.enter_context(open_any(self._asked))
        if self._model is not None and not can_write(self._model):
            print(
                f"{self._model.name} is too small to write: sentences are taken over as they were said", file=sys.stderr
            )
            return None
        return self._model


def _all(asked: argparse.Namespace, sources: list[str], settings: Preparing, writer: _Writer) -> int:
    from moonlet.article.prepare import folder_for, folders_for
    from moonlet.article.stages import StageError

    redo = asked.again or []
    if len(sources) == 1:
        folder = Path(asked.to).expanduser() if asked.to else folder_for(sources[0], Path())
        _tell(*_one(sources[0], folder, settings, redo, writer), folder, asked.json)
        return 0
    failed = 0
    folders = folders_for(sources, Path(asked.to or ".").expanduser())
    for number, (source, folder) in enumerate(zip(sources, folders), 1):
        print(f"{number} of {len(sources)}: {clean(source)}", file=sys.stderr)
        try:
            _tell(*_one(source, folder, settings, redo, writer), folder, asked.json)
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


def _one(source: str, folder: Path, settings: Preparing, redo: list[str], writer: _Writer) -> tuple[Prepared, Composed]:
    from moonlet.article.compose import compose
    from moonlet.article.prepare import locked, prepare

    with locked(folder), stage_progress() as watch:
        try:
            prepared = prepare(source, folder, settings, watch, redo)
            return prepared, compose(prepared, folder, writer.settings, writer.model(), watch, redo)
        except KeyboardInterrupt:
            print(f"\nstopped; the same command goes on from here ({folder})", file=sys.stderr)
            raise


def _tell(made: Prepared, composed: Composed, folder: Path, as_json: bool) -> None:
    recording, said = made.recording, made.transcript
    article, report = composed.checked.article, composed.checked.report
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
        "article": {
            "title": article.title,
            "mode": article.mode,
            "language": article.language,
            "score": report.score,
            "findings": len(report.findings),
            "files": list(composed.rendered.files),
        },
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
    how = "taken over as it was said" if article.mode == "extractive" else f"written by {article.model}"
    print(f"  {clean(article.title)} ({article.language}, {clean(how)}): {report.score:g} of 100 holds")
    for finding in report.findings:
        what = f"{finding.kind}, {'left out' if finding.dropped else 'marked'}"
        print(f"  {what}: {clean(finding.text)} ({clean(finding.told)})")
    for note in article.notes:
        print(f"  {clean(note)}")
    print(f"  {folder / 'render' / 'article.html'}")


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
