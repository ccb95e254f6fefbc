"""How long a machine takes for weights times tokens: measured with our kernels, or by bandwidth and operations.

`seconds(weights, bytes_per_weight, tokens)` is the time to multiply a matrix of so many weights with so many tokens at
once, all threads working. It is the one question that `speed` asks.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

Curves = dict[str, tuple[tuple[float, float], ...]]

_BITS = {"f32": 4.0, "bf16": 2.0, "int8": 1.0625, "int4": 0.5625}  # bytes per weight, scales included


class Rates(Protocol):
    def seconds(self, weights: float, bytes_per_weight: float, tokens: float) -> float:
        """For `weights` weights, each read once and multiplied with `tokens` tokens."""

    def attend(self, numbers: float, tokens: float) -> float:
        """For attention over `numbers` numbers of the cache: tokens x positions x heads x (latent + rope).

        `tokens` of one reply are computed together: one when it is written, many when a prompt is read.
        """


@dataclass(frozen=True, slots=True)
class Roofline:
    """Limits by reading and by computing; whichever is later counts."""

    read_bytes_s: float
    ops: float

    def seconds(self, weights: float, bytes_per_weight: float, tokens: float) -> float:
        return max(weights * bytes_per_weight / self.read_bytes_s, 2 * weights * tokens / self.ops)

    def attend(self, numbers: float, tokens: float) -> float:
        # Two products of the same length for each number: the score and the sum.
        return 4 * numbers / self.ops


@dataclass(frozen=True, slots=True)
class MeasuredRates:
    """What our kernels did on this machine. Times in seconds, all threads together.

    weight_s: by format, (tokens, seconds for one weight and so many tokens) with tokens rising; weights from memory.
    near_s: the same with weights that stay in the processor's last cache, which holds `near_bytes`; may be empty.
    """

    weight_s: Curves
    attend_s: float  # for one number of the cache, one token of a reply
    attend_many_s: float = 0.0  # the same when many tokens of one prompt are computed together; 0: as attend_s
    layer_s: float = 0.0  # of a step, for each layer: barriers, small work
    token_layer_s: float = 0.0  # for each token in each layer: norms, routing, bookkeeping
    step_s: float = 0.0  # for each step: the scheduler, Python
    token_s: float = 0.0  # for each token written: sampling, handing over
    logit_s: float = 0.0  # for each logit of a token written
    number_s: float = 0.0  # for each number that stands between two matrices for a token (see `speed.numbers`)
    near_bytes: float = 0.0
    near_s: Curves = field(default_factory=dict)

    def for_model(self, stored_bytes: float) -> MeasuredRates:
        """The rates for a model of that size: a small one stays in the processor's cache, in part or as a whole."""
        if not self.near_s or stored_bytes >= self.near_bytes:
            return self
        far = min(max(2 * stored_bytes / self.near_bytes - 1, 0.0), 1.0)  # from half the cache on, more and more
        mixed = {
            name: tuple(
                (count, near + (away - near) * far) for (count, near), (_, away) in zip(self.near_s[name], curve)
            )
            for name, curve in self.weight_s.items()
        }
        return replace(self, weight_s=mixed, near_s={})

    def seconds(self, weights: float, bytes_per_weight: float, tokens: float) -> float:
        """Of the format that is nearest in bytes; reading is scaled to the bytes that are asked for."""
        format = min(self.weight_s, key=lambda name: abs(math.log(_BITS[name] / bytes_per_weight)))
        scale = max(bytes_per_weight / _BITS[format], 1.0)
        return weights * scale * _between(self.weight_s[format], tokens)

    def attend(self, numbers: float, tokens: float) -> float:
        many = self.attend_many_s or self.attend_s
        # A kernel for many tokens shares what it reads among them; sixteen are many.
        share = min(max(tokens - 1, 0) / 15, 1.0)
        return numbers * (self.attend_s + (many - self.attend_s) * share)

    def to_json(self) -> dict[str, Any]:
        return {
            "weight_s": {name: [list(point) for point in points] for name, points in self.weight_s.items()},
            "near_s": {name: [list(point) for point in points] for name, points in self.near_s.items()},
            **{name: getattr(self, name) for name in _SCALARS},
        }

    @staticmethod
    def from_json(raw: Mapping[str, Any]) -> MeasuredRates:
        """Raises KeyError, TypeError or ValueError for what is no such table."""
        curves, near = _curves(raw["weight_s"]), _curves(raw["near_s"])
        if not curves or (near and near.keys() != curves.keys()):
            raise ValueError("no measured format")
        return MeasuredRates(curves, near_s=near, **{name: float(raw[name]) for name in _SCALARS})


_SCALARS = (
    "attend_s", "attend_many_s", "layer_s", "token_layer_s", "step_s", "token_s", "logit_s", "number_s", "near_bytes"
)  # fmt: skip


def _curves(raw: Mapping[str, Any]) -> Curves:
    found = {
        str(name): tuple((float(tokens), float(seconds)) for tokens, seconds in points)
        for name, points in raw.items()
        if name in _BITS
    }
    if not all(found.values()):
        raise ValueError("a format without a measured point")
    return found


def _between(points: Sequence[tuple[float, float]], tokens: float) -> float:
    """Seconds between measured points, straight in tokens; beyond the last one in proportion to it."""
    counts = [count for count, _ in points]
    if tokens <= counts[0]:
        return points[0][1]
    if tokens >= counts[-1]:
        return points[-1][1] * tokens / counts[-1]
    i = bisect_left(counts, tokens)
    (a, low), (b, high) = points[i - 1], points[i]
    return low + (high - low) * (tokens - a) / (b - a)
