"""Whether a sentence of an article rests on what it says it rests on.

Looked at are the numbers (each was said, or is recomputed from said ones), what is denied, the names, and, where
article and talk are of one language, whether the sense is turned and how much of its content occurs in the sentences
named and those beside them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from functools import lru_cache

from moonlet.article.amounts import Amount, amounts
from moonlet.article.piece import Claim, Computed, Fault
from moonlet.article.sense import Sense
from moonlet.article.talk import Sentence, Transcript
from moonlet.article.words import SUPPOSED, alike, clauses, content, denials, denied, doubts, names, tidy, tokens

ENOUGH = 0.34  # of a sentence's content must occur in what it rests on
ENOUGH_SIGNS = 0.22  # the same for pairs and triples of signs, of which a paraphrase changes more
CLOSE = 0.5  # of the smaller one's content is shared by two clauses that speak of the same
_ABOUT = re.compile(
    r"\b(?:about|around|roughly|nearly|almost|approximately|some|over|more than|less than|close to)\s+\W?$|"
    "(?:ประมาณ|ราว|เกือบ|กว่า|มากกว่า)\\s*$|(?:大约|大約|约|約|近|将近|將近|超过|超過|接近)\\s*$"
)
# What a model may compute with: 1e999999999 is a number too, and would take hours.
_PLAIN = re.compile(r"-?[\d,]{1,18}(\.\d{1,9})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Looked:
    """What was looked at in one sentence."""

    faults: tuple[Fault, ...]
    numbers: int
    names: int


class Ground:
    """A transcript as what sentences rest on."""

    def __init__(self, transcript: Transcript, same_language: bool, aliases: dict[str, str]) -> None:
        """`aliases`: spellings that the glossary replaced, in lower case, and by what."""
        self._sentences = transcript.sentences
        self._sense = Sense(transcript)
        self._by_words = same_language
        self._aliases = aliases
        known = [*transcript.terms, *(one.speaker for one in transcript.sentences if one.speaker)]
        self._said = {name.lower() for term in known for name in [term, *term.split()]}
        self._text = tidy(transcript.text).lower()
        self._words = set(re.findall(r"[^\W_]+", self._text))

    def look(self, claim: Claim) -> Looked:
        """All that can be said of one sentence."""
        counted, named = amounts(tidy(claim.text)), names(claim.text)
        known = range(len(self._sentences))
        if not claim.sentences or any(id not in known for id in claim.sentences):
            return Looked((Fault("support", "it names no sentences of the talk", True),), len(counted), len(named))
        near = self._near(claim.sentences)
        faults = [*self._numbers(claim, counted, near), *self._names(named), *self._of_another(claim)]
        if not self._by_words:
            faults += self._denial(claim)
        elif not self._as_said(claim):
            faults += [*self._polarity(claim, near), *self._sense.look(claim, near)]
            faults += () if faults else self._content(claim, near)
        return Looked(tuple(faults), len(counted), len(named))

    def _as_said(self, claim: Claim) -> bool:
        """Whether it is one of the sentences that it rests on, word for word."""
        own = [token.text for token in tokens(tidy(claim.text))]
        return any(own == [token.text for token in tokens(tidy(self._sentences[id].text))] for id in claim.sentences)

    def _near(self, ids: Sequence[int]) -> list[Sentence]:
        """The sentences named and those beside them, to which pronouns point."""
        wanted = sorted({id + step for id in ids for step in (-1, 0, 1)} & set(range(len(self._sentences))))
        return [self._sentences[id] for id in wanted]

    def _numbers(self, claim: Claim, counted: Sequence[Amount], near: Sequence[Sentence]) -> Iterator[Fault]:
        heard = [(sentence.id, amount) for sentence in near for amount in _amounts(sentence.text)]
        said = [amount for id, amount in heard if not amount.loose or id in claim.sentences]
        text = tidy(claim.text)
        for amount in counted:
            if any(amount.same(other) for other in said):
                continue
            if _ABOUT.search(text[: amount.start].lower()) and any(_rounds(other, amount) for other in said):
                continue
            if any(_follows(computed, amount, said) for computed in claim.computed):
                continue
            shown = ", ".join([_shown(other) for other in said if not other.loose][:6]) or "none"
            yield Fault("number", f"{text[amount.start : amount.end]} was not said there (said: {shown})", True)

    def _names(self, named: Sequence[str]) -> Iterator[Fault]:
        for name in named:
            low = tidy(name).lower()
            if right := self._aliases.get(low):
                yield Fault("name", f"{name} is spelled {right}", True)
            elif low not in self._said and low not in self._words and not self._parts_known(low):
                yield Fault("name", f"{name} is not a name of this talk", True)

    def _parts_known(self, name: str) -> bool:
        parts = re.findall(r"[^\W_]+", name)
        stems = {part.removesuffix("s") for part in parts}
        return all(part in self._words or part in self._said for part in parts) or stems <= self._words

    def _of_another(self, claim: Claim) -> Iterator[Fault]:
        """The University of Lagos, where the talk speaks of the University of Ibadan."""
        for match in re.finditer(r"\b([A-Z]\w+) of ([A-Z]\w+)", tidy(claim.text)):
            spoken = set(re.findall(rf"\b{match[1].lower()} of (\w+)", self._text))
            if spoken and match[2].lower() not in spoken:
                yield Fault("name", f"the talk speaks of {match[1]} of {', '.join(sorted(spoken)).title()}", True)

    def _denial(self, claim: Claim) -> Iterator[Fault]:
        """Between two languages only this can be seen: all that a sentence rests on denies, and it does not."""
        cited = [tidy(self._sentences[id].text) for id in claim.sentences]
        if all(len(clauses(text)) == 1 and denials(text) for text in cited) and not denials(tidy(claim.text)):
            yield Fault("negation", "what it rests on denies something, it does not", False)

    def _polarity(self, claim: Claim, near: Sequence[Sentence]) -> Iterator[Fault]:
        """A clause that affirms what the clause that it stems from denies, or denies what that one affirms. "Salt
        water attacks copper" does neither to "salt water is not kind to copper": what is denied there is not in it."""
        said = [one for sentence in near for one in _stated(sentence.text)]
        for clause in (one for one in clauses(tidy(claim.text)) if not SUPPOSED.search(one.lower())):
            scores = [(alike(clause, other), other) for other in said]
            most = max((score for score, _ in scores), default=0.0)
            nearest = [other for score, other in scores if score == most]
            if most < CLOSE or any(_agree(clause, other) for other in nearest):
                continue
            for other in nearest:
                if denied(other) & content(clause) or denied(clause) & content(other):
                    what = "the talk denies it" if denials(other) else "the talk does not deny it"
                    yield Fault("negation", f"{what}: {other[:120]}", True)
                    break

    def _content(self, claim: Claim, near: Sequence[Sentence]) -> Iterator[Fault]:
        own = content(claim.text)
        if not own:
            return
        shared = own & frozenset[str]().union(*(content(sentence.text) for sentence in near))
        signs = any(ord(piece[0]) > 0xDFF for piece in own)
        if len(shared) / len(own) < (ENOUGH_SIGNS if signs else ENOUGH):
            yield Fault("support", f"{len(shared)} of its {len(own)} pieces of content occur where it rests", False)


