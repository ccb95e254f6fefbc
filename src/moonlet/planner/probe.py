"""Small random models, written for a moment to time our own kernels and engine on this machine.

None is a real model's shape: what is learned here is a rate for each number format and count of tokens, from which
other shapes are predicted.
"""

from __future__ import annotations

import json
import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from moonlet import kernels
from moonlet.engine.batch import Batch
from moonlet.engine.engine import Engine, EngineOptions
from moonlet.engine.network import Network
from moonlet.engine.sampler import Sampler, Sampling
from moonlet.engine.sequence import Sequence
from moonlet.kernels import PAGE, Format
from moonlet.model.config import ModelConfig, parse_config
from moonlet.model.folder import ModelFolder, open_folder, write_meta
from moonlet.model.layout import DENSE_FILE, FORMAT, Formats, Slot, expert_matrices, file_layouts, slots

from .fit import Wish, fit
from .machine import Machine
from .rates import MeasuredRates
from .routing import zipf
from .speed import Load, numbers, speed
from .subject import subject

TIMED: tuple[Format, ...] = ("bf16", "int8", "int4")
COUNTS = (1, 2, 4, 8, 16, 64, 256)  # tokens: our kernels change their way at 4 and at 64
ROUNDS = 9
SHORT_S = 0.01  # what is done sooner is repeated in each round
_WIDTH = 2048
_LAYERS = 2
_TINY_LAYERS = 12

_BASE = {
    "model_type": "deepseek_v3", "q_lora_rank": None, "kv_lora_rank": 512, "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64, "v_head_dim": 128, "n_shared_experts": 0, "max_position_embeddings": 8192,
    "vocab_size": 32,
}  # fmt: skip


