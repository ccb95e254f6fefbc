"""Values that a request hands over word for word: paths, addresses, zones, marks, names, quoted words.

Drawn from so many that none is known: a model can only copy them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

from moonlet.simulate import slots
from moonlet.simulate.asking import LANGUAGES
from moonlet.simulate.words import ADJECTIVES, ANY_FIRST, ENDINGS, LAST_NAMES, NOUNS, PLACES, SYLLABLES, words

ROOTS = (
    "/srv", "/data", "/mnt/share", "/mnt/disk{n}", "/home/{user}", "/home/{user}/Documents", "/Users/{user}",
    "/Users/{user}/Desktop", "/var/lib", "/var/log", "/opt", "/workspace", "/projects", "/media/{user}", "/backup",
    "/export", "/usr/local/share", "/nas/vol{n}", "~", "~/work", "C:/Users/{user}", "D:", "./", "",
)  # fmt: skip
FOLDERS = words(
    "archive assets backup build config content data docs downloads drafts exports images imports incoming inbox "
    "library logs media misc models music old outgoing output photos pictures private projects public reports "
    "scans scripts shared source spool src static temp templates tests uploads videos work"
)
EXTENSIONS = words(
    "md csv json yaml yml toml log pdf docx xlsx png jpg jpeg webp svg mp3 wav flac mp4 mov zip tar gz html css js ts "
    "py rs go java sql ini cfg conf xml bak odt epub ics"
)
ENDS = words("com org net io dev app example info eu de co.uk fr nl th jp cloud site")
ZONES = words(
    "Africa/Accra Africa/Cairo Africa/Casablanca Africa/Johannesburg Africa/Lagos Africa/Nairobi Africa/Tunis "
    "America/Anchorage America/Argentina/Buenos_Aires America/Bogota America/Caracas America/Chicago America/Denver "
    "America/Edmonton America/Guatemala America/Halifax America/Havana America/Jamaica America/La_Paz America/Lima "
    "America/Los_Angeles America/Manaus America/Mexico_City America/Montevideo America/Panama America/Phoenix "
    "America/Puerto_Rico America/Regina America/Santiago America/Sao_Paulo America/St_Johns America/Toronto "
    "America/Vancouver America/Winnipeg Asia/Almaty Asia/Amman Asia/Baku Asia/Beirut Asia/Colombo Asia/Dhaka "
    "Asia/Dubai Asia/Ho_Chi_Minh Asia/Hong_Kong Asia/Jakarta Asia/Jerusalem Asia/Kabul Asia/Karachi Asia/Kathmandu "
    "Asia/Kolkata Asia/Kuala_Lumpur Asia/Makassar Asia/Manila Asia/Muscat Asia/Phnom_Penh Asia/Qatar Asia/Riyadh "
    "Asia/Seoul Asia/Shanghai Asia/Singapore Asia/Taipei Asia/Tashkent Asia/Tbilisi Asia/Tehran Asia/Ulaanbaatar "
    "Asia/Vientiane Asia/Yangon Asia/Yerevan Atlantic/Azores Atlantic/Bermuda Atlantic/Canary Atlantic/Reykjavik "
    "Australia/Adelaide Australia/Brisbane Australia/Darwin Australia/Hobart Australia/Melbourne Australia/Perth "
    "Australia/Sydney Europe/Amsterdam Europe/Athens Europe/Belgrade Europe/Brussels Europe/Bucharest Europe/Budapest "
    "Europe/Copenhagen Europe/Dublin Europe/Helsinki Europe/Istanbul Europe/Kyiv Europe/Lisbon Europe/London "
    "Europe/Luxembourg Europe/Madrid Europe/Malta Europe/Minsk Europe/Moscow Europe/Oslo Europe/Prague Europe/Riga "
    "Europe/Rome Europe/Sarajevo Europe/Sofia Europe/Stockholm Europe/Tallinn Europe/Vienna Europe/Vilnius "
    "Europe/Warsaw Europe/Zagreb Europe/Zurich Indian/Maldives Indian/Mauritius Pacific/Auckland Pacific/Fiji "
    "Pacific/Guam Pacific/Honolulu Pacific/Tahiti Pacific/Tongatapu Etc/UTC Etc/GMT+5"
)
# What the judged tasks hand over or get, and cities whose zones they ask for.
JUDGED_TEXTS = ("buy stamps", "likes trains", "hello world", "first commit")
JUDGED = frozenset(("Tokyo", "Paris", "New York", "New York City", "Bangkok", "Berlin"))
CITIES = tuple(place for place in PLACES if place not in JUDGED)
AREAS = words("Africa America Asia Atlantic Australia Europe Indian Pacific")
STATES = words(
    "open closed pending active archived draft published done failed running queued cancelled paused new ready blocked "
    "approved rejected expired shipped delivered idle online offline overdue completed scheduled unknown"
)
LEVELS = words("low normal high urgent critical minor major none")
UNITS = words("g kg ml l cm m km mm pieces boxes cups hours minutes days pages points bags sheets rolls")
FORMATS = words("csv json pdf markdown html xlsx xml yaml text png zip")
TLD_PARTS = words("api docs status shop news blog data files cdn www media support wiki")
LETTERS, DIGITS = "ABCDEFGHJKLMNPQRSTUVWXYZ", "0123456789"
HEX = DIGITS + "abcdef"


def noun(rng: Random) -> str:
    return rng.choice(NOUNS)


def invented(rng: Random) -> str:
    """A word that nobody knows."""
    return "".join(rng.choice(SYLLABLES) for _ in range(rng.randrange(2, 4))) + rng.choice(ENDINGS)


def word(rng: Random) -> str:
    """One word, known or not."""
    return rng.choice((noun, noun, lambda r: r.choice(ADJECTIVES), invented))(rng)


def person(rng: Random) -> str:
    return f"{rng.choice(ANY_FIRST)} {rng.choice(LAST_NAMES)}"


def user(rng: Random) -> str:
    """A name to log in with."""
    first = rng.choice(ANY_FIRST).lower()
    return rng.choice((first, first, f"{first}.{rng.choice(LAST_NAMES).lower()}", f"{first}{rng.randrange(10, 99)}"))


def email(rng: Random) -> str:
    return f"{user(rng)}@{rng.choice((noun, invented))(rng)}.{rng.choice(ENDS)}"


def segment(rng: Random) -> str:
    """One part of a path."""
    return rng.choice((
        noun(rng), rng.choice(FOLDERS), rng.choice(FOLDERS), str(rng.randrange(1999, 2031)), invented(rng),
        f"{rng.choice(ADJECTIVES)}-{noun(rng)}", f"{noun(rng)}_{noun(rng)}", f"{noun(rng)}{rng.randrange(1, 99)}",
        f"v{rng.randrange(1, 20)}", noun(rng).capitalize(),
    ))  # fmt: skip


def folder(rng: Random) -> str:
    """The path of a folder."""
    root = rng.choice(ROOTS).format(n=rng.randrange(1, 9), user=user(rng))
    parts = "/".join(segment(rng) for _ in range(rng.choice((1, 1, 1, 2, 2, 3))))
    return f"{root}{'/' if root and not root.endswith('/') else ''}{parts}"


def file_name(rng: Random) -> str:
    stem = rng.choice((
        noun(rng), invented(rng), f"{noun(rng)}-{noun(rng)}", f"{noun(rng)}_{noun(rng)}", slug(rng),
        f"IMG_{rng.randrange(1000, 9999)}", f"{rng.choice(ADJECTIVES)}_{noun(rng)}", f"{noun(rng)}-{day(rng)}",
        f"{noun(rng)}{rng.randrange(1, 99)}", noun(rng).capitalize(), f"scan{rng.randrange(10, 999)}",
    ))  # fmt: skip
    return f"{stem}.{rng.choice(EXTENSIONS)}"


def path(rng: Random) -> str:
    """The path of a file."""
    return f"{folder(rng)}/{file_name(rng)}" if rng.random() < 0.85 else file_name(rng)


def host(rng: Random) -> str:
    name = rng.choice((noun(rng), invented(rng), f"{noun(rng)}{noun(rng)}", f"{rng.choice(ADJECTIVES)}-{noun(rng)}"))
    return f"{rng.choice(TLD_PARTS) + '.' if rng.random() < 0.4 else ''}{name}.{rng.choice(ENDS)}"


def url(rng: Random) -> str:
    parts = "".join(f"/{segment(rng)}" for _ in range(rng.randrange(4)))
    end = rng.choice(("", "", "", "/", f"?id={rng.randrange(999)}", f"/{file_name(rng)}", f"#{noun(rng)}"))
    return f"http{rng.choice(('s', 's', 's', ''))}://{host(rng)}{parts}{end}"


def uri(rng: Random) -> str:
    """An address of a server's own scheme."""
    return f"{noun(rng)}://{noun(rng)}/{rng.choice((noun(rng), invented(rng), str(rng.randrange(1, 999))))}"


