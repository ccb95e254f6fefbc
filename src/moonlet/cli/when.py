"""Times as people write them on a command line, and as they are shown. Days are UTC, like the ledger's."""

from __future__ import annotations

import argparse
import re
import time
from datetime import UTC, datetime

_LAST = datetime(9999, 12, 31, tzinfo=UTC).timestamp()  # no later one can be shown
_UNITS = {"m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}


def past(text: str) -> float:
    """Seconds since 1970 of a day or moment (2026-11-28, 2026-11-28T09:30), or of so long ago (90m, 12h, 7d, 4w)."""
    return max(time.time() - span if (span := _span(text)) is not None else _moment(text), 0.0)


def future(text: str) -> float:
    """The same, but from now on."""
    when = min(time.time() + span if (span := _span(text)) is not None else _moment(text), _LAST)
    if when <= time.time():
        raise argparse.ArgumentTypeError(f"{text!r} is past")
    return when


def shown(when: float | None) -> str:
    """Like 2026-11-28 09:30, empty for never."""
    return "" if when is None else datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d %H:%M")


def _span(text: str) -> float | None:
    found = re.fullmatch(r"(\d{1,6})([mhdw])", text)
    return int(found[1]) * _UNITS[found[2]] if found else None


def _moment(text: str) -> float:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day like 2026-11-28 and no span like 7d or 12h") from None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
