"""A small world with state, made from a seed, for `moonlet run` and for training: home, calendar, shop, weather...

It is used once and thrown away. Nothing leaves it: messages are sent to nobody, orders are paid by nobody.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from math import cos, tau
from random import Random
from typing import Any, TypeVar

from moonlet.chat.messages import ToolSpec
from moonlet.simulate import measures, when
from moonlet.simulate.names import ITEM_NAMES, PARENTS, ROOM_NAMES
from moonlet.simulate.script import simplified
from moonlet.simulate.words import CLIMATES, FIRST_NAMES, LAST_NAMES
from moonlet.tools.basic import calculator, clock
from moonlet.tools.tool import Tool, ToolError, parameters

LARGEST = 1e15  # amount that is converted
NOWHERE = {"atlantis", "narnia", "mordor", "gotham", "hogwarts", "wakanda", "neverland", "westeros", "el dorado"}
SKIES = ("sunny", "partly cloudy", "cloudy", "foggy", "light rain", "rain", "heavy rain", "thunderstorms")
FAMILY = ("Mum", "Dad")
TITLES = (
    "dentist", "team meeting", "lunch with {name}", "yoga class", "haircut", "call with {name}", "doctor appointment",
    "dinner with {name}", "project review", "swimming lesson", "book club", "car service", "job interview",
    "piano lesson", "parents evening", "gym", "birthday party", "coffee with {name}", "flight to {place}", "vet",
    "budget meeting", "football practice", "standup", "concert", "movie night",
)  # fmt: skip
NOTES = (
    "wifi password is bluewhale{n}", "buy milk, eggs and bread", "gift idea for {name}: a scarf", "locker code {n}",
    "paint colour for the hall: warm grey", "passport is in the top drawer", "{name} likes dark chocolate",
    "parking spot {n}, level 2", "book to read: The Long Road", "plumber: call {name}", "printer needs new ink",
    "recipe: two cups of rice, one of lentils", "bike lock code {n}", "shoe size of {name} is {small}",
    "insurance policy number {n}", "meeting room {small} has the good screen",
)  # fmt: skip
ITEMS = (
    ("headphones", 79), ("running shoes", 95), ("coffee maker", 120), ("desk lamp", 35), ("winter jacket", 140),
    ("phone case", 15), ("keyboard", 60), ("backpack", 70), ("blender", 55), ("yoga mat", 25), ("water bottle", 18),
    ("office chair", 210), ("novel", 12), ("monitor", 230), ("tent", 160), ("toaster", 40), ("sweater", 45),
    ("board game", 30), ("watch", 180), ("sunglasses", 50),
)  # fmt: skip
ROOMS = ("kitchen", "bedroom", "living room", "bathroom", "office", "hallway", "garage")
REASONS = ("damaged", "wrong_item", "wrong_size", "not_needed")

Thing = TypeVar("Thing")


def _text(description: str) -> dict[str, Any]:
    """Words of the conversation: no call can name what nobody said."""
    return {"type": "string", "description": description, "x-verbatim": True}


DAY = _text("Such as tomorrow")
ORDER = _text("Order number or what was ordered")
SPECS: dict[str, ToolSpec] = {
    spec.name: spec
    for spec in (
        ToolSpec("get_weather", "Weather forecast for a place",
                 parameters({"place": _text("City")}, {"day": DAY})),
        ToolSpec("convert", "Convert between units or currencies",
                 parameters({"amount": {"type": "number", "description": "How much"},
                             "from_unit": _text("Unit or currency"),
                             "to_unit": _text("Unit or currency")})),
        ToolSpec("list_events", "Show the user's calendar",
                 parameters(optional={"day": DAY})),
        ToolSpec("add_event", "Put an event in the calendar",
                 parameters({"title": _text("What it is"), "day": DAY}, {"time": _text("Such as 3 pm")})),
        ToolSpec("cancel_event", "Remove an event from the calendar",
                 parameters({"title": _text("What it is")}, {"day": DAY})),
        ToolSpec("add_note", "Write down a note",
                 parameters({"text": _text("What to write down")})),
        ToolSpec("search_notes", "Find notes about something",
                 parameters({"query": _text("Words to look for")})),
        ToolSpec("order_status", "Look up the user's shop orders: one, or all of them",
                 parameters(optional={"order": ORDER})),
        ToolSpec("cancel_order", "Cancel a shop order that is not yet shipped",
                 parameters({"order": ORDER})),
        ToolSpec("return_order", "Send back a delivered order",
                 parameters({"order": ORDER}, {"reason": {"type": "string", "enum": list(REASONS)}})),
        ToolSpec("find_contact", "Look up someone's phone number and email",
                 parameters({"name": _text("Name")})),
        ToolSpec("send_message", "Send a text message to a contact",
                 parameters({"to": _text("Name"), "text": _text("The message")})),
        ToolSpec("set_reminder", "Remind the user of something later",
                 parameters({"text": _text("What to remember"), "when": _text("Such as 6 pm")})),
        ToolSpec("set_timer", "Start a countdown timer",
                 parameters({"duration": _text("Such as 10 minutes")})),
        ToolSpec("set_light", "Switch or dim the lights in a room",
                 parameters({"room": {"type": "string", "description": "Room, or all"},
                             "power": {"type": "string", "enum": ["on", "off"]}},
                            {"brightness": {"type": "integer", "description": "Percent"}})),
        ToolSpec("set_temperature", "Set the heating",
                 parameters({"degrees": {"type": "number", "description": "Celsius"}}, {"room": _text("Room")})),
    )
}  # fmt: skip
CHANGING = {
    "add_event", "cancel_event", "add_note", "cancel_order", "return_order", "send_message", "set_reminder",
    "set_timer", "set_light", "set_temperature",
}  # fmt: skip


@dataclass(slots=True)
class Event:
    title: str
    day: date
    at: time | None = None


@dataclass(slots=True)
class Order:
    number: str
    item: str
    price_eur: int
    status: str  # processing, shipped, delivered, cancelled, returned
    day: date  # of delivery, expected or past


@dataclass(frozen=True, slots=True)
class Contact:
    name: str
    phone: str
    email: str


@dataclass(slots=True)
class Room:
    light: str = "off"
    brightness: int = 100
    degrees: float = 20
    locked: bool = False  # by the child lock of its thermostat


@dataclass(slots=True)
class World:
    """The state; `seed` and `today` decide everything. `now` is the clock; by default today at a time from the seed."""

    seed: int
    today: date
    now: Callable[[], datetime] | None = None
    events: list[Event] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    contacts: list[Contact] = field(default_factory=list)
    rooms: dict[str, Room] = field(default_factory=dict)
    reminders: list[tuple[str, datetime]] = field(default_factory=list)
    timers: list[datetime] = field(default_factory=list)
    sent: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        rng = Random(self.seed)
        if self.now is None:
            start = datetime.combine(self.today, time(rng.randrange(6, 22), rng.randrange(60)))
            self.now = lambda: start
        firsts = rng.sample(FIRST_NAMES, 7)
        names = [f"{first} {rng.choice(LAST_NAMES)}" for first in firsts]
        names.append(f"{rng.choice(firsts)} {rng.choice(LAST_NAMES)}")  # two people of one first name: ambiguous
        self.contacts = [contact_of(name, rng) for name in dict.fromkeys((*FAMILY, *names))]

        def fill(pattern: str) -> str:
            return pattern.format(name=rng.choice(firsts), place=rng.choice(("Oslo", "Rome", "Tokyo", "Paris")),
                                  n=rng.randrange(100, 9999), small=rng.randrange(2, 45))  # fmt: skip

        for pattern in rng.sample(TITLES, 6):
            at = time(rng.randrange(8, 20), rng.choice((0, 0, 15, 30)))
            self.events.append(Event(fill(pattern), self.today + timedelta(rng.randrange(8)), at))
        self.notes = [fill(pattern) for pattern in rng.sample(NOTES, 6)]
        numbers = rng.sample(range(1000, 9999), 5)
        for number, (item, price) in zip(numbers, rng.sample(ITEMS, 5)):
            status = rng.choice(("processing", "shipped", "delivered", "delivered"))
            days = -rng.randrange(1, 40) if status == "delivered" else rng.randrange(1, 9)
            letter = rng.choice("ABCDK")
            self.orders.append(Order(f"{letter}{number}", item, price, status, self.today + timedelta(days)))
        self.rooms = {room: Room(rng.choice(("on", "off")), 100, rng.randrange(18, 23)) for room in ROOMS}
        self.rooms[rng.choice(ROOMS)].locked = True

    def tools(self) -> list[Tool]:
        """Every tool of this world, with the calculator and the clock."""
        assert self.now is not None
        mine = [Tool(spec, getattr(self, "_" + name), name in CHANGING) for name, spec in SPECS.items()]
        return [*mine, calculator(), clock(self.now)]

    def _day(self, said: str) -> date:
        found = when.day_of(said, self.today)
        if found is None:
            at = when.moment_of(said, datetime.combine(self.today, time()))
            if at is None:
                raise ToolError(f"the day {said!r} is not understood; say it like tomorrow, Friday or 3 December")
            return at.date()
        return found

    def _get_weather(self, arguments: Mapping[str, Any]) -> Any:
        place, day = arguments["place"], self._day(arguments.get("day") or "today")
        if place.strip().lower() in NOWHERE or not any(letter.isalpha() for letter in place):
            raise ToolError(f"no place named {place!r} was found")
        if not 0 <= (day - self.today).days <= 14:
            raise ToolError("the forecast covers today and the next 14 days")
        rng = Random(f"{self.seed} {place.lower()} {day}")
        mean, swing = CLIMATES.get(place.strip().lower(), (12, 8))
        warmth = mean + swing * cos(tau * ((day - date(day.year, 7, 20)).days / 365)) + rng.gauss(0, 2.5)
        sky = rng.randrange(len(SKIES))
        rain = rng.randrange(0, 25) if sky < 4 else rng.randrange(50, 100)
        if warmth < 0 and sky > 3:
            return _weather(place, day, "snow", warmth, rain, rng)
        return _weather(place, day, SKIES[sky], warmth, rain, rng)

    def _convert(self, arguments: Mapping[str, Any]) -> Any:
        if not abs(arguments["amount"]) <= LARGEST:
            raise ToolError("the amount is too large")
        value = measures.convert(arguments["amount"], arguments["from_unit"], arguments["to_unit"])
        rounded = float(f"{value:.4g}") if abs(value) < 1000 else round(value, 1)
        return {"result": int(rounded) if rounded == int(rounded) else rounded, "unit": arguments["to_unit"]}

    def _list_events(self, arguments: Mapping[str, Any]) -> Any:
        if arguments.get("day"):
            days = [self._day(arguments["day"])]
        else:
            days = [self.today + timedelta(ahead) for ahead in range(8)]
        found = sorted((e for e in self.events if e.day in days), key=lambda e: (e.day, e.at or time()))
        return {"events": [_event(event) for event in found]}

    def _add_event(self, arguments: Mapping[str, Any]) -> Any:
        day = self._day(arguments["day"])
        at = when.time_of(arguments["time"]) if arguments.get("time") else None
        if arguments.get("time") and at is None:
            raise ToolError(f"the time {arguments['time']!r} is not understood; say it like 3 pm or 15:30")
        if day < self.today:
            raise ToolError(f"{spoken(day)} is in the past")
        busy = next((e.title for e in self.events if at and e.day == day and e.at == at), None)
        event = Event(arguments["title"], day, at)
        self.events.append(event)
        return {"added": _event(event), **({"same_time_as": busy} if busy else {})}

    def _cancel_event(self, arguments: Mapping[str, Any]) -> Any:
        found = _matching(arguments["title"], self.events, lambda event: event.title)
        if arguments.get("day"):
            day = self._day(arguments["day"])
            found = [event for event in found if event.day == day]
        if not found:
            raise ToolError(
                f"no event {arguments['title']!r} was found" + (" on that day" if arguments.get("day") else "")
            )
        if len(found) > 1:
            raise ToolError("several events fit: " + ", ".join(f"{e.title} on {spoken(e.day)}" for e in found))
        self.events.remove(found[0])
        return {"cancelled": _event(found[0])}

    def _add_note(self, arguments: Mapping[str, Any]) -> Any:
        if not arguments["text"].strip():
            raise ToolError("the note is empty")
        self.notes.append(arguments["text"])
        return {"saved": arguments["text"]}

    def _search_notes(self, arguments: Mapping[str, Any]) -> Any:
        return {"notes": _matching(arguments["query"], self.notes, str)}

    def _order(self, said: str) -> Order:
        number = re.sub(r"[^a-z0-9]", "", said.lower().removeprefix("order"))
        found = [order for order in self.orders if number in (order.number.lower(), order.number[1:])]
        item = ITEM_NAMES.get(simplified(said.strip()), said)
        found = found or _matching(item, self.orders, lambda order: order.item)
        if len(found) != 1:
            raise ToolError(f"no order {said!r} was found" if not found else "several orders fit; give the number")
        return found[0]

    def _order_status(self, arguments: Mapping[str, Any]) -> Any:
        if arguments.get("order"):
            return _order_result(self._order(arguments["order"]))
        return {"orders": [{"order": o.number, "item": o.item, "status": o.status} for o in self.orders]}

    def _cancel_order(self, arguments: Mapping[str, Any]) -> Any:
        order = self._order(arguments["order"])
        if order.status != "processing":
            raise ToolError(f"order {order.number} is already {order.status} and cannot be cancelled")
        order.status = "cancelled"
        return {"cancelled": order.number, "item": order.item, "refund_eur": order.price_eur}

    def _return_order(self, arguments: Mapping[str, Any]) -> Any:
        order = self._order(arguments["order"])
        if order.status != "delivered":
            raise ToolError(f"order {order.number} is {order.status}; only delivered orders can be returned")
        if (self.today - order.day).days > 30:
            raise ToolError(f"order {order.number} was delivered more than 30 days ago and cannot be returned")
        order.status = "returned"
        return {"returned": order.number, "item": order.item, "refund_eur": order.price_eur}

    def _contact(self, said: str) -> Contact:
        found = _matching(said, self.contacts, lambda contact: contact.name)
        parent = PARENTS.get(simplified(said.strip().lower()))
        if parent and not found:
            found = _matching(parent, self.contacts, lambda contact: contact.name)
        if not found:
            raise ToolError(f"no contact named {said!r} was found")
        if len(found) > 1:
            raise ToolError("several contacts fit: " + ", ".join(contact.name for contact in found))
        return found[0]

    def _find_contact(self, arguments: Mapping[str, Any]) -> Any:
        contact = self._contact(arguments["name"])
        return {"name": contact.name, "phone": contact.phone, "email": contact.email}

    def _send_message(self, arguments: Mapping[str, Any]) -> Any:
        contact = self._contact(arguments["to"])
        self.sent.append((contact.name, arguments["text"]))
        return {"sent_to": contact.name, "text": arguments["text"]}

    def _set_reminder(self, arguments: Mapping[str, Any]) -> Any:
        assert self.now is not None
        at = when.moment_of(arguments["when"], self.now().replace(tzinfo=None))
        if at is None:
            raise ToolError(f"the time {arguments['when']!r} is not understood; say it like 6 pm or tomorrow at 9")
        self.reminders.append((arguments["text"], at))
        return {"reminder": arguments["text"], "at": f"{spoken(at.date())}, {at:%H:%M}"}

    def _set_timer(self, arguments: Mapping[str, Any]) -> Any:
        assert self.now is not None
        seconds = when.duration_of(arguments["duration"])
        if not seconds or seconds > 7 * 86_400:
            raise ToolError(f"the duration {arguments['duration']!r} is not understood; say it like 10 minutes")
        ends = self.now() + timedelta(seconds=seconds)
        self.timers.append(ends)
        return {"timer": arguments["duration"], "ends": f"{ends:%H:%M}"}

    def _room(self, said: str) -> str:
        words = re.sub(r"^(?:the|my) ", "", said.strip().lower())
        room = ROOM_NAMES.get(simplified(words), words)
        if room not in self.rooms and room != "all":
            raise ToolError(f"there is no room {said!r}; the rooms are: {', '.join(self.rooms)}")
        return room

    def _set_light(self, arguments: Mapping[str, Any]) -> Any:
        room, power, brightness = self._room(arguments["room"]), arguments["power"], arguments.get("brightness")
        if brightness is not None and not 0 <= brightness <= 100:
            raise ToolError("brightness must be between 0 and 100 percent")
        for name in self.rooms if room == "all" else [room]:
            self.rooms[name].light = power
            self.rooms[name].brightness = int(brightness or self.rooms[name].brightness)
        return {"room": arguments["room"], "light": power, **({} if brightness is None else {"brightness": brightness})}

    def _set_temperature(self, arguments: Mapping[str, Any]) -> Any:
        room, degrees = self._room(arguments.get("room") or "all"), arguments["degrees"]
        if not 5 <= degrees <= 30:
            raise ToolError("the heating can be set between 5 and 30 degrees")
        if room != "all" and self.rooms[room].locked:
            raise ToolError(f"the thermostat in the {room} is locked by its child lock")
        for name in self.rooms if room == "all" else [room]:
            if not self.rooms[name].locked:
                self.rooms[name].degrees = degrees
        return {"degrees": degrees, **({"room": arguments["room"]} if arguments.get("room") else {})}


def spoken(day: date) -> str:
    """A date as people read it: Tuesday 24 November."""
    return f"{day:%A} {day.day} {day:%B}"


def _weather(place: str, day: date, sky: str, warmth: float, rain: int, rng: Random) -> dict[str, Any]:
    high = round(warmth + rng.randrange(1, 5))
    low = high - rng.randrange(3, 9)
    return {"place": place, "day": spoken(day), "sky": sky, "high_c": high, "low_c": low, "rain_percent": rain}


def _event(event: Event) -> dict[str, str]:
    told = {"title": event.title, "day": spoken(event.day)}
    return {**told, "time": f"{event.at:%H:%M}"} if event.at else told


def _order_result(order: Order) -> dict[str, Any]:
    told = {"order": order.number, "item": order.item, "status": order.status}
    if order.status in ("processing", "shipped"):
        return {**told, "arrives": spoken(order.day)}
    return {**told, "delivered": spoken(order.day)} if order.status == "delivered" else told


def contact_of(name: str, rng: Random) -> Contact:
    """A contact of this name, with a number and an address."""
    phone = f"0{rng.randrange(100, 999)} {rng.randrange(100, 999)} {rng.randrange(100, 999)}"
    return Contact(name, phone, name.lower().replace(" ", ".") + "@example.com")


IGNORED = {"the", "my", "a", "an", "with", "to", "of", "for", "order", "appointment", "note", "event", "about"}


def _matching(said: str, things: Sequence[Thing], text: Callable[[Thing], str]) -> list[Thing]:
    """The things whose text holds every word that matters of what was said; those that equal it, if there are any.

    Thai and Chinese have no spaces between words: there it is the text itself that is looked for.
    """
    wanted = _words(said)
    if not said.isascii() and re.search("[ก-๙一-鿿]", said):
        things = [thing for thing in things if said.strip().lower() in text(thing).lower()]
        return [thing for thing in things if text(thing).strip().lower() == said.strip().lower()] or list(things)
    exact = [thing for thing in things if text(thing).strip().lower() == said.strip().lower()]
    return exact or [thing for thing in things if wanted and wanted <= _words(text(thing))]


def _words(text: str) -> set[str]:
    """Lower-case words without plural s and without the words that say nothing, unless those are all there is."""
    words = {word.removesuffix("s") for word in re.findall(r"\w+", text.lower().replace("'s", ""))}
    return words - IGNORED or words
