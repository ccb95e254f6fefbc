"""Reading and writing files inside one folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from moonlet.chat.messages import ToolSpec
from moonlet.tools.folder import Folder, replace, told
from moonlet.tools.tool import Tool, ToolError, parameters

MAX_READ = 4 << 20  # bytes of a file
MAX_WRITE = 4 << 20
MAX_ENTRIES = 1000  # of a list
MAX_FOUND = 200  # lines of a search
MAX_DEPTH = 24
_PATH = {"type": "string", "description": "Inside the folder, such as notes/today.txt"}


def file_tools(root: Path) -> list[Tool]:
    """list_files, read_file, find_in_files, write_file, edit_file and delete_file, inside `root`. Raises ToolError."""
    folder = Folder(root)

    def tool(name: str, about: str, schema: Any, run: Any, changes: bool = False) -> Tool:
        return Tool(ToolSpec(name, about, schema), lambda given: run(folder, given), changes, outside=True)

    text = {"type": "string"}
    line = {"type": "integer", "minimum": 1}
    return [
        tool(
            "list_files",
            "List a folder, or everything below it that fits a pattern",
            parameters(optional={"path": _PATH, "pattern": {"type": "string", "description": "Such as *.py"}}),
            list_files,
        ),
        tool(
            "read_file",
            "Read a text file, or some lines of it",
            parameters({"path": _PATH}, {"first": line, "lines": line}),
            read_file,
        ),
        tool(
            "find_in_files",
            "Find lines that contain a text, in all files below a folder",
            parameters({"text": text}, {"path": _PATH, "pattern": {"type": "string", "description": "Such as *.py"}}),
            find_in_files,
        ),
        tool("write_file", "Write a whole file", parameters({"path": _PATH, "text": text}), write_file, True),
        tool(
            "edit_file",
            "Replace a text that occurs once in a file",
            parameters({"path": _PATH, "old": text, "new": text}),
            edit_file,
            True,
        ),
        tool("delete_file", "Delete a file", parameters({"path": _PATH}), delete_file, True),
    ]


def list_files(folder: Folder, given: Mapping[str, Any]) -> str:
    """Names with sizes; folders end with a slash."""
    path, pattern = given.get("path", "."), given.get("pattern")
    found = [
        f"{name}/" if stat.S_ISDIR(status.st_mode) else f"{name}  {status.st_size} bytes"
        for name, status in _below(folder, path, deep=pattern is not None)
        if pattern is None or fnmatchcase(name, pattern) or fnmatchcase(name.split("/")[-1], pattern)
    ]
    more = f"\n[only the first {MAX_ENTRIES} of {len(found)}]" if len(found) > MAX_ENTRIES else ""
    return "\n".join(found[:MAX_ENTRIES]) + more or "[nothing]"


def read_file(folder: Folder, given: Mapping[str, Any]) -> str:
    """The text, or some lines."""
    text = _text(folder, given["path"])
    first, count = given.get("first", 1), given.get("lines")
    if first == 1 and count is None:
        return text
    lines = text.splitlines(keepends=True)
    last = len(lines) if count is None else first + count - 1
    return "".join(lines[first - 1 : last]) or f"[the file has {len(lines)} lines]"


def find_in_files(folder: Folder, given: Mapping[str, Any]) -> str:
    """Lines as `path:number: line`."""
    wanted, pattern = given["text"], given.get("pattern", "*")
    if not wanted:
        raise ToolError("the text to find is empty")
    found: list[str] = []
    base = given.get("path", ".")
    for name, status in _below(folder, base, deep=True):
        if (
            not stat.S_ISREG(status.st_mode)
            or status.st_size > MAX_READ
            or not fnmatchcase(name.split("/")[-1], pattern)
        ):
            continue
        path = name if base in (".", "") else f"{base.rstrip('/')}/{name}"
        try:
            lines = _text(folder, path).splitlines()
        except ToolError:  # binary, or gone meanwhile
            continue
        found += [f"{path}:{i}: {line[:400]}" for i, line in enumerate(lines, 1) if wanted in line]
        if len(found) > MAX_FOUND:
            return "\n".join(found[:MAX_FOUND]) + f"\n[only the first {MAX_FOUND}]"
    return "\n".join(found) or "[nothing]"


def write_file(folder: Folder, given: Mapping[str, Any]) -> dict[str, Any]:
    """A whole file; folders on the way are made."""
    data = given["text"].encode("utf-8", "replace")
    if len(data) > MAX_WRITE:
        raise ToolError(f"a file of more than {MAX_WRITE >> 20} MiB is not written")
    _make_folders(folder, given["path"])
    with folder.parent(given["path"]) as (at, name):
        if name == ".":
            raise ToolError(f"{given['path']}: is a folder")
        replace(at, name, data)
    return {"written": given["path"], "bytes": len(data)}


def edit_file(folder: Folder, given: Mapping[str, Any]) -> dict[str, Any]:
    """One place of a file."""
    try:
        text = _text(folder, given["path"], "strict")
    except UnicodeDecodeError:
        raise ToolError(f"{given['path']}: not UTF-8 text; an edit would damage it") from None
    count = text.count(given["old"]) if given["old"] else 0
    if count != 1:
        raise ToolError(f"the old text occurs {count} times in {given['path']}; it must occur once")
    return write_file(folder, {"path": given["path"], "text": text.replace(given["old"], given["new"])})


def delete_file(folder: Folder, given: Mapping[str, Any]) -> dict[str, Any]:
    """A file, not a folder; of a link the link itself, wherever it leads."""
    with folder.parent(given["path"], follow=False) as (at, name):
        os.unlink(name, dir_fd=at)
    return {"deleted": given["path"]}


def _text(folder: Folder, path: str, errors: str = "replace") -> str:
    with folder.opened(path) as descriptor, os.fdopen(os.dup(descriptor), "rb") as file:
        data = file.read(MAX_READ + 1)
    if len(data) > MAX_READ:
        raise ToolError(f"{path}: larger than {MAX_READ >> 20} MiB")
    if b"\0" in data[:8192]:
        raise ToolError(f"{path}: not a text file")
    return data.decode("utf-8", errors)


def _make_folders(folder: Folder, path: str) -> None:
    parts = Path(path).parts[:-1]
    for count in range(1, len(parts) + 1):
        way = "/".join(parts[:count]).replace("//", "/")
        if way in ("/", ".", "..") or parts[count - 1] == "..":
            continue
        if path.startswith("/") and folder.root.is_relative_to(way):
            continue  # on the way to the folder itself
        with folder.parent(way) as (at, name):
            try:
                os.mkdir(name, dir_fd=at)
            except FileExistsError:
                continue


def _below(folder: Folder, path: str, deep: bool) -> Iterator[tuple[str, os.stat_result]]:
    """What a folder holds, in order, with names from it on. Links are named and not followed."""
    with folder.parent(path) as (at, name):
        start = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
        yield from _entries(start, "", deep, MAX_DEPTH)


def _entries(at: int, prefix: str, deep: bool, depth: int) -> Iterator[tuple[str, os.stat_result]]:
    try:
        for name in sorted(os.listdir(at)):
            try:
                status = os.stat(name, dir_fd=at, follow_symlinks=False)
                yield prefix + name, status
                if deep and depth and stat.S_ISDIR(status.st_mode) and name not in (".git", "node_modules"):
                    inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
                    yield from _entries(inner, f"{prefix}{name}/", deep, depth - 1)
            except OSError as error:
                if prefix == "" and not deep:
                    raise ToolError(f"{name}: {told(error)}") from None
    finally:
        os.close(at)
