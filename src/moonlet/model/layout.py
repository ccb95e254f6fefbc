"""What lies where in a model folder, for every model and number format: the folder's format 1 in one place.

`dense.safetensors` holds all that every token reads; `experts-LLL.safetensors` holds the experts of sparse layer LLL as
one tensor of E rows, each a whole expert (gate, up, down, one after the other), padded to a multiple of 4096 bytes so
that an expert is one direct read. Packed matrices are as `moonlet.kernels` packs them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from moonlet import kernels
from moonlet.kernels import Format

from .config import ModelConfig
from .tensorfile import Tensor, build_header

FORMAT = 1  # of the folder
ALIGN = 4096  # bytes; where the data of a file and every expert begin
DENSE_FILE = "dense.safetensors"
META_FILE = "moonlet.json"
COPIED = ("config.json", "tiktoken.model", "tokenizer_config.json", "LICENSE")  # those that the source has


@dataclass(frozen=True, slots=True)
class Formats:
    """Number formats of a folder's packed matrices."""

    dense: Format
    experts: Format


@dataclass(frozen=True, slots=True)
class Slot:
    """A tensor of dense.safetensors, and the weight of the public layout that fills it.

    kind       shape            stored as
    packed     (rows, cols)     U8 [bytes]
    keys       (H, L, N)        U8 [H, bytes]: a head's key rows of kv_b, transposed, packed
    values     (H, value, L)    U8 [H, bytes]: a head's value rows of kv_b, packed
    table      (rows, cols)     by rows, F32 where the packed ones are f32, else BF16
    f32        any              F32
    """

    name: str
    kind: Literal["packed", "keys", "values", "table", "f32"]
    shape: tuple[int, ...]
    source: str

    def stored(self, format: Format) -> tuple[str, tuple[int, ...]]:
        """Number format and shape in the file."""
        if self.kind == "table":
            return "F32" if format == "f32" else "BF16", self.shape
        if self.kind == "f32":
            return "F32", self.shape
        bytes_ = kernels.packed_bytes(format, *self.shape[-2:])
        return "U8", (bytes_,) if self.kind == "packed" else (self.shape[0], bytes_)


def slots(config: ModelConfig) -> list[Slot]:
    """All tensors of dense.safetensors in the order of the file: packed ones, the embedding, then float32."""
    V, D = config.vocab, config.width
    head = "model.embed_tokens.weight" if config.tied else "lm_head.weight"
    packed = [Slot("head", "packed", (V, D), head)]
    plain = [Slot("norm", "f32", (D,), "model.norm.weight")]
    for layer in range(config.layers):
        for slot in _layer_slots(config, layer):
            (plain if slot.kind == "f32" else packed).append(slot)
    return [*packed, Slot("embed", "table", (V, D), "model.embed_tokens.weight"), *plain]


def _layer_slots(config: ModelConfig, layer: int) -> Iterator[Slot]:
    def packed(name: str, source: str, rows: int, cols: int) -> Slot:
        return Slot(f"layers.{layer}.{name}", "packed", (rows, cols), f"model.layers.{layer}.{source}.weight")

    def f32(name: str, source: str, *shape: int) -> Slot:
        return Slot(f"layers.{layer}.{name}", "f32", shape, f"model.layers.{layer}.{source}")

    D, H, L = config.width, config.heads, config.latent
    yield f32("attention_norm", "input_layernorm.weight", D)
    if config.q_rank is None:
        yield packed("q", "self_attn.q_proj", H * config.head, D)
    else:
        yield packed("q_a", "self_attn.q_a_proj", config.q_rank, D)
        yield f32("q_a_norm", "self_attn.q_a_layernorm.weight", config.q_rank)
        yield packed("q_b", "self_attn.q_b_proj", H * config.head, config.q_rank)
    yield packed("kv_a", "self_attn.kv_a_proj_with_mqa", L + config.rope, D)
    yield f32("kv_a_norm", "self_attn.kv_a_layernorm.weight", L)
    kv_b = f"model.layers.{layer}.self_attn.kv_b_proj.weight"
    yield Slot(f"layers.{layer}.k_up", "keys", (H, L, config.nope), kv_b)
    yield Slot(f"layers.{layer}.v_up", "values", (H, config.value, L), kv_b)
    yield packed("o", "self_attn.o_proj", D, H * config.value)
    yield f32("mlp_norm", "post_attention_layernorm.weight", D)
    if layer < config.dense_layers:
        yield packed("gate", "mlp.gate_proj", config.dense_width, D)
        yield packed("up", "mlp.up_proj", config.dense_width, D)
        yield packed("down", "mlp.down_proj", D, config.dense_width)
        return
    yield f32("router", "mlp.gate.weight", config.experts, D)
    yield f32("router_bias", "mlp.gate.e_score_correction_bias", config.experts)
    if config.shared_experts:
        yield packed("shared_gate", "mlp.shared_experts.gate_proj", config.shared_width, D)
        yield packed("shared_up", "mlp.shared_experts.up_proj", config.shared_width, D)
        yield packed("shared_down", "mlp.shared_experts.down_proj", D, config.shared_width)


def experts_file(layer: int) -> str:
    """Name of the file with a sparse layer's experts."""
    return f"experts-{layer:03d}.safetensors"


def expert_matrices(config: ModelConfig) -> dict[str, tuple[int, int]]:
    """(rows, cols) of an expert's matrices, in the order in which they are stored."""
    D, F = config.width, config.expert_width
    return {"gate": (F, D), "up": (F, D), "down": (D, F)}


def expert_row_bytes(config: ModelConfig, format: Format) -> int:
    """Bytes of an expert in its file, padding included."""
    used = sum(kernels.packed_bytes(format, rows, cols) for rows, cols in expert_matrices(config).values())
    return -(-used // ALIGN) * ALIGN


@dataclass(frozen=True, slots=True)
class FileLayout:
    """A tensor file before it is written: its first bytes, where its tensors lie, and its whole size."""

    head: bytes
    tensors: dict[str, Tensor]
    size: int


def file_layouts(config: ModelConfig, formats: Formats) -> dict[str, FileLayout]:
    """The tensor files of a folder by name."""
    shapes = {DENSE_FILE: {slot.name: slot.stored(formats.dense) for slot in slots(config)}}
    rows = ("U8", (config.experts, expert_row_bytes(config, formats.experts)))
    for layer in range(config.dense_layers, config.layers):
        shapes[experts_file(layer)] = {"experts": rows}
    layouts: dict[str, FileLayout] = {}
    for name, tensors in shapes.items():
        head, places = build_header(tensors, ALIGN)
        layouts[name] = FileLayout(head, places, max(place.end for place in places.values()))
    return layouts
