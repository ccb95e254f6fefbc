"""The flags of `moonlet plan`."""

from __future__ import annotations

import argparse

from moonlet.cli.flags.kinds import amount, decimal, positive, positives, size
from moonlet.cli.flags.shared import NUMBER_FORMATS, add_owning


def add_flags(plan: argparse.ArgumentParser) -> None:
    plan.add_argument("model", nargs="?", metavar="MODEL", help="a name, folder, config.json or .gguf; none: a list")
    plan.add_argument("--machine", metavar="NAME", help="of the catalogue, or a .toml (default: this one, measured)")
    plan.add_argument("--measure", action="store_true", help="measure this machine again")
    plan.add_argument("--compare", nargs="+", default=[], metavar="MACHINE", help="other machines beside it")
    plan.add_argument("--context", type=positive, metavar="N", help="tokens of a conversation")
    plan.add_argument("--sequences", type=positive, default=1, metavar="N", help="at the same time")
    plan.add_argument("--dense", choices=NUMBER_FORMATS, help="format of all but routed experts")
    plan.add_argument("--experts", choices=NUMBER_FORMATS, help="format of the routed experts")
    plan.add_argument("--cache", choices=("bf16", "int8"), default="bf16", help="int8: of moonlet's engine, no cards")
    plan.add_argument("--no-stream", action="store_true", help="experts must not stay on disk")
    plan.add_argument("--memory", type=size, metavar="SIZE", help="use no more of it, like 24G")
    plan.add_argument("--skew", type=amount, default=0.6, metavar="S", help="popularity of experts: rank^-S")
    plan.add_argument("--trace", metavar="FILE", help="measured routing, from moonlet bench --trace")
    plan.add_argument("--team", dest="developers", type=positive, metavar="N", help="developers")
    plan.add_argument("--tokens-per-day", type=positive, metavar="N", help="of a developer, reread ones included")
    plan.add_argument("--cached", dest="cached_share", type=decimal, metavar="SHARE", help="of them, sent before")
    plan.add_argument("--written", dest="output_share", type=decimal, metavar="SHARE", help="of them, written")
    plan.add_argument("--days", type=positive, metavar="N", help="worked in a year")
    plan.add_argument("--against", action="append", default=[], metavar="NAME", help="a model or seat of the prices")
    add_owning(plan)
    plan.add_argument("--tax", metavar="COUNTRY-YEAR", help="what writing it off saves, like us-2026")
    plan.add_argument("--simulate", action="store_true", help="a team's day, event by event")
    plan.add_argument("--sweep", type=positives, metavar="N,N", help="the days of teams of so many developers")
    plan.add_argument("--ray", action="store_true", help="simulate them on a Ray cluster")
    plan.add_argument("--boxes", type=positive, metavar="N", help="machines to simulate")
    plan.add_argument("--html", metavar="FILE", help="write a report with charts")
    plan.add_argument("--json", action="store_true", help="print one JSON object")
