"""What the tools of made-up servers return, in the forms that servers have: JSON, lines, reports, sentences."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

from moonlet.simulate.declaring import spell, words_of
from moonlet.simulate.servers import values
from moonlet.simulate.servers.declared import CHANGES, KEYS, Offered, Style, worded
from moonlet.simulate.servers.subjects import Thing
from moonlet.simulate.servers.telling import item
from moonlet.simulate.words import PLACES

FAILS = 0.06  # share of calls
BRIEF = 0.75  # share of results that are the shortest of three: more requests find room in a row
ERRORS = ("{t} not found", "permission denied", "the {w} is locked", "service not available", "no {t} {v}",
          "{v} does not exist", "timed out after {n} s", "{k} {v} is not valid", "too many requests",
          "the {w} is empty", "access to {v} is not allowed")  # fmt: skip


def result(one: Offered, arguments: Mapping[str, Any], manner: Style, rng: Random) -> str:
    """What the tool returns for this call."""
    if rng.random() < FAILS:
        return json.dumps({"error": _filled(rng.choice(ERRORS), one, arguments, rng)}, ensure_ascii=False)
    tries = 3 if rng.random() < BRIEF else 1
    return min((BY_ROLE[one.role](one, arguments, manner, rng) for _ in range(tries)), key=len)


def _filled(text: str, one: Offered, arguments: Mapping[str, Any], rng: Random) -> str:
    """The text with words and the first argument in it."""
    first = next((str(value) for value in arguments.values() if isinstance(value, str | int)), one.thing.one)
    words = {**one.words, "v": first, "n": str(rng.randrange(2, 90))}
    return re.sub(r"\{(\w+)\}", lambda match: words.get(match[1], ""), text)


def _dumped(value: Any, rng: Random) -> str:
    return json.dumps(value, ensure_ascii=False, indent=rng.choice((None, None, 2, 2)))


def _key(words: str, manner: Style) -> str:
    return spell(tuple(words.split()), manner.keys)


def _name(one: Offered, rng: Random) -> str | int:
    """What some thing of the tool's kind is known by."""
    return rng.randrange(1, 5000) if one.keyed == "number" else KEYS[one.keyed](rng)


def _record(thing: Thing, name: str | int, keyed: str, manner: Style, rng: Random) -> dict[str, Any]:
    """One thing with some of its fields, perhaps with something inside."""
    found: dict[str, Any] = {rng.choice((keyed, _key(f"{thing.one} {keyed}", manner))): name}
    for field in rng.sample(thing.fields, rng.randrange(1, len(thing.fields) + 1)):
        found[_key(field, manner)] = values.field_value(field, rng)
    dice = rng.random()
    if dice < 0.15:
        found["tags"] = [values.word(rng) for _ in range(rng.randrange(4))]
    elif dice < 0.3:
        found["owner"] = {"name": values.person(rng), "email": values.email(rng)}
    elif dice < 0.45:
        notes = rng.choice(("notes", "history", "remarks", "comments"))
        found[notes] = [values.said(rng) for _ in range(rng.randrange(1, 3))]
    elif dice < 0.55:
        found[_key("created at", manner)] = values.moment(rng)
    return found


def _list(one: Offered, arguments: Mapping[str, Any], manner: Style, rng: Random) -> str:
    """Several things: lines of one of many forms, or JSON."""
    limit = next((v for v in arguments.values() if isinstance(v, int) and not isinstance(v, bool)), 9)
    count = min(limit, rng.choice((0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 9)))
    if one.role == "list_in":
        names: list[str | int] = [
            values.file_name(rng) if rng.random() < 0.7 else values.segment(rng) for _ in range(count)
        ]
    elif one.role == "search" and isinstance(query := next(iter(arguments.values()), ""), str):
        names = [_about(query, one, rng) for _ in range(count)]
    else:
        names = [_name(one, rng) for _ in range(count)]
    dice = rng.random()
    if not names and dice < 0.5:
        return f"No {one.thing.many} {rng.choice(('found', 'match', 'yet', 'here', 'found.'))}"
    if dice < 0.5:
        return _lines_of(names, one, rng)
    if dice < 0.6:
        return _dumped(names, rng)
    entries = [_small(name, one.keyed, one.thing, manner, rng) for name in names]
    if dice < 0.72:
        return _dumped(entries, rng)
    whole: dict[str, Any] = {
        rng.choice((_key(one.thing.many, manner), _key(one.thing.many, manner), "items", "results")): entries
    }
    if rng.random() < 0.5:
        whole[rng.choice(("total", "count"))] = len(names)
    if rng.random() < 0.15:
        whole[_key("has more", manner)] = False
    if rng.random() < 0.25:
        whole[rng.choice(("links", "errors", "warnings", "children", "references", "groups"))] = []
    return _dumped(whole, rng)


