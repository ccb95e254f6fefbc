"""The flags of `moonlet info`."""

from __future__ import annotations

import argparse


def add_flags(info: argparse.ArgumentParser) -> None:
    info.add_argument("model", metavar="MODEL", help="a folder, a pulled model or a config.json")
    info.add_argument("--json", action="store_true", help="print one JSON object")
