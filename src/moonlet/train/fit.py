"""Training from scratch on simulated conversations: steps, checkpoints, a line of progress."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from moonlet.model.config import ModelConfig
from moonlet.train import charts, checkpoint, record
from moonlet.train.feeding import Feed
from moonlet.train.muonclip import MuonClip
from moonlet.train.network import Network, sequence_balance
from moonlet.train.processes import Alone
from moonlet.train.rows import Batch, Rows


class UnevenError(Exception):
    """The rows of a step cannot be shared out evenly among the processes."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that a run depends on besides the architecture and the data."""

    steps: int = 3000
    rows: int = 4  # of a step
    length: int = 1024  # tokens of a row
    long_rows: int = 2  # in the last part of the run
    long_length: int = 2048
    long_from: float = 0.9  # share of the run after which rows are long
    lr: float = 5e-3  # Muon's
    adam_share: float = 0.6
    warmup: int = 50  # steps
    decay_from: float = 0.6  # share of the run after which the learning rate falls linearly
    last_lr: float = 0.02  # share of `lr` at the end
    weight_decay: float = 0.1
    clip: float = 1.0  # largest gradient norm
    balance: float = 1e-3  # a step's move of a router bias
    sequence_balance: float = 1e-4  # weight of the balance term
    int4: bool = False  # experts compute as int4 will hold them
    save_s: float = 120.0  # between checkpoints
    seed: int = 0

    def lr_at(self, step: int) -> float:
        """Warm-up, constant, linear decay."""
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        start = self.decay_from * self.steps
        if step < start:
            return self.lr
        left = (self.steps - step) / (self.steps - start)
        return self.lr * (self.last_lr + (1 - self.last_lr) * left)

    def shape_at(self, step: int) -> tuple[int, int]:
        """Rows and their length."""
        late = step >= self.long_from * self.steps
        return (self.long_rows, self.long_length) if late else (self.rows, self.length)


@dataclass(frozen=True, slots=True)
class Progress:
    """What a step has to say."""

    step: int
    tokens: int  # read so far
    loss: float  # of the assistant's own tokens
    right: float  # share of them predicted
    gradient: float  # norm before clipping
    score: float  # largest attention score
    busiest: float  # busiest expert's load as a multiple of its share, in the worst layer
    lr: float
    tokens_per_s: float

    def __str__(self) -> str:
        told = f"{self.tokens / 1e6:.1f}M tokens, loss {self.loss:.3f}, right {self.right:.1%}"
        more = f"gradient {self.gradient:.2f}, score {self.score:.0f}, busiest {self.busiest:.1f}x"
        return f"{told}, {more}, {self.tokens_per_s:.0f} tokens/s"


def check_rows(recipe: Recipe, processes: int) -> None:
    """Raises UnevenError unless the rows of every step can be shared out evenly."""
    for rows in {recipe.shape_at(step)[0] for step in (0, recipe.steps - 1)}:
        if rows % processes:
            raise UnevenError(f"{rows} rows of a step do not share out evenly among {processes} processes: set rows")


