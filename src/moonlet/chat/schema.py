"""JSON schemas as they are enforced: of tools on their calls, of an answer on its text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeGuard

from moonlet.chat.references import FURTHEST, leads_too_far

# Formats that can be enforced. Others only inform, as the standard of JSON schema has it.
_FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri"}

# Keywords that allow and forbid nothing.
_INFORMING = {"$schema", "$comment", "title", "description", "default", "examples"}

_COUNTS = {"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"}

_FIXED = ("const", "enum")  # values as they are, in which no keywords are
_DEEPEST = 200  # levels of a schema
_TOLD = 300  # characters of a complaint
_LONGEST = 10_000  # characters that a text must have: llguidance takes time with their square, in the engine's thread
_LEAST = -(10**17)  # below, llguidance counts wrongly: a lower minimum, like that of 64 bits, is taken for this one
_MOST = 9 * 10**18  # of numbers that need not be whole: beyond, llguidance has no form for a maximum

# Where schemas lie in schemas: one, a list, or a named collection.
_ONE = ("items", "additionalProperties")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems", "items")
_NAMED = ("properties", "$defs", "definitions", "patternProperties")

# What counts in a pattern: how often something comes at least, what repeats without a number, ends of groups, signs.
_PIECE = re.compile(
    r"\{\s*(?P<times>[0-9]+)\s*(,\s*[0-9]*\s*)?\}|(?P<again>[?*+])|\\[xuUpP]\{[^{}()]*\}|\\.|.", re.DOTALL
)

# Beside one of these an object's properties are not all in its own list, or are told from it in other ways.
_OPEN = ("additionalProperties", "patternProperties", "allOf", "anyOf", "oneOf", "$ref")


class SchemaError(Exception):
    """A schema that cannot be enforced: a tool's, or without one the answer's."""

    def __init__(self, tool: str | None, keyword: str | None, reason: str) -> None:
        what = f"{keyword} {reason}" if keyword else reason
        whose = "the answer" if tool is None else f"tool {tool!r}"
        super().__init__(f"the schema of {whose} cannot be enforced: {what}")
        self.tool = tool
        self.keyword = keyword


def enforceable(tool: str | None, schema: Any) -> dict[str, Any]:
    """A schema without what only informs, and closed where nothing says that it is open: the result allows nothing
    that the declared schema forbids. Raises SchemaError if a tool's arguments are no object."""
    _refuse_unusable(tool, schema)
    if tool is None:
        answer: dict[str, Any] = _prepared(schema, close=not _merges(schema))
        return answer
    kind = schema.get("type", "object") if isinstance(schema, dict) else None
    if kind != "object" and not (isinstance(kind, list) and "object" in kind):
        raise SchemaError(tool, "type", "must be object, because arguments have names")
    # A tool that declares nothing takes nothing.
    whole = {**(schema or {"properties": {}}), "type": "object"}
    prepared: dict[str, Any] = _prepared(whole, close=not _merges(whole))
    return prepared


def explain(tool: str | None, complaint: str) -> SchemaError:
    """What llguidance says of a schema, in terms of its keywords."""
    line = " ".join(complaint.split())
    if unknown := re.match(r"Unimplemented keys: \[(.*)\]", line):
        return SchemaError(tool, unknown[1].replace('"', ""), "is not supported")
    if line.startswith("oneOf"):
        return SchemaError(tool, "oneOf", "has branches that one value could match together; use anyOf")
    if len(line) > _TOLD:  # it quotes patterns and names of any length
        line = f"{line[: _TOLD // 2]} ... {line[-_TOLD // 2 :]}"
    for beginning, keyword in (
        ("regex", "pattern"),
        ("Pointer", "$ref"),
        ("Resource", "$ref"),
        ("Anchor", "$ref"),
        ("Invalid type", "type"),
        ("Unknown format", "format"),
        ("patternProperty", "patternProperties"),
    ):
        if line.startswith(beginning):
            return SchemaError(tool, keyword, f"is not usable ({line})")
    if misplaced := re.match(r"(\w+) (must be .*)", line):
        return SchemaError(tool, misplaced[1], misplaced[2])
    if quoted := re.search(r"for '(\w+)'", line):
        return SchemaError(tool, quoted[1], f"is not usable ({line})")
    return SchemaError(tool, None, line)


