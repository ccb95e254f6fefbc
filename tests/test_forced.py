"""How much of a tool call needs no step of its own: what the schema forces, and what the prompt repeats.

The model is a teacher: in K2's vocabulary it writes prepared calls, token by token, as the constraint and the guesses
let it. So the shares are those of calls that a good model would make, and the steps are those of the real sequence.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from moonlet.chat.constrain import CallConstraint
from moonlet.chat.messages import Message, ToolSpec
from moonlet.chat.template import render
from moonlet.engine.drafter import Guesser, PromptLookup, drafters
from moonlet.engine.sampler import Constraint, Sampling, allows
from moonlet.engine.sequence import Sequence
from vocabularies import k2

FAMILY = "k2-instruct"
TEXT = {"type": "string"}


def tool(name: str, **properties: Any) -> ToolSpec:
    return ToolSpec(name, name, {"type": "object", "properties": properties, "required": list(properties)})


EDIT = tool("edit_file", file_path=TEXT, old_string=TEXT, new_string=TEXT, replace_all={"type": "boolean"})
TICKET = tool(
    "create_ticket",
    title=TEXT,
    priority={"enum": ["low", "medium", "high", "urgent"]},
    component={"enum": ["frontend", "backend", "database", "infrastructure"]},
    assignee={"type": "object", "required": ["team", "user_id"],
              "properties": {"team": {"enum": ["platform", "product"]}, "user_id": {"type": "integer"}}},
    labels={"type": "array", "items": {"enum": ["bug", "regression", "customer-reported"]}},
    due_date={"type": "string", "format": "date"},
)  # fmt: skip
FLIGHT = tool(
    "book_flight",
    departure_airport={"type": "string", "pattern": "^[A-Z]{3}$"},
    arrival_airport={"type": "string", "pattern": "^[A-Z]{3}$"},
    departure_date={"type": "string", "format": "date"},
    cabin_class={"enum": ["economy", "premium_economy", "business", "first"]},
    passengers={"type": "array", "items": {"type": "object", "required": ["first_name", "last_name", "passenger_type"],
                "properties": {"first_name": TEXT, "last_name": TEXT, "passenger_type": {"enum": ["adult", "child"]}}}},
)  # fmt: skip
SEARCH = tool("search_code", query=TEXT, directory=TEXT, file_types={"type": "array", "items": TEXT},
              case_sensitive={"type": "boolean"}, max_results={"type": "integer"}, context_lines={"type": "integer"},
              include_tests={"type": "boolean"}, sort_order={"enum": ["relevance", "path", "modified"]})  # fmt: skip
SUM = "sum(item.price * item.quantity for item in items)"
FILE = f'''def total_price(items, discount=0):
    """Sum of the prices of all items, less a discount."""
    total = {SUM}
    return total - discount
'''
CALLS: list[tuple[str, ToolSpec, dict[str, Any]]] = [
    (f"This is src/shop/pricing.py:\n{FILE}\nThe discount is a share of the total. Mend it.", EDIT, {
        "file_path": "src/shop/pricing.py",
        "old_string": f"    total = {SUM}\n    return total - discount\n",
        "new_string": f"    total = {SUM}\n    return total * (1 - discount)\n",
        "replace_all": False}),
    ("Checkout fails for customers in Norway since Monday, Ada (user 4711) of platform should look at it.", TICKET, {
        "title": "Checkout fails for customers in Norway", "priority": "urgent", "component": "backend",
        "assignee": {"team": "platform", "user_id": 4711}, "labels": ["bug", "regression", "customer-reported"],
        "due_date": "2026-03-04"}),
    ("Fly Ada and Bo Lind (he is 7) from Oslo to Bangkok on 3 May 2026, economy.", FLIGHT, {
        "departure_airport": "OSL", "arrival_airport": "BKK", "departure_date": "2026-05-03", "cabin_class": "economy",
        "passengers": [{"first_name": "Ada", "last_name": "Lind", "passenger_type": "adult"},
                       {"first_name": "Bo", "last_name": "Lind", "passenger_type": "child"}]}),
    ("Where is total_price used in src/shop?", SEARCH, {
        "query": "total_price", "directory": "src/shop", "file_types": ["py", "toml", "md"], "case_sensitive": True,
        "max_results": 50, "context_lines": 2, "include_tests": False, "sort_order": "path"}),
]  # fmt: skip


class Unforced:
    """The same grammar for an engine that draws every token."""

    def __init__(self, whole: Constraint) -> None:
        self.mask, self.accept = whole.mask, whole.accept

    def forced(self) -> list[int]:
        return []


class Teacher:
    def __init__(self, tool: ToolSpec, arguments: dict[str, Any]) -> None:
        mark = {name: k2().special(f"<|tool_call{name}|>") for name in
                ("s_section_begin", "_begin", "_argument_begin", "_end", "s_section_end")}  # fmt: skip
        end = k2().special("<|im_end|>")
        head, body = f"functions.{tool.name}:0", json.dumps(arguments)
        parts = [mark["s_section_begin"], mark["_begin"], head, mark["_argument_begin"], body, mark["_end"],
                 mark["s_section_end"], end]  # fmt: skip
        self.symbols = [s for p in parts for s in (p.encode() if isinstance(p, str) else [-1 - (p or 0)])]

    def symbols_of(self, id: int) -> list[int]:
        return [-1 - id] if k2().is_special(id) else [*k2().piece(id)]

    def row(self, written: list[int]) -> np.ndarray:
        """Logits that favour the longest token that goes on with the prepared call."""
        logits = np.zeros(k2().vocab, np.float32)
        at = 0
        for id in written:
            symbols = self.symbols_of(id)
            if self.symbols[at : at + len(symbols)] != symbols:
                return logits  # behind a wrong guess
            at += len(symbols)
        rest = self.symbols[at:]
        if rest and rest[0] < 0:
            logits[-1 - rest[0]] = 9
            return logits
        text = bytes(s for s in rest[: next((i for i, s in enumerate(rest) if s < 0), len(rest))])
        for length in range(1, min(len(text), 24) + 1):
            ids = k2().encode(text[:length].decode(errors="ignore"))
            if len(ids) == 1:
                logits[ids[0]] = 1 + length / 100
        if ids := k2().encode(text.decode()):
            logits[ids[0]] = 9
        return logits


def steps_of(call: int, forced: bool, guesses: bool, row_cost: float = 0.35) -> Sequence:
    said, spec, arguments = CALLS[call]
    tools = [EDIT, TICKET, FLIGHT, SEARCH]
    prompt = render(k2(), FAMILY, [Message("user", said)], tools)
    constraint: Constraint = CallConstraint(k2(), tools, spec.name, family=FAMILY)
    stop = k2().special("<|im_end|>")
    assert stop is not None
    sampling = Sampling(max_tokens=400, temperature=0, stop_ids=(stop,))
    sequence = Sequence(
        prompt,
        sampling,
        constraint if forced else Unforced(constraint),
        k2().vocab,
        Guesser(drafters(prompt, constraint, [PromptLookup])) if guesses else None,
    )
    teacher, start = Teacher(spec, arguments), len(prompt)
    if not forced:
        sequence._write = lambda logits: _plain(sequence, logits)  # type: ignore[method-assign]
    while not sequence.over:
        sequence.propose(32, row_cost, 1.0)
        written = sequence.ids[start:]
        sequence.advance(np.stack([teacher.row(written + sequence.guess[:n]) for n in range(len(sequence.guess) + 1)]))
    assert sequence.reply.finish == "stop"
    text = k2().decode(sequence.ids[start:])
    assert json.loads(text[text.index("{") : text.rindex("}") + 1]) == arguments
    return sequence


def _plain(sequence: Sequence, logits: np.ndarray) -> None:
    sequence._append(sequence.sampler.draw(logits, sequence._allowed()))


@pytest.mark.parametrize("call", range(len(CALLS)))
def test_half_of_a_call_takes_no_step_of_its_own(call: int) -> None:
    plain = steps_of(call, forced=False, guesses=False).reply.stats
    forced = steps_of(call, forced=True, guesses=False).reply.stats
    both = steps_of(call, forced=True, guesses=True).reply.stats
    print(
        f"{CALLS[call][1].name}: {forced.output_tokens} tokens, {forced.forced_tokens} forced, steps {plain.steps} "
        f"plain, {forced.steps} with forced tokens, {both.steps} with guesses too ({both.right_tokens} of "
        f"{both.guessed_tokens} right)"
    )
    assert 60 <= both.output_tokens <= 200
    assert plain.steps == plain.output_tokens + 1  # the end of the reply is drawn as well
    assert both.steps <= 0.5 * both.output_tokens
    assert both.steps <= forced.steps <= both.output_tokens


def test_forced_tokens_are_read_together_in_the_next_step() -> None:
    sequence = steps_of(1, forced=True, guesses=False)
    assert sequence.reply.stats.steps == sequence.reply.stats.output_tokens - sequence.reply.stats.forced_tokens


@pytest.mark.parametrize("call", range(len(CALLS)))
def test_what_the_grammar_holds_likely_is_allowed(call: int) -> None:
    _, spec, arguments = CALLS[call]
    constraint, teacher = CallConstraint(k2(), [spec], spec.name, family=FAMILY), Teacher(spec, arguments)
    written: list[int] = []
    guessed = 0
    while (id := int(teacher.row(written).argmax())) != k2().special("<|im_end|>"):
        ahead = constraint.copy()
        for likely in constraint.likely():
            assert allows(ahead.mask(), likely)
            ahead.accept(likely)
            guessed += 1
        constraint.accept(id)
        written.append(id)
    assert guessed > 20
