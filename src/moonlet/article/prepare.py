"""From what was asked for to a transcript: the stages that listen and look, in an article's folder."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from moonlet.article import download, glossary, media, subtitles, transcript
from moonlet.article.container import MediaError
from moonlet.article.download import DownloadSettings
from moonlet.article.glossary import GlossarySettings, Spoken
from moonlet.article.media import MediaSettings
from moonlet.article.source import Source, batch, from_file, is_address, must_be_there
from moonlet.article.stages import StageError, Tell, do, kept_input, read, silent
from moonlet.article.talk import Recording, Transcript
from moonlet.article.transcript import Heard, TranscriptSettings

_LONGEST = 59  # signs of an address that name a folder: if each takes four bytes, it may still be called so
STAGES = ("download", "media", "transcript", "glossary")

Watch = Callable[[str], Tell]  # told that a stage begins; gives where its progress is told


@dataclass(frozen=True, slots=True)
class Preparing:
    """Settings of all stages here."""

    download: DownloadSettings = field(default_factory=DownloadSettings)
    media: MediaSettings = field(default_factory=MediaSettings)
    transcript: TranscriptSettings = field(default_factory=TranscriptSettings)
    glossary: GlossarySettings = field(default_factory=GlossarySettings)
    subtitles: Path | None = None  # a file, instead of those that lie beside the recording


@dataclass(frozen=True, slots=True)
class Prepared:
    """What an article is written from."""

    recording: Recording
    transcript: Transcript


def prepare(
    asked: str,
    folder: Path,
    settings: Preparing,
    watch: Watch = lambda stage: silent,
    redo: Collection[str] = (),
) -> Prepared:
    """All stages up to the transcript. What the folder holds and is still right is not done again, but for the stages
    in `redo`. `asked`: a file, an address, or an article's folder. The caller has locked it. Raises StageError."""
    source = _source(asked, folder, settings, watch, redo)
    again = "media" in redo or not _files_there(folder)  # the stage writes all of its files anew in any case
    recording = do(media.STAGE, source, folder, settings.media, watch("media"), lost=again)
    heard = Heard.of(recording)
    said = do(transcript.STAGE, heard, folder, settings.transcript, watch("transcript"), "transcript" in redo)
    spoken = Spoken(said, tuple(one.slide_text for one in recording.figures if one.slide_text))
    unified = do(glossary.STAGE, spoken, folder, settings.glossary, watch("glossary"), "glossary" in redo)
    return Prepared(recording, unified)


def prepared(folder: Path) -> Prepared | None:
    """What `prepare` left in a folder, as it is there: nothing is read through, compared or done again."""
    recording, said = read(media.STAGE, folder), read(glossary.STAGE, folder)
    return Prepared(recording.output, said.output) if recording and said else None


def recordings(asked: str, settings: Preparing) -> list[str]:
    """The single recordings that a source is: a folder's files, a playlist's entries, or itself. Raises StageError."""
    if is_address(asked):
        found = download.look_up(asked, settings.download)
        return list(found.entries) or [asked]
    if "://" in asked:
        download.check(asked)  # says what is wrong with it
    path = Path(asked).expanduser()
    if path.is_dir() and not is_article(path):
        return [str(one) for one in batch(path)]
    if not is_article(path):
        must_be_there(path, settings.subtitles)
        if settings.subtitles:
            subtitles.read(settings.subtitles)
    return [str(path)]


def is_article(path: Path) -> bool:
    """Whether this is a folder in which an article was begun."""
    return (path / "media.json").is_file() or (path / "download.json").is_file()


def folder_for(asked: str, beside: Path) -> Path:
    """Where an article goes if nobody says: a folder of the recording's name, below `beside`. No two addresses share
    one: what differs in them may not show in a name."""
    if is_address(asked):
        parts = urlsplit(asked)
        name = re.sub(r"[^\w.-]+", "-", f"{parts.hostname}{parts.path}-{parts.query}").strip("-.")
        mark = hashlib.sha256(asked.encode()).hexdigest()[:8]
        return beside / f"{name[:_LONGEST]}-{mark}.article"
    path = Path(asked).expanduser()
    return path if is_article(path) else beside / f"{path.stem}.article"


def folders_for(asked: Sequence[str], beside: Path) -> list[Path]:
    """Where the articles of a batch go: each its own, also those of talk.mp4 and talk.mkv."""
    found = [folder_for(one, beside) for one in asked]
    taken = Counter(found)
    return [
        folder if taken[folder] == 1 or is_address(one) else beside / f"{Path(one).name}.article"
        for one, folder in zip(asked, found)
    ]


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """The folder, made if need be, for this process alone. If no stage was finished in it, it is taken away again.
    Raises StageError."""
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise StageError(f"{folder} cannot be a folder: there is a file of this name, or above it") from None
    descriptor = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StageError(f"{folder} is being worked on by another process") from None
        try:
            yield
        except StageError:
            if is_new and not any(folder.glob("*.json")):
                shutil.rmtree(folder)
            raise
    finally:
        os.close(descriptor)


def _source(asked: str, folder: Path, settings: Preparing, watch: Watch, redo: Collection[str]) -> Source:
    if is_address(asked):
        return _downloaded(asked, folder, settings, watch, redo)
    path = Path(asked).expanduser()
    if is_article(path):
        given = kept_input(media.STAGE, path)
        if given is None:
            raise MediaError(f"{path} was made by another version, or was stopped too early: give the recording")
        if not is_address(given.asked):
            return given
        if "download" in redo or not (path / "download.json").is_file():  # not there: it was stopped when done again
            return _downloaded(given.asked, folder, settings, watch, redo)
        if (there := download.held(path)) not in (given.asked, None):
            raise MediaError(f"{path} was stopped when {there} was to take its place: give the address that is meant")
        return given
    return from_file(path, settings.subtitles)


def _downloaded(address: str, folder: Path, settings: Preparing, watch: Watch, redo: Collection[str]) -> Source:
    """What lies at an address. What was downloaded may have been deleted since, or given way to another address whose
    download was then stopped."""
    kept = read(download.STAGE, folder)
    lost = kept is not None and (
        not (folder / kept.output.path).is_file()
        or download.held(folder) not in (address, None)  # None: from before it was kept
    )
    return do(download.STAGE, address, folder, settings.download, watch("download"), "download" in redo, lost)


def _files_there(folder: Path) -> bool:
    """Whether what the media stage left is still complete."""
    kept = read(media.STAGE, folder)
    if kept is None:
        return True
    found = kept.output
    names = [*([found.audio] if found.audio else []), *found.subtitles, *(one.path for one in found.figures)]
    return all((folder / name).is_file() for name in names)
