"""The network that is trained: its parts against the formulas written out. That the whole equals transformers' class,
test_export shows."""

from __future__ import annotations

import torch
import torch.nn.functional as F

import tiny
from moonlet.model.config import ModelConfig, parse_config
from moonlet.train.network import Network, Sparse, sequence_balance

torch.set_num_threads(1)


def config(**changes: object) -> ModelConfig:
    return parse_config(tiny.config("k2", changes=changes))


def alive(**changes: object) -> Network:
    """A network whose weights are all random: training starts some at zero."""
    torch.manual_seed(5)
    network = Network(config(**changes))
    with torch.no_grad():
        for weight in network.parameters():
            if weight.ndim > 1:
                weight.normal_(std=0.15)
    return network


def ids(rows: int, length: int, vocab: int = 512) -> torch.Tensor:
    return torch.randint(0, vocab, (rows, length), generator=torch.Generator().manual_seed(1))


def test_a_fresh_network_is_the_identity_between_embedding_and_head() -> None:
    network = Network(config())
    read = ids(2, 9)
    body = network.model
    assert torch.equal(network(read), network.lm_head(body.norm(body.embed_tokens(read))))


def test_a_token_sees_nothing_after_it() -> None:
    network = alive().eval()
    one, other = ids(1, 20), ids(1, 20)
    other[0, 12:] = 7
    with torch.no_grad():
        a, b = network(one)[0], network(other)[0]
    torch.testing.assert_close(a[:12], b[:12], atol=1e-5, rtol=0)
    assert not torch.allclose(a[12:], b[12:], atol=1e-2)


def test_experts_by_hand() -> None:
    network = alive()
    layer = network.sparse_layers()[0]
    layer.gate.e_score_correction_bias.uniform_(-0.2, 0.2)
    x = torch.randn(2, 5, network.config.width)
    torch.testing.assert_close(layer(x), torch.stack([_one_by_one(layer, row) for row in x]), atol=1e-5, rtol=1e-4)


def _one_by_one(layer: Sparse, x: torch.Tensor) -> torch.Tensor:
    """The layer's output for x (T, D), token by token and expert by expert."""
    c, out = layer.gate.config, []
    for token in x:
        score = torch.sigmoid(layer.gate.weight @ token)
        chosen = (score + layer.gate.e_score_correction_bias).topk(c.experts_per_token).indices.tolist()
        total = layer.shared_experts(token)
        for e in chosen:
            gate, up = layer.experts.gate_up[e]
            ffn = layer.experts.down[e] @ (F.silu(gate @ token) * (up @ token))
            total = total + c.routed_scale * score[e] / score[chosen].sum() * ffn
        out.append(total)
    return torch.stack(out)


def test_every_expert_learns_from_the_tokens_it_got_and_no_other() -> None:
    network = alive()
    layer = network.sparse_layers()[0]
    layer.gate.e_score_correction_bias[3] = -10.0
    network(ids(2, 30)).square().mean().backward()
    grads = layer.experts.down.grad
    assert grads is not None and not grads[3].any()
    load = layer.loads(torch.ones(2, 30, dtype=torch.bool)).sum(0)
    assert load.sum() == 60 * network.config.experts_per_token and load[3] == 0
    assert all(grads[e].any() for e in range(len(grads)) if load[e])


def test_balance_moves_the_bias_towards_idle_experts() -> None:
    gate = Network(config()).sparse_layers()[0].gate
    load = torch.full((gate.config.experts,), 4.0)
    load[0], load[1] = 8.0, 0.0
    gate.balance(0.001, load)
    assert gate.e_score_correction_bias[:3].tolist() == [torch.tensor(-0.001), torch.tensor(0.001), 0.0]


def test_what_fills_a_row_is_no_load() -> None:
    network, read, real = alive(), ids(2, 30), torch.ones(2, 30, dtype=torch.bool)
    read[1, 20:], real[1, 20:] = 7, False
    network(read)
    both, loads = sequence_balance(network, real), [layer.loads(real) for layer in network.sparse_layers()]
    network(read[1:, :20])
    for layer, load in zip(network.sparse_layers(), loads, strict=True):
        assert torch.equal(layer.loads(real[1:, :20])[0], load[1])
    short = sequence_balance(network, real[1:, :20])
    network(read[:1])
    torch.testing.assert_close((short + sequence_balance(network, real[:1])) / 2, both)


def test_the_sequence_term_is_one_a_layer_in_balance_and_more_out_of_it() -> None:
    network, real = Network(config()), torch.ones(1, 40, dtype=torch.bool)
    for layer in network.sparse_layers():
        torch.nn.init.zeros_(layer.gate.weight)
    network(ids(1, 40))
    # Equal scores: all tokens take the same few experts, but no expert is likelier than another.
    chosen_together = float(sequence_balance(network, real).detach())
    torch.testing.assert_close(chosen_together, float(network.config.sparse_layers))
    for layer in network.sparse_layers():
        K = network.config.experts_per_token
        layer.scores = torch.full((1, 40, network.config.experts), 0.1).index_fill_(2, torch.arange(K), 0.9)
        layer.chosen = torch.arange(K).expand(1, 40, K)
    assert float(sequence_balance(network, real).detach()) > 1.1 * network.config.sparse_layers


def test_the_largest_score_of_each_head_is_kept() -> None:
    network = alive()
    attention = network.attentions()[0]
    x = torch.randn(2, 33, network.config.width)
    attention(x, network.attending(2, 33))
    assert attention.largest is not None
    torch.testing.assert_close(attention.largest, _scores(network, x).amax(dim=(0, 2, 3)))


def _scores(network: Network, x: torch.Tensor) -> torch.Tensor:
    """(B, H, T, T) of the first layer, complex numbers for the rotation, minus infinity where a token looks ahead."""
    a, c = network.attentions()[0], network.config
    B, T, _ = x.shape
    turn = torch.polar(torch.ones(T, c.rope // 2), torch.arange(T)[:, None] * torch.tensor(c.inverse_frequencies()))

    def turned(part: torch.Tensor) -> torch.Tensor:
        pairs = torch.view_as_complex(part.reshape(*part.shape[:-1], -1, 2).contiguous())
        return torch.view_as_real(pairs * turn[:, None]).flatten(-2)

    q = a.q_b_proj(a.q_a_layernorm(a.q_a_proj(x))).view(B, T, c.heads, -1)
    latent, shared = a.kv_a_proj_with_mqa(x).split([c.latent, c.rope], -1)
    k = a.kv_b_proj(a.kv_a_layernorm(latent)).view(B, T, c.heads, -1)[..., : c.nope]
    rotated = turned(shared[:, :, None])[:, :, 0]
    found = torch.einsum("bthn,bshn->bhts", q[..., : c.nope], k)
    found = found + torch.einsum("bthr,bsr->bhts", turned(q[..., c.nope :]), rotated)
    ahead = torch.ones(T, T, dtype=torch.bool).triu(1)
    return (found * c.score_scale).masked_fill(ahead, float("-inf"))


def test_bfloat16_is_near_float32() -> None:
    network = alive().eval()
    with torch.no_grad():
        exact = network(ids(1, 50))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = network(ids(1, 50))
    # Not the largest difference: a token whose router is undecided may go to another expert.
    assert (exact - rough).abs().median() < 0.02 * (exact.max() - exact.min())
