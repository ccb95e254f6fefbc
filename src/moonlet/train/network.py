"""The network in PyTorch, for training: the same graph, tensor names and layout as the public checkpoints.

Attention is computed in its expanded form (keys and values written out per head), which is cheaper when whole sequences
are read at once; the engine's absorbed form gives the same numbers. The experts of a layer are kept as two tensors and
are only split into the public names when a checkpoint is written.

Shapes: B sequences, T tokens, D width, H heads, N and R the parts of a head without and with position, L latent,
E experts, K experts a token, F expert width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from moonlet.model.config import ModelConfig
from moonlet.train import gpu
from moonlet.train.attention import Text, latent_attention
from moonlet.train.rounding import rounded

# Initial values, all of them: matrices are normal with this deviation; those that write into the residual stream
# (o_proj, down_proj) start at zero, so that a block begins as the identity; gains start at one, router biases at zero.
INITIAL_DEVIATION = 0.02
# From queries, keys and values, and the keys' rotated part: what heads read, and their largest scores.
Attend = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
ROUND = 64  # an expert's tokens are filled up to a multiple of this


class Norm(nn.Module):
    """RMSNorm: x / rms(x) * weight, statistics in float32."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        out: Tensor = (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps) * self.weight).to(x.dtype)
        return out


class Attention(nn.Module):
    """Multi-head latent attention. `largest` keeps, after a forward, each head's largest score over the batch."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        D, H, L = config.width, config.heads, config.latent
        queries = H * config.head
        if config.q_rank is None:
            self.q_proj = nn.Linear(D, queries, bias=False)
        else:
            self.q_a_proj = nn.Linear(D, config.q_rank, bias=False)
            self.q_a_layernorm = Norm(config.q_rank, config.eps)
            self.q_b_proj = nn.Linear(config.q_rank, queries, bias=False)
        self.kv_a_proj_with_mqa = nn.Linear(D, L + config.rope, bias=False)
        self.kv_a_layernorm = Norm(L, config.eps)
        self.kv_b_proj = nn.Linear(L, H * (config.nope + config.value), bias=False)
        self.o_proj = nn.Linear(H * config.value, D, bias=False)
        self.largest: Tensor | None = None

    def forward(self, x: Tensor, attend: Attend) -> Tensor:
        c = self.config
        B, T, _ = x.shape
        q = self.q_proj(x) if c.q_rank is None else self.q_b_proj(self.q_a_layernorm(self.q_a_proj(x)))
        latent, rope = self.kv_a_proj_with_mqa(x).split([c.latent, c.rope], dim=-1)
        kv = self.kv_b_proj(self.kv_a_layernorm(latent)).view(B, T, c.heads, c.nope + c.value)
        read, self.largest = attend(q.view(B, T, c.heads, c.head), kv, rope)
        out: Tensor = self.o_proj(read.flatten(2))
        return out


class Mlp(nn.Module):
    """down(silu(gate x) * up x)."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(width, inner, bias=False)
        self.up_proj = nn.Linear(width, inner, bias=False)
        self.down_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
        return out


class Router(nn.Module):
    """Sigmoid scores; a bias, moved by hand and not by gradient, steers the choice and keeps experts evenly busy."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.weight = nn.Parameter(torch.empty(config.experts, config.width))
        self.register_buffer("e_score_correction_bias", torch.zeros(config.experts))
        self.e_score_correction_bias: Tensor

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Chosen experts (T, K), their weights (T, K) and all scores (T, E), of x (T, D)."""
        c = self.config
        with torch.autocast(x.device.type, enabled=False):
            scores = torch.sigmoid(x.float() @ self.weight.float().T)
        chosen = torch.topk(scores.detach() + self.e_score_correction_bias, c.experts_per_token, dim=-1).indices
        weights = scores.gather(1, chosen)
        if c.normalise:
            weights = weights / (weights.sum(-1, keepdim=True) + 1e-20)
        return chosen, weights * c.routed_scale, scores

    @torch.no_grad()
    def balance(self, rate: float, load: Tensor) -> None:
        """Moves the bias by `rate` towards experts that got less than their share (arXiv 2408.15664); load: (E,)."""
        self.e_score_correction_bias += rate * torch.sign(load.mean() - load)


