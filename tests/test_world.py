"""The demonstration world: its state, its failures, and the words that it understands."""

import json
from datetime import date, datetime, time
from typing import Any

import pytest

from moonlet.chat.messages import ToolCall
from moonlet.simulate.measures import convert
from moonlet.simulate.when import day_of, duration_of, moment_of, time_of
from moonlet.simulate.world import Event, Order, World
from moonlet.tools.tool import ToolError, call

TODAY = date(2026, 11, 23)  # a Monday


def use(world: World, name: str, /, **arguments: Any) -> Any:
    return json.loads(call(world.tools(), ToolCall("functions.x:0", name, json.dumps(arguments))))


def test_a_world_is_decided_by_its_seed() -> None:
    assert World(7, TODAY).events == World(7, TODAY).events
    assert World(7, TODAY).orders != World(8, TODAY).orders
    forecast = [use(World(7, TODAY), "get_weather", place="Oslo", day="tomorrow") for _ in range(2)]
    assert forecast[0] == forecast[1]


def test_every_tool_says_what_it_takes_and_whether_it_changes_things() -> None:
    tools = World(0, TODAY).tools()
    assert len({tool.spec.name for tool in tools}) == len(tools) == 18
    for tool in tools:
        assert tool.spec.description
        assert all(
            ("type" in one and "description" in one) or "enum" in one
            for one in tool.spec.parameters["properties"].values()
        )
    assert {tool.spec.name for tool in tools if not tool.changes} == {
        "get_weather", "convert", "list_events", "search_notes", "order_status", "find_contact", "calculate",
        "current_time",
    }  # fmt: skip


def test_weather_is_plausible_and_bounded() -> None:
    world = World(1, TODAY)
    told = use(world, "get_weather", place="Oslo", day="friday")
    assert told["day"] == "Friday 27 November" and told["low_c"] < told["high_c"] < 15
    assert use(world, "get_weather", place="Bangkok")["high_c"] > 20
    assert "next 14 days" in use(world, "get_weather", place="Oslo", day="in 30 days")["error"]
    assert "no place" in use(world, "get_weather", place="Atlantis")["error"]
    assert "not understood" in use(world, "get_weather", place="Oslo", day="blursday")["error"]


def test_an_event_is_added_listed_and_cancelled() -> None:
    world = World(1, TODAY, events=[])
    world.events.clear()
    added = use(world, "add_event", title="Dentist", day="tomorrow", time="3 pm")
    assert added == {"added": {"title": "Dentist", "day": "Tuesday 24 November", "time": "15:00"}}
    assert use(world, "add_event", title="Call", day="2026-11-24", time="15:00")["same_time_as"] == "Dentist"
    assert [event["title"] for event in use(world, "list_events", day="tuesday")["events"]] == ["Dentist", "Call"]
    assert use(world, "cancel_event", title="the dentist appointment")["cancelled"]["title"] == "Dentist"
    assert "no event" in use(world, "cancel_event", title="dentist")["error"]
    world.events += [Event("yoga", TODAY, time(9)), Event("yoga", date(2026, 11, 25), time(9))]
    assert "several events fit" in use(world, "cancel_event", title="yoga")["error"]
    assert use(world, "cancel_event", title="yoga", day="wednesday")["cancelled"]["day"] == "Wednesday 25 November"
    assert "in the past" in use(world, "add_event", title="x", day="yesterday")["error"]


def test_orders_follow_their_rules() -> None:
    world = World(1, TODAY)
    world.orders = [
        Order("A1001", "tent", 160, "processing", date(2026, 11, 27)),
        Order("B2002", "watch", 180, "shipped", date(2026, 11, 25)),
        Order("C3003", "toaster", 40, "delivered", date(2026, 11, 20)),
        Order("C4004", "blender", 55, "delivered", date(2026, 10, 1)),
    ]
    assert use(world, "order_status", order="a1001")["arrives"] == "Friday 27 November"
    assert use(world, "order_status", order="the watch")["status"] == "shipped"
    assert len(use(world, "order_status")["orders"]) == 4
    assert use(world, "cancel_order", order="A1001") == {"cancelled": "A1001", "item": "tent", "refund_eur": 160}
    assert "already cancelled" in use(world, "cancel_order", order="A1001")["error"]
    assert "already shipped" in use(world, "cancel_order", order="2002")["error"]
    assert use(world, "return_order", order="toaster", reason="damaged")["returned"] == "C3003"
    assert "more than 30 days" in use(world, "return_order", order="C4004")["error"]
    assert "no order" in use(world, "order_status", order="Z9999")["error"]
    assert "must be one of" in use(world, "return_order", order="C3003", reason="ugly")["error"]


