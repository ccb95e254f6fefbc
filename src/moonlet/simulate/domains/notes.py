"""Notes and to-dos."""

from moonlet.simulate.domains.actions import add, change, find, read, remove
from moonlet.simulate.domains.domain import Domain, Table
from moonlet.simulate.domains.slot import choice, day, text

NOTES = Domain(
    "notes",
    (
        Table("notes", "N", ("note", "โน้ต", "笔记"), "title", {"title": text("Title", "notes"), "text": text("Text", "lines")}),
        Table("todos", "T", ("task", "งาน", "任务"), "title", {
            "title": text("What", "tasks"), "owner": text("Who", "people"), "due": day("Due"), "status": choice("Status", "todo done"),
        }, 5),
    ),
    (
        find("search_notes", "Search notes by words", "notes",
             ("Search my notes for {query}|Is there a note called {query}?", "ค้นโน้ตเรื่อง{query}", "在笔记里找{query}")),
        read("read_note", "Show a note", "notes", "note_id", "text",
             ("What does {note_id} say?|Read me {note_id}", "{note_id}เขียนว่าอะไร", "{note_id}写了什么")),
        add("write_note", "Write a new note", "notes", {"title": text("Title", "notes"), "text": text("Text", "lines")},
            ("Write a note called {title}: {text}|New note, title {title}, text {text}", "จดโน้ตชื่อ{title} เนื้อหา {text}", "写一条笔记，标题{title}，内容{text}")),
        change("replace_note", "Replace the text of a note", "notes", "note_id",
               ("Replace the text of {note_id} by: {text}|Let {note_id} say: {text}", "แก้{note_id}เป็น: {text}", "把{note_id}的内容改成：{text}"), {"text": text("New text", "lines")}),
        remove("delete_note", "Delete a note", "notes", "note_id",
               ("Delete {note_id}|Remove {note_id}", "ลบ{note_id}", "删掉{note_id}")),
        find("search_tasks", "Search the to-do list", "todos",
             ("Search the to-do list for {query}|Is {query} on the to-do list?", "ค้นหา{query}ในรายการงาน", "在待办里找{query}")),
        change("assign_task", "Give a task to a person", "todos", "task_id",
               ("Assign {task_id} to {owner}|Let {owner} do {task_id}", "มอบหมาย{task_id}ให้{owner}", "把{task_id}交给{owner}"), {"owner": text("Who", "people")}),
        change("finish_task", "Mark a task as done", "todos", "task_id",
               ("Mark {task_id} as done|{task_id} is finished, tick it off", "ทำ{task_id}เสร็จแล้ว ติ๊กออกให้ด้วย", "{task_id}做完了，标记一下"), sets={"status": "done"}, only={"status": ("todo",)}),
    ),
)  # fmt: skip
