"""Replies as streams of events: prepared ones, and those of an endpoint that speaks OpenAI's protocol."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from moonlet import llm
from moonlet.chat.messages import CallArguments, CallEnd, CallStart, Message, Text, Thinking, ToolCall, ToolSpec
from moonlet.llm import (
    BusyError,
    Done,
    LLMError,
    RefusedError,
    ReplyOptions,
    Scored,
    StopText,
    ToldError,
    TooLongError,
    Usage,
)
from moonlet.llm.remote import Remote
from moonlet.llm.scripted import Scripted

USER = [Message("user", "hello")]
WEATHER = ToolSpec("get_weather", "Weather", {"type": "object", "properties": {"place": {"type": "string"}}})
CALL = ToolCall("functions.get_weather:0", "get_weather", '{"place": "Oslo"}')


def test_scripted_streams_what_it_was_given() -> None:
    message = Message("assistant", "It rains.", thinking="Let me see", calls=(CALL,))
    model = Scripted([message])
    *events, done = model.reply(USER, [WEATHER])
    assert isinstance(done, Done) and done.message == message and done.finish == "tool_calls"
    assert "".join(e.text for e in events if isinstance(e, Text)) == "It rains."
    assert sum(isinstance(e, Text) for e in events) == 3
    assert [type(e) for e in events if not isinstance(e, Text | Thinking | CallArguments)] == [CallStart, CallEnd]
    assert model.asked == [(tuple(USER), (WEATHER,), ReplyOptions())]


def test_scripted_functions_see_the_conversation_and_the_script_ends() -> None:
    model = Scripted([lambda messages, tools: f"{len(messages)} messages, {len(tools)} tools"])
    assert _done(model.reply(USER, [WEATHER])).message.content == "1 messages, 1 tools"
    with pytest.raises(LLMError, match="no reply left"):
        model.reply(USER)


def test_max_tokens_ends_a_scripted_reply() -> None:
    done = _done(Scripted(["abcdefghij"], piece=2).reply(USER, options=ReplyOptions(max_tokens=3)))
    assert (done.message.content, done.finish, done.usage.output_tokens) == ("abcdef", "length", 3)


@pytest.mark.parametrize("piece", [1, 2, 3, 5, 50])
@pytest.mark.parametrize(
    ("text", "stops", "shown"),
    [
        ("one two three", ("two",), "one "),
        ("one two three", ("three", "two"), "one "),
        ("ababac", ("abac",), "ab"),
        ("ends in a beginn", ("beginning",), "ends in a beginn"),
        ("nothing here", ("xyz",), "nothing here"),
    ],
)
def test_stop_strings_are_found_however_the_text_is_cut(
    piece: int, text: str, stops: tuple[str, ...], shown: str
) -> None:
    events = list(Scripted([text], piece=piece).reply(USER, options=ReplyOptions(stop=stops)))
    assert "".join(e.text for e in events if isinstance(e, Text)) == shown
    assert _done(iter(events)).message.content == shown


def test_text_is_held_back_no_longer_than_it_must_be() -> None:
    stop = StopText(["</end>"])
    assert stop.feed("a < b </") == "a < b "
    assert stop.feed("em>") == "</em>"
    assert not stop.hit


@pytest.mark.parametrize(
    "wrong",
    [{"max_tokens": 0}, {"temperature": -1.0}, {"top_p": 0.0}, {"presence_penalty": 3.0}, {"stop": ("",)}],
)
def test_options_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ReplyOptions(**wrong)


class Endpoint:
    """A real HTTP server that answers every request with prepared bytes and keeps what it was sent."""

    def __init__(self, body: str, status: int = 200, refusal: str = "", **headers: str) -> None:
        """`refusal`: of the first request."""
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self._answer()

            def do_GET(self) -> None:
                self._answer()

            def _answer(self) -> None:
                outer.headers.append(dict(self.headers))
                refuses = refusal and len(outer.headers) == 1
                self.send_response(400 if refuses else status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write((refusal if refuses else body).encode())

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def __enter__(self) -> "Endpoint":
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def _sse(*chunks: dict[str, Any], end: bool = True) -> str:
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + ("data: [DONE]\n\n" if end else "")


def _delta(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def _part(index: int | None, id: str | None = None, name: str | None = None, arguments: str = "") -> dict[str, Any]:
    part: dict[str, Any] = {"function": {"arguments": arguments}}
    if index is not None:
        part["index"] = index
    if id:
        part |= {"id": id, "type": "function"}
        part["function"]["name"] = name
    return part


def _done(events: Iterator[llm.Event]) -> Done:
    *_, last = events
    assert isinstance(last, Done)
    return last


@pytest.mark.parametrize("numbered", [True, False])
def test_remote_reads_thinking_text_and_parallel_calls(monkeypatch: pytest.MonkeyPatch, numbered: bool) -> None:
    monkeypatch.setenv("MOONLET_API_KEY", "secret")
    number = lambda index: index if numbered else None
    body = ": a comment\n\n" + _sse(
        _delta(role="assistant", content="", reasoning_content="Hm"),
        _delta(content="Look"),
        _delta(content="ing."),
        _delta(tool_calls=[_part(number(0), "a", "get_weather", "")]),
        _delta(tool_calls=[_part(0, arguments='{"place": ')]),
        _delta(tool_calls=[_part(0, arguments='"Oslo"}')]),
        _delta(tool_calls=[_part(number(1), "b", "get_weather", '{"place": "Rome"}')]),
        _delta("tool_calls"),
        {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 7, "prompt_tokens_details": None}},
    )
    with Endpoint(body) as endpoint:
        events = list(Remote(endpoint.url, "k2").reply(USER, [WEATHER], ReplyOptions(max_tokens=5, stop=("x",))))
    done = _done(iter(events))
    assert done.message == Message(
        "assistant",
        "Looking.",
        thinking="Hm",
        calls=(
            ToolCall("a", "get_weather", '{"place": "Oslo"}'),
            ToolCall("b", "get_weather", '{"place": "Rome"}'),
        ),
    )
    assert (done.finish, done.usage.prompt_tokens, done.usage.output_tokens) == ("tool_calls", 9, 7)
    kinds = [type(event).__name__ for event in events if not isinstance(event, Text | Thinking)]
    one = ["CallStart", "CallArguments"]
    assert kinds == [*one, "CallArguments", "CallEnd", *one, "CallEnd", "Done"]
    sent = endpoint.bodies[0]
    assert sent["messages"] == [{"role": "user", "content": "hello"}]
    assert sent["tools"][0]["function"]["name"] == "get_weather"
    assert (sent["max_tokens"], sent["stop"], sent["stream"]) == (5, ["x"], True)
    assert "temperature" not in sent and "tool_choice" not in sent
    assert endpoint.headers[0]["Authorization"] == "Bearer secret"


@pytest.mark.parametrize("numbers", [(0, 0), (None, None), (1, 1), (3, 5)])
def test_calls_are_told_apart_however_they_are_numbered(numbers: tuple[int | None, int | None]) -> None:
    """Some engines give all calls of a reply one number, or null."""
    parts = [
        {"index": numbers[0], "id": "a", "function": {"name": "get_weather", "arguments": '{"place": '}},
        {"index": numbers[0], "id": "a", "function": {"name": "get_weather", "arguments": '"Oslo"}'}},
        {"index": numbers[1], "id": "b", "function": {"name": "get_weather", "arguments": "{"}},
        {"index": numbers[1], "id": None, "function": {"name": None, "arguments": "}"}},
    ]
    with Endpoint(_sse(*(_delta(tool_calls=[part]) for part in parts), _delta("tool_calls"))) as endpoint:
        events = list(Remote(endpoint.url, "k2").reply(USER, [WEATHER]))
    assert [(call.id, call.arguments) for call in _done(iter(events)).message.calls] == [
        ("a", '{"place": "Oslo"}'),
        ("b", "{}"),
    ]
    assert [event.index for event in events if isinstance(event, CallStart | CallEnd)] == [0, 0, 1, 1]


def test_a_model_that_knows_the_limit_by_its_later_name_only() -> None:
    told = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    refusal = json.dumps({"error": {"message": told, "param": "max_tokens"}})
    with Endpoint(_sse(_delta("stop", content="Hi")), refusal=refusal) as endpoint:
        done = _done(Remote(endpoint.url, "k2").reply(USER, options=ReplyOptions(max_tokens=7)))
    assert (done.message.content, endpoint.bodies[0]["max_tokens"]) == ("Hi", 7)
    assert endpoint.bodies[1]["max_completion_tokens"] == 7 and "max_tokens" not in endpoint.bodies[1]


def test_an_endpoint_that_never_streams_is_heard_all_the_same() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    message = {"role": "assistant", "content": "Hi", "tool_calls": [call, {**call, "id": "b"}]}
    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    body = json.dumps({"choices": [{"message": message, "finish_reason": "tool_calls"}], "usage": usage})
    with Endpoint(body) as endpoint:
        done = _done(Remote(endpoint.url, "k2").reply(USER, [WEATHER]))
    assert (done.message.content, [call.id for call in done.message.calls]) == ("Hi", ["a", "b"])
    assert (done.finish, done.usage.output_tokens) == ("tool_calls", 2)


@pytest.mark.parametrize(("told", "seconds"), [("7", 7.0), ("nan", 0.1), ("inf", 3600.0), ("soon", 1.0), ("-1", 0.1)])
def test_when_to_ask_again_is_always_a_time(told: str, seconds: float) -> None:
    with Endpoint("{}", 429, Retry_After=told) as endpoint, pytest.raises(BusyError) as caught:
        list(Remote(endpoint.url, "k2").reply(USER))
    assert caught.value.retry_s == seconds


def test_log_probabilities_are_numbers_that_json_has() -> None:
    tokens = [{"token": "a", "logprob": float(told), "top_logprobs": []} for told in ("-inf", "nan", "-0.5")]
    chunk = {"choices": [{"delta": {"content": "aaa"}, "logprobs": {"content": tokens}, "finish_reason": "length"}]}
    with Endpoint(_sse(chunk)) as endpoint:
        events = list(Remote(endpoint.url, "k2").reply(USER, options=ReplyOptions(logprobs=True)))
    assert [token.logprob for event in events if isinstance(event, Scored) for token in event.tokens] == [
        -9999.0,
        -9999.0,
        -0.5,
    ]


@pytest.mark.parametrize(("finish", "listed"), [("stop", ["Hi", "!"]), ("length", ["Hi", "!", "\ufffd"])])
def test_the_mark_of_the_end_is_no_token_of_the_text(finish: str, listed: list[str]) -> None:
    """vLLM lists it among the log probabilities; a character that a limit has cut has tokens without a text, too."""

    def scored(text: str, **more: Any) -> dict[str, Any]:
        token = {"token": text, "logprob": -0.5, "bytes": None, "top_logprobs": []}
        return {"choices": [{"delta": more, "logprobs": {"content": [token]}, "finish_reason": None}]}

    last = scored("<|im_end|>" if finish == "stop" else "\ufffd", content="")
    last["choices"][0]["finish_reason"] = finish
    with Endpoint(_sse(scored("Hi", content="Hi"), scored("!", content="!"), last)) as endpoint:
        events = list(Remote(endpoint.url, "k2").reply(USER, options=ReplyOptions(logprobs=True)))
    found = [token.text.decode() for event in events if isinstance(event, Scored) for token in event.tokens]
    assert found == listed


@pytest.mark.parametrize(
    ("told", "place"),
    [
        ({"prompt_tokens_details": {"cached_tokens": 6}}, "chunk"),  # as OpenAI, vLLM and SGLang tell it
        ({"cached_tokens": 6}, "chunk"),  # Moonshot
        ({"cached_tokens": 6}, "choice"),  # and within the last choice of its streams
        ({"prompt_cache_hit_tokens": 6, "prompt_cache_miss_tokens": 3}, "chunk"),  # DeepSeek
    ],
)
def test_cached_tokens_are_found_wherever_they_are_told(told: dict[str, Any], place: str) -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 7, **told}
    last = _delta("stop")
    (last if place == "chunk" else last["choices"][0])["usage"] = usage
    with Endpoint(_sse(_delta(content="Hi"), last)) as endpoint:
        took = _done(Remote(endpoint.url, "k2").reply(USER)).usage
    assert (took.prompt_tokens, took.cached_tokens, took.output_tokens) == (9, 6, 7)


@pytest.mark.parametrize(("told", "thoughts"), [(None, 2), ({"reasoning_tokens": 4}, 4), ({"reasoning_tokens": 0}, 2)])
def test_thoughts_are_counted_by_whom_can(told: dict[str, int] | None, thoughts: int) -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 7, "completion_tokens_details": told}
    chunks = [_delta(reasoning_content="Hm"), _delta(reasoning_content="m"), _delta("stop", content="Hi")]
    with Endpoint(_sse(*chunks, {"choices": [], "usage": usage})) as endpoint:
        took = _done(Remote(endpoint.url, "k2").reply(USER)).usage
    assert (took.thinking_tokens, took.queue_s) == (thoughts, None)


@pytest.mark.parametrize(
    ("told", "stop"),
    [
        ({"stop_reason": "END"}, "END"),  # vLLM
        ({"matched_stop": "END"}, "END"),  # SGLang
        ({"stop_reason": None, "matched_stop": 163586}, None),  # the model's own end, by its token
        ({"stop_reason": "</s>"}, None),
    ],
)
def test_the_stop_string_that_ended_a_reply_is_told(told: dict[str, Any], stop: str | None) -> None:
    last = _delta("stop")
    last["choices"][0] |= told
    with Endpoint(_sse(_delta(content="Hi"), last)) as endpoint:
        done = _done(Remote(endpoint.url, "k2").reply(USER, options=ReplyOptions(stop=("STOP", "END"))))
    assert (done.stop, done.finish) == (stop, "stop")


def test_remote_takes_the_first_model_of_the_endpoint() -> None:
    with Endpoint(json.dumps({"object": "list", "data": [{"id": "kimi"}, {"id": "other"}]})) as endpoint:
        assert Remote(endpoint.url + "/").name == "kimi"


@pytest.mark.parametrize(
    ("body", "status", "complaint", "kind"),
    [
        ('{"error": {"message": "no such key"}}', 401, "HTTP 401: no such key", LLMError),
        ('{"error": {"message": "too long\\nby far"}}', 400, "HTTP 400: too long by far", RefusedError),
        ("<html>\n<b>bad gateway</b>", 502, "HTTP 502: <html> <b>bad gateway</b>", LLMError),
        ("data: {broken\n\n", 200, "not JSON", LLMError),
        ('data: {"choices": ' + "[" * 700 + '"\\ud83d"' + "]" * 700 + "}\n\n", 200, "not JSON", LLMError),
        ("data: [1]\n\n", 200, "no chunk", LLMError),
        (_sse({"choices": [{"delta": {"tool_calls": [{"index": 0}]}}]}), 200, "no chunk", LLMError),
        (_sse({"choices": [{"delta": [3]}]}), 200, "no chunk", LLMError),
        (_sse(_delta(content=[{"type": "text", "text": "Hi"}])), 200, "no chunk", LLMError),
        (_sse(_delta(reasoning={"text": "Hm"})), 200, "no chunk", LLMError),
        (_sse(_delta(tool_calls=[{"index": 0, "function": {"name": ["f"]}}])), 200, "no chunk", LLMError),
        (_sse(_delta(tool_calls=[{"function": {"name": "f", "arguments": {"a": 1}}}])), 200, "no chunk", LLMError),
        (_sse({"usage": {"prompt_tokens": float("inf")}}), 200, "no chunk", LLMError),
        (_sse({"usage": {"prompt_tokens": 10**20}}), 200, "no chunk", LLMError),
        (_sse({"usage": {"completion_tokens": -1}}), 200, "no chunk", LLMError),
        (_sse(_delta(content="cut"), end=False), 200, "broke off", LLMError),
        (_sse(_delta(content="cut"), {"error": {"message": "out of memory"}}), 200, "out of memory", ToldError),
        ('{"error": {"message": "a bug"}}', 500, "HTTP 500: a bug", ToldError),
        ('{"error": {"message": "no money"}}', 200, "no money", ToldError),
        ('{"error": {"message": "a \\u001b[2Jbug"}}', 500, "HTTP 500: a [2Jbug", ToldError),
        ("a \x1b[2Jbug", 502, "HTTP 502: a [2Jbug", LLMError),
        ("", 301, "HTTP 301: Moved Permanently", LLMError),
        ("data: " + "x" * (17 << 20), 200, "a line of more than 16 MB", LLMError),
    ],
)
def test_remote_failures_are_one_clear_line(body: str, status: int, complaint: str, kind: type[LLMError]) -> None:
    with Endpoint(body, status) as endpoint, pytest.raises(LLMError) as caught:
        list(Remote(endpoint.url, "k2").reply(USER))
    assert type(caught.value) is kind
    assert complaint in str(caught.value) and endpoint.url in str(caught.value) and "\n" not in str(caught.value)


def test_half_a_character_is_one_that_can_be_written_down() -> None:
    half = "\ud83d"  # of a pair, as engines send what a token has cut
    said = [_delta(reasoning_content=f"Hm{half}"), _delta(content=f"Hi{half}"), _delta(content="\U0001f600")]
    call = _delta(tool_calls=[_part(0, "a", "get_weather", f'{{"place": "{half}"}}')])
    with Endpoint(_sse(*said, call, _delta("tool_calls"))) as endpoint:
        message = _done(Remote(endpoint.url, "k2").reply(USER)).message
    assert (message.thinking, message.content) == ("Hm\ufffd", "Hi\ufffd\U0001f600")
    assert message.calls[0].arguments == '{"place": "\ufffd"}'
    refusal = json.dumps({"error": {"message": f"no {half}"}})
    with Endpoint(refusal, 400) as endpoint, pytest.raises(RefusedError, match="no \ufffd"):
        list(Remote(endpoint.url, "k2").reply(USER))


# As vLLM, SGLang, llama.cpp and OpenAI's API say it.
TOO_LONG = [
    (
        "This model's maximum context length is 4096 tokens. However, you requested 900 output tokens and your prompt "
        "contains at least 3197 input tokens, for a total of at least 4097 tokens. Please reduce the length of the "
        "input prompt or the number of requested output tokens. (parameter=input_tokens, value=3197)",
        "at least 4097",
    ),
    (
        "This model's maximum context length is 4096 tokens. However, your prompt contains 5000 input tokens, which "
        "exceeds this limit even without any output tokens. (parameter=input_tokens, value=5000)",
        "5000",
    ),
    (
        "This model's maximum context length is 4096 tokens. However, your prompt contains 900000 characters (more "
        "than 40960 characters, which is the upper bound for 3196 input tokens). Please reduce the length.",
        "at least 4097",
    ),
    (
        "max_tokens=900 cannot be greater than max_model_len=4096. Please request fewer output tokens. "
        "(parameter=max_tokens, value=900)",
        "at least 4097",
    ),
    ("The input (5000 tokens) is longer than the model's context length (4096 tokens).", "5000"),
    (
        "Requested token count exceeds the model's maximum context length of 4096 tokens. You requested a total of "
        "4396 tokens: 3496 tokens from the input messages and 900 tokens for the completion.",
        "at least 4097",
    ),
    ("request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it", "5000"),
    ("This model's maximum context length is 4096 tokens. However, your messages resulted in 5000 tokens.", "5000"),
]


@pytest.mark.parametrize(("told", "tokens"), TOO_LONG)
def test_a_prompt_that_does_not_fit_is_known_whoever_says_so(told: str, tokens: str) -> None:
    with (
        Endpoint(json.dumps({"error": {"message": told}}), 400) as endpoint,
        pytest.raises(TooLongError, match=f"the prompt has {tokens} tokens, the context holds 4096"),
    ):
        list(Remote(endpoint.url, "k2").reply(USER, options=ReplyOptions(max_tokens=900, temperature=0.5)))
    limits = [(body.get("max_tokens"), body["temperature"]) for body in endpoint.bodies]
    assert limits == [(900, 0.5), (None, 0.5)]  # it may be the limit alone that does not fit


def test_an_endpoint_is_reached_through_the_environment_s_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with Endpoint(_sse(_delta(content="hello"), {"choices": [{"delta": {}, "finish_reason": "stop"}]})) as proxy:
        place = proxy.url.removeprefix("http://").removesuffix("/v1")
        monkeypatch.setenv("no_proxy", "localhost")
        monkeypatch.setenv("http_proxy", f"http://ann:s%40fe@{place}")
        far = Remote("http://k2.example.com/v1", "k2")
        assert _done(far.reply(USER)).message.content == "hello"
        assert proxy.headers[-1]["Host"] == "k2.example.com"
        assert "Basic YW5uOnNAZmU=" in proxy.headers[-1].values()  # ann:s@fe
    monkeypatch.setenv("http_proxy", "gopher://ann:geheim@proxy")
    with pytest.raises(LLMError, match="proxy that the environment names") as caught:
        Remote("http://k2.example.com/v1", "k2")
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/v1", "not a url", "http://", "http://[::1"])
def test_an_endpoint_that_is_not_there(url: str) -> None:
    with pytest.raises(LLMError) as caught:
        list(Remote(url).reply(USER))
    assert "\n" not in str(caught.value)


def test_usages_add_up_and_what_is_unknown_stays_so() -> None:
    known = Usage(1, 2, 3, thinking_tokens=4, queue_s=0.5, expert_hits=5, expert_reads=6, bytes_read=7)
    assert Usage() + Usage() == Usage() and known + Usage() == Usage() + known == known
    assert (known + known).bytes_read == 14 and (known + known).queue_s == 1.0