def _small(name: str | int, keyed: str, thing: Thing, manner: Style, rng: Random) -> dict[str, Any]:
    field = thing.fields[0]
    return {keyed: name, **({_key(field, manner): values.field_value(field, rng)} if rng.random() < 0.8 else {})}


def _about(query: str, one: Offered, rng: Random) -> str | int:
    """The name of something that was looked for."""
    name = _name(one, rng)
    joined = rng.choice((f"{query} {name}", f"{name} {query}", query, name, name))
    return joined if one.keyed == "name" else name


def _lines_of(names: Sequence[str | int], one: Offered, rng: Random) -> str:
    mark = rng.choice(("- ", "* ", "", "", "• ", "#", "{i}. ", "[{T}] ", "[{T}] ", "[{S}] ", "{S}  ", "{x}\t"))
    end = rng.choice(("", "", "", " ({x})", " - {x}", " [{S}]", ", {x}"))
    field = one.thing.fields[0]
    found = []
    for number, name in enumerate(names, 1):
        filling = {"i": str(number), "T": one.thing.one.split()[-1].upper(), "S": rng.choice(values.STATES).upper(),
                   "x": str(values.field_value(field, rng))}  # fmt: skip
        around = worded(f"{mark}\0{end}", filling)
        found.append(around.replace("\0", str(name)))
    head = rng.choice(("", "", "", f"Found {len(names)} {one.thing.many}:", f"{one.thing.many.capitalize()}:",
                       f"{len(names)} {one.thing.many} in the {one.words['w']}:"))  # fmt: skip
    return "\n".join(([head] if head else []) + found)


def _get(one: Offered, arguments: Mapping[str, Any], manner: Style, rng: Random) -> str:
    """One thing, or those of a list of keys."""
    asked = arguments[one.takes[0].key]
    if isinstance(asked, list):
        records = [_record(one.thing, name, one.keyed, manner, rng) for name in asked]
        return _dumped(records if rng.random() < 0.5 else {_key(one.thing.many, manner): records}, rng)
    record = _record(one.thing, asked, one.keyed, manner, rng)
    flat = {key: value for key, value in record.items() if not isinstance(value, dict | list)}
    dice = rng.random()
    if dice < 0.5:
        return _dumped(record, rng)
    if dice < 0.6:
        return _dumped({_key(one.thing.one, manner): record}, rng)
    if dice < 0.8:
        spaced = {" ".join(words_of(key)): value for key, value in flat.items()}
        big = rng.random() < 0.5
        return "\n".join(f"{key.capitalize() if big else key}: {value}" for key, value in spaced.items())
    if dice < 0.9:
        listed = "\n".join(f"- **{' '.join(words_of(key))}**: {value}" for key, value in flat.items())
        return f"# {asked}\n{listed}"
    parts = ", ".join(f"{' '.join(words_of(key))} {value}" for key, value in list(flat.items())[1:])
    return f"{one.thing.one.capitalize()} {asked}: {parts or 'no fields'}"


def _field(one: Offered, arguments: Mapping[str, Any], manner: Style, rng: Random) -> str:
    field, asked = one.words["f"], arguments[one.takes[0].key]
    value = values.field_value(field, rng)
    return rng.choice((
        str(value), f"The {field} of {asked} is {value}", f"{asked}: {value}",
        _dumped({_key(field, manner): value}, rng),
        _dumped({one.takes[0].key: asked, _key(field, manner): value}, rng), f"{field} = {value}",
    ))  # fmt: skip


