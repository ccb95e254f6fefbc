"""Questions out of the simulated worlds, from seeds that training does not draw: first turns, answers, whole tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from moonlet.chat.messages import Message, ToolSpec
from moonlet.evals.question import Marks, Played
from moonlet.simulate.domains.locale import LANGUAGES, Language
from moonlet.simulate.keys import stream
from moonlet.simulate.making import make
from moonlet.simulate.rollout import Trajectory
from moonlet.simulate.tasks import PERSONAS, Key, Persona, Task, TaskKind


@dataclass(frozen=True, slots=True)
class Posed:
    """A task, and the tools that are shown for it."""

    task: Task
    tools: tuple[ToolSpec, ...]

    @property
    def before(self) -> tuple[Message, ...]:
        """What the assistant has read when it begins."""
        return Message("system", self.task.system), Message("user", self.task.opening)

    @property
    def first(self) -> Message:
        """What it does first where it does the right thing."""
        return self.task.solution[0]


def keys(
    seed: int,
    kinds: Sequence[TaskKind],
    languages: Sequence[Language] = LANGUAGES,
    personas: Sequence[Persona] = PERSONAS,
    evolved: float = 0.5,
) -> Iterator[Key]:
    """Tasks without end, kinds taken in turn; other seeds and other kinds give other tasks."""
    return stream(seed, only=kinds, languages=languages, personas=personas, evolved=evolved, held_out=True)


def posed(found: Iterator[Key], count: int, fits: Callable[[Posed], bool] = lambda one: True) -> list[Posed]:
    """The first so many tasks that fit."""
    return list(islice((one for one in map(_pose, found) if fits(one)), count))


def _pose(key: Key) -> Posed:
    task, stage = make(key)
    return Posed(task, tuple(one.spec for one in stage.operations))


def played(
    group: str,
    row: str,
    found: Iterator[Key],
    count: int,
    judge: Callable[[Task, Trajectory], Marks],
    fits: Callable[[Posed], bool] | None = None,
    rows: Sequence[str] = (),
) -> list[Played]:
    """The first so many tasks that fit, to be done."""
    tasks = [one.task.key for one in posed(found, count, fits)] if fits else list(islice(found, count))
    return [Played(f"{group}/{row}/{key}", group, tuple(rows) or (row,), key, judge) for key in tasks]