def _agree(one: str, other: str) -> bool:
    """Whether both deny, or neither does, as far as can be seen."""
    if bool(denials(one)) == bool(denials(other)):
        return True
    return doubts(other if denials(one) else one)


@lru_cache(4096)
def _stated(text: str) -> tuple[str, ...]:
    """The clauses of what was said that are not only asked or supposed."""
    return tuple(one for one in clauses(tidy(text)) if not SUPPOSED.search(one.lower()))


@lru_cache(4096)
def _amounts(text: str) -> tuple[Amount, ...]:
    return tuple(amounts(tidy(text), loose=True))


def _rounds(said: Amount, told: Amount) -> bool:
    """Whether a number that is told as "about" is a said one, rounded to as many figures as it has."""
    if not said.value or (told.unit and said.unit and told.unit != said.unit):
        return False
    figures = len(str(abs(told.value.numerator)).rstrip("0")) if told.value.denominator == 1 else 3
    try:
        rounded = Fraction(Decimal(f"{float(said.value):.{max(figures, 1) - 1}e}"))
    except OverflowError:  # beyond what a float holds
        return False
    return rounded == told.value and abs(told.value - said.value) * 20 <= abs(said.value)


def _follows(computed: Computed, told: Amount, said: Sequence[Amount]) -> bool:
    """Whether the number that is told is the one that was computed, from numbers that were said."""
    if not all(_PLAIN.fullmatch(number) for number in (computed.value, *computed.of)):
        return False
    try:
        value, *of = (Fraction(Decimal(number.replace(",", ""))) for number in (computed.value, *computed.of))
    except (InvalidOperation, ValueError):
        return False
    plain = {amount.number for amount in said}
    if value != told.number or len(of) < 2 or any(number not in plain for number in of):
        return False
    first, last = of[0], of[-1]
    if computed.how in ("ratio", "percent") and not (first if computed.how == "percent" else last):
        return False
    match computed.how:
        case "sum":
            result = sum(of, Fraction(0))
        case "difference":
            result = abs(first - last)
        case "product":
            result = first * last
        case "ratio":
            result = first / last
        case "percent":
            result = (last - first) / first * 100
    places = max(-int(Decimal(computed.value.replace(",", "")).as_tuple().exponent), 0)
    return abs(result - value) <= Fraction(1, 2 * 10**places)


def _shown(amount: Amount) -> str:
    value = amount.value
    number = str(value) if value.denominator == 1 else f"{float(value):g}"
    return f"{number} {amount.unit}".strip()
