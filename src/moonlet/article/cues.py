"""The transcript as subtitles: SubRip and WebVTT, in cues that can be read in their time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from moonlet.article.language import UNSPACED
from moonlet.article.talk import Sentence, Transcript, Word

_WIDTH = 84  # columns of a cue: two lines of 42, of which a Chinese sign takes two
_LONGEST_S = 7.0
_SHORTEST_S = 0.8
_SPACELESS = re.compile(f"[{UNSPACED}]")


@dataclass(frozen=True, slots=True)
class Cue:
    """What stands on the screen at a time."""

    start: float
    end: float
    text: str


def cues(transcript: Transcript) -> list[Cue]:
    """Sentences, long ones cut between words; none reaches into the next."""
    listed = [cue for sentence in transcript.sentences for cue in _of_sentence(sentence)]
    timed = []
    for i, cue in enumerate(listed):
        limit = listed[i + 1].start if i + 1 < len(listed) else max(transcript.duration, cue.end)
        timed.append(
            Cue(cue.start, max(min(max(cue.end, cue.start + _SHORTEST_S), limit), cue.start + 0.001), cue.text)
        )
    return timed


def srt(transcript: Transcript) -> str:
    """As SubRip. It has no escapes: what could be taken for a tag, or for the arrow between times, is spelled apart."""
    blocks = []
    for number, cue in enumerate(cues(transcript), 1):
        text = cue.text.replace("-->", "—>").replace("<", "‹").replace(">", "›").replace("{", "(").replace("}", ")")
        blocks.append(f"{number}\n{stamp(cue.start, ',')} --> {stamp(cue.end, ',')}\n{text}\n")
    return "\n".join(blocks)


def vtt(transcript: Transcript) -> str:
    """As WebVTT."""
    blocks = [f"WEBVTT\nLanguage: {transcript.language}\n"]
    for cue in cues(transcript):
        blocks.append(f"{stamp(cue.start, '.')} --> {stamp(cue.end, '.')}\n{escape(cue.text, quote=False)}\n")
    return "\n".join(blocks)


def _of_sentence(sentence: Sentence) -> Iterator[Cue]:
    if not sentence.words:
        yield Cue(sentence.start, sentence.end, _one_line(sentence.text))
        return
    words: list[Word] = []
    for word in sentence.words:
        if words and (_columns([*words, word]) > _WIDTH or word.end - words[0].start > _LONGEST_S):
            yield _cue(words)
            words = []
        words.append(word)
    yield _cue(words)


def _cue(words: Sequence[Word]) -> Cue:
    return Cue(words[0].start, words[-1].end, _one_line(_joined(words)))


def _joined(words: Sequence[Word]) -> str:
    text = ""
    for word in words:
        own = word.text.strip()
        close = not text or not own or (_SPACELESS.match(own[0]) and _SPACELESS.match(text[-1]))
        text += own if close else f" {own}"
    return text


def _columns(words: Sequence[Word]) -> int:
    return sum(
        2 if sign > "\u2e80" else 0 if "\u0e31" <= sign <= "\u0e3a" or "\u0e47" <= sign <= "\u0e4e" else 1
        for sign in _joined(words)
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())


def stamp(second: float, point: str) -> str:
    """A time as subtitles have it: 01:02:03,456, where `point` is the comma."""
    milliseconds = max(0, round(second * 1000))
    hours, rest = divmod(milliseconds, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    seconds, thousandths = divmod(rest, 1000)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{thousandths:03}"
