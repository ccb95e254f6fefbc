"""The writing: from an outline to an article in English, Thai or Chinese, section by section.

The model returns sentences with the ids of what they rest on. Quotes, their seconds and the figures are put in here,
from the transcript and the recording.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from moonlet.article.ask import CONTEXT, Asker, NoAnswerError, TooMuchError
from moonlet.article.outline import TEXT, Length, _best, _line, _list, _number, _object, quotable, ranked, shown
from moonlet.article.piece import (
    LANGUAGES,
    Article,
    Claim,
    Computed,
    Language,
    Outline,
    Part,
    Picture,
    Point,
    Quote,
    Section,
)
from moonlet.article.stages import Stage, StageError, Tell
from moonlet.article.talk import Figure, Sentence, Transcript
from moonlet.llm import LLM

Tone = Literal["neutral", "friendly", "formal"]
_PARAGRAPHS: Mapping[Length, int] = {"short": 1, "medium": 2, "long": 4}  # of a section, at most
_SHARE: Mapping[Length, float] = {
    "short": 0.2,
    "medium": 0.35,
    "long": 0.6,
}  # of a talk's sentences, in extractive mode
_SHORT = 6  # sentences; a talk of fewer needs no summary
_PICTURES = 2  # of a section
_QUOTES = 1
_TONES: Mapping[Tone, str] = {
    "neutral": "plain and neutral, like a good newspaper",
    "friendly": "warm and direct, to one reader",
    "formal": "formal and exact, without contractions",
}
_IN: Mapping[str, str] = {
    "en": "English",
    "th": "Thai, with Arabic digits, names as they are spelled in the talk, and no full stops",
    "zh": "Chinese in simplified characters, with Chinese punctuation",
    "zh-Hant": "Chinese in traditional characters, with Chinese punctuation",
}


@dataclass(frozen=True, slots=True)
class WriteSettings:
    """`model`: its name, None for extractive mode. `language`: None takes the talk's, where articles have it."""

    model: str | None = None
    language: Language | None = None
    tone: Tone = "neutral"
    length: Length = "medium"
    audience: str = "general readers"
    context: int = CONTEXT  # tokens that the model is given at a time

    def __post_init__(self) -> None:
        if not self.audience.strip() or len(self.audience) > 200:
            raise ValueError("the audience is described in 1 to 200 characters")


@dataclass(frozen=True, slots=True)
class ToWrite:
    """What the writing takes."""

    transcript: Transcript
    outline: Outline
    figures: tuple[Figure, ...] = ()


def write_stage(llm: LLM | None, stopped: Callable[[], bool] = lambda: False) -> Stage[ToWrite, WriteSettings, Article]:
    """The stage, done by a model, or by taking over sentences as they were said."""

    def run(given: ToWrite, folder: Path, settings: WriteSettings, tell: Tell) -> Article:
        if llm is None or given.outline.mode == "extractive":
            return extracted(given, settings)
        asker = Asker(llm, folder / "write", settings.context, stopped)
        return _Writer(given, asker, settings, tell).write()

    return Stage("write", 2, ToWrite, WriteSettings, Article, run)


def extracted(given: ToWrite, settings: WriteSettings) -> Article:
    """An article of sentences as they were said. Raises StageError if another language is asked for: nothing here can
    translate."""
    transcript, outline = given.transcript, given.outline
    if settings.language not in (None, transcript.language):
        raise StageError(
            f"without a model that can write, the article stays in the talk's language ({transcript.language}); "
            f"name a model for one in {settings.language}"
        )
    sections = []
    used = {id for point in outline.points for id in point.sentences}
    for part in outline.parts:
        own = transcript.sentences[part.first : part.last + 1]
        best = _best(own, max(round(len(own) * _SHARE[settings.length]), 1))
        quotes = _quotes(transcript, [id for id in part.quotable if id not in used], 1)
        quoted = {id for quote in quotes for id in quote.sentences}
        claims = tuple(_as_said(sentence) for sentence in best if sentence.id not in quoted or len(best) == 1)
        paragraphs = tuple(claims[i : i + 4] for i in range(0, len(claims), 4))
        pictures = _pictures(given, part, {})
        sections.append(Section(part.heading, own[0].start, paragraphs, part.terms, quotes, pictures))
    lead = tuple(_as_said(sentence) for sentence in _best(transcript.sentences[: max(len(used) * 3, 6)], 1))
    points = tuple(Claim(point.text, point.sentences) for point in outline.points)
    if len(transcript.sentences) < _SHORT:  # all of it stands in the sections already
        lead, points = (), ()
    return Article(
        transcript.language, transcript.script, transcript.language, "extractive", None, outline.title, lead, points,
        tuple(sections), outline.notes,
    )  # fmt: skip


