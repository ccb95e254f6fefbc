"""Requests on the tools of the demonstration world, in many wordings, each with the calls that it means."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random
from typing import Any

from moonlet.simulate import slots
from moonlet.simulate.contexts import corrected, in_context
from moonlet.simulate.episode import Wanted
from moonlet.simulate.wording import Pattern, fill, opened, politely, read, slot_names, typed
from moonlet.simulate.world import SPECS, World
from moonlet.tools.basic import CALCULATE, CURRENT_TIME

# Arguments are written in the order of their declaration, so that the order is never to be guessed.
ORDER: Mapping[str, tuple[str, ...]] = {
    spec.name: tuple(spec.parameters["properties"]) for spec in (*SPECS.values(), CALCULATE, CURRENT_TIME)
}
# Slots of free text, behind which nothing may follow, and those that some people put in quotes.
FREE = {"note}", "message}", "task}", "when}", "topic}", "expression}", "to}", "title}", "asked}", "wish}", "matter}",
        "spoken}", "share}", "story}", "clock}"}  # fmt: skip
QUOTED = {"note", "message", "title", "topic", "item", "task"}


@dataclass(frozen=True, slots=True)
class Intent:
    """One thing that people ask of one tool, with the patterns of asking it."""

    tool: str  # empty: none fits
    patterns: tuple[Pattern, ...]
    fixed: Mapping[str, Any] = field(default_factory=dict)  # arguments that the wording implies
    weight: float = 1.0
    flavour: str = ""  # how the answer is to be put
    missing: str = ""  # the slot that the request leaves out
    question: str = ""  # what the assistant then asks
    after: str = ""  # a fragment: the tool of the call that it goes on from
    kept: tuple[str, ...] = ()  # and the arguments kept from that call


@lru_cache(maxsize=32)
def intents(name: str) -> tuple[Intent, ...]:
    """The intents of a wordings file."""
    return tuple(
        Intent(patterns=patterns, **{"tool": "", **header, "kept": tuple(header.get("kept", ()))})
        for header, patterns in read(name)
    )


def english() -> tuple[Intent, ...]:
    """What is asked of the demonstration tools in English, in all wordings."""
    return (*intents("en"), *intents("en_spoken"), *intents("en_more"), *intents("en_people"))


@dataclass(frozen=True, slots=True)
class Request:
    """What a user types, and the calls that it means; one that lacks what `intent.missing` names is incomplete."""

    text: str
    calls: tuple[Wanted, ...]
    intent: Intent
    lower: bool = False


def draw(skeleton: str, rng: Random, world: World, fixed: Mapping[str, Any]) -> tuple[
    dict[str, str], list[dict[str, Any]]
]:  # fmt: skip
    """Values for the slots of a wording: their surfaces, and the arguments of one call or, for a pair, of two."""
    names = slot_names(skeleton)
    surfaces, units = slots.units(names, rng)
    calls: list[dict[str, Any]] = [{**fixed, **units}]
    for name in names:
        if name in surfaces:
            continue
        if name not in slots.SLOTS:  # a word that no argument copies
            surfaces[name] = slots.WORD[name](rng)
            continue
        argument, how = slots.SLOTS[name]
        surfaces[name], value = how(rng, world)
        if name in QUOTED and rng.random() < 0.05:
            surfaces[name] = f'"{surfaces[name]}"'
        if isinstance(value, tuple):
            calls = [{**calls[0], argument: one} for one in value]
        else:
            for arguments in calls:
                arguments[argument] = value
    return surfaces, calls


def lowered(arguments: Mapping[str, Any], fixed: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments copied from words that were typed in lower case."""
    return {
        name: value.lower() if isinstance(value, str) and name not in fixed else value
        for name, value in arguments.items()
    }


def ordered(tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments in the order of the declaration."""
    return {name: arguments[name] for name in ORDER[tool] if name in arguments}


def request(wanted: Intent, rng: Random, world: World) -> Request:
    """One request of this intent."""
    pattern = wanted.patterns[int(rng.random() * len(wanted.patterns))]
    skeleton = pattern.expand(rng)
    if pattern.command:
        skeleton = politely(skeleton, rng)
    skeleton = corrected(skeleton, rng)
    if not wanted.after:
        free_end = skeleton.rpartition("{")[2] in FREE
        skeleton = opened(skeleton, rng, free_end)
        if not wanted.missing:  # nothing around it may look like what is missing
            skeleton = in_context(skeleton, wanted.tool, wanted.fixed, rng, free_end)
    skeleton, lower = typed(skeleton, rng)
    surfaces, calls = draw(skeleton, rng, world, wanted.fixed)
    text = fill(skeleton, surfaces)
    if lower:
        text = text.lower()
        calls = [lowered(arguments, wanted.fixed) for arguments in calls]
    return Request(text, tuple((wanted.tool, ordered(wanted.tool, one)) for one in calls), wanted, lower)


def joined(first: Intent, second: Intent, rng: Random, world: World) -> Request:
    """Two commands in one sentence: "turn off the kitchen light and set a timer for 10 minutes"."""
    parts = [
        rng.choice([pattern for pattern in one.patterns if pattern.command]).expand(rng) for one in (first, second)
    ]
    link = rng.choice((" and ", " and ", ", then ", " and then ", " and also ", ". also, "))
    # The border is marked while the sentence is styled as a whole, because slots of the two may have the same name.
    whole = opened(politely(f"{parts[0]}{link}\0{parts[1]}", rng), rng, free_end=True)
    whole = in_context(whole, "", {}, rng, free_end=True)
    whole, lower = typed(whole, rng)
    texts: list[str] = []
    calls: list[Wanted] = []
    for part, one in zip(whole.split("\0"), (first, second)):
        surfaces, found = draw(part, rng, world, one.fixed)
        texts.append(fill(part, surfaces))
        calls += [
            (one.tool, ordered(one.tool, lowered(found_one, one.fixed) if lower else found_one)) for found_one in found
        ]
    text = " ".join(texts).replace(" ,", ",").replace(" .", ".")
    return Request(text.lower() if lower else text, tuple(calls), first, lower)
