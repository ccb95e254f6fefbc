"""Whether a value satisfies a JSON schema: the standard's own validator, made safe for schemas that strangers send.

Patterns are matched by llguidance, in time linear in the text: Python's own matcher can be made to run for years by a
pattern and a text that somebody chose. Nothing is ever fetched for a `$ref`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

import llguidance
from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from jsonschema.exceptions import SchemaError as BadSchemaError
from jsonschema.exceptions import best_match
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from moonlet.chat.messages import ToolSpec
from moonlet.chat.schema import SchemaError, enforceable

_KEPT = 256  # schemas of tools, and patterns
_LONGEST = 300  # characters of a complaint


class Schema:
    """The schema of a tool's arguments, as closed as our own engine takes it."""

    def __init__(self, tool: ToolSpec) -> None:
        """Raises SchemaError."""
        self._validator = _validator(tool.name, json.dumps(dict(tool.parameters)))

    def faults(self, value: Any) -> list[ValidationError]:
        """What is wrong with a value, nothing if it satisfies the schema."""
        return list(self._validator.iter_errors(value))

    def allows(self, value: Any) -> bool:
        """Whether it satisfies the schema."""
        return not self.faults(value)


def told(faults: list[ValidationError]) -> str:
    """The fault that matters most, in one line."""
    fault = best_match(faults)
    assert fault is not None
    place = fault.json_path.removeprefix("$").removeprefix(".")
    line = " ".join(f"{place}: {fault.message}".split() if place else fault.message.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."


@lru_cache(_KEPT)
def _validator(tool: str, parameters: str) -> Any:
    schema = enforceable(tool, json.loads(parameters))
    try:
        whole = Registry().with_resource("", DRAFT202012.create_resource(schema)).resolver()
        for reference in _references(schema):
            if not reference.startswith("#"):
                raise SchemaError(tool, "$ref", "to other documents is not supported")
            whole.lookup(reference)  # what leads nowhere is told before anything is asked
        Draft202012Validator.check_schema(schema)
        for pattern in _patterns(schema):
            _matcher(pattern)
        made = _Validator(schema, format_checker=_FORMATS, registry=Registry())
        made.is_valid({})
    except BadSchemaError as error:
        raise SchemaError(tool, None, " ".join(error.message.split())[:_LONGEST]) from None
    except (Unresolvable, ValueError) as error:
        raise SchemaError(tool, None, " ".join(str(error).split())[:_LONGEST]) from None
    except RecursionError:
        raise SchemaError(tool, "$ref", "leads to itself") from None
    return made


def _inside(schema: Any) -> Iterator[dict[str, Any]]:
    """All objects of a schema, itself among them; their depth is bounded by `enforceable`."""
    layer = [schema]
    while layer:
        found = [item for item in layer if isinstance(item, dict)]
        yield from found
        layer = [inner for item in layer for inner in (item.values() if isinstance(item, dict) else item)
                 if isinstance(inner, dict | list)]  # fmt: skip


def _references(schema: Any) -> Iterator[str]:
    for one in _inside(schema):
        for key in ("$ref", "$dynamicRef"):
            if isinstance(one.get(key), str):
                yield one[key]


def _patterns(schema: Any) -> Iterator[str]:
    for one in _inside(schema):
        if isinstance(one.get("pattern"), str):
            yield one["pattern"]
        if isinstance(one.get("patternProperties"), dict):
            yield from one["patternProperties"]


# ---- patterns in linear time ----


@lru_cache(_KEPT)
def _matcher(pattern: str) -> llguidance.LLMatcher:
    """Matches a JSON string. Raises ValueError if the pattern is none, or has what cannot be matched in linear time."""
    grammar = llguidance.LLMatcher.grammar_from_json_schema(json.dumps({"type": "string", "pattern": pattern}))
    matcher = llguidance.LLMatcher(_bytes(), grammar, log_level=0)
    if matcher.is_error():
        raise ValueError(f"pattern {pattern!r} is not usable")
    return matcher


@lru_cache(1)
def _bytes() -> llguidance.LLTokenizer:
    return llguidance.LLTokenizer("byte")


def matches(pattern: str, text: str) -> bool:
    """Whether the pattern is found in the text, as JSON schema has it."""
    matcher = _matcher(pattern).deep_copy()
    ids = _bytes().tokenize_bytes(json.dumps(text, ensure_ascii=False).encode("utf-8", "replace"))
    return matcher.validate_tokens(ids) == len(ids) and matcher.consume_tokens(ids) and matcher.is_accepting()


def _pattern(validator: Any, pattern: str, value: Any, schema: Mapping[str, Any]) -> Iterator[ValidationError]:
    if isinstance(value, str) and not matches(pattern, value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


def _pattern_properties(
    validator: Any, patterns: Mapping[str, Any], value: Any, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    for name, item in value.items() if isinstance(value, dict) else ():
        for pattern, inner in patterns.items():
            if matches(pattern, name):
                yield from validator.descend(item, inner, path=name, schema_path=pattern)


def _additional(validator: Any, allowed: Any, value: Any, schema: Mapping[str, Any]) -> Iterator[ValidationError]:
    if not isinstance(value, dict):
        return
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for name in value:
        if name in known or any(matches(pattern, name) for pattern in patterns):
            continue
        if isinstance(allowed, dict):
            yield from validator.descend(value[name], allowed, path=name)
        elif not allowed:
            yield ValidationError(f"there is no {name!r}; known are: {', '.join(known) or 'none'}")


_Validator = extend(
    Draft202012Validator,
    {"pattern": _pattern, "patternProperties": _pattern_properties, "additionalProperties": _additional},
)

_FORMATS = FormatChecker(("date", "email", "ipv4", "ipv6", "uuid"))


def _is_date_time(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


_FORMATS.checks("date-time", raises=ValueError)(_is_date_time)