def _as_said(sentence: Sentence) -> Claim:
    return Claim(sentence.text, (sentence.id,))


def _quotes(transcript: Transcript, ids: Sequence[int], most: int) -> tuple[Quote, ...]:
    """Sentences as quotes: the words and seconds are the transcript's. Doubtful ones are not quoted."""
    fitting = quotable([transcript.sentences[id] for id in sorted(set(ids))], most)
    chosen = [transcript.sentences[id] for id in fitting]
    return tuple(Quote((one.id,), one.text, _first(one), _last(one), one.speaker) for one in chosen)


def _first(sentence: Sentence) -> float:
    return sentence.words[0].start if sentence.words else sentence.start


def _last(sentence: Sentence) -> float:
    return sentence.words[-1].end if sentence.words else sentence.end


def _chosen(given: ToWrite, part: Part) -> list[Figure]:
    """The figures of a section: those with text first, then the crispest, in their order."""
    begin, end = (given.transcript.sentences[id] for id in (part.first, part.last))
    last = given.outline.parts[-1].last == part.last
    own = [figure for figure in given.figures if begin.start - 1 <= figure.time and (last or figure.time < end.end)]
    best = sorted(own, key=lambda one: (-len(one.slide_text or ""), -one.sharpness, one.time))[:_PICTURES]
    return sorted(best, key=lambda one: one.time)


def _pictures(given: ToWrite, part: Part, captions: Mapping[int, Claim]) -> tuple[Picture, ...]:
    """With the captions that were written, else with what was being said."""
    listed = []
    for figure in _chosen(given, part):
        said = given.transcript.at(figure.time) or given.transcript.sentences[0]
        caption = captions.get(figure.id) or (_as_said(said) if given.outline.mode == "extractive" else None)
        listed.append(Picture(figure.id, figure.time, figure.path, caption))
    return tuple(listed)


_HOW = ["sum", "difference", "product", "ratio", "percent"]


def _claim_schema(id: Mapping[str, Any]) -> dict[str, Any]:
    computed = _object(value=TEXT, how={"enum": _HOW}, of=_list(TEXT, 8, 2))
    claim = _object(text=TEXT, sentences=_list(id, 8, 1), computed=_list(computed, 3))
    claim["required"] = ["text", "sentences"]
    return claim


