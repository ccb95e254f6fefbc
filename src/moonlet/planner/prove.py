"""What was predicted, measured: a model folder is run on this machine and each number set beside its prediction."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from moonlet.engine.engine import Engine, EngineOptions
from moonlet.engine.sampler import Sampling
from moonlet.engine.sequence import Reads
from moonlet.kernels import PAGE
from moonlet.model.folder import ModelFolder

from .fit import Wish
from .speed import Correction, Load, Speed

RUNS = 3
_WARM = 8  # tokens of a prompt before decoding is timed, and of the first run, which does not count
_RAPL = Path("/sys/class/powercap")


@dataclass(frozen=True, slots=True)
class Row:
    """One number, predicted and measured in the same unit; `measured` None where this machine cannot tell it."""

    name: str
    unit: str
    predicted: float | None
    measured: float | None

    @property
    def error(self) -> float | None:
        """Predicted over measured, less one."""
        if self.predicted is None or not self.measured:
            return None
        return self.predicted / self.measured - 1


@dataclass(frozen=True, slots=True)
class Test:
    """What is run."""

    prompt: int = 512
    tokens: int = 32
    batches: tuple[int, ...] = (1, 4, 8)
    runs: int = RUNS

    @property
    def cache_tokens(self) -> int:
        longest = max(self.prompt + 2, max(self.batches) * (_WARM + self.tokens + PAGE))
        return 2 * -(-longest // PAGE) * PAGE


def options(test: Test, threads: int = 0, memory_bytes: int = 0) -> EngineOptions:
    """Engine settings for a test; memory_bytes 0: what is free."""
    most = max(*test.batches, 1)
    return EngineOptions(cache_tokens=test.cache_tokens, max_sequences=most, threads=threads, memory_bytes=memory_bytes)


def wish(test: Test, folder: ModelFolder, memory_bytes: int = 0) -> Wish:
    """What `fit` is asked for: the same cache and memory that the engine is given."""
    sequences = max(test.batches)
    context = min(max(test.cache_tokens // sequences, 1), folder.config.max_positions)
    return Wish(context=context, sequences=sequences, memory_bytes=memory_bytes)


def prove(
    folder: ModelFolder, speed: Speed, test: Test, settings: EngineOptions, tick: Callable[[str], None]
) -> list[Row]:
    """Runs the model and returns the rows; `tick` hears what is being run."""
    dice = random.Random(0)
    rows = []
    with Engine(folder, settings, drafting=()) as engine:  # guesses would make tokens depend on what is written
        limit = engine.context - 2
        tick("warming up")
        _decode(engine, 1, _WARM, dice)
        prompt = min(test.prompt, limit)
        tick(f"prompts of {prompt}")
        runs = _runs(test.runs, speed.first_token(prompt).value)
        times = [_prompt_s(engine, prompt, dice) for _ in range(runs)]
        seconds = statistics.median(times)
        rows.append(Row(f"prompt of {prompt}", "tokens/s", speed.prefill(prompt).value, prompt / seconds))
        rows.append(Row(f"first token after {prompt}", "s", speed.first_token(prompt).value, seconds))
        for batch in test.batches:
            tick(f"{batch} at a time")
            before, energy = engine.reads, _joules()
            load = Load(batch, _WARM + test.tokens // 2)
            runs = _runs(test.runs, batch * test.tokens / speed.decode(load).value)
            rates = [_decode(engine, batch, test.tokens, dice) for _ in range(runs)]
            rows.append(Row(f"decode x{batch}", "tokens/s", speed.decode(load).value, statistics.median(rates)))
            written = runs * batch * test.tokens
            rows += _costs(speed, load, written, engine.reads - before, energy)
    return rows


def _runs(least: int, seconds: float) -> int:
    """So many that a second is measured where one run takes milliseconds, which whatever else wakes up disturbs."""
    return max(least, min(round(1 / seconds), 50))


def _costs(speed: Speed, load: Load, written: int, reads: Reads, energy: float | None) -> list[Row]:
    """Hits and bytes from disk where experts are streamed, and joules where the processor tells them."""
    rows = []
    step = speed.step(load.sequences, load)
    name = f"x{load.sequences}"
    if speed.fit.streams or reads.misses:
        rows.append(Row(f"  hit rate, {name}", "share", step.hit_rate, reads.hit_rate))
        disk = step.read_bytes["disk"] / load.sequences / 1e6
        rows.append(Row(f"  from disk, {name}", "MB/token", disk, reads.read_bytes / written / 1e6))
    watts = speed.fit.machine.watts_load
    now = _joules()
    measured = None if now is None or energy is None else (now - energy) / written
    predicted = watts / speed.decode(load).value if watts else None
    if predicted is not None or measured is not None:
        rows.append(Row(f"  energy, {name}", "J/token", predicted, measured))
    return rows


def correction(rows: Sequence[Row], old: Correction) -> Correction:
    """Seconds measured over predicted, on top of what was corrected already: medians of decode, and of prompts."""
    decode = [row.predicted / row.measured for row in rows
              if row.name.startswith("decode") and row.predicted and row.measured]  # fmt: skip
    prefill = [row.predicted / row.measured for row in rows
               if row.name.startswith("prompt") and row.predicted and row.measured]  # fmt: skip
    return Correction(
        old.decode * statistics.median(decode) if decode else old.decode,
        old.prefill * statistics.median(prefill) if prefill else old.prefill,
    )


def _ids(engine: Engine, count: int, dice: random.Random) -> list[int]:
    return [dice.randrange(engine.config.vocab) for _ in range(count)]


def _prompt_s(engine: Engine, tokens: int, dice: random.Random) -> float:
    reply = engine.submit(_ids(engine, tokens, dice), Sampling(max_tokens=1, temperature=0))
    list(reply)
    return reply.stats.prefill_s


def _decode(engine: Engine, sequences: int, tokens: int, dice: random.Random) -> float:
    """Tokens written a second by all together, the prompts not counted."""
    prompts = [_ids(engine, _WARM, dice) for _ in range(sequences)]
    replies = [engine.submit(prompt, Sampling(max_tokens=tokens + 1, temperature=0)) for prompt in prompts]
    for reply in replies:
        list(reply)
    return sum((reply.stats.output_tokens - 1) / reply.stats.decode_s for reply in replies)


def _joules() -> float | None:
    """Of the processor packages, where their counters may be read."""
    total, found = 0.0, False
    for file in _RAPL.glob("intel-rapl:[0-9]/energy_uj"):
        try:
            total += int(file.read_text()) / 1e6
            found = True
        except (OSError, ValueError):
            return None
    return total if found else None


def trace(folder: ModelFolder, ids: Sequence[int], written: int, threads: int = 0) -> NDArray[np.int32]:
    """Experts chosen (sparse layers, T, K) while the model reads `ids` and goes on greedily for `written` tokens."""
    found: list[NDArray[np.int32]] = []
    options = EngineOptions(cache_tokens=len(ids) + written + PAGE, threads=threads)
    with Engine(folder, options) as engine:
        sampling = Sampling(max_tokens=written + 1, temperature=0)
        for _ in engine.submit(ids, sampling, trace=lambda seen: found.append(seen.chosen)):
            pass
    return np.concatenate(found, axis=1)