def zone(rng: Random) -> str:
    """An IANA time zone, now and then one that only looks like one."""
    return rng.choice(ZONES) if rng.random() < 0.7 else f"{rng.choice(AREAS)}/{rng.choice(CITIES).replace(' ', '_')}"


def slug(rng: Random) -> str:
    return "-".join(rng.choice((noun, word))(rng) for _ in range(rng.choice((2, 2, 3))))


def mark(rng: Random) -> str:
    """An id as servers give them."""
    return rng.choice((
        f"{''.join(rng.choice(LETTERS) for _ in range(rng.choice((2, 3))))}-{rng.randrange(1, 9999)}",
        f"{noun(rng)[:4]}_{''.join(rng.choice(HEX) for _ in range(6))}", "".join(rng.choice(HEX) for _ in range(8)),
        f"{noun(rng)}-{rng.randrange(1, 999)}", f"{rng.choice(LETTERS)}{rng.randrange(100, 99999)}",
        f"{''.join(rng.choice(HEX) for _ in range(8))}-{''.join(rng.choice(HEX) for _ in range(4))}",
    ))  # fmt: skip


def entity(rng: Random) -> str:
    """What somebody called something."""
    big, other = rng.choice(ADJECTIVES).capitalize(), noun(rng).capitalize()
    return rng.choice((
        f"{big} {other}", f"{other} {noun(rng).capitalize()}", f"{rng.choice(ADJECTIVES)} {noun(rng)}", person(rng),
        f"{other} {rng.randrange(1, 40)}", rng.choice(ANY_FIRST), f"{rng.choice(PLACES)} {noun(rng)}", noun(rng), other,
        f"The {big} {other}", invented(rng).capitalize(), f"{rng.choice(ANY_FIRST)}'s {noun(rng)}",
        f"{other} of {rng.choice(PLACES)}", f"{big}_{other}", f"{other}{noun(rng).capitalize()}",
    ))  # fmt: skip


