"""Conversations with the tools of made-up servers, as an agent has them or as a client of the endpoint does."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from random import Random

from moonlet.agent.results import marked
from moonlet.chat.messages import ToolSpec
from moonlet.simulate import outside, talk
from moonlet.simulate.asking import iso_date
from moonlet.simulate.declaring import words_of
from moonlet.simulate.episode import Conversation, Episode
from moonlet.simulate.servers.asking import asked, can_lack
from moonlet.simulate.servers.declared import Offered, Server, server
from moonlet.simulate.servers.results import result
from moonlet.simulate.servers.telling import told
from moonlet.simulate.world import World
from moonlet.tools.tool import parameters

AGENT = 0.5  # share of conversations in which an agent has the tools: NAME__TOOL, results between marks
COUNTS = (2, 2, 3, 3, 4, 4, 5, 5, 6, 7, 8, 10)  # tools of a server
BEYOND = 0.08  # share of requests that no tool is for
SMALL_TALK, LACKING = 0.04, 0.05  # shares of turns: nothing is wanted; something is missing and asked for
ONWARD = re.compile(
    r"[A-Z][\w']+(?: [A-Z][\w']+)*|[\w-]+-\d+|(?:[\w~.-]*/)+[\w.-]+"
)  # names, marks and paths in a result


def conversation(rng: Random) -> Conversation:
    """Requests under the tools of one server, now and then of two. Many follow under one list: choosing among its tools
    is the hardest part, and is learned from each."""
    servers = [server(rng, rng.choice(COUNTS))]
    if rng.random() < 0.12:
        servers.append(server(rng, rng.choice((1, 2))))
    inside = rng.random() < AGENT
    tools: dict[str, tuple[Offered, Server]] = {}
    for one in servers:
        for tool in one.tools:
            name = f"{one.name}__{tool.spec.name}"[:64] if inside else tool.spec.name
            tools.setdefault(name, (replace(tool, spec=replace(tool.spec, name=name)), one))
    specs = [tool.spec for tool, _ in tools.values()]
    if inside and rng.random() < 0.12:
        specs += _readers(servers[0])
    if rng.random() < 0.3:
        rng.shuffle(specs)
    episode = Episode(specs)
    if inside:
        episode.system(outside.system_text(rng))
    elif rng.random() < 0.5:
        episode.system(rng.choice(("You are a helpful assistant.", "Use the tools.", f"Today is {iso_date(rng)}.")))
    known: list[str] = []
    for _ in range(rng.randrange(6, 15)):
        if rng.random() < BEYOND and (text := _beyond(specs, rng)):
            episode.user(text)
            episode.answer(talk.NO_TOOL)
        elif rng.random() < SMALL_TALK:
            said, answer = talk.small_talk(rng, [spec.name for spec in specs])
            episode.user(said)
            episode.answer(answer)
        else:
            _turn(episode, *rng.choice(list(tools.values())), known, inside, rng)
    return episode.done()


def _turn(episode: Episode, one: Offered, at: Server, known: list[str], inside: bool, rng: Random) -> None:
    """A request, its call, and the answer that tells the result."""
    lacking = can_lack(one) if rng.random() < LACKING else []
    missing = rng.choice(lacking) if lacking else None
    text, arguments = asked(one, at, known, rng, missing.slot if missing else "")
    shown = result(one, arguments, at.style, rng)
    if one.keyed == "name":
        known[:] = ONWARD.findall(shown)[:12]
    episode.user(text)
    if missing:
        episode.answer(f"What is the {missing.words}?")
        episode.user(
            rng.choice(("{}", "{}", "it is {}", "{}, please", f"the {missing.words} is {{}}")).format(
                arguments[missing.key]
            )
        )
    written = marked(shown, f"{rng.getrandbits(32):08x}") if inside else shown
    episode.call([(one.spec.name, arguments)], lambda _: written)
    episode.answer(told(shown))


def _readers(one: Server) -> list[ToolSpec]:
    """The tools that an agent is given where a server has resources."""
    listing = f"{one.name}__list_resources"
    about = {"uri": {"type": "string", "description": f"As {listing} gives it, with a template filled in"}}
    read = ToolSpec(f"{one.name}__read_resource", f"Read something from {one.name}", parameters(about))
    return [ToolSpec(listing, f"List what can be read from {one.name}", {}), read]


def _beyond(specs: Sequence[ToolSpec], rng: Random) -> str:
    """A request that none of the tools is for; empty if the one that was drawn shares a word with them."""
    declared = _words(" ".join(f"{' '.join(words_of(one.name))} {one.description}" for one in specs))
    if rng.random() < 0.6:
        text = talk.beyond(rng, World(rng.getrandbits(32), date(2026, 1, 1)))
        return "" if _words(text) & declared else text
    other = server(rng, 1)
    if not other.tools or _words(f"{other.subject.whole} {other.tools[0].thing.one}") & declared:
        return ""
    return asked(other.tools[0], other, (), rng)[0]


def _words(text: str) -> set[str]:
    """The longer words of a text, by their beginnings."""
    return {word[:5] for word in re.findall(r"[a-z]{4,}", text.lower())}
