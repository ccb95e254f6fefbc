"""Whether two spellings may be of one name: they sound alike and differ in few letters."""

from __future__ import annotations

import re
import unicodedata
from typing import Generic, TypeVar

T = TypeVar("T")

_SOUNDS = (  # letters as they sound, in the order in which they are replaced
    ("ph", "f"), ("sch", "s"), ("sh", "s"), ("tch", "k"), ("ch", "k"), ("ck", "k"), ("qu", "k"), ("gh", "g"),
    ("th", "t"), ("kn", "n"), ("wr", "r"), ("x", "ks"), ("z", "s"), ("v", "f"), ("w", "f"), ("d", "t"), ("b", "p"),
    ("j", "g"), ("q", "k"),
)  # fmt: skip


def letters(text: str) -> str:
    """Letters and digits alone, in small ones, without accents: equal for `Moon-let`, `moonlet` and `Moonlet's`."""
    text = re.sub(r"['’]s\b", "", text.casefold())
    plain = "".join(c for c in unicodedata.normalize("NFD", text) if not ("\u0300" <= c <= "\u036f"))
    return "".join(c for c in plain if c.isalnum() or unicodedata.category(c) in ("Mn", "Mc"))


def sound(key: str) -> str:
    """The consonants as they sound, roughly, of what `letters` gave; in Thai its consonants."""
    if re.search(r"[\u0e01-\u0e2e]", key):
        return "".join(c for c in key if "\u0e01" <= c <= "\u0e2e")
    first = "a" if key[:1] in "aeiouy" else ""
    key = re.sub(r"c(?=[eiy])", "s", key)
    for written, heard in _SOUNDS:
        key = key.replace(written, heard)
    key = first + re.sub(r"[aeiouyh]", "", key.replace("c", "k").replace("g", "k"))
    return re.sub(r"(.)\1+", r"\1", key)


def alike(one: str, other: str) -> bool:
    """Two spellings, both as `letters` gives them. Short ones have no room for a difference, and numbers have none."""
    if one == other:
        return True
    size = max(len(one), len(other))
    if size < 4 or re.search(r"\d", one + other) or abs(len(one) - len(other)) > 2:
        return False
    return sound(one) == sound(other) and distance(one, other) <= max(1, size // 3)


class Spellings(Generic[T]):
    """What belongs to spellings, found by one that is alike. They are kept by their sound, without which none is: among
    thousands of names, each is compared with few."""

    def __init__(self) -> None:
        self._by_sound: dict[str, list[tuple[str, T]]] = {}

    def add(self, key: str, value: T) -> None:
        """`key`: as `letters` gives it."""
        self._by_sound.setdefault(sound(key), []).append((key, value))

    def find(self, key: str) -> T | None:
        """Of the first spelling that was added among those that are alike."""
        return next((value for known, value in self._by_sound.get(sound(key), ()) if alike(known, key)), None)


def distance(one: str, other: str) -> int:
    """Letters to add, take away or replace, to make one of the other."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        above, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (a != b))
    return row[-1]
