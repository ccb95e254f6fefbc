"""Real speech and real models for the tests. Weights come from packages that `make test` installs, pinned by hash."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

SPEECH = Path(__file__).parent / "data" / "speech"

# What is said in each clip; sources and licences: tests/data/speech/README.md.
SAID = {
    "en_jfk": "And so, my fellow Americans, ask not what your country can do for you, "
    "ask what you can do for your country.",
    "zh_sentence": "欢迎大家来体验达摩院推出的语音识别模型",
    "th_common_voice": "มันเป็นเรื่องที่ดี ที่การเดินทางย้อนเวลาไม่ได้มีอยู่จริง",
}


def package_folder(name: str) -> Path | None:
    found = importlib.util.find_spec(name)
    places = found.submodule_search_locations if found else None
    return Path(next(iter(places))) if places else None


def edits(one: list[str], other: list[str]) -> int:
    """Words to add, take away or replace."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        above, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (a != b))
    return row[-1]


def plain_words(text: str) -> list[str]:
    """As word error rates count them: small letters, no marks."""
    return re.sub(r"[^\w' ]", " ", text.lower().replace("-", " ")).replace("'", "").split()


def error_rate(said: str, heard: str) -> float:
    wanted = plain_words(said)
    return edits(wanted, plain_words(heard)) / len(wanted)
