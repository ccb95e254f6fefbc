"""The report as a chart (SVG) and as a page (HTML) that needs nothing beside itself; legible in light and in dark."""

from __future__ import annotations

from html import escape

from moonlet.evals.report import Report, Row

LEFT, WIDTH, RIGHT = 330, 420, 150  # names, bars, numbers
BAR, GAP = 12, 10
COLOURS = ("#3266ad", "#c8643c", "#4c9a6a", "#8b5bb0", "#a48a2c", "#4a8fa3")
STYLE = (
    ":root{--ink:#1c1e21;--soft:#6a7178;--line:#d9dde1;--paper:#fff}"
    "@media(prefers-color-scheme:dark){:root{--ink:#e8eaed;--soft:#9aa2a9;--line:#3a4046;--paper:#17191c}}"
    "text{font:12px system-ui,sans-serif;fill:var(--ink,#1c1e21)}.soft{fill:var(--soft,#6a7178)}"
    ".head{font-weight:600}.grid{stroke:var(--line,#d9dde1)}.range{stroke:var(--ink,#1c1e21);stroke-width:1.3}"
)
PAGE = (
    "body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:60rem;margin:2rem auto;"
    "padding:0 1rem}table{border-collapse:collapse;font-size:13px}td,th{padding:.25rem .8rem .25rem 0;text-align:left;"
    "border-bottom:1px solid var(--line);font-variant-numeric:tabular-nums}th.group{padding-top:1rem}"
    "svg{width:100%;height:auto}"
)


def svg(report: Report) -> str:
    """A bar for each row and model, with its 95 % interval."""
    out: list[str] = []
    y = 8
    for place, column in enumerate(report.columns):
        out.append(f'<rect x="{LEFT}" y="{y}" width="12" height="12" fill="{_colour(place)}"/>')
        out.append(f'<text x="{LEFT + 18}" y="{y + 11}">{escape(column.label)}</text>')
        y += 18
    top, group = y + 8, ""
    y = top
    for row in report.rows:
        if row.group != group:
            group = row.group
            y += GAP
            out.append(f'<text class="head" x="0" y="{y + 12}">{escape(group)}</text>')
            y += 20
        out.append(f'<text x="10" y="{y + (BAR * len(row.rates) + 10) / 2:.0f}">{escape(row.name)}</text>')
        y = _bars(out, row, report, y) + GAP
    grid = []
    for share in (0, 25, 50, 75, 100):
        x = LEFT + share * WIDTH / 100
        grid.append(f'<line class="grid" x1="{x}" x2="{x}" y1="{top}" y2="{y}"/>')
        grid.append(f'<text class="soft" x="{x}" y="{y + 16}" text-anchor="middle">{share} %</text>')
    size = f'viewBox="0 0 {LEFT + WIDTH + RIGHT} {y + 24}"'
    title = f"<title>{escape(_title(report))}</title><style>{STYLE}</style>"
    return f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {size}>{title}{"".join(grid + out)}</svg>'


def _bars(out: list[str], row: Row, report: Report, y: int) -> int:
    """The bars of a row from this height on; returns where they end."""
    for place, rate in enumerate(row.rates):
        if rate is not None:
            low, high = rate.interval()
            wide, middle = rate.right / rate.total * WIDTH, y + BAR / 2
            told = f"{report.columns[place].label}: {rate.short()}, {rate.right} of {rate.total}"
            out.append(
                f'<rect x="{LEFT}" y="{y + 1}" width="{wide:.1f}" height="{BAR - 2}" fill="{_colour(place)}">'
                f"<title>{escape(told)}</title></rect>"
                f'<line class="range" x1="{LEFT + low * WIDTH:.1f}" x2="{LEFT + high * WIDTH:.1f}" '
                f'y1="{middle}" y2="{middle}"/>'
                f'<text class="soft" x="{LEFT + WIDTH + 14}" y="{y + 10}">{rate.short()}, n={rate.total}</text>'
            )
        y += BAR
    return y


def html(report: Report) -> str:
    """The chart, the table and how it was asked, in one file."""
    heads = "".join(f"<th>{escape(column.label)}</th>" for column in report.columns)
    body, group = [], ""
    for row in report.rows:
        if row.group != group:
            group = row.group
            body.append(f'<tr><th class="group" colspan="{1 + len(row.rates)}">{escape(group)}</th></tr>')
        cells = "".join(f"<td>{f'{rate.short()}, n={rate.total}' if rate else ''}</td>" for rate in row.rates)
        body.append(f"<tr><td>{escape(row.name)}</td>{cells}</tr>")
    asked = ", ".join(f"{name} {value}" for name, value in report.settings.items())
    notes = "".join(f"<p>{escape(note)}</p>" for note in notes_of(report))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(_title(report))}</title>'
        f"<style>{STYLE}{PAGE}</style></head><body><h1>{escape(_title(report))}</h1>"
        f"<p>Share of questions answered rightly, with 95 % intervals (Wilson). {escape(asked)}.</p>"
        f"{svg(report)}<table><tr><th></th>{heads}</tr>{''.join(body)}</table>{notes}</body></html>\n"
    )


def notes_of(report: Report) -> list[str]:
    """What has to be said of the models beside their rates."""
    found = []
    for one in report.columns:
        found.append(f"{one.label}: {one.prompt_tokens:,} tokens read, {one.output_tokens:,} written")
        count = sum(one.refused.values())
        if count:
            found.append(f"{one.label}: {count} questions got no reply and count as wrong: {next(iter(one.refused))}")
    return found


def _title(report: Report) -> str:
    return f"moonlet eval {report.suite}: {', '.join(column.label for column in report.columns)}"


def _colour(place: int) -> str:
    return COLOURS[place % len(COLOURS)]
