"""What people talk about: places, days, times, names, things to do and to write down, as they type them.

Each function returns (surface, value): the words in the request and the argument they mean. A text argument is the
words as typed; the only words left out are the prepositions on, at, for and by in front of a day or time.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import lru_cache
from random import Random
from typing import Any

from moonlet.simulate import measures, sums
from moonlet.simulate.wording import Pattern, fill, read, slot_names
from moonlet.simulate.words import (
    ADJECTIVES,
    ANY_FIRST,
    CLOCK_CITIES,
    DEEDS,
    ENDINGS,
    GOODS,
    GROCERIES,
    LAST_NAMES,
    MONEY,
    MONTHS,
    MORE_ITEMS,
    NOUNS,
    PEOPLE,
    PLACES,
    ROLES,
    SINGLES,
    SPOTS,
    SYLLABLES,
    UNIT_FAMILIES,
    VISITS,
    WEEKDAYS,
)  # fmt: skip
from moonlet.simulate.world import ITEMS, NOWHERE, World

Slot = tuple[str, Any]
Draw = Callable[..., Slot]  # of a Random and, where it matters, a World

SIGNS = {"coin": "$", "not_euro": "€", "not_pound": "£"}
LETTERS = "ABCDEFGHKLMNPRSTXYZ"
OCLOCK = "o'clock"
# No clock time follows these.
PARTS = frozenset({"morning", "night", "evening", "afternoon", "week", "weekend", "tonight", "today", "month"})
HOURS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven")
WORD: dict[str, Callable[[Random], str]] = {
    **{name: lambda rng: rng.choice(NOUNS) for name in ("noun", "noun2", "noun3")},
    **{name: lambda rng: rng.choice(ADJECTIVES) for name in ("adjective", "adjective2")},
    **{name: lambda rng: rng.choice(GROCERIES) for name in ("grocery", "grocery2", "grocery3")},
    "first": lambda rng: rng.choice(ANY_FIRST),
    "first2": lambda rng: rng.choice(ANY_FIRST),
    "code": lambda rng: code(rng), "last": lambda rng: rng.choice(LAST_NAMES),
    "person": lambda rng: _person_word(rng), "n": lambda rng: str(rng.randrange(10, 9999)),
    "small": lambda rng: str(rng.randrange(2, 60)), "weekday": lambda rng: rng.choice(WEEKDAYS),
    "task": lambda rng: free_text("task", rng), "time": lambda rng: clock_time(rng)[0],
    "place": lambda rng: rng.choice(PLACES), "spot": lambda rng: rng.choice(SPOTS),
    "deed": lambda rng: rng.choice(DEEDS), "visit": lambda rng: rng.choice(VISITS),
}  # fmt: skip


def code(rng: Random) -> str:
    """A mark of letters and digits: AB-1234, x7k2p, 80-221-4."""
    return rng.choice((
        f"{rng.choice(LETTERS)}{rng.choice(LETTERS)}{rng.choice(('', '-', ' '))}{rng.randrange(10, 99_999)}",
        "".join(rng.choice("abcdefghkmnpqrstuvwxyz23456789") for _ in range(rng.randrange(4, 9))),
        f"{rng.choice(NOUNS)}{rng.randrange(1, 999)}",
        f"{rng.randrange(10, 99)}-{rng.randrange(100, 999)}-{rng.randrange(9)}",
    ))  # fmt: skip


def _person_word(rng: Random) -> str:
    return rng.choice(PEOPLE).format(first=rng.choice(ANY_FIRST), last=rng.choice(LAST_NAMES))


def same(text: str) -> Slot:
    """Words that stand for themselves."""
    return text, text


def _free(slot: str) -> Draw:
    def drawn(rng: Random, world: World | None = None) -> Slot:
        return same(free_text(slot, rng))

    return drawn


def free_text(slot: str, rng: Random) -> str:
    """A text for one of the slots of en_values: task, note, message, title, asked, wish, matter."""
    patterns = _values()[slot]
    skeleton = patterns[int(rng.random() * len(patterns))].expand(rng)
    return fill(skeleton, {name: WORD[name](rng) for name in slot_names(skeleton)})


@lru_cache(maxsize=1)
def _values() -> dict[str, tuple[Pattern, ...]]:
    return {header["slot"]: patterns for header, patterns in read("en_values")}


task, note, message, title = _free("task"), _free("note"), _free("message"), _free("title")
asked, wish, matter = _free("asked"), _free("wish"), _free("matter")


def known_title(rng: Random, world: World) -> Slot:
    """Mostly an event of the world, sometimes shortened to one word of it, sometimes an event that is not there."""
    if not world.events or rng.random() < 0.2:
        return title(rng)
    found = rng.choice(world.events).title
    return same(rng.choice(found.split()) if rng.random() < 0.1 and len(found.split()[0]) > 4 else found)


def topic(rng: Random, world: World) -> Slot:
    """Words to look for in the notes."""
    dice = rng.random()
    if dice < 0.35 and world.notes:
        words = [word.strip(":,") for word in rng.choice(world.notes).split() if len(word) > 3]
        return same(rng.choice(words)) if words else same(rng.choice(NOUNS))
    if dice < 0.66:
        return same(_two_words(rng))
    if dice < 0.70:
        return same(f"{rng.choice(('Mr.', 'Mrs.', 'Dr.', 'Ms.', 'Prof.', 'St.'))} {rng.choice(LAST_NAMES)}")
    return same(rng.choice(("wifi", "wifi password", "locker code", rng.choice(ANY_FIRST), *[rng.choice(NOUNS)] * 4)))


def _two_words(rng: Random) -> str:
    """A thing in two words: "old printer", "tea towel", "Mia's shoes"."""
    first = rng.choice((rng.choice(ADJECTIVES), rng.choice(NOUNS), f"{rng.choice(ANY_FIRST)}'s"))
    between = f"{rng.choice(ADJECTIVES)} " if rng.random() < 0.15 else ""
    return f"{first} {between}{rng.choice(NOUNS)}"


def place(rng: Random, world: World | None = None) -> Slot:
    """A place: one of those listed, now and then one that is invented or that nobody knows."""
    dice = rng.random()
    if dice < 0.08:
        return same(_invented(rng))
    if dice < 0.09:
        return same(rng.choice(sorted(NOWHERE)).title())
    return same(rng.choice(PLACES))


def _invented(rng: Random) -> str:
    name = "".join(rng.choice(SYLLABLES) for _ in range(rng.randrange(2, 4))) + rng.choice(ENDINGS)
    return name.capitalize()


def clock_city(rng: Random, world: World | None = None) -> Slot:
    """A place whose time is asked, mostly one whose clock is known."""
    return same(rng.choice(CLOCK_CITIES)) if rng.random() < 0.85 else place(rng)


def date_words(rng: Random, world: World | None = None) -> str:
    """A date, mostly within two weeks of the world's today."""
    if world and rng.random() < 0.75:
        near = world.today + timedelta(rng.randrange(15))
        day, month, numeric = near.day, MONTHS[near.month - 1], f"{near}"
    else:
        day, month = rng.randrange(1, 29), rng.choice(MONTHS)
        numeric = f"2026-{MONTHS.index(month) + 1:02}-{day:02}"
    ordinal = f"{day}{'th' if 10 < day < 20 else {1: 'st', 2: 'nd', 3: 'rd'}.get(day % 10, 'th')}"
    return rng.choice((f"{day} {month}", f"{month} {day}", f"{month} {ordinal}", f"the {ordinal}", f"the {ordinal}",
                       f"{ordinal} of {month}", f"the {ordinal} of {month}", f"{month} the {ordinal}",
                       f"{ordinal} {month}", f"{month[:3]} {day}", f"{day} {month[:3]}", numeric, numeric,
                       f"{month[:3]} {ordinal}", f"{day}/{MONTHS.index(month) + 1}"))  # fmt: skip


