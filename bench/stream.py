"""Streaming a folder from disk: tokens per second against what the disk gives for the bytes that were missed.

    python -m bench.stream FOLDER --memory 4000000000 [--also COPY]

The limit is measured in the same run and on the same files: whole experts at random places, read directly by four
threads a drive into memory like the engine's, without any computing. A step can take no less than its missed bytes take
at that rate, so that the share of time not lost is missed bytes / rate / time. Prompts are random ids and tokens are
drawn (random weights would repeat their likeliest ones, and with them the experts): routing is as even as the router
makes it. With --skew, one topic's prompt is used over and over, as in a conversation.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import threading
import time
from pathlib import Path

from moonlet.engine.engine import Engine, EngineOptions
from moonlet.engine.sampler import Sampling
from moonlet.model.folder import ModelFolder, open_folder
from moonlet.planner.measure import slot

RUNS = 5
READERS = 4  # of each drive, as the store has


def disk_rate(folders: list[ModelFolder], rng: random.Random, count: int = 64) -> float:
    """Bytes per second of whole experts at random places, from all drives together."""
    config = folders[0].config
    places = [(rng.randrange(config.dense_layers, config.layers), rng.randrange(config.experts)) for _ in range(count)]
    row_bytes = folders[0].experts_file(config.dense_layers)[3]
    lock = threading.Lock()

    def read(folder: ModelFolder) -> None:
        buffer = slot(row_bytes)
        while True:
            with lock:
                if not places:
                    return
                layer, expert = places.pop()
            path, offset, *_ = folder.experts_file(layer)
            file = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECT", 0))
            try:
                assert os.preadv(file, [buffer], offset + expert * row_bytes) == row_bytes
            finally:
                os.close(file)

    threads = [threading.Thread(target=read, args=(folder,)) for folder in folders for _ in range(READERS)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return count * row_bytes / (time.perf_counter() - begun)


def decode(engine: Engine, prompts: list[list[int]], tokens: int, rate: float) -> dict[str, float]:
    """So many replies together: speed, hits, and the share of the disk's rate that was reached."""
    drawn = [Sampling(max_tokens=tokens, temperature=1, seed=seed) for seed in range(len(prompts))]
    replies = [engine.submit(prompt, sampling) for prompt, sampling in zip(prompts, drawn)]
    for reply in replies:
        next(iter(reply))  # every prompt has been read
    before, begun = engine.reads, time.perf_counter()
    written = sum(len(list(reply)) for reply in replies)
    seconds, reads = time.perf_counter() - begun, engine.reads - before
    return {
        "tokens_per_s": written / seconds,
        "hit_rate": reads.hit_rate or 0.0,
        "disk_share": reads.read_bytes / rate / seconds,
        "wait_share": reads.wait_s / seconds,
        "guesses_right": reads.guesses_right,
        "guesses_wrong": reads.guesses_wrong,
    }


def prefill(engine: Engine, prompt: list[int], rate: float) -> dict[str, float]:
    before = engine.reads
    reply = engine.submit(prompt, Sampling(max_tokens=1, temperature=0))
    list(reply)
    reads = engine.reads - before
    return {
        "tokens_per_s": len(prompt) / reply.stats.prefill_s,
        "hit_rate": reads.hit_rate or 0.0,
        "disk_share": reads.read_bytes / rate / reply.stats.prefill_s,
        "wait_share": reads.wait_s / reply.stats.prefill_s,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--memory", type=int, required=True, help="bytes, of everything")
    parser.add_argument("--also", type=Path, action="append", default=[])
    parser.add_argument("--skew", action="store_true")
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--threads", type=int, default=0)
    asked = parser.parse_args()
    rng = random.Random(0)
    folder = open_folder(asked.folder)
    folders = [folder, *(open_folder(path) for path in asked.also)]
    options = EngineOptions(cache_tokens=8192, memory_bytes=asked.memory, also=tuple(asked.also), threads=asked.threads)
    with Engine(folder, options, drafting=()) as engine:
        memory = engine.memory
        if not memory.streamed:
            raise SystemExit(f"everything fits into {asked.memory / 1e9:.1f} GB: nothing would be streamed")
        print(
            f"{asked.folder.name}: {memory.total / 1e9:.2f} GB: dense {memory.dense / 1e9:.2f}, cache "
            f"{memory.cache / 1e9:.2f}, workspace {memory.workspace / 1e9:.2f}, experts {memory.experts / 1e9:.2f}; "
            f"steps of {memory.step_tokens} tokens"
        )
        report(engine, folders, asked.skew, asked.tokens, rng)


def report(engine: Engine, folders: list[ModelFolder], skew: bool, tokens: int, rng: random.Random) -> None:
    def ids(count: int) -> list[int]:
        return [rng.randrange(engine.config.vocab) for _ in range(count)]

    topic = ids(16)
    figures: dict[str, list[dict[str, float]]] = {}
    rates = []
    decode(engine, [topic], tokens, 1.0)  # fills the cache
    for _ in range(RUNS):
        rates.append(disk_rate(folders, rng))
        for sequences in (1, 8):
            prompts = [topic if skew else ids(16) for _ in range(sequences)]
            figures.setdefault(f"decode x{sequences}", []).append(decode(engine, prompts, tokens, rates[-1]))
        figures.setdefault("prefill 512", []).append(prefill(engine, ids(512), rates[-1]))
    print(f"  disk, whole experts: {statistics.median(rates) / 1e9:.2f} GB/s ({min(rates):.3g} to {max(rates):.3g})")
    for name, runs in figures.items():
        told = ", ".join(f"{key} {statistics.median(run[key] for run in runs):.3g}" for key in runs[0])
        speeds = [run["tokens_per_s"] for run in runs]
        print(f"  {name:12} {told}   (tokens_per_s {min(speeds):.3g} to {max(speeds):.3g})")


if __name__ == "__main__":
    main()
