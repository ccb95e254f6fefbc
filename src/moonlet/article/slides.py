"""The text on slides, where an OCR is installed: rapidocr (`moonlet[slides]`), which reads Latin and Chinese script."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

_SURE = 0.85  # lines it is less sure of are mostly textures, or of a script that it does not know
_MOST = 0.5  # more of the lines must be sure: of a Thai slide it makes letters that nobody wrote


def reader() -> Callable[[Path], str | None] | None:
    """A function that reads a picture's text, lines in the order of reading, None if there is none; or None where no
    OCR is installed."""
    if importlib.util.find_spec("rapidocr") is None:
        return None
    engine = _engine()

    def read(path: Path) -> str | None:
        found = engine(str(path))
        lines = [(line.strip(), score) for line, score in zip(found.txts or (), found.scores or ()) if line.strip()]
        sure = [line for line, score in lines if score >= _SURE]
        return "\n".join(sure) if len(sure) > _MOST * len(lines) else None

    return read


@cache  # its weights are 32 MB, which come with the package: nothing is fetched
def _engine() -> Any:
    from rapidocr import RapidOCR

    threads = max((os.cpu_count() or 2) - 1, 1)  # somebody may sit at this machine
    return RapidOCR(params={"Global.log_level": "error", "EngineConfig.onnxruntime.intra_op_num_threads": threads})
