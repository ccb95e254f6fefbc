"""The check: nothing stays in an article as if it had been said that was not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from .claims import Fault, Ground
from .piece import Article, Checked, Claim, Count, Finding, Report, Section
from .talk import Transcript
from .verbatim import Spoken, quoted

Unsupported = Literal["drop", "flag"]


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

    def section(self, section: Section, number: int) -> Section:
        """The section with what stays of it."""
        where = f"section {number}"
        paragraphs = [
            self.claims(paragraph, f"{where}, paragraph {i}") for i, paragraph in enumerate(section.paragraphs, 1)
        ]
        quotes = []
        for quote in section.quotes:
            finding = self.spoken.check(quote, where)
            _count(self.quotes, finding is None)
            if finding is None:
                quotes.append(quote)
            else:
                self.findings.append(finding)
        return replace(section, paragraphs=tuple(p for p in paragraphs if p), quotes=tuple(quotes))


def check(
    given: ToCheck, unsupported: Unsupported = "drop", tell: Callable[[float, float], None] | None = None
) -> Checked:
    """The article without false quotes and, as is wished, without sentences that say what was not said or with marks on
    them; and the report. Sentences that are only not shown to be right are marked in any case."""
    work, article = _Check(given, unsupported), given.article
    lead, points = work.claims(article.lead, "lead"), work.claims(article.points, "key points")
    sections = []
    for number, section in enumerate(article.sections, 1):
        sections.append(work.section(section, number))
        if tell:
            tell(number, len(article.sections))
    kept = tuple(section for section in sections if section.paragraphs or section.quotes or section.pictures)
    return Checked(replace(article, lead=lead, points=points, sections=kept), _report(work))


def _report(work: _Check) -> Report:
    counts = [Count(*counter) for counter in (work.quotes, work.sentences, work.numbers, work.names)]
    of = sum(count.of for count in counts)
    score = 100 * sum(count.held for count in counts) / of if of else 100.0
    return Report(*counts, score=round(score, 1), by_words=work.by_words, findings=tuple(work.findings))


def _count(counter: list[int], held: bool) -> None:
    counter[0] += held
    counter[1] += 1
