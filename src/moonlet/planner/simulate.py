"""A team's day on one or many boxes, event by event: sessions begin, turns come in, wait, are read and answered.

Each turn sends the conversation so far and a little more; what the box still has in its cache is not read again. A box
reads prompts one after the other and writes to all its sequences at the speed that `speed` predicts for so many; to no
more than its caches have room for, the others wait.
Boxes are chosen by session, because a conversation's cache lies in one; of more than sixteen, sixteen are played and
stand for all. Time is simulated, nothing sleeps.
"""

from __future__ import annotations

import heapq
import random
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from .capacity import BATCHES, busiest
from .speed import Load, Speed
from .team import Team

PLAYED = 16  # boxes at most; more are alike


@dataclass(frozen=True, slots=True)
class Day:
    """How people work with an agent. Means; drawn from exponential or log-normal distributions."""

    turns: float = 25.0  # of a session
    start_tokens: int = 12_000  # system prompt, tools and the first files
    added_tokens: int = 1_500  # by each turn: tool results, what a person says
    think_s: float = 20.0  # between an answer and the next turn: a tool runs, a person reads
    peak: float = 2.0  # how much busier the busiest hour is than the mean
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (
            ("turns", 1), ("start_tokens", 1), ("added_tokens", 0), ("think_s", 0), ("peak", 1),
        ):  # fmt: skip
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class Result:
    """What the people of a simulated day met with. Seconds."""

    turns: int
    finished: int  # within the day and the hour after it
    first_token_s: tuple[float, float, float]  # half wait less, nine of ten, 99 of 100
    turn_s: tuple[float, float, float]  # until the answer is complete
    busy: float  # share of the working hours that a box computes, mean over boxes
    reused: float  # share of the sent tokens that were not computed again
    sequences: float  # under way at a time on a box that has any, mean
    output_tokens: int
    saturated: bool  # more came than could be done

    @property
    def verdict(self) -> str:
        if self.saturated:
            return "saturated: work comes faster than it is done"
        half, most, _ = self.first_token_s
        return f"half of the first tokens come within {half:.1f} s, nine of ten within {most:.1f} s"


@dataclass(slots=True)
class _Turn:
    session: int
    number: int
    sent: int  # tokens of the conversation
    fresh: int  # of them, to be computed
    output: int
    arrived: float
    left: float = 0.0  # tokens still to be written

    @property
    def length(self) -> int:
        """Tokens of the conversation when it is answered."""
        return self.sent + self.output


@dataclass(slots=True)
class _Box:
    waiting: deque[_Turn] = field(default_factory=deque)
    reading: _Turn | None = None
    writing: list[_Turn] = field(default_factory=list)
    since: float = 0.0  # when `left` of those writing was last brought up to date
    version: int = 0  # of the planned end of writing; an older one in the queue is void
    cached: OrderedDict[int, int] = field(default_factory=OrderedDict)  # session: tokens
    cached_tokens: int = 0
    busy_s: float = 0.0
    sequence_s: float = 0.0


