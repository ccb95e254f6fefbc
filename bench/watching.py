"""What looking inside costs: tokens per second with nobody, with somebody who looks on, with the page's frames made.

    python -m bench.watching FOLDER [--threads N] [--tokens N]

The three are measured in turn, many times over, so that whatever else the machine does hits all alike; medians, and the
medians of each turn's ratio. Nobody: the step asks once for each border between parts whether it is watched, 5 a layer.
Somebody: a read of the clock at each of those borders on one thread, weights and places of the chosen experts copied (K
x layers numbers a token), one event a step. The page: those arrays as base64 in one JSON line besides.
The folder needs a vocabulary, and a model that goes on writing: one of `bench.shapes` with the small model's.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

from moonlet.chat.messages import Message
from moonlet.engine.engine import EngineOptions
from moonlet.llm import Done, ReplyOptions
from moonlet.local import Local
from moonlet.model.folder import open_folder
from moonlet.server.page_frames import Frames

TURNS = 15
WAYS = ("nobody", "somebody", "the page")


def rate(model: Local, way: str, tokens: int) -> float:
    """Tokens written per second, the prompt not counted."""
    options = ReplyOptions(max_tokens=tokens, temperature=0, look=way != "nobody")
    frames = Frames(None)
    for event in model.reply([Message("user", "Count from one to a thousand, in words.")], (), options):
        if way == "the page":
            json.dumps(frames.of(event))
        if isinstance(event, Done):
            return event.usage.tokens_per_s or 0.0
    raise AssertionError("a reply without an end")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--tokens", type=int, default=200)
    asked = parser.parse_args()
    with Local(open_folder(asked.folder), EngineOptions(threads=asked.threads)) as model:
        rate(model, "nobody", 8)  # warm
        found: dict[str, list[float]] = {way: [] for way in WAYS}
        for turn in range(TURNS):
            for way in WAYS if turn % 2 else reversed(WAYS):
                found[way].append(rate(model, way, asked.tokens))
    for way in WAYS:
        cost = statistics.median(1 - mine / alone for mine, alone in zip(found[way], found["nobody"]))
        print(f"{way:<10} {statistics.median(found[way]):8.1f} tokens/s   costs {cost:6.1%}")


if __name__ == "__main__":
    main()
