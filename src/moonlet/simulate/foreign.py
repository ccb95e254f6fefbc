"""Thai and Chinese requests on the demonstration tools, answered in the language of the request."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Any

from moonlet.simulate import said, slots
from moonlet.simulate.episode import Conversation, Episode, Wanted
from moonlet.simulate.foreign_answers import NO_TOOL, tell
from moonlet.simulate.names import ITEM_NAMES
from moonlet.simulate.numerals import written
from moonlet.simulate.requests import FREE, Intent, intents, ordered
from moonlet.simulate.script import traditional
from moonlet.simulate.slots import Slot
from moonlet.simulate.wording import Pattern, fill, read, slot_names
from moonlet.simulate.words import ANY_FIRST
from moonlet.simulate.world import Contact, Event, World
from moonlet.tools.tool import Tool, call

LANGUAGES = ("zh", "th")
LETTERS = {"zh": "一-鿿", "th": "ก-๙"}
ARGUMENTS = {"number": "order", "item": "order", "known": "title", "task": "text", "note": "text", "message": "text",
             "topic": "query", "percent": "brightness", "sum": "expression", "share": "expression", "city": "place",
             "date": "day"}  # fmt: skip
AND = {"zh": ("和", "跟", "、"), "th": (" กับ ", "กับ", " และ ", "และ")}
UNITS = {"from": "from_unit", "into": "to_unit"}
# Slots of free text, behind which nothing may follow.
OPEN_END = FREE | {"sum}", "share}", "to}", "name}", "known}", "into}"}


def conversation(
    rng: Random, world: World, tools: Sequence[Tool], requests: int = 6, exercise: bool = False
) -> Conversation:
    """So many requests in one language under one list of tools; an `exercise` has no results."""
    language = rng.choice(LANGUAGES)
    old_script = language == "zh" and rng.random() < 0.15
    settle(world, language, rng)
    if old_script:
        world.events = [Event(traditional(one.title), one.day, one.at) for one in world.events]
        world.notes = [traditional(note) for note in world.notes]
        world.contacts = [Contact(traditional(one.name), one.phone, one.email) for one in world.contacts]
    return Talk(rng, world, tools, language, old_script, exercise).run(requests)


def settle(world: World, language: str, rng: Random) -> None:
    """Some of the world's people, events and notes get words of the language."""
    for _ in range(4):
        name, phone = free_text("who", language, rng), f"0{rng.randrange(10**8, 10**9)}"
        if name not in (one.name for one in world.contacts):
            world.contacts.append(Contact(name, phone, f"u{rng.randrange(1000, 10_000)}@example.com"))
    for event in world.events[:4]:
        event.title = free_text("title", language, rng)
    world.notes[:4] = [free_text("note", language, rng) for _ in world.notes[:4]]


