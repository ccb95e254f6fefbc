"""A field of a record or a parameter of a tool: its type, where its values come from, and how people say them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from random import Random
from typing import Any, Literal

from moonlet.simulate.domains.locale import Language, pool, roman, said
from moonlet.simulate.words import MONTHS

Kind = Literal["text", "number", "choice", "day", "clock", "ref"]

THAI_MONTHS = (
    "มกราคม", "กุมภาพันธ์", "มีนาคม", "เมษายน", "พฤษภาคม", "มิถุนายน", "กรกฎาคม", "สิงหาคม", "กันยายน", "ตุลาคม",
    "พฤศจิกายน", "ธันวาคม",
)  # fmt: skip
TOMORROW: Mapping[Language, str] = {"en": "tomorrow", "th": "พรุ่งนี้", "zh": "明天"}


@dataclass(frozen=True, slots=True)
class Slot:
    """`of` is the name of a pool (text), of a table (ref), or empty; numbers lie on a grid from low to high."""

    kind: Kind
    about: str
    of: str = ""
    low: int = 0
    high: int = 0
    step: int = 1
    choices: tuple[str, ...] = ()
    required: bool = True

    def schema(self) -> dict[str, Any]:
        """The JSON schema of a parameter."""
        if self.kind == "choice":
            return {"type": "string", "enum": list(self.choices), "description": self.about}
        if self.kind == "number":
            return {"type": "integer", "description": self.about}
        form = {"day": " (YYYY-MM-DD)", "clock": " (HH:MM)"}.get(self.kind, "")
        return {"type": "string", "description": self.about + form}

    def draw(self, rng: Random, language: Language, today: date) -> Any:
        """A value; not for references, whose values are in a state."""
        match self.kind:
            case "number":
                return rng.randrange(self.low, self.high + 1, self.step)
            case "choice":
                return rng.choice(self.choices)
            case "day":
                return str(today + timedelta(rng.randint(self.low, self.high)))
            case "clock":
                return f"{rng.randrange(7, 22):02}:{rng.choice((0, 0, 15, 30, 45)):02}"
            case "text" if self.of == "phone":
                start = {"en": "+44 20", "th": "+66 2", "zh": "+86 10"}[language]
                return f"{start} {rng.randrange(100, 999)} {rng.randrange(1000, 9999)}"
            case "text" if self.of == "email":
                return email(rng.choice(pool("people", language)))
            case "text":
                return rng.choice(pool(self.of, language))
        raise AssertionError(f"a {self.kind} is not drawn")

    def spoken(self, value: Any, rng: Random, language: Language, today: date) -> str:
        """How a user says the value."""
        if self.kind == "choice":
            return said(value, language)[0]
        if self.kind != "day":
            return str(value)
        if value == str(today + timedelta(1)) and rng.random() < 0.7:
            return TOMORROW[language]
        return rng.choice(dates(value, language)[:2])


def email(name: str) -> str:
    """The address of a person: one name has one address, in whatever script it is written."""
    return f"{roman(name)}@example.com"


def dates(value: str, language: Language) -> list[str]:
    """Ways to write a day given as YYYY-MM-DD, the clearest first."""
    day = date.fromisoformat(value)
    month = MONTHS[day.month - 1]
    if language == "zh":
        return [f"{day.month}月{day.day}日", f"{day.month}月{day.day}号", value]
    if language == "th":
        return [f"{day.day} {THAI_MONTHS[day.month - 1]}", f"วันที่ {day.day} {THAI_MONTHS[day.month - 1]}", value]
    n, nth = day.day, ordinal(day.day)
    short = month[:3]
    plain = [f"{n} {month}", f"{month} {n}", value, f"{n} {short}", f"{short} {n}"]
    return [*plain, f"{nth} {month}", f"{month} {nth}", f"{nth} of {month}", f"{nth} {short}", f"{short} {nth}"]


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th."""
    teen = 10 < number % 100 < 20
    return f"{number}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def times(value: str) -> list[str]:
    """Ways to write a time given as HH:MM."""
    hour, minute = map(int, value.split(":"))
    half = "am" if hour < 12 else "pm"
    clock = [f"{hour % 12 or 12}:{minute:02}"] + ([] if minute else [f"{hour % 12 or 12}"])
    # A bare 9点 would also be found in 9点30分.
    chinese = [f"{hour}点{minute}分"] if minute else [f"{hour}点整", f"{hour}点钟"]
    return [value, f"{hour}:{minute:02}", *(f"{one}{gap}{half}" for one in clock for gap in (" ", "")), *chinese]


def text(about: str, of: str) -> Slot:
    """Words out of a pool."""
    return Slot("text", about, of)


def number(about: str, low: int, high: int, step: int = 1) -> Slot:
    return Slot("number", about, low=low, high=high, step=step)


def choice(about: str, choices: str) -> Slot:
    """One of these words, separated by spaces."""
    return Slot("choice", about, choices=tuple(choices.split()))


def day(about: str, low: int = 1, high: int = 30) -> Slot:
    """A date so many days from today."""
    return Slot("day", about, low=low, high=high)


def clock(about: str) -> Slot:
    return Slot("clock", about)


def ref(about: str, table: str) -> Slot:
    """The id of a record."""
    return Slot("ref", about, table)


def optional(slot: Slot) -> Slot:
    return replace(slot, required=False)
