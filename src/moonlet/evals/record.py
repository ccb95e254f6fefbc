"""The record of a run: every outcome a line of JSON as it comes, so that a run that was stopped goes on."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from moonlet.evals.question import Outcome


class RecordError(Exception):
    """The file is no record, or one of another run."""


class Record:
    """Opened for going on: what the file holds is known, new outcomes are added. Use as a context manager."""

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        """`settings` are those of the questions, which must be the same. Raises RecordError."""
        self._known: dict[str, dict[str, Outcome]] = {}
        self._identities: dict[str, str] = {}  # as they stand in the file
        self._asked: dict[str, str] = {}  # of this run
        self._lock = threading.Lock()
        try:
            text = path.read_text(encoding="utf-8") if path.exists() else ""
        except UnicodeDecodeError:
            raise _no_record(path) from None
        whole = text[: text.rfind("\n") + 1]  # a line that was being written when the run was killed
        for number, line in enumerate(whole.splitlines()):
            self._read(path, line, settings if number == 0 else None)
        self._path, self._settings, self._whole = path, dict(settings), whole
        self._file: IO[str] | None = None  # opened with the first outcome

    def __enter__(self) -> Record:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._file:
            self._file.close()

    @property
    def kept(self) -> bool:
        """Whether the file holds anything."""
        return self._file is not None or bool(self._whole)

    def known(self, label: str) -> Mapping[str, Outcome]:
        """The outcomes of the model under this name, by the ids of their questions."""
        return self._known.get(label, {})

    def identify(self, label: str, identity: str) -> None:
        """Which model goes by this name now. Raises RecordError if another one answered under it."""
        before = self._identities.get(label, identity)
        if before != identity:
            raise RecordError(f"{self._path}: {label} was {before}, is now {identity}; name another file")
        self._asked[label] = identity

    def add(self, label: str, question: str, outcome: Outcome) -> None:
        """From any thread."""
        tokens = [outcome.prompt_tokens, outcome.output_tokens]
        line = {"model": label, "question": question, "marks": dict(outcome.marks), "said": outcome.said}
        self._write({**line, **({"refused": outcome.refused} if outcome.refused else {}), "tokens": tokens})

    def _write(self, line: Mapping[str, Any]) -> None:
        with self._lock:
            if self._file is None:
                self._file = self._opened()
            label = line["model"]
            if label in self._asked and label not in self._identities:
                self._identities[label] = self._asked[label]
                self._file.write(json.dumps({"model": label, "identity": self._asked[label]}) + "\n")
            self._file.write(json.dumps(line) + "\n")  # ASCII: a model may write half a surrogate pair
            self._file.flush()

    def _opened(self) -> IO[str]:
        """The file, to be added to; what stood in it is whole lines."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        begun = self._whole or json.dumps({"settings": self._settings}) + "\n"
        beside = self._path.with_name(self._path.name + ".part")
        beside.write_text(begun, encoding="utf-8")
        os.replace(beside, self._path)
        return self._path.open("a", encoding="utf-8")

    def _read(self, path: Path, line: str, settings: Mapping[str, Any] | None) -> None:
        try:
            raw = json.loads(line)
            if settings is not None:
                self._check(path, raw["settings"], settings)
                return
            if "identity" in raw:
                self._identities[raw["model"]] = str(raw["identity"])
                return
            outcome = Outcome(raw["marks"], raw["said"], raw.get("refused", ""), *raw["tokens"])
            self._known.setdefault(raw["model"], {})[raw["question"]] = outcome
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            raise _no_record(path) from None

    def _check(self, path: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
        for name, value in now.items():
            if before.get(name) != value:
                raise RecordError(
                    f"{path}: recorded with {name} {before.get(name)}, asked now with {value}; name another file"
                )


def _no_record(path: Path) -> RecordError:
    return RecordError(f"{path}: not the record of an eval; name another file")
