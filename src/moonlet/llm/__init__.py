"""What answers messages: one Protocol, behind which stand our engine (`moonlet.local`), any OpenAI-style endpoint
(`llm.remote`) and prepared replies (`llm.scripted`).

A reply is a stream of the events of `moonlet.chat.messages`, closed by `Done`. Whoever shows, records or translates
replies works from these events alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, runtime_checkable

from moonlet.chat.messages import (
    CallArguments,
    CallEnd,
    CallStart,
    Message,
    Text,
    Thinking,
    ToolCall,
    ToolSpec,
)
from moonlet.ledger.money import Price

if TYPE_CHECKING:  # numpy is slow to import, and only who looks inside a model needs it
    import numpy as np
    from numpy.typing import NDArray

Finish = Literal["stop", "length", "tool_calls", "cancelled"]
Priority = Literal["interactive", "batch"]
Number = TypeVar("Number", int, float)


class LLMError(Exception):
    """The model, or the endpoint that stands for it, could not answer. `usage`: what was taken all the same, where that
    is known; `tries`: by which engine what of it, in the order in which they were asked, where there are several."""

    def __init__(self, message: str, usage: Usage | None = None) -> None:
        super().__init__(message)
        self.usage = usage
        self.tries: tuple[tuple[Served, Usage], ...] = ()


class RefusedError(LLMError):
    """The request itself cannot be answered: it does not fit, or it asks for what the model does not have."""


class TooLongError(RefusedError):
    """The prompt does not fit into the model's context. Numbers are tokens."""

    def __init__(self, prompt: int, context: int, least: bool = False) -> None:
        """`least`: the prompt has more, and how many is not known."""
        has = f"at least {prompt}" if least else str(prompt)
        super().__init__(f"the prompt has {has} tokens, the context holds {context}")
        self.prompt = prompt
        self.context = context


