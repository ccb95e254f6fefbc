"""A smart home."""

from moonlet.simulate.domains.actions import change, find, read
from moonlet.simulate.domains.domain import Domain, Table
from moonlet.simulate.domains.slot import choice, number, text

HOME = Domain(
    "home",
    (
        Table("devices", "D", ("room", "ห้อง", "房间"), "name", {
            "name": text("Room", "rooms"), "light": choice("Light", "on off"), "degrees": number("Heating", 15, 26),
            "brightness": number("Percent", 0, 100, 10), "door": choice("Door", "locked unlocked"),
        }, 6),
    ),
    (
        find("find_room", "Find the id of a room by its name", "devices",
             ("Which room is {query}?|Look up the room {query}", "หาห้อง{query}", "查找房间{query}")),
        read("room_state", "Light and temperature of a room", "devices", "room_id", "light degrees",
             ("Is the light on in {room_id}, and how warm is it set?|Light and temperature of {room_id}", "{room_id}เปิดไฟอยู่ไหม ตั้งไว้กี่องศา", "{room_id}的灯开着吗，设了多少度")),
        read("door_state", "Whether the door of a room is locked", "devices", "room_id", "door",
             ("Is the door of {room_id} locked?|Check the door of {room_id}", "ประตูของ{room_id}ล็อกอยู่ไหม", "{room_id}的门锁了吗")),
        change("set_light", "Switch the light of a room", "devices", "room_id",
               ("Switch the light of {room_id} {light}|Light {light} in {room_id}", "ไฟ{room_id} {light}", "把{room_id}的灯{light}"), {"light": choice("Power", "on off")}),
        change("set_heating", "Set the temperature of a room", "devices", "room_id",
               ("Heat {room_id} to {degrees} degrees|Set {room_id} to {degrees} degrees", "ตั้ง{room_id}ที่ {degrees} องศา", "把{room_id}调到{degrees}度"), {"degrees": number("Celsius", 15, 26)}),
        change("set_brightness", "Dim the light of a room", "devices", "room_id",
               ("Dim {room_id} to {brightness} percent|Brightness {brightness} in {room_id}", "หรี่ไฟ{room_id}เป็น {brightness} เปอร์เซ็นต์", "把{room_id}的亮度调到{brightness}"), {"brightness": number("Percent", 0, 100, 10)}),
        change("set_door", "Lock or unlock the door of a room", "devices", "room_id",
               ("I want the door of {room_id} {door}|Have the door of {room_id} {door}", "ทำให้ประตู{room_id} {door}", "把{room_id}的门{door}"), {"door": choice("What to do", "locked unlocked")}),
    ),
)  # fmt: skip