def _refuse_unusable(tool: str | None, schema: Any) -> None:
    """Raises SchemaError for `$id` beside `$ref` inside a schema, whose meaning differs from draft to draft, and for
    what llguidance or Python could not stand: numbers that overflow, texts without end, and nesting without end."""
    depth, layer = 0, [("", schema)]
    while layer:
        depth += 1
        if depth > _DEEPEST:
            raise SchemaError(tool, None, f"it is nested deeper than {_DEEPEST} levels")
        inner: list[tuple[str, Any]] = []
        for key, item in layer:
            if isinstance(item, dict):
                if depth > 1 and isinstance(item.get("$ref"), str) and isinstance(item.get("$id"), str):
                    raise SchemaError(tool, "$id", "beside $ref is not supported")
                inner += [(key if key in _FIXED else name, value) for name, value in item.items()]
                if key == "patternProperties":
                    inner += [("pattern", name) for name in item]
            elif isinstance(item, list):
                inner += [(key, value) for value in item]
            elif isinstance(item, int | float):
                _refuse_number(tool, key, item)
            elif isinstance(item, str):
                _refuse_text(tool, key, item)
        layer = inner
    if leads_too_far(schema):
        raise SchemaError(tool, "$ref", f"leads through more than {FURTHEST} levels")


def _refuse_number(tool: str | None, key: str, number: float) -> None:
    whole = isinstance(number, int) or key in _COUNTS
    if whole and not -(2**63) <= number < 2**64:
        raise SchemaError(tool, key, "is a number beyond 64 bits")
    if key in _FIXED and number < -(2**62):  # further down llguidance's arithmetic overflows, and ends the process
        raise SchemaError(tool, key, "holds a number below -2^62")


def _refuse_text(tool: str | None, key: str, text: str) -> None:
    if key in _FIXED and len(text) > _LONGEST:
        raise SchemaError(tool, key, f"holds a text of more than {_LONGEST:,} characters")
    if key != "pattern":
        return
    if re.search(r"\(\?[a-zA-Z-]*x", text):  # where spaces and comments may stand between what is counted
        raise SchemaError(tool, key, "with the flag x is not supported")
    if _least_length(text) > _LONGEST:
        raise SchemaError(tool, key, f"asks for a text of more than {_LONGEST:,} characters")


def _least_length(pattern: str) -> int:
    """The most that a text of this pattern could have to have: the signs, each as often as it is repeated, and all of
    them as often as groups are. Every letter of a class counts: too many do no harm, a misread bracket would."""
    signs, rounds, single = 0, 1, False
    for piece in _PIECE.finditer(pattern):
        if piece["times"]:
            times = max(int(piece["times"].lstrip("0")[:9] or 0), 1)
            signs, rounds = (signs + times - 1, rounds) if single else (signs, rounds * times)
            single = False  # whatever repeats next repeats this
        else:
            single = not piece["again"] and piece[0] not in ")}"
            signs += not piece["again"]
    return signs * rounds


def _prepared(schema: Any, close: bool) -> Any:
    if not isinstance(schema, dict):
        return schema
    out = dict(schema)
    for key, value in schema.items():
        if key in _COUNTS and isinstance(value, float) and value.is_integer():
            out[key] = int(value)  # 2.0 is a whole number in JSON
        elif key in ("minimum", "exclusiveMinimum") and isinstance(value, int | float) and value < _LEAST:
            out[key] = _LEAST
        elif key in ("maximum", "exclusiveMaximum") and isinstance(value, int | float) and value > _MOST:
            out[key] = value if schema.get("type") == "integer" else _MOST
        elif key in _NAMED and isinstance(value, dict):
            out[key] = {name: _prepared(inner, close) for name, inner in value.items()}
        elif key in _LISTS and isinstance(value, list):
            out[key] = [_prepared(inner, close) for inner in value]
        elif key in _ONE:
            out[key] = _prepared(value, close)
    if isinstance(out.get("format"), str) and out["format"] not in _FORMATS:
        del out["format"]
    if out.get("uniqueItems") is False:
        del out["uniqueItems"]
    _move_bounds(out)
    if "anyOf" not in out and _are_other_values(out.get("oneOf")):
        out["anyOf"] = out.pop("oneOf")  # which llguidance does not see of numbers
    if "propertyNames" in out:
        _name_properties(out)
    if close and _closable(out):
        out["additionalProperties"] = False
    return out


