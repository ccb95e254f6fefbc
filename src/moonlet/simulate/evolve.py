"""Tools declared anew: other names, other words, other formats, tools beside them that are nearly right, and two tools
made one. What they do stays the same, so that only reading the declaration helps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from random import Random
from typing import Any

from moonlet.chat.messages import ToolSpec
from moonlet.simulate.declaring import VERBS, spell
from moonlet.simulate.episode import Wanted
from moonlet.simulate.stage import Operation, Stage, renamed
from moonlet.tools.tool import ToolError

OTHER_WORDS: Mapping[str, str] = {
    "query": "keywords,search_text,term,look_for", "day": "date,on_date,when_day", "time": "at,start_time,clock_time",
    "title": "name,heading,caption", "text": "content,body,words", "name": "full_name,label,called", "to": "recipient,receiver",
    "city": "town,place,location", "amount": "sum,value,how_much", "address": "street,destination,deliver_to", "item": "product,article,thing",
    "quantity": "count,how_many,number", "priority": "urgency,importance,level", "folder": "directory,location,box", "degrees": "celsius,temperature,target",
    "guests": "persons,party_size,seats", "event": "appointment,entry,meeting", "order": "purchase,shop_order", "mail": "email,letter",
    "find": "search,look_up,locate", "search": "find,query,look_up", "get": "fetch,retrieve,show,read", "set": "change,adjust,update",
    "change": "update,edit,modify", "delete": "remove,erase,drop", "create": "make,new,add", "add": "create,register,insert", "move": "shift,transfer,relocate",
    "cancel": "call_off,abort,revoke", "read": "open,view,show", "book": "reserve,order", "send": "deliver,dispatch", "note": "memo,jotting",
    "file": "document,object", "room": "space,area", "song": "track,tune", "ticket": "case,issue", "place": "spot,location", "account": "bank_account,fund",
}  # fmt: skip
NEARLY = ("draft", "template", "archived", "sandbox")
DAY_FORMATS = {"DD/MM/YYYY": "%d/%m/%Y", "YYYYMMDD": "%Y%m%d", "Month D, YYYY": "%B %d, %Y"}
FRAMES = ("{}", "{}.", "Use this to {lower}", "{} in the user's account", "Call this when the user wants to {lower}")

Back = Callable[[Any], Any]  # a value as the new declaration has it -> as the operation knows it


@dataclass(frozen=True, slots=True)
class Evolved:
    """Operations under new declarations, and the way from the old names to the new ones."""

    operations: tuple[Operation, ...]
    names: Mapping[str, str]
    keys: Mapping[str, Mapping[str, tuple[str, Callable[[Any], Any]]]]  # old name, old key -> new key, value's new form

    def translated(self, wanted: Wanted) -> Wanted:
        """The call in the words of the new declarations."""
        name, arguments = wanted
        keys = self.keys.get(name, {})
        new = {}
        for key, value in arguments.items():
            other, form = keys.get(key, (key, _same))
            new[other] = form(value)
        return self.names.get(name, name), new


def unchanged(operations: Sequence[Operation]) -> Evolved:
    """The operations as they are."""
    return Evolved(tuple(operations), {}, {})


def evolve(operations: Sequence[Operation], rng: Random) -> Evolved:
    """Every operation in one new style, with up to three tools beside them that are nearly right."""
    style = rng.choice(("snake", "camel", "Pascal", "kebab"))
    made: list[Operation] = []
    names: dict[str, str] = {}
    keys: dict[str, dict[str, tuple[str, Callable[[Any], Any]]]] = {}
    for operation in operations:
        taken = {one.spec.name for one in made}
        one, mapping = _declared(operation, style, taken, rng)
        names[operation.spec.name] = one.spec.name
        keys[operation.spec.name] = mapping
        made.append(one)
    for operation in rng.sample(list(operations), min(rng.randrange(4), len(operations))):
        made.append(_near_miss(operation, style, {one.spec.name for one in made}, rng))
    rng.shuffle(made)
    return Evolved(tuple(made), names, keys)


def _declared(
    operation: Operation, style: str, taken: set[str], rng: Random
) -> tuple[Operation, dict[str, tuple[str, Callable[[Any], Any]]]]:
    spec = operation.spec
    name = _fresh(spec.name, style, taken, rng)
    mapping: dict[str, tuple[str, Callable[[Any], Any]]] = {}
    backs: dict[str, tuple[str, Back]] = {}
    properties: dict[str, Any] = {}
    key_style = "camel" if style in ("camel", "Pascal") else "snake"
    for key, schema in spec.parameters["properties"].items():
        new = _fresh(key, key_style, set(properties), rng)
        declared, form, back = _reformed(schema, rng)
        properties[new] = declared
        mapping[key] = (new, form)
        backs[new] = (key, back)
    required = [mapping[key][0] for key in spec.parameters["required"]]
    about = rng.choice(FRAMES).format(spec.description, lower=spec.description[0].lower() + spec.description[1:])
    parameters = {"type": "object", "properties": properties, "required": required}

    def known(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        return {backs[key][0]: backs[key][1](value) for key, value in arguments.items()}

    return renamed(operation, ToolSpec(name, about, parameters), known), mapping


def _fresh(name: str, style: str, taken: set[str], rng: Random) -> str:
    """The name in other words and this style, like none that is taken."""
    for _ in range(8):
        words = [
            word
            for old in name.split("_")
            for word in (
                rng.choice(OTHER_WORDS[old].split(",")) if old in OTHER_WORDS and rng.random() < 0.6 else old
            ).split("_")
        ]
        if words[0] in VERBS and rng.random() < 0.2:
            words[0] = rng.choice([verb for verb in VERBS[words[0]] if " " not in verb])
        new = spell(tuple(words), style)
        if new not in taken:
            return new
    return spell((*name.split("_"), str(len(taken))), style)


def _reformed(schema: Mapping[str, Any], rng: Random) -> tuple[dict[str, Any], Callable[[Any], Any], Back]:
    """A parameter's schema with closed values or a date in another form, and the two ways between the forms."""
    about = str(schema.get("description", ""))
    if "enum" in schema and rng.random() < 0.5:
        change = rng.choice((str.upper, str.capitalize, lambda word: f"{word[0].upper()}:{word}"))
        new = {value: change(value) for value in schema["enum"]}
        old = {other: value for value, other in new.items()}
        return {**schema, "enum": list(new.values())}, lambda value: new.get(value, value), lambda value: old[value]
    if about.endswith("(YYYY-MM-DD)") and rng.random() < 0.5:
        told, form = rng.choice(list(DAY_FORMATS.items()))
        declared = {**schema, "description": about.replace("YYYY-MM-DD", told)}
        return declared, lambda value: f"{date.fromisoformat(value):{form}}", lambda value: _day(value, told, form)
    if schema.get("type") == "integer" and rng.random() < 0.2:
        return {**schema, "type": "number"}, _same, _whole
    return dict(schema), _same, _same


