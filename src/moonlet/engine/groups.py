"""What control groups allow this process: memory and the time of cores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from moonlet import kernels

GROUPS, ROOT = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def control_groups(kind: str, groups: Path = GROUPS, root: Path = ROOT) -> Iterator[tuple[Path, bool]]:
    """Folders of the groups whose limits of `kind` (memory, cpu) hold for this process: its own and those above it, and
    whether they are of version 2. In a container a group's own path is often not visible, and its limit stands at
    the root."""
    for line in _text(groups).splitlines():
        number, kinds, path = [*line.split(":", 2), "", ""][:3]
        new = number == "0" and not kinds
        if not new and kind not in kinds.split(","):
            continue
        base = root if new else root / kind
        place = base / path.lstrip("/")
        for group in (place, *place.parents):
            yield group, new
            if group == base:
                break


def memory_limit(groups: Path = GROUPS, root: Path = ROOT) -> int | None:
    """Bytes that control groups allow this process, the least of all; None without a limit."""
    texts = (
        _text(group / ("memory.max" if new else "memory.limit_in_bytes"))
        for group, new in control_groups("memory", groups, root)
    )
    # Version 1 writes a huge number for none.
    return min((int(text) for text in texts if text.isdecimal() and int(text) < 1 << 60), default=None)


def cores_limit(groups: Path = GROUPS, root: Path = ROOT) -> int | None:
    """Cores whose time control groups allow this process, the least of all; None without a limit."""
    found = []
    for group, new in control_groups("cpu", groups, root):
        names = ("cpu.max",) if new else ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        parts = " ".join(_text(group / name) for name in names).split()  # microseconds, of so many
        if len(parts) == 2 and all(part.isdecimal() for part in parts) and int(parts[1]):  # "max" or -1 is none
            found.append(max(1, round(int(parts[0]) / int(parts[1]))))
    return min(found, default=None)


def cores() -> int:
    """Cores by affinity, and by the time that control groups allow."""
    return min(kernels.cores(), cores_limit() or kernels.cores())


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""
