"""The client suite of the server against a front with a foreign engine behind it: python -m bench.foreign_suite URL

URL ends with /v1. The clients are the official ones, as in the tests. Where a test of tests/test_*_api.py asks a real
engine and holds of any, its very function is run; where it counts on prepared replies or on what only our engine does,
CANNOT says so, and beside it stand checks of the same API that hold of any engine. A test that is in neither list is
told as missing. Exit code 1 if one fails or is missing.
"""

from __future__ import annotations

import inspect
import json
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import anthropic
import jsonschema
import openai

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
import test_anthropic_api
import test_chat_api
import test_responses_api

MODULES: tuple[ModuleType, ...] = (test_chat_api, test_anthropic_api, test_responses_api)
WEATHER: Any = {"type": "function", "function": {"name": "get_weather", "description": "The weather of a place.",
                "parameters": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"],
                               "additionalProperties": False}}}  # fmt: skip
QUESTION = "What is the weather in Oslo?"

PREPARED = "its replies are prepared: what is tested is the form in which the server says them, whoever answers"
CANNOT = {
    "test_a_limit_that_cannot_hold_what_must_come_is_refused": "only our engine knows the shortest call beforehand",
    "test_a_prompt_that_does_not_fit_is_refused_with_the_numbers": "other numbers; see the context's end",
    "test_a_schema_that_cannot_be_compiled_is_refused_by_its_keyword": "other schemas; see what cannot be checked",
    "test_completions_go_on_with_a_text": "a front answers conversations only; see plain prompts",
    "test_bad_completions_are_refused": "a front answers conversations only; see plain prompts",
    "test_several_replies_differ_and_count_their_prompt_once": "of random weights; see several replies",
    "test_the_real_engine_calls_counts_and_reuses": "a front estimates `count_tokens`; see Anthropic's messages",
    "test_the_real_engine_answers_and_reuses_what_went_before": "other numbers of tokens; see OpenAI's responses",
    **dict.fromkeys(
        ("test_thoughts_have_both_spellings_and_are_counted", "test_every_way_to_ask_for_no_thought",
         "test_streamed_equals_unstreamed", "test_the_stream_has_its_events_in_order",
         "test_thoughts_are_shown_to_those_who_asked_for_them", "test_a_tool_loop_with_the_official_client",
         "test_what_a_request_may_hold", "test_bad_requests_have_anthropics_shape",
         "test_errors_reach_the_official_client_as_its_own_kinds",
         "test_half_a_surrogate_pair_in_a_call_breaks_no_answer",
         "test_custom_and_namespaced_calls_find_their_way_back",
         "test_responses_are_kept_for_their_owner_and_can_be_forgotten",
         "test_kept_responses_are_bounded_in_bytes_and_time",
         "test_responses_in_the_ledger_are_bounded_in_bytes_and_time",
         "test_where_prompts_may_be_kept_responses_outlive_the_server",
         "test_a_ledger_that_cannot_be_written_stops_no_response", "test_cut_and_broken_replies_say_so",
         "test_bad_requests_are_refused", "test_half_a_surrogate_pair_in_a_custom_call_breaks_no_answer"),
        PREPARED,
    ),
}  # fmt: skip

Check = Callable[[], object]


def checks(url: str, name: str) -> Iterator[tuple[str, Check]]:
    """All that is run, by its name."""
    asked = openai.OpenAI(base_url=url, api_key="none", max_retries=0, timeout=600)
    claude = anthropic.Anthropic(base_url=url.removesuffix("/v1"), api_key="none", max_retries=0, timeout=600)
    model: Any = SimpleNamespace(name=name)
    streamed = test_chat_api.test_streamed_equals_unstreamed_through_the_engine
    for feature in test_chat_api.FEATURES:
        yield f"chat, streamed and not: {feature}", lambda feature=feature: streamed(asked, model, feature)
    yield "chat: log probabilities", lambda: test_chat_api.test_logprobs_are_those_of_the_text(asked, model)
    yield "chat: several replies", lambda: _several(asked, name)
    yield "chat: a loop with a tool", lambda: _chat_loop(asked, name)
    yield "chat: the context's end", lambda: _too_long(asked, claude, name)
    yield "chat: a limit beyond the context's end", lambda: _limit_beyond(asked, name)
    yield "chat: what cannot be checked", lambda: _bad_schema(asked, name)
    yield "chat: plain prompts", lambda: _no_completions(asked, name)
    yield "chat: what was read before is told", lambda: _cached(asked, name)
    yield "Anthropic's messages: streamed and not", lambda: _messages(claude, name)
    yield "Anthropic's messages: a loop with a tool", lambda: _messages_loop(claude, name)
    yield "Anthropic's messages: JSON", lambda: _messages_json(claude, name)
    yield "OpenAI's responses: streamed and not", lambda: _responses(asked, name)
    yield "OpenAI's responses: a loop with a tool", lambda: _responses_loop(asked, name)
    yield "OpenAI's responses: JSON", lambda: _responses_json(asked, name)


