"""The sizes of a model as the native side names them."""

from __future__ import annotations

from moonlet import _native
from moonlet.model.config import ModelConfig


def shape_of(config: ModelConfig) -> _native.Shape:
    shape = _native.Shape()
    shape.V, shape.D, shape.layers, shape.H = config.vocab, config.width, config.layers, config.heads
    shape.q_rank, shape.L, shape.N, shape.R = config.q_rank or 0, config.latent, config.nope, config.rope
    shape.value = config.value
    shape.dense_width, shape.dense_layers = config.dense_width, config.dense_layers
    shape.E, shape.K, shape.F = config.experts, config.experts_per_token, config.expert_width
    shape.shared_width = min(config.shared_width, (1 << 31) - 1)  # which is refused there
    shape.router = int(config.router == "softmax")
    shape.groups, shape.groups_kept = config.groups, config.groups_kept
    shape.normalise, shape.routed_scale = config.normalise, config.routed_scale
    shape.eps, shape.score_scale = config.eps, config.score_scale
    shape.rotation_scale = config.rotation_scale
    shape.inverse_frequencies = config.inverse_frequencies()
    return shape
