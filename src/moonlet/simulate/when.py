"""Days, times and durations as people write them ("next friday", "half past 3", "in 20 minutes"), resolved.

Tools take such words as they are, so that a caller, person or model, never does calendar arithmetic.
"""

import re
from datetime import date, datetime, time, timedelta
from functools import lru_cache

from moonlet.simulate.in_english import in_english

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
OFFSETS = {
    "today": 0, "tonight": 0, "now": 0, "this morning": 0, "this afternoon": 0, "this evening": 0, "later today": 0,
    "later": 0, "tomorrow": 1, "tmrw": 1, "2moro": 1, "tmr": 1, "2morrow": 1, "tomorow": 1, "tomorrow morning": 1,
    "tomorrow afternoon": 1,
    "tomorrow evening": 1, "tomorrow night": 1, "day after tomorrow": 2, "next week": 7, "in a week": 7,
    "yesterday": -1,
}  # fmt: skip
PART_OF_DAY = r" (?:morning|noon|afternoon|evening|night)$"
SMALL = {
    "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
    "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40,
    "forty-five": 45, "half": 0.5,
}  # fmt: skip
PARTS = {"morning": time(9), "noon": time(12), "midday": time(12), "lunchtime": time(12), "lunch": time(12),
         "afternoon": time(15), "evening": time(19), "tonight": time(20), "night": time(21),
         "midnight": time(0)}  # fmt: skip
UNITS = (  # seconds; the first pattern that fits the word counts
    (r"s|secs?|seconds?", 1),
    (r"m|mins?|minutes?", 60),
    (r"h|hrs?|hours?", 3600),
    (r"d|days?", 86_400),
    (r"w|weeks?", 604_800),
)
LONGEST = 200  # signs that a day has; a model may write any number of digits
LONGEST_S = 100 * 366 * 86_400  # longer ones are not understood
AMOUNT = r"(\d+(?:\.\d+)?|(?:" + "|".join(sorted(SMALL, key=len, reverse=True)) + r")(?![a-z]))"
SPAN = re.compile(
    rf"(?:{AMOUNT}\s*(?:and a half\s+)?(?:an?\s+)?)(" + "|".join(f"(?:{unit})" for unit, _ in UNITS) + r")(?![a-z])"
)


@lru_cache(maxsize=4096)
def day_of(text: str, today: date) -> date | None:
    """The date that the words mean, seen from today; a weekday is the next one, never today. None: not understood."""
    if len(text) > LONGEST:
        return None
    words = in_english(re.sub(r"\s+", " ", text.strip().lower().rstrip(".?!")))
    words = re.sub(r"^(?:on|for|the|by|until|this coming|coming) ", "", words)
    words = re.sub(r"^the ", "", words)
    if (known := words if words in OFFSETS else re.sub(PART_OF_DAY, "", words)) in OFFSETS:
        return today + timedelta(OFFSETS[known])
    if words in (
        "weekend",
        "this weekend",
        "the weekend",
    ):
        return today + timedelta((5 - today.weekday()) % 7)
    if words == "next weekend":
        return today + timedelta((5 - today.weekday()) % 7 + 7)
    return _weekday(words, today) or _calendar(words, today) or _days_ahead(words, today)


def _weekday(words: str, today: date) -> date | None:
    stem = re.sub(r"^(?:this|next) | (?:morning|afternoon|evening|night|next week)$", "", words)
    found = [i for i, name in enumerate(WEEKDAYS) if name == stem or (len(stem) > 2 and name.startswith(stem))]
    if len(found) != 1:
        return None
    index, later = found[0], "next week" in words
    days = (index - today.weekday() - 1) % 7 + 1
    if later:  # the one of the coming calendar week
        days = 7 - today.weekday() + index
    return today + timedelta(days)


def _calendar(words: str, today: date) -> date | None:
    if match := re.fullmatch(r"(\d{4})-(\d{1,2})-(\d{1,2})", words):
        return _date(int(match[1]), int(match[2]), int(match[3]))
    month, day, year = 0, 0, today.year
    month_word = "|".join(f"{name[:3]}[a-z]*" for name in MONTHS)
    if match := re.fullmatch(rf"(\d{{1,2}})(?:st|nd|rd|th)?(?: of)? ({month_word})\.?(?:,? (\d{{4}}))?", words):
        day, month, year = int(match[1]), _month(match[2]), int(match[3] or 0)
    elif match := re.fullmatch(rf"({month_word})\.? (?:the )?(\d{{1,2}})(?:st|nd|rd|th)?(?:,? (\d{{4}}))?", words):
        month, day, year = _month(match[1]), int(match[2]), int(match[3] or 0)
    elif match := re.fullmatch(r"(\d{1,2})(?:st|nd|rd|th)", words):
        month, day, year = today.month, int(match[1]), 0
        if day < today.day:
            month, year = (1, today.year + 1) if month == 12 else (month + 1, 0)
    else:
        return None
    if year:
        return _date(year, month, day)
    this = _date(today.year, month, day)
    return _date(today.year + 1, month, day) if this and this < today else this


