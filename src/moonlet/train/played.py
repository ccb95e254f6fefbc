"""Conversations of one's own: trajectories that `moonlet simulate --training --out` wrote and that passed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

from moonlet.chat.template import Family, TemplateError
from moonlet.chat.tokenizer import Tokenizer
from moonlet.simulate.episode import Conversation
from moonlet.simulate.rollout import Trajectory, TrajectoryError, training
from moonlet.train.data import DataError
from moonlet.train.feeding import Stream
from moonlet.train.rows import turns


def read(path: Path) -> list[Conversation]:
    """Those of a file that passed. Raises OSError, and DataError for a file without any, or with tasks that judge."""
    found: list[Trajectory] = []
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            try:
                found.append(Trajectory.parse(line))
            except (TrajectoryError, RecursionError) as error:
                raise DataError(f"{path}, line {number}: {error}") from None
            if found[-1].key.held_out:
                raise DataError(
                    f"{path}, line {number}: this task is of those that judge a model; make others with --training"
                )
    passed = training(found)
    if not passed:
        raise DataError(f"{path}: none of its {len(found)} trajectories passed: there is nothing to learn from")
    return passed


def fitting(own: Sequence[Conversation], tokenizer: Tokenizer, family: Family, length: int) -> list[Conversation]:
    """Those of which a row of so many tokens holds a turn. Raises DataError if it holds none of any, or one cannot be
    written in the form of this family."""
    try:
        found = [one for one in own if turns(one, tokenizer, family, length + 1)]
    except TemplateError as error:
        raise DataError(f"a trajectory cannot be trained on: {error}") from None
    if not found:
        raise DataError(f"no trajectory fits: a row has {length} tokens, and their tools alone take more")
    return found


def among(mixture: Stream, own: Sequence[Conversation], share: float, seed: int) -> Iterator[Conversation]:
    """The mixture of a seed, in which so large a share are of one's own: all of them before any comes again."""
    stream, rng, left = mixture(seed), Random(f"played {seed}"), list[Conversation]()
    while True:
        if rng.random() >= share:
            yield next(stream)
        else:
            left = left or rng.sample(own, len(own))
            yield left.pop()
