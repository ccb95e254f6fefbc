"""Whether two calls are the same, as a reader would say."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from moonlet.chat.messages import ToolCall

Wanted = tuple[str, Mapping[str, Any]]  # tool name and arguments

NUMBER = re.compile(r"-?(?:0|[1-9]\d*|[1-9]\d{0,2}(?:,\d{3})+)(?:\.\d+)?|-?\.\d+")


def normal(value: Any) -> Any:
    """A value as it is compared: text without regard to case, spacing, quotes and a final full stop.

    Text that is a number equals the number, as 20 and "20" do; 007 and "10,20" are none.
    """
    if isinstance(value, bool):
        return str(value).lower()  # in Python True is 1
    if isinstance(value, str):
        text = " ".join(value.casefold().replace("’", "'").replace("“", '"').replace("”", '"').split())
        text = text.rstrip(" \"'.,!。").lstrip(" \"',!。")
        try:
            digits = text.replace(",", "") if NUMBER.fullmatch(text) else ""
            return (float(digits) if "." in digits else int(digits)) if digits else text
        except ValueError:
            return text
    if isinstance(value, Mapping):
        return {key: normal(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [normal(item) for item in value]
    return value


def same_calls(made: Sequence[ToolCall], right: Sequence[Wanted]) -> bool:
    """Whether the calls are these, in this order, with equal arguments; an argument that is null counts as left out."""
    if len(made) != len(right):
        return False
    for call, (name, arguments) in zip(made, right):
        try:
            found = json.loads(call.arguments or "{}")
            if call.name != name or not isinstance(found, dict):
                return False
            if normal({key: value for key, value in found.items() if value is not None}) != normal(arguments):
                return False
        except (ValueError, RecursionError):  # no JSON, or thousands of brackets
            return False
    return True


def same_in_any_order(made: Sequence[ToolCall], right: Sequence[Wanted]) -> bool:
    """The same, for calls that do not depend on one another."""
    left = list(right)
    for call in made:
        found = next((one for one in left if same_calls([call], [one])), None)
        if found is None:
            return False
        left.remove(found)
    return not left
