"""The small model has the names of tools in snake_case; whoever declares them never sees that."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonlet.chat.constrain import CallConstraint
from moonlet.chat.messages import CallArguments, CallEnd, CallStart, Message, ToolCall, ToolSpec
from moonlet.chat.parser import Parser
from moonlet.chat.spelling import spelled, spelled_tools, spellings
from moonlet.chat.template import render
from moonlet.local import load
from vocabularies import small

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@pytest.mark.parametrize(
    ("name", "out"),
    [
        ("getWaterChemistry", "get_water_chemistry"),
        ("get_water_chemistry", "get_water_chemistry"),
        ("read-text-file", "read_text_file"),
        ("HTTPRequest", "http_request"),
        ("toUTF8", "to_utf8"),
        ("math.factorial", "math.factorial"),
        ("github__list_issues", "github__list_issues"),
        ("ดูอากาศ", "ดูอากาศ"),
    ],
)
def test_names_are_spelled_out(name, out):
    assert spelled(name) == out
    assert spelled(out) == out


def test_names_that_would_become_one_stay():
    assert spellings(["getX", "get_x", "getY"]) == {"getX": "getX", "get_x": "get_x", "getY": "get_y"}


names = st.text("abXYZ_09.-", min_size=1, max_size=8).filter(lambda name: not name.isdecimal())


@given(declared=st.lists(names, min_size=1, max_size=5, unique=True), history=st.integers(0, 12), data=st.data())
@settings(max_examples=100, deadline=None)
def test_a_call_comes_back_under_the_tools_own_name(declared, history, data):
    tools = [ToolSpec(name, "", {}) for name in declared]
    name = data.draw(st.sampled_from(declared))
    earlier = [Message("assistant", calls=tuple(ToolCall("", name, "{}") for _ in range(history)))]
    before = render(small(), "moonlet", earlier, tools)
    message = Message("assistant", calls=(ToolCall("mine", name, "{}"),))
    ids = render(small(), "moonlet", [*earlier, message], tools, generate=False)[len(before) :]
    constraint = CallConstraint(small(), tools, name, family="moonlet", history_calls=history)
    for id in ids:
        assert constraint.mask()[id // 32] >> id % 32 & 1, small().decode([id])
        constraint.accept(id)
    reader = Parser(small(), "moonlet", tools, history, spelled=False)
    events = reader.feed(ids) + reader.finish()
    call = ToolCall(f"functions.{name}:{history}", name, "{}")
    assert reader.message == Message("assistant", calls=(call,))
    assert CallStart(0, call.id, name) in events and CallEnd(0, call) in events


def test_the_model_is_shown_one_spelling_only():
    tool = ToolSpec("getWeather", "The weather of a city", CITY)
    call = ToolCall("call_1", "getWeather", '{"city": "Oslo"}')
    talk = [Message("assistant", calls=(call,)), Message("tool", "rain", name="getWeather", call_id="call_1")]
    text = small().decode(render(small(), "moonlet", talk, [tool]))
    assert "getWeather" not in text and text.count("get_weather") == 4  # declared, called, and twice in the result


PERIOD = {
    "type": "object",
    "properties": {"startDate": {"type": "string"}, "maxPrice": {"type": "number"}, "note": {"type": "string"}},
    "required": ["startDate"],
}


def test_parameters_are_spelled_out_and_come_back_as_they_are_declared():
    tool = ToolSpec("findTours", "", PERIOD)
    call = ToolCall("call_1", "findTours", '{"startDate": "maxPrice", "maxPrice": 9.5}')
    talk = [Message("assistant", calls=(call,)), Message("tool", "none", call_id="call_1")]
    text = small().decode(render(small(), "moonlet", talk, [tool]))
    assert "start_date: string" in text and '{"start_date": "maxPrice", "max_price": 9.5}' in text
    said = '{"start_date": "maxPrice", "note": "start_date \\"x"}'
    ids = small().encode(
        "<|tool_calls_section_begin|><|tool_call_begin|>functions.find_tours:0<|tool_call_argument_begin|>"
        f"{said}<|tool_call_end|><|tool_calls_section_end|>",
        specials=True,
    )
    constraint = CallConstraint(small(), [tool], family="moonlet")
    reader = Parser(small(), "moonlet", [tool], spelled=False)
    events = []
    for id in ids:
        assert constraint.mask()[id // 32] >> id % 32 & 1, small().decode([id])
        constraint.accept(id)
        events += reader.feed([id])
    whole = '{"startDate": "maxPrice", "note": "start_date \\"x"}'
    assert CallArguments(0, whole) in events
    assert reader.message.calls == (ToolCall("functions.findTours:0", "findTours", whole),)


def test_a_schema_that_speaks_of_its_parameters_elsewhere_is_left_alone():
    (one,) = spelled_tools([ToolSpec("t", "", {**PERIOD, "dependentRequired": {"maxPrice": ["note"]}})])
    assert one.tool.parameters == one.own.parameters and not one.keys


def test_what_is_no_json_comes_back_as_written():
    (one,) = spelled_tools([ToolSpec("t", "", PERIOD)])
    assert one.meant('{"start_date": ') == '{"start_date": '
    assert one.meant('["start_date"]') == '["start_date"]'
    beyond = '{"start_date": "x", "max_price": 1e400}'
    assert one.meant(beyond) == beyond  # and no Infinity, which is no JSON
    assert one.meant('{"start_date": "ไทย"}') == '{"startDate": "ไทย"}'


@pytest.mark.parametrize("name", ["getWeather", "get-weather", "GetWeather"])
def test_the_small_model_calls_a_tool_however_it_is_named(name):
    tool = ToolSpec(name, "The weather of a city", CITY)
    with load("nano") as model:
        reply = model.generate("What is the weather in Oslo?", [tool])
        assert [(one.name, one.arguments) for one in reply.calls] == [(name, '{"city": "Oslo"}')]
        asked = [Message("user", "What is the weather in Oslo?"), reply]
        answer = model.generate([*asked, Message("tool", '{"weather": "rain"}', call_id=reply.calls[0].id)], [tool])
        assert "rain" in answer.content
