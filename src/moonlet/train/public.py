"""Public data sets rendered as conversations with tools: SGD, SNIPS, CLINC150, BANKING77, MetaTool; Seal-Tools schemas.

The folder is the one described in its README: one folder per set, files packed with xz. What judges a model is never
read here: dev and test splits, and the Seal-Tools tools that its dev queries in `held_out` use.
"""

import csv
import hashlib
import json
import lzma
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

from moonlet.chat.messages import ToolSpec
from moonlet.simulate.blueprints import Blueprint, Parameter
from moonlet.simulate.declaring import spell
from moonlet.simulate.episode import Conversation, Episode
from moonlet.simulate.talk import NO_TOOL
from moonlet.tools.tool import parameters

Maker = Callable[[Random], Conversation]
KINDS = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
# Examples that describe a value ("city", "YYYY-MM-DD") instead of being one.
PLACEHOLDER = re.compile(
    r"(?i)yyy|hh:|mm|^(?:etc|city|country|region|state|location|address|specific .*|name|none|any|.* name)$"
)


def _lines(path: Path) -> list[str]:
    with lzma.open(path, "rt", encoding="utf-8", errors="replace") as file:
        return file.read().splitlines()


def words_of(name: str) -> tuple[str, ...]:
    """The words of a camelCase, snake_case or spaced name, in lower case."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[_\-\s]+", " ", name)
    return tuple(spaced.lower().split())


def held_out(data: Path) -> frozenset[str]:
    """Seal-Tools tools kept for judging: those of every one-call dev query and of a fifth of the others."""
    queries = [json.loads(line) for line in _lines(data / "seal-tools" / "dev.jsonl.xz")]
    return frozenset(
        call["api"]
        for query in queries
        if len(query["calling"]) == 1 or hashlib.sha256(query["id"].encode()).digest()[0] % 5 == 0
        for call in query["calling"]
    )


def seal_blueprints(data: Path, kept_out: bool = False) -> list[Blueprint]:
    """The Seal-Tools schemas to train on, or with `kept_out` those to judge on."""
    judged = held_out(data)
    found = []
    for line in _lines(data / "seal-tools" / "tool.jsonl.xz"):
        tool = json.loads(line)
        name = words_of(tool["api_name"])
        if (tool["api_name"] in judged) is not kept_out or not name:
            continue
        own = tuple(_parameter(key, one, key in tool["required"]) for key, one in tool["parameters"].items())
        returns = tuple((words_of(key), KINDS.get(one.get("type"), "string")) for key, one in tool["responses"].items())
        found.append(Blueprint(name, tool["api_description"], own, returns, tool["field"].split("/")[0]))
    return found


def _parameter(key: str, one: Mapping[str, Any], required: bool) -> Parameter:
    description = str(one.get("description", ""))
    match = re.search(r"\(e\.g\.?,? ([^()]*)\)", description)
    examples = [part.strip(" .\"'") for part in re.split(r",|\bor\b", match[1])] if match else []
    kept = [text for text in examples if 1 < len(text) < 30 and not PLACEHOLDER.search(text)]
    kind = KINDS.get(one.get("type", "str"), "string")
    return Parameter(
        words_of(key) or (key,), kind, description, tuple(dict.fromkeys(kept)) if kind == "string" else (), required
    )


# SGD


@lru_cache(maxsize=2)
def _services(data: Path) -> dict[str, dict[str, Any]]:
    schema = json.loads((data / "sgd" / "schema_train.json").read_text())
    return {service["service_name"]: service for service in schema}


def sgd(data: Path) -> Maker:
    """Dialogues of SGD's train split: the intents of the services as tools, calls where the dialogue has them."""
    services = _services(data)
    lines = _lines(data / "sgd" / "sgd_train.jsonl.xz")

    def make(rng: Random) -> Conversation:
        while True:
            made = _dialogue(json.loads(rng.choice(lines)), services, rng)
            if made:
                return made

    return make


def _dialogue(dialogue: Mapping[str, Any], services: Mapping[str, Any], rng: Random) -> Conversation | None:
    """One dialogue, up to the first call whose arguments cannot be told from what was said; None if nothing is left."""
    chosen = list(dict.fromkeys(dialogue["services"]))
    if rng.random() < 0.5:
        chosen.append(rng.choice(sorted(services)))
    style = rng.choice(("snake", "snake", "camel", "Pascal"))
    names: dict[tuple[str, str], str] = {}
    slots: dict[tuple[str, str], str] = {}
    tools = []
    for service in dict.fromkeys(chosen):
        for one in services[service]["intents"]:
            spec = _intent_spec(services[service], one, style, slots)
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
            arguments = _arguments(call, services[call["service"]], slots, said) if name else None
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


# Requests of one intent each


