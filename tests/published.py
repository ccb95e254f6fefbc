"""What the `config.json` of published models says, without the fields that have no bearing on the arithmetic."""

from __future__ import annotations

from typing import Any

_FP8 = {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128], "activation_scheme": "dynamic"}
_INT4 = {
    "quant_method": "compressed-tensors",
    "format": "pack-quantized",
    "quantization_status": "compressed",
    "config_groups": {
        "group_0": {
            "targets": ["Linear"],
            "weights": {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 32, "symmetric": True},
        }
    },
    "ignore": ["lm_head", "re:.*self_attn.*", "re:.*shared_experts.*", "re:.*mlp\\.(gate|up|gate_up|down)_proj.*"],
}


def _yarn(factor: float, beta_fast: float, mscale: float = 1.0) -> dict[str, Any]:
    shape = {"type": "yarn", "original_max_position_embeddings": 4096, "beta_slow": 1.0}
    return shape | {"factor": factor, "beta_fast": beta_fast, "mscale": mscale, "mscale_all_dim": mscale}


K2: dict[str, Any] = {
    "model_type": "kimi_k2",
    "vocab_size": 163840,
    "hidden_size": 7168,
    "num_hidden_layers": 61,
    "num_attention_heads": 64,
    "num_key_value_heads": 64,
    "q_lora_rank": 1536,
    "kv_lora_rank": 512,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "intermediate_size": 18432,
    "first_k_dense_replace": 1,
    "moe_layer_freq": 1,
    "n_routed_experts": 384,
    "num_experts_per_tok": 8,
    "n_shared_experts": 1,
    "moe_intermediate_size": 2048,
    "scoring_func": "sigmoid",
    "topk_method": "noaux_tc",
    "n_group": 1,
    "topk_group": 1,
    "norm_topk_prob": True,
    "routed_scaling_factor": 2.827,
    "rope_theta": 50000.0,
    "rope_scaling": _yarn(32.0, 1.0),
    "max_position_embeddings": 131072,
    "rms_norm_eps": 1e-6,
    "hidden_act": "silu",
    "attention_bias": False,
    "tie_word_embeddings": False,
    "num_nextn_predict_layers": 0,
    "bos_token_id": 163584,
    "eos_token_id": 163585,
    "torch_dtype": "bfloat16",
    "quantization_config": _FP8,
}
_K2_LONG = K2 | {"rope_scaling": _yarn(64.0, 1.0), "max_position_embeddings": 262144}
_K2_INT4 = _K2_LONG | {"rms_norm_eps": 1e-5, "eos_token_id": 163586, "quantization_config": _INT4}
_K25_CORE = _K2_INT4 | {"rope_scaling": _yarn(64.0, 32.0)}
_BF16 = {"quantization_config": None}

_MOONLIGHT = (
    K2
    | _BF16
    | {
        "model_type": "deepseek_v3",
        "hidden_size": 2048,
        "num_hidden_layers": 27,
        "num_attention_heads": 16,
        "num_key_value_heads": 16,
        "q_lora_rank": None,
        "intermediate_size": 11264,
        "n_routed_experts": 64,
        "num_experts_per_tok": 6,
        "n_shared_experts": 2,
        "moe_intermediate_size": 1408,
        "routed_scaling_factor": 2.446,
        "rope_scaling": None,
        "max_position_embeddings": 8192,
        "rms_norm_eps": 1e-5,
        "eos_token_id": 163586,
    }
)
_V3 = K2 | {
    "model_type": "deepseek_v3",
    "vocab_size": 129280,
    "num_attention_heads": 128,
    "num_key_value_heads": 128,
    "first_k_dense_replace": 3,
    "n_routed_experts": 256,
    "n_group": 8,
    "topk_group": 4,
    "routed_scaling_factor": 2.5,
    "rope_theta": 10000,
    "rope_scaling": _yarn(40, 32),
    "max_position_embeddings": 163840,
    "num_nextn_predict_layers": 1,
    "bos_token_id": 0,
    "eos_token_id": 1,
}
_V2_COMMON = {
    "model_type": "deepseek_v2",
    "vocab_size": 102400,
    "n_shared_experts": 2,
    "num_experts_per_tok": 6,
    "scoring_func": "softmax",
    "norm_topk_prob": False,
    "first_k_dense_replace": 1,
    "bos_token_id": 100000,
    "eos_token_id": 100001,
}
_V2 = (
    _V3
    | _BF16
    | _V2_COMMON
    | {
        "hidden_size": 5120,
        "num_hidden_layers": 60,
        "intermediate_size": 12288,
        "n_routed_experts": 160,
        "moe_intermediate_size": 1536,
        "topk_method": "group_limited_greedy",
        "topk_group": 3,
        "routed_scaling_factor": 16.0,
    }
)
_V2_LITE = (
    _MOONLIGHT
    | _V2_COMMON
    | {
        "intermediate_size": 10944,
        "topk_method": "greedy",
        "routed_scaling_factor": 1.0,
        "rope_theta": 10000,
        "rope_scaling": _yarn(40, 32, 0.707),
        "max_position_embeddings": 163840,
        "rms_norm_eps": 1e-6,
    }
)
_GLM_FLASH = _MOONLIGHT | {
    "model_type": "glm4_moe_lite",
    "vocab_size": 154880,
    "num_hidden_layers": 47,
    "num_attention_heads": 20,
    "num_key_value_heads": 20,
    "q_lora_rank": 768,
    "qk_nope_head_dim": 192,
    "v_head_dim": 256,
    "intermediate_size": 10240,
    "num_experts_per_tok": 4,
    "n_shared_experts": 1,
    "moe_intermediate_size": 1536,
    "routed_scaling_factor": 1.8,
    "rope_theta": 1000000,
    "max_position_embeddings": 202752,
}

CONFIGS: dict[str, dict[str, Any]] = {
    "Moonlight-16B-A3B": _MOONLIGHT,
    "Kimi-K2-Instruct": K2,
    "Kimi-K2-Instruct-0905": _K2_LONG,
    "Kimi-K2-Thinking": _K2_INT4,
    "Kimi-K2.5": {"model_type": "kimi_k25", "text_config": _K25_CORE | {"eos_token_id": 163585}},
    "Kimi-K2.6": {"model_type": "kimi_k25", "text_config": _K25_CORE},
    "Kimi-VL-A3B": {"model_type": "kimi_vl", "text_config": _MOONLIGHT | {"rope_theta": 800000.0}},
    "DeepSeek-V3": _V3,
    "DeepSeek-V2": _V2,
    "DeepSeek-V2-Lite": _V2_LITE,
    "GLM-4.7-Flash": _GLM_FLASH,
}
