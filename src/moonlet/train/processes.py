"""One process that trains, or several that train as one: what a run asks of the others, and does alone.

`Alone` answers for itself at once. `Together` (sharded.py) gives the same answers for all processes that `torchrun`
started; a run is written once and does not know which of the two it has.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from moonlet.train.network import Network
from moonlet.train.rows import Batch


class Alone:
    """One process: it has the whole network, reads whole batches, and agrees with itself."""

    number = 0  # of this process
    count = 1

    @property
    def first(self) -> bool:
        """Whether this process speaks and writes for all."""
        return self.number == 0

    def spread(self, network: Network) -> None:
        """Leaves each process its share of the network's weights, on its device."""
        if torch.cuda.is_available():
            network.to("cuda")

    def part(self, batch: Batch) -> Batch:
        """The rows that this process reads."""
        return batch

    def each(self, function: Callable[[Tensor], Tensor], matrices: Iterable[Tensor]) -> Iterator[Tensor]:
        """`function` of every matrix, which it needs whole. It must give the shape and number format it was given, and
        is given all matrices of one shape in one stack."""
        given = list(matrices)
        alike: dict[torch.Size, list[int]] = {}
        for i, one in enumerate(given):
            alike.setdefault(one.shape, []).append(i)
        for its in alike.values():
            done = function(torch.stack([given[i] for i in its]))
            for i, one in zip(its, done, strict=True):
                given[i] = one
        return iter(given)

    def scale_rows(self, matrix: Tensor, factors: Tensor) -> None:
        """Multiplies row i by factors[i], in place."""
        matrix.mul_(factors[:, None])

    def total(self, values: Tensor) -> Tensor:
        """The sum over the processes."""
        return values

    def largest(self, values: Tensor) -> Tensor:
        """The largest over the processes, number by number."""
        return values

    def agree(self, wanted: bool) -> bool:
        """True for all as soon as one wants it: nobody stops, or saves, while others wait for it in a step."""
        return wanted

    def wait(self) -> None:
        """Until all have come here."""

    def clip(self, network: Network, most: float) -> float:
        """Shortens the whole gradient to the norm `most`; returns its norm before."""
        return float(torch.nn.utils.clip_grad_norm_(network.parameters(), most))

    def whole(self, state: dict[str, Any]) -> dict[str, Any]:
        """A state (of a network or an optimiser) put together from all shares, for the first process; others get {}."""
        return state

    def load(self, network: Network, state: dict[str, Any]) -> None:
        """Fills the network, or this process's share of it, from a whole state."""
        network.load_state_dict(state)

    def share(self, state: dict[str, Any], like: Iterable[Tensor]) -> dict[str, Any]:
        """An optimiser's whole state cut to this process's shares; `like`: its weights, in its order."""
        return state


def processes() -> Alone:
    """This process, or all that were started with it: `torchrun` says so in the environment."""
    if "WORLD_SIZE" not in os.environ:
        return Alone()
    from moonlet.train.sharded import Together

    return Together()
