"""Replies to events: what models write when they mean a call, at every cut of the stream."""

import json
from collections import UserList
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonlet.chat.messages import CallArguments, CallEnd, CallStart, Message, Text, Thinking, ToolCall, ToolSpec
from moonlet.chat.parser import Parser
from moonlet.chat.template import opens_thinking, render, thinks
from moonlet.chat.tokenizer import K2_PATTERN, Tokenizer
from vocabularies import k2, small

TOOLS = (
    ToolSpec(
        "get_weather",
        "",
        {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
    ),
    ToolSpec("search", "", {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}),
    ToolSpec("a.b-c", "", {"type": "object", "properties": {}}),
)
S, E = "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"
B, A, Z = "<|tool_call_begin|>", "<|tool_call_argument_begin|>", "<|tool_call_end|>"
CITY = '{"city": "北京 🌧️"}'
QUERY = '{"query": "x"}'


def calls(*pairs, start=0):
    return tuple(ToolCall(f"functions.{n}:{start + i}", n, a) for i, (n, a) in enumerate(pairs))


WEATHER = calls(("get_weather", CITY))


@dataclass(frozen=True)
class Case:
    said: str
    content: str = ""
    calls: tuple[ToolCall, ...] = ()
    thinking: str = ""
    family: str = "k2-instruct"
    thinking_open: bool = False
    history_calls: int = 0
    by_text: bool = True  # the same when its marks are spelled out


GOOD = {
    "text": Case("Hello, 世界 🚀 <b>!</b>", "Hello, 世界 🚀 <b>!</b>"),
    "nothing": Case("", ""),
    "one call": Case(f"{S}{B}functions.get_weather:0{A}{CITY}{Z}{E}", calls=WEATHER),
    "text, then a call": Case(f"Let me see. \n{S}{B}functions.get_weather:0{A}{CITY}{Z}{E}", "Let me see. \n", WEATHER),
    "two calls": Case(
        f"{S}{B}functions.get_weather:0{A}{CITY}{Z}{B}functions.search:1{A}{QUERY}{Z}{E}",
        calls=calls(("get_weather", CITY), ("search", QUERY)),
    ),
    "ids go on after the history": Case(
        f"{S}{B}functions.search:7{A}{QUERY}{Z}{B}functions.search:7{A}{QUERY}{Z}{E}",
        calls=calls(("search", QUERY), ("search", QUERY), start=4),
        history_calls=4,
    ),
    "no section marks": Case(f"{B}functions.get_weather:0{A}{CITY}{Z}", calls=WEATHER),
    "no section end": Case(f"ok{S}{B}functions.get_weather:0{A}{CITY}{Z}", "ok", WEATHER),
    "no section begin": Case(f"{B}functions.get_weather:0{A}{CITY}{Z}{E}", calls=WEATHER),
    "singular spelling": Case(
        f"ok<|tool_call_section_begin|>{B}functions.get_weather:0{A}{CITY}{Z}<|tool_call_section_end|>", "ok", WEATHER
    ),
    "spaces everywhere": Case(f"{S}\n{B} functions.get_weather:0 \n{A}{CITY}{Z}\n {E}", calls=WEATHER),
    "no prefix": Case(f"{S}{B}get_weather:0{A}{CITY}{Z}{E}", calls=WEATHER),
    "no counter": Case(f"{S}{B}functions.get_weather{A}{CITY}{Z}{E}", calls=WEATHER),
    "name alone": Case(f"{S}{B}get_weather{A}{CITY}{Z}{E}", calls=WEATHER),
    "underscores": Case(f"{S}{B}functions_get_weather_0{A}{CITY}{Z}{E}", calls=WEATHER),
    "dots and dashes": Case(f"{S}{B}functions.a.b-c:12{A}{{}}{Z}{E}", calls=calls(("a.b-c", "{}"))),
    "bare counter": Case(f"{S}{B}3{A}{CITY}{Z}{E}", calls=WEATHER),
    "counter with its colon": Case(f"{S}{B}:3{A}{QUERY}{Z}{E}", calls=calls(("search", QUERY))),
    "an id of the client's form": Case(f"{S}{B}call_abc{A}{QUERY}{Z}{E}", calls=calls(("search", QUERY))),
    "unknown tool": Case(f"{S}{B}functions.img_gen:0{A}{{}}{Z}{E}", calls=calls(("img_gen", "{}"))),
    "unknown tool without prefix": Case(f"{S}{B}img_gen{A}{{}}x{Z}{E}", calls=calls(("img_gen", "{}x"))),
    "invalid JSON": Case(f'{S}{B}functions.search:0{A}{{"query": x{Z}{E}', calls=calls(("search", '{"query": x'))),
    "no arguments": Case(f"{S}{B}functions.search:0{A}{Z}{E}", calls=calls(("search", ""))),
    "call end forgotten": Case(
        f"{S}{B}functions.get_weather:0{A}{CITY}{B}functions.search:1{A}{QUERY}{E}after",
        "after",
        calls(("get_weather", CITY), ("search", QUERY)),
    ),
    "text after the section": Case(f"{S}{B}functions.get_weather:0{A}{CITY}{Z}{E}\nDone.", "\nDone.", WEATHER),
    "text between calls": Case(
        f"{S}{B}functions.get_weather:0{A}{CITY}{Z} and {B}functions.search:1{A}{QUERY}{Z}{E}",
        " and ",
        calls(("get_weather", CITY), ("search", QUERY)),
    ),
    "two sections": Case(
        f"a{S}{B}functions.get_weather:0{A}{CITY}{Z}{E}b{S}{B}functions.search:1{A}{QUERY}{Z}{E}",
        "ab",
        calls(("get_weather", CITY), ("search", QUERY)),
    ),
    "the end mark": Case("bye<|im_end|>", "bye", by_text=False),
    "the older end mark": Case("bye[EOS]ignored", "bye", by_text=False),
    "K2-Thinking": Case("<think>hm\n</think>Yes", "Yes", thinking="hm\n", family="k2-thinking"),
    "space before the thought": Case("\n<think>hm</think>Yes", "\nYes", thinking="hm", family="k2-thinking"),
    "thought and call": Case(
        f"<think>hm</think>ok{S}{B}functions.get_weather:0{A}{CITY}{Z}{E}", "ok", WEATHER, "hm", "k2-thinking"
    ),
    "prompt opened the thought": Case("hm</think>Yes", "Yes", thinking="hm", family="k2.5", thinking_open=True),
    "opened twice": Case("<think>hm</think>Yes", "Yes", thinking="hm", family="k2.6", thinking_open=True),
    "thought never ends": Case("hm, 世", thinking="hm, 世", family="k2.6", thinking_open=True),
    "section ends the thought": Case(
        f"I call {S}{B}functions.get_weather:0{A}{CITY}{Z}{E}",
        calls=WEATHER,
        thinking="I call ",
        family="k2.6",
        thinking_open=True,
    ),
    "section inside the thought": Case(
        f"<think>I call {S}{B}functions.get_weather:0{A}{CITY}{Z}{E}</think>Called.",
        "Called.",
        WEATHER,
        "I call ",
        "k2-thinking",
    ),
    "call without section inside the thought": Case(
        f"<think>go{B}functions.get_weather:0{A}{CITY}{Z}", calls=WEATHER, thinking="go", family="k2-thinking"
    ),
}

# What cannot be a call is shown as it was written.
SHOWN = {
    "cut after the section mark": f"a{S}",
    "cut in the id": f"a{S}{B}functions.get_wea",
    "cut before the arguments": f"a{S}{B}functions.get_weather:0{A}",
    "cut in the arguments": f'a{S}{B}functions.get_weather:0{A}{{"city": "北',
    "cut before the end of the call": f"a{S}{B}functions.get_weather:0{A}{CITY}",
    "cut in a mark": "a<|tool_call_be",
    "empty section": f"a{S}{E}b",
    "section without calls": f"a{S}I would call something{E}",
    "sentence for an id": f"{B} starts a call and {Z} ends it",
    "no argument mark": f"{S}{B}functions.get_weather:0{CITY}{Z}{E}",
    "empty id": f"{B}{A}{CITY}{Z}",
    "counter that fits no tool": f'{S}{B}3{A}{{"colour": 1}}{Z}{E}',
    "counter before no JSON": f"{S}{B}3{A}city{Z}{E}",
    "a mark of each kind": f"{A}{Z}{E} {S} {B} x",
    "endless id": f"{B}{'x' * 300}{A}{{}}{Z}",
    "thinking marks of a family that does not think": "<think>a</think>b",
    "headers": "a<|im_user|>user<|im_middle|>b<|media_pad|>",
}


def parser(case, **options):
    return Parser(k2(), case.family, TOOLS, case.history_calls, case.thinking_open, **options)


def joined(events):
    """Events with neighbouring pieces of one text put together."""
    out = []
    for event in events:
        last = out[-1] if out else None
        if isinstance(event, Text | Thinking) and type(last) is type(event):
            out[-1] = type(event)(last.text + event.text)
        elif isinstance(event, CallArguments) and isinstance(last, CallArguments) and last.index == event.index:
            out[-1] = CallArguments(event.index, last.text + event.text)
        else:
            out.append(event)
    return out


def parse(parser, feed, *parts):
    events = [event for part in parts for event in feed(parser, part)] + parser.finish()
    assert parser.finish() == []
    return joined(events), parser.message


def ids_fed(parser, ids):
    return parser.feed(ids)


def text_fed(parser, text):
    return parser.feed_text(text)


def streams(case):
    """A case as ids with marks, as ids that spell the marks, and as text."""
    yield ids_fed, k2().encode(case.said, specials=True)
    if case.by_text:
        yield ids_fed, k2().encode(case.said)
        yield text_fed, case.said


@pytest.mark.parametrize("name", GOOD)
def test_replies_at_every_cut(name):
    case = GOOD[name]
    expected = Message("assistant", case.content, case.thinking, case.calls)
    for feed, stream in streams(case):
        whole = parse(parser(case), feed, stream)
        assert whole[1] == expected
        check_events(*whole)
        for cut in range(1, len(stream)):
            assert parse(parser(case), feed, stream[:cut], stream[cut:]) == whole
        assert parse(parser(case), feed, *(stream[i : i + 1] for i in range(len(stream)))) == whole


@pytest.mark.parametrize("name", SHOWN)
def test_what_is_no_call_is_shown_as_written_at_every_cut(name):
    case = Case(SHOWN[name])
    for feed, stream in streams(case):
        whole = parse(parser(case), feed, stream)
        assert whole[1] == Message("assistant", case.said)
        assert not any(isinstance(event, CallEnd) for event in whole[0])
        for cut in range(1, len(stream)):
            assert parse(parser(case), feed, stream[:cut], stream[cut:]) == whole


def check_events(events, message):
    """Events tell the same as the message."""
    assert "".join(event.text for event in events if isinstance(event, Text)) == message.content
    assert "".join(event.text for event in events if isinstance(event, Thinking)) == message.thinking
    for index, call in enumerate(message.calls):
        mine = [event for event in events if getattr(event, "index", None) == index]
        assert mine[0] == CallStart(index, call.id, call.name) and mine[-1] == CallEnd(index, call)
        assert "".join(event.text for event in mine[1:-1]) == call.arguments


class Counted(UserList):
    """How often all of it was gone through."""

    rounds = 0

    def __iter__(self):
        self.rounds += 1
        return iter(self.data)


def test_text_and_arguments_stream_as_they_come():
    reply = Parser(k2(), "k2-instruct", TOOLS)
    assert reply.feed(k2().encode("Let me")) == [Text("Let me")]
    assert reply.feed([k2().special(S), k2().special(B)]) == []
    assert reply.feed(k2().encode("functions.search:0")) == []
    assert reply.feed([k2().special(A)]) == [CallStart(0, "functions.search:0", "search")]
    assert reply.feed(k2().encode('{"query"')) == [CallArguments(0, '{"query"')]
    reply.feed(k2().encode(': "x"}'))
    assert reply.feed([k2().special(Z)]) == [CallEnd(0, ToolCall("functions.search:0", "search", '{"query": "x"}'))]


def test_a_broken_off_call_is_void_and_its_text_follows():
    reply = Parser(k2(), "k2-instruct", TOOLS)
    said = f'{S}{B}functions.search:0{A}{{"query": '
    events = reply.feed(k2().encode(said, specials=True)) + reply.finish()
    assert events[0] == CallStart(0, "functions.search:0", "search")
    assert events[-1] == Text(said)
    assert reply.message == Message("assistant", said)


def test_a_call_in_tokens_may_speak_of_marks():
    arguments = json.dumps({"query": f"how does {Z}{E} work? </think>{B}"})
    said = [k2().special(S), k2().special(B), *k2().encode("functions.search:0"), k2().special(A)]
    said += [*k2().encode(arguments), k2().special(Z), k2().special(E)]
    _, message = parse(Parser(k2(), "k2.6", TOOLS), ids_fed, said)
    assert message == Message("assistant", calls=calls(("search", arguments)))


@pytest.mark.parametrize("said", [f'{B}functions.search:0{A}{{"query": "', "So: "])
def test_marks_without_end_are_read_in_time_with_their_number(said, monkeypatch):
    read = []
    monkeypatch.setattr("moonlet.chat.parser._object", lambda text: read.append(text))
    reply = Parser(None, "k2-thinking", TOOLS)
    reply._content = Counted(reply._content)
    for _ in range(50):
        reply.feed_text(said + "<think>" * 20)
        said = ""
    reply.finish()
    assert not read and reply._content.rounds == 0 and reply.message.content.count("<think>") == 1000


def test_a_quoted_call_stays_text_where_only_tokens_count():
    quoted = f"The page says: {S}{B}functions.search:0{A}{QUERY}{Z}{E} <think>a</think>"
    for family in ("k2-instruct", "k2-thinking"):
        reply = Parser(k2(), family, TOOLS, spelled=False)
        assert parse(reply, ids_fed, k2().encode(quoted)) == ([Text(quoted)], Message("assistant", quoted))


def nameless():
    """K2's vocabulary as some checkpoints have it: without names for the marks of thoughts."""
    names = {id: name for name, id in k2().specials.items() if name not in ("<think>", "</think>")}
    pieces = [k2().piece(id) for id in range(min(names))]
    return Tokenizer(pieces, names, K2_PATTERN, len(k2().specials))


def test_where_thoughts_have_no_tokens_their_marks_are_read_and_quoted_calls_stay_text():
    quoted = f"The page says: {S}{B}functions.search:0{A}{QUERY}{Z}{E}"
    for tokenizer, said in ((nameless(), f"<think>hm {S}</think>{quoted} </think>"), (nameless(), quoted)):
        for feed, stream in ((ids_fed, tokenizer.encode(said)), (text_fed, said)):
            reply = Parser(tokenizer, "k2-thinking", TOOLS, spelled=False)
            _, message = parse(reply, feed, *(stream[i : i + 1] for i in range(len(stream))))
            thought = f"hm {S}" if "hm" in said else ""
            assert message == Message("assistant", quoted + " </think>" * bool(thought), thought)


def test_without_marks_all_is_text_up_to_the_end():
    said = f"<think>a</think>{S}{B}functions.search:0{A}{QUERY}{Z}{E}"
    reply = Parser(k2(), "k2-thinking", TOOLS, marks=False)
    ids = k2().encode(f"{said}<|im_end|>more", specials=True)
    assert parse(reply, ids_fed, ids) == ([Text(said)], Message("assistant", said))


def test_thinking_marks_inside_an_answer_are_text():
    said = "<think>a</think>Use <think> and </think> tags."
    _, message = parse(Parser(k2(), "k2-thinking"), text_fed, said)
    assert message == Message("assistant", "Use <think> and </think> tags.", "a")


def test_characters_cut_by_the_end_or_by_a_mark_are_replaced():
    rocket = k2().encode("👩")  # one token, then three single bytes
    assert len(rocket) > 1
    reply = Parser(k2(), "k2-instruct", TOOLS)
    events = reply.feed(rocket[:1]) + reply.feed([k2().special("<|media_pad|>")]) + reply.feed(rocket[:1])
    assert joined(events + reply.finish()) == [Text("\ufffd<|media_pad|>\ufffd")]


@pytest.mark.parametrize("said", ["ab\u200d<|", "<", "<th", "x <|tool_calls_section_begi"])
def test_beginnings_of_marks_are_held_back_and_not_lost(said):
    reply = Parser(k2(), "k2-thinking")
    early = "".join(event.text for event in reply.feed_text(said))
    assert said.startswith(early) and "<" not in early
    assert early + "".join(event.text for event in reply.finish()) == said


FAMILIES = ["k2-instruct", "k2-thinking", "k2.5", "k2.6", "moonlet"]
names = st.text("abcXYZ_09.-", min_size=1, max_size=12)
plain = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="<"), max_size=20)
marks = st.sampled_from([S, E, B, A, Z, "<think>", "</think>", "<|im_end|>", "<|tool_call_section_begin|>", "<", "|>"])
any_text = st.lists(plain | marks, max_size=5).map("".join)