def day(rng: Random, world: World | None = None) -> Slot:
    """A day without a preposition."""
    dice = rng.random()
    if dice < 0.38:
        short = rng.choice(("tmrw", "tmr", "tomoz"))
        return same(rng.choice(("tomorrow", "tomorrow", "tomorrow", short, "the weekend", "later today", "today",
        "today", "tonight", "the day after tomorrow",
                                "this weekend", "this evening", "this afternoon", "tomorrow morning", "next week",
                                "tomorrow evening", "tomorrow night", "this morning", "tomorrow afternoon",
                                "next weekend", "in a week")))  # fmt: skip
    if dice < 0.72:
        found = rng.choice(WEEKDAYS)
        if rng.random() < 0.22:
            found = found[: 4 if found.startswith(("Tu", "Th")) and rng.random() < 0.5 else 3]
        if rng.random() < 0.06:
            return same(f"{found} next week")
        return same(
            rng.choice(("", "", "", "", "", "next ", "next ", "this ", "this coming "))
            + found
            + rng.choice(("", "", "", "", " morning", " night", " evening", " afternoon"))
        )
    if dice < 0.79:
        number = rng.choice(("two", "three", "four", "five", "six", "2", "3", "4", "5", "6", "10"))
        return same(f"in {number} days" if rng.random() < 0.8 else rng.choice(("in two weeks", "in 2 weeks")))
    return same(date_words(rng, world))


