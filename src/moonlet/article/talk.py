"""What is known of a recording: its streams and figures, and every word with its second.

Times are seconds from the beginning of the recording. Paths are relative to the article's folder, so that the folder
can be moved. Everything here is written to JSON and read again by `moonlet.article.plain`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

DOUBT = 0.5  # a word that its recogniser held for less likely than this is marked


@dataclass(frozen=True, slots=True)
class Word:
    """A word as it stands in its sentence, punctuation included. Subtitles' words have probability 1, and times that
    are interpolated within their cue."""

    text: str
    start: float
    end: float
    probability: float

    @property
    def doubtful(self) -> bool:
        """Whether its recogniser held it for less likely than not."""
        return self.probability < DOUBT


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence, or what stands between two pauses where a language writes none. `id` is its place in the transcript,
    from 0. `text` is the words joined as the language joins them."""

    id: int
    start: float
    end: float
    text: str
    words: tuple[Word, ...]
    speaker: str | None = None
    doubtful: bool = False  # a reader should listen: a third of the words are doubtful, or one number or name


@dataclass(frozen=True, slots=True)
class Change:
    """A spelling that the glossary replaced, and how often."""

    before: str
    after: str
    count: int


@dataclass(frozen=True)
class Transcript:
    """All that was said, in order."""

    language: str  # ISO 639-1, like en, th, zh
    script: Literal["Hans", "Hant"] | None  # of Chinese: the one all of it is written in
    duration: float
    sentences: tuple[Sentence, ...]
    coverage: float  # share of the seconds with speech that have words; 1 if there is no speech
    source: Literal["recognised", "subtitles"]
    changes: tuple[Change, ...] = ()
    terms: tuple[str, ...] = ()  # the glossary: spellings of names that hold for the whole article

    def __post_init__(self) -> None:
        for place, sentence in enumerate(self.sentences):
            if sentence.id != place:
                raise ValueError(f"sentence {place} has the id {sentence.id}")

    @cached_property
    def text(self) -> str:
        """The whole, a sentence a line."""
        return "\n".join(sentence.text for sentence in self.sentences)

    def at(self, second: float) -> Sentence | None:
        """The sentence that is being said, or else the last one before; None before the first."""
        found = None
        for sentence in self.sentences:
            if sentence.start > second:
                break
            found = sentence
        return found


@dataclass(frozen=True, slots=True)
class Figure:
    """A still of the recording, upright, as a JPEG file."""

    id: int  # its place in the recording's figures, from 0
    time: float
    path: str  # below the article's folder
    width: int
    height: int
    sharpness: float  # variance of the Laplacian of its brightness, 0 to 255, at 320 columns: above 100 is crisp
    slide_text: str | None = None  # what an OCR read on it; None: nothing, or no OCR


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream of the file, as it was decoded."""

    kind: Literal["audio", "video", "subtitle"]
    codec: str
    language: str | None = None  # as the container says
    seconds: float = 0.0  # decoded, from first to last
    width: int = 0  # of a video, upright
    height: int = 0
    rotation: int = 0  # degrees anticlockwise that were undone: 0, 90, 180, 270
    frames: int = 0


@dataclass(frozen=True, slots=True)
class Recording:
    """What the media stage found."""

    source: str  # the path or address that was asked for
    title: str
    link: str | None  # address with {seconds} in it where the site can jump to a second, else None
    duration: float  # of what could be decoded
    streams: tuple[Stream, ...]
    audio: str | None  # 16 kHz mono WAV below the article's folder; None if there is no sound
    video: str  # the file that was decoded; below the article's folder if it was downloaded
    figures: tuple[Figure, ...] = ()
    cuts: tuple[float, ...] = ()  # seconds at which another picture begins
    subtitles: tuple[str, ...] = ()  # files that came with the recording or in it, below the folder
    digest: str = ""  # sha256 of the recording, and of subtitles that came with it
    notes: tuple[str, ...] = ()  # what a reader should know: it is cut short, the container's claim is wrong, silence

    def link_to(self, second: float) -> str | None:
        """Where the site shows this second."""
        return self.link.replace("{seconds}", str(int(second))) if self.link else None
