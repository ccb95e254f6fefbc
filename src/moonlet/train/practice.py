"""Reinforcement learning in simulated worlds: rollouts with the weights of now, a step on what they earned, and again.

A step: new tasks, several attempts at each, played by our engine (`rollouts`); attempts that are not through wait for
the next step. Of the groups that are over, those whose attempts earned differently go through `reinforce`, beside a
row of supervised conversations, so that what was learned before stays. Groups that all passed or all failed teach
nothing: against their mean every reward is 0.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, fields
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from moonlet.chat.messages import Message, ToolSpec
from moonlet.chat.template import Family
from moonlet.chat.tokenizer import Tokenizer
from moonlet.engine.engine import EngineOptions
from moonlet.llm import LLM, PLAIN, Event, LLMError, ReplyOptions, TooLongError
from moonlet.local import Local
from moonlet.model.config import ModelConfig
from moonlet.model.convert import ConvertOptions
from moonlet.simulate.domains.every import DOMAINS
from moonlet.simulate.domains.locale import LANGUAGES, Language
from moonlet.simulate.episode import Conversation
from moonlet.simulate.keys import stream, suite
from moonlet.simulate.rollout import Trajectory, rollout
from moonlet.simulate.tasks import KINDS, Key, TaskKind
from moonlet.train import checkpoint, record
from moonlet.train.fit import supervised_loss
from moonlet.train.muonclip import MuonClip
from moonlet.train.network import Network
from moonlet.train.reinforce import Drift, group_loss, row
from moonlet.train.rollouts import Attempt, Draws, Group, Play, RolloutError, advance, budget, served
from moonlet.train.rows import Rows
from moonlet.train.waiting import from_state, to_state

MOST = 1e9  # of a setting that is no whole number
LEAST_LENGTH = 256  # tokens of a supervised row: fewer hold no turn of most conversations


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that a run depends on besides the weights it begins with and the supervised data."""

    steps: int = 60
    tasks: int = 8  # begun in a step
    attempts: int = 8  # at each
    domains: tuple[str, ...] = ()  # none: all
    kinds: tuple[TaskKind, ...] = ()
    languages: tuple[Language, ...] = ("en",)
    evolved: float = 0.5  # share of tasks with tools declared anew
    temperature: float = 1.0  # of the first step
    last_temperature: float = 0.7  # of the last; in between it falls evenly
    slice: int = 256  # tokens that an attempt writes in a step; the rest in the next
    budget: float = 2.0  # tokens that an attempt may write, as a multiple of what the right way takes
    spare: int = 24  # and so many more
    penalty: float = 0.5  # for an attempt that was cut at its budget
    tau: float = 0.1  # how strongly the policy is held near the one that was drawn from
    updates: int = 1  # of the weights, in a step: its groups are shared out among them
    supervised: float = 0.1  # weight of the supervised loss
    length: int = 1024  # tokens of the supervised row
    lr: float = 3e-4  # Muon's
    adam_share: float = 0.6
    warmup: int = 3  # steps
    last_lr: float = 0.2  # share of `lr` at the end, to which it falls evenly
    clip: float = 1.0  # largest gradient norm
    try_every: int = 10  # steps between two trials on held-out tasks
    trials: int = 100  # held-out tasks of a trial
    save_s: float = 120.0  # between checkpoints
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"steps": 1, "tasks": 1, "attempts": 2, "slice": 1, "spare": 1, "updates": 1, "try_every": 1}
        least |= {"trials": 1, "length": LEAST_LENGTH}
        for name, value in least.items():
            if getattr(self, name) < value:
                raise ValueError(f"{name} must be at least {value}, got {getattr(self, name)}")
        for name, known in (("domains", DOMAINS), ("kinds", KINDS), ("languages", LANGUAGES)):
            for one in getattr(self, name):
                if one not in known:
                    raise ValueError(f"{name}: {one!r} is none of {', '.join(known)}")
        if not self.languages:
            raise ValueError("languages must name one at least")
        for name in ("temperature", "last_temperature", "tau", "lr", "clip"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        for one in fields(self):
            most = 1.0 if one.name == "evolved" else MOST
            if one.type == "float" and not 0 <= getattr(self, one.name) <= most:
                raise ValueError(f"{one.name} must be between 0 and {most:g}, got {getattr(self, one.name)}")

    def lr_at(self, step: int) -> float:
        """Warm-up, then an even fall."""
        warm = min(1.0, (step + 1) / max(self.warmup, 1))
        return self.lr * warm * _between(1.0, self.last_lr, step / self.steps)

    def temperature_at(self, step: int) -> float:
        """From the first step's to the last step's, evenly."""
        return _between(self.temperature, self.last_temperature, step / max(self.steps - 1, 1))


def _between(first: float, last: float, share: float) -> float:
    return first + (last - first) * share


@dataclass(frozen=True, slots=True)
class Progress:
    """What a step has to say. Rewards, shares and lengths are of the attempts whose groups were over."""

    step: int
    groups: int
    useful: int  # of them, with attempts that earned differently
    reward: float
    goal: float  # share that passed
    cut: float  # share cut at the budget
    length: float  # tokens that an attempt wrote
    waiting: int  # attempts that go on in the next step
    kl: float  # of a choice, between the policy that is trained and the one that drew
    ratio: float  # mean size of an attempt's log ratio
    loss: float
    supervised: float
    gradient: float  # norm before clipping, the largest of the updates
    score: float  # largest attention score
    lr: float
    temperature: float
    rollouts_s: float
    updates_s: float

    def __str__(self) -> str:
        told = f"goal {self.goal:.1%}, reward {self.reward:.3f}, {self.length:.0f} tokens, {self.cut:.0%} cut"
        return f"{told}, {self.useful} of {self.groups} groups of use, kl {self.kl:.4f}, gradient {self.gradient:.2f}"


@dataclass(frozen=True, slots=True)
class Trial:
    """Held-out tasks, each done once with the likeliest tokens."""

    step: int
    tasks: int
    passed: int
    length: float  # tokens that a task took


class Practice:
    """A run in a folder: `checkpoint.pt`, `progress.csv`, `trials.csv`, and in `passed/` one rollout of each group and
    step that passed, to be read and replayed. Opening it again goes on where it stopped."""

    def __init__(
        self,
        folder: Path,
        config: ModelConfig,
        recipe: Recipe,
        conversations: Iterator[Conversation],
        tokenizer: Path,
        formats: ConvertOptions,
        threads: int = 1,
        family: Family = "moonlet",
        play: Play = rollout,
    ) -> None:
        """`tokenizer`: the folder of its files; `formats`: those that the model is packed in, for rollouts too;
        `family`: in whose form the supervised rows are written.

        Raises CheckpointError if the folder has a run of another recipe, or of a network of other sizes.
        """
        torch.manual_seed(recipe.seed)
        self.folder, self.recipe, self.tokenizer, self.formats = folder, recipe, tokenizer, formats
        self.network = Network(config)
        if formats.experts == "int4":  # else what is learned would not be what is played
            self.network.round_experts()
        self.optimiser = MuonClip(self.network, recipe.lr, 0.0, recipe.adam_share)
        self.rows = Rows(conversations, Tokenizer.load(tokenizer), family)
        self.engine = EngineOptions(threads=threads)
        self.step = 0
        self.waiting: list[Group] = []
        self._play = play
        folder.mkdir(parents=True, exist_ok=True)
        if self.checkpoint.exists():
            self._resume()
        record.cut(self.folder / "progress.csv", self.step)
        # A trial is of the weights before its step. Before the first checkpoint they may have been others.
        record.cut(self.trials, self.step or -1)
        r = recipe
        tasks = stream(r.seed, r.domains, r.kinds, r.languages, evolved=r.evolved)
        self._tasks = islice(tasks, self.step * r.tasks, None)

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    @property
    def trials(self) -> Path:
        return self.folder / "trials.csv"

    def steps(self) -> Generator[Progress, None, None]:
        """Goes on to the end, a step each time. Saves now and then, at the end, and when the generator is closed.

        Raises RolloutError if the engine fails.
        """
        return checkpoint.saving(self._steps(), self.save, self.recipe.save_s)

    def _steps(self) -> Iterator[Progress]:
        while self.step < self.recipe.steps:
            progress = self._step()
            record.append(self.folder / "progress.csv", progress)
            yield progress
        if not record.has(self.trials, self.step):
            with self._served() as model:
                self._try(model)

    def _step(self) -> Progress:
        begun = time.monotonic()
        temperature = self.recipe.temperature_at(self.step)
        with self._served() as model:
            if self.step % self.recipe.try_every == 0 and not record.has(self.trials, self.step):
                self._try(model)
            draws = Draws(temperature, self.recipe.slice, self.recipe.penalty, self.recipe.seed + self.step)
            groups = advance(model, [*self.waiting, *self._begin(model)], self._play, draws)
        over, self.waiting = [one for one in groups if one.over], [one for one in groups if not one.over]
        useful = [one for one in over if len({attempt.reward for attempt in one.attempts}) > 1]
        rolled = time.monotonic()
        lr = self.recipe.lr_at(self.step)
        updates = [self._update(part, lr) for part in _shared_out(useful, self.recipe.updates)]
        self.step += 1
        self._keep(over)
        attempts = [one for group in over for one in group.attempts]
        drifts = [drift for update in updates for drift in update.drifts]
        choices = sum(one.choices for one in drifts)
        return Progress(
            self.step,
            len(over),
            len(useful),
            _mean([one.reward for one in attempts]),
            _mean([float(one.trajectory.verdict.passed) for one in attempts if one.trajectory]),
            _mean([float(one.cut) for one in attempts]),
            _mean([float(one.tokens) for one in attempts]),
            sum(not one.trajectory for group in self.waiting for one in group.attempts),
            sum(one.kl * one.choices for one in drifts) / max(choices, 1),
            _mean([one.ratio for one in drifts]),
            _mean([one.loss for one in updates]),
            _mean([one.supervised for one in updates]),
            max((one.gradient for one in updates), default=0.0),
            max((one.score for one in updates), default=0.0),
            lr,
            temperature,
            rolled - begun,
            time.monotonic() - rolled,
        )

    def _served(self) -> AbstractContextManager[Local]:
        return served(self.network, self.tokenizer, self.formats, self.engine, self.folder)

    def _begin(self, model: Local) -> list[Group]:
        r = self.recipe
        attempts = tuple(Attempt(number) for number in range(r.attempts))
        return [Group(key, budget(model, key, r.budget, r.spare), attempts) for key in islice(self._tasks, r.tasks)]

    def _update(self, groups: Sequence[Group], lr: float) -> Update:
        """One step of the optimiser."""
        losses, drifts, supervised = [], [], 0.0
        highest: list[Tensor | None] = [None] * self.network.config.layers
        self.network.eval()  # the routers' biases stay as they are, and nobody counts their loads
        for group in groups:
            loss, drift = group_loss(self.network, row(group, self.network.config.vocab), self.recipe.tau)
            (loss / len(groups)).backward()  # type: ignore[no-untyped-call]
            losses.append(loss.item())
            drifts.append(drift)
            highest = self._highest(highest)
        if self.recipe.supervised:
            kept, _ = supervised_loss(self.network, self.rows.batch(1, self.recipe.length))
            (self.recipe.supervised * kept).backward()  # type: ignore[no-untyped-call]
            supervised = kept.item()
            highest = self._highest(highest)
        for attention, largest in zip(self.network.attentions(), highest, strict=True):
            attention.largest = largest  # QK-Clip looks at the whole step
        norm = float(torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip))
        # A step that would destroy the weights is left out.
        scores = self.optimiser.step(lr) if math.isfinite(norm) else [0.0]
        self.optimiser.zero_grad()
        return Update(_mean(losses), supervised, norm, max(scores), tuple(drifts))

    def _highest(self, before: Sequence[Tensor | None]) -> list[Tensor | None]:
        """Each head's largest attention score so far."""
        now = [attention.largest for attention in self.network.attentions()]
        return [a if b is None else b if a is None else torch.maximum(a, b) for a, b in zip(before, now, strict=True)]

    def _try(self, model: Local) -> None:
        r = self.recipe
        keys = suite(r.trials, r.seed, r.domains, r.kinds, r.languages, evolved=r.evolved)
        done = try_out(model, keys, self._play)
        length = _mean([float(one.usage.output_tokens) for one in done])
        trial = Trial(self.step, len(done), sum(one.verdict.passed for one in done), length)
        record.append(self.trials, trial)

    def _keep(self, groups: Sequence[Group]) -> None:
        """One passed rollout of each group, in a file of the step."""
        lines = []
        for group in groups:
            passed = [one.trajectory for one in group.attempts if one.trajectory and one.trajectory.verdict.passed]
            lines += [one.line() for one in passed[:1]]
        folder = self.folder / "passed"
        folder.mkdir(exist_ok=True)
        (folder / f"{self.step:04}.jsonl").write_text("".join(line + "\n" for line in lines), encoding="utf-8")

    def save(self) -> None:
        """The checkpoint of now."""
        state: dict[str, Any] = {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "taken": self.rows.taken,
            "waiting": to_state(self.waiting),
            "recipe": asdict(self.recipe),
        }
        checkpoint.write(self.checkpoint, state)

    def _resume(self) -> None:
        state = checkpoint.read(self.checkpoint, self.recipe, self.network.state_dict())
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = state["step"]
        self.waiting = from_state(state["waiting"])
        self.rows.skip(state["taken"])