class Experts(nn.Module):
    """All experts of a layer: gate and up as one (E, 2, F, D), and down (E, D, F).

    With `int4` they compute with their weights rounded as an int4 folder holds them.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        E, D, inner = config.experts, config.width, config.expert_width
        self.gate_up = nn.Parameter(torch.empty(E, 2, inner, D))
        self.down = nn.Parameter(torch.empty(E, D, inner))
        self.int4 = False

    def forward(self, x: Tensor, chosen: Tensor, weights: Tensor) -> Tensor:
        """Sum over each token's chosen experts of weight * expert. x: (T, D), chosen and weights: (T, K)."""
        gate_ups, downs = (rounded(x) if self.int4 else x for x in (self.gate_up, self.down))
        if x.is_cuda:
            return gpu.experts(x, chosen, weights, gate_ups, downs)
        K = chosen.shape[1]
        counts = torch.bincount(chosen.flatten(), minlength=len(self.gate_up)).tolist()
        groups = torch.split(chosen.flatten().argsort(stable=True), counts)
        # Filled up with a token of no weight: matrix libraries build a kernel for each new number of rows.
        slot = torch.cat([F.pad(group, (0, -len(group) % ROUND)) for group in groups])
        real = torch.cat([F.pad(torch.ones_like(group), (0, -len(group) % ROUND)) for group in groups])
        weight = (weights.flatten()[slot] * real).to(x.dtype)
        rows = torch.split(x.index_select(0, slot // K), [len(group) + -len(group) % ROUND for group in groups])
        parts = []
        # Unbound once: indexing in the loop would write a whole gradient of zeros for each expert.
        for part, gate_up, down in zip(rows, gate_ups.unbind(0), downs.unbind(0), strict=True):
            gate, up = F.linear(part, gate_up.flatten(0, 1).to(part.dtype)).chunk(2, dim=-1)
            parts.append(F.linear(F.silu(gate) * up, down.to(part.dtype)))
        return torch.zeros_like(x).index_add_(0, slot // K, torch.cat(parts) * weight[:, None])


class Sparse(nn.Module):
    """Router, experts and the shared experts, which run as one."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate = Router(config)
        self.experts = Experts(config)
        if config.shared_experts:
            self.shared_experts = Mlp(config.width, config.shared_width)
        # Of the last forward, for loads and the sequence-wise balance term.
        self.scores: Tensor | None = None
        self.chosen: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        flat = x.reshape(-1, x.shape[-1])
        chosen, weights, scores = self.gate(flat)
        self.scores = scores.view(*x.shape[:-1], -1) if self.training else None
        self.chosen = chosen.view(*x.shape[:-1], -1)
        out: Tensor = self.experts(flat, chosen, weights).view_as(x)
        if hasattr(self, "shared_experts"):
            out = out + self.shared_experts(x)
        return out

    def loads(self, real: Tensor) -> Tensor:
        """(B, E): how many of the tokens that are `real` (B, T) each expert got in the last forward, row by row."""
        assert self.chosen is not None, "nothing was read yet"
        return (F.one_hot(self.chosen, self.gate.config.experts).sum(2) * real[..., None]).sum(1).float()


class Block(nn.Module):
    """A layer: attention, then a dense or a sparse network, each beside what came in."""

    def __init__(self, config: ModelConfig, index: int) -> None:
        super().__init__()
        self.input_layernorm = Norm(config.width, config.eps)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = Norm(config.width, config.eps)
        dense = index < config.dense_layers
        self.mlp = Mlp(config.width, config.dense_width) if dense else Sparse(config)

    def forward(self, x: Tensor, attend: Attend) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), attend)
        out: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return out


class Body(nn.Module):
    """Embedding, layers and last norm, under the names of the public checkpoints."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab, config.width)
        self.layers = nn.ModuleList(Block(config, i) for i in range(config.layers))
        self.norm = Norm(config.width, config.eps)


class Network(nn.Module):
    """Only the sigmoid router without groups is trained: that is K2's."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        assert config.router == "sigmoid" and config.groups == 1, "only K2's kind of router is trained"
        self.config = config
        self.model = Body(config)
        self.lm_head = nn.Linear(config.width, config.vocab, bias=False)
        if config.tied:
            self.lm_head.weight = self.model.embed_tokens.weight
        angles = torch.arange(config.max_positions)[:, None] * torch.tensor(config.inverse_frequencies())
        self.register_buffer("cosine", angles.cos() * config.rotation_scale, persistent=False)
        self.register_buffer("sine", angles.sin() * config.rotation_scale, persistent=False)
        self.cosine: Tensor
        self.sine: Tensor
        self._initialise()

    @torch.no_grad()
    def _initialise(self) -> None:
        for name, weight in self.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight", "experts.down")):
                nn.init.zeros_(weight)
            elif weight.ndim >= 2:
                nn.init.normal_(weight, std=INITIAL_DEVIATION)

    def hidden(self, ids: Tensor, texts: Sequence[Sequence[Text]] = ()) -> Tensor:
        """ids (B, T) to the normalised states (B, T, D) that the head reads. texts: as in `attending`."""
        x = self.model.embed_tokens(ids)
        attend = self.attending(ids.shape[0], ids.shape[1], texts)
        for block in self.model.layers:
            x = block(x, attend)
        out: Tensor = self.model.norm(x)
        return out

    def attending(self, rows: int, tokens: int, texts: Sequence[Sequence[Text]] = ()) -> Attend:
        """How every layer attends. texts: those of each row, one after the other; without them a row is one text.

        The positions of a text count on from what is before it, so that branches all go on from their stem.
        """
        texts = texts or [[(0, tokens, 0)]] * rows
        at = torch.arange(tokens, device=self.cosine.device)
        if any(before for row in texts for *_, before in row):
            (row,) = texts  # the tables of positions are of one row
            at = torch.cat([at[before : before + end - begin] for begin, end, before in row])
        given: dict[str, Any] = {"cosine": self.cosine[at], "sine": self.sine[at], "scale": self.config.score_scale}
        if at.is_cuda and not any(before for row in texts for *_, before in row):
            return partial(gpu.attention, **given, starts=gpu.starts(texts, tokens, at.device), longest=tokens)
        return partial(latent_attention, **given, texts=texts)

    def forward(self, ids: Tensor, texts: Sequence[Sequence[Text]] = (), wanted: Tensor | None = None) -> Tensor:
        """Logits (B, T, V), or of the tokens that are `wanted` (B, T), n of them, (n, V). texts: as in `attending`."""
        states = self.hidden(ids, texts)
        logits: Tensor = self.lm_head(states if wanted is None else states[wanted])
        return logits

    def round_experts(self) -> None:
        """From now on experts compute as an int4 folder will hold them."""
        for layer in self.sparse_layers():
            layer.experts.int4 = True

    def sparse_layers(self) -> list[Sparse]:
        """The layers' expert networks, from the first layer that has one."""
        return [block.mlp for block in self.model.layers if isinstance(block.mlp, Sparse)]

    def attentions(self) -> list[Attention]:
        """The attention of each layer."""
        return [block.self_attn for block in self.model.layers if isinstance(block, Block)]


def sequence_balance(network: Network, real: Tensor) -> Tensor:
    """The sequence-wise balance term of DeepSeek-V3 (arXiv 2412.19437, eq. 17-20) over the tokens that are `real`
    (B, T), summed over layers; 1 a layer is perfect balance."""
    total, count = torch.zeros((), device=network.cosine.device), real.sum(1, keepdim=True)
    for layer in network.sparse_layers():
        scores, c = layer.scores, layer.gate.config
        assert scores is not None, "the term needs a forward in training mode"
        share = layer.loads(real) / count * c.experts / c.experts_per_token  # (B, E)
        probability = (scores / scores.sum(-1, keepdim=True) * real[..., None]).sum(1) / count
        total = total + (share * probability).sum(-1).mean()
    return total
