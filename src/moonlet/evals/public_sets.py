"""Requests and dialogues of public data sets, on tools and services that no model of ours was trained for."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from moonlet.chat.messages import Message
from moonlet.evals.by_hand import EXACT, TOOL
from moonlet.evals.calls import Wanted, same_calls, same_in_any_order
from moonlet.evals.question import Asked, Marks, Question
from moonlet.simulate import seal, sgd

SEAL = "Seal-Tools dev requests, tools never seen"
SGD = "SGD dev, services not in train"
TOOLS = 8  # shown for a request of Seal-Tools: the right ones, others of their field, others


class DataError(Exception):
    """The folder of public sets lacks what is needed."""


def check(data: Path) -> None:
    """Raises DataError if the folder lacks a set."""
    for name in ("seal-tools/dev.jsonl.xz", "seal-tools/tool.jsonl.xz", "sgd/sgd_dev.jsonl.xz", "sgd/schema_dev.json"):
        if not (data / name).is_file():
            raise DataError(f"{data}: no {name}; docs/evals.md says how the folder is laid out")


def questions(data: Path, seed: int, n: int) -> list[Question]:
    """n of each set, as far as there are so many."""
    return [*seal_questions(data, seed, n), *sgd_questions(data, seed, n)]


def seal_questions(data: Path, seed: int, n: int) -> list[Question]:
    """Requests worded by people whose calls do not need one another's results."""
    rng = Random(f"seal {seed}")
    specs = seal.specs(data, seal.held_out(data))
    usable = [one for one in seal.judging(data) if one.apart and all(name in specs for name, _ in one.calls)]
    found: list[Question] = []
    for query in rng.sample(usable, min(n, len(usable))):
        names = list(dict.fromkeys(name for name, _ in query.calls))
        fields = {specs[name][0] for name in names}
        near = sorted(name for name, (field, _) in specs.items() if field in fields and name not in names)
        names += rng.sample(near, min(len(near), TOOLS // 2 - 1))
        others = sorted(specs.keys() - {*names})
        names += rng.sample(others, min(len(others), max(0, TOOLS - len(names))))
        tools = tuple(specs[name][1] for name in rng.sample(names, len(names)))
        said = (Message("user", query.text),)
        found.append(Asked(f"seal/{query.id}", SEAL, (TOOL, EXACT), said, tools, _in_any_order(query.calls)))
    return found


def _in_any_order(right: Sequence[Wanted]) -> Callable[[Message], Marks]:
    names = sorted(name for name, _ in right)

    def judge(reply: Message) -> Marks:
        made = sorted(call.name for call in reply.calls)
        return {TOOL: made == names, EXACT: same_in_any_order(reply.calls, right)}

    return judge


def sgd_questions(data: Path, seed: int, n: int) -> list[Question]:
    """One call each of dialogues all of whose services are new, with what was truly said before it."""
    rng = Random(f"sgd {seed}")
    services = sgd.services(data, "dev")
    every = sgd.judging(data)
    found: list[Question] = []
    for dialogue in rng.sample(every, len(every)):
        made = sgd.rendered(dialogue, services, rng)
        if made is None or len(found) == n:
            continue
        place = rng.choice([i for i, message in enumerate(made.messages) if message.calls])
        wanted = [(call.name, json.loads(call.arguments)) for call in made.messages[place].calls]
        found.append(
            Asked(f"sgd/{dialogue['id']}", SGD, (TOOL, EXACT), made.messages[:place], made.tools, _in_order(wanted))
        )
    return found


def _in_order(right: Sequence[Wanted]) -> Callable[[Message], Marks]:
    names = [name for name, _ in right]
    return lambda reply: {TOOL: [call.name for call in reply.calls] == names, EXACT: same_calls(reply.calls, right)}
