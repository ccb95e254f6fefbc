"""The small model tells what a tool has found however long the talk has been, to the end of what it declares."""

from itertools import islice

import pytest

from moonlet.chat.template import render
from moonlet.evals import talks
from moonlet.local import load

pytestmark = pytest.mark.long

LONG = 2600  # tokens; versions that had been trained to 2,048 wrote gibberish from 2,400 on
ROOM = 3900


def test_results_are_told_behind_a_long_talk() -> None:
    with load("nano", cache_tokens=8192) as model:
        answers = (turn for turn in talks.turns(talks.demonstration(3)) if turn.kind == "answer")
        long = (
            turn for turn in answers if LONG < len(render(model.tokenizer, "moonlet", turn.before, turn.tools)) < ROOM
        )
        told = []
        for turn in islice(long, 0, 60, 5):  # of several talks
            reply = model.generate(turn.before, turn.tools, max_tokens=150, temperature=0)
            told.append(all(talks.judge(turn)(reply).values()))
    assert sum(told) >= 10, told
