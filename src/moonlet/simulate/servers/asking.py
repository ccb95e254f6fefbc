"""What users ask of a made-up server's tools, and the arguments that they mean: values as they were typed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from moonlet.simulate.servers import values
from moonlet.simulate.servers.declared import KEYS, Offered, Server, Taken, compiled, roles, worded
from moonlet.simulate.servers.prose import SLOTS
from moonlet.simulate.wording import Pattern, opened, politely, slot_names, typed

Drawn = tuple[str, Any]  # the words for a value, the argument

# Roles that are asked for in the same words where only a value tells what is meant.
ONE_OF = (
    ("get", "read", "several", "diff", "list_in", "visit"),
    ("delete",),
    ("rename",),
    ("move",),
    ("update", "put", "tag", "notes"),
    ("search",),
    ("field",),
    ("link",),
    ("history",),
    ("zone", "pair"),
    ("route",),
)
# How a value is joined to a request made of a tool's own words; the last slot of a tool alone.
JOINS: Mapping[str, tuple[str, ...]] = {
    "key": ("{v}", "for {v}", "of {v}", "on {v}"),
    "path": ("{v}", "of {v}", "for {v}", "in {v}"),
    "folder": ("{v}", "in {v}", "of {v}", "for {v}"),
    "query": ("{v}", "for {v}", "about {v}"),
    "name": ("{v}", "called {v}", "named {v}"),
    "url": ("{v}", "of {v}", "at {v}"),
    "zone": ("in {v}", "for {v}", "{v}"),
    "text": ("{v}", ": {v}"),
    "format": ("as {v}", "in {v}"),
    "keys": ("{v}", "for {v}", "of {v}"),
}
LACKED = frozenset(("key", "path", "folder", "query", "name", "url", "zone", "text"))
QUOTES = ('"{}"', '"{}"', '"{}"', "'{}'", "`{}`", "“{}”")
PER_USE = 0.35  # of a parameter that can be left out
FIELD_SAID = ("{p} {v}", "with {p} {v}", "{p}: {v}", "the {p} is {v}", "{p} = {v}")


def asked(
    one: Offered, server: Server, known: Sequence[str], rng: Random, without: str = ""
) -> tuple[str, dict[str, Any]]:
    """A request and its arguments, in the order of the declaration. `known`: what earlier results spoke of; `without`:
    the slot of a needed value that the words leave out."""
    takes = roles()[one.role].takes
    needed = [taken for taken in one.takes if taken.required and taken.slot in takes]
    drawn = {taken.slot: value(taken, one, known, rng) for taken in needed}
    arguments = {taken.key: drawn[taken.slot][1] for taken in needed}
    said = [taken.slot for taken in needed if taken.slot != without]
    skeleton = _of_words(one, said, rng) if without else _skeleton(one, server, said, rng)
    free = slot_names(skeleton)[-1:] if skeleton.endswith("}") else []  # nothing comes behind it
    ends: list[str] = []
    for taken in one.takes:
        if taken not in needed and (taken.required or rng.random() < PER_USE):
            mention, drawn[f"more{len(ends)}"] = _mention(taken, one, rng)
            arguments[taken.key] = drawn[f"more{len(ends)}"][1]
            ends.append(mention.replace("{v}", f"{{more{len(ends)}}}"))
    if ends:
        skeleton += rng.choice((" ", ", ")) + rng.choice((", ", " and ")).join(ends)
        free = []
    text, _ = typed(skeleton, rng)
    for slot, one_drawn in drawn.items():
        text = text.replace(f"{{{slot}}}", _quoted(slot, one_drawn, [slot] != free, rng))
    order = one.spec.parameters["properties"]
    return text, {key: arguments[key] for key in order if key in arguments}


def can_lack(one: Offered) -> list[Taken]:
    """What a request can leave out so that it has to be asked for: a needed value of one word or sentence."""
    takes = roles()[one.role].takes
    return [taken for taken in one.takes if taken.required and taken.slot in takes and taken.slot in LACKED]


def _skeleton(one: Offered, server: Server, slots: Sequence[str], rng: Random) -> str:
    """A wording with its values still in braces."""
    if rng.random() < 0.25 and all(slot in JOINS for slot in slots) and len(slots) < 2:
        return _of_words(one, slots, rng)
    alone = _alone(one, server)
    for _ in range(8):
        pattern = rng.choice(roles()[one.role].asks)
        raw = pattern.expand(rng)
        found = slot_names(raw)
        if set(slots) <= set(found) and (alone or {"t", "ts", "w"} & set(found)):
            return _dressed(Pattern(worded(raw, one.words), pattern.command), rng)
    return _of_words(one, slots, rng)


def _alone(one: Offered, server: Server) -> bool:
    """Whether a value alone tells which of the server's tools is meant."""
    group = next((line for line in ONE_OF if one.role in line), (one.role,))
    return sum(other.role in group for other in server.tools) == 1


