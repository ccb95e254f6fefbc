"""Real tiny checkpoints of every model that is run, in the layout of the public ones, and the judge that reads them.

    write(folder, "k2", "fp8")             config.json, safetensors, index, tokenizer: random weights from a seed
    dequantised(folder)                    its weights as float32, under the plain names of the public checkpoints
    transformers_model(folder)             transformers' own class, loaded with exactly those weights
    arrays(folder)                         the same weights as `moonlet.kernels.reference.forward` takes them

The widths are small but awkward on purpose: some are not multiples of 32, fp8 blocks are ragged, an int4 row may end
inside a word. Gains keep every part alive: attention neither flat nor one-hot, routing spread, logits of about unit
deviation.
"""

from __future__ import annotations

import base64
import copy
import json
import math
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file

DTYPES = ("f32", "bf16", "f16", "fp8", "int4")
GROUP = 32  # weights that share a scale in int4
BLOCK = 128  # side of the square that shares a scale in fp8

_UNQUANTISED = {"f32": torch.float32, "f16": torch.float16}  # of the tensors that are not; bf16 in all other formats
_SPECIALS = (
    "[BOS] [EOS] <|im_end|> <|im_user|> <|im_assistant|> <|im_system|> <|im_middle|> <|tool_calls_section_begin|> "
    "<|tool_calls_section_end|> <|tool_call_begin|> <|tool_call_argument_begin|> <|tool_call_end|> <think> </think> "
    "[UNK] [PAD]"
)
_SIZES = (
    "vocab_size hidden_size num_hidden_layers num_attention_heads q_lora_rank kv_lora_rank qk_nope_head_dim "
    "qk_rope_head_dim v_head_dim intermediate_size first_k_dense_replace n_routed_experts num_experts_per_tok "
    "n_shared_experts moe_intermediate_size"
)


def _yarn(factor: float, beta_fast: float, mscale: float = 1.0) -> dict[str, Any]:
    return {
        "type": "yarn",
        "factor": factor,
        "beta_fast": beta_fast,
        "beta_slow": 1.0,
        "mscale": mscale,
        "mscale_all_dim": mscale,
        "original_max_position_embeddings": 4096,
    }


def _config(model_type: str, sizes: str, **rest: Any) -> dict[str, Any]:
    """`sizes`: numbers in the order of _SIZES, a q rank of 0 for none; `rest`: the other fields that are not common."""
    config: dict[str, Any] = dict(zip(_SIZES.split(), map(int, sizes.split()), strict=True))
    config["q_lora_rank"] = config["q_lora_rank"] or None
    common: dict[str, Any] = {
        "model_type": model_type,
        "num_key_value_heads": config["num_attention_heads"],
        "hidden_act": "silu",
        "attention_bias": False,
        "moe_layer_freq": 1,
        "scoring_func": "sigmoid",
        "topk_method": "noaux_tc",
        "n_group": 1,
        "topk_group": 1,
        "norm_topk_prob": True,
        "rope_theta": 50000.0,
        "rms_norm_eps": 1e-6,
        "num_nextn_predict_layers": 0,
        "tie_word_embeddings": False,
        "bos_token_id": 256,
        "eos_token_id": 258,
        "torch_dtype": "bfloat16",
    }
    positions = int(4096 * rest["rope_scaling"]["factor"]) if "rope_scaling" in rest else 8192
    common["max_position_embeddings"] = positions
    return {"architectures": ["DeepseekV3ForCausalLM"], **common, **config, **rest}