@dataclass(frozen=True, slots=True)
class Update:
    """What one step of the optimiser came to."""

    loss: float
    supervised: float
    gradient: float
    score: float
    drifts: tuple[Drift, ...]


def try_out(model: LLM, keys: Sequence[Key], play: Play = rollout, workers: int = 16) -> list[Trajectory]:
    """Each task once, as the product would do it: with the likeliest tokens. Raises RolloutError: the engine failed."""

    def once(key: Key) -> Trajectory:
        heard = Heard(model)
        trajectory = play(key, heard)
        if heard.failure:
            raise RolloutError(f"{key}: {trajectory.end}")
        return trajectory

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(once, keys))


class Heard:
    """A model, and whether it failed otherwise than by what was said getting longer than its context."""

    def __init__(self, model: LLM) -> None:
        self.name = model.name
        self.failure: LLMError | None = None
        self._model = model

    def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = (), options: ReplyOptions = PLAIN
    ) -> Iterator[Event]:
        """As `moonlet.llm.LLM` says."""
        try:
            yield from self._model.reply(messages, tools, options)
        except TooLongError:
            raise  # the model talked too long: the task has failed, the engine has not
        except LLMError as error:
            self.failure = error
            raise


def _shared_out(groups: Sequence[Group], parts: int) -> list[Sequence[Group]]:
    return [part for start in range(parts) if (part := groups[start::parts])]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
