"""How a model uses tools is tried when it is first served: the short form of the evals, behind the users' backs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from moonlet.chat.template import TemplateError, calls_tools
from moonlet.chat.tokenizer import TokenizerError
from moonlet.evals import kept, short
from moonlet.evals.asking import Candidate, EvalError, ask
from moonlet.evals.question import Outcome
from moonlet.evals.report import report
from moonlet.local import Local

LIMIT_S = 900.0  # a large model that is still asked then is told of as far as it came

_log = logging.getLogger("moonlet.server")


def can_be_tried(model: Local) -> bool:
    """Whether it has tools; where it has no chat format only its logits can be had."""
    try:
        return calls_tools(model.family)
    except (TemplateError, TokenizerError):
        return False


class Trial:
    """Asks in a thread of its own, one question at a time, with what interactive replies leave of the machine. What it
    finds is kept and told in a line; a trial that is closed before keeps nothing."""

    def __init__(self, model: Local, tell: Callable[[str], None], limit_s: float = LIMIT_S) -> None:
        self._model = model
        self._tell = tell
        self._until = time.monotonic() + limit_s
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="moonlet-trial", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """No more questions. The reply under way ends when its model is closed."""
        self._closed.set()

    def join(self) -> None:
        """Until it has found what it can."""
        self._thread.join()

    def _run(self) -> None:
        try:
            found = self._find()
            if found is not None:
                kept.keep(self._model.folder.path, found)
                self._tell(kept.line(found))
        except (EvalError, OSError) as error:
            if not self._closed.is_set():
                _log.warning("how %s uses tools could not be tried: %s", self._model.name, error)

    def _find(self) -> dict[str, Any] | None:
        """The result, of as many questions as there was time for; None if this was closed."""
        options = replace(short.options(self._model.family), priority="batch")
        candidate = Candidate(self._model.name, self._model, "constrained", options)
        questions = short.questions()
        outcomes: dict[str, Outcome] = {}
        for question in Random(0).sample(questions, len(questions)):  # if time is short, some of every kind are asked
            if outcomes and time.monotonic() > self._until:
                break
            outcomes |= ask(candidate, [question], {}, 1, lambda question, outcome: None)
            if self._closed.is_set():
                return None
        return short.result(report("short", {}, questions, [(candidate, outcomes)]), len(outcomes))