def _read(one: Offered, arguments: Mapping[str, Any], manner: Style, rng: Random) -> str:
    """A text: notes, settings, rows, log lines, JSON."""
    count = rng.choice((1, 1, 1, 2, 2, 3, 4, 6, 10))
    forms: Sequence[Callable[[], str]] = (
        lambda: values.said(rng), lambda: values.said(rng), lambda: f"{values.said(rng)}.",
        lambda: f"{values.noun(rng)} = {values.word(rng)}", lambda: f"- {values.said(rng)}",
        lambda: f"{values.entity(rng)},{rng.randrange(999)},{values.word(rng)}",
        lambda: f"{values.moment(rng)} {rng.choice(('INFO', 'WARN', 'ERROR', 'DEBUG'))} {values.said(rng)}",
        lambda: f"{values.noun(rng)}: {rng.choice((values.word(rng), str(rng.randrange(99))))}",
        lambda: f"[{rng.choice(('x', ' '))}] {values.said(rng)}",
    )  # fmt: skip
    if rng.random() < 0.1:
        return _dumped(_record(one.thing, values.entity(rng), "name", manner, rng), rng)
    form = rng.choice(forms)
    text = "\n".join(form() for _ in range(count))
    return f"# {values.entity(rng)}\n\n{text}" if rng.random() < 0.12 else text


def _history(one: Offered, arguments: Mapping[str, Any], manner: Style, rng: Random) -> str:
    """What happened, one entry a line, or several lines each, or JSON."""
    events = [(values.moment(rng), values.person(rng), values.said(rng)) for _ in range(rng.choice((1, 2, 2, 3, 4)))]
    dice = rng.random()
    if dice < 0.25:
        return _dumped(
            [{"at": at, rng.choice(("by", "author")): who, "message": what} for at, who, what in events], rng
        )
    form = rng.choice((
        "{at} {what}", "{at} {who}: {what}", "{mark} {what}", "{mark} {what} ({who}, {at})", "- {what} ({who})",
        "version {mark}\nauthor: {who}\ndate: {at}\n    {what}", "{mark}\nby {who} at {at}\n\n    {what}\n",
        "[{at}] {who} {what}",
    ))  # fmt: skip
    head = rng.choice(("", "", f"History of {one.thing.one}:\n", "Latest changes:\n"))
    lines = [
        form.replace("{at}", at).replace("{who}", who).replace("{what}", what)
        .replace("{mark}", "".join(rng.choice(values.HEX) for _ in range(7)))
        for at, who, what in events
    ]  # fmt: skip
    return (head + "\n".join(lines)).rstrip("\n")


def _diff(one: Offered, arguments: Mapping[str, Any], manner: Style, rng: Random) -> str:
    path = arguments[one.takes[0].key]
    if rng.random() < 0.2:
        return rng.choice(("No changes", f"{path} is unchanged", "No differences found."))
    at = rng.randrange(1, 90)
    lines = [f"{rng.choice('+-')}{values.said(rng)}" for _ in range(rng.randrange(1, 4))]
    if rng.random() < 0.5:
        lines.insert(0, f" {values.said(rng)}")
    head = rng.choice((f"--- a/{path}\n+++ b/{path}\n", f"--- {path}\n+++ {path}\n", f"Changes in {path}:\n"))
    return f"{head}@@ -{at},{len(lines)} +{at},{len(lines)} @@\n" + "\n".join(lines)


def _overview(one: Offered, arguments: Mapping[str, Any], manner: Style, rng: Random) -> str:
    """The whole: counts, a list of everything, or a report in lines."""
    dice = rng.random() if one.role == "overview" else rng.uniform(0.5, 1.2)
    names = [_record(one.thing, _name(one, rng), one.keyed, manner, rng) for _ in range(rng.choice((1, 2, 2, 3)))]
    if dice < 0.4:
        found: dict[str, Any] = {_key(one.thing.many, manner): names}
        if rng.random() < 0.4:
            links = [{"from": values.entity(rng), "to": values.entity(rng), "kind": values.word(rng)}]
            found[rng.choice(("links", "groups", "references"))] = links[: rng.randrange(2)]
        return _dumped(found, rng)
    facts: dict[str, Any] = {f"{one.thing.one} count": rng.randrange(900), "last change": values.moment(rng),
                             "state": rng.choice(values.STATES), "owner": values.person(rng),
                             "version": values.version(rng), "size bytes": rng.randrange(99999)}  # fmt: skip
    chosen = dict(rng.sample(list(facts.items()), rng.randrange(2, 5)))
    if dice < 0.7:
        return _dumped({_key(name, manner): value for name, value in chosen.items()}, rng)
    if dice < 0.85:
        return "\n".join(f"{name.capitalize()}: {value}" for name, value in chosen.items())
    indent, gap = rng.choice(("    ", "  ", "\t", "- ")), rng.choice(("\n", "\n", "\n\n"))
    parts = [rng.choice((f"On {one.thing.one} {values.word(rng)}", f"{one.words['w'].capitalize()}: {values.word(rng)}",
                         f"{one.words['w'].capitalize()} {rng.choice(values.STATES)}"))]  # fmt: skip
    for state in rng.sample(REPORTED, rng.choice((1, 1, 2))):
        hint = rng.choice(("", "", f"\n{indent}(use {values.noun(rng)} to {values.noun(rng)})"))
        listed = "\n".join(f"{indent}{values.file_name(rng)}" for _ in range(rng.randrange(1, 4)))
        parts.append(f"{state}:{hint}\n{listed}")
    return gap.join(parts)


