"""Rollouts to learn from: groups of attempts at one task, played by our engine with the network's weights of now.

An attempt keeps the ids that the engine drew, with the chance that each had and what else could have come in its place,
so that nothing is tokenised again and the training sees the same distribution that was drawn from. An attempt that has
written a slice of tokens stops there, in the middle of a word if need be; the next time it says again what it had said,
which its world answers as before, and goes on with the weights of then (partial rollouts, arXiv 2501.12599).
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from moonlet.chat.constrain import CallConstraint, Mask
from moonlet.chat.messages import Message, ToolSpec
from moonlet.chat.template import render_segments
from moonlet.engine.engine import EngineError, EngineOptions
from moonlet.engine.sampler import Token, only_one
from moonlet.llm import LLM, PLAIN, Assembly, Done, Event, LLMError, ReplyOptions, TooLongError, Usage
from moonlet.local import Local, Prepared
from moonlet.model.convert import ConvertOptions, convert
from moonlet.simulate.making import make
from moonlet.simulate.rollout import Trajectory
from moonlet.simulate.tasks import Key
from moonlet.train.export import export
from moonlet.train.network import Network

Play = Callable[[Key, LLM], Trajectory]
MEMORY = Path("/dev/shm")  # 64 MB in a container, if nothing else is said
NEEDED = 4.5  # bytes a weight: a checkpoint of bf16, and at most as much once more packed


class RolloutError(Exception):
    """The engine could not answer: nothing can be learned from that."""


class PausedError(LLMError):
    """The attempt has written all that it may for now."""

    def __init__(self) -> None:
        super().__init__("it waits for the next weights")


@dataclass(frozen=True, slots=True)
class Choice:
    """A token that was drawn. `allowed` is None where nothing else could come: there was nothing to choose."""

    id: int
    chance: float  # its log probability among what was allowed, at the temperature
    temperature: float
    allowed: Mask | None


@dataclass(frozen=True, slots=True)
class Utterance:
    """One reply: what the engine read, and what it drew, the id that ended it included."""

    prompt: tuple[int, ...]
    drawn: tuple[Choice, ...] = ()
    whole: bool = False  # it came to an end, or to the end of the budget
    stopped: bool = False  # its last id ended it and is no part of what was said

    @property
    def spoken(self) -> list[int]:
        """The ids of what was said."""
        ids = [one.id for one in self.drawn]
        return ids[:-1] if self.stopped else ids


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at a task; it is over when it has a trajectory."""

    number: int  # among those at its task
    said: tuple[Utterance, ...] = ()
    trajectory: Trajectory | None = None
    reward: float = 0.0
    cut: bool = False  # at the end of its budget

    @property
    def tokens(self) -> int:
        """That it has written."""
        return sum(len(one.drawn) for one in self.said)


@dataclass(frozen=True, slots=True)
class Group:
    """A task and the attempts at it, which are compared with one another."""

    key: Key
    budget: int  # tokens that an attempt may write
    attempts: tuple[Attempt, ...]

    @property
    def over(self) -> bool:
        """Whether all attempts are."""
        return all(one.trajectory for one in self.attempts)


@dataclass(frozen=True, slots=True)
class Draws:
    """How the attempts of one step are drawn."""

    temperature: float
    slice: int  # tokens that an attempt may write before it waits for the next weights
    penalty: float  # taken off the reward of an attempt that was cut at its budget
    seed: int
    workers: int = 16  # attempts at the same time


@contextmanager
def served(
    network: Network, tokenizer: Path, formats: ConvertOptions, options: EngineOptions, owner: Path
) -> Iterator[Local]:
    """The network's weights of now in our engine, packed as they will be when the model is used.

    They lie in memory for the while, if there is room. Their place is named after the `owner`, a run's folder, so that
    what a killed run left there is cleared away by the next.
    """
    name = hashlib.sha256(str(owner.resolve()).encode()).hexdigest()[:16]
    disk = Path(tempfile.gettempdir())
    for place in (MEMORY, disk):
        shutil.rmtree(place / f"moonlet-{name}", ignore_errors=True)
    needed = NEEDED * sum(weight.numel() for weight in network.state_dict().values())
    free = shutil.disk_usage(MEMORY).free if MEMORY.is_dir() else 0
    scratch = (MEMORY if free >= needed else disk) / f"moonlet-{name}"
    scratch.mkdir(mode=0o700)
    try:
        export(network, tokenizer, scratch / "public")
        report = convert(scratch / "public", scratch / "model", formats)
        with Local(report.folder, options, name="policy") as model:
            yield model
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def budget(model: Local, key: Key, times: float, spare: int) -> int:
    """Tokens for a task: so many times what the way that is known to be right takes, and some to spare."""
    task, _ = make(key)
    segments = render_segments(model.tokenizer, model.family, task.solution, generate=False)
    return int(times * sum(len(one.ids) for one in segments if one.trained)) + spare


def advance(model: Local, groups: Sequence[Group], play: Play, draws: Draws) -> list[Group]:
    """Every attempt that is not over, a slice further."""

    def further(group: Group, attempt: Attempt) -> Attempt:
        return attempt if attempt.trajectory else _further(model, group, attempt, play, draws)

    with ThreadPoolExecutor(draws.workers) as pool:
        # The attempts at a task one after the other: they begin with the same words, which are then computed once.
        waiting = [[pool.submit(further, group, one) for one in group.attempts] for group in groups]
        return [
            replace(group, attempts=tuple(one.result() for one in futures)) for group, futures in zip(groups, waiting)
        ]