def on_day(rng: Random, world: World | None = None) -> Slot:
    """A day with the preposition it takes."""
    surface, value = day(rng, world)
    if surface == "the weekend":
        return f"{rng.choice(('at', 'on', 'over'))} the weekend", "the weekend"
    if surface[0].isupper() or surface[0].isdigit() or (surface.startswith("the ") and surface[4].isdigit()):
        return f"{'on ' if rng.random() < 0.8 else ''}{surface}", value
    return surface, value


def for_day(rng: Random, world: World | None = None) -> Slot:
    """A day, with its preposition: "for tomorrow", "in a week"."""
    surface, value = day(rng, world)
    return (surface if surface.startswith("in ") else f"for {surface}"), value


def clock_time(rng: Random, world: World | None = None) -> Slot:
    """A time of day: "6 pm", "18:30", "noon", "half past seven"."""
    hour, minute = rng.randrange(1, 13), rng.choice((0, 0, 0, 15, 30, 45, rng.randrange(60)))
    half = rng.choice(("am", "pm", "pm"))
    clock = f"{hour}:{minute:02}" if minute else str(hour)
    dice = rng.random()
    if dice < 0.65:
        return same(f"{clock}{rng.choice(('', ' '))}{half}")
    if dice < 0.80:
        return same(f"{rng.randrange(7, 23)}:{minute:02}")
    if dice < 0.86:
        return same(rng.choice(("noon", "midday", "midnight", "noon", "lunchtime", f"{hour} {half[0]}.m.",
                                f"{rng.randrange(6, 12)} in the morning", f"{rng.randrange(1, 6)} in the afternoon",
                                f"{rng.randrange(6, 11)} in the evening")))  # fmt: skip
    if dice < 0.92:
        return same(rng.choice(("half past ", "quarter past ", "quarter to ")) + rng.choice((str(hour), *HOURS)))
    if dice < 0.94:
        return same(rng.choice(HOURS) + rng.choice((" am", " pm", " pm", "", f" {OCLOCK}")))
    return same(f"{hour}" if rng.random() < 0.6 else f"{hour} {OCLOCK}")


def at_time(rng: Random, world: World | None = None) -> Slot:
    """A time of day, with its preposition: "at 6 pm"."""
    surface, value = clock_time(rng)
    return f"at {surface}", value


def moment(rng: Random, world: World | None = None) -> Slot:
    """When to be reminded, with its preposition: "at 6 pm", "in 20 minutes", "tomorrow at 9", "on friday morning"."""
    dice = rng.random()
    if dice < 0.25:
        return at_time(rng)
    if dice < 0.43:
        return same(f"in {span(rng)[0]}")
    if dice < 0.46:
        return same(f"{span(rng)[0]} from now")
    if dice < 0.50:
        part = rng.choice(("tonight", "this evening", "this afternoon", "tomorrow morning", "tomorrow evening"))
        return same(f"{part} at {clock_time(rng)[0]}")
    if dice < 0.70:
        surface, value = on_day(rng, world)
        clock = clock_time(rng)[0]
        between = rng.choice((" at ", " at ", " "))
        if surface.startswith("in ") or value.split()[-1] in PARTS:
            return surface, value
        return surface + between + clock, value + between + clock
    if dice < 0.78:
        clock, relative = clock_time(rng)[0], rng.choice(("tomorrow", "tonight", "today", *WEEKDAYS))
        if relative in WEEKDAYS:
            relative = "on " + relative
        return f"at {clock} {relative}", f"{clock} {relative}"
    return on_day(rng, world)


def clock_moment(rng: Random, world: World | None = None) -> Slot:
    """When to be reminded as a jotting has it, without a preposition: "17:00", "fri 9am", "tmrw morning"."""
    dice = rng.random()
    if dice < 0.4:
        return clock_time(rng)
    found = day(rng, world)[0]
    if dice < 0.75 and not found.startswith("in ") and found.split()[-1] not in PARTS:
        return same(f"{found} {clock_time(rng)[0]}")
    return same(found)