def _month(word: str) -> int:
    return next(i for i, name in enumerate(MONTHS, 1) if name.startswith(word[:3]))


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _days_ahead(words: str, today: date) -> date | None:
    match = re.fullmatch(r"(?:in )?(.+?)(?: from now)?", words)
    seconds = duration_of(match[1]) if match else None
    if seconds is None or seconds % 86_400 or not 0 < seconds < 400 * 86_400:
        return None
    return today + timedelta(seconds=seconds)


@lru_cache(maxsize=4096)
def time_of(text: str) -> time | None:
    """The time of day that the words mean ("3 pm", "15:30", "half past 3", "noon"), or None."""
    if len(text) > LONGEST:
        return None
    words = in_english(re.sub(r"\s+", " ", text.strip().lower().rstrip("?!")))
    words = re.sub(r"^(?:at|by|around|from) ", "", words).removesuffix(" o'clock").removesuffix(" sharp")
    if words in PARTS:
        return PARTS[words]
    if match := re.fullmatch(r"(half|quarter) (past|to) (\w+)(?: ?([ap])\.?m\.?)?", words):
        minutes = {"half": 30, "quarter": 15}[match[1]]
        hour = SMALL.get(match[3], match[3] if match[3].isdigit() else None)
        if hour is None:
            return None
        return _clock(int(hour) - (match[2] == "to"), minutes if match[2] == "past" else 60 - minutes, match[4])
    words = re.sub(r" in the (morning|afternoon|evening)$", lambda m: " am" if m[1] == "morning" else " pm", words)
    if match := re.fullmatch(r"(\d+|[a-z]+?)(?:[:.h](\d\d))? ?(?:([ap])\.?m\.?)?", words):
        hour = SMALL.get(match[1], match[1] if match[1].isdigit() else None)
        return None if hour is None else _clock(int(hour), int(match[2] or 0), match[3])
    return None


def _clock(hour: int, minute: int, half: str | None) -> time | None:
    if half == "p" and hour < 12:
        hour += 12
    elif half == "a" and hour == 12:
        hour = 0
    elif half is None and 1 <= hour <= 6 and minute % 15 == 0:
        hour += 12  # "at 3" is in the afternoon
    return time(hour, minute) if 0 <= hour < 24 and 0 <= minute < 60 else None


@lru_cache(maxsize=4096)
def duration_of(text: str) -> int | None:
    """Seconds that the words mean ("1 hour 20 minutes", "half an hour", "90s", "20分钟"), or None."""
    if len(text) > LONGEST:
        return None
    words = in_english(re.sub(r"\s+", " ", text.strip().lower()))
    words = re.sub(r"^(?:for|about) ", "", words)
    words = re.sub(r"(?<=\d)-(?=[a-z])", " ", words)  # 10-minute
    words = re.sub(r"\b(\w+) and a half (hours?|minutes?)", r"\1 \2 half \2", words)
    words = re.sub(r"\b(an hour|a minute) and a half", lambda m: f"{m[1]} half {m[1].split()[1]}", words)
    words = re.sub(r"\b(hours?) and a quarter", r"\1 15 minutes", words)
    words = re.sub(r"\ba? ?quarter of an hour", "15 minutes", words)
    words = words.replace("half-hour", "half hour")
    words = words.replace("half an ", "half ").replace("half a ", "half ")
    total, rest = 0.0, words
    for match in SPAN.finditer(words):
        amount = float(SMALL.get(match[1], match[1]))
        total += amount * next(seconds for unit, seconds in UNITS if re.fullmatch(unit, match[2]))
        rest = rest.replace(match[0], " ", 1)
    if not 0 < total < LONGEST_S or re.sub(r"\band\b|,|-|\s", "", rest):
        return None
    return round(total)


@lru_cache(maxsize=4096)
def moment_of(text: str, now: datetime) -> datetime | None:
    """The moment that the words mean ("in 20 minutes", "tomorrow at 9", "friday morning", "6 pm"), or None."""
    if len(text) > LONGEST:
        return None
    words = in_english(re.sub(r"\s+", " ", text.strip().lower().rstrip(".?!")))
    after = re.fullmatch(r"(?:in|after) ?(.+)|(.+?) from now", words)
    seconds = duration_of(after[1] or after[2]) if after else None
    if seconds:
        return now + timedelta(seconds=seconds)
    if moment := time_of(words):
        day = now.date() + timedelta(datetime.combine(now.date(), moment) <= now.replace(tzinfo=None))
        return datetime.combine(day, moment)
    for cut in [match.start() for match in re.finditer(r" ", words)]:
        first, second = words[:cut].strip(" ,"), words[cut:].strip(" ,")
        for day_words, time_words in ((first, second), (second, first)):
            found, at = day_of(day_words, now.date()), time_of(time_words)
            if found and at:
                return datetime.combine(found, at)
    whole = day_of(words, now.date())
    part = next((PARTS[word] for word in words.split() if word in PARTS), time(9))
    return datetime.combine(whole, part) if whole else None