class Simulation:
    """One day. `rate(sequences, context)` is tokens a second of one sequence, `reading(fresh, before)` seconds."""

    def __init__(self, speed: Speed, team: Team, day: Day = Day(), boxes: int = 1, most: int = BATCHES[-1]) -> None:
        if boxes < 1 or most < 1:
            raise ValueError(f"boxes and sequences must be at least 1, got {boxes} and {most}")
        speed = speed.placed_for(busiest(speed, team)) or speed  # as machines are counted
        fit = speed.fit
        self.team, self.day = team, day
        self.dice = random.Random(day.seed)
        # Boxes are alike and do not meet: of many, some are played and stand for all.
        self.scale = boxes / min(boxes, PLAYED)
        self.boxes = [_Box() for _ in range(min(boxes, PLAYED))]
        self.most = most  # that write at the same time, and what their caches may take
        self.writing_tokens = fit.writing_room
        self.cache_tokens = fit.cache_room
        self.context = min(fit.writing_room, fit.subject.config.max_positions)
        self.rate = _memo_rate(speed, self.context)
        self.reading = _memo_reading(speed, self.context)
        self.events: list[tuple[float, int, Callable[[float], None]]] = []
        self.serial = 0
        self.first: list[float] = []
        self.whole: list[float] = []
        self.arrived = self.sent = self.fresh = self.written = 0

    def run(self) -> Result:
        """Raises nothing; a day that cannot be served ends saturated."""
        hours_s = float(self.team.hours) * 3600
        self._sessions(hours_s)
        end = hours_s + 3600
        while self.events and self.events[0][0] <= end:
            now, _, act = heapq.heappop(self.events)
            act(now)
        busy = sum(box.busy_s for box in self.boxes) / (len(self.boxes) * hours_s)
        busy_s = sum(box.busy_s for box in self.boxes)
        done = len(self.whole)
        return Result(
            turns=round(self.arrived * self.scale),
            finished=round(done * self.scale),
            first_token_s=_quantiles(self.first),
            turn_s=_quantiles(self.whole),
            busy=min(busy, 1.0),
            reused=1 - self.fresh / self.sent if self.sent else 0.0,
            sequences=sum(box.sequence_s for box in self.boxes) / busy_s if busy_s else 0.0,
            output_tokens=round(self.written * self.scale),
            saturated=done < 0.95 * self.arrived,
        )

    def _at(self, time: float, act: Callable[[float], None]) -> None:
        self.serial += 1
        heapq.heappush(self.events, (time, self.serial, act))

    def _sessions(self, hours_s: float) -> None:
        """Beginnings over the day, with a busiest hour in its middle."""
        team, day = self.team, self.day
        output = team.tokens_per_day * float(team.output_share)
        each = output / max(self._output_tokens() * day.turns, 1)  # sessions of a developer, so that tokens agree
        for session in range(max(round(each * team.developers / self.scale), 1)):
            while True:  # a triangle on top of an even day
                at = self.dice.random()
                height = 1 + (day.peak - 1) * max(0.0, 1 - abs(at - 0.5) * 8)
                if self.dice.random() * day.peak <= height:
                    break
            turns = max(1, round(self.dice.expovariate(1 / day.turns)))
            self._at(at * hours_s, self._turn(session, 1, turns, self._draw(day.start_tokens)))

    def _output_tokens(self) -> float:
        """Of a turn, such that the team's shares come out: written over computed anew."""
        anew = self.day.added_tokens + self.day.start_tokens / self.day.turns
        return max(anew / self.team.prompt_per_output, 1.0)

    def _draw(self, mean: float) -> int:
        return max(1, round(mean * self.dice.lognormvariate(-0.32, 0.8)))  # mean 1, a long tail

    def _turn(self, session: int, number: int, turns: int, sent: int) -> Callable[[float], None]:
        def arrive(now: float) -> None:
            length = min(sent, self.context)
            turn = _Turn(session, turns - number, length, 0, self._draw(self._output_tokens()), now)
            self.arrived += 1
            box = self.boxes[session % len(self.boxes)]
            box.waiting.append(turn)
            self._next(box, now)

        return arrive

    def _next(self, box: _Box, now: float) -> None:
        """Reads the next prompt if nothing is being read and there is room to write: for one there always is."""
        if box.reading or not box.waiting or len(box.writing) >= self.most:
            return
        held = sum(turn.length for turn in [*box.writing, box.waiting[0]])
        if box.writing and held > self.writing_tokens:
            return
        turn = box.waiting.popleft()
        known = min(box.cached.get(turn.session, 0), turn.sent - 1)
        turn.fresh = turn.sent - known
        self.sent += turn.sent
        self.fresh += turn.fresh
        self._advance(box, now)
        box.reading = turn
        self._plan(box, now)  # those who write share their steps from now on
        seconds = self.reading(turn.fresh, known)
        self._at(now + seconds, lambda then: self._read(box, turn, then))

    def _read(self, box: _Box, turn: _Turn, now: float) -> None:
        self._advance(box, now)
        box.reading = None
        self.first.append(now - turn.arrived)
        turn.left = float(turn.output)
        box.writing.append(turn)
        self._keep(box, turn)
        self._next(box, now)
        self._plan(box, now)

    def _keep(self, box: _Box, turn: _Turn) -> None:
        box.cached_tokens += turn.length - box.cached.get(turn.session, 0)
        box.cached[turn.session] = turn.length
        box.cached.move_to_end(turn.session)
        while box.cached_tokens > self.cache_tokens and len(box.cached) > 1:
            box.cached_tokens -= box.cached.popitem(last=False)[1]

    def _pace(self, box: _Box) -> float:
        if not box.writing:
            return 0.0
        context = sum(turn.sent for turn in box.writing) / len(box.writing)
        pace = self.rate(len(box.writing), context)
        return pace / 2 if box.reading else pace  # steps are shared between a prompt and those who write

    def _advance(self, box: _Box, now: float) -> None:
        spent = now - box.since
        if box.writing:
            written = self._pace(box) * spent
            for turn in box.writing:
                turn.left -= written
        if box.writing or box.reading:
            box.busy_s += spent
            box.sequence_s += spent * (len(box.writing) + bool(box.reading))
        box.since = now

    def _plan(self, box: _Box, now: float) -> None:
        """When the first of those writing will be done, if nothing changes before."""
        box.version += 1
        if not box.writing:
            return
        version = box.version
        least = min(turn.left for turn in box.writing)
        self._at(now + max(least, 0.0) / self._pace(box) + 1e-9, lambda then: self._done(box, version, then))

    def _done(self, box: _Box, version: int, now: float) -> None:
        if version != box.version:
            return
        self._advance(box, now)
        for turn in [turn for turn in box.writing if turn.left <= 1e-6]:
            box.writing.remove(turn)
            self.whole.append(now - turn.arrived)
            self.written += turn.output
            if turn.number > 0:
                sent = turn.length + self._draw(self.day.added_tokens)
                again = self._turn(turn.session, 1, turn.number, sent)
                self._at(now + self.dice.expovariate(1 / self.day.think_s) if self.day.think_s else now, again)
        self._next(box, now)
        self._plan(box, now)


def _memo_rate(speed: Speed, most: int) -> Callable[[int, float], float]:
    memo: dict[tuple[int, int], float] = {}

    def rate(sequences: int, context: float) -> float:
        key = (sequences, min(int(context) // 4096 * 4096 + 2048, max(most, 1)))
        if key not in memo:
            memo[key] = speed.each(Load(*key)).value
        return memo[key]

    return rate


def _memo_reading(speed: Speed, most: int) -> Callable[[int, int], float]:
    memo: dict[tuple[int, int], float] = {}

    def reading(fresh: int, before: int) -> float:
        size = 1 << max(fresh - 1, 1).bit_length()  # the next power of two stands for its neighbours
        key = (size, before // 8192 * 8192)
        if key not in memo:
            memo[key] = speed.first_token(key[0], min(key[1], max(most - 1, 0))).value / key[0]
        return memo[key] * fresh

    return reading


def _quantiles(values: list[float]) -> tuple[float, float, float]:
    if not values:
        return (0.0, 0.0, 0.0)
    ordered = sorted(values)
    at = [ordered[min(int(len(ordered) * share), len(ordered) - 1)] for share in (0.5, 0.9, 0.99)]
    return (at[0], at[1], at[2])
