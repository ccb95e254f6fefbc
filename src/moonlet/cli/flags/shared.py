"""Flags that several verbs have."""

from __future__ import annotations

import argparse

from moonlet.cli.flags.kinds import amount, decimal, positive, size

NUMBER_FORMATS = ("bf16", "int8", "int4")


def add_reply(parser: argparse.ArgumentParser) -> None:
    """How a reply is drawn, and where it ends."""
    parser.add_argument("--temperature", type=float, metavar="T", help="0 always takes the likeliest token")
    parser.add_argument("--max-tokens", type=positive, metavar="N", help="of each reply")


def add_sampling(parser: argparse.ArgumentParser) -> None:
    """The same with a seed, where it is not the seed of something else."""
    add_reply(parser)
    parser.add_argument("--seed", type=int, metavar="N", help="makes the sampling repeatable")


def add_engine(parser: argparse.ArgumentParser) -> None:
    """How a model of this machine is opened."""
    parser.add_argument("--exact", action="store_true", help="compute with float32 activations: slower, for comparing")
    parser.add_argument(
        "--expanded", action="store_true", help="long prompts are read quicker, with bits that depend on their cuts"
    )
    parser.add_argument(
        "--cache", choices=("bf16", "int8"), help="int8: half the bytes a token, quicker behind long contexts"
    )
    parser.add_argument("--threads", type=positive, metavar="N", help="default: one for each core")
    parser.add_argument("--cache-tokens", type=positive, metavar="N", help="kept of all replies together")
    parser.add_argument("--memory", type=size, metavar="SIZE", help="like 12G; experts that do not fit are streamed")
    parser.add_argument(
        "--prefixes",
        type=size,
        metavar="SIZE",
        help="of disk, for conversations that go on after a restart; default: 0",
    )
    parser.add_argument(
        "--also", action="append", metavar="FOLDER", help="a copy on another drive, to stream from too; repeatable"
    )


def add_owning(parser: argparse.ArgumentParser) -> None:
    """What owning a machine costs."""
    parser.add_argument("--price", type=decimal, metavar="AMOUNT", help="of the machine")
    parser.add_argument("--watts", type=amount, metavar="W", help="under load")
    parser.add_argument("--idle-watts", type=amount, metavar="W")
    for name, what in (
        ("tariff", "of a kWh"), ("pue", "power of the room over the machine's"), ("residual", "share when it is sold"),
        ("interest", "a year, as a share"), ("admin-hours", "a year"), ("admin-wage", "an hour"),
        ("network", "a year"), ("rent", "a year"),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", type=decimal, metavar="X", help=what)
    parser.add_argument("--on-hours", dest="hours", type=decimal, metavar="N", help="a year that it is on")
    parser.add_argument("--years", type=positive, metavar="N", help="that it is kept")


def add_ledger_place(parser: argparse.ArgumentParser) -> None:
    """Where the books are."""
    parser.add_argument("--ledger", metavar="PLACE", help="a file or a postgresql:// URL (default: $MOONLET_LEDGER)")
