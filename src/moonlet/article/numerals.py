"""Number words of English, Thai and Chinese: where they stand in a text, and what they say.

What only looks like a number is none: "one" as a pronoun, สาม in สามารถ (able), 万 in 万一 (in case). A word that is a number
only in company ("one", 三 alone) is marked `bare`; a unit after it makes it one. A word that says a number without being one
("twice", "the second", "an" before an hour) is `loose`: it can be told as a number, but need not have been said as one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Numeral:
    """`text[start:end]` says `value`."""

    value: Fraction
    start: int
    end: int
    bare: bool = False  # a number only where a unit follows
    loose: bool = False
    also: Fraction | None = None  # two or three, said as one: 两三, สองสาม
    unit: str = ""  # of a word that says it too: May is the fifth month


LONGEST = 30  # digits, signs or number words of one number: what is longer is no number that anybody says

# English

_SMALL = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_DIGIT = {word: value for value, word in enumerate(_SMALL[:10])} | {"oh": 0}
_BELOW_20 = {word: value for value, word in enumerate(_SMALL)}
_TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}  # fmt: skip
_DECADES = {word[:-1] + "ies": value for word, value in _TENS.items()}
_ORDINALS = {
    "first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9,
    "tenth": 10, "eleventh": 11, "twelfth": 12, "thirteenth": 13, "fourteenth": 14, "fifteenth": 15, "sixteenth": 16,
    "seventeenth": 17, "eighteenth": 18, "nineteenth": 19, "twentieth": 20, "thirtieth": 30, "fortieth": 40,
    "fiftieth": 50, "sixtieth": 60, "seventieth": 70, "eightieth": 80, "ninetieth": 90, "hundredth": 100,
}  # fmt: skip
_SCALES = {"dozen": 12, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_PARTS = {
    "half": 2, "halves": 2, "third": 3, "thirds": 3, "quarter": 4, "quarters": 4, "fifth": 5, "fifths": 5, "sixths": 6,
    "eighth": 8, "eighths": 8, "tenth": 10, "tenths": 10,
}  # fmt: skip
_KNOWN = {*_BELOW_20, *_TENS, *_DECADES, *_ORDINALS, *_SCALES, *_PARTS, "hundred"}
_VAGUE = {"several", "few", "many", "some"}  # dozens
_ONE_OF = {"a", "an", "per", "each", "every", "another"}  # hour: one
_LOOSE = {
    "first": 1,
    "twice": 2,
    "both": 2,
    "couple": 2,
    "pair": 2,
    "double": 2,
    "doubled": 2,
    "thrice": 3,
    "tripled": 3,
}
# The second of time, not the one after the first.
_MOMENT_WORDS = "later ago of to and or but before after when long i we he she it they you that the is was"
_MOMENT_AFTER = frozenset(_MOMENT_WORDS.split())
_MOMENT_BEFORE = _KNOWN | {"per", "each", "every", "split"}
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")


class _English:
    """A run of words without anything but spaces and hyphens between, read from the left."""

    def __init__(self, words: Sequence[re.Match[str]]) -> None:
        self.spans = words
        self.words = [match[0] for match in words]

    def at(self, place: int) -> str:
        """A word; empty where there is none."""
        return self.words[place] if 0 <= place < len(self.words) else ""

    def number(self, at: int) -> tuple[Fraction, int] | None:
        """The longest number that begins at a word, and the word after it."""
        for read in (self._fraction, self._year, self._sum):
            if found := read(at):
                return found
        return None

    def _below_hundred(self, at: int) -> tuple[int, int] | None:
        word, following = self.at(at), self.at(at + 1)
        if word in _TENS:
            more = _BELOW_20.get(following, 0) or _ORDINALS.get(following, 0)
            return (_TENS[word] + more, at + 2) if 0 < more < 10 else (_TENS[word], at + 1)
        return (_BELOW_20[word], at + 1) if word in _BELOW_20 else None

    def _below_thousand(self, at: int) -> tuple[int, int] | None:
        begun = self._below_hundred(at)
        if begun is None and self.at(at) == "hundred" and self.at(at - 1) in ("a", "per"):
            begun = 1, at
        if begun is None or self.at(begun[1]) != "hundred":
            return begun
        value, after = begun[0] * 100, begun[1] + 1
        more = self._below_hundred(after + (self.at(after) == "and"))
        if more and more[0] and self.at(more[1]) != "hundred":
            return value + more[0], more[1]
        return value, after

    def _sum(self, at: int) -> tuple[Fraction, int] | None:
        """Two million three hundred thousand and five; one point five million; two and a half thousand; a thousand."""
        whole, last, place = Fraction(0), 10**15, at
        while True:
            group = self._below_thousand(place + (whole > 0 and self.at(place) == "and"))
            if group is None and place == at and self.at(at) in _SCALES and self._is_one(at):
                group = 1, at
            if group is None:
                break
            value, after = Fraction(group[0]), group[1]
            if self.at(after) == "point" and self.at(after + 1) in _DIGIT:
                value, after = self._decimals(value, after + 1)
            elif self.words[after : after + 2] == ["and", "a"] and self.at(after + 2) in ("half", "quarter"):
                value, after = value + Fraction(1, _PARTS[self.at(after + 2)]), after + 3
            scale = _SCALES.get(self.at(after), 1)
            if scale >= last:
                break
            whole, last, place = whole + value * scale, scale, after + (scale > 1)
            if scale < 100:
                break
        return (whole, place) if place > at else None

    def _is_one(self, at: int) -> bool:
        """Whether a scale with no number before it is one of it: a million, the dozen; not several dozen."""
        return self.at(at - 1) not in _VAGUE if self.at(at) == "dozen" else self.at(at - 1) in ("a", "per")

    def _decimals(self, value: Fraction, at: int) -> tuple[Fraction, int]:
        step = Fraction(1, 10)
        while self.at(at) in _DIGIT and step.denominator < 10**LONGEST:
            value, step, at = value + step * _DIGIT[self.at(at)], step / 10, at + 1
        return value, at

    def _year(self, at: int) -> tuple[Fraction, int] | None:
        """Nineteen eighty-four, twenty twenty, nineteen oh five, the nineteen eighties."""
        century = self._below_hundred(at)
        if century is None or not 10 <= century[0] <= 29:
            return None
        if self.at(century[1]) in _DECADES:
            return Fraction(century[0] * 100 + _DECADES[self.at(century[1])]), century[1] + 1
        if self.at(century[1]) == "oh" and self.at(century[1] + 1) in _DIGIT:
            return Fraction(century[0] * 100 + _DIGIT[self.at(century[1] + 1)]), century[1] + 2
        year = self._below_hundred(century[1])
        if year is None or year[0] < 10 or self.at(year[1]) in ("hundred", *_SCALES):
            return None
        return Fraction(century[0] * 100 + year[0]), year[1]

    def _fraction(self, at: int) -> tuple[Fraction, int] | None:
        """Two thirds, half, a quarter, half a million, half an (hour); ordinals."""
        word, following = self.at(at), self.at(at + 1)
        if word == "one" and following == "in" and (of := self._below_hundred(at + 2)) and of[0] > 1:
            return Fraction(1, of[0]), of[1]
        if word in _BELOW_20 and following in _PARTS and (following.endswith("s") or word == "one"):
            return Fraction(_BELOW_20[word], _PARTS[following]), at + 2
        if word == "half" or (word in _PARTS and self.at(at - 1) == "a" and word != "tenth"):
            value, after = Fraction(1, _PARTS[word]), at + 1
            article = after + (self.at(after) == "of")
            if self.at(article) in ("a", "an"):
                after = article + 1
            if self.at(after) in _SCALES:
                return value * _SCALES[self.at(after)], after + 1
            return value, after
        if word in _ORDINALS and _ORDINALS[word] > 2:
            return Fraction(_ORDINALS[word]), at + 1
        return (Fraction(_DECADES[word]), at + 1) if word in _DECADES else None

    def loose(self, at: int) -> int | None:
        """What a word says that is no number."""
        if self.at(at) != "second":
            return _LOOSE.get(self.at(at))
        moment = self.at(at - 1) in _MOMENT_BEFORE or self.at(at + 1) in (
            _MOMENT_AFTER if at + 1 < len(self.words) else ()
        )
        return None if moment or (at and at + 1 == len(self.words)) else 2


def english(text: str) -> Iterator[Numeral]:
    """Those of a text in lower case."""
    run: list[re.Match[str]] = []
    for match in _WORD.finditer(text):
        if run and text[run[-1].end() : match.start()].strip(" \u00a0-"):
            yield from _of_run(_English(run))
            run = []
        run.append(match)
    if run:
        yield from _of_run(_English(run))


def _of_run(run: _English) -> Iterator[Numeral]:
    at = 0
    while at < len(run.words):
        found = run.number(at) if run.words[at] in _KNOWN else None
        if found is None:
            one = run.words[at] in _ONE_OF
            if said := 1 if one else run.loose(at):
                end = run.spans[at + (run.at(at + 1) == "of")].end()  # a couple of weeks
                yield Numeral(Fraction(said), run.spans[at].start(), end, bare=one, loose=True)
            at += 1
            continue
        value, after = found
        if after - at > LONGEST:
            at = after
            continue
        bare = after == at + 1 and run.words[at] in ("one", "zero")
        yield Numeral(value, run.spans[at].start(), run.spans[after - 1].end(), bare)
        at = after


_MONTHS = (
    r"jan(?:uary)?\b|มกรา(?:คม)?|ม\.ค\.", r"feb(?:ruary)?\b|กุมภา(?:พันธ์)?|ก\.พ\.", r"mar(?:ch)?\b|มีนา(?:คม)?|มี\.ค\.",
    r"apr(?:il)?\b|เมษา(?:ยน)?|เม\.ย\.", r"may\b|พฤษภา(?:คม)?|พ\.ค\.", r"june?\b|มิถุนา(?:ยน)?|มิ\.ย\.",
    r"july?\b|กรกฎา(?:คม)?|ก\.ค\.", r"aug(?:ust)?\b|สิงหา(?:คม)?|ส\.ค\.", r"sept?(?:ember)?\b|กันยา(?:ยน)?|ก\.ย\.",
    r"oct(?:ober)?\b|ตุลา(?:คม)?|ต\.ค\.", r"nov(?:ember)?\b|พฤศจิกา(?:ยน)?|พ\.ย\.", r"dec(?:ember)?\b|ธันวา(?:คม)?|ธ\.ค\.",
)  # fmt: skip
_MONTH = re.compile("(?<![a-z])(?:" + "|".join(f"(?P<m{n}>{names})" for n, names in enumerate(_MONTHS, 1)) + ")")
_IN_MONTH = re.compile(
    r"(?:\b(?:in|of|since|until|till|last|next|this|every|early|late|mid|during)[\s-]|\d(?:st|nd|rd|th)?\s?|เดือน\s?)$"
)
_MONTH_DAY = re.compile(r"\.?,?\s?(?:the\s)?\d")
MONTH = "calendar month"


def months(text: str, low: str) -> Iterator[Numeral]:
    """Names of months; loose where it could be another word (may, march) or somebody's name (April)."""
    for match in _MONTH.finditer(low):
        start, end = match.span()
        near = _MONTH_DAY.match(low, end) or _IN_MONTH.search(low, max(start - 12, 0), start)
        sure = near is not None or match[0].endswith(("คม", "ยน", "พันธ์"))
        if sure or (text[start].isupper() and (end - start > 3 or match[0] == "may")):
            assert match.lastgroup is not None
            yield Numeral(Fraction(match.lastgroup[1:]), start, end, loose=not sure, unit=MONTH)


