"""What an agent tells while it works: the events of its model's replies, and these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from moonlet import llm
from moonlet.agent.limits import NOTHING, Spent
from moonlet.chat.messages import ToolCall
from moonlet.llm import Usage

Reason = Literal["stop", "length", "steps", "tokens", "seconds", "usd", "cancelled"]


@dataclass(frozen=True, slots=True)
class CallStarted:
    """The call is allowed and starts when the listener asks for the next event."""

    index: int  # position in its reply
    call: ToolCall
    changes: bool


@dataclass(frozen=True, slots=True)
class Progress:
    """What a running call tells on the way."""

    call: ToolCall
    text: str


@dataclass(frozen=True, slots=True)
class Ruling:
    """Whether a call may run, where that was a question."""

    index: int
    call: ToolCall
    allowed: bool
    by: str  # user, or the rule that decided


@dataclass(frozen=True, slots=True)
class CallResult:
    """One call was executed, or could not be. A failed call is data: the model reads why."""

    call: ToolCall
    text: str  # as the model sees it: cut if it is long, marked if others wrote it
    failed: bool
    seconds: float
    index: int = 0
    full: str | None = None  # the whole text, where `text` is cut


@dataclass(frozen=True, slots=True)
class Notice:
    """Something happened around the run that the user should know: a server ended, or changed its tools."""

    text: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The last event of a run."""

    reason: Reason
    usages: tuple[Usage, ...]  # of each reply
    spent: Spent = NOTHING  # by the request, also before it was resumed


Event = llm.Event | CallStarted | Progress | Ruling | CallResult | Notice | Ended
