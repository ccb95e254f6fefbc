"""The flags of `moonlet run`."""

from __future__ import annotations

import argparse

from moonlet.cli.flags.shared import add_engine, add_sampling


def add_flags(run: argparse.ArgumentParser) -> None:
    run.add_argument("model", nargs="?", metavar="MODEL", help="a folder, a pulled model or an endpoint's URL")
    run.add_argument("prompt", nargs="?", metavar="PROMPT", help="answer this and leave")
    run.add_argument("--json", action="store_true", help="print one JSON object: message, calls, results, usage")
    run.add_argument("--show-experts", action="store_true", help="show which experts work, as they do")
    run.add_argument("--no-tools", action="store_true", help="only talk")
    add_sampling(run)
    add_engine(run)
