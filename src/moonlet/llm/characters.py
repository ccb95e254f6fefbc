"""Text that can be written down: JSON can spell half a surrogate pair, and UTF-8 cannot; and what may be shown."""

from __future__ import annotations

from typing import Any


def whole_characters(value: Any) -> Any:
    """The same without halves of surrogate pairs."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {whole_characters(key): whole_characters(inner) for key, inner in value.items()}
    return [whole_characters(inner) for inner in value] if isinstance(value, list) else value


def one_line(text: str) -> str:
    """What an endpoint said, as an error tells it: not too much of it, and nothing that a terminal would obey."""
    line = " ".join(str(whole_characters(text)).split())[:300]
    return "".join(sign for sign in line if sign.isprintable())
