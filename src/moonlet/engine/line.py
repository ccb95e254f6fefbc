"""Who waits and who has had how much: owners share the machine by weight, whatever each of them asks for."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from .sequence import Sequence

TURN = 2048  # tokens of a prompt that are read before the owner's next prompt has its turn

_CLAIM = 512  # tokens that a sequence with a place is taken to have had already, until it really has


class Owner:
    """Served tokens are those computed for it, over its weight; the least served goes first.

    That is deficit round robin with a quantum of a token: over any stretch in which two owners both have work, their
    shares differ by no more than one step.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.weight = 1.0
        self.served = 0.0
        self.running = 0
        self.waiting: deque[Sequence] = deque()
        self.reading: deque[Sequence] = deque()  # those of the running ones whose prompts are not read yet

    @property
    def idle(self) -> bool:
        return not self.running and not self.waiting

    def share(self, extra: int = 0) -> float:
        """Places it has, over its weight."""
        return (self.running + extra) / self.weight


class Line:
    """Sequences by owner, first come first served within each, interactive before batch."""

    def __init__(self) -> None:
        self.owners: dict[str, Owner] = {}
        self.count = 0  # of waiting sequences
        self.changes = 0

    def add(self, sequence: Sequence, front: bool = False) -> None:
        owner = self.owners.get(sequence.terms.owner)
        if owner is None:
            owner = self.owners[sequence.terms.owner] = Owner(sequence.terms.owner)
        # What was not used while away is not made up for: an owner comes in beside the least served of those that have
        # work or, where nobody has, beside the most served.
        if owner.idle and not front:
            most = max(other.served for other in self.owners.values())
            owner.served = max(owner.served, self._least_served(most))
        owner.weight = sequence.terms.weight
        if front:
            owner.waiting.appendleft(sequence)
        else:
            owner.waiting.append(sequence)
        self.count += 1
        self.changes += 1

    def remove(self, sequence: Sequence) -> None:
        self.owners[sequence.terms.owner].waiting.remove(sequence)
        self.count -= 1
        self.changes += 1

    def of(self, sequence: Sequence) -> Owner:
        return self.owners[sequence.terms.owner]

    def waiting(self) -> Iterator[Sequence]:
        """All that wait, in the order in which they should be let in."""
        for priority in ("interactive", "batch"):
            owners = [owner for owner in self.owners.values() if owner.waiting]
            for owner in sorted(owners, key=lambda owner: owner.served + owner.share() * _CLAIM):
                yield from [s for s in owner.waiting if s.terms.priority == priority]

    def readers(self) -> Iterator[Sequence]:
        """The running sequences whose prompts are not read yet, the one whose turn it is first."""
        owners = [owner for owner in self.owners.values() if owner.reading]
        if len(owners) > 1:
            owners.sort(key=lambda owner: owner.served)
        for priority in ("interactive", "batch"):
            for owner in owners:
                yield from [s for s in owner.reading if s.terms.priority == priority]

    def charge(self, sequence: Sequence, tokens: int) -> None:
        self.owners[sequence.terms.owner].served += tokens / sequence.terms.weight

    def forget_idle(self) -> None:
        """Owners come and go; those without work are kept only while they are ahead of others."""
        if len(self.owners) > 64:
            least = self._least_served(float("inf"))
            gone = [name for name, owner in self.owners.items() if owner.idle and owner.served <= least]
            for name in gone:
                del self.owners[name]

    def _least_served(self, nobody: float) -> float:
        return min((owner.served for owner in self.owners.values() if not owner.idle), default=nobody)
