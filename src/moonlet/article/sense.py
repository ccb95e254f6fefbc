"""Whether a sentence turns the sense of what it rests on although its words are there: the condition, whose claim it
is, who acts on whom, which number belongs to what. For article and talk of one language.

All of it is by rule, made so that a true sentence passes: what these rules do not know is let through.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property

from moonlet.article import laid_to, supposed
from moonlet.article.amounts import amounts
from moonlet.article.contrary import contrary
from moonlet.article.piece import Claim, Fault
from moonlet.article.roles import exchanged, other_actor
from moonlet.article.talk import Sentence, Transcript
from moonlet.article.words import alike, clauses, content, denials, names, tidy

_MOST = 0.6  # of a clause's content is in what was not stated outright
_MOST_SIGNS = 0.5  # the same for pairs and triples of signs
_CLOSE = 0.5  # two clauses speak of the same


class Sense:
    """A transcript as what may be turned."""

    def __init__(self, transcript: Transcript) -> None:
        self._transcript = transcript

    def look(self, claim: Claim, near: Sequence[Sentence]) -> Iterator[Fault]:
        """What is turned in a sentence; `near` are the sentences that it rests on, and those beside them."""
        text, texts = tidy(claim.text), [sentence.text for sentence in near]
        yield from self._supposed(text, texts)
        yield from self._unattributed(text, texts)
        yield from _reasons(text, texts)
        one, other = (laid_to.as_one(text, self._speaker), [laid_to.as_one(said, self._speaker) for said in texts])
        if pair := exchanged(one, other, self._transcript.language):
            yield Fault("sense", f"{pair[0]} and {pair[1]} have each other's part in what was said", True)
        if self._transcript.language == "en" and (pair := other_actor(text, texts, self._proper)):
            yield Fault("sense", f"{pair[1]} did so, not {pair[0]}", True)
        if turned := contrary(text, texts):
            yield Fault("sense", f"{turned[1]} was said, not {turned[0]}", True)
        yield from _numbers(text, texts)
        yield from self._wrong_person(claim, near)

    def _supposed(self, text: str, near: Sequence[str]) -> Iterator[Fault]:
        if supposed.leaves_open(text):
            return
        own = content(text)
        for one in (one for said in near for one in supposed.supposed(said)):
            if one.condition and content(one.condition) & own:
                continue
            if self._states(text, one.text):
                yield Fault("sense", one.told, True)
                return

    def _unattributed(self, text: str, near: Sequence[str]) -> Iterator[Fault]:
        for said in near:
            for one in laid_to.reported(said):
                denies = len(denials(tidy(said))) > len(denials(text))
                if one.denied and denies and self._states(text, one.text):
                    yield Fault("negation", f"the talk denies it: {tidy(said)[:120]}", True)
                    return
        for one in laid_to.unattributed(text, near):
            if self._states(text, one.text):
                yield Fault("sense", f"the talk tells it as what others say or believe: {one.who[-80:]}", one.doubted)
                return

    def _states(self, text: str, said: str) -> bool:
        """Whether a sentence has a clause that says this, which nothing that was said outright says as well."""
        for clause in clauses(text):
            much = _much(clause, said)
            if much and not any(_much(clause, plain) >= much for plain in self._outright):
                return True
        return False

    @cached_property
    def _outright(self) -> tuple[str, ...]:
        """All clauses of the talk that its speaker states."""
        found: list[str] = []
        for sentence in self._transcript.sentences:
            for part in re.split(r"(?<=[.;!?。；！？])", supposed.outright(sentence.text)):
                reported = laid_to.reported(part)
                found += clauses(tidy(part)[: min((one.start for one in reported), default=len(part))])
        return tuple(found)

    @cached_property
    def _speaker(self) -> str | None:
        return laid_to.speaker([sentence.text for sentence in self._transcript.sentences])

    @cached_property
    def _proper(self) -> frozenset[str]:
        return frozenset(name for one in self._transcript.sentences for name in names(one.text))

    def _wrong_person(self, claim: Claim, near: Sequence[Sentence]) -> Iterator[Fault]:
        """Words or deeds of one person, laid to another."""
        whole = self._transcript.sentences
        spoke = {whole[id].speaker for id in claim.sentences} - {None}
        voices = sorted({one.speaker for one in whole if one.speaker} if spoke else ())
        who = laid_to.subject(
            claim.text, [*voices, *self._transcript.terms], self._proper | {w for v in voices for w in v.split()}
        )
        if who is None:
            return
        texts = [sentence.text for sentence in near]
        mentioned = any(laid_to.shares(who, tidy(text)) for text in texts)
        if any(laid_to.shares(who, voice) for voice in voices):
            if not mentioned and not any(laid_to.shares(who, one) for one in spoke if one):
                yield Fault("sense", f"{', '.join(one for one in spoke if one)} said it, not {who}", True)
            return
        if voices or self._speaker is None:
            return
        if laid_to.shares(who, self._speaker):
            yield from self._taken(claim, texts, who)
            return
        if mentioned or any(laid_to.speaks_of_others(whole[id].text) for id in claim.sentences):
            return
        if laid_to.attributes(claim.text):
            yield from self._other(claim, texts, who)
        else:
            nearest = max(
                (one for text in texts for one in clauses(tidy(text))), key=lambda one: alike(claim.text, one)
            )
            if alike(claim.text, nearest) >= _CLOSE and laid_to.is_first_person(nearest):
                yield Fault("sense", f"the speaker tells it of himself or herself, not of {who}", True)

    def _taken(self, claim: Claim, near: Sequence[str], speaker: str) -> Iterator[Fault]:
        """What somebody else said, laid to the speaker."""
        if not laid_to.attributes(claim.text):
            return
        for one in (one for text in near for one in laid_to.reported(text)):
            other = [name for name in names(f"x {one.who}") if not laid_to.shares(name, speaker)]
            if other and not content(one.who) & content(claim.text) and self._states(_told(claim.text), one.text):
                yield Fault("sense", f"{' '.join(other)} said it, not {speaker}", True)
                return

    def _other(self, claim: Claim, near: Sequence[str], who: str) -> Iterator[Fault]:
        """What one said, laid to another, of whom no sentence of the talk speaks together with the one."""
        for one in (one for text in near for one in laid_to.reported(text)):
            own = content(one.who)
            if not own or laid_to.shares(who, one.who) or not self._states(_told(claim.text), one.text):
                continue
            if not any(
                own & content(said.text) and laid_to.shares(who, said.text) for said in self._transcript.sentences
            ):
                yield Fault("sense", f"the talk lays it to others: {one.who[-80:]}", True)
                return


def _told(text: str) -> str:
    """What a sentence says that somebody says, without that."""
    reported = laid_to.reported(text)
    return reported[0].text if reported else tidy(text)


def _much(clause: str, said: str) -> float:
    """How much of a clause is in what was said, 0 if too little to be the same."""
    own, its = content(clause), content(said)
    shared = len(own & its)
    if not shared:
        return 0.0
    signs = any(ord(piece[0]) > 0xDFF for piece in own)
    numbers = any(a.same(b) for a in amounts(clause) for b in amounts(said))
    if shared + 2 * numbers < (3 if signs else 2):
        return 0.0
    much = shared / len(own)
    return much if much >= (_MOST_SIGNS if signs else _MOST) else 0.0


def _reasons(text: str, near: Sequence[str]) -> Iterator[Fault]:
    """A reason that the talk says was none."""
    given = [reason for said in near for reason in supposed.reasons(said)]
    for reason in supposed.reasons(text):
        own = content(reason)
        for none in (none for said in near for none in supposed.no_reasons(said)):
            share = len(own & content(none)) / max(len(own), 1)
            if share < _MOST_SIGNS or bool(denials(reason)) != bool(denials(none)):
                continue
            if not any(len(own & content(other)) / max(len(own), 1) >= share for other in given):
                yield Fault("negation", f"the talk says that this was not the reason: {none.strip()[:120]}", True)
                return


def _numbers(text: str, near: Sequence[str]) -> Iterator[Fault]:
    """Seventeen boats and 1,250 batteries, of 1,250 boats and seventeen batteries."""
    counted = {noun: value for said in near for value, noun in _counted(tidy(said))}
    values = {value: noun for noun, value in counted.items()}
    for value, noun in _counted(text):
        if noun in counted and counted[noun] != value and value in values and values[value] != noun:
            yield Fault("number", f"{noun}: another number was said, and this one of {values[value]}", True)


def _counted(text: str) -> Iterator[tuple[object, str]]:
    """Numbers without a unit, each with what it counts: the word behind it. In English and its like."""
    for amount in amounts(text):
        following = re.match(r" (?:\w+ )?([a-z]+s)\b", text[amount.end :])
        if not amount.unit and following and (stems := content(following[1])):
            yield amount.value, next(iter(stems))
