"""The flags of `moonlet pull`."""

from __future__ import annotations

import argparse

from moonlet.cli.flags.shared import NUMBER_FORMATS


def add_flags(pull: argparse.ArgumentParser) -> None:
    pull.add_argument("source", metavar="REPO_OR_FOLDER", help="like moonshotai/Kimi-K2-Thinking, or a folder")
    pull.add_argument("--to", metavar="FOLDER", help="where the model folder goes (default: the cache, by its name)")
    pull.add_argument("--dense", choices=NUMBER_FORMATS, help="format of all but routed experts (default: as it is)")
    pull.add_argument("--experts", choices=NUMBER_FORMATS, help="format of the routed experts (default: as they are)")
    pull.add_argument("--keep", action="store_true", help="keep the downloaded files too")
