"""What was predicted, measured: a model folder is run on this machine and each number set beside its prediction."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from moonlet.engine.engine import Engine, EngineOptions
from moonlet.engine.sampler import Sampling
from moonlet.engine.sequence import Reads
from moonlet.kernels import PAGE
from moonlet.ledger.energy import POWERCAP, Counter, processor_counters
from moonlet.model.folder import ModelFolder

from .fit import Wish
from .speed import Correction, Load, Speed

RUNS = 3  # rounds
_WARM = 8  # tokens of a prompt before decoding is timed, and of the first run, which does not count


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
    counters = processor_counters(POWERCAP)
    with Engine(folder, settings, drafting=()) as engine:  # guesses would make tokens depend on what is written
        tick("warming up")
        prompt = min(test.prompt, engine.context - 2)
        _prompt_s(engine, prompt, dice)  # touches all memory, and leaves the experts' places as they are in use
        _decode(engine, 1, _WARM, dice)
        read: list[float] = []
        written = {batch: _Written(Load(batch, _WARM + test.tokens // 2)) for batch in test.batches}
        # Round after round, so that what else the machine does for a while falls on every number alike.
        for round_ in range(test.runs):
            tick(f"prompts of {prompt}, {round_ + 1} of {test.runs}")
            read += [_prompt_s(engine, prompt, dice) for _ in range(_repeats(speed.first_token(prompt).value))]
            for batch, seen in written.items():
                tick(f"{batch} at a time, {round_ + 1} of {test.runs}")
                before = engine.reads
                _joules(counters)  # what the prompts took is not of these tokens
                repeats = _repeats(batch * test.tokens / speed.decode(seen.load).value)
                seen.rates += [_decode(engine, batch, test.tokens, dice) for _ in range(repeats)]
                seen.tokens += repeats * batch * test.tokens
                seen.reads += engine.reads - before
                seen.joules = _added(seen.joules, _joules(counters))
    seconds = statistics.median(read)
    rows = [
        Row(f"prompt of {prompt}", "tokens/s", speed.prefill(prompt).value, prompt / seconds),
        Row(f"first token after {prompt}", "s", speed.first_token(prompt).value, seconds),
    ]
    for batch, seen in written.items():
        rate = statistics.median(seen.rates)
        rows.append(Row(f"decode x{batch}", "tokens/s", speed.decode(seen.load).value, rate))
        rows += _costs(speed, seen)
    return rows


@dataclass(slots=True)
class _Written:
    """What writing with so many sequences at a time came to, in all rounds."""

    load: Load
    rates: list[float] = field(default_factory=list)  # tokens a second
    tokens: int = 0
    reads: Reads = field(default_factory=Reads)
    joules: float | None = 0.0  # None where the processor does not tell


def _added(sum_: float | None, more: float | None) -> float | None:
    return None if sum_ is None or more is None else sum_ + more


def _repeats(seconds: float) -> int:
    """So many that a fifth of a second is measured where one run takes milliseconds, which anything disturbs."""
    return max(1, min(round(0.2 / seconds), 10))


def _costs(speed: Speed, seen: _Written) -> list[Row]:
    """Hits and bytes from disk where experts are streamed, and joules where the processor tells them."""
    rows = []
    load, reads = seen.load, seen.reads
    step = speed.step(load.sequences, load)
    name = f"x{load.sequences}"
    if speed.fit.streams or reads.misses:
        rows.append(Row(f"  hit rate, {name}", "share", step.hit_rate, reads.hit_rate))
        disk = step.read_bytes["disk"] / load.sequences / 1e6
        rows.append(Row(f"  from disk, {name}", "MB/token", disk, reads.read_bytes / seen.tokens / 1e6))
    watts = speed.fit.machine.watts_load
    measured = None if seen.joules is None else seen.joules / seen.tokens
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
    # Drawn, not the likeliest: a model that repeats itself asks for the same experts again and again.
    drawn = [Sampling(max_tokens=tokens + 1, temperature=1, seed=dice.getrandbits(31)) for _ in prompts]
    replies = [engine.submit(prompt, sampling) for prompt, sampling in zip(prompts, drawn)]
    for reply in replies:
        list(reply)
    return sum((reply.stats.output_tokens - 1) / reply.stats.decode_s for reply in replies)


def _joules(counters: Sequence[Counter]) -> float | None:
    """Of the processor since the last call; None where there are no counters or they cannot be read any more."""
    try:
        return sum(counter.gained() for counter in counters) if counters else None
    except OSError:
        return None


def trace(folder: ModelFolder, ids: Sequence[int], written: int, threads: int = 0) -> NDArray[np.int32]:
    """Experts chosen (sparse layers, T, K) while the model reads `ids` and goes on greedily for `written` tokens."""
    found: list[NDArray[np.int32]] = []
    options = EngineOptions(cache_tokens=len(ids) + written + PAGE, threads=threads)
    with Engine(folder, options) as engine:
        sampling = Sampling(max_tokens=written + 1, temperature=0)
        for _ in engine.submit(ids, sampling, trace=lambda seen: found.append(seen.chosen)):
            pass
    return np.concatenate(found, axis=1)
