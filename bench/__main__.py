"""`make bench`: how fast a folder is loaded, then the same shapes run by moonlet and by its peers.

Arguments are those of `python -m bench.peers`; with one that asks for less, loading is left out.
"""

from __future__ import annotations

import sys

from bench import load
from bench.peers import __main__ as peers


def main() -> None:
    asked = peers.parse(sys.argv[1:])  # what is wrong with it is said before anything is written
    if not (asked.only or asked.rows or asked.layers):
        load.write_and_report()
    peers.run_all(asked)


if __name__ == "__main__":
    main()
