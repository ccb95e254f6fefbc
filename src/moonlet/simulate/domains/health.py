"""Health: appointments and medicines."""

from moonlet.simulate.domains.actions import add, change, find, read, remove
from moonlet.simulate.domains.domain import Domain, Table
from moonlet.simulate.domains.slot import choice, clock, day, number, text

HEALTH = Domain(
    "health",
    (
        Table("visits", "V", ("appointment", "นัดหมอ", "预约"), "doctor", {
            "doctor": text("Doctor", "people"), "day": day("Day"), "time": clock("Time"), "reason": text("Reason", "events"),
        }, 5),
        Table("medicines", "MD", ("medicine", "ยา", "药"), "medicine", {
            "medicine": text("Name", "medicines"), "dose_mg": number("Dose", 5, 500, 5), "part": choice("When", "morning noon evening"), "left": number("Left", 0, 60),
        }, 5),
    ),
    (
        find("find_appointments", "Search appointments by doctor or reason", "visits", ("Do I have an appointment with {query}?|Search my appointments: {query}", "มีนัดกับ{query}ไหม", "我跟{query}有预约吗")),
        read("appointment_time", "Day and time of an appointment", "visits", "appointment_id", "day time",
             ("When is {appointment_id}?|Day and time of {appointment_id}", "{appointment_id}วันไหนกี่โมง", "{appointment_id}是什么时候")),
        add("make_appointment", "Make an appointment with a doctor", "visits", {"doctor": text("Whom", "people"), "day": day("Date"), "time": clock("When")},
            ("Make an appointment with {doctor} on {day} at {time}|I need to see {doctor}, {day} at {time}", "นัดหมอ{doctor} {day} เวลา {time}", "预约{doctor}医生，{day} {time}")),
        change("move_appointment", "Move an appointment to another day", "visits", "appointment_id",
               ("Move {appointment_id} to {day}|Can I have {appointment_id} on {day} instead?", "เลื่อน{appointment_id}เป็น {day}", "把{appointment_id}改到{day}"), {"day": day("New date")}),
        remove("cancel_appointment", "Cancel an appointment", "visits", "appointment_id", ("Cancel {appointment_id}|I can't make {appointment_id}, cancel it", "ยกเลิก{appointment_id}", "取消{appointment_id}")),
        find("search_medicines", "Search the user's medicines", "medicines", ("Am I taking {query}?|Search my medicines for {query}", "ฉันกิน{query}อยู่ไหม", "我在吃{query}吗")),
        read("medicine_plan", "Dose and time of day of a medicine", "medicines", "medicine_id", "dose_mg part",
             ("How much of {medicine_id} do I take, and when?|Dose and time of {medicine_id}", "{medicine_id}กินเท่าไหร่ ตอนไหน", "{medicine_id}吃多少，什么时候吃")),
        change("set_dose", "Set the dose of a medicine", "medicines", "medicine_id",
               ("Set the dose of {medicine_id} to {dose_mg} mg|From now on {dose_mg} mg of {medicine_id}", "ตั้งขนาด{medicine_id}เป็น {dose_mg} มก.", "把{medicine_id}的剂量改成{dose_mg}毫克"), {"dose_mg": number("Milligrams", 5, 500, 5)}),
    ),
)  # fmt: skip
