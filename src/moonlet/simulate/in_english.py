"""Thai and Chinese words for days, times and durations, put into the English that `when` reads."""

import re
from collections.abc import Callable
from functools import lru_cache

from moonlet.simulate.numerals import values
from moonlet.simulate.script import simplified

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
          "december")  # fmt: skip
THAI_DAYS = {"จันทร์": 0, "อังคาร": 1, "พุธ": 2, "พฤหัสบดี": 3, "พฤหัสฯ": 3, "พฤหัส": 3, "ศุกร์": 4, "เสาร์": 5, "อาทิตย์": 6}
THAI_MONTHS = ("มกรา ม.ค.", "กุมภา ก.พ.", "มีนา มี.ค.", "เมษา เม.ย.", "พฤษภา พ.ค.", "มิถุนา มิ.ย.", "กรกฎา ก.ค.",
               "สิงหา ส.ค.", "กันยา ก.ย.", "ตุลา ต.ค.", "พฤศจิกา พ.ย.", "ธันวา ธ.ค.")  # fmt: skip
THAI_MONTH = "|".join(f"{long}(?:คม|พันธ์|ยน)?|{re.escape(short)}?" for long, short in map(str.split, THAI_MONTHS))
COUNTED = (
    r"(?=\s*(?:个|点|分|秒|小时|钟头|天|月|号|日|刻|星期|礼拜|周|โมง|ทุ่ม|นาที|วินาที|ชั่วโมง|ชม|วัน|สัปดาห์|อาทิตย์|ครึ่ง|ตรง|$))"
)
HALF = r"\s*(ครึ่ง|ตรง|\d{1,2}(?!\d)(?:\s*นาที)?)?"

Rule = tuple[str, str | Callable[[re.Match[str]], str]]


def _clock(hour: int, rest: str | None) -> str:
    minute = (
        30 if rest in ("半", "ครึ่ง") else int(re.sub(r"\D", "", rest or "") or 0) * (15 if "刻" in (rest or "") else 1)
    )
    return f" {hour % 24:02}:{minute:02}{' am' * (hour % 24 < 12)} "


def _chinese_time(match: re.Match[str]) -> str:
    part, hour = match[1] or "", int(match[2])
    if hour == 12 and part in ("晚上", "半夜", "夜里", "晚", "凌晨"):
        hour = 0
    elif (hour < 12 and part in ("下午", "傍晚", "晚上", "夜里", "晚")) or (hour < 3 and part == "中午"):
        hour += 12
    elif not part and 1 <= hour <= 6:
        hour += 12  # "三点" is in the afternoon, as "at 3" is
    return _clock(hour, match[3] or match[4])


def _thai_time(match: re.Match[str]) -> str:
    hour, evening = int(match[1]), match[3] == "เย็น" or (not match[3] and int(match[1]) < 6)
    return _clock(hour + 12 * evening if hour < 12 else hour, match[2] or match[4])


def _thai_month(word: str) -> str:
    return next(
        month
        for month, names in zip(MONTHS, THAI_MONTHS)
        if any(word.startswith(one.rstrip(".")) for one in names.split())
    )


def _ordinal(match: re.Match[str]) -> str:
    return f" {match[1]}th "


