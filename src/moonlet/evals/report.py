"""What the outcomes of a suite say together: a rate for each row and each model, side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from moonlet.evals.asking import Candidate
from moonlet.evals.question import Outcome, Question
from moonlet.evals.rate import Rate


@dataclass(frozen=True, slots=True)
class Column:
    """One model. `refused` counts why questions had no reply, which made them wrong."""

    label: str
    model: str
    decoding: str
    prompt_tokens: int
    output_tokens: int
    refused: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Row:
    """The rates of the models at one thing, in the order of the columns; None where nothing was counted."""

    group: str
    name: str
    rates: tuple[Rate | None, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What a suite found: a column for each model, a row for each question, with a rate where they meet."""

    suite: str
    settings: Mapping[str, Any]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "suite": self.suite,
            **self.settings,
            "columns": [
                {
                    "label": one.label,
                    "model": one.model,
                    "decoding": one.decoding or None,
                    "prompt_tokens": one.prompt_tokens,
                    "output_tokens": one.output_tokens,
                    "refused": dict(one.refused),
                }
                for one in self.columns
            ],
            "rows": [
                {"group": row.group, "row": row.name, "rates": [rate and rate.as_json() for rate in row.rates]}
                for row in self.rows
            ],
        }


def report(
    suite: str,
    settings: Mapping[str, Any],
    questions: Sequence[Question],
    found: Sequence[tuple[Candidate, Mapping[str, Outcome]]],
) -> Report:
    """The report of models that were all asked the same questions; rows stand as the questions name them."""
    rows: dict[tuple[str, str], list[Question]] = {}
    for question in questions:
        for name in question.rows:
            rows.setdefault((question.group, name), []).append(question)
    return Report(
        suite,
        settings,
        tuple(_column(candidate, outcomes) for candidate, outcomes in found),
        tuple(
            Row(group, name, tuple(_rate(name, asked, outcomes) for _, outcomes in found))
            for (group, name), asked in rows.items()
        ),
    )


def _column(candidate: Candidate, outcomes: Mapping[str, Outcome]) -> Column:
    refused = Counter(one.refused for one in outcomes.values() if one.refused)
    read = sum(one.prompt_tokens for one in outcomes.values())
    written = sum(one.output_tokens for one in outcomes.values())
    return Column(candidate.label, candidate.model.name, candidate.decoding, read, written, refused)


def _rate(row: str, asked: Sequence[Question], outcomes: Mapping[str, Outcome]) -> Rate | None:
    marks = [outcomes[one.id].marks[row] for one in asked if one.id in outcomes and row in outcomes[one.id].marks]
    return Rate(sum(marks), len(marks)) if marks else None
