"""What happened to replies of foreign engines, counted from the server's start. Safe to use from any thread."""

from __future__ import annotations

import threading
from collections.abc import Mapping

# What is counted, in the words of /metrics: a counter each, with one label, and the values that it has from the start.
COUNTED: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "engine_calls": (
        "Calls of tools by what became of them.", "outcome", ("good", "mended", "asked_again", "given_up")
    ),
    "engine_leaks": ("Replies that had calls or thoughts, marks and all, in their text.", "what", ("text",)),
    "engine_replies": ("Replies by the engine that gave them.", "engine", ()),
    "engine_failures": ("Requests that an engine did not answer.", "engine", ()),
    "engine_busy": ("Requests that an engine was too busy for.", "engine", ()),
    "engine_ejected": ("How often an engine was left out until it answered again.", "engine", ()),
    "engine_routed": ("Requests by why they went where they did.", "by", ("prefix", "load", "overflow")),
    "engine_hedged": ("Requests that an engine was sent because another was silent.", "engine", ()),
    "engine_prefix_characters": ("Characters of prompts, and of those what their engine knew.", "of", ("all", "known")),
    "engine_restarts": ("How often an engine of our own was started again.", "engine", ()),
}  # fmt: skip


class Counts:
    """Numbers by name and label."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = {name: dict.fromkeys(values, 0) for name, (_, _, values) in COUNTED.items()}

    def add(self, name: str, label: str, count: int = 1) -> None:
        """Counts one, or several."""
        with self._lock:
            counts = self._counts[name]
            counts[label] = counts.get(label, 0) + count

    def all(self) -> dict[str, dict[str, int]]:
        """As they are now."""
        with self._lock:
            return {name: dict(counts) for name, counts in self._counts.items()}
