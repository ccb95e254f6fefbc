"""What people said to a voice assistant (moonlet.simulate.massive), under the tools of the demonstration.

Intents that one of its tools serves are calls, as far as the slots are exactly what the tool takes; of those that none
serves a part are what the assistant has no tool for. The rest of a conversation is what `moonlet.simulate.demo` makes.
Calls come without results.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

from moonlet.simulate import demo, foreign
from moonlet.simulate.episode import Conversation
from moonlet.simulate.massive import LANGUAGES, NO_TOOL, SLOT, requests, worded
from moonlet.simulate.world import World

HEARD = 0.55  # share of the messages that are of this set
UNFIT = 0.35  # of those, what no tool of the demonstration does

Call = tuple[str, Mapping[str, str], Mapping[str, Any]]  # a tool, its parameters and their slots, what is fixed

# By intent and slots. What a tool is not told (whether it rains, what of somebody) is left out.
CALLS: dict[tuple[str, frozenset[str]], Call] = {
    ("weather_query", frozenset({"place_name"})): ("get_weather", {"place": "place_name"}, {}),
    ("weather_query", frozenset({"place_name", "weather_descriptor"})): ("get_weather", {"place": "place_name"}, {}),
    ("weather_query", frozenset({"place_name", "date"})): ("get_weather", {"place": "place_name", "day": "date"}, {}),
    ("weather_query", frozenset({"place_name", "date", "weather_descriptor"})): (
        "get_weather", {"place": "place_name", "day": "date"}, {},
    ),
    ("datetime_query", frozenset({"place_name"})): ("current_time", {"place": "place_name"}, {}),
    ("datetime_query", frozenset()): ("current_time", {}, {}),
    ("calendar_query", frozenset({"date"})): ("list_events", {"day": "date"}, {}),
    ("calendar_set", frozenset({"date", "event_name"})): ("add_event", {"title": "event_name", "day": "date"}, {}),
    ("calendar_set", frozenset({"date", "event_name", "time"})): (
        "add_event", {"title": "event_name", "day": "date", "time": "time"}, {},
    ),
    ("calendar_remove", frozenset({"event_name"})): ("cancel_event", {"title": "event_name"}, {}),
    ("calendar_remove", frozenset({"event_name", "date"})): (
        "cancel_event", {"title": "event_name", "day": "date"}, {},
    ),
    ("iot_hue_lightoff", frozenset({"house_place"})): ("set_light", {"room": "house_place"}, {"power": "off"}),
    ("email_querycontact", frozenset({"person"})): ("find_contact", {"name": "person"}, {}),
    ("email_querycontact", frozenset({"person", "personal_info"})): ("find_contact", {"name": "person"}, {}),
}  # fmt: skip
# The calendar's requests that are reminders: for these the event is the text, and there is one time.
REMINDED = re.compile(r"(?i)\bremind|^เตือน|ช่วยเตือน|提醒我")
NEITHER = re.compile(
    r"(?i)remind|notif|alert|forget|alarm|let me know|reschedul|\bmove|\ball\b|\bevery\b|"
    r"เตือน|แจ้ง|เลื่อน|ทั้งหมด|ทุก|提醒|通知|知道|闹钟|鬧鐘|所有|全部|改|每"
)
# Words beside a slot that belong to it, and values that stand for no single thing.
TORN = re.compile(r"(?i)\b(?:next|this|last|every|each|after) \[(?:date|time)|\] *หน้า|[下每][个個]?\[date|อาทิตย์ที่ \[")
VAGUE = re.compile(
    r"(?i): (?:all|every\w*|my|events?|appointments?|future \w+|house|home|rooms?|named?|this area|my area|"
    r"home ?town|here|ทั้งหมด|บ้าน|บ้านเกิด|เมืองนั้น|ห้อง|另一城市|这里|本地|所有|全部|"
    r"家|房间|房間|房子|屋子)(?:\b| *\])|: ของ|ชื่อ"
)
TOLD = re.compile(r"(?i)phone|number|e-?mail|contact|เบอร์|โทร|อีเมล|电话|電話|邮|郵|邮箱|手机|手機|号码|號碼")
BEYOND = """
    play_music play_radio play_podcasts play_audiobook play_game music_query music_likeness news_query cooking_recipe
    social_post social_query email_query transport_query transport_taxi transport_ticket transport_traffic qa_stock
    recommendation_events recommendation_locations recommendation_movies takeaway_order qa_definition general_joke
    audio_volume_up audio_volume_down audio_volume_mute iot_cleaning iot_coffee iot_wemo_on iot_wemo_off"""

Heard = tuple[str, Call | None]  # a request with its slots marked, and what it calls


def maker(data: Path) -> Callable[[Random], Conversation]:
    """Draws conversations with the requests in the folder of public sets."""
    said = requests(data)
    calls = {language: _by_tool(said[language]) for language in LANGUAGES}
    beyond = {
        language: [text for intent in BEYOND.split() for text in said[language][intent]] for language in LANGUAGES
    }

    def make(rng: Random) -> Conversation:
        return conversation(rng, calls, beyond)

    return make


def _by_tool(said: Mapping[str, Sequence[str]]) -> dict[str, list[Heard]]:
    """The requests that a tool of the demonstration serves, by tool."""
    found: dict[str, list[Heard]] = {}
    for intent, texts in said.items():
        for text in texts:
            if call := called(intent, text):
                found.setdefault(call[0], []).append((text, call))
    return found


def called(intent: str, marked: str) -> Call | None:
    """What the request calls; None if that is not sure."""
    slots = dict(SLOT.findall(marked))
    if TORN.search(marked) or VAGUE.search(marked):
        return None
    if "personal_info" in slots and not TOLD.search(slots["personal_info"]):
        return None
    if intent == "calendar_set" and REMINDED.search(marked):
        when = slots.keys() - {"event_name"}
        one = when.pop() if len(when) == 1 and "event_name" in slots else ""
        return ("set_reminder", {"text": "event_name", "when": one}, {}) if one in ("date", "time") else None
    if intent.startswith("calendar") and NEITHER.search(SLOT.sub("", marked)):
        return None
    return CALLS.get((intent, frozenset(slots)))


def conversation(
    rng: Random, calls: Mapping[str, Mapping[str, Sequence[Heard]]], beyond: Mapping[str, Sequence[str]]
) -> Conversation:
    """10 to 30 messages under all tools of the demonstration, or most of them."""
    world = World(rng.getrandbits(32), date(2025, 1, 1) + timedelta(rng.randrange(1500)))
    every = world.tools()
    chosen = list(every) if rng.random() < 0.6 else rng.sample(every, rng.choice((18, 18, 16, 12)))
    language = rng.choices(list(LANGUAGES), list(LANGUAGES.values()))[0]
    talk: demo.Talk | foreign.Talk
    if language == "en-US":
        demo.make_strange(world, rng)
        talk = demo.Talk(rng, world, chosen, exercise=True)
    else:
        foreign.settle(world, language[:2], rng)
        talk = foreign.Talk(rng, world, chosen, language[:2], language == "zh-TW", exercise=True)
    talk.begin()
    for _ in range(rng.randrange(10, 31)):
        if rng.random() >= HEARD:
            talk.turn()
            continue
        talk.last = None  # what follows leans on nothing here
        if rng.random() < UNFIT:
            talk.say(worded(rng.choice(beyond[language]), language, rng)[0], NO_TOOL[language[:2]])
            continue
        text, call = rng.choice(calls[language][rng.choice(sorted(calls[language]))])
        told, values = worded(text, language, rng)
        assert call
        tool, takes, fixed = call
        if tool in {one.spec.name for one in chosen}:
            given = dict(values)
            talk.episode.user(told)
            talk.episode.asked([(tool, {**{key: given[slot] for key, slot in takes.items()}, **fixed})])
        else:
            talk.say(told, NO_TOOL[language[:2]])
    return talk.episode.done()