@dataclass(slots=True)
class Talk:
    """One user and the assistant in one world and one language."""

    rng: Random
    world: World
    tools: Sequence[Tool]
    language: str
    old_script: bool  # Chinese in traditional characters
    exercise: bool = False
    episode: Episode = None  # type: ignore[assignment]
    last: Wanted | None = None

    def run(self, requests: int) -> Conversation:
        self.begin()
        for _ in range(requests):
            self.turn()
        return self.episode.done()

    def begin(self) -> None:
        """The system message, mostly."""
        self.episode = Episode([tool.spec for tool in self.tools])
        if self.rng.random() < 0.9:
            self.episode.system(f"Today is {self.world.today}, {self.world.today:%A}.")

    def turn(self) -> None:
        """One request of whatever kind, to its answer."""
        rng, names, dice = self.rng, {tool.spec.name for tool in self.tools}, self.rng.random()
        if self.last and dice < 0.13 and self.follow_up(self.last):
            return
        if self.exercise and not self.old_script and rng.random() < said.SHARE:
            refusal = NO_TOOL[self.language]
            self.last = said.turn(self.episode, self.language, sorted(names), refusal, rng) or self.last
            return
        every = wordings(self.language)
        absent = sorted({intent.tool for intent in every} - names - {""})
        if dice < 0.24:
            return self.say(self.asked(pick("", self.language, rng))[0], NO_TOOL[self.language])
        if dice < 0.29 and absent:
            return self.say(self.asked(pick(rng.choice(absent), self.language, rng))[0], NO_TOOL[self.language])
        if dice < 0.32:
            header, patterns = rng.choice(read(f"{self.language}_small_talk"))
            answer = str(header["answer"]).replace("TOOLS", ", ".join(tool.spec.name for tool in self.tools))
            return self.say(self.script(rng.choice(patterns).expand(rng)), answer)
        self.ask(pick(rng.choice(sorted(names)), self.language, rng))

    def script(self, text: str) -> str:
        return traditional(text) if self.old_script else text

    def asked(self, intent: Intent) -> tuple[str, list[dict[str, Any]]]:
        """A request of this intent in the talk's script."""
        text, calls = request(intent, self.language, self.rng, self.world)
        if not self.old_script:
            return text, calls
        told = traditional(text)
        turned = [
            {key: traditional(value) if isinstance(value, str) else value for key, value in one.items()}
            for one in calls
        ]
        copied = all(
            value in told or key in intent.fixed or key == "expression"
            for one in turned
            for key, value in one.items()
            if isinstance(value, str)
        )
        return (told, turned) if copied else (text, calls)

    def say(self, text: str, answer: str) -> None:
        self.episode.user(text)
        self.episode.answer(self.script(answer))

    def ask(self, intent: Intent) -> None:
        """A request; the assistant asks for what is missing first."""
        text, calls = self.asked(intent)
        self.episode.user(text)
        if intent.missing:
            self.episode.answer(self.script(intent.question))
            surface, value = _value(intent.missing, self.language, self.rng, self.world)
            argument = ARGUMENTS.get(intent.missing, intent.missing)
            self.episode.user(self.script(surface))
            value = self.script(value) if isinstance(value, str) else value
            calls = [ordered(intent.tool, {**calls[0], argument: value})]
        self.act(intent.tool, calls)

    def act(self, tool: str, calls: Sequence[Mapping[str, Any]]) -> None:
        """The calls, their results and the answer."""
        if self.exercise:
            self.episode.asked([(tool, one) for one in calls])
            self.last = tool, calls[-1]
            return
        results = self.episode.call([(tool, one) for one in calls], lambda wanted: call(self.tools, wanted))
        told = [tell(self.language, tool, one, result) for one, result in zip(calls, results)]
        self.last = (tool, calls[-1]) if "error" not in results[-1] else None
        self.episode.answer(self.script(" ".join(told)))

    def follow_up(self, last: Wanted) -> bool:
        """A fragment that leans on the last call; False if there is none for its tool or the tool is not here."""
        tool, before = last
        said = {**before, "to": before.get("to", before.get("name"))}
        names = {tool.spec.name for tool in self.tools}
        fitting = [
            intent
            for intent in intents(f"{self.language}_follow_ups")
            if intent.after == tool
            and intent.tool in names
            and (not intent.kept or said.get(intent.kept[0]) is not None)
        ]
        if not fitting:
            return False
        intent = self.rng.choice(fitting)
        text, calls = self.asked(intent)
        kept = {name: said[name] for name in intent.kept if said.get(name) is not None}
        self.episode.user(text)
        self.act(intent.tool, [ordered(intent.tool, {**kept, **one}) for one in calls])
        return True


@lru_cache(maxsize=2)
def wordings(language: str) -> tuple[Intent, ...]:
    """The intents of a language."""
    return tuple(one for part in ("", "_spoken", "_more", "_people") for one in intents(f"{language}{part}"))


def pick(tool: str, language: str, rng: Random) -> Intent:
    """An intent of the tool, by weight."""
    found = [intent for intent in wordings(language) if intent.tool == tool]
    return rng.choices(found, [intent.weight for intent in found])[0]


@lru_cache(maxsize=2)
def _values(language: str) -> tuple[dict[str, tuple[Pattern, ...]], list[tuple[Pattern, ...]]]:
    """The values by slot, and the families of units."""
    groups = read(f"{language}_values")
    by_slot = {str(header["slot"]): patterns for header, patterns in groups if "slot" in header}
    return by_slot, [patterns for header, patterns in groups if "units" in header]


def free_text(slot: str, language: str, rng: Random) -> str:
    """A value of the slot; values hold other values."""
    skeleton = rng.choice(_values(language)[0][slot]).expand(rng)
    inner = slot_names(skeleton)
    return fill(skeleton, {
        name: str(rng.randrange(10, 9999)) if name == "n" else free_text(name, language, rng) for name in inner
    })  # fmt: skip


