"""The architecture of a model, read from its `config.json`.

One graph serves the whole family: latent attention, a first stretch of dense layers, then sparse layers whose router
picks K of E experts beside shared ones. What differs between models is in these fields and nowhere else.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal


class ConfigError(Exception):
    """The configuration is unreadable, incomplete, contradictory or of a model this graph cannot run."""


@dataclass(frozen=True, slots=True)
class Yarn:
    """Context extension by frequency-dependent scaling of the rotation (arXiv 2309.00071)."""

    factor: float
    beta_fast: float
    beta_slow: float
    mscale: float
    mscale_all_dim: float
    original_positions: int


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Sizes and switches of one model. Letters are those used for shapes everywhere else."""

    model_type: str
    vocab: int  # V
    width: int  # D
    layers: int
    heads: int  # H
    q_rank: int | None  # None: queries come from one matrix
    latent: int  # L, what the cache keeps of a token besides the rotated key
    nope: int  # N, part of a head without position
    rope: int  # R, part of a head with position, shared by all heads on the key side
    value: int  # width of a head's value
    dense_width: int
    dense_layers: int  # how many layers, from the first, have no experts
    experts: int  # E
    experts_per_token: int  # K
    shared_experts: int
    expert_width: int  # F
    router: Literal["sigmoid", "softmax"]
    groups: int
    groups_kept: int
    normalise: bool  # the chosen weights are made to sum to one
    routed_scale: float
    rope_theta: float
    yarn: Yarn | None
    max_positions: int
    eps: float
    tied: bool  # the head is the embedding
    bos: int | None
    stops: tuple[int, ...]  # ids after which a reply is over

    @property
    def sparse_layers(self) -> int:
        return self.layers - self.dense_layers

    @property
    def shared_width(self) -> int:
        """Width of the shared experts, which run as one."""
        return self.shared_experts * self.expert_width

    @property
    def head(self) -> int:
        """Width of a query or key head."""
        return self.nope + self.rope

    @property
    def score_scale(self) -> float:
        """What a query-key product is multiplied by: head^-0.5 times the square of YaRN's temperature."""
        temperature = 1.0
        if self.yarn is not None and self.yarn.mscale_all_dim != 0:
            temperature = _mscale(self.yarn.factor, self.yarn.mscale_all_dim)
        return float(self.head**-0.5 * temperature * temperature)

    @property
    def rotation_scale(self) -> float:
        """What cosine and sine are multiplied by; 1 for every model seen, whose two mscales are equal."""
        if self.yarn is None:
            return 1.0
        return _mscale(self.yarn.factor, self.yarn.mscale) / _mscale(self.yarn.factor, self.yarn.mscale_all_dim)

    def inverse_frequencies(self) -> list[float]:
        """Angle per position of each of the R/2 pairs (2i, 2i+1)."""
        half = self.rope // 2
        plain = [self.rope_theta ** (-2 * i / self.rope) for i in range(half)]
        if self.yarn is None:
            return plain
        yarn = self.yarn

        def pair_turning(turns: float) -> float:
            """Index of the pair that turns so many times over the original context."""
            return (
                self.rope * math.log(yarn.original_positions / (turns * 2 * math.pi)) / (2 * math.log(self.rope_theta))
            )

        low: float = max(math.floor(pair_turning(yarn.beta_fast)), 0)
        high: float = min(math.ceil(pair_turning(yarn.beta_slow)), self.rope - 1)
        if low == high:
            high += 0.001
        ramp = [min(max((i - low) / (high - low), 0.0), 1.0) for i in range(half)]
        return [f * (1 - r) + f / yarn.factor * r for f, r in zip(plain, ramp, strict=True)]


def _mscale(factor: float, mscale: float) -> float:
    return 1.0 if factor <= 1 else 0.1 * mscale * math.log(factor) + 1.0


# Families that share the graph. Others are refused by name, with the reason.
_GRAPHS = {"deepseek_v2", "deepseek_v3", "kimi_k2", "glm4_moe_lite"}
_WRAPPERS = {"kimi_k25", "kimi_vl"}  # vision around a text core, which is under text_config
_UNSUPPORTED = {
    "kimi_linear": "its linear-attention (KDA) layers are not implemented",
    "kimi_k3": "its linear-attention layers, latent experts and SiTU activation are not implemented",
    "longcat_flash": "its zero-computation experts and double attention are not implemented",
    "deepseek_v32": "its sparse attention indexer is not implemented",
    "glm_moe_dsa": "its sparse attention indexer is not implemented",
    "mistral4": "its router and attention layout are not implemented",
    "youtu": "it has no experts; only sparse models of this graph are run",
}


