"""Rows made by processes of their own, beside a device that reads more of them than one processor makes.

Process i makes every n-th row, from a stream with a seed of its own, so that the rows of a run depend on the seed and
on the number of processes. Each makes a few rows ahead, as the pipe to it holds, and ends when the pipe does.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from moonlet.chat.template import Family
from moonlet.chat.tokenizer import Tokenizer
from moonlet.simulate.episode import Conversation
from moonlet.train.rows import Batch, Rows


class FeedError(Exception):
    """A process that makes rows has ended."""


Stream = Callable[[int], Iterator[Conversation]]


class Feed:
    """As rows.Rows. `taken` counts rows."""

    def __init__(
        self, words: Path, stream: Stream, seed: int, length: int, count: int, family: Family = "moonlet"
    ) -> None:
        """words: the folder of the vocabulary; stream: gives the conversations of a seed; length: tokens of every row;
        count: of processes; family: in whose form they are written."""
        self.taken, self.length = 0, length
        self.given = [(words, stream, seed * count + number, length, family) for number in range(count)]
        self.pipes: list[Connection] = []
        self.thread = ThreadPoolExecutor(1)
        self.ahead: Future[Batch] | None = None

    def skip(self, count: int) -> None:
        """They are made all the same, which costs the time."""
        assert not self.pipes, "a run skips before it reads"
        self.taken += count

    def batch(self, rows: int, length: int) -> Batch:
        assert length == self.length, "all rows of a feed are of one length"
        if not self.pipes:
            self._begin()
        found = self._collected(self.taken, rows) if self.ahead is None else self.ahead.result()
        self.taken += rows
        self.ahead = self.thread.submit(self._collected, self.taken, rows)  # while this one is read
        assert len(found.ids) == rows, "all batches of a feed have as many rows"
        return found

    def _collected(self, first: int, rows: int) -> Batch:
        try:
            parts = [self.pipes[row % len(self.pipes)].recv() for row in range(first, first + rows)]
        except EOFError as error:
            raise FeedError("a process that makes rows has ended; what it said stands above") from error
        ids, weights, texts, real = zip(*parts, strict=True)
        return Batch(np.concatenate(ids).astype(np.int64), np.concatenate(weights), tuple(texts), np.concatenate(real))

    def close(self) -> None:
        """Nothing more is read: the processes end with their pipes."""
        self.thread.shutdown(cancel_futures=True)
        for pipe in self.pipes:
            pipe.close()

    def _begin(self) -> None:
        context = multiprocessing.get_context("spawn")
        for number, given in enumerate(self.given):
            ours, theirs = context.Pipe(duplex=False)
            passed = len(range(number, self.taken, len(self.given)))
            context.Process(target=_work, args=(theirs, passed, *given), daemon=True).start()
            theirs.close()
            self.pipes.append(ours)


def _work(out: Connection, passed: int, words: Path, stream: Stream, seed: int, length: int, family: Family) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run ends between two steps, and its pipes with it
    tokenizer = Tokenizer.load(words)
    rows = Rows(stream(seed), tokenizer, family)
    small = np.uint16 if tokenizer.vocab <= 1 << 16 else np.uint32  # a pipe holds more of small ones
    try:
        while True:
            made = rows.batch(1, length)
            if passed:
                passed -= 1
            else:
                out.send((made.ids.astype(small), made.weights, made.texts[0], made.real))
    except (BrokenPipeError, ConnectionResetError):
        return
