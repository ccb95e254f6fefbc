"""How the verbs open a model."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from moonlet import kernels
from moonlet.chat.template import calls_tools
from moonlet.cli import UsageError
from moonlet.cli.progress import bytes_progress
from moonlet.engine.engine import EngineOptions
from moonlet.llm import LLM
from moonlet.llm.loading import Loading
from moonlet.llm.remote import Remote
from moonlet.local import NANO, Local, load, name_of


def open_local(asked: argparse.Namespace) -> Local:
    """The model on this machine that the arguments name, by default the small one."""
    name = asked.model or NANO
    if is_url(name):
        raise UsageError(f"{name} is an endpoint already; name a model on this machine, or serve it with --engine URL")
    given = {
        "threads": asked.threads,
        "cache_tokens": asked.cache_tokens,
        "memory_bytes": asked.memory,
        "spill_bytes": asked.prefixes,
        "expanded": asked.expanded,
        "cache": asked.cache,
    }
    cores = kernels.cores()
    if asked.threads and asked.threads > cores:
        raise UsageError(f"--threads {asked.threads}: of {cores} cores each can have one; more wait for one another")
    settings: dict[str, Any] = {field: value for field, value in given.items() if value is not None}
    if asked.also:
        settings["also"] = tuple(Path(folder).expanduser() for folder in asked.also)
    try:
        EngineOptions(exact=asked.exact, **settings)
    except ValueError as error:
        raise UsageError(str(error)) from None
    with bytes_progress(f"converting {name}") as progress:
        return load(name, exact=asked.exact, progress=progress, **settings)


def open_later(asked: argparse.Namespace) -> Loading:
    """The same, loaded in a thread of its own: what is wrong with it is told by `wait`."""
    name = asked.model or NANO
    return Loading(name if is_url(name) else name_of(name), lambda: open_local(asked))


@contextmanager
def open_any(asked: argparse.Namespace) -> Iterator[tuple[LLM, bool]]:
    """The model or endpoint that the arguments name, and whether it can be given tools."""
    if is_url(asked.model or ""):
        with closing(Remote(asked.model)) as remote:
            yield remote, True
    else:
        with open_local(asked) as local:
            yield local, calls_tools(local.family)


def is_url(name: str) -> bool:
    """Whether a model is an endpoint elsewhere."""
    return name.startswith(("http://", "https://"))
