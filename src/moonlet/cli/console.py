"""Standard input and output as all verbs take them."""

from __future__ import annotations

import sys

from rich.console import Console

from moonlet.cli import UsageError

PIPED = 120  # columns of a file or a pipe, which has no width of its own


def for_tables() -> Console:
    """Standard output, as wide as it is. Brackets in names are no markup."""
    return Console(highlight=False, markup=False, width=None if Console().is_terminal else PIPED)


def piped() -> str:
    """What is piped in. UsageError if that is no UTF-8."""
    return checked(sys.stdin.read()).strip()


def checked(text: str) -> str:
    """The text, which came from outside. Bytes that are no UTF-8 arrive as lone surrogates: UsageError."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError("what was typed or piped in is not UTF-8") from None
    return text
