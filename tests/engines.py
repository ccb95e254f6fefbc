"""A tiny model folder for tests of the engine, and replies in a form that a single bit would change."""

from __future__ import annotations

import random
import tempfile
from functools import cache
from pathlib import Path

import tiny
from moonlet.engine.sequence import Reply
from moonlet.model.convert import ConvertOptions, convert
from moonlet.model.folder import ModelFolder, open_folder

Said = list[tuple[int, float | None]]


@cache
def folder() -> ModelFolder:
    """Two layers, 8 experts, 320 ids; made once for all tests of a run."""
    path = Path(_kept().name)
    tiny.write(path / "source", "k2.5", "bf16")
    convert(path / "source", path / "model", ConvertOptions(dense="int8", experts="int4"))
    return open_folder(path / "model")


@cache
def _kept() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory()


def said(reply: Reply) -> Said:
    """Ids and the exact logprobs of each."""
    return [(token.id, token.logprob) for token in reply]


def ids(count: int, seed: int, vocab: int = 320) -> list[int]:
    rng = random.Random(seed)
    return [rng.randrange(vocab) for _ in range(count)]
