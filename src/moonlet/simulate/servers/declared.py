"""One made-up server's tools as it declares them: names in one spelling, descriptions of one hand, schemas of one
library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Any

from moonlet.chat.messages import ToolSpec
from moonlet.simulate.declaring import spell
from moonlet.simulate.servers import values
from moonlet.simulate.servers.prose import MORE, READS, ROLE_WORDS, SLOTS, WRITES
from moonlet.simulate.servers.subjects import Subject, Thing, plural, subject
from moonlet.simulate.wording import Pattern, compile_pattern, read

# A server has at most one of each line for one thing: they are asked for in the same words.
ALIKE = (("get", "read", "several"), ("update", "put", "tag"), ("create", "items"), ("list", "list_in"))
KEYS = {"id": values.mark, "name": values.entity, "path": values.path, "slug": values.slug}
# Roles that are not about one kind of thing.
WHOLE = frozenset(("overview", "do", "say", "visit", "zone", "pair", "route", "numbers", "state",
                   "journal"))  # fmt: skip
EXAMPLES = (" (e.g., '{}')", ", such as {}", ' (e.g. "{}")', ". Example: {}", ". Use '{}' if the user names none",
            " (default: {})", ", for example '{}' or '{}'", " (e.g., '{}', '{}')", ", like {}")  # fmt: skip
BY_PATH = frozenset(("read", "diff", "move", "list_in"))  # roles of things that lie in files


@dataclass(frozen=True, slots=True)
class Style:
    """How one author writes declarations."""

    spelling: str
    keys: str  # snake or camel: of parameters, and of results
    third: bool  # "Lists recipes", not "List recipes"
    sentences: int  # of a description
    docstring: bool  # parameters are described there
    library: str  # whose schemas these are: pydantic, zod, or written by hand
    prefix: str  # of every name


@dataclass(frozen=True, slots=True)
class Taken:
    """A parameter of a tool."""

    slot: str
    key: str  # its name as declared
    words: str
    required: bool
    choices: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()  # of the thing: those that it holds


@dataclass(frozen=True, slots=True)
class Offered:
    """A tool, and what it is about."""

    spec: ToolSpec
    role: str
    thing: Thing
    words: Mapping[str, str]  # of the slots t, ts, w, f, k, v, how
    takes: tuple[Taken, ...]
    about: str  # the first sentence of its description, as a command
    keyed: str


@dataclass(frozen=True, slots=True)
class Role:
    name: str
    takes: tuple[str, ...]
    may: tuple[str, ...]
    names: tuple[Pattern, ...]
    about: tuple[Pattern, ...]
    asks: tuple[Pattern, ...]


@dataclass(frozen=True, slots=True)
class Server:
    name: str
    subject: Subject
    style: Style
    tools: tuple[Offered, ...]


@lru_cache(maxsize=1)
def roles() -> Mapping[str, Role]:
    """Those of en_servers."""
    parts: dict[str, dict[str, Any]] = {}
    for header, patterns in read("en_servers"):
        own = parts.setdefault(header["role"], {})
        own[header["part"]] = patterns
        if "takes" in header:
            own |= {"takes": tuple(header["takes"]), "may": tuple(header["may"])}
    return {name: Role(name, **own) for name, own in parts.items()}


@lru_cache(maxsize=4096)
def compiled(text: str) -> Pattern:
    return Pattern(compile_pattern(text))


def worded(text: str, words: Mapping[str, str]) -> str:
    """The text with its slots of words replaced."""
    for name, word in words.items():
        text = text.replace(f"{{{name}}}", word)
    return text


def style(about: Subject, rng: Random) -> Style:
    spelling = rng.choice(("snake", "snake", "snake", "snake", "camel", "camel", "kebab", "kebab", "kebab", "Pascal"))
    keys = "camel" if spelling in ("camel", "Pascal") or (spelling == "kebab" and rng.random() < 0.6) else "snake"
    return Style(
        spelling,
        keys,
        rng.random() < 0.35,
        rng.choice((1, 1, 1, 1, 2, 2, 3, 4)),
        rng.random() < 0.2,
        rng.choice(("pydantic", "pydantic", "zod", "zod", "hand")),
        about.whole.split()[0] if rng.random() < 0.25 else "",
    )


def server(rng: Random, count: int) -> Server:
    """A server with so many tools, or a few less where its subject gives no more."""
    about = subject(rng)
    manner = style(about, rng)
    keyed = {
        thing: rng.choice(("id", "id", "name", "name", "name", "path", "slug", "number")) for thing in about.things
    }
    tools: dict[str, Offered] = {}
    taken: set[tuple[str, str]] = set()
    for _ in range(4 * count):
        thing, role = rng.choice(about.things), rng.choice(tuple(roles().values()))
        own = "" if role.name in WHOLE else thing.one
        group = next((line for line in ALIKE if role.name in line), (role.name,))
        if any((one, own) in taken for one in group) or (role.name in BY_PATH and keyed[thing] in ("number", "slug")):
            continue
        one = offered(role, thing, about, "path" if role.name in BY_PATH else keyed[thing], manner, rng)
        if one.spec.name not in tools:
            taken.add((role.name, own))
            tools[one.spec.name] = one
        if len(tools) == count:
            break
    whole_words = about.whole.split()
    name = rng.choice(("-".join(whole_words), "_".join(whole_words), "".join(whole_words), whole_words[0],
                       plural(whole_words[0]), f"mcp-{whole_words[0]}", f"{whole_words[0]}-server"))  # fmt: skip
    return Server(name[:22].strip("-_"), about, manner, tuple(tools.values()))


def offered(role: Role, thing: Thing, about: Subject, keyed: str, manner: Style, rng: Random) -> Offered:
    """The role's tool for this thing."""
    short = keyed if rng.random() < 0.4 else f"{thing.one} {keyed}"
    words = {"t": thing.one, "ts": thing.many, "w": about.whole, "f": rng.choice(thing.fields), "k": short}
    words |= {name: rng.choice(choices) for name, choices in ROLE_WORDS.get(role.name, {}).items()}
    name = worded(rng.choice(role.names).expand(rng), words)
    if manner.prefix and manner.prefix not in name:
        name = f"{manner.prefix} {name}"
    takes: list[Taken] = []
    for slot in role.takes:
        one = _taken(slot, role.name, words, thing, manner, rng)
        while any(one.key == other.key for other in takes):
            one = _taken(slot, role.name, words, thing, manner, rng)
        takes.append(one)
    for slot in role.may:
        if rng.random() < 0.35:
            takes += _extra(slot, words, thing, manner, rng)
    takes = list({one.key: one for one in reversed(takes)}.values())[::-1]  # what is needed stays
    first = worded(rng.choice(role.about).expand(rng), words)
    described = [(one, worded(_describe(one, keyed, rng), words)) for one in takes]
    description = _description(first, role, words, described, manner, rng)
    schema = _schema(name, described, manner, keyed, rng)
    return Offered(ToolSpec(spell(tuple(name.split()), manner.spelling), description, schema), role.name, thing, words,
                   tuple(takes), first, keyed)  # fmt: skip


