"""Numbers as people say and write them, in English, Thai and Chinese, as values that can be compared.

"eighty", "80", "๘๐", "แปดสิบ" and "八十" are one amount, "eight" is another. An amount knows its unit where that is one of the
few that are worth comparing, so that eight hours are not eight days, and are four hundred and eighty minutes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from moonlet.article.numerals import LONGEST, SCALES, Numeral, chinese, english, thai

_DIGITS = str.maketrans("๐๑๒๓๔๕๖๗๘๙０１２３４５６７８９", "01234567890123456789")
# Thousands in groups, a point; not what is part of a name, a version or an address.
_WRITTEN = re.compile(r"(?<![a-z\d])(?<!\d[.,])(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?!\.?\d)")
_AFTER_WRITTEN = re.compile(r"(?:st|nd|rd|th|s|x)\b|\s?(k|m|bn)\b(?!\s(?:long|high|tall|deep))")
_SHORT_SCALES = {"k": 1000, "m": 10**6, "bn": 10**9}
_SCALE_WORDS = "|".join(scale for scale in SCALES if len(scale) > 1)
_SCALE_SIGNS = "".join(scale for scale in SCALES if len(scale) == 1)  # of which several may follow: 百万
_SCALE_AFTER = re.compile(rf"[\s-]*({_SCALE_WORDS}|[{_SCALE_SIGNS}]+)(?!ละ|分之)")

# (unit, how many of it, what follows the number). Months and years have no fixed length in days: they stay apart.
_UNITS = tuple(
    (unit, Fraction(factor), re.compile(rf"[\s-]*(?:{pattern})"))
    for unit, factor, pattern in (
        ("point", 1, r"percentage points?\b|จุดเปอร์เซ็นต์|个百分点|個百分點"),
        ("%", 1, r"[%％]|percent\b|per cent\b|เปอร์เซ็นต์|เปอร์เซนต์"),
        ("%", 10, r"成(?![功立为為员員本果熟长長])"),
        ("second", Fraction(1, 1000), r"milliseconds?\b|ms\b|มิลลิวินาที|毫秒"),
        ("second", 1, r"seconds?\b|วินาที|秒"),
        ("second", 60, r"minutes?\b|นาที|分钟|分鐘"),
        ("second", 3600, r"hours?\b|ชั่วโมง|[个個]?小[时時]"),
        ("day", 1, r"days?\b|วัน(?!ที่)|天"),
        ("day", 7, r"weeks?\b|สัปดาห์|อาทิตย์|[周週]|[个個]?星期"),
        ("month", 1, r"months?\b|เดือน|[个個]月"),
        ("year", 1, r"years?\b|ปี"),
        ("year", 10, r"decades?\b|ทศวรรษ"),
        ("metre", 1000, r"kilomet(?:er|re)s?\b|km\b|กิโลเมตร|กม\.|公里|千米"),
        ("metre", 1, r"met(?:er|re)s?\b|เมตร|米"),
        ("mile", 1, r"miles?\b|ไมล์|英里"),
        ("kilogram", 1, r"kilo(?:gram)?s?\b|kg\b|กิโลกรัม|公斤|千克"),
        ("kilogram", 1000, r"tons?\b|tonnes?\b|ตัน|[吨噸]"),
        ("dollar", 1, r"(?:us |u\.s\. )?dollars?\b|ดอลลาร์|美元|美金"),
        ("baht", 1, r"baht\b|บาท|泰[铢銖]"),
        ("yuan", 1, r"yuan\b|rmb\b|หยวน|元|人民[币幣]"),
        ("euro", 1, r"euros?\b|ยูโร|[欧歐]元"),
    )
)
_SIGNS = (
    ("%", re.compile(r"(?:ร้อยละ|百分之)\s*$")),
    ("dollar", re.compile(r"\$\s*$")),
    ("euro", re.compile(r"€\s*$")),
    ("baht", re.compile(r"฿\s*$")),
    ("yuan", re.compile(r"[¥￥]\s*$")),
)
_HALF_AFTER = re.compile(r"\s?(?:ครึ่ง|半|and a half\b)")  # two hours and a half
_BUDDHIST = re.compile(r"(?:พ\.?\s?ศ\.?|พุทธศักราช)\s*$")
_BUDDHIST_YEARS = 543


@dataclass(frozen=True, slots=True)
class Amount:
    """`text[start:end]` says `value`, of `unit` ("" where there is none that we know)."""

    value: Fraction
    start: int
    end: int
    unit: str = ""
    number: Fraction = Fraction(0)  # as it is said: six where the value is 21,600 seconds

    def same(self, other: Amount) -> bool:
        """Whether both can speak of one thing: equal in value, and in unit where both have one."""
        return self.value == other.value and (not self.unit or not other.unit or self.unit == other.unit)


def amounts(text: str) -> list[Amount]:
    """All numbers of a text with their units, in their order."""
    low, listed = lower(text).translate(_DIGITS), list[Amount]()
    for one in _found(low):
        amount = _with_unit(low, one)
        if (amount.unit or not one.bare) and not (listed and amount.start < listed[-1].end):
            listed.append(amount)
    return listed


def numbers(text: str) -> list[Numeral]:
    """The words or digits of the numbers themselves, without what is counted."""
    return [one for one in _found(lower(text).translate(_DIGITS)) if not one.bare]


def _found(low: str) -> list[Numeral]:
    found = sorted([*_written(low), *english(low), *thai(low), *chinese(low)], key=lambda one: (one.start, -one.end))
    apart: list[Numeral] = []
    for one in found:
        if not apart or one.start >= apart[-1].end:
            apart.append(one)
    return apart


def lower(text: str) -> str:
    """Lower case of the same length: the few letters whose lower case is longer stay as they are."""
    return "".join(low if len(low := sign.lower()) == 1 else sign for sign in text)


def _written(text: str) -> Iterator[Numeral]:
    """Those in digits, with what stands for thousands or millions after them."""
    for match in _WRITTEN.finditer(text):
        if len(match[0]) > LONGEST:
            continue
        value, end = Fraction(Decimal(match[0].replace(",", ""))), match.end()
        if after := _AFTER_WRITTEN.match(text, end):
            value, end = value * _SHORT_SCALES.get(after[1] or "", 1), after.end()
        elif re.match("[a-z]", text[end : end + 1]) and not any(unit.match(text, end) for _, _, unit in _UNITS):
            continue  # 4K is a name, as 3D is
        else:
            while value < 10**LONGEST and (scale := _SCALE_AFTER.match(text, end)) and len(scale[1]) <= LONGEST:
                for sign in _pieces(scale[1]):
                    value *= SCALES[sign]
                end = scale.end()
        if _BUDDHIST.search(text, 0, match.start()) and value > _BUDDHIST_YEARS:
            value -= _BUDDHIST_YEARS
        yield Numeral(value, match.start(), end)


def _pieces(scale: str) -> list[str]:
    return [scale] if scale in SCALES else list(scale)


def _with_unit(text: str, one: Numeral) -> Amount:
    for unit, factor, after in _UNITS:
        moment = unit == "second" and factor == one.value == 1  # "one second" is mostly "wait"
        if (match := after.match(text, one.end)) and not moment:
            half = _HALF_AFTER.match(text, match.end()) if unit not in ("%", "point") else None
            value = one.value + (Fraction(1, 2) if half else 0)
            return Amount(value * factor, one.start, half.end() if half else match.end(), unit, value)
    before = text[max(one.start - 12, 0) : one.start]
    for unit, sign in _SIGNS:
        if match := sign.search(before):
            return Amount(one.value, one.start - len(before) + match.start(), one.end, unit, one.value)
    return Amount(one.value, one.start, one.end, number=one.value)
