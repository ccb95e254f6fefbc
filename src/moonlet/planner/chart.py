"""Charts as SVG text, in the colours that the page around them defines: legible in light and in dark.

Every chart has a title, axes with units, and numbers in the text: nothing is said by colour alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 480, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 18, 14, 52


@dataclass(frozen=True, slots=True)
class Line:
    """Points (x, y), and between which y they may lie."""

    name: str
    points: Sequence[tuple[float, float]]
    band: Sequence[tuple[float, float, float]] = ()  # x, low, high


def lines(series: Sequence[Line], x_name: str, y_name: str, log_x: bool = True, log_y: bool = False) -> str:
    """Lines over numbers; an empty chart says that there is nothing to show."""
    xs = [x for line in series for x, _ in line.points]
    ys = [y for line in series for _, y in line.points if math.isfinite(y)]
    ys += [y for line in series for _, low, high in line.band for y in (low, high)]
    if not xs or not ys:
        return _empty("nothing to show: no point lies in range")
    x_at = _scale(min(xs), max(xs), _LEFT, WIDTH - _RIGHT, log_x)
    low, high = (min(ys) / 1.3, max(ys) * 1.3) if log_y else (0.0, max(ys) * 1.08 or 1.0)
    y_at = _scale(low, high, HEIGHT - _BOTTOM, _TOP, log_y)
    out = []
    for tick in _ticks(low, high, log_y):
        y = y_at(tick)
        out.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        out.append(f'<text class="tick" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{short(tick)}</text>')
    for tick in sorted(set(xs)):
        x = x_at(tick)
        out.append(
            f'<text class="tick" x="{x:.1f}" y="{HEIGHT - _BOTTOM + 20}" text-anchor="middle">{short(tick)}</text>'
        )
    for i, line in enumerate(series):
        if line.band:
            upper = [f"{x_at(x):.1f},{y_at(max(h, low)):.1f}" for x, _, h in line.band]
            lower = [f"{x_at(x):.1f},{y_at(max(lo, low)):.1f}" for x, lo, _ in reversed(line.band)]
            out.append(f'<polygon class="band c{i}" points="{" ".join(upper + lower)}"/>')
        inside = [(x, y) for x, y in line.points if math.isfinite(y)]
        path = " ".join(f"{x_at(x):.1f},{y_at(y):.1f}" for x, y in inside)
        out.append(f'<polyline class="line c{i}" points="{path}"/>')
        for x, y in inside:
            told = f"{line.name}: {short(y)} at {short(x)}"
            dot = f'<circle class="dot c{i}" cx="{x_at(x):.1f}" cy="{y_at(y):.1f}" r="3.5">'
            out.append(f"{dot}<title>{escape(told)}</title></circle>")
    out.append(_axes(x_name, y_name))
    return _svg(HEIGHT, out) + _legend([line.name for line in series])


@dataclass(frozen=True, slots=True)
class Stack:
    """One bar, made of parts (name, amount)."""

    name: str
    parts: Sequence[tuple[str, float]]
    limit: float = 0.0  # how much there is room for


def stacks(bars: Sequence[Stack], unit: str) -> str:
    """Horizontal bars of parts, each with its sum; an outline shows the room."""
    names = list(dict.fromkeys(name for bar in bars for name, _ in bar.parts))
    most = max((max(sum(a for _, a in bar.parts), bar.limit) for bar in bars), default=0.0)
    if most <= 0:
        return _empty("nothing to show")
    left, row, top = 72, 42, 6
    width = WIDTH - left - 128
    out = []
    for i, bar in enumerate(bars):
        y = top + i * row
        out.append(f'<text class="label" x="{left - 10}" y="{y + 20}" text-anchor="end">{escape(bar.name)}</text>')
        x = float(left)
        for name, amount in bar.parts:
            wide = amount / most * width
            told = f"{name}: {short(amount)} {unit}"
            out.append(
                f'<rect class="fill c{names.index(name)}" x="{x:.1f}" y="{y}" width="{max(wide, 0.6):.1f}" height="28">'
                f"<title>{escape(told)}</title></rect>"
            )
            x += wide
        if bar.limit:
            out.append(f'<rect class="room" x="{left}" y="{y}" width="{bar.limit / most * width:.1f}" height="28"/>')
        whole = sum(amount for _, amount in bar.parts)
        room = f" of {short(bar.limit)}" if bar.limit else ""
        at = left + max(whole, bar.limit) / most * width + 8
        out.append(f'<text class="label" x="{at:.1f}" y="{y + 19}">{short(whole)}{room} {escape(unit)}</text>')
    return _svg(top + row * len(bars), out) + _legend(names)


def spans(rows: Sequence[tuple[str, float, float, str, str]], middle: float, unit: str) -> str:
    """A tornado: for each row (name, low, high, low input, high input) a bar around `middle`."""
    if not rows:
        return _empty("nothing to show")
    least = min(min(low, high) for _, low, high, _, _ in rows)
    most = max(max(low, high) for _, low, high, _, _ in rows)
    pad = (most - least) * 0.22 or 1.0
    left, row, top = 96, 28, 6
    at = _scale(least - pad, most + pad, left, WIDTH - 10, False)
    out = []
    for i, (name, low, high, low_input, high_input) in enumerate(rows):
        y = top + i * row
        out.append(f'<text class="label" x="{left - 10}" y="{y + 15}" text-anchor="end">{escape(name)}</text>')
        for value, given, colour in ((low, low_input, "c0"), (high, high_input, "c1")):
            x, wide = min(at(value), at(middle)), abs(at(value) - at(middle))
            out.append(
                f'<rect class="fill {colour}" x="{x:.1f}" y="{y + 2}" width="{wide:.1f}" height="18">'
                f"<title>{escape(f'{name} {given}: {short(value)} {unit}')}</title></rect>"
            )
            end = at(value) + (6 if value >= middle else -6)
            anchor = "start" if value >= middle else "end"
            if wide > 1:
                out.append(
                    f'<text class="tick" x="{end:.1f}" y="{y + 15}" text-anchor="{anchor}">{escape(given)}</text>'
                )
    bottom = top + row * len(rows)
    out.append(f'<line class="axis" x1="{at(middle):.1f}" x2="{at(middle):.1f}" y1="{top}" y2="{bottom}"/>')
    if least - pad < 0 < most + pad:
        out.append(f'<line class="zero" x1="{at(0):.1f}" x2="{at(0):.1f}" y1="{top}" y2="{bottom}"/>')
    for tick in _ticks(least - pad, most + pad, False):
        out.append(f'<text class="tick" x="{at(tick):.1f}" y="{bottom + 18}" text-anchor="middle">{short(tick)}</text>')
    out.append(
        f'<text class="label" x="{(left + WIDTH) / 2}" y="{bottom + 38}" text-anchor="middle">{escape(unit)}</text>'
    )
    return _svg(bottom + 46, out) + _legend(["low value", "high value"])


def short(number: float) -> str:
    """Three figures, with k, M, B for thousands: 12.3k."""
    size = abs(number)
    for power, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if size >= power:
            return f"{number / power:.3g}{letter}"
    return "0" if size < 1e-12 else f"{number:.3g}"


def _scale(low: float, high: float, begin: float, end: float, log: bool):  # type: ignore[no-untyped-def]
    if log:
        low, high = math.log(max(low, 1e-12)), math.log(max(high, 1e-12))
    span = high - low or 1.0

    def at(value: float) -> float:
        value = math.log(max(value, 1e-12)) if log else value
        return begin + (value - low) / span * (end - begin)

    return at


def _ticks(low: float, high: float, log: bool) -> list[float]:
    if log:
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        found = [m * 10.0**p for p in range(first, last + 1) for m in (1, 2, 5)]
        inside = [tick for tick in found if low <= tick <= high]
        return [tick for tick in inside if str(f"{tick:e}")[0] == "1"] if len(inside) > 8 else inside
    step = 10.0 ** math.floor(math.log10((high - low) / 4))
    step *= next(m for m in (1, 2, 2.5, 5, 10) if (high - low) / (step * m) <= 6)
    first = math.ceil(low / step)
    return [i * step for i in range(first, math.floor(high / step) + 1)]


def _axes(x_name: str, y_name: str) -> str:
    bottom, right = HEIGHT - _BOTTOM, WIDTH - _RIGHT
    middle = (_TOP + bottom) / 2
    return (
        f'<line class="axis" x1="{_LEFT}" x2="{right}" y1="{bottom}" y2="{bottom}"/>'
        f'<text class="label" x="{(_LEFT + right) / 2}" y="{HEIGHT - 10}" text-anchor="middle">{escape(x_name)}</text>'
        f'<text class="label" x="16" y="{middle}" text-anchor="middle" transform="rotate(-90 16 {middle})">'
        f"{escape(y_name)}</text>"
    )


def _legend(names: Sequence[str]) -> str:
    items = "".join(f'<span><i class="c{i}"></i>{escape(name)}</span>' for i, name in enumerate(names))
    return f'<div class="legend">{items}</div>'


def _svg(height: float, parts: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img">{"".join(parts)}</svg>'


def _empty(why: str) -> str:
    return f'<p class="empty">{escape(why)}</p>'
