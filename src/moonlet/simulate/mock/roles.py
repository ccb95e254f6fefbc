"""What a tool does to records, as far as its name and its parameters tell."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from moonlet.simulate.mock.server import Offered

Role = Literal["create", "change", "remove", "search", "list", "read", "compute"]

VERBS: Mapping[str, Role] = {
    **dict.fromkeys(["create", "add", "write", "insert", "make", "new", "put", "save", "store", "post", "upload", "append", "register", "send", "schedule", "book"], "create"),
    **dict.fromkeys(["update", "edit", "modify", "set", "rename", "move", "patch", "replace", "assign", "change", "mark", "complete", "close"], "change"),
    **dict.fromkeys(["delete", "remove", "drop", "cancel", "clear", "erase"], "remove"),
    **dict.fromkeys(["search", "find", "query", "lookup"], "search"),
    "list": "list", "tree": "list",
    **dict.fromkeys(["read", "get", "fetch", "open", "show", "view", "describe", "retrieve", "load"], "read"),
}  # fmt: skip
KEYS = ("id", "path", "name", "key", "uri", "url", "title", "slug", "number", "email")  # what a record is known by
QUERIES = ("query", "pattern", "q", "search", "keyword", "keywords", "text", "term")
PAIRS = (
    ("source", "destination"),
    ("from", "to"),
    ("oldName", "newName"),
    ("old_name", "new_name"),
    ("old_path", "new_path"),
)


@dataclass(frozen=True, slots=True)
class Part:
    """How a tool takes records: as they are (`items` empty) or as a list in the parameter `items`. `fields` are the
    declarations of a record's fields, `key` the fields by which it is known."""

    items: str
    fields: Mapping[str, Any]
    required: tuple[str, ...]
    key: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Known:
    """A tool and what is understood of it. `table` is empty where it speaks of all records or of none."""

    offered: Offered
    role: Role
    table: str
    part: Part
    member: str = ""  # a list field of another table's records, to which it adds or from which it takes
    pair: tuple[str, str] | None = None  # gives a record another key: from this parameter to that

    @property
    def name(self) -> str:
        return self.offered.spec.name

    @property
    def changes(self) -> bool:
        return self.role in ("create", "change", "remove")


def understood(tools: Sequence[Offered]) -> list[Known]:
    """Every tool with its role. Tables are what the tools can create."""
    roles = [_role(one) for one in tools]
    parts = [_part(one.spec.parameters) for one in tools]
    tables: dict[str, Part] = {}
    for one, role, part in zip(tools, roles, parts):
        if role == "create" and part.key and not _owner(part, tables):
            tables.setdefault(_noun(one.spec.name), part)
    return [_known(one, role, part, tables) for one, role, part in zip(tools, roles, parts)]


def tables_of(known: Sequence[Known]) -> dict[str, Part]:
    """Table -> how its records are made."""
    found: dict[str, Part] = {}
    for one in known:
        if one.role == "create" and one.table and not one.member:
            found.setdefault(one.table, one.part)
    return found


def split(name: str) -> list[str]:
    """The words of a name, in lower case."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[_\-\s.]+", " ", name).lower().split()


def singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _role(one: Offered) -> Role:
    words = split(one.spec.name)
    role: Role = next((VERBS[word] for word in words if word in VERBS), "compute")
    return "compute" if one.reads and role in ("create", "change", "remove") else role


def _noun(name: str) -> str:
    words = split(name)
    verb = next((place for place, word in enumerate(words) if word in VERBS), None)
    words = [word for place, word in enumerate(words) if place != verb]  # in add_book only the first is a verb
    return singular(words[-1]) if words else "record"


def _part(parameters: Mapping[str, Any]) -> Part:
    properties = parameters.get("properties") or {}
    required = tuple(name for name in parameters.get("required") or () if name in properties)
    for name in required:
        items = properties[name].get("items") if properties.get(name, {}).get("type") == "array" else None
        if isinstance(items, Mapping) and items.get("properties") and len(required) == 1:
            inner = tuple(items.get("required") or items["properties"])
            return Part(name, items["properties"], inner, _key(inner))
    return Part("", properties, required, _key(required))


def _key(names: Sequence[str]) -> tuple[str, ...]:
    """The field that is most like a key; all of them where none is."""
    for key in KEYS:
        found = [name for name in names if key in [singular(word) for word in split(name)]]
        if found:
            return (found[0],)
    return tuple(names)


def _owner(part: Part, tables: Mapping[str, Part]) -> str:
    """The table whose records the first key field refers to, if it is not the tool's own."""
    for name in part.key[:1]:
        words = split(name)
        if len(words) > 1 and words[0] in tables:
            return words[0]
    return ""


def _known(one: Offered, role: Role, part: Part, tables: Mapping[str, Part]) -> Known:
    if not tables:
        return Known(one, "compute", "", part)
    words = [singular(word) for word in split(one.spec.name)]
    own = next((word for word in reversed(words) if word in tables), "")
    owner = _owner(part, tables)
    names = set(part.fields)
    pair = next((pair for pair in PAIRS if role == "change" and names >= {*pair}), None)
    if owner and role in ("create", "remove") and owner not in words:
        member = next((field for field in tables[owner].fields if singular(field.lower()) in words), "")
        return Known(one, role, owner, part, member) if member else Known(one, "compute", "", part)
    if role in ("create", "change", "remove") and not (own or owner):
        return Known(one, "compute", "", part)
    table = own or owner
    if table and role in ("read", "change", "remove") and not _names(part, tables[table]):
        return Known(one, "compute", "", part)
    return Known(one, role, table, part, pair=pair)


def _names(part: Part, table: Part) -> bool:
    """Whether what a tool takes as a key can be a key of the table: an issue that is known by its title here is not
    named by a number."""
    if not part.key or part.items:
        return True
    taken, known = (_type(one.fields[one.key[0]]) for one in (part, table))
    return "" in (taken, known) or taken in (known, "array")


def _type(declared: Any) -> str:
    kind = declared.get("type") if isinstance(declared, Mapping) else None
    return kind if isinstance(kind, str) else ""
