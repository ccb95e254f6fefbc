"""`moonlet eval`: what models are worth as users of tools, side by side."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table

from moonlet.chat.template import calls_tools, thinks
from moonlet.cli import UsageError, whole
from moonlet.cli.open import open_local
from moonlet.cli.progress import count_progress
from moonlet.evals import chart, suites
from moonlet.evals.asking import REPLY_TOKENS, THOUGHT_TOKENS, Candidate, ask
from moonlet.evals.free import Free
from moonlet.evals.question import Outcome, Question
from moonlet.evals.record import Record
from moonlet.evals.report import Report, report
from moonlet.evals.suites import Part
from moonlet.llm import ReplyOptions
from moonlet.llm.remote import Remote
from moonlet.local import Local
from moonlet.model.folder import default_path

A_ROW = {"tools": 40, "held-out": 300}  # questions, where nothing else is asked for
KEY = "MOONLET_API_KEY"


@dataclass(frozen=True, slots=True)
class Place:
    """An endpoint as it is written: [VARIABLE=][NAME@]URL."""

    url: str
    name: str | None
    variable: str | None


def main(asked: argparse.Namespace) -> int:
    count = asked.n or A_ROW[asked.suite]
    parts = _parts(asked)
    places = [_place(one) for one in asked.models]
    if asked.free and any(places):
        raise UsageError("--free is for models of this machine: an endpoint decides itself")
    if asked.ray and not all(places):
        raise UsageError("--ray needs endpoints: a model of this process cannot be sent to other machines")
    options = _options(asked)
    questions = suites.spread(suites.questions(parts, asked.seed, count), asked.limit)
    settings = {"questions": suites.digest(questions), "seed": asked.seed, "n": count}
    settings |= {"temperature": options.temperature}
    for target in filter(None, (asked.html, asked.svg)):
        whole.check(target)
    path = asked.record or _new_record(asked.suite)
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    found: list[tuple[Candidate, Mapping[str, Outcome]]] = []
    with Record(path, {"suite": asked.suite, **settings, "max_tokens": asked.max_tokens}) as record:
        try:
            for name, place in zip(asked.models, places):
                with _opened(asked, name, place, places, options) as candidates:
                    for candidate in candidates:
                        candidate = _named_apart(candidate, place, [one.label for one, _ in found])
                        found.append((candidate, _asked(candidate, questions, record, asked)))
        except BaseException:
            if record.kept:
                console.print(f"what was answered is kept: --record {path} goes on with it", markup=False)
            raise
    told = report(asked.suite, settings, questions, found)
    for target, text in ((asked.html, chart.html), (asked.svg, chart.svg)):
        if target:
            whole.write(target, text(told))
    if asked.json:
        print(json.dumps(told.as_json(), indent=2))
    else:
        _show(told)
    if asked.wrong:
        _show_wrong(questions, found)
    return 0


def _parts(asked: argparse.Namespace) -> Mapping[str, Part]:
    if asked.suite == "tools" and asked.data:
        raise UsageError("--data is for held-out")
    parts = suites.TOOLS if asked.suite == "tools" else suites.held_out(asked.data)
    chosen = asked.only.split(",") if asked.only else list(parts)
    for one in chosen:
        if one not in parts:
            hint = ", and with --data public" if asked.suite == "held-out" and not asked.data else ""
            raise UsageError(f"--only {one}: {asked.suite} asks {', '.join(parts)}{hint}")
    return {name: part for name, part in parts.items() if name in chosen}


def _place(text: str) -> Place | None:
    """The endpoint that is meant; None for a model of this machine."""
    match = re.fullmatch(r"(?:([A-Za-z_]\w*)=)?(?:(.+)@)?(https?://.+)", text)
    if not match:
        return None
    variable, name, url = match.groups()
    if variable and not os.environ.get(variable):
        raise UsageError(f"{text}: the environment has no {variable}")
    return Place(url, name, variable)


def _options(asked: argparse.Namespace) -> ReplyOptions:
    try:
        return ReplyOptions(temperature=asked.temperature, max_tokens=asked.max_tokens, seed=asked.seed)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _new_record(suite: str) -> Path:
    return default_path("").parent / "evals" / f"{suite}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.jsonl"


@contextmanager
def _opened(
    asked: argparse.Namespace, name: str, place: Place | None, places: Sequence[Place | None], options: ReplyOptions
) -> Iterator[list[Candidate]]:
    """The candidates that one argument stands for."""
    if place:
        # A key is for one endpoint: with several, each is sent only the one that is named with it.
        alone = sum(one is not None for one in places) == 1
        variable = place.variable or (KEY if alone else "")
        with closing(Remote(place.url, place.name, variable)) as remote:
            yield [Candidate(remote.name, remote, options=options, identity=_identity(place, remote.name))]
        return
    with open_local(argparse.Namespace(**{**vars(asked), "model": name})) as local:
        if not calls_tools(local.family):
            raise UsageError(f"{local.name} cannot call tools")
        if options.max_tokens is None:
            most = THOUGHT_TOKENS if thinks(local.family) else REPLY_TOKENS
            options = ReplyOptions(temperature=options.temperature, max_tokens=most, seed=options.seed)
        yield _ways(asked, local, options)


def _ways(asked: argparse.Namespace, local: Local, options: ReplyOptions) -> list[Candidate]:
    found = []
    # Golden tokens, and when the files of the checkpoint were written, make no other model.
    meta = {name: value for name, value in local.folder.meta.items() if name not in ("golden", "checkpoint")}
    identity = f"sha256 {hashlib.sha256(json.dumps(meta, sort_keys=True).encode()).hexdigest()}"
    if asked.constrained or not asked.free:
        found.append(Candidate(local.name, local, "constrained", options, identity))
    if asked.free:
        found.append(Candidate(f"{local.name}, free", Free(local), "free", options, identity))
    return found


def _identity(place: Place, name: str) -> str:
    """An endpoint's address, without what may be secret in it, and the model that is asked for."""
    parts = urlsplit(place.url)
    return f"{name} at {parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _named_apart(candidate: Candidate, place: Place | None, taken: Sequence[str]) -> Candidate:
    """Two models of one name are told apart by where they are, or by a number."""
    label = candidate.label
    if label in taken and place:
        label = f"{label} at {urlsplit(place.url).netloc.rpartition('@')[2]}"
    names = [label, *(f"{label} ({number})" for number in range(2, len(taken) + 2))]
    label = next(name for name in names if name not in taken)
    return replace(candidate, label=label)


