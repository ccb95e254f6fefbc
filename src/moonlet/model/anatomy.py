"""What a model is made of and what a token costs, from its configuration alone: parameters, bytes stored, bytes read.

Matrices are counted, norms and router biases are not: they are a millionth of the whole. Bytes are therefore estimates,
right to about one part in a thousand; parameters are exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from .config import ConfigError, ModelConfig

Format = Literal["f32", "f16", "bf16", "fp8", "int8", "int4"]

# Bytes per weight, scales included: one float32 for 128 x 128 weights in fp8, one bf16 for 32 in int8 and int4.
_BYTES: dict[Format, Fraction] = {
    "f32": Fraction(4),
    "f16": Fraction(2),
    "bf16": Fraction(2),
    "fp8": 1 + Fraction(4, 128 * 128),
    "int8": 1 + Fraction(2, 32),
    "int4": Fraction(1, 2) + Fraction(2, 32),
}
_CACHE_BYTES = 2  # a number of the cache is a bf16


@dataclass(frozen=True, slots=True)
class Formats:
    """The number format of each kind of matrix."""

    experts: Format = "bf16"
    dense: Format = "bf16"  # attention, dense layers, shared experts
    router: Format = "bf16"
    head: Format = "bf16"
    embedding: Format = "bf16"


@dataclass(frozen=True, slots=True)
class Part:
    """All matrices of one purpose, over all layers."""

    name: str
    parameters: int
    active: int  # parameters that one token is multiplied with
    format: Format

    @property
    def stored_bytes(self) -> int:
        return round(self.parameters * _BYTES[self.format])

    @property
    def read_bytes(self) -> int:
        """What one token alone makes the machine read."""
        return round(self.active * _BYTES[self.format])


@dataclass(frozen=True, slots=True)
class Anatomy:
    """The parts of a model, and the sums that people ask for."""

    attention: Part
    dense: Part
    router: Part
    shared: Part
    experts: Part
    head: Part
    embedding: Part  # a token takes one row of it: that is what `active` and `read_bytes` say
    parameters_per_expert: int
    cache_bytes_per_token: int

    @property
    def parts(self) -> tuple[Part, ...]:
        return (self.attention, self.dense, self.router, self.shared, self.experts, self.head, self.embedding)

    @property
    def parameters(self) -> int:
        return sum(part.parameters for part in self.parts)

    @property
    def active(self) -> int:
        """Parameters a token is multiplied with: all but the embedding table, with K of the E experts."""
        return sum(part.active for part in self.parts) - self.embedding.active

    @property
    def active_with_embedding(self) -> int:
        """The same with the whole table, as model cards count; a table that is also the head counts once."""
        return self.active + (self.embedding.parameters if self.head.parameters else 0)

    @property
    def bytes_per_expert(self) -> int:
        return round(self.parameters_per_expert * _BYTES[self.experts.format])

    @property
    def stored_bytes(self) -> int:
        return sum(part.stored_bytes for part in self.parts)

    @property
    def read_bytes(self) -> int:
        """Weights read for one token that is computed alone; the cache of what came before comes on top."""
        return sum(part.read_bytes for part in self.parts)


def anatomy(config: ModelConfig, formats: Formats) -> Anatomy:
    """The anatomy of a model whose weights are held in `formats`."""
    width, heads = config.width, config.heads
    queries = heads * config.head
    query = width * queries if config.q_rank is None else config.q_rank * (width + queries)
    key_value = width * (config.latent + config.rope) + config.latent * heads * (config.nope + config.value)
    attention = config.layers * (query + key_value + heads * config.value * width)
    dense = config.dense_layers * 3 * width * config.dense_width
    router = config.sparse_layers * config.experts * width
    shared = config.sparse_layers * 3 * width * config.shared_width
    expert = 3 * width * config.expert_width
    table = config.vocab * width
    return Anatomy(
        attention=Part("attention", attention, attention, formats.dense),
        dense=Part("dense layers", dense, dense, formats.dense),
        router=Part("router", router, router, formats.router),
        shared=Part("shared experts", shared, shared, formats.dense),
        experts=Part(
            "experts",
            config.sparse_layers * config.experts * expert,
            config.sparse_layers * config.experts_per_token * expert,
            formats.experts,
        ),
        head=Part("head", 0 if config.tied else table, table, formats.head),
        embedding=Part("embedding", table, width, formats.embedding),
        parameters_per_expert=expert,
        cache_bytes_per_token=config.layers * (config.latent + config.rope) * _CACHE_BYTES,
    )


def checkpoint_formats(raw: Mapping[str, Any]) -> Formats:
    """How published weights are stored, by their `config.json`. Raises ConfigError for what is unknown here."""
    core = _object(raw.get("text_config")) or raw
    quantization = core.get("quantization_config") or raw.get("quantization_config")
    if not quantization:
        kinds: dict[str, Format] = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}
        name = str(core.get("torch_dtype") or core.get("dtype") or "bfloat16")
        if name not in kinds:
            raise ConfigError(f"weights of type {name} are not supported, only {', '.join(kinds)}")
        kind = kinds[name]
        return Formats(kind, kind, kind, kind, kind)
    quantization = _object(quantization)
    method = quantization.get("quant_method")
    if method == "fp8" and quantization.get("weight_block_size") == [128, 128]:
        return Formats(experts="fp8", dense="fp8")
    if method == "compressed-tensors" and quantization.get("format") == "pack-quantized":
        groups = [_object(_object(g).get("weights")) for g in _object(quantization.get("config_groups")).values()]
        if [(group.get("num_bits"), group.get("group_size")) for group in groups] == [(4, 32)]:
            return Formats(experts="int4")
    raise ConfigError(
        f"weights quantised by {method!r} in this way are not supported, "
        "only fp8 in blocks of 128x128 and compressed-tensors pack-quantized int4 in groups of 32"
    )


def _object(value: object) -> Mapping[str, Any]:
    """A JSON object as it is, anything else as an empty one."""
    return value if isinstance(value, dict) else {}


def folder_formats(dense: Format, experts: Format) -> Formats:
    """How a model folder holds its weights, from the two formats that its `moonlet.json` names."""
    return Formats(experts=experts, dense=dense, router="f32", head=dense)


HEADER = ("part", "parameters", "format", "stored", "read per token")


def rows(anatomy: Anatomy) -> list[tuple[str, str, str, str, str]]:
    """A table with HEADER's columns, the sum in the last row; what a token reads is read by one token alone."""
    lines = [
        (part.name, f"{part.parameters:,}", part.format, size(part.stored_bytes), size(part.read_bytes))
        for part in anatomy.parts
        if part.active
    ]
    total = ("all", f"{anatomy.parameters:,}", "", size(anatomy.stored_bytes), size(anatomy.read_bytes))
    return [*lines, total]


