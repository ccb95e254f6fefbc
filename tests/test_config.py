"""Every supported model's configuration is understood, the numbers derived from it are right, and no other gets in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import tiny
from moonlet.model.config import ConfigError, ModelConfig, parse_config, read_config
from published import CONFIGS, K2


@pytest.mark.parametrize("name", CONFIGS)
def test_every_published_model_is_read(name: str) -> None:
    config, raw = parse_config(CONFIGS[name]), CONFIGS[name].get("text_config", CONFIGS[name])
    assert (config.width, config.layers, config.heads) == (
        raw["hidden_size"],
        raw["num_hidden_layers"],
        raw["num_attention_heads"],
    )
    assert config.sparse_layers + raw["first_k_dense_replace"] == config.layers
    assert config.stops == (raw["eos_token_id"],)


def test_the_differences_between_models_are_kept() -> None:
    k2, thinking, k25 = (parse_config(CONFIGS[f"Kimi-K2{n}"]) for n in ("-Instruct", "-Thinking", ".5"))
    assert k2.yarn and thinking.yarn and k25.yarn
    assert (k2.yarn.factor, k2.yarn.beta_fast, k2.eps, k2.max_positions) == (32, 1, 1e-6, 131072)
    assert (thinking.yarn.factor, thinking.yarn.beta_fast, thinking.eps) == (64, 1, 1e-5)
    assert (k25.yarn.factor, k25.yarn.beta_fast, k25.model_type) == (64, 32, "kimi_k2")
    assert (k2.router, k2.groups, k2.normalise, k2.q_rank, k2.head) == ("sigmoid", 1, True, 1536, 192)
    moonlight = parse_config(CONFIGS["Moonlight-16B-A3B"])
    assert (moonlight.q_rank, moonlight.yarn, moonlight.shared_width) == (None, None, 2816)
    v3, v2, lite = (parse_config(CONFIGS[f"DeepSeek-V{n}"]) for n in ("3", "2", "2-Lite"))
    assert (v3.groups, v3.groups_kept, v3.dense_layers) == (8, 4, 3)
    assert (v2.router, v2.groups, v2.groups_kept, v2.normalise, v2.routed_scale) == ("softmax", 8, 3, False, 16)
    assert (lite.router, lite.groups, lite.normalise, lite.q_rank) == ("softmax", 1, False, None)
    glm = parse_config(CONFIGS["GLM-4.7-Flash"])
    assert (glm.nope, glm.value, glm.head, glm.rope_theta) == (192, 256, 256, 1e6)


@pytest.mark.parametrize(
    ("name", "scale"),
    [
        ("Moonlight-16B-A3B", 0.07216878364870322),
        ("Kimi-K2-Instruct", 0.13086079996295005),
        ("Kimi-K2-Instruct-0905", 0.14467962580268923),
        ("Kimi-K2.6", 0.14467962580268923),
        ("DeepSeek-V3", 0.1352337788608801),
        ("DeepSeek-V2-Lite", 0.1147213867929261),
    ],
)
def test_the_scale_of_scores(name: str, scale: float) -> None:
    config = parse_config(CONFIGS[name])
    assert config.score_scale == pytest.approx(scale, rel=1e-12)
    assert config.rotation_scale == 1.0


PAIRS = (0, 1, 8, 9, 12, 15, 18, 19, 20, 21, 24, 31)
STEEP = [1, 7.13111085e-1, 6.68740305e-2, 4.76886124e-2, 1.72936334e-2, 6.27130338e-3, 2.27420376e-3, 1.62175991e-3]
RAMP = [1, 7.13111085e-1, 6.68740305e-2, 4.37766560e-2, 1.16191599e-2, 2.67020339e-3, 4.08645987e-4, 1.58374991e-4]
FAR_32 = [3.61404677e-5, 2.57721682e-5, 9.34592988e-6, 8.76441291e-7]
FAR_64 = [1.80702339e-5, 1.28860841e-5, 4.67296494e-6, 4.38220646e-7]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Kimi-K2-Instruct", STEEP + FAR_32),
        ("Kimi-K2-Instruct-0905", STEEP + FAR_64),
        ("Kimi-K2-Thinking", STEEP + FAR_64),
        ("Kimi-K2.5", RAMP + FAR_64),
        ("Kimi-K2.6", RAMP + FAR_64),
    ],
)
def test_the_frequencies_of_the_rotation(name: str, expected: list[float]) -> None:
    frequencies = parse_config(CONFIGS[name]).inverse_frequencies()
    assert len(frequencies) == 32
    assert [frequencies[i] for i in PAIRS] == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("variant", tiny.VARIANTS)
def test_what_transformers_writes_is_read_as_what_was_published(tmp_path: Path, variant: str) -> None:
    from transformers import AutoConfig

    raw = tiny.config(variant)
    core = {k: v for k, v in raw.get("text_config", raw).items() if k != "architectures"}
    if core["model_type"] == "kimi_k2":
        core["model_type"] = "deepseek_v3"
    (tmp_path / "config.json").write_text(json.dumps(core))
    AutoConfig.from_pretrained(tmp_path).save_pretrained(tmp_path / "saved")
    saved = json.loads((tmp_path / "saved" / "config.json").read_text())
    assert "rope_theta" not in saved and "rope_theta" in saved["rope_parameters"]  # else this test shows nothing
    assert read_config(tmp_path / "saved") == parse_config(core)


def test_transformers_layer_types_give_the_dense_layers() -> None:
    raw = {k: v for k, v in CONFIGS["GLM-4.7-Flash"].items() if k != "first_k_dense_replace"}
    assert parse_config(raw).dense_layers == 1
    assert parse_config(raw | {"mlp_layer_types": ["dense"] * 2 + ["sparse"] * 45}).dense_layers == 2
    with pytest.raises(ConfigError, match="mlp_layer_types"):
        parse_config(raw | {"mlp_layer_types": ["sparse"] * 46 + ["dense"]})


def test_a_wrapper_lends_its_token_ids_to_a_core_without() -> None:
    core = {k: v for k, v in K2.items() if k != "eos_token_id"}
    config = parse_config({"model_type": "kimi_k25", "eos_token_id": [5, 7], "text_config": core})
    assert config.stops == (5, 7) and config.bos == 163584


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("kimi_k3", "linear-attention"),
        ("kimi_linear", "linear-attention"),
        ("longcat_flash", "zero-computation experts"),
        ("deepseek_v32", "indexer"),
        ("glm_moe_dsa", "indexer"),
        ("mistral4", "not supported"),
        ("youtu", "no experts"),
        ("llama", "not of the Kimi K2"),
        ("KIMI_K2", "not of the Kimi K2"),
    ],
)
def test_other_models_are_refused_with_the_reason(kind: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as caught:
        parse_config(K2 | {"model_type": kind})
    assert kind in str(caught.value) and "\n" not in str(caught.value)


YARN = K2["rope_scaling"]
BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"model_type": None}, "model_type"),
    ({"model_type": ["kimi_k2"]}, "model_type"),
    ({"model_type": "kimi_k25"}, "text_config"),
    ({"model_type": "kimi_k25", "text_config": {"model_type": "kimi_k25", "text_config": K2}}, "text_config"),
    ({"vocab_size": None}, "vocab_size is missing"),
    ({"hidden_size": "7168"}, "hidden_size"),
    ({"hidden_size": 7168.0}, "hidden_size"),
    ({"num_hidden_layers": 0}, "num_hidden_layers"),
    ({"num_hidden_layers": True}, "num_hidden_layers"),
    ({"num_attention_heads": -64}, "num_attention_heads"),
    ({"kv_lora_rank": 10**30}, "kv_lora_rank"),
    ({"q_lora_rank": 0}, "q_lora_rank"),
    ({"qk_rope_head_dim": 63}, "qk_rope_head_dim"),
    ({"first_k_dense_replace": None}, "first_k_dense_replace"),
    ({"first_k_dense_replace": 62}, "62 dense layers"),
    ({"moe_layer_freq": 2}, "moe_layer_freq"),
    ({"num_experts_per_tok": 385}, "385 experts"),
    ({"n_group": 7}, "groups"),
    ({"n_group": 64, "topk_group": 1}, "fewer experts"),
    ({"n_group": 8, "topk_group": 9}, "groups"),
    ({"scoring_func": "tanh"}, "scoring_func 'tanh'"),
    ({"topk_method": "random"}, "topk_method 'random'"),
    ({"scoring_func": "softmax"}, "softmax"),
    ({"norm_topk_prob": "yes"}, "norm_topk_prob"),
    ({"routed_scaling_factor": float("nan")}, "routed_scaling_factor"),
    ({"routed_scaling_factor": -1}, "routed_scaling_factor"),
    ({"rope_theta": 1}, "rope_theta"),
    ({"rope_theta": 10**400}, "rope_theta"),
    ({"rms_norm_eps": 0}, "rms_norm_eps"),
    ({"rms_norm_eps": float("inf")}, "rms_norm_eps"),
    ({"rope_scaling": [1]}, "rope_scaling"),
    ({"rope_scaling": {"type": "linear", "factor": 2}}, "linear"),
    ({"rope_scaling": YARN | {"factor": None}}, "rope_scaling.factor"),
    ({"rope_scaling": YARN | {"factor": 0.5}}, "rope_scaling.factor"),
    ({"rope_scaling": YARN | {"beta_fast": 0}}, "beta_fast"),
    ({"rope_scaling": YARN | {"original_max_position_embeddings": None}}, "original_max_position_embeddings"),
    ({"rope_scaling": YARN | {"attention_factor": 1.2}}, "attention_factor"),
    ({"rope_interleave": False}, "rope_interleave"),
    ({"hidden_act": "gelu"}, "gelu"),
    ({"attention_bias": True}, "attention_bias"),
    ({"mla_use_nope": True}, "mla_use_nope"),
    ({"tie_word_embeddings": 1}, "tie_word_embeddings"),
    ({"eos_token_id": "x"}, "eos_token_id"),
    ({"eos_token_id": [1, -2]}, "eos_token_id"),
    ({"bos_token_id": 1.5}, "bos_token_id"),
]


@pytest.mark.parametrize(("changes", "words"), BROKEN)
def test_a_broken_config_gets_one_line_that_names_the_field(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(K2 | changes)
    assert words in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [None, b"", b"{", b"[]", b'"kimi_k2"', b"\xff\xfe{}", b"[" * 100_000, json.dumps(K2).encode()[:-30], b"{}"],
)
def test_a_broken_file_gets_one_line_that_names_the_file(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ConfigError, match=r"config\.json") as caught:
        read_config(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_config_is_read_from_a_file_or_its_folder(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(K2))
    config = read_config(tmp_path)
    assert isinstance(config, ModelConfig) and config == read_config(tmp_path / "config.json") == parse_config(K2)