def _several(asked: openai.OpenAI, name: str) -> None:
    request: dict[str, Any] = {"model": name, "messages": test_chat_api.HELLO, "max_tokens": 12, "seed": 1}
    one, eight = (asked.chat.completions.create(**request, temperature=2.0, n=n) for n in (1, 8))
    assert len(eight.choices) == 8 and len({choice.message.content for choice in eight.choices}) > 1
    assert one.usage and eight.usage and eight.usage.prompt_tokens == one.usage.prompt_tokens


def _chat_loop(asked: openai.OpenAI, name: str) -> None:
    messages: list[Any] = [{"role": "user", "content": QUESTION}]
    first = asked.chat.completions.create(model=name, messages=messages, tools=[WEATHER], tool_choice="required")
    choice = first.choices[0]
    assert choice.finish_reason == "tool_calls" and choice.message.tool_calls
    call: Any = choice.message.tool_calls[0]
    assert call.id == "functions.get_weather:0" and "place" in json.loads(call.function.arguments)
    messages += [choice.message, {"role": "tool", "tool_call_id": call.id, "content": '{"sky": "clear"}'}]
    last = asked.chat.completions.create(model=name, messages=messages, tools=[WEATHER], max_tokens=200)
    assert last.choices[0].finish_reason in ("stop", "length", "tool_calls")
    for again in last.choices[0].message.tool_calls or ():
        assert again.id == "functions.get_weather:1"


def _too_long(asked: openai.OpenAI, claude: anthropic.Anthropic, name: str) -> None:
    long: list[Any] = [{"role": "user", "content": "word " * 200_000}]
    for stream in (False, True):
        try:
            asked.chat.completions.create(model=name, messages=long, stream=stream)
        except openai.BadRequestError as error:
            assert error.code == "context_length_exceeded", error  # what agents shorten their history upon
        else:
            raise AssertionError("it was taken")
    try:
        claude.messages.create(model=name, messages=long, max_tokens=9)
    except anthropic.BadRequestError as error:
        assert "prompt is too long" in error.message, error
    else:
        raise AssertionError("it was taken")


def _limit_beyond(asked: openai.OpenAI, name: str) -> None:
    """Agents ask for more tokens than are left, and mean: as many as there are."""
    said = asked.chat.completions.create(model=name, messages=test_chat_api.HELLO, max_tokens=1_000_000, stop=["e"])
    assert said.choices[0].finish_reason in ("stop", "length")


def _bad_schema(asked: openai.OpenAI, name: str) -> None:
    bad = {"type": "object", "properties": {"a": {"type": "string", "pattern": "(?<=a)b"}}}
    tool: Any = {"type": "function", "function": {"name": "f", "parameters": bad}}
    try:
        asked.chat.completions.create(model=name, messages=test_chat_api.HELLO, tools=[tool])
    except openai.BadRequestError as error:
        assert "'f'" in error.message, error
    else:
        raise AssertionError("it was taken")


def _no_completions(asked: openai.OpenAI, name: str) -> None:
    try:
        asked.completions.create(model=name, prompt="Once")
    except openai.BadRequestError as error:
        assert "conversations only" in error.message, error
    else:
        raise AssertionError("it was taken")


def _cached(asked: openai.OpenAI, name: str) -> None:
    long: list[Any] = [{"role": "user", "content": "Tell me of the weather, the trains and the news. " * 60}]
    for _ in range(2):
        usage = asked.chat.completions.create(model=name, messages=long, max_tokens=2).usage
        assert usage and usage.prompt_tokens_details
    cached = usage.prompt_tokens_details.cached_tokens or 0
    assert cached > usage.prompt_tokens / 2, usage


def _messages(claude: anthropic.Anthropic, name: str) -> None:
    request: dict[str, Any] = {"model": name, "messages": test_anthropic_api.HELLO, "max_tokens": 120}
    request["extra_body"] = {"temperature": 0}
    whole = claude.messages.create(**request)
    with claude.messages.stream(**request) as stream:
        kinds = [event.type for event in stream]
        streamed = stream.get_final_message()
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop"
    assert [block.model_dump() for block in whole.content] == [block.model_dump() for block in streamed.content]
    assert whole.stop_reason == streamed.stop_reason and whole.usage.output_tokens == streamed.usage.output_tokens
    assert claude.messages.count_tokens(model=name, messages=request["messages"]).input_tokens > 0


