"""Puts figures into a model card: python -m moonlet.evals.card README.md RESULT.json [BFCL.json...]

RESULT.json is what `moonlet eval held-out MODEL --constrained --free --json` printed, BFCL.json what `bench.bfcl`
printed with --json, served or --free. The table of the card that begins with `| | constrained | free |` is replaced;
every other line of the card stays as it is.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HEAD = "| | constrained | free |"
GROUPS = {
    "hand-written requests, demonstration tools": "hand-written requests, the 18 tools of `moonlet run`",
    "simulated talk, demonstration tools": "simulated talk, the same tools, unseen seeds",
}


class CardError(Exception):
    """A file is not what it should be."""


def main(arguments: list[str]) -> int:
    """Rewrites the card. Returns the exit code: 2 where a file is not what it should be, told in one line."""
    if len(arguments) < 2:
        print(str(__doc__).splitlines()[0], file=sys.stderr)
        return 2
    card, result, *others = map(Path, arguments)
    try:
        told = json.loads(result.read_text(encoding="utf-8"))
        bfcl = [json.loads(other.read_text(encoding="utf-8")) for other in others]
        text = written(card.read_text(encoding="utf-8"), told, bfcl)
    except (OSError, ValueError, LookupError, TypeError, CardError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2
    beside = card.with_name(card.name + ".part")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, card)
    return 0


def written(card: str, told: Mapping[str, Any], bfcl: Sequence[Mapping[str, Any]] = ()) -> str:
    """The card with the table of these figures. Raises CardError."""
    lines = card.splitlines()
    if HEAD not in lines:
        raise CardError(f"the card has no table that begins with {HEAD}")
    begin = lines.index(HEAD)
    end = next((i for i in range(begin, len(lines)) if not lines[i].startswith("|")), len(lines))
    return "\n".join([*lines[:begin], *table(told, bfcl), *lines[end:]]) + "\n"


def table(told: Mapping[str, Any], bfcl: Sequence[Mapping[str, Any]] = ()) -> list[str]:
    """The lines of the table. Raises CardError."""
    places = {one["decoding"]: place for place, one in enumerate(told["columns"])}
    if "constrained" not in places or "free" not in places or len(places) != len(told["columns"]):
        raise CardError("the figures are not those of one model, --constrained and --free")
    lines, group = [HEAD, "| --- | --- | --- |"], None
    for row in told["rows"]:
        if row["group"] != group:
            group = row["group"]
            lines.append(f"| **{GROUPS.get(group, group)}** | | |")
        cells = [_cell(row["rates"][places[way]]) for way in ("constrained", "free")]
        lines.append(f"| {row['row']} | {' | '.join(cells)} |")
    for category in dict.fromkeys(one["category"] for one in bfcl):
        found = {one["decoding"]: one["right"] for one in bfcl if one["category"] == category}
        lines += ["| **BFCL v4, official checker** | | |"] if "BFCL" not in "".join(lines) else []
        lines.append(f"| {category} | {_cell(found.get('served'))} | {_cell(found.get('free'))} |")
    return lines


def _cell(rate: Mapping[str, Any] | None) -> str:
    if not rate:
        return ""
    share = 100 * rate["right"] / rate["total"]
    return f"{share:.0f} % ({100 * rate['low']:.0f} to {100 * rate['high']:.0f}; n = {rate['total']})"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
