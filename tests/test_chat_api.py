"""Chat completions and completions in full, asked by the official client: prepared replies, and the real engine."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import openai
import pytest

import moonlet
import speaking
from moonlet.chat.messages import Message
from moonlet.llm.scripted import Scripted
from moonlet.local import Local
from serving import CutInThought, serving

HELLO: list[Any] = [{"role": "user", "content": "hello"}]
SKY = {
    "type": "object",
    "properties": {"sky": {"enum": ["clear", "grey"]}, "degrees": {"type": "integer", "minimum": -60, "maximum": 60}},
    "required": ["sky", "degrees"],
    "additionalProperties": False,
}
TOOLS: list[Any] = [
    {"type": "function", "function": {"name": name, "description": name, "parameters": SKY, "strict": True}}
    for name in ("look", "guess")
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    folder = tmp_path_factory.mktemp("checkpoint")
    speaking.write(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOONLET_HOME", str(tmp_path_factory.mktemp("home")))
        with moonlet.load(folder, threads=1, cache_tokens=16_384) as loaded:
            yield loaded


@pytest.fixture(scope="module")
def asked(model: Local) -> Iterator[openai.OpenAI]:
    with serving(model) as url, openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client:
        yield client


def summed(chunks: list[Any]) -> dict[int, dict[str, Any]]:
    """What a client makes of a stream with several choices, written apart from the server's own sum."""
    choices: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        for part in chunk.choices:
            said = choices.setdefault(
                part.index, {"text": "", "thought": "", "logprobs": [], "calls": {}, "finish": None}
            )
            said["text"] += part.delta.content or ""
            said["thought"] += getattr(part.delta, "reasoning", None) or ""
            said["logprobs"] += part.logprobs.content if part.logprobs else []
            said["finish"] = part.finish_reason or said["finish"]
            for call in part.delta.tool_calls or ():
                old = said["calls"].get(call.index, (call.id, call.function.name, ""))
                said["calls"][call.index] = (*old[:2], old[2] + call.function.arguments)
    return choices


FEATURES: dict[str, dict[str, Any]] = {
    "plain": {},
    "several": {"n": 3},
    "logprobs": {"logprobs": True, "top_logprobs": 3},
    "greedy with logprobs": {"temperature": 0, "logprobs": True},
    "required call": {"tools": TOOLS, "tool_choice": "required"},
    "named call": {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "guess"}}},
    "allowed tools": {
        "tools": TOOLS,
        "tool_choice": {
            "type": "allowed_tools",
            "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "look"}}]},
        },
    },
    "one call": {"tools": TOOLS, "tool_choice": "required", "parallel_tool_calls": False, "max_tokens": 400},
    "no call": {"tools": TOOLS, "tool_choice": "none"},
    "json object": {"response_format": {"type": "json_object"}},
    "json schema": {"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": SKY}}},
    "json schema beside tools": {
        "tools": TOOLS,
        "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": SKY, "strict": True}},
    },
    "penalties": {"presence_penalty": 1.5, "frequency_penalty": 1.0, "logit_bias": {"65": 20}, "top_p": 0.9},
    "stop": {"stop": ["e", "a"], "temperature": 0.5},
    "developer": {
        "messages": [{"role": "developer", "content": "Be brief."}, *HELLO, {"role": "system", "content": "x"}]
    },
}


@pytest.mark.parametrize("name", FEATURES)
def test_streamed_equals_unstreamed_through_the_engine(asked: openai.OpenAI, model: Local, name: str) -> None:
    request = {
        "model": model.name,
        "messages": HELLO,
        "seed": 5,
        "max_tokens": 120,
        "temperature": 1.0,
        **FEATURES[name],
    }
    whole = asked.chat.completions.create(**request)
    stream = list(asked.chat.completions.create(**request, stream=True, stream_options={"include_usage": True}))
    choices = summed(stream)
    assert sorted(choices) == [choice.index for choice in whole.choices] == list(range(request.get("n", 1)))
    for choice in whole.choices:
        said, message = choices[choice.index], choice.message
        assert said["text"] == (message.content or "")
        assert said["finish"] == choice.finish_reason
        calls = [(call.id, call.function.name, call.function.arguments) for call in message.tool_calls or ()]
        assert [said["calls"][i] for i in sorted(said["calls"])] == calls
        logprobs = choice.logprobs.content if choice.logprobs else []
        assert [(t.token, t.logprob) for t in said["logprobs"]] == [(t.token, t.logprob) for t in logprobs]
        if ("json schema" in name and not calls) or name == "json object":
            jsonschema.validate(json.loads(message.content), SKY if "schema" in name else {"type": "object"})
            assert choice.finish_reason == "stop"
        for _, called, arguments in calls:
            jsonschema.validate(json.loads(arguments), SKY)
            assert called == {"named call": "guess", "allowed tools": "look"}.get(name, called)
        if request.get("tool_choice") not in (None, "none"):
            assert calls and choice.finish_reason == "tool_calls"
            assert len(calls) == 1 or name == "required call" or name == "allowed tools"
    used = stream[-1].usage
    assert used.prompt_tokens == whole.usage.prompt_tokens
    if name != "stop":  # the step under way when the stop string came still counts
        assert used.completion_tokens == whole.usage.completion_tokens
    # The second request finds the prompt in the cache: whole pages of it.
    assert used.prompt_tokens_details.cached_tokens >= whole.usage.prompt_tokens_details.cached_tokens


