"""The engine: full prompts of token ids in, tokens out. One thread steps; any thread may submit."""

from __future__ import annotations

import atexit
import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from collections.abc import Sequence as Ids
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from moonlet import kernels
from moonlet.kernels import PAGE
from moonlet.model.folder import ModelFolder
from moonlet.model.layout import DENSE_FILE

from .batch import Batch, Work
from .cache import PageCache
from .drafter import LONGEST, Drafting, Guesser, PromptLookup, drafters
from .groups import cores
from .memory import share_out
from .network import Network
from .pace import Pace, bytes_read
from .sampler import Constraint, Sampling
from .scheduler import Scheduler
from .sequence import (
    DeadlineError,
    EngineError,
    Finish,
    Priority,
    QueueFullError,
    Reads,
    Reply,
    Seen,
    Sequence,
    Terms,
    Trace,
)
from .shelf import Shelf
from .spill import open_spill

_log = logging.getLogger("moonlet.engine")

__all__ = ["DeadlineError", "Engine", "EngineError", "EngineOptions", "QueueFullError", "Terms", "Trace"]


@dataclass(frozen=True, slots=True)
class EngineOptions:
    cache_tokens: int = 32_768  # latent cache, shared by all sequences
    step_tokens: int = 0  # at most so many tokens are computed at once; 0: 512, and more where experts are streamed
    max_sequences: int = 16  # replies under way at the same time
    max_waiting: int = 256  # replies that wait for a place; of one owner half as many
    stall_ms: float = 250.0  # how long a step may take when it reads a prompt beside replies under way
    threads: int = 0  # 0: one for each core
    exact: bool = False  # activations and cache in f32
    expanded: bool = False  # long prompts attend in the expanded form: quicker, but their bits depend on their cuts
    cache: kernels.CacheFormat = "bf16"  # int8: half the bytes, quicker behind a long context, a little less exact
    isa: str = ""  # instruction set; empty: the best there is
    memory_bytes: int = 0  # for weights, cache and workspace; 0: what is free. Experts that do not fit are streamed
    expert_bytes: int = 0  # of it for experts; 0: what the rest leaves
    also: tuple[Path, ...] = ()  # folders on other drives with copies of the experts: streaming reads from all
    spill_bytes: int = 0  # of disk for beginnings of conversations, found again after a restart; 0: none
    spill_path: Path | None = None  # where; None: beside the pulled models

    def __post_init__(self) -> None:
        for name, least in [("cache_tokens", PAGE), ("max_sequences", 1), ("max_waiting", 1)]:
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        for name in ("step_tokens", "threads", "memory_bytes", "expert_bytes", "spill_bytes", "stall_ms"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        for name, most in [
            ("cache_tokens", 1 << 32),
            ("step_tokens", 1 << 16),
            ("max_sequences", 1 << 16),
            ("threads", 1024),
        ]:
            if getattr(self, name) > most:
                raise ValueError(f"{name} must be at most {most}, got {getattr(self, name)}")
        if self.exact and self.expanded:
            raise ValueError("exact and expanded exclude each other")
        if self.cache not in ("bf16", "int8"):
            raise ValueError(f"the cache is bf16 or int8, not {self.cache!r}; with exact it is f32")
        if self.cache == "int8" and (self.exact or self.expanded):
            raise ValueError("a cache of int8 excludes exact and expanded")
        if self.isa and self.isa not in kernels.isas():
            raise ValueError(f"this processor or build has no instruction set {self.isa!r}, only {kernels.isas()}")


@dataclass(frozen=True, slots=True)
class _Scoring:
    """A wish for the logits of every position."""

    ids: list[int]
    result: Future[NDArray[np.float32]] = field(default_factory=Future)


class Engine:
    """Use as a context manager, or close() it."""

    def __init__(
        self,
        folder: ModelFolder,
        options: EngineOptions = EngineOptions(),
        drafting: Ids[Drafting] = (PromptLookup,),
    ) -> None:
        """`drafting`: what guesses ahead, asked in this order; none: every drawn token takes a step."""
        config = self.config = folder.config
        self.options = options
        pages = -(-options.cache_tokens // PAGE)
        self.context = min(config.max_positions, pages * PAGE)
        self.steps = 0
        self._drafting = drafting
        threads = options.threads or cores()
        slots = options.max_sequences
        self.reads = Reads()  # of all replies and logits
        self.memory = share_out(
            folder,
            pages,
            slots + 2 * LONGEST,
            options.exact,
            options.step_tokens,
            options.memory_bytes,
            options.expert_bytes,
            options.expanded,
            options.cache,
            threads,
        )
        tokens = self.memory.step_tokens
        rows = min(slots + 2 * LONGEST, max(tokens, slots))
        self._network = Network(
            folder,
            tokens=tokens,
            rows=max(rows, 32),
            pages=pages,
            threads=threads,
            exact=options.exact,
            expanded=options.expanded,
            cache=options.cache,
            isa=options.isa,
            expert_bytes=self.memory.experts if self.memory.streamed else None,
            also=options.also,
        )
        self._cache = PageCache(pages)
        longest = -(-self.context // PAGE)
        batch = Batch(tokens, rows, slots, self.context, longest, config.sparse_layers, config.experts_per_token)
        self._pace = Pace(config, options.stall_ms / 1000, _bytes_read(folder, self.memory.streamed))
        self._inbox: queue.SimpleQueue[Sequence | _Scoring | Callable[[], None] | None] = queue.SimpleQueue()
        self.shelf = self._make_shelf(folder) if options.spill_bytes else None
        self._scheduler = Scheduler(self._cache, batch, self._pace, tokens, slots, self.shelf)
        if self.shelf:
            self.shelf.loaded = self._scheduler.loaded
        self._closed = False  # None in the inbox: close
        self._sending = threading.Lock()  # nothing is put behind that
        self._sent = Counter[str]()  # replies in the inbox, by owner; under that lock
        self._thread = threading.Thread(target=self._loop, name="moonlet-engine", daemon=True)
        self._thread.start()
        atexit.register(self.close)  # Python's end would tear the thread out of a native step, which ends in an abort

    @property
    def cache_used(self) -> float:
        """Share of the cache's pages that sequences hold; what is only remembered can be taken. From any thread."""
        return 1 - self._cache.available / self._cache.pages

    def submit(
        self,
        prompt: Ids[int],
        sampling: Sampling = Sampling(),
        constraint: Constraint | None = None,
        terms: Terms = Terms(),
        trace: Trace | None = None,
    ) -> Reply:
        """Queues a reply to the whole `prompt`; what of it is already in the cache is not computed again.

        `trace` hears, on the engine's thread, what each step did for the tokens that it computed and kept.
        EngineError if it does not fit or an id is outside the vocabulary; QueueFullError.
        """
        if not prompt:
            raise EngineError("the prompt is empty")
        if min(prompt) < 0 or max(prompt) >= self.config.vocab:
            bad = next(id for id in prompt if not 0 <= id < self.config.vocab)
            raise EngineError(f"token id {bad} is outside the vocabulary of {self.config.vocab}")
        room = self.context - len(prompt)
        if room < 1:
            raise EngineError(f"the prompt has {len(prompt)} tokens, the context holds {self.context}")
        if sampling.max_tokens > room:
            sampling = replace(sampling, max_tokens=room)
        with self._sending:  # it is asked again when it is sent; one that is refused should cost nothing
            self._check_queue(terms.owner)
        guesser = Guesser(drafters(prompt, constraint, self._drafting)) if self._drafting else None
        sequence = Sequence(prompt, sampling, constraint, self.config.vocab, guesser, terms, trace)
        self._send(sequence)
        return sequence.reply

    def _make_shelf(self, folder: ModelFolder) -> Shelf:
        options, size = self.options, self._network.page_bytes
        # Pages are found again by those that would have computed the same bits.
        form = "-exact" if options.exact else "-expanded" if options.expanded else ""
        variant = (options.isa or kernels.isa()) + form + ("-int8" if options.cache == "int8" else "")
        spill = open_spill(folder, options.spill_path, variant, size, options.spill_bytes)
        return Shelf(spill, self._cache, self._network.copy_pages, size, self._inbox.put)

    def _check_queue(self, owner: str) -> None:
        line, most = self._scheduler.line, self.options.max_waiting
        known = line.owners.get(owner)
        waiting = line.count + self._sent.total()
        own = self._sent[owner] + (len(known.waiting) if known else 0)
        if waiting >= most or (owner and own >= max(most // 2, 1)):
            whose, count = ("of the same owner ", own) if waiting < most else ("", waiting)
            # By then a quarter of the line should have gone.
            retry = min(max(1.0, self._scheduler.finish_s * count / 4), 120.0)
            raise QueueFullError(f"{count} requests {whose}wait already; try again in {retry:.0f} s", retry)

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
        if not batch.works:
            return False
        watched = any(work.sequence.trace for work in batch.works)
        began = time.perf_counter()
        rows, chosen = self._network.step(batch, watched)
        took = time.perf_counter() - began
        self.steps += 1
        if self.memory.streamed:
            self._note_reads(batch)
        at = replies = 0
        load = 0.0
        for work in batch.works:
            sequence, start = work.sequence, work.sequence.computed
            if sequence.reading:
                load += self._pace.load(start, work.count)
            else:
                replies += work.tokens
            sound = self._network.sound(work)
            if sound < work.count:
                sequence.end("error", self._network.fault)
            elif work.completes:
                sequence.advance(rows[at : at + sound - work.count + 1])
            else:
                sequence.computed += work.count
            if work.completes:
                at += work.tokens - work.count + 1
            if sequence.trace:
                sequence.trace(self._seen(batch, work, start, chosen))
            if sequence.computed > sequence.prompt_length and self.config.sparse_layers:
                _note_experts(work, start, chosen, self.config.experts)
            sequence.announce()
            self._scheduler.settle(work)
        self._pace.note(replies, load, took)
        return True

    def _seen(self, batch: Batch, work: Work, start: int, chosen: NDArray[np.int32]) -> Seen:
        """What the step did for a work whose tokens from `start` on it computed."""
        network, sequence = self._network, work.sequence
        own = slice(work.start, work.start + sequence.computed - start)
        went = chosen[:, own].copy()
        layers = np.arange(len(went))[:, None, None]
        return Seen(
            start,
            tuple(sequence.ids[start : sequence.computed]),
            went,
            network.weights(chosen)[:, own].copy(),
            network.tiers[layers, went],
            dict(zip(kernels.PARTS, (network.parts_ns / 1e9).tolist())),
            batch.tokens,
            network.reads if self.memory.streamed else Reads(),
        )

    def tiers(self) -> NDArray[np.uint8]:
        """Where every expert is between two steps: (sparse layers, E), places in kernels.TIERS. Raises EngineError."""
        found: Future[NDArray[np.uint8]] = Future()

        def look() -> None:
            try:
                found.set_result(self._network.experts.native.tiers())
            except Exception as error:  # it is for whoever asked, not for the replies under way
                found.set_exception(error)

        self._send(look)
        return found.result()

    def in_line(self) -> tuple[tuple[str, Priority], ...]:
        """Owner and priority of the replies that wait for a place, in the order in which they would get one now. From
        any thread: it is read beside the engine's own, and again if that changes it meanwhile."""
        for _ in range(8):
            with suppress(RuntimeError):
                return tuple((one.terms.owner, one.terms.priority) for one in self._scheduler.line.waiting())
        return ()

    def set_budget(self, bytes: int) -> None:
        """Memory for streamed experts from now on, for a machine that got busier or freer.

        It changes between two steps, soon after. EngineError if it is too little, or the engine is closed.
        """
        with self._sending:
            self._check_open()
            store = self._network.experts.native
            try:
                store.set_budget(min(bytes, (1 << 63) - 1))
            except ValueError as error:
                raise EngineError(str(error)) from None
            if store.streamed:
                self._inbox.put(store.adopt_budget)

    def _note_reads(self, batch: Batch) -> None:
        reads = self._network.reads
        self.reads += reads
        for work in batch.works:
            part = reads.part(work.tokens / batch.tokens)
            work.sequence.reply.stats.reads += replace(part, wait_s=reads.wait_s)

    def close(self) -> None:
        """Ends what is under way and gives memory and threads back."""
        with self._sending:
            if not self._closed:
                self._closed = True
                self._inbox.put(None)
        self._thread.join()
        atexit.unregister(self.close)

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _send(self, item: Sequence | _Scoring | Callable[[], None]) -> None:
        with self._sending:
            self._check_open()
            if isinstance(item, Sequence):
                self._check_queue(item.terms.owner)
                self._sent[item.terms.owner] += 1
            self._inbox.put(item)

    def _check_open(self) -> None:
        if self._closed:
            raise EngineError("the engine is closed")

    def _loop(self) -> None:
        busy = False
        while self._receive(busy):
            try:
                busy = self.step()
                while busy and self._inbox.empty():
                    busy = self.step()
            except Exception as error:  # the loop outlives it: every reply under way fails and says why
                self._end_all("error", f"{type(error).__name__}: {error}")
        self._end_all("cancelled")
        if self.shelf:
            self.shelf.close()  # it still copies pages out of the network's cache
        self._network.close()

    def _receive(self, busy: bool) -> bool:
        """Takes in all that was sent, waiting for it only when there is nothing to compute. False: close."""
        while not busy or not self._inbox.empty():
            try:
                # With work that cannot go on for now, somebody may give up or run out of time meanwhile.
                item = self._inbox.get(timeout=None if self._scheduler.idle else 0.05)
            except queue.Empty:
                return True
            busy = True
            if item is None:
                return False
            if isinstance(item, Sequence):
                with self._sending:  # it is counted in one place at any time
                    self._scheduler.add(item)
                    self._sent -= Counter([item.terms.owner])  # owners of none are gone from it
            elif isinstance(item, _Scoring):
                self._score(item)
            else:
                try:
                    item()
                except Exception:  # more memory than there is, say: what was before holds
                    _log.exception("an order between two steps failed")
        return True

    def _score(self, scoring: _Scoring) -> None:
        pages = self._scheduler.take(-(-len(scoring.ids) // PAGE))
        if pages is None:
            return scoring.result.set_exception(EngineError("the cache is in use; try again"))
        try:
            try:
                logits = self._network.all_logits(scoring.ids, pages)
            finally:
                self._cache.release(pages)
                self.reads += self._network.reads
            scoring.result.set_result(logits)
        except Exception as error:  # whoever asked gets it
            scoring.result.set_exception(error)

    def _end_all(self, finish: Finish, error: str = "") -> None:
        for sequence in self._scheduler.all():
            sequence.end(finish, error)
        self._scheduler.next()


def _note_experts(work: Work, start: int, chosen: NDArray[np.int32], experts: int) -> None:
    """Marks which experts a reply's written tokens went to. chosen: (sparse layers, T, K); `start`: computed before."""
    sequence = work.sequence
    stats = sequence.reply.stats
    first = work.start + max(sequence.prompt_length - start, 0)
    if not stats.experts_seen.size:
        stats.experts_seen = np.zeros((len(chosen), experts), bool)
    went = chosen[:, first : work.start + sequence.computed - start].reshape(len(chosen), -1)
    stats.experts_seen[np.arange(len(chosen))[:, None], went] = True


_DISK = 20  # an expert from disk takes as long as so many from memory, if half of them are found there


def _bytes_read(folder: ModelFolder, streamed: bool) -> Callable[[int], float]:
    """What a step of some rows is expected to read of a folder's weights, in bytes from memory."""
    config = folder.config
    dense = (folder.path / DENSE_FILE).stat().st_size
    expert = sum(folder.experts_file(layer)[3] for layer in range(config.dense_layers, config.layers))
    return bytes_read(dense, expert * (_DISK if streamed else 1), config.experts, config.experts_per_token)