def span(rng: Random, world: World | None = None) -> Slot:
    """A duration."""
    dice = rng.random()
    if dice < 0.62:
        number = rng.choice(
            (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 25, 30, 35, 40, 45, 50, 60, 90, rng.randrange(2, 120))
        )
        unit = rng.choice(("minutes", "minutes", "minutes", "min", "mins", "hours", "seconds"))
        return same(f"{number} {unit[:-1] if number == 1 and unit.endswith('s') else unit}")
    if dice < 0.75:
        word = rng.choice(
            (
                "two",
                "three",
                "four",
                "five",
                "six",
                "seven",
                "eight",
                "nine",
                "ten",
                "eleven",
                "twelve",
                "fifteen",
                "twenty",
                "thirty",
                "forty",
                "forty-five",
            )
        )
        return same(f"{word} {rng.choice(('minutes', 'minutes', 'hours'))}")
    if dice < 0.90:
        return same(rng.choice(("half an hour", "an hour", "an hour and a half", "one hour", "a minute", "one minute",
                                "a quarter of an hour", "two and a half hours", "an hour", "one and a half hours",
                                "a minute and a half", "an hour and a quarter", "an hour and 20 minutes",
                                f"{rng.randrange(1, 9)} and a half minutes", "1.5 hours", "2 hrs", "90 secs",
                                "half an hour")))  # fmt: skip
    hours, minutes = rng.randrange(1, 4), rng.choice((5, 10, 15, 20, 30, 45))
    return same(rng.choice((f"{hours} hour{'s' * (hours > 1)} {minutes} minutes", f"{hours}h{minutes}m",
                            f"{hours} hour{'s' * (hours > 1)} and {minutes} minutes", f"{minutes}m",
                            f"{minutes}s")))  # fmt: skip


def short_span(rng: Random, world: World | None = None) -> Slot:
    """A duration in front of a noun: "a 10 minute timer"."""
    number = rng.choice((1, 2, 3, 5, 8, 10, 12, 15, 20, 25, 30, 45, 60, 90))
    return same(f"{number}{rng.choice((' ', ' ', '-'))}{rng.choice(('minute', 'minute', 'min', 'second', 'hour'))}")


def order(rng: Random, world: World) -> Slot:
    """Mostly the number or the thing of an order in the world."""
    if rng.random() < 0.15:
        number = f"{rng.choice('ABCDKX')}{rng.randrange(1000, 9999)}"
        return same(number)
    found = rng.choice(world.orders)
    if rng.random() < 0.6:
        return same(found.number if rng.random() < 0.9 else found.number[1:])
    return same(found.item if rng.random() < 0.65 else _other_item(rng))


def order_number(rng: Random, world: World) -> Slot:
    """The number of an order of this world, or one that it does not have."""
    if rng.random() < 0.2:
        return same(f"{rng.choice('ABCDKX')}{rng.randrange(1000, 9999)}")
    return same(rng.choice(world.orders).number)


def order_item(rng: Random, world: World) -> Slot:
    """What was ordered in this world, or might have been."""
    return same(rng.choice(world.orders).item if rng.random() < 0.55 else _other_item(rng))


def _other_item(rng: Random) -> str:
    dice = rng.random()
    if dice < 0.2:
        return rng.choice(ITEMS)[0]
    if dice < 0.6:
        return rng.choice((*MORE_ITEMS, *GOODS))
    if dice < 0.7:
        return f"{rng.choice(NOUNS)} {rng.choice(NOUNS)}"
    if dice < 0.8:
        return rng.choice(NOUNS)
    return f"{rng.choice((*ADJECTIVES, 'leather', 'garden', 'kids', 'travel'))} {rng.choice((*NOUNS, *GOODS))}"


def person(rng: Random, world: World) -> Slot:
    """Mostly a contact of the world, by first or full name."""
    dice = rng.random()
    if dice < 0.12:
        return same(rng.choice(("Mum", "Dad", "mum", "dad", "mom")))
    if dice < 0.27:
        first = rng.choice(ANY_FIRST) if rng.random() < 0.8 else _invented(rng)
        return same(first if rng.random() < 0.6 else f"{first} {rng.choice(LAST_NAMES)}")
    if dice < 0.33:
        return _role(rng)
    name = rng.choice(world.contacts).name
    return same(name if rng.random() < 0.35 else name.split()[0])


