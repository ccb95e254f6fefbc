"""Made-up values for a JSON schema, as like the real thing as names and descriptions tell."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from moonlet.simulate.domains.locale import Language, pool
from moonlet.simulate.mock.roles import split
from moonlet.simulate.words import WEEKDAYS

ZONES = ("Europe/London", "Asia/Bangkok", "Asia/Shanghai", "America/New_York", "Asia/Tokyo", "Europe/Paris")
SORTS = ("person", "project", "company", "place", "event")
TIES = ("works_at", "knows", "owns", "leads", "lives_in")
# A word of a property's name -> the pool that its values come from.
POOLED = {
    "name": "people", "person": "people", "author": "people", "user": "people", "owner": "people", "city": "cities", "location": "cities",
    "title": "subjects", "subject": "subjects", "content": "lines", "contents": "lines", "text": "lines", "body": "messages", "message": "messages",
    "observation": "lines", "observations": "lines", "description": "lines", "query": "people", "item": "products", "product": "products",
    "address": "streets", "task": "tasks", "file": "files", "folder": "folders", "comment": "lines",
}  # fmt: skip
DEPTH = 6
LONGEST = 1000  # characters that are made up for a text, whatever its schema asks for


def value(schema: Mapping[str, Any] | bool, name: str, rng: Random, language: Language = "en", depth: int = 0) -> Any:
    """A value that fits."""
    if isinstance(schema, bool):  # true: anything
        schema = {}
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return rng.choice(list(schema["enum"]))
    options = schema.get("anyOf") or schema.get("oneOf")
    if options:
        return value(options[0], name, rng, language, depth + 1)
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) and kind else kind
    match kind:
        case "integer" | "number":
            return _number(schema, rng)
        case "boolean":
            return rng.random() < 0.5
        case "array":
            items = schema.get("items") or {"type": "string"}
            count = min(max(rng.choice((1, 2)), int(schema.get("minItems", 1))), int(schema.get("maxItems", 1000)))
            return [value(items, name, rng, language, depth + 1) for _ in range(count)] if depth < DEPTH else []
        case "object":
            inner = schema.get("properties") or {}
            needed = schema.get("required") or list(inner)
            return (
                {key: value(inner[key], key, rng, language, depth + 1) for key in needed if key in inner}
                if depth < DEPTH
                else {}
            )
        case "null":
            return None
    text = _text(schema, name, rng, language)
    short, long = min(int(schema.get("minLength", 0)), LONGEST), schema.get("maxLength")
    while len(text) < short:
        text += f" {text}"
    return text if long is None else text[: int(long)].strip()


def _number(schema: Mapping[str, Any], rng: Random) -> float:
    """A whole one, if one lies within the bounds."""
    least, most = (schema.get(name) for name in ("minimum", "maximum"))
    above, below = (schema.get(f"exclusive{name}") for name in ("Minimum", "Maximum"))
    step = schema.get("multipleOf") or 1
    lows = [one for one in (least, None if above is None else above + 1e-9) if one is not None]
    highs = [one for one in (most, None if below is None else below - 1e-9) if one is not None]
    low = max(lows) if lows else min([1, *highs])
    high = min(highs) if highs else max(60, low + step)
    first, last = math.ceil(low / step), math.floor(high / step)
    found: float = rng.randint(first, last) * step if first <= last else (low + high) / 2
    return found


def _text(schema: Mapping[str, Any], name: str, rng: Random, language: Language) -> str:
    words = split(name)
    if any("zone" in word for word in words):
        return rng.choice(ZONES)
    examples = _examples(str(schema.get("description", "")))
    if examples:
        return rng.choice(examples)
    form = schema.get("format", "")
    if "path" in words or "paths" in words or words[-1] in ("source", "destination", "directory"):
        return f"/{rng.choice(pool('folders', language))}/{rng.choice(pool('files', language))}"
    if form == "date" or words[-1] in ("date", "day"):
        return f"2026-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
    if form == "date-time" or words[-1] == "datetime":
        return f"2026-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}T{rng.randint(0, 23):02}:00:00Z"
    if words[-1] == "time":
        return f"{rng.randint(0, 23):02}:{rng.choice((0, 15, 30, 45)):02}"
    if words[-1] in ("week", "weekday"):
        return rng.choice(WEEKDAYS)
    if words[-1] == "difference":
        return f"{rng.randint(1, 12):+}h"
    if words[-1] in ("url", "uri") or form == "uri":
        return f"https://example.com/{rng.randint(100, 999)}"
    if "email" in words:
        return f"user{rng.randint(10, 99)}@example.com"
    if words[-1] == "id":
        return f"{words[0][:2].upper()}-{rng.randint(100, 999)}"
    if words[-1] in ("type", "kind", "category"):
        return rng.choice(TIES if "relation" in words else SORTS)
    found = next((POOLED[word] for word in reversed(words) if word in POOLED), "notes")
    return rng.choice(pool(found, language))


def _examples(description: str) -> Sequence[str]:
    """What a description gives as examples in quotes."""
    match = re.search(r"e\.g\.?,?\s*([^)]*)", description)
    return re.findall(r"['\"]([^'\"]{2,40})['\"]", match[1]) if match else ()