def day(rng: Random) -> str:
    return f"{rng.randrange(2019, 2031)}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}"


def clock(rng: Random) -> str:
    return f"{rng.randrange(24):02}:{rng.choice((0, 15, 30, 45, rng.randrange(60))):02}"


def moment(rng: Random) -> str:
    """A day and its time, as machines write them."""
    end = rng.choice(("Z", "", "+00:00", f"+{rng.randrange(1, 12):02}:00", f"-{rng.randrange(1, 10):02}:00"))
    return f"{day(rng)}T{clock(rng)}:{rng.randrange(60):02}{end}"


def version(rng: Random) -> str:
    return f"{rng.choice(('', 'v'))}{rng.randrange(9)}.{rng.randrange(30)}.{rng.randrange(12)}"


def colour(rng: Random) -> str:
    return "#" + "".join(rng.choice(HEX) for _ in range(6))


def cells(rng: Random) -> str:
    """A range of a sheet."""
    return f"{rng.choice(LETTERS)}{rng.randrange(1, 60)}:{rng.choice(LETTERS)}{rng.randrange(1, 99)}"


def said(rng: Random) -> str:
    """A few words that somebody wants written somewhere, without marks at their end."""
    text = rng.choice((
        lambda: slots.free_text("note", rng), lambda: slots.free_text("message", rng),
        lambda: slots.free_text("task", rng), lambda: slots.free_text("title", rng),
        lambda: f"{rng.choice(ADJECTIVES)} {noun(rng)} {rng.choice(('for', 'and', 'with', 'near', 'or'))} {noun(rng)}",
        lambda: " ".join(word(rng) for _ in range(rng.randrange(2, 6))),
        lambda: f"the {noun(rng)} is {rng.choice(ADJECTIVES)}", lambda: f"{person(rng)} has the {noun(rng)}",
    ))().strip(" .!?")  # fmt: skip
    return said(rng) if any(judged in text for judged in JUDGED_TEXTS) else text


