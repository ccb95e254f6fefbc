"""What flags take: numbers, sizes, times, amounts. What reads the rarer ones is imported when there is one to read."""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation


def positive(text: str) -> int:
    """A whole number from 1 on."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def positives(text: str) -> tuple[int, ...]:
    """Such numbers, parted by commas."""
    return tuple(map(positive, text.split(",")))


def span(text: str) -> tuple[int, int]:
    """Two such numbers, like 2-8; one alone stands for both."""
    least, _, most = text.partition("-")
    found = positive(least), positive(most or least)
    if found[0] > found[1]:
        raise argparse.ArgumentTypeError(f"must be like 2-8, got {text!r}")
    return found


def size(text: str) -> int:
    """12G, 800M, 1.5T, also as GB or GiB: thousands without the i, as drives are sold; a plain number is bytes."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(?:([kmgt])(i?)b?|b)?", text.strip(), re.IGNORECASE)
    if not found:
        raise argparse.ArgumentTypeError(f"must be a size like 12G or 800M, not {text!r}")
    number, unit, binary = found.groups()
    step = 1024 if binary else 1000
    value: float = float(number) * float(step) ** (" kmgt".index(unit.lower()) if unit else 0)
    if not 1 <= value < 1 << 60:
        raise argparse.ArgumentTypeError("must be at least one byte, and less than the world holds")
    return round(value)


def port(text: str) -> int:
    """A port of TCP; 0: a free one."""
    value = int(text)
    if not 0 <= value <= 65535:
        raise argparse.ArgumentTypeError("must be from 0 to 65535")
    return value


def place(text: str) -> tuple[str, int]:
    """HOST:PORT, where something listens; a port alone is on this machine."""
    found = re.fullmatch(r"(?:(?:\[([^\[\]]+)\]|([^:\[\]]+)):)?(\d+)", text)
    if not found or not port(found[3]):
        raise argparse.ArgumentTypeError(f"must be HOST:PORT, [IPV6]:PORT or a port, not {text!r}")
    return found[1] or found[2] or "127.0.0.1", port(found[3])


def amount(text: str) -> float:
    """A number from 0 on, as measured things have it: watts, a skew."""
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError("must be a number that is not negative")
    return value


def decimal(text: str) -> Decimal:
    """A number from 0 on, exactly as it is written: money, shares."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise argparse.ArgumentTypeError(f"must be a number, got {text!r}") from None
    if not value.is_finite() or not 0 <= value < 10**15:
        raise argparse.ArgumentTypeError(f"must not be negative, nor 10^15 or more, got {text}")
    return value


def moment(direction: str) -> Callable[[str], float]:
    """Reads a time, `past` or `future`, as seconds since 1970; what reads it is imported when there is one."""

    def read(text: str) -> float:
        return float(getattr(importlib.import_module("moonlet.cli.when"), direction)(text))

    return read
