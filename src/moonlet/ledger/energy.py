"""Joules of a request: measured where the machine has counters, else modelled from declared watts, else unknown.

A counter counts the whole machine. What it gains while n requests are under way is shared among them equally, and what
it gains while none is belongs to no request. A server sees its own requests only: two servers on one machine both count
what the machine took.
"""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

POWERCAP = Path("/sys/class/powercap")


@dataclass(slots=True)
class Counter:
    """Energy so far, from any zero. `read` may raise OSError."""

    origin: str
    read: Callable[[], float]  # joules
    wraps_at: float | None = None  # where the counter begins again at zero
    _last: float = field(init=False)

    def __post_init__(self) -> None:
        self._last = self.read()

    def gained(self) -> float:
        """Joules since the last call."""
        now = self.read()
        gain, self._last = now - self._last, now
        return gain if gain >= 0 else gain + (self.wraps_at or -gain)


class Meter:
    """Shares the counters' energy among the requests under way. Safe to use from any thread."""

    def __init__(self, counters: list[Counter]) -> None:
        assert counters
        self.origin = "+".join(dict.fromkeys(counter.origin for counter in counters))  # rapl, nvml, rapl+nvml, modelled
        self._counters = counters
        self._lock = threading.Lock()
        self._running = 0
        self._each = 0.0  # joules for one request that had been under way from the beginning

    def begin(self) -> float:
        """A request begins; what is returned is to be given to `end`."""
        with self._lock:
            self._advance()
            self._running += 1
            return self._each

    def end(self, mark: float) -> float | None:
        """Joules of the request that now ends; None if the counters cannot be read any more."""
        with self._lock:
            known = self._advance()
            self._running -= 1
            return self._each - mark if known else None

    def _advance(self) -> bool:
        try:
            gained = sum(counter.gained() for counter in self._counters)
        except OSError:
            return False
        if self._running:
            self._each += gained / self._running
        return True


def find_meter(watts: float | None = None, powercap: Path = POWERCAP) -> Meter | None:
    """What this machine can measure; without counters what `watts` declares of it while it works; else None."""
    counters = [*processor_counters(powercap), *_nvml()]
    if not counters and watts is not None:
        counters = [Counter("modelled", lambda: watts * time.monotonic())]
    return Meter(counters) if counters else None


def processor_counters(powercap: Path = POWERCAP) -> list[Counter]:
    """Processor packages and memory. Parts of a package are within it, and `psys` contains them all: left out."""
    counters = []
    for zone in sorted(powercap.glob("intel-rapl:*")):
        try:
            name = (zone / "name").read_text().strip()
            if name.startswith("package") or name == "dram":
                file, most = zone / "energy_uj", float((zone / "max_energy_range_uj").read_text()) / 1e6
                counters.append(Counter("rapl", lambda file=file: float(file.read_text()) / 1e6, most))  # type: ignore[misc]
        except (OSError, ValueError):  # newer kernels let only root read it
            continue
    return counters


def _nvml() -> list[Counter]:
    """All NVIDIA devices, if the library for it is installed."""
    try:
        nvml: Any = importlib.import_module("pynvml")
        nvml.nvmlInit()
        devices = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
        return [_nvml_counter(nvml, device) for device in devices]
    except Exception:  # no library, no driver, no device, or one that has no counter
        return []


def _nvml_counter(nvml: Any, device: Any) -> Counter:
    def read() -> float:
        try:
            return float(nvml.nvmlDeviceGetTotalEnergyConsumption(device)) / 1e3  # from millijoules
        except Exception as error:
            raise OSError(str(error)) from None

    return Counter("nvml", read)
