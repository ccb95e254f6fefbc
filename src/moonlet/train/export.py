"""A trained network as a checkpoint in the public layout, which transformers, other engines and our converter read."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from moonlet.model.config import ModelConfig
from moonlet.train.network import Network
from moonlet.train.public_tokenizer import public_files

TOKENIZER_FILES = ("tiktoken.model", "tokenizer_config.json")


def export(network: Network, tokenizer: Path, target: Path, dtype: Literal["bf16", "f32"] = "bf16") -> None:
    """Writes a checkpoint into the folder `target`: configuration, weights, and the files of the `tokenizer` folder,
    the small vocabulary also as other engines read it.

    The router's bias stays float32 in either form: it moves in steps too small for bfloat16. Every file is written
    beside its place and renamed, the configuration last. Raises OSError, TokenizerError.
    """
    target.mkdir(parents=True, exist_ok=True)
    _place(target / "tiktoken.model", lambda part: shutil.copyfile(tokenizer / "tiktoken.model", part))
    for name, text in public_files(tokenizer, network.config.max_positions).items():
        _place_text(target / name, text)
    number = {"bf16": torch.bfloat16, "f32": torch.float32}[dtype]
    tensors = {name: _stored(name, weight, number) for name, weight in public_tensors(network)}
    _place(target / "model.safetensors", lambda part: _save(tensors, part))
    config = public_config(network.config) | {"torch_dtype": str(number).removeprefix("torch.")}
    _place_json(target / "generation_config.json", generation_config(network.config))
    _place_json(target / "config.json", config)


def _place(path: Path, write: Callable[[Path], object]) -> None:
    part = path.with_name(path.name + ".part")
    try:
        write(part)
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _save(tensors: Mapping[str, Tensor], part: Path) -> None:
    try:
        save_file(dict(tensors), part, metadata={"format": "pt"})
    except SafetensorError as error:  # of the disk, mostly
        raise OSError(f"{part}: {error}") from None
    shutil.copymode(part.with_name("tiktoken.model"), part)  # it is made for its owner's eyes alone


def _place_json(path: Path, value: Mapping[str, Any]) -> None:
    _place_text(path, json.dumps(value, indent=2) + "\n")


def _place_text(path: Path, text: str) -> None:
    _place(path, lambda part: part.write_text(text, encoding="utf-8"))


def _stored(name: str, weight: Tensor, number: torch.dtype) -> Tensor:
    # Copies: a file may hold no two tensors that share memory, and the halves of a stack do.
    return weight.detach().to(torch.float32 if name.endswith("e_score_correction_bias") else number, copy=True)


def public_tensors(network: Network) -> Iterator[tuple[str, Tensor]]:
    """The weights under the names of the public checkpoints: experts apart. A head that is the embedding is written
    too: vLLM has no tied heads for this architecture and takes one that is not there as zeros."""
    for name, weight in network.state_dict().items():
        layer, dot, part = name.rpartition("experts.")
        if dot and part == "gate_up":
            for e, both in enumerate(weight):
                gate, up = both
                yield f"{layer}experts.{e}.gate_proj.weight", gate
                yield f"{layer}experts.{e}.up_proj.weight", up
        elif dot and part == "down":
            for e, down in enumerate(weight):
                yield f"{layer}experts.{e}.down_proj.weight", down
        else:
            yield name, weight


def public_config(config: ModelConfig) -> dict[str, Any]:
    """The `config.json` of a network that `Network` trains; `parse_config` of it gives the same configuration."""
    raw: dict[str, Any] = {
        "architectures": ["DeepseekV3ForCausalLM"],
        "model_type": config.model_type,
        "vocab_size": config.vocab,
        "hidden_size": config.width,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.heads,
        "q_lora_rank": config.q_rank,
        "kv_lora_rank": config.latent,
        "qk_nope_head_dim": config.nope,
        "qk_rope_head_dim": config.rope,
        "v_head_dim": config.value,
        "intermediate_size": config.dense_width,
        "first_k_dense_replace": config.dense_layers,
        "moe_layer_freq": 1,
        "n_routed_experts": config.experts,
        "num_experts_per_tok": config.experts_per_token,
        "n_shared_experts": config.shared_experts,
        "moe_intermediate_size": config.expert_width,
        "scoring_func": "sigmoid",
        "topk_method": "noaux_tc",
        "n_group": config.groups,
        "topk_group": config.groups_kept,
        "norm_topk_prob": config.normalise,
        "routed_scaling_factor": config.routed_scale,
        "hidden_act": "silu",
        "attention_bias": False,
        "rope_theta": config.rope_theta,
        "max_position_embeddings": config.max_positions,
        "rms_norm_eps": config.eps,
        "tie_word_embeddings": config.tied,
        "num_nextn_predict_layers": 0,
    }
    raw |= _ends(config)
    if config.yarn is not None:
        raw["rope_scaling"] = {
            "type": "yarn",
            "factor": config.yarn.factor,
            "beta_fast": config.yarn.beta_fast,
            "beta_slow": config.yarn.beta_slow,
            "mscale": config.yarn.mscale,
            "mscale_all_dim": config.yarn.mscale_all_dim,
            "original_max_position_embeddings": config.yarn.original_positions,
        }
    return raw


def generation_config(config: ModelConfig) -> dict[str, Any]:
    """The `generation_config.json`: where replies end, and that the likeliest token is taken each time: to transformers
    the former words say so, to vLLM and SGLang the temperature."""
    greedy = {"do_sample": False, "temperature": 0.0}
    return {**_ends(config), **greedy, "max_length": config.max_positions}


def _ends(config: ModelConfig) -> dict[str, Any]:
    ids: dict[str, Any] = {}
    if config.bos is not None:
        ids["bos_token_id"] = config.bos
    if config.stops:
        ids["eos_token_id"] = config.stops[0] if len(config.stops) == 1 else list(config.stops)
    return ids
