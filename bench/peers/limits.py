"""What the machine can do at most: bytes of memory and of disk, int8 operations, each a second."""

from __future__ import annotations

import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.peers.environments import PLACE
from moonlet.planner import measure


@dataclass(frozen=True, slots=True)
class Limits:
    memory: float  # bytes a second that all threads read together
    int8: float  # operations a second of all threads; 0: not known here


def now(threads: int) -> Limits:
    """Measured in about a second."""
    return Limits(measure.memory_by_threads(threads, 256 << 20)[threads], _int8(threads))


def median(seen: Sequence[Limits]) -> Limits:
    return Limits(statistics.median(one.memory for one in seen), statistics.median(one.int8 for one in seen))


def disk(place: Path) -> tuple[float, bool]:
    """Bytes a second of large reads, as many at a time as the engine's, and whether they passed the page cache by."""
    path = place / "disk"
    measure.write_for_reads(path)
    rates, direct = measure.disk_reads(path)
    large = [rate for (size, depth), rate in rates.items() if size >= 4 << 20 and depth == measure.ENGINE_READS]
    return statistics.median(large), direct


def _int8(threads: int) -> float:
    """Compiled here, for this processor."""
    source, program = Path(__file__).with_name("peak.cpp"), PLACE / "peak"
    PLACE.mkdir(parents=True, exist_ok=True)
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        command = ["c++", "-O3", "-std=c++20", "-march=native", "-pthread", source, "-o", program]
        if subprocess.call(command, stderr=subprocess.DEVNULL):
            return 0.0
    done = subprocess.run([program, str(threads)], capture_output=True, text=True)
    return float(done.stdout) if done.returncode == 0 else 0.0
