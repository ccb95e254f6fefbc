"""The server over real HTTP, asked by the official client, with prepared replies behind it."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

from moonlet.chat.messages import Message, ToolCall, ToolSpec
from moonlet.llm import BusyError, Done, LLMError, RefusedError
from moonlet.llm.loading import Loading
from moonlet.llm.remote import Remote
from moonlet.llm.scripted import Prepared, Scripted
from moonlet.server import body as body_module
from moonlet.server import stream as stream_module
from serving import serving

CALLS = (
    ToolCall("functions.get_weather:0", "get_weather", '{"place": "Oslo"}'),
    ToolCall("functions.get_weather:1", "get_weather", '{"place": "Rome", "day": "tomorrow"}'),
)
TOOLS: list[ChatCompletionToolParam] = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Weather",
            "parameters": {"type": "object", "properties": {"place": {"type": "string"}}},
        },
    }
]
HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hello"}]


@contextmanager
def client(*replies: Prepared, **scripted: Any) -> Iterator[tuple[openai.OpenAI, Scripted]]:
    model = Scripted(replies, **scripted)
    with serving(model) as url, openai.OpenAI(base_url=url, api_key="none", max_retries=0) as asked:
        yield asked, model


def _wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.01)


def test_health_and_models() -> None:
    with client(name="moonlet/nano") as (asked, _):
        assert httpx.get(str(asked.base_url.join("/health"))).json() == {"status": "ok"}
        assert [model.id for model in asked.models.list()] == ["moonlet/nano"]
        assert asked.models.retrieve("moonlet/nano").owned_by == "moonlet"


@pytest.mark.parametrize(
    "message",
    [
        Message("assistant", "Hello! ä日本🚀\n\nbye"),
        Message("assistant", "I look.", thinking="Two places.", calls=CALLS),
        Message("assistant", calls=CALLS[:1]),
        Message("assistant"),
    ],
)
def test_streamed_equals_unstreamed(message: Message) -> None:
    with client(message, message, piece=3) as (asked, _):
        whole = asked.chat.completions.create(model="scripted", messages=HELLO, tools=TOOLS)
        stream = asked.chat.completions.create(
            model="scripted", messages=HELLO, tools=TOOLS, stream=True, stream_options={"include_usage": True}
        )
        choice, usage = _added_up(list(stream))
    said = whole.choices[0]
    assert choice["content"] == (said.message.content or "") == message.content
    assert choice["thinking"] == (getattr(said.message, "reasoning_content", None) or "") == message.thinking
    calls = [(c.id, c.function.name, c.function.arguments) for c in said.message.tool_calls or []]
    assert choice["calls"] == calls == [(c.id, c.name, c.arguments) for c in message.calls]
    assert choice["finish"] == said.finish_reason == ("tool_calls" if message.calls else "stop")
    assert usage == whole.usage and usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def _added_up(chunks: Sequence[Any]) -> tuple[dict[str, Any], Any]:
    """What a client makes of a stream, written apart from the server's own sum."""
    content, thinking, finish, calls = "", "", [], {}
    assert len({chunk.id for chunk in chunks}) == 1 and chunks[0].choices[0].delta.role == "assistant"
    for chunk in chunks[:-1]:
        assert chunk.usage is None and len(chunk.choices) == 1
        delta = chunk.choices[0].delta
        content += delta.content or ""
        thinking += getattr(delta, "reasoning_content", None) or ""
        for part in delta.tool_calls or ():
            id, name, arguments = calls.get(part.index, (part.id, part.function.name, ""))
            calls[part.index] = (id, name, arguments + part.function.arguments)
        finish += [chunk.choices[0].finish_reason] if chunk.choices[0].finish_reason else []
    assert len(finish) == 1 and chunks[-1].choices == []
    told = {"content": content, "thinking": thinking, "finish": finish[0]}
    return {**told, "calls": [calls[i] for i in sorted(calls)]}, chunks[-1].usage


