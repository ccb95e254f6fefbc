"""Frozen dataclasses as plain JSON values, and back by their types: what the stages hand to one another and keep."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


class PlainError(Exception):
    """A JSON value is not what its type says."""


def to_plain(value: Any) -> Any:
    """Dicts, lists, strings, numbers. Seconds keep milliseconds: floats are rounded to six places."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, float):
        return round(value, 6)
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    assert isinstance(value, Sequence), f"{type(value).__name__} has no plain form"
    return [to_plain(item) for item in value]


def from_plain(kind: type[T], raw: Any, place: str = "") -> T:
    """The value of type `kind` that `to_plain` wrote as `raw`. Raises PlainError, which names the place."""
    value: T = _read(kind, raw, place or getattr(kind, "__name__", "value"))
    return value


def _read(kind: Any, raw: Any, place: str) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return raw
    if origin in (Union, types.UnionType):
        return _read_union(inner, raw, place)
    if origin is Literal:
        return _expect(raw in inner, raw, place, f"one of {inner}")
    if origin is tuple and len(inner) == 2 and inner[1] is Ellipsis:
        _expect(isinstance(raw, list), raw, place, "a list")
        return tuple(_read(inner[0], item, f"{place}[{i}]") for i, item in enumerate(raw))
    if origin is tuple:
        _expect(isinstance(raw, list) and len(raw) == len(inner), raw, place, f"a list of {len(inner)}")
        return tuple(_read(one, item, f"{place}[{i}]") for i, (one, item) in enumerate(zip(inner, raw)))
    if origin in (dict, Mapping):
        _expect(isinstance(raw, dict), raw, place, "an object")
        return {key: _read(inner[1], item, f"{place}.{key}") for key, item in raw.items()}
    if is_dataclass(kind):
        return _read_fields(kind, raw, place)
    if kind is float:
        return float(_expect(isinstance(raw, int | float) and not isinstance(raw, bool), raw, place, "a number"))
    if kind is Path:
        return Path(_expect(isinstance(raw, str), raw, place, "a path"))
    same = isinstance(raw, kind) and (kind is bool or not isinstance(raw, bool))
    return _expect(same, raw, place, f"{kind.__name__}")


def _read_union(kinds: Sequence[Any], raw: Any, place: str) -> Any:
    if raw is None and type(None) in kinds:
        return None
    reasons = []
    for kind in kinds:
        if kind is type(None):
            continue
        try:
            return _read(kind, raw, place)
        except PlainError as error:
            reasons.append(str(error))
    raise PlainError(reasons[-1] if reasons else f"{place} must be null")


def _read_fields(kind: Any, raw: Any, place: str) -> Any:
    _expect(isinstance(raw, dict), raw, place, "an object")
    hints = _hints(kind)
    for name in raw:
        _expect(name in hints, name, place, f"without the field {name}")
    given = {name: _read(hints[name], item, f"{place}.{name}") for name, item in raw.items()}
    try:
        return kind(**given)
    except (TypeError, ValueError) as error:  # a field is missing, or the dataclass refuses the value
        raise PlainError(f"{place}: {error}") from None


@cache  # a transcript has thousands of words
def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _expect(right: bool, raw: Any, place: str, what: str) -> Any:
    if not right:
        raise PlainError(f"{place} must be {what}, not {raw!r:.60}")
    return raw
