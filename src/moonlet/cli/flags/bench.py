"""The flags of `moonlet bench`."""

from __future__ import annotations

import argparse

from moonlet.cli.flags.kinds import positive, size


def add_flags(bench: argparse.ArgumentParser) -> None:
    bench.add_argument("model", nargs="?", metavar="MODEL", help="a folder or a pulled model")
    bench.add_argument("--prompt", type=positive, default=512, metavar="N", help="tokens of the prompt")
    bench.add_argument("--tokens", type=positive, default=32, metavar="N", help="tokens written in each run")
    bench.add_argument("--batches", type=positive, nargs="+", default=[1, 4, 8], metavar="N", help="replies at a time")
    bench.add_argument("--memory", type=size, metavar="SIZE", help="use no more; what does not fit is streamed")
    bench.add_argument("--trace", metavar="FILE", help="write the experts that were chosen, for moonlet plan --trace")
    bench.add_argument("--text", metavar="FILE", help="what --trace reads: text like yours (default: random tokens)")
    bench.add_argument("--keep", action="store_true", help="correct later plans of this machine by what is found")
    bench.add_argument("--json", action="store_true", help="print one JSON object")
    bench.add_argument("--threads", type=positive, metavar="N", help="number of threads (default: one for each core)")