def test_a_stream_without_usage_has_only_choices() -> None:
    with client("Hello") as (asked, _):
        chunks = list(asked.chat.completions.create(model="scripted", messages=HELLO, stream=True))
    assert all(len(chunk.choices) == 1 and chunk.usage is None for chunk in chunks)


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_loop_with_the_official_client(stream: bool) -> None:
    def answer(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> str:
        return (
            f"It is {json.loads(messages[-1].content)['sky']} in {json.loads(messages[1].calls[0].arguments)['place']}."
        )

    with client(Message("assistant", calls=CALLS[:1]), answer) as (asked, model):
        messages: list[Any] = [{"role": "user", "content": "How is the weather in Oslo?"}]
        if stream:
            with asked.chat.completions.stream(model="scripted", messages=messages, tools=TOOLS) as events:
                message = events.get_final_completion().choices[0].message
        else:
            message = asked.chat.completions.create(model="scripted", messages=messages, tools=TOOLS).choices[0].message
        assert message.tool_calls
        messages.append(message.model_dump(exclude_none=True))
        messages.append({"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": '{"sky": "sunny"}'})
        last = asked.chat.completions.create(model="scripted", messages=messages, tools=TOOLS)
    assert last.choices[0].message.content == "It is sunny in Oslo."
    assert model.asked[1][0][2].call_id == CALLS[0].id
    assert model.asked[0][1][0].name == "get_weather"


def test_all_options_reach_the_model() -> None:
    with client("a", "b") as (asked, model):
        asked.chat.completions.create(
            model="scripted",
            messages=[{"role": "developer", "content": "Be brief."}, *HELLO],
            tools=TOOLS,
            tool_choice={"type": "function", "function": {"name": "get_weather"}},
            max_tokens=5,
            max_completion_tokens=7,
            temperature=0,
            top_p=0.5,
            seed=-3,
            stop=["x", "y"],
            presence_penalty=1,
            frequency_penalty=-1,
            logit_bias={"12": -100},
            n=1,
            logprobs=False,
            parallel_tool_calls=True,
            response_format={"type": "text"},
            user="someone",
            metadata={"ignored": "yes"},
            store=False,
            extra_body={"chat_template_kwargs": {"thinking": False}},
        )
    messages, tools, options = model.asked[0]
    assert [message.role for message in messages] == ["system", "user"] and len(tools) == 1
    assert (options.max_tokens, options.temperature, options.top_p, options.seed) == (7, 0, 0.5, -3)
    assert (options.stop, options.tool_choice, options.thinking) == (("x", "y"), "get_weather", False)
    assert (options.presence_penalty, options.frequency_penalty, options.logit_bias) == (1, -1, {12: -100.0})


def test_stop_and_length() -> None:
    with client("one two three", "one two three") as (asked, _):
        stopped = asked.chat.completions.create(model="scripted", messages=HELLO, stop="three")
        cut = asked.chat.completions.create(model="scripted", messages=HELLO, max_tokens=1)
    assert (stopped.choices[0].message.content, stopped.choices[0].finish_reason) == ("one two ", "stop")
    assert (cut.choices[0].message.content, cut.choices[0].finish_reason) == ("one ", "length")


@pytest.fixture(scope="module")
def silent() -> Iterator[str]:
    """The URL of a server whose model is never asked."""
    with serving(Scripted([])) as url:
        yield url


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"messages": [{"role": "king", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages"),
        ({"tools": [{"type": "web_search"}]}, "tools"),
        ({"tools": TOOLS + TOOLS}, "tools"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "other"}}}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": 3}, "tool_choice"),
        ({"temperature": 3}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 2.5}, "max_tokens"),
        ({"seed": "x"}, "seed"),
        ({"stop": 3}, "stop"),
        ({"stop": [""]}, "stop"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": []}, "stream_options"),
        ({"logit_bias": {"x": 1}}, "logit_bias"),
        ({"logit_bias": {"1": 1000}}, "logit_bias"),
        ({"n": 9}, "n"),
        ({"n": 0}, "n"),
        ({"logprobs": 3}, "logprobs"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"response_format": {"type": "xml"}}, "response_format"),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, "response_format"),
        ({"modalities": ["audio"]}, "modalities"),
        ({"tools": TOOLS, "tool_choice": {"type": "allowed_tools", "allowed_tools": {}}}, "tool_choice"),
        ({"functions": [{"name": "f"}]}, "functions"),
    ],
)
def test_a_bad_request_is_refused_with_the_field_at_fault(silent: str, change: dict[str, Any], param: str) -> None:
    answer = httpx.post(f"{silent}/chat/completions", json={"model": "scripted", "messages": HELLO, **change})
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["param"]) == (400, "invalid_request_error", param)
    assert "\n" not in error["message"]


