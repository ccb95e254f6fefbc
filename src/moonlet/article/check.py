"""The check: quotes, numbers, denials, names and shared content of an article are held against the transcript.

What shows there to be false is taken out or marked. A false sentence that differs in none of these passes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from moonlet.article.claims import Ground
from moonlet.article.piece import Article, Checked, Claim, Count, Fault, Finding, Report, Section
from moonlet.article.rank import phrases
from moonlet.article.stages import Stage, Tell, silent
from moonlet.article.talk import Sentence, Transcript
from moonlet.article.verbatim import Spoken, quoted

Unsupported = Literal["drop", "flag"]


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """`unsupported`: what becomes of sentences that say what was not said."""

    unsupported: Unsupported = "drop"


@dataclass(frozen=True, slots=True)
class ToCheck:
    """What the check takes."""

    transcript: Transcript
    article: Article


class _Check:
    """One pass through an article, which counts and collects."""

    def __init__(self, given: ToCheck, unsupported: Unsupported) -> None:
        transcript, article = given.transcript, given.article
        self.article = article
        self.spoken = Spoken(transcript)
        self.by_words = article.language == transcript.language
        aliases = {change.before.lower(): change.after for change in transcript.changes}
        self.ground = Ground(transcript, self.by_words, aliases)
        self.unsupported = unsupported
        self.findings: list[Finding] = []
        self.quotes, self.sentences, self.numbers, self.names = [0, 0], [0, 0], [0, 0], [0, 0]

    def claims(self, listed: tuple[Claim, ...], where: str) -> tuple[Claim, ...]:
        """Those that stay."""
        kept = (
            self.claim(claim, where if len(listed) == 1 else f"{where}, sentence {i}")
            for i, claim in enumerate(listed, 1)
        )
        return tuple(claim for claim in kept if claim)

    def claim(self, claim: Claim, where: str) -> Claim | None:
        """The sentence, marked where something is wrong with it; None if it does not stay."""
        looked = self.ground.look(claim)
        faults = [*looked.faults, *self._inner_quotes(claim)]
        _count(self.sentences, not faults)
        wrong = {kind: sum(fault.kind == kind for fault in faults) for kind in ("number", "name")}
        for counter, of, kind in ((self.numbers, looked.numbers, "number"), (self.names, looked.names, "name")):
            counter[0], counter[1] = counter[0] + max(of - wrong[kind], 0), counter[1] + of
        if not faults:
            return claim
        drop = any(fault.false for fault in faults) and self.unsupported == "drop"
        self.findings += [Finding(fault.kind, where, claim.text, fault.told, drop) for fault in faults]
        return None if drop else replace(claim, flagged="; ".join(fault.told for fault in faults))

    def _inner_quotes(self, claim: Claim) -> list[Fault]:
        """Words that the writer put in quotation marks: somebody's only if they were said. In a translation they are
        nobody's."""
        if not self.by_words:
            return []
        wrong = []
        for text in quoted(claim.text):
            held = bool(self.spoken.find(text))
            _count(self.quotes, held)
            if not held:
                wrong.append(Fault("quote", f"nobody said “{text}”", True))
        return wrong

    def heading(self, text: str, sentences: Sequence[Sentence], where: str) -> str:
        """A title or heading; one with a number or name that does not occur gives way to a phrase that was said."""
        looked = self.ground.look(Claim(text, tuple(sentence.id for sentence in sentences)))
        words = re.findall(r"[^\W\d_]+", text)
        capitals = sum(word[0].isupper() for word in words) * 2 > len(words)  # as headings are often written
        kinds = ("number",) if capitals else ("number", "name")
        faults = [fault for fault in looked.faults if fault.kind in kinds]
        if not faults:
            return text
        self.findings += [Finding(fault.kind, where, text, fault.told, True) for fault in faults]
        said = phrases(sentences, sentences, 1) or [sentences[0].text[:60]]
        return said[0]

    def section(self, section: Section, number: int) -> Section:
        """The section with what stays of it."""
        where = f"section {number}"
        paragraphs = [
            self.claims(paragraph, f"{where}, paragraph {i}") for i, paragraph in enumerate(section.paragraphs, 1)
        ]
        pictures = tuple(
            replace(picture, caption=self.claim(picture.caption, f"{where}, caption")) if picture.caption else picture
            for picture in section.pictures
        )
        quotes = []
        for quote in section.quotes:
            finding = self.spoken.check(quote, where)
            _count(self.quotes, finding is None)
            if finding is None:
                quotes.append(quote)
            else:
                self.findings.append(finding)
        kept = tuple(paragraph for paragraph in paragraphs if paragraph)
        heading = self.heading(section.heading, self._under(section), where)
        return replace(section, heading=heading, paragraphs=kept, quotes=tuple(quotes), pictures=pictures)

    def _under(self, section: Section) -> Sequence[Sentence]:
        """The sentences of the talk that a section speaks of."""
        ids = {id for paragraph in section.paragraphs for claim in paragraph for id in claim.sentences}
        own = [one for one in self.spoken.transcript.sentences if one.id in ids]
        return own or self.spoken.transcript.sentences


def check(given: ToCheck, unsupported: Unsupported = "drop", tell: Tell = silent) -> Checked:
    """The article without false quotes and, as is wished, without sentences that say what was not said or with marks on
    them; and the report. Sentences that are only not shown to be right are marked in any case."""
    work, article = _Check(given, unsupported), given.article
    lead, points = work.claims(article.lead, "lead"), work.claims(article.points, "key points")
    sections = []
    for number, section in enumerate(article.sections, 1):
        sections.append(work.section(section, number))
        tell(number, len(article.sections))
    kept = tuple(section for section in sections if section.paragraphs or section.quotes or section.pictures)
    title = work.heading(article.title, given.transcript.sentences, "title")
    return Checked(replace(article, title=title, lead=lead, points=points, sections=kept), _report(work))


def check_stage() -> Stage[ToCheck, CheckSettings, Checked]:
    """The stage."""

    def run(given: ToCheck, folder: Path, settings: CheckSettings, tell: Tell) -> Checked:
        return check(given, settings.unsupported, tell)

    return Stage("check", 3, ToCheck, CheckSettings, Checked, run)


def _report(work: _Check) -> Report:
    quotes, sentences, numbers, names = (
        Count(held, of) for held, of in (work.quotes, work.sentences, work.numbers, work.names)
    )
    all_of = quotes.of + sentences.of + numbers.of + names.of
    held = quotes.held + sentences.held + numbers.held + names.held
    score = round(100 * held / all_of, 1) if all_of else 100.0
    return Report(quotes, sentences, numbers, names, score, work.by_words, tuple(work.findings))


def _count(counter: list[int], held: bool) -> None:
    counter[0] += held
    counter[1] += 1
