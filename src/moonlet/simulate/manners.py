"""How a persona puts its first words."""

from __future__ import annotations

from random import Random

from moonlet.simulate.domains.locale import Language
from moonlet.simulate.phrases import phrase
from moonlet.simulate.tasks import Persona

POLITE = ("Please ", "please ", ", please", " please", "I'd like to ", "I want to ", "ช่วย", "请")
ENDS = {"en": ".", "th": "", "zh": "。"}


def styled(text: str, persona: Persona, language: Language, rng: Random) -> str:
    """The words in the manner of the persona."""
    text = text[0].upper() + text[1:] if text[0].isascii() and text[0].islower() else text
    if persona == "terse":
        for polite in POLITE:
            text = text.replace(polite, "")
        return " ".join(text.split()).rstrip(".?!。？！")
    if persona in ("chatty", "mixed"):
        closed = text if text[-1] in ".?!。？！" else text + ENDS[language]
        return phrase(persona, language, rng, text=closed)
    return text
