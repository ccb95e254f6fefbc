"""What was predicted, measured: a model folder is run on this machine and each number set beside its prediction."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moonlet.engine.engine import Engine, EngineOptions
from moonlet.engine.sampler import Sampling
from moonlet.kernels import PAGE
from moonlet.model.folder import ModelFolder

from .speed import Correction, Load, Speed

RUNS = 3
_WARM = 8  # tokens of a prompt before decoding is timed, and of the first run, which does not count
_RAPL = Path("/sys/class/powercap")


class ProofError(Exception):
    """The measurement cannot be made as asked."""


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
    """Engine settings for a test; ProofError if the engine cannot be held to so much memory."""
    given: dict[str, Any] = {"cache_tokens": test.cache_tokens, "threads": threads}
    if memory_bytes:
        if "memory_bytes" not in EngineOptions.__dataclass_fields__:
            raise ProofError("this engine keeps all experts in memory; it cannot be held to less")
        given["memory_bytes"] = memory_bytes
    return EngineOptions(max_sequences=max(*test.batches, 1), **given)


def prove(
    folder: ModelFolder, speed: Speed, test: Test, settings: EngineOptions, tick: Callable[[str], None]
) -> list[Row]:
    """Runs the model and returns the rows; `tick` hears what is being run."""
    dice = random.Random(0)
    rows = []
    with Engine(folder, settings) as engine:
        limit = engine.context - 2
        tick("warming up")
        _decode(engine, 1, _WARM, dice)
        prompt = min(test.prompt, limit)
        tick(f"prompts of {prompt}")
        times = [_prompt_s(engine, prompt, dice) for _ in range(test.runs)]
        seconds = statistics.median(times)
        rows.append(Row(f"prompt of {prompt}", "tokens/s", speed.prefill(prompt).value, prompt / seconds))
        rows.append(Row(f"first token after {prompt}", "s", speed.first_token(prompt).value, seconds))
        for batch in test.batches:
            tick(f"{batch} at a time")
            before, energy = _read_bytes(), _joules()
            start = time.perf_counter()
            rates = [_decode(engine, batch, test.tokens, dice) for _ in range(test.runs)]
            load = Load(batch, _WARM + test.tokens // 2)
            rows.append(Row(f"decode x{batch}", "tokens/s", speed.decode(load).value, statistics.median(rates)))
            written = test.runs * batch * test.tokens
            rows += _costs(speed, load, written, before, energy, time.perf_counter() - start)
    return rows


def _costs(
    speed: Speed, load: Load, written: int, before: int | None, energy: float | None, seconds: float
) -> list[Row]:
    """Bytes from disk and joules of each token written, where the system tells them."""
    rows = []
    step = speed.step(load.sequences, load)
    if speed.fit.streams:
        after = _read_bytes()
        read = None if after is None or before is None else (after - before) / written
        rows.append(Row(f"  from disk, x{load.sequences}", "MB/token", step.read_bytes["disk"] / load.sequences / 1e6,
                        None if read is None else read / 1e6))  # fmt: skip
    watts = speed.fit.machine.watts_load
    now = _joules()
    measured = None if now is None or energy is None else (now - energy) / written
    predicted = watts / speed.decode(load).value if watts else None
    if predicted is not None or measured is not None:
        rows.append(Row(f"  energy, x{load.sequences}", "J/token", predicted, measured))
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


def _read_bytes() -> int | None:
    """What this process has had read from disks, direct reads included."""
    try:
        lines = Path("/proc/self/io").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("read_bytes:")), None)


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
        for _ in engine.submit(ids, sampling, trace=lambda _, chosen: found.append(chosen)):
            pass
    return np.concatenate(found, axis=1)
