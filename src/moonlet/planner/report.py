"""The plan as one page of HTML: no script, no font, no picture from elsewhere; light and dark as the reader likes."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from moonlet.model.anatomy import size

from .capacity import BATCHES
from .chart import Line, Stack, lines, short, spans, stacks
from .money import ENVELOPE_FLAW, envelope_payback
from .plan import PROMPTS, TEAMS, USAGE_TEAMS, Plan
from .simulate import Result
from .speed import Load

_STYLE = """
:root{--ink:#1b1f24;--soft:#57606a;--rule:#d8dee4;--page:#fff;--card:#f6f8fa;--c0:#0b62c4;--c1:#c2410c;--c2:#0f7b54;
--c3:#8a3ffc;--c4:#a16207;--c5:#b3246e;--c6:#0e7490;--c7:#6b7280;--c8:#4d7c0f}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9da7b1;--rule:#30363d;--page:#0d1117;--card:#161b22;
--c0:#58a6ff;--c1:#ff9b6a;--c2:#4fd1a1;--c3:#c4a1ff;--c4:#e3b341;--c5:#ff85b8;--c6:#5bd0e6;--c7:#9aa4b2;
--c8:#a3d65c}}
*{box-sizing:border-box}body{margin:0;background:var(--page);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
main{max-width:1080px;margin:0 auto;padding:32px 20px 64px}h1{font-size:26px;line-height:1.3;margin:0 0 6px}
h2{font-size:19px;margin:0 0 10px}.verdict{font-size:19px;border-left:4px solid var(--c0);padding:10px 16px;
background:var(--card);border-radius:4px;margin:16px 0 26px}.soft,.legend,figcaption{color:var(--soft);font-size:14px}
.grid2{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,460px),1fr));gap:20px}
section{background:var(--card);border:1px solid var(--rule);border-radius:8px;padding:18px;margin:0 0 20px;min-width:0}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}th,td{text-align:right;padding:5px 8px;
border-bottom:1px solid var(--rule)}th:first-child,td:first-child{text-align:left}th{color:var(--soft);font-weight:600;
font-size:14px}tr.sum td{font-weight:700;border-top:2px solid var(--rule)}.wide{overflow-x:auto}
svg{width:100%;height:auto;display:block}svg text{fill:var(--ink);font-size:13px}
svg .tick{fill:var(--soft);font-size:12px}
svg .grid{stroke:var(--rule);stroke-width:1}svg .axis{stroke:var(--soft);stroke-width:1.2}
svg .zero{stroke:var(--ink);stroke-width:1.5;stroke-dasharray:4 3}svg .line{fill:none;stroke-width:2.2}
svg .band{opacity:.16;stroke:none}svg .room{fill:none;stroke:var(--soft);stroke-width:1.2;stroke-dasharray:4 3}
.legend{display:flex;flex-wrap:wrap;gap:4px 16px;margin-top:6px}.legend i{display:inline-block;width:12px;height:12px;
border-radius:2px;margin-right:6px;vertical-align:-1px}ul{padding-left:20px;margin:0 0 14px}
.sources th:last-child,.sources td:last-child{text-align:left}li{margin:3px 0}
""" + "".join(
    f"svg .line.c{i}{{stroke:var(--c{i})}}svg .dot.c{i},svg .fill.c{i},svg .band.c{i}{{fill:var(--c{i})}}"
    f".legend .c{i}{{background:var(--c{i})}}"
    for i in range(9)  # a model has nine parts
)  # fmt: skip


def html(plan: Plan, others: Sequence[Plan] = (), day: Result | None = None) -> str:
    """The page for a plan, for others to compare it with, and for a simulated day."""
    name = escape(plan.fit.subject.name)
    parts = [_fit(plan)]
    if plan.speed:
        parts += [_speed(plan), _cost(plan), _payback(plan, others), _per_million(plan), _sensitivity(plan)]
    if day:
        parts.append(_day(plan, day))
    parts.append(_envelope())
    if others:
        parts.append(_compared([plan, *others]))
    parts.append(_notes(plan))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{name} on {escape(plan.fit.machine.name)}</title><style>{_STYLE}</style></head><body><main>"
        f"<h1>{name} on {escape(plan.fit.machine.name)}</h1>"
        f'<p class="soft">{escape(plan.fit.machine.title)} · {escape(plan.fit.subject.origin)} · {plan.today}</p>'
        f'<p class="verdict">{escape(plan.verdict)}</p><div class="grid2">{"".join(p for p in parts if p)}</div>'
        "</main></body></html>\n"
    )


def _section(title: str, body: str, wide: bool = False) -> str:
    style = ' style="grid-column:1/-1"' if wide else ""
    return f"<section{style}><h2>{escape(title)}</h2>{body}</section>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], sum_last: bool = False, kind: str = "") -> str:
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = ""
    for i, row in enumerate(rows):
        summed = ' class="sum"' if sum_last and i == len(rows) - 1 else ""
        body += f"<tr{summed}>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>"
    return f'<div class="wide {kind}"><table><tr>{top}</tr>{body}</table></div>'


def _fit(plan: Plan) -> str:
    fit = plan.fit
    if not fit.fits:
        return _section("Where the bytes live", f"<p>{escape(fit.why)}. What would do: {escape(fit.change)}.</p>")
    bars = []
    for place in ("cards", "memory", "disk"):
        merged: dict[str, float] = {}
        for home in fit.homes:
            if home.place == place:
                merged[home.part] = merged.get(home.part, 0.0) + home.bytes / 1e9
        room = (sum(h.bytes for h in fit.homes if h.place == place) + fit.free.get(place, 0)) / 1e9
        if merged or (room and place != "disk"):
            bars.append(Stack(place, list(merged.items()), 0.0 if place == "disk" else room))
    many = f"{fit.largest_context:,} tokens for {fit.wish.sequences} at a time"
    told = f"Largest context: {many}; {fit.context:,} set aside."
    return _section("Where the bytes live", stacks(bars, "GB") + f'<p class="soft">{escape(told)}</p>')


def _speed(plan: Plan) -> str:
    assert plan.speed
    speed, context = plan.speed, plan.fit.context
    rates = [(count, plan.writes(count)) for count in plan.batches]
    all_line = Line(
        "all together", [(n, bars.value) for n, bars in rates], [(n, bars.low, bars.high) for n, bars in rates]
    )
    each = Line("each", [(n, bars.value / n) for n, bars in rates])
    chart = lines([all_line, each], "replies at the same time", "tokens written per second", log_y=True)
    rows = []
    for tokens in PROMPTS:
        if tokens <= max(fit_context(plan), 1024):
            rate, first = speed.prefill(tokens), speed.first_token(tokens)
            rows.append(
                [f"{tokens:,}", f"{rate.value:,.0f}", f"{first.value:.1f} s ({first.low:.1f} to {first.high:.1f})"]
            )
    step = speed.step(1, Load(1, context))
    told = (
        f"With {context:,} tokens behind each. One token reads {size(round(step.read_once))}; "
        f"{step.hit_rate:.0%} of its experts are in memory. Bands: see the assumptions."
    )
    if plan.batches != BATCHES:
        told += f" The caches of {BATCHES[len(plan.batches)]} at a time do not fit."
    table = _table(["prompt", "tokens/s read", "first token after"], rows)
    return _section("How fast", chart + f'<p class="soft">{escape(told)}</p>' + table)


def fit_context(plan: Plan) -> int:
    """Tokens of the longest conversation that is spoken of."""
    return max(plan.fit.largest_context, plan.fit.context)


def _cost(plan: Plan) -> str:
    owned = plan.owned
    if owned is None:
        return _section("What it costs", "<p>State a price and watts to see this.</p>")
    boxes = f"{plan.boxes} times {plan.fit.machine.name}" if plan.boxes > 1 else plan.fit.machine.name
    cash = [[name, str(money)] for name, money in owned.cash_lines.items()]
    full = [[name, str(money)] for name, money in owned.full_lines.items() if name not in owned.cash_lines]
    rented = [[name, str(money)] for name, money in plan.rented.items()]
    body = (
        _table(["cash, a year", ""], [*cash, ["cash", str(owned.cash)]], True)
        + _table(["and what is not paid at once", ""], [*full, ["full cost", str(owned.full)]], True)
        + _table(["the same elsewhere, a year", ""], rented)
        + f'<p class="soft">{escape(boxes)}, {owned.price}; {owned.kwh:,.0f} kWh a year; '
        f"{plan.load / plan.boxes:.1%} busy in working hours. Three numbers, never added up.</p>"
    )
    return _section("What it costs", body)


def _payback(plan: Plan, others: Sequence[Plan]) -> str:
    points = [(float(n), plan.payback_at(n)) for n in TEAMS]
    told = f"Price over cash saved a year, against the cheaper of: {', '.join(plan.rented)}."
    never = [f"{n:.0f}" for n, years in points if years is None or years > 100] if plan.owned else []
    if never:
        told += f" Never (or after more than 100 years) for {', '.join(never)} developers."
    series = []
    for each in [plan, *others][:6]:
        years_at = [(float(n), each.payback_at(n)) for n in TEAMS]
        known = [(n, float(years)) for n, years in years_at if years is not None and 0 < years <= 100]
        if known:
            series.append(Line(each.fit.machine.name, known))
    chart = lines(series, "developers", "years until it is paid back", log_y=True)
    usage = _table(["tokens a day of each", *(f"{n} dev." for n in USAGE_TEAMS)], plan.usage()) if plan.owned else ""
    return _section("Payback", chart + f'<p class="soft">{escape(told)} {escape(plan.break_evens)}</p>' + usage)


def _per_million(plan: Plan) -> str:
    if plan.owned is None:
        return ""
    costs = [(count, plan.per_million(count)) for count in plan.batches]
    series = [
        Line(kind, [(float(n), float(cost[kind].amount)) for n, cost in costs if cost])
        for kind in ("output", "prompt", "blended")
    ]
    if plan.api:
        price = float(plan.api.price.output.amount)
        series.append(Line(f"{plan.api.name}, output", [(n, price) for n in plan.batches]))
    chart = lines(series, "replies at the same time", f"{plan.owned.price.currency} for a million tokens", log_y=True)
    told = "Full cost of one machine that is busy in all working hours; with less to do every token costs more."
    return _section("Cost of a million tokens", chart + f'<p class="soft">{escape(told)}</p>')


def _sensitivity(plan: Plan) -> str:
    if plan.owned is None or plan.band is None:
        return ""
    middle = float(plan.saved(plan.base))
    rows = [
        (s.name.replace("_", " "), float(s.low), float(s.high), short(float(s.low_input)), short(float(s.high_input)))
        for s in plan.swings
    ]
    band = plan.band
    told = (
        f"All of them at once, 1,000 draws: from {band.low:,.0f} to {band.high:,.0f} (eight of ten), half below "
        f"{band.middle:,.0f}; owning is cheaper in {band.positive:.0%} of the draws."
    )
    chart = spans(rows, middle, f"{plan.owned.price.currency} saved a year by owning (full cost; dashed: zero)")
    return _section("What the answer hangs on", chart + f'<p class="soft">{escape(told)}</p>')


def _day(plan: Plan, day: Result) -> str:
    names = ("half within", "nine of ten within", "99 of 100 within")
    rows = [
        ["first token", *(f"{value:.1f} s" for value in day.first_token_s)],
        ["whole answer", *(f"{value:.1f} s" for value in day.turn_s)],
    ]
    told = (
        f"{day.finished:,} of {day.turns:,} turns answered; {day.busy:.0%} busy, {day.sequences:.1f} at a time, "
        f"{day.reused:.0%} of what was sent was in the cache. {day.verdict[0].upper()}{day.verdict[1:]}."
    )
    return _section(
        f"A simulated day of {plan.team.developers:,}",
        _table(["", *names], rows) + f'<p class="soft">{escape(told)}</p>',
    )


def compared_rows(plans: Sequence[Plan]) -> list[list[str]]:
    """A row for each: machine, price, fits, pace, largest context, full cost, payback."""
    rows = []
    for plan in plans:
        machine, owned = plan.fit.machine, plan.owned
        price = str(owned.price) if owned else "?"
        if not plan.speed:
            rows.append([machine.name, price, "no", "", "", "", ""])
            continue
        years = plan.payback_years
        rows.append([
            f"{plan.boxes} x {machine.name}" if plan.boxes > 1 else machine.name, price,
            "from disk" if plan.fit.streams else "yes", f"{plan.pace.value:.1f}", f"{plan.fit.largest_context:,}",
            str(owned.full) if owned else "?",
            "?" if owned is None else f"{years:.1f} y" if years is not None else "never",
        ])  # fmt: skip
    return rows


COMPARED_HEAD = ("machine", "price", "fits", "tokens/s", "context", "full cost a year", "payback")


def _compared(plans: Sequence[Plan]) -> str:
    return _section("Compared", _table(COMPARED_HEAD, compared_rows(plans)), wide=True)


def _envelope() -> str:
    rows = [[f"{n}", f"{envelope_payback(n):.1f}"] for n in (1, 2, 3, 5, 10, 20)]
    told = "$25,000 of hardware, 0.7 kW, $90 a month for power, against $200 per developer and month. "
    return _section(
        "The well-known sum, and its flaw",
        _table(["developers", "years until it is paid back"], rows)
        + f'<p class="soft">{escape(told + ENVELOPE_FLAW)}</p>',
    )


def _notes(plan: Plan) -> str:
    items = "".join(f"<li>{escape(note)}</li>" for note in plan.notes)
    figures = [
        [key, f"{figure.value:g}", "estimate" if figure.estimate else "", str(figure.date or ""), figure.source]
        for key, figure in plan.fit.machine.figures.items()
    ]
    table = _table(["figure", "value", "", "date", "source"], figures, kind="sources") if figures else ""
    return _section("Assumptions and sources", f"<ul>{items}</ul>{table}", wide=True)
