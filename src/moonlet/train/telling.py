"""A run to its end, told as it goes: a bar on a terminal, lines elsewhere; a signal stops it between two steps."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

LINE_S = 30.0  # between lines where there is no terminal


class Told(Protocol):
    """What a step has to say; `str` of it is a line."""

    @property
    def step(self) -> int: ...


class Stepped(Protocol):
    """A run in steps, of which there are `recipe.steps`."""

    recipe: Any
    step: int

    def steps(self) -> Generator[Told, None, None]:
        """Goes on to the end; saves when it is closed."""
        ...


def train(run: Stepped, out: Console, agree: Callable[[bool], bool] = bool) -> bool:
    """Steps to the end, told as they go; False if a signal asked to stop, which is done between two steps.

    `agree` says whether all stop, given whether this process was asked to; it is asked after every step.
    """
    asked_to_stop = False

    def stop(number: int, frame: object) -> None:
        nonlocal asked_to_stop
        asked_to_stop = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    steps = run.steps()
    try:
        with _told(run, out) as tell:
            for progress in steps:
                tell(progress)
                if agree(asked_to_stop):
                    break
    finally:
        steps.close()  # saves
        for number, handler in before.items():
            signal.signal(number, handler)
    return bool(run.step >= run.recipe.steps)


@contextmanager
def _told(run: Stepped, out: Console) -> Iterator[Callable[[Told], None]]:
    """Gives a function to be told of every step."""
    if not out.is_terminal:
        yield _lines(run.recipe.steps, out)
        return
    columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=out) as bar:
        task = bar.add_task("", total=run.recipe.steps, completed=run.step)
        yield lambda told: bar.update(task, completed=told.step, description=str(told))


def _lines(steps: int, out: Console) -> Callable[[Told], None]:
    begun, first, last = time.monotonic(), -1, 0.0

    def tell(told: Told) -> None:
        nonlocal first, last
        now = time.monotonic()
        first = told.step - 1 if first < 0 else first
        if told.step < steps and now - last < LINE_S:
            return
        last = now
        left = (now - begun) / (told.step - first) * (steps - told.step)
        out.print(f"step {told.step} of {steps}, {told}, {left / 60:.0f} min left")

    return tell
