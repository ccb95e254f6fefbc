"""What a team does in a day: people, tokens, hours. The one description that money and simulation share."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from .money import MoneyError, Use


@dataclass(frozen=True, slots=True)
class Team:
    """Checked when built: MoneyError.

    The usual figures describe a developer with a coding agent: a session is a chain of turns, each of which sends the
    whole conversation again, so that nine tokens of ten that are sent were sent before.
    """

    developers: int = 1
    tokens_per_day: int = 3_000_000  # of one developer, read again from the cache included
    cached_share: Decimal = Decimal("0.90")  # of them, sent before
    output_share: Decimal = Decimal("0.02")  # of them, written by the model
    days: int = 230  # worked in a year
    hours: Decimal = Decimal(8)  # of such a day

    def __post_init__(self) -> None:
        for name, least, most in (
            ("developers", 1, 10**7), ("tokens_per_day", 1, 10**12), ("days", 1, 366), ("hours", Decimal("0.1"), 24),
        ):  # fmt: skip
            if not least <= getattr(self, name) <= most:
                raise MoneyError(f"{name} must be within {least} and {most:,}, got {getattr(self, name)}")
        if self.cached_share < 0 or self.output_share <= 0 or self.cached_share + self.output_share >= 1:
            raise MoneyError(
                f"the shares of cached ({self.cached_share}) and written tokens ({self.output_share}) must leave "
                "something that is computed anew"
            )

    @property
    def prompt_share(self) -> Decimal:
        return 1 - self.cached_share - self.output_share

    @property
    def year(self) -> Use:
        """Tokens of a year, all people together."""
        whole = Decimal(self.tokens_per_day) * self.days * self.developers
        return Use(whole * self.prompt_share, whole * self.cached_share, whole * self.output_share)

    @property
    def output_per_s(self) -> float:
        """Tokens written a second while people work, all together."""
        day = Decimal(self.tokens_per_day) * self.output_share * self.developers
        return float(day / (self.hours * 3600))

    @property
    def prompt_per_output(self) -> float:
        """Tokens computed anew for each that is written."""
        return float(self.prompt_share / self.output_share)
