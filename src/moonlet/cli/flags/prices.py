"""The flags of `moonlet prices`."""

from __future__ import annotations

import argparse


def add_flags(prices: argparse.ArgumentParser) -> None:
    prices.add_argument("what", nargs="?", metavar="PART", help="part of a name to look for, or: update")
    prices.add_argument("source", nargs="?", metavar="FILE|URL", help="in LiteLLM's or models.dev's format")