def _day(value: Any, told: str, form: str) -> str:
    try:
        return str(datetime.strptime(value, form).date())
    except ValueError:
        raise ToolError(f"{value!r} is not a date of the form {told}") from None


def _same(value: Any) -> Any:
    return value


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _near_miss(operation: Operation, style: str, taken: set[str], rng: Random) -> Operation:
    """A tool that looks as if it did the same and acts on what is not meant."""
    kind = rng.choice(NEARLY)
    name = _fresh(f"{operation.spec.name}_{kind}", style, taken, rng)
    about = f"{operation.spec.description}; only for {kind} data"

    def run(stage: Stage, arguments: Mapping[str, Any]) -> Any:
        raise ToolError(f"not found: there is no {kind} data of this kind")

    return Operation(ToolSpec(name, about, operation.spec.parameters), run, operation.changes)


def composed(find: Operation, act: Operation, key: str, label: str) -> Operation:
    """One tool that looks a record up by words and acts on it, if it is the only one."""
    properties = {name: one for name, one in act.spec.parameters["properties"].items() if name != key}
    parameters = {
        "type": "object",
        "properties": {**find.spec.parameters["properties"], **properties},
        "required": ["query", *(name for name in act.spec.parameters["required"] if name != key)],
    }
    spec = ToolSpec(f"find_and_{act.spec.name}", f"{act.spec.description}, looked up by words", parameters)

    def run(stage: Stage, arguments: Mapping[str, Any]) -> Any:
        query = arguments["query"]
        results = find.run(stage, {"query": query})["results"]
        exact = [one for one in results if str(one.get(label, "")).casefold() == str(query).casefold()]
        fitting = exact or results
        if len(fitting) != 1:
            listed = ", ".join(f"{one['id']} ({one.get(label)})" for one in fitting)
            raise ToolError(f"ambiguous: {listed}" if fitting else f"not found: nothing fits {query!r}")
        others = {name: value for name, value in arguments.items() if name != "query"}
        return act.run(stage, {key: fitting[0]["id"], **others})

    return Operation(spec, run, act.changes)
