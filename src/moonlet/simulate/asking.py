"""Requests for declared blueprints, in generated words, with the arguments that they mean.

Text arguments are copied as typed; dates and times are normalised only where the parameter's description names a form.
"""

import re
from collections.abc import Sequence
from random import Random
from string import ascii_letters, digits
from typing import Any

from moonlet.simulate import slots
from moonlet.simulate.blueprints import Blueprint, Parameter
from moonlet.simulate.declaring import NEAR, STOP, VERBS, Made
from moonlet.simulate.words import ADJECTIVES, ANY_FIRST, LAST_NAMES, MONTHS, NOUNS, PLACES

OPENINGS = (
    "{}", "{}", "{}", "{}", "{}", "please {}", "can you {}", "could you {}", "i want to {}", "i need to {}",
    "i'd like to {}",
    "can you please {}", "i would like to {}", "help me {}", "hey, {}", "hi, could you {}", "{} please",
    "would you {}", "let's {}",
    "i have to {}", "how do i {}", "is it possible to {}", "we need to {}", "my task is to {}", "{}, thanks",
)  # fmt: skip
LINKS = (
    "with {p} {v}", "with {p} {v}", "with the {p} {v}", "where the {p} is {v}", "with {p} set to {v}",
    "the {p} is {v}", "{p}: {v}", "{p} {v}",
    "the {p} should be {v}", "using {v} as the {p}", "{p} = {v}", "use {v} for the {p}", "its {p} is {v}",
    "having {p} {v}", "with a {p} of {v}", "for the {p} {v}", "for the {p} {v}", "of the {p} {v}", "for {p} {v}",
    "identified by the {p} {v}",
)  # fmt: skip
NAMED = ("called {v}", "named {v}", "titled {v}", "with the name {v}")
# Two parameters that are told as one span if nothing but one word of their names differs.
ENDS = {
    ("start", "end"),
    ("begin", "end"),
    ("from", "to"),
    ("first", "last"),
    ("min", "max"),
    ("minimum", "maximum"),
    ("lower", "upper"),
    ("in", "out"),
    ("departure", "return"),
    ("departure", "arrival"),
    ("origin", "destination"),
    ("source", "target"),
    ("source", "destination"),
    ("old", "new"),
}
QUOTES = ("", "", "", '"', "'")
SPANS = (
    "from {a} to {b}",
    "from {a} to {b}",
    "from {a} to {b}",
    "between {a} and {b}",
    "between {a} and {b}",
    "from {a} until {b}",
    "{a} to {b}",
    "starting at {a} and ending at {b}",
)
BARE = {
    "place": ("in {v}", "in {v}", "for {v}", "at {v}", "around {v}", "near {v}"),
    "date": ("on {v}", "for {v}", "on {v}"), "time": ("at {v}",),
    "person": ("for {v}", "of {v}", "by {v}"), "id": ("{v}", "{v}", "number {v}"),
    "other": ("for {v}", "of {v}", "about {v}", "on {v}", "{v}"),
}  # fmt: skip
TEMPLATES = (  # for requests that put the thing first
    "what is the {n}", "what's the {n}", "{n}", "the {n}", "i need the {n}", "i'm looking for the {n}",
    "do you have the {n}", "{n} please", "give me the {n}", "tell me the {n}", "provide me with the {n}",
    "find out the {n}", "provide information on the {n}", "i would like to know the {n}", "obtain the {n}",
)  # fmt: skip


Drawn = tuple[Parameter, str, Any]  # a parameter, the words for its value, the argument


def asked(
    one: Made, rng: Random, without: Parameter | None = None, short: bool = False, lower: bool | None = None
) -> tuple[str, dict[str, Any]]:
    """A request for this tool and its arguments, in the order of the declaration; in `lower` case as it comes."""
    lower = rng.random() < 0.35 if lower is None else lower
    drawn: list[Drawn] = []
    arguments: dict[str, Any] = {}
    for parameter in rng.sample(one.blueprint.parameters, len(one.blueprint.parameters)):
        if parameter is without or (not parameter.required and rng.random() < 0.5):
            continue
        surface, value = value_of(parameter, one, rng)
        drawn.append((parameter, surface, value))
        arguments[one.keys[parameter.words]] = _lowered(value, parameter, one) if lower else value
    inlined = _inlined(one.blueprint, drawn, rng) if rng.random() < 0.4 else None
    if inlined:
        text, inside = inlined
        drawn = [other for other in drawn if other is not inside]
    else:
        text = _want(one.blueprint, rng)
    mark = rng.choice(QUOTES)
    drawn = [_quoted(each, mark, rng) for each in drawn] if mark else drawn
    phrases = [_phrase(*each, one, rng) for each in drawn]
    span = _span(drawn) if rng.random() < 0.75 else None
    if span:
        i, j = span
        phrases[i] = rng.choice(SPANS).format(a=drawn[i][1], b=drawn[j][1])
        del phrases[j]
    sentence = _sentence(text, phrases, short, rng)
    if lower:
        sentence = sentence.lower()
    elif sentence.startswith(text):
        sentence = sentence[0].upper() + sentence[1:] + rng.choice((".", ".", "", ""))
    return sentence, {key: arguments[key] for key in one.keys.values() if key in arguments}


