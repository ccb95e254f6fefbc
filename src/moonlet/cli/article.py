"""`moonlet article`: a recording becomes an article that can be checked."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from moonlet.cli import UsageError
from moonlet.cli.article_extra import missing
from moonlet.cli.open import is_url
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
    sources = recordings(asked.source, settings)
    if asked.ray:
        if asked.model and not is_url(asked.model):
            raise UsageError("--ray needs an endpoint to write: a model of this process cannot be sent elsewhere")
        return _on_ray(asked, sources, settings)
    with suppress(OSError):
        os.nice(POLITE)
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
    from moonlet.article.stages import StageError

    redo = asked.again or []
    folders = _folders(asked, sources)
    if len(sources) == 1:
        folder = folders[0]
        print(_told(*_one(sources[0], folder, settings, redo, writer), folder, asked.json))
        return 0
    failed = 0
    for number, (source, folder) in enumerate(zip(sources, folders), 1):
        print(f"{number} of {len(sources)}: {clean(source)}", file=sys.stderr)
        try:
            print(_told(*_one(source, folder, settings, redo, writer), folder, asked.json))
        except (StageError, OSError) as error:
            failed += 1
            print(f"moonlet: {clean(' '.join(str(error).split()))}", file=sys.stderr)
    return 2 if failed else 0


def _folders(asked: argparse.Namespace, sources: list[str]) -> list[Path]:
    """Where the articles go."""
    from moonlet.article.prepare import folder_for, folders_for

    if len(sources) == 1:
        return [Path(asked.to).expanduser() if asked.to else folder_for(sources[0], Path())]
    return folders_for(sources, Path(asked.to or ".").expanduser())


def _on_ray(asked: argparse.Namespace, sources: list[str], settings: Preparing) -> int:
    """Each recording by a worker of the cluster, which must see the folders by the same names; told in their order."""
    from moonlet.article.stages import StageError
    from moonlet.on_ray import RayPool

    failed = 0
    folders = [folder.resolve() for folder in _folders(asked, sources)]
    sources = [str(Path(one).resolve()) if Path(one).exists() else one for one in sources]
    if settings.subtitles:
        settings = replace(settings, subtitles=settings.subtitles.resolve())
    with RayPool() as pool:
        coming = [pool.submit(_far, asked, source, folder, settings) for source, folder in zip(sources, folders)]
        for number, (source, made) in enumerate(zip(sources, coming), 1):
            try:
                told = made.result()
            except (StageError, OSError) as error:
                failed += 1
                told = ""
                print(f"moonlet: {clean(' '.join(str(error).split()))}", file=sys.stderr)
            print(f"{number} of {len(sources)}: {clean(source)}", file=sys.stderr)
            print(told, end="\n" if told else "")
    return 2 if failed else 0


def _far(asked: argparse.Namespace, source: str, folder: Path, settings: Preparing) -> str:
    """One article, made where this runs; what is to be told of it."""
    with _Writer(asked) as writer:
        return _told(*_one(source, folder, settings, asked.again or [], writer), folder, asked.json)


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


def _told(made: Prepared, composed: Composed, folder: Path, as_json: bool) -> str:
    """What is told of an article that is made."""
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
        return json.dumps(told, ensure_ascii=False)
    what = f"{said.language}, {len(said.sentences)} sentences, {len(recording.figures)} figures"
    lines = [f"{clean(recording.title)}: {what}"]
    lines.append(f"  {said.coverage:.1%} of the speech has words; {told['doubtful']} sentences are doubtful")
    for change in said.changes:
        lines.append(f"  {clean(change.before)} is written {clean(change.after)} ({change.count})")
    for note in recording.notes:
        lines.append(f"  {clean(note)}")
    how = "taken over as it was said" if article.mode == "extractive" else f"written by {article.model}"
    lines.append(f"  {clean(article.title)} ({article.language}, {clean(how)}): {report.score:g} of 100 holds")
    for finding in report.findings:
        what = f"{finding.kind}, {'left out' if finding.dropped else 'marked'}"
        lines.append(f"  {what}: {clean(finding.text)} ({clean(finding.told)})")
    for note in article.notes:
        lines.append(f"  {clean(note)}")
    lines.append(f"  {folder / 'render' / 'article.html'}")
    return "\n".join(lines)


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
