"""`moonlet prices`: what tokens and seats cost elsewhere; `moonlet prices update FILE|URL` takes newer ones."""

from __future__ import annotations

import argparse
from datetime import date

from rich import box
from rich.table import Table

from moonlet.cli import UsageError
from moonlet.cli.console import for_tables
from moonlet.planner import prices


def main(asked: argparse.Namespace) -> int:
    if asked.what == "update":
        if not asked.source:
            raise UsageError("name a file or URL in LiteLLM's or models.dev's format")
        count = prices.update(asked.source, date.today())
        print(f"{count} prices, kept in {prices.updates_path()}")
        return 0
    if asked.source:
        raise UsageError(f"what is to be done with {asked.source}? `moonlet prices update {asked.source}` takes prices")
    _show(date.today(), asked.what or "")
    return 0


def _show(today: date, part: str) -> None:
    """Those whose name contains `part`; with none of them updated, that is what the package knows."""
    console = for_tables()
    table = Table(box=box.SIMPLE_HEAD, title="USD for a million tokens", title_justify="left")
    for i, title in enumerate(("model", "prompt", "cached", "output", "as of", "")):
        # A name is what --against wants, so it is folded and not cut.
        table.add_column(title, justify="right" if 0 < i < 4 else "left", overflow="fold" if i == 0 else "ellipsis")
    found = [price for name, price in sorted(prices.model_prices().items()) if part.lower() in name]
    seats = [seat for name, seat in prices.seat_prices().items() if part.lower() in name]
    if not found and not seats:
        raise UsageError(f"no price has {part!r} in its name")
    for price in found:
        it = price.price
        amounts = [f"{money.amount.normalize():f}" for money in (it.prompt, it.cached, it.output)]
        table.add_row(price.name, *amounts, str(price.dated), prices.stale(price, today))
    console.print(table)
    more = Table(box=box.SIMPLE_HEAD, title="USD for a person and month", title_justify="left")
    for i, title in enumerate(("seat", "price", "caps", "as of", "")):
        more.add_column(title, justify="right" if i == 1 else "left")
    for seat in seats:
        more.add_row(seat.name, str(seat.month), seat.caps, str(seat.dated), prices.stale(seat, today))
    if seats:
        console.print(more)
