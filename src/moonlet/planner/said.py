"""Sentences that are said in English here, and can be said in another language elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from .money import Money


class Said(str):
    """A sentence in English that knows what it says: `key` names it, `values` are what stands in it."""

    key: str
    values: Mapping[str, Any]

    def __new__(cls, key: str, text: str, **values: Any) -> Said:
        it = super().__new__(cls, text)
        it.key, it.values = key, values
        return it

    def __getnewargs_ex__(self) -> tuple[tuple[str, str], dict[str, Any]]:
        """So that a plan can be sent to another process."""
        return (self.key, str(self)), dict(self.values)

    def plain(self) -> dict[str, Any]:
        """As JSON: {key, values, text}. Money is {amount, currency}, a sentence within it the same as this."""
        values = {name: _plain(value) for name, value in self.values.items()}
        return {"key": self.key, "values": values, "text": str(self)}


NOTHING = Said("", "")


def _plain(value: Any) -> Any:
    if isinstance(value, Said):
        return value.plain()
    if isinstance(value, Money):
        return {"amount": str(value.amount), "currency": value.currency}
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    return value


def plain(sentences: list[Said]) -> list[dict[str, Any]]:
    """All of them as JSON."""
    return [one.plain() for one in sentences]