def read_config(path: Path) -> ModelConfig:
    """The configuration in a `config.json`, or in a folder that holds one. Raises ConfigError."""
    file = path / "config.json" if path.is_dir() else path
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{file}: not found") from None
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise ConfigError(f"{file}: not readable as JSON ({error})") from None
    if not isinstance(raw, dict):
        raise ConfigError(f"{file}: holds {type(raw).__name__}, not an object")
    try:
        return parse_config(raw)
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from None


def parse_config(raw: Mapping[str, Any]) -> ModelConfig:
    """ModelConfig of a Hugging Face `config.json`; vision wrappers give their text core. Raises ConfigError."""
    kind = raw.get("model_type")
    if not isinstance(kind, str):
        raise ConfigError(f"model_type must be a string, got {kind!r}")
    if kind in _WRAPPERS:
        core = raw.get("text_config")
        if not isinstance(core, dict) or core.get("model_type") in _WRAPPERS:
            raise ConfigError(f"model_type {kind} without its text_config")
        outer = {name: raw[name] for name in ("bos_token_id", "eos_token_id") if name in raw}
        return parse_config({**outer, **core})
    if kind in _UNSUPPORTED:
        raise ConfigError(f"model_type {kind} is not supported: {_UNSUPPORTED[kind]}")
    if kind not in _GRAPHS:
        raise ConfigError(f"model_type {kind!r} is not of the Kimi K2 / DeepSeek-V3 graph")
    read = _Reader(raw)
    softmax, grouped = _routing(read, kind)
    config = ModelConfig(
        model_type=kind,
        vocab=read.count("vocab_size"),
        width=read.count("hidden_size"),
        layers=read.count("num_hidden_layers"),
        heads=read.count("num_attention_heads"),
        q_rank=read.count("q_lora_rank") if raw.get("q_lora_rank") is not None else None,
        latent=read.count("kv_lora_rank"),
        nope=read.count("qk_nope_head_dim"),
        rope=read.count("qk_rope_head_dim"),
        value=read.count("v_head_dim"),
        dense_width=read.count("intermediate_size"),
        dense_layers=_dense_layers(read, kind),
        experts=read.count("n_routed_experts"),
        experts_per_token=read.count("num_experts_per_tok"),
        shared_experts=read.count("n_shared_experts", 0, least=0),
        expert_width=read.count("moe_intermediate_size"),
        router="softmax" if softmax else "sigmoid",
        groups=read.count("n_group", 1) if grouped else 1,
        groups_kept=read.count("topk_group", 1) if grouped else 1,
        # DeepSeek-V2's published code never renormalises, whatever its config says.
        normalise=read.flag("norm_topk_prob", True) and kind != "deepseek_v2",
        routed_scale=read.number("routed_scaling_factor", 1.0),
        rope_theta=_rope_theta(raw),
        yarn=_yarn(raw),
        max_positions=read.count("max_position_embeddings"),
        eps=read.number("rms_norm_eps", 1e-6),
        tied=read.flag("tie_word_embeddings", False),
        bos=read.token("bos_token_id"),
        stops=_stops(raw),
    )
    _check(raw, config)
    return config


def _routing(read: _Reader, kind: str) -> tuple[bool, bool]:
    """Whether scores are a softmax (else sigmoids), and whether experts are chosen by groups."""
    v2 = kind == "deepseek_v2"
    scoring = read.text("scoring_func", "softmax" if v2 else "sigmoid")
    method = read.text("topk_method", "greedy" if v2 else "noaux_tc")
    known = {
        ("sigmoid", "noaux_tc"): (False, True),  # groups by the sum of their two best, choice biased
        ("softmax", "greedy"): (True, False),
        ("softmax", "group_limited_greedy"): (True, True),  # groups by their best
    }
    if (scoring, method) not in known:
        raise ConfigError(f"a router with scoring_func {scoring!r} and topk_method {method!r} is not supported")
    return known[scoring, method]


def _dense_layers(read: _Reader, kind: str) -> int:
    """How many first layers have no experts: stated as a number or, by transformers 5 for GLM, layer by layer."""
    kinds = read.raw.get("mlp_layer_types")
    if kinds is None:
        return read.count("first_k_dense_replace", 1 if kind == "glm4_moe_lite" else None, least=0)
    layers = read.count("num_hidden_layers")
    dense = kinds.count("dense") if isinstance(kinds, list) else 0
    if not isinstance(kinds, list) or kinds != ["dense"] * dense + ["sparse"] * (layers - dense):
        raise ConfigError(f"mlp_layer_types must be dense layers followed by sparse ones, {layers} in all")
    return dense


def _rope_theta(raw: Mapping[str, Any]) -> float:
    """The rotation's base, which transformers 5 writes inside rope_parameters and everybody else beside it."""
    inside = raw.get("rope_parameters") or raw.get("rope_scaling")
    holder = inside if isinstance(inside, dict) and raw.get("rope_theta") is None else raw
    theta = _Reader(holder).number("rope_theta", 10000.0)
    if theta <= 1:
        raise ConfigError(f"rope_theta must be above 1, got {theta}")
    return theta