def _quoted(drawn: Drawn, mark: str, rng: Random) -> Drawn:
    """What is drawn, its words in quotes if they are a text."""
    parameter, surface, value = drawn
    return (parameter, f"{mark}{surface}{mark}", value) if surface == value and rng.random() < 0.8 else drawn


def _span(drawn: Sequence[Drawn]) -> tuple[int, int] | None:
    """Places of two parameters that are the ends of one span."""
    for i, (one, *_) in enumerate(drawn):
        for j, (other, *_) in enumerate(drawn):
            if len(one.words) == len(other.words) and one.kind == other.kind:
                apart = [pair for pair in zip(one.words, other.words, strict=True) if pair[0] != pair[1]]
                if len(apart) == 1 and apart[0] in ENDS:
                    return i, j
    return None


def _lowered(value: Any, parameter: Parameter, one: Made) -> Any:
    """The argument for words typed in lower case; closed and normalised values keep their form."""
    if parameter.words in one.enums or parameter.words in one.forms:
        return value
    if isinstance(value, list):
        return [item.lower() if isinstance(item, str) else item for item in value]
    return value.lower() if isinstance(value, str) else value


def _sentence(text: str, phrases: list[str], short: bool, rng: Random) -> str:
    joined = rng.choice((", ", " and ", ", ", ", ")).join(phrases)
    if not phrases:
        return text
    if rng.random() < 0.08 and not short:
        return f"{joined}: {text}"
    if phrases[0].startswith(("the ", "its ", "use ")) or rng.random() < 0.1:
        return f"{text}{rng.choice(('. ', ', ', '; '))}{joined}"
    return f"{text} {joined}"


def _inlined(blueprint: Blueprint, drawn: list[Drawn], rng: Random) -> tuple[str, Drawn] | None:
    """The description with a value where it names its parameter: "... for a given city" becomes "... for Oslo"."""
    text = blueprint.description.strip().rstrip(".")
    for each in drawn:
        parameter, surface, value = each
        if isinstance(value, bool | list):
            continue
        name = " ".join(parameter.words)
        named = "|".join(re.escape(word) for word in {name, parameter.words[-1], parameter.words[0]} if len(word) > 2)
        place = rf"\b(?:an?|the)(?: given| specific| particular| certain| specified)? (?:{named})\b"
        if named and re.search(place, text):
            put = rng.choice(("{v}", "{v}", "{p} {v}", "the {p} {v}")).format(v=surface, p=name)
            whole = re.sub(place, lambda _, put=put: put, text, count=1)  # type: ignore[misc]
            words = (whole[0].lower() + whole[1:]).split()
            return _dressed(words, rng), each
    return None


def _want(blueprint: Blueprint, rng: Random) -> str:
    """What is wanted, without the arguments: from the description or from the name."""
    if rng.random() < 0.55:
        text = blueprint.description.strip().rstrip(".")
        text = text[:1].lower() + text[1:]
        if rng.random() < 0.75:
            text = NEAR.sub("", text)
        words = text.split()
    else:
        words = list(blueprint.words)
        if rng.random() < 0.4 and len(words) > 1:
            words.insert(1, rng.choice(("the", "a", "my", "some", "the")))
    if rng.random() < 0.3:
        words = [word for i, word in enumerate(words) if i == 0 or word not in STOP or rng.random() < 0.6]
    if rng.random() < 0.12 and len(words) > 4:
        del words[rng.randrange(1, len(words))]
    return _dressed(words, rng)


