"""A run's checkpoint: saved now and then, whole or not at all, and taken up only by the run that it belongs to."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import pickle
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from moonlet.model.folder import ModelFolder

Step = TypeVar("Step")
FREE = {"steps", "save_s"}  # settings that may be changed when a run goes on


class CheckpointError(Exception):
    """A checkpoint is that of another run, is damaged, or is being written by another process."""


@contextmanager
def held(run: Path) -> Iterator[None]:
    """The folder `run` is this process's alone: two that write one checkpoint leave halves of both. Raises OSError,
    CheckpointError."""
    run.mkdir(parents=True, exist_ok=True)
    with (run / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CheckpointError(f"{run}: another process trains here; wait for it, or stop it") from None
        except OSError:
            pass  # some file systems of clusters have no locks
        yield


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
    """Written beside and renamed: a kill leaves the old one or the new one. Raises OSError, and leaves no part then."""
    beside = path.with_suffix(".part")
    try:
        with beside.open("wb") as out:
            torch.save(dict(state), out)
        os.replace(beside, path)
    except BaseException as error:
        beside.unlink(missing_ok=True)
        if isinstance(error, RuntimeError) and isinstance(error.__context__, OSError):
            raise error.__context__ from None  # torch tells of a full disk in terms of its own
        raise


def same_source(
    run: Path, seed: int, data: Path | None, begun: ModelFolder | None, own: Path | None = None, share: float = 0.0
) -> None:
    """What a run reads and began from is written beside its checkpoint, in the folder `run`, and must be the same when
    it goes on: the checkpoint says only how much it has read. What it began from may not lie where its own model goes,
    beside `run`. Raises CheckpointError."""
    if begun and begun.path.resolve() in (run.parent.resolve(), run.parent.resolve() / "model"):
        raise CheckpointError(f"the run would replace the model that it starts from, {begun.path}: name another folder")
    path = run / "stream.json"
    told = {
        "seed": seed,
        "sets": sorted(one.name for one in data.iterdir() if one.is_dir()) if data else [],
        "start": hashlib.sha256((begun.path / "moonlet.json").read_bytes()).hexdigest() if begun else None,
    }
    if own:
        told |= {"trajectories": hashlib.sha256(own.read_bytes()).hexdigest(), "share": share}
    if not (run / "checkpoint.pt").exists():
        run.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(told), encoding="utf-8")
    elif path.exists() and (was := json.loads(path.read_text(encoding="utf-8"))) != told:
        names = [name for name in was | told if was.get(name) != told.get(name)]
        other = [f"{name} was {was.get(name)}, is {told.get(name)}" for name in names]
        raise CheckpointError(f"{run} is a run of other conversations: {'; '.join(other)}")


def load(path: Path) -> dict[str, Any]:
    """What was written. Raises OSError, CheckpointError."""
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    except (RuntimeError, EOFError, ValueError, LookupError, pickle.UnpicklingError) as error:
        what = str(error)[:80] or type(error).__name__
        raise CheckpointError(f"{path} cannot be read ({what}); without it the run begins anew") from None
    return state


def read(path: Path, recipe: DataclassInstance, weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """What was written, for a run of this recipe whose network has these weights. Raises CheckpointError."""
    state = load(path)
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
