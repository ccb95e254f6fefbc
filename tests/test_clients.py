"""What real coding agents send, recorded by `bench/clients.py` without their words, against the server."""

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
from bench.real_clients import Between, steered
from bench.turns import longer

import moonlet
import speaking
from moonlet.chat.messages import Message, ToolCall, ToolSpec
from moonlet.cli.clients import lines
from moonlet.llm.scripted import Scripted
from moonlet.local import Local
from serving import serving, serving_app
from test_team import rows, server

RECORDED = Path(__file__).parent / "data" / "clients"
REQUESTS = [
    pytest.param(path, body, id=f"{file.stem}-{i}")
    for file in sorted(RECORDED.glob("*.json"))
    for i, (path, body) in enumerate((one["path"], one["body"]) for one in json.loads(file.read_text("utf-8")))
]
WORDS = "Of words like these, which say nothing, the recorded texts were as long as this one is. "


def spelled_out(value: Any, share: float = 1.0) -> Any:
    """A body with texts of the recorded lengths, or of a share of them."""
    if isinstance(value, dict):
        return {key: spelled_out(inner, share) for key, inner in value.items()}
    if isinstance(value, list):
        return [spelled_out(inner, share) for inner in value]
    if isinstance(value, str) and (cut := re.fullmatch(r"<(\d+) characters>", value)):
        length = max(int(int(cut[1]) * share), 1)
        return (WORDS * (length // len(WORDS) + 1))[:length]
    return value


def sent(url: str, path: str, body: dict[str, Any], model: str) -> list[dict[str, Any]]:
    """The messages of the stream that answers."""
    answer = httpx.post(url.removesuffix("/v1") + path, json={**body, "model": model}, timeout=120)
    assert answer.status_code == 200, answer.text
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def test_every_client_is_recorded_with_both_turns_of_its_loop() -> None:
    assert {file.stem for file in RECORDED.glob("*.json")} == {"claude-code", "codex", "kimi-code", "opencode"}
    for file in RECORDED.glob("*.json"):
        bodies = [one["body"] for one in json.loads(file.read_text("utf-8"))]
        sizes = [len(json.dumps(spelled_out(body))) for body in bodies if body.get("tools")]
        assert len(sizes) == 2 and min(sizes) > 25_000
        assert file.stat().st_size < 100_000


@pytest.mark.parametrize(("path", "body"), REQUESTS)
def test_recorded_requests_are_understood_whole(path: str, body: dict[str, Any]) -> None:
    def answer(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> Message:
        if messages[-1].role == "tool":
            return Message("assistant", f"It says: {messages[-1].content}", thinking="Done.")
        calls = tuple(ToolCall(f"functions.{tool.name}:{i}", tool.name, "{}") for i, tool in enumerate(tools))
        return Message("assistant", "All of them.", calls=calls)

    model = Scripted(repeat(answer))
    with serving(model) as url:
        events = sent(url, path, spelled_out(body), "scripted")
    messages, tools, options = model.asked[0]
    text = json.dumps(events)
    declared = json.dumps(body.get("tools", []))
    assert declared.count('"parameters"') + declared.count('"input_schema"') == len(tools)
    assert all(tool.description for tool in tools)
    assert any("launch code" in message.content for message in messages) and options.tool_choice == "auto"
    if messages[-1].role == "tool":
        call = messages[-2].calls[0]
        assert call.name in {tool.name for tool in tools} and json.loads(call.arguments)
        assert "The launch code is 4417." in messages[-1].content
    else:
        assert all(tool.name.rpartition(".")[2] in text for tool in tools)
    ends = {"/v1/messages": "message_stop", "/v1/responses": "response.completed", "/v1/chat/completions": "usage"}
    assert ends[path] in json.dumps(events[-1])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    folder = tmp_path_factory.mktemp("checkpoint")
    speaking.write(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOONLET_HOME", str(tmp_path_factory.mktemp("home")))
        with moonlet.load(folder, threads=1, cache_tokens=16_384) as loaded:
            yield loaded


@pytest.mark.parametrize(("path", "body"), [request for request in REQUESTS if request.values[1].get("tools")])
def test_recorded_requests_reach_the_engine_and_its_calls_are_valid(
    model: Local, path: str, body: dict[str, Any]
) -> None:
    """A call is asked for, by a model of random weights: whichever tool it takes, its arguments fit."""
    short = spelled_out(body, share=0.01)
    limit = {"max_output_tokens": 500} if path == "/v1/responses" else {"max_tokens": 500}
    short |= {**limit, "tool_choice": {"type": "any"} if path == "/v1/messages" else "required"}
    short.pop("thinking", None)
    schemas: dict[str, Any] = {}
    for tool in [*short["tools"], *(inner for outer in short["tools"] for inner in outer.get("tools", ()))]:
        declared = tool.get("function", tool)
        schemas[declared.get("name")] = declared.get("parameters", declared.get("input_schema"))
    with serving(model) as url:
        short["stream"] = False
        answer = httpx.post(url.removesuffix("/v1") + path, json={**short, "model": model.name}, timeout=120).json()
    calls = [*called(answer)]
    assert calls, answer
    for name, arguments in calls:
        jsonschema.validate(arguments, schemas[name])


def called(answer: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Calls of an unstreamed answer of any API."""
    for choice in answer.get("choices", ()):
        for call in choice["message"].get("tool_calls", ()):
            yield call["function"]["name"], json.loads(call["function"]["arguments"])
    for block in answer.get("content", ()):
        if block["type"] == "tool_use":
            yield block["name"], block["input"]
    for item in answer.get("output", ()):
        if item["type"] == "function_call":
            yield item["name"], json.loads(item["arguments"])


@pytest.mark.parametrize(("path", "body"), REQUESTS)
def test_a_listener_between_asks_for_a_harmless_call_then_for_words_and_sees_the_end(
    path: str, body: dict[str, Any]
) -> None:
    """As `bench.clients --real` runs the agents against a real engine."""
    model = Scripted(repeat(lambda messages, tools: "Words."))
    with serving(model) as url, serving_app((between := Between(url.removesuffix("/v1"))).app) as passed:
        sent(f"{passed}/v1", path, spelled_out(body), "scripted")
        assert httpx.get(f"{passed}/v1/models").json()["data"][0]["id"] == "scripted"
    (exchange,) = between.exchanges
    assert exchange.status == 200 and exchange.whole and not exchange.left
    messages, _, options = model.asked[0]
    if not body.get("tools") or messages[-1].role == "tool":
        assert options.max_tokens and options.max_tokens < 100
        assert options.tool_choice == "none" or not body.get("tools")
    else:
        assert options.tool_choice in ("Read", "read", "view_image")


def test_the_printed_lines_are_right_in_a_shell_whatever_the_models_name() -> None:
    model, root = 'it\'s a "model" $(x)', "http://127.0.0.1:8000"
    told = {client: shlex.split(line) for client, line in lines(root, model, "anything", 4096)}
    assert [*told] == [
        *("OpenAI clients", "Anthropic clients", "Claude Code", "Codex", "OpenCode", "kimi-code", "Open WebUI")
    ]
    assert f"ANTHROPIC_MODEL={model}" in told["Claude Code"] and f"ANTHROPIC_BASE_URL={root}" in told["Claude Code"]
    assert told["Codex"][told["Codex"].index("-m") + 1] == model and f'"{root}/v1"' in told["Codex"][-1]
    config = json.loads(told["OpenCode"][0].removeprefix("OPENCODE_CONFIG_CONTENT="))
    assert config["model"] == f"moonlet/{model}" and [*config["provider"]["moonlet"]["models"]] == [model]
    assert config["provider"]["moonlet"]["options"]["baseURL"] == f"{root}/v1"
    assert f"KIMI_MODEL_NAME={model}" in told["kimi-code"]
    assert "KIMI_MODEL_MAX_CONTEXT_SIZE=4096" in told["kimi-code"]
    assert f"OPENAI_API_BASE_URL={root}/v1" in told["Open WebUI"] and told["Open WebUI"][-1] == "serve"


@pytest.mark.slow
def test_recorded_requests_of_their_full_length_reach_the_engine(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.sqlite"
    with server(longer(tmp_path / "long", 131_072), ledger, "--cache-tokens", 131_072) as running:
        for path, body in (request.values for request in REQUESTS):
            events = sent(running.url, path, steered(path, spelled_out(body)), running.model)
            assert "error" not in {event.get("type") for event in events}
    told = rows(ledger)
    assert len(told) == len(REQUESTS) and {row["state"] for row in told} == {"done"}
    for row, request in zip(told, REQUESTS):
        assert row["prompt_tokens"] > (5_000 if request.values[1].get("tools") else 0)
