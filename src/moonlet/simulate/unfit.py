"""Requests that none of the declared, made-up tools can do: everyday ones, ones on other things, and near misses."""

import re
from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from random import Random

from moonlet.simulate import talk
from moonlet.simulate.asking import asked
from moonlet.simulate.blueprints import ACTIONS, Blueprint
from moonlet.simulate.declaring import Made, content, make
from moonlet.simulate.requests import Intent, english, request
from moonlet.simulate.worded import WRITTEN, worded
from moonlet.simulate.world import World

# Actions so far apart that a tool for one is of no use for another.
APART = ("cancel", "rate", "share", "compare", "renew", "report", "delete", "book")
# Beginnings of words by which a declared tool might serve what is asked of a demonstration tool.
TOPICS = {
    "get_weather": "weath forec temper rain clima humid meteo", "convert": "conve curre excha unit measu rate",
    "list_events": "event calen sched appoi meeti agenda timet", "add_event": "event calen sched appoi meeti book",
    "cancel_event": "event calen sched appoi meeti cancel", "add_note": "note memo docum", "search_notes": "note memo",
    "order_status": "order deliv shipm packa purch track produ parcel", "cancel_order": "order purch cancel produ",
    "return_order": "order purch return refund produ", "find_contact": "conta phone email peop perso custo emplo user",
    "send_message": "messa send text sms email notif chat mail", "set_reminder": "remin alarm task alert notif",
    "set_timer": "timer count time alarm", "set_light": "light lamp smart devic home",
    "set_temperature": "temper therm heat hvac climat smart home", "current_time": "time clock zone date",
    "calculate": "calcu math sum comput tip arith percen interest",
}  # fmt: skip


def unfit(made: Sequence[Made], others: Sequence[Blueprint], rng: Random) -> str:
    """A request without a tool, empty if none was found. `others`: blueprints, perhaps strangers to these."""
    dice = rng.random()
    if dice < 0.35:
        return _everyday(made, rng)
    if dice < 0.6:
        return _near_miss(made, rng)
    taken = {word for one in made for word in content(one.blueprint)}
    known = {one.blueprint.words for one in made}
    for other in others:
        if not set(content(other)) & taken and other.words not in known:
            one = make(other, "snake", rng)
            return ((rng.random() < WRITTEN and worded(one, rng)) or asked(one, rng))[0]
    return ""


@lru_cache(maxsize=1)
def _whole() -> tuple[Intent, ...]:
    """What is asked of the demonstration tools with nothing left out."""
    return tuple(one for one in english() if not one.missing)


def _everyday(made: Sequence[Made], rng: Random) -> str:
    world = World(rng.getrandbits(32), date(2026, 1, 1))
    declared = _words(" ".join(f"{' '.join(one.blueprint.words)} {one.blueprint.description}" for one in made))
    if rng.random() < 0.5:
        text = talk.beyond(rng, world)
        return "" if _words(text) & declared else text
    intent = rng.choice(_whole())
    if any(word.startswith(tuple(TOPICS[intent.tool].split())) for word in declared):
        return ""
    return request(intent, rng, world).text


def _words(text: str) -> set[str]:
    """The longer words of a text, by their beginnings."""
    return {word[:6] for word in re.findall(r"[a-z]{4,}", text.lower())}


def _near_miss(made: Sequence[Made], rng: Random) -> str:
    """Another action on the same thing: the tool cancels a flight, the user wants to rate one."""
    base = rng.choice(made).blueprint
    thing = base.words[1:]
    taken = {one.blueprint.words[0] for one in made if set(content(one.blueprint)) & set(thing)}
    free = [verb for verb in APART if verb not in taken]
    if not thing or not free or not taken <= {verb for verb, _ in ACTIONS}:
        return ""
    verb = rng.choice(free)
    description = dict(ACTIONS)[verb].format(t=" ".join(thing))
    parameters = tuple(rng.sample(base.parameters, rng.randrange(min(len(base.parameters), 2) + 1)))
    return asked(make(Blueprint((verb, *thing), description, parameters), "snake", rng), rng)[0]
