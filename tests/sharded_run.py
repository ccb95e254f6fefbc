"""What test_sharded.py runs, in one process and, by torchrun, in two: the verb, and a run that is left and taken up.

python -m torch.distributed.run --nproc_per_node 2 tests/sharded_run.py FOLDER WORDS
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import torch

from moonlet.chat.tokenizer import Tokenizer
from moonlet.cli import main
from moonlet.model.config import ModelConfig, parse_config
from moonlet.simulate import said
from moonlet.train import nano
from moonlet.train.data import conversations
from moonlet.train.export import TOKENIZER_FILES
from moonlet.train.fit import Recipe, Run
from moonlet.train.muonclip import orthogonalise, qk_clip
from moonlet.train.network import Network
from moonlet.train.processes import processes
from moonlet.train.rows import Rows
from moonlet.train.sharded import leave

PIECES = 1000
# Odd on purpose: 5 heads' rows and 3 experts cannot be shared out evenly between two.
SIZES = {
    "hidden_size": 60,
    "num_hidden_layers": 2,
    "num_attention_heads": 5,
    "kv_lora_rank": 32,
    "qk_nope_head_dim": 15,
}
INNER = {"v_head_dim": 16, "intermediate_size": 96, "n_routed_experts": 3, "moe_intermediate_size": 40}
ENDS = {"vocab_size": PIECES + 32, "bos_token_id": PIECES, "eos_token_id": PIECES + 2}
CONFIG: dict[str, Any] = nano.CONFIG | SIZES | INNER | ENDS
RECIPE = Recipe(steps=5, rows=2, length=300, long_from=1.0, warmup=1, decay_from=1.0)


def config() -> ModelConfig:
    return parse_config(CONFIG)


def through_the_verb(folder: Path, words: Path) -> None:
    """`moonlet train pretrain` with the small sizes."""
    nano.CONFIG, nano.RECIPE = CONFIG, RECIPE
    folder.mkdir(parents=True, exist_ok=True)
    for name in TOKENIZER_FILES:
        shutil.copyfile(words / name, folder / name)
    settings = folder / "settings.toml"
    settings.write_text(f'folder = "{folder}"\nseed = 1\n')
    assert main(["train", "pretrain", str(settings)]) == 0


def open_run(folder: Path, words: Path) -> Run:
    return Run(folder, config(), RECIPE, Rows(conversations(1), Tokenizer.load(words)), processes())


def in_two_parts(folder: Path, words: Path) -> None:
    """Three steps, then the rest in a run that is opened anew; what there was after three is kept beside."""
    run = open_run(folder, words)
    steps = run.steps()
    for _ in range(3):
        next(steps)
    steps.close()
    if run.processes.first:
        shutil.copytree(folder, folder.with_name("handed"))
    run.processes.wait()
    run = open_run(folder, words)
    list(run.steps())
    matrices_in_pieces(run.network)


def matrices_in_pieces(network: Network) -> None:
    """What is done to a matrix in pieces is to the bit what is done to it whole."""
    everyone = processes()
    whole = everyone.whole(network.state_dict())
    pieces: list[Any] = [weight.detach() for weight in network.parameters() if weight.ndim > 1]
    found: Any
    for piece, found in zip(pieces, everyone.each(orthogonalise, pieces), strict=True):
        expected = orthogonalise(piece.full_tensor())
        # Stacks of another size may be multiplied in another order.
        torch.testing.assert_close(found.full_tensor(), expected, atol=0.02 if piece.ndim > 2 else 0, rtol=0)
    for attention, largest in zip(network.attentions(), (70.0, 30.0), strict=True):
        # Each head's score is largest in another process, and only there over the threshold.
        attention.largest = torch.full((5,), largest * (1 + everyone.number))
    assert qk_clip(network, 100.0, everyone) == [140.0, 60.0]
    clipped = everyone.whole(network.state_dict())
    if everyone.first:
        alone = Network(network.config)
        alone.load_state_dict(whole)
        alone.attentions()[0].largest = torch.full((5,), 140.0)
        qk_clip(alone, 100.0)
        assert all(torch.equal(weight, clipped[name]) for name, weight in alone.state_dict().items())
        assert any(not torch.equal(weight, clipped[name]) for name, weight in whole.items())


if __name__ == "__main__":
    said.SHARE = 0.0  # as in test_sharded.py: without what somebody typed, so that the loss falls as it did
    torch.set_num_threads(1)
    place, words = map(Path, sys.argv[1:])
    os.environ["MOONLET_HOME"] = str(place / "home")
    through_the_verb(place / "verb", words)
    in_two_parts(place / "parts", words)
    leave(0)
