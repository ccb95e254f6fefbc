"""What tokens cost at a stated price. Sums are whole billionths of a dollar, so that they add up to the last one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation


class PriceError(Exception):
    """A price that cannot be read."""


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars for a million tokens: of the prompt, of what of it lay in the cache, of the output."""

    prompt: Decimal
    cached: Decimal
    output: Decimal

    @classmethod
    def read(cls, text: str) -> Price:
        """A price as it is written down: PROMPT/CACHED/OUTPUT, like 0.60/0.15/2.50. Raises PriceError."""
        try:
            prompt, cached, output = (Decimal(part) for part in text.split("/"))
        except (ValueError, InvalidOperation):
            raise PriceError(f"a price is PROMPT/CACHED/OUTPUT in dollars a million tokens, got {text!r}") from None
        if not all(part.is_finite() and 0 <= part <= 1_000_000 for part in (prompt, cached, output)):
            raise PriceError(f"a price is between 0 and 1000000 dollars a million tokens, got {text!r}")
        return cls(prompt, cached, output)

    @classmethod
    def most(cls, prices: Iterable[Price]) -> Price | None:
        """What is never below any of these; None if there are none."""
        listed = list(prices)
        if not listed:
            return None
        return cls(*(max(getattr(price, name) for price in listed) for name in ("prompt", "cached", "output")))

    def __str__(self) -> str:
        return f"{self.prompt}/{self.cached}/{self.output}"

    def nano_usd(self, prompt_tokens: int, cached_tokens: int, output_tokens: int) -> int:
        """What a request costs; the cached tokens are among those of the prompt."""
        fresh = prompt_tokens - cached_tokens
        micro_usd = fresh * self.prompt + cached_tokens * self.cached + output_tokens * self.output
        return int((micro_usd * 1000).to_integral_value(ROUND_HALF_UP))

    def most_nano_usd(self, prompt_tokens: int, output_tokens: int) -> int:
        """What a request can cost at most, before it is known what of it lies in the cache."""
        dearest = prompt_tokens if self.cached > self.prompt else 0
        return self.nano_usd(prompt_tokens, dearest, output_tokens)
