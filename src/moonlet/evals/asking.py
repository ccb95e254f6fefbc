"""Asks a model the questions of a suite, several at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, replace
from zlib import crc32

from moonlet.evals.patient import Patient
from moonlet.evals.question import Outcome, Question
from moonlet.llm import LLM, LLMError, RefusedError, ReplyOptions
from moonlet.llm.remote import Remote
from moonlet.on_ray import RayPool

REPLY_TOKENS, THOUGHT_TOKENS = 512, 4096  # of a local model's reply, without and with a thought before it
HOPELESS = 8  # questions that are refused one after another from the first: no model for this suite
GREEDY = ReplyOptions(temperature=0.0)


class EvalError(Exception):
    """A model cannot be asked."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model under the name that stands over its column. `decoding`: constrained, free, or empty for an endpoint.
    `identity`: what tells it from another model of its name, for the record."""

    label: str
    model: LLM
    decoding: str = ""
    options: ReplyOptions = GREEDY
    identity: str = ""


def ask(
    candidate: Candidate,
    questions: Sequence[Question],
    known: Mapping[str, Outcome],
    workers: int,
    tell: Callable[[Question, Outcome], None],
    ray: bool = False,
) -> dict[str, Outcome]:
    """The outcomes of all questions by id; `known` ones are not asked again, `tell` hears of each new one, in whatever
    order they come, on one thread. Refusals from the first on are told when something else has come, or all is
    asked: if it is the model that cannot be asked, no question was wrong. `ray`: on a cluster, which an endpoint can be
    asked from. Raises EvalError."""
    done = {one.id: known[one.id] for one in questions if one.id in known}
    left = [one for one in questions if one.id not in known]
    assert len({one.id for one in questions}) == len(questions), "two questions have one id"
    # Refusals, until something else comes, or came before.
    held: list[tuple[Question, Outcome]] | None = [] if all(one.refused for one in done.values()) else None
    with _pool(workers, ray) as pool:
        workers = max(workers, pool.size) if isinstance(pool, RayPool) else workers
        one = _one_far if ray else _one
        waiting: dict[Future[Outcome], Question] = {}
        try:
            while left or waiting:
                while left and len(waiting) < 2 * workers:
                    question = left.pop(0)
                    waiting[pool.submit(one, candidate, question)] = question
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    question = waiting.pop(future)
                    outcome = done[question.id] = future.result()
                    if held is not None and outcome.refused:
                        held.append((question, outcome))
                        if len(held) == HOPELESS:
                            raise EvalError(f"{candidate.label}: {outcome.refused}")
                        continue
                    for refused in held or ():
                        tell(*refused)
                    held = None
                    tell(question, outcome)
            for refused in held or ():
                tell(*refused)
        except LLMError as error:
            raise EvalError(f"{candidate.label}: {error}") from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    return done


def _pool(workers: int, ray: bool) -> Executor:
    return RayPool() if ray else ThreadPoolExecutor(workers)


def _one_far(candidate: Candidate, question: Question) -> Outcome:
    """In another process, with a connection of its own."""
    assert isinstance(candidate.model, Remote)
    with closing(candidate.model):
        return _one(candidate, question)


def _one(candidate: Candidate, question: Question) -> Outcome:
    """The outcome; a question that the model refuses counts as wrong."""
    model = Patient(candidate.model)
    options = candidate.options
    if options.temperature:  # drawn anew for each question, and the same in another run
        options = replace(options, seed=(options.seed or 0) ^ crc32(question.id.encode()))
    try:
        outcome = question.ask(model, options)
    except RefusedError as error:
        outcome = Outcome(dict.fromkeys(question.rows, False), refused=str(error))
    return replace(outcome, prompt_tokens=model.prompt_tokens, output_tokens=model.output_tokens)