class _Writer:
    """One article, written by a model."""

    def __init__(self, given: ToWrite, asker: Asker, settings: WriteSettings, tell: Tell) -> None:
        self._given, self._asker, self._settings, self._tell = given, asker, settings, tell
        spoken = given.transcript.language
        wanted = settings.language or (spoken if spoken in LANGUAGES else "en")
        self._language: Language = next(one for one in LANGUAGES if one == wanted)
        self._script = (given.transcript.script or "Hans") if self._language == "zh" else None
        self._notes = list(given.outline.notes)
        self._answers = 0  # that could be used
        names = ", ".join(given.transcript.terms[:40])
        tongue = _IN["zh-Hant" if self._script == "Hant" else self._language]
        self._style = (
            f"Write in {tongue}, for {_line(settings.audience)}; {_TONES[settings.tone]}. Say only what the sentences "
            "that you name say: their numbers, names and negations exactly, nothing from elsewhere. Do not put words "
            "in quotation marks: quotes are added afterwards. No markup."
            + (f" Spell these names so: {names}." if names else "")
        )

    def write(self) -> Article:
        """The whole. Raises what asking raises."""
        outline, transcript = self._given.outline, self._given.transcript
        of = len(outline.parts) + 1
        self._tell(0, of)
        title, lead, points, headings = self._front()
        sections = []
        for i, (part, heading) in enumerate(zip(outline.parts, headings)):
            self._tell(i + 1, of)
            sections.append(self._section(part, heading))
        self._tell(of, of)
        if not self._answers:
            return self._unwritten()
        return Article(
            self._language, self._script, transcript.language, "written", self._asker.name, title, lead, points,
            tuple(sections), tuple(self._notes),
        )  # fmt: skip

    def _unwritten(self) -> Article:
        """Of a model none of whose answers could be used: it wrote nothing, and the article does not say that it did.
        Raises StageError if another language is asked for."""
        told = f"{self._asker.name} gave no answer that could be used: sentences were taken over as they were said"
        plain = replace(ranked(self._given.transcript, self._settings.length), notes=(told,))
        try:
            return extracted(replace(self._given, outline=plain), self._settings)
        except StageError:
            raise StageError(
                f"{self._asker.name} gave no answer that could be used, so there is no article in {self._language}"
            ) from None

    def _front(self) -> tuple[str, tuple[Claim, ...], tuple[Claim, ...], list[str]]:
        """Title, lead, key points and headings, in the article's language."""
        outline = self._given.outline
        points, parts = outline.points, outline.parts
        number = _number(0, max(len(points) - 1, 0))
        claim = _object(text=TEXT, of=_list(number, 4, 1))
        schema = _object(
            title=TEXT,
            lead=_list(claim, 3, 1),
            key_points=_list(claim, max(len(points), 1), 1),
            headings=_list(TEXT, len(parts), len(parts)),
        )
        task = (
            "You write the beginning of an article about a talk: a title; a lead of one to three sentences that makes "
            "a reader want to go on; the key points; and the headings of the sections, as many as are given and in "
            f"their order. Each sentence names the numbers of the key points that it comes from. {self._style}"
        )
        try:
            answer = self._asker.ask(task, self._plan(), schema)
        except (NoAnswerError, TooMuchError) as error:
            self._notes.append(f"title and key points are the outline's: {error}")
            own = tuple(Claim(point.text, point.sentences) for point in points)
            return outline.title, (), own, [part.heading for part in parts]
        self._answers += 1
        lead, key = (self._claims_of(answer[name], points) for name in ("lead", "key_points"))
        headings = [_line(heading) or part.heading for heading, part in zip(answer["headings"], parts)]
        return _line(answer["title"]) or outline.title, lead, key, headings

    def _plan(self) -> str:
        """The outline with the sentences that its points rest on."""
        outline, sentences = self._given.outline, self._given.transcript.sentences
        lines = [f"Title: {outline.title}", "Key points:"]
        for i, point in enumerate(outline.points):
            lines.append(f"[{i}] {point.text}")
            lines += [f"    said: {sentences[id].text[:300]}" for id in point.sentences[:3]]
        return "\n".join([*lines, "Sections:", *(f"{i}. {part.heading}" for i, part in enumerate(outline.parts))])

    def _claims_of(self, answers: Sequence[Mapping[str, Any]], points: Sequence[Point]) -> tuple[Claim, ...]:
        made = []
        for answer in answers:
            ids = sorted({id for of in answer["of"] if of < len(points) for id in points[of].sentences})
            if answer["text"].strip():
                made.append(Claim(_line(answer["text"]), tuple(ids)))
        return tuple(made)

    def _section(self, part: Part, heading: str) -> Section:
        """One section, from as much of its stretch as fits; the sentences of its points come first."""
        transcript = self._given.transcript
        own = transcript.sentences[part.first : part.last + 1]
        figures = _chosen(self._given, part)
        shown_now = list(self._fitting(own, part))
        while True:
            try:
                answer = self._ask_section(part, heading, shown_now, figures)
                self._answers += 1
                break
            except TooMuchError as error:
                if len(shown_now) < 2:
                    raise StageError(f"a section does not fit into the model's context: {error}") from None
                shown_now = _thinner(shown_now, part)
            except NoAnswerError as error:
                self._notes.append(f"the section {heading!r} was taken over as it was said: {error}")
                return self._taken_over(part, heading)
        paragraphs = tuple(
            tuple(_claim(one) for one in paragraph if one["text"].strip()) for paragraph in answer["paragraphs"]
        )
        captions = {one["figure"]: _claim(one) for one in answer.get("captions", ()) if one["text"].strip()}
        told = {id for paragraph in paragraphs for claim in paragraph for id in claim.sentences}
        worth = part.quotable or tuple(sentence.id for sentence in own)
        quotes = _quotes(transcript, [id for id in worth if id not in told] or worth, _QUOTES)
        terms = tuple(dict.fromkeys(_line(term) for term in answer["terms"] if term.strip()))
        pictures = _pictures(self._given, part, captions)
        return Section(heading, own[0].start, tuple(p for p in paragraphs if p), terms, quotes, pictures)

    def _ask_section(self, part: Part, heading: str, said: Sequence[Sentence], figures: Sequence[Figure]) -> Any:
        claim = _claim_schema(_number(part.first, part.last))
        schema = _object(
            paragraphs=_list(_list(claim, 6, 1), _PARAGRAPHS[self._settings.length], 1), terms=_list(TEXT, 6)
        )
        task = (
            f"You write one section of an article about a talk, under the heading given: at most "
            f"{_PARAGRAPHS[self._settings.length]} paragraphs of a few sentences. Each sentence names the numbers of "
            "the transcript's sentences that it rests on. A number that nobody says but that follows from said ones "
            f"goes into `computed`, with the numbers it follows from. `terms` are key terms of your text. {self._style}"
        )
        material = f"Heading: {heading}\nPoints:\n" + "".join(f"- {point.text}\n" for point in part.points[:12])
        if figures:
            schema["properties"]["captions"] = _list(
                _object(
                    figure={"enum": [figure.id for figure in figures]},
                    text=TEXT,
                    sentences=claim["properties"]["sentences"],
                ),
                len(figures),
            )
            task += " `captions`: for each figure one sentence on what is being said while it is seen."
            material += "Figures:\n" + "".join(self._figure_line(figure) for figure in figures)
        return self._asker.ask(task, f"{material}Transcript:\n{shown(said)}", schema)

    def _figure_line(self, figure: Figure) -> str:
        near = self._given.transcript.at(figure.time)
        on_it = " ".join((figure.slide_text or "").split())[:200]
        return (
            f"figure {figure.id}: beside sentence {near.id if near else 0}"
            + (f", shows: {on_it}" if on_it else "")
            + "\n"
        )

    def _fitting(self, own: Sequence[Sentence], part: Part) -> Sequence[Sentence]:
        room = self._asker.room - self._asker.tokens("".join(point.text for point in part.points[:12])) - 200
        chosen: Sequence[Sentence] = own
        while len(chosen) > 1 and self._asker.tokens(shown(chosen)) > room:
            chosen = _thinner(chosen, part)
        return chosen

    def _taken_over(self, part: Part, heading: str) -> Section:
        """The section in the talk's own sentences, where the model gave nothing that can be used."""
        own = self._given.transcript.sentences[part.first : part.last + 1]
        claims = tuple(_as_said(sentence) for sentence in _best(own, max(len(own) // 3, 1)))
        return Section(heading, own[0].start, (claims,), part.terms, (), _pictures(self._given, part, {}))


def _thinner(sentences: Sequence[Sentence], part: Part) -> list[Sentence]:
    """About half of them: first those that the points rest on, with their neighbours, then by rank."""
    wanted = {id + step for point in part.points for id in point.sentences for step in (0, -1, 1)}
    pointed = [sentence for sentence in sentences if sentence.id in wanted]
    half = max(len(sentences) // 2, 1)
    if 0 < len(pointed) < len(sentences):
        return pointed
    return _best(sentences, half)


def _claim(answer: Mapping[str, Any]) -> Claim:
    computed = tuple(Computed(one["value"], one["how"], tuple(one["of"])) for one in answer.get("computed") or ())
    return Claim(_line(answer["text"]), tuple(sorted(set(answer["sentences"]))), computed)
