"""The flags of `moonlet eval`."""

from __future__ import annotations

import argparse
from pathlib import Path

from moonlet.cli.flags.kinds import positive
from moonlet.cli.flags.shared import add_engine


def add_flags(evals: argparse.ArgumentParser) -> None:
    evals.add_argument("suite", choices=("tools", "held-out"), help="of any model; of a model that was trained here")
    evals.add_argument(
        "models", nargs="+", metavar="MODEL", help="a folder, a pulled model, nano, or [VARIABLE=][NAME@]URL"
    )
    evals.add_argument("-n", type=positive, metavar="N", help="questions for each row (default: 40, held-out 300)")
    evals.add_argument("--seed", type=int, default=0, metavar="N", help="draw other questions")
    evals.add_argument("--limit", type=positive, metavar="N", help="at most so many questions in all")
    evals.add_argument("--only", metavar="A,B", help="only these parts of the suite")
    evals.add_argument("--constrained", action="store_true", help="calls held to their schemas, as served (default)")
    evals.add_argument("--free", action="store_true", help="calls not held to schemas; with --constrained both")
    evals.add_argument("--data", type=Path, metavar="FOLDER", help="public sets, for held-out")
    evals.add_argument("--workers", type=positive, default=4, metavar="N", help="questions at a time (default: 4)")
    evals.add_argument("--ray", action="store_true", help="ask from a Ray cluster; needs endpoints")
    evals.add_argument("--record", type=Path, metavar="FILE", help="every outcome, from which a stopped run goes on")
    evals.add_argument("--html", type=Path, metavar="FILE", help="write table and chart as one page")
    evals.add_argument("--svg", type=Path, metavar="FILE", help="write the chart")
    evals.add_argument("--wrong", action="store_true", help="also show what was wrong")
    evals.add_argument("--temperature", type=float, default=0.0, metavar="T", help="default: 0, the likeliest token")
    evals.add_argument("--max-tokens", type=positive, metavar="N", help="at most so many in each reply")
    evals.add_argument("--json", action="store_true", help="print one JSON object")
    add_engine(evals)
