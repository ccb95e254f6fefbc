"""The answer that tells a result, a function of the result's text alone: JSON is told in sentences, lines are told as
they are, long ones as far as they are worth reading."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from moonlet.simulate.declaring import words_of

LINES, SENTENCES, LISTED = 8, 8, 6  # that an answer tells
PAIR = re.compile(r"([A-Za-z][A-Za-z _-]{0,30}): (\S.*)")


def told(result: str) -> str:
    """The answer that tells a result."""
    try:
        value = json.loads(result)
    except ValueError:
        return _lines(result)
    if isinstance(value, dict) and "error" in value:
        return f"Sorry, {value['error']}."
    if isinstance(value, dict | list):
        return " ".join(islice(_sentences(value, ""), SENTENCES)) or "Done."
    return result


def _lines(text: str) -> str:
    lines = text.strip("\n").split("\n")
    pairs = [match for line in lines if (match := PAIR.fullmatch(line))]
    if len(pairs) == len(lines) > 1:
        return " ".join(f"The {one[1].lower()} is {one[2]}." for one in pairs[:SENTENCES])
    return "\n".join(lines[:LINES]) + ("\n..." if len(lines) > LINES else "")


def _sentences(value: Any, words: str) -> Iterator[str]:
    """What a JSON value says; `words` are those of the keys on the way to it."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            own = " ".join(words_of(key))
            yield from _sentences(inner, own if own.startswith(words) else f"{words} {own}")
    elif isinstance(value, list):
        gap = "; " if any(isinstance(one, Mapping | list) for one in value) else ", "
        listed = gap.join([*map(item, value[:LISTED]), *(["..."] if len(value) > LISTED else [])])
        if not value:
            yield f"There are no {words or 'results'}."
        else:
            yield f"The {words} are {listed}." if words else f"{listed}."
    elif isinstance(value, bool):
        good = words in ("success", "ok", "status")
        yield ("Done." if value else "It did not work.") if good else f"The {words} is {str(value).lower()}."
    elif value is not None:
        yield f"The {words} is {value}."


def item(value: Any) -> str:
    """An entry of a list: its first value, the others behind it."""
    if isinstance(value, Mapping):
        first, *others = [item(one) for one in value.values() if one is not None] or [""]
        return f"{first} ({', '.join(others)})" if others else first
    if isinstance(value, list):
        return ", ".join(item(one) for one in value)
    return str(value).lower() if isinstance(value, bool) else str(value)
