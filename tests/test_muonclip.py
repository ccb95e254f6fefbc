"""The optimiser, on numbers that are known."""

from __future__ import annotations

import math

import pytest
import torch

import tiny
from moonlet.model.config import parse_config
from moonlet.train.muonclip import Muon, MuonClip, orthogonalise, qk_clip
from moonlet.train.network import Network

torch.set_num_threads(1)


def network(**changes: object) -> Network:
    torch.manual_seed(0)
    return Network(parse_config(tiny.config("k2", changes=changes)))


@pytest.mark.parametrize("shape", [(64, 64), (40, 120), (120, 40), (3, 48, 32)])
def test_an_orthogonalised_matrix_keeps_its_directions_and_loses_its_lengths(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    found = orthogonalise(x)
    u, _, v = torch.linalg.svd(x, full_matrices=False)
    lengths = (u.mT @ found @ v.mT).diagonal(dim1=-2, dim2=-1)  # along the directions of x
    assert lengths.min() > 0.3 and lengths.max() < 1.3  # Newton-Schulz with these coefficients ends in about 0.7..1.2
    assert 0.75 < float(lengths.mean()) < 1.15


def test_matrices_of_a_stack_do_not_mix() -> None:
    x = torch.randn(4, 24, 40, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(orthogonalise(x)[2], orthogonalise(x[2]), atol=0.02, rtol=0)


@pytest.mark.parametrize("shape", [(96, 32), (32, 96), (64, 64)])
def test_a_step_is_as_large_as_one_of_adamw(shape: tuple[int, int]) -> None:
    weight = torch.nn.Parameter(torch.zeros(shape))
    weight.grad = torch.randn(shape, generator=torch.Generator().manual_seed(1)) * 1e-4
    Muon([weight], lr=0.1).step()
    # 0.2 a number, whatever the shape and however small the gradient; singular values of
    # 0.7 to 1.2 instead of 1 take up to a fifth off.
    assert 0.78 < float(weight.detach().square().mean().sqrt()) / (0.2 * 0.1) < 1.02


def test_weights_decay_and_momentum_is_nesterovs() -> None:
    weight = torch.nn.Parameter(torch.eye(8) * 3)
    muon = Muon([weight], lr=0.5, momentum=0.5, decay=0.1)
    weight.grad = torch.zeros(8, 8)
    muon.step()
    torch.testing.assert_close(weight.detach(), torch.eye(8) * 3 * 0.95)
    weight.grad = torch.diag(torch.tensor([1.0, 2, 3, 4, 5, 6, 7, 8]))
    muon.step()
    torch.testing.assert_close(muon.state[weight]["momentum"], weight.grad)
    before, kept = weight.detach().clone(), weight.grad.clone()
    weight.grad = -kept  # momentum becomes -kept / 2, and Nesterov's look ahead makes of it -kept - kept / 4
    muon.step()
    assert (weight.detach().diagonal() > before.diagonal() * 0.95).all()


def test_heads_over_the_threshold_are_brought_down_to_it() -> None:
    made = network()
    c = made.config
    attention = made.attentions()[0]
    with torch.no_grad():
        for part in (attention.q_a_proj, attention.q_b_proj, attention.kv_a_proj_with_mqa, attention.kv_b_proj):
            part.weight.normal_(std=0.1)
        attention.q_b_proj.weight.view(c.heads, c.head, -1)[1] *= 8
    x = torch.randn(2, 40, c.width)

    def largest() -> torch.Tensor:
        attention(x, made.attending(2, 40))
        assert attention.largest is not None
        return attention.largest.clone()

    before = largest()
    threshold = float(before.sort().values[-2]) * 1.5  # between the loud head and all others
    highest = qk_clip(made, threshold)
    after = largest()
    assert highest[0] == pytest.approx(float(before[1])) and float(before[1]) > threshold
    assert float(after[1]) == pytest.approx(threshold, rel=1e-4)
    others = [h for h in range(c.heads) if h != 1]
    assert torch.equal(after[others], before[others])


@pytest.mark.parametrize("q_rank", [None, 96])
def test_clipping_touches_the_right_rows(q_rank: int | None) -> None:
    made = network(q_lora_rank=q_rank)
    c = made.config
    attention = made.attentions()[1]
    queries = attention.q_proj if q_rank is None else attention.q_b_proj
    for weight in (queries.weight, attention.kv_b_proj.weight):
        torch.nn.init.ones_(weight)
    shared = attention.kv_a_proj_with_mqa.weight.clone()
    attention.largest = torch.tensor([50.0, 400.0, 100.0, 99.0])
    assert qk_clip(made) == [0.0, 400.0, 0.0]
    q = queries.weight.view(c.heads, c.head, -1)
    kv = attention.kv_b_proj.weight.view(c.heads, c.nope + c.value, -1)
    assert (q[1, : c.nope] == 0.5).all() and (q[1, c.nope :] == 0.25).all()  # gamma is 100 / 400
    assert (kv[1, : c.nope] == 0.5).all() and (kv[1, c.nope :] == 1).all()
    assert (q[[0, 2, 3]] == 1).all() and (kv[[0, 2, 3]] == 1).all()
    assert torch.equal(attention.kv_a_proj_with_mqa.weight, shared)


@pytest.mark.parametrize("tied", [True, False])
def test_who_moves_which_weight(tied: bool) -> None:
    made = network(tie_word_embeddings=tied)
    optimiser = MuonClip(made, 1e-3, adam_share=0.5)
    names = {id(weight): name for name, weight in made.named_parameters()}
    muon = {names[id(w)] for group in optimiser.muon.param_groups for w in group["params"]}
    adam = {names[id(w)] for group in optimiser.adam.param_groups for w in group["params"]}
    assert muon | adam == set(names.values()) and not muon & adam
    assert all("norm" in name or "embed_tokens" in name or "lm_head" in name for name in adam)
    assert not any("correction_bias" in name for name in names.values())  # moved by hand
    assert {group["lr"] for group in optimiser.adam.param_groups} == {5e-4}


def test_gate_and_up_are_two_matrices() -> None:
    """They are kept as one tensor, but the public checkpoints, and Muon, have two."""
    made = network()
    experts = made.sparse_layers()[0].experts
    inner = made.config.expert_width
    grad = torch.randn(experts.gate_up.shape, generator=torch.Generator().manual_seed(4))
    grad[:, 0] *= 100
    before = experts.gate_up.detach().clone()
    experts.gate_up.grad = grad
    MuonClip(made, 1e-2, decay=0.0).step(1e-2)
    moved = (experts.gate_up.detach() - before) / 1e-2
    size = 0.2 * math.sqrt(max(inner, made.config.width))
    for half in (moved[:, 0], moved[:, 1]):
        lengths = torch.linalg.svdvals(half) / size
        assert float(lengths.min()) > 0.3 and float(lengths.max()) < 1.3
