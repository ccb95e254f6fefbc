"""The flags of `moonlet keys`."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable

from moonlet.cli.flags.kinds import moment
from moonlet.cli.flags.shared import add_ledger_place


def add_flags(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    add = actions.add_parser("add", help="make a key and show it once")
    add.add_argument("name", metavar="NAME", help="whose it is, in the books")
    add.add_argument("--owner", help="a person or team with several keys (default: the name)")
    add.add_argument("--scopes", default="chat,models", help="from chat, models, admin (default: chat,models)")
    add.add_argument("--expires", type=moment("future"), metavar="WHEN", help="like 90d or 2027-06-30 (default: never)")
    add.add_argument("--weight", type=float, default=1.0, help="share of the machine when others wait (default: 1)")
    add.add_argument(
        "--priority", choices=("interactive", "batch"), default="interactive", help="batch waits for others"
    )
    add.add_argument("--json", action="store_true", help="print one JSON object")
    listed = actions.add_parser("list", help="show the keys, never their secrets")
    listed.add_argument("--json", action="store_true", help="print a JSON array")
    revoke = actions.add_parser("revoke", help="refuse a key from now on")
    revoke.add_argument("name", metavar="NAME")
    limit = actions.add_parser("limit", help="change a key's limits; none takes one away")
    limit.add_argument("name", metavar="NAME")
    for one in (add, limit):
        one.add_argument("--tokens-per-minute", type=_limit("count"), metavar="N", help="in any 60 seconds")
        one.add_argument("--tokens-per-day", type=_limit("count"), metavar="N", help="in a UTC day")
        one.add_argument("--tokens-per-month", type=_limit("count"), metavar="N", help="in a UTC month")
        one.add_argument("--concurrent", type=_limit("count"), metavar="N", help="requests at once")
        one.add_argument(
            "--usd-per-month", dest="nano_usd_per_month", type=_limit("usd"), metavar="USD", help="at the stated price"
        )
    for one in (add, listed, revoke, limit):
        add_ledger_place(one)


def _limit(kind: str) -> Callable[[str], int | str]:
    """Reads a limit; what reads it is imported when there is one."""

    def read(text: str) -> int | str:
        value: int | str = getattr(importlib.import_module("moonlet.cli.keys"), kind)(text)
        return value

    return read
