"""Messages written by hand that ask several public tools for something at once (wordings/en_messages.txt).

A head names the tools, `# getTidalEnergy + getVolcanoInfo`; the message follows, with the values of each tool behind
its number: `How strong are the tides off {1.location=Brest}, and when did {2.volcano_name=Etna} last erupt?`
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from random import Random

from moonlet.simulate import synthetic
from moonlet.simulate.blueprints import Blueprint
from moonlet.simulate.declaring import Made, make
from moonlet.simulate.episode import Conversation, Episode
from moonlet.simulate.worded import filled

Message = tuple[Sequence[str], str]  # names of the tools, the text with its slots
TOOLS = (8, 8, 8, 10, 12)  # shown, if the messages do not ask for more


def fitting(blueprints: Mapping[str, Blueprint]) -> list[Message]:
    """The messages all of whose tools are among these, which go by their names."""
    return [one for one in messages() if blueprints.keys() >= set(one[0])]


@cache
def messages() -> Sequence[Message]:
    """All of them."""
    text = resources.files("moonlet.simulate").joinpath("wordings", "en_messages.txt").read_text(encoding="utf-8")
    lines = text.splitlines()
    return [(head.removeprefix("# ").split(" + "), said) for head, said in zip(lines[::2], lines[1::2], strict=True)]


def slots(number: int) -> re.Pattern[str]:
    """Finds the slots of the tool of this number, from 1."""
    return re.compile(rf"\{{{number}\.(\w+)=([^{{}}|]*)(?:\|([^{{}}]*))?\}}")


def conversation(rng: Random, asked: Sequence[Message], blueprints: Mapping[str, Blueprint]) -> Conversation:
    """One to three of these messages and requests for single tools, without results."""
    style = rng.choice(("snake", "camel", "camel", "Pascal"))
    tools: dict[str, Made] = {}
    turns: list[tuple[Sequence[Made], str]] = []  # a message and its tools, or a tool alone
    for names, text in rng.sample(asked, min(len(asked), rng.choice((1, 2, 2, 3)))):
        ones: Sequence[Made] = [make(blueprints[name], style, rng) for name in names]
        own = {one.spec.name: one for one in ones}
        if len(own) == len(ones) and tools.keys().isdisjoint(own):
            tools |= own
            turns.append((ones, text))
    for name in rng.sample(list(blueprints), max(0, rng.choice(TOOLS) - len(tools))):
        one = make(blueprints[name], style, rng)
        tools.setdefault(one.spec.name, one)
    turns += [((one,), "") for one in rng.sample(list(tools.values()), rng.randint(2, 6))]
    episode = Episode([one.spec for one in rng.sample(list(tools.values()), len(tools))])
    for ones, text in rng.sample(turns, len(turns)):
        if text:
            _ask(episode, ones, text, rng)
        else:
            said, arguments = synthetic.wished(ones[0], rng)
            episode.user(said)
            synthetic.answered(episode, [(ones[0], arguments)], rng, results=False)
    return episode.done()


def _ask(episode: Episode, ones: Sequence[Made], text: str, rng: Random) -> None:
    """The message and its calls."""
    lower = rng.random() < 0.15
    wanted = []
    for number, one in enumerate(ones, 1):
        text, arguments = filled(text, slots(number), one, rng, lower)
        wanted.append((one, arguments))
    episode.user(text.lower() if lower else text)
    synthetic.answered(episode, wanted, rng, results=False)
