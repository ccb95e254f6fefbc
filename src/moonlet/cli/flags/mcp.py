"""The flags of `moonlet mcp`."""

from __future__ import annotations

import argparse

from moonlet.cli.flags.shared import add_engine


def add_flags(mcp: argparse.ArgumentParser) -> None:
    mcp.add_argument("model", nargs="?", metavar="MODEL", help="a folder, a pulled model or an endpoint's URL")
    mcp.add_argument("--articles", metavar="FOLDER", help="also make articles of recordings that lie there")
    add_engine(mcp)
