"""What a conversion has finished, so that one that was stopped goes on: JSON lines beside the work, synced to disk.

The first line says what is being made from what. A record follows only after the bytes it speaks of are on disk; a
last line that was cut off is as if it had never been written.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any


class JournalError(Exception):
    """The journal belongs to another conversion, is in use, or cannot be read or written."""


class Journal:
    """Parts and files that are finished. One process at a time holds a journal; the lock ends with the process."""

    def __init__(self, path: Path, plan: dict[str, Any]) -> None:
        """Opens or begins the journal of `plan`. Raises JournalError, one line."""
        self.path = path
        self.parts: dict[str, tuple[float, float]] = {}  # key -> squared error and squared weight of the sample
        self.files: dict[str, str] = {}  # file -> sha256
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            self._begin(plan)
        except BaseException:
            os.close(self._descriptor)
            raise

    def _begin(self, plan: dict[str, Any]) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JournalError(f"{self.path}: another process is working on this model") from None
        text = self._whole_lines()
        if not text:
            self._write([plan])
            return
        try:
            first, *records = [json.loads(line) for line in text.splitlines()]
            for record in records:
                self._take(record)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise JournalError(f"{self.path}: is damaged; {self._start_over()}") from None
        if first != plan:
            raise JournalError(f"{self.path}: was begun from other files or with other options; {self._start_over()}")

    def _whole_lines(self) -> str:
        """The text up to the last line end; what follows was cut off while being written and is removed."""
        with open(self._descriptor, "rb", closefd=False) as file:
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        os.ftruncate(self._descriptor, len(whole))
        return whole.decode("utf-8", "replace")

    def _start_over(self) -> str:
        return f"to start over, delete it and {self.path.with_suffix('.part')}"

    def _take(self, record: dict[str, Any]) -> None:
        if "part" in record:
            error, weight = record["error"]
            self.parts[str(record["part"])] = float(error), float(weight)
        elif "sha256" in record:
            self.files[str(record["file"])] = str(record["sha256"])
        else:
            self.files.pop(record["file"], None)
            for part in record["lost"]:
                self.parts.pop(part, None)

    def add(self, records: Iterable[dict[str, Any]]) -> None:
        """Appends {"part", "error"} and {"file", "sha256"} records and syncs."""
        made = list(records)
        if made:
            self._write(made)
        for record in made:
            self._take(record)

    def forget(self, file: str, parts: Iterable[str]) -> None:
        """A file is gone, and with it what was finished of it; written down before a new one takes its name."""
        lost = [part for part in parts if part in self.parts]
        if lost or file in self.files:
            self.add([{"file": file, "lost": lost}])

    def _write(self, records: list[dict[str, Any]]) -> None:
        data = "".join(json.dumps(record) + "\n" for record in records).encode()
        try:
            os.lseek(self._descriptor, 0, os.SEEK_END)
            written = os.write(self._descriptor, data)
            os.fsync(self._descriptor)
        except OSError as error:
            raise JournalError(f"{self.path}: cannot be written ({error.strerror})") from None
        if written != len(data):
            raise JournalError(f"{self.path}: cannot be written (disk full?)")

    def close(self) -> None:
        os.close(self._descriptor)


def recorded_plan(path: Path) -> dict[str, Any] | None:
    """The first line of a journal, None where there is no journal or no whole first line."""
    try:
        first = path.read_bytes().partition(b"\n")
        plan = json.loads(first[0]) if first[1] else None
    except (OSError, ValueError):
        return None
    return plan if isinstance(plan, dict) else None
