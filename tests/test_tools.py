"""Tools: checked calls, and the two that need nothing."""

import json
import math
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonlet.chat.messages import ToolCall, ToolSpec
from moonlet.tools.basic import calculate, calculator, clock
from moonlet.tools.tool import Tool, ToolError, call, check, parameters

ECHO = Tool(
    ToolSpec(
        "echo",
        "Say it again",
        parameters(
            {"text": {"type": "string"}},
            {
                "times": {"type": "integer", "minimum": 1, "maximum": 3},
                "tone": {"type": "string", "enum": ["low", "high"]},
                "tags": {"type": "array", "items": {"type": "string"}},
                "who": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
            },
        ),
    ),
    lambda arguments: arguments,
)


def _fail(arguments: object) -> object:
    raise ToolError("the bell is broken")


BELL = Tool(ToolSpec("bell", "Ring", {}), _fail, changes=True)


def said(name: str, arguments: str) -> str:
    return call([ECHO, BELL], ToolCall("functions.x:0", name, arguments))


def test_a_right_call_returns_json() -> None:
    assert json.loads(said("echo", '{"text": "hé", "times": 2}')) == {"text": "hé", "times": 2}


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("shout", "{}", "there is no tool 'shout'; the tools are: echo, bell"),
        ("echo", '{"text": ', "not valid JSON"),
        ("echo", "[]", "arguments must be object"),
        ("echo", "{}", "'text' is missing"),
        ("echo", '{"text": 3}', "text must be string, got 3"),
        ("echo", '{"text": "a", "times": true}', "times must be integer"),
        ("echo", '{"text": "a", "times": 2.5}', "times must be integer"),
        ("echo", '{"text": "a", "times": 9}', "times must be at most 3"),
        ("echo", '{"text": "a", "tone": "mid"}', 'tone must be one of ["low", "high"]'),
        ("echo", '{"text": "a", "tags": ["x", 1]}', "tags[1] must be string"),
        ("echo", '{"text": "a", "who": {}}', "'name' is missing in who"),
        ("echo", '{"text": "a", "loud": true}', "no 'loud'; it takes: text, times"),
        ("bell", "", "the bell is broken"),
    ],
)
def test_mistakes_and_failures_are_data(name: str, arguments: str, told: str) -> None:
    assert told in json.loads(said(name, arguments))["error"]


def test_arguments_of_any_depth_are_data() -> None:
    for depth in range(800, 1010):  # somewhere there begins what can be read and no longer be written
        assert "error" in json.loads(said("echo", f'{{"text": {"[" * depth}{"]" * depth}}}'))


def test_a_tool_gets_whole_numbers_as_integers_where_it_declares_such() -> None:
    whole = {"type": "integer"}
    schema = parameters(
        {"one": whole, "many": {"type": "array", "items": whole}, "share": {"type": "number"}, "any": {}},
        {"in": {"type": "object", "properties": {"it": whole}}, "either": {"type": ["string", "integer"]},
         "maybe": {"anyOf": [{"type": "null"}, whole]}},
    )  # fmt: skip
    tool = Tool(ToolSpec("count", "", schema), repr)
    given = {"one": 3.0, "many": [1.0, 2], "in": {"it": -4.0}, "maybe": 5e3, "either": 6.0, "share": 1.0, "any": 7.0}
    got = {"one": 3, "many": [1, 2], "in": {"it": -4}, "maybe": 5000, "either": 6, "share": 1.0, "any": 7.0}
    assert call([tool], ToolCall("c", "count", json.dumps(given))) == repr(got)
    deep = '{"any": ' + '{"it": ' * 400 + "1.0" + "}" * 401  # what is not declared is not looked at
    assert (
        call([Tool(ToolSpec("any", "", parameters({}, {"any": {}})), str)], ToolCall("c", "any", deep)).count("1.0")
        == 1
    )


def test_any_of_and_whole_floats() -> None:
    either = {"anyOf": [{"type": "string"}, {"type": "null"}]}
    assert check(None, either, "x") is None
    assert check(3, either, "x") is not None
    assert check(3.0, {"type": "integer"}, "x") is None
    assert check({"x": 1}, {"type": "object", "properties": {"x": True}}, "x") is None
    assert check({"x": 1}, {"type": "object", "properties": {"x": False}}, "x") == "x may not be given"
    assert call([Tool(ToolSpec("e", "", {"properties": {"x": True}}), dict)], ToolCall("1", "e", '{"x": 2.0}'))