def test_logprobs_are_those_of_the_text(asked: openai.OpenAI, model: Local) -> None:
    answer = asked.chat.completions.create(
        model=model.name, messages=HELLO, max_tokens=30, temperature=0, logprobs=True, top_logprobs=2, stop=["never"]
    ).choices[0]
    assert answer.logprobs and answer.logprobs.content
    said = b"".join(bytes(token.bytes or []) for token in answer.logprobs.content)
    assert said.decode(errors="replace") == answer.message.content
    for token in answer.logprobs.content:  # the likeliest is taken, but for marks that may not stand in a text
        assert token.logprob <= 0 and len(token.top_logprobs) == 2
        marks = [top.token.startswith("<|tool_call") for top in token.top_logprobs]
        likeliest = token.top_logprobs[marks.index(False)]
        assert likeliest.token == token.token and likeliest.logprob == token.logprob


def test_several_replies_differ_and_count_their_prompt_once(asked: openai.OpenAI, model: Local) -> None:
    request: dict[str, Any] = {"model": model.name, "messages": HELLO, "max_tokens": 12, "temperature": 1.0, "seed": 1}
    one, eight = (asked.chat.completions.create(**request, n=n) for n in (1, 8))
    assert len({choice.message.content for choice in eight.choices}) > 4
    assert eight.choices[0].message.content == one.choices[0].message.content
    assert eight.usage and one.usage and eight.usage.prompt_tokens == one.usage.prompt_tokens


def test_a_limit_that_cannot_hold_what_must_come_is_refused(asked: openai.OpenAI, model: Local) -> None:
    with pytest.raises(openai.BadRequestError, match=r"the call that is asked for needs at least \d+ tokens, 3 are"):
        asked.chat.completions.create(
            model=model.name, messages=HELLO, tools=TOOLS, tool_choice="required", max_tokens=3
        )
    with pytest.raises(openai.BadRequestError, match=r"the JSON that is asked for needs at least \d+ tokens"):
        asked.chat.completions.create(
            model=model.name, messages=HELLO, response_format=FEATURES["json schema"]["response_format"], max_tokens=3
        )


def test_a_prompt_that_does_not_fit_is_refused_with_the_numbers(asked: openai.OpenAI, model: Local) -> None:
    long: list[Any] = [{"role": "user", "content": "word " * 20_000}]
    with pytest.raises(
        openai.BadRequestError, match=r"the prompt has \d{5,} tokens, the context holds 16384"
    ) as caught:
        asked.chat.completions.create(model=model.name, messages=long)
    assert caught.value.code == "context_length_exceeded"


@pytest.mark.parametrize("keyword", ["not", "uniqueItems", "contains", "if"])
def test_a_schema_that_cannot_be_compiled_is_refused_by_its_keyword(
    asked: openai.OpenAI, model: Local, keyword: str
) -> None:
    bad = {"type": "object", "properties": {"a": {"not": {"type": "string"}}}}
    if keyword != "not":
        bad = {
            "type": "object",
            "properties": {"a": {keyword: True if keyword == "uniqueItems" else {"type": "string"}}},
        }
    tool: Any = {"type": "function", "function": {"name": "f", "parameters": bad}}
    with pytest.raises(openai.BadRequestError, match=rf"tool 'f' cannot be enforced: {keyword}"):
        asked.chat.completions.create(model=model.name, messages=HELLO, tools=[tool])
    form: Any = {"type": "json_schema", "json_schema": {"name": "s", "schema": bad}}
    with pytest.raises(openai.BadRequestError, match=rf"the answer cannot be enforced: {keyword}"):
        asked.chat.completions.create(model=model.name, messages=HELLO, response_format=form)


