"""Text files packed with xz, as public data sets lie in their folder."""

from __future__ import annotations

import lzma
from pathlib import Path


def lines(path: Path) -> list[str]:
    """The lines of such a file, without their ends; bytes that are no UTF-8 are replaced."""
    with lzma.open(path, "rt", encoding="utf-8", errors="replace") as file:
        return file.read().splitlines()
