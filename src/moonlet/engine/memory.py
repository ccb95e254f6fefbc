"""How the memory is shared out: what all tokens read, the cache, the workspace of a step, and experts with the rest."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from moonlet import _native, kernels
from moonlet.model.config import ModelConfig
from moonlet.model.folder import ModelFolder
from moonlet.model.layout import DENSE_FILE, expert_row_bytes

from .groups import GROUPS, ROOT, control_groups, cores
from .sequence import EngineError
from .shape import shape_of

STEP_TOKENS = 512  # of a step whose experts are all in memory: more gains nothing there
EXPANDED_STEP_TOKENS = 2048  # keys and values are written out once a step
STEPS = (4096, 2048, 1024, STEP_TOKENS)  # each expert is read once a step, so longer steps read less for a prompt
_FOR_OTHERS = 128 << 20  # bytes left to Python and the rest of the machine, and a tenth of what is free
_LEAST_EXPERTS = 2  # in memory: one computes, one is read
_NEW = ("memory.max", "memory.current", ("inactive_file", "active_file"))  # files of a control group, by version
_OLD = ("memory.limit_in_bytes", "memory.usage_in_bytes", ("total_inactive_file", "total_active_file"))
_NOTES = 20, 64  # bytes that the store notes about any expert, and about one in memory


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes by purpose."""

    dense: int
    cache: int
    workspace: int
    experts: int  # all of them, or the budget of the streamed ones
    streamed: bool
    step_tokens: int

    @property
    def total(self) -> int:
        return self.dense + self.cache + self.workspace + self.experts


def share_out(
    folder: ModelFolder,
    pages: int,
    rows: int,
    exact: bool,
    step_tokens: int = 0,
    memory_bytes: int = 0,
    expert_bytes: int = 0,
    expanded: bool = False,
    cache_format: kernels.CacheFormat = "bf16",
    threads: int = 0,
) -> Memory:
    """Everything in memory if that fits, else the experts streamed. Zero: as the model and the machine suggest.

    `rows` are those of the logits. EngineError, one line, if not even the least fits.
    """
    config = folder.config
    dense = (folder.path / DENSE_FILE).stat().st_size
    row = expert_row_bytes(config, folder.formats.experts)
    every = config.sparse_layers * config.experts * row
    allowed = memory_bytes or free_bytes()

    kept = "f32" if exact else cache_format
    if kept == "int8" and (config.latent % 4 or config.rope % 4):
        raise EngineError(
            f"a cache of int8 goes by fours; this model has {config.latent} + {config.rope} numbers a token"
        )

    workers = threads or cores() if expanded else 1  # else they have no buffers of their own

    def fixed(tokens: int) -> tuple[int, int]:
        workspace, cache = _buffer_bytes(config, tokens, pages, exact, expanded, kept, workers)
        return workspace + 4 * rows * -(-config.vocab // 32) * 32, cache

    first = step_tokens or (EXPANDED_STEP_TOKENS if expanded else STEP_TOKENS)
    workspace, cache = fixed(first)
    room = allowed - dense - cache - workspace
    if expert_bytes and not memory_bytes:
        room = expert_bytes  # who names the experts' part has reckoned with the rest
    elif expert_bytes:
        room = min(room, expert_bytes)
    if every <= room:
        return Memory(dense, cache, workspace, every, False, first)
    least = _LEAST_EXPERTS * (row + _NOTES[1]) + config.sparse_layers * config.experts * _NOTES[0]
    if room < least and not (expert_bytes and not memory_bytes):  # then the store says it
        raise EngineError(_too_little(dense, cache, workspace, least, allowed, bool(memory_bytes)))
    for tokens in () if step_tokens else STEPS:
        longer, _ = fixed(tokens)
        if longer - workspace <= room // 8 and tokens <= max(STEP_TOKENS, pages * kernels.PAGE):
            room -= longer - workspace
            return Memory(dense, cache, longer, room, True, tokens)
    return Memory(dense, cache, workspace, room, True, first)


@lru_cache(1024)
def step_bytes(config: ModelConfig, tokens: int) -> int:
    """The workspace of a step of so many tokens, logits not counted. EngineError: the engine has no such model."""
    return _buffer_bytes(config, tokens, 1, False, False, "bf16", 1)[0]


def _buffer_bytes(
    config: ModelConfig, tokens: int, pages: int, exact: bool, expanded: bool, kept: str, workers: int
) -> tuple[int, int]:
    """Of a step's workspace and of the cache."""
    try:
        return _native.buffer_bytes(shape_of(config), tokens, pages, exact, expanded, kept, workers)
    except ValueError as error:
        raise EngineError(f"the engine runs no such model: {error}") from None
    except RuntimeError as error:  # more than the system lets a process have
        raise EngineError(str(error)) from None


def _too_little(dense: int, cache: int, workspace: int, experts: int, allowed: int, stated: bool) -> str:
    def told(count: int) -> str:
        return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"

    need = dense + cache + workspace + experts
    whose = "are allowed" if stated else "are free here"
    return (
        f"this model needs at least {told(need)} of memory (dense weights {told(dense)}, cache {told(cache)}, "
        f"workspace {told(workspace)}, a few experts {told(experts)}), but {told(max(allowed, 0))} {whose}: "
        "allow more with --memory, keep fewer tokens with --cache-tokens, or convert it with --dense int8 or int4"
    )


def free_bytes() -> int:
    """What this process may still take without pressing others out, by the machine and its control group."""
    free = min([_machine_free(), *group_rooms()])
    return free - free // 10 - _FOR_OTHERS


def _machine_free() -> int:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):  # not Linux: three quarters of what is built in
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 3 // 4


def group_rooms(groups: Path = GROUPS, root: Path = ROOT) -> Iterator[int]:
    """Bytes left under each memory limit that holds for this process: its control group's and those above it.

    Files in the page cache count as free: they leave when memory is wanted.
    """
    for group, new in control_groups("memory", groups, root):
        if (room := _room(group, *(_NEW if new else _OLD))) is not None:
            yield room


def _room(group: Path, limit: str, used: str, cached: tuple[str, ...]) -> int | None:
    try:
        most = (group / limit).read_text().strip()
        if not most.isdecimal() or int(most) >= 1 << 60:  # "max", or the huge number that means none
            return None
        pairs = (line.split() for line in (group / "memory.stat").read_text().splitlines())
        stat = {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2}
        return int(most) - int((group / used).read_text()) + sum(stat.get(name, 0) for name in cached)
    except (OSError, ValueError):
        return None