def _further(model: Local, group: Group, attempt: Attempt, play: Play, draws: Draws) -> Attempt:
    speaker = Speaker(model, group, attempt, draws)
    trajectory = play(group.key, speaker)
    attempt = replace(attempt, said=tuple(speaker.said))
    if speaker.paused:
        return attempt
    if trajectory.end.startswith("failed") and not speaker.cut:
        raise RolloutError(f"{group.key}: {trajectory.end}")
    reward = trajectory.verdict.reward - (draws.penalty if speaker.cut else 0.0)
    return replace(attempt, trajectory=trajectory, reward=reward, cut=speaker.cut)


class Speaker:
    """The model as the assistant of one attempt: first what it said in earlier slices, then what the engine draws."""

    def __init__(self, model: Local, group: Group, attempt: Attempt, draws: Draws) -> None:
        self.name = model.name
        self.said = list(attempt.said)
        self.paused = False  # the slice is used up
        self.cut = False  # the budget is, or the context
        self._model, self._group, self._number, self._draws = model, group, attempt.number, draws
        self._left = draws.slice
        self._replies = 0

    def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = (), options: ReplyOptions = PLAIN
    ) -> Iterator[Event]:
        """As `moonlet.llm.LLM` says. Raises PausedError when the slice is used up."""
        place, self._replies = self._replies, self._replies + 1
        it = self._prepare(place, messages, tools)
        if place == len(self.said):
            self.said.append(Utterance(tuple(it.prompt)))
        begun = self.said[place]
        assert begun.prompt == tuple(it.prompt), "the world answered otherwise than before"
        whole = Assembly()

        def heard(events: Sequence[Event]) -> Iterator[Event]:
            for event in events:
                whole.add(event)
                yield event

        yield from heard(it.parser.feed(begun.spoken))
        if not begun.whole:
            for token in self._draw(place, it):
                yield from heard(it.parser.feed([token.id]))
        begun = self.said[place]
        if not begun.whole:
            self.paused = True
            raise PausedError
        yield from heard(it.parser.finish())
        self.cut = self.cut or not begun.stopped
        message = whole.message()
        usage = Usage(prompt_tokens=len(begun.prompt), output_tokens=len(begun.drawn))
        yield Done(message, "length" if not begun.stopped else "tool_calls" if message.calls else "stop", usage)

    def _prepare(self, place: int, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> Prepared:
        # What is left of the budget bounds the grammar too, so that a call ends in time or does not begin.
        left = max(self._group.budget - sum(len(one.drawn) for one in self.said[:place]), 1)
        written = len(self.said[place].drawn) if place < len(self.said) else 0
        draw = f"{self._draws.seed} {self._group.key} {self._number} {place} {written}"
        seed = int.from_bytes(hashlib.sha256(draw.encode()).digest()[:8], "big")
        options = ReplyOptions(max_tokens=left, temperature=self._draws.temperature, top_p=1.0, seed=seed)
        try:
            return self._model.prepare(messages, tools, options)
        except TooLongError:
            self.cut = True
            raise

    def _draw(self, place: int, it: Prepared) -> Iterator[Token]:
        """The tokens of this slice; what came of the utterance is noted when they are through."""
        begun, budget = self.said[place], it.sampling.max_tokens
        room = min(self._left, budget - len(begun.drawn))
        if room < 1:
            return
        assert it.constraint, "only models that call tools are trained in worlds"
        watched = Watched(it.constraint, begun.spoken)
        sampling = replace(it.sampling, max_tokens=room)
        running = self._model.engine.submit([*begun.prompt, *begun.spoken], sampling, watched)
        came: list[Token] = []
        try:
            for token in running:
                came.append(token)
                yield token
        except EngineError as error:
            raise LLMError(f"{self.name}: {error}") from None
        finally:
            running.cancel()
        came += [running.stop] if running.stop else []
        new = (
            Choice(token.id, token.chance, sampling.temperature, allowed)
            for token, allowed in zip(came, watched.allowed(), strict=True)
        )
        drawn, stopped = (*begun.drawn, *new), running.stop is not None
        self._left -= len(came)
        self.said[place] = Utterance(begun.prompt, drawn, stopped or len(drawn) >= budget, stopped)


class Watched:
    """A constraint that remembers what it allowed in each place."""

    def __init__(self, inner: CallConstraint, spoken: Sequence[int]) -> None:
        """`spoken`: ids of the reply that came before."""
        for id in spoken:
            inner.accept(id)
        self._inner = inner
        self._taken: list[Mask | None] = []
        self._asked: Mask | None = None  # for the next place

    def mask(self) -> Mask:
        self._asked = self._inner.mask()
        return self._asked

    def accept(self, id: int) -> None:
        self._taken.append(self._asked)
        self._asked = None
        self._inner.accept(id)

    def forced(self) -> list[int]:
        return self._inner.forced()

    def allowed(self) -> list[Mask | None]:
        """For each id that came, the one that ended the reply included: what could come; None: nothing else could."""
        masks = [*self._taken, *([self._asked] if self._asked is not None else [])]
        return [None if mask is None or only_one(mask) is not None else mask for mask in masks]