def _role(rng: Random) -> Slot:
    """Somebody by what they are; "my" and "the" are left out of the argument."""
    dice = rng.random()
    if dice < 0.5:
        role = rng.choice(ROLES)
        return rng.choice(("my ", "my ", "the ")) + role, role
    if dice < 0.75:
        return same(
            f"{rng.choice(('Mrs', 'Mr', 'Dr', 'Ms', 'Mr.', 'Dr.', 'Professor', 'Miss'))} {rng.choice(LAST_NAMES)}"
        )
    return same(
        rng.choice(("grandma", "grandpa", "granny", f"aunt {rng.choice(ANY_FIRST)}", f"uncle {rng.choice(ANY_FIRST)}"))
    )


ROOMS = (
    "attic", "basement", "garden", "nursery", "dining room", "guest room", "cellar", "balcony", "hall", "bath",
    "utility", "laundry room", "playroom", "kids room", "terrace", "corridor", "porch", "pantry", "utility room",
    "conservatory", "workshop", "spare room", "library", "den", "loft", "shed", "lounge", "study", "office",
    "bathroom", "living room", "front room", "sitting room", "box room", "music room", "sewing room",
    "boiler room", "cloakroom", "toilet", "loo", "ensuite", "wardrobe", "landing", "stairs", "staircase",
    "entrance", "driveway", "patio", "summer house", "greenhouse", "stable", "barn", "studio", "gym", "sauna",
    "bar", "classroom", "ward", "meeting room", "reception", "salon", "shop", "waiting room", "warehouse",
    "canteen", "server room", "game room", "craft room", "back room", "upstairs bathroom", "master bedroom",
    "kids bedroom", "downstairs loo", "back bedroom", "parlour", "scullery", "veranda", "mud room",
)  # fmt: skip


def room(rng: Random, world: World | None = None) -> Slot:
    """A room, mostly of a house."""
    usual = ("kitchen", "bedroom", "living room", "bathroom", "office", "hallway", "garage", "lounge", "study")
    return same(rng.choice(ROOMS if rng.random() < 0.35 else usual))


def percent(rng: Random, world: World | None = None) -> Slot:
    """A share in figures or words; its value is the number: "20%", "twenty percent"."""
    number = rng.choice((5, 10, 15, 20, 25, 30, 35, 40, 50, 60, 65, 70, 75, 80, 90, rng.randrange(1, 100)))
    if rng.random() < 0.16:
        return f"{sums.in_words(number)} {rng.choice(('percent', 'percent', 'per cent'))}", number
    return rng.choice((f"{number}%", f"{number}%", f"{number} percent", f"{number} %", f"{number}")), number


def degrees(rng: Random, world: World | None = None) -> Slot:
    """A temperature of a room; its value is the number: "20.5", "21°C", "twenty degrees"."""
    number: float = rng.choice((16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 19.5, 20.5, 21.5, 18.5, rng.randrange(10, 36)))
    if isinstance(number, int) and rng.random() < 0.12:
        return f"{sums.in_words(number)}{rng.choice(('', ' degrees', ' degrees celsius'))}", number
    return rng.choice(
        (f"{number}", f"{number} degrees", f"{number}°", f"{number} C", f"{number}°C", f"{number} degrees")
    ), number


def amount(rng: Random, world: World | None = None) -> Slot:
    """A sum or quantity; its value is the number."""
    dice = rng.random()
    if dice < 0.6:
        number: float = rng.choice(
            (1, 2, 3, 5, 8, 10, 12, 15, 20, 25, 30, 40, 42, 50, 60, 75, 80, 100, 120, 150, 200, 250, 500)
        )
    elif dice < 0.75:
        number = rng.randrange(1, 1000)
    elif dice < 0.9:
        number = round(rng.uniform(0.5, 100), rng.choice((1, 2)))
    else:
        number = rng.randrange(1000, 30_000)
        if rng.random() < 0.5:
            return f"{number:,}", number
    return f"{number:g}", json_number(number)


def count(rng: Random, world: World | None = None) -> Slot:
    """An amount, half of the time in words."""
    if rng.random() < 0.5:
        return amount(rng)
    if rng.random() < 0.25:
        return rng.choice((("a hundred", 100), ("a thousand", 1000), ("one hundred", 100), ("two hundred", 200),
                           ("five hundred", 500), ("one thousand", 1000), ("two thousand", 2000)))  # fmt: skip
    number = rng.choice((*range(2, 21), 25, 30, 35, 40, 45, 50, 60, 75, 80, 90))
    return sums.in_words(number), number


