"""The judge of calls, and the hand-written requests."""

import json
import re

import pytest

from moonlet.chat.messages import Message, ToolCall
from moonlet.evals.calls import TODAY, Rate, judge, normal, parse, questions, rates, report, run
from moonlet.simulate.world import World
from moonlet.tools.tool import check


def made(*calls: tuple[str, str]) -> Message:
    return Message("assistant", calls=tuple(ToolCall(f"functions.{n}:{i}", n, a) for i, (n, a) in enumerate(calls)))


def test_wilson_intervals() -> None:
    assert Rate(0, 0).interval() == (0, 1)
    assert Rate(8, 10).interval() == pytest.approx((0.490, 0.943), abs=1e-3)
    assert Rate(300, 300).interval() == pytest.approx((0.987, 1.0), abs=1e-3)


def test_values_are_compared_as_a_reader_would() -> None:
    assert normal("  New  YORK. ") == normal("new york")
    assert normal(20) == normal("20") == normal(20.0)
    assert normal("1,299") == normal(1299)
    assert normal(True) is True
    assert normal("20 minutes") != normal("20")


def test_a_reply_is_judged_on_its_calls() -> None:
    timer = parse({"request": "x", "calls": [{"name": "set_timer", "arguments": {"duration": "5 minutes"}}]})
    assert judge(timer, made(("set_timer", '{"duration": "5 Minutes"}'))).exact
    wrong = judge(timer, made(("set_timer", '{"duration": "6 minutes"}')))
    assert wrong.tool and not wrong.exact
    assert not judge(timer, made(("set_timer", "{oops"))).exact
    assert not judge(timer, Message("assistant", "I have no tool for that.")).tool
    chat = parse({"request": "hi", "calls": []})
    assert judge(chat, Message("assistant", "Hello!")).exact
    assert not judge(chat, made(("set_timer", "{}"))).exact


def test_another_right_answer_counts() -> None:
    one = {"name": "find_contact", "arguments": {"name": "landlord"}}
    either = parse({"request": "x", "calls": [one], "or": [[{**one, "arguments": {"name": "the landlord"}}]]})
    assert judge(either, made(("find_contact", '{"name": "the landlord"}'))).exact


def test_the_requests_can_be_answered_with_the_tools() -> None:
    specs = {tool.spec.name: tool.spec for tool in World(0, TODAY).tools()}
    asked = questions()
    assert len(asked) >= 300 and len({question.request for question in asked}) == len(asked)
    for question in asked:
        for calls in question.right:
            for name, arguments in calls:
                assert check(arguments, specs[name].parameters, "arguments") is None, question
    assert {name for question in asked for calls in question.right for name, _ in calls} == set(specs)


def test_expected_text_is_found_in_the_request() -> None:
    """What a right answer copies was typed, in every listed answer but sums and implied words."""
    implied = {"power", "reason"}
    for question in questions():
        typed = " ".join(question.request.casefold().split())
        for name, arguments in question.right[0]:
            for key, value in arguments.items():
                if isinstance(value, str) and key not in implied and value != "all":
                    parts = re.findall(r"\d[\d.]*", value) if name == "calculate" else [value.casefold()]
                    assert all(part in typed for part in parts), (question.request, value)


def test_a_perfect_and_a_silent_answerer() -> None:
    by_text = {question.request: question for question in questions()}

    def perfect(messages: list[Message], tools: object) -> Message:
        right = by_text[messages[-1].content].right[0]
        return made(*((name, json.dumps(arguments)) for name, arguments in right))

    rows = rates(run(perfect))  # type: ignore[arg-type]
    assert all(rate.right == rate.total > 0 for rate in rows.values())
    silent = run(lambda messages, tools: Message("assistant", "No."))
    rows = rates(silent)
    assert rows["whole call exact"].right == 0 and rows["no call when no tool fits"].right > 30
    assert "whole call exact" in report(silent) and "-> No." in report(silent)
