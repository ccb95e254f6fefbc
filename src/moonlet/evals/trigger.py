"""Does it call when a tool is wanted, talk when none is, and ask when something is missing?"""

from __future__ import annotations

from random import Random

from moonlet.chat.messages import Message
from moonlet.evals import catalogue, worlds
from moonlet.evals.question import Asked, Marks, Question, any_call, no_call
from moonlet.simulate.domains.locale import LANGUAGES
from moonlet.simulate.users import asks

GROUP = "trigger"
WANTED, TALK, MISSING = "calls when a tool is wanted", "no call when none is needed", "asks when something is missing"
TOOLS = 8


def _asked_back(reply: Message) -> Marks:
    return {MISSING: not reply.calls and any(asks(reply.content, language) for language in LANGUAGES)}


def questions(seed: int, n: int) -> list[Question]:
    """n a row, as far as there are so many; half of the first two from the catalogue, half from the worlds."""
    rng = Random(f"{GROUP} {seed}")
    half = n // 2
    found: list[Question] = []
    for one in rng.sample(catalogue.entries(), min(n - half, len(catalogue.entries()))):
        tools = catalogue.some(one, TOOLS, rng)
        found.append(
            Asked(f"{GROUP}/{one.spec.name}", GROUP, (WANTED,), catalogue.said(one.request), tools, any_call(WANTED))
        )
    for text in rng.sample(catalogue.talk(), min(n - half, len(catalogue.talk()))):
        tools = catalogue.some(rng.choice(catalogue.entries()), TOOLS, rng)
        found.append(Asked(f"{GROUP}/{text}", GROUP, (TALK,), catalogue.said(text), tools, no_call(TALK)))
    for name, text in rng.sample(catalogue.missing(), min(n, len(catalogue.missing()))):
        tools = catalogue.some(catalogue.entry(name), TOOLS, rng)
        found.append(Asked(f"{GROUP}/{text}", GROUP, (MISSING,), catalogue.said(text), tools, _asked_back))
    called = worlds.posed(
        worlds.keys(seed, ("single", "steps", "parallel")), half, lambda posed: bool(posed.first.calls)
    )
    for task in called:
        key, before = f"{GROUP}/{task.task.key}", task.before
        found.append(Asked(key, GROUP, (WANTED,), before, task.tools, any_call(WANTED)))
    for task in worlds.posed(worlds.keys(seed, ("talk",)), half):
        key, before = f"{GROUP}/{task.task.key}", task.before
        found.append(Asked(key, GROUP, (TALK,), before, task.tools, no_call(TALK)))
    return found
