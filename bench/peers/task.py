"""What a runner is asked, and how it answers. Needs the standard library alone: peers have nothing of ours.

A row is "decode N" (tokens a second of N sequences together), "prefill N" (of a prompt of N tokens), or "experts N"
(the experts of one layer alone, for N tokens).
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

PROMPT = 16  # tokens that each sequence has before its decoding is timed
CALLS = 8  # that are timed of a row of experts
WARM = 512  # random tokens read before anything is timed: with them every expert has been touched


@dataclass(frozen=True, slots=True)
class Task:
    model: str  # file or folder
    config: dict[str, object]  # as the shape's config.json
    rows: list[str]
    seed: int
    threads: int
    tokens: int  # timed steps of a decode row
    expanded: bool = False
    memory: int = 0  # bytes that there are for everything, where that is less than the machine's

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @property
    def vocab(self) -> int:
        return int(str(self.config["vocab_size"]))

    @property
    def longest(self) -> int:
        """Positions that a sequence needs at most."""
        prompts = [count for kind, count in map(parts, self.rows) if kind == "prefill"]
        return max([WARM, PROMPT + self.tokens, *prompts]) + 64

    def ids(self) -> Callable[[int], list[int]]:
        """Draws so many random tokens; the same ones for every peer with the same seed."""
        drawn = random.Random(self.seed)
        return lambda count: [drawn.randrange(self.vocab) for _ in range(count)]


def parts(row: str) -> tuple[str, int]:
    kind, count = row.split()
    return kind, int(count)


def asked() -> Task:
    return Task(**json.loads(sys.argv[1]))


def tell(rows: dict[str, float | str], about: str) -> None:
    """Tokens a second by row, or why a row cannot be; `about` says which version with which settings."""
    print(json.dumps({"rows": rows, "about": about}), flush=True)


def here() -> Path:
    """The folder from which `python -m bench.peers...` finds itself."""
    return Path(__file__).resolve().parents[2]