def test_properties_may_be_declared_in_several_places() -> None:
    a, b = ({"properties": {name: {"type": "string"}}, "required": [name]} for name in "ab")
    both = {"type": "object", "allOf": [a], **b}
    assert check({"a": "1", "b": "2"}, both, "x") is None
    assert check({"b": "2"}, both, "x") == "'a' is missing in x"
    assert check({"a": "1", "b": "2"}, {"anyOf": [a, {"required": ["c"]}], **b}, "x") is None
    assert check({"a": "1", "b": "2"}, {"anyOf": [{"required": ["a"]}, {"required": ["b"]}], **b}, "x") is not None
    assert check({"a": "1", "b": "2"}, {"anyOf": [a, b]}, "x") is not None


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("12 * (3 + 4)", 84), ("15% of 80", 12), ("144 divided by 12", 12), ("2^10", 1024), ("7 x 8", 56), ("9×9", 81),
        ("1,200 / 4", 300), ("the square root of 144", 12), ("20 percent of 350", 70), ("0.1 + 0.2", 0.3),
        ("3 squared", 9),
        ("twelve times four", 48), ("twenty-one plus two", 23), ("half of 90", 45), ("-5 + 2", -3), ("10 % 4", 2),
        ("2 to the power of 8", 256), ("what", None), ("max(3, 9)", 9), ("36乘以12", 432), ("36 คูณ 12", 432),
        ("5 - 5%", 4.95), ("three quarters of 220", 165), ("a third of 96", 32), ("thirteen and a half plus six", 19.5),
        ("third of 156", 52),
        ("max(12,100, 5)", 100), ("min(5,100)", 5), ("1,200 + 5", 1205), ("sqrt of 729", 27), ("sqrt 16 + 1", 5),
        ("2/3 of 36000", 24000), ("half of three hundred and ten", 155), ("twelve hundred minus 50", 1150),
        ("one million two hundred thousand / 2", 600_000), ("three point five plus 1", 4.5),
        ("12 and 15 and 19.5", 46.5),
        ("สามพันห้าร้อยลบเก้าร้อยแปดสิบ", 2520), ("ร้อยละ 3 ของ 50,000", 1500), ("หนึ่งในสี่ของ 360", 90),
        ("25 เปอร์เซ็นต์ของ 1,680", 420), ("7 ยกกำลังสอง", 49), ("ครึ่งหนึ่งของ 258", 129),
        ("สามล้านสองแสน / 2", 1_600_000),
        ("1250的百分之三十", 375), ("两千零四十八除以三十二", 64), ("96的一半", 48), ("2的10次方", 1024),
        ("144开平方", 12),
        ("五十二减十七再乘三", 1), ("九百六减二百八", 680), ("三万五 - 1", 34_999), ("一亿二千万 / 2", 60_000_000),
        ("330的三成", 99), ("47块6加上83块9", 131.5), ("二〇二五 - 25", 2000),
    ],
)  # fmt: skip
def test_calculate(expression: str, value: float | None) -> None:
    if value is None:
        with pytest.raises(ToolError):
            calculate(expression)
    else:
        assert calculate(expression) == value


@pytest.mark.parametrize(
    "expression",
    ["1/0", "9**9**9", "2**99999", "__import__('os')", "'a' * 9", "1 if 1 else 2", "(1).real", "", "1" * 300, "f(2)",
     "(-8) ** 0.5", "10.0 ** 400", "[1]", "lambda: 1", "max()", "round(2, n=1)", "((((((((", "round(2, 1.5)",
     "round(1, -999999)", "round(1, -10**150)"],
)  # fmt: skip
def test_calculate_refuses(expression: str) -> None:
    with pytest.raises(ToolError):
        calculate(expression)


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="0123456789.+-*/()% ^x,esqrt√", max_size=40))
def test_calculate_gives_a_finite_number_or_says_why(expression: str) -> None:
    try:
        value = calculate(expression)
    except ToolError:
        return
    assert isinstance(value, int) or math.isfinite(value)


def test_the_calculator_and_the_clock_as_tools() -> None:
    tools = [calculator(), clock(lambda: datetime(2026, 11, 23, 22, 30, tzinfo=UTC))]
    assert call(tools, ToolCall("a", "calculate", '{"expression": "6 * 7"}')) == '{"result": 42}'
    here = json.loads(call(tools, ToolCall("b", "current_time", "{}")))
    assert here == {"time": "22:30", "date": "2026-11-23", "weekday": "Monday"}
    tokyo = json.loads(call(tools, ToolCall("c", "current_time", '{"place": "Tokyo"}')))
    assert tokyo == {"place": "Tokyo", "time": "07:30", "date": "2026-11-24", "weekday": "Tuesday"}
    for place in ("Mordor", "GMT+7"):  # which in the zone database lies seven hours west
        assert "not known" in call(tools, ToolCall("d", "current_time", json.dumps({"place": place})))