class Run:
    """A training run in a folder: `checkpoint.pt`, `progress.csv` and its chart. Opened again it goes on from there.

    With several processes each has a run of its own on the same folder, and the first one writes. A checkpoint is whole
    whoever wrote it: another number of processes can go on from it.
    """

    def __init__(
        self,
        folder: Path,
        config: ModelConfig,
        recipe: Recipe,
        rows: Rows | Feed,
        processes: Alone | None = None,
    ) -> None:
        """Raises CheckpointError if the folder has a run of another recipe, or of a network of other sizes."""
        torch.manual_seed(recipe.seed)
        self.folder, self.config, self.recipe = folder, config, recipe
        self.processes = processes or Alone()
        self.network = Network(config)
        if recipe.int4:
            self.network.round_experts()
        self.processes.spread(self.network)
        if self.network.cosine.is_cuda:
            for block in self.network.model.layers:
                block.compile()
        self.optimiser = self._optimiser()
        self.rows = rows
        self.step = 0
        self.tokens = 0
        # Of each sparse layer's experts in the last step, as multiples of an even share.
        self.loads: list[list[float]] = []
        folder.mkdir(parents=True, exist_ok=True)
        if self.checkpoint.exists():
            self._resume()
        self.processes.wait()  # for those that still read
        if self.processes.first:
            record.cut(self.record, self.step)

    def _optimiser(self) -> MuonClip:
        recipe = self.recipe
        return MuonClip(self.network, recipe.lr, recipe.weight_decay, recipe.adam_share, self.processes)

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    @property
    def record(self) -> Path:
        return self.folder / "progress.csv"

    def steps(self) -> Generator[Progress, None, None]:
        """Trains to the end, a step each time. Saves now and then, at the end, and when the generator is closed."""
        self.network.train()
        if self.step < self.recipe.steps:
            with closing(charts.Board(self.folder, self.step, self.processes.first)) as board:
                steps = self._steps(board)
                yield from checkpoint.saving(steps, self.save, self.recipe.save_s, self.processes.agree)

    def _steps(self, board: charts.Board) -> Iterator[Progress]:
        while self.step < self.recipe.steps:
            progress = self._train_step()
            if self.processes.first:
                record.append(self.record, progress)
                board.add(progress)
            yield progress

    def _train_step(self) -> Progress:
        start = time.monotonic()
        everyone = self.processes
        batch = self.rows.batch(*self.recipe.shape_at(self.step))
        part = everyone.part(batch)
        loss, right = supervised_loss(self.network, part)
        real = torch.from_numpy(part.real).to(self.network.cosine.device)
        # What this process's mean counts in the mean of all, of which the gradients' is taken.
        share = everyone.count * float(part.weights.sum()) / float(batch.weights.sum())
        total = loss * share + self.recipe.sequence_balance * sequence_balance(self.network, real)
        total.backward()  # type: ignore[no-untyped-call]
        norm = everyone.clip(self.network, self.recipe.clip)
        lr = self.recipe.lr_at(self.step)
        # A step that would destroy the weights is left out.
        scores = self.optimiser.step(lr) if math.isfinite(norm) else [0.0]
        self.optimiser.zero_grad()
        loads = []
        for layer in self.network.sparse_layers():
            load = everyone.total(layer.loads(real).sum(0))
            loads.append(load / load.mean())
            layer.gate.balance(self.recipe.balance, load)
        self.loads = torch.stack(loads).tolist() if loads else []
        busiest = max((max(one) for one in self.loads), default=0.0)
        self.step += 1
        self.tokens += batch.weights.size
        told = torch.tensor([loss.item() * share / everyone.count, right * part.written.sum() / batch.written.sum()])
        mean, hit = everyone.total(told.double()).tolist()
        speed = batch.weights.size / (time.monotonic() - start)
        return Progress(self.step, self.tokens, mean, hit, norm, max(scores), busiest, lr, speed)

    def save(self) -> None:
        """The checkpoint and the chart of now, by the first process; all take part."""
        state: dict[str, Any] = {
            "network": self.processes.whole(self.network.state_dict()),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "tokens": self.tokens,
            "taken": self.rows.taken,
            "recipe": asdict(self.recipe),
        }
        if self.processes.first:
            checkpoint.write(self.checkpoint, state)
            charts.draw(self.record, self.loads)

    def _resume(self) -> None:
        state = checkpoint.read(self.checkpoint, self.recipe, self.network.state_dict())
        self.processes.load(self.network, state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.tokens = state["step"], state["tokens"]
        self.rows.skip(state["taken"])


def supervised_loss(network: Network, batch: Batch) -> tuple[Tensor, float]:
    """Weighted cross-entropy, and how often the assistant's own tokens are predicted."""
    device = network.cosine.device
    ids = torch.from_numpy(batch.ids).to(device)
    every = torch.from_numpy(batch.weights).to(device)
    counts = every > 0
    weights, next_ids = every[counts], ids[:, 1:][counts]
    with torch.autocast(device.type, dtype=torch.bfloat16):
        logits = network(ids[:, :-1], batch.texts, counts)
    each = F.cross_entropy(logits.float(), next_ids, reduction="none")
    written = torch.from_numpy(batch.written).to(device)[counts]
    right = float((logits[written].argmax(-1) == next_ids[written]).float().mean())
    return (each * weights).sum() / weights.sum(), right