def _messages_loop(claude: anthropic.Anthropic, name: str) -> None:
    tool: Any = {"name": "get_weather", "description": "Weather", "input_schema": test_anthropic_api.SCHEMA}
    messages: list[Any] = [{"role": "user", "content": QUESTION}]
    request: dict[str, Any] = {"model": name, "tools": [tool], "max_tokens": 300}
    said = claude.messages.create(**request, messages=messages, tool_choice={"type": "any"})
    assert said.stop_reason == "tool_use"
    calls = [block for block in said.content if block.type == "tool_use"]
    for block in calls:
        jsonschema.validate(block.input, test_anthropic_api.SCHEMA)
    results = [{"type": "tool_result", "tool_use_id": block.id, "content": "clear"} for block in calls]
    messages += [{"role": "assistant", "content": said.content}, {"role": "user", "content": results}]
    last = claude.messages.create(**request, messages=messages, tool_choice={"type": "none"})
    assert last.stop_reason in ("end_turn", "max_tokens") and last.content


def _messages_json(claude: anthropic.Anthropic, name: str) -> None:
    config: Any = {"format": {"type": "json_schema", "schema": test_anthropic_api.SCHEMA}}
    said = claude.messages.create(
        model=name, messages=test_anthropic_api.HELLO, max_tokens=200, extra_body={"output_config": config}
    )
    assert said.content[0].type == "text"
    jsonschema.validate(json.loads(said.content[0].text), test_anthropic_api.SCHEMA)


def _responses(asked: openai.OpenAI, name: str) -> None:
    request: dict[str, Any] = {"model": name, "input": "hello", "temperature": 0, "max_output_tokens": 120}
    whole = asked.responses.create(**request)
    events = list(asked.responses.create(**request, stream=True))
    last: Any = events[-1]
    assert last.type in ("response.completed", "response.incomplete")
    plain = test_responses_api.plain
    assert plain(last.response.model_dump()["output"]) == plain(whole.model_dump()["output"])
    assert [event.sequence_number for event in events] == list(range(len(events)))


def _responses_loop(asked: openai.OpenAI, name: str) -> None:
    tools = [test_responses_api.WEATHER, test_responses_api.PATCH]
    request: dict[str, Any] = {"model": name, "tools": tools, "max_output_tokens": 300}
    called: Any = asked.responses.create(**request, input=QUESTION, tool_choice="required")
    assert called.status == "completed" and called.output
    calls = [item for item in called.output if item.type.endswith("_call")]
    assert calls
    for item in calls:
        if item.type == "function_call":
            jsonschema.validate(json.loads(item.arguments), test_responses_api.SCHEMA)
    results: Any = [{"type": f"{item.type}_output", "call_id": item.call_id, "output": "clear"} for item in calls]
    last = asked.responses.create(**request, input=results, previous_response_id=called.id, tool_choice="none")
    assert last.status in ("completed", "incomplete") and last.output


def _responses_json(asked: openai.OpenAI, name: str) -> None:
    form: Any = {"format": {"type": "json_schema", "name": "s", "schema": test_responses_api.SCHEMA}}
    said = asked.responses.create(model=name, input="hello", text=form, max_output_tokens=200)
    jsonschema.validate(json.loads(said.output_text), test_responses_api.SCHEMA)


def untold() -> list[str]:
    """Tests of the suite that are neither run here nor said not to be."""
    run = {"test_streamed_equals_unstreamed_through_the_engine", "test_logprobs_are_those_of_the_text"}
    named = [name for module in MODULES for name, _ in inspect.getmembers(module, inspect.isfunction)]
    return sorted({name for name in named if name.startswith("test_")} - run - CANNOT.keys())


def run(url: str, name: str) -> bool:
    """Runs all and tells of each; whether all hold."""
    failed = [f"{test}: in neither list" for test in untold()]
    for title, check in checks(url, name):
        try:
            check()
            print(f"holds: {title}", flush=True)
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            failed.append(f"{title}: {type(error).__name__} {str(error)[:300]} (line {where.lineno}: {where.line})")
            print(f"FAILS: {failed[-1]}", flush=True)
    for test, why in CANNOT.items():
        print(f"not run: {test}: {why}")
    print(f"{len(failed)} fail")
    return not failed


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    client = openai.OpenAI(base_url=sys.argv[1], api_key="none")
    sys.exit(0 if run(sys.argv[1], client.models.list().data[0].id) else 1)
