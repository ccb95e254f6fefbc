"""`moonlet serve --engine`: engines elsewhere, and servers of engines started here; waited for and told of."""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from moonlet.cli import UsageError
from moonlet.fleet import launch
from moonlet.fleet.fleet import Fleet
from moonlet.fleet.process import EngineProcess, wait_started
from moonlet.fleet.replica import Replica
from moonlet.fleet.spec import EngineSpec, read_specs
from moonlet.ledger.allowance import Allowance
from moonlet.ledger.database import Database
from moonlet.ledger.money import Price
from moonlet.ledger.quota import dollars
from moonlet.llm.loading import Loading
from moonlet.llm.remote import Remote

_TELL_EVERY_S = 10.0  # that none answers yet
_LOOPBACK = "127.0.0.1"
_ENGINE_S = 3600.0  # silence of an engine of our own is not broken before
# Flags of our own engine, which would do nothing.
_OWN = ("exact", "expanded", "cache", "threads", "cache_tokens", "memory", "prefixes", "also")


@dataclass(frozen=True, slots=True)
class Wanted:
    """The engines of a command line; the first may be one that is started here, by this command."""

    specs: tuple[EngineSpec, ...]
    command: tuple[str, ...] = ()

    @property
    def priced(self) -> bool:
        """Whether each has a price of its own."""
        return all(spec.price for spec in self.specs)


def wanted(asked: argparse.Namespace) -> Wanted | None:
    """None: moonlet's own engine answers. Raises UsageError, SpecError, PlanError."""
    if not asked.engine:
        if asked.hedge is not None:
            raise UsageError("--hedge asks a second engine where the first is silent; name them with --engine")
        if asked.plan:
            raise UsageError("--plan says how another engine is started; name it with --engine vllm or --engine sglang")
        return None
    if stray := [name for name in _OWN if getattr(asked, name)]:
        raise UsageError(
            f"--{stray[0].replace('_', '-')} is of moonlet's own engine; with --engine another one answers"
        )
    found = _wanted(asked)
    for spec in found.specs:
        if spec.key and not os.environ.get(spec.key) and not asked.ray:  # there it is in the nodes' environment
            raise UsageError(f"--engine {spec.url}: the environment has no {spec.key}")
    return found


def _wanted(asked: argparse.Namespace) -> Wanted:
    kinds = [text for text in asked.engine if text in launch.KINDS]
    urls = [text for text in asked.engine if text not in launch.KINDS]
    if len(kinds) > 1:
        raise UsageError("one engine is started here; others are named by URL")
    if not kinds:
        if asked.plan:
            raise UsageError(
                "--plan is for --engine vllm and --engine sglang; what answers at a URL is started already"
            )
        return Wanted(tuple(read_specs(urls)))
    port = _free_port()
    spec = EngineSpec(f"http://{_LOOPBACK}:{port}/v1", kinds[0], name_of(asked.model or ""))
    return Wanted(tuple(read_specs(urls, [spec])), tuple(_command(asked, kinds[0], port)))


def name_of(model: str) -> str:
    """Under which clients know it: of a folder its own name, else as it is called."""
    return Path(model).expanduser().resolve().name if os.path.isdir(Path(model).expanduser()) else model


def _command(asked: argparse.Namespace, kind: launch.Kind, port: int) -> list[str]:
    if not asked.model:
        raise UsageError(f"--engine {kind}: name the model, a checkpoint's folder or its name at Hugging Face")
    folder = Path(asked.model).expanduser()
    if (folder / "moonlet.json").exists():
        raise UsageError(f"{folder}: is in moonlet's own format; {kind} takes the checkpoint that it was made of")
    shape = launch.Shape()
    if asked.plan:
        planned, shape = launch.read_plan(Path(asked.plan))
        if shape.nodes > 1 and kind != "vllm":  # vLLM finds them on a Ray cluster
            told = f"{planned} takes {shape.nodes} machines; `moonlet deploy {asked.plan} --print` says how"
            raise UsageError(f"--plan {asked.plan}: {told}")
    program = launch.PROGRAM[kind][0]
    if shutil.which(program) is None:
        raise UsageError(f"--engine {kind}: there is no program {program!r}; install {kind} in this environment")
    model = str(folder) if folder.is_dir() else asked.model
    return launch.command(kind, model, name_of(asked.model), shape, _LOOPBACK, str(port))


