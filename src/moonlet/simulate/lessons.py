"""Training conversations out of the worlds: the solutions that are known to be right need no model to write them."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from moonlet.simulate.domains.every import DOMAINS
from moonlet.simulate.domains.locale import Language
from moonlet.simulate.episode import Conversation
from moonlet.simulate.making import Making, kinds
from moonlet.simulate.rollout import play, solver
from moonlet.simulate.tasks import KINDS, PERSONAS, TRAINING, Key, TaskError, TaskKind

TONGUES: Sequence[Language] = ("en", "en", "en", "en", "th", "zh")
EVOLVED = 0.6  # share with tools declared anew
LEAST, MOST = 3, 14  # tasks of a conversation
# Those of several calls are the hardest.
WEIGHED: Sequence[TaskKind] = (*KINDS, "steps", "parallel", "parallel", "retry", "clarify")


def conversation(rng: Random) -> Conversation:
    """Tasks solved one after another in one world: its tools are read once, and one is chosen many times. No seed is of
    a held-out suite."""
    making = None
    language, evolved = rng.choice(TONGUES), rng.random() < EVOLVED
    for _ in range(rng.randint(LEAST, MOST)):
        kind = rng.choice(WEIGHED)
        names = [one.name for one in making.shown] if making else list(DOMAINS)
        fitting = [name for name in names if kind in kinds(DOMAINS[name])]
        if not fitting:
            continue
        seed = rng.randrange(TRAINING.start, TRAINING.stop)
        key = Key(rng.choice(fitting), kind, language, rng.choice(PERSONAS), seed, evolved)
        following = Making(key, making)
        try:
            task, stage = following.task()
        except TaskError:  # the tools shown are for no such task
            continue
        verdict = play(task, stage, solver(task)).verdict
        assert verdict.passed, f"the solution of {key} fails: {verdict.faults()}"
        making = following
    return making.episode.done() if making else conversation(rng)
