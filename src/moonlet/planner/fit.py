"""Where every part of a model lives on a machine, what is left, or why it does not fit and what would make it fit.

The order of preference: everything in the cards; what every token reads, and the cache, in the cards and the experts in
the cards' rest, then in memory, then on disk; without cards the same with memory and disk. Weights are never dropped or
rounded silently: another format is one of the changes that are proposed. Only fp8 is planned without cards as `moonlet
pull` makes it, and a note says so.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from moonlet.engine.memory import STEP_TOKENS, STEPS, step_bytes
from moonlet.model.anatomy import Format, size
from moonlet.model.config import ModelConfig

from .machine import GB, Machine
from .said import NOTHING, Said
from .subject import Subject

Place = Literal["cards", "memory", "disk"]

# What is not to be had: the system and its files, the engine's buffers, a card's own needs.
MEMORY_RESERVE = 0.06
MEMORY_RESERVE_LEAST = 1.5 * GB
CARD_RESERVE = 0.10
LEAST_CONTEXT = 2048  # less is no use to an agent
USUAL_CONTEXT = 32_768  # what is set aside when nothing is asked for: a coding agent's conversation
STREAM_BUFFERS = 8  # a part of so many, at most, of the memory left to streamed experts: for steps of many tokens
LEAST_SLOTS = 1.0  # streaming needs room for what one token chooses, in every layer


@dataclass(frozen=True, slots=True)
class Wish:
    """What the model is to do. Checked when built: ValueError."""

    context: int = 0  # tokens of one conversation; 0: 32,768 or the largest that fits
    sequences: int = 1  # at the same time
    dense: Format | None = None
    experts: Format | None = None
    stream: bool = True  # experts may stay on disk
    memory_bytes: int = 0  # 0: all but a reserve
    cache: Literal["bf16", "int8"] = "bf16"  # only moonlet's own engine has int8, so that no cards are used

    def __post_init__(self) -> None:
        for name, least in (("context", 0), ("sequences", 1), ("memory_bytes", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class Home:
    """Bytes of one part in one place."""

    part: str
    place: Place
    bytes: int


@dataclass(frozen=True, slots=True)
class Fit:
    """`why` is empty when it fits; `change` then is too. Bytes of `homes` sum to weights, cache and buffers."""

    subject: Subject
    machine: Machine
    wish: Wish
    fits: bool
    homes: tuple[Home, ...] = ()
    context: int = 0  # tokens of each sequence that were set aside
    largest_context: int = 0  # of each sequence, with all the room there is
    free: dict[Place, int] = field(default_factory=dict)
    step_tokens: int = STEP_TOKENS  # of a prompt that are computed at once
    why: Said = NOTHING
    change: Said = NOTHING  # the smallest change that makes it fit
    published: Subject | None = None  # the model as it was given, before parts of it took other formats

    def for_sequences(self, count: int) -> Fit:
        """The same model, machine and context with room for the caches of so many at a time, if there is."""
        return _place(self.subject, self.machine, replace(self.wish, context=self.context, sequences=count))

    def share(self, place: Place) -> float:
        """Share of the experts that lie there."""
        whole = self.subject.experts_bytes
        return sum(h.bytes for h in self.homes if h.part == "experts" and h.place == place) / whole if whole else 0.0

    @property
    def dense_place(self) -> Place:
        """Where attention lies, and with it all that every token reads."""
        return next((h.place for h in self.homes if h.part == "attention"), "memory")

    @property
    def streams(self) -> bool:
        """Whether experts are read from disk while it computes."""
        return self.share("disk") > 0

    @property
    def cache_room(self) -> int:
        """Tokens of all conversations, resting ones too, whose cache there is room for in cards and memory.

        Engines for cards move the cache of a resting conversation to memory, ours keeps it there.
        """
        beside = self.free.get("memory", 0) if self.dense_place == "cards" else 0
        return int((self._cache_bytes + beside) // self.subject.cache_bytes_per_token)

    @property
    def writing_room(self) -> int:
        """Tokens of all conversations under way: their cache must lie where attention does."""
        return int(self._cache_bytes // self.subject.cache_bytes_per_token)

    @property
    def _cache_bytes(self) -> float:
        """That caches can have where attention lies, each byte of a cache counted once however many cards hold it."""
        copies = self.machine.cards.count if self.tensor_parallel and self.machine.cards else 1
        cached = sum(home.bytes for home in self.homes if home.part == "cache")
        return (cached + self.free.get(self.dense_place, 0)) / copies

    @property
    def tensor_parallel(self) -> bool:
        """All in several cards, the cache in each: they share each layer. Otherwise layers lie in one card each."""
        cards = self.machine.cards
        if cards is None or cards.count < 2 or self.dense_place != "cards" or self.share("cards") != 1.0:
            return False
        cached = sum(home.bytes for home in self.homes if home.part == "cache")
        return cached >= cards.count * self.context * self.wish.sequences * self.subject.cache_bytes_per_token


def rooms(machine: Machine, wish: Wish) -> dict[Place, int]:
    """Bytes that may be used of each place."""
    memory = machine.memory_bytes - max(machine.memory_bytes * MEMORY_RESERVE, MEMORY_RESERVE_LEAST)
    if wish.memory_bytes:
        memory = min(memory, wish.memory_bytes)
    cards = machine.cards.all_bytes * (1 - CARD_RESERVE) if machine.cards else 0
    disk = machine.disk_bytes if machine.disk_read_bytes_s > 0 and wish.stream else 0
    return {"cards": int(cards), "memory": max(int(memory), 0), "disk": disk}


def fit(subject: Subject, machine: Machine, wish: Wish = Wish()) -> Fit:
    """Places every part, or says why that cannot be done and what would help."""
    published = subject
    if wish.cache == "int8":
        subject, machine = subject.with_small_cache(), replace(machine, cards=None)
    if machine.cards is None:
        subject = subject.as_pulled()
    subject = subject.with_formats(wish.dense, wish.experts) if wish.dense or wish.experts else subject
    largest = _largest_context(subject, machine, wish)
    found = _place(
        subject, machine, replace(wish, context=wish.context or min(USUAL_CONTEXT, largest or LEAST_CONTEXT))
    )
    if not found.fits:
        return replace(found, wish=wish, published=published, change=_smallest_change(subject, machine, wish))
    return replace(found, wish=wish, published=published, largest_context=largest)


def _largest_context(subject: Subject, machine: Machine, wish: Wish) -> int:
    """Tokens that each of the sequences can have, whatever else has to move for them; 0 when it does not fit at all."""
    most = subject.config.max_positions
    if _place(subject, machine, replace(wish, context=most)).fits:
        return most
    low = _last(most, lambda tokens: _place(subject, machine, replace(wish, context=tokens)).fits)
    return low if low >= min(LEAST_CONTEXT, subject.config.max_positions) else 0


def _last(end: int, fits: Callable[[int], bool]) -> int:
    """The largest number below `end` that fits, where every smaller one does; 0 if none."""
    return bisect_left(range(1, end), True, key=lambda number: not fits(number))


def _place(subject: Subject, machine: Machine, wish: Wish) -> Fit:
    """The best arrangement with exactly the context of `wish`."""
    room = rooms(machine, wish)
    if wish.context > subject.config.max_positions:
        most = subject.config.max_positions
        why = Said("context_ends", f"the model's context ends at {most:,} tokens", tokens=most)
        return Fit(subject, machine, wish, False, why=why)
    context = wish.context or min(LEAST_CONTEXT, subject.config.max_positions)
    why = NOTHING
    for found in _arrangements(subject, machine, room, context * wish.sequences * subject.cache_bytes_per_token):
        if isinstance(found, Said):
            why = found
            continue
        homes, step_tokens = found
        free = dict(room)
        for home in homes:
            free[home.place] -= home.bytes
        return Fit(subject, machine, wish, True, homes, context, context, free, step_tokens)
    return Fit(subject, machine, wish, False, free=room, why=why)


def _arrangements(
    subject: Subject, machine: Machine, room: dict[Place, int], cache_bytes: int
) -> Iterator[tuple[tuple[Home, ...], int] | Said]:
    """Ways to place weights, cache and buffers, best first, each with the tokens of a prompt's step; a sentence where a
    way does not work."""
    dense, experts = subject.dense_bytes, subject.experts_bytes
    copies = machine.cards.count if machine.cards else 1
    slots = LEAST_SLOTS * subject.config.experts_per_token * subject.config.sparse_layers * subject.expert_bytes
    for home, copied in (("cards", copies), ("memory", 1)):
        place: Place = "cards" if home == "cards" else "memory"
        if not room[place]:
            continue
        # Cards that share each layer hold the latent cache each for itself (it has one head, which cannot be split).
        cached = cache_bytes * (copied if dense + experts + cache_bytes * copied <= room[place] else 1)
        # What engines for cards take beside is in the reserve.
        usual = 0 if place == "cards" else step_bytes(subject.config, STEP_TOKENS)
        left = room[place] - dense - cached - usual
        if left < 0:
            what = "the cards hold" if place == "cards" else "memory holds"
            needed = f"what every token reads ({size(dense)}), the cache ({size(cached)})"
            needed += f" and a step's buffers ({size(usual)})" if usual else ""
            told = f"{needed} are more than {what} ({size(room[place])})"
            yield Said(f"dense_{place}", told, dense=dense, cache=cached, buffers=usual, room=room[place])
            continue
        beside = left if place == "memory" else room["memory"]  # for experts that are not in the cards
        streams = experts > (left if place == "cards" else 0) + beside
        tokens, longer = _longest_step(subject.config, beside) if streams else (STEP_TOKENS, 0)
        homes = [Home(part.name, place, part.stored_bytes) for part in subject.dense if part.stored_bytes]
        homes.append(Home("cache", place, cached))
        if usual + longer:
            homes.append(Home("buffers", "memory", usual + longer))
        if streams and (beside < slots or room["disk"] < experts):
            yield _too_much(subject, machine, room)  # no room for the experts of a single token, or for all on disk
            continue
        rest = experts
        most: dict[Place, int] = {"cards": left if place == "cards" else 0, "memory": beside - longer}
        for there, amount in (most | {"disk": room["disk"]}).items():
            if taken := min(rest, amount):
                homes.append(Home("experts", there, taken))
                rest -= taken
        yield tuple(homes), tokens


def _longest_step(config: ModelConfig, room: int) -> tuple[int, int]:
    """Tokens of a step when experts are streamed, each of which is read once a step, and the bytes that it takes more
    than a usual one: as the engine chooses them, of the memory that is left to experts."""
    usual = step_bytes(config, STEP_TOKENS)
    longer = ((tokens, step_bytes(config, tokens) - usual) for tokens in STEPS)
    return next((one for one in longer if one[1] <= room // STREAM_BUFFERS), (STEP_TOKENS, 0))


def _too_much(subject: Subject, machine: Machine, room: dict[Place, int]) -> Said:
    whole = f"{size(subject.stored_bytes)} of weights"
    both = room["memory"] + room["cards"]
    values = {"weights": subject.stored_bytes, "room": both}
    if machine.disk_read_bytes_s <= 0:
        return Said("no_disk", f"{whole}, {size(both)} to put them; the machine has no disk figure", **values)
    if not room["disk"]:
        return Said("not_streamed", f"{whole}, {size(both)} to put them, and streaming is not wanted", **values)
    told = "are more than memory and disk hold together, or too little memory is left to stream"
    return Said("too_much", f"{whole} {told}", **values)


def _smallest_change(subject: Subject, machine: Machine, wish: Wish) -> Said:
    """The first of these that works: shorter context, fewer sequences, streaming, a higher limit of memory where there
    is one, fewer bits, more memory."""
    short = replace(wish, context=0)
    if wish.context and (found := _place(subject, machine, short)).fits:
        tokens = _largest_context(subject, machine, wish) or found.context
        return Said("shorter", f"a context of {tokens:,} tokens", tokens=tokens)
    if wish.sequences > 1 and _place(subject, machine, replace(wish, sequences=1)).fits:
        many = _last(wish.sequences, lambda count: _place(subject, machine, replace(wish, sequences=count)).fits)
        told = f"{many} sequences at the same time" if many > 1 else "one sequence at a time"
        return Said("fewer", told, count=many)
    if not wish.stream and _place(subject, machine, replace(short, stream=True)).fits:
        return Said("stream", "streaming experts from disk")
    for one in (wish, short):
        if wish.memory_bytes and _place(subject, machine, replace(one, memory_bytes=0)).fits:
            return _higher_limit(subject, machine, one)
    ladder: list[Format] = ["int8", "int4"]
    for format in ladder:
        smaller = subject.with_formats(dense=format)
        if _smaller(subject, "attention", format) and _place(smaller, machine, short).fits:
            told = f"the dense parts as {format} (--dense {format}; measure what it costs in quality)"
            return Said("dense_as", told, format=format)
    for format in ladder:
        smaller = subject.with_formats(dense=format, experts=format)
        if _smaller(subject, "experts", format) and _place(smaller, machine, short).fits:
            told = f"dense parts and experts as {format} (--dense {format} --experts {format}; measure the quality)"
            return Said("all_as", told, format=format)
    return _more_memory(subject, machine, short)


def _smaller(subject: Subject, part: str, format: Format) -> bool:
    return float(subject.part(part).bytes_per_weight) > {"int8": 1.07, "int4": 0.57}[format]


def _higher_limit(subject: Subject, machine: Machine, wish: Wish) -> Said:
    """Where it fits without a limit: the least that would do, in whole GB."""
    most = -(-machine.memory_bytes // GB)
    least = 1 + _last(most, lambda limit: not _place(subject, machine, replace(wish, memory_bytes=limit * GB)).fits)
    return Said("higher_limit", f"a --memory limit of {least:,} GB or more, or none", room=least * GB)


def _more_memory(subject: Subject, machine: Machine, wish: Wish) -> Said:
    low, high = machine.memory_bytes, max(machine.memory_bytes, GB)
    while not _place(subject, replace(machine, memory_bytes=high), replace(wish, memory_bytes=0)).fits:
        high *= 2
        if high > 1 << 60:
            return Said("smaller_model", "a smaller model")
    while high - low > GB:
        middle = (low + high) // 2
        if _place(subject, replace(machine, memory_bytes=middle), replace(wish, memory_bytes=0)).fits:
            high = middle
        else:
            low = middle
    more, whole = -(-(high - machine.memory_bytes) // GB), -(-high // GB)
    return Said("more_memory", f"{more:,} GB more memory ({whole:,} GB in all)", more=more * GB, all=whole * GB)
