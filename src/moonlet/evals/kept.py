"""Results of the short form (`moonlet.evals.short`), kept in the cache so that whoever serves a model sees them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from moonlet.model.folder import default_path

VERSION = 1  # counted up when the short form asks other questions


def line(result: Mapping[str, Any]) -> str:
    """A kept result in one line."""
    told = ", ".join(f"{row['row']} {row['right']} of {row['total']}" for row in result["rows"])
    asked, of = result.get("asked"), result.get("of")
    return told if asked == of else f"{told} ({asked} of {of} questions: there was no time for more)"


def keep(folder: Path, result: dict[str, Any]) -> None:
    """Keeps a result for this very model: another conversion or training is another one."""
    place = _place(folder)
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = place.with_name(place.name + ".part")
    beside.write_text(json.dumps(result, indent=2), encoding="utf-8")
    os.replace(beside, place)


def kept(folder: Path) -> dict[str, Any] | None:
    """The result that was kept for the model of this folder, if there is one."""
    try:
        found = json.loads(_place(folder).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _place(folder: Path) -> Path:
    """Named by what the folder says of its files, their checksums included."""
    told = (folder / "moonlet.json").read_bytes()
    return default_path("").parent / "tools" / f"{hashlib.sha256(told).hexdigest()[:16]}-{VERSION}.json"
