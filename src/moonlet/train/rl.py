"""From a model folder to a better one, by reinforcement learning in simulated worlds: what `moonlet train rl` does.

The folder of a run gets the vocabulary, `rl/` (checkpoint, records, rollouts that passed), and at the end `public/` and
`model/`, as every training does.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console

from moonlet.chat.constrain import CallConstraint, ChoiceError
from moonlet.chat.template import calls_tools
from moonlet.chat.tokenizer import Tokenizer
from moonlet.local import family_in, find
from moonlet.model.convert import ConvertOptions
from moonlet.model.folder import ModelFolder, open_folder
from moonlet.simulate.episode import Conversation
from moonlet.train.checkpoint import held, same_source
from moonlet.train.data import conversations
from moonlet.train.export import TOKENIZER_FILES
from moonlet.train.nano import finish
from moonlet.train.practice import Practice, Recipe
from moonlet.train.restore import restore
from moonlet.train.telling import train


class StartError(Exception):
    """A model from which reinforcement learning cannot begin."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Of a run, besides its recipe."""

    folder: Path
    start: str  # a model folder, or nano
    data: Path | None = None  # public sets, for the supervised rows
    threads: int = 1


def main(settings: Settings, recipe: Recipe) -> int:
    """Trains, or goes on. Returns 130 where it was stopped before the end, which the next call takes up.

    Raises StartError and CheckpointError before anything is written, RolloutError if the engine fails.
    """
    torch.set_num_threads(settings.threads)
    begun = open_folder(find(settings.start))
    check(begun, recipe)
    with held(settings.folder / "rl"):
        return _train(settings, recipe, begun)


def _train(settings: Settings, recipe: Recipe, begun: ModelFolder) -> int:
    out = Console(stderr=True, highlight=False, soft_wrap=True)
    folder = settings.folder
    same_source(folder / "rl", recipe.seed, settings.data, begun)
    if not (folder / "rl" / "checkpoint.pt").exists():  # else the run has its vocabulary
        for name in TOKENIZER_FILES:
            shutil.copyfile(begun.path / name, folder / name)
    formats = ConvertOptions(begun.formats.dense, begun.formats.experts)
    kept: Iterator[Conversation] = conversations(recipe.seed, settings.data)
    run = Practice(folder / "rl", begun.config, recipe, kept, folder, formats, settings.threads, family_in(begun))
    if run.step == 0:
        restore(run.network, begun)
    if not train(run, out):
        out.print(f"stopped at step {run.step} of {recipe.steps}; the same command goes on from there")
        return 130
    report = finish(run.network, folder, formats)
    out.print(f"{report.folder.path}: {report.bytes / 1e6:.1f} MB; moonlet run {report.folder.path}")
    return 0


def check(start: ModelFolder, recipe: Recipe) -> None:
    """Raises StartError unless the model can call tools and read the recipe's rows; TemplateError, TokenizerError if it
    has no form of talk."""
    family, most = family_in(start), start.config.max_positions
    if not calls_tools(family):
        raise StartError(f"{start.path}: {family} models do not call tools, and rl is made of tasks with tools")
    if recipe.length >= most:
        raise StartError(f"{start.path} reads {most} tokens, a row of length {recipe.length} has one more")
    try:
        CallConstraint(Tokenizer.load(start.path), (), family=family)
    except ChoiceError as error:
        raise StartError(f"{start.path}: {error}; rl is made of tasks with tools") from None
