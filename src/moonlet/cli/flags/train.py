"""The flags of `moonlet train`."""

from __future__ import annotations

import argparse
from pathlib import Path

from moonlet.cli.flags.kinds import place, positive


def add_flags(train: argparse.ArgumentParser) -> None:
    train.add_argument(
        "stage", choices=("pretrain", "sft", "rl"), help="from nothing, on from a model, or on in simulated worlds"
    )
    train.add_argument("config", type=Path, metavar="CONFIG", help="a TOML file of settings")
    train.add_argument("--nodes", type=positive, metavar="N", help="train on N machines, where this command is run too")
    train.add_argument("--leader", type=place, metavar="HOST:PORT", help="address of one of them, where all meet")
    train.add_argument("--processes", type=positive, metavar="N", help="on each machine (default: one for each GPU)")