def _of_words(one: Offered, slots: Sequence[str], rng: Random) -> str:
    """A request in the tool's own words: its name's, or its description's."""
    local = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[_-]", " ", one.spec.name.split("__")[-1]).lower()
    text = local if rng.random() < 0.5 else one.about
    for slot in slots:
        join = rng.choice(JOINS.get(slot, ("{v}",))).replace("{v}", f"{{{slot}}}")
        text += join if join.startswith(":") else f" {join}"
    return _dressed(Pattern(text, True), rng)


def _dressed(pattern: Pattern, rng: Random) -> str:
    """Perhaps politely, perhaps with a word in front."""
    skeleton = pattern.expand(rng)
    if pattern.command:
        skeleton = politely(skeleton, rng)
    return opened(skeleton, rng, free_end=True)


def _quoted(slot: str, drawn: Drawn, inside: bool, rng: Random) -> str:
    """Free text in quotes wherever it would run into what follows; other text now and then."""
    said, found = drawn
    if not isinstance(found, str) or said != found:
        return said
    share = 1.0 if slot == "text" and inside else 0.4 if slot == "text" else 0.25 if slot in ("new", "name") else 0.07
    return rng.choice([mark for mark in QUOTES if mark[0] not in said]).format(said) if rng.random() < share else said


def _mention(taken: Taken, one: Offered, rng: Random) -> tuple[str, Drawn]:
    """How a parameter that could be left out is mentioned, with a slot for its value, and the value."""
    drawn = value(taken, one, (), rng)
    if taken.slot == "value":
        return rng.choice(FIELD_SAID).replace("{p}", taken.fields[0]), drawn
    return compiled(rng.choice(SLOTS[taken.slot].says)).expand(rng), drawn


def value(taken: Taken, one: Offered, known: Sequence[str], rng: Random) -> Drawn:
    """Words and argument for a parameter."""
    match taken.slot:
        case "key" | "one" | "other":
            return _key(one.keyed if taken.slot == "key" else "name", known, rng)
        case "keys":
            pairs = [_key(one.keyed, (), rng) for _ in range(rng.choice((1, 2, 2, 3)))]
            return _listed([said for said, _ in pairs], rng), [found for _, found in pairs]
        case "value":
            return _field(taken.fields[0], rng)
        case "field":
            return one.words["f"], one.words["f"]
        case "items":
            return _items(taken, one, rng)
        case "texts":
            texts = [values.said(rng) for _ in range(rng.choice((1, 1, 2)))]
            mark = rng.choice(QUOTES[:3]) if len(texts) > 1 or rng.random() < 0.5 else "{}"
            return _listed([mark.format(text) for text in texts], rng), texts
        case "tags":
            tags = list(dict.fromkeys(values.word(rng) for _ in range(rng.choice((1, 2, 2, 3)))))
            return _listed(tags, rng), tags
        case "a" | "b":
            number = rng.choice((rng.randrange(2, 30), rng.randrange(2, 500), round(rng.uniform(1, 90), 1)))
            return str(number), number
        case "limit" | "head" | "lines":
            number = rng.choice((rng.randrange(1, 10), rng.randrange(2, 60)))
            return str(number), number
        case "deep" | "full" | "force" | "loud":
            return "", True
    if taken.choices:
        found = rng.choice(taken.choices)
        return found, found
    return (found := values.BY_SLOT[taken.slot](rng)), found


def _key(keyed: str, known: Sequence[str], rng: Random) -> Drawn:
    """What a thing is known by."""
    if keyed == "number":
        number = rng.choice((rng.randrange(1, 100), rng.randrange(1, 5000)))
        return f"{rng.choice(('', '', '#', 'number '))}{number}", number
    found = rng.choice(known) if known and rng.random() < 0.4 else KEYS[keyed](rng)
    return found, found


def _field(field: str, rng: Random) -> Drawn:
    found = values.field_value(field, rng)
    return str(found), found


def _items(taken: Taken, one: Offered, rng: Random) -> Drawn:
    """Things with their fields, in one form of words."""
    keys = list(one.spec.parameters["properties"][taken.key]["items"]["properties"])
    form = rng.choice(("{n} ({f})", "{n} with {f}", "{n}, {f}", "{n}: {f}"))
    between, gap = rng.choice((", ", " and ")), rng.choice((" ", " ", ": ", " = "))
    said, found = [], []
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3))):
        entry: dict[str, Any] = {"name": values.entity(rng)}
        told = []
        for field, key in zip(taken.fields, keys[1:]):
            surface, entry[key] = _field(field, rng)
            told.append(f"{field}{gap}{surface}")
        found.append(entry)
        said.append(form.replace("{n}", entry["name"]).replace("{f}", between.join(told)))
    return rng.choice(("; ", " and ", "; and ")).join(said), found


def _listed(texts: Sequence[str], rng: Random) -> str:
    if len(texts) < 2:
        return "".join(texts)
    return f"{', '.join(texts[:-1])}{rng.choice((' and ', ', ', ' and '))}{texts[-1]}"
