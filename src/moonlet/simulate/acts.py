"""What tools do with which things, what they take, and how people ask for it, by wordings/en_acts.txt.

The file goes by sections (`@ acts`), of an entry each line: `name: part | part`. An act's parts are ways to want it,
where {a} is "a bike" and {my} is "my bike", and ! begins a whole sentence. A kind of things, called as a field of the
lexicon, has its weight, the acts that go with it and perhaps adjectives. A parameter has what it is about, what it goes
with, and ways to say its value {v}, or its values with words for each (`low = cheap / affordable`). It goes with acts,
"verb" being a tool that is no act but a verb of the lexicon, or behind a star with kinds of things, before whose nouns
its words stand.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from random import Random
from typing import Any

from moonlet.simulate.asking import iso_date, text_value
from moonlet.simulate.blueprints import Parameter, Words
from moonlet.simulate.declaring import spell
from moonlet.simulate.words import LAST_NAMES
from moonlet.tools.tool import parameters

PARAMETER = re.compile(r"([a-z ]+?)(?: \((\w+)\))?")
PRICES = (20, 50, 75, 100, 120, 250, 500, 999)


@dataclass(frozen=True, slots=True)
class Act:
    """A verb of tools, and how people say that they want it."""

    verb: str
    phrases: Words
    needs: Words  # whole sentences


@dataclass(frozen=True, slots=True)
class Thing:
    """A kind of things."""

    weight: int
    acts: Words
    adjectives: Words


@dataclass(frozen=True, slots=True)
class Slot:
    """A parameter, and how its value is said."""

    words: Words
    kind: str
    about: str
    acts: frozenset[str]  # that it goes with
    things: frozenset[str]  # before whose nouns its words stand, if they do
    said: Words
    values: Mapping[str, Words]  # all that there are, with words for each

    @property
    def every_word(self) -> Words:
        return self.said + tuple(said for words in self.values.values() for said in words)


@cache
def by_verb() -> Mapping[str, Act]:
    return {
        verb: Act(
            verb,
            tuple(part for part in parts if part[0] != "!"),
            tuple(part[1:] for part in parts if part[0] == "!"),
        )
        for verb, parts in _sections()["acts"].items()
    }


@cache
def things() -> Mapping[str, Thing]:
    return {
        field: Thing(int(weight), tuple(verbs.split()), tuple(" ".join(adjectives).split()))
        for field, (weight, verbs, *adjectives) in _sections()["things"].items()
    }


def adjectives() -> Mapping[str, Words]:
    """With other words for each."""
    return _sections()["adjectives"]


def openings(for_me: bool = False) -> Words:
    """Ways to ask; for_me: for what somebody else is to do."""
    others, anyone = _sections()["openings"].values()
    return others if for_me else others + anyone


def close(word: str, other: str) -> bool:
    """Whether a request for one of two acts, or of two adjectives, could be taken for one for the other."""
    return word == other or any({word, other} <= group for group in _alike())


@cache
def _alike() -> Sequence[frozenset[str]]:
    return [frozenset(group.split()) for group in _sections()["alike"]]


@cache
def slots() -> Sequence[Slot]:
    return [_slot(name, *parts) for name, parts in _sections()["parameters"].items()]


def _slot(name: str, about: str, with_: str, *said: str) -> Slot:
    match = PARAMETER.fullmatch(name)
    assert match, name
    starred, few = with_.startswith("*"), frozenset(with_.strip("*").split())
    return Slot(
        tuple(match[1].split()),
        match[2] or "string",
        about,
        frozenset() if starred else few,
        few if starred else frozenset(),
        tuple(way for way in said if " = " not in way),
        {value: tuple(words.split(" / ")) for value, words in (way.split(" = ") for way in said if " = " in way)},
    )


@cache
def _sections() -> Mapping[str, Mapping[str, Words]]:
    """Of each section its entries, by name."""
    text = resources.files("moonlet.simulate").joinpath("wordings", "en_acts.txt").read_text(encoding="utf-8")
    made: dict[str, dict[str, Words]] = {}
    for line in filter(None, text.splitlines()):
        if line.startswith("@ "):
            entries = made[line[2:]] = {}
        else:
            name, _, parts = line.partition(": ")
            entries[name] = tuple(parts.split(" | "))
    return made


def slots_for(
    act: str, field: str, style: str, rng: Random, noun: bool = False, among: Words = ()
) -> tuple[Sequence[Slot], Sequence[str], dict[str, Any]]:
    """Parameters that go with what a tool does, how they are spelled, and their schema. noun: words may stand before
    the tool's; among: what the parameter `kind`, which is then the only one, may be."""
    few = [one for one in slots() if act in one.acts or (noun and field in one.things)]
    made = rng.sample(few, min(len(few), rng.choice((0, 0, 1, 1, 2)))) if few and not among else []
    if sum(bool(one.things) for one in made) > 1:
        made = made[:1]
    required: dict[str, Any] = {}
    optional: dict[str, Any] = {}
    keys = []
    if among:
        required["kind"] = {"type": "string", "enum": list(among)}
    for one in made:
        schema: dict[str, Any] = {"type": one.kind}
        if rng.random() < 0.7 or one.words == ("date",):
            schema["description"] = one.about
        if one.values:
            schema["enum"] = list(one.values)
        keys.append(spell(one.words, "camel" if style in ("camel", "Pascal") else "snake"))
        (required if rng.random() < 0.6 else optional)[keys[-1]] = schema
    return made, keys, parameters(required, optional)


def value(slot: Slot, lower: bool, rng: Random) -> tuple[str, Any]:
    """How a value is said, and the value."""
    if slot.values:
        chosen = rng.choice(list(slot.values))
        return rng.choice(slot.values[chosen]), chosen
    how = rng.choice(slot.said)
    match slot.words:
        case ("quantity",):
            number = rng.randrange(2, 13)
            return how.format(v=number), number
        case ("max", "price"):
            number = rng.choice(PRICES)
            return how.format(v=number), number
        case ("date",):
            text = iso_date(rng)
        case ("address",):
            text = f"{rng.randrange(1, 200)} {rng.choice(LAST_NAMES)} Street"
        case ("phone", "number"):
            text = f"+{rng.randrange(1, 99)} {rng.randrange(100, 999)} {rng.randrange(1000, 9999)}"
        case _:
            text = text_value(Parameter(slot.words, "string"), rng)
    text = text.lower() if lower else text
    return how.format(v=text), text
