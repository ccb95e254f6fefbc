"""Stages: pure functions from a typed input to a typed output, kept as JSON in the article's folder.

`NAME.json` holds a stage's input, settings, output and a key: the digest of its name, version, input and settings. A
stage whose key is there is not done again. The file is written beside and renamed, so that it is whole or not there;
`NAME/` holds the stage's own files, and survives a crash so that a stage may go on in the middle.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from moonlet.article.plain import PlainError, from_plain, to_plain

FORMAT = 1

Given = TypeVar("Given")
Settings = TypeVar("Settings")
Made = TypeVar("Made")

Tell = Callable[[float, float], None]  # how much is done, of how much, in any unit


class StageError(Exception):
    """A stage cannot do its work with this input."""


def silent(done: float, of: float) -> None:
    """Tells nobody."""


def calm(tell: Tell) -> Tell:
    """Tells at most ten times a second, and the end: a stage may speak of every frame of a video."""
    last = -1.0

    def told(done: float, of: float) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= 0.1 or done >= of:
            last = now
            tell(done, of)

    return told


@dataclass(frozen=True, slots=True)
class Stage(Generic[Given, Settings, Made]):
    """`run(given, folder, settings, tell)` may write files under `folder/name/` and nowhere else, and depends on
    nothing but its arguments. `version` is raised when the same input gives another output."""

    name: str
    version: int
    takes: type[Given]
    settings: type[Settings]
    makes: type[Made]
    run: Callable[[Given, Path, Settings, Tell], Made]

    def key(self, given: Given, settings: Settings) -> str:
        """The digest of all that the output depends on."""
        told = [FORMAT, self.name, self.version, to_plain(given), to_plain(settings)]
        return hashlib.sha256(_json(told).encode()).hexdigest()


def do(
    stage: Stage[Given, Settings, Made],
    given: Given,
    folder: Path,
    set_to: Settings,
    tell: Tell = silent,
    fresh: bool = False,
    lost: bool = False,
) -> Made:
    """The stage's output: the kept one if nothing that it depends on has changed, else made now. `lost`: made now
    because files that were made are not there. `fresh`: made now, and from nothing: a stage goes on from what lies in
    its own folder, so that is removed first. When that is stopped, a call without `fresh` goes on."""
    kept, key = None if fresh or lost else read(stage, folder), stage.key(given, set_to)
    if kept is not None and kept.key == key:
        return kept.output
    if fresh:
        _forget(stage.name, folder)
    return _make(stage, given, folder, set_to, tell, key)


def _forget(name: str, folder: Path) -> None:
    """As if the stage had never been done here. Of a link, the link alone is removed. The JSON comes last: while it is
    there, what it says still holds, or can be seen to be lost."""
    own = folder / name
    if own.is_symlink():
        own.unlink()
    elif own.is_dir():
        shutil.rmtree(own)
    (folder / f"{name}.json").unlink(missing_ok=True)


def kept_input(stage: Stage[Given, Any, Any], folder: Path) -> Given | None:
    """What the stage was last given here, or None if it never was."""
    raw = _kept(stage, folder)
    try:
        return from_plain(stage.takes, raw["input"]) if raw else None
    except (PlainError, KeyError):
        return None


def _make(
    stage: Stage[Given, Settings, Made], given: Given, folder: Path, set_to: Settings, tell: Tell, key: str
) -> Made:
    begun = time.monotonic()
    output = to_plain(stage.run(given, folder, set_to, calm(tell)))
    told = {
        "format": FORMAT,
        "stage": stage.name,
        "version": stage.version,
        "key": key,
        "seconds": round(time.monotonic() - begun, 3),
        "settings": to_plain(set_to),
        "input": to_plain(given),
        "output": output,
    }
    write_whole(folder / f"{stage.name}.json", _json(told) + "\n")
    return from_plain(stage.makes, output)  # as a later run will read it


@dataclass(frozen=True, slots=True)
class Kept(Generic[Made]):
    """What a folder holds of a stage."""

    key: str
    output: Made
    seconds: float  # that it took


def read(stage: Stage[Any, Any, Made], folder: Path) -> Kept[Made] | None:
    """The kept output, or None if there is none that can be read."""
    raw = _kept(stage, folder)
    try:
        return Kept(raw["key"], from_plain(stage.makes, raw["output"]), raw["seconds"]) if raw else None
    except (PlainError, KeyError):
        return None  # by another version


def _kept(stage: Stage[Any, Any, Any], folder: Path) -> dict[str, Any] | None:
    try:
        raw = json.loads((folder / f"{stage.name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return (
        raw if isinstance(raw, dict) and raw.get("format") == FORMAT and raw.get("version") == stage.version else None
    )


def inside(folder: Path, name: str) -> Path:
    """A file that the kept JSON of an article names. Raises StageError where it lies outside of the article's folder:
    the JSON may be somebody else's, and what it names is read and shown."""
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise StageError(f"{name} leads out of {folder}")
    return path


def write_whole(path: Path, data: str | bytes) -> None:
    """A file that is either whole or as it was, also after a crash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.part")
    with beside.open("wb") as file:
        file.write(data.encode() if isinstance(data, str) else data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
