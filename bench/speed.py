"""Tokens per second of a folder, and the bytes per second that its decoding reads from memory.

    python -m bench.speed FOLDER [--threads N]

Medians of five; prompts are random ids, so that routing is as even as the router makes it.
"""

from __future__ import annotations

import argparse
import random
import statistics
from pathlib import Path

from moonlet import kernels
from moonlet.engine.engine import Engine, EngineOptions
from moonlet.engine.sampler import Sampling
from moonlet.model.anatomy import anatomy, folder_formats
from moonlet.model.folder import open_folder

RUNS = 5


def rate(engine: Engine, sequences: int, prompt: int, tokens: int, rng: random.Random) -> float:
    """Tokens written per second by so many sequences together, the prompts not counted."""
    prompts = [[rng.randrange(engine.config.vocab) for _ in range(prompt)] for _ in range(sequences)]
    replies = [engine.submit(p, Sampling(max_tokens=tokens, temperature=0)) for p in prompts]
    for reply in replies:
        for _ in reply:
            pass
    return sum((reply.stats.output_tokens - 1) / reply.stats.decode_s for reply in replies)


def prefill(engine: Engine, tokens: int, rng: random.Random) -> float:
    reply = engine.submit([rng.randrange(engine.config.vocab) for _ in range(tokens)], Sampling(max_tokens=1))
    list(reply)
    return tokens / reply.stats.prefill_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threads", type=int, default=0)
    asked = parser.parse_args()
    rng = random.Random(0)
    folder = open_folder(asked.folder)
    parts = anatomy(folder.config, folder_formats(folder.formats.dense, folder.formats.experts))
    figures: dict[str, list[float]] = {}
    with Engine(folder, EngineOptions(cache_tokens=8192, threads=asked.threads)) as engine:
        rate(engine, 1, 8, 16, rng)
        for _ in range(RUNS):
            figures.setdefault("prefill 512", []).append(prefill(engine, 512, rng))
            for sequences in (1, 4, 8):
                figures.setdefault(f"decode x{sequences}", []).append(rate(engine, sequences, 8, 24, rng))
    print(f"{asked.folder.name}: {kernels.isa()}, {asked.threads or kernels.cores()} threads")
    for name, values in figures.items():
        spread = f"{min(values):.1f} to {max(values):.1f}"
        print(f"  {name:12} {statistics.median(values):9.1f} tokens/s   ({spread})")
    alone = statistics.median(figures["decode x1"]) * parts.read_bytes
    print(f"  decode x1 reads {parts.read_bytes / 1e9:.2f} GB a token: {alone / 1e9:.1f} GB/s")


if __name__ == "__main__":
    main()
