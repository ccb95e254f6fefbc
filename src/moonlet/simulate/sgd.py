"""Dialogues of Schema-Guided Dialogue as conversations with tools: a service's intents are its tools."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import date
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any, Literal

from moonlet.chat.messages import ToolSpec
from moonlet.simulate.declaring import spell, words_of
from moonlet.simulate.episode import Conversation, Episode
from moonlet.simulate.packed import lines
from moonlet.tools.tool import parameters

Split = Literal["train", "dev"]  # dev is for judging


@lru_cache(maxsize=2)
def services(data: Path, split: Split) -> dict[str, dict[str, Any]]:
    """The schemas of a split's services, by name."""
    schema = json.loads((data / "sgd" / f"schema_{split}.json").read_text())
    return {service["service_name"]: service for service in schema}


def dialogues(data: Path, split: Split) -> list[str]:
    """The dialogues of a split, each a line of JSON."""
    return lines(data / "sgd" / f"sgd_{split}.jsonl.xz")


def judging(data: Path) -> list[dict[str, Any]]:
    """Dialogues of the dev split all of whose services are in no training dialogue: those that a model is judged by."""
    new = services(data, "dev").keys() - services(data, "train").keys()
    return [one for one in map(json.loads, dialogues(data, "dev")) if new.issuperset(one["services"])]


def maker(data: Path, split: Split) -> Callable[[Random], Conversation]:
    """Draws conversations of a split."""
    known, every = services(data, split), dialogues(data, split)

    def make(rng: Random) -> Conversation:
        while True:
            made = rendered(json.loads(rng.choice(every)), known, rng)
            if made:
                return made

    return make


def rendered(dialogue: Mapping[str, Any], known: Mapping[str, Any], rng: Random) -> Conversation | None:
    """One dialogue, up to the first call whose arguments cannot be told from what was said; None if nothing is left."""
    chosen = list(dict.fromkeys(dialogue["services"]))
    if rng.random() < 0.5:
        chosen.append(rng.choice(sorted(known)))
    style = rng.choice(("snake", "snake", "camel", "Pascal"))
    names: dict[tuple[str, str], str] = {}
    slots: dict[tuple[str, str], str] = {}
    tools = []
    for service in dict.fromkeys(chosen):
        for one in known[service]["intents"]:
            spec = _intent_spec(known[service], one, style, slots)
            if spec.name not in names.values():
                names[service, one["name"]] = spec.name
                tools.append(spec)
    rng.shuffle(tools)
    episode = Episode(tools)
    said = "today is 2019-03-01, friday."
    episode.system("Today is 2019-03-01, Friday.")
    complete = 0
    for turn in dialogue["turns"]:
        if turn["who"] == "U":
            episode.user(turn["text"])
            said += " " + turn["text"].lower()
            continue
        for call in turn.get("calls", ()):
            name = names.get((call["service"], call["method"]))
            arguments = _arguments(call, known[call["service"]], slots, said) if name else None
            if name is None or arguments is None:
                del episode.messages[complete:]
                return episode.done() if episode.calls and complete else None
            body = _results(call)
            episode.call([(name, arguments)], lambda _, body=body: body)  # type: ignore[misc]
            said += " " + body.lower()
        episode.answer(turn["text"])
        said += " " + turn["text"].lower()
        complete = len(episode.messages)
    del episode.messages[complete:]
    return episode.done() if episode.calls and complete else None


def _intent_spec(
    service: Mapping[str, Any], one: Mapping[str, Any], style: str, slots: dict[tuple[str, str], str]
) -> ToolSpec:
    described = {slot["name"]: slot for slot in service["slots"]}
    schemas: list[dict[str, Any]] = []
    for group in (one["required_slots"], list(one["optional_slots"])):
        schemas.append({})
        for name in group:
            slot = described[name]
            key = slots.setdefault(
                (service["service_name"], name), spell(words_of(name), "snake" if style == "snake" else "camel")
            )
            schemas[-1][key] = {"type": "string", "description": slot["description"]}
            if slot["is_categorical"] and slot["possible_values"]:
                schemas[-1][key]["enum"] = list(slot["possible_values"])
    return ToolSpec(spell(words_of(one["name"]), style), one["description"], parameters(*schemas))


def _arguments(
    call: Mapping[str, Any], service: Mapping[str, Any], slots: Mapping[tuple[str, str], str], said: str
) -> dict[str, str] | None:
    """The call's arguments; those that only repeat a default are left out. None if one cannot be told."""
    one = next(one for one in service["intents"] if one["name"] == call["method"])
    closed = {slot["name"] for slot in service["slots"] if slot["is_categorical"]}
    found = {}
    for name in (*one["required_slots"], *one["optional_slots"]):
        if name not in call["parameters"]:
            if name in one["required_slots"]:
                return None
            continue
        value = str(call["parameters"][name])
        known = _said(value.lower(), said) or _told(value, said)
        if not known and one["optional_slots"].get(name) == value:
            continue
        if not known and name not in closed:
            return None
        found[slots[call["service"], name]] = value
    return found


def _said(value: str, said: str) -> bool:
    """Whether the words of the value occur; "2" does not occur in 2019."""
    at = said.find(value)
    while at >= 0:
        end = at + len(value)
        if not (said[at - 1 : at].isalnum() or said[end : end + 1].isalnum()):
            return True
        at = said.find(value, at + 1)
    return False


NUMBERS = {
    "1": r"one|me|myself|just",
    "2": r"two|couple|both",
    "3": "three",
    "4": "four",
    "5": "five",
    "6": "six",
    "7": "seven",
}


def _told(value: str, said: str) -> bool:
    """Whether a normalised value was said: a small number as a word, a date, a 24-hour time."""
    if value in NUMBERS:
        return re.search(rf"\b(?:{NUMBERS[value]})\b", said) is not None
    if match := re.fullmatch(r"(\d\d):(\d\d)", value):
        hour = (int(match[1]) - 1) % 12 + 1
        return re.search(rf"\b{hour}(?::{match[2]})?\b|\b{hour} o'clock|noon|half past", said) is not None
    if re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        day = date.fromisoformat(value)
        near = {0: "today|tonight", 1: "tomorrow", 2: "day after"}.get((day - date(2019, 3, 1)).days, "(?!)")
        return re.search(rf"\b{day.day}(?:st|nd|rd|th)?\b|{near}|{day:%A}".lower(), said) is not None
    return False


def _results(call: Mapping[str, Any]) -> str:
    asked = {str(value) for value in call["parameters"].values()}
    kept = [
        {k: v for k, v in found.items() if v not in asked or k.endswith("name")}
        for found in call.get("results", [])[:2]
    ]
    return json.dumps({"count": call.get("n_results", len(kept)), "results": kept}, ensure_ascii=False)