class BusyError(LLMError):
    """The model has as much to do as it takes on; `retry_s` seconds later there may be room."""

    def __init__(self, message: str, retry_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_s = retry_s


class ToldError(LLMError):
    """An endpoint that is alive said itself that it failed at this request. It may do well with others."""


class LateError(LLMError):
    """The reply had not ended by its deadline."""


class LoadingError(LLMError):
    """The model is on its way into memory."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is being loaded; try again in a moment")


@dataclass(frozen=True, slots=True)
class ReplyOptions:
    """How a reply is wanted. None leaves the choice to the model."""

    max_tokens: int | None = None
    temperature: float | None = None  # 0 is greedy
    top_p: float | None = None
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    seed: int | None = None
    stop: tuple[str, ...] = ()  # the reply's text ends before the first of these
    tool_choice: str = "auto"  # auto, none, required, or the name of the tool that must be called
    thinking: bool = True  # where the model can be asked not to
    top_k: int | None = None  # 0: no limit
    logprobs: bool = False  # Scored events beside the text
    top_logprobs: int = 0  # and so many likeliest tokens at each place
    parallel_calls: bool = True  # whether one reply may make several calls
    owner: str = ""  # who waits, where several share the machine; none share with nobody
    weight: float = 1.0  # the owner's share of it
    priority: Priority = "interactive"  # batch takes what interactive replies leave
    deadline_s: float | None = None  # from the request on; a reply that has not ended by then fails with LateError
    answer_schema: Mapping[str, Any] | None = None  # JSON schema that the text must satisfy, where the reply has one
    look: bool = False  # Look events beside the text, from a model that can be looked into

    def __post_init__(self) -> None:
        if self.max_tokens is not None and not 1 <= self.max_tokens < 1 << 31:
            raise ValueError(f"max_tokens must be at least 1 and below {1 << 31}, got {self.max_tokens}")
        if self.temperature is not None and not 0 <= self.temperature <= 2:
            raise ValueError(f"temperature must be between 0 and 2, got {self.temperature}")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, got {self.top_p}")
        for name in ("presence_penalty", "frequency_penalty"):
            if not -2 <= getattr(self, name) <= 2:
                raise ValueError(f"{name} must be between -2 and 2, got {getattr(self, name)}")
        if self.top_k is not None and self.top_k < 0:
            raise ValueError(f"top_k must not be negative, got {self.top_k}")
        if not 0 <= self.top_logprobs <= 20:
            raise ValueError(f"top_logprobs must be between 0 and 20, got {self.top_logprobs}")
        if self.deadline_s is not None and not 0 < self.deadline_s < 1e9:
            raise ValueError(f"deadline_s must be above 0 and below 1e9, got {self.deadline_s}")
        if "" in self.stop:
            raise ValueError("stop must not hold an empty string")


PLAIN = ReplyOptions()


@dataclass(frozen=True, slots=True)
class ExpertUse:
    """Which part of a sparse model worked."""

    chosen: int  # of each sparse layer, for each token
    of: int  # experts of a sparse layer
    layers: int  # sparse layers
    seen: int  # bits, one for each expert of each layer: whether a written token went through it

    @property
    def share(self) -> float:
        """Share of all routed experts that worked at least once."""
        return self.seen.bit_count() / (self.of * self.layers)


@dataclass(frozen=True, slots=True)
class Usage:
    """What a reply took. Times are zero where they are not known, unless they say otherwise."""

    prompt_tokens: int = 0
    cached_tokens: int = 0  # of the prompt, not computed again
    output_tokens: int = 0
    prefill_s: float = 0.0
    decode_s: float = 0.0
    decode_tokens: int = 0  # of the output, those that decode_s was taken for: all but the first
    experts: ExpertUse | None = None
    thinking_tokens: int = 0  # of the output
    queue_s: float | None = None  # None: nobody measured it
    expert_hits: int | None = None  # experts that were in memory when they were needed
    expert_reads: int | None = None  # experts that had to be read
    bytes_read: int | None = None  # for those
    read_wait_s: float = 0.0  # of the times above, in which nothing could be computed for want of an expert

    @property
    def tokens_per_s(self) -> float | None:
        """Speed of writing, None if it was not measured."""
        return self.decode_tokens / self.decode_s if self.decode_s > 0 and self.decode_tokens else None

    def __add__(self, other: Usage) -> Usage:
        """What two replies of one model took together."""
        mine, more = self.experts, other.experts
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.cached_tokens + other.cached_tokens,
            self.output_tokens + other.output_tokens,
            self.prefill_s + other.prefill_s,
            self.decode_s + other.decode_s,
            self.decode_tokens + other.decode_tokens,
            replace(mine, seen=mine.seen | more.seen) if mine and more else mine or more,
            self.thinking_tokens + other.thinking_tokens,
            _sum(self.queue_s, other.queue_s),
            _sum(self.expert_hits, other.expert_hits),
            _sum(self.expert_reads, other.expert_reads),
            _sum(self.bytes_read, other.bytes_read),
            self.read_wait_s + other.read_wait_s,
        )


def _sum(one: Number | None, other: Number | None) -> Number | None:
    return other if one is None else one if other is None else one + other


@dataclass(frozen=True, slots=True)
class Served:
    """Which of several engines answers: the first event of a reply, where there are several."""

    engine: str
    overflow: bool = False  # rented, because the others were busy or away
    price: Price | None = None  # of its tokens, where it has one of its own


@dataclass(frozen=True, slots=True)
class Done:
    """The last event of every reply."""

    message: Message
    finish: Finish
    usage: Usage
    stop: str | None = None  # the stop string that ended it
    served: Served | None = None  # where there are several engines


@dataclass(frozen=True, slots=True)
class ScoredToken:
    """A token of the text with its log probability, and the likeliest ones at its place, likeliest first."""

    text: bytes  # may be part of a character
    logprob: float
    top: tuple[tuple[bytes, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Scored:
    """The tokens that the next text is made of. They may come before their text, never after it."""

    tokens: tuple[ScoredToken, ...]


@dataclass(frozen=True, slots=True)
class Look:
    """What one step of a sparse model did for this reply. Arrays are (sparse layers, T, K), K the experts of a token.

    A token is looked at when the model has read it, which is one step after it was written; the last is never read.
    """

    start: int  # position of the first of its tokens in prompt and reply
    tokens: tuple[bytes, ...]  # T; each may be part of a character
    prompt: bool  # whether they are the prompt's
    chosen: NDArray[np.int32]
    weights: NDArray[np.float32]  # how much of each expert's output counts
    tiers: NDArray[np.uint8]  # where each was: a place in TIERS
    parts_s: Mapping[str, float]  # the whole step's time: attention, router, experts, disk, dense, head
    step_tokens: int  # of the whole step, others' among them
    hits: float  # experts that were in memory when the step needed them
    misses: float
    read_bytes: float


TIERS = ("memory", "pinned", "cached", "disk")  # all of it in memory; or streamed: kept there, there for now, not there

Event = Served | Text | Thinking | CallStart | CallArguments | CallEnd | Scored | Look | Done


class LLM(Protocol):
    """Answers messages."""

    name: str

    def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = (), options: ReplyOptions = PLAIN
    ) -> Iterator[Event]:
        """Events of one reply, the last of which is Done. Raises LLMError, at the call or while it is iterated over;
        RefusedError if the request is at fault."""
        ...


@runtime_checkable
class Plain(Protocol):
    """A model whose prompts can be had without a conversation around them, and counted."""

    def complete(self, prompt: str | Sequence[int], options: ReplyOptions = PLAIN) -> Iterator[Event]:
        """What comes after a text, or after these token ids. Raises as `LLM.reply` does."""
        ...

    def count(self, messages: Sequence[Message], tools: Sequence[ToolSpec] = (), options: ReplyOptions = PLAIN) -> int:
        """Tokens of the prompt that a conversation becomes. Raises as `LLM.reply` does."""
        ...


@runtime_checkable
class Queued(Protocol):
    """A model whose replies may have to wait for one another."""

    def in_line(self) -> tuple[tuple[str, Priority], ...]:
        """Owner and priority of the replies that wait, in the order in which they would begin now."""
        ...


def close(events: Iterator[Event]) -> None:
    """End a reply early, from any thread. One that cannot be interrupted just now (a generator at work in another
    thread) goes on until its listener stops."""
    end = getattr(events, "close", None)
    if end is not None:
        with suppress(ValueError):  # "generator already executing"
            end()


class Assembly:
    """The message that a reply's events add up to."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._calls: list[ToolCall] = []

    def add(self, event: Event) -> None:
        match event:
            case Text(text):
                self._text.append(text)
            case Thinking(text):
                self._thinking.append(text)
            case CallEnd(_, call):
                self._calls.append(call)
            case _:
                pass

    def message(self) -> Message:
        return Message("assistant", "".join(self._text), thinking="".join(self._thinking), calls=tuple(self._calls))


class StopText:
    """Cuts a stream of text before the first stop string, holding back what may be the beginning of one."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""
        self.found: str | None = None  # the stop string that came

    @property
    def hit(self) -> bool:
        return self.found is not None

    def feed(self, text: str) -> str:
        """The text that can be shown by now. After `hit` nothing more comes."""
        if self.hit:
            return ""
        text = self._held + text
        found = [(place, stop) for stop in self._stops if (place := text.find(stop)) >= 0]
        if found:
            place, self.found = min(found)
            self._held = ""
            return text[:place]
        hold = max((_overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - hold :]
        return text[: len(text) - hold]

    def finish(self) -> str:
        """What was held back and turned out to be no stop string."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that begins `stop`."""
    return next((n for n in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:n])), 0)


def until_stop(events: Iterable[Event], text: StopText) -> Iterator[Event]:
    """The events of a reply up to the first stop string in its text; `text.hit` says that there was one."""
    for event in events:
        if isinstance(event, Text):
            if shown := text.feed(event.text):
                yield Text(shown)
            if text.hit:
                return
        elif isinstance(event, Scored | Look):
            yield event
        else:
            # A call or a thought ends the text before it: no stop string reaches across.
            if held := text.finish():
                yield Text(held)
            yield event
    if held := text.finish():
        yield Text(held)
