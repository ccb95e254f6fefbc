"""`moonlet simulate`: tasks in simulated worlds, done by a model, judged and reported."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.table import Table

from moonlet.cli import UsageError, whole
from moonlet.cli.console import for_tables
from moonlet.cli.open import is_url, open_any
from moonlet.llm import ReplyOptions
from moonlet.simulate.domains.locale import LANGUAGES
from moonlet.simulate.keys import mock_suite, suite
from moonlet.simulate.mock.server import Server, read_server
from moonlet.simulate.parallel import Endpoint, Players, rollouts
from moonlet.simulate.report import Row, report
from moonlet.simulate.rollout import Trajectory, TrajectoryError, replay
from moonlet.simulate.tasks import KINDS, TaskKind

SOLUTION = "solution"  # instead of a model: the way that is known to be right


def main(asked: argparse.Namespace) -> int:
    if asked.replay:
        return _replay(asked.replay)
    server = _server(asked)
    languages = _chosen(asked.languages, LANGUAGES, "language") or (["en"] if server else LANGUAGES)
    if server:
        keys = mock_suite(server, asked.n, asked.seed, languages, held_out=not asked.training)
    else:
        kinds: list[TaskKind] = _chosen(asked.kinds, KINDS, "kind of task")
        domains = asked.domains.split(",") if asked.domains else []
        keys = suite(asked.n, asked.seed, domains, kinds, languages, held_out=not asked.training)
    with _players(asked, server) as players, _writer(asked.out) as write:
        done = []
        for one in rollouts(keys, players, asked.workers, asked.ray):
            write(one)
            done.append(one)
            if not asked.json and sys.stderr.isatty():
                print(f"\r{len(done)} of {len(keys)} tasks", end="", file=sys.stderr, flush=True)
    if not asked.json and sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    _show(done, asked.json)
    # A model that never answered has not been tried.
    return 2 if done and all(one.end.startswith("failed") for one in done) else 0


def _server(asked: argparse.Namespace) -> Server | None:
    if asked.from_mcp is None:
        if asked.examples or asked.record:
            raise UsageError("--examples and --record go with --from-mcp")
        return None
    if asked.domains or asked.kinds:
        raise UsageError("--domains and --kinds are for moonlet's own worlds, not for --from-mcp")
    try:
        shlex.split(asked.from_mcp)
    except ValueError as error:
        raise UsageError(f"--from-mcp {asked.from_mcp!r}: not a command line ({error})") from None
    calls: list[dict[str, Any]] = []
    for text in asked.record or ():
        name, _, arguments = text.partition(" ")
        try:
            calls.append({"tool": name, "arguments": dict(json.loads(arguments or "{}"))})
        except (ValueError, TypeError):
            raise UsageError(
                f'--record {text!r}: give a tool and its arguments, like: get_time {{"zone": "UTC"}}'
            ) from None
    return read_server(asked.from_mcp, asked.examples, calls)


def _chosen(text: str | None, known: Sequence[Any], what: str) -> list[Any]:
    chosen = text.split(",") if text else []
    for one in chosen:
        if one not in known:
            raise UsageError(f"{one!r} is no {what}; there are: {', '.join(known)}")
    return chosen


@contextmanager
def _players(asked: argparse.Namespace, server: Server | None) -> Iterator[Players]:
    for name in ("user", "judge"):
        if getattr(asked, name) and not is_url(getattr(asked, name)):
            raise UsageError(f"--{name} takes an endpoint's URL")
    try:
        options = ReplyOptions(temperature=asked.temperature, max_tokens=asked.max_tokens)
    except ValueError as error:
        raise UsageError(str(error)) from None
    user, critic = (Endpoint(url) if url else None for url in (asked.user, asked.judge))
    if asked.model == SOLUTION:
        yield Players(None, user, critic, options, server)
    elif is_url(asked.model or ""):
        yield Players(Endpoint(asked.model, asked.name), user, critic, options, server)
    elif asked.ray:
        raise UsageError("--ray needs an endpoint: a model of this process cannot be sent to other machines")
    else:
        with open_any(asked) as (model, tools_possible):
            if not tools_possible:
                raise UsageError(f"{model.name} cannot call tools")
            yield Players(model, user, critic, options, server)


@contextmanager
def _writer(path: Path | None) -> Iterator[Any]:
    """Writes trajectories, one a line, as they come; the file gets its name when all are there."""
    if path is None:
        yield lambda one: None
        return
    with whole.writing(path) as file:
        yield lambda one: print(one.line(), file=file, flush=True)


def _show(done: Sequence[Trajectory], as_json: bool) -> None:
    rows = report(done)
    if as_json:
        print(json.dumps({"model": done[0].model if done else None, "rows": [row.as_json() for row in rows]}, indent=2))
        return
    console = for_tables()
    table = Table(box=None, header_style="bold")
    for name in ("", "tasks", "passed", "95 %", "state", "told", "calls exact", "needless"):
        table.add_column(name, justify="left" if name == "" else "right", no_wrap=name != "")
    for row in rows:
        table.add_row(*_cells(row))
    console.print(table)
    failed = [one for one in done if not one.verdict.passed]
    for one in failed[:5]:
        reason = one.end if one.end != "done" else ", ".join(one.verdict.faults())
        console.print(f"  failed: {one.key} ({reason})", style="dim", markup=False)
    if len(failed) > 5:
        console.print(f"  and {len(failed) - 5} more", style="dim")


def _cells(row: Row) -> list[str]:
    low, high = row.interval
    shares = [f"{share:.0%}" for share in (row.state, row.told, row.arguments)]
    return [
        row.name,
        str(row.tasks),
        f"{row.passed / row.tasks:.0%}",
        f"{low:.0%} to {high:.0%}",
        *shares,
        f"{row.needless:.2f}",
    ]


def _replay(path: Path) -> int:
    """Plays every trajectory of a file again. Raises TrajectoryError at the first that is not what it was."""
    count = 0
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            count += 1
            try:
                replay(Trajectory.parse(line))
            except (TrajectoryError, RecursionError) as error:
                raise TrajectoryError(f"{path}, line {count}: {error}") from None
    print(f"{count} trajectories replayed: all as recorded")
    return 0
