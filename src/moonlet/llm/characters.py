"""Text that can be written down: JSON can spell half a surrogate pair, and UTF-8 cannot."""

from __future__ import annotations

from typing import Any


def whole_characters(value: Any) -> Any:
    """The same without halves of surrogate pairs."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {whole_characters(key): whole_characters(inner) for key, inner in value.items()}
    return [whole_characters(inner) for inner in value] if isinstance(value, list) else value
