"""Conversations with tools that exist nowhere else: schemas made up or renamed anew, so that names cannot be learned.

A blueprint (what a tool does, its parameters, what it returns) comes from outside or from `composed`; each conversation
renders its blueprints in its own style of naming and description, and asks for them in generated words.
"""

import json
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from moonlet.simulate import outside, several, talk
from moonlet.simulate.asking import asked, iso_date, text_value, value_of
from moonlet.simulate.blueprints import Blueprint, Parameter, Words, composed
from moonlet.simulate.declaring import Made, make, spell, words_of
from moonlet.simulate.episode import Conversation, Episode, Wanted
from moonlet.simulate.unfit import unfit
from moonlet.simulate.worded import WRITTEN, worded, wordings

SERVED = 0.3  # share of conversations in which an agent has the tools of servers


def conversation(
    rng: Random, blueprints: Sequence[Blueprint], by_field: Mapping[str, Sequence[Blueprint]]
) -> Conversation:
    """2 to 7 requests under 2 to 8 tools, some of them of one field."""
    style = rng.choice(("snake", "snake", "snake", "camel", "camel", "Pascal", "kebab"))
    made = chosen(rng.choice((2, 3, 3, 4, 4, 5, 6, 7, 8)), style, blueprints, by_field, rng)
    served = rng.random() < SERVED
    if served:
        outside.serve(list(made.values()), rng)
    episode = Episode([one.spec for one in made.values()])
    if served:
        episode.system(outside.system_text(rng))
    elif rng.random() < 0.4:
        episode.system(
            rng.choice(("You are a helpful assistant.", "Use the tools when they fit.", f"Today is {iso_date(rng)}."))
        )
    for _ in range(rng.randrange(2, 8)):
        _turn(episode, list(made.values()), blueprints, rng)
    return episode.done()


def chosen(
    count: int, style: str, blueprints: Sequence[Blueprint], by_field: Mapping[str, Sequence[Blueprint]], rng: Random
) -> dict[Words, Made]:
    """So many tools or a few less, some of them of one field, no two of one name."""
    made: dict[Words, Made] = {}
    for _ in range(count):
        near = by_field.get(rng.choice(list(made.values())).blueprint.field) if made and rng.random() < 0.35 else None
        one = make(rng.choice(near) if near else drawn(rng, blueprints), style, rng)
        made.setdefault(words_of(one.spec.name), one)
    return made


def drawn(rng: Random, blueprints: Sequence[Blueprint]) -> Blueprint:
    """Mostly one of these, else one that is composed."""
    return rng.choice(blueprints) if blueprints and rng.random() < 0.8 else composed(rng)


def _turn(episode: Episode, made: Sequence[Made], blueprints: Sequence[Blueprint], rng: Random) -> None:
    dice = rng.random()
    if dice < 0.27:
        text = unfit(made, [drawn(rng, blueprints) for _ in range(3)], rng)
        if text:
            episode.user(text)
            episode.answer(talk.NO_TOOL)
            return
    if dice > 0.98:
        said, answer = talk.small_talk(rng, [one.spec.name for one in made])
        episode.user(said)
        episode.answer(answer)
        return
    one = rng.choice(made)
    needed = askable(one)
    if dice > 0.84 and needed:
        clarified(episode, one, rng.choice(needed), rng)
        return
    # People who know many tools ask for more at once; with tools that are all composed, of two at most.
    if (0.66 if blueprints else 0.79) < dice < 0.84:
        several_wishes(episode, made, rng.choice((2, 2, 3, 3, 3, 4, 5)) if blueprints else 2, rng)
        return
    text, arguments = wished(one, rng)
    episode.user(text)
    answered(episode, [(one, arguments)], rng)


def wished(one: Made, rng: Random, short: bool = False, lower: bool | None = None) -> tuple[str, dict[str, Any]]:
    """A request for this tool as somebody wrote it, or in generated words, and its arguments."""
    written = None
    if one.blueprint.key and rng.random() < WRITTEN:
        written = worded(one, rng, rng.random() < 0.2 if lower is None else lower)
    return written or asked(one, rng, short=short, lower=lower)