def _readings(signs: Sequence[str], digits: Mapping[str, int]) -> list[Sequence[str]]:
    """What a number may be: "two three hundred" is two hundred or three hundred. So it is where two digits stand side by
    side, the second the next one, and are none of a longer run."""
    for at in range(len(signs) - 1) if {"จุด", "点", "點"}.isdisjoint(signs) else ():
        one, two = (digits.get(sign, 0) for sign in signs[at : at + 2])
        around = {*signs[max(at - 1, 0) : at], *signs[at + 2 : at + 3]}
        if one and (two == one + 1 or (one, two) == (3, 5)) and around.isdisjoint(digits):
            return [[*signs[: at + 1], *signs[at + 2 :]], [*signs[:at], *signs[at + 1 :]]]
    return [signs]


# Thai

_THAI_DIGITS = {
    "หนึ่ง": 1, "เอ็ด": 1, "สอง": 2, "ยี่": 2, "สาม": 3, "สี่": 4, "ห้า": 5, "หก": 6, "เจ็ด": 7, "แปด": 8, "เก้า": 9, "ศูนย์": 0,
}  # fmt: skip
_THAI_SCALES = {"สิบ": 10, "โหล": 12, "ร้อย": 100, "พัน": 1000, "หมื่น": 10**4, "แสน": 10**5, "ล้าน": 10**6}
# Not words that begin with the letters of a number or end in them: able, husband, forbid, chair, orderly, relation...
_THAI = re.compile(
    r"(?:หนึ่ง|เอ็ด|สอง|ยี่(?=\s?สิบ)|สาม(?!ารถ|ี|ัญ|ัค|เณร)|สี่|ห้า(?!ม|ง)|(?<!น้ำ)(?<!ต)หก(?!ล้ม|เลอะ|ใส่|รด)|เจ็ด|แปด(?!เปื้อน)|เก้า(?!อี้)|(?<!กว่า)(?<!ใต้)ศูนย์|"
    r"สิบ|(?<!เรียบ)ร้อย(?!ละ|เรียง|กรอง)|(?<!สัม)(?<!ผูก)(?<!เกี่ยว)พัน(?!ธ)|หมื่น|แสน|ล้าน|โหล|จุด|ครึ่ง)+"
)
_THAI_PIECE = re.compile("|".join([*_THAI_DIGITS, *_THAI_SCALES, "จุด", "ครึ่ง"]))
# Alone these are mostly none: one, centre, hundreds of.
_THAI_ALONE = {"หนึ่ง", "เอ็ด", "ศูนย์", "ร้อย", "พัน", "แสน", "หมื่น", "ล้าน", "โหล"}
_THAI_VAGUE = ("หลาย", "กี่", "นับ")  # tens, hundreds
_THAI_UNIT = "(?:ชั่วโมง|นาที|วัน|สัปดาห์|อาทิตย์|เดือน|ปี)"
_THAI_ONE = re.compile(f"(?:ต่อ|ทุก|แต่ละ)(?= ?{_THAI_UNIT})|(?={_THAI_UNIT}(?:หนึ่ง|เดียว|ละ|ครึ่ง))|เดียว(?!กัน)")


