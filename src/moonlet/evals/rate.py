"""A share that was counted, and how far the true one may be from it."""

from __future__ import annotations

import math
from dataclasses import dataclass

Z = 1.959964  # of a normal distribution: 95 % lie within


@dataclass(frozen=True, slots=True)
class Rate:
    """right of total, with the Wilson interval at 95 %."""

    right: int
    total: int

    def interval(self) -> tuple[float, float]:
        """Bounds of the true rate (Wilson 1927): the score interval for z = 1.96; (0, 1) when nothing was counted."""
        if not self.total:
            return 0.0, 1.0
        n, p = self.total, self.right / self.total
        centre, spread = p + Z * Z / (2 * n), Z * math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
        low, high = (centre - spread) / (1 + Z * Z / n), (centre + spread) / (1 + Z * Z / n)
        return max(0.0, low), min(1.0, high)

    def as_json(self) -> dict[str, float]:
        low, high = self.interval()
        return {"right": self.right, "total": self.total, "low": round(low, 4), "high": round(high, 4)}

    def short(self) -> str:
        """75 % (69 to 80)"""
        low, high = self.interval()
        return f"{self.right / self.total:.0%} ({low * 100:.0f} to {high * 100:.0f})".replace("%", " %", 1)

    def __str__(self) -> str:
        if not self.total:
            return "none"
        low, high = self.interval()
        return f"{self.right}/{self.total} = {self.right / self.total:.1%} ({low:.1%} to {high:.1%})"
