"""How far long work is: a bar with rate and time left on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

LINE_S = 10.0  # between plain lines


@contextmanager
def bytes_progress(title: str) -> Iterator[Callable[[int, int], None]]:
    """Gives a function to be told (bytes done, bytes in all), from any thread. Shows nothing until it is told."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _plain(title, console)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task(title, total=None, visible=False)
        yield lambda done, total: bar.update(task, completed=done, total=total, visible=True)


def _plain(title: str, console: Console) -> Callable[[int, int], None]:
    begun = last = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < LINE_S or not done:
            return
        last = now
        rate = done / (now - begun)
        line = f"{title}: {done / 1e9:.2f} of {total / 1e9:.2f} GB, {rate / 1e6:.0f} MB/s, "
        console.print(line + f"{max(total - done, 0) / rate:.0f} s left", highlight=False, soft_wrap=True)

    return tell


@contextmanager
def count_progress(title: str, done: int, total: int) -> Iterator[Callable[[], None]]:
    """Gives a function to be called for each thing that is done, of so many; `done` of them were before."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _counted(title, done, total, console)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=total, completed=done)
        yield lambda: bar.advance(task)


def _counted(title: str, done: int, total: int, console: Console) -> Callable[[], None]:
    begun = last = time.monotonic()
    count = 0

    def tell() -> None:
        nonlocal last, count
        now = time.monotonic()
        count += 1
        if now - last >= LINE_S:
            last = now
            left_s = (total - done - count) * (now - begun) / count
            console.print(f"{title}: {done + count} of {total}, {left_s:.0f} s left", highlight=False, soft_wrap=True)

    return tell
