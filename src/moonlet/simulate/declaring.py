"""A blueprint declared in one conversation: names spelled in one style, descriptions and parameters varied a little."""

import re
from dataclasses import dataclass, field
from random import Random
from typing import Any

from moonlet.chat.messages import ToolSpec
from moonlet.simulate.blueprints import Blueprint, Parameter, Words
from moonlet.tools.tool import parameters

VERBS: dict[str, Words] = {
    "retrieve": ("get", "find", "fetch", "look up", "show", "show me", "give me", "pull up", "tell me", "retrieve",
    "i want to see", "search for"),
    "get": ("get", "find", "fetch", "look up", "show me", "give me", "tell me"),
    "find": ("find", "look for", "search for", "get me", "show me"),
    "search": ("search for", "find", "look for"),
    "calculate": ("calculate", "compute", "work out", "determine", "figure out", "estimate"),
    "create": ("create", "make", "set up", "start", "build", "add"),
    "check": ("check", "look at", "verify", "see", "find out"),
    "update": ("update", "change", "modify", "edit"),
    "analyze": ("analyze", "analyse", "examine", "evaluate", "look into"),
    "add": ("add", "put in", "insert", "include"),
    "generate": ("generate", "make", "create", "produce"),
    "delete": ("delete", "remove", "get rid of", "erase"),
    "remove": ("remove", "delete", "take away"),
    "send": ("send", "deliver", "transmit"),
    "schedule": ("schedule", "plan", "arrange", "book"),
    "book": ("book", "reserve"),
    "cancel": ("cancel", "call off"),
    "estimate": ("estimate", "predict", "guess"),
    "convert": ("convert", "change", "turn"),
    "start": ("start", "begin", "launch", "run"),
    "set": ("set", "change", "adjust"),
    "track": ("track", "follow", "monitor"),
    "submit": ("submit", "send in", "hand in"),
    "list": ("list", "show", "show me"),
}  # fmt: skip
STOP = {
    "a",
    "an",
    "the",
    "of",
    "for",
    "in",
    "on",
    "to",
    "and",
    "or",
    "with",
    "given",
    "specific",
    "based",
    "by",
    "from",
}
NEAR = re.compile(r"\s+(?:based on|(?:for|of|in) a (?:given|specific|particular)|using|"
                  r"with (?:the )?specified|according to|from a|within a)\b.*$")  # fmt: skip


@dataclass(slots=True)
class Made:
    """A blueprint as declared in one conversation."""

    blueprint: Blueprint
    spec: ToolSpec
    keys: dict[Words, str]
    enums: dict[Words, Words] = field(default_factory=dict)
    forms: dict[Words, str] = field(default_factory=dict)  # parameter -> "date" or "time" if it is normalised
    style: str = "snake"
    served: bool = False  # it is a server's: its results are marked


def make(blueprint: Blueprint, style: str, rng: Random) -> Made:
    """The blueprint declared: names spelled in this style, description and parameters varied a little."""
    name = blueprint.words
    if rng.random() < 0.25 and name[0] in VERBS:
        name = (*rng.choice(VERBS[name[0]]).split(), *name[1:])
        name = tuple(word for word in name if word not in ("i", "want", "me"))
    elif rng.random() < 0.08 and len(name) > 2 and name[0] in VERBS:
        name = name[1:]
    required: dict[str, Any] = {}
    optional: dict[str, Any] = {}
    one = Made(blueprint, ToolSpec("", "", {}), {}, style=style)
    key_style = "camel" if style in ("camel", "Pascal") and rng.random() < 0.7 else "snake"
    for parameter in rng.sample(blueprint.parameters, len(blueprint.parameters)):
        key = spell(parameter.words, key_style)
        one.keys[parameter.words] = key
        schema: dict[str, Any] = {"type": parameter.kind}
        if parameter.kind == "array":
            schema["items"] = {"type": parameter.items}
        description = parameter.description if rng.random() < 0.85 or in_a_form(parameter) or _form(parameter) else ""
        if parameter.closed or (parameter.kind == "string" and len(parameter.examples) > 1 and rng.random() < 0.4):
            one.enums[parameter.words] = parameter.examples
            schema["enum"] = list(parameter.examples)
            description = description.split(" (e.g")[0]
        elif form := _form(parameter):
            one.forms[parameter.words] = form
        elif parameter.kind == "string" and parameter.words[-1] in ("date", "time", "day") and rng.random() < 0.4:
            form = "time" if parameter.words[-1] == "time" else "date"
            one.forms[parameter.words] = form
            description = f"{description.split(' (e.g')[0]} ({'YYYY-MM-DD' if form == 'date' else 'HH:MM'})".strip()
        elif rng.random() < 0.5:
            description = description.split(" (e.g")[0]
        if description:
            schema["description"] = description
        (required if parameter.required else optional)[key] = schema
    one.keys = {words: key for key in (*required, *optional) for words, other in one.keys.items() if other == key}
    description = blueprint.description
    if rng.random() < 0.2:
        description = NEAR.sub("", description)
    one.spec = ToolSpec(spell(name, style), description, parameters(required, optional))
    return one


def _form(parameter: Parameter) -> str:
    """ "date" or "time" if its description asks for YYYY-MM-DD or HH:MM, or gives an example of one; else empty."""
    if parameter.kind != "string" or parameter.words[-1] not in ("date", "time", "day"):
        return ""
    if re.search(r"(?i)yyyy-mm-dd|\b\d{4}-\d\d-\d\d\b(?!T)", parameter.description):
        return "date"
    return "time" if re.search(r"HH:MM\b(?!:)|\b\d\d:\d\d\b(?!:| ?[AaPp])", parameter.description) else ""


def in_a_form(parameter: Parameter) -> bool:
    """Whether the description says in which form a value has to be."""
    return re.search(r"YYYY|HH:MM|\bISO\b|\bcode\b", parameter.description) is not None


def words_of(name: str) -> tuple[str, ...]:
    """The words of a camelCase, snake_case or spaced name, in lower case."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[_\-\s]+", " ", name)
    return tuple(spaced.lower().split())


def spell(words: Words, style: str) -> str:
    """The words as one name."""
    if style == "snake":
        return "_".join(words)
    if style == "kebab":
        return "-".join(words)
    joined = "".join(word.capitalize() for word in words)
    return joined if style == "Pascal" else joined[0].lower() + joined[1:]


def content(blueprint: Blueprint) -> Words:
    """The words of a tool's name that carry its meaning."""
    return tuple(word for word in blueprint.words[1:] if word not in STOP)
