"""Evening classes."""

from moonlet.simulate.domains.actions import add, find, read, remove
from moonlet.simulate.domains.domain import Domain, Table
from moonlet.simulate.domains.slot import choice, clock, day, number, ref, text

SCHOOL = Domain(
    "school",
    (
        Table("courses", "C", ("course", "คอร์ส", "课程"), "title", {
            "title": text("Title", "courses"), "teacher": text("Teacher", "people"), "day": day("Begins"), "time": clock("Time"),
            "price": number("Price", 20, 400, 10), "places": number("Places", 0, 20),
        }, 6),
        Table("pupils", "EN", ("enrolment", "การลงทะเบียน", "报名"), "name", {"name": text("Who", "people"), "status": choice("Status", "enrolled")}, 4),
    ),
    (
        find("search_courses", "Search courses by title or teacher", "courses", ("Is there a course on {query}?|Search the courses for {query}", "มีคอร์ส{query}ไหม", "有{query}的课吗")),
        read("course_times", "First day and time of a course", "courses", "course_id", "day time",
             ("When does {course_id} begin?|Day and time of {course_id}", "{course_id}เริ่มวันไหนกี่โมง", "{course_id}什么时候开始")),
        read("course_price", "Price of a course and its free places", "courses", "course_id", "price places",
             ("What does {course_id} cost, and are there places left? How many?|Price and free places of {course_id}", "{course_id}ราคาเท่าไหร่ เหลือกี่ที่", "{course_id}多少钱，还有几个名额")),
        read("course_teacher", "Who teaches a course", "courses", "course_id", "teacher",
             ("Who teaches {course_id}?|Teacher of {course_id}?", "ใครสอน{course_id}", "谁教{course_id}")),
        add("enrol", "Enrol a person in a course", "pupils", {"course_id": ref("Id of the course", "courses"), "name": text("Who", "people")},
            ("Enrol {name} in {course_id}|Sign {name} up for {course_id}", "ลงทะเบียน{course_id}ให้{name}", "给{name}报名{course_id}"), {"status": "enrolled"}),
        remove("leave_course", "Take an enrolment back", "pupils", "enrolment_id", ("Cancel {enrolment_id}|Take back {enrolment_id}", "ยกเลิก{enrolment_id}", "取消{enrolment_id}")),
        find("search_enrolments", "Search enrolments by name", "pupils", ("Is {query} enrolled anywhere?|Search the enrolments for {query}", "{query}ลงทะเบียนไว้ไหม", "{query}报名了吗")),
    ),
)  # fmt: skip
