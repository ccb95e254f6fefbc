"""What MuonClip, QK-Clip and more experts do, on networks small enough for a processor: runs, their data, pictures.

python -m bench.ablations run FOLDER [NAME ...]      the runs, or those named; a stopped one goes on where it was
python -m bench.ablations draw FOLDER docs/training   CSV and SVG of what has been run to its end

Every run reads the same conversations in the same order (per seed), one row of 384 tokens a step, in one thread. Run it
as `nice -n 19`; a signal stops it between two steps.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from moonlet.chat.tokenizer import Tokenizer
from moonlet.model.config import ModelConfig, parse_config
from moonlet.train import nano
from moonlet.train.curves import Line, picture, smooth
from moonlet.train.data import conversations
from moonlet.train.export import TOKENIZER_FILES
from moonlet.train.fit import Recipe, Run
from moonlet.train.muonclip import THRESHOLD, MuonClip, qk_clip
from moonlet.train.network import Network
from moonlet.train.rows import Rows
from moonlet.train.telling import train
from moonlet.train.vocabulary import texts, train_vocabulary

PIECES = 1000
SIZES = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 128}
INNER = {"kv_lora_rank": 32, "qk_nope_head_dim": 16, "qk_rope_head_dim": 16, "v_head_dim": 32}
ENDS = {"moe_intermediate_size": 32, "vocab_size": PIECES + 32, "bos_token_id": PIECES, "eos_token_id": PIECES + 2}
SMOOTH = 15  # steps on either side


@dataclass(frozen=True, slots=True)
class Setting:
    """What one run has of its own."""

    seed: int = 1  # of the weights and the conversations
    experts: int = 8  # of which a token uses two
    adamw: bool = False
    lr: float = 5e-3
    decay: float = 0.1
    threshold: float = THRESHOLD  # of QK-Clip
    steps: int = 400
    warmup: int = 20
    decay_from: float = 0.6


FAST = Setting(lr=0.2, decay=0.0, steps=60, warmup=5, decay_from=1.0)  # forty times too fast: scores run away
NEVER = 1e9  # a threshold that no score reaches
# AdamW at the rate that MuonClip's AdamW part has, and on either side of it: it shall not be held back by its rate.
RUNS: Mapping[str, Setting] = {
    "muonclip-1": Setting(),
    "adamw-1": Setting(adamw=True, lr=3e-3),
    "clipped": FAST,
    "unclipped": replace(FAST, threshold=NEVER),
    "experts-2": Setting(experts=2),
    "experts-32": Setting(experts=32),
    "muonclip-2": Setting(seed=2),
    "adamw-2": Setting(seed=2, adamw=True, lr=3e-3),
    "adamw-1-slow": Setting(adamw=True, lr=1e-3),
    "adamw-1-fast": Setting(adamw=True, lr=8e-3),
    "experts-2-2": Setting(seed=2, experts=2),
    "experts-32-2": Setting(seed=2, experts=32),
}


class AdamWClip(MuonClip):
    """AdamW for every weight, and QK-Clip after it: what is compared is the optimiser alone."""

    def __init__(self, network: Network, lr: float, decay: float, threshold: float) -> None:
        super().__init__(network, lr, decay, 1.0, threshold=threshold)
        self.adam = torch.optim.AdamW(network.parameters(), lr, betas=(0.9, 0.95), weight_decay=decay)

    def step(self, lr: float) -> list[float]:
        for group in self.adam.param_groups:
            group["lr"] = lr
        self.adam.step()
        return qk_clip(self.network, self.threshold)


class Ablation(Run):
    """A run with an optimiser of its setting."""

    def __init__(self, folder: Path, setting: Setting, tokenizer: Tokenizer) -> None:
        self.setting = setting
        recipe = Recipe(
            steps=setting.steps,
            rows=1,
            length=384,
            long_from=1.0,
            lr=setting.lr,
            warmup=setting.warmup,
            decay_from=setting.decay_from,
            weight_decay=setting.decay,
            save_s=60.0,
            seed=setting.seed,
        )
        super().__init__(folder, config(setting.experts), recipe, Rows(conversations(setting.seed), tokenizer))

    def _optimiser(self) -> MuonClip:
        one, recipe = self.setting, self.recipe
        if one.adamw:
            return AdamWClip(self.network, one.lr, one.decay, one.threshold)
        return MuonClip(self.network, one.lr, one.decay, recipe.adam_share, threshold=one.threshold)


def config(experts: int) -> ModelConfig:
    raw: dict[str, Any] = nano.CONFIG | SIZES | INNER | ENDS | {"n_routed_experts": experts}
    return parse_config(raw)


def main() -> int:
    match sys.argv[1:]:
        case ["run", folder, *names]:
            return run(Path(folder), names or list(RUNS))
        case ["draw", folder, target]:
            return draw(Path(folder), Path(target))
    print(__doc__, file=sys.stderr)
    return 2


def run(folder: Path, names: Sequence[str]) -> int:
    torch.set_num_threads(1)
    out = Console(stderr=True, highlight=False, soft_wrap=True)
    if not all((folder / name).exists() for name in TOKENIZER_FILES):
        train_vocabulary(texts(islice(conversations(5), 80)), folder, PIECES)
    tokenizer = Tokenizer.load(folder)
    for name in names:
        one = Ablation(folder / name, RUNS[name], tokenizer)
        if one.step == one.recipe.steps:
            continue
        out.print(f"{name}: {RUNS[name]}")
        if not train(one, out):
            out.print(f"{name}: stopped at step {one.step}; the same command goes on")
            return 130
    return 0


@dataclass(frozen=True, slots=True)
class Steps:
    """The record of a run that is through."""

    name: str
    rows: Sequence[Mapping[str, str]]

    def line(self, column: str, beside: int = 0) -> Line:
        return Line(self.name, smooth([(float(row["step"]), float(row[column])) for row in self.rows], beside))

    @property
    def last_loss(self) -> float:
        """The mean of the last 50 steps: one row a step is few."""
        rows = self.rows[-50:]
        return sum(float(row["loss"]) for row in rows) / len(rows)


def draw(folder: Path, target: Path) -> int:
    target.mkdir(parents=True, exist_ok=True)
    done = [steps for name in RUNS if (steps := read(folder, name))]
    with (target / "ablations.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["run", "step", "tokens", "loss", "score", "busiest"])
        for one in done:
            for row in one.rows[9::10]:
                writer.writerow([one.name, *(row[key] for key in ("step", "tokens", "loss", "score", "busiest"))])
    pictures = {
        "optimisers": ("muonclip", "adamw"),
        "qk-clip": ("clipped", "unclipped"),
        "experts": ("experts", "muon"),
    }
    for picture_name, starts in pictures.items():
        shown = [one for one in done if one.name.startswith(starts)]
        panels = {
            f"loss, mean of {2 * SMOOTH + 1} steps": [one.line("loss", SMOOTH) for one in shown],
            "largest attention score": [one.line("score") for one in shown],
        }
        (target / f"{picture_name}.svg").write_text(picture(panels, [one.name for one in shown]), encoding="utf-8")
    for one in done:
        most = max(float(row["score"]) for row in one.rows)
        print(f"| {one.name} | {len(one.rows)} | {one.last_loss:.3f} | {most:.0f} |")
    return 0


def read(folder: Path, name: str) -> Steps | None:
    path = folder / name / "progress.csv"
    if not path.exists():
        return None
    with path.open() as file:
        rows = list(csv.DictReader(file))
    return Steps(name, rows) if len(rows) == RUNS[name].steps else None


if __name__ == "__main__":
    sys.exit(main())