def _free_port() -> int:
    with socket.create_server((_LOOPBACK, 0)) as bound:
        port: int = bound.getsockname()[1]
        return port


def prices(wanted: Wanted | None) -> list[Price]:
    """Of engines that have their own."""
    return [spec.price for spec in wanted.specs if spec.price is not None] if wanted else []


@contextmanager
def opened(
    model: str | None, wanted: Wanted, database: Database, hedge_s: float | None = None
) -> Iterator[list[Loading]]:
    """The engines as one model, or as one for each name that they are given, each of which is there as soon as one of
    its engines answers; the first is that of the first engine. Without a name it has the one that this gives it. Raises
    LLMError."""
    first = wanted.specs[0]
    groups: dict[str, list[Replica]] = {}
    usual = name_of(model) if model else first.serves or first.model or _first_name(first)
    for spec in wanted.specs:
        idle_s = _ENGINE_S if wanted.command and spec is first else 600.0
        groups.setdefault(spec.serves or usual, []).append(Replica(spec, idle_s))
    allowances = {
        spec.name: Allowance(database, spec.name, spec.overflow_nano_usd)
        for spec in wanted.specs
        if spec.overflow_nano_usd is not None
    }
    fleets, over = [Fleet(name, those, allowances, hedge_s) for name, those in groups.items()], threading.Event()
    process: EngineProcess | None = None
    if wanted.command:
        process = EngineProcess(first.name, wanted.command, fleets[0].died(fleets[0].replicas[0]))
    try:
        yield [_loading(fleet, process if fleet is fleets[0] else None, over) for fleet in fleets]
    finally:
        over.set()
        for fleet in fleets:
            fleet.close()
        if process is not None:
            process.stop()


def _loading(fleet: Fleet, process: EngineProcess | None, over: threading.Event) -> Loading:
    return Loading(fleet.name, lambda: _answering(fleet, process, over))


def _first_name(spec: EngineSpec) -> str:
    remote = Remote(spec.url, None, spec.key or "")
    remote.close()
    return remote.name


def _answering(fleet: Fleet, process: EngineProcess | None, over: threading.Event) -> Fleet:
    """The same, once an engine answers; one that is started here is waited for, whatever others there are."""

    def tell(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    if process is not None:
        own = fleet.replicas[0]
        name = process.name
        wait_started(process, lambda: own.up or over.is_set(), lambda line: tell(f"{name}: {line}"), _TELL_EVERY_S)
        process.answers()
        return fleet
    told = time.monotonic() - _TELL_EVERY_S + 2.0  # most answer at once
    while not fleet.ready and not over.wait(0.02):
        if time.monotonic() - told >= _TELL_EVERY_S:
            told = time.monotonic()
            tell(f"waiting for an engine: {'; '.join(replica.why for replica in fleet.replicas)}")
    return fleet


def lines(fleet: Fleet, named: bool = False) -> Iterator[str]:
    """What is told of each engine at the start. `named`: also whose it is, of several models."""
    of = f"{fleet.name}: " if named else ""
    for replica in fleet.replicas:
        spec = replica.spec
        price = f", ${spec.price} a million tokens" if spec.price else ""
        rented = f", for overflow up to {dollars(spec.overflow_nano_usd)} a month" if spec.overflow_nano_usd else ""
        state = "answers" if replica.up else f"away: {replica.why}"
        yield f"{of}engine {replica.name}: {replica.model or 'a model'}{price}{rented}; {state}"
