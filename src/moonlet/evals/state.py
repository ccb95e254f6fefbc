"""Does it keep the thread of a conversation: asking, being answered, being told otherwise?"""

from __future__ import annotations

from moonlet.evals import worlds
from moonlet.evals.question import Question, passed
from moonlet.evals.worlds import Posed

GROUP = "multi-turn state"
ASKED, MIND, WHICH = "asks for what is missing, then acts", "user changes their mind", "two are called the same: asks"


def questions(seed: int, n: int) -> list[Question]:
    """n tasks a row in which the user speaks more than once."""

    def talks(one: Posed) -> bool:
        return bool(one.task.replies)

    def changed(one: Posed) -> bool:
        return any(not reply.asked for reply in one.task.replies)

    clarify = worlds.keys(seed + 6, ("clarify",), personas=("plain", "terse", "chatty", "mixed"))
    which = worlds.keys(seed + 7, ("ambiguous",), personas=("plain", "terse", "chatty", "mixed"))
    mind = worlds.keys(seed + 8, ("single", "steps"), personas=("changes_mind",))
    return [
        *worlds.played(GROUP, ASKED, clarify, n, passed(ASKED), talks),
        *worlds.played(GROUP, WHICH, which, n, passed(WHICH), talks),
        *worlds.played(GROUP, MIND, mind, n, passed(MIND), changed),
    ]
