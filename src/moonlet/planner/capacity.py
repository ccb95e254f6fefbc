"""What a machine writes for many at a time: for each number of replies it is placed anew, with room for their caches.

A reply under way keeps the whole context of the plan, and memory that holds caches holds no experts. So more replies at
a time share more of each step and find less of the model in fast memory; one number of them is the best.
"""

from __future__ import annotations

from .speed import Bars, Load, Speed
from .team import Team

BATCHES = (1, 2, 4, 8, 16, 32, 64)  # replies at the same time
_REPLY = 500  # tokens


def batches(speed: Speed) -> tuple[int, ...]:
    """Those of BATCHES whose caches there is room for."""
    return tuple(count for count in BATCHES if speed.placed_for(count))


def writes(speed: Speed, sequences: int) -> Bars:
    """Tokens written a second, all together, while nothing is read; for a number that there is room for."""
    placed = speed.placed_for(sequences)
    assert placed
    return placed.decode(Load(sequences, placed.fit.context))


def served(speed: Speed, team: Team, sequences: int) -> Bars:
    """Tokens written a second, all together, prompts in between included; for a number that there is room for."""
    placed = speed.placed_for(sequences)
    assert placed
    return placed.served(Load(sequences, placed.fit.context), team.prompt_per_output * _REPLY, _REPLY)


def busiest(speed: Speed, team: Team) -> int:
    """Replies at the same time with which most is written."""
    return max(batches(speed), key=lambda count: served(speed, team, count).value)
