"""Requests to a voice assistant that people worded in English, Thai and Chinese, under tools declared for them.

Source: MASSIVE 1.1 (FitzGerald et al. 2022), Copyright Amazon.com Inc. or its affiliates, CC BY 4.0, whose English is
of SLURP (Bastianelli et al. 2020), CC BY 4.0. Its train and dev partitions, packed by runs/massive.py, lie in the
folder of public sets. The tools are ours (wordings/public/massive.txt): of each intent several names and descriptions,
of each slot several parameters (`+` behind a slot: it may occur more than once, the parameter is a list).

What a user says of a slot is the argument, as it stands. Calls come without results, as in `moonlet.simulate.drills`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

from moonlet.chat.messages import ToolSpec
from moonlet.simulate import foreign_answers, several, talk
from moonlet.simulate.abroad import LINKS
from moonlet.simulate.declaring import spell
from moonlet.simulate.episode import Conversation, Episode
from moonlet.simulate.packed import lines
from moonlet.tools.tool import parameters

SLOT = re.compile(r"\[(\w+) : ([^\[\]]*)\]")
LANGUAGES = {"en-US": 0.35, "th-TH": 0.33, "zh-CN": 0.22, "zh-TW": 0.1}
NO_TOOL = {"en": talk.NO_TOOL, **foreign_answers.NO_TOOL}
MIXED = 0.06  # share of conversations in which every message may be of another language
UNFIT = 0.15  # share of messages that no declared tool fits
NEAR = 0.45  # how often the next tool, or what no tool fits, is looked for among intents alike
COUNTS = (1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 3)  # requests in a message
ALWAYS, OFTEN = 0.95, 0.5  # shares of an intent's requests with which a slot is required, or may be

# Intents that a request may be taken for: never declared together, and none is asked for in vain where another is
# declared. A line each: an intent and those it is confused with.
CONFUSED = """
alarm_set calendar_set
alarm_remove calendar_remove
alarm_query calendar_query datetime_query
audio_volume_mute audio_volume_down iot_hue_lightoff
music_settings audio_volume_up audio_volume_down play_music play_radio play_audiobook play_podcasts
play_music music_likeness music_query play_radio play_audiobook play_podcasts general_joke play_game
play_radio play_podcasts news_query
play_audiobook play_podcasts
music_query music_likeness play_radio
calendar_query datetime_query lists_query recommendation_events email_query weather_query news_query
calendar_set lists_createoradd email_sendemail datetime_query
calendar_remove lists_remove
datetime_query datetime_convert weather_query transport_query
email_query social_query email_querycontact email_sendemail lists_query
email_addcontact lists_createoradd email_querycontact email_sendemail
email_sendemail social_post email_querycontact
iot_cleaning iot_wemo_on
iot_coffee iot_wemo_on takeaway_order iot_wemo_off
iot_hue_lightoff iot_wemo_off
iot_hue_lightdim iot_hue_lightoff
iot_hue_lightchange iot_hue_lightdim iot_hue_lightup iot_hue_lightoff
lists_query lists_createoradd
takeaway_order takeaway_query recommendation_locations cooking_recipe
takeaway_query recommendation_locations
news_query social_query weather_query qa_stock recommendation_events transport_traffic
qa_definition qa_stock cooking_recipe qa_currency
qa_stock qa_currency
recommendation_events recommendation_movies recommendation_locations
recommendation_movies recommendation_locations transport_ticket
recommendation_locations transport_query
transport_query transport_traffic transport_ticket transport_taxi
transport_taxi transport_ticket
"""
HOURS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
MINUTES = {"fifteen": ":15", "thirty": ":30", "forty five": ":45", None: ""}
CLOCK = re.compile(rf"({'|'.join(HOURS)})(?: (fifteen|thirty|forty five))? ([ap]m)")
ASKING = re.compile(r"(?:what|when|where|who|how|why|which|is|are|do|does|did|can|could|will|would|has|have|any)\b")


@dataclass(frozen=True, slots=True)
class Slot:
    """What a tool takes: ways to name and to describe it; `many` if it is a list."""

    key: str
    names: Sequence[str]
    descriptions: Sequence[str]
    many: bool = False


@dataclass(frozen=True, slots=True)
class Tool:
    """Ways to declare an intent."""

    names: list[str]
    descriptions: list[str]
    slots: list[Slot]


@dataclass(frozen=True, slots=True)
class Declared:
    """An intent as a tool of one conversation; the keys of its slots, in the schema's order."""

    intent: str
    spec: ToolSpec
    keys: Mapping[str, str]
    required: frozenset[str]
    many: frozenset[str]


Requests = Mapping[str, Mapping[str, Sequence[str]]]  # language -> intent -> what was said, its slots marked


