"""The judging of simulated turns, and the table of the small model's figures."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

import tiny
import vocabularies
from moonlet.chat.messages import Message, ToolCall
from moonlet.chat.tokenizer import write_vocabulary
from moonlet.evals import nano, talks
from moonlet.evals.calls import Rate


def test_the_true_turns_are_all_right() -> None:
    for drawn in (talks.demonstration(), talks.made_up()):
        for turn in talks.turns(drawn, 300):
            assert talks.judge(turn, turn.wanted).right, turn


def test_every_kind_of_turn_comes_up() -> None:
    found = talks.turns(talks.demonstration(), 300)
    assert {turn.kind for turn in found} == {"call", "answer", "refusal", "other"}
    assert talks.turns(talks.demonstration(), 300) == found


def _first(kind: str) -> talks.Turn:
    return next(turn for turn in talks.turns(talks.demonstration(), 300) if turn.kind == kind)


def test_a_call_with_another_value_or_in_place_of_a_refusal_is_wrong() -> None:
    turn = _first("call")
    call = turn.wanted.calls[0]
    changed = replace(call, arguments=json.dumps({**json.loads(call.arguments), "more": 1}))
    assert not talks.judge(turn, replace(turn.wanted, calls=(changed,))).right
    assert not talks.judge(turn, Message("assistant", "Done.")).right
    for kind in ("refusal", "other", "answer"):
        assert not talks.judge(_first(kind), Message("assistant", calls=(call,))).right
    assert talks.judge(_first("refusal"), Message("assistant", "I cannot do that.")).right


def test_an_answer_must_tell_the_facts_and_no_others() -> None:
    call = ToolCall("functions.get_weather:0", "get_weather", "{}")
    result = '{"place": "Oslo", "weather": "light rain", "degrees": 7}'
    before = (Message("user", "Oslo?"), Message("assistant", calls=(call,)), Message("tool", result))
    turn = talks.Turn(before, (), Message("assistant", "Light rain in Oslo at 7 °C."))
    assert turn.kind == "answer"
    for text, right in {
        "In Oslo it is 7 degrees with light rain.": True,
        "Light rain in Oslo at 8 °C.": False,
        "Light rain in Oslo.": False,
        "Light rain in Oslo at 7 °C, 20 % of the time.": False,
        "Rain in Oslo at 7 °C.": False,
    }.items():
        assert talks.judge(turn, Message("assistant", text)).right is right, text


def test_rates_count_by_kind() -> None:
    asked = list(islice(talks.turns(talks.demonstration(), 120), 120))
    rates = talks.rates(talks.run(lambda messages, tools: Message("assistant", "I have no tool for that."), asked))
    assert rates["whole call exact"].right == 0 and rates["whole call exact"].total > 20
    refusals = rates["no call when no tool fits"]
    assert refusals.right == refusals.total > 0
    assert sum(rate.total for rate in rates.values()) == 120


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that knows nothing, with a small vocabulary."""
    folder = tmp_path_factory.mktemp("nano")
    pieces = vocabularies.small_pieces()
    tiny.write(folder, "moonlight", "bf16", changes={"vocab_size": len(pieces) + 32})
    write_vocabulary(folder, pieces)
    return folder


def test_the_command_prints_a_table(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(nano, "TOKENS", 8)
    monkeypatch.setattr("sys.argv", ["nano", *f"{model} --requests 2 --turns 4 --threads 1 --json".split()])
    assert nano.main() == 0
    found = json.loads(capsys.readouterr().out)
    row = found["hand-written requests, demonstration tools"]["whole call exact"]
    assert set(row) == {"constrained", "free"} and row["free"]["total"] == 2
    assert sum(rate["free"]["total"] for rate in found["simulated talk, tools never seen"].values()) == 4


def test_the_table_is_readable() -> None:
    table = {"a suite": {"a row": {"constrained": Rate(9, 10), "free": Rate(5, 10)}}}
    lines = nano.written(table).splitlines()
    assert lines[0].split() == ["a", "suite", "constrained", "free"]
    assert "9/10 = 90.0% (59.6% to 98.2%)" in lines[1] and "5/10" in lines[1]