# fmt: off
#                                vocab   D ls H  qr  L  N  R  v  dw dl  E K s  F
_CONFIGS: dict[str, dict[str, Any]] = {
    "k2": _config("kimi_k2",     "512  160  3 4  96 64 32 64 32 288  1 24 6 1 64",
                  routed_scaling_factor=2.827, rope_scaling=_yarn(32.0, 1.0), eos_token_id=257),
    "k2-thinking": _config("kimi_k2", "301 104 3 3 40 48 20 64 24 136 1 20 6 1 36",  # as Instruct-0905: factor 64
                  routed_scaling_factor=2.827, rope_scaling=_yarn(64.0, 1.0), rms_norm_eps=1e-5),
    "k2.5": _config("kimi_k2",   "320   96  2 2  32 32 16 64 16  64  1  8 2 1 32",
                  routed_scaling_factor=2.827, rope_scaling=_yarn(64.0, 32.0), rms_norm_eps=1e-5),
    "moonlight": _config("deepseek_v3", "352 128 3 4 0 64 32 32 32 176 1 8 3 2 44",
                  routed_scaling_factor=2.446, rms_norm_eps=1e-5),
    "deepseek-v2": _config("deepseek_v2", "300 80 3 4 56 40 24 16 20 112 1 24 4 2 40",
                  scoring_func="softmax", topk_method="group_limited_greedy", n_group=8, topk_group=3,
                  norm_topk_prob=False, routed_scaling_factor=16.0, rope_theta=10000.0, rope_scaling=_yarn(40.0, 32.0)),
    "v2-lite": _config("deepseek_v2", "310 64 3 2 0 32 16 32 16 72 1 8 3 2 24",
                  scoring_func="softmax", topk_method="greedy", norm_topk_prob=False, routed_scaling_factor=1.0,
                  rope_theta=10000.0, rope_scaling=_yarn(40.0, 32.0, 0.707)),
    "deepseek-v3": _config("deepseek_v3", "296 96 4 4 48 32 24 32 24 120 3 32 6 1 32",
                  n_group=8, topk_group=4, routed_scaling_factor=2.5, rope_theta=10000.0,
                  rope_scaling=_yarn(40.0, 32.0), num_nextn_predict_layers=1),
    "glm-flash": _config("glm4_moe_lite", "336 72 3 3 28 36 18 12 40 100 1 10 4 1 28",
                  routed_scaling_factor=1.8, rope_theta=1000000.0, rms_norm_eps=1e-5),
}
# fmt: on
VARIANTS = tuple(_CONFIGS)


