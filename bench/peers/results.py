"""Of all runs: medians and spreads, shares of what the machine can do, ratios; as a table, JSON, and a chart."""

from __future__ import annotations

import json
import re
import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.peers.cases import EXPANDED, INT4, MIXED, Case, Runner, least
from bench.peers.limits import Limits
from bench.peers.task import parts
from moonlet.planner import chart

OURS = (MIXED.name, INT4.name, EXPANDED.name)


@dataclass
class Entry:
    """A row as one runner did it: tokens a second of each round, or why there are none."""

    case: str
    row: str
    runner: str
    speeds: list[float] = field(default_factory=list)
    why_not: str = ""
    limit: float = 0.0  # tokens a second if only the limit counted; 0: not known
    limited_by: str = ""  # memory, int8

    @property
    def speed(self) -> float:
        return statistics.median(self.speeds) if self.speeds else 0.0


@dataclass
class Record:
    """All that a run has found."""

    machine: str
    threads: int
    limits: list[Limits] = field(default_factory=list)
    disk: float = 0.0  # bytes a second
    disk_direct: bool = True
    layers: dict[str, int] = field(default_factory=dict)  # by case
    about: dict[str, str] = field(default_factory=dict)  # by runner: which version, with which settings
    entries: list[Entry] = field(default_factory=list)

    def entry(self, case: str, row: str, runner: str) -> Entry:
        for entry in self.entries:
            if (entry.case, entry.row, entry.runner) == (case, row, runner):
                return entry
        self.entries.append(Entry(case, row, runner))
        return self.entries[-1]

    def add(self, case: Case, runner: Runner, rows: dict[str, float | str]) -> None:
        for row, found in rows.items():
            entry = self.entry(case.name, row, runner.name)
            if isinstance(found, str):
                entry.why_not = found
            else:
                entry.speeds.append(found)

    def judge(self, case: Case, config: dict[str, Any], limits: Limits) -> None:
        """Sets the limit of each entry of a case: what is reached last, of memory and of int8 operations.

        A runner in bf16 does not multiply in int8: only memory limits it here.
        """
        for entry in (entry for entry in self.entries if entry.case == case.name):
            runner = next(one for one in case.runners if one.name == entry.runner)
            read, operations = least(config, runner, entry.row)
            rates = {"memory": limits.memory / read}
            if limits.int8 and runner.experts != "bf16":
                rates["int8"] = limits.int8 / operations
            kind, _ = parts(entry.row)
            if kind == "prefill" and "int8" not in rates:
                continue
            entry.limited_by = min(rates, key=lambda name: rates[name])
            entry.limit = rates[entry.limited_by]


HEADER = (
    "| shape | work | by | tokens/s | from, to | of the limit | int8/int4 is | int4 is | expanded is |\n"
    + "| --- " * 9
    + "|"
)


def table(record: Record) -> str:
    """Markdown: one line for each row and runner; how many times as fast ours are in the last columns."""
    lines = [HEADER]
    for entry in sorted(record.entries, key=lambda one: _order(record, one)):
        start = f"| {entry.case}, {record.layers[entry.case]} layers | {entry.row} | {entry.runner} |"
        if not entry.speeds:
            lines.append(f"{start} {entry.why_not} | | | | | |")
            continue
        spread = f"{min(entry.speeds):.4g}, {max(entry.speeds):.4g}"
        share = f"{entry.speed / entry.limit:.0%} ({entry.limited_by})" if entry.limit else ""
        ratios = [_ratio(record, entry, name) for name in OURS]
        lines.append(f"{start} {entry.speed:.4g} | {spread} | {share} | {' | '.join(ratios)} |")
    return "\n".join(lines)


def _order(record: Record, entry: Entry) -> tuple[int, str, int]:
    kind, count = parts(entry.row)
    return list(record.layers).index(entry.case), kind, count


def _ratio(record: Record, entry: Entry, ours: str) -> str:
    if entry.runner in OURS:
        return ""
    same = [one for one in record.entries if (one.case, one.row, one.runner) == (entry.case, entry.row, ours)]
    return f"{same[0].speed / entry.speed:.2f} x" if same and same[0].speeds else ""


def preface(record: Record, limits: Limits) -> str:
    """The limits, and who ran."""
    spread = [one.memory / 1e9 for one in record.limits]
    int8 = f"{limits.int8 / 1e9:,.0f} Gop/s" if limits.int8 else "not known for this processor"
    direct = "" if record.disk_direct else " (through the page cache: this file system reads no other way)"
    lines = [
        f"{record.machine}; {record.threads} threads",
        f"memory, read by all threads: {limits.memory / 1e9:.1f} GB/s ({min(spread):.1f} to {max(spread):.1f})",
        f"int8, vector instructions of all threads: {int8}",
        f"disk, large reads: {record.disk / 1e9:.2f} GB/s{direct}",
        *(f"{name}: {about}" for name, about in record.about.items()),
    ]
    return "\n".join(lines)


def save(record: Record, limits: Limits, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "peers.json").write_text(json.dumps(asdict(record) | {"median_limits": asdict(limits)}, indent=1) + "\n")
    (folder / "peers.md").write_text(preface(record, limits).replace("\n", "  \n") + "\n\n" + table(record) + "\n")
    (folder / "peers.svg").write_text(picture(record))


STYLE = (
    "text{font:13px sans-serif;fill:#333}.title{font-weight:bold}.fill{fill:#4878a8}"
    ".room{fill:none;stroke:#888;stroke-dasharray:4 3}"
)


def picture(record: Record) -> str:
    """Bars of tokens a second for each row, dashed where the machine's limit lies."""
    panels, top = [], 0.0
    entries = sorted((one for one in record.entries if one.speeds), key=lambda one: _order(record, one))
    for case, row in dict.fromkeys((one.case, one.row) for one in entries):
        bars = [
            chart.Stack(one.runner, [("tokens/s", one.speed)], one.limit)
            for one in entries
            if (one.case, one.row) == (case, row)
        ]
        drawn = chart.stacks(bars, "tokens/s")
        drawn = drawn[: drawn.index("</svg>") + len("</svg>")]  # the legend after it would name one thing only
        size = re.search(r'viewBox="0 0 (\d+) ([\d.]+)"', drawn)
        assert size
        high = float(size[2])
        title = f'<text class="title" x="8" y="{top + 18:g}">{case}, {record.layers[case]} layers: {row}</text>'
        place = f'<svg x="0" y="{top + 26:g}" width="{size[1]}" height="{high:g}" '
        panels.append(title + drawn.replace("<svg ", place, 1))
        top += high + 40
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {chart.WIDTH} {top:g}"><style>{STYLE}</style>'
    return "\n".join([head, *panels, "</svg>\n"])
