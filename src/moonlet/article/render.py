"""The finished files: Markdown, one file of HTML, JSON, Word, subtitles; with the figures they show, in `render/`."""

from __future__ import annotations

import importlib.util
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from moonlet.article.cues import srt, vtt
from moonlet.article.lead_back import Links, ToRender
from moonlet.article.markdown import markdown
from moonlet.article.page import Page
from moonlet.article.plain import to_plain
from moonlet.article.stages import Stage, StageError, Tell, inside, silent, write_whole

Format = Literal["html", "md", "json", "docx", "srt", "vtt"]
FORMATS: tuple[Format, ...] = get_args(Format)


@dataclass(frozen=True, slots=True)
class RenderSettings:
    """`formats`: those that are wanted."""

    formats: tuple[Format, ...] = FORMATS


@dataclass(frozen=True, slots=True)
class Rendered:
    """The files, below the article's folder."""

    files: tuple[str, ...]


def render(given: ToRender, folder: Path, settings: RenderSettings, tell: Tell = silent) -> Rendered:
    """Writes them. Raises StageError where a format needs a package that is not there."""
    if "docx" in settings.formats and importlib.util.find_spec("docx") is None:
        raise StageError("Word files need python-docx: pip install 'moonlet[article]'")
    place, links = folder / "render", Links(given.recording, folder)
    files: list[str] = []
    for done, kind in enumerate(settings.formats):
        tell(done, len(settings.formats))
        write_whole(place / f"article.{kind}", _file(kind, given, folder, links))
        files.append(f"render/article.{kind}")
    if "md" in settings.formats:
        files += _figures(given, folder)
    tell(1, 1)
    return Rendered(tuple(files))


STAGE: Stage[ToRender, RenderSettings, Rendered] = Stage("render", 2, ToRender, RenderSettings, Rendered, render)


def _file(kind: Format, given: ToRender, folder: Path, links: Links) -> str | bytes:
    match kind:
        case "html":
            return Page(given, folder).html()
        case "md":
            return markdown(given, links)
        case "json":
            return json.dumps(_whole(given, links), ensure_ascii=False, indent=1) + "\n"
        case "docx":
            from moonlet.article.wordfile import word_file

            return word_file(given, folder, links)
        case "srt":
            return srt(given.transcript)
        case "vtt":
            return vtt(given.transcript)


def _whole(given: ToRender, links: Links) -> dict[str, Any]:
    """What a program needs to show the article in its own way, and to check it again."""
    recording, transcript = given.recording, given.transcript
    said = [{"id": one.id, "start": one.start, "end": one.end, "text": one.text} for one in transcript.sentences]
    return {
        "format": "moonlet-article-1",
        "article": to_plain(given.article),
        "report": to_plain(given.checked.report),
        "recording": {
            "title": recording.title,
            "source": recording.source,
            "link": recording.link,
            "duration": round(recording.duration, 3),
            "notes": list(recording.notes),
            "begin": links.to(0.0),
        },
        "transcript": {
            "language": transcript.language,
            "source": transcript.source,
            "coverage": transcript.coverage,
            "changes": to_plain(transcript.changes),
            "sentences": to_plain(said),
        },
    }


def _figures(given: ToRender, folder: Path) -> list[str]:
    """Copies of the figures that are shown, beside the Markdown that names them."""
    copied = []
    for section in given.article.sections:
        for picture in section.pictures:
            source, name = inside(folder, picture.path), f"render/figures/{picture.figure}.jpg"
            if source.is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, folder / name)
                copied.append(name)
    return copied
