"""A shape's random weights as a GGUF file in Q4_0, for llama.cpp and what descends from it.

    python -m bench.peers.gguf_shape CONFIG.json OUT.gguf        in the environment that has the package `gguf`

Architecture `deepseek2`, latent attention in the absorbed form: one key head of latent + rope numbers in the cache, and
kv_b apart as attn_k_b (heads, latent, nope) and attn_v_b (heads, value, latent). Every matrix is Q4_0, embedding and
head too (as `llama-quantize --pure`), which reads least: 18 bytes for 32 weights, exactly as many as moonlet's int4.
Norms, router and its bias are f32. There is no vocabulary but its size. Names and keys after gguf-py/gguf/constants.py
and conversion/deepseek.py in ggml-org/llama.cpp. The same shape and seed give the same bytes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

BLOCK, BLOCK_BYTES = 32, 18  # Q4_0: an f16 scale, then 32 codes of 4 bits; a weight is (code - 8) * scale
POOL = 1 << 20  # blocks, drawn once
SPREAD = 4.2  # deviation of the codes 1 to 15

Shapes = dict[str, tuple[int, ...]]


def layer_shapes(c: dict[str, Any], layer: int) -> Shapes:
    """Tensors of a layer, outermost dimension first; f32 are those of one dimension and the router."""
    width, heads, latent = c["hidden_size"], c["num_attention_heads"], c["kv_lora_rank"]
    nope, rope, value = c["qk_nope_head_dim"], c["qk_rope_head_dim"], c["v_head_dim"]
    at: Shapes = {
        "attn_norm": (width,),
        "attn_kv_a_mqa": (latent + rope, width),
        "attn_kv_a_norm": (latent,),
        "attn_k_b": (heads, latent, nope),
        "attn_v_b": (heads, value, latent),
        "attn_output": (width, heads * value),
        "ffn_norm": (width,),
    }
    if rank := c["q_lora_rank"]:
        at |= {"attn_q_a": (rank, width), "attn_q_a_norm": (rank,), "attn_q_b": (heads * (nope + rope), rank)}
    else:
        at["attn_q"] = (heads * (nope + rope), width)
    if layer < c["first_k_dense_replace"]:
        at |= _swiglu("", (), width, c["intermediate_size"])
    else:
        at["ffn_gate_inp"] = (c["n_routed_experts"], width)
        at |= _swiglu("_exps", (c["n_routed_experts"],), width, c["moe_intermediate_size"])
        at |= _swiglu("_shexp", (), width, c["n_shared_experts"] * c["moe_intermediate_size"])
    named = {f"blk.{layer}.{name}.weight": shape for name, shape in at.items()}
    if "ffn_gate_inp" in at:
        named[f"blk.{layer}.exp_probs_b.bias"] = (c["n_routed_experts"],)
    return named


def _swiglu(suffix: str, outer: tuple[int, ...], width: int, inner: int) -> Shapes:
    return {
        f"ffn_gate{suffix}": (*outer, inner, width),
        f"ffn_up{suffix}": (*outer, inner, width),
        f"ffn_down{suffix}": (*outer, width, inner),
    }


def all_shapes(c: dict[str, Any]) -> Shapes:
    table = (c["vocab_size"], c["hidden_size"])
    at: Shapes = {"token_embd.weight": table, "output_norm.weight": (c["hidden_size"],), "output.weight": table}
    for layer in range(c["num_hidden_layers"]):
        at |= layer_shapes(c, layer)
    return at


def in_f32(name: str, shape: tuple[int, ...]) -> bool:
    return len(shape) == 1 or "ffn_gate_inp" in name


def tensor_bytes(name: str, shape: tuple[int, ...]) -> int:
    count = int(np.prod(shape))
    return 4 * count if in_f32(name, shape) else count // BLOCK * BLOCK_BYTES


def pieces(name: str, shape: tuple[int, ...], pool: np.ndarray, random: np.random.Generator) -> Iterator[bytes]:
    """A tensor's bytes, in pieces of a pool's size at most."""
    if in_f32(name, shape):
        flat = np.zeros(shape) if name.endswith(".bias") else np.ones(shape)
        if len(shape) == 2:
            flat = random.standard_normal(shape) * shape[1] ** -0.5
        yield flat.astype(np.float32).tobytes()
        return
    deviation = 1.0 if name.startswith("token_embd") else shape[-1] ** -0.5
    pool[:, :2] = np.frombuffer(np.float16(deviation / SPREAD).tobytes(), np.uint8)
    left = int(np.prod(shape)) // BLOCK
    while left:
        start = int(random.integers(len(pool)))
        piece = pool[start : start + left]
        left -= len(piece)
        yield piece.tobytes()


def random_pool(random: np.random.Generator) -> np.ndarray:
    """Blocks of random codes. None is 0: it has no counterpart above, and would give the weights a mean."""
    pool = random.integers(0, 256, (POOL, BLOCK_BYTES), np.uint8)
    pool[pool & 0x0F == 0] |= 0x08
    pool[pool & 0xF0 == 0] |= 0x80
    return pool


def write(path: Path, c: dict[str, Any], seed: int = 0) -> None:
    import gguf

    writer = gguf.GGUFWriter(path, "deepseek2")
    _describe(writer, c, gguf)
    shapes = all_shapes(c)
    for name, shape in shapes.items():
        kind = gguf.GGMLQuantizationType.F32 if in_f32(name, shape) else gguf.GGMLQuantizationType.Q4_0
        writer.add_tensor_info(name, shape, np.dtype(np.float32), tensor_bytes(name, shape), kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    random = np.random.default_rng(seed)
    pool = random_pool(random)
    (out,) = writer.fout
    writer.write_padding(out, out.tell())
    for name, shape in shapes.items():
        for piece in pieces(name, shape, pool, random):
            out.write(piece)
        writer.write_padding(out, tensor_bytes(name, shape))
    writer.close()


def _describe(writer: Any, c: dict[str, Any], gguf: Any) -> None:
    writer.add_name("random weights")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_0)
    writer.add_tokenizer_model("no_vocab")
    writer.add_vocab_size(c["vocab_size"])
    writer.add_context_length(c["max_position_embeddings"])
    writer.add_embedding_length(c["hidden_size"])
    writer.add_block_count(c["num_hidden_layers"])
    writer.add_feed_forward_length(c["intermediate_size"])
    writer.add_head_count(c["num_attention_heads"])
    writer.add_head_count_kv(1)  # all heads share the latent
    writer.add_layer_norm_rms_eps(c["rms_norm_eps"])
    writer.add_q_lora_rank(c["q_lora_rank"] or 0)  # without it, llama.cpp takes 26 or 27 layers only
    writer.add_kv_lora_rank(c["kv_lora_rank"])
    writer.add_key_length(c["kv_lora_rank"] + c["qk_rope_head_dim"])
    writer.add_value_length(c["kv_lora_rank"])
    writer.add_key_length_mla(c["qk_nope_head_dim"] + c["qk_rope_head_dim"])
    writer.add_value_length_mla(c["v_head_dim"])
    writer.add_leading_dense_block_count(c["first_k_dense_replace"])
    writer.add_expert_count(c["n_routed_experts"])
    writer.add_expert_used_count(c["num_experts_per_tok"])
    writer.add_expert_shared_count(c["n_shared_experts"])
    writer.add_expert_feed_forward_length(c["moe_intermediate_size"])
    writer.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID)
    writer.add_expert_weights_norm(c["norm_topk_prob"])
    writer.add_expert_weights_scale(c["routed_scaling_factor"])
    writer.add_rope_dimension_count(c["qk_rope_head_dim"])
    writer.add_rope_freq_base(c["rope_theta"])
    if yarn := c.get("rope_scaling"):
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(yarn["factor"])
        writer.add_rope_scaling_orig_ctx_len(yarn["original_max_position_embeddings"])
        writer.add_rope_scaling_yarn_log_mul(0.1 * yarn["mscale_all_dim"])


if __name__ == "__main__":
    write(Path(sys.argv[2]), json.loads(Path(sys.argv[1]).read_text()))
