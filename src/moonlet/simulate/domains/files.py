"""Files in a cloud drive."""

from moonlet.simulate.domains.actions import change, find, read, remove
from moonlet.simulate.domains.domain import Domain, Table
from moonlet.simulate.domains.slot import choice, day, number, text

FILES = Domain(
    "files",
    (
        Table("drive", "F", ("file", "ไฟล์", "文件"), "name", {
            "name": text("Name", "files"), "folder": text("Folder", "folders"), "size_kb": number("Size", 2, 9000),
            "sharing": choice("Sharing", "private public"), "day": day("Changed", -60, 0),
        }),
    ),
    (
        find("search_files", "Search files by name or folder", "drive",
             ("Find files that match {query}|Where did I put {query}? Search for it", "ค้นหาไฟล์ {query}", "查找文件{query}")),
        read("file_info", "Size, folder and sharing of a file", "drive", "file_id", "size_kb folder",
             ("How big is {file_id} and in which folder?|Size and folder of {file_id}", "{file_id}ขนาดเท่าไหร่ อยู่โฟลเดอร์ไหน", "{file_id}有多大，在哪个文件夹")),
        change("rename_file", "Give a file another name", "drive", "file_id",
               ("Rename {file_id} to {name}|Give {file_id} the name {name}", "เปลี่ยนชื่อ{file_id}เป็น {name}", "把{file_id}改名为{name}"), {"name": text("New name", "files")}),
        change("move_file", "Move a file to another folder", "drive", "file_id",
               ("Move {file_id} to {folder}|Put {file_id} in the folder {folder}", "ย้าย{file_id}ไปที่ {folder}", "把{file_id}移到{folder}"), {"folder": text("Folder", "folders")}),
        change("share_file", "Set who can see a file", "drive", "file_id",
               ("Make {file_id} {sharing}|Set the sharing of {file_id} to {sharing}", "ตั้ง{file_id}เป็น{sharing}", "把{file_id}设为{sharing}"), {"sharing": choice("Who", "private public")}),
        remove("delete_file", "Delete a file for good", "drive", "file_id",
               ("Delete {file_id}|Get rid of {file_id}", "ลบ{file_id}", "删除{file_id}")),
    ),
)  # fmt: skip
