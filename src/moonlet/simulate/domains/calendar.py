"""A calendar."""

from moonlet.simulate.domains.actions import add, change, find, read, remove
from moonlet.simulate.domains.domain import Domain, Table
from moonlet.simulate.domains.slot import clock, day, text

CALENDAR = Domain(
    "calendar",
    (
        Table("events", "EV", ("event", "นัด", "日程"), "title", {
            "title": text("Title", "events"), "day": day("Day"), "time": clock("Time"), "place": text("Place", "places"),
        }),
    ),
    (
        find("search_events", "Search the calendar by words", "events",
             ("Is there anything about {query} in my calendar?|Search my calendar for {query}", "ในปฏิทินมีเรื่อง{query}ไหม", "我的日历里有{query}吗")),
        read("get_event", "Date, time and place of one event", "events", "event_id", "day time",
             ("When is {event_id}?|Day and time of {event_id} please", "{event_id}วันไหนกี่โมง", "{event_id}是什么时候")),
        read("get_event_place", "Where an event takes place", "events", "event_id", "place",
             ("Where is {event_id}?|Where do I have to go for {event_id}?", "{event_id}อยู่ที่ไหน", "{event_id}在哪里")),
        add("create_event", "Put an event in the calendar", "events",
            {"title": text("What it is", "events"), "day": day("Date"), "time": clock("Start")},
            ("Put {title} in my calendar on {day} at {time}|Schedule {title} for {day}, {time}",
             "เพิ่ม{title}ในปฏิทิน {day} เวลา {time}", "在日历里加上{title}，{day} {time}")),
        change("move_event", "Move an event to another day", "events", "event_id",
               ("Move {event_id} to {day}|Please shift {event_id} to {day}", "เลื่อน{event_id}ไป {day}", "把{event_id}改到{day}"), {"day": day("New date")}),
        change("change_event_time", "Set the time of an event", "events", "event_id",
               ("Change the time of {event_id} to {time}|Set {event_id} to {time}", "เปลี่ยนเวลา{event_id}เป็น {time}", "把{event_id}的时间改成{time}"), {"time": clock("New start")}),
        remove("delete_event", "Remove an event from the calendar", "events", "event_id",
               ("Delete {event_id}|Cancel {event_id}, please", "ยกเลิก{event_id}", "取消{event_id}")),
    ),
)  # fmt: skip