REPORTED = ("Not saved yet", "New", "Changed since yesterday", "Waiting", "Only here", "Missing", "To be checked")


def _changed(one: Offered, arguments: Mapping[str, Any], manner: Style, rng: Random) -> str:
    """That something was done: a sentence, or JSON that says so."""
    first = next((v for v in arguments.values() if isinstance(v, str | int) and not isinstance(v, bool)), None)
    listed = next((v for v in arguments.values() if isinstance(v, list)), ())
    names = ", ".join(item(v).split(" (")[0] for v in listed)
    shown = str(first) if first is not None else names or one.words["w"]
    done = DONE[one.role]
    dice = rng.random()
    if dice < 0.6:
        return rng.choice(SENTENCES_DONE).format(
            d=done, D=done.capitalize(), t=one.thing.one, v=shown, w=one.words["w"]
        )
    if dice < 0.75:
        return _dumped({"success": True, _key(f"{one.thing.one} id", manner): values.mark(rng)}, rng)
    if dice < 0.85:
        return _dumped({"status": done, **{key: value for key, value in arguments.items()}}, rng)
    if dice < 0.92 and listed and isinstance(listed[0], dict):
        return _dumped(listed, rng)
    return rng.choice(("OK", "Done", "ok", f"{done.capitalize()}.", "Success"))


DONE = {"create": "created", "update": "updated", "put": "updated", "delete": "deleted", "rename": "renamed",
        "move": "moved", "items": "added", "notes": "added", "tag": "tagged", "link": "linked", "do": "finished",
        "export": "written"}  # fmt: skip
SENTENCES_DONE = (
    "Successfully {d} {t} {v}", "Successfully {d} {t} '{v}'.", "{D} {t} {v}", "{t} {v} {d}", "{D}: {v}",
    "The {t} {v} was {d}.",
    "{D} 1 {t} in the {w}", "{v} {d} successfully", 'The {t} "{v}" has been {d}', "{D} {v} ({t})",
)  # fmt: skip


def _said(one: Offered, arguments: Mapping[str, Any], manner: Style, rng: Random) -> str:
    text = arguments[one.takes[0].key]
    verb = rng.choice(("Printed", "Shown", "Posted", "Announced", "Sent", "Displayed"))
    return rng.choice((f"{verb}: {text}", f"{verb} {text}", str(text), f"{verb} on the {one.words['w']}: {text}",
                       _dumped({verb.lower(): text}, rng), f'{verb} "{text}"', f"{verb} 1 line: {text}"))  # fmt: skip


def _page(one: Offered, arguments: Mapping[str, Any], manner: Style, rng: Random) -> str:
    """What is at an address."""
    url, title = arguments[one.takes[0].key], values.entity(rng)
    lines = "\n".join(values.said(rng) for _ in range(rng.choice((1, 1, 2, 3))))
    return rng.choice((
        f"{title}\n\n{lines}", f"# {title}\n{lines}", f"{url} says:\n{lines}", f"Page {url}: {title}", lines,
        _dumped({"url": url, "status": 200, "title": title}, rng), _dumped({"title": title, "text": lines}, rng),
        f"Saved {url} as {values.file_name(rng)}", f"Status: 200\nTitle: {title}",
    ))  # fmt: skip