def json_number(number: float) -> int | float:
    """The number as its shortest JSON form: whole numbers without a point, as `:g` writes them."""
    value = float(f"{number:g}")
    return int(value) if value.is_integer() else value


def units(names: list[str], rng: Random) -> tuple[dict[str, str], dict[str, str]]:
    """Surfaces and arguments for the slots that name units, of which two convert into each other.

    {from} to {into} are any, {cash} to {into_cash} money, {unit} to {into_unit} measures; {one} is one of a measure
    ("a mile"); {coin}, {not_euro} and {not_pound} are money other than dollars, euros and pounds.
    """
    for slot, sign in SIGNS.items():
        if slot in names:
            found = rng.choice([coin for coin in MONEY if measures.convert(1, sign, coin) != 1])
            return {slot: found}, {"to_unit": found}
    if "one" in names:
        singles, many = rng.choice(SINGLES)
        first, second = rng.choice(singles), rng.choice(many)
        while measures.convert(1, first, second) == 1:
            second = rng.choice(many)
        article = "an" if first[0] in "aeio" or first == "hour" else "a"
        return {"one": f"{article} {first}", "into_unit": second}, {"from_unit": first, "to_unit": second}
    into = next((name for name in names if name.startswith("into")), "")
    if not into:
        return {}, {}
    source = {"into": "from", "into_cash": "cash", "into_unit": "unit"}[into]
    money = source == "cash" or (source == "from" and rng.random() < 0.45)
    family = MONEY if money else rng.choice(UNIT_FAMILIES)
    first, second = rng.sample(family, 2)
    while measures.convert(1, first, second) == 1:  # two names of one unit
        first, second = rng.sample(family, 2)
    return {source: first, into: second}, {"from_unit": first, "to_unit": second}


def _two(draw: Draw) -> Draw:
    def both(rng: Random, world: World) -> Slot:
        first, second = draw(rng, world), draw(rng, world)
        while second[1].lower() == first[1].lower():
            second = draw(rng, world)
        return rng.choice(("{} and {}", "{} and {}", "{} and also {}", "{}, {}", "both {} and {}")).format(
            first[0], second[0]
        ), (
            first[1],
            second[1],
        )

    return both


# Slot -> the argument that it fills and how it is drawn.
SLOTS: Mapping[str, tuple[str, Draw]] = {
    # What is taken back later in the sentence ("for 5, no, 10 minutes"): the later slot of the same argument counts.
    "old_place": ("place", place), "old_city": ("place", clock_city), "old_day": ("day", on_day),
    "new_day": ("day", on_day), "old_time": ("time", clock_time), "old_number": ("order", order_number),
    "old_name": ("name", person), "old_to": ("to", person), "old_duration": ("duration", span),
    "old_room": ("room", room), "old_percent": ("brightness", percent), "old_degrees": ("degrees", degrees),
    "old_amount": ("amount", amount), "old_task": ("text", task),
    "asked": ("text", asked), "wish": ("text", wish), "matter": ("text", matter), "count": ("amount", count),
    "story": ("expression", sums.story),
    "place": ("place", place), "places": ("place", _two(place)), "city": ("place", clock_city),
    "cities": ("place", _two(clock_city)),
    "day": ("day", day), "on_day": ("day", on_day), "for_day": ("day", for_day),
    "time": ("time", clock_time), "at_time": ("time", at_time),
    "title": ("title", title), "known": ("title", known_title), "knowns": ("title", _two(known_title)),
    "note": ("text", note), "topic": ("query", topic), "order": ("order", order),
    "number": ("order", order_number), "item": ("order", order_item), "numbers": ("order", _two(order_number)),
    "name": ("name", person), "to": ("to", person), "names": ("name", _two(person)),
    "message": ("text", message), "task": ("text", task), "when": ("when", moment), "clock": ("when", clock_moment),
    "duration": ("duration", span), "short": ("duration", short_span), "durations": ("duration", _two(span)),
    "room": ("room", room), "rooms": ("room", _two(room)),
    "percent": ("brightness", percent), "degrees": ("degrees", degrees), "amount": ("amount", amount),
    "spoken": ("expression", sums.spoken_sum), "share": ("expression", sums.share),
    "expression": ("expression", sums.expression), "expressions": ("expression", _two(sums.expression)),
}  # fmt: skip


def surface(name: str, rng: Random, world: World) -> str:
    """Some text for a slot whose meaning does not matter."""
    return SLOTS[name][1](rng, world)[0] if name in SLOTS else WORD[name](rng)