def config(variant: str = "k2", dtype: str = "bf16", changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The `config.json` of a variant; `changes` replaces fields of the text core."""
    core = copy.deepcopy(_CONFIGS[variant]) | dict(changes or {})
    if dtype == "fp8":
        core["quantization_config"] = {
            "quant_method": "fp8",
            "fmt": "e4m3",
            "weight_block_size": [BLOCK, BLOCK],
            "activation_scheme": "dynamic",
        }
    elif dtype == "int4":
        weights = {"num_bits": 4, "type": "int", "strategy": "group", "group_size": GROUP, "symmetric": True}
        core["quantization_config"] = {
            "quant_method": "compressed-tensors",
            "format": "pack-quantized",
            "quantization_status": "compressed",
            "kv_cache_scheme": None,
            "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights}},
            "ignore": ["lm_head", "re:.*self_attn.*", "re:.*shared_experts.*", "re:.*mlp\\.(gate|up|down)_proj.*"],
        }
    else:
        core["torch_dtype"] = {"f32": "float32", "bf16": "bfloat16", "f16": "float16"}[dtype]
    if variant != "k2.5":
        return core
    outer = {"architectures": ["KimiK25ForConditionalGeneration"], "model_type": "kimi_k25", "text_config": core}
    return outer | {"bos_token_id": core["bos_token_id"], "eos_token_id": core["eos_token_id"], "vision_config": {}}


def write(
    folder: Path | str,
    variant: str = "k2",
    dtype: str = "bf16",
    shards: int = 1,
    seed: int = 0,
    changes: Mapping[str, Any] | None = None,
) -> None:
    """A checkpoint in `folder`: one of VARIANTS in one of DTYPES, in that many files (an index where more than one).

    As in the public checkpoints, "fp8" holds every matrix of the layers in fp8 except the router, "int4" the routed
    experts only; the rest is bf16. Shards are cut anywhere, so a weight and its scale may lie in different files.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    raw = config(variant, dtype, changes)
    core = raw.get("text_config", raw)
    prefix = "language_model." if "text_config" in raw else ""
    random = torch.Generator().manual_seed(seed)
    tensors: dict[str, torch.Tensor] = {}
    for name, shape in _shapes(core):
        for part, tensor in _encode(name, _draw(name, shape, core, random), dtype).items():
            tensors[prefix + part] = tensor.contiguous()
    if core["model_type"] == "kimi_k2":
        # Some public files carry this leftover, of a width that is nobody's.
        tensors[prefix + "model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(56)
    if prefix:
        tensors["vision_tower.patch_embed.proj.weight"] = torch.zeros(16, 3, 14, 14, dtype=torch.bfloat16)
        tensors["mm_projector.proj.0.weight"] = torch.zeros(16, 16, dtype=torch.bfloat16)
    (folder / "config.json").write_text(json.dumps(raw, indent=2))
    _save(folder, tensors, shards)
    _write_tokenizer(folder, core["vocab_size"])


def _shapes(core: Mapping[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes of all weights, those of prediction layers after the last included."""
    width, vocab, layers = core["hidden_size"], core["vocab_size"], core["num_hidden_layers"]
    yield "model.embed_tokens.weight", (vocab, width)
    for i in range(layers):
        yield from _layer_shapes(core, i)
    for i in range(layers, layers + core["num_nextn_predict_layers"]):
        yield from _layer_shapes(core, i)
        yield f"model.layers.{i}.enorm.weight", (width,)
        yield f"model.layers.{i}.hnorm.weight", (width,)
        yield f"model.layers.{i}.eh_proj.weight", (width, 2 * width)
        yield f"model.layers.{i}.embed_tokens.weight", (vocab, width)
        yield f"model.layers.{i}.shared_head.norm.weight", (width,)
        yield f"model.layers.{i}.shared_head.head.weight", (vocab, width)
    yield "model.norm.weight", (width,)
    if not core["tie_word_embeddings"]:
        yield "lm_head.weight", (vocab, width)


def _layer_shapes(core: Mapping[str, Any], index: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    width, heads, latent = core["hidden_size"], core["num_attention_heads"], core["kv_lora_rank"]
    nope, rope, value = core["qk_nope_head_dim"], core["qk_rope_head_dim"], core["v_head_dim"]
    layer, rank = f"model.layers.{index}", core["q_lora_rank"]
    yield f"{layer}.input_layernorm.weight", (width,)
    if rank is None:
        yield f"{layer}.self_attn.q_proj.weight", (heads * (nope + rope), width)
    else:
        yield f"{layer}.self_attn.q_a_proj.weight", (rank, width)
        yield f"{layer}.self_attn.q_a_layernorm.weight", (rank,)
        yield f"{layer}.self_attn.q_b_proj.weight", (heads * (nope + rope), rank)
    yield f"{layer}.self_attn.kv_a_proj_with_mqa.weight", (latent + rope, width)
    yield f"{layer}.self_attn.kv_a_layernorm.weight", (latent,)
    yield f"{layer}.self_attn.kv_b_proj.weight", (heads * (nope + value), latent)
    yield f"{layer}.self_attn.o_proj.weight", (width, heads * value)
    yield f"{layer}.post_attention_layernorm.weight", (width,)
    if index < core["first_k_dense_replace"]:
        yield from _mlp_shapes(f"{layer}.mlp", width, core["intermediate_size"])
        return
    yield f"{layer}.mlp.gate.weight", (core["n_routed_experts"], width)
    if core["scoring_func"] == "sigmoid":
        yield f"{layer}.mlp.gate.e_score_correction_bias", (core["n_routed_experts"],)
    for expert in range(core["n_routed_experts"]):
        yield from _mlp_shapes(f"{layer}.mlp.experts.{expert}", width, core["moe_intermediate_size"])
    if core["n_shared_experts"]:
        shared = core["n_shared_experts"] * core["moe_intermediate_size"]
        yield from _mlp_shapes(f"{layer}.mlp.shared_experts", width, shared)


def _mlp_shapes(prefix: str, width: int, inner: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{prefix}.gate_proj.weight", (inner, width)
    yield f"{prefix}.up_proj.weight", (inner, width)
    yield f"{prefix}.down_proj.weight", (width, inner)


def _draw(name: str, shape: tuple[int, ...], core: Mapping[str, Any], random: torch.Generator) -> torch.Tensor:
    """Random float32 values of a scale that suits the tensor's place."""
    values = torch.randn(shape, generator=random)
    if name.endswith("e_score_correction_bias"):
        return 0.2 * values
    if len(shape) == 1:
        return 1 + 0.1 * values  # norms
    if name.endswith("embed_tokens.weight"):
        return values
    gain = 1.0
    if ".mlp.experts." in name and name.endswith("down_proj.weight"):
        # K experts together weigh half as much as a dense layer. Experts are few here, so that each counts for much: a
        # token that a rounding error sends to another one would else change more than in a model of hundreds.
        gain = min(1.0, math.sqrt(core["num_experts_per_tok"]) / core["routed_scaling_factor"]) / 2
    return values * gain / math.sqrt(shape[1])


def _encode(name: str, values: torch.Tensor, dtype: str) -> dict[str, torch.Tensor]:
    """The stored tensors of one weight."""
    if name.endswith("e_score_correction_bias"):
        return {name: values}
    if dtype == "fp8" and ".layers." in name and name.endswith(("_proj.weight", "_proj_with_mqa.weight")):
        return _to_fp8(name, values)
    if dtype == "int4" and ".mlp.experts." in name:
        return _to_int4(name, values)
    return {name: values.to(_UNQUANTISED.get(dtype, torch.bfloat16))}


def _spread(scales: torch.Tensor, rows: int, cols: int) -> torch.Tensor:
    """Scales of 128x128 blocks, the last ones ragged, repeated over their weights."""
    return scales.repeat_interleave(BLOCK, 0)[:rows].repeat_interleave(BLOCK, 1)[:, :cols]


def _to_fp8(name: str, values: torch.Tensor) -> dict[str, torch.Tensor]:
    rows, cols = values.shape
    high, wide = -(-rows // BLOCK), -(-cols // BLOCK)
    padded = torch.nn.functional.pad(values.abs(), (0, wide * BLOCK - cols, 0, high * BLOCK - rows))
    scales = padded.reshape(high, BLOCK, wide, BLOCK).amax((1, 3)) / 448
    codes = (values / _spread(scales, rows, cols)).to(torch.float8_e4m3fn)
    return {name: codes, f"{name}_scale_inv": scales}


def _to_int4(name: str, values: torch.Tensor) -> dict[str, torch.Tensor]:
    rows, cols = values.shape
    padded = torch.nn.functional.pad(values, (0, -cols % GROUP))
    # The middle of the 16 levels is used to both ends, -8 included.
    scales = (padded.abs().reshape(rows, -1, GROUP).amax(2) / 7.5).to(torch.bfloat16)
    codes = torch.round(padded / scales.float().repeat_interleave(GROUP, 1)).clamp(-8, 7)[:, :cols]
    nibbles = torch.nn.functional.pad(codes.to(torch.int64) + 8, (0, -cols % 8)).reshape(rows, -1, 8)
    words = (nibbles << (4 * torch.arange(8))).sum(2)
    stem = name.removesuffix("weight")
    return {
        f"{stem}weight_packed": words.to(torch.uint32).view(torch.int32),
        f"{stem}weight_scale": scales,
        f"{stem}weight_shape": torch.tensor([rows, cols], dtype=torch.int32),
    }


def _save(folder: Path, tensors: Mapping[str, torch.Tensor], shards: int) -> None:
    if shards == 1:
        save_file(dict(tensors), folder / "model.safetensors", metadata={"format": "pt"})
        return
    names = list(tensors)
    where: dict[str, str] = {}
    for shard in range(shards):
        file = f"model-{shard + 1:05d}-of-{shards:05d}.safetensors"
        part = names[len(names) * shard // shards : len(names) * (shard + 1) // shards]
        save_file({name: tensors[name] for name in part}, folder / file, metadata={"format": "pt"})
        where |= dict.fromkeys(part, file)
    total = sum(tensor.nbytes for tensor in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": where}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2))


def _write_tokenizer(folder: Path, vocab: int) -> None:
    """One piece a byte, then 32 special tokens: ids 256 and up."""
    assert vocab >= 256 + 32, f"vocab {vocab} cannot hold the 256 bytes and 32 special tokens"
    lines = [f"{base64.b64encode(bytes([byte])).decode()} {byte}\n" for byte in range(256)]
    (folder / "tiktoken.model").write_text("".join(lines))
    names = _SPECIALS.split()
    names += [f"<|reserved_token_{256 + i}|>" for i in range(len(names), 32)]
    added = {
        str(256 + i): {"content": name, "special": "tool" not in name and "think" not in name}
        for i, name in enumerate(names)
    }
    settings: dict[str, Any] = {"tokenizer_class": "TikTokenTokenizer", "bos_token": "[BOS]", "eos_token": "[EOS]"}
    settings["added_tokens_decoder"] = added
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2))


def dequantised(folder: Path | str) -> dict[str, torch.Tensor]:
    """Every weight of the text core in float32, by its plain name (`model.layers.0.self_attn.q_a_proj.weight`).

    Vision tensors, leftovers and prediction layers are gone. Written apart from the package's reader, to judge it.
    """
    folder = Path(folder)
    raw = json.loads((folder / "config.json").read_text())
    layers = raw.get("text_config", raw)["num_hidden_layers"]
    stored: dict[str, torch.Tensor] = {}
    for file in sorted(folder.glob("model*.safetensors")):
        with safe_open(file, "pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118
                stored[name.removeprefix("language_model.")] = tensors.get_tensor(name)
    plain: dict[str, torch.Tensor] = {}
    for name, tensor in stored.items():
        parts = name.split(".")
        extra = name.startswith("model.layers.") and int(parts[2]) >= layers
        if extra or parts[0] in ("vision_tower", "mm_projector") or parts[-1] == "inv_freq":
            continue
        if name.endswith("weight_packed"):
            stem = name.removesuffix("_packed")
            plain[stem] = _from_int4(tensor, stored[f"{stem}_scale"], stored[f"{stem}_shape"])
        elif f"{name}_scale_inv" in stored:
            plain[name] = tensor.float() * _spread(stored[f"{name}_scale_inv"], *tensor.shape)
        elif not name.endswith(("_scale", "_shape", "_scale_inv")):
            plain[name] = tensor.float()
    return plain


def _from_int4(words: torch.Tensor, scales: torch.Tensor, shape: torch.Tensor) -> torch.Tensor:
    rows, cols = shape.tolist()
    codes = (words.to(torch.int64)[:, :, None] >> (4 * torch.arange(8)) & 15).reshape(rows, -1)[:, :cols] - 8
    return codes.float() * scales.float().repeat_interleave(GROUP, 1)[:, :cols]


def transformers_model(folder: Path | str, weights: Mapping[str, torch.Tensor] | None = None) -> Any:
    """transformers' class for the checkpoint's architecture, in float32, holding `dequantised(folder)` or `weights`."""
    from transformers import AutoModelForCausalLM

    raw = json.loads((Path(folder) / "config.json").read_text())
    core = {k: v for k, v in raw.get("text_config", raw).items() if k not in ("quantization_config", "architectures")}
    core |= {"num_nextn_predict_layers": 0, "torch_dtype": "float32"}
    if core["model_type"] == "kimi_k2":
        core["model_type"] = "deepseek_v3"  # K2 is this graph under another name
    plain = dict(dequantised(folder) if weights is None else weights)
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "config.json").write_text(json.dumps(core))
        save_file({name: tensor.contiguous() for name, tensor in plain.items()}, Path(place) / "model.safetensors")
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            place, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
        )
    model, info = loaded
    faults = {kind: keys for kind, keys in info.items() if keys}
    assert not faults, f"transformers did not take the checkpoint whole: {faults}"
    for name, module in model.named_modules():
        # transformers builds the two latent norms with 1e-6 whatever the config says; other engines, and we, use the
        # config's. The judge is set to the same, so that the comparison is about everything else.
        if name.endswith(("q_a_layernorm", "kv_a_layernorm")):
            module.variance_epsilon = core["rms_norm_eps"]
    return model.eval()


def greedy(model: Any, ids: torch.Tensor, count: int) -> torch.Tensor:
    """ids (1, T) continued by the `count` tokens that a transformers model finds likeliest: (1, T + count)."""
    # Without the mask, ids that happen to be the padding id would be hidden.
    settings = {"do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    continued: torch.Tensor = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=count, **settings)
    return continued


def arrays(folder: Path | str, weights: Mapping[str, torch.Tensor] | None = None) -> dict[str, NDArray[np.float32]]:
    """`dequantised(folder)`, or `weights` of that form, renamed and cut as a model folder has them."""
    raw = json.loads((Path(folder) / "config.json").read_text())
    core = raw.get("text_config", raw)
    plain = {k: v.numpy() for k, v in (dequantised(folder) if weights is None else weights).items()}
    embed = plain["model.embed_tokens.weight"]
    named = {"embed": embed, "norm": plain["model.norm.weight"], "head": plain.get("lm_head.weight", embed)}
    for i in range(core["num_hidden_layers"]):
        layer = {
            k.removeprefix(f"model.layers.{i}."): v for k, v in plain.items() if k.startswith(f"model.layers.{i}.")
        }
        kv_b = layer.pop("self_attn.kv_b_proj.weight").reshape(core["num_attention_heads"], -1, core["kv_lora_rank"])
        named[f"layers.{i}.k_up"] = kv_b[:, : core["qk_nope_head_dim"]].transpose(0, 2, 1)
        named[f"layers.{i}.v_up"] = kv_b[:, core["qk_nope_head_dim"] :]
        if "mlp.gate.weight" in layer:
            experts = range(core["n_routed_experts"])
            for part in ("gate", "up", "down"):
                stack = [layer.pop(f"mlp.experts.{e}.{part}_proj.weight") for e in experts]
                named[f"layers.{i}.expert_{part}"] = np.stack(stack)
            no_bias = np.zeros(len(experts), np.float32)
            named[f"layers.{i}.router_bias"] = layer.pop("mlp.gate.e_score_correction_bias", no_bias)
        named |= {f"layers.{i}.{_NAMES[name]}": values for name, values in layer.items()}
    return named


_NAMES = {
    "input_layernorm.weight": "attention_norm",
    "post_attention_layernorm.weight": "mlp_norm",
    "self_attn.q_proj.weight": "q",
    "self_attn.q_a_proj.weight": "q_a",
    "self_attn.q_a_layernorm.weight": "q_a_norm",
    "self_attn.q_b_proj.weight": "q_b",
    "self_attn.kv_a_proj_with_mqa.weight": "kv_a",
    "self_attn.kv_a_layernorm.weight": "kv_a_norm",
    "self_attn.o_proj.weight": "o",
    "mlp.gate.weight": "router",
    **{f"mlp.{part}_proj.weight": part for part in ("gate", "up", "down")},
    **{f"mlp.shared_experts.{part}_proj.weight": f"shared_{part}" for part in ("gate", "up", "down")},
}
