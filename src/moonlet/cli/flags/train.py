"""The flags of `moonlet train`."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_flags(train: argparse.ArgumentParser) -> None:
    train.add_argument(
        "stage", choices=("pretrain", "sft", "rl"), help="from nothing, on from a model, or on in simulated worlds"
    )
    train.add_argument("config", type=Path, metavar="CONFIG", help="a TOML file of settings")
