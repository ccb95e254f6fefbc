"""Support tickets."""

from moonlet.simulate.domains.actions import add, change, find, read
from moonlet.simulate.domains.domain import Domain, Table
from moonlet.simulate.domains.slot import choice, day, text

SUPPORT = Domain(
    "support",
    (
        Table("tickets", "TK", ("ticket", "ทิกเก็ต", "工单"), "problem", {
            "problem": text("Problem", "problems"), "priority": choice("Priority", "low normal high"), "status": choice("Status", "open open closed"),
            "agent": text("Agent", "people"), "day": day("Opened", -15, 0),
        }),
    ),
    (
        find("search_tickets", "Search tickets by words", "tickets",
             ("Is there a ticket about {query}?|Search the tickets for {query}", "มีทิกเก็ตเรื่อง{query}ไหม", "有关于{query}的工单吗")),
        read("get_ticket", "Status and agent of a ticket", "tickets", "ticket_id", "status agent",
             ("What's the status of {ticket_id} and who works on it?|Status and agent of {ticket_id}", "{ticket_id}สถานะอะไร ใครดูแล", "{ticket_id}什么状态，谁在处理")),
        add("open_ticket", "Open a ticket", "tickets", {"problem": text("What is wrong", "problems"), "priority": choice("How urgent", "low normal high urgent")},
            ("Open a ticket: {problem}, priority {priority}|Please file {problem} as a {priority} ticket", "เปิดทิกเก็ตเรื่อง{problem} ความสำคัญ{priority}", "开一个工单：{problem}，优先级{priority}"), {"status": "open"}),
        change("set_priority", "Set the priority of a ticket", "tickets", "ticket_id",
               ("Set {ticket_id} to {priority} priority|Make {ticket_id} {priority}", "ตั้ง{ticket_id}เป็นความสำคัญ{priority}", "把{ticket_id}的优先级设为{priority}"), {"priority": choice("How urgent", "low normal high urgent")}),
        change("assign_ticket", "Give a ticket to an agent", "tickets", "ticket_id",
               ("Assign {ticket_id} to {agent}|{agent} should take over {ticket_id}", "มอบ{ticket_id}ให้{agent}", "把{ticket_id}分给{agent}"), {"agent": text("Agent", "people")}),
        change("close_ticket", "Close a ticket that is open", "tickets", "ticket_id",
               ("Close {ticket_id}|{ticket_id} is solved, close it", "ปิด{ticket_id}", "关闭{ticket_id}"), sets={"status": "closed"}, only={"status": ("open",)}),
    ),
)  # fmt: skip
