"""People at work: contacts and leave."""

from moonlet.simulate.domains.actions import add, change, find, read, remove
from moonlet.simulate.domains.domain import Domain, Table
from moonlet.simulate.domains.slot import choice, day, number, text

PEOPLE = Domain(
    "people",
    (
        Table("staff", "E", ("colleague", "เพื่อนร่วมงาน", "同事"), "name", {
            "name": text("Name", "people"), "team": text("Team", "teams"), "job": text("Job", "jobs"),
            "phone": text("Phone", "phone"), "email": text("Mail", "email"),
        }),
        Table("leave", "LV", ("leave request", "ใบลา", "请假单"), "name", {
            "name": text("Who", "people"), "kind": choice("Kind", "annual sick"), "day": day("From"), "days": number("Days", 1, 14),
            "status": choice("Status", "pending pending approved"),
        }, 5),
    ),
    (
        find("find_colleague", "Search colleagues by name, team or job", "staff",
             ("Who is {query}? Search our staff|Find {query} in the directory", "หา{query}ในบริษัท", "在公司里找{query}")),
        read("contact_details", "Phone number and mail address of a colleague", "staff", "colleague_id", "phone email",
             ("What are the phone number and the mail address of {colleague_id}?|How can I reach {colleague_id}? Phone and mail", "ขอเบอร์กับอีเมลของ{colleague_id}", "{colleague_id}的电话和邮箱是什么")),
        read("job_details", "Team and job of a colleague", "staff", "colleague_id", "team job",
             ("In which team is {colleague_id}, and as what?|Team and job of {colleague_id}", "{colleague_id}อยู่ทีมไหน ตำแหน่งอะไร", "{colleague_id}在哪个部门，什么职位")),
        change("move_team", "Move a colleague to another team", "staff", "colleague_id",
               ("Move {colleague_id} to {team}|{colleague_id} now works in {team}, change it", "ย้าย{colleague_id}ไป{team}", "把{colleague_id}调到{team}"), {"team": text("Team", "teams")}),
        add("request_leave", "Ask for days off", "leave",
            {"name": text("Who", "people"), "kind": choice("Kind", "annual sick"), "day": day("First day"), "days": number("How many days", 1, 14)},
            ("Request {days} days of {kind} leave for {name} from {day}|{name} needs {kind} leave, {days} days from {day}", "ขอ{kind}ให้{name} {days} วัน ตั้งแต่ {day}", "给{name}申请{kind}，从{day}起{days}天"), {"status": "pending"}),
        change("approve_leave", "Approve a leave request that is pending", "leave", "leave_id",
               ("Approve {leave_id}|{leave_id} is fine, approve it", "อนุมัติ{leave_id}", "批准{leave_id}"), sets={"status": "approved"}, only={"status": ("pending",)}),
        remove("withdraw_leave", "Withdraw a leave request", "leave", "leave_id", ("Withdraw {leave_id}|Take back {leave_id}", "ถอน{leave_id}", "撤回{leave_id}")),
        find("search_leave", "Search leave requests by name", "leave", ("Search the leave requests of {query}|Has {query} asked for leave?", "{query}ขอลาไว้ไหม", "{query}请过假吗")),
    ),
)  # fmt: skip
