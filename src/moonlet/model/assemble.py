"""Makes the tensor files of a recipe: part by part, several at once, in the order in which the source files come.

The files have their full size from the start and are filled in place. Every so often what was written is synced and
then entered in the journal; a complete file is read again for its sha256.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from moonlet import kernels

from .checkpoint import Checkpoint
from .checksum import Meter, sha256
from .journal import Journal
from .recipe import Part, Recipe
from .repack import Error, Write, make_part

_MOST_WORKERS = 8  # each holds some 100 MB of weights
_SYNC_BYTES = 256 << 20  # written between two syncs: the most that a kill can cost


@dataclass(frozen=True, slots=True)
class Shards:
    """How the checkpoint's files come and go: `fetch` is called before one is read, `release` when it is done with.

    `room`: bytes of disk that each one takes when it is fetched, none where it is there already; unless they `stay`,
    the release gives them back.
    """

    fetch: Callable[[str], None]
    release: Callable[[str], None]
    room: Mapping[str, int]
    stay: bool


@dataclass(frozen=True, slots=True)
class Step:
    """What can be done once a further shard is there. `shard` is None when nothing is left that needs it."""

    shard: str | None
    parts: tuple[Part, ...]
    released: tuple[str, ...]  # shards that no later step needs


def make_steps(checkpoint: Checkpoint, parts: Iterable[Part], done: Iterable[str]) -> list[Step]:
    """The shards in order, each with the parts that it completes; parts whose keys are in `done` are left out."""
    order = {shard: index for index, shard in enumerate(checkpoint.shards)}
    finished = set(done)
    last_use = dict.fromkeys(order, 0)
    needed: set[str] = set()
    by_step: list[list[Part]] = [[] for _ in order]
    for part in parts:
        used = {shard for weight in part.weights for shard in checkpoint.shards_of(weight)}
        step = max(order[shard] for shard in used)
        for shard in used:
            last_use[shard] = max(last_use[shard], step)
        if part.key not in finished:
            needed |= used
            by_step[step].append(part)
    return [
        Step(
            shard if shard in needed else None,
            tuple(by_step[index]),
            tuple(other for other, last in last_use.items() if last == index),
        )
        for shard, index in order.items()
    ]


def room_needed(recipe: Recipe, work: Path, steps: Iterable[Step], shards: Shards) -> int:
    """Bytes of disk that are still to be taken: the files less what is written of them, and the shards held at once."""
    files = 0
    for name, layout in recipe.layouts.items():
        path = work / name
        files += layout.size - (min(path.stat().st_blocks * 512, layout.size) if path.exists() else 0)
    held = most = 0
    for step in steps:
        held += shards.room.get(step.shard, 0) if step.shard else 0
        most = max(most, held)
        if not shards.stay:
            held -= sum(shards.room.get(shard, 0) for shard in step.released)
    return files + most


class Assembly:
    """The tensor files of one folder in the making."""

    def __init__(
        self, checkpoint: Checkpoint, recipe: Recipe, work: Path, journal: Journal, shards: Shards, meter: Meter
    ) -> None:
        self.checkpoint, self.recipe, self.work = checkpoint, recipe, work
        self.journal, self.shards, self.meter = journal, shards, meter
        self._files: dict[str, int] = {}  # descriptors of the files that are not complete
        self._lacking: dict[str, int] = {}  # parts that each of them lacks
        self._made: list[tuple[Part, Error]] = []  # since the last sync
        self._workers = max(2, min(_MOST_WORKERS, kernels.cores()))
        self._hashes: deque[tuple[str, Future[str]]] = deque()

    def run(self) -> None:
        """Makes what the journal lacks. Raises CheckpointError, or OSError with the file's name."""
        try:
            self._open_files()
            weights = self.checkpoint.by_shard(self.recipe.weights)
            with ThreadPoolExecutor(self._workers) as pool:
                try:
                    for step in make_steps(self.checkpoint, self.recipe.parts, self.journal.parts):
                        if step.shard is not None:
                            self.shards.fetch(step.shard)
                            self.checkpoint.open_shard(step.shard, weights[step.shard])
                        self._make(pool, step.parts)
                        for shard in step.released:
                            self.checkpoint.close_shard(shard)
                            self.shards.release(shard)
                    self._enter_hashes(wait=True)
                except BaseException:
                    self.meter.stop()  # a file of many gigabytes may be on its way through sha256
                    pool.shutdown(wait=True, cancel_futures=True)
                    raise
        finally:
            for descriptor in self._files.values():
                os.close(descriptor)

    def _open_files(self) -> None:
        """Files of their full size with their heads; what the journal says of files that are not there is forgotten."""
        by_file: dict[str, list[Part]] = {name: [] for name in self.recipe.layouts}
        for part in self.recipe.parts:
            by_file[part.file].append(part)
            self.meter.total += part.bytes
        self.meter.total += self.recipe.size
        for name, layout in self.recipe.layouts.items():
            path = self.work / name
            parts = by_file[name]
            if not path.exists() or path.stat().st_size != layout.size:
                self.journal.forget(name, (part.key for part in parts))
            made = [part for part in parts if part.key in self.journal.parts]
            self.meter.add(sum(part.bytes for part in made))
            if name in self.journal.files:
                self.meter.add(layout.size)
                continue
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            self._files[name] = descriptor
            self._lacking[name] = len(parts) - len(made)
            try:
                os.ftruncate(descriptor, layout.size)
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(path)) from None
            self._writer(name)(0, memoryview(layout.head))

    def _writer(self, name: str) -> Write:
        descriptor = self._files[name]

        def write(place: int, data: memoryview) -> None:
            room = data.cast("B")
            try:
                while room:
                    count = os.pwrite(descriptor, room, place)
                    room, place = room[count:], place + count
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(self.work / name)) from None

        return write

    def _make(self, pool: ThreadPoolExecutor, parts: Iterable[Part]) -> None:
        """Makes parts a few at a time and enters them in their order."""
        unsynced = 0
        for part, error in self._in_turn(pool, parts):
            self._made.append((part, error))
            self.meter.add(part.bytes)
            unsynced += part.bytes
            if unsynced >= _SYNC_BYTES:
                self._sync(pool)
                unsynced = 0
        self._sync(pool)

    def _in_turn(self, pool: ThreadPoolExecutor, parts: Iterable[Part]) -> Iterator[tuple[Part, Error]]:
        waiting: deque[tuple[Part, Future[Error]]] = deque()
        for part in parts:
            waiting.append((part, pool.submit(make_part, part, self.checkpoint, self._writer(part.file))))
            if len(waiting) >= 2 * self._workers:
                first, made = waiting.popleft()
                yield first, made.result()
        for first, made in waiting:
            yield first, made.result()

    def _sync(self, pool: ThreadPoolExecutor) -> None:
        """Parts go to disk, then into the journal; files that are complete now are hashed beside the further work."""
        for name in {part.file for part, _ in self._made}:
            os.fsync(self._files[name])
        self.journal.add({"part": part.key, "error": list(error)} for part, error in self._made)
        for part, _ in self._made:
            self._lacking[part.file] -= 1
        self._made.clear()
        for name in [name for name, count in self._lacking.items() if count == 0]:
            del self._lacking[name]
            os.fsync(self._files[name])
            os.close(self._files.pop(name))
            self._hashes.append((name, pool.submit(sha256, self.work / name, self.meter)))
        self._enter_hashes(wait=False)

    def _enter_hashes(self, wait: bool) -> None:
        while self._hashes and (wait or self._hashes[0][1].done()):
            name, digest = self._hashes.popleft()
            self.journal.add([{"file": name, "sha256": digest.result()}])