def test_other_errors_have_the_same_shape() -> None:
    with serving(Scripted(["ok"])) as url:
        body = {"model": "scripted", "messages": HELLO}
        cases = [
            (404, httpx.post(f"{url}/chat/completions", json={**body, "model": "gpt-9"})),
            (404, httpx.get(f"{url}/models/gpt-9")),
            (404, httpx.get(f"{url}/nothing")),
            (405, httpx.get(f"{url}/chat/completions")),
            (400, httpx.post(f"{url}/chat/completions", content=b"{", headers={"Content-Type": "application/json"})),
            (400, httpx.post(f"{url}/chat/completions", json=[])),
            (400, httpx.post(f"{url}/chat/completions", content=b"\xff", headers={"Content-Type": "application/json"})),
            (
                400,
                httpx.post(
                    f"{url}/chat/completions", content=b"[" * 200_000, headers={"Content-Type": "application/json"}
                ),
            ),
            (415, httpx.post(f"{url}/chat/completions", content=json.dumps(body))),
            (403, httpx.get(f"{url}/models", headers={"Host": "evil.example"})),
        ]
        for status, answer in cases:
            assert answer.status_code == status, answer.text
            assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
        assert cases[0][1].json()["error"]["code"] == "model_not_found"
        assert httpx.post(f"{url}/chat/completions", json=body, timeout=30).status_code == 200


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("chat/completions", "invalid_request_error"),
        ("completions", "invalid_request_error"),
        ("responses", "invalid_request_error"),
        ("messages", "request_too_large"),
        ("messages/count_tokens", "request_too_large"),
    ],
)
def test_a_body_that_is_too_large_is_413(silent: str, path: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_module, "MAX_BODY", 1 << 20)
    sent = b'{"model": "scripted", "input": "' + b"x" * (1 << 20) + b'"}'
    answer = httpx.post(f"{silent}/{path}", content=sent, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["type"]) == (413, kind), answer.text


def test_a_large_body_holds_up_nobody_else(silent: str) -> None:
    said = {"role": "user", "content": "hi"}
    over = threading.Event()

    def send() -> None:
        httpx.post(f"{silent}/chat/completions", json={"model": "none", "messages": [said] * 200_000}, timeout=60)
        over.set()

    threading.Thread(target=send, daemon=True).start()
    waited = []
    while not over.is_set():
        begun = time.monotonic()
        httpx.get(f"{silent}/models", timeout=60)
        waited.append(time.monotonic() - begun)
    assert len(waited) > 5 and max(waited) < sum(waited) / 2


def test_a_failing_model_never_ends_the_server() -> None:
    def refuse(*_: object) -> str:
        raise RefusedError("the prompt has 9 tokens, the context holds 8")

    def fail(*_: object) -> str:
        raise LLMError("the model's logits are not finite")

    def break_(*_: object) -> str:
        raise ZeroDivisionError

    with client(refuse, refuse, fail, break_, "still here") as (asked, _):
        for stream in (False, True):
            with pytest.raises(openai.BadRequestError, match="the context holds 8"):
                asked.chat.completions.create(model="scripted", messages=HELLO, stream=stream)
        with pytest.raises(openai.InternalServerError, match="not finite"):
            asked.chat.completions.create(model="scripted", messages=HELLO)
        with pytest.raises(openai.InternalServerError, match="its log says why") as caught:
            asked.chat.completions.create(model="scripted", messages=HELLO)
        assert caught.value.response.headers["connection"] == "close"
        answer = asked.chat.completions.create(model="scripted", messages=HELLO)
        assert answer.choices[0].message.content == "still here"


class _BreaksHalfway(Scripted):
    def reply(self, *asked: Any) -> Any:
        for event in super().reply(*asked):
            if isinstance(event, Done):
                raise LLMError("power cut")
            yield event


@pytest.mark.parametrize("stream", [False, True])
def test_a_reply_that_breaks_halfway_is_an_error_for_the_client(stream: bool) -> None:
    with serving(_BreaksHalfway(["Hello there"])) as url:
        asked = openai.OpenAI(base_url=url, api_key="none", max_retries=0)
        with pytest.raises(openai.APIError, match="power cut"):
            answer = asked.chat.completions.create(model="scripted", messages=HELLO, stream=stream)
            assert "".join(chunk.choices[0].delta.content or "" for chunk in answer) == "Hello there"


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_ends_its_reply(stream: bool) -> None:
    with client("word " * 2000, "next", piece=5, pause_s=0.01) as (asked, model):
        body = {"model": "scripted", "messages": HELLO, "stream": stream}
        with httpx.Client(timeout=None if stream else 0.5) as other:
            if stream:
                with other.stream("POST", f"{asked.base_url}chat/completions", json=body) as answer:
                    next(line for line in answer.iter_lines() if "word" in line)
            else:
                with pytest.raises(httpx.ReadTimeout):
                    other.post(f"{asked.base_url}chat/completions", json=body)
        _wait_for(lambda: model.closed == 1)
        assert asked.chat.completions.create(model="scripted", messages=HELLO).choices[0].message.content == "next"


