"""Maps: places, distances, and places that the user keeps."""

from collections.abc import Mapping
from math import hypot
from typing import Any

from moonlet.simulate.domains.actions import add, change, compute, find, read, remove
from moonlet.simulate.domains.domain import Domain, Table
from moonlet.simulate.domains.slot import choice, clock, number, ref, text
from moonlet.simulate.stage import Stage

KM_PER_HOUR = {"walk": 5, "cycle": 15, "drive": 40}
ENDS = {"from_id": ref("Id of the place to start at", "spots"), "to_id": ref("Id of the place to go to", "spots")}


def _km(stage: Stage, arguments: Mapping[str, Any]) -> float:
    a, b = (stage.state["spots"][arguments[key]] for key in ENDS)
    return round(hypot(a["x_km"] - b["x_km"], a["y_km"] - b["y_km"]), 1)


def _distance(stage: Stage, arguments: Mapping[str, Any]) -> Any:
    return {"km": _km(stage, arguments)}


def _travel_time(stage: Stage, arguments: Mapping[str, Any]) -> Any:
    minutes = round(_km(stage, arguments) / KM_PER_HOUR[arguments["by"]] * 60)
    return {"by": arguments["by"], "minutes": minutes}


MAPS = Domain(
    "maps",
    (
        Table("spots", "PT", ("place", "สถานที่", "地点"), "name", {
            "name": text("Name", "places"), "address": text("Address", "streets"), "opens": clock("Opens"),
            "x_km": number("East", 0, 20), "y_km": number("North", 0, 20),
        }),
        Table("saved", "SV", ("saved place", "ที่ที่บันทึกไว้", "收藏地点"), "name", {"name": text("Name", "places"), "comment": text("Comment", "lines")}, 4),
    ),
    (
        find("search_places", "Find places by name", "spots", ("Search the map for {query}|Find {query} on the map", "หา{query}บนแผนที่", "在地图上找{query}")),
        read("place_info", "Address and opening time of a place", "spots", "place_id", "address opens",
             ("Where is {place_id} and when does it open?|Address and opening time of {place_id}", "{place_id}อยู่ที่ไหน เปิดกี่โมง", "{place_id}在哪里，几点开门")),
        compute("distance", "Distance between two places", ENDS, _distance, "km",
                ("How far is it from {from_id} to {to_id}?|Distance between {from_id} and {to_id}", "จาก{from_id}ไป{to_id}ไกลแค่ไหน", "从{from_id}到{to_id}有多远")),
        compute("travel_time", "How long it takes to go from one place to another", {**ENDS, "by": choice("How", "walk cycle drive")}, _travel_time, "minutes",
                ("How long does it take from {from_id} to {to_id} {by}?|Minutes from {from_id} to {to_id}, {by}", "จาก{from_id}ไป{to_id} {by}ใช้เวลากี่นาที", "从{from_id}到{to_id}{by}要多少分钟")),
        add("save_place", "Keep a place with a comment", "saved", {"name": text("Name", "places"), "comment": text("Comment", "lines")},
            ("Save {name} with the comment {comment}|Remember {name} for me: {comment}", "บันทึก{name} พร้อมหมายเหตุ {comment}", "收藏{name}，备注{comment}")),
        change("comment_place", "Change the comment of a saved place", "saved", "saved_id",
               ("Change the comment of {saved_id} to {comment}|Let {saved_id} say {comment}", "แก้หมายเหตุของ{saved_id}เป็น {comment}", "把{saved_id}的备注改成{comment}"), {"comment": text("Comment", "lines")}),
        remove("forget_place", "Remove a saved place", "saved", "saved_id", ("Remove {saved_id}|Forget {saved_id}", "ลบ{saved_id}", "删除{saved_id}")),
    ),
)  # fmt: skip
