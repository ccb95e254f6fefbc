"""A file that is there whole, or as it was before: whoever is stopped while it is written leaves no half of it."""

from __future__ import annotations

import os
from pathlib import Path


def write(path: Path, text: str) -> None:
    """In place of what was there. Raises OSError."""
    beside = path.with_name(path.name + ".part")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, path)