def measure_rates(
    place: Path, last_cache_bytes: int, most_bytes: int, deadline: float, tick: Callable[[str], None]
) -> MeasuredRates:
    """Times everything in the folder `place`, which must be empty and is left with files in it.

    After `deadline` (of time.perf_counter) no further round is begun. `tick` hears what goes on.
    """
    weights = min(max(3 * last_cache_bytes / 0.5625, 100e6), most_bytes / 2)
    inner = max(int(weights / (3 * _WIDTH * _LAYERS)) // 32 * 32, 1024)
    inside = max(int(last_cache_bytes / 8 / (3 * _WIDTH * _LAYERS)) // 32 * 32, 32)  # bf16 fills a quarter of it
    tick("writing small models")
    rounds = Rounds()
    far = {format: _Curve(write_dense(place / format, format, inner), rounds) for format in TIMED}
    near = {format: _Curve(write_dense(place / f"{format}-near", format, inside), rounds) for format in TIMED}
    attention = _Attention(write_tiny(place / "attention", 16, 512), rounds)
    tiny = write_tiny(place / "tiny", 4, 32)
    layers, logit = _Layers(tiny, rounds), rounds.add(_drawing())
    prompt = _Prompt(write_sparse(place / "sparse"), rounds)
    with Engine(tiny, EngineOptions(cache_tokens=4096), drafting=()) as engine:
        steps = _Steps(engine, tiny, rounds)
        rounds.run(deadline, tick)
    attend_s, attend_many_s = attention.seconds()
    matrices = MeasuredRates(
        {format: curve.points() for format, curve in far.items()}, attend_s, attend_many_s,
        near_bytes=last_cache_bytes, near_s={format: curve.points() for format, curve in near.items()},
    )  # fmt: skip
    layer_s, token_layer_s = layers.seconds(matrices)
    rates = replace(matrices, layer_s=layer_s, token_layer_s=token_layer_s, logit_s=logit.median() / _VOCAB)
    step_s, token_s = steps.seconds(rates)
    # The tiny model's tokens, too, take as long as there are numbers between its matrices.
    of_tiny = numbers(tiny.config) / tiny.config.layers
    number_s = prompt.number_s(rates, of_tiny)
    token_layer_s = max(token_layer_s - of_tiny * number_s, 0.0)
    return replace(rates, step_s=step_s, token_s=token_s, number_s=number_s, token_layer_s=token_layer_s)


@dataclass(slots=True)
class Timed:
    """One thing that is timed: `measure` does it once and returns its seconds."""

    measure: Callable[[], float]
    seconds: list[float] = field(default_factory=list)

    def turn(self) -> None:
        """Once, or as often as SHORT_S allows; then the first, which finds the caches cold, does not count."""
        start = time.perf_counter()
        first = self.measure()
        if time.perf_counter() - start > SHORT_S:
            self.seconds.append(first)
            return
        while not self.seconds or time.perf_counter() - start < SHORT_S:
            self.seconds.append(self.measure())

    def median(self) -> float:
        return statistics.median(self.seconds)


class Rounds:
    """Things that are timed in turn, again and again: what else the machine does for a while falls on all alike."""

    def __init__(self) -> None:
        self._timed: list[Timed] = []

    def add(self, measure: Callable[[], float]) -> Timed:
        self._timed.append(Timed(measure))
        return self._timed[-1]

    def run(self, deadline: float, tick: Callable[[str], None]) -> None:
        """One round that does not count, then up to ROUNDS, none begun after the deadline but the first."""
        for timed in self._timed:
            timed.measure()
        for done in range(ROUNDS):
            tick(f"kernels, round {done + 1}")
            for timed in self._timed:
                timed.turn()
            if time.perf_counter() > deadline:
                return


def write_dense(path: Path, format: Format, inner: int) -> ModelFolder:
    """Nearly all weights in the dense layers' matrices, no experts."""
    raw = {
        **_BASE, "hidden_size": _WIDTH, "num_hidden_layers": _LAYERS, "num_attention_heads": 1,
        "intermediate_size": inner, "first_k_dense_replace": _LAYERS, "n_routed_experts": 1, "num_experts_per_tok": 1,
        "moe_intermediate_size": 32,
    }  # fmt: skip
    return _write(path, raw, Formats(format, format))


def write_tiny(path: Path, heads: int, latent: int) -> ModelFolder:
    """So small that only what is done around the weights takes time: barriers, routing, attention over the cache."""
    raw = {
        **_BASE, "hidden_size": 64, "num_hidden_layers": _TINY_LAYERS, "num_attention_heads": heads,
        "kv_lora_rank": latent, "qk_nope_head_dim": 32, "v_head_dim": 32, "intermediate_size": 64,
        "first_k_dense_replace": 0, "n_routed_experts": 64, "num_experts_per_tok": 6, "moe_intermediate_size": 32,
    }  # fmt: skip
    return _write(path, raw, Formats("int8", "int8"))


def write_sparse(path: Path) -> ModelFolder:
    """A small model of K2's kind, with much between its matrices for their size."""
    raw = {
        **_BASE, "hidden_size": 1024, "num_hidden_layers": 4, "num_attention_heads": 8, "kv_lora_rank": 256,
        "qk_nope_head_dim": 64, "qk_rope_head_dim": 32, "v_head_dim": 64, "intermediate_size": 1024,
        "first_k_dense_replace": 1, "n_routed_experts": 32, "num_experts_per_tok": 4, "moe_intermediate_size": 512,
    }  # fmt: skip
    return _write(path, raw, Formats("int8", "int4"))


def _write(path: Path, raw: Mapping[str, object], formats: Formats) -> ModelFolder:
    config = parse_config(raw)
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps(raw))
    random = np.random.default_rng(0)
    by_name = {slot.name: slot for slot in slots(config)}
    layouts = file_layouts(config, formats)
    for name, layout in layouts.items():
        with (path / name).open("wb") as file:
            file.write(layout.head)
            for tensor, at in layout.tensors.items():
                file.seek(at.begin)
                if name == DENSE_FILE:
                    file.write(_filled(by_name[tensor], formats.dense, random))
                else:
                    pool = b"".join(
                        _packed(formats.experts, *shape, random) for shape in expert_matrices(config).values()
                    )
                    file.write(pool.ljust(at.shape[1], b"\0") * at.shape[0])
            file.truncate(layout.size)
    files = {name: {"bytes": (path / name).stat().st_size, "sha256": ""} for name in ("config.json", *layouts)}
    write_meta(path, {
        "format": FORMAT, "formats": {"dense": formats.dense, "experts": formats.experts},
        "source": {"name": "probe"}, "files": files, "golden": None, "error": {"dense": 0.0, "experts": 0.0},
        "skipped": {},
    })  # fmt: skip
    return open_folder(path)


def _packed(format: Format, rows: int, cols: int, random: np.random.Generator) -> bytes:
    """A packed matrix whose blocks of 32 rows are all alike: as long to read and multiply as any other."""
    block = kernels.pack(random.standard_normal((32, cols), np.float32) * np.float32(cols**-0.5), format)
    return block.tobytes() * -(-rows // 32)


def _filled(slot: Slot, format: Format, random: np.random.Generator) -> bytes:
    if slot.kind == "packed":
        return _packed(format, slot.shape[0], slot.shape[1], random)
    if slot.kind in ("keys", "values"):
        return _packed(format, slot.shape[1], slot.shape[2], random) * slot.shape[0]
    values = random.standard_normal(slot.shape, np.float32)
    if slot.kind == "table":
        return (values.view(np.uint32) >> 16).astype(np.uint16).tobytes()
    return values.tobytes() if slot.name.endswith("router") else np.ones(slot.shape, np.float32).tobytes()


def _batch(config: ModelConfig, count: int, computed: int = 0) -> Batch:
    """So many tokens of one sequence, after `computed` ones that are taken to be in the cache."""
    ids = [7 * j % config.vocab for j in range(computed + count)]
    sequence = Sequence(ids, Sampling(max_tokens=1, temperature=0), None, config.vocab)
    pages = -(-len(ids) // PAGE)
    sequence.computed, sequence.slot, sequence.pages = computed, 0, list(range(pages))
    batch = Batch(count, 1, 1, len(ids), pages, config.sparse_layers, config.experts_per_token)
    batch.pages[0] = sequence.pages
    batch.add(sequence, count)
    return batch


def _clocked(run: Callable[[], object]) -> Callable[[], float]:
    def measure() -> float:
        start = time.perf_counter()
        run()
        return time.perf_counter() - start

    return measure


class _Curve:
    """Steps of so many tokens that read all weights of a folder; those of attention count as well."""

    def __init__(self, folder: ModelFolder, rounds: Rounds) -> None:
        network = Network(folder, max(COUNTS), 32, 8)
        matrices = [slot for slot in slots(folder.config) if slot.kind in ("packed", "keys", "values")]
        self._weights = sum(math.prod(slot.shape) for slot in matrices)
        self._timed = {
            count: rounds.add(_clocked(partial(network.step, _batch(network.config, count)))) for count in COUNTS
        }

    def points(self) -> tuple[tuple[float, float], ...]:
        """(tokens, seconds for one weight)."""
        return tuple((float(count), timed.median() / self._weights) for count, timed in self._timed.items())


_NEAR, _FAR, _MANY = 16, 2048, 32  # tokens in the cache; tokens of a prompt's step
_PROMPT = 256  # tokens of a prompt


class _Attention:
    """Steps of one token and of many behind a short and a long cache."""

    def __init__(self, folder: ModelFolder, rounds: Rounds) -> None:
        network, config = Network(folder, 64, 32, _FAR // PAGE + 4), folder.config
        self._numbers = (_FAR - _NEAR) * config.heads * (config.latent + config.rope) * config.layers
        self._timed = {
            (count, computed): rounds.add(_clocked(partial(network.step, _batch(config, count, computed))))
            for count in (1, _MANY)
            for computed in (_NEAR, _FAR)
        }

    def seconds(self) -> tuple[float, float]:
        """For a number of the cache, in a step of one token and of many."""
        one, many = (
            max(self._timed[count, _FAR].median() - self._timed[count, _NEAR].median(), 1e-9) / (count * self._numbers)
            for count in (1, _MANY)
        )
        return one, many


def _explained(folder: ModelFolder, rates: MeasuredRates, tokens: int, load: Load) -> float:
    """Seconds of a step as these rates have it, with routing as of random weights."""
    config = folder.config
    machine = Machine("probe", "", memory_bytes=1 << 40, read_bytes_s=1, ops=1, rates=rates)
    even = zipf(config.experts, config.experts_per_token, 0.0)
    return speed(fit(subject(str(folder.path)), machine, Wish(_PROMPT)), even).step(tokens, load).seconds


class _Layers:
    """Steps of one token and of many, in which nearly nothing is computed."""

    def __init__(self, folder: ModelFolder, rounds: Rounds) -> None:
        self._folder = folder
        network = Network(folder, 64, 32, 4)
        self._timed = {
            count: rounds.add(_clocked(partial(network.step, _batch(folder.config, count, _NEAR))))
            for count in (1, _MANY)
        }

    def seconds(self, matrices: MeasuredRates) -> tuple[float, float]:
        """For a layer of a step, and for a token in a layer, beside the matrices."""
        layers = self._folder.config.layers
        one, many = (
            max(timed.median() - _explained(self._folder, matrices, count, Load(1, _NEAR)), 0.0) / layers
            for count, timed in self._timed.items()
        )
        token_layer_s = max(many - one, 0.0) / (_MANY - 1)
        return max(one - token_layer_s, 0.0), token_layer_s


class _Prompt:
    """A step that reads a prompt with a small model of K2's kind."""

    def __init__(self, folder: ModelFolder, rounds: Rounds) -> None:
        network = Network(folder, _PROMPT, 32, _PROMPT // PAGE)
        self._folder = folder
        self._timed = rounds.add(_clocked(partial(network.step, _batch(folder.config, _PROMPT))))

    def number_s(self, rates: MeasuredRates, known: float) -> float:
        """For a number between the matrices: what the other rates of the network do not explain. They explain `known`
        numbers of a token in a layer."""
        config = self._folder.config
        explained = _explained(self._folder, rates, _PROMPT, Load(1, _PROMPT // 2))
        return max(self._timed.median() - explained, 0.0) / (_PROMPT * (numbers(config) - config.layers * known))


class _Steps:
    """Writing alone and eight at a time, with all that the engine does around the network."""

    def __init__(self, engine: Engine, folder: ModelFolder, rounds: Rounds) -> None:
        self._engine, self._folder = engine, folder
        self._timed = {count: rounds.add(partial(self._written, count)) for count in (1, 8)}

    def _written(self, sequences: int) -> float:
        """Seconds of a step."""
        vocab = self._engine.config.vocab
        prompts = [[(i + j) % vocab for j in range(_WRITTEN_AFTER)] for i in range(sequences)]
        replies = [self._engine.submit(p, Sampling(max_tokens=_WRITTEN, temperature=1, seed=0)) for p in prompts]
        for reply in replies:
            list(reply)
        return statistics.median(reply.stats.decode_s for reply in replies) / (_WRITTEN - 1)

    def seconds(self, rates: MeasuredRates) -> tuple[float, float]:
        """For a step, and for a token written, around the network's own."""
        own, own_eight = (
            timed.median() - _explained(self._folder, rates, count, Load(count, _WRITTEN_AFTER + _WRITTEN // 2))
            for count, timed in self._timed.items()
        )
        token_s = max((own_eight - own) / 7, 0.0)
        return max(own - token_s, 0.0), token_s


_WRITTEN_AFTER, _WRITTEN = 8, 96  # tokens of a prompt, and of what is written after it
_VOCAB = 131_072


def _drawing() -> Callable[[], float]:
    """The drawing of a token from so many logits."""
    sampler = Sampler(Sampling(temperature=1, seed=0), [1], _VOCAB)
    logits = np.random.default_rng(0).standard_normal(_VOCAB, np.float32)
    return _clocked(lambda: sampler.draw(logits, None))
