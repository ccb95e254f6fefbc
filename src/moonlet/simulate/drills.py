"""Exercises in reading declarations: many requests a conversation, several in many of its messages, and nothing but
what is declared tells which tool is asked for and what its parameters are. Half of them have tools of words drawn anew,
half have tools that others made up. Calls come without results, so that there is one in fewer tokens: of what a model
learns from a conversation, the choice of its tools is the hardest and the fewest of its tokens.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from random import Random
from string import ascii_letters, digits

from moonlet.simulate import synthetic
from moonlet.simulate.blueprints import ACTIONS, RETURNS, Blueprint, Parameter, Words
from moonlet.simulate.declaring import Made, make
from moonlet.simulate.episode import Conversation, Episode
from moonlet.simulate.talk import NO_TOOL
from moonlet.simulate.unfit import unfit
from moonlet.simulate.worded import SLOT, wordings

KINDS = ("string", "string", "string", "integer", "number", "boolean")
FREQUENT = 50  # times that a word occurs: it says little about a tool


def conversation(
    rng: Random, blueprints: Sequence[Blueprint], by_field: Mapping[str, Sequence[Blueprint]]
) -> Conversation:
    """10 to 24 messages under 4 to 12 tools."""
    style = rng.choice(("snake", "snake", "camel", "Pascal", "kebab"))
    count = rng.choice((4, 6, 8, 8, 8, 10, 12))
    few = rng.sample(_words(), count + 2)
    made: dict[Words, Made] = {}
    strangers: list[Blueprint] = []
    if rng.random() < 0.5:
        while len(made) < count:
            thing = _thing(few, made, rng)
            made[thing] = make(_blueprint(thing, rng), style, rng)
        strangers = [_blueprint(_thing(few, made, rng), rng) for _ in range(3)]
    else:
        made = synthetic.chosen(count, style, blueprints, by_field, rng)
    tools = list(made.values())
    episode = Episode([one.spec for one in tools])
    for _ in range(rng.randrange(10, 25)):
        dice = rng.random()
        if dice < 0.1:
            text = (
                synthetic.wished(make(rng.choice(strangers), style, rng), rng)[0]
                if strangers
                else unfit(tools, [synthetic.drawn(rng, blueprints) for _ in range(3)], rng)
            )
            if text:
                episode.user(text)
                episode.answer(NO_TOOL)
        elif dice < 0.19 and (lacking := [(one, p) for one in tools for p in synthetic.askable(one)]):
            synthetic.clarified(episode, *rng.choice(lacking), rng, results=False)
        elif dice < 0.5:
            several = min(rng.choice((2, 2, 3, 3, 4, 5)), len(tools))
            synthetic.several_wishes(episode, tools, several, rng, results=False)
        else:
            one = rng.choice(tools)
            text, arguments = synthetic.wished(one, rng)
            episode.user(text)
            synthetic.answered(episode, [(one, arguments)], rng, results=False)
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
    if rng.random() < 0.15:
        kind = rng.choice(("date", "date", "time", "year"))
        about = {"date": "{} date (YYYY-MM-DD)", "time": "{} time (HH:MM)", "year": "{} year"}[kind]
        number = "integer" if kind == "year" else "string"
        own += tuple(Parameter((end, kind), number, about.format(end.title())) for end in ("start", "end"))
    returns = tuple(rng.sample(RETURNS, 1)) if rng.random() < 0.5 else ()
    return Blueprint((verb, *thing), description.format(t=" ".join(thing)), own, returns)


def _parameter(name: str, required: bool, rng: Random) -> Parameter:
    words = (name, rng.choice(("id", "name", "code", "level", "type", "date"))) if rng.random() < 0.3 else (name,)
    kind = "string" if len(words) > 1 else rng.choice(KINDS)
    about = rng.choice(("The {p}", "{p} to use", "Which {p}", "")).format(p=" ".join(words))
    examples = tuple(dict.fromkeys(_value(rng) for _ in range(4))) if kind == "string" and words[-1] != "date" else ()
    return Parameter(words, kind, about[:1].upper() + about[1:], examples, required)


# Where a value does not end although a sentence might; # is a word, 0 a number.
MARKED = (
    "Dr. #", "Mrs. #", "St. #", "# no. 0", "# vol. 0", "# vs. #", "0 a.m.", "# & #", "#, #", "# (#)", "# - #", "#'s #",
    "don't #", "#/#", "0% #", "0.0", "v0.0", "0:0", "#? #!", "#: #", "# #!", "# #?", "$0", "#_#", "#@#.com", "#; #",
    "# & Co.", "0 x 0",
)  # fmt: skip


def _value(rng: Random) -> str:
    """A word or a few of them, perhaps with marks in between, a number or a path of a computer, or letters and digits
    of no meaning."""
    dice = rng.random()
    if dice < 0.05:
        return ".".join(str(rng.randrange(1, 255)) for _ in range(4))
    if dice < 0.1:
        return f"{rng.choice(_words())}/{rng.choice(_words())}.{rng.choice(('txt', 'csv', 'jpg', 'py', 'mp3'))}"
    if dice < 0.3:
        return "".join(rng.choice(ascii_letters + digits) for _ in range(rng.randint(4, 13)))
    if dice < 0.45:
        text = re.sub("#", lambda _: rng.choice(_words()), rng.choice(MARKED))
        text = re.sub("0", lambda _: str(rng.randrange(1, 100)), text)
    else:
        text = " ".join(rng.choice(_words()) for _ in range(rng.choice((1, 1, 2, 2, 3, 4))))
    return text.title() if rng.random() < 0.3 and "'" not in text else text
