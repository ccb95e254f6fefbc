"""Whole numbers from 1 to 999 in Chinese and Thai words, both ways."""

from functools import lru_cache

DIGITS = {"zh": "零一二三四五六七八九", "th": "ศูนย์ หนึ่ง สอง สาม สี่ ห้า หก เจ็ด แปด เก้า"}
ALSO = {"两": 2, "俩": 2, "两百": 200, "นึง": 1, "สองร้อย": 200}


def written(number: int, language: str) -> str:
    """The number in words: 21 is 二十一, ยี่สิบเอ็ด."""
    hundreds, tens, ones = number // 100, number // 10 % 10, number % 10
    if language == "zh":
        zh = DIGITS["zh"]
        text = f"{zh[hundreds]}百" if hundreds else ""
        text += f"{zh[tens] if tens > 1 or hundreds else ''}十" if tens else zh[0] * bool(hundreds and ones)
        return text + (zh[ones] if ones else "")
    th = DIGITS["th"].split()
    text = f"{th[hundreds]}ร้อย" if hundreds else ""
    text += {0: "", 1: "สิบ", 2: "ยี่สิบ"}.get(tens, f"{th[tens]}สิบ")
    return text + ("เอ็ด" if ones == 1 and number > 1 else th[ones] if ones else "")


@lru_cache(maxsize=1)
def values() -> dict[str, int]:
    """Every such word with its value."""
    return {written(number, language): number for language in DIGITS for number in range(1, 1000)} | ALSO
