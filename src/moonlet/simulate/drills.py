"""Exercises in reading declarations: tools of words drawn anew for each conversation, so that nothing but what is
declared tells which of them is asked for and what its parameters are. Many requests a conversation, several in many of
its messages."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from random import Random
from string import ascii_letters, digits

from moonlet.simulate import synthetic
from moonlet.simulate.blueprints import ACTIONS, RETURNS, Blueprint, Parameter, Words
from moonlet.simulate.declaring import Made, make
from moonlet.simulate.episode import Conversation, Episode
from moonlet.simulate.talk import NO_TOOL
from moonlet.simulate.worded import SLOT, wordings

KINDS = ("string", "string", "string", "integer", "number", "boolean")
FREQUENT = 50  # times that a word occurs: it says little about a tool


def conversation(rng: Random) -> Conversation:
    """5 to 14 messages under 3 to 8 tools, whose names share words with one another."""
    few = rng.sample(_words(), 9)
    style = rng.choice(("snake", "snake", "camel", "camel", "Pascal", "kebab"))
    made: dict[Words, Made] = {}
    for _ in range(rng.choice((3, 4, 5, 6, 7, 8, 8, 8))):
        thing = _thing(few, made, rng)
        made[thing] = make(_blueprint(thing, rng), style, rng)
    tools = list(made.values())
    episode = Episode([one.spec for one in tools])
    for _ in range(rng.randrange(5, 15)):
        dice = rng.random()
        if dice < 0.12:
            other = make(_blueprint(_thing(few, made, rng), rng), style, rng)
            episode.user(synthetic.wished(other, rng)[0])
            episode.answer(NO_TOOL)
        elif dice < 0.2 and (lacking := [(one, p) for one in tools for p in synthetic.askable(one)]):
            synthetic.clarified(episode, *rng.choice(lacking), rng)
        elif dice < 0.55:
            synthetic.several_wishes(episode, tools, min(rng.choice((2, 2, 3, 3, 4, 5)), len(tools)), rng)
        else:
            one = rng.choice(tools)
            text, arguments = synthetic.wished(one, rng)
            episode.user(text)
            synthetic.answered(episode, [(one, arguments)], rng)
    return episode.done()


@lru_cache(maxsize=1)
def _words() -> Sequence[str]:
    """Those of the requests that were written by hand, but for short and for frequent ones ("please", "could")."""
    texts = (SLOT.sub(" ", line) for lines in wordings().requests.values() for line in lines)
    counts = Counter(word for text in texts for word in re.findall(r"\b[a-z]{4,12}\b", text))
    return sorted(word for word, count in counts.items() if count < FREQUENT)


def _thing(few: Sequence[str], taken: dict[Words, Made], rng: Random) -> Words:
    """One or two words, of which no tool has all and none is all that a tool has."""
    while True:
        thing = tuple(rng.sample(few, 2)) if rng.random() < 0.7 else (rng.choice(_words()),)
        if not any(set(thing) <= set(other) or set(other) <= set(thing) for other in taken):
            return thing


def _blueprint(thing: Words, rng: Random) -> Blueprint:
    verb, description = rng.choice(ACTIONS)
    names = rng.sample(_words(), rng.choice((0, 1, 1, 2, 2, 3)))
    own = tuple(_parameter(name, index == 0 or rng.random() < 0.6, rng) for index, name in enumerate(names))
    returns = tuple(rng.sample(RETURNS, 1)) if rng.random() < 0.5 else ()
    return Blueprint((verb, *thing), description.format(t=" ".join(thing)), own, returns)


def _parameter(name: str, required: bool, rng: Random) -> Parameter:
    words = (name, rng.choice(("id", "name", "code", "level", "type", "date"))) if rng.random() < 0.3 else (name,)
    kind = "string" if len(words) > 1 else rng.choice(KINDS)
    about = rng.choice(("The {p}", "{p} to use", "Which {p}", "")).format(p=" ".join(words))
    examples = tuple(dict.fromkeys(_value(rng) for _ in range(4))) if kind == "string" and words[-1] != "date" else ()
    return Parameter(words, kind, about[:1].upper() + about[1:], examples, required)


def _value(rng: Random) -> str:
    """A word or a few of them, or letters and digits of no meaning."""
    dice = rng.random()
    if dice < 0.35:
        return "".join(rng.choice(ascii_letters + digits) for _ in range(rng.randint(4, 13)))
    text = " ".join(rng.choice(_words()) for _ in range(rng.choice((1, 1, 2, 2, 3, 4))))
    return text.title() if dice < 0.65 else text
