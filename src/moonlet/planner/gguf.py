"""The header of a GGUF file: what is in it and how large, without reading the weights. For comparison only.

Layout by the public description of the format (ggml-org/ggml, docs/gguf.md): magic, version, counts, key-value pairs,
then for each tensor its name, dimensions, type and offset. A model split over several files names each part's own
tensors only; `read` follows the usual names (-00001-of-00013.gguf) and adds the parts up.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from moonlet.model.config import ConfigError, ModelConfig, parse_config

# Type number: (name, weights in a block, bytes of a block).
_TYPES = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110), 12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210), 15: ("Q8_K", 256, 292), 16: ("IQ2_XXS", 256, 66),
    17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98), 19: ("IQ1_S", 256, 50), 20: ("IQ4_NL", 32, 18),
    21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136), 29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66), 39: ("MXFP4", 32, 17),
}  # fmt: skip
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_MOST = 1 << 20  # tensors, pairs or characters: more means that this is no header
_PARTS = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")


class GgufError(Exception):
    """The file is no GGUF, is cut off, or holds a model of another graph."""


@dataclass(frozen=True, slots=True)
class Header:
    pairs: dict[str, Any]
    tensors: dict[str, tuple[int, int, str]]  # name: weights, bytes, type


def read(path: Path) -> tuple[ModelConfig, dict[str, tuple[int, int]], str]:
    """Config, (weights, bytes) of each part by the names of model.anatomy, and the mixture of types in a few words.

    Raises GgufError.
    """
    head = _whole(path)
    sums: dict[str, tuple[int, int]] = {}
    for name, (weights, size, _) in head.tensors.items():
        if part := _part(name):
            before = sums.get(part, (0, 0))
            sums[part] = (before[0] + weights, before[1] + size)
    return _config(path, head.pairs, head.tensors), sums, _mixture(head)


def _whole(path: Path) -> Header:
    head = read_header(path)
    if not (match := _PARTS.search(path.name)):
        return head
    tensors = dict(head.tensors)
    pairs = dict(head.pairs)
    for part in range(1, int(match[2]) + 1):
        other = path.with_name(f"{path.name[: match.start()]}-{part:05d}-of-{match[2]}.gguf")
        if other != path:
            more = read_header(other)
            tensors |= more.tensors
            pairs = {**more.pairs, **pairs}
    return Header(pairs, tensors)


def read_header(path: Path) -> Header:
    """Pairs and tensors of one file. Raises GgufError."""
    try:
        with path.open("rb") as file:
            return _parse(file)
    except OSError as error:
        raise GgufError(f"{path}: {error.strerror or error}") from None
    except (struct.error, UnicodeDecodeError, ValueError) as error:
        raise GgufError(f"{path}: is no GGUF header that can be read ({error})") from None


def _parse(file: BinaryIO) -> Header:
    if file.read(4) != b"GGUF":
        raise ValueError("it does not begin with GGUF")
    version, tensor_count, pair_count = struct.unpack("<IQQ", file.read(20))
    if version not in (2, 3) or tensor_count > _MOST or pair_count > _MOST:
        raise ValueError(f"version {version}, {tensor_count} tensors, {pair_count} pairs")
    pairs = {}
    for _ in range(pair_count):
        key = _text(file)
        (kind,) = struct.unpack("<I", file.read(4))
        pairs[key] = _value(file, kind)
    tensors = {}
    for _ in range(tensor_count):
        name = _text(file)
        (dimensions,) = struct.unpack("<I", file.read(4))
        if dimensions > 8:
            raise ValueError(f"{name} has {dimensions} dimensions")
        weights = 1
        for side in struct.unpack(f"<{dimensions}Q", file.read(8 * dimensions)):
            weights *= side
        kind, _offset = struct.unpack("<IQ", file.read(12))
        if kind not in _TYPES:
            raise ValueError(f"{name} is of unknown type {kind}")
        type_name, block, block_bytes = _TYPES[kind]
        tensors[name] = (weights, -(-weights // block) * block_bytes, type_name)
    return Header(pairs, tensors)


def _text(file: BinaryIO) -> str:
    (length,) = struct.unpack("<Q", file.read(8))
    if length > _MOST:
        raise ValueError(f"a name of {length} bytes")
    raw = file.read(length)
    if len(raw) < length:
        raise ValueError("it is cut off")
    return raw.decode("utf-8", "replace")


def _value(file: BinaryIO, kind: int) -> Any:
    if kind in _SCALARS:
        form = "<" + _SCALARS[kind]
        return struct.unpack(form, file.read(struct.calcsize(form)))[0]
    if kind == 8:
        return _text(file)
    if kind == 9:  # an array: vocabularies, of which only the length matters here
        item, length = struct.unpack("<IQ", file.read(12))
        if length > _MOST:
            raise ValueError(f"a list of {length} entries")
        read_one: Callable[[], Any] = lambda: _value(file, item)  # noqa: E731
        return [read_one() for _ in range(length)]
    raise ValueError(f"a value of unknown type {kind}")


def _config(path: Path, pairs: dict[str, Any], tensors: dict[str, tuple[int, int, str]]) -> ModelConfig:
    """The config that the pairs describe; the family is called deepseek2 there."""
    kind = pairs.get("general.architecture")
    if kind != "deepseek2":
        raise GgufError(f"{path}: holds a model of architecture {kind!r}, only deepseek2 (the K2 family) is planned")

    def of(name: str, default: Any = None) -> Any:
        return pairs.get(f"deepseek2.{name}", default)

    rope, latent = of("rope.dimension_count"), of("attention.kv_lora_rank")
    # Newer files describe heads in absorbed form (one key head of latent + rope) and add the true sizes as *_mla.
    key = of("attention.key_length_mla", of("attention.key_length"))
    value = of("attention.value_length_mla", of("attention.value_length"))
    vocab = len(pairs.get("tokenizer.ggml.tokens") or ()) or of("vocab_size")
    raw = {
        "model_type": "deepseek_v3", "hidden_size": of("embedding_length"), "num_hidden_layers": of("block_count"),
        "num_attention_heads": of("attention.head_count"), "q_lora_rank": of("attention.q_lora_rank") or None,
        "kv_lora_rank": latent, "qk_rope_head_dim": rope, "v_head_dim": value,
        "qk_nope_head_dim": key - rope if isinstance(key, int) and isinstance(rope, int) else None,
        "intermediate_size": of("feed_forward_length"), "first_k_dense_replace": of("leading_dense_block_count", 0),
        "n_routed_experts": of("expert_count"), "num_experts_per_tok": of("expert_used_count"),
        "n_shared_experts": of("expert_shared_count", 0), "moe_intermediate_size": of("expert_feed_forward_length"),
        "max_position_embeddings": of("context_length"), "vocab_size": vocab,
        "tie_word_embeddings": bool(tensors) and "output.weight" not in tensors,
    }  # fmt: skip
    try:
        return parse_config(raw)
    except ConfigError as error:
        raise GgufError(f"{path}: {error}") from None


_PART_OF = [
    ("experts", re.compile(r"ffn_(gate|up|down|gate_up)_exps\.")),
    ("shared experts", re.compile(r"ffn_(gate|up|down)_shexp\.")),
    ("router", re.compile(r"ffn_gate_inp\.")),
    ("dense layers", re.compile(r"ffn_(gate|up|down)\.")),
    ("attention", re.compile(r"attn_(?!norm)")),
    ("embedding", re.compile(r"^token_embd\.weight")),
    ("head", re.compile(r"^output\.weight")),
]


def _part(name: str) -> str | None:
    return next((part for part, pattern in _PART_OF if pattern.search(name)), None)


def _mixture(head: Header) -> str:
    """The types that hold most, largest first."""
    sizes: dict[str, int] = {}
    for _, size, kind in head.tensors.values():
        sizes[kind] = sizes.get(kind, 0) + size
    total = sum(sizes.values()) or 1
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:3]
    return ", ".join(f"{kind} {100 * size / total:.0f} %" for kind, size in largest)
