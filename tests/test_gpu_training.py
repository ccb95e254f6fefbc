"""What training computes on an NVIDIA GPU, on the processor: the same numbers as there, with the kernel that only a GPU
has written out by hand. The last test asks a GPU itself, where there is one and it is asked for (`-m gpu`)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend

from moonlet.model.config import parse_config
from moonlet.train import gpu, network
from moonlet.train.attention import Text
from moonlet.train.nano import CONFIG
from moonlet.train.network import Network

SMALL = {"hidden_size": 64, "num_hidden_layers": 3, "vocab_size": 256, "intermediate_size": 96}
TEXTS: tuple[tuple[Text, ...], ...] = (((0, 20, 0), (20, 48, 0)), ((0, 48, 0),))


def _shares(q: Tensor, k: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """What each query takes of each key of its text, (H, T, T), and the logarithms of the sums, (H, T)."""
    scores = torch.einsum("qhd,khd->hqk", q.float(), k.float()) * scale
    scores = scores + torch.full(scores.shape[1:], float("-inf")).triu(1)
    return scores.softmax(-1), scores.logsumexp(-1)


@gpu._flash.register_kernel("cpu")
def _(q: Tensor, k: Tensor, v: Tensor, starts: Tensor, longest: int, scale: float) -> tuple[Tensor, ...]:
    assert int(starts.diff().max()) <= longest
    outs, sums = [], []
    for begin, end in pairwise(starts.tolist()):
        shares, its = _shares(q[begin:end], k[begin:end], scale)
        outs.append(torch.einsum("hqk,khd->qhd", shares, v[begin:end].float()))
        sums.append(its)
    seeds = torch.zeros(2, dtype=torch.int64), torch.zeros((), dtype=torch.int64)
    return torch.cat(outs).to(q.dtype), torch.cat(sums, 1), *seeds


@gpu._flash_back.register_kernel("cpu")
def _(grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, starts: Tensor, longest: int,
      scale: float, seed: Tensor, offset: Tensor) -> tuple[Tensor, ...]:  # fmt: skip
    dq, dk, dv = (torch.empty_like(x) for x in (q, k, v))
    for begin, end in pairwise(starts.tolist()):
        own = slice(begin, end)
        shares, _ = _shares(q[own], k[own], scale)
        wide = grad[own].float()
        dshares = torch.einsum("qhd,khd->hqk", wide, v[own].float())
        dscores = shares * (dshares - (shares * dshares).sum(-1, keepdim=True)) * scale
        dq[own] = torch.einsum("hqk,khd->qhd", dscores, k[own].float()).to(q.dtype)
        dk[own] = torch.einsum("hqk,qhd->khd", dscores, q[own].float()).to(k.dtype)
        dv[own] = torch.einsum("hqk,qhd->khd", shares, wide).to(v.dtype)
    return dq, dk, dv


class OnGpu(Network):
    """Attends as on a GPU."""

    def attending(self, rows: int, tokens: int, texts: Any = ()) -> Any:
        starts = gpu.starts(texts, tokens, torch.device("cpu"))
        tables = {"cosine": self.cosine[:tokens], "sine": self.sine[:tokens]}
        return partial(gpu.attention, **tables, scale=self.config.score_scale, starts=starts, longest=tokens)


class ExpertsOnGpu(network.Experts):
    """Computes as on a GPU."""

    def forward(self, x: Tensor, chosen: Tensor, weights: Tensor) -> Tensor:
        return gpu.experts(x, chosen, weights, self.gate_up, self.down)


def both() -> tuple[Network, OnGpu]:
    """The same weights, computed in the two ways."""
    torch.manual_seed(3)
    config = parse_config({**CONFIG, **SMALL})
    here, there = Network(config), OnGpu(config)
    for weight in here.parameters():
        torch.nn.init.normal_(weight, std=0.05) if weight.ndim > 1 else None
    there.load_state_dict(here.state_dict())
    for layer in there.sparse_layers():
        layer.experts.__class__ = ExpertsOnGpu
    return here, there


def gradients(made: Network, short: bool = False) -> Iterator[tuple[str, Tensor]]:
    """Of a loss that depends on everything, of rows with two texts and with one."""
    ids = torch.randint(256, (2, 48), generator=torch.Generator().manual_seed(1))
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=short):
        logits = made(ids, TEXTS)
    loss = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), ids.roll(-1, 1).flatten())
    loss.backward()  # type: ignore[no-untyped-call]
    yield "loss", loss.detach()
    for name, weight in made.named_parameters():
        assert weight.grad is not None, name
        yield name, weight.grad


def test_the_same_loss_and_gradients() -> None:
    """In float32, so that rounding sends no token to another expert."""
    here, there = both()
    for (name, one), (_, other) in zip(gradients(here), gradients(there), strict=True):
        assert (one - other).norm() <= 1e-5 * one.norm(), name


@pytest.mark.long
def test_a_block_compiles_whole() -> None:
    """Once for all sparse layers; bfloat16 is all that the product over groups is compiled for."""
    here, there = both()
    graphs = CompileCounterWithBackend("aot_eager")
    for block in there.model.layers:
        block.compile(backend=graphs, fullgraph=True)
    one, other = (torch.cat([g.flatten() for _, g in gradients(made, short=True)]) for made in (here, there))
    assert (one - other).norm() <= 0.05 * one.norm()
    assert graphs.frame_count == 2  # the dense layer and the sparse ones


def test_clipping_is_told_of_a_little_more_than_the_largest_score() -> None:
    here, there = both()
    list(gradients(here)), list(gradients(there))
    for one, other in zip(here.attentions(), there.attentions(), strict=True):
        assert one.largest is not None and other.largest is not None
        over = other.largest - one.largest
        assert (over > -1e-5).all() and (over < torch.tensor(48.0).log()).all()


@pytest.mark.gpu
def test_a_gpu_finds_the_gradients_of_the_processor() -> None:
    here, _ = both()
    there = Network(here.config).cuda()
    there.load_state_dict(here.state_dict())
    for block in there.model.layers:
        block.compile()
    ids = torch.randint(256, (2, 48), generator=torch.Generator().manual_seed(1))
    for made, device in ((here, "cpu"), (there, "cuda")):
        with torch.autocast(device, dtype=torch.bfloat16, enabled=device == "cuda"):
            logits = made(ids.to(device), TEXTS)
        loss = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), ids.roll(-1, 1).flatten().to(device))
        loss.backward()  # type: ignore[no-untyped-call]
    for (name, one), other in zip(here.named_parameters(), there.parameters(), strict=True):
        assert one.grad is not None and other.grad is not None
        assert (one.grad - other.grad.cpu()).norm() <= 0.1 * one.grad.norm(), name
