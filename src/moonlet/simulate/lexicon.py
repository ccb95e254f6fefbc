"""What English words mean: their synonyms, what they are kinds of, and which of them cannot be taken for one another.

The words are a choice from the Open English WordNet, https://en-word.net (CC BY 4.0; derived from Princeton WordNet,
WordNet License), as runs/meanings.py packs it.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from moonlet.simulate.blueprints import Words
from moonlet.simulate.packed import lines

WELL_KNOWN = 16_000  # the place of a word that may name a tool
CONCRETE = {"artifact", "food", "animal", "plant", "person", "body", "substance", "object", "location"}
MASS = {"substance": "some", "food": "the"}
BARE = {"feeling", "state", "attribute", "cognition"}
GENERAL = frozenset(  # nouns that say next to nothing
    re.split(
        r",\s*",
        """entity, object, thing, artifact, whole, act, activity, state, attribute, instrumentality, person, somebody,
        someone, quality, group, event, happening, abstraction, matter, substance, organism, being, cause, device,
        structure, area, region, property, part, unit, relation, communication, content, message, construct, concept,
        idea, action, change, work, artefact, mortal, soul, individual, human, agent, instrumentation, condition,
        status, feeling, cognition, knowledge, way, manner, article, piece, creation, physical entity, physical object,
        living thing, human action, item, product, file, record, natural object, causal agent, physical condition,
        body part, mental object, social group, psychological feature""",
    )
)
GENERIC = frozenset(
    re.split(" ", "get have make do take give go put move use be let say see come keep become set turn may")
)
TOLD = {  # glosses that may stand for the word
    "n": re.compile(r"(an?|the) (?!kind|type|form|member|person of|genus|quality|property|state)\w+ \w+ \w+"),
    "v": re.compile(r"(?!\w+ (?:or|with|to|as|from|into|by|for|in|on|through|of) )\w+ \w+ \w+ \w+"),
    "a": re.compile(r"\w+ \w+ \w+"),
}
BARELY_TOLD = re.compile(
    r"(?!any |one |some |kind |type |form |people |someone who is |plural |\w+s |\w+ \w+s )[a-z]+ [a-z]+ \w+ \w+"
)
DANGLING = re.compile(
    r"(?:\b(?:as|of|by|with|for|in|to|on|at|from|into|be|is|about|through|but|and|or|than|that|which|between|etc)"
    r"|by \w+ing)$"
)


Spoken = tuple[str, str]  # a word and its part of speech


@dataclass(frozen=True, slots=True)
class Meaning:
    """A word in one of its senses."""

    word: str
    pos: str  # n, v or a
    sense: int  # 1: its first
    id: int  # of the synset
    over: tuple[int, ...] = ()  # synsets of which it is a kind
    field: str = ""  # what it is about, as the lexicon's files go: artifact, food, possession
    place: int = 0  # by how well the word is known
    gloss: str = ""
    same: Words = ()
    kind: Words = ()  # what it is a kind of
    kinds: Words = ()
    opposite: Words = ()
    object: bool = False  # a verb: something is done to something
    example: str = ""


@dataclass(frozen=True, slots=True)
class Reference:
    """Another word for something, or its gloss."""

    text: str
    how: str  # same, kinds, kind, gloss


class Lexicon:
    """Meanings, and how they are related. What is asked again and again is found once."""

    def __init__(self, rows: Sequence[Meaning]) -> None:
        self.first = {(one.word, one.pos): one for one in rows if one.sense == 1}
        self.over = {one.id: one.over for one in rows}
        self.names: dict[int, str] = {}  # of each synset its best known word
        synsets: dict[Spoken, set[int]] = defaultdict(set)
        for one in rows:
            self.names.setdefault(one.id, one.word)
            for word in (one.word, *one.same):
                synsets[word, one.pos].add(one.id)
        self.synsets = {spoken: frozenset(found) for spoken, found in synsets.items()}
        asked = [one for one in rows if one.sense == 1 and (one.gloss or one.same)]
        self.asked = _ordered(one for one in asked if one.pos == "v" or one.word not in GENERIC)
        known = [one for one in self.first.values() if one.place < WELL_KNOWN and one.word not in GENERAL | GENERIC]
        self.nouns = self._nouns(known)
        self.verbs = _ordered(
            one for one in known if one.pos == "v" and one.object and (one.word, "n") not in self.first
        )
        self.above: Callable[[int], frozenset[int]] = cache(self._above)
        self.meant: Callable[[str, str], frozenset[int]] = cache(self._meant)
        self.references: Callable[[Meaning], Sequence[Reference]] = cache(self._references)

    @classmethod
    def load(cls, path: Path) -> Lexicon:
        """A file of runs/meanings.py."""
        rows: Iterable[dict[str, Any]] = map(json.loads, lines(path))
        return cls([Meaning(**{key: _frozen(value) for key, value in row.items()}) for row in rows])

    def _nouns(self, known: Iterable[Meaning]) -> dict[str, Sequence[Meaning]]:
        """By their fields, those that a tool may be for: a name of it cannot be read as a verb or an adjective."""
        found: dict[str, list[Meaning]] = defaultdict(list)
        for one in known:
            verb = (one.word, "v") in self.first and one.field not in ("artifact", "food", "animal", "body")
            doing = one.word.endswith("ing") and one.field != "artifact"
            if one.pos == "n" and not verb and not doing and (one.word, "a") not in self.first:
                found[one.field].append(one)
        return {field: _ordered(few) for field, few in found.items()}

    def _above(self, synset: int) -> frozenset[int]:
        """All synsets of which this one is a kind."""
        over = self.over.get(synset, ())
        return frozenset(over).union(*map(self.above, over))

    def _meant(self, word: str, pos: str) -> frozenset[int]:
        """All synsets that this word may speak of, and all of which those are kinds."""
        found = self._of(word, pos)
        return found.union(*map(self.above, found))

    def _of(self, word: str, pos: str) -> frozenset[int]:
        return self.synsets.get((word, pos), frozenset())

    def apart(self, one: Meaning, other: Meaning) -> bool:
        """Whether the two share no synset or word, and neither is a kind of the other."""
        return not (
            one.id == other.id
            or one.id in self.above(other.id)
            or other.id in self.above(one.id)
            or {one.word, *one.same, *one.kinds} & {other.word, *other.same, *other.kinds}
            or (
                one.pos == other.pos
                and (other.id in self.meant(one.word, one.pos) or one.id in self.meant(other.word, other.pos))
            )
        )

    def told_by(self, word: str, other: str) -> bool:
        """Whether one word may speak of what the other says, or of what that is a kind of."""
        return any(not self._of(other, pos).isdisjoint(self.meant(word, pos)) for pos in TOLD)

    def mainly(self, word: str, one: Meaning) -> bool:
        """Whether the word says this first, or first something much like it ("bike", in the lexicon first a
        motorcycle); of what is not in the lexicon only phrases are known well enough."""
        first = self.first.get((word, one.pos))
        if not first:
            return " " in word
        return first.id == one.id or (first.field == one.field and one.field in CONCRETE)

    def _references(self, one: Meaning) -> Sequence[Reference]:
        """Ways to speak of it without its word."""
        same = [word for word in one.same if self.mainly(word, one) and not alike(word, one.word)]
        kinds = [word for word in one.kinds if (word, one.pos) in self.first]
        found = [Reference(word, "same") for word in same if word not in GENERIC]
        found += [Reference(word, "kinds") for word in kinds if word not in GENERIC]
        if one.pos == "n" and one.field in CONCRETE:
            kind = [word for word in one.kind if word not in GENERAL and (word, "n") in self.first]
            found += [Reference(word, "kind") for word in kind]
        bare = one.field in CONCRETE and BARELY_TOLD.match(one.gloss)
        if (bare or TOLD[one.pos].match(one.gloss)) and not DANGLING.search(one.gloss):
            found.append(Reference(re.sub(r"^the act of (?=\w+ing\b)|^to ", "", one.gloss), "gloss"))
        forms = stems(one.word)
        return [each for each in found if forms.isdisjoint(tokens(each.text))]

    def clear(self, one: Meaning, others: Sequence[Meaning]) -> list[Reference]:
        """Ways to speak of it that can mean none of the others."""
        return [
            each for each in self.references(one) if not any(self._confused(each, one.pos, other) for other in others)
        ]

    def _confused(self, reference: Reference, pos: str, other: Meaning) -> bool:
        word = reference.text
        if reference.how == "gloss":
            return not tokens(word).isdisjoint(stems(other.word))
        if other.pos != pos:
            return False
        own = self._of(word, pos)
        return other.id in self.meant(word, pos) or bool(own & self.above(other.id)) or word in other.same

    def article(self, noun: str, field: str) -> str:
        """The noun with its article, if it takes one."""
        if field in MASS:
            return f"{MASS[field]} {noun}"
        first = self.first.get((noun.split()[-1], "n"))
        doing = noun.endswith("ing") and field not in CONCRETE
        if field in BARE or doing or re.search(r"[^suia]s$", noun):
            return noun
        one_of_many = not first or field in CONCRETE or re.match(r"an?\b|any\b", first.gloss)
        return with_a(noun) if one_of_many else f"the {noun}"


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _ordered(few: Iterable[Meaning]) -> Sequence[Meaning]:
    return sorted(few, key=lambda one: one.place)


def drawn(few: Sequence[Meaning], rng: Random) -> Meaning:
    """One of these, mostly of the better known."""
    return few[int(len(few) * rng.random() ** 2)]


def with_a(noun: str) -> str:
    return f"{'an' if re.match(r'[aeio]|u(?!ni|se)|hono|hour', noun) else 'a'} {noun}"


def alike(word: str, other: str) -> bool:
    """Whether they are spelled alike."""
    return word[:4] == other[:4] and abs(len(word) - len(other)) < 4


@cache
def stems(word: str) -> frozenset[str]:
    """The forms that would give a word away, of each of its words that is no preposition."""
    forms = set()
    for part in (part for part in word.split() if len(part) > 3 or part == word):
        stem = part[:-1] if part.endswith(("e", "y")) else part
        forms |= {part, part + "s", part + "es", part + "ing", part + "ed", part + "er", part + "ers"}
        forms |= {stem + end for end in ("ies", "ied", "ing", "ed", "er", "ers", "es")}
        forms |= {part + part[-1] + end for end in ("ing", "ed", "er", "ers")}
    return frozenset(forms)


@cache
def tokens(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z]+", text.lower()))
