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

from .rates import Curves, MeasuredRates

TIMED: tuple[Format, ...] = ("bf16", "int8", "int4")
COUNTS = (1, 2, 4, 8, 16, 64, 256)  # tokens: our kernels change their way at 4 and at 64
REPEATS = 5
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

    After `deadline` (of time.perf_counter) nothing is repeated any more. `tick` hears what goes on.
    """
    weights = min(max(3 * last_cache_bytes / 0.5625, 100e6), most_bytes / 2)
    inner = max(int(weights / (3 * _WIDTH * _LAYERS)) // 32 * 32, 1024)
    curves: Curves = {}
    near: Curves = {}
    inside = max(int(last_cache_bytes / 8 / (3 * _WIDTH * _LAYERS)) // 32 * 32, 32)  # bf16 fills a quarter of it
    for format in TIMED:
        tick(f"{format} weights times tokens")
        folder = write_dense(place / format, format, inner)
        curves[format] = _curve(folder, deadline)
        small = write_dense(place / f"{format}-near", format, inside)
        near[format] = _curve(small, deadline)
        for file in folder.path.iterdir():
            file.unlink()
    tick("attention, layers, sampling")
    attend_s, attend_many_s = _attention(write_tiny(place / "attention", 16, 512), deadline)
    tiny = write_tiny(place / "tiny", 4, 32)
    layer_s, token_layer_s = _layers(tiny, deadline)
    step_s, token_s = _engine(tiny, layer_s, token_layer_s, deadline)
    return MeasuredRates(
        curves, attend_s, attend_many_s, layer_s, token_layer_s, step_s, token_s, _logit_s(deadline),
        near_bytes=last_cache_bytes, near_s=near,
    )  # fmt: skip


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


def _time(run: Callable[[], object], deadline: float, least_s: float = 0.0) -> float:
    """Median seconds of a few runs after one that does not count."""
    run()
    times: list[float] = []
    while len(times) < REPEATS or (sum(times) < least_s and len(times) < 200):
        if times and time.perf_counter() > deadline:
            break
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def _curve(folder: ModelFolder, deadline: float) -> tuple[tuple[float, float], ...]:
    """(tokens, seconds for one weight) of a step that reads all weights; those of attention count as well."""
    network = Network(folder, max(COUNTS), 32, 8)
    matrices = [slot for slot in slots(folder.config) if slot.kind in ("packed", "keys", "values")]
    weights = sum(math.prod(slot.shape) for slot in matrices)
    points = []
    for count in COUNTS:
        batch = _batch(network.config, count)
        points.append((float(count), _time(partial(network.step, batch), deadline) / weights))
    return tuple(points)


_NEAR, _FAR, _MANY = 16, 2048, 32  # tokens in the cache; tokens of a prompt's step


def _attention(folder: ModelFolder, deadline: float) -> tuple[float, float]:
    """Seconds for a number of the cache, for a step of one token and of many."""
    network, config = Network(folder, 64, 32, _FAR // PAGE + 4), folder.config
    numbers = (_FAR - _NEAR) * config.heads * (config.latent + config.rope) * config.layers

    def longer(count: int) -> float:
        near, far = (
            _time(partial(network.step, _batch(config, count, computed)), deadline, 0.1) for computed in (_NEAR, _FAR)
        )
        return max(far - near, 1e-9) / (count * numbers)

    return longer(1), longer(_MANY)


def _layers(folder: ModelFolder, deadline: float) -> tuple[float, float]:
    """Seconds for a layer of a step, and for a token in a layer."""
    network, layers = Network(folder, 64, 32, 4), folder.config.layers
    one, many = (
        _time(partial(network.step, _batch(folder.config, count, _NEAR)), deadline, 0.1) for count in (1, _MANY)
    )
    token_layer_s = max(many - one, 0.0) / (_MANY - 1) / layers
    return max(one / layers - token_layer_s, 0.0), token_layer_s


def _engine(folder: ModelFolder, layer_s: float, token_layer_s: float, deadline: float) -> tuple[float, float]:
    """Seconds that a step, and a token written, cost around the network's own."""
    tokens = 48
    with Engine(folder, EngineOptions(cache_tokens=4096), drafting=()) as engine:

        def decode(sequences: int) -> float:
            prompts = [[(i + j) % folder.config.vocab for j in range(8)] for i in range(sequences)]
            replies = [engine.submit(p, Sampling(max_tokens=tokens, temperature=0)) for p in prompts]
            for reply in replies:
                list(reply)
            return statistics.median(reply.stats.decode_s for reply in replies) / (tokens - 1)

        decode(1)
        repeats = REPEATS if time.perf_counter() < deadline else 1
        alone = statistics.median(decode(1) for _ in range(repeats))
        eight = statistics.median(decode(8) for _ in range(repeats))
    layers = folder.config.layers
    own, own_eight = alone - layers * (layer_s + token_layer_s), eight - layers * (layer_s + 8 * token_layer_s)
    token_s = max((own_eight - own) / 7, 0.0)
    return max(own - token_s, 0.0), token_s


def _logit_s(deadline: float) -> float:
    """Seconds for each logit of a drawn token."""
    vocab = 131_072
    sampler = Sampler(Sampling(temperature=0), [1], vocab)
    logits = np.random.default_rng(0).standard_normal(vocab, np.float32)
    return _time(lambda: sampler.draw(logits, None), deadline, 0.05) / vocab
