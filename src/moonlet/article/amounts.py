"""Numbers as people say and write them, in English, Thai and Chinese, as values that can be compared.

"eighty", "80", "๘๐", "แปดสิบ" and "八十" are one amount, "eight" is another. An amount knows its unit where that is one of the
few that are worth comparing, so that eight hours are not eight days, and are four hundred and eighty minutes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

from moonlet.article.language import UNSPACED
from moonlet.article.numerals import LONGEST, MONTH, SCALES, Numeral, chinese, english, months, thai

_DIGITS = str.maketrans("๐๑๒๓๔๕๖๗๘๙０１２３４５６７８９", "01234567890123456789")
# Thousands in groups, a point; not what is part of a name, a version or an address.
_WRITTEN = re.compile(r"(?<![a-z\d])(?<!\d[.,])(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?!\.?\d)")
_AFTER_WRITTEN = re.compile(r"(?:st|nd|rd|th|s|x)\b|\s?(k|m|bn)\b(?!\s(?:long|high|tall|deep))")
_SHORT_SCALES = {"k": 1000, "m": 10**6, "bn": 10**9}
_ODD = r"(?:(?:odd|plus|or so)\b|\+|กว่า|[多余餘几幾来來])"  # twenty-odd thousand
_SCALE_WORDS = "|".join(rf"{scale}s?\b" if scale.isascii() else scale for scale in SCALES if len(scale) > 1)
_SCALE_SIGNS = "".join(scale for scale in SCALES if len(scale) == 1)  # of which several may follow: 百万
_SCALE = rf"(?:{_SCALE_WORDS}|[{_SCALE_SIGNS}])"
_SCALE_AFTER = re.compile(rf"[\s-]*({_ODD}[\s-]*)?({_SCALE_WORDS}|[{_SCALE_SIGNS}]+)(?!ละ|分之)")
_SCALES_LAST = re.compile(rf"(?:[\s-]*{_SCALE})+$")
_AND_HALF = re.compile(r"[\s-]and[\s-]a[\s-]half\b|[个個]半(?!数|數)")  # 3 and a half million, 3个半小时
_TO = re.compile(r"\s*(?:to|or|[-–—~～至到或、]|ถึง|หรือ|(?P<both>and|และ|กับ|和))\s*[$€£¥฿]?")
# A minus; behind signs that have no spaces between, and in Thai, only before what is measured.
_COLDER = re.compile(r"零下|(?:ต่ำกว่า|ใต้)ศูนย์")
_MINUS = re.compile(
    r"(?:(?<=[\s(\"'$€£¥฿=:~])[-−–]|(?<!plus or )(?<!plus[ -])\b(?:minus|negative)[\s-]|ติดลบ\s?|(?:ต่ำกว่า|ใต้)ศูนย์\s?|"
    "零下|(?<![背肩身担擔抱胜勝])[负負])(?P<money>[$€£¥฿]?)$"
)
_PERHAPS_MINUS = re.compile(rf"(?:^|(?<=[{UNSPACED}]))[-−–](?P<money>[$€£¥฿]?)$|(?<!บวก)(?P<thai>ลบ)\s?$")
_MEASURED = re.compile(r"\s?(?:[%％℃°度]|degrees|percent|องศา|เปอร์เซ็นต์|ถึง)")
_ALONE = re.compile(r"\s*(?!\w|\s)")
_BELOW_ZERO = re.compile(
    r"\s?(?:degrees?|องศา|°)?\s?(?:c|f|celsius|fahrenheit|เซลเซียส)?\s?(?:below (?:zero|freezing)\b|ใต้ศูนย์)"
)

# (unit, how many of it, what follows the number). Months and years have no fixed length in days: they stay apart.
_UNITS = tuple(
    (unit, Fraction(factor), re.compile(rf"[\s-]*(?:{_ODD}[\s-]*)?(?:{pattern})"))
    for unit, factor, pattern in (
        ("point", 1, r"percentage points?\b|จุดเปอร์เซ็นต์|个百分点|個百分點"),
        ("%", 1, r"[%％]|percent\b|per cent\b|เปอร์เซ็นต์|เปอร์เซนต์"),
        ("%", 10, r"成(?![功立为為员員本果熟长長])"),
        ("second", Fraction(1, 1000), r"milliseconds?\b|ms\b|มิลลิวินาที|毫秒"),
        ("second", 1, r"seconds?\b|วินาที|秒"),
        ("second", 60, r"minutes?\b|นาที|分钟|分鐘"),
        ("second", 3600, r"hours?\b|ชั่วโมง|[个個]?(?:小[时時]|[钟鐘][头頭])"),
        ("day", 1, r"days?\b|วัน(?!ที่)|天"),
        ("day", 7, r"weeks?\b|สัปดาห์|อาทิตย์|[周週]|[个個]?星期"),
        ("month", 1, r"months?\b|เดือน|[个個]月|(?<=半)月"),
        (MONTH, 1, "月"),
        ("year", 1, r"years?\b|ปี|年(?![代级級])"),
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
# "an hour" that says how many: it took an hour, a year later; not an hour of "60 miles an hour".
_LASTS = re.compile(r"\b(?:for|within|about|nearly|almost|over|than|after|took|takes|lasted|lasts|only|just)\s$")
_THEN = re.compile(r"\s(?:ago|later|earlier|before|after|long)\b")
_RATE = re.compile(r"(?:[\s-]\w+){0,4}\s")
_BUDDHIST = re.compile(r"(?:(พ\.?\s?ศ\.?|พุทธศักราช)|ปี)\s*$")
_BUDDHIST_YEARS = 543


@dataclass(frozen=True, slots=True)
class Amount:
    """`text[start:end]` says `value`, of `unit` ("" where there is none that we know)."""

    value: Fraction
    start: int
    end: int
    unit: str = ""
    number: Fraction = Fraction(0)  # as it is said: six where the value is 21,600 seconds
    loose: bool = False  # may be told as a number, and is none by itself: "the second", "one of them"

    def same(self, other: Amount) -> bool:
        """Whether it can be told of the other: equal in value, and in unit where both have one. A month is no mere number."""
        units = not other.unit or self.unit == other.unit or (not self.unit and other.unit != MONTH)
        return self.value == other.value and units


def amounts(text: str, loose: bool = False) -> list[Amount]:
    """All numbers of a text with their units, in their order; `loose`: also what may be told as a number."""
    low, read = _digits(text), list[tuple[Numeral, Amount]]()
    for one in _found(text):
        amount = _with_unit(low, one)
        if not read or amount.start >= read[-1][1].end:
            read.append((one, amount))
    listed, before = list[Amount](), 0
    for (one, own), *following in zip(read, read[1:] + read[-1:]):
        amount = _shared(low, one, own, *following[0])
        counts = _counts(low, one, amount, before)
        if (counts or loose) and (amount.unit or not (one.bare and one.loose)):
            listed.append(replace(amount, loose=not counts))
            listed += (
                [replace(listed[-1], value=amount.value / one.value * one.also, number=one.also)] if one.also else []
            )
        before = amount.end if counts else before
    return listed


def numbers(text: str) -> list[Numeral]:
    """The words or digits of the numbers themselves, without what is counted."""
    return [one for one in _found(text) if not (one.bare or one.loose or one.unit)]


def lower(text: str) -> str:
    """Lower case of the same length: the few letters whose lower case is longer stay as they are."""
    return "".join(low if len(low := sign.lower()) == 1 else sign for sign in text)


def _digits(text: str) -> str:
    return lower(text).translate(_DIGITS)


def _found(text: str) -> list[Numeral]:
    low = _digits(text)
    listed = [*_written(low), *english(low), *thai(low), *chinese(low), *months(text, low)]
    apart: list[Numeral] = []
    for one in sorted(listed, key=lambda one: (one.start, -one.end)):
        before = apart[-1] if apart else None
        if before and one.start < before.end:
            continue
        if not one.loose and not one.unit:
            one = _signed(low, _scaled(low, one), before)
        if before and (whole := _continued(low, before, one)):
            apart[-1] = whole
        else:
            apart.append(one)
    return apart


def _written(text: str) -> Iterator[Numeral]:
    """Those in digits."""
    for match in _WRITTEN.finditer(text):
        if len(match[0]) > LONGEST:
            continue
        value, end = Fraction(Decimal(match[0].replace(",", ""))), match.end()
        if after := _AFTER_WRITTEN.match(text, end):
            value, end = value * _SHORT_SCALES.get(after[1] or "", 1), after.end()
        elif re.match("[a-z]", text[end : end + 1]) and not any(unit.match(text, end) for _, _, unit in _UNITS):
            continue  # 4K is a name, as 3D is
        era = _BUDDHIST.search(text, max(match.start() - 16, 0), match.start())
        if era and (value > _BUDDHIST_YEARS if era[1] else 2400 < value < 2700):
            value -= _BUDDHIST_YEARS
        yield Numeral(value, match.start(), end)


def _scaled(text: str, one: Numeral) -> Numeral:
    """With what multiplies it: 3 million, twenty-odd thousand, 二十多万. Words have taken what follows at once."""
    half = _AND_HALF.match(text, one.end)
    value, end = one.value + (Fraction(1, 2) if half else 0), half.end() if half else one.end
    factor, written = 1, half or text[end - 1].isdigit()
    while value * factor < 10**LONGEST and (scale := _SCALE_AFTER.match(text, end)) and (written or scale[1]):
        if len(scale[2]) > LONGEST:
            break
        for sign in _pieces(scale[2]):
            factor *= SCALES[sign]
        end = scale.end()
    also = one.also * factor if one.also else None
    return replace(one, value=value * factor, end=end, bare=one.bare and end == one.end, also=also)


def _signed(text: str, one: Numeral, before: Numeral | None) -> Numeral:
    """Below zero, where it is. Behind another number a minus takes away, or makes a range."""
    gap = before.end if before else 0
    minus = _MINUS.search(text, gap, one.start)
    if not minus and (perhaps := _PERHAPS_MINUS.search(text, gap, one.start)):
        alone = perhaps["thai"] and _ALONE.match(text, one.end)
        minus = perhaps if perhaps["money"] or alone or _MEASURED.match(text, one.end) else None
    if minus and before and not before.loose and not text[gap : minus.start()].strip():
        return one
    if not minus and not _BELOW_ZERO.match(text, one.end):
        colder = before and _COLDER.match(text, before.start) and one.value > -before.value
        if not (before and colder and _reaches(text, before.start, before.end, one.start)):
            return one
    start = minus.start() if minus and not minus["money"] else one.start
    return replace(one, value=-one.value, start=start, bare=False, also=-one.also if one.also else None)


def _scales(text: str, one: Numeral) -> list[int]:
    """What multiplies a number at its end, the last first: 10,000 and 100 of 三百万."""
    last = _SCALES_LAST.search(text, one.start, one.end)
    return [SCALES[sign] for scale in re.findall(_SCALE, last[0]) for sign in _pieces(scale)][::-1] if last else []


def _pieces(scale: str) -> list[str]:
    return list(scale) if scale[0] in _SCALE_SIGNS else [scale if scale in SCALES else scale[:-1]]


def _continued(text: str, one: Numeral, more: Numeral) -> Numeral | None:
    """Both as one where the second goes on with the first: 1亿2000万, 1 million 200 thousand."""
    gap, scales = text[one.end : more.start], _scales(text, one)
    if one.loose or more.loose or more.bare or more.unit or not scales or not 0 <= more.value < scales[0]:
        return None
    if gap not in ("", "零") and not (gap.isspace() and _scales(text, more)):
        return None
    value = more.value * (scales[0] // 10 if not gap and more.value < 10 else 1)  # 1万2 is 12,000
    return replace(one, value=one.value + (value if one.value > 0 else -value), end=more.end)


def _reaches(text: str, start: int, end: int, next: int) -> bool:
    """Whether a number that stands there and the next one are the ends of a range."""
    to = _TO.fullmatch(text, end, next)
    return to is not None and (not to["both"] or text.endswith(("between ", "ระหว่าง", "ระหว่าง ", "在"), 0, start))


def _shared(text: str, one: Numeral, amount: Amount, more: Numeral, last: Amount) -> Amount:
    """An amount with the scale and the unit of the one it reaches to: 2.5 of "2.5 to 3 million euros"."""
    if one.loose or more.loose or amount.unit not in ("", last.unit) or not last.number:
        return amount
    if not _reaches(text, amount.start, amount.end, last.start):
        return amount
    value, factor = -abs(amount.number) if _BELOW_ZERO.match(text, more.end) else amount.number, 1
    for scale in _scales(text, more) if not _scales(text, one) else ():
        factor *= scale
        value = amount.number * factor if abs(amount.number * factor) < abs(more.value) else value
    return replace(amount, value=value * last.value / last.number, unit=last.unit, number=value)


def _with_unit(text: str, one: Numeral) -> Amount:
    if one.unit:
        return Amount(one.value, one.start, one.end, one.unit, one.value)
    for unit, factor, after in _UNITS:
        moment = unit == "second" and factor == one.value == 1  # "one second" is mostly "wait"
        if (match := after.match(text, one.end)) and not moment and not (one.loose and unit == MONTH):
            half = _HALF_AFTER.match(text, match.end()) if unit not in ("%", "point") else None
            value = one.value + (Fraction(1, 2) if half else 0)
            return Amount(value * factor, one.start, half.end() if half else match.end(), unit, value)
    before = text[max(one.start - 12, 0) : one.start]
    for unit, sign in _SIGNS:
        if match := sign.search(before):
            return Amount(one.value, one.start - len(before) + match.start(), one.end, unit, one.value)
    return Amount(one.value, one.start, one.end, number=one.value)


def _counts(text: str, one: Numeral, amount: Amount, before: int) -> bool:
    """Whether it must have been said as a number."""
    if amount.number != one.value:  # an hour and a half
        return True
    if not one.loose:
        return bool(amount.unit) or not one.bare
    if text[one.start : one.end] not in ("a", "an") or amount.unit not in ("second", "day", "month", "year"):
        return False
    if _THEN.match(text, amount.end) or _LASTS.search(text, max(one.start - 12, 0), one.start):
        return True
    return amount.value == 3600 and not _RATE.fullmatch(text, before, one.start)
