"""Flags that several verbs have."""

from __future__ import annotations

import argparse

from moonlet.cli.flags.kinds import amount, decimal, positive, size

NUMBER_FORMATS = ("bf16", "int8", "int4")


def add_reply(parser: argparse.ArgumentParser) -> None:
    """How a reply is drawn, and where it ends."""
    parser.add_argument("--temperature", type=float, metavar="T", help="0 always takes the likeliest token")
    parser.add_argument("--max-tokens", type=positive, metavar="N", help="at most so many in each reply")


def add_sampling(parser: argparse.ArgumentParser) -> None:
    """The same with a seed, where it is not the seed of something else."""
    add_reply(parser)
    parser.add_argument("--seed", type=int, metavar="N", help="makes the sampling repeatable")


def add_engine(parser: argparse.ArgumentParser) -> None:
    """How a model of this machine is opened."""
    parser.add_argument("--exact", action="store_true", help="compute with float32 activations: slower, for comparing")
    parser.add_argument(
        "--expanded",
        action="store_true",
        help="read long prompts quicker; their last bits then depend on how they are cut",
    )
    parser.add_argument(
        "--cache", choices=("bf16", "int8"), help="int8: half the bytes a token, quicker behind long contexts"
    )
    parser.add_argument("--threads", type=positive, metavar="N", help="number of threads (default: one for each core)")
    parser.add_argument("--cache-tokens", type=positive, metavar="N", help="tokens kept of all replies together")
    parser.add_argument("--memory", type=size, metavar="SIZE", help="like 12G; experts that do not fit are streamed")
    parser.add_argument(
        "--prefixes",
        type=size,
        metavar="SIZE",
        help="disk space for beginnings of conversations, which outlive a restart (default: 0)",
    )
    parser.add_argument(
        "--also",
        action="append",
        metavar="FOLDER",
        help="a copy of the model on another drive, to stream from too; repeatable",
    )


def add_owning(parser: argparse.ArgumentParser) -> None:
    """What owning a machine costs."""
    parser.add_argument("--price", type=decimal, metavar="AMOUNT", help="price of the machine")
    parser.add_argument("--watts", type=amount, metavar="W", help="watts under load")
    parser.add_argument("--idle-watts", type=amount, metavar="W", help="watts when idle")
    for name, what in (
        ("tariff", "price of a kWh"), ("pue", "power of the room over the machine's"),
        ("residual", "resale value, as a share of the price"), ("interest", "interest a year, as a share"),
        ("admin-hours", "hours of care a year"), ("admin-wage", "wage of an hour of care"),
        ("network", "cost of network a year"), ("rent", "rent a year"),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", type=decimal, metavar="X", help=what)
    parser.add_argument("--on-hours", dest="hours", type=decimal, metavar="N", help="hours a year that it is on")
    parser.add_argument("--years", type=positive, metavar="N", help="years that it is kept")


def add_ledger_place(parser: argparse.ArgumentParser) -> None:
    """Where the books are."""
    parser.add_argument("--ledger", metavar="PLACE", help="a file or a postgresql:// URL (default: $MOONLET_LEDGER)")
