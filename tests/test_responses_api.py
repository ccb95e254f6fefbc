"""OpenAI's responses, asked by the official client: prepared replies, and the real engine."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import openai
import pytest

import moonlet
import speaking
from moonlet.chat.messages import Message, ToolCall, ToolSpec
from moonlet.ledger import report
from moonlet.ledger.books import Books
from moonlet.ledger.database import Database, open_database
from moonlet.llm import LLMError
from moonlet.llm.scripted import Prepared, Scripted
from moonlet.local import Local
from moonlet.server.kept import KEPT_S, KeptResponses
from moonlet.server.kept_beyond import Beyond
from serving import CutInThought, serving

SCHEMA = {
    "type": "object",
    "properties": {"place": {"enum": ["Oslo", "Rome"]}},
    "required": ["place"],
    "additionalProperties": False,
}
WEATHER: Any = {"type": "function", "name": "get_weather", "description": "Weather", "parameters": SCHEMA}
PATCH: Any = {
    "type": "custom",
    "name": "apply_patch",
    "description": "Changes files.",
    "format": {"type": "grammar", "syntax": "lark", "definition": 'start: "x"'},
}
SPACE: Any = {"type": "namespace", "name": "team", "description": "Helpers", "tools": [{**WEATHER, "name": "ask"}]}
CALL = ToolCall("functions.get_weather:0", "get_weather", '{"place": "Oslo"}')
PATCHING = ToolCall("functions.apply_patch:0", "apply_patch", '{"input": "*** Begin\\n\\"ä\\"\\n"}')
ASKING = ToolCall("functions.team.ask:0", "team.ask", '{"place": "Rome"}')


def asking(*replies: Prepared, **scripted: Any) -> tuple[Any, Scripted]:
    model = Scripted(replies, **scripted)
    return serving(model), model


def client(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=url, api_key="none", max_retries=0)


def plain(value: Any) -> Any:
    """A response without what differs from one to the next."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items() if k not in ("id", "created_at", "completed_at", "parsed")}
    return [plain(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    "message",
    [
        Message("assistant", "Hello! ä日本🚀\n\nbye"),
        Message("assistant", "I look.", thinking="Two places.", calls=(CALL, ASKING)),
        Message("assistant", calls=(PATCHING,)),
        Message("assistant", thinking="Hm"),
        Message("assistant"),
    ],
)
def test_streamed_equals_unstreamed(message: Message) -> None:
    served, _ = asking(message, message, piece=3)
    request: dict[str, Any] = {"model": "scripted", "input": "hello", "tools": [WEATHER, PATCH, SPACE]}
    with served as url, client(url) as asked:
        whole = asked.responses.create(**request)
        events = list(asked.responses.create(**request, stream=True))
    last: Any = events[-1]
    assert last.type == "response.completed" and plain(last.response.model_dump()) == plain(whole.model_dump())
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert whole.output_text == message.content
    for kind in ("output_text", "reasoning_text", "function_call_arguments", "custom_tool_call_input"):
        pieces: list[Any] = [e for e in events if e.type == f"response.{kind}.delta"]
        done: list[Any] = [e for e in events if e.type == f"response.{kind}.done"]
        said = {"output_text": "text", "reasoning_text": "text", "function_call_arguments": "arguments"}.get(
            kind, "input"
        )
        assert "".join(piece.delta for piece in pieces) == "".join(getattr(event, said) for event in done)
    outputs: list[Any] = whole.output
    calls = [item for item in outputs if item.type.endswith("_call")]
    assert len(calls) == len(message.calls)
    if message.calls == (PATCHING,):
        assert (calls[0].type, calls[0].name, calls[0].input) == ("custom_tool_call", "apply_patch", '*** Begin\n"ä"\n')
    if ASKING in message.calls:
        assert (calls[1].name, calls[1].namespace, calls[1].arguments) == ("ask", "team", '{"place": "Rome"}')


def test_the_stream_has_its_events_in_order() -> None:
    served, _ = asking(Message("assistant", "Hi.", thinking="Hm.", calls=(CALL,)), piece=99)
    with served as url, client(url) as asked:
        events = asked.responses.create(model="scripted", input="x", tools=[WEATHER], stream=True)
        names = [event.type.removeprefix("response.") for event in events]
    part = ["content_part.added", "{0}.delta", "{0}.done", "content_part.done"]
    assert names == [
        *("created", "in_progress"),
        *("output_item.added", *(name.format("reasoning_text") for name in part), "output_item.done"),
        *("output_item.added", *(name.format("output_text") for name in part), "output_item.done"),
        *("output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done"),
        "completed",
    ]


@pytest.mark.parametrize("stateless", [False, True])
def test_a_tool_loop_with_the_official_client(stateless: bool) -> None:
    def answer(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> str:
        return f"{messages[-1].content} in {json.loads(messages[-2].calls[0].arguments)['place']}"

    served, model = asking(Message("assistant", "I look.", thinking="Where?", calls=(CALL,)), answer)
    request: dict[str, Any] = {"model": "scripted", "tools": [WEATHER], "instructions": "Be brief."}
    with served as url, client(url) as asked:
        if stateless:
            request |= {"store": False, "include": ["reasoning.encrypted_content"]}
        said = asked.responses.create(**request, input="How is it in Oslo?")
        outputs: list[Any] = said.output
        result: Any = {"type": "function_call_output", "call_id": outputs[-1].call_id, "output": "sunny"}
        if stateless:
            sent = [item.model_dump(exclude_none=True) for item in outputs]
            sent[0].pop("content")  # as Codex does: it sends the packed thought alone
            items = [{"role": "user", "content": "How is it in Oslo?"}, *sent, result]
            last = asked.responses.create(**request, input=items)
        else:
            last = asked.responses.create(**request, input=[result], previous_response_id=said.id)
    assert last.output_text == "sunny in Oslo"
    messages = model.asked[1][0]
    assert [message.role for message in messages] == ["system", "user", "assistant", "tool"]
    assert (messages[2].content, messages[2].thinking, messages[2].calls[0].name) == (
        "I look.",
        "Where?",
        "get_weather",
    )


def referring(said: Any) -> list[Any]:
    """The next turn as the Vercel AI SDK sends it: what was kept by its ids, what is new as it is."""
    result = {"type": "function_call_output", "call_id": CALL.id, "output": "sunny"}
    kept = [{"type": "item_reference", "id": item.id} for item in said.output]
    return [{"role": "user", "content": "How is it in Oslo?"}, *kept, result]


def test_references_to_what_is_kept_stand_for_it(tmp_path: Path) -> None:
    place, turn = tmp_path / "ledger", Message("assistant", "I look.", thinking="Where?", calls=(CALL, ASKING))
    request: dict[str, Any] = {"model": "scripted", "tools": [WEATHER, SPACE]}
    with (
        closing(Books(open_database(place), keep_prompts=True)) as books,
        going_on(books, turn, "sunny", turn) as (asked, model),
    ):
        said = asked.responses.create(**request, input="How is it in Oslo?")
        last = asked.responses.create(**request, input=referring(said))
        result = Message("tool", "sunny", call_id=CALL.id)
        assert model.asked[1][0] == (Message("user", "How is it in Oslo?"), turn, result)
        listed: list[Any] = list(asked.responses.input_items.list(last.id))
        assert [item.type for item in listed[1:5]] == ["reasoning", "message", "function_call", "function_call"]
        unkept = asked.responses.create(**request, input="How is it in Oslo?", store=False)
        other, strange = asked.with_options(api_key="other"), [{"type": "item_reference", "id": 3}]
        for items, who in ((referring(said), other), (referring(unkept), asked), (strange, asked)):
            with pytest.raises(openai.BadRequestError, match=r"there is no item .* `store: false`"):
                who.responses.create(**request, input=items)
        assert len(model.asked) == 3
    with (  # a server that was started anew
        closing(Books(open_database(place), keep_prompts=True)) as books,
        going_on(books, "sunny") as (asked, model),
    ):
        asked.responses.create(**request, input=referring(said))
        assert model.asked[0][0][1] == turn
        asked.responses.delete(said.id)
        with pytest.raises(openai.BadRequestError, match="there is no item"):
            asked.responses.create(**request, input=referring(said))


def test_custom_and_namespaced_calls_find_their_way_back() -> None:
    items: Any = [
        {"role": "developer", "content": [{"type": "input_text", "text": "Rules."}]},
        {"role": "user", "content": "go"},
        {"type": "custom_tool_call", "call_id": "a", "name": "apply_patch", "input": 'x\n"y"'},
        {"type": "function_call", "call_id": "b", "name": "ask", "namespace": "team", "arguments": "{}"},
        {"type": "custom_tool_call_output", "call_id": "a", "output": "done"},
        {"type": "function_call_output", "call_id": "b", "output": [{"type": "input_text", "text": "yes"}]},
        {"type": "web_search_call", "id": "w", "status": "completed"},
    ]
    served, model = asking("ok")
    with served as url, client(url) as asked:
        asked.responses.create(model="scripted", input=items, tools=[PATCH, SPACE, {"type": "web_search"}])
    messages, tools, _ = model.asked[0]
    assert [message.role for message in messages] == ["system", "user", "assistant", "tool", "tool"]
    assert [(c.name, json.loads(c.arguments)) for c in messages[2].calls] == [
        ("apply_patch", {"input": 'x\n"y"'}),
        ("team.ask", {}),
    ]
    assert [tool.name for tool in tools] == ["apply_patch", "team.ask"] and 'start: "x"' in tools[0].description


def test_responses_are_kept_for_their_owner_and_can_be_forgotten() -> None:
    served, model = asking("one", "two", "three")
    with served as url, client(url) as asked, openai.OpenAI(base_url=url, api_key="other", max_retries=0) as other:
        first = asked.responses.create(model="scripted", input="1", instructions="Only now.")
        second = asked.responses.create(model="scripted", input="2", previous_response_id=first.id)
        assert [m.content for m in model.asked[1][0]] == ["1", "one", "2"]
        assert asked.responses.retrieve(first.id).output_text == "one"
        listed: list[Any] = list(asked.responses.input_items.list(second.id))
        assert [item.content[0].text for item in listed] == ["2"]
        with pytest.raises(openai.NotFoundError):
            other.responses.retrieve(first.id)
        asked.responses.delete(first.id)
        with pytest.raises(openai.NotFoundError, match="kept for a day"):
            asked.responses.create(model="scripted", input="x", previous_response_id=first.id)
        unkept = asked.responses.create(model="scripted", input="3", store=False)
        with pytest.raises(openai.NotFoundError):
            asked.responses.retrieve(unkept.id)


def test_kept_responses_are_bounded_in_bytes_and_time() -> None:
    now = [0.0]
    kept = KeptResponses(kept_bytes=1000, clock=lambda: now[0])
    for i in range(10):
        kept.keep("me", {"id": f"r{i}"}, (Message("user", "x" * 200),), [])
    found = [i for i in range(10) if kept.find("me", f"r{i}")]
    assert found == [6, 7, 8, 9]
    kept.keep("other", {"id": "huge"}, (Message("user", "x" * 2000),), [])
    assert kept.find("other", "huge") is None and kept.find("me", "r6"), "nobody makes room for what cannot be kept"
    now[0] = KEPT_S + 1
    assert kept.find("me", "r9") is None


def test_where_prompts_may_be_kept_responses_outlive_the_server(tmp_path: Path) -> None:
    place = tmp_path / "ledger"
    call = Message("assistant", "I look.", thinking="Hm.", calls=(CALL,))
    with closing(Books(open_database(place), keep_prompts=True)) as books, going_on(books, call, "two") as (asked, _):
        first = asked.responses.create(model="scripted", input="1", tools=[WEATHER])
        second = asked.responses.create(model="scripted", input="2", previous_response_id=first.id)
    with closing(Books(open_database(place), keep_prompts=True)) as books, going_on(books, "three") as (asked, model):
        answer: Any = {"type": "function_call_output", "call_id": "x", "output": "ok"}
        asked.responses.create(model="scripted", input=[answer], previous_response_id=first.id)
        told = model.asked[0][0]
        assert [(m.role, m.content, m.thinking, m.calls) for m in told[:2]] == [
            ("user", "1", "", ()),
            ("assistant", "I look.", "Hm.", (CALL,)),
        ]
        assert asked.responses.retrieve(second.id).output_text == "two"
        asked.responses.delete(second.id)
        with pytest.raises(openai.NotFoundError):
            asked.with_options(api_key="other").responses.retrieve(first.id)
    with (
        closing(Books(open_database(place))) as books,
        going_on(books) as (asked, _),
        pytest.raises(openai.NotFoundError, match="until the server stops"),
    ):
        asked.responses.retrieve(first.id)
    with closing(open_database(place)) as database:
        assert [id for (id,) in rows_of(database, "SELECT id FROM kept_responses")].count(first.id) == 1
        assert not rows_of(database, f"SELECT 1 FROM kept_responses WHERE id = '{second.id}'")


@contextmanager
def going_on(books: Books, *replies: Prepared) -> Iterator[tuple[openai.OpenAI, Scripted]]:
    """A client of a server with this ledger, which is closed in order."""
    model, apps = Scripted(replies), []
    with serving(model, books, more=apps.append) as url, client(url) as asked:
        yield asked, model
        apps[0].state.kept.close()


def rows_of(database: Database, sql: str) -> list[Any]:
    with database.reading() as connection:
        return connection.run(sql)


def test_responses_in_the_ledger_are_bounded_in_bytes_and_time(tmp_path: Path) -> None:
    now = [0.0]
    with closing(open_database(tmp_path / "ledger")) as database:
        beyond = Beyond(database, KEPT_S, 1000, clock=lambda: now[0])
        for i in range(10):
            now[0] += 1
            beyond.keep("me", {"id": f"r{i}"}, (Message("user", "x" * 200),), [])
        beyond.keep("other", {"id": "r0"}, (Message("user", "x" * 200),), [])
        beyond.drop("me", "r9")
        assert [i for i in range(10) if beyond.find("me", f"r{i}")] == [6, 7, 8] and beyond.find("other", "r0")
        now[0] += KEPT_S
        assert beyond.find("me", "r8") is None
        beyond.keep("me", {"id": "new"}, (), [])
        beyond.close()
        assert rows_of(database, "SELECT id FROM kept_responses") == [("new",)]


def test_what_another_server_forgets_is_forgotten(tmp_path: Path) -> None:
    place = tmp_path / "ledger"
    with (
        closing(Books(open_database(place), keep_prompts=True)) as books,
        closing(Books(open_database(place), keep_prompts=True)) as others,
        going_on(books, "one", "two") as (asked, _),
        going_on(others) as (other, _),
    ):
        first = asked.responses.create(model="scripted", input="1")
        second = asked.responses.create(model="scripted", input="2", previous_response_id=first.id)
        until = time.monotonic() + 10
        while len(rows_of(books.database, "SELECT id FROM kept_responses")) < 2:
            assert time.monotonic() < until
            time.sleep(0.01)
        other.responses.delete(first.id)
        with pytest.raises(openai.NotFoundError):
            asked.responses.retrieve(first.id)
        assert asked.responses.retrieve(second.id).output_text == "two"


def test_what_is_past_its_day_is_deleted_also_by_servers_that_keep_nothing(tmp_path: Path) -> None:
    now = time.time()
    with closing(Books(open_database(tmp_path / "ledger"))) as books:
        ages = {"new": 0.0, "older": KEPT_S / 2, "old": KEPT_S + 60.0}
        for id, age in ages.items():
            beyond = Beyond(books.database, 2 * KEPT_S, 1000, clock=lambda age=age: now - age)  # type: ignore[misc]
            beyond.keep("me", {"id": id}, (), [])
            beyond.close()
        with going_on(books):
            assert rows_of(books.database, "SELECT id FROM kept_responses ORDER BY id") == [("new",), ("older",)]
        report.prune(books.database, now - KEPT_S / 4)
        assert rows_of(books.database, "SELECT id FROM kept_responses") == [("new",)]


def test_a_ledger_that_cannot_be_written_stops_no_response(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with closing(Books(open_database(tmp_path / "ledger"), keep_prompts=True)) as books:
        with going_on(books, "one", "two") as (asked, _):
            with books.database.transaction() as connection:
                connection.run("DROP TABLE kept_responses")
                connection.run("CREATE VIEW kept_responses AS SELECT 1 AS born")  # nothing can be put into it
            first = asked.responses.create(model="scripted", input="1")
            second = asked.responses.create(model="scripted", input="2", previous_response_id=first.id)
        assert second.output_text == "two" and caplog.text.count("kept in memory only") == 1


def test_what_lies_in_memory_is_gone_on_from_while_the_ledger_is_away(tmp_path: Path) -> None:
    with closing(Books(open_database(tmp_path / "ledger"), keep_prompts=True)) as books:
        with going_on(books, "one", "two") as (asked, _):
            first = asked.responses.create(model="scripted", input="1")
            until = time.monotonic() + 10
            while not rows_of(books.database, "SELECT id FROM kept_responses"):
                assert time.monotonic() < until
                time.sleep(0.01)
            with books.database.transaction() as connection:
                connection.run("DROP TABLE kept_responses")  # nothing can be read there
            second = asked.responses.create(model="scripted", input="2", previous_response_id=first.id)
        assert second.output_text == "two"


def test_cut_and_broken_replies_say_so() -> None:
    class Breaks(Scripted):
        def reply(self, *asked: Any) -> Iterator[Any]:
            yield from list(super().reply(*asked))[:-1]
            raise LLMError("power cut")

    served, _ = asking("one two three", Message("assistant", calls=(CALL,)))
    with served as url, client(url) as asked:
        cut = asked.responses.create(model="scripted", input="x", max_output_tokens=1)
        call: Any = asked.responses.create(model="scripted", input="x", tools=[WEATHER], max_output_tokens=2)
    assert (cut.status, cut.incomplete_details and cut.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert cut.output[0].status == call.output[0].status == "incomplete"
    with serving(Breaks(["Hello"])) as url, client(url) as asked:
        last: Any = list(asked.responses.create(model="scripted", input="x", stream=True))[-1]
    assert (last.type, last.response.error.message) == ("response.failed", "power cut")


def test_a_call_begun_in_a_thought_and_cut_off_is_told_once() -> None:
    with serving(CutInThought([])) as url, client(url) as asked:
        said: Any = asked.responses.create(model="scripted", input="x", tools=[WEATHER])
    assert said.status == "incomplete" and [item.type for item in said.output] == ["reasoning", "function_call"]
    assert said.output[0].content[0].text == "I look. "
    assert (said.output[1].status, said.output[1].arguments) == ("incomplete", '{"place": "Os')


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"input": []}, "input"),
        ({"input": 3}, "input"),
        ({"input": [{"role": "king", "content": "x"}]}, "role"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]}, "input_image"),
        ({"input": [{"type": "computer_call"}]}, "computer_call"),
        ({"tools": [{"type": "file_search"}]}, "file_search"),
        ({"tools": [WEATHER, WEATHER]}, "second tool"),
        ({"tool_choice": "required"}, "no tools"),
        ({"tool_choice": {"type": "web_search"}}, "tool_choice"),
        ({"background": True}, "background"),
        ({"conversation": "c"}, "conversation"),
        ({"text": {"format": {"type": "xml"}}}, "text.format"),
        ({"temperature": 9}, "temperature"),
        ({"include": "x"}, "include"),
        ({"previous_response_id": 3}, "previous_response_id"),
    ],
)
def test_bad_requests_are_refused(change: dict[str, Any], told: str) -> None:
    with serving(Scripted([])) as url:
        answer = httpx.post(f"{url}/responses", json={"model": "scripted", "input": "x", **change})
    assert answer.status_code == 400 and told in answer.json()["error"]["message"], answer.text


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    folder = tmp_path_factory.mktemp("checkpoint")
    speaking.write(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOONLET_HOME", str(tmp_path_factory.mktemp("home")))
        with moonlet.load(folder, threads=1, cache_tokens=8192) as loaded:
            yield loaded


FORM: Any = {"type": "json_schema", "name": "s", "schema": SCHEMA, "strict": True}
FEATURES: dict[str, dict[str, Any]] = {
    "plain": {},
    "logprobs": {"include": ["message.output_text.logprobs"], "top_logprobs": 3},
    "required call": {"tools": [WEATHER, PATCH], "tool_choice": "required"},
    "named call": {"tools": [WEATHER, PATCH], "tool_choice": {"type": "function", "name": "get_weather"}},
    "named custom call": {"tools": [WEATHER, PATCH], "tool_choice": {"type": "custom", "name": "apply_patch"}},
    "allowed tools": {
        "tools": [WEATHER, SPACE],
        "tool_choice": {
            "type": "allowed_tools",
            "mode": "required",
            "tools": [{"type": "function", "name": "get_weather"}],
        },
    },
    "one call": {"tools": [{**WEATHER, "strict": True}], "tool_choice": "required", "parallel_tool_calls": False},
    "no call": {"tools": [WEATHER], "tool_choice": "none"},
    "json object": {"text": {"format": {"type": "json_object"}}},
    "json schema": {"text": {"format": FORM}},
    "json schema beside tools": {"tools": [WEATHER], "text": {"format": FORM}},
    "developer": {
        "instructions": "Be brief.",
        "input": [{"role": "developer", "content": "x"}, {"role": "user", "content": "go"}],
    },
}


@pytest.mark.parametrize("name", FEATURES)
def test_streamed_equals_unstreamed_through_the_engine(model: Local, name: str) -> None:
    request: dict[str, Any] = {"model": model.name, "input": "hello", "max_output_tokens": 150, "temperature": 0}
    request |= FEATURES[name]
    with serving(model) as url, client(url) as asked:
        whole: Any = asked.responses.create(**request)
        *events, last = asked.responses.create(**request, stream=True)
    for answer in (whole, last.response):
        answer.usage.input_tokens_details.cached_tokens = 0  # the second one finds the prompt
    assert plain(last.response.model_dump()) == plain(whole.model_dump())
    deltas: list[Any] = [event for event in events if event.type == "response.output_text.delta"]
    assert "".join(event.delta for event in deltas) == whole.output_text
    if name == "logprobs":
        scored = [token for event in deltas for token in event.logprobs]
        assert scored and all(token.logprob <= 0 and len(token.top_logprobs) == 3 for token in scored)
        parts = [token for item in whole.output for part in item.content for token in part.logprobs]
        assert [token.token for token in parts] == [token.token for token in scored]
    if name.startswith("json"):
        jsonschema.validate(json.loads(whole.output_text), SCHEMA if "schema" in name else {"type": "object"})
    calls = [item for item in whole.output if item.type.endswith("_call")]
    assert bool(calls) == (request.get("tool_choice", "none") != "none")
    if "named" in name or name == "allowed tools":
        assert {call.name for call in calls} == {"apply_patch" if "custom" in name else "get_weather"}
    assert len(calls) == 1 or name != "one call"
    for call in calls:
        if call.type == "function_call":
            jsonschema.validate(json.loads(call.arguments), SCHEMA)


def test_the_real_engine_answers_and_reuses_what_went_before(model: Local) -> None:
    request: dict[str, Any] = {"model": model.name, "max_output_tokens": 200}
    with serving(model) as url, client(url) as asked:
        called: Any = asked.responses.create(
            **request, input="hello " * 60, tools=[WEATHER, PATCH], tool_choice="required"
        )
        assert called.status == "completed" and called.output
        for item in called.output:
            assert item.type in ("function_call", "custom_tool_call")
            if item.type == "function_call":
                jsonschema.validate(json.loads(item.arguments), SCHEMA)
        form: Any = {"format": {"type": "json_schema", "name": "s", "schema": SCHEMA}}
        first = asked.responses.create(**request, input="hello " * 60, text=form)
        jsonschema.validate(json.loads(first.output_text), SCHEMA)
        again = asked.responses.create(**request, input="and now?", previous_response_id=first.id)
        assert again.usage and again.usage.input_tokens_details.cached_tokens > 300


def test_half_a_surrogate_pair_in_a_custom_call_breaks_no_answer() -> None:
    call = ToolCall("functions.apply_patch:0", "apply_patch", '{"input": "a \\ud800 b"}')
    with serving(Scripted([Message("assistant", calls=(call,))] * 2)) as url, client(url) as asked:
        request: dict[str, Any] = {"model": "scripted", "input": "x", "tools": [PATCH]}
        whole: Any = asked.responses.create(**request)
        assert whole.output[0].input == "a \ufffd b"
        with asked.responses.stream(**request) as stream:
            assert stream.get_final_response().output[0].input == "a \ufffd b"  # type: ignore[union-attr]
