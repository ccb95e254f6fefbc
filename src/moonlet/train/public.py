"""Public data sets rendered as conversations with tools: SGD, SNIPS, CLINC150, BANKING77, MetaTool, ToolVerifier and
Seal-Tools.

The folder is the one described in its README: one folder per set, files packed with xz. What judges a model is never
read here: dev and test splits, of Seal-Tools (`moonlet.simulate.seal`) the dev requests that judge, and their tools.
"""

import csv
import json
import lzma
import re
from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any

from moonlet.chat.messages import ToolSpec
from moonlet.simulate import seal
from moonlet.simulate import sgd as dialogues
from moonlet.simulate.declaring import spell, words_of
from moonlet.simulate.episode import Conversation, Episode
from moonlet.simulate.packed import lines
from moonlet.simulate.talk import NO_TOOL
from moonlet.tools.tool import parameters

Maker = Callable[[Random], Conversation]


def sgd(data: Path) -> Maker:
    """Dialogues of SGD's train split: the intents of the services as tools, calls where the dialogue has them."""
    return dialogues.maker(data, "train")


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
    found = json.loads("\n".join(lines(data / "clinc150" / "train.json.xz")))
    groups: dict[str, list[str]] = {}
    for text, name in found["train"]:
        groups.setdefault(name, []).append(text)
    beyond = [text for text, _ in found.get("oos_train", [])] + groups.pop("oos", [])
    return labelled(groups, {name: _sentence(name) for name in groups}, beyond)


def banking(data: Path) -> Maker:
    """BANKING77, train split."""
    groups: dict[str, list[str]] = {}
    for row in csv.DictReader(lines(data / "banking77" / "train.csv.xz")):
        groups.setdefault(row["category"].strip("?").lower(), []).append(row["text"])
    return labelled(groups, {name: _sentence(name) for name in groups})


def metatool(data: Path) -> Maker:
    """MetaTool: requests, each with the one of 199 described tools that fits."""
    described = json.loads((data / "metatool" / "plugin_des.json").read_text())
    groups: dict[str, list[str]] = {}
    for row in csv.DictReader(lines(data / "metatool" / "all_clean_data.csv.xz")):
        if row["Tool"] in described:
            groups.setdefault(row["Tool"], []).append(row["Query"])
    return labelled(groups, described)


def toolverifier(data: Path) -> Maker:
    """ToolVerifier: requests, each with the one of some described tools that fits."""
    folder = data / "toolverifier"
    described = {
        row["Name"]: row["Description"]
        for row in csv.DictReader(StringIO((folder / "tools.csv").read_text(encoding="utf-8")))
    }
    groups: dict[str, list[str]] = {}
    for row in csv.DictReader(StringIO("\n".join(lines(folder / "train.csv.xz")))):
        match = re.fullmatch(r"User: (.*?)\n###.*CALLTOOL\[\"(.*?)\"\]\s*", row["text"], re.DOTALL)
        if match and match[2] in described and "\n" not in match[1]:
            groups.setdefault(match[2], []).append(match[1])
    return labelled(groups, described)


def seal_requests(data: Path) -> Maker:
    """Requests of Seal-Tools' dev split for several tools, none of which judges anything."""
    requests = seal.teaching(data)
    specs = {
        name: spec
        for name, (_, spec) in seal.specs(data, frozenset(n for one in requests for n, _ in one.calls)).items()
    }

    def make(rng: Random) -> Conversation:
        chosen = rng.sample(requests, 2)
        names = {name: None for one in chosen for name, _ in one.calls}
        names |= dict.fromkeys(rng.sample(sorted(specs), 2))  # others beside them
        episode = Episode([specs[name] for name in rng.sample(list(names), len(names))])
        for one in chosen:
            episode.user(one.text)
            episode.call(one.calls, lambda _: '{"ok": true}')
            episode.answer("Done.")
        return episode.done()

    return make


def _sentence(name: str) -> str:
    said = " ".join(words_of(name))
    return said[0].upper() + said[1:]