def test_many_at_once_do_not_mix() -> None:
    replies: list[Prepared] = [lambda messages, _: messages[-1].content * 20] * 8
    with client(*replies, pause_s=0.001) as (asked, _):
        said: dict[str, str | None] = {}

        def ask(word: str) -> None:
            answer = asked.chat.completions.create(model="scripted", messages=[{"role": "user", "content": word}])
            said[word] = answer.choices[0].message.content

        threads = [threading.Thread(target=ask, args=(f"<{i}>",)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert said == {f"<{i}>": f"<{i}>" * 20 for i in range(8)}


def test_our_own_client_speaks_to_our_own_server() -> None:
    message = Message("assistant", "I look.", thinking="Where?", calls=CALLS)
    with serving(Scripted([message], name="nano")) as url:
        remote = Remote(url)
        *_, done = remote.reply([Message("user", "weather?")], [ToolSpec("get_weather", "", {})])
    assert remote.name == "nano" and isinstance(done, Done)
    assert done.message == message and done.finish == "tool_calls" and done.usage.output_tokens > 0


def test_while_the_model_loads_everything_but_the_list_is_503() -> None:
    there = threading.Event()

    def load() -> Scripted:
        there.wait(10)
        return Scripted(["here"])

    model = Loading("scripted", load)
    body = {"model": "scripted", "messages": HELLO, "max_tokens": 9}
    with serving(model) as url:
        assert httpx.get(url.removesuffix("/v1") + "/health").status_code == 503
        assert httpx.get(f"{url}/models").json()["data"][0]["id"] == "scripted"
        for path, kind in (("chat/completions", "server_error"), ("messages", "overloaded_error")):
            early = httpx.post(f"{url}/{path}", json=body)
            assert (early.status_code, early.headers["retry-after"], early.json()["error"]["type"]) == (503, "2", kind)
        there.set()
        model.wait()
        assert httpx.get(url.removesuffix("/v1") + "/health").json() == {"status": "ok"}
        assert httpx.post(f"{url}/chat/completions", json=body).json()["choices"][0]["message"]["content"] == "here"

    def broken() -> Scripted:
        raise OSError("no such disk")

    with serving(Loading("scripted", broken)) as url:
        _wait_for(lambda: httpx.post(f"{url}/chat/completions", json=body).status_code == 500)


def test_a_busy_model_says_when_to_come_back() -> None:
    def busy(*_: object) -> str:
        raise BusyError("64 requests are waiting already", retry_s=2.5)

    with serving(Scripted([busy, busy])) as url:
        answer = httpx.post(f"{url}/chat/completions", json={"model": "scripted", "messages": HELLO})
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")
        theirs = httpx.post(f"{url}/messages", json={"model": "scripted", "messages": HELLO, "max_tokens": 1})
        assert theirs.json()["error"]["type"] == "rate_limit_error"


def test_a_silent_stream_says_that_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "KEEP_ALIVE_S", 0.05)

    def slow(*_: object) -> str:
        return "late"

    class Slow(Scripted):
        def reply(self, *asked: Any) -> Any:
            def events() -> Iterator[Any]:
                time.sleep(0.3)
                yield from super(Slow, self).reply(*asked)

            return events()

    body = {"model": "scripted", "messages": HELLO, "max_tokens": 9, "stream": True}
    with serving(Slow([slow, slow])) as url:
        chat = httpx.post(f"{url}/chat/completions", json=body).text
        theirs = httpx.post(f"{url}/messages", json=body).text
    assert chat.count(": keep-alive\n\n") >= 2 and chat.endswith("data: [DONE]\n\n") and "late" in chat
    assert theirs.count("event: ping") >= 3 and "late" in theirs


def test_a_reply_of_an_endpoint_can_be_ended_from_another_thread() -> None:
    model = Scripted(["one two three"], pause_s=1.0)
    with serving(model) as url:
        events = Remote(url).reply([Message("user", "hello")])
        heard: list[Any] = []
        reading = threading.Thread(target=lambda: heard.extend(events), daemon=True)
        reading.start()
        _wait_for(lambda: len(heard) == 1)
        begun = time.monotonic()
        events.close()
        reading.join(10)
        assert time.monotonic() - begun < 0.5, "it waited for the next word"
        done = heard[-1]
        assert isinstance(done, Done) and (done.finish, done.message.content) == ("cancelled", "one ")
        _wait_for(lambda: model.closed == 1)
