"""Carries pages between the cache and the disk while the engine goes on computing."""

from __future__ import annotations

import logging
import queue
import threading
from collections import Counter
from collections.abc import Callable
from collections.abc import Sequence as Ids
from functools import partial

import numpy as np
from numpy.typing import NDArray

from .cache import PageCache
from .sequence import Sequence
from .spill import Spill

_log = logging.getLogger("moonlet.engine")

LEAST = 4  # pages: a shorter beginning is read again as quickly
_Job = Callable[[], None]
Copy = Callable[[NDArray[np.int32], NDArray[np.uint8], bool], None]  # pages, bytes, whether into the cache


class Shelf:
    """Owned by the engine's loop. Two threads of its own, one that reads and one that writes, tell the loop through
    `post` when they are done. Pages that are being copied have a user, so nobody else writes them."""

    def __init__(
        self,
        spill: Spill,
        cache: PageCache,
        copy: Copy,
        page_bytes: int,
        post: Callable[[_Job], None],
    ) -> None:
        self.spill = spill
        self.loaded: Callable[[Sequence, int], None] = lambda *_: None  # told on the engine's thread
        self._cache, self._copy, self._page_bytes, self._post = cache, copy, page_bytes, post
        self._writing = Counter[int]()  # pages that wait to be written, and in how many jobs each
        self._jobs: list[queue.SimpleQueue[_Job | None]] = [queue.SimpleQueue(), queue.SimpleQueue()]
        self._threads = [
            threading.Thread(target=_work, args=(jobs,), name=f"moonlet-{name}", daemon=True)
            for jobs, name in zip(self._jobs, ("reads", "writes"))
        ]
        for thread in self._threads:
            thread.start()

    def fetch(self, sequence: Sequence, keys: Ids[bytes], pages: Ids[int]) -> bool:
        """Fills `pages` with as many of `keys` as are on disk; `loaded` says when. False: none are."""
        count = self.spill.covers(keys)
        if count:
            self._jobs[0].put(partial(self._read, sequence, list(keys[:count]), np.asarray(pages[:count], np.int32)))
        return count > 0

    def keep(self, keys: Ids[bytes], pages: Ids[int]) -> None:
        """Writes the pages to disk, as far as they are not there."""
        if len(keys) < LEAST:
            return
        held = list(pages[: len(keys)])
        if self._writing and len(self._writing.keys() | held) > self._cache.pages // 2:
            self.spill.lost += len(keys) - self.spill.covers(keys)  # the disk is slower than the replies
            return
        self._cache.share(held)
        self._writing.update(held)
        self._jobs[1].put(partial(self._write, list(keys), held))

    def close(self) -> None:
        """Waits until all that was to be kept is."""
        for jobs in self._jobs:
            jobs.put(None)
        for thread in self._threads:
            thread.join()
        self.spill.close()

    def _read(self, sequence: Sequence, keys: list[bytes], pages: NDArray[np.int32]) -> None:
        def put(first: int, block: NDArray[np.uint8]) -> None:
            self._copy(pages[first : first + len(block)], block, True)

        count = 0
        try:
            count = self.spill.read(keys, put)
        finally:
            self._post(lambda: self.loaded(sequence, count))

    def _write(self, keys: list[bytes], pages: list[int]) -> None:
        numbers = np.asarray(pages, np.int32)

        def get(first: int, count: int) -> NDArray[np.uint8]:
            block = np.empty((count, self._page_bytes), np.uint8)
            self._copy(numbers[first : first + count], block, False)
            return block

        try:
            self.spill.write(keys, get)
        finally:
            self._post(partial(self._written, pages))

    def _written(self, pages: list[int]) -> None:
        self._writing -= Counter(pages)  # those of no job are gone from it
        self._cache.release(pages)


def _work(jobs: queue.SimpleQueue[_Job | None]) -> None:
    while (job := jobs.get()) is not None:
        try:
            job()
        except Exception:  # ours; a miss for whoever waits, and the next job goes on
            _log.exception("pages were not carried")
