"""What recordings need besides: an extra of the package, whose absence is told before anything of it is imported."""

from __future__ import annotations

import importlib.util

_PACKAGES = ("av", "faster_whisper", "pysubs2")


def missing() -> str | None:
    """That packages are not there, in words; None if all are."""
    absent = any(importlib.util.find_spec(name) is None for name in _PACKAGES)
    return "recordings need more packages: pip install 'moonlet[article]'" if absent else None
