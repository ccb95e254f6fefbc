"""The transcript stage: every word with its second, recognised or from subtitles, in sentences."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from moonlet.article import subtitles
from moonlet.article.container import MediaError
from moonlet.article.language import SPACELESS, Script, guess, script_of
from moonlet.article.plain import PlainError, from_plain, to_plain
from moonlet.article.sentences import sentences, tokens
from moonlet.article.sound import Samples
from moonlet.article.speech import Interval, Piece, Recogniser, coverage, next_piece
from moonlet.article.stages import Stage, StageError, Tell, inside, silent, write_whole
from moonlet.article.talk import Recording, Transcript, Word

ENOUGH = 0.6  # coverage by subtitles, below which they are taken for those of a part, or of something else


@dataclass(frozen=True, slots=True)
class Heard:
    """What of a recording can be listened to or read."""

    source: str
    digest: str
    duration: float
    audio: str | None
    subtitles: tuple[str, ...]

    @classmethod
    def of(cls, recording: Recording) -> Heard:
        """Of a recording; its pictures are left out, which change no word."""
        return cls(recording.source, recording.digest, recording.duration, recording.audio, recording.subtitles)


@dataclass(frozen=True, slots=True)
class TranscriptSettings:
    """How it is recognised."""

    model: str = "small"  # Whisper's: a name, or a folder in CTranslate2's format
    language: str | None = None  # ISO 639-1; None: detected
    beam: int = 5  # 1 is known to lose a fifth of what is said
    # found: those with the recording, if they are believable; given: the user's, in any case
    subtitles: Literal["found", "given", "none"] = "found"
    script: Script | None = None  # of Chinese; None: the one that most of it is in

    def __post_init__(self) -> None:
        if not 1 <= self.beam <= 20:
            raise ValueError(f"beam must be from 1 to 20, got {self.beam}")
        if self.language is not None and not (2 <= len(self.language) <= 3 and self.language.isalpha()):
            raise ValueError(f"language must be a code like en, th or zh, not {self.language!r}")


def transcript(heard: Heard, folder: Path, settings: TranscriptSettings, tell: Tell = silent) -> Transcript:
    """The transcript. Raises StageError if nothing is said."""
    found = _from_subtitles(heard, folder, settings) if settings.subtitles != "none" else None
    found = found or _recognised(heard, folder, settings, tell)
    if found is None or not found.sentences:
        why = "has no sound, or only silence, and no subtitles" if heard.audio is None else "holds no speech"
        raise StageError(f"nothing is said in {heard.source}: it {why}, so there is nothing to write about")
    tell(heard.duration, heard.duration)
    return found


STAGE = Stage("transcript", 1, Heard, TranscriptSettings, Transcript, transcript)


def _from_subtitles(heard: Heard, folder: Path, settings: TranscriptSettings) -> Transcript | None:
    """Of the first usable file, of the wanted language if one is wanted."""
    given = settings.subtitles == "given"
    speech: list[Interval] | None = None
    for name in heard.subtitles[:1] if given else heard.subtitles:
        try:
            cues = subtitles.read(inside(folder, name))
        except MediaError:
            if given:
                raise
            continue
        language = subtitles.language_of(name) or guess("\n".join(cue.text for cue in cues))
        if given:
            language = settings.language or language
        elif not cues or settings.language not in (None, language):
            continue
        found = subtitles.tokens(cues, language)
        speech = _speech(heard, folder) if speech is None else speech  # of the whole recording: once for all files
        covered = coverage(speech, [token.word for token in found])
        if covered >= ENOUGH or given:
            made = sentences(found, language)
            script = script_of("".join(one.text for one in made)) if language in ("zh", "yue") else None
            return Transcript(language, script, heard.duration, made, covered, "subtitles")
    return None


def _speech(heard: Heard, folder: Path) -> list[Interval]:
    """Where somebody speaks; nowhere if there is no sound."""
    if heard.audio is None:
        return []
    samples, speech, at = Samples(inside(folder, heard.audio)), list[Interval](), 0.0
    while at < samples.seconds:
        at, more = next_piece(samples, at)
        speech += more
    return speech


def _recognised(heard: Heard, folder: Path, settings: TranscriptSettings, tell: Tell) -> Transcript | None:
    if heard.audio is None:
        return None
    kept = folder / "transcript" / STAGE.key(heard, settings)[:16]
    language, pieces = _pieces(heard, folder, settings, kept, tell)
    words = [word for piece in pieces for word in piece.words]
    speech = [one for piece in pieces for one in piece.speech]
    text = "".join(word.text for word in words)
    script = (settings.script or script_of(text)) if language in ("zh", "yue") else None
    made = sentences(tokens(_spaced(words, language), language, script), language)
    shutil.rmtree(kept.parent, ignore_errors=True)
    return Transcript(language, script, heard.duration, made, round(coverage(speech, words), 4), "recognised")


def _pieces(
    heard: Heard, folder: Path, settings: TranscriptSettings, kept: Path, tell: Tell
) -> tuple[str, list[Piece]]:
    """All pieces: those that an interrupted run left, and the rest, each of which is kept as soon as it is there."""
    assert heard.audio is not None
    samples, pieces, at = Samples(inside(folder, heard.audio)), list[Piece](), 0.0
    language, model = settings.language, None
    while at < samples.seconds:
        path = kept / f"{len(pieces):04d}.json"
        piece = _left(path, at)
        if piece is None:
            end, speech = next_piece(samples, at)
            if speech:
                model = model or Recogniser(settings.model, settings.beam)
                language = language or _language(kept, model, samples, speech)
                piece = model.piece(samples, at, end, speech, language)
            else:
                piece = Piece(at, end, (), ())
            write_whole(path, json.dumps(to_plain(piece), ensure_ascii=False))
        pieces.append(piece)
        at = piece.end
        tell(at, samples.seconds)
    return language or _language_left(kept) or "en", pieces


def _left(path: Path, at: float) -> Piece | None:
    try:
        piece = from_plain(Piece, json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, PlainError):
        return None
    return piece if abs(piece.start - at) < 1e-3 and piece.end > at else None


def _language(kept: Path, model: Recogniser, samples: Samples, speech: Sequence[Interval]) -> str:
    """What was found before the interruption, else what is heard now."""
    found = _language_left(kept) or model.language(samples, speech)
    write_whole(kept / "language", found)
    return found


def _language_left(kept: Path) -> str | None:
    path = kept / "language"
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _spaced(words: Sequence[Word], language: str) -> list[Word]:
    """The recogniser begins each of its segments with a space. In Chinese it means something only between two words of
    Latin letters; in Thai it stays, as a pause."""
    if language not in SPACELESS or language == "th":
        return list(words)
    kept, before = [], ""
    for word in words:
        text = word.text.strip()
        latin = bool(re.search(r"[A-Za-z0-9]$", before) and re.match(r"[A-Za-z0-9]", text))
        kept.append(replace(word, text=" " + text if latin and word.text[:1].isspace() else text))
        before = text or before
    return kept
