"""The small comparisons of optimisers: AdamW in MuonClip's place, and what is drawn of runs that are through."""

from __future__ import annotations

import csv
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import torch
from bench import ablations

from moonlet.chat.tokenizer import Tokenizer
from moonlet.train.data import conversations
from moonlet.train.network import Network
from moonlet.train.vocabulary import texts, train_vocabulary


def test_adamw_moves_every_weight_and_clips() -> None:
    torch.manual_seed(0)
    network = Network(ablations.config(2))
    optimiser = ablations.AdamWClip(network, 1e-3, 0.0, 100.0)
    moved = {id(weight) for group in optimiser.adam.param_groups for weight in group["params"]}
    assert moved == {id(weight) for weight in network.parameters()}
    network.attentions()[0].largest = torch.tensor([400.0, 1.0])
    before = network.attentions()[0].q_proj.weight.detach().clone()
    assert optimiser.step(1e-3)[0] == 400.0
    after = network.attentions()[0].q_proj.weight.detach()
    half = network.config.head
    assert torch.allclose(after[:16], before[:16] / 2) and torch.equal(after[half:], before[half:])


def test_more_experts_leave_the_active_parameters_as_they_are() -> None:
    def active(experts: int) -> int:
        network = Network(ablations.config(experts))
        return sum(w.numel() if "experts." not in name or "shared" in name else 2 * w[0].numel()
                   for name, w in network.named_parameters() if "gate.weight" not in name)  # fmt: skip

    assert active(2) == active(8) == active(32)


def test_only_runs_that_are_through_are_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, steps in (("muonclip-1", 400), ("adamw-1", 399), ("unclipped", 60)):
        (tmp_path / name).mkdir()
        with (tmp_path / name / "progress.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["step", "tokens", "loss", "score", "busiest"])
            writer.writerows([step, 384 * step, 2.5, step, 1.5] for step in range(1, steps + 1))
    assert ablations.draw(tmp_path, tmp_path / "out") == 0
    assert capsys.readouterr().out == "| muonclip-1 | 400 | 2.500 | 400 |\n| unclipped | 60 | 2.500 | 60 |\n"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "ablations.csv", "optimisers.svg", "qk-clip.svg", "experts.svg"
    }  # fmt: skip
    assert "adamw-1" not in (tmp_path / "out" / "optimisers.svg").read_text()


@pytest.mark.long
def test_scores_blow_up_without_the_clip_and_stay_at_the_threshold_with_it(tmp_path: Path) -> None:
    train_vocabulary(texts(islice(conversations(5), 80)), tmp_path, ablations.PIECES)
    torch.set_num_threads(1)
    highest = {}
    for name in ("clipped", "unclipped"):
        threshold = 20.0 if name == "clipped" else ablations.NEVER
        setting = replace(ablations.RUNS[name], steps=35, threshold=threshold)
        run = ablations.Ablation(tmp_path / name, setting, Tokenizer.load(tmp_path))
        highest[name] = [told.score for told in run.steps()]
    assert max(highest["unclipped"]) > 100
    # Told before each step's clip, so a step at this rate is seen to pass the threshold, and is brought back.
    assert 20 < max(highest["clipped"]) < 60