def request(intent: Intent, language: str, rng: Random, world: World) -> tuple[str, list[dict[str, Any]]]:
    """One request of this intent: its text and the arguments of the call, or of two calls, that it means."""
    skeleton = rng.choice(intent.patterns).expand(rng)
    if not intent.after:
        skeleton = dressed(skeleton, language, rng)
    surfaces: dict[str, str] = {}
    calls: list[dict[str, Any]] = [dict(intent.fixed)]
    names = slot_names(skeleton)
    if "into" in names:
        family = rng.choices(_values(language)[1], [len(one) for one in _values(language)[1]])[0]
        for name, pattern in zip(UNITS, rng.sample(family, 2)):
            surfaces[name] = calls[0][UNITS[name]] = pattern.expand(rng)
    for name in names:
        if name in surfaces:
            continue
        surfaces[name], value = _value(name, language, rng, world)
        argument = ARGUMENTS.get(name, name)
        if isinstance(value, tuple):
            argument = ARGUMENTS.get(name[:-1], name[:-1]) if name != "cities" else "place"
            calls = [{**calls[0], argument: one} for one in value]
        else:
            calls = [{**one, argument: value} for one in calls]
    text = _spaced(fill(skeleton, surfaces), language)
    return text, [ordered(intent.tool, one) for one in calls] if intent.tool else []


def dressed(skeleton: str, language: str, rng: Random) -> str:
    """The wording, sometimes with a few words in front or behind, unless the end is free text."""
    if language == "th":
        skeleton = _as_typed(skeleton, rng)
    gap, dice = " " if language == "th" else "", rng.random()
    if dice < 0.14:
        skeleton = free_text("opener", language, rng) + gap + skeleton
    elif dice < 0.24:
        skeleton = free_text("before", language, rng) + (gap or rng.choice("，。，")) + skeleton
    if skeleton.rpartition("{")[2] not in OPEN_END and rng.random() < 0.16:
        words = free_text(rng.choice(("closer", "closer", "after")), language, rng)
        skeleton = skeleton.rstrip("？?。") + gap + words
    elif language == "zh" and skeleton[-1] not in "？?}。" and rng.random() < 0.15:
        skeleton += rng.choice("。。！")
    return _one_speaker(skeleton)


def _as_typed(skeleton: str, rng: Random) -> str:
    """Thai as people type it: spaces between words mostly left out."""
    kept = rng.choice((1.0, 1.0, 0.5, 0.2, 0.0))
    return re.sub("(?<=[ก-๙]) (?=[ก-๙{])|(?<=}) (?=[ก-๙])", lambda _: " " if rng.random() < kept else "", skeleton)


def _one_speaker(skeleton: str) -> str:
    """Thai with the particles of a man throughout, where those of both had come together."""
    both = "ครับ" in skeleton and re.search("ค่ะ|คะ", skeleton)
    return re.sub("ค่ะ|คะ", "ครับ", skeleton) if both else skeleton


def _spaced(text: str, language: str) -> str:
    return (
        re.sub(rf"(?<=[{LETTERS['zh']}，。：？]) (?=[{LETTERS['zh']}，。：？])", "", text) if language == "zh" else text
    )


def _value(name: str, language: str, rng: Random, world: World) -> Slot:
    if name in ("places", "cities", "rooms", "names"):
        one = {"places": "place", "cities": "city", "rooms": "room", "names": "name"}[name]
        first = second = _value(one, language, rng, world)[0]
        while second == first:
            second = _value(one, language, rng, world)[0]
        return f"{first}{rng.choice(AND[language])}{second}", (first, second)
    if name == "place" and rng.random() < 0.1:
        return slots.place(rng)
    draws: Mapping[str, Callable[[], Slot]] = {
        "number": lambda: slots.order_number(rng, world), "known": lambda: _known(language, rng, world),
        "name": lambda: _person(language, rng, world), "to": lambda: _person(language, rng, world),
        "amount": lambda: _amount(language, rng), "percent": lambda: _percent(language, rng),
        "degrees": lambda: _degrees(language, rng), "sum": lambda: _sum(language, rng),
        "share": lambda: _share(language, rng), "item": lambda: _item(language, rng, world),
    }  # fmt: skip
    return draws[name]() if name in draws else slots.same(free_text(name, language, rng))


def _known(language: str, rng: Random, world: World) -> Slot:
    known = [one.title for one in world.events]
    return slots.same(rng.choice(known) if known and rng.random() < 0.6 else free_text("title", language, rng))


def _person(language: str, rng: Random, world: World) -> Slot:
    dice = rng.random()
    if dice < 0.5:
        return slots.same(free_text("who", language, rng))
    if dice < 0.6:
        return slots.same(rng.choice(ANY_FIRST))
    own = [one.name for one in world.contacts if not one.name.isascii()]
    others = [one.name.split()[0] for one in world.contacts if one.name.isascii()]
    return slots.same(rng.choice(own if own and dice < 0.85 else others))


