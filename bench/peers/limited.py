"""A turn with less memory than the weights take: in a control group of Linux, which counts the page cache too.

Needs the right to make one (root, as a rule): version 1's memory controller or version 2.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


@contextmanager
def group(limit: int) -> Iterator[list[str]]:
    """What to put before a command so that it runs with so many bytes; nothing with 0. Raises OSError."""
    if not limit:
        yield []
        return
    first = (ROOT / "memory").is_dir()
    folder = (ROOT / "memory" if first else ROOT) / f"moonlet-bench-{os.getpid()}"
    folder.mkdir()
    try:
        (folder / ("memory.limit_in_bytes" if first else "memory.max")).write_text(str(limit))
        yield ["sh", "-c", f'echo $$ > {folder}/cgroup.procs && exec "$@"', "sh"]
    finally:
        folder.rmdir()
