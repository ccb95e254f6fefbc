"""Subtitles that exist already: WebVTT, SRT and ASS files, and text tracks inside the recording."""

from __future__ import annotations

import html
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import pysubs2

from moonlet.article.container import MediaError, beginning, opened
from moonlet.article.cues import stamp
from moonlet.article.language import SPACELESS, split_words
from moonlet.article.sentences import Token
from moonlet.article.talk import Word

MAX_BYTES = 16 << 20
_TEXT_CODECS = frozenset(("subrip", "mov_text", "webvtt", "ass", "ssa", "text", "srt"))
_VOICE = re.compile(r"<v(?:\.[^ <>]*+)?[ \t]++([^<>]+)>")
_MOMENT = r"((?:\d{1,4}:)?\d{1,2}:\d{1,2}[.,]\d{1,3})"
_HEADER = re.compile(rf"^[ \t]*{_MOMENT}[ \t]*-->[ \t]*{_MOMENT}.*$", re.MULTILINE)  # of a cue, its settings behind
_NUMBER = re.compile(r"\n[ \t]*\d+[ \t]*\n\Z")  # of the next cue in SRT, right above its header
_ROLLED = 20  # lines that rolling captions may repeat
_SOUND = re.compile(r"^[\s♪♫*-]*([\[(（【][^\])）】]*[\])）】][\s♪♫*-]*)*$")  # only [Music], (applause), ♪


@dataclass(frozen=True, slots=True)
class Cue:
    """What is shown from one second to another."""

    start: float
    end: float
    text: str
    speaker: str | None = None


def gather(recording: Path, with_it: Sequence[Path], folder: Path) -> Iterator[str]:
    """Copies the subtitles that came with a recording, and those inside it, to `media/subtitles`. Gives their paths
    below `folder`."""
    own = folder / "media" / "subtitles"
    shutil.rmtree(own, ignore_errors=True)
    for path in with_it:
        own.mkdir(parents=True, exist_ok=True)
        target = own / path.name
        shutil.copyfile(path, target)
        yield str(target.relative_to(folder))
    for index, language, cues in _embedded(recording):
        target = own / f"embedded-{index}{f'.{language}' if language else ''}.srt"
        own.mkdir(parents=True, exist_ok=True)
        lines = (f"{i}\n{stamp(c.start, ',')} --> {stamp(c.end, ',')}\n{c.text}\n" for i, c in enumerate(cues, 1))
        target.write_text("\n".join(lines), encoding="utf-8")
        yield str(target.relative_to(folder))


def read(path: Path) -> list[Cue]:
    """The cues of a file, in order, without what rolling captions repeat. Raises MediaError."""
    if path.stat().st_size > MAX_BYTES:
        raise MediaError(f"{path.name} is larger than {MAX_BYTES >> 20} MiB: no subtitles are")
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        raise MediaError(f"{path.name} is not written in UTF-8; save it so") from None
    try:
        is_srt = _HEADER.search(text) and "[Script Info]" not in text
        found = _timed(text) if is_srt or text.lstrip().startswith("WEBVTT") else _others(text)
        cues = [cue for cue in found if cue.end >= cue.start]
    except Exception as error:  # the library raises many kinds
        raise MediaError(f"{path.name} holds no subtitles that can be read: {error}") from None
    if not cues:
        raise MediaError(f"{path.name} holds no subtitles")
    return list(_unrolled(sorted(cues, key=lambda cue: cue.start)))


def _others(text: str) -> Iterator[Cue]:
    for event in pysubs2.SSAFile.from_string(text):
        if not event.is_comment:
            yield Cue(event.start / 1000, event.end / 1000, _plain(_bare(event.text)), event.name or None)


def _timed(text: str) -> Iterator[Cue]:
    """WebVTT by blocks (https://www.w3.org/TR/webvtt1/): pysubs2 takes names of cues, notes and the times of words for
    text or for cues. SRT as one block, in which cues may hold empty lines: pysubs2 takes a last line of digits for the
    number of the next cue. Several voices of one cue share its time by letters."""
    text = re.sub(r"\r\n?", "\n", text)
    is_vtt = text.lstrip().startswith("WEBVTT")
    for block in re.split(r"\n{2,}", text) if is_vtt else [text]:
        headers = list(_HEADER.finditer(block))  # none: a note, a style, the head of the file
        for header, end in zip(headers, [*(one.start() for one in headers[1:]), len(block)]):
            whole = Cue(_seconds(header[1]), _seconds(header[2]), "")
            body = block[header.end() : end]
            parts = _VOICE.split(body if is_vtt else _bare(_NUMBER.sub("\n", body) if end < len(block) else body))
            said = [(who, _plain(words)) for who, words in zip([None, *parts[1::2]], parts[::2])]
            said = [(who, words.strip("\n")) for who, words in said if words.strip()]
            of, at = sum(len(words) for _, words in said), 0
            for who, words in said:
                yield Cue(
                    _share(whole, at, of), _share(whole, at + len(words), of), words, who.strip() if who else None
                )
                at += len(words)


