"""Curves over the steps of training as a picture (SVG): panels beside one another, numbers at the axes, a legend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 400, 240, 54, 14, 30, 40
COLOURS = ("#1f6feb", "#d1242f", "#1a7f37", "#8250df", "#9a6700", "#57606a")


@dataclass(frozen=True, slots=True)
class Line:
    """Points (x, y), and for some the ends of an interval."""

    name: str
    points: Sequence[tuple[float, float]]
    spans: Sequence[tuple[float, float, float]] = ()


def smooth(points: Sequence[tuple[float, float]], beside: int) -> list[tuple[float, float]]:
    """Each y the mean of those around it, `beside` of them on either side."""
    found = []
    for i, (x, _) in enumerate(points):
        near = [y for _, y in points[max(i - beside, 0) : i + beside + 1]]
        found.append((x, sum(near) / len(near)))
    return found


def picture(panels: Mapping[str, Sequence[Line]], names: Sequence[str], more: Sequence[tuple[str, str]] = ()) -> str:
    """Two panels a row on white, with a legend below: `names`, in the colours of the lines in their order.

    `more`: titles and SVG of panels that are no curves, after the others.
    """
    high = (len(panels) + len(more) + 1) // 2 * HEIGHT + 26
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDTH} {high}" font-family="sans-serif" '
        f'font-size="11"><rect width="100%" height="100%" fill="#fff"/>'
    ]
    drawn = [panel(title, lines) for title, lines in panels.items()]
    drawn += [f"{_title(title)}{inside}" for title, inside in more]
    for i, one in enumerate(drawn):
        out.append(f'<g transform="translate({i % 2 * WIDTH} {i // 2 * HEIGHT})">{one}</g>')
    for i, name in enumerate(names):
        x = LEFT + i * (2 * WIDTH - LEFT) // max(len(names), 4)
        out.append(f'<rect x="{x}" y="{high - 18}" width="14" height="4" fill="{COLOURS[i % len(COLOURS)]}"/>')
        out.append(f'<text x="{x + 20}" y="{high - 12}">{escape(name)}</text>')
    return "\n".join([*out, "</svg>\n"])


def panel(title: str, lines: Sequence[Line]) -> str:
    """One chart from 0, with five marks on either axis."""
    most_x = max((x for line in lines for x, _ in line.points), default=1.0) or 1.0
    tops = [y for line in lines for _, y in line.points] + [top for line in lines for _, _, top in line.spans]
    most_y = max(tops, default=1.0) * 1.05 or 1.0

    def at(x: float, y: float) -> str:
        across = LEFT + x / most_x * (WIDTH - LEFT - RIGHT)
        return f"{across:.1f},{HEIGHT - BOTTOM - y / most_y * (HEIGHT - TOP - BOTTOM):.1f}"

    out = [_title(title)]
    for mark in range(5):
        x, y = most_x * mark / 4, most_y * mark / 4
        left, height = at(0, y).split(",")
        out.append(f'<path d="M{left},{height}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        out.append(f'<text x="{LEFT - 6}" y="{float(height) + 4:.1f}" text-anchor="end">{y:.3g}</text>')
        across = at(x, 0).split(",")[0]
        out.append(f'<text x="{across}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{x:.0f}</text>')
    out.append(f'<text x="{WIDTH / 2}" y="{HEIGHT - 8}" text-anchor="middle">step</text>')
    for i, line in enumerate(lines):
        colour = COLOURS[i % len(COLOURS)]
        out += [
            f'<path d="M{at(x, low)}L{at(x, high)}" stroke="{colour}" opacity="0.4"/>' for x, low, high in line.spans
        ]
        path = " ".join(at(x, y) for x, y in line.points)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.8"/>')
    return "".join(out)


def _title(text: str) -> str:
    return f'<text x="{LEFT}" y="18" font-weight="bold">{escape(text)}</text>'