def _item(language: str, rng: Random, world: World) -> Slot:
    """A thing of the shop by its name in the language, mostly one that was ordered."""
    ordered_items = [one.item for one in world.orders] if rng.random() < 0.75 else list(ITEM_NAMES.values())
    own = [
        name for name, item in ITEM_NAMES.items() if item in ordered_items and re.match(f"[{LETTERS[language]}]", name)
    ]
    return slots.same(rng.choice(own))


def _amount(language: str, rng: Random) -> Slot:
    if rng.random() < 0.15:
        number = rng.choice((*range(1, 21), 30, 50, 100, 200, 500))
        return written(number, language).replace("二", "两") if number == 2 else written(number, language), number
    return slots.amount(rng)


def _percent(language: str, rng: Random) -> Slot:
    number = rng.choice((rng.randrange(1, 21) * 5, rng.randrange(1, 10) * 10, rng.randrange(1, 100)))
    words = written(number, language)
    other = {"zh": (f"百分之{number}", f"百分之{words}"),
             "th": (f"{number} เปอร์เซ็นต์", f"{number} เปอร์เซนต์", f"{words}เปอร์เซ็นต์")}[language]  # fmt: skip
    return rng.choice(other) if rng.random() < 0.3 else rng.choice((f"{number}%", f"{number}%", f"{number} %")), number


def _degrees(language: str, rng: Random) -> Slot:
    number: float = rng.choice((*range(16, 27), *range(16, 27), *range(10, 34), 18.5, 19.5, 20.5, 21.5, 22.5))
    if rng.random() < 0.2 and isinstance(number, int):
        return written(number, language), number
    return str(number), number


def _sum(language: str, rng: Random) -> Slot:
    words = {
        "zh": ("加", "减", "乘", "乘以", "除以", "加上", "减去"),
        "th": ("บวก", "ลบ", "คูณ", "หาร", "หารด้วย", "คูณด้วย"),
    }
    sign, other = rng.choice((*words[language], "+", "-", "*", "/", "x", "×", "÷")), rng.choice("+-*")
    gap = "" if rng.random() < (0.7 if language == "zh" else 0.3) else " "
    a, b, c = rng.randrange(2, 500), rng.randrange(2, 100), rng.randrange(2, 20)
    plain = f"{a}{gap}{sign}{gap}{b}"
    return slots.same(rng.choice((
        plain, plain, plain, plain, plain, f"{rng.randrange(1000, 99_999)}{gap}{sign}{gap}{c}",
        f"{round(rng.uniform(1, 100), 1)}{gap}{sign}{gap}{round(rng.uniform(1, 100), 2)}",
        f"({a}+{b}){other}{c}", f"{a} + {b} {other} {c}", f"{a}{other}{b}{other}{c}", f"{c}^{rng.randrange(2, 5)}",
        f"{a}的{c}%" if language == "zh" else f"{c}% ของ {a}", f"{c}的平方" if language == "zh" else f"{c} ยกกำลังสอง",
        f"根号{c * c}" if language == "zh" else f"รากที่สองของ {c * c}",
    )))  # fmt: skip


def _share(language: str, rng: Random) -> Slot:
    """A sum told as a deed: the argument writes its numbers with a sign between them."""
    a, b, part = rng.randrange(20, 3000), rng.randrange(2, 60), rng.choice((5, 8, 10, 12, 15, 20, 25))
    told = {
        "zh": (("{a}和{b}的和", "+"), ("{a}与{b}相加", "+"), ("{a}跟{b}相乘", "*"), ("{a}块钱{b}个人平分", "/"),
               ("{a}元分给{b}个人", "/"), ("{a}分成{b}份", "/"), ("{a}里面减掉{b}", "-"), ("从{a}里扣掉{b}", "-"),
               ("每个{a}元，买{b}个", "*"), ("{a}的百分之{p}", "%"), ("{a}块的账单给{p}%小费", "%")),
        "th": (("ผลบวกของ {a} กับ {b}", "+"), ("ผลคูณของ {a} กับ {b}", "*"), ("{a} บาท หารกัน {b} คน", "/"),
               ("แบ่ง {a} ให้ {b} คน", "/"), ("เอา {a} มาบวกกับ {b}", "+"), ("เอา {a} ลบออก {b}", "-"),
               ("ชิ้นละ {a} ซื้อ {b} ชิ้น", "*"), ("ทิป {p}% ของ {a}", "%"), ("{p} เปอร์เซ็นต์ของ {a}", "%"),
               ("ภาษี {p}% ของ {a} บาท", "%")),
    }[language]  # fmt: skip
    words, sign = rng.choice(told)
    return words.format(a=a, b=b, p=part), f"{part}% of {a}" if sign == "%" else f"{a} {sign} {b}"
