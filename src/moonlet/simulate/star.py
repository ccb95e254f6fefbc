"""Dialogues of STAR as conversations with tools: people talk to a person who plays the assistant and queries APIs.

Source: STAR (Mosig, Mehri and Kober 2020), Copyright (c) 2020 Rasa Technologies GmbH, MIT licence. Packed by
runs/star.py, the dialogues lie in the folder of public sets. How the APIs are declared is ours
(wordings/public/star.txt): of each several names and descriptions, of each parameter too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from random import Random
from typing import Any

from moonlet.chat.messages import ToolSpec
from moonlet.simulate.declaring import spell
from moonlet.simulate.episode import Conversation, Episode
from moonlet.simulate.packed import lines
from moonlet.tools.tool import parameters

CHOICES = 12  # so many values at most are listed in a schema


@dataclass(frozen=True, slots=True)
class Wording:
    """Ways to declare an API; of each parameter its names and its descriptions."""

    names: list[str]
    descriptions: list[str]
    keys: dict[str, tuple[Sequence[str], Sequence[str]]]


@cache
def wordings(name: str = "star") -> Mapping[str, Wording]:
    """The APIs that are tools, as they are declared in this file."""
    text = resources.files("moonlet.simulate").joinpath("wordings", "public", f"{name}.txt").read_text("utf-8")
    made: dict[str, Wording] = {}
    one = Wording([], [], {})
    for line in filter(None, text.splitlines()):
        mark, _, rest = line.partition(" ")
        match mark:
            case "#":
                one = made[rest] = Wording([], [], {})
            case "=":
                one.names.extend(rest.split(", "))
            case ":":
                one.descriptions.append(rest)
            case _:
                key, _, described = rest.partition(": ")
                names, _, descriptions = described.partition(" | ")
                one.keys[key] = names.split(", "), descriptions.split("; ")
    return made


def maker(data: Path) -> Callable[[Random], Conversation]:
    """Draws conversations of the dialogues in the folder of public sets."""
    apis = json.loads((data / "star" / "apis.json").read_text(encoding="utf-8"))
    dialogues = lines(data / "star" / "dialogues.jsonl.xz")

    def make(rng: Random) -> Conversation:
        return rendered(json.loads(rng.choice(dialogues))["turns"], apis, rng)

    return make


def rendered(turns: Sequence[Mapping[str, Any]], apis: Mapping[str, Any], rng: Random) -> Conversation:
    """One dialogue, under the tools that it calls and 1 to 6 others."""
    style = rng.choice(("snake", "snake", "camel", "Pascal", "kebab"))
    chosen = list(dict.fromkeys(turn["call"] for turn in turns if "call" in turn))
    chosen += rng.sample([name for name in wordings() if name not in chosen], rng.randint(1, 6))
    made = {name: declared(wordings()[name], apis[name], given(turns, name), style, rng) for name in chosen}
    specs = [spec for spec, _ in made.values()]
    return played(turns, made, Episode(rng.sample(specs, len(specs))))


def played(
    turns: Sequence[Mapping[str, Any]],
    made: Mapping[str, tuple[ToolSpec, Mapping[str, str]]],
    episode: Episode,
    shown: Callable[[Any], Any] = lambda result: result,
) -> Conversation:
    """The dialogue in the episode; `shown`: a result as the tool gives it."""
    for turn in turns:
        if "call" in turn:
            spec, keys = made[turn["call"]]
            arguments = {key: turn["arguments"][name] for name, key in keys.items() if name in turn["arguments"]}
            result = json.dumps(shown(turn["result"]), ensure_ascii=False)
            episode.call([(spec.name, arguments)], lambda _, result=result: result)  # type: ignore[misc]
        elif turn["who"] == "U":
            episode.user(turn["text"])
        else:
            episode.answer(turn["text"])
    return episode.done()


def given(turns: Sequence[Mapping[str, Any]], name: str) -> set[str]:
    """What a dialogue's calls of this API give."""
    return {key for turn in turns if turn.get("call") == name for key in turn["arguments"]}


def declared(
    one: Wording, api: Mapping[str, Any], used: set[str], style: str, rng: Random
) -> tuple[ToolSpec, Mapping[str, str]]:
    """An API as a tool, and its parameters' keys in the schema's order. What is used is declared, else most of it."""
    required: dict[str, Any] = {}
    optional: dict[str, Any] = {}
    keys: dict[str, str] = {}
    for key in rng.sample(list(one.keys), len(one.keys)):
        must = key in api["required"]
        if not must and key not in used and rng.random() < 0.3:
            continue
        names, descriptions = one.keys[key]
        spelled = [spell(tuple(way.split("_")), "camel" if style in ("camel", "Pascal") else "snake") for way in names]
        keys[key] = rng.choice([way for way in spelled if way not in keys.values()])
        schema: dict[str, Any] = {"type": api["inputs"][key]["kind"], "description": rng.choice(descriptions)}
        if schema["type"] == "array":
            schema["items"] = {"type": "string"}
        if 0 < len(api["inputs"][key]["closed"]) <= CHOICES:
            schema["enum"] = api["inputs"][key]["closed"]
        (required if must else optional)[keys[key]] = schema
    ordered = {key: keys[key] for way in (*required, *optional) for key in keys if keys[key] == way}
    spec = ToolSpec(
        spell(tuple(rng.choice(one.names).split("_")), style),
        rng.choice(one.descriptions),
        parameters(required, optional),
    )
    return spec, ordered
