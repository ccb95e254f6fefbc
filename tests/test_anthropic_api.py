"""Anthropic's messages, asked by the official client: prepared replies, and the real engine."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import anthropic
import httpx
import jsonschema
import pytest

import moonlet
import speaking
from moonlet.chat.messages import Message, ToolCall, ToolSpec
from moonlet.llm import RefusedError, TooLongError
from moonlet.llm.scripted import Prepared, Scripted
from moonlet.local import Local
from serving import CutInThought, serving

HELLO: list[Any] = [{"role": "user", "content": "hello"}]
SCHEMA = {
    "type": "object",
    "properties": {"place": {"enum": ["Oslo", "Rome"]}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
    "required": ["place"],
    "additionalProperties": False,
}
TOOLS: list[Any] = [{"name": "get_weather", "description": "Weather", "input_schema": SCHEMA}]
CALLS = (
    ToolCall("functions.get_weather:0", "get_weather", '{"place": "Oslo"}'),
    ToolCall("functions.get_weather:1", "get_weather", '{"place": "Rome", "days": 2}'),
)


def client(url: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=url.removesuffix("/v1"), api_key="none", max_retries=0)


def asking(*replies: Prepared, **scripted: Any) -> tuple[Any, Scripted]:
    model = Scripted(replies, **scripted)
    return serving(model), model


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
    served, _ = asking(message, message, piece=3)
    request: dict[str, Any] = {"model": "scripted", "messages": HELLO, "tools": TOOLS, "max_tokens": 900}
    request["thinking"] = {"type": "enabled", "budget_tokens": 1024}
    with served as url, client(url) as asked:
        whole = asked.messages.create(**request)
        with asked.messages.stream(**request) as stream:
            kinds = [event.type for event in stream]
            streamed = stream.get_final_message()

    def plain(said: Any) -> Any:
        return [{k: v for k, v in block.model_dump().items() if k != "id"} for block in said.content]

    assert plain(whole) == plain(streamed)
    texts = "".join(block.text for block in whole.content if block.type == "text")
    thoughts = "".join(block.thinking for block in whole.content if block.type == "thinking")
    calls = [(block.name, block.input) for block in whole.content if block.type == "tool_use"]
    assert (texts, thoughts) == (message.content, message.thinking)
    assert calls == [(call.name, json.loads(call.arguments)) for call in message.calls]
    assert whole.stop_reason == streamed.stop_reason == ("tool_use" if message.calls else "end_turn")
    assert whole.usage.output_tokens == streamed.usage.output_tokens
    assert whole.usage.input_tokens == streamed.usage.input_tokens > 0
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop" and kinds.count("message_delta") == 1


def test_the_stream_has_its_events_in_order() -> None:
    served, _ = asking(Message("assistant", "Hi.", thinking="Hm.", calls=CALLS[:1]), piece=99)
    body = {"model": "scripted", "messages": HELLO, "max_tokens": 99, "stream": True, "tools": TOOLS}
    with served as url:
        answer = httpx.post(f"{url}/messages", json={**body, "thinking": {"type": "adaptive"}})
    lines = [line for line in answer.text.splitlines() if line]
    names = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    data = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    assert [event["type"] for event in data] == names
    block = ["content_block_start", "content_block_delta", "content_block_stop"]
    thought = ["content_block_start", "content_block_delta", "content_block_delta", "content_block_stop"]
    assert names == ["message_start", "ping", *thought, *block, *block, "message_delta", "message_stop"]
    assert [event["index"] for event in data if event["type"] == "content_block_start"] == [0, 1, 2]
    assert data[4]["delta"]["type"] == "signature_delta"


def test_thoughts_are_shown_to_those_who_asked_for_them() -> None:
    served, model = asking(Message("assistant", "Hi.", thinking="Hm."), Message("assistant", "Hi.", thinking="Hm."))
    with served as url, client(url) as asked:
        plain = asked.messages.create(model="scripted", messages=HELLO, max_tokens=99)
        thought = asked.messages.create(
            model="scripted", messages=HELLO, max_tokens=2048, thinking={"type": "enabled", "budget_tokens": 1024}
        )
    assert [block.type for block in plain.content] == ["text"]
    assert [block.type for block in thought.content] == ["thinking", "text"]
    assert [options.thinking for _, _, options in model.asked] == [False, True]


def test_a_call_begun_in_a_thought_and_cut_off_is_told_once() -> None:
    request: dict[str, Any] = {"model": "scripted", "messages": HELLO, "tools": TOOLS, "max_tokens": 900}
    with serving(CutInThought([])) as url, client(url) as asked:
        said: Any = asked.messages.create(**request, thinking={"type": "enabled", "budget_tokens": 1024})
    assert [block.type for block in said.content] == ["thinking", "tool_use"] and said.stop_reason == "max_tokens"
    assert said.content[0].thinking == "I look. "


def test_a_tool_loop_with_the_official_client() -> None:
    def answer(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> str:
        return f"{messages[-1].content} in {json.loads(messages[-2].calls[0].arguments)['place']}"

    served, model = asking(Message("assistant", thinking="Where?", calls=CALLS[:1]), answer)
    thinking: Any = {"type": "enabled", "budget_tokens": 1024}
    with served as url, client(url) as asked:
        messages: list[Any] = [*HELLO]
        said = asked.messages.create(
            model="scripted", messages=messages, tools=TOOLS, max_tokens=2000, thinking=thinking
        )
        call = said.content[-1]
        assert call.type == "tool_use" and call.id.startswith("toolu_") and call.id.replace("_", "").isalnum()
        messages.append({"role": "assistant", "content": said.content})
        result = {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "sunny"}]}
        messages.append({"role": "user", "content": [result, {"type": "text", "text": "Go on."}][:1]})
        last = asked.messages.create(model="scripted", messages=messages, tools=TOOLS, max_tokens=99)
    assert last.content[0].type == "text" and last.content[0].text == "sunny in Oslo"
    assert [message.role for message in model.asked[1][0]] == ["user", "assistant", "tool"]
    assert model.asked[1][0][1].thinking == "Where?"


def test_a_tool_that_failed_is_told_from_one_that_did_not() -> None:
    def result(content: Any = None, **more: Any) -> dict[str, Any]:
        return {"type": "tool_result", "tool_use_id": "toolu_1", "content": content or [], **more}

    results = [
        result(is_error=True),
        result("exit code 1", is_error=True),
        result([{"type": "text", "text": "file"}, {"type": "text", "text": "not found"}], is_error=True),
        result("exit code 0", is_error=False),
        result("sunny"),
        result(),
    ]
    use = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"place": "Oslo"}}
    messages: list[Any] = [*HELLO, {"role": "assistant", "content": [use]}, {"role": "user", "content": results}]
    served, model = asking("ok")
    with served as url, client(url) as asked:
        asked.messages.create(model="scripted", messages=messages, tools=TOOLS, max_tokens=99)
        assert [message.content for message in model.asked[0][0][2:]] == [
            "The tool failed and said nothing.",
            "The tool failed: exit code 1",
            "The tool failed: file\nnot found",
            "exit code 0",
            "sunny",
            "",
        ]
        messages[-1] = {"role": "user", "content": [result(is_error="yes")]}
        with pytest.raises(anthropic.BadRequestError, match="is_error must be true or false"):
            asked.messages.create(model="scripted", messages=messages, tools=TOOLS, max_tokens=99)


def test_what_a_request_may_hold() -> None:
    served, model = asking("a\nEND b", "ok")
    with served as url, client(url) as asked:
        said = asked.messages.create(
            model="scripted",
            max_tokens=77,
            system=[
                {"type": "text", "text": "x-anthropic-billing-header: cc_version=1; nonce=83"},
                {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}},
                {"type": "text", "text": "Be kind."},
            ],
            messages=[
                {"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]},
                {"role": "assistant", "content": "yes"},
                {"role": "user", "content": "go"},
            ],
            stop_sequences=["END"],
            tools=[*TOOLS, {"type": "web_search_20250305", "name": "web_search"}],
            tool_choice={"type": "auto", "disable_parallel_tool_use": True},
            metadata={"user_id": "someone"},
            extra_body={
                "temperature": 0.5,
                "top_p": 0.9,
                "top_k": 40,
                "context_management": {"edits": []},
                "output_config": {"effort": "high"},
            },
        )
        asked.messages.create(model="scripted", max_tokens=9, messages=HELLO, tools=TOOLS, tool_choice={"type": "any"})
    assert (said.stop_reason, said.stop_sequence) == ("stop_sequence", "END")
    messages, tools, options = model.asked[0]
    assert [(m.role, m.content) for m in messages] == [
        ("system", "Be brief.\n\nBe kind."),
        ("user", "one\ntwo"),
        ("assistant", "yes"),
        ("user", "go"),
    ]
    assert [tool.name for tool in tools] == ["get_weather"] and not options.parallel_calls
    assert (options.temperature, options.top_p, options.top_k, options.max_tokens) == (0.5, 0.9, 40, 77)
    assert model.asked[1][2].tool_choice == "required"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "king", "content": "x"}]}, "role"),
        ({"messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}]}, "'image' is not supported"),
        ({"messages": [*HELLO, {"role": "assistant", "content": "And"}]}, "cannot be begun"),
        ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, "bash_20250124"),
        ({"tools": [*TOOLS, *TOOLS]}, "second tool"),
        ({"tool_choice": {"type": "any"}}, "no tools"),
        ({"tool_choice": {"type": "tool", "name": "x"}}, "tool_choice"),
        ({"max_tokens": None}, "max_tokens"),
        ({"temperature": "x"}, "temperature"),
        ({"mcp_servers": [{"url": "x"}]}, "mcp_servers"),
        ({"system": 3}, "system"),
    ],
)
def test_bad_requests_have_anthropics_shape(change: dict[str, Any], told: str) -> None:
    with serving(Scripted([])) as url:
        body = {"model": "scripted", "messages": HELLO, "max_tokens": 9, **change}
        answer = httpx.post(f"{url}/messages", json=body)
    assert answer.status_code == 400 and answer.json()["type"] == "error"
    assert answer.json()["error"]["type"] == "invalid_request_error" and told in answer.json()["error"]["message"]


def test_errors_reach_the_official_client_as_its_own_kinds() -> None:
    def too_long(*_: object) -> str:
        raise TooLongError(9, 8)

    def refuse(*_: object) -> str:
        raise RefusedError("no")

    served, _ = asking(too_long, refuse)
    with served as url, client(url) as asked:
        with pytest.raises(anthropic.BadRequestError, match="prompt is too long: 9 tokens > 8 maximum"):
            asked.messages.create(model="scripted", messages=HELLO, max_tokens=9)
        with pytest.raises(anthropic.BadRequestError, match="no"):
            asked.messages.create(model="scripted", messages=HELLO, max_tokens=9, stream=True)
        with pytest.raises(anthropic.NotFoundError, match="no model 'claude'"):
            asked.messages.create(model="claude", messages=HELLO, max_tokens=9)
        assert [model.id for model in asked.models.list()] == ["scripted"]
        assert asked.models.retrieve("scripted").display_name == "scripted"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    folder = tmp_path_factory.mktemp("checkpoint")
    speaking.write(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOONLET_HOME", str(tmp_path_factory.mktemp("home")))
        with moonlet.load(folder, threads=1, cache_tokens=8192) as loaded:
            yield loaded


FEATURES: dict[str, dict[str, Any]] = {
    "plain": {"system": "Be brief."},
    "thinking": {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 1100},
    "stop": {"stop_sequences": ["e", "a"]},
    "drawn": {"extra_body": {"temperature": 0, "top_p": 0.9, "top_k": 5}},
    "any call": {"tools": TOOLS, "tool_choice": {"type": "any"}},
    "one call": {"tools": TOOLS, "tool_choice": {"type": "any", "disable_parallel_tool_use": True}},
    "named call": {"tools": TOOLS, "tool_choice": {"type": "tool", "name": "get_weather"}},
    "no call": {"tools": TOOLS, "tool_choice": {"type": "none"}},
    "json schema": {
        "extra_body": {"temperature": 0, "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}
    },
}


@pytest.mark.parametrize("name", FEATURES)
def test_streamed_equals_unstreamed_through_the_engine(model: Local, name: str) -> None:
    request: dict[str, Any] = {"model": model.name, "messages": HELLO, "max_tokens": 150}
    request |= {"extra_body": {"temperature": 0}, **FEATURES[name]}
    with serving(model) as url, client(url) as asked:
        whole = asked.messages.create(**request)
        with asked.messages.stream(**request) as stream:
            streamed = stream.get_final_message()

    def plain(said: Any) -> Any:
        blocks = [{k: v for k, v in block.model_dump().items() if k not in ("id", "parsed_output")} for block in said]
        return [block for block in blocks if block.get("text") != ""]

    assert plain(whole.content) == plain(streamed.content)
    assert (whole.stop_reason, whole.stop_sequence) == (streamed.stop_reason, streamed.stop_sequence)
    assert sum_of(whole.usage) == sum_of(streamed.usage)
    calls = [block for block in whole.content if block.type == "tool_use"]
    assert bool(calls) == ("call" in name and name != "no call") and (len(calls) == 1 or name != "one call")
    for call in calls:
        jsonschema.validate(call.input, SCHEMA)
    if name == "json schema":
        jsonschema.validate(json.loads(whole.content[0].text), SCHEMA)  # type: ignore[union-attr]


def sum_of(usage: Any) -> int:
    """Tokens of the prompt, wherever they were found."""
    return int(usage.input_tokens + (usage.cache_read_input_tokens or 0))


def test_the_real_engine_calls_counts_and_reuses(model: Local) -> None:
    request: dict[str, Any] = {"model": model.name, "messages": [{"role": "user", "content": "hello " * 60}]}
    with serving(model) as url, client(url) as asked:
        counted = asked.messages.count_tokens(**request, tools=TOOLS).input_tokens
        for _ in range(2):
            said = asked.messages.create(**request, tools=TOOLS, max_tokens=300, tool_choice={"type": "any"})
            assert said.stop_reason == "tool_use"
            for block in said.content:
                assert block.type == "tool_use"
                jsonschema.validate(block.input, SCHEMA)
            assert said.usage.input_tokens + (said.usage.cache_read_input_tokens or 0) == counted
        assert (said.usage.cache_read_input_tokens or 0) > 300
        config: Any = {"format": {"type": "json_schema", "schema": SCHEMA}}
        said = asked.messages.create(**request, max_tokens=200, extra_body={"output_config": config})
        assert said.content[0].type == "text"
        jsonschema.validate(json.loads(said.content[0].text), SCHEMA)


def test_half_a_surrogate_pair_in_a_call_breaks_no_answer() -> None:
    """JSON can spell what UTF-8 cannot. Our own models never do (test_constrain), others behind this server may."""
    call = ToolCall("functions.get_weather:0", "get_weather", '{"place": "a \\ud800 b", "\\udfff": ["\\ud83d\\ude80"]}')
    served, _ = asking(Message("assistant", calls=(call,)), Message("assistant", calls=(call,)))
    request: dict[str, Any] = {"model": "scripted", "messages": HELLO, "tools": TOOLS, "max_tokens": 900}
    with served as url, client(url) as asked:
        block: Any = asked.messages.create(**request).content[0]
        assert block.input == {"place": "a \ufffd b", "\ufffd": ["🚀"]}
        answer = httpx.post(f"{url}/messages", json={**request, "stream": True})
        assert answer.status_code == 200 and "message_stop" in answer.text and "api_error" not in answer.text
