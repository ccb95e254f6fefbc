"""This machine, measured in under twenty seconds, and kept under $MOONLET_HOME for the next plans.

Memory is read by numpy with one, two, four... threads; weights by our own kernels; the disk with direct reads of
several sizes, so many at a time. Nothing else should run meanwhile: whatever else runs becomes part of the machine.
"""

from __future__ import annotations

import json
import mmap
import os
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from moonlet.model.folder import default_path

from . import probe, system
from .machine import GB, Machine
from .rates import MeasuredRates
from .speed import NONE, Correction

FORMAT = 3
DISK_SIZES = (256 << 10, 4 << 20, 16 << 20)  # bytes of a read: a small expert, one of Moonlight, near one of K2
DISK_DEPTHS = (1, 4, 16)  # reads under way at the same time
ENGINE_READS = 4  # of them, as many as the engine's (native/store.cpp)
KERNELS_S = 10.0  # after which nothing is timed twice: a machine that is busy with something else is slow enough
_DISK_FILE = 512 << 20
_ALIGN = 4096
_HUGE_PAGE = 2 << 20


@dataclass(frozen=True, slots=True)
class Measured:
    """A machine with what was seen on the way. `correction` is what `moonlet bench` has found since."""

    machine: Machine
    processor: str
    when: date
    seconds: float
    memory_by_threads: dict[int, float]  # bytes a second
    disk: dict[tuple[int, int], float]  # (bytes of a read, depth): bytes a second
    cores: int
    numa_nodes: int
    on_battery: bool
    memory_limited: bool
    cards_name: str
    direct: bool  # the disk was read past the page cache
    correction: Correction = NONE