def _asked(
    candidate: Candidate, questions: Sequence[Question], record: Record, asked: argparse.Namespace
) -> Mapping[str, Outcome]:
    record.identify(candidate.label, candidate.identity)
    known = record.known(candidate.label)
    done = sum(question.id in known for question in questions)
    with count_progress(candidate.label, done, len(questions)) as tell:

        def heard(question: Question, outcome: Outcome) -> None:
            record.add(candidate.label, question.id, outcome)
            tell()

        return ask(candidate, questions, known, asked.workers, heard, asked.ray)


def _show(told: Report) -> None:
    console = Console(highlight=False, markup=False)
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("share right, 95 % interval")
    for column in told.columns:
        table.add_column(column.label, no_wrap=True)
    group = ""
    for row in told.rows:
        if row.group != group:
            group = row.group
            table.add_row(group, style="bold")
        table.add_row(f"  {row.name}", *(f"{rate.short()}  n={rate.total}" if rate else "" for rate in row.rates))
    console.print(table)
    for note in chart.notes_of(told):
        console.print(note, style="dim")


def _show_wrong(questions: Sequence[Question], found: Sequence[tuple[Candidate, Mapping[str, Outcome]]]) -> None:
    for candidate, outcomes in found:
        for question in questions:
            outcome = outcomes[question.id]
            rows = [row for row, right in outcome.marks.items() if not right]
            if rows:
                said = outcome.refused or outcome.said
                print(f"[{candidate.label}] {question.id}: {', '.join(rows)}\n    {said}", file=sys.stderr)