def thai(text: str) -> Iterator[Numeral]:
    """Those of a text."""
    for match in _THAI.finditer(text):
        pieces = list(_THAI_PIECE.finditer(text, match.start(), match.end()))
        while pieces and pieces[0][0] == "จุด":
            pieces.pop(0)
        while pieces and pieces[-1][0] == "จุด":
            pieces.pop()
        if 0 < len(pieces) <= LONGEST:
            words = [piece[0] for piece in pieces]
            if words[0] in _THAI_SCALES and text.endswith(_THAI_VAGUE, 0, match.start()):
                continue
            bare = len(words) == 1 and words[0] in _THAI_ALONE
            value, *also = (_thai_value(reading) for reading in _readings(words, _THAI_DIGITS))
            yield Numeral(value, pieces[0].start(), pieces[-1].end(), bare, also=also[0] if also else None)
    for match in _THAI_ONE.finditer(text):
        yield Numeral(Fraction(1), *match.span(), bare=True, loose=match[0] != "เดียว")


def _thai_value(words: Sequence[str]) -> Fraction:
    if "จุด" in words:
        point = words.index("จุด")
        value, step, at = _thai_value(words[:point]), Fraction(1, 10), point + 1
        while at < len(words) and words[at] in _THAI_DIGITS:
            value, step, at = value + step * _THAI_DIGITS[words[at]], step / 10, at + 1
        for word in words[at:]:
            value *= _THAI_SCALES.get(word, 1)
        return value
    if words[0] == "ครึ่ง" and len(words) > 1:
        return _thai_value(words[1:]) / 2
    millions, whole, part, scale = 0, Fraction(0), 0, 1
    for word in words:
        if word in _THAI_DIGITS:
            part = part * 10 + _THAI_DIGITS[word]  # digits one after the other are read as such
        elif word == "ครึ่ง":
            whole, part = whole + part + Fraction(scale, 2), 0
        elif word == "ล้าน":
            millions, whole, part, scale = millions + int(whole) + part or 1, Fraction(0), 0, 10**6
        else:
            scale = _THAI_SCALES[word]
            whole, part = whole + max(part, 1) * scale, 0
    return millions * 10**6 + whole + part


