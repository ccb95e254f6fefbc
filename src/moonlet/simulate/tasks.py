"""Tasks: what a user wants in a world, how it is said, and what must be true in the end."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal, get_args

from moonlet.chat.messages import Message
from moonlet.simulate.domains.locale import LANGUAGES, Language
from moonlet.simulate.episode import Wanted

TaskKind = Literal[
    "single", "steps", "parallel", "clarify", "ambiguous", "no_tool", "retry", "explain", "missing", "refused", "talk"
]
Persona = Literal["plain", "terse", "chatty", "changes_mind", "late", "mixed"]
KINDS: tuple[TaskKind, ...] = get_args(TaskKind)
PERSONAS: tuple[Persona, ...] = get_args(Persona)
TRAINING, HELD_OUT = range(0, 1 << 30), range(1 << 30, 1 << 31)  # seeds: no task of one is a task of the other


class TaskError(Exception):
    """There is no such task."""


@dataclass(frozen=True, slots=True)
class Key:
    """Names one task: the same key always gives the same world, words and goal."""

    domain: str
    kind: TaskKind
    language: Language = "en"
    persona: Persona = "plain"
    seed: int = 0
    evolved: bool = False

    def __post_init__(self) -> None:
        for value, known in ((self.kind, KINDS), (self.persona, PERSONAS), (self.language, LANGUAGES)):
            if value not in known:
                raise TaskError(f"{value!r} is none of {', '.join(known)}")

    @property
    def held_out(self) -> bool:
        """Whether training never sees this task, nor the words in which it is asked."""
        return self.seed in HELD_OUT

    def __str__(self) -> str:
        form = "evolved" if self.evolved else "plain"
        return f"{self.domain}/{self.kind}/{self.language}/{self.persona}/{form}/{self.seed}"

    @classmethod
    def parse(cls, text: str) -> Key:
        """The key that is written so. Raises TaskError."""
        match = re.fullmatch(r"([^/]+)/([^/]+)/([^/]+)/([^/]+)/(plain|evolved)/(\d+)", text)
        if not match:
            raise TaskError(f"{text!r} does not name a task: DOMAIN/KIND/LANGUAGE/PERSONA/plain or evolved/SEED")
        key = cls(match[1], "single", seed=int(match[6]), evolved=match[5] == "evolved")
        return replace(key, kind=match[2], language=match[3], persona=match[4])  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Reply:
    """What the user says later: when the assistant asks something, or after it has answered."""

    text: str
    asked: bool


@dataclass(frozen=True, slots=True)
class Goal:
    """What must be true in the end. `told`: of each group, one of its ways to say it is in the assistant's words.

    What cannot be done must have been tried, or looked at: a call of one of the tools `shows`, about one of `subject`.
    """

    effects: tuple[str, ...]  # on the world, as Stage.effects tells them
    told: tuple[tuple[str, ...], ...] = ()
    calls: tuple[Wanted, ...] = ()  # those of a right solution
    asks: int = 0  # questions that cannot be avoided
    asked_for: str = ""  # the tool that must wait for their answers
    shows: tuple[str, ...] = ()
    subject: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """`solution` holds the assistant's messages of one right way; `wish` tells an llm-driven user what it wants."""

    key: Key
    system: str
    opening: str
    replies: tuple[Reply, ...]
    goal: Goal
    solution: tuple[Message, ...]
    wish: str
