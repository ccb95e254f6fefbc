"""The engine: full prompts of token ids in, tokens out. One thread steps; any thread may submit."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence as Ids
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from moonlet import kernels
from moonlet.kernels import PAGE
from moonlet.model.folder import ModelFolder

from .cache import PageCache
from .network import Network
from .sampler import Constraint, Sampling
from .scheduler import Scheduler, Work
from .sequence import EngineError, Finish, Reply, Sequence

__all__ = ["Engine", "EngineError", "EngineOptions"]


@dataclass(frozen=True, slots=True)
class EngineOptions:
    cache_tokens: int = 32_768  # latent cache, shared by all sequences
    step_tokens: int = 512  # at most so many tokens are computed at once
    max_sequences: int = 16  # replies under way at the same time
    threads: int = 0  # 0: one for each core
    exact: bool = False  # activations and cache in f32
    isa: str = ""  # instruction set; empty: the best there is

    def __post_init__(self) -> None:
        for name, least in [("cache_tokens", PAGE), ("step_tokens", 1), ("max_sequences", 1), ("threads", 0)]:
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if self.isa and self.isa not in kernels.isas():
            raise ValueError(f"this processor or build has no instruction set {self.isa!r}, only {kernels.isas()}")


@dataclass(frozen=True, slots=True)
class _Scoring:
    """A wish for the logits of every position."""

    ids: list[int]
    result: Future[NDArray[np.float32]] = field(default_factory=Future)


class Engine:
    """Use as a context manager, or close() it."""

    def __init__(self, folder: ModelFolder, options: EngineOptions = EngineOptions()) -> None:
        self.config = folder.config
        self.options = options
        pages = -(-options.cache_tokens // PAGE)
        self.context = min(self.config.max_positions, pages * PAGE)
        self._network = Network(
            folder,
            tokens=options.step_tokens,
            rows=max(options.max_sequences, 32),
            pages=pages,
            threads=options.threads,
            exact=options.exact,
            isa=options.isa,
        )
        self._cache = PageCache(pages)
        self._scheduler = Scheduler(self._cache, options.step_tokens, options.max_sequences)
        self._inbox: queue.SimpleQueue[Sequence | _Scoring | None] = queue.SimpleQueue()  # None: close
        self._closed = False
        self._thread = threading.Thread(target=self._loop, name="moonlet-engine", daemon=True)
        self._thread.start()

    def submit(self, prompt: Ids[int], sampling: Sampling = Sampling(), constraint: Constraint | None = None) -> Reply:
        """Queues a reply to the whole `prompt`; what of it is already in the cache is not computed again.

        EngineError if it does not fit or an id is outside the vocabulary.
        """
        if not prompt:
            raise EngineError("the prompt is empty")
        if bad := [id for id in prompt if not 0 <= id < self.config.vocab]:
            raise EngineError(f"token id {bad[0]} is outside the vocabulary of {self.config.vocab}")
        room = self.context - len(prompt)
        if room < 1:
            raise EngineError(f"the prompt has {len(prompt)} tokens, the context holds {self.context}")
        if sampling.max_tokens > room:
            sampling = replace(sampling, max_tokens=room)
        sequence = Sequence(prompt, sampling, constraint, self.config.vocab)
        self._send(sequence)
        return sequence.reply

    def logits(self, ids: Ids[int]) -> NDArray[np.float32]:
        """Logits (T, V): row t is what the model says comes after ids[0..t]."""
        if not ids or not all(0 <= id < self.config.vocab for id in ids):
            raise EngineError(f"logits need at least one id, all within 0..{self.config.vocab - 1}")
        if len(ids) > self.context:
            raise EngineError(f"{len(ids)} tokens do not fit into a context of {self.context}")
        scoring = _Scoring(list(ids))
        self._send(scoring)
        return scoring.result.result()

    def step(self) -> bool:
        """One step of all sequences under way. False when there was nothing to do."""
        batch = self._scheduler.next()
        if not batch:
            return False
        rows, chosen = self._network.step(batch)
        for work in batch:
            work.sequence.computed += work.count
        _note_experts(batch, chosen, self.config.experts)
        for row, work in zip(rows, [w for w in batch if w.completes]):
            work.sequence.advance(row)
        return True

    def close(self) -> None:
        """Ends what is under way."""
        if not self._closed:
            self._closed = True
            self._inbox.put(None)
        self._thread.join()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _send(self, item: Sequence | _Scoring) -> None:
        if self._closed:
            raise EngineError("the engine is closed")
        self._inbox.put(item)

    def _loop(self) -> None:
        while self._receive():
            try:
                while self.step():
                    if not self._inbox.empty():
                        break
            except Exception as error:  # the loop outlives it: every reply under way fails and says why
                self._end_all("error", f"{type(error).__name__}: {error}")
        self._end_all("cancelled")

    def _receive(self) -> bool:
        """Takes in all that was sent, waiting only when nothing is under way. False: close."""
        idle = not self._scheduler.running and not self._scheduler.queue
        while idle or not self._inbox.empty():
            item = self._inbox.get()
            idle = False
            if item is None:
                return False
            if isinstance(item, Sequence):
                self._scheduler.queue.append(item)
            else:
                self._score(item)
        return True

    def _score(self, scoring: _Scoring) -> None:
        pages = self._cache.take(-(-len(scoring.ids) // PAGE))
        if pages is None:
            return scoring.result.set_exception(EngineError("the cache is in use by replies under way; try again"))
        try:
            scoring.result.set_result(self._network.all_logits(scoring.ids, pages))
        except Exception as error:  # whoever asked gets it
            scoring.result.set_exception(error)
        finally:
            self._cache.release(pages)

    def _end_all(self, finish: Finish, error: str = "") -> None:
        for sequence in [*self._scheduler.running, *self._scheduler.queue]:
            sequence.end(finish, error)
        self._scheduler.next()


def _note_experts(batch: list[Work], chosen: NDArray[np.int32], experts: int) -> None:
    """Marks which experts each reply's written tokens went to. chosen: (sparse layers, T, K)."""
    layers = np.arange(len(chosen))[:, None]
    at = 0
    for work in batch:
        stats = work.sequence.reply.stats
        if work.sequence.computed - work.count >= work.sequence.prompt_length:
            if not stats.experts_seen.size:
                stats.experts_seen = np.zeros((len(chosen), experts), bool)
            stats.experts_seen[layers, chosen[:, at : at + work.count].reshape(len(chosen), -1)] = True
        at += work.count
