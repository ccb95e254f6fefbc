"""A folder that paths cannot leave.

Every path is walked part by part from the folder's own descriptor, never followed by the system: `..` goes back over
descriptors that are held, a symbolic link is read and its parts are walked in the same way. So nothing that is renamed
or linked meanwhile leads outside; there is no moment between looking and opening.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from moonlet.tools.tool import ToolError

MAX_LINKS = 40  # on the way of one path, as in Linux


class Folder:
    """The folder's tools work inside it alone."""

    def __init__(self, root: Path) -> None:
        """Raises ToolError if it is no folder."""
        self.root = root.expanduser().resolve()
        if not self.root.is_dir():
            raise ToolError(f"{root} is not a folder")

    @contextmanager
    def parent(self, path: str, follow: bool = True) -> Iterator[tuple[int, str]]:
        """A descriptor of the folder that holds what the path names, and its name there; "." for the root. `follow`:
        a link at the end too. Raises ToolError."""
        stack = [os.open(self.root, os.O_PATH | os.O_DIRECTORY)]
        try:
            name = self._walk(stack, path, follow) or "."
            yield stack[-1], name
        except OSError as error:
            raise ToolError(f"{path}: {told(error)}") from None
        finally:
            for descriptor in stack:
                os.close(descriptor)

    @contextmanager
    def opened(self, path: str, flags: int = os.O_RDONLY) -> Iterator[int]:
        """A descriptor of a regular file. Raises ToolError."""
        with self.parent(path) as (at, name):
            # Without O_NONBLOCK opening a pipe would wait for its other end.
            descriptor = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at)
            try:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise ToolError(f"{path}: not a file")
                yield descriptor
            finally:
                os.close(descriptor)

    def _walk(self, stack: list[int], path: str, follow: bool) -> str:
        """Push descriptors of the folders on the way; returns the last part, "" if the path names a folder of them."""
        if "\0" in path:
            raise ToolError("a path has no zero byte")
        if path.startswith("/"):
            inside = Path(os.path.normpath(path))
            if not inside.is_relative_to(self.root):
                raise ToolError(f"{path}: outside of the folder; give a path inside it, such as notes/today.txt")
            path = str(inside.relative_to(self.root))
        parts = [part for part in path.split("/") if part not in ("", ".")][::-1]
        links = 0
        while parts:
            part = parts.pop()
            if part == "..":
                if len(stack) == 1:
                    raise ToolError(f"{path}: outside of the folder")
                os.close(stack.pop())
                continue
            if (parts or follow) and (target := _link(stack[-1], part)):
                links += 1
                if target.startswith("/") or links > MAX_LINKS:
                    raise ToolError(f"{path}: {part} is a link that leads outside of the folder or nowhere")
                parts += [one for one in target.split("/") if one not in ("", ".")][::-1]
                continue
            if not parts:
                return part
            stack.append(os.open(part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=stack[-1]))
        return ""


def _link(at: int, name: str) -> str:
    """Where a symbolic link points; nothing for anything else."""
    try:
        return os.readlink(name, dir_fd=at)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOENT, errno.ENOTDIR):
            return ""
        raise


def told(error: OSError) -> str:
    """A failure in the words of the system."""
    if error.errno == errno.ELOOP:
        return "a link was put there meanwhile"
    return (error.strerror or str(error)).lower()


def replace(at: int, name: str, data: bytes) -> None:
    """Write a file whole or not at all. A link or a second name of the old file is left as it was: the new file takes
    its place here. Raises OSError."""
    mode = 0o644
    with suppress(FileNotFoundError):
        old = os.stat(name, dir_fd=at, follow_symlinks=False)
        if not stat.S_ISREG(old.st_mode):
            raise OSError(errno.EINVAL, "not a file")
        mode = stat.S_IMODE(old.st_mode)
    beside = f".{name[:100]}.{os.getpid():x}.{os.urandom(4).hex()}.new"
    descriptor = os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o600, dir_fd=at)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode & 0o777)
        os.rename(beside, name, src_dir_fd=at, dst_dir_fd=at)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(beside, dir_fd=at)
        raise
