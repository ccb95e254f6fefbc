"""Training that knows of int4: it rounds as the folder does, and what it learned survives the packing."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from moonlet import kernels
from moonlet.chat.tokenizer import Tokenizer
from moonlet.model.config import parse_config
from moonlet.model.convert import ConvertOptions, convert
from moonlet.train import nano
from moonlet.train.data import conversations
from moonlet.train.export import export
from moonlet.train.fit import Recipe, Run, supervised_loss
from moonlet.train.network import Network
from moonlet.train.restore import restore
from moonlet.train.rounding import rounded
from moonlet.train.rows import Batch, Rows
from moonlet.train.vocabulary import texts, train_vocabulary

torch.set_num_threads(1)
PIECES = 1000


@pytest.mark.parametrize("shape", [(40, 64), (33, 50), (8, 20)])
def test_it_rounds_as_the_folder_does(shape: tuple[int, int]) -> None:
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    weight[3] = 0
    packed = kernels.pack(weight.bfloat16().float().numpy(), "int4")  # a folder is made of a checkpoint in bf16
    assert np.array_equal(rounded(weight).numpy(), kernels.unpack(packed, "int4", *shape))
    assert torch.equal(rounded(weight[None].expand(3, -1, -1))[2], rounded(weight))


def test_the_gradient_passes_through() -> None:
    weight = torch.randn(4, 32, requires_grad=True)
    push = torch.randn(4, 32)
    (rounded(weight) * push).sum().backward()  # type: ignore[no-untyped-call]
    assert weight.grad is not None and torch.equal(weight.grad, push)


@pytest.mark.long
def test_an_int4_folder_keeps_the_loss_of_a_run_that_knew(tmp_path: Path) -> None:
    train_vocabulary(texts(islice(conversations(5), 80)), tmp_path, PIECES)
    words = Tokenizer.load(tmp_path)
    held_out = Rows(conversations(8), words).batch(4, 400)
    losses: dict[bool, tuple[float, float]] = {}
    for int4 in (False, True):
        folder = tmp_path / str(int4)
        recipe = Recipe(steps=30, rows=1, length=300, long_from=1.0, lr=2e-2, warmup=5, int4=int4)
        run = Run(folder / "run", parse_config(CONFIG), recipe, Rows(conversations(1), words))
        list(run.steps())
        with torch.no_grad():
            for weight in run.network.parameters():
                weight.copy_(weight.bfloat16())  # as its checkpoint holds it
        export(run.network, tmp_path, folder / "public")
        packed = convert(folder / "public", folder / "model", ConvertOptions(dense="f32", experts="int4")).folder
        goes_on = nano._recipe(nano._arguments(["further", "--start", str(packed.path)]), False, packed)
        assert goes_on.int4, "what is int4 stays it when it is trained further"
        again = Network(run.config)
        restore(again, packed)
        losses[int4] = loss(run.network, held_out), loss(again, held_out)
    moved = {int4: abs(packed - trained) for int4, (trained, packed) in losses.items()}
    assert moved[True] < 1e-4 and moved[False] > 10 * moved[True], losses


SIZES = {"vocab_size": PIECES + 32, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
WIDTHS = {"kv_lora_rank": 32, "qk_nope_head_dim": 16, "qk_rope_head_dim": 16, "v_head_dim": 32}
INNER = {"intermediate_size": 128, "n_routed_experts": 4, "moe_intermediate_size": 48, "n_shared_experts": 0}
CONFIG = nano.CONFIG | SIZES | WIDTHS | INNER | {"bos_token_id": PIECES, "eos_token_id": PIECES + 2}


@torch.no_grad()
def loss(network: Network, batch: Batch) -> float:
    network.eval()
    return float(supervised_loss(network, batch)[0])
