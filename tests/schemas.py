"""Schemas of tools' parameters over all keywords that are enforced, any number of them, the same from the same seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

Schema = dict[str, Any]

_PATTERNS = ["^[A-Z]{2,5}-[0-9]{1,4}$", "^#[0-9a-f]{6}$", "[0-9]{2}", "^(north|south)-(east|west)$", r"^\d+(\.\d+)?$"]
_FORMATS = ["date", "time", "date-time", "email", "uuid", "ipv4", "ipv6", "hostname", "uri", "duration", "phone"]
_NAMES = [
    "city",
    "count",
    "สถานที่",
    "天气",
    "with space",
    'a"quote',
    "snake_case",
    "kebab-case",
    "type",
    "items",
    "$ref_",
    "ä",
]


def generated(count: int, seed: int = 0) -> list[Schema]:
    """So many schemas, each of its own."""
    return [_Maker(random.Random(f"{seed} {number}")).whole(number) for number in range(count)]


class _Maker:
    """Composes one schema; each of the first schemas centres on another keyword, so that all have their turn."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._definitions: dict[str, Schema] = {}

    def whole(self, number: int) -> Schema:
        kinds = [*self._kinds()]
        first = kinds[number % len(kinds)](1)
        names = self._rng.sample(_NAMES, self._rng.randint(1, 4))
        properties = {name: self._any(1) for name in names}
        properties[names[0]] = first
        schema: Schema = {"type": "object", "properties": properties, "required": [names[0], *self._some(names[1:])]}
        if self._rng.random() < 0.5:
            schema["additionalProperties"] = False
        if self._rng.random() < 0.2:
            schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
        return {**schema, **({"$defs": self._definitions} if self._definitions else {})}

    def _kinds(self) -> Iterator[Callable[[int], Schema]]:
        yield from (self._string, self._pattern, self._format, self._enum, self._const, self._integer, self._multiple)
        yield from (self._number, self._boolean, self._null, self._types, self._array, self._tuple, self._object)
        yield from (self._record, self._patterned, self._any_of, self._one_of, self._all_of, self._reference)
        yield from (self._recursive, self._nullable, self._described, self._named_record)

    def _any(self, depth: int) -> Schema:
        kinds = [*self._kinds()]
        simple = kinds[:11]
        return self._rng.choice(simple if depth > 2 else kinds)(depth)

    def _some(self, names: list[str]) -> list[str]:
        return [name for name in names if self._rng.random() < 0.5]

    def _string(self, depth: int) -> Schema:
        low = self._rng.randint(0, 4)
        return {"type": "string", "minLength": low, "maxLength": low + self._rng.randint(0, 12)}

    def _pattern(self, depth: int) -> Schema:
        return {"type": "string", "pattern": self._rng.choice(_PATTERNS)}

    def _format(self, depth: int) -> Schema:
        return {"type": "string", "format": self._rng.choice(_FORMATS)}

    def _enum(self, depth: int) -> Schema:
        values = ["red", "green", "ä", "two words", 'q"', "\\", "\n", 1, 2.5, None, True, [1, "x"], {"a": 1}]
        return {"enum": self._rng.sample(values, self._rng.randint(1, 5))}

    def _const(self, depth: int) -> Schema:
        return {"const": self._rng.choice(["only", 7, -1.5, None, False, ["x"], {"k": [1]}])}

    def _integer(self, depth: int) -> Schema:
        low = self._rng.randint(-1000, 1000)
        if self._rng.random() < 0.3:
            return {"type": "integer", "exclusiveMinimum": low, "exclusiveMaximum": low + self._rng.randint(2, 2000)}
        return {"type": "integer", "minimum": low, "maximum": low + self._rng.randint(0, 2000)}

    def _multiple(self, depth: int) -> Schema:
        return {"type": "integer", "multipleOf": self._rng.choice([2, 5, 10, 25])}

    def _number(self, depth: int) -> Schema:
        low = self._rng.randint(-10, 10)
        return {"type": "number", "minimum": low, "maximum": low + self._rng.choice([0.5, 1, 99.25])}

    def _boolean(self, depth: int) -> Schema:
        return {"type": "boolean"}

    def _null(self, depth: int) -> Schema:
        return {"type": "null"}

    def _types(self, depth: int) -> Schema:
        return {"type": self._rng.sample(["string", "integer", "boolean", "null", "number"], 2)}

    def _array(self, depth: int) -> Schema:
        low = self._rng.randint(0, 2)
        items = self._any(depth + 1)
        return {"type": "array", "items": items, "minItems": low, "maxItems": low + self._rng.randint(0, 3)}

    def _tuple(self, depth: int) -> Schema:
        first = [self._any(depth + 1) for _ in range(2)]
        return {"type": "array", "prefixItems": first, "items": False, "minItems": self._rng.randint(0, 2)}

    def _object(self, depth: int) -> Schema:
        names = self._rng.sample(_NAMES, self._rng.randint(0, 3))
        properties = {name: self._any(depth + 1) for name in names}
        return {"type": "object", "properties": properties, "required": self._some(names)}

    def _record(self, depth: int) -> Schema:
        return {"type": "object", "additionalProperties": self._any(depth + 1)}

    def _named_record(self, depth: int) -> Schema:
        names = self._rng.choice([{"type": "string"}, {"pattern": "^[a-z]{1,4}$"}, {"enum": ["x", "y.z"]}])
        return {"type": "object", "propertyNames": names, "additionalProperties": {"type": "integer"}}

    def _patterned(self, depth: int) -> Schema:
        patterns = {"^x_": {"type": "integer"}, "^y_": {"type": "boolean"}}
        return {"type": "object", "patternProperties": patterns, "additionalProperties": False}

    def _any_of(self, depth: int) -> Schema:
        return {"anyOf": [self._any(depth + 1) for _ in range(self._rng.randint(1, 3))]}

    def _one_of(self, depth: int) -> Schema:
        kinds = [{"const": name} for name in self._rng.sample(["circle", "square", "line"], 2)]
        branches = [
            {"type": "object", "properties": {"kind": kind, "size": self._integer(3)}, "required": ["kind"]}
            for kind in kinds
        ]
        return {"oneOf": branches}

    def _all_of(self, depth: int) -> Schema:
        parts = [
            {"type": "object", "properties": {name: self._any(3)}, "required": [name]}
            for name in self._rng.sample(["p", "q", "r"], 2)
        ]
        return {"allOf": parts}

    def _reference(self, depth: int) -> Schema:
        name = f"d{len(self._definitions)}"
        self._definitions[name] = {}
        self._definitions[name] = self._any(depth + 1)
        return {"$ref": f"#/$defs/{name}"}

    def _recursive(self, depth: int) -> Schema:
        name = f"tree{len(self._definitions)}"
        node: Schema = {"type": "object", "properties": {"value": self._integer(3)}, "required": ["value"]}
        node["properties"]["next"] = {"anyOf": [{"$ref": f"#/$defs/{name}"}, {"type": "null"}]}
        self._definitions[name] = node
        return {"$ref": f"#/$defs/{name}"}

    def _nullable(self, depth: int) -> Schema:
        return {"anyOf": [self._any(depth + 1), {"type": "null"}], "default": None}

    def _described(self, depth: int) -> Schema:
        words = {"title": "T", "description": "What it is.", "examples": [1], "deprecated": False, "readOnly": False}
        return {**self._integer(depth), **words}
