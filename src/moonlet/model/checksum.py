"""sha256 of files, and the count of bytes that long work reports while it goes on."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path

Progress = Callable[[int, int], None]  # (bytes done, bytes in all)

_BLOCK = 1 << 22  # bytes read at once


class StoppedError(Exception):
    """Ends a thread whose work is no longer wanted; nobody sees it."""


class Meter:
    """Counts work in bytes and tells a Progress of it; threads may count at the same time."""

    def __init__(self, progress: Progress | None) -> None:
        self.total = 0
        self._done = 0
        self._progress = progress
        self._lock = threading.Lock()
        self._stopped = False

    def stop(self) -> None:
        """Whatever counts here from now on is to end."""
        self._stopped = True

    def add(self, count: int) -> None:
        """So many more bytes are done. Raises StoppedError when the work is no longer wanted."""
        if self._stopped:
            raise StoppedError
        with self._lock:
            self._done += count
            if self._progress is not None:
                self._progress(self._done, self.total)


def sha256(path: Path, meter: Meter) -> str:
    """Hexadecimal sha256 of a file's bytes, each counted once."""
    digest = hashlib.sha256()
    block = memoryview(bytearray(_BLOCK))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(block):
            digest.update(block[:count])
            meter.add(count)
    return digest.hexdigest()
