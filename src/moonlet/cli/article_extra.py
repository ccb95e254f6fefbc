"""What recordings need besides: an extra of the package, whose absence is told before anything of it is imported."""

from __future__ import annotations

import importlib.util

# Every package that a stage imports, also those that are asked for only after hours of work: for the words of Thai and
# Chinese, for the Word file. pythainlp's sentences need pycrfsuite.
PACKAGES = ("av", "faster_whisper", "pysubs2", "pythainlp", "pycrfsuite", "jieba", "opencc", "docx")


def missing() -> str | None:
    """Which packages are not there, in words; None if all are."""
    absent = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if not absent:
        return None
    return f"recordings need more packages ({', '.join(absent)}): pip install 'moonlet[article]'"