def _zone(one: Offered, arguments: Mapping[str, Any], manner: Style, rng: Random) -> str:
    """Times in one zone, or of one moment in two."""
    if one.role == "pair":
        clock, home, far = (arguments[taken.key] for taken in one.takes)
        begin, end = rng.choice((("from", "to"), ("studio", "listener"), ("home", "away"), ("start", "there")))
        then = values.moment(rng) if rng.random() < 0.6 else values.clock(rng)
        whole: dict[str, Any] = {begin: {"zone": home, "starts": clock}, end: {"zone": far, "starts": then}}
        if rng.random() < 0.6:
            whole["shift"] = f"{rng.choice('+-')}{rng.randrange(13)}.{rng.choice('05')}h"
        return rng.choice((_dumped(whole, rng), _dumped(whole, rng), f"{clock} {home} is {then} {far}"))
    zone = next(value for value in arguments.values())
    moment, name = values.moment(rng), rng.choice(("next", "opens", "starts", "sunrise", "due", "begin"))
    found: dict[str, Any] = {"zone": zone, _key(f"{name} at", manner): moment}
    if rng.random() < 0.5:
        found |= {rng.choice(("open", "summer", "running")): rng.random() < 0.5}
    if rng.random() < 0.5:
        found[_key("ends at", manner)] = values.moment(rng)
    return rng.choice((
        _dumped(found, rng), _dumped(found, rng), f"{name}: {moment}\nzone: {zone}",
        f"{one.thing.one} {moment} ({zone})",
    ))  # fmt: skip


def _route(one: Offered, arguments: Mapping[str, Any], manner: Style, rng: Random) -> str:
    start, end = (arguments[taken.key] for taken in one.takes[:2])
    length, minutes, via = round(rng.uniform(1, 900), 1), rng.randrange(5, 900), rng.choice(PLACES)
    return rng.choice((
        _dumped({"from": start, "to": end, _key("distance km", manner): length, "minutes": minutes}, rng),
        _dumped({_key("distance km", manner): length, "via": [via]}, rng),
        f"{start} to {end}: {length} km, {minutes} minutes", f"1. {start}\n2. {via}\n3. {end}\nTotal: {length} km",
    ))  # fmt: skip


NUMBERS: Mapping[str, Callable[[float, float], float]] = {
    "difference": lambda a, b: a - b, "product": lambda a, b: a * b, "average": lambda a, b: (a + b) / 2,
    "ratio": lambda a, b: a / b, "remainder": lambda a, b: a % b, "larger one": max, "smaller one": min,
    "mean": lambda a, b: (a + b) / 2, "gap": lambda a, b: abs(a - b), "quotient": lambda a, b: a / b,
    "area": lambda a, b: a * b, "distance": lambda a, b: abs(a - b),
}  # fmt: skip


def _numbers(one: Offered, arguments: Mapping[str, Any], manner: Style, rng: Random) -> str:
    a, b = (arguments[taken.key] for taken in one.takes)
    how = one.words["how"]
    value = f"{NUMBERS[how](a, b):.6g}"
    return rng.choice((
        value, f"The {how} of {a} and {b} is {value}.", f"The {how} is {value}", f"{how}: {value}",
        f"{how}({a}, {b}) = {value}", _dumped({"result": json.loads(value)}, rng), f"Result: {value}",
    ))  # fmt: skip


def _export(one: Offered, arguments: Mapping[str, Any], manner: Style, rng: Random) -> str:
    count, path = rng.randrange(1, 900), values.path(rng)
    given = next((v for v in arguments.values() if isinstance(v, str) and "." in v), path)
    return rng.choice((
        f"Successfully wrote {count} {one.thing.many} to {given}", f"Wrote {given}",
        f"{count} {one.thing.many} exported",
        _dumped({"path": given, "count": count}, rng), _dumped({"file": given, _key("size bytes", manner): count}, rng),
    ))  # fmt: skip


BY_ROLE: Mapping[str, Callable[[Offered, Mapping[str, Any], Style, Random], str]] = {
    **dict.fromkeys(CHANGES, _changed),
    "list": _list, "list_in": _list, "search": _list, "get": _get, "several": _get, "field": _field, "read": _read,
    "history": _history, "diff": _diff, "overview": _overview, "say": _said, "visit": _page, "zone": _zone,
    "pair": _zone, "route": _route, "numbers": _numbers, "export": _export, "state": _overview, "journal": _history,
}  # fmt: skip