def summary(config: ModelConfig, anatomy: Anatomy) -> list[tuple[str, str]]:
    """What one would tell a friend about the model, as pairs of a name and a sentence."""
    experts = f"{config.experts_per_token} of {config.experts} in each of {config.sparse_layers} layers"
    cache = anatomy.cache_bytes_per_token
    return [
        ("parameters", f"{anatomy.parameters:,}"),
        (
            "active per token",
            f"{count(anatomy.active)}, {count(anatomy.active_with_embedding)} with the embedding table",
        ),
        ("experts", f"{experts}, and {config.shared_experts} shared"),
        ("one expert", f"{anatomy.parameters_per_expert:,} parameters, {size(anatomy.bytes_per_expert)}"),
        ("weights", f"{size(anatomy.stored_bytes)} stored, {size(anatomy.read_bytes)} read for a token alone"),
        ("cache", f"{cache:,} B per token, {size(cache * config.max_positions)} for all {config.max_positions:,}"),
    ]


def text(config: ModelConfig, anatomy: Anatomy) -> str:
    """Summary and table as plain lines."""
    told = [f"{name:<17} {sentence}" for name, sentence in summary(config, anatomy)]
    table = [HEADER, *rows(anatomy)]
    name, *widths = (max(len(row[i]) for row in table) for i in range(len(HEADER)))
    lines = [" ".join([row[0].ljust(name), *(cell.rjust(w + 1) for cell, w in zip(row[1:], widths))]) for row in table]
    return "\n".join([*told, "", *lines])


def size(n_bytes: int) -> str:
    """Bytes for a reader, in decimal units: 594.2 GB."""
    return _scaled(n_bytes, ("B", "kB", "MB", "GB", "TB"), 1)


def count(n: int) -> str:
    """A count for a reader: 31.69 B, as billions."""
    return _scaled(n, ("", "K", "M", "B", "T"), 2)


def _scaled(n: int, units: tuple[str, ...], digits: int) -> str:
    for power in reversed(range(1, len(units))):
        if n >= 1000**power:
            return f"{n / 1000**power:.{digits}f} {units[power]}"
    return f"{n} {units[0]}".strip()
