"""Comparing calls, and the hand-written requests."""

import json
import re

import pytest

from moonlet.chat.messages import Message, ToolCall
from moonlet.evals.by_hand import TODAY, Request, judge, parse, questions, requests
from moonlet.evals.calls import normal, same_in_any_order
from moonlet.evals.question import Asked
from moonlet.evals.rate import Rate
from moonlet.simulate.world import World
from moonlet.tools.tool import check


def made(*calls: tuple[str, str]) -> Message:
    return Message("assistant", calls=tuple(ToolCall(f"functions.{n}:{i}", n, a) for i, (n, a) in enumerate(calls)))


def exact(request: Request, reply: Message) -> bool:
    return judge(request)(reply)[request.rows[0]]


def test_wilson_intervals() -> None:
    assert Rate(0, 0).interval() == (0, 1)
    assert Rate(8, 10).interval() == pytest.approx((0.490, 0.943), abs=1e-3)
    assert Rate(300, 300).interval() == pytest.approx((0.987, 1.0), abs=1e-3)
    assert Rate(8, 10).short() == "80 % (49 to 94)"


def test_values_are_compared_as_a_reader_would() -> None:
    assert normal("  New  YORK. ") == normal("new york")
    assert normal(20) == normal("20") == normal(20.0)
    assert normal("1,299") == normal(1299)
    assert normal(10**400) == normal("1" + 400 * "0") != normal(1e300)
    assert normal(True) == normal("true") != normal(1)
    assert normal("10,20") != normal(1020) and normal("007") != normal(7) and normal(".5") == normal(0.5)
    assert normal("20 minutes") != normal("20")


def test_calls_that_do_not_depend_on_one_another_are_right_in_any_order() -> None:
    calls = made(("a", '{"x": 1}'), ("b", "{}"), ("a", '{"x": 2}')).calls
    assert same_in_any_order(calls, [("a", {"x": 2}), ("a", {"x": 1}), ("b", {})])
    assert not same_in_any_order(calls, [("a", {"x": 1}), ("a", {"x": 1}), ("b", {})])
    assert not same_in_any_order(calls[:2], [("a", {"x": 2}), ("a", {"x": 1}), ("b", {})])


def test_a_reply_is_judged_on_its_calls() -> None:
    timer = parse({"request": "x", "calls": [{"name": "set_timer", "arguments": {"duration": "5 minutes"}}]})
    assert exact(timer, made(("set_timer", '{"duration": "5 Minutes"}')))
    wrong = judge(timer)(made(("set_timer", '{"duration": "6 minutes"}')))
    assert wrong == {"whole call exact": False, "right tool": True, "a call where one is wanted": True}
    assert not exact(timer, made(("set_timer", "{oops")))
    assert not any(judge(timer)(Message("assistant", "I have no tool for that.")).values())
    chat = parse({"request": "hi", "calls": []})
    assert exact(chat, Message("assistant", "Hello!"))
    assert not exact(chat, made(("set_timer", "{}")))


def test_another_right_answer_counts() -> None:
    one = {"name": "find_contact", "arguments": {"name": "landlord"}}
    either = parse({"request": "x", "calls": [one], "or": [[{**one, "arguments": {"name": "the landlord"}}]]})
    assert exact(either, made(("find_contact", '{"name": "the landlord"}')))


def test_the_requests_can_be_answered_with_the_tools() -> None:
    specs = {tool.spec.name: tool.spec for tool in World(0, TODAY).tools()}
    asked = requests()
    assert len(asked) >= 300 and len({one.text for one in asked}) == len(asked)
    for one in asked:
        for calls in one.right:
            for name, arguments in calls:
                assert check(arguments, specs[name].parameters, "arguments") is None, one
    assert {name for one in asked for calls in one.right for name, _ in calls} == set(specs)


def test_expected_text_is_found_in_the_request() -> None:
    """What a right answer copies was typed, in every listed answer but sums and implied words."""
    implied = {"power", "reason"}
    for one in requests():
        typed = " ".join(one.text.casefold().split())
        for name, arguments in one.right[0]:
            for key, value in arguments.items():
                if isinstance(value, str) and key not in implied and value != "all":
                    parts = re.findall(r"\d[\d.]*", value) if name == "calculate" else [value.casefold()]
                    assert all(part in typed for part in parts), (one.text, value)


def test_a_perfect_and_a_silent_answerer() -> None:
    by_text = {one.text: one for one in requests()}
    silent = Message("assistant", "No.")
    for question in questions():
        assert isinstance(question, Asked)
        right = by_text[question.messages[-1].content].right[0]
        marks = question.judge(made(*((name, json.dumps(arguments)) for name, arguments in right)))
        assert set(marks) == set(question.rows) and all(marks.values())
        assert any(question.judge(silent).values()) is not bool(right)
