"""The native network with a model folder's weights: batches of work in, logits out."""

from __future__ import annotations

from collections.abc import Sequence as Ids
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from moonlet import _native, kernels
from moonlet.model.folder import ModelFolder

from .batch import Batch, Work
from .experts import Experts
from .sequence import EngineError, Reads
from .shape import shape_of


class Network:
    """Weights are used where they lie in the folder's files, or experts streamed from them; buffers are made once."""

    def __init__(
        self,
        folder: ModelFolder,
        tokens: int,
        rows: int,
        pages: int,
        threads: int = 0,
        exact: bool = False,
        expanded: bool = False,
        cache: kernels.CacheFormat = "bf16",
        isa: str = "",
        expert_bytes: int | None = None,
        also: Ids[Path] = (),
    ) -> None:
        """`expert_bytes`: for streamed experts, None if all are in memory; `also`: folders with copies of them."""
        config = folder.config
        self.config = config
        self.tokens, self.rows = tokens, rows
        self.experts = Experts(folder, expert_bytes, also)
        self.reads = Reads()  # of the last step, or of the last logits of all positions
        self.fault = ""  # why tokens of the last step failed; see sound()
        self._all_reads = self.experts.reads()
        self._failed = np.zeros(tokens, np.uint8)
        self._weights = np.zeros(config.sparse_layers * tokens * config.experts_per_token, np.float32)
        # Of the chosen, in the last watched step.
        self.tiers = np.zeros((config.sparse_layers, config.experts), np.uint8)
        self.parts_ns = np.zeros(len(_native.PARTS), np.int64)  # of the last watched step
        try:
            self._native = _native.load(
                shape_of(config),
                folder.dense(),
                folder.formats.dense,
                folder.formats.experts,
                self.experts.native,
                tokens,
                rows,
                pages,
                threads,
                exact,
                expanded,
                "f32" if exact else cache,
                isa,
            )
        except RuntimeError as error:  # the system refuses memory or threads
            raise EngineError(str(error)) from None
        self._logits = np.zeros((rows, -(-config.vocab // 32) * 32), np.float32)

    @property
    def threads(self) -> int:
        return int(self._native.threads)

    @property
    def page_bytes(self) -> int:
        return int(self._native.page_bytes)

    def copy_pages(self, pages: NDArray[np.int32], bytes: NDArray[np.uint8], into: bool) -> None:
        """Pages of the cache to (pages, page_bytes) bytes, or back; safe beside a step that does not use them."""
        self._native.copy_pages(pages, bytes, into)

    def step(self, batch: Batch, watched: bool = False) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Logits (rows, V) of the tokens that want them, in order, and the experts chosen.

        Both are overwritten by the next step; chosen: (sparse layers, T, K). With `watched`, so are weights(), tiers
        and parts_ns; nothing else differs.
        """
        count, chosen = batch.tokens, batch.chosen()
        ids, positions, sequences = batch.ids[:count], batch.positions[:count], batch.sequences[:count]
        want = batch.want[: batch.rows]
        seen = self._watched(chosen) if watched else ()
        self.fault = self._native.step(
            ids, positions, sequences, batch.pages, want, self._logits, chosen, self._failed, *seen
        )
        self._note_reads()
        return self._logits[: batch.rows, : self.config.vocab], chosen

    def weights(self, chosen: NDArray[np.int32]) -> NDArray[np.float32]:
        """The weights of the experts that the last watched step chose, of the same shape."""
        return self._weights[: chosen.size].reshape(chosen.shape)

    def _watched(self, chosen: NDArray[np.int32]) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.int64]]:
        self.parts_ns[:] = 0
        return self.weights(chosen), self.tiers, self.parts_ns

    def sound(self, work: Work) -> int:
        """Tokens of a work of the last step before the first one that needed an expert which could not be read."""
        if self.fault:
            failed = np.flatnonzero(self._failed[work.start : work.start + work.tokens])
            if failed.size:
                return int(failed[0])
        return work.tokens

    def all_logits(self, ids: Ids[int], pages: list[int]) -> NDArray[np.float32]:
        """Logits (T, V) of every position; `pages` must hold them all and are overwritten.

        EngineError if an expert cannot be read.
        """
        table = np.asarray([pages], np.int32)
        size = min(self.tokens, self.rows)
        try:
            out = np.empty((len(ids), self.config.vocab), np.float32)
            for start in range(0, len(ids), size):
                part = np.asarray(ids[start : start + size], np.int32)
                count = len(part)
                positions = np.arange(start, start + count, dtype=np.int32)
                want = np.arange(count, dtype=np.int32)
                self._native.step(part, positions, np.zeros(count, np.int32), table, want, self._logits)
                out[start : start + count] = self._logits[:count, : self.config.vocab]
            return out
        except OSError as error:
            raise EngineError(str(error)) from None
        finally:
            self._note_reads()

    def _note_reads(self) -> None:
        if self.experts.streamed:
            before, self._all_reads = self._all_reads, self.experts.reads()
            self.reads = self._all_reads - before

    def close(self) -> None:
        """No more steps: what was learned about the experts is kept, memory and threads go."""
        self.experts.keep_heat()
        del self._native, self._logits, self.experts.native
