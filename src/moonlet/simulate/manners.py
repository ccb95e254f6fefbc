"""How a persona puts its first words."""

from __future__ import annotations

from random import Random

from moonlet.simulate.tasks import Key
from moonlet.simulate.taught import framed

# Only at the ends of the text: in its middle they may be of what is asked for, a message or a note.
POLITE = ("Please ", "please ", "I'd like to ", "I want to ", "ช่วย", "请")
ENDS = {"en": ".", "th": "", "zh": "。"}


def styled(text: str, key: Key, rng: Random) -> str:
    """The words in the manner of the task's persona."""
    text = text[0].upper() + text[1:] if text[0].isascii() and text[0].islower() else text
    if key.persona == "terse":
        for polite in POLITE:
            text = text.removeprefix(polite)
        return " ".join(text.split()).rstrip(".?!。？！").removesuffix(", please")
    if key.persona in ("chatty", "mixed"):
        closed = text if text[-1] in ".?!。？！" else text + ENDS[key.language]
        return framed(key.persona, key, rng, text=closed)
    return text
