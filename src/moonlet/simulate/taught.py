"""How users put things in the tasks of training: requests, what stands around them, and small talk.

Held-out tasks have the wordings that stand with the domains and in `phrases`, and none of those is ever drawn here, so
that what is measured there was not read in training. See wordings/en.txt for the notation of the files.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from random import Random
from typing import Any

from moonlet.simulate.domains.domain import Action
from moonlet.simulate.domains.locale import LANGUAGES, Language
from moonlet.simulate.phrases import PHRASES, TALK, phrase
from moonlet.simulate.tasks import Key
from moonlet.simulate.wording import Header, Pattern, read

POLITE = re.compile("please|ช่วย|请")


def asked(domain: str, action: Action, language: Language, rng: Random) -> str:
    """A request for an action, with slots in braces that are its parameters."""
    patterns = _named("action", language)[f"{domain}.{action.name}"]
    return _drawn(patterns, action.wordings(language), rng)


def framed(name: str, key: Key, rng: Random, **values: Any) -> str:
    """A user's words around something: those of training, or those kept for held-out tasks."""
    if key.held_out:
        return phrase(name, key.language, rng, **values)
    kept = PHRASES[name][LANGUAGES.index(key.language)].split("|")
    return _drawn(_named("frame", key.language)[name], kept, rng).format(**values)


def small_talk(key: Key, rng: Random) -> tuple[str, str, str]:
    """What is said, words of which one must be in the answer (none: any answer), and the answer."""
    if key.held_out:
        return rng.choice(TALK[key.language])
    header, patterns = rng.choice([group for group in _groups(key.language) if "answer" in group[0]])
    return rng.choice(patterns).expand(rng), header["told"], header["answer"]


def plain(text: str) -> str:
    """The words alone: two wordings that differ in case, marks or politeness are one."""
    return re.sub(r"[^\w{}]+", "", POLITE.sub("", text.casefold()))


def _drawn(patterns: Sequence[Pattern], kept: Collection[str], rng: Random) -> str:
    """One of the wordings, and none of those that are kept for held-out tasks."""
    others = {plain(one) for one in kept}
    while plain(found := rng.choice(patterns).expand(rng)) in others:
        pass
    return found


@lru_cache(maxsize=8)
def _named(sort: str, language: Language) -> Mapping[str, tuple[Pattern, ...]]:
    """The groups of one sort by their names."""
    return {header[sort]: patterns for header, patterns in _groups(language) if sort in header}


def _groups(language: Language) -> Sequence[tuple[Header, tuple[Pattern, ...]]]:
    return read(f"{language}_worlds")
