"""Training conversations out of the worlds: the solutions that are known to be right need no model to write them."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from moonlet.simulate.domains.every import DOMAINS
from moonlet.simulate.domains.locale import Language
from moonlet.simulate.episode import Conversation
from moonlet.simulate.keys import TRAINING
from moonlet.simulate.making import kinds
from moonlet.simulate.rollout import rollout
from moonlet.simulate.tasks import KINDS, PERSONAS, Key

TONGUES: Sequence[Language] = ("en", "en", "en", "th", "zh")
EVOLVED = 0.6  # share with tools declared anew


def conversation(rng: Random) -> Conversation:
    """One task solved. Its seed is none of a held-out suite."""
    kind = rng.choice(KINDS)
    domain = rng.choice([name for name, one in DOMAINS.items() if kind in kinds(one)])
    seed = rng.randrange(TRAINING.start, TRAINING.stop)
    key = Key(domain, kind, rng.choice(TONGUES), rng.choice(PERSONAS), seed, rng.random() < EVOLVED)
    done = rollout(key, None)
    assert done.verdict.passed, f"the solution of {key} fails: {done.verdict.faults()}"
    return done.conversation()
