"""The outline: what a talk says, and in which order it is told. Map-reduce, so that hours fit a small context.

Each chapter is read by itself and becomes a few points with the ids of the sentences that say them; the points of all
chapters together, which are short, become the plan of the whole. Where even those do not fit, neighbours are condensed
first. Without a model the same is done by ranking (see `moonlet.article.rank`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from moonlet.article.ask import CONTEXT, Asker, NoAnswerError, TooMuchError
from moonlet.article.chapters import Stretch, cut, fit
from moonlet.article.piece import Outline, Part, Point
from moonlet.article.rank import phrases, ranks
from moonlet.article.stages import Stage, StageError, Tell
from moonlet.article.talk import Sentence, Transcript
from moonlet.llm import LLM

Length = Literal["short", "medium", "long"]
PARTS: Mapping[Length, int] = {"short": 3, "medium": 5, "long": 8}  # sections at most
_FEWEST = 4  # sentences of the talk to a section
_KEY_POINTS = 6
_TITLE = 72  # columns of a title in extractive mode: a sentence that is short enough makes a better one than words
_MOST_CHARS = 1200  # of one sentence, as a model is shown it


@dataclass(frozen=True, slots=True)
class OutlineSettings:
    """`model`: its name, None for none."""

    model: str | None = None
    length: Length = "medium"
    context: int = CONTEXT  # tokens that the model is given at a time


def outline_stage(
    llm: LLM | None, stopped: Callable[[], bool] = lambda: False
) -> Stage[Transcript, OutlineSettings, Outline]:
    """The stage, done by a model, or by ranking."""

    def run(transcript: Transcript, folder: Path, settings: OutlineSettings, tell: Tell) -> Outline:
        if not transcript.sentences:
            raise StageError("nothing was said in this recording, so there is nothing to write about")
        if llm is None:
            return ranked(transcript, settings.length)
        asker = Asker(llm, folder / "outline", settings.context, stopped)
        return _Reader(transcript, asker, settings, tell).read()

    return Stage("outline", 1, Transcript, OutlineSettings, Outline, run)


def ranked(transcript: Transcript, length: Length) -> Outline:
    """The outline that needs no model: the sentences that carry most, as they were said."""
    sentences = transcript.sentences
    parts = tuple(_ranked_part(sentences, stretch) for stretch in _stretches(transcript, length))
    best = _best(sentences, min(_KEY_POINTS - 1, max(len(sentences) // 4, 1)))
    short = [one for one in sentences if not one.doubtful and 12 <= _width(one.text) <= _TITLE]
    named = ", ".join(phrases(sentences, sentences, 2)) or sentences[0].text[:_TITLE]
    title = _best(short, 1)[0].text.rstrip(".。 ") if short else named[:1].upper() + named[1:]
    points = tuple(Point(sentence.text, (sentence.id,)) for sentence in best)
    return Outline(transcript.language, "extractive", None, title, points, parts)


def _stretches(transcript: Transcript, length: Length) -> list[Stretch]:
    count = min(PARTS[length], max(len(transcript.sentences) // _FEWEST, 1))
    return cut(transcript.sentences, count, min(3, _FEWEST))


def _ranked_part(sentences: Sequence[Sentence], stretch: Stretch) -> Part:
    own = sentences[stretch[0] : stretch[1] + 1]
    terms = phrases(own, sentences, 4)
    points = tuple(Point(sentence.text, (sentence.id,)) for sentence in _best(own, max(len(own) // 3, 1)))
    heading = terms[0] if terms else own[0].text[:40]
    return Part(heading[:1].upper() + heading[1:], *stretch, points, tuple(terms), quotable(own, 2))


_WINDOW = 400  # sentences that are ranked together: links grow with the square


def _best(sentences: Sequence[Sentence], count: int) -> list[Sentence]:
    """The highest ranked sentences in their order. Of a long talk every stretch gives its share."""
    windows = [sentences[i : i + _WINDOW] for i in range(0, len(sentences), _WINDOW)]
    scored = [(rank * len(window), sentence) for window in windows for rank, sentence in zip(ranks(window), window)]
    chosen = sorted(scored, key=lambda one: (-one[0], one[1].id))[:count]
    return sorted((sentence for _, sentence in chosen), key=lambda sentence: sentence.id)


def quotable(sentences: Sequence[Sentence], count: int) -> tuple[int, ...]:
    """Sentences that stand by themselves: neither too short nor too long, and clearly heard."""
    fitting = [one for one in sentences if not one.doubtful and 24 <= _width(one.text) <= 220]
    return tuple(sentence.id for sentence in _best(fitting, count)) if fitting else ()


def _width(text: str) -> int:
    """Length as it is read: a Chinese sign tells about as much as three letters."""
    return sum(3 if sign > "\u2e80" else 1 for sign in text)


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _list(items: Any, most: int, least: int = 0) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": least, "maxItems": most}


def _number(first: int, last: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": first, "maximum": last}


TEXT = {"type": "string"}


def shown(sentences: Sequence[Sentence]) -> str:
    """Sentences as a model sees them, each on a line with its id."""
    return "\n".join(f"[{sentence.id}] {' '.join(sentence.text.split())[:_MOST_CHARS]}" for sentence in sentences)


class _Reader:
    """One reading of a talk by a model."""

    def __init__(self, transcript: Transcript, asker: Asker, settings: OutlineSettings, tell: Tell) -> None:
        self._transcript, self._asker, self._settings, self._tell = transcript, asker, settings, tell
        self._notes: list[str] = []
        names = ", ".join(transcript.terms[:40])
        self._names = f" Spell these names so: {names}." if names else ""

    def read(self) -> Outline:
        """The whole. Raises what asking raises."""
        stretches = _stretches(self._transcript, self._settings.length)
        chapters = fit(stretches, self._size, self._asker.room)
        parts: list[Part] = []
        for done, chapter in enumerate(chapters):
            self._tell(done, len(chapters) + 1)
            parts += self._chapter(chapter)
        self._tell(len(chapters), len(chapters) + 1)
        outline = self._whole(self._fitting(parts))
        self._tell(1, 1)
        return outline

    def _size(self, place: int) -> int:
        return self._asker.tokens(shown([self._transcript.sentences[place]])) + 1

    def _chapter(self, stretch: Stretch) -> list[Part]:
        """What one chapter says; one that turns out too long is read in halves."""
        first, last = stretch
        own = self._transcript.sentences[first : last + 1]
        id = _number(first, last)
        schema = _object(
            title=TEXT,
            points=_list(_object(text=TEXT, sentences=_list(id, 8, 1)), 6, 1),
            terms=_list(TEXT, 6),
            quotable=_list(id, 3),
        )
        task = (
            "You prepare an article about a talk. Read this chapter of it and note, in the language of the talk: a "
            "short title; the points that matter, each one plain sentence, with the numbers of the sentences that say "
            "it; terms a reader should remember, as they are said; and the numbers of sentences that are worth "
            f"quoting as they are. Keep numbers and negations exactly.{self._names}"
        )
        try:
            answer = self._asker.ask(task, shown(own), schema)
        except TooMuchError as error:
            if first == last:
                raise StageError(f"one sentence does not fit into the model's context: {error}") from None
            middle = (first + last) // 2
            return [*self._chapter((first, middle)), *self._chapter((middle + 1, last))]
        except NoAnswerError as error:
            self._notes.append(f"sentences {first} to {last} were ranked, not read: {error}")
            return [_ranked_part(self._transcript.sentences, stretch)]
        points = tuple(_point(point["text"], point["sentences"]) for point in answer["points"] if point["text"].strip())
        return [Part(_line(answer["title"]), first, last, points, _texts(answer["terms"]), tuple(answer["quotable"]))]

    def _fitting(self, parts: Sequence[Part]) -> Sequence[Part]:
        """The parts, neighbours condensed into one until all of them fit into one question."""
        while self._asker.tokens(_digest(parts)) > self._asker.room and len(parts) > 1:
            parts = [self._condensed(parts[i : i + 2]) for i in range(0, len(parts), 2)]
        return parts

    def _condensed(self, parts: Sequence[Part]) -> Part:
        """Two neighbours as one, with the points that matter most."""
        if len(parts) == 1:
            return parts[0]
        points = [point for part in parts for point in part.points]
        schema = _object(
            title=TEXT, points=_list(_object(text=TEXT, of=_list(_number(0, len(points) - 1), 4, 1)), 5, 1)
        )
        task = (
            "These are points of neighbouring chapters of a talk. Condense them to at most five that matter most, "
            "each one sentence in the same language, with the numbers of the points it comes from, and give them a "
            "common title."
        )
        try:
            answer = self._asker.ask(task, _numbered(points), schema)
            kept = _pointed(answer["points"], points)
            title = _line(answer["title"])
        except (NoAnswerError, TooMuchError) as error:
            self._notes.append(f"points of {parts[0].heading!r} were thinned out, not condensed: {error}")
            kept, title = tuple(points[::2])[:5], parts[0].heading
        terms = dict.fromkeys(term for part in parts for term in part.terms[:3])
        quotes = tuple(id for part in parts for id in part.quotable[:2])
        return Part(title, parts[0].first, parts[-1].last, kept, tuple(terms)[:6], quotes)

    def _whole(self, parts: Sequence[Part]) -> Outline:
        """Title, key points, and which chapters make a section."""
        points = [point for part in parts for point in part.points]
        most = min(PARTS[self._settings.length], len(parts))
        schema = _object(
            title=TEXT,
            key_points=_list(_object(text=TEXT, of=_list(_number(0, len(points) - 1), 4, 1)), _KEY_POINTS, 1),
            sections=_list(_object(heading=TEXT, begins_with_chapter=_number(0, len(parts) - 1)), most, 1),
        )
        task = (
            "You plan an article about a talk from notes on its chapters. Give, in the language of the notes: a title "
            f"that says what the talk says; at most {_KEY_POINTS} key points, each one sentence, with the numbers of "
            f"the points it comes from; and at most {most} sections in the order of the talk, each with a heading and "
            f"the number of the chapter it begins with.{self._names}"
        )
        model, language = self._asker.name, self._transcript.language
        try:
            answer = self._asker.ask(task, _digest(parts), schema)
        except (NoAnswerError, TooMuchError) as error:
            notes = (*self._notes, f"the whole was planned without the model: {error}")
            plain = ranked(self._transcript, self._settings.length)
            return replace(
                plain, mode="written", model=model, parts=_merged(parts, _even(len(parts), most)), notes=notes
            )
        begins = {0: "", **{s["begins_with_chapter"]: _line(s["heading"]) for s in answer["sections"]}}
        begins[0] = begins[0] or _line(answer["sections"][0]["heading"]) if answer["sections"] else parts[0].heading
        sections = _merged(parts, begins)
        key = _pointed(answer["key_points"], points)
        return Outline(language, "written", model, _line(answer["title"]), key, sections, tuple(self._notes))


def _even(count: int, most: int) -> dict[int, str]:
    return {count * i // most: "" for i in range(most)}


def _merged(parts: Sequence[Part], begins: Mapping[int, str]) -> tuple[Part, ...]:
    """Sections that begin with these chapters, under these headings, or the first chapter's own."""
    starts = sorted(begins)
    merged = []
    for start, end in zip(starts, [*starts[1:], len(parts)]):
        own = parts[start:end]
        terms = dict.fromkeys(term for part in own for term in part.terms)
        merged.append(
            Part(
                begins[start] or own[0].heading,
                own[0].first,
                own[-1].last,
                tuple(point for part in own for point in part.points),
                tuple(terms)[:8],
                tuple(id for part in own for id in part.quotable),
            )
        )
    return tuple(merged)


def _digest(parts: Sequence[Part]) -> str:
    """Notes on chapters as a model sees them: points are numbered through."""
    lines, number = list[str](), 0
    for i, part in enumerate(parts):
        lines.append(f"Chapter {i}: {part.heading}")
        for point in part.points:
            lines.append(f"  [{number}] {point.text}")
            number += 1
    return "\n".join(lines)


def _numbered(points: Sequence[Point]) -> str:
    return "\n".join(f"[{i}] {point.text}" for i, point in enumerate(points))


def _pointed(answers: Sequence[Mapping[str, Any]], points: Sequence[Point]) -> tuple[Point, ...]:
    """Points that say of which points they are made, with those points' sentences."""
    made = []
    for answer in answers:
        ids = dict.fromkeys(id for of in answer["of"] for id in points[of].sentences)
        if answer["text"].strip():
            made.append(_point(answer["text"], list(ids)))
    return tuple(made)


def _point(text: str, ids: Sequence[int]) -> Point:
    return Point(_line(text), tuple(sorted(set(ids))))


def _line(text: str) -> str:
    return " ".join(text.split())


def _texts(listed: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_line(text) for text in listed if text.strip()))