def snips(data: Path) -> Maker:
    """SNIPS requests: seven intents whose marked spans are optional arguments."""
    requests: dict[str, list[tuple[str, dict[str, str]]]] = {}
    keys: dict[str, list[str]] = {}
    for path in sorted((data / "snips").glob("train_*.json.xz")):
        with lzma.open(path) as file:
            raw = file.read()
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            text = raw.decode("latin-1")
        for name, found in json.loads(text).items():
            requests[name] = [_spans(one["data"]) for one in found]
            keys[name] = sorted({key for _, arguments in requests[name] for key in arguments})

    def make(rng: Random) -> Conversation:
        style = rng.choice(("snake", "camel", "Pascal"))
        chosen = rng.sample(sorted(requests), rng.randrange(3, len(requests) + 1))
        tools = {name: _snips_spec(name, keys[name], style, rng) for name in chosen}
        episode = Episode(list(tools.values()))
        for _ in range(rng.randrange(3, 7)):
            name = rng.choice(sorted(requests) if rng.random() < 0.2 else chosen)
            text, arguments = rng.choice(requests[name])
            episode.user(text)
            if name not in tools:
                episode.answer(NO_TOOL)
                continue
            renamed = {_snips_key(key, style): value for key, value in arguments.items()}
            order = tools[name].parameters["properties"]
            _done(episode, tools[name].name, {key: renamed[key] for key in order if key in renamed})
        return episode.done()

    return make


def _spans(pieces: Sequence[Mapping[str, str]]) -> tuple[str, dict[str, str]]:
    arguments = {piece["entity"]: piece["text"].strip() for piece in pieces if "entity" in piece}
    text = " ".join("".join(piece["text"] for piece in pieces).split())
    return text, {key: " ".join(value.split()) for key, value in arguments.items()}


def _snips_key(key: str, style: str) -> str:
    return spell(words_of(key), "snake" if style == "snake" else "camel")


def _snips_spec(name: str, keys: Sequence[str], style: str, rng: Random) -> ToolSpec:
    properties = {_snips_key(key, style): {"type": "string"} for key in rng.sample(list(keys), len(keys))}
    said = " ".join(words_of(name))
    return ToolSpec(spell(words_of(name), style), said[0].upper() + said[1:], parameters(optional=properties))


def _done(episode: Episode, name: str, arguments: Mapping[str, Any]) -> None:
    episode.call([(name, arguments)], lambda _: '{"ok": true}')
    episode.answer("Done.")


def labelled(groups: Mapping[str, Sequence[str]], described: Mapping[str, str], beyond: Sequence[str] = ()) -> Maker:
    """Requests grouped by intent: tools without parameters, and requests that none of the listed ones fits."""
    every = sorted(groups)

    def make(rng: Random) -> Conversation:
        style = rng.choice(("snake", "snake", "camel", "Pascal"))
        chosen = rng.sample(every, min(len(every), rng.randrange(4, 13)))
        tools = [ToolSpec(spell(words_of(name), style), described[name], parameters()) for name in chosen]
        episode = Episode(tools)
        for _ in range(rng.randrange(3, 8)):
            if rng.random() < 0.22:
                other = rng.choice(every)
                text = rng.choice(beyond) if beyond and rng.random() < 0.4 else rng.choice(groups[other])
                if text in groups[other] and other in chosen:
                    continue
                episode.user(text)
                episode.answer(NO_TOOL)
            else:
                index = rng.randrange(len(chosen))
                episode.user(rng.choice(groups[chosen[index]]))
                _done(episode, tools[index].name, {})
        return episode.done() if episode.messages else make(rng)

    return make


def clinc(data: Path) -> Maker:
    """CLINC150, train split."""
    found = json.loads("\n".join(_lines(data / "clinc150" / "train.json.xz")))
    groups: dict[str, list[str]] = {}
    for text, name in found["train"]:
        groups.setdefault(name, []).append(text)
    beyond = [text for text, _ in found.get("oos_train", [])] + groups.pop("oos", [])
    return labelled(groups, {name: _sentence(name) for name in groups}, beyond)


def banking(data: Path) -> Maker:
    """BANKING77, train split."""
    groups: dict[str, list[str]] = {}
    for row in csv.DictReader(_lines(data / "banking77" / "train.csv.xz")):
        groups.setdefault(row["category"].strip("?").lower(), []).append(row["text"])
    return labelled(groups, {name: _sentence(name) for name in groups})


def metatool(data: Path) -> Maker:
    """MetaTool: requests, each with the one of 199 described tools that fits."""
    described = json.loads((data / "metatool" / "plugin_des.json").read_text())
    groups: dict[str, list[str]] = {}
    for row in csv.DictReader(_lines(data / "metatool" / "all_clean_data.csv.xz")):
        if row["Tool"] in described:
            groups.setdefault(row["Tool"], []).append(row["Query"])
    return labelled(groups, described)


def _sentence(name: str) -> str:
    said = " ".join(words_of(name))
    return said[0].upper() + said[1:]