def _dressed(words: list[str], rng: Random) -> str:
    """A command as somebody would put it: another verb, an opening, or the thing alone."""
    verb = words[0]
    if verb in ("retrieve", "get", "check", "find", "calculate") and rng.random() < 0.25 and len(words) > 1:
        rest = " ".join(words[1:])
        return rng.choice(TEMPLATES).format(n=re.sub(r"^(?:the|a|an|some|my) ", "", rest))
    if verb in VERBS and rng.random() < 0.65:
        words = [*rng.choice(VERBS[verb]).split(), *words[1:]]
    text = " ".join(words)
    if text.startswith("i want"):
        return text
    asks_for_me = words[1:2] == ["me"]  # "give me" goes with "could you", not with "i want to"
    return rng.choice(OPENINGS[:7] if asks_for_me else OPENINGS).format(text)


def _phrase(parameter: Parameter, surface: str, value: Any, one: Made, rng: Random) -> str:
    """The value with its parameter's name, or without if no other parameter could be meant."""
    if isinstance(value, bool):
        return surface
    kind = _sort(parameter)
    text = parameter.kind == "string"
    # "for X" could be a person or a thing: only one such parameter may go without its name.
    vague = ("person", "other")
    alike = [
        other
        for other in one.blueprint.parameters
        if other.kind == "string" and (_sort(other) == kind or {_sort(other), kind} <= set(vague))
    ]
    if text and len(alike) == 1 and rng.random() < (0.3 if kind == "other" else 0.6):
        return rng.choice(BARE[kind]).format(v=surface)
    words = parameter.words
    if text and words[-1] in ("name", "title") and rng.random() < 0.25:
        return rng.choice(NAMED).format(v=surface)
    last = [other.words[-1] for other in one.blueprint.parameters]
    if len(words) > 1 and len(words[-1]) > 2 and last.count(words[-1]) == 1 and rng.random() < 0.2:
        words = words[-1:]
    return rng.choice(LINKS).format(p=" ".join(words), v=surface)


PLACES_OF = set(
    ["location", "city", "country", "region", "place", "destination", "origin", "address", "area", "state", "venue"]
)
PERSONS = set(["name", "author", "artist", "person", "player", "director", "recipient", "actor"])


def _sort(parameter: Parameter) -> str:
    """What kind of thing a text parameter holds, by its name."""
    last = parameter.words[-1]
    if last in PLACES_OF:
        return "place"
    if last in ("date", "day", "deadline", "birthday"):
        return "date"
    if last in ("id", "number", "code", "isbn", "key", "ids"):
        return "id"
    if last in PERSONS:
        return "person"
    return "time" if last == "time" else "other"


def value_of(parameter: Parameter, one: Made, rng: Random) -> tuple[str, Any]:
    """(words, argument) for a parameter."""
    if parameter.words in one.enums:
        found = rng.choice(one.enums[parameter.words])
        return found, found
    form = one.forms.get(parameter.words)
    if form:
        return _dated(rng) if form == "date" else _timed(rng)
    name = " ".join(parameter.words)
    match parameter.kind:
        case "boolean":
            value = rng.random() < 0.6
            yes = (f"with {name}", f"{name} on", f"{name}: yes", f"{name} true", f"and {name} should be enabled")
            no = (f"without {name}", f"{name} off", f"{name}: no", f"{name} false", f"no {name}")
            return rng.choice(yes if value else no), value
        case "integer":
            return _integer(parameter, rng)
        case "number":
            return slots.amount(rng)
        case "array":
            return _list(parameter, rng)
    return slots.same(
        rng.choice(parameter.examples) if parameter.examples and rng.random() < 0.6 else text_value(parameter, rng)
    )


def _list(parameter: Parameter, rng: Random) -> tuple[str, list[Any]]:
    if parameter.items == "string":
        texts = list(dict.fromkeys(text_value(parameter, rng) for _ in range(rng.randrange(1, 4))))
        pairs: list[tuple[str, Any]] = [(text, text) for text in texts]
    else:
        pairs = [
            slots.amount(rng) if parameter.items == "number" else _integer(parameter, rng)
            for _ in range(rng.randrange(2, 7))
        ]
    said, values = [said for said, _ in pairs], [value for _, value in pairs]
    return (" and ".join([", ".join(said[:-1]), said[-1]]) if len(said) > 1 else said[0]), values


def _integer(parameter: Parameter, rng: Random) -> tuple[str, int]:
    last = parameter.words[-1]
    if last == "year":
        year = rng.randrange(1900, 2031)
        return str(year), year
    value = rng.randrange(1, 100) if last in ("age", "level", "priority", "rating") else rng.choice(
        (rng.randrange(1, 11), rng.randrange(1, 100), rng.randrange(1, 1000), rng.randrange(1000, 50_000)))  # fmt: skip
    return (f"{value:,}" if value >= 1000 and rng.random() < 0.3 else str(value)), value