def _stops(raw: Mapping[str, Any]) -> tuple[int, ...]:
    value = raw.get("eos_token_id")
    ids = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(i, int) and not isinstance(i, bool) and i >= 0 for i in ids):
        raise ConfigError(f"eos_token_id must be a token id or a list of them, got {value!r}")
    return tuple(ids)


def _yarn(raw: Mapping[str, Any]) -> Yarn | None:
    scaling = raw.get("rope_scaling") or raw.get("rope_parameters")
    if not scaling:
        return None
    if not isinstance(scaling, dict):
        raise ConfigError("rope_scaling must be an object")
    kind = scaling.get("rope_type", scaling.get("type"))
    if kind in (None, "default"):
        return None
    if kind != "yarn":
        raise ConfigError(f"rope_scaling of type {kind!r} is not supported, only yarn")
    if scaling.get("attention_factor") is not None or scaling.get("truncate") is False:
        raise ConfigError("rope_scaling with attention_factor or without truncate is not supported")
    read = _Reader(scaling, "rope_scaling.")
    return Yarn(
        factor=read.number("factor", least=1.0),
        # Absent values are YaRN's own defaults; K2's configs state 1.0, which must not be lost.
        beta_fast=read.number("beta_fast", 32.0),
        beta_slow=read.number("beta_slow", 1.0),
        mscale=read.number("mscale", 1.0),
        mscale_all_dim=read.number("mscale_all_dim", 0.0, least=0.0),
        original_positions=read.count("original_max_position_embeddings"),
    )


def _check(raw: Mapping[str, Any], config: ModelConfig) -> None:
    """What the graph assumes and a config could contradict."""
    if config.latent + config.rope > 1024:
        raise ConfigError(f"kv_lora_rank and qk_rope_head_dim are {config.latent + config.rope} together, at most 1024")
    if raw.get("hidden_act", "silu") != "silu":
        raise ConfigError(f"hidden_act {raw['hidden_act']!r} is not supported, only silu")
    if raw.get("attention_bias"):
        raise ConfigError("attention_bias is not supported")
    if raw.get("moe_layer_freq", 1) != 1:
        raise ConfigError("moe_layer_freq other than 1 is not supported")
    if raw.get("mla_use_nope"):
        raise ConfigError("mla_use_nope is not supported")
    if raw.get("rope_interleave") is False:
        raise ConfigError("rope_interleave false is not supported: rotated pairs must be neighbours")
    if config.rope % 2:
        raise ConfigError(f"qk_rope_head_dim must be even, got {config.rope}")
    if config.experts_per_token > config.experts:
        raise ConfigError(f"{config.experts_per_token} experts a token of only {config.experts}")
    if config.experts % config.groups or config.groups_kept > config.groups:
        raise ConfigError(
            f"{config.experts} experts in {config.groups} groups of which {config.groups_kept} are kept do not fit"
        )
    if config.groups_kept * (config.experts // config.groups) < config.experts_per_token:
        raise ConfigError("the groups kept hold fewer experts than a token needs")
    if config.dense_layers > config.layers:
        raise ConfigError(f"{config.dense_layers} dense layers of only {config.layers}")


class _Reader:
    """Typed look-up of a JSON object's fields, with errors that name the field. A null is a field that is absent."""

    def __init__(self, raw: Mapping[str, Any], prefix: str = "") -> None:
        self.raw, self.prefix = raw, prefix

    def _get(self, name: str, default: object) -> Any:
        value = self.raw.get(name)
        if value is None:
            if default is None:
                raise ConfigError(f"{self.prefix}{name} is missing")
            return default
        return value

    def count(self, name: str, default: int | None = None, least: int = 1) -> int:
        value = self._get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 2**31:
            raise ConfigError(f"{self.prefix}{name} must be a whole number of at least {least}, got {value!r}")
        return value

    def number(self, name: str, default: float | None = None, least: float | None = None) -> float:
        value = self._get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e300:
            raise ConfigError(f"{self.prefix}{name} must be a number, got {value!r}")
        if value <= 0 if least is None else value < least:
            raise ConfigError(f"{self.prefix}{name} is out of range: {value!r}")
        return float(value)

    def flag(self, name: str, default: bool) -> bool:
        value = self._get(name, default)
        if not isinstance(value, bool):
            raise ConfigError(f"{self.prefix}{name} must be true or false, got {value!r}")
        return value

    def text(self, name: str, default: str) -> str:
        value = self._get(name, default)
        if not isinstance(value, str):
            raise ConfigError(f"{self.prefix}{name} must be a string, got {value!r}")
        return value

    def token(self, name: str) -> int | None:
        value = self.raw.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ConfigError(f"{self.prefix}{name} must be a token id, got {value!r}")
        return value
