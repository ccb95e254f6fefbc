"""`moonlet version`."""

import argparse
from importlib.metadata import version


def main(asked: argparse.Namespace) -> int:
    print(f"moonlet {version('moonlet')}")
    return 0
