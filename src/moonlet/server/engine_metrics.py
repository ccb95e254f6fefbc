"""What /metrics tells of our own engine's cache, in memory and on disk."""

from __future__ import annotations

from moonlet.llm import LLM
from moonlet.local import Local
from moonlet.server.metrics import Family, counter, gauge


def engine_families(model: LLM | None) -> list[Family]:
    """How full the cache is, and what of conversations could be kept on disk."""
    if not isinstance(model, Local):
        return []
    engine = model.engine
    used = gauge("kv_cache_usage_perc", "Share of the cache that replies hold; 1 is full.", engine.cache_used, True)
    if engine.shelf is None:
        return [used]
    spill = engine.shelf.spill
    return [
        used,
        counter("prefix_pages_kept", "Pages of conversations written to disk.", {(): spill.kept}),
        counter("prefix_pages_lost", "Pages that could not be written, or not within the budget.", {(): spill.lost}),
    ]