def test_thoughts_have_both_spellings_and_are_counted() -> None:
    thought = Message("assistant", "Four.", thinking="Two and two.")
    with serving(Scripted([thought, thought])) as url, openai.OpenAI(base_url=url, api_key="x") as client:
        whole = client.chat.completions.create(model="scripted", messages=HELLO)
        chunks = list(client.chat.completions.create(model="scripted", messages=HELLO, stream=True))
    message: Any = whole.choices[0].message
    assert message.reasoning == message.reasoning_content == "Two and two." == summed(chunks)[0]["thought"]
    assert whole.usage and whole.usage.completion_tokens_details
    assert whole.usage.completion_tokens_details.reasoning_tokens == 3


def test_a_call_begun_in_a_thought_and_cut_off_is_told_once() -> None:
    with serving(CutInThought([])) as url, openai.OpenAI(base_url=url, api_key="x") as client:
        whole = client.chat.completions.create(model="scripted", messages=HELLO, tools=TOOLS).choices[0]
    message: Any = whole.message
    assert (message.reasoning, message.content, whole.finish_reason) == ("I look. ", None, "length")
    assert [call.function.arguments for call in message.tool_calls] == ['{"place": "Os']


@pytest.mark.parametrize(
    ("extra", "thinking"),
    [
        ({}, True),
        ({"chat_template_kwargs": {"enable_thinking": False}}, False),
        ({"thinking": {"type": "disabled"}}, False),
        ({"thinking": {"type": "enabled"}}, True),
        ({"reasoning": {"enabled": False}}, False),
        ({"reasoning_effort": "none"}, False),
        ({"reasoning_effort": "high"}, True),
    ],
)
def test_every_way_to_ask_for_no_thought(extra: dict[str, Any], thinking: bool) -> None:
    model = Scripted(["ok"])
    with serving(model) as url, openai.OpenAI(base_url=url, api_key="x") as client:
        client.chat.completions.create(model="scripted", messages=HELLO, extra_body=extra)
    assert model.asked[0][2].thinking is thinking


def test_completions_go_on_with_a_text(asked: openai.OpenAI, model: Local) -> None:
    request: dict[str, Any] = {"model": model.name, "max_tokens": 20, "temperature": 1.0, "seed": 3}
    whole = asked.completions.create(**request, prompt=["Once", "Twice"], n=2, logprobs=2)
    chunks = list(asked.completions.create(**request, prompt=["Once", "Twice"], n=2, logprobs=2, stream=True))
    assert [choice.index for choice in whole.choices] == [0, 1, 2, 3] and whole.usage
    for choice in whole.choices:
        parts = [part for chunk in chunks for part in chunk.choices if part.index == choice.index]
        assert "".join(part.text for part in parts) == choice.text
        assert parts[-1].finish_reason == choice.finish_reason
        tokens = [token for part in parts if part.logprobs for token in part.logprobs.tokens or ()]
        assert choice.logprobs and tokens == choice.logprobs.tokens
    ids = model.tokenizer.encode("Once")
    by_ids = asked.completions.create(**request, prompt=ids)
    assert by_ids.choices[0].text == whole.choices[0].text
    assert by_ids.usage and by_ids.usage.prompt_tokens == len(ids)
    fresh = asked.completions.create(**request, prompt=["Two ships. " * 80, "Three birds. " * 80], n=2)
    details = fresh.usage and fresh.usage.prompt_tokens_details
    assert details and details.cached_tokens == 0, "a prompt's second reply finds what its first has just computed"
    echoed = asked.completions.create(**request, prompt="Once", echo=True)
    assert echoed.choices[0].text == "Once" + whole.choices[0].text


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"prompt": ""}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [[]]}, "prompt"),
        ({"prompt": [{}]}, "prompt"),
        ({"prompt": 3}, "prompt"),
        ({"prompt": ["x"] * 17}, "prompt"),
        ({"logprobs": 6}, "logprobs"),
        ({"suffix": "x"}, "suffix"),
        ({"best_of": 4}, "best_of"),
        ({"echo": True, "prompt": [1, 2]}, "echo"),
        ({"n": 9}, "n"),
    ],
)
def test_bad_completions_are_refused(asked: openai.OpenAI, model: Local, change: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        asked.completions.create(**{"model": model.name, "prompt": "x", **change})
    assert caught.value.param == param