def _dated(rng: Random) -> tuple[str, str]:
    iso = iso_date(rng)
    year, month, day = iso.split("-")
    name = MONTHS[int(month) - 1]
    return rng.choice(
        (iso, iso, f"{name} {int(day)}, {year}", f"{int(day)} {name} {year}", f"{name[:3]} {int(day)} {year}")
    ), iso


def _timed(rng: Random) -> tuple[str, str]:
    hour, minute = rng.randrange(24), rng.choice((0, 0, 15, 30, 45, rng.randrange(60)))
    half = f"{(hour - 1) % 12 + 1}{f':{minute:02}' if minute else ''} {'pm' if hour >= 12 else 'am'}"
    return rng.choice((f"{hour:02}:{minute:02}", half)), f"{hour:02}:{minute:02}"


def iso_date(rng: Random) -> str:
    return f"{rng.randrange(1998, 2032)}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}"


LANGUAGES = [
    "English",
    "French",
    "German",
    "Spanish",
    "Italian",
    "Thai",
    "Chinese",
    "Japanese",
    "Korean",
    "Arabic",
    "Hindi",
    "Russian",
    "Dutch",
    "Turkish",
]


def text_value(parameter: Parameter, rng: Random) -> str:
    """A text value that suits the parameter's name."""
    words = parameter.words
    last = words[-1]
    kind = _sort(parameter)
    if kind == "place":
        return rng.choice(PLACES)
    if kind == "date":
        return rng.choice((iso_date(rng), slots.day(rng)[0], slots.date_words(rng)))
    if kind == "time":
        return slots.clock_time(rng)[0]
    if kind == "id" and rng.random() < 0.4:
        return "".join(rng.choice(ascii_letters + digits) for _ in range(rng.randint(7, 12)))
    if kind == "id":
        letters = "".join(rng.choice("ABCDEFGHKLMNPRSTXYZ") for _ in range(rng.choice((0, 1, 2, 3))))
        number = rng.randrange(10, 10 ** rng.randrange(2, 7) + 10)
        return letters + (rng.choice(("", "", "-", "_")) if letters else "") + str(number)
    if (kind == "person" and words[-1] != "name") or words in (
        ("name",),
        ("patient", "name"),
        ("customer", "name"),
        ("player", "name"),
    ):
        return f"{rng.choice(ANY_FIRST)} {rng.choice(LAST_NAMES)}"
    if last == "email":
        user = f"{rng.choice(ANY_FIRST)}.{rng.choice(LAST_NAMES)}".lower()
        return f"{user}@{rng.choice(('example.com', 'mail.org', 'firm.net'))}"
    if last in ("url", "website", "link"):
        return f"https://www.{rng.choice(NOUNS)}{rng.choice(NOUNS)}.{rng.choice(('com', 'org', 'net'))}"
    if last == "language":
        return rng.choice(LANGUAGES)
    if last in ("phone",) or words[-2:] == ("phone", "number"):
        return f"+{rng.randrange(1, 99)} {rng.randrange(100, 999)} {rng.randrange(1000, 9999)}"
    if last in ("message", "text", "content", "comment", "note", "description", "body"):
        return slots.free_text("message", rng) if rng.random() < 0.5 else slots.free_text("note", rng)
    if last in ("duration", "period") and rng.random() < 0.7:
        return slots.span(rng)[0]
    return _thing(rng)


def _thing(rng: Random) -> str:
    dice = rng.random()
    if dice < 0.3:
        return rng.choice(NOUNS)
    if dice < 0.6:
        return f"{rng.choice(ADJECTIVES)} {rng.choice(NOUNS)}"
    if dice < 0.75:
        return f"{rng.choice(NOUNS)} {rng.choice(NOUNS)}".title()
    if dice < 0.85:
        return slots.place(rng)[0]
    return rng.choice((f"{rng.choice(LAST_NAMES)} {rng.choice(NOUNS).title()}",
    f"The {rng.choice(ADJECTIVES).title()} {rng.choice(NOUNS).title()}",
                       f"{rng.choice(NOUNS)}-{rng.randrange(1, 99)}",
                       f"{rng.choice(ANY_FIRST)}'s {rng.choice(NOUNS)}"))  # fmt: skip