def replies(text):
    call = st.builds(ToolCall, st.just(""), names, text)
    return st.builds(Message, st.just("assistant"), text, text, st.lists(call, max_size=3).map(tuple))


@pytest.mark.parametrize("family", FAMILIES)
@given(data=st.data(), history=st.integers(0, 12), spelled=st.booleans())
@settings(max_examples=80, deadline=None)
def test_what_is_rendered_is_parsed_back(family, data, history, spelled):
    tokenizer = small() if family == "moonlet" else k2()
    message = data.draw(replies(plain if spelled else any_text))
    numbered = tuple(
        ToolCall(f"functions.{c.name}:{history + i}", c.name, c.arguments) for i, c in enumerate(message.calls)
    )
    expected = Message("assistant", message.content, message.thinking if thinks(family) else "", numbered)
    earlier = [Message("assistant", calls=tuple(ToolCall("", "f", "") for _ in range(history)))]
    # A thought lives on only in a turn without an answer, so that a message with calls is needed to see it.
    preserve = {"preserve_thinking": True} if family == "k2.6" else {}
    if not message.calls and not preserve:
        expected = Message("assistant", message.content, "", ())
    before = render(tokenizer, family, earlier)
    ids = render(tokenizer, family, [*earlier, message], generate=False, **preserve)
    assert ids[: len(before)] == before
    reply = Parser(tokenizer, family, (), history, opens_thinking(family), spelled=spelled)
    cut = data.draw(st.integers(len(before), len(ids)))
    events = reply.feed(ids[len(before) : cut]) + reply.feed(ids[cut:]) + reply.finish()
    assert reply.message == expected
    check_events(joined(events), expected)


pieces = st.lists(
    st.sampled_from(
        [S, E, B, A, Z, "<think>", "</think>", "functions.search:0", "3", QUERY, " ", "\n", "word", "<|", "é"]
    ),
    max_size=14,
).map("".join)


@given(said=pieces, special=st.booleans(), cut=st.integers(0, 60), family=st.sampled_from(FAMILIES))
@settings(max_examples=300, deadline=None)
def test_no_soup_of_marks_loses_text_or_depends_on_the_cut(said, special, cut, family):
    ids = k2().encode(said, specials=special)
    whole = parse(Parser(k2(), family, TOOLS), ids_fed, ids)
    assert parse(Parser(k2(), family, TOOLS), ids_fed, ids[:cut], ids[cut:]) == whole
    message = whole[1]
    check_events(*whole)
    told = message.content + message.thinking + "".join(call.arguments for call in message.calls)
    for word in ("word", "é"):
        heads = sum(call.name.count(word) for call in message.calls)
        assert told.count(word) + heads == said.count(word)