def test_people_notes_and_the_home() -> None:
    world = World(1, TODAY)
    someone = world.contacts[2].name
    assert use(world, "find_contact", name=someone.upper())["name"] == someone
    assert use(world, "send_message", to="mom", text="hi") == {"sent_to": "Mum", "text": "hi"}
    assert world.sent == [("Mum", "hi")]
    assert "no contact" in use(world, "send_message", to="Zebedee", text="hi")["error"]
    use(world, "add_note", text="The shed key is at Omar's")
    assert use(world, "search_notes", query="shed keys")["notes"] == ["The shed key is at Omar's"]
    assert use(world, "set_light", room="the lounge", power="on", brightness=30)["brightness"] == 30
    assert world.rooms["living room"].brightness == 30
    use(world, "set_light", room="all", power="off")
    assert {room.light for room in world.rooms.values()} == {"off"}
    assert "no room" in use(world, "set_light", room="dungeon", power="on")["error"]
    assert "between 5 and 30" in use(world, "set_temperature", degrees=99)["error"]
    locked = next(name for name, room in world.rooms.items() if room.locked)
    assert "child lock" in use(world, "set_temperature", degrees=20, room=locked)["error"]


def test_the_world_is_understood_in_chinese_and_thai() -> None:
    world = World(1, TODAY)
    world.orders = [Order("C3003", "toaster", 40, "delivered", date(2026, 11, 20))]
    world.notes = ["รหัสประตู 4471", "护照在抽屉里"]
    assert use(world, "set_light", room="客廳", power="on")["light"] == "on"
    assert use(world, "order_status", order="เครื่องปิ้งขนมปัง")["order"] == "C3003"
    assert use(world, "return_order", order="烤麵包機")["returned"] == "C3003"
    assert use(world, "search_notes", query="รหัส")["notes"] == ["รหัสประตู 4471"]
    assert use(world, "search_notes", query="护照")["notes"] == ["护照在抽屉里"]
    assert use(world, "send_message", to="妈妈", text="到了")["sent_to"] == "Mum"
    assert convert(2, "斤", "公斤") == pytest.approx(1)


@pytest.mark.parametrize("huge", [10**400, 1e308, float("inf"), float("nan"), -(10**400)])
def test_numbers_without_end_are_refused(huge: float) -> None:
    world, digits = World(1, TODAY), "9" * 5000
    for name, arguments in (
        ("convert", {"amount": huge, "from_unit": "km", "to_unit": "miles"}),
        ("set_temperature", {"degrees": huge}),
        ("set_light", {"room": "kitchen", "power": "on", "brightness": huge}),
        ("set_timer", {"duration": f"{digits} minutes"}),
        ("set_reminder", {"text": "tea", "when": f"in {digits} weeks"}),
        ("get_weather", {"place": "Oslo", "day": f"{digits} days"}),
    ):
        assert "error" in use(world, name, **arguments), name


def test_reminders_and_timers_use_the_clock() -> None:
    world = World(1, TODAY, now=lambda: datetime(2026, 11, 23, 10, 20))
    assert use(world, "set_timer", duration="half an hour") == {"timer": "half an hour", "ends": "10:50"}
    assert use(world, "set_reminder", text="call", when="tomorrow at 9")["at"] == "Tuesday 24 November, 09:00"
    assert use(world, "set_reminder", text="call", when="9 am")["at"] == "Tuesday 24 November, 09:00"
    assert "not understood" in use(world, "set_timer", duration="a bit")["error"]
    assert use(world, "current_time")["time"] == "10:20"


