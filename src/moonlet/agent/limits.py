"""How much a request may take, and what it has taken."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from moonlet.llm import Usage


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one request: everything from a user's words to the end of the loop. None is no limit."""

    steps: int = 16  # replies of the model
    tokens: int | None = None  # of all prompts and replies, as a provider counts them
    seconds: float | None = None
    usd: float | None = None
    call_s: float = 120.0  # of one call, for tools that state no time of their own
    result_chars: int = 16_000  # of one result in the prompt; the rest can be read on demand

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None:
                continue
            least = 1000 if field.name == "result_chars" else 1 if field.name in ("steps", "tokens") else 0
            if not math.isfinite(value) or value < least or value <= 0:
                raise ValueError(f"{field.name} must be {f'at least {least}' if least else 'above 0'}, got {value}")


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars for a million tokens."""

    input_usd: float
    output_usd: float
    cached_usd: float | None = None  # of a prompt, read from a cache; None: as any other input

    def of(self, usage: Usage) -> float:
        """Dollars for this usage."""
        cached = self.input_usd if self.cached_usd is None else self.cached_usd
        fresh = usage.prompt_tokens - usage.cached_tokens
        total = fresh * self.input_usd + usage.cached_tokens * cached + usage.output_tokens * self.output_usd
        return total / 1e6


@dataclass(frozen=True, slots=True)
class Spent:
    """What a request has taken so far. Failed and refused calls count as calls."""

    steps: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0
    calls: int = 0
    seconds: float = 0.0
    usd: float = 0.0

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.output_tokens

    def __add__(self, other: Spent) -> Spent:
        return Spent(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    @staticmethod
    def reply(usage: Usage, price: Price | None, steps: int = 1) -> Spent:
        """What one reply of the model takes."""
        usd = price.of(usage) if price else 0.0
        return Spent(steps, usage.prompt_tokens, usage.output_tokens, usd=usd)

    def reached(self, limits: Limits) -> str | None:
        """The name of a limit other than steps that is used up."""
        for name in ("tokens", "seconds", "usd"):
            limit = getattr(limits, name)
            if limit is not None and getattr(self, name) >= limit:
                return name
        return None

    def output_left(self, limits: Limits, price: Price | None) -> int | None:
        """Tokens that the next reply may write; None if nothing limits it. At least 1."""
        left: list[float] = []
        if limits.tokens is not None:
            left.append(limits.tokens - self.tokens)
        if limits.usd is not None and price and price.output_usd > 0:
            left.append((limits.usd - self.usd) / price.output_usd * 1e6)
        return max(1, int(min(left))) if left else None


DEFAULTS = Limits()
NOTHING = Spent()
