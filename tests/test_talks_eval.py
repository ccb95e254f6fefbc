"""The judging of simulated turns."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice

from moonlet.chat.messages import Message, ToolCall
from moonlet.evals import talks

FOUND = list(islice(talks.turns(talks.demonstration()), 300))


def right(turn: talks.Turn, reply: Message) -> bool:
    marks: Mapping[str, bool] = talks.judge(turn)(reply)
    return marks[talks.KINDS[turn.kind]]


def test_the_true_turns_are_all_right() -> None:
    for turn in [*FOUND, *islice(talks.turns(talks.made_up()), 300)]:
        assert right(turn, turn.wanted), turn


def test_every_kind_of_turn_comes_up_as_often_as_is_asked() -> None:
    assert {turn.kind for turn in FOUND} == {"call", "answer", "refusal", "other"}
    asked = talks.questions(0, 3)
    assert Counter((one.group, one.rows[0]) for one in asked) == {
        (group, row): 3
        for group in ("simulated talk, demonstration tools", "simulated talk, tools composed anew, unseen seeds")
        for row in talks.KINDS.values()
    }
    assert {one.id for one in asked} < {one.id for one in talks.questions(0, 5)}


def _first(kind: str) -> talks.Turn:
    return next(turn for turn in FOUND if turn.kind == kind)


def test_a_call_with_another_value_or_in_place_of_a_refusal_is_wrong() -> None:
    turn = _first("call")
    call = turn.wanted.calls[0]
    changed = replace(call, arguments=json.dumps({**json.loads(call.arguments), "more": 1}))
    assert not right(turn, replace(turn.wanted, calls=(changed,)))
    assert not right(turn, Message("assistant", "Done."))
    for kind in ("refusal", "other", "answer"):
        assert not right(_first(kind), Message("assistant", calls=(call,)))
    assert right(_first("refusal"), Message("assistant", "I cannot do that."))


def test_an_answer_must_tell_the_facts_and_no_others() -> None:
    call = ToolCall("functions.get_weather:0", "get_weather", "{}")
    result = '{"place": "Oslo", "weather": "light rain", "degrees": 7}'
    before = (Message("user", "Oslo?"), Message("assistant", calls=(call,)), Message("tool", result))
    turn = talks.Turn(before, (), Message("assistant", "Light rain in Oslo at 7 °C."))
    assert turn.kind == "answer"
    for text, fine in {
        "In Oslo it is 7 degrees with light rain.": True,
        "Light rain in Oslo at 8 °C.": False,
        "Light rain in Oslo.": False,
        "Light rain in Oslo at 7 °C, 20 % of the time.": False,
        "Rain in Oslo at 7 °C.": False,
    }.items():
        assert right(turn, Message("assistant", text)) is fine, text
