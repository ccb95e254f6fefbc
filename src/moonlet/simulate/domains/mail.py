"""A mailbox."""

from moonlet.simulate.domains.actions import add, change, find, read, remove
from moonlet.simulate.domains.domain import Domain, Table
from moonlet.simulate.domains.slot import choice, day, text

MAIL = Domain(
    "mail",
    (
        Table("mails", "M", ("mail", "อีเมล", "邮件"), "subject", {
            "subject": text("Subject", "subjects"), "sender": text("Sender", "people"), "day": day("Day", -20, 0),
            "folder": choice("Folder", "inbox"), "status": choice("Status", "read unread"), "body": text("Text", "messages"),
        }),
        Table("sent_mails", "S", ("sent mail", "อีเมลที่ส่ง", "已发邮件"), "subject", {
            "to": text("To", "email"), "subject": text("Subject", "subjects"), "body": text("Text", "messages"),
        }, 3),
    ),
    (
        find("search_mail", "Search mails by words in subject, sender or text", "mails",
             ("Do I have mail about {query}?|Search my mailbox for {query}", "มีเมลเรื่อง{query}ไหม", "有没有关于{query}的邮件")),
        read("read_mail", "Show one mail", "mails", "mail_id", "sender body",
             ("What does {mail_id} say, and who sent it?|Read {mail_id} to me, with the sender", "อ่าน{mail_id}ให้ฟังหน่อย ใครส่งมา", "念一下{mail_id}，是谁发的")),
        add("send_mail", "Send a mail", "sent_mails",
            {"to": text("Address", "email"), "subject": text("Subject", "subjects"), "body": text("Text", "messages")},
            ("Send a mail to {to} with the subject {subject}: {body}|Mail {to}, subject {subject}, text: {body}",
             "ส่งเมลถึง {to} หัวเรื่อง {subject} ข้อความว่า {body}", "给 {to} 发邮件，主题是{subject}，内容：{body}")),
        change("move_mail", "Move a mail to a folder", "mails", "mail_id",
               ("Move {mail_id} to the folder {folder}|Put {mail_id} into {folder}", "ย้าย{mail_id}ไปโฟลเดอร์ {folder}", "把{mail_id}移到{folder}文件夹"),
               {"folder": choice("Folder", "archive spam receipts family")}),
        change("mark_mail", "Mark a mail as read or unread", "mails", "mail_id",
               ("Mark {mail_id} as {status}|Please set {mail_id} to {status}", "ทำเครื่องหมาย{mail_id}ว่า{status}", "把{mail_id}标为{status}"), {"status": choice("Mark", "read unread")}),
        remove("delete_mail", "Delete a mail", "mails", "mail_id",
               ("Delete {mail_id}|Throw away {mail_id}", "ลบ{mail_id}", "删除{mail_id}")),
    ),
)  # fmt: skip
