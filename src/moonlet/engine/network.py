"""The native network with a model folder's weights: batches of work in, logits out."""

from __future__ import annotations

from collections.abc import Sequence as Ids

import numpy as np
from numpy.typing import NDArray

from moonlet import _native
from moonlet.model.config import ModelConfig
from moonlet.model.folder import ModelFolder

from .scheduler import Work


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

    def step(self, batch: list[Work]) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Logits (rows, V) after the last token of each work that completes, and the experts chosen.

        The logits are overwritten by the next step; chosen: (sparse layers, T, K).
        """
        ids = [id for w in batch for id in w.sequence.ids[w.sequence.computed : w.sequence.computed + w.count]]
        starts = [w.sequence.computed for w in batch]
        counts = [w.count for w in batch]
        ends = np.cumsum(counts)
        positions = np.concatenate([np.arange(s, s + c, dtype=np.int32) for s, c in zip(starts, counts)])
        sequences = np.repeat(np.arange(len(batch), dtype=np.int32), counts)
        pages = np.zeros((len(batch), max(len(w.sequence.pages) for w in batch)), np.int32)
        for row, work in zip(pages, batch):
            row[: len(work.sequence.pages)] = work.sequence.pages
        want = np.asarray([end - 1 for end, w in zip(ends, batch) if w.completes], np.int32)
        chosen = np.empty((self.config.sparse_layers, len(ids), self.config.experts_per_token), np.int32)
        self._native.step(np.asarray(ids, np.int32), positions, sequences, pages, want, self._logits, chosen)
        return self._logits[: len(want), : self.config.vocab], chosen

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