RULES: tuple[Rule, ...] = (
    # Chinese
    (r"大后天", " in 3 days "), (r"后天", " day after tomorrow "), (r"今晚(?:上)?|今夜", " tonight 晚上"),
    (r"今早(?:上)?", " this morning 早上"), (r"明晚(?:上)?", " tomorrow night 晚上"), (r"明早(?:上)?", " tomorrow morning 早上"),
    (r"今[天日]|今儿", " today "), (r"明[天日]|明儿", " tomorrow "), (r"昨[天日]", " yesterday "),
    (r"(\d+)分半钟?", r" \1 minutes 30 seconds "), (r"(\d+)个半(?:小时|钟头)", r" \1 hours 30 minutes "), (r"半个?(?:小时|钟头|钟)", " 30 minutes "),
    (r"(\d+)小时半", r" \1 hours 30 minutes "),
    (r"(?<!点)(\d+)刻钟", lambda m: f" {int(m[1]) * 15} minutes "),
    (r"(凌晨|清晨|一早|早上|早晨|上午|中午|下午|傍晚|晚上|半夜|夜里|晚)?\s*(\d{1,2})(?:点(?:钟|整)?(半|\d刻|\d{1,2}分?)?|[:：](\d\d))",
     _chinese_time),
    (r"(\d{1,2})月(\d{1,2})[日号]?", lambda m: f" {m[2]} {MONTHS[(int(m[1]) - 1) % 12]} "), (r"(\d{1,2})[号日]", _ordinal),
    (r"(\d+)个?(?:小时|钟头)", r" \1 hours "), (r"(\d+)分钟?", r" \1 minutes "), (r"(\d+)秒钟?", r" \1 seconds "),
    (r"(\d+)天", r" \1 days "), (r"(\d+)个?(?:星期|礼拜|周)", r" \1 weeks "),
    (r"下个?周末", " next weekend "), (r"(?:这个?|本|)周末", " weekend "),
    (r"(下)?(?:个|这个?|本)?(?:周|星期|礼拜)([一二三四五六日天])",
     lambda m: f" {DAYS['一二三四五六日'.index(m[2].replace('天', '日'))]} {'next week ' if m[1] else ''}"),
    (r"下个?(?:周|星期|礼拜)", " next week "), (r"过(.+)", r" in \1"), (r"(.+?)(?:之后|以后|过后|后)$", r" in \1"),
    (r"tonight\s+晚上", "tonight"), (r"(morning|night)\s+(?:早上|晚上)", r"\1"),
    (r"凌晨|清晨|一早|早上|早晨|上午", " morning "), (r"中午", " noon "), (r"下午", " afternoon "), (r"傍晚|晚上|夜里|晚", " evening "),
    # Thai
    (r"เที่ยงคืน", " 00:00 am "), (r"เที่ยงครึ่ง", " 12:30 "), (r"เที่ยง(?:ตรง|วัน)?", " 12:00 "),
    (r"บ่ายโมง" + HALF, lambda m: _clock(13, m[1])),
    (r"บ่าย\s*(\d{1,2})\s*(?:โมง)?" + HALF, lambda m: _clock(int(m[1]) + 12, m[2])),
    (r"(\d)?\s*ทุ่ม(?:\s*1(?=$|\s))?" + HALF, lambda m: _clock(18 + int(m[1] or 1), m[2])),
    (r"ตี\s*(\d)" + HALF, lambda m: _clock(int(m[1]), m[2])),
    (r"(\d{1,2})\s*โมง" + HALF + r"\s*(เช้า|เย็น)?" + HALF, _thai_time),
    (r"(\d{1,2})[:.](\d\d)\s*(?:น\.?|นาฬิกา)?", r" \1:\2 "), (r"(\d{1,2})\s*(?:น\.|นาฬิกา)", r" \1:00 "),
    (r"(\d*)\s*(?:ชั่วโมง|ชม\.?)\s*ครึ่ง", lambda m: f" {m[1] or 1} hours 30 minutes "),
    (r"ครึ่ง\s*(?:ชั่วโมง|ชม\.?)", " 30 minutes "), (r"ครึ่งนาที", " 30 seconds "),
    (r"(\d*)\s*นาที\s*ครึ่ง", lambda m: f" {m[1] or 1} minutes 30 seconds "),
    (r"(\d+)\s*วิ(?:นาที)?", r" \1 seconds "), (r"(\d+)\s*นาที", r" \1 minutes "), (r"(\d+)\s*(?:ชั่วโมง|ชม\.?)", r" \1 hours "),
    (r"(?:ชั่วโมง|ชม\.?)\s*1", " 1 hour "), (r"(\d+)\s*(?:สัปดาห์|อาทิตย์)", r" \1 weeks "), (r"(\d+)\s*วัน", r" \1 days "),
    (r"(?:ใน)?อีก\s*", " in "),
    (rf"(?:วัน)?(?:ที่)?\s*(\d{{1,2}})\s*(?:เดือน)?\s*({THAI_MONTH})", lambda m: f" {m[1]} {_thai_month(m[2])} "),
    (r"วันที่\s*(\d{1,2})(?:นี้)?", _ordinal),
    (r"(?:วัน)?มะรืน(?:นี้)?", " day after tomorrow "), (r"(?:วัน)?พรุ่งนี้", " tomorrow "), (r"วันนี้", " today "),
    (r"เมื่อวาน(?:นี้)?", " yesterday "), (r"(?:คืน|ค่ำ|ดึก)นี้", " tonight "), (r"เช้านี้", " this morning "),
    (r"บ่ายนี้", " this afternoon "), (r"เย็นนี้", " this evening "),
    (r"(?:สุดสัปดาห์|เสาร์อาทิตย์|วันหยุด)หน้า", " next weekend "), (r"(?:สุดสัปดาห์|เสาร์อาทิตย์)(?:นี้)?", " weekend "),
    (r"(?<!วัน)(?:สัปดาห์|อาทิตย์)หน้า", " next week "),
    (rf"(?:วัน)?({'|'.join(THAI_DAYS)})(?:หน้า|นี้|ที่จะถึง(?:นี้)?)?", lambda m: f" {DAYS[THAI_DAYS[m[1]]]} "),
    (r"(?:ตอน|ช่วง)?(?:เช้า|สาย)(?:ๆ|ตรู่)?", " morning "), (r"(?:ตอน|ช่วง)?บ่าย(?:ๆ)?", " afternoon "),
    (r"(?:ตอน|ช่วง)?เย็น(?:ๆ)?", " evening "), (r"(?:ตอน|ช่วง)?(?:กลางคืน|คืน|ค่ำ|ดึก)(?:ๆ)?", " night "),
    (r"ตอน|เวลา|ประมาณ", " "),
)  # fmt: skip


@lru_cache(maxsize=1)
def _numbers() -> re.Pattern[str]:
    words = "|".join(sorted(values(), key=len, reverse=True))
    return re.compile(
        rf"(?<![周期拜])({words}){COUNTED}|(?<=ตี)({words})|(?<=บ่าย)({words})|(?<=[点โมงทุ่ม])({words})(?![ก-๙])"
    )


@lru_cache(maxsize=4096)
def in_english(words: str) -> str:
    """The words with every Thai and Chinese day, time and duration in English; other text as it is."""
    if words.isascii():
        return words
    words = _numbers().sub(lambda match: str(values()[match[0]]), simplified(words))
    for pattern, replacement in RULES:
        words = re.sub(pattern, replacement, words)
    return " ".join(words.split())