@cache
def tools() -> Mapping[str, Tool]:
    """The intents that are tools."""
    text = resources.files("moonlet.simulate").joinpath("wordings", "public", "massive.txt").read_text("utf-8")
    common: dict[str, Slot] = {}
    made: dict[str, Tool] = {}
    tool = Tool([], [], [])
    for line in filter(None, text.splitlines()):
        mark, _, rest = line.partition(" ")
        match mark:
            case "@":
                slot = _slot(rest)
                common[slot.key] = slot
            case "#":
                tool = made[rest] = Tool([], [], [])
            case "=":
                tool.names.extend(rest.split(", "))
            case ":":
                tool.descriptions.append(rest)
            case _:
                tool.slots.append(_slot(rest) if ":" in rest else common[rest])
    return made


def _slot(line: str) -> Slot:
    key, _, rest = line.partition(": ")
    names, _, descriptions = rest.partition(" | ")
    return Slot(key.rstrip("+"), names.split(", "), descriptions.split("; "), key.endswith("+"))


@cache
def confused() -> Mapping[str, frozenset[str]]:
    """Of each intent those it may be taken for."""
    pairs = [(first, other) for first, *others in map(str.split, CONFUSED.split("\n")[1:-1]) for other in others]
    every = {*pairs, *((other, first) for first, other in pairs)}
    return {intent: frozenset(other for first, other in every if first == intent) for intent in tools()}


def maker(data: Path) -> Callable[[Random], Conversation]:
    """Draws conversations of the requests in the folder of public sets."""
    said = requests(data)
    shares = {intent: _shares(intent, [one for found in said.values() for one in found[intent]]) for intent in tools()}
    known = {intent: (0.01 + sum(len(found[intent]) for found in said.values())) ** 0.5 for intent in tools()}

    def make(rng: Random) -> Conversation:
        return conversation(rng, said, shares, known)

    return make


@cache
def requests(data: Path) -> Requests:
    """What was said, but for requests that name twice what is taken once."""
    found: dict[str, dict[str, list[str]]] = {name: {intent: [] for intent in tools()} for name in LANGUAGES}
    for line in lines(data / "massive" / "massive.jsonl.xz"):
        one = json.loads(line)
        keys = [key for key, _ in SLOT.findall(one["said"])]
        once = {slot.key for slot in tools()[one["intent"]].slots if not slot.many}
        if all(keys.count(key) == 1 for key in once & set(keys)):
            found[one["language"]][one["intent"]].append(one["said"])
    return found


def _shares(intent: str, said: Sequence[str]) -> dict[str, float]:
    """How often each slot of an intent occurs."""
    return {
        slot.key: sum(f"[{slot.key} : " in one for one in said) / max(1, len(said)) for slot in tools()[intent].slots
    }


def conversation(
    rng: Random, said: Requests, shares: Mapping[str, Mapping[str, float]], known: Mapping[str, float]
) -> Conversation:
    """6 to 14 messages under 4 to 12 tools, mostly of one language; intents are drawn by these weights."""
    style = rng.choice(("snake", "snake", "snake", "camel", "Pascal", "kebab"))
    made: list[Declared] = []
    for _ in range(rng.choice((4, 5, 6, 6, 8, 8, 10, 12))):
        free = _unlike([one.intent for one in made])
        one = _declared(_near(free, [one.intent for one in made], known, rng), style, shares, rng)
        if one.spec.name not in {other.spec.name for other in made}:
            made.append(one)
    rng.shuffle(made)
    episode = Episode([one.spec for one in made])
    language, mixed = _language(rng), rng.random() < MIXED
    told: set[str] = set()  # no request comes twice
    for _ in range(rng.randint(6, 14)):
        spoken = _language(rng) if mixed else language
        if rng.random() < UNFIT:
            declared = [one.intent for one in made]
            if free := [intent for intent in _unlike(declared) if said[spoken][intent]]:
                episode.user(worded(rng.choice(said[spoken][_near(free, declared, known, rng)]), spoken, rng)[0])
                episode.answer(NO_TOOL[spoken[:2]])
        else:
            _wishes(
                episode,
                rng.sample(made, rng.choice(COUNTS)),
                said[spoken],
                told,
                spoken,
                rng,
            )
    return episode.done()


def _language(rng: Random) -> str:
    return rng.choices(list(LANGUAGES), list(LANGUAGES.values()))[0]


def _unlike(intents: Iterable[str]) -> list[str]:
    """Intents that are none of these and confused with none."""
    near = {other for intent in intents for other in (intent, *confused()[intent])}
    return [intent for intent in tools() if intent not in near]


def _near(intents: Sequence[str], chosen: Sequence[str], known: Mapping[str, float], rng: Random) -> str:
    """One of the intents, often one that begins like a chosen one: its near miss."""
    fields = {intent.partition("_")[0] for intent in chosen}
    near = [intent for intent in intents if intent.partition("_")[0] in fields]
    among = near if near and rng.random() < NEAR else intents
    return rng.choices(among, [known[intent] for intent in among])[0]


