"""Numbers in words, English, Thai and Chinese, as they stand in a sum: "five hundred and ten", สามพันห้าร้อย, 八百四十."""

from __future__ import annotations

import re
from collections.abc import Mapping

SMALL = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_ENGLISH = {word: value for value, word in enumerate(SMALL)} | {word: 20 + 10 * i for i, word in enumerate(TENS)}
_LARGE = {"hundred": 100, "dozen": 12, "thousand": 1000, "million": 10**6, "billion": 10**9}
_ANY = "|".join((*_ENGLISH, *_LARGE))
_IN_ENGLISH = re.compile(
    rf"\b(?:a (?=hundred|dozen|thousand|million|billion))?(?:{_ANY})\b(?:(?:[ -]| and )(?:{_ANY})\b)*"
    rf"(?: point(?: (?:{'|'.join(SMALL[:10])})\b)+)?"
)
_THAI = {
    "ศูนย์": 0, "หนึ่ง": 1, "เอ็ด": 1, "สอง": 2, "ยี่": 2, "สาม": 3, "สี่": 4, "ห้า": 5, "หก": 6, "เจ็ด": 7, "แปด": 8,
    "เก้า": 9,
}  # fmt: skip
_THAI_LARGE = {"สิบ": 10, "ร้อย": 100, "พัน": 1000, "หมื่น": 10**4, "แสน": 10**5, "ล้าน": 10**6}
_CHINESE = {sign: value for value, sign in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2, "兩": 2}
_CHINESE_LARGE = {"十": 10, "百": 100, "千": 1000, "万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8}
# ร้อยละ is per cent, and no number.
_IN_THAI = re.compile(rf"(?:{'|'.join((*_THAI, *_THAI_LARGE))})+(?!ละ)(?:จุด(?:{'|'.join(_THAI)})+)?")
_IN_CHINESE = re.compile(f"[{''.join((*_CHINESE, *_CHINESE_LARGE))}]+(?:[点點][{''.join(_CHINESE)}]+)?")


def in_figures(text: str) -> str:
    """The text, of lower case, with its numbers in figures. What no number can be stays."""
    text = _IN_ENGLISH.sub(_english, text)
    text = _IN_THAI.sub(lambda match: _of_signs(match[0], _THAI, _THAI_LARGE, "จุด"), text)
    return _IN_CHINESE.sub(lambda match: _of_signs(match[0], _CHINESE, _CHINESE_LARGE, "[点點]"), text)


def _english(match: re.Match[str]) -> str:
    whole, _, digits = match[0].partition(" point")
    total = part = 0
    for word in re.findall(r"[a-z]+", whole):
        if word in _ENGLISH:
            part += _ENGLISH[word]
        elif word in ("hundred", "dozen"):
            part = (part or 1) * _LARGE[word]
        elif word in _LARGE:
            total, part = total + (part or 1) * _LARGE[word], 0
    return _told(total + part, [_ENGLISH[word] for word in digits.split()])


def _of_signs(text: str, signs: Mapping[str, int], large: Mapping[str, int], point: str) -> str:
    """Of words that follow one another without spaces."""
    whole, *digits = re.split(point, text)
    words = re.findall("|".join((*signs, *large)), whole)
    if len(words) > 1 and all(word in signs for word in words):  # digits one by one
        return _told(int("".join(str(signs[word]) for word in words)), _digits(digits, signs))
    return _told(_sum(words, signs, large), _digits(digits, signs))


def _sum(words: list[str], signs: Mapping[str, int], large: Mapping[str, int]) -> int:
    """A digit counts as many times as the size behind it; 亿, 万 and ล้าน count all that stands before them."""
    for size in (10**8, 10**4) if large is _CHINESE_LARGE else (10**6,):
        if at := next((i for i, word in enumerate(words) if large.get(word) == size), 0):
            rest = words[at + 1 :]
            return _sum(words[:at], signs, large) * size + _short(_sum(rest, signs, large), rest, size, large)
    total = digit = size = 0
    for word in words:
        if word in signs:
            digit = signs[word]
            continue
        size = large[word]
        total, digit = total + (digit or 1) * size, 0
    return total + _short(digit, words[-1:], size if "零" not in words and "〇" not in words else 0, large)


def _short(digit: int, words: list[str], size: int, large: Mapping[str, int]) -> int:
    """The last digit: in Chinese alone behind a size, it counts a tenth of it (九百六 is 960)."""
    return digit * size // 10 if size > 10 and len(words) == 1 and large is _CHINESE_LARGE and digit < 10 else digit


def _digits(parts: list[str], signs: Mapping[str, int]) -> list[int]:
    return [signs[word] for word in re.findall("|".join(signs), parts[0])] if parts else []


def _told(whole: int, digits: list[int]) -> str:
    return f"{whole}.{''.join(map(str, digits))}" if digits else str(whole)
