"""A file that is there whole, or as it was before: whoever is stopped while it is written leaves no half of it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


def write(path: Path, text: str) -> None:
    """In place of what was there. Raises OSError."""
    with writing(path) as file:
        file.write(text)


@contextmanager
def writing(path: Path) -> Iterator[TextIO]:
    """A file to write to, which takes the path's place when all is written. Raises OSError, which names the path."""
    check(path)
    if path.exists() and not path.is_file():  # a device or a pipe: written to, and never replaced
        with path.open("w", encoding="utf-8") as file:
            yield file
        return
    path = Path(os.path.realpath(path))  # a link stays one
    beside = path.with_name(path.name + ".part")
    try:
        with beside.open("w", encoding="utf-8") as file:
            yield file
        os.replace(beside, path)
    except OSError as error:
        if error.filename == str(beside):  # whatever else failed meanwhile has its own words
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise


def check(path: Path) -> None:
    """Before much is worked for it: whether a file can have this name. Raises OSError."""
    if not path.name or path.is_dir():
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not path.parent.is_dir():
        raise OSError(errno.ENOENT, "there is no such folder", str(path.parent))
