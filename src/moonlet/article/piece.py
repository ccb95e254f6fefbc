"""The article itself: its outline, its sentences with what each rests on, its quotes, and the report of the check.

Whatever a model writes carries the ids of the transcript's sentences that it rests on (see `moonlet.article.talk`);
words that were said, and their seconds, are put in from the transcript and never by a model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Language = Literal["en", "th", "zh"]  # that articles are written in
LANGUAGES: tuple[Language, ...] = ("en", "th", "zh")
Mode = Literal["written", "extractive"]


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that was said, in few words, and the ids of the sentences that say it."""

    text: str
    sentences: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """A section as it is planned: a stretch of the talk, and what matters in it."""

    heading: str
    first: int  # its sentences, from the id `first` to `last`
    last: int
    points: tuple[Point, ...] = ()
    terms: tuple[str, ...] = ()
    quotable: tuple[int, ...] = ()  # sentences that are worth being quoted as they are


@dataclass(frozen=True, slots=True)
class Outline:
    """What an article in any language is written from."""

    language: str  # of its own words: the talk's
    mode: Mode
    model: str | None  # that made it; None: nobody but our own ranking
    title: str
    points: tuple[Point, ...]  # the key points of the whole
    parts: tuple[Part, ...]
    notes: tuple[str, ...] = ()  # what did not go as it should


@dataclass(frozen=True, slots=True)
class Computed:
    """A number of an article that nobody said, and how it follows from numbers that were said."""

    value: str  # as a number in digits
    how: Literal[
        "sum", "difference", "product", "ratio", "percent"
    ]  # percent: how much more the last is than the first
    of: tuple[str, ...]  # numbers in digits


@dataclass(frozen=True, slots=True)
class Claim:
    """One sentence of an article."""

    text: str
    sentences: tuple[int, ...]  # of the transcript, on which it rests
    computed: tuple[Computed, ...] = ()
    flagged: str | None = None  # what the check found, where it was kept all the same


@dataclass(frozen=True, slots=True)
class Quote:
    """Words as they were said."""

    sentences: tuple[int, ...]
    text: str
    start: float  # seconds
    end: float
    speaker: str | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure of the recording at its place in a section."""

    figure: int  # its id
    time: float
    path: str  # below the article's folder
    caption: Claim | None  # None: nothing can be said of it that was said


@dataclass(frozen=True, slots=True)
class Section:
    """A section as it is read."""

    heading: str
    start: float  # second at which this part of the talk begins
    paragraphs: tuple[tuple[Claim, ...], ...]
    terms: tuple[str, ...] = ()  # set in bold where they first stand
    quotes: tuple[Quote, ...] = ()
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True, slots=True)
class Article:
    """A whole article. `spoken` is the language of the quotes."""

    language: str  # one of LANGUAGES; in extractive mode the talk's, whichever it is
    script: Literal["Hans", "Hant"] | None  # of Chinese
    spoken: str
    mode: Mode
    model: str | None
    title: str
    lead: tuple[Claim, ...]
    points: tuple[Claim, ...]
    sections: tuple[Section, ...]
    notes: tuple[str, ...] = ()

    def claims(self) -> list[tuple[str, Claim]]:
        """Every sentence that states something, and where it stands: `lead 1`, `point 2`, `section 1, paragraph 2`."""
        listed = [(f"lead {i}", claim) for i, claim in enumerate(self.lead, 1)]
        listed += [(f"point {i}", claim) for i, claim in enumerate(self.points, 1)]
        for i, section in enumerate(self.sections, 1):
            for j, paragraph in enumerate(section.paragraphs, 1):
                listed += [(f"section {i}, paragraph {j}", claim) for claim in paragraph]
            listed += [(f"section {i}, caption", picture.caption) for picture in section.pictures if picture.caption]
        return listed


Kind = Literal[
    "quote",  # not said so, or not there, or cut so that it says something else
    "time",  # said, but at another second
    "number",
    "negation",
    "name",
    "sense",  # turned: without its condition, without whose claim it is, with its roles exchanged
    "support",  # rests on nothing, or on sentences that speak of something else
]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a sentence. `false`: it says what was not said; otherwise it is only not shown to be right."""

    kind: Kind
    told: str
    false: bool


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that the check does not accept as it stands."""

    kind: Kind
    where: str  # in the article
    text: str  # that is meant
    told: str  # what is wrong with it
    dropped: bool  # whether it was taken out; otherwise it is marked


@dataclass(frozen=True, slots=True)
class Count:
    """Of so many things of one kind, so many hold."""

    held: int
    of: int


@dataclass(frozen=True, slots=True)
class Report:
    """What was looked at, what holds, and what does not. `score` is the share of all things that hold, in percent."""

    quotes: Count
    sentences: Count
    numbers: Count
    names: Count
    score: float
    by_words: bool  # whether sentences could be compared with what was said word by word: one language
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Checked:
    """An article as it may be shown, and the report."""

    article: Article
    report: Report
