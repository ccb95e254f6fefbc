"""The native network with a model folder's weights: batches of work in, logits out."""

from __future__ import annotations

from collections.abc import Sequence as Ids

import numpy as np
from numpy.typing import NDArray

from moonlet import _native
from moonlet.model.config import ModelConfig
from moonlet.model.folder import ModelFolder

from .batch import Batch


class Network:
    """Weights are used where they lie in the folder's files; buffers are made once."""

    def __init__(
        self,
        folder: ModelFolder,
        tokens: int,
        rows: int,
        pages: int,
        threads: int = 0,
        exact: bool = False,
        isa: str = "",
    ) -> None:
        config = folder.config
        self.config = config
        self.tokens, self.rows = tokens, rows
        store = _native.ExpertStore()
        for layer in range(config.dense_layers, config.layers):
            path, offset, experts, row_bytes = folder.experts_file(layer)
            store.add_layer(str(path), offset, experts, row_bytes)
        self._native = _native.load(
            shape_of(config),
            folder.dense(),
            folder.formats.dense,
            folder.formats.experts,
            store,
            tokens,
            rows,
            pages,
            threads,
            exact,
            isa,
        )
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

    def step(self, batch: Batch) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Logits (rows, V) of the tokens that want them, in order, and the experts chosen.

        Both are overwritten by the next step; chosen: (sparse layers, T, K).
        """
        count, chosen = batch.tokens, batch.chosen()
        ids, positions, sequences = batch.ids[:count], batch.positions[:count], batch.sequences[:count]
        self._native.step(ids, positions, sequences, batch.pages, batch.want[: batch.rows], self._logits, chosen)
        return self._logits[: batch.rows, : self.config.vocab], chosen

    def all_logits(self, ids: Ids[int], pages: list[int]) -> NDArray[np.float32]:
        """Logits (T, V) of every position; `pages` must hold them all and are overwritten."""
        out = np.empty((len(ids), self.config.vocab), np.float32)
        table = np.asarray([pages], np.int32)
        size = min(self.tokens, self.rows)
        for start in range(0, len(ids), size):
            part = np.asarray(ids[start : start + size], np.int32)
            count = len(part)
            positions = np.arange(start, start + count, dtype=np.int32)
            want = np.arange(count, dtype=np.int32)
            self._native.step(part, positions, np.zeros(count, np.int32), table, want, self._logits)
            out[start : start + count] = self._logits[:count, : self.config.vocab]
        return out


def shape_of(config: ModelConfig) -> _native.Shape:
    """The sizes as the native side names them."""
    shape = _native.Shape()
    shape.V, shape.D, shape.layers, shape.H = config.vocab, config.width, config.layers, config.heads
    shape.q_rank, shape.L, shape.N, shape.R = config.q_rank or 0, config.latent, config.nope, config.rope
    shape.value = config.value
    shape.dense_width, shape.dense_layers = config.dense_width, config.dense_layers
    shape.E, shape.K, shape.F = config.experts, config.experts_per_token, config.expert_width
    shape.shared_width = config.shared_width
    shape.router = int(config.router == "softmax")
    shape.groups, shape.groups_kept = config.groups, config.groups_kept
    shape.normalise, shape.routed_scale = config.normalise, config.routed_scale
    shape.eps, shape.score_scale = config.eps, config.score_scale
    shape.rotation_scale = config.rotation_scale
    shape.inverse_frequencies = config.inverse_frequencies()
    return shape