def _taken(slot: str, role: str, words: Mapping[str, str], thing: Thing, manner: Style, rng: Random) -> Taken:
    """A parameter; one that can be left out if no `role` needs it."""
    fields: tuple[str, ...] = ()
    if slot == "value":
        name = words["f"] if role != "put" and rng.random() < 0.7 else "value"
        fields = (words["f"],)
    elif slot == "key":
        name = words["k"]
    elif slot == "keys":
        name = plural(words["k"])
    elif slot == "items":
        name = thing.many if rng.random() < 0.6 else "items"
        fields = tuple(rng.sample(thing.fields, min(len(thing.fields), rng.choice((1, 1, 2)))))
    else:
        name = worded(rng.choice(SLOTS[slot].names), words)
    choices = SLOTS[slot].choices if slot in SLOTS else ()
    if choices:
        choices = tuple(rng.sample(choices, min(len(choices), rng.choice((2, 3, 3, 4, 5)))))
    return Taken(slot, spell(tuple(name.split()), manner.keys), name, bool(role), choices, fields)


def _extra(slot: str, words: Mapping[str, str], thing: Thing, manner: Style, rng: Random) -> list[Taken]:
    """A parameter that can be left out; `fields` are several."""
    if slot != "fields":
        return [_taken(slot, "", words, thing, manner, rng)]
    chosen = rng.sample(thing.fields, rng.randrange(1, len(thing.fields) + 1))
    return [
        Taken("value", spell(tuple(one.split()), manner.keys), one, rng.random() < 0.15, fields=(one,))
        for one in chosen
    ]


