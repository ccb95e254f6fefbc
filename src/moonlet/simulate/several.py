"""Several wishes in one message: linked in one sentence, one after the other, or counted off."""

from collections.abc import Sequence
from random import Random

LINKS = (", and ", " and ", ", then ", " and also ", ". also, ", ", and then ", "; ", " plus ")
FIRST = ("first, ", "first, ", "first of all, ", "firstly, ", "to start, ", "to begin with, ", "", "", "")
NEXT = (
    "then, ", "then ", "next, ", "after that, ", "also, ", "second, ", "in addition, ", "additionally, ", "besides, ",
    "once that is done, ", "i also have this: ", "", "",
)  # fmt: skip
LAST = ("finally, ", "finally, ", "lastly, ", "last, ", "and finally, ", "one more thing: ", "also, ", "then, ", "")
LEADS = (
    "I need help with a few things. ", "There are several things I need. ", "A few things, please. ",
    "I have some questions. ", "Please help me with the following. ", "I need some specific information. ",
    "My list for today: ", "Could you take care of these? ",
)  # fmt: skip
CLOSES = (" Thanks!", " Thank you.", " Thanks for your help.", " That's all.")


def joined(texts: Sequence[str], names: frozenset[str], rng: Random, context: str = "") -> str:
    """One message of these requests, in their order. Words in `names` keep their capital where they begin a request."""
    if len(texts) < 3 and not context and rng.random() < 0.5:
        first, *rest = texts
        return first.rstrip(".?! ") + "".join(rng.choice(LINKS) + _small(one, names) for one in rest)
    lead = context + " " if context else rng.choice(LEADS) if rng.random() < 0.25 else ""
    if rng.random() < 0.12:
        mark = rng.choice(("{}. ", "{}) ", "({}) "))
        counted = [mark.format(i) + one for i, one in enumerate(texts, 1)]
        return lead + rng.choice((" ", "\n")).join(counted)
    plain = rng.random() < 0.2  # sentence after sentence, without a word between them
    said = []
    for i, one in enumerate(texts):
        words = FIRST if i == 0 else LAST if i == len(texts) - 1 else NEXT
        before = "" if plain else rng.choice(words)
        whole = before + (_small(one, names) if before else one)
        said.append(_sentence(whole))
    return lead + " ".join(said) + (rng.choice(CLOSES) if rng.random() < 0.06 else "")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", "!")) else ".")


def _small(text: str, names: frozenset[str]) -> str:
    """As it goes on within a sentence: with a small letter, unless it begins with a name."""
    word = text.split(" ")[0].rstrip(",.:;?!")
    keeps = word == "I" or word.startswith("I'") or word in names or word[1:] != word[1:].lower()
    return text if keeps else text[:1].lower() + text[1:]