def topic(rng: Random) -> str:
    """What is looked for."""
    return rng.choice((noun, noun, word, lambda r: f"{r.choice(ADJECTIVES)} {noun(r)}", lambda r: r.choice(PLACES),
                       lambda r: r.choice(ANY_FIRST), invented, lambda r: f"{noun(r)} {noun(r)}"))(rng)  # fmt: skip


def measure(rng: Random) -> str:
    return f"{rng.randrange(1, 900)} {rng.choice(UNITS)}"


# What a field holds, by the last word of its name; any other holds a word.
BY_NAME: Mapping[str, Callable[[Random], str]] = {
    "id": mark, "path": path, "folder": folder, "directory": folder, "file": file_name, "filename": file_name,
    "url": url, "link": url, "uri": uri, "zone": zone, "timezone": zone, "slug": slug, "name": entity, "title": entity,
    "label": entity, "subject": said, "owner": person, "author": person, "assignee": person, "recipient": person,
    "sender": person, "contact": person, "artist": person, "driver": person, "teacher": person, "guest": person,
    "email": email, "user": user, "username": user, "date": day, "deadline": day, "due": day, "birthday": day,
    "at": moment, "timestamp": moment, "modified": moment, "created": moment, "time": clock, "start": clock,
    "end": clock, "version": version, "color": colour, "colour": colour, "range": cells, "text": said,
    "message": said, "note": said, "notes": said, "comment": said, "description": said, "summary": said,
    "body": said, "content": said, "reason": said, "query": topic, "status": lambda r: r.choice(STATES),
    "state": lambda r: r.choice(STATES), "priority": lambda r: r.choice(LEVELS),
    "severity": lambda r: r.choice(LEVELS), "unit": lambda r: r.choice(UNITS), "amount": measure,
    "format": lambda r: r.choice(FORMATS), "place": lambda r: r.choice(PLACES), "city": lambda r: r.choice(PLACES),
    "location": lambda r: r.choice(PLACES), "origin": lambda r: r.choice(PLACES),
    "destination": lambda r: r.choice(PLACES), "station": lambda r: r.choice(PLACES),
    "language": lambda r: r.choice(LANGUAGES), "hash": lambda r: "".join(r.choice(HEX) for _ in range(7)),
    "code": mark, "tag": word,
}  # fmt: skip
WHOLE = frozenset(words(
    "count quantity servings minutes hours seconds days pages size bytes number limit level rating priority_level year "
    "capacity stock seats floor line row column page score points lap laps age copies width height retries attempts"
))  # fmt: skip  # names of fields that hold whole numbers
DECIMAL = frozenset(words("price cost total weight distance temperature balance fee ratio percent speed length"))


def field_kind(name: str) -> str:
    """The JSON type of a field of this name."""
    last = name.split()[-1]
    return "integer" if last in WHOLE else "number" if last in DECIMAL else "string"


def field_value(name: str, rng: Random) -> str | int | float:
    """A value for a field of this name."""
    kind = field_kind(name)
    if kind == "integer":
        return rng.choice((rng.randrange(1, 13), rng.randrange(1, 100), rng.randrange(1, 5000)))
    if kind == "number":
        return round(rng.uniform(0.1, 400), rng.choice((1, 2)))
    return BY_NAME.get(name.split()[-1], word)(rng)


RELATIONS = (
    "part of", "parent", "duplicate", "copy", "follows", "blocks", "replaces", "next to", "belongs to", "similar",
    "made by", "depends on", "successor", "twin", "source", "spare", "partner", "used by", "variant", "contains",
)  # fmt: skip


# What a parameter holds that is no field.
BY_SLOT: Mapping[str, Callable[[Random], str]] = {
    "path": path, "folder": folder, "query": topic, "name": entity, "new": entity, "source": path, "target": path,
    "text": said, "to": person, "url": url, "zone": zone, "from_zone": zone, "to_zone": zone, "clock": clock,
    "origin": lambda r: r.choice(PLACES), "destination": lambda r: r.choice(PLACES),
    "relation": lambda r: r.choice(RELATIONS), "owner": person, "day": day,
}  # fmt: skip
