"""What the operating system says of this machine: limits of the container, NUMA, battery, cards. Nothing is timed."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from moonlet.engine import groups

from .machine import Cards

# Peaks that nvidia-smi does not tell, by whole words of the card's name, slower siblings before the one that is named
# as they are: GB/s and dense bf16 TFLOPS, from NVIDIA's data sheets; those of NVL cards, GH200 and the A100 80GB PCIe
# were not looked up again.
_CARD_PEAKS = {
    "GB200": (8000, 2500), "B200": (8000, 2250), "GH200 480GB": (4000, 989),
    "H200 NVL": (4800, 835), "H200": (4800, 989),
    "H100 PCIe": (2000, 756), "H100 NVL": (3900, 835), "H100": (3350, 989),
    "A100-PCIE-40GB": (1555, 312), "A100-SXM4-40GB": (1555, 312), "A100 80GB PCIe": (1935, 312), "A100": (2039, 312),
    "H20": (4000, 148), "L40S": (864, 362), "L40": (864, 181), "L20": (864, 119),
    "RTX PRO 6000": (1792, 500), "RTX 6000 Ada": (960, 182),
    "RTX 5090": (1792, 209), "RTX 4090": (1008, 165), "RTX 3090": (936, 71), "RTX A6000": (768, 155),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class System:
    processor: str
    cores: int  # that this process may use, a container's limit included
    memory_bytes: int
    memory_limited: bool  # by a control group
    numa_nodes: int
    on_battery: bool
    last_cache_bytes: int
    cards: Cards | None
    cards_name: str


def look() -> System:
    """Reads /proc and /sys where they are; asks nvidia-smi where it is."""
    whole = _meminfo("MemTotal") or _sysconf_memory()
    limit = groups.memory_limit()
    cards, name = _cards()
    return System(
        processor=_processor(),
        cores=groups.cores(),
        memory_bytes=min(whole, limit) if limit else whole,
        memory_limited=limit is not None and limit < whole,
        numa_nodes=len(list(Path("/sys/devices/system/node").glob("node[0-9]*"))) or 1,
        on_battery=_on_battery(),
        last_cache_bytes=_last_cache(),
        cards=cards,
        cards_name=name,
    )


def _text(file: str | Path) -> str:
    try:
        return Path(file).read_text().strip()
    except OSError:
        return ""


def _meminfo(field: str) -> int:
    for line in _text("/proc/meminfo").splitlines():
        name, _, rest = line.partition(":")
        if name == field:
            return int(rest.split()[0]) * 1024
    return 0


def _sysconf_memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return 0


def _processor() -> str:
    names = (
        line.split(":", 1)[1].strip() for line in _text("/proc/cpuinfo").splitlines() if line.startswith("model name")
    )
    return next(names, platform.processor() or platform.machine())


def _last_cache() -> int:
    """Bytes of the largest cache of the first core; 32 MB where nothing says."""
    sizes = []
    for place in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        text = _text(place)
        if text[:-1].isdecimal():
            sizes.append(int(text[:-1]) * {"K": 1 << 10, "M": 1 << 20}.get(text[-1], 1))
    return max(sizes, default=32 << 20)


def _on_battery() -> bool:
    supplies = list(Path("/sys/class/power_supply").glob("*"))
    if not any(_text(supply / "type") == "Battery" for supply in supplies):
        return False
    return not any(_text(supply / "online") == "1" for supply in supplies)


def _cards() -> tuple[Cards | None, str]:
    """The cards of the first kind that nvidia-smi lists; their peaks by name."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None, ""
    asked = [program, "--query-gpu=name,memory.total,power.limit", "--format=csv,noheader,nounits"]
    try:
        out = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None, ""
    return parse_cards(out)


def parse_cards(out: str) -> tuple[Cards | None, str]:
    """Of nvidia-smi's lines "name, MiB, watts"; None for cards whose peaks are not known."""
    rows = [[field.strip() for field in line.split(",")] for line in out.splitlines() if line.count(",") >= 2]
    rows = [row for row in rows if row[1].isdecimal()]
    if not rows:
        return None, ""
    name = rows[0][0]
    same = [row for row in rows if row[0] == name]
    peaks = _peaks(name)
    if peaks is None:
        return None, name
    try:
        watts = float(same[0][2])
    except ValueError:
        watts = 0.0
    return Cards(len(same), int(same[0][1]) << 20, peaks[0] * 1e9, peaks[1] * 1e12, watts), name


def _peaks(name: str) -> tuple[int, int] | None:
    """None where they are not known: of a laptop's card too, which has little but its name of a desktop's."""
    if re.search(r"\b(Laptop|Max-Q Design|Mobile)\b", name):
        return None
    return next((peak for part, peak in _CARD_PEAKS.items() if re.search(rf"\b{part}\b", name)), None)