def measure(tick: Callable[[str], None] = lambda what: None) -> Measured:
    """Times this machine; `tick` hears what is being measured. OSError if $MOONLET_HOME cannot be written."""
    start = time.perf_counter()
    seen = system.look()
    home = _home()
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="probe-", dir=home) as place:
        tick("writing what the disk is to read")
        write_for_reads(Path(place) / "disk")  # long before it is read: a disk that still writes is slow to read
        tick("memory")
        memory = memory_by_threads(seen.cores, min(seen.memory_bytes // 16, 256 << 20))
        most = min(seen.memory_bytes // 8, 1 << 30)
        rates = probe.measure_rates(Path(place), seen.last_cache_bytes, most, start + KERNELS_S, tick)
        tick("disk")
        disk, direct = disk_reads(Path(place) / "disk")
        room = shutil.disk_usage(place).total
    large = [rate for (length, depth), rate in disk.items() if length >= 4 << 20 and depth == ENGINE_READS]
    machine = Machine(
        name="this",
        title=_title(seen),
        memory_bytes=seen.memory_bytes,
        read_bytes_s=max(memory.values()),
        ops=2 * 64 / rates.weight_s["int8"][-2][1],
        cards=seen.cards,
        disk_bytes=room,
        disk_read_bytes_s=statistics.median(large) if large else 0.0,
        rates=rates,
    )
    took = time.perf_counter() - start
    told = {name: getattr(seen, name) for name in (*_OF_NOW, "on_battery")}
    return Measured(
        machine, when=date.today(), seconds=took, memory_by_threads=memory, disk=disk, direct=direct, **told
    )


def _title(seen: system.System) -> str:
    return f"this machine: {seen.processor}, {seen.cores} cores, {seen.memory_bytes / GB:.0f} GB"


def memory_by_threads(cores: int, size: int) -> dict[int, float]:
    """Bytes a second that so many threads together read of memory."""
    threads = sorted({1, *(2**i for i in range(1, 10) if 2**i < cores), cores})
    words = np.ones(max(size, 1 << 22) // 8, np.uint64)
    found = {}
    for count in threads:
        parts = np.array_split(words, count)
        with ThreadPoolExecutor(count) as pool:

            def run(pool: ThreadPoolExecutor = pool, parts: list[Any] = parts) -> None:
                list(pool.map(np.bitwise_or.reduce, parts))

            run()
            times = []
            for _ in range(3):
                start = time.perf_counter()
                run()
                times.append(time.perf_counter() - start)
        found[count] = words.nbytes / statistics.median(times)
    return found


def write_for_reads(path: Path, size: int = _DISK_FILE) -> None:
    """The file for `disk_reads`."""
    block = os.urandom(8 << 20)
    with path.open("wb") as file:
        for _ in range(max(size // len(block), 1)):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())


def disk_reads(path: Path, seconds: float = 0.4) -> tuple[dict[tuple[int, int], float], bool]:
    """Bytes a second of a large file by (bytes of a read, reads at a time), and whether the page cache was passed by.
    The file is gone afterwards."""
    descriptor, direct = _open_direct(path)
    try:
        whole = path.stat().st_size
        found = {}
        for length in DISK_SIZES:
            if length <= whole // 4:
                for depth in DISK_DEPTHS:
                    found[length, depth] = _read_for(descriptor, whole, length, depth, seconds)
        return found, direct
    finally:
        os.close(descriptor)
        path.unlink(missing_ok=True)


def _open_direct(path: Path) -> tuple[int, bool]:
    flag = getattr(os, "O_DIRECT", 0)
    if flag:
        try:
            descriptor = os.open(path, os.O_RDONLY | flag)
            buffer = mmap.mmap(-1, _ALIGN)
            os.preadv(descriptor, [buffer], 0)  # some file systems take the flag and refuse the read
            return descriptor, True
        except OSError:
            pass
    descriptor = os.open(path, os.O_RDONLY)
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    return descriptor, False


def _read_for(descriptor: int, whole: int, length: int, depth: int, seconds: float) -> float:
    """Bytes a second of random aligned reads by `depth` threads, into memory like the engine's."""
    done = [0] * depth
    buffers = [slot(length) for _ in range(depth)]
    start = time.perf_counter()
    end = start + seconds

    def work(i: int) -> None:
        random = np.random.default_rng(i)
        while not done[i] or time.perf_counter() < end:
            at = int(random.integers((whole - length) // _ALIGN + 1)) * _ALIGN
            done[i] += os.preadv(descriptor, [buffers[i]], at)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(depth)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / (time.perf_counter() - start)


def slot(length: int) -> memoryview:
    """Memory as the engine's slots are: there already, and in large pages where the system has them. A read into small
    ones goes to the disk in pieces of a fourth of the size, which here is half as fast."""
    if not hasattr(mmap, "MAP_ANONYMOUS"):
        return memoryview(mmap.mmap(-1, length))
    space = mmap.mmap(-1, length + _HUGE_PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # a kernel without large pages refuses
            space.madvise(mmap.MADV_HUGEPAGE)
    space.write(bytes(len(space)))
    at = -np.frombuffer(space, np.uint8).ctypes.data % _HUGE_PAGE
    return memoryview(space)[at : at + length]


def _home() -> Path:
    return default_path("").parent


def kept_path() -> Path:
    return _home() / "machine.json"


def keep(measured: Measured) -> None:
    """Writes it beside and renames it."""
    machine = measured.machine
    assert machine.rates is not None
    raw = {
        "format": FORMAT,
        "when": measured.when.isoformat(),
        "seconds": measured.seconds,
        "read_bytes_s": machine.read_bytes_s,
        "ops": machine.ops,
        "disk_read_bytes_s": machine.disk_read_bytes_s,
        "rates": machine.rates.to_json(),
        "memory_by_threads": {str(count): rate for count, rate in measured.memory_by_threads.items()},
        "disk": [[length, depth, rate] for (length, depth), rate in measured.disk.items()],
        **{name: getattr(measured, name) for name in (*_SAME, *_OF_THEN)},
        "correction": {"decode": measured.correction.decode, "prefill": measured.correction.prefill},
    }
    path = kept_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps(raw, indent=1) + "\n", encoding="utf-8")
    beside.replace(path)


_SAME = ("processor", "cores")  # else it is another machine
_OF_THEN = ("on_battery", "direct")  # how it was measured
_OF_NOW = (*_SAME, "numa_nodes", "memory_limited", "cards_name")  # what the system says


def kept() -> Measured | None:
    """Speeds that were kept, with the memory, cards and disk of now: limits and cards change without a processor
    becoming another. None when there is nothing, or it was written by another version or on another machine."""
    try:
        raw = json.loads(kept_path().read_text(encoding="utf-8"))
        seen = system.look()
        if raw["format"] != FORMAT or any(raw[name] != getattr(seen, name) for name in _SAME):
            return None
        machine = Machine(
            name="this",
            title=_title(seen),
            memory_bytes=seen.memory_bytes,
            read_bytes_s=float(raw["read_bytes_s"]),
            ops=float(raw["ops"]),
            cards=seen.cards,
            disk_bytes=shutil.disk_usage(_home()).total,
            disk_read_bytes_s=float(raw["disk_read_bytes_s"]),
            rates=MeasuredRates.from_json(raw["rates"]),
        )
        return Measured(
            machine=machine,
            when=date.fromisoformat(raw["when"]),
            seconds=float(raw["seconds"]),
            memory_by_threads={int(count): float(rate) for count, rate in raw["memory_by_threads"].items()},
            disk={(int(length), int(depth)): float(rate) for length, depth, rate in raw["disk"]},
            **{name: getattr(seen, name) for name in _OF_NOW},
            **{name: raw[name] for name in _OF_THEN},
            correction=Correction(float(raw["correction"]["decode"]), float(raw["correction"]["prefill"])),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def correct(correction: Correction) -> None:
    """Keeps what `moonlet bench` found, for the next plan."""
    measured = kept()
    if measured is not None:
        keep(replace(measured, correction=correction))
