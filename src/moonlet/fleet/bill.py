"""What a reply of an engine has taken so far, and what of the month's allowance that is, where the engine is rented."""

from __future__ import annotations

from dataclasses import replace

from moonlet.chat.messages import CallArguments, CallStart, Text, Thinking
from moonlet.ledger.allowance import Allowance
from moonlet.llm import Done, Event, ReplyOptions, Served, Usage
from moonlet.llm.exchange import Exchange


class Bill:
    """Of one engine, for all that it is asked for one reply. Where it does not say what it took, or not yet, that is
    estimated: what costs nothing would meet no limit."""

    def __init__(self, prompt: int) -> None:
        """`prompt`: its tokens, estimated."""
        self._prompt = prompt
        self._before = Usage()  # of what was asked before
        self._lost = False  # of which something cannot be known
        self._exchange: Exchange | None = None  # of what is not over, or broke off
        self._pieces = self._thoughts = 0  # that came of it

    @property
    def usage(self) -> Usage:
        return self._before + self._now

    @property
    def _now(self) -> Usage:
        if self._exchange is None or not self._exchange.answers:
            return Usage()
        return Usage(self._prompt, output_tokens=self._pieces, thinking_tokens=self._thoughts)

    @property
    def unheard(self) -> bool:
        """Whether the engine was sent something and gave no sign: what that took cannot be known."""
        return self._lost or (self._exchange is not None and self._exchange.unheard)

    def begin(self, exchange: Exchange) -> None:
        """The engine is asked, for the first time or again."""
        self._before, self._lost, self._exchange = self.usage, self.unheard, exchange
        self._pieces = self._thoughts = 0

    def hear(self, event: Event) -> Event:
        """The event as it is to be passed on: a Done says what its reply took."""
        self._pieces += isinstance(event, Text | Thinking | CallStart | CallArguments)
        self._thoughts += isinstance(event, Thinking)
        if not isinstance(event, Done):
            return event
        took, now = event.usage, self._now
        if not took.prompt_tokens and not took.output_tokens:
            took = replace(
                took,
                prompt_tokens=now.prompt_tokens,
                output_tokens=now.output_tokens,
                thinking_tokens=now.thinking_tokens,
            )
        # The end may be that of a client which left, when the engine never gave a sign.
        self._before, self._lost, self._exchange = self._before + took, self.unheard, None
        return replace(event, usage=took)


class Money:
    """What a rented request may cost, taken from the allowance until it is known what it did cost."""

    def __init__(self, allowance: Allowance, served: Served, prompt: int, options: ReplyOptions) -> None:
        assert served.price is not None and options.max_tokens is not None
        self._allowance, self._price = allowance, served.price
        self._most = self._price.most_nano_usd(prompt, options.max_tokens)
        self._period = allowance.take(self._most)

    @property
    def taken(self) -> bool:
        """Whether there was so much left."""
        return self._period is not None

    def settle(self, bill: Bill) -> None:
        """It is over. Of what cannot be known everything stays taken."""
        if self._period is not None and not bill.unheard:
            took = bill.usage
            cost = self._price.nano_usd(took.prompt_tokens, took.cached_tokens, took.output_tokens)
            self._allowance.give_back(self._period, self._most - cost)
        self._period = None