# Chinese

_HAN_DIGITS = {sign: value for value, sign in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2, "兩": 2}
_HAN_SMALL = {"十": 10, "百": 100, "千": 1000}
_HAN_LARGE = {"万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8}
_HAN_SIGNS = "".join([*_HAN_DIGITS, *_HAN_SMALL, *_HAN_LARGE])
_HAN = re.compile(
    f"(?:(?<![个個年])半(?=个|個|年|天|小时|小時|数|數)|[{_HAN_SIGNS}]+(?:[点點][零〇一二三四五六七八九]+[万萬亿億]?)?)"
)
_HAN_ONE = re.compile("(?:每一?|(?<=[这這那同有第哪某另])一)(?=[个個]?[天年月周週小分星])")  # which hour, not how many
_HAN_PART = re.compile(f"(?<![{_HAN_SIGNS}])([{_HAN_SIGNS}]++)分之([{_HAN_SIGNS}]+)")
# Words of such signs that count nothing: in case, very, Baidu, people, Sichuan, Sanya, by all means...
_HAN_WORDS = re.compile(
    "万一|萬一|零下|十分(?!之|钟|鐘|[一二三四五六七八九十])|百度|百姓|四川|三亚|三亞|九江|千万(?=不|别|別|要|记|記)|万万(?=没|沒|不)|"
    "四处|四處|三明治|百货|百貨|千方百计|千方百計|万能|萬能|万物|萬物|一一|百分百|乱七八糟|亂七八糟|十之八九|数以[百千万亿]+计|數以[百千萬億]+計"
)
# One sign alone is a number only before what is counted, or after 第.
_HAN_COUNTED = re.compile(
    "[多几]?(?:个|個|位|年|月|日|天|周|週|小时|小時|分钟|分鐘|秒|倍|次|人|种|種|条|條|家|台|元|块|塊|公里|米|公斤|吨|噸|度|成|层|層|项|項|"
    "页|頁|篇|本|章|岁|歲|名|所|座|只|隻|张|張|件|平方|毫|瓦|升|美元|欧元|泰铢|代|号|號|届|步|辆|輛|艘|颗|顆|点钟|點鐘|大|期|轮|輪|场|場)"
)


def chinese(text: str) -> Iterator[Numeral]:
    """Those of a text."""
    words = {place for match in _HAN_WORDS.finditer(text) for place in range(*match.span())}
    taken: set[int] = set()
    for match in _HAN_PART.finditer(text):
        if match[1] != "百" and max(map(len, match.groups())) <= LONGEST:  # 百分之 is percent, which is read as a unit
            taken |= set(range(*match.span()))
            below = max(_han_value(match[1]), Fraction(1))
            yield Numeral(_han_value(match[2]) / below, *match.span())
    for match in _HAN.finditer(text):
        start, end = match.span()
        if end - start > LONGEST:
            continue
        if {start, end - 1} & (words | taken) or text[start : end + 2] == "百分之":
            continue
        if _HAN_ONE.match(text, start) or text[start - 2 : end] == "每一":
            continue
        if text[start] not in _HAN_DIGITS and text[start - 1 : start] in tuple("几幾数數"):
            continue  # tens, hundreds
        alone = end - start == 1 and match[0] != "半"
        pronoun = match[0] in "一零〇" or not (_HAN_COUNTED.match(text, end) or text[start - 1 : start] == "第")
        scale = match[0] in "百千万萬亿億"
        if match[0] == "半":
            yield Numeral(Fraction(1, 2), start, end)
        else:
            value, *also = (_han_value("".join(reading)) for reading in _readings(match[0], _HAN_DIGITS))
            yield Numeral(value, start, end, alone and (pronoun or scale), also=also[0] if also else None)
    for match in _HAN_ONE.finditer(text):
        yield Numeral(Fraction(1), *match.span(), bare=True, loose=True)


def _han_value(signs: str) -> Fraction:
    if point := re.search("[点點]", signs):
        decimals = re.match("[零〇一二三四五六七八九]+", signs[point.end() :])
        assert decimals is not None
        value = _han_value(signs[: point.start()] or "零") + Fraction(
            int("".join(str(_HAN_DIGITS[sign]) for sign in decimals[0])), 10 ** len(decimals[0])
        )
        return value * _HAN_LARGE.get(signs[-1], 1)
    if all(sign in _HAN_DIGITS for sign in signs):  # digits one after the other, as years are read
        return Fraction(int("".join(str(_HAN_DIGITS[sign]) for sign in signs)))
    whole = section = digit = 0
    last = 1  # the scale that was read last: 一万二 is 12,000
    for sign in signs:
        if sign in _HAN_DIGITS:
            digit, last = _HAN_DIGITS[sign], last if _HAN_DIGITS[sign] else 1
        elif sign in _HAN_SMALL:
            section, digit, last = section + (digit or 1) * _HAN_SMALL[sign], 0, _HAN_SMALL[sign]
        else:
            scale = _HAN_LARGE[sign]
            whole, section, digit, last = (
                (whole + section + digit) * scale if whole < scale else (whole + (section + digit) * scale),
                0,
                0,
                scale,
            )
    return Fraction(whole + section + digit * (last // 10 if last >= 100 else 1))


# What multiplies a number in digits that stands before it: 3 million, 3 ล้าน, 3万.
SCALES = {
    word: value
    for word, value in ({"hundred": 100} | _SCALES | _THAI_SCALES | _HAN_SMALL | _HAN_LARGE).items()
    if value > 10
}