def _plain(text: str) -> str:
    return html.unescape(re.sub(r"</?[A-Za-z0-9][^<>]*>", "", text))


def _bare(text: str) -> str:
    """Without what ASS sets in braces, which SRT files have too."""
    return re.sub(r"\{[^{}]*\}", "", text).replace("\\N", "\n").replace("\\n", "\n").replace("\\h", " ")


def _seconds(moment: str) -> float:
    seconds = 0.0
    for part in moment.replace(",", ".").split(":"):
        seconds = seconds * 60 + float(part)
    return seconds


def language_of(path: str) -> str | None:
    """The language in a file's name: `talk.en.vtt`, `embedded-0.tha.srt`."""
    found = re.search(r"\.([a-z]{2,3})(-[A-Za-z]+)?\.[a-z]+$", path)
    return _TWO.get(found[1], found[1][:2] if len(found[1]) == 2 else None) if found else None


_TWO = {
    "eng": "en",
    "tha": "th",
    "zho": "zh",
    "chi": "zh",
    "cmn": "zh",
    "jpn": "ja",
    "deu": "de",
    "ger": "de",
    "fra": "fr",
}


def tokens(cues: Sequence[Cue], language: str) -> list[Token]:
    """The words of cues, with times shared out by letters. Lines that only name a sound are left out."""
    found: list[Token] = []
    for cue in cues:
        text = " ".join(cue.text.split())
        if _SOUND.match(text):
            continue
        text = text.removeprefix(">>").strip("♪♫ ").removeprefix("- ")
        at, spaced = 0, True
        for part in split_words(text, language):
            if part.strip():
                start, end = _share(cue, at, len(text)), _share(cue, at + len(part), len(text))
                marks = found and language in SPACELESS and not re.search(r"\w", part)
                if marks and not spaced:
                    last = found[-1]
                    found[-1] = Token(Word(last.word.text + part, last.word.start, end, 1.0), last.spaced, last.speaker)
                else:
                    found.append(Token(Word(part.strip(), start, end, 1.0), spaced or part[0].isspace(), cue.speaker))
            spaced = part[-1:].isspace()
            at += len(part)
    return found


def _share(cue: Cue, letters: int, of: int) -> float:
    return round(cue.start + (cue.end - cue.start) * min(letters, of) / max(of, 1), 3)


def _unrolled(cues: Sequence[Cue]) -> Iterator[Cue]:
    """Rolling captions show a line again above the next one: only what is new is said."""
    before: list[str] = []
    last_end = -1.0
    for cue in cues:
        lines = [line.strip() for line in cue.text.splitlines() if line.strip()]
        rolling = cue.start <= last_end + 0.05
        kept = lines
        if rolling and before:
            for count in range(min(len(before), len(lines), _ROLLED), 0, -1):
                if before[-count:] == lines[:count]:
                    kept = lines[count:]
                    break
        before, last_end = lines or before, max(last_end, cue.end)
        if kept:
            yield Cue(cue.start, cue.end, "\n".join(kept), cue.speaker)


def _embedded(recording: Path) -> list[tuple[int, str | None, list[Cue]]]:
    """Index, language and cues of every text track."""
    found = []
    with opened(recording) as container:
        tracks = [
            one for one in container.streams.subtitles if one.codec_context and one.codec_context.name in _TEXT_CODECS
        ]
        begin = beginning(container)
        for track in tracks:
            found.append((track.index, track.metadata.get("language"), list[Cue]()))
        if not tracks:
            return []
        places = {track.index: i for i, track in enumerate(tracks)}
        try:
            for packet in container.demux(tracks):
                if packet.pts is None or packet.size == 0:
                    continue
                start = float(packet.pts * packet.time_base) - begin
                text = "\n".join(_dialogue(one) for one in packet.decode())
                length = float((packet.duration or 0) * packet.time_base)
                if text.strip():
                    found[places[packet.stream.index]][2].append(Cue(start, start + length, text.strip()))
        except (av.error.FFmpegError, OSError):
            pass  # cut short: what came before counts
    return [one for one in found if one[2]]


def _dialogue(subtitle: object) -> str:
    raw = getattr(subtitle, "dialogue", None) or getattr(subtitle, "text", b"")
    return _bare(raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw))
