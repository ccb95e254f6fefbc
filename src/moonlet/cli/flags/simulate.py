"""The flags of `moonlet simulate`."""

from __future__ import annotations

import argparse
from pathlib import Path

from moonlet.cli.flags.kinds import positive
from moonlet.cli.flags.shared import add_engine, add_reply


def add_flags(simulate: argparse.ArgumentParser) -> None:
    simulate.add_argument("model", nargs="?", metavar="MODEL", help="a folder, a pulled model, a URL, or: solution")
    simulate.add_argument("--name", metavar="NAME", help="the model to ask for at the endpoint")
    simulate.add_argument("--from-mcp", metavar="CMD", help="mock the tools of the MCP server that this command starts")
    simulate.add_argument(
        "--examples", type=Path, metavar="FILE", help="recorded results of its tools, one JSON a line"
    )
    simulate.add_argument("--record", action="append", metavar="CALL", help="call it once for real: TOOL {ARGUMENTS}")
    simulate.add_argument("-n", type=positive, default=110, metavar="N", help="tasks (default: 110)")
    simulate.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the tasks")
    simulate.add_argument("--training", action="store_true", help="tasks to train on, none of those that judge")
    simulate.add_argument("--domains", metavar="A,B", help="only these worlds")
    simulate.add_argument("--kinds", metavar="A,B", help="only these kinds of tasks")
    simulate.add_argument("--languages", metavar="A,B", help="en, th, zh (default: all; with --from-mcp: en)")
    simulate.add_argument("--user", metavar="URL", help="an endpoint that plays the users")
    simulate.add_argument("--judge", metavar="URL", help="an endpoint that judges by rubric what has passed the checks")
    simulate.add_argument("--workers", type=positive, default=2, metavar="N", help="rollouts at a time (default: 2)")
    simulate.add_argument("--ray", action="store_true", help="run them on a Ray cluster")
    simulate.add_argument("--out", type=Path, metavar="FILE", help="write every trajectory as a line of JSON")
    simulate.add_argument("--replay", type=Path, metavar="FILE", help="play recorded trajectories again and compare")
    add_reply(simulate)
    simulate.add_argument("--json", action="store_true", help="print one JSON object")
    add_engine(simulate)