def _declared(intent: str, style: str, shares: Mapping[str, Mapping[str, float]], rng: Random) -> Declared:
    tool = tools()[intent]
    keys: dict[str, str] = {}
    required: dict[str, Any] = {}
    optional: dict[str, Any] = {}
    musts = set()
    described = rng.random() < 0.9
    for slot in rng.sample(tool.slots, len(tool.slots)):
        share = shares[intent][slot.key]
        if share < 0.3 and rng.random() < 0.15:
            continue  # a tool that does not ask for it
        name = rng.choice([name for name in slot.names if spelled(name, style) not in keys.values()] or [slot.key])
        keys[slot.key] = spelled(name, style)
        schema: dict[str, Any] = {"type": "array", "items": {"type": "string"}} if slot.many else {"type": "string"}
        if described:
            schema["description"] = rng.choice(slot.descriptions)
        must = share > ALWAYS or (share > OFTEN and rng.random() < 0.35)
        (required if must else optional)[keys[slot.key]] = schema
        if must:
            musts.add(slot.key)
    spec = ToolSpec(
        spell(tuple(rng.choice(tool.names).split("_")), style),
        rng.choice(tool.descriptions),
        parameters(required, optional),
    )
    ordered = {slot: key for key in (*required, *optional) for slot, other in keys.items() if other == key}
    many = frozenset(slot.key for slot in tool.slots if slot.many)
    return Declared(intent, spec, ordered, frozenset(musts), many)


def spelled(name: str, style: str) -> str:
    """A parameter's name beside tools of that style."""
    return spell(tuple(name.split("_")), "camel" if style in ("camel", "Pascal") else "snake")


def _wishes(
    episode: Episode,
    ones: Sequence[Declared],
    said: Mapping[str, Sequence[str]],
    told: set[str],
    language: str,
    rng: Random,
) -> None:
    """One message that asks for these tools, and the calls."""
    asked: list[Declared] = []
    wishes: list[Wish] = []
    for one in ones:
        musts = [f"[{key} : " for key in one.required]
        fitting = [text for text in said[one.intent] if text not in told and all(must in text for must in musts)]
        if fitting:
            text = rng.choice(fitting)
            told.add(text)
            asked.append(one)
            wishes.append(worded(text, language, rng, plain=len(ones) > 1))
    if asked:
        episode.user(_joined(wishes, language, rng))
        episode.asked(
            [(one.spec.name, _arguments(one, values)) for one, (_, values) in zip(asked, wishes, strict=True)]
        )


Wish = tuple[str, Sequence[tuple[str, str]]]  # what is said, and its slots


def worded(marked: str, language: str, rng: Random, plain: bool = False) -> Wish:
    """A request as it is written: in English with or without capitals, stops and figures, in Thai with or without the
    spaces about its slots."""
    if language == "en-US":
        if rng.random() < 0.3:
            marked = SLOT.sub(lambda match: f"[{match[1]} : {CLOCK.sub(_figures, match[2])}]", marked)
        if not plain and rng.random() < 0.45:
            marked = _written(marked, rng)
    elif language == "th-TH" and rng.random() < 0.4:
        marked = re.sub(r"(?<=[ก-๛]) (?=\[\w+ : [ก-๛])|(?<=[ก-๛]\]) (?=[ก-๛\[])", "", marked)
    return SLOT.sub(r"\2", marked), SLOT.findall(marked)


def _figures(match: re.Match[str]) -> str:
    return f"{HOURS.index(match[1]) + 1}{MINUTES[match[2]]} {match[3]}"


def _written(marked: str, rng: Random) -> str:
    stop = "?" if ASKING.match(marked) else rng.choice((".", ".", ""))
    pieces = re.split(r"(\[[^\]]*\])", marked)
    pieces[::2] = [re.sub(r"\bi\b", "I", piece) for piece in pieces[::2]]
    text = "".join(pieces)
    return text[:1].upper() + text[1:] + stop  # a mark at the beginning is no letter


def _joined(wishes: Sequence[Wish], language: str, rng: Random) -> str:
    """One message of these requests."""
    texts = [text for text, _ in wishes]
    if len(texts) == 1:
        return texts[0]
    # Of what is joined the first letter changes, and a stop at the end goes.
    bare = all(
        not text.startswith(values[0][1]) and not values[-1][1].endswith(".") for text, values in wishes if values
    )
    if language == "en-US" and bare:
        return several.joined(texts, frozenset(), rng)
    links = several.LINKS if language == "en-US" else LINKS[language[:2]]
    said = texts[0]
    for (_, before), (text, _) in pairwise(wishes):
        own = any(value.endswith(said[-1]) for _, value in before)  # a stop that belongs to a value stays
        said = (said if own else said.rstrip("。？！?!.")) + rng.choice(links) + text
    return said


def _arguments(one: Declared, values: Sequence[tuple[str, str]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for slot, key in one.keys.items():
        given = [value for name, value in values if name == slot]
        if given:
            found[key] = given if slot in one.many else given[0]
    return found
