"""The flags of `moonlet plan`."""

from __future__ import annotations

import argparse

from moonlet.cli.flags.kinds import amount, decimal, positive, positives, size
from moonlet.cli.flags.shared import NUMBER_FORMATS, add_owning


def add_flags(plan: argparse.ArgumentParser) -> None:
    plan.add_argument("model", nargs="?", metavar="MODEL", help="a name, folder, config.json or .gguf; none: a list")
    plan.add_argument("--machine", metavar="NAME", help="of the catalogue, or a .toml (default: this one, measured)")
    plan.add_argument("--measure", action="store_true", help="measure this machine again")
    plan.add_argument("--compare", nargs="+", default=[], metavar="MACHINE", help="other machines to compare it with")
    plan.add_argument("--context", type=positive, metavar="N", help="tokens of one conversation")
    plan.add_argument(
        "--sequences", type=positive, default=1, metavar="N", help="simultaneous replies to reserve cache for"
    )
    plan.add_argument("--dense", choices=NUMBER_FORMATS, help="format of all but routed experts")
    plan.add_argument("--experts", choices=NUMBER_FORMATS, help="format of the routed experts")
    plan.add_argument(
        "--cache",
        choices=("bf16", "int8"),
        default="bf16",
        help="format of the cache; int8 is for moonlet's own engine, without cards",
    )
    plan.add_argument("--no-stream", action="store_true", help="experts must not stay on disk")
    plan.add_argument("--memory", type=size, metavar="SIZE", help="use no more memory than this, like 24G")
    plan.add_argument("--skew", type=amount, default=0.6, metavar="S", help="popularity of experts: rank^-S")
    plan.add_argument("--trace", metavar="FILE", help="measured routing, from moonlet bench --trace")
    plan.add_argument("--team", dest="developers", type=positive, metavar="N", help="number of developers")
    plan.add_argument("--tokens-per-day", type=positive, metavar="N", help="of one developer, cached ones included")
    plan.add_argument(
        "--cached",
        dest="cached_share",
        type=decimal,
        metavar="SHARE",
        help="share of these tokens that was sent before and is cached",
    )
    plan.add_argument(
        "--written", dest="output_share", type=decimal, metavar="SHARE", help="share of them that the model writes"
    )
    plan.add_argument("--days", type=positive, metavar="N", help="working days a year")
    plan.add_argument(
        "--against", action="append", default=[], metavar="NAME", help="a model or seat of `moonlet prices`"
    )
    add_owning(plan)
    plan.add_argument("--tax", metavar="COUNTRY-YEAR", help="tax saved by writing the machine off, like us-2026")
    plan.add_argument("--simulate", action="store_true", help="simulate a team's day, event by event")
    plan.add_argument("--sweep", type=positives, metavar="N,N", help="simulate the days of teams of so many developers")
    plan.add_argument("--ray", action="store_true", help="do so on a Ray cluster")
    plan.add_argument("--boxes", type=positive, metavar="N", help="number of machines to simulate")
    plan.add_argument("--html", metavar="FILE", help="write a report with charts")
    plan.add_argument("--json", action="store_true", help="print one JSON object")
