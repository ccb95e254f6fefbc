"""A shape's random weights as a Hugging Face folder in bf16, for transformers: `write(folder, config)`.

Names and shapes are those of the public DeepSeek-V3 layout. Weights are cut out of one pool of normal numbers, scaled
to a deviation of columns^-0.5, so that activations stay finite; the same shape and seed give the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

POOL = 1 << 22  # numbers, drawn once
PIECE = 1 << 24  # numbers that are written at a time

Shapes = dict[str, tuple[int, ...]]


def layer_shapes(c: Mapping[str, object], layer: int) -> Shapes:
    """Tensors of a layer by name."""
    n = {key: value for key, value in c.items() if isinstance(value, int)}
    width, heads, latent, rope = n["hidden_size"], n["num_attention_heads"], n["kv_lora_rank"], n["qk_rope_head_dim"]
    query = heads * (n["qk_nope_head_dim"] + rope)
    at: Shapes = {
        "self_attn.kv_a_proj_with_mqa": (latent + rope, width),
        "self_attn.kv_a_layernorm": (latent,),
        "self_attn.kv_b_proj": (heads * (n["qk_nope_head_dim"] + n["v_head_dim"]), latent),
        "self_attn.o_proj": (width, heads * n["v_head_dim"]),
        "input_layernorm": (width,),
        "post_attention_layernorm": (width,),
    }
    if rank := n.get("q_lora_rank"):
        at |= {
            "self_attn.q_a_proj": (rank, width),
            "self_attn.q_a_layernorm": (rank,),
            "self_attn.q_b_proj": (query, rank),
        }
    else:
        at["self_attn.q_proj"] = (query, width)
    if layer < n["first_k_dense_replace"]:
        at |= _swiglu("mlp.", width, n["intermediate_size"])
    else:
        at["mlp.gate"] = (n["n_routed_experts"], width)
        at |= _swiglu("mlp.shared_experts.", width, n["n_shared_experts"] * n["moe_intermediate_size"])
        for expert in range(n["n_routed_experts"]):
            at |= _swiglu(f"mlp.experts.{expert}.", width, n["moe_intermediate_size"])
    named = {f"model.layers.{layer}.{name}.weight": shape for name, shape in at.items()}
    if "mlp.gate" in at:
        named[f"model.layers.{layer}.mlp.gate.e_score_correction_bias"] = (n["n_routed_experts"],)
    return named


def _swiglu(prefix: str, width: int, inner: int) -> Shapes:
    return {
        prefix + "gate_proj": (inner, width),
        prefix + "up_proj": (inner, width),
        prefix + "down_proj": (width, inner),
    }


def files(c: Mapping[str, object]) -> dict[str, Shapes]:
    """What lies in which file: one for each layer, one for the rest."""
    width, vocab, layers = (int(str(c[key])) for key in ("hidden_size", "vocab_size", "num_hidden_layers"))
    rest = {
        "model.embed_tokens.weight": (vocab, width),
        "model.norm.weight": (width,),
        "lm_head.weight": (vocab, width),
    }
    each = {f"model-{layer:03}.safetensors": layer_shapes(c, layer) for layer in range(layers)}
    return each | {"model-rest.safetensors": rest}


def write(folder: Path, config: Mapping[str, object], seed: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    # K2's graph is DeepSeek-V3's; transformers knows it by that name.
    raw = dict(config) | {
        "model_type": "deepseek_v3", "architectures": ["DeepseekV3ForCausalLM"], "dtype": "bfloat16",
        "num_key_value_heads": config["num_attention_heads"],
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(raw, indent=1))
    layout = files(config)
    index = {"metadata": {}, "weight_map": {name: file for file, shapes in layout.items() for name in shapes}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    random = np.random.default_rng(seed)
    pool = random.standard_normal(POOL, np.float32)
    for file, shapes in layout.items():
        with (folder / file).open("wb") as out:
            out.write(_header(shapes))
            for name, shape in shapes.items():
                for piece in _numbers(name, shape, pool, random):
                    out.write((piece.view(np.uint32) >> 16).astype(np.uint16).tobytes())


def _header(shapes: Shapes) -> bytes:
    """safetensors: the length of a JSON object, the object, then the tensors one after the other."""
    entries, at = {}, 0
    for name, shape in shapes.items():
        end = at + 2 * int(np.prod(shape))
        entries[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, end]}
        at = end
    text = json.dumps({"__metadata__": {"format": "pt"}, **entries}).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _numbers(name: str, shape: tuple[int, ...], pool: np.ndarray, random: np.random.Generator) -> Iterator[np.ndarray]:
    if len(shape) == 1:  # a norm, or the bias of a router
        yield np.full(shape, 0.0 if name.endswith("bias") else 1.0, np.float32)
        return
    scaled = pool * np.float32(1.0 if "embed_tokens" in name else shape[1] ** -0.5)
    left = int(np.prod(shape))
    while left:
        start = int(random.integers(len(scaled)))
        piece = np.roll(scaled, -start)[: min(left, PIECE)]
        left -= len(piece)
        yield piece