def _describe(one: Taken, keyed: str, rng: Random) -> str:
    """What is said of a parameter, perhaps with an example, which is no value of anybody's request."""
    if one.slot == "value" or (one.slot == "items" and rng.random() < 0.3):
        text = rng.choice(("the {v} of the {t}", "{v}", "new {v}", "its {v}", "the {v} to set")).replace(
            "{v}", one.words
        )
    else:
        text = compiled(rng.choice(SLOTS[one.slot].about)).expand(rng)
    draw = values.BY_SLOT.get(one.slot) or (KEYS.get(keyed) if one.slot in ("key", "keys") else None)
    if draw and rng.random() < 0.3:
        text += rng.choice(EXAMPLES).format(draw(rng), draw(rng))
    return text[:1].upper() + text[1:]


def _description(
    first: str, role: Role, words: Mapping[str, str], described: Sequence[tuple[Taken, str]], manner: Style, rng: Random
) -> str:
    """Sentences: what it does, then how it is used and what comes back."""
    verb, _, rest = first.partition(" ")
    told = f"{_third(verb) if manner.third else verb} {rest}"
    sentences = [f"{told[0].upper()}{told[1:]}"]
    pool = (*MORE, *(WRITES if role.name in CHANGES else READS))
    for text in rng.sample(pool, manner.sentences - 1):
        sentences.append(worded(compiled(text).expand(rng), words))
    text = ". ".join(sentences) + ("." if len(sentences) > 1 or rng.random() < 0.5 else "")
    if manner.docstring and described:
        listed = "\n".join(f"    {one.key}: {about}" for one, about in described)
        text = f"{text}\n\nArgs:\n{listed}"
    return text


CHANGES = frozenset(
    ("create", "update", "put", "delete", "rename", "move", "items", "notes", "tag", "link", "say", "do")
)


def _third(verb: str) -> str:
    if verb.endswith(("s", "sh", "ch", "x")):
        return f"{verb}es"
    return f"{verb[:-1]}ies" if verb.endswith("y") and verb[-2] not in "aeiou" else f"{verb}s"


def _schema(
    name: str, described: Sequence[tuple[Taken, str]], manner: Style, keyed: str, rng: Random
) -> dict[str, Any]:
    """The schema as its library writes it. What may be left out comes last."""
    properties: dict[str, Any] = {}
    for one, about in sorted(described, key=lambda pair: not pair[0].required):
        own = _type(one, manner, keyed, rng)
        if manner.library == "pydantic":
            if not one.required and "enum" not in own and own["type"] != "boolean" and rng.random() < 0.4:
                own = {"anyOf": [own, {"type": "null"}], "default": None}
            own["title"] = " ".join(word.capitalize() for word in one.words.split())
        if about and not manner.docstring and rng.random() < 0.75:
            own["description"] = about
        properties[one.key] = own
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    schema["required"] = [one.key for one, _ in described if one.required]
    if manner.library == "pydantic":
        schema["title"] = f"{spell(tuple(name.split()), 'camel')}Arguments"
    elif manner.library == "zod":
        schema |= {"additionalProperties": False, "$schema": "http://json-schema.org/draft-07/schema#"}
    return schema


def _type(one: Taken, manner: Style, keyed: str, rng: Random) -> dict[str, Any]:
    if one.choices:
        found: dict[str, Any] = {"type": "string", "enum": list(one.choices)}
        return found if one.required or rng.random() < 0.5 else {**found, "default": one.choices[0]}
    if one.slot == "items":
        inner = {"name": {"type": "string", "description": "Its name"}}
        inner |= {
            spell(tuple(field.split()), manner.keys): {"type": values.field_kind(field), "description": f"Its {field}"}
            for field in one.fields
        }
        return {"type": "array", "items": {"type": "object", "properties": inner, "required": list(inner)}}
    if one.slot == "value":
        return {"type": values.field_kind(one.fields[0])}
    if one.slot == "key":
        return {"type": "integer" if keyed == "number" else "string"}
    if one.slot == "keys":
        return {"type": "array", "items": {"type": "integer" if keyed == "number" else "string"}}
    kind = SLOTS[one.slot].kind
    if kind == "array":
        return {"type": "array", "items": {"type": "string"}}
    found = {"type": kind}
    if kind == "integer" and rng.random() < 0.6:
        found |= {"default": rng.choice((10, 20, 50, 100)), "minimum": 1}
    if kind == "boolean":
        found["default"] = False
    return found