def _move_bounds(schema: dict[str, Any]) -> None:
    """An excluded bound that is a whole number becomes the next one, where all allowed numbers begin with its digits:
    llguidance would allow it."""
    for excluded, included, others, narrower, away in (
        ("exclusiveMinimum", "minimum", ("maximum", "exclusiveMaximum"), max, 1),
        ("exclusiveMaximum", "maximum", ("minimum", "exclusiveMinimum"), min, -1),
    ):
        bound = schema.get(included if schema.get(excluded) is True else excluded)  # True: as in draft 4
        if not _is_number(bound) or bound % 1 or bound * away < 0:
            continue
        if any(_is_number(other := schema.get(key)) and abs(other - bound) < 1 for key in others):
            moved = bound + away * max(abs(bound) * 1e-12, 1e-30)
            schema[included] = narrower(schema[included], moved) if _is_number(schema.get(included)) else moved
            del schema[excluded]


def _are_other_values(branches: Any) -> bool:
    """Whether each of these schemas allows single values that no other one allows."""
    if not isinstance(branches, list) or not all(isinstance(one, dict) for one in branches):
        return False
    listed = [one.get("enum", [one["const"]] if "const" in one else None) for one in branches]
    if not all(isinstance(own, list) for own in listed):
        return False
    values = [(isinstance(value, bool), value) for own in listed for value in own]
    simple = all(value is None or isinstance(value, str | int | float) for _, value in values)
    return simple and len(set(values)) == len(values)


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _name_properties(schema: dict[str, Any]) -> None:
    """Says what the names of properties may be by a pattern, where that says the same; else leaves it, to be refused.

    Whatever comes out of zod has `propertyNames` on its records.
    """
    names = schema["propertyNames"]
    if not isinstance(names, dict):
        return
    rest = {key: value for key, value in names.items() if key not in _INFORMING and (key, value) != ("type", "string")}
    if not rest:  # every name is a string
        del schema["propertyNames"]
    elif not any(key in schema for key in ("properties", "patternProperties")):
        pattern = rest.get("pattern") if [*rest] == ["pattern"] else None
        values = rest.get("enum", [rest["const"]] if "const" in rest else None)
        if len(rest) == 1 and isinstance(values, list) and all(isinstance(value, str) for value in values):
            pattern = f"^({'|'.join(re.escape(value) for value in values)})$"
        elif rest.keys() <= {"minLength", "maxLength"} and all(isinstance(value, int) for value in rest.values()):
            pattern = f"^.{{{rest.get('minLength', 0)},{rest.get('maxLength', '')}}}$"
        if isinstance(pattern, str):
            del schema["propertyNames"]
            schema["patternProperties"] = {pattern: schema.get("additionalProperties", True)}
            schema["additionalProperties"] = False


def _closable(schema: Mapping[str, Any]) -> bool:
    """Whether an object lists all properties that a call should have. The standard would allow any others."""
    properties, required = schema.get("properties"), schema.get("required", [])
    if not (isinstance(properties, dict) and isinstance(required, list)):
        return False
    listed = all(isinstance(name, str) and name in properties for name in required)
    return listed and not any(key in schema for key in _OPEN)


def _merges(schema: Any) -> bool:
    """Whether objects are put together from several lists of properties, each of which must stay open for others."""
    if not isinstance(schema, dict):
        return False
    branches = schema.get("allOf")
    if isinstance(branches, list) and len(branches) > 1:
        return True
    if "properties" in schema and any(key in schema for key in ("$ref", "allOf", "anyOf", "oneOf")):
        return True
    inner = [schema.get(key) for key in _ONE]
    inner += [child for key in _LISTS if isinstance(schema.get(key), list) for child in schema[key]]
    inner += [child for key in _NAMED if isinstance(schema.get(key), dict) for child in schema[key].values()]
    return any(_merges(child) for child in inner)