def several_wishes(episode: Episode, made: Sequence[Made], count: int, rng: Random, results: bool = True) -> None:
    """So many requests in one message, for different tools if there are so many."""
    ones = rng.sample(made, count) if count <= len(made) else [rng.choice(made) for _ in range(count)]
    lower = rng.random() < 0.2
    requests = [wished(one, rng, short=True, lower=lower) for one in ones]
    names = frozenset(word for _, arguments in requests for value in arguments.values() for word in str(value).split())
    contexts = wordings().contexts.get(ones[0].blueprint.field)
    context = rng.choice(contexts) if contexts and rng.random() < 0.3 else ""
    text = several.joined([said for said, _ in requests], names, rng, context)
    episode.user(text.lower() if lower else text)
    answered(episode, [(one, arguments) for one, (_, arguments) in zip(ones, requests, strict=True)], rng, results)


def askable(one: Made) -> list[Parameter]:
    """What the tool must have and a request may leave out, so that it has to be asked for."""
    return [p for p in one.blueprint.parameters if p.required and p.words not in one.forms]


def clarified(episode: Episode, one: Made, missing: Parameter, rng: Random, results: bool = True) -> None:
    """A request without a value that the tool must have, the question for it, and the call after the answer."""
    text, arguments = asked(one, rng, without=missing)
    surface, value = value_of(missing, one, rng)
    if text.islower() and isinstance(value, str) and missing.words not in one.enums:
        surface, value = surface.lower(), value.lower()
    episode.user(text)
    episode.answer(f"What is the {' '.join(missing.words)}?")
    episode.user(
        rng.choice(("{}", "{}", "it is {}", "{}, please", "the " + " ".join(missing.words) + " is {}")).format(surface)
    )
    full = {**arguments, one.keys[missing.words]: value}
    answered(episode, [(one, {key: full[key] for key in one.keys.values() if key in full})], rng, results)


def answered(
    episode: Episode, wanted: Sequence[tuple[Made, dict[str, Any]]], rng: Random, results: bool = True
) -> None:
    """The calls with these arguments, and if `results` those and the sentences that tell them."""
    calls: list[Wanted] = [(one.spec.name, arguments) for one, arguments in wanted]
    if not results:
        episode.asked(calls)
        return
    made = [result(one, rng) for one, _ in wanted]
    texts = iter(
        outside.written(values, told, rng) if one.served else json.dumps(values, ensure_ascii=False)
        for (one, _), (values, told) in zip(wanted, made)
    )
    episode.call(calls, lambda _: next(texts))
    episode.answer(" ".join(sentence for _, sentence in made))


def result(one: Made, rng: Random) -> tuple[dict[str, Any], str]:
    """What the tool returns, and the sentence that tells it."""
    if rng.random() < 0.05:
        problem = rng.choice(
            ("not found", "service not available", "permission denied", "too many requests", "invalid input")
        )
        return {"error": problem}, f"Sorry, {problem}."
    values, told = {}, []
    for words, kind in one.blueprint.returns[:3] or ((("success",), "boolean"),):
        value = _returned(words, kind, rng)
        key = spell(words, "camel" if one.style in ("camel", "Pascal") else "snake")
        values[key] = value
        if value is True:
            told.append("Done." if words[0] in ("success", "status") else f"The {' '.join(words)} is true.")
        elif value is False:
            told.append("It did not work." if words[0] in ("success", "status") else f"The {' '.join(words)} is false.")
        else:
            told.append(f"The {' '.join(words)} is {value}.")
    return values, " ".join(told)


def _returned(words: Words, kind: str, rng: Random) -> Any:
    if kind == "boolean":
        return rng.random() < 0.85
    if kind == "integer":
        return rng.randrange(1, 1000)
    if kind == "number":
        return round(rng.uniform(0, 500), rng.choice((1, 2)))
    if words[-1] in ("status", "state"):
        return rng.choice(
            ("confirmed", "pending", "completed", "active", "cancelled", "in progress", "ready", "failed")
        )
    return text_value(Parameter(words, "string"), rng)
