"""The flags of `moonlet ledger`."""

from __future__ import annotations

import argparse

from moonlet.cli.flags.kinds import moment, positive
from moonlet.cli.flags.shared import add_ledger_place, add_owning


def add_flags(parser: argparse.ArgumentParser) -> None:
    by = ("key", "owner", "day", "model", "api", "engine")
    parser.add_argument("--by", choices=by, default="key", help="what sums are made for (default: key)")
    parser.add_argument("--since", type=moment("past"), metavar="WHEN", help="like 7d, 12h or 2026-11-01")
    parser.add_argument("--until", type=moment("past"), metavar="WHEN", help="up to then, written alike")
    parser.add_argument("--rows", action="store_true", help="the requests themselves: JSON lines, or --csv")
    parser.add_argument("--prompts", action="store_true", help="with --rows: the prompts too, where they were kept")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--csv", action="store_true", help="print a table for a spreadsheet")
    parser.add_argument("--prune", type=positive, metavar="DAYS", help="delete requests older than so many days")
    parser.add_argument("--against", metavar="NAME", help="payback so far, against a model or seat of `moonlet prices`")
    parser.add_argument(
        "--machine", metavar="NAME", help="with --against: one of the catalogue, or a .toml, for its price and watts"
    )
    parser.add_argument(
        "--people",
        type=positive,
        metavar="N",
        help="with --against a seat: people who would have had one for the whole time (default: the owners)",
    )
    add_owning(parser)
    add_ledger_place(parser)