@pytest.mark.parametrize(
    ("words", "day"),
    [
        ("today", 23), ("Tomorrow", 24), ("on friday", 27), ("next friday", 27),
        ("monday", 30), ("the 27th", 27),
        ("27 November", 27),
        ("nov 27th", 27), ("2026-11-27", 27), ("in 3 days", 26), ("this weekend", 28),
        ("the day after tomorrow", 25), ("周五", 27),
        ("11月27日", 27), ("明天", 24), ("พรุ่งนี้", 24), ("วันศุกร์", 27),
        ("friday morning", 27), ("someday", None),
        ("", None), ("31 november", None), ("下周三", 2), ("大后天", 26),
        ("12月5号", 5), ("禮拜三", 25), ("这个周末", 28), ("三天后", 26),
        ("มะรืน", 25), ("วันศุกร์หน้า", 27), ("วันที่ 27 พ.ย.", 27),
        ("พรุ่งนี้บ่าย", 24), ("อีกสามวัน", 26),
    ],
)  # fmt: skip
def test_days(words: str, day: int | None) -> None:
    assert day_of(words, TODAY) == (date(2026, 12 if day < 10 else 11, day) if day else None)


@pytest.mark.parametrize(
    ("words", "at"),
    [
        ("3 pm", "15:00"), ("at 3pm", "15:00"), ("15:30", "15:30"), ("half past 3", "15:30"),
        ("quarter to nine", "08:45"), ("noon", "12:00"),
        ("12 am", "00:00"), ("9", "09:00"), ("下午3点", "15:00"), ("9 โมงเช้า", "09:00"),
        ("7 in the evening", "19:00"), ("下午三点半", "15:30"), ("晚上八點", "20:00"),
        ("凌晨五点", "05:00"), ("早上九点一刻", "09:15"), ("บ่ายสามโมง", "15:00"),
        ("สองทุ่มครึ่ง", "20:30"), ("ตีห้า", "05:00"),
        ("6 โมงเย็น", "18:00"), ("18.30 น.", "18:30"), ("25:00", None), ("soon", None),
    ],
)  # fmt: skip
def test_times(words: str, at: str | None) -> None:
    found = time_of(words)
    assert (f"{found:%H:%M}" if found else None) == at


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("10 minutes", 600), ("90s", 90), ("1h30m", 5400),
        ("an hour and a half", 5400), ("half an hour", 1800),
        ("two hours", 7200),
        ("1 hour and 15 minutes", 4500), ("a quarter of an hour", 900),
        ("20分钟", 1200), ("15 นาที", 900),
        ("8 minute", 480), ("一个半小时", 5400), ("三分半钟", 210), ("一刻钟", 900),
        ("ชั่วโมงครึ่ง", 5400), ("สิบห้านาที", 900), ("10-minute", 600), ("5 bananas", None),
        ("", None),
    ],
)  # fmt: skip
def test_durations(words: str, seconds: int | None) -> None:
    assert duration_of(words) == seconds


def test_moments() -> None:
    now = datetime(2026, 11, 23, 10, 20)
    assert moment_of("in 20 minutes", now) == datetime(2026, 11, 23, 10, 40)
    assert moment_of("9 am", now) == datetime(2026, 11, 24, 9)
    assert moment_of("at 8 tomorrow", now) == datetime(2026, 11, 24, 8)
    assert moment_of("tonight", now) == datetime(2026, 11, 23, 20)
    assert moment_of("明天早上", now) == datetime(2026, 11, 24, 9)
    assert moment_of("今晚九点", now) == datetime(2026, 11, 23, 21)
    assert moment_of("半小时后", now) == datetime(2026, 11, 23, 10, 50)
    assert moment_of("คืนนี้ 3 ทุ่ม", now) == datetime(2026, 11, 23, 21)
    assert moment_of("พรุ่งนี้บ่ายสอง", now) == datetime(2026, 11, 24, 14)
    assert moment_of("whenever", now) is None


def test_units_and_currencies() -> None:
    assert convert(10, "km", "miles") == pytest.approx(6.2137, abs=1e-4)
    assert convert(350, "Fahrenheit", "C") == pytest.approx(176.67, abs=0.01)
    assert convert(2, "pounds", "kg") == pytest.approx(0.907, abs=1e-3)
    assert convert(85, "pounds", "euros") == pytest.approx(100)
    assert convert(100, "$", "EUR") == pytest.approx(90.909, abs=1e-3)
    assert convert(1, "公里", "米") == 1000
    with pytest.raises(ToolError, match="cannot be converted"):
        convert(1, "km", "kg")
    with pytest.raises(ToolError, match="not known"):
        convert(1, "parsnips", "kg")
