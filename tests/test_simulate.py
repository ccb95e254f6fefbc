"""`moonlet simulate`: the command, rollouts side by side, and mocks of MCP servers."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from random import Random

import pytest
from jsonschema import Draft202012Validator

from moonlet.chat.messages import ToolCall, ToolSpec
from moonlet.cli import main
from moonlet.llm.scripted import Scripted
from moonlet.simulate.keys import mock_suite, suite
from moonlet.simulate.mock.roles import understood
from moonlet.simulate.mock.server import Example, Offered, Server, ServerError, inlined, read_server
from moonlet.simulate.mock.tasks import kinds, make_mock
from moonlet.simulate.mock.values import value
from moonlet.simulate.mock.world import Mock
from moonlet.simulate.parallel import Players, rollouts
from moonlet.simulate.report import Row
from moonlet.simulate.rollout import Trajectory, replay, rollout
from moonlet.simulate.stage import Stage
from moonlet.tools.tool import call, parameters

TEXT = {"type": "string"}
TEXTS = {"type": "array", "items": TEXT}


def _offered(
    name: str, about: str, required: dict, optional: dict | None = None, reads: bool = False, **output: dict
) -> Offered:
    declared = {"type": "object", "properties": output} if output else {}
    return Offered(ToolSpec(name, about, parameters(required, optional)), declared, reads)


def _rows(**fields: dict) -> dict:
    return {"type": "array", "items": {"type": "object", "properties": fields, "required": list(fields)}}


GRAPH = Server(
    "graph",
    (
        _offered("create_people", "Create several people.", {"people": _rows(name=TEXT, role=TEXT, remarks=TEXTS)}),
        _offered("add_remarks", "Add remarks to people.", {"remarks": _rows(personName=TEXT, contents=TEXTS)}),
        _offered("delete_people", "Delete people.", {"personNames": TEXTS}),
        _offered("open_entries", "Open entries by name.", {"names": TEXTS}, reads=True),
        _offered("search_entries", "Search everything.", {"query": TEXT}, reads=True),
        _offered("write_file", "Write a file.", {"path": TEXT, "content": TEXT}),
        _offered("read_file", "Read a file.", {"path": TEXT}, reads=True),
        _offered("move_file", "Move a file.", {"source": TEXT, "destination": TEXT}),
        _offered("convert_time", "Convert a time (24 hours).", {"source_timezone": TEXT, "time": TEXT}, reads=True,
                 source={"type": "object", "properties": {"timezone": TEXT}}, minutes={"type": "integer"}),
    ),
    (Example("convert_time", {"source_timezone": "Asia/Tokyo", "time": "10:00"}, {"minutes": 42}),),
)  # fmt: skip


def _called(stage: Stage, name: str, **arguments: object) -> dict:
    return json.loads(call(stage.tools(), ToolCall("1", name, json.dumps(arguments))))


def test_roles_are_read_from_names_and_schemas() -> None:
    found = {one.name: (one.role, one.table, one.member) for one in understood(GRAPH.tools)}
    assert found["create_people"] == ("create", "people", "")
    assert found["open_entries"] == ("read", "", "") and found["search_entries"] == ("search", "", "")
    assert found["write_file"] == ("create", "file", "") and found["read_file"] == ("read", "file", "")
    assert found["convert_time"][0] == "compute"


def test_a_mock_keeps_state() -> None:
    mock = Mock(GRAPH)
    stage = Stage(mock.state(Random(1), "en"), mock.operations())
    _called(stage, "write_file", path="/a/b.txt", content="hello")
    assert _called(stage, "read_file", path="/a/b.txt") == {"path": "/a/b.txt", "content": "hello"}
    _called(stage, "move_file", source="/a/b.txt", destination="/c.txt")
    assert "not found" in _called(stage, "read_file", path="/a/b.txt")["error"]
    assert _called(stage, "read_file", path="/c.txt")["content"] == "hello"
    _called(stage, "create_people", people=[{"name": "Ann", "role": "baker", "remarks": ["tall"]}])
    assert _called(stage, "open_entries", names=["Ann"])["role"] == "baker"
    assert "Ann" in str(_called(stage, "search_entries", query="baker"))
    _called(stage, "delete_people", personNames=["Ann"])
    assert "not found" in _called(stage, "open_entries", names=["Ann"])["error"]
    assert stage.effects() == ('add file {"content": "hello", "path": "/c.txt"}',)


def test_what_is_computed_is_recorded_or_always_the_same() -> None:
    mock = Mock(GRAPH)
    stage = Stage(mock.state(Random(1), "en"), mock.operations())
    assert _called(stage, "convert_time", source_timezone="Asia/Tokyo", time="10:00") == {"minutes": 42}
    first = _called(stage, "convert_time", source_timezone="Europe/Paris", time="11:00")
    assert first == _called(stage, "convert_time", source_timezone="Europe/Paris", time="11:00")
    assert first["source"] == {"timezone": "Europe/Paris"} and isinstance(first["minutes"], int)


def test_tasks_for_a_mock_are_solved_replayed_and_not_passed_by_words() -> None:
    keys = mock_suite(GRAPH, 36, languages=("en", "th", "zh"))
    assert {key.kind for key in keys} == set(kinds(GRAPH)) >= {"single", "steps", "clarify", "missing", "explain"}
    for key in keys:
        done = rollout(key, None, server=GRAPH)
        assert done.verdict.passed, (str(key), done.verdict.faults())
        assert replay(Trajectory.parse(done.line())).line() == done.line()
        if key.kind not in ("talk", "no_tool"):
            assert not rollout(key, Scripted(["I cannot find it."] * 12), server=GRAPH).verdict.passed


def test_definitions_are_put_in_their_places() -> None:
    schema = {
        "$defs": {"P": {"type": "object", "properties": {"next": {"$ref": "#/$defs/P"}}}},
        "properties": {"p": {"$ref": "#/$defs/P"}},
    }
    assert inlined(schema)["properties"]["p"]["properties"]["next"]["type"] == "object"


def test_odd_schemas_of_a_server() -> None:
    """A parameter may be called "definitions", a required one be nowhere declared, and a number have narrow bounds."""
    dose = {"type": "number", "minimum": 0.1, "maximum": 0.9}
    odd = {"type": "object", "properties": {"definitions": TEXT, "dose": dose}}
    parameters = inlined({**odd, "required": ["definitions", "dose", "ghost"], "$schema": "x"})
    assert set(parameters) == {"type", "properties", "required"} and "definitions" in parameters["properties"]
    define = Offered(ToolSpec("define_word", "Define a word.", parameters), {}, False)
    server = Server("odd", (define, *GRAPH.tools[:2]))
    for key in mock_suite(server, 24):
        done = rollout(key, None, server=server)
        calls = [one for message in done.messages for one in message.calls if one.name == "define_word"]
        assert all(0.1 <= json.loads(one.arguments)["dose"] <= 0.9 for one in calls)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "maxLength": 3},
        {"type": "string", "minLength": 90},
        {"type": "array", "maxItems": 1, "items": {"type": "string"}},
        {"type": "integer", "exclusiveMaximum": 3},
        {"type": "integer", "exclusiveMinimum": 70},
        {"type": "integer", "multipleOf": 5},
        True,
        {"type": "number", "minimum": 0.2, "maximum": 0.4},
        {"type": "number", "maximum": -4},
    ],
)
def test_made_up_values_fit_their_schemas(schema: dict[str, object] | bool) -> None:
    for seed in range(20):
        made = value(schema, "notes", Random(seed))
        assert Draft202012Validator(schema).is_valid(made), made


def test_schemas_of_servers_that_are_odd_or_none_end_nothing() -> None:
    odd = {"any": True, "never": False, "none": {"type": "integer", "multipleOf": 0}, "endless": {"minLength": 10**9}}
    thing = inlined({"type": "object", "properties": odd, "required": ["any", "none", "endless"]})
    server = Server("odd", (Offered(ToolSpec("make_thing", "Make a thing.", thing), thing, False), *GRAPH.tools))
    for key in mock_suite(server, 24):
        assert not any(name == "make_thing" for name, _ in make_mock(key, server)[0].goal.calls)


def test_records_with_numbers_for_keys_are_named_by_them() -> None:
    """And an issue that is known by its title here is not named by a number."""
    number = {"type": "integer"}
    items = (
        _offered("create_item", "Create an item.", {"id": number, "label": TEXT}),
        _offered("get_item", "Read an item.", {"id": number}, reads=True),
        _offered("delete_item", "Delete an item.", {"id": number}),
    )
    issues = (
        _offered("create_issue", "Create an issue.", {"title": TEXT, "body": TEXT}),
        _offered("close_issue", "Close an issue.", {"issue_number": number}),
    )
    for server in (Server("items", items), Server("issues", issues)):
        for key in mock_suite(server, 36):
            done = rollout(key, None, server=server)
            results = [message.content for message in done.messages if message.role == "tool"]
            assert done.verdict.passed and not any("must be" in result for result in results)
            assert key.kind == "missing" or not any("not found" in result for result in results)


def test_a_day_in_a_result_may_be_told_as_people_write_it() -> None:
    day = _offered("next_free_day", "The next free day.", {}, reads=True)
    server = Server("days", (day,), (Example("next_free_day", {}, {"date": "2026-07-12"}),))
    key = next(key for key in mock_suite(server, 60) if key.kind == "single" and key.language == "en")
    task, _ = make_mock(key, server)
    assert any("July 12" in way for ways in task.goal.told for way in ways)


def test_the_right_way_tells_what_each_fact_is_and_what_is_asked_for_is_new() -> None:
    zones = {"source": TEXT, "time": TEXT, "target": TEXT}
    arguments = {"source": "Asia/Tokyo", "time": "10:00", "target": "Europe/Paris"}
    result = {
        "source": {"timezone": "Asia/Tokyo", "datetime": "2026-07-12T10:00"},
        "target": {"timezone": "Europe/Paris", "datetime": "2026-07-12T03:00"},
        "difference": "-7h",
    }
    server = Server(
        "clock", (_offered("convert", "Convert a time.", zones, reads=True),), (Example("convert", arguments, result),)
    )
    key = next(key for key in mock_suite(server, 60) if key.kind == "single" and key.persona == "plain")
    task, _ = make_mock(key, server)
    assert "target datetime 2026-07-12T03:00, difference -7h" in task.solution[-1].content
    assert task.goal.told == (("2026-07-12T10:00",), ("2026-07-12T03:00",), ("-7h",))


def test_no_task_asks_for_what_a_schema_forbids() -> None:
    """Nothing can be made up for a pattern: a tool that wants one is shown, and in no task wanted."""
    plate = {"plate": {"type": "string", "pattern": "^[A-Z]{3}$"}}
    odd = Offered(ToolSpec("find_car", "Find a car.", parameters(plate)), plate, True)
    server = Server("cars", (odd, *GRAPH.tools))
    for key in mock_suite(server, 20, seed=1):
        wanted = make_mock(key, server)[0].goal.calls
        assert not any(name == "find_car" for name, _ in wanted)


def test_a_running_server_is_read_and_mocked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("mcp", reason="the MCP SDK is not installed")
    command = f"{sys.executable} {Path(__file__).parent / 'shelf_server.py'}"
    server = read_server(command, record=[{"tool": "page_minutes", "arguments": {"pages": 30}}])
    assert server.name == "shelf_server-py" and len(server.tools) == 5
    assert server.examples == (Example("page_minutes", {"pages": 30}, {"minutes": 60}),)
    assert Server.from_json(json.loads(json.dumps(server.as_json()))) == server
    out = tmp_path / "t.jsonl"
    assert (
        main(["simulate", "solution", "--from-mcp", command, "-n", "9", "--workers", "1", "--out", str(out), "--json"])
        == 0
    )
    told = json.loads(capsys.readouterr().out)
    assert told["rows"][-1] == {**told["rows"][-1], "name": "all", "tasks": 9, "passed": 9}
    assert main(["simulate", "--replay", str(out)]) == 0


@pytest.mark.parametrize(
    ("command", "said"), [("", "empty"), ("/no/such/server", "No such file"), (f"{sys.executable} -c pass", "-c pass")]
)
def test_a_server_that_does_not_come_up_is_said_in_one_line(command: str, said: str) -> None:
    pytest.importorskip("mcp", reason="the MCP SDK is not installed")
    with pytest.raises(ServerError, match=said):
        read_server(command)


def test_examples_that_cannot_be_read_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("mcp", reason="the MCP SDK is not installed")
    path = tmp_path / "e.jsonl"
    path.write_text('{"tool": "x"}\n')
    command = f"{sys.executable} {Path(__file__).parent / 'shelf_server.py'}"
    assert main(["simulate", "solution", "--from-mcp", command, "--examples", str(path)]) == 2
    assert "line 1" in capsys.readouterr().err


def test_rollouts_side_by_side_are_those_one_after_another() -> None:
    keys = suite(6, seed=3)
    alone = list(rollouts(keys, Players(), workers=1))
    beside = list(rollouts(keys, Players(), workers=2))
    assert [one.messages for one in alone] == [one.messages for one in beside]
    assert all(one.verdict.passed for one in beside)
    shared = list(rollouts(keys, Players(Scripted(["No."] * 99)), workers=3))
    assert [str(one.key) for one in shared] == [str(key) for key in keys]


def test_the_command_reports_and_writes_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "t.jsonl"
    assert (
        main(["simulate", "solution", "-n", "11", "--workers", "1", "--out", str(out), "--domains", "shop,bank"]) == 0
    )
    told = capsys.readouterr().out
    assert "passed" in told and "100%" in told
    assert len(out.read_text().splitlines()) == 11
    assert main(["simulate", "--replay", str(out)]) == 0
    assert "11 trajectories" in capsys.readouterr().out
    out.write_text(out.read_text().replace("functions.", "functions_", 1))
    assert main(["simulate", "--replay", str(out)]) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--domains", "zoo"], "no domain 'zoo'"),
        (["--kinds", "hard"], "no kind of task"),
        (["--languages", "fr"], "no language"),
        (["--examples", "x"], "--from-mcp"),
        (["--user", "somebody"], "URL"),
        (["--temperature", "9"], "temperature"),
        (["--domains", "units", "--kinds", "refused"], "no tasks"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", "solution", *arguments]) == 2
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1


def test_intervals_hold_what_they_say() -> None:
    low, high = Row("", 100, 50, 0, 0, 0, 0).interval
    assert 0.40 < low < 0.41 and 0.59 < high < 0.60
    assert Row("", 10, 10, 0, 0, 0, 0).interval[1] == 1.0 and Row("", 10, 0, 0, 0, 0, 0).interval[0] == 0.0
