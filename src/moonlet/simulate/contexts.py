"""What people say around a request: the reason for it, what has just happened, what they want it for, slips corrected.

None of it changes what is wanted. It names people, places and things that no argument may take, and it makes single
requests as long as those for two things at once.
"""

from collections.abc import Mapping
from functools import lru_cache
from random import Random
from typing import Any

from moonlet.simulate import slots
from moonlet.simulate.wording import Pattern, fill, read, slot_names

# A slot, and the one whose value is taken back in front of it.
TAKEN_BACK = {"place": "old_place", "city": "old_city", "on_day": "old_day", "time": "old_time", "number": "old_number",
              "name": "old_name", "to": "old_to", "duration": "old_duration", "room": "old_room", "task": "old_task",
              "percent": "old_percent", "degrees": "old_degrees", "amount": "old_amount"}  # fmt: skip
SLIPS = (", no sorry, ", ", wait no, ", ", no, ", ", sorry, ", ", i mean ", "... i mean ", ", or rather ",
         " - no wait, ", ", actually no, ", ", scratch that, ", "... no, ", ", sorry i meant ",
         ", er, ", ", hang on, ")  # fmt: skip


def corrected(skeleton: str, rng: Random) -> str:
    """Now and then a value is taken back at once: "in Rome, no sorry, Naples"; the later one counts."""
    if rng.random() >= 0.025 or "{old_" in skeleton:
        return skeleton
    fitting = [name for name in slot_names(skeleton) if name in TAKEN_BACK]
    if not fitting:
        return skeleton
    name = rng.choice(fitting)
    return skeleton.replace(f"{{{name}}}", f"{{{TAKEN_BACK[name]}}}{rng.choice(SLIPS)}{{{name}}}", 1)


def in_context(skeleton: str, tool: str, fixed: Mapping[str, Any], rng: Random, free_end: bool) -> str:
    """Sometimes a sentence or two around the request, behind it only if its end is not free text."""
    dice = rng.random()
    if dice < 0.13:
        known = _situations(tool, tuple(sorted(fixed.items())))
        said = _said(known if known and dice < 0.08 else _sentences("before"), rng)
        if rng.random() < 0.15:
            said = f"{_said(_sentences('before'), rng)}. {said}"
        return f"{said}{rng.choice(('. ', '. ', '. ', ', ', ', so ', ' - ', ' and ', '; '))}{skeleton}"
    if dice < 0.18 and not free_end:
        return f"{skeleton}{rng.choice(('. ', '. ', ', ', ' - ', ', '))}{_said(_sentences('after'), rng)}"
    return skeleton


def _said(patterns: tuple[Pattern, ...], rng: Random) -> str:
    text = patterns[int(rng.random() * len(patterns))].expand(rng)
    return fill(text, {name: slots.WORD[name](rng) for name in slot_names(text)})


@lru_cache(maxsize=2)
def _sentences(where: str) -> tuple[Pattern, ...]:
    return next(patterns for header, patterns in read("en_contexts") if header.get("where") == where)


@lru_cache(maxsize=64)
def _situations(tool: str, fixed: tuple[tuple[str, Any], ...]) -> tuple[Pattern, ...]:
    """Sentences in front of what is asked of this tool; those that imply an argument only where it is implied."""
    return tuple(
        pattern
        for header, patterns in read("en_contexts")
        if header.get("tool") == tool and set(header.get("fixed", {}).items()) <= set(fixed)
        for pattern in patterns
    )
