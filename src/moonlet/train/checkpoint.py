"""A run's checkpoint: saved now and then, whole or not at all, and taken up only by the run that it belongs to."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Step = TypeVar("Step")
FREE = {"steps", "save_s"}  # settings that may be changed when a run goes on


class CheckpointError(Exception):
    """A checkpoint is that of another run."""


def saving(
    steps: Iterator[Step], save: Callable[[], None], every_s: float, agree: Callable[[bool], bool] = bool
) -> Generator[Step, None, None]:
    """The steps. Saves every so many seconds, at the end, and when the generator is closed.

    `agree` says whether all processes save, given whether this one would; it is asked after every step.
    """
    saved = time.monotonic()
    for step in steps:
        if agree(time.monotonic() - saved > every_s):
            save()
            saved = time.monotonic()
        try:
            yield step
        except GeneratorExit:
            # Only here, between two steps: what interrupts a step would leave half of it in the checkpoint.
            save()
            raise
    save()


def write(path: Path, state: Mapping[str, Any]) -> None:
    """Written beside and renamed: a kill leaves the old one or the new one."""
    beside = path.with_suffix(".part")
    torch.save(dict(state), beside)
    os.replace(beside, path)


def read(path: Path, recipe: DataclassInstance, weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """What was written, for a run of this recipe whose network has these weights. Raises CheckpointError."""
    state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    # A setting that is younger than the checkpoint was at its default.
    was, now = {**asdict(type(recipe)()), **state["recipe"]}, asdict(recipe)
    other = [f"{name} was {was[name]}, is {now[name]}" for name in now if name not in FREE and was[name] != now[name]]
    if other:
        raise CheckpointError(f"{path} is of a run with another recipe: {'; '.join(other)}")
    sizes = {name: tuple(weight.shape) for name, weight in state["network"].items()}
    for name, weight in weights.items():
        if sizes.pop(name, None) != tuple(weight.shape):
            raise CheckpointError(f"{path} is of a model of other sizes: {name} is not {tuple(weight.shape)} there")
    if sizes:
        raise CheckpointError(f"{path} is of a model of other sizes: it has {next(iter(sizes))}, this one has not")
    return state
