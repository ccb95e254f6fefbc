"""`moonlet eval`: what the suites ask, how it is judged, recorded, gone on with and shown."""

from __future__ import annotations

import json
import threading
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

import tiny
import vocabularies
from moonlet.chat.messages import CallArguments, CallEnd, CallStart, Message, Text, ToolCall, ToolSpec
from moonlet.chat.tokenizer import write_vocabulary
from moonlet.cli import UsageError, main, serve
from moonlet.cli.eval import _place
from moonlet.evals import card, catalogue, chart, kept, order, public_sets, short, suites
from moonlet.evals.arguments import legal
from moonlet.evals.asking import Candidate, EvalError, ask
from moonlet.evals.calls import same_calls
from moonlet.evals.patient import Patient
from moonlet.evals.question import Asked, Outcome, Played, Question
from moonlet.evals.rate import Rate
from moonlet.evals.record import Record, RecordError
from moonlet.evals.report import Report, report
from moonlet.llm import PLAIN, Done, Event, LLMError, RefusedError, ReplyOptions, Usage
from moonlet.llm.remote import Remote
from moonlet.local import converted, load
from moonlet.simulate.making import make
from moonlet.simulate.rollout import rollout
from moonlet.tools.tool import check
from serving import serving


class Answering:
    """A model that answers by a function of the conversation and the tools."""

    name = "answering"

    def __init__(self, answer: object) -> None:
        self._answer = answer
        self.asked = 0
        self._lock = threading.Lock()

    def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = (), options: ReplyOptions = PLAIN
    ) -> Iterator[Event]:
        with self._lock:
            self.asked += 1
        message = self._answer(messages, tools)  # type: ignore[operator]
        if message.content:
            yield Text(message.content)
        for index, call in enumerate(message.calls):
            yield CallStart(index, call.id, call.name)
            yield CallArguments(index, call.arguments)
            yield CallEnd(index, call)
        yield Done(message, "tool_calls" if message.calls else "stop", Usage(100, output_tokens=5))


def called(name: str, arguments: object) -> Message:
    return Message("assistant", calls=(ToolCall("functions.x:0", name, json.dumps(arguments)),))


BY_REQUEST = {one.request: one for one in catalogue.entries()}


def knowing(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> Message:
    """Knows the catalogue by heart, and nothing else."""
    one = BY_REQUEST.get(messages[-1].content)
    shown = {tool.name for tool in tools}
    return called(one.spec.name, one.right[0]) if one and one.spec.name in shown else Message("assistant", "No.")


def asked_all(questions: Sequence[Question], model: Answering) -> Report:
    candidate = Candidate("it", model)
    outcomes = ask(candidate, questions, {}, 2, lambda question, outcome: None)
    return report("tools", {"seed": 0}, questions, [(candidate, outcomes)])


def rates(told: Report) -> dict[str, Rate]:
    return {row.name: rate for row in told.rows if (rate := row.rates[0])}


# What is asked


def test_the_catalogue_is_128_tools_and_each_request_fits_its_tool() -> None:
    entries = catalogue.entries()
    assert len(entries) == len({one.spec.name for one in entries}) == len({one.request for one in entries}) == 128
    families = [one.family for one in entries]
    assert {families.count(family) for family in families} == {8}
    for one in entries:
        for arguments in one.right:
            assert check(arguments, one.spec.parameters, "arguments") is None, one
    assert catalogue.entry("create_task").spec.parameters["properties"]["priority"]["enum"] == ["low", "normal", "high"]
    assert catalogue.entry("create_task").spec.parameters["required"] == ["text"]
    assert all(catalogue.entry(name) for name, _ in catalogue.missing()) and len(catalogue.talk()) >= 40


def test_what_is_expected_was_said() -> None:
    """Arguments are words of the request, but for days of the week, sorts and other closed values."""
    for one in catalogue.entries():
        for key, value in one.right[0].items():
            if isinstance(value, str) and "enum" not in one.spec.parameters["properties"][key]:
                parts = value.split() if key == "at" else [value]
                assert all(part.casefold() in one.request.casefold() for part in parts), one


def test_the_suite_is_the_same_for_the_same_seed_and_no_question_comes_twice() -> None:
    first, again, other = (suites.questions(suites.TOOLS, seed, 4) for seed in (1, 1, 2))
    ids = [one.id for one in first]
    assert ids == [one.id for one in again] != [one.id for one in other]
    assert len(set(ids)) == len(ids)
    assert {one.group for one in first} == {
        "trigger", "choice", "arguments", "order", "use of results", "refusal", "recovery", "multi-turn state",
    }  # fmt: skip
    assert max(len(one.tools) for one in first if isinstance(one, Asked)) == 128
    assert len(suites.spread(first, 10)) == 10 and suites.spread(first, None) is first


def test_the_right_tool_is_shown_with_its_family_and_taken_away_for_a_refusal() -> None:
    for one in suites.TOOLS["choice"](0, 6):
        assert isinstance(one, Asked)
        if entry := BY_REQUEST.get(one.messages[-1].content):
            family = {other.spec.name for other in catalogue.entries() if other.family == entry.family}
            assert family <= {tool.name for tool in one.tools}
    for one in suites.TOOLS["refusal"](0, 6):
        assert isinstance(one, Asked)
        if entry := BY_REQUEST.get(one.messages[-1].content):
            assert entry.spec not in one.tools and len(one.tools) == 8


def test_who_knows_the_catalogue_passes_its_rows_and_who_calls_always_fails_refusals() -> None:
    parts = {name: suites.TOOLS[name] for name in ("trigger", "choice", "arguments", "refusal")}
    questions = suites.questions(parts, 0, 6)
    told = rates(asked_all(questions, Answering(knowing)))
    for row in (
        "right tool of 8",
        "right tool of 32",
        "right tool of 128",
        "whole call exact",
        "calls fit their schema",
    ):
        assert told[row].right == told[row].total == 6, row
    for row in ("no call when none is needed", "no call, tools that nearly fit", "no call, no tool comes near"):
        assert told[row].right == told[row].total > 0, row
    assert told["calls when a tool is wanted"] == Rate(3, 6)  # the worlds it does not know
    eager = rates(asked_all(questions, Answering(lambda messages, tools: called(tools[0].name, {"oops": 1}))))
    assert eager["calls when a tool is wanted"].right == 6 and eager["whole call exact"].right == 0
    missing = "asks when something is missing"
    assert eager["no call, tools that nearly fit"].right == eager[missing].right == 0
    for words, right in (("I can't do that.", 0), ("For how long?", 6)):
        said = rates(asked_all(questions, Answering(lambda messages, tools, words=words: Message("assistant", words))))
        assert said[missing] == Rate(right, 6)


def test_a_call_is_legal_by_name_json_and_schema() -> None:
    tools = [catalogue.entry("start_timer").spec]
    assert legal(called("start_timer", {"minutes": 5}), tools)
    assert not legal(called("start_timer", {"minutes": "five"}), tools)
    assert not legal(called("stop_timer", {"minutes": 5}), tools)
    assert not legal(Message("assistant", calls=(ToolCall("", "start_timer", "{minutes"),)), tools)


def test_tasks_are_judged_by_what_their_solutions_do() -> None:
    """The model that knows the way passes every task and tells every result; one that talks passes none."""
    parts = {name: suites.TOOLS[name] for name in ("order", "results", "recovery", "state")}
    questions = suites.questions(parts, 0, 2)
    talk = rates(asked_all(questions, Answering(lambda messages, tools: Message("assistant", "All right."))))
    assert len(talk) == 10 and not any(rate.right for rate in talk.values())
    for one in questions:
        if isinstance(one, Asked):
            told = [text for message in one.messages if message.role == "tool" for text in [message.content]]
            assert all(one.judge(Message("assistant", " ".join(told))).values()), one.id


def test_other_words_are_other_questions() -> None:
    """A record of answers to questions of the same names and other words is not gone on with."""
    asked = suites.questions({name: suites.TOOLS[name] for name in ("trigger", "order")}, 0, 2)
    one, *rest = asked
    assert isinstance(one, Asked)
    other = replace(one, messages=(*one.messages[:-1], Message("user", "something else")))
    assert suites.digest(asked) == suites.digest(list(asked)) != suites.digest([other, *rest])


def test_a_run_with_answers_goes_on_though_all_that_is_left_is_refused() -> None:
    def long(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> Message:
        if len(tools) > 32:
            raise RefusedError("too many tools")
        return knowing(messages, tools)

    questions = suites.TOOLS["choice"](0, 12)
    candidate = Candidate("it", Answering(long))
    whole = ask(candidate, questions, {}, 1, lambda question, outcome: None)
    answered = {id: outcome for id, outcome in whole.items() if not outcome.refused}
    assert ask(candidate, questions, answered, 1, lambda question, outcome: None) == whole


def test_arguments_without_end_are_wrong_ones() -> None:
    for arguments in ("[" * 200_000, '{"a": ' + "[" * 900 + "]" * 900 + "}"):
        call = ToolCall("functions.x:0", "find", arguments)
        assert not same_calls([call], [("find", {"a": 1})])


def test_order_is_that_of_the_solution() -> None:
    (one,) = order.questions(0, 1)
    assert isinstance(one, Played)
    task, done = make(one.key)[0], rollout(one.key, None)
    assert one.judge(task, done) == {order.ORDER: True, order.GOAL: True}
    calls = [message for message in done.messages if message.calls]
    backwards = replace(done, messages=tuple(reversed(calls)))
    assert one.judge(task, backwards)[order.ORDER] is False


def test_steps_that_need_nothing_of_one_another_may_stand_side_by_side() -> None:
    wanted = [[], [], [0, 1]]  # two look-ups, and a call that needs both
    keys = [one.key for one in order.questions(0, 60) if isinstance(one, Played)]
    key = next(key for key in keys if order.needs(make(key)[0]) == wanted)
    task, done = make(key)[0], rollout(key, None)
    first, second, last = [call for message in done.messages for call in message.calls]

    def judged(*turns: Sequence[ToolCall]) -> bool:
        messages = tuple(Message("assistant", "", calls=tuple(calls)) for calls in turns)
        return order.judge(task, replace(done, messages=messages))[order.ORDER]

    assert judged([first, second], [last]) and judged([second], [first], [last])
    assert not judged([first, second, last]) and not judged([first], [last], [second])


def test_parts_that_need_nothing_of_one_another_may_come_in_either_order() -> None:
    """Also where they call the same tools: the second part's look-up is not taken for the first's."""
    for one in order.questions(0, 40):
        assert isinstance(one, Played)
        task = make(one.key)[0]
        if order.needs(task) == [[], [0], [], [2]]:
            break
    done = rollout(one.key, None)
    calls = [call for message in done.messages for call in message.calls]
    assert calls[0].name == calls[2].name
    swapped = tuple(Message("assistant", "", calls=(call,)) for call in (*calls[2:], *calls[:2]))
    assert order.judge(task, replace(done, messages=swapped))[order.ORDER]


# How it is asked


def test_an_endpoint_that_fails_is_asked_again_and_a_refusal_is_not() -> None:
    class Failing:
        name = "failing"

        def __init__(self, *errors: Exception) -> None:
            self.left = list(errors)

        def reply(self, messages: object, tools: object = (), options: object = PLAIN) -> Iterator[Event]:
            if self.left:
                raise self.left.pop(0)
            yield Done(Message("assistant", "Here."), "stop", Usage(3, output_tokens=2))

    model = Patient(Failing(LLMError("busy"), LLMError("busy")), waits_s=(0, 0))
    assert [type(event) for event in model.reply([])] == [Done] and model.prompt_tokens == 3 and not model.failure
    for error in (RefusedError("too long"), LLMError("x: HTTP 401: bad key")):
        failing = Failing(error, error)
        with pytest.raises(LLMError):
            list(Patient(failing, waits_s=(0, 0)).reply([]))
        assert len(failing.left) == 1


def test_refused_questions_are_wrong_and_a_model_that_refuses_all_is_told_at_once() -> None:
    def long(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> Message:
        if len(tools) > 32:
            raise RefusedError("too many tools")
        return knowing(messages, tools)

    told = asked_all(suites.TOOLS["choice"](0, 3), Answering(long))
    assert rates(told)["right tool of 128"] == Rate(0, 3) and rates(told)["right tool of 32"] == Rate(3, 3)
    assert told.columns[0].refused == {"too many tools": 3}
    assert any("3 questions got no reply" in note for note in chart.notes_of(told))

    def never(messages: object, tools: object) -> Message:
        raise RefusedError("no such model")

    never_answers = Answering(never)
    with pytest.raises(EvalError, match="no such model"):
        asked_all(suites.TOOLS["choice"](0, 12), never_answers)
    assert never_answers.asked < 20

    heard: list[str] = []
    questions = suites.TOOLS["choice"](0, 12)
    with pytest.raises(EvalError):
        ask(Candidate("it", never_answers), questions, {}, 2, lambda question, outcome: heard.append(question.id))
    assert not heard  # nothing of it is recorded as wrong
    ask(Candidate("it", never_answers), questions[:3], {}, 2, lambda question, outcome: heard.append(question.id))
    assert sorted(heard) == sorted(one.id for one in questions[:3])


def test_a_run_that_was_killed_goes_on(tmp_path: Path) -> None:
    path, settings = tmp_path / "run.jsonl", {"suite": "tools", "seed": 0}
    questions = suites.TOOLS["refusal"](0, 3)
    first = Answering(knowing)
    with Record(path, settings) as record:
        assert not record.kept
        for one in questions[:4]:
            record.add("it", one.id, one.ask(Patient(first), PLAIN))
    with path.open("a") as file:
        file.write('{"model": "it", "questi')  # the line that was being written
    second = Answering(knowing)
    with Record(path, settings) as record:
        heard: list[str] = []

        def tell(question: Question, outcome: Outcome) -> None:
            record.add("it", question.id, outcome)
            heard.append(question.id)

        done = ask(Candidate("it", second), questions, record.known("it"), 2, tell)
        assert not record.known("another")
    assert second.asked == len(questions) - 4 == len(heard) and len(done) == len(questions)
    assert len(path.read_text().splitlines()) == 1 + len(questions)
    with pytest.raises(RecordError, match="seed 0, asked now with 1"):
        Record(path, {**settings, "seed": 1})
    with Record(path, settings) as record:
        record.identify("owned", "sha256 1")
        record.add("owned", questions[0].id, questions[0].ask(Patient(first), PLAIN))
    with Record(path, settings) as record:
        record.identify("owned", "sha256 1")
        assert len(record.known("owned")) == 1
        with pytest.raises(RecordError, match="owned was sha256 1, is now sha256 2"):
            record.identify("owned", "sha256 2")
    for nothing in (b"nothing\n", b"\xff\n", b'{"settings": []}\n', b"[" * 100_000 + b"\n"):
        path.write_bytes(nothing)
        with pytest.raises(RecordError, match="not the record"):
            Record(path, settings)


# How it is shown


def test_two_models_stand_side_by_side_in_table_chart_and_page() -> None:
    questions = suites.TOOLS["refusal"](0, 3)
    models = [Candidate("owned", Answering(knowing)), Candidate("<rented>", Answering(lambda m, t: called("x", {})))]
    found = [(one, ask(one, questions, {}, 2, lambda question, outcome: None)) for one in models]
    told = report("tools", {"seed": 0, "n": 3}, questions, found)
    assert [rate.right for row in told.rows for rate in row.rates if rate] == [3, 0] * 3
    page = chart.html(told)
    assert page.count("<rect") == 2 + 6 and "100 % (44 to 100)" in page and "&lt;rented&gt;" in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    assert json.loads(json.dumps(told.as_json()))["rows"][0]["rates"][0] == {
        "right": 3, "total": 3, "low": 0.4385, "high": 1.0,
    }  # fmt: skip


def test_the_card_gets_its_table_and_keeps_the_rest() -> None:
    rate = {"right": 3, "total": 4, "low": 0.3, "high": 0.95}
    ways = [{"decoding": "constrained"}, {"decoding": "free"}]
    told = {"columns": ways, "rows": [{"group": "g", "row": "r", "rates": [rate, None]}]}
    before = "# card\n\n| | constrained | free |\n| --- | --- | --- |\n| old | 1 | 2 |\n\nrest\n"
    after = card.written(before, told)
    assert after == before.replace("| old | 1 | 2 |", "| **g** | | |\n| r | 75 % (30 to 95; n = 4) |  |")
    bfcl = [{"category": "simple_python", "decoding": "free", "right": rate}]
    assert "| simple_python |  | 75 % (30 to 95; n = 4) |\n\nrest" in card.written(before, told, bfcl)
    with pytest.raises(card.CardError):
        card.written("# no table\n", told)
    with pytest.raises(card.CardError):
        card.written(before, {**told, "columns": ways[:1]})


# The command


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that knows nothing, with a small vocabulary."""
    folder = tmp_path_factory.mktemp("eval")
    pieces = vocabularies.small_pieces()
    tiny.write(folder, "moonlight", "bf16", changes={"vocab_size": len(pieces) + 32})
    write_vocabulary(folder, pieces)
    return folder


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MOONLET_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_the_command_measures_a_folder_both_ways_and_goes_on(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record, page = tmp_path / "r.jsonl", tmp_path / "page.html"
    command = (
        f"eval tools {model} --constrained --free -n 2 --limit 4 --only trigger,refusal --max-tokens 8 --threads 1"
    )
    command += f" --record {record} --html {page} --json"
    assert main(command.split()) == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["decoding"] for one in told["columns"]] == ["constrained", "free"] and told["n"] == 2
    assert sum(rate["total"] for row in told["rows"] for rate in row["rates"] if rate) == 8
    assert "<svg" in page.read_text()
    lines = record.read_text()
    assert main(command.split()) == 0 and record.read_text() == lines
    assert json.loads(capsys.readouterr().out) == told


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        ("eval tools nano --only humour", "--only humour: tools asks trigger, choice"),
        ("eval tools nano --data x", "--data is for held-out"),
        ("eval held-out nano --only public", "and with --data public"),
        ("eval tools NO_KEY_HERE=http://127.0.0.1:1/v1", "the environment has no NO_KEY_HERE"),
        ("eval tools http://127.0.0.1:1/v1", "cannot connect"),
        ("eval tools http://127.0.0.1:1/v1 --free", "an endpoint decides itself"),
        ("eval tools nano --temperature 9", "temperature must be"),
        ("eval held-out nano --data /nowhere", "/nowhere: no seal-tools/dev.jsonl.xz"),
        ("doctor http://127.0.0.1:1/v1", "--tools tries one"),
    ],
)
def test_mistakes_are_told_in_a_line(command: str, fault: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command.split()) == 2
    told = capsys.readouterr().err
    assert fault in told and len(told.splitlines()) == 1
    assert not (home / "evals").exists()


def test_two_endpoints_answer_the_same_questions_and_get_no_key_that_is_not_named_with_them(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over the real server; a key that it does not need would be refused if it were sent to one that has keys."""
    monkeypatch.setenv("MOONLET_API_KEY", "secret")
    silent = Answering(lambda messages, tools: Message("assistant", "No."))
    opened: list[str] = []

    class Heard(Remote):
        def __init__(self, url: str, model: str | None = None, key_name: str = "") -> None:
            opened.append(key_name)
            super().__init__(url, model, key_name)

    monkeypatch.setattr("moonlet.cli.eval.Remote", Heard)
    with serving(Answering(knowing)) as owned, serving(silent) as rented:
        command = f"eval tools {owned} RENTED=answering@{rented} -n 2 --only arguments,refusal --json"
        monkeypatch.setenv("RENTED", "another")
        assert main(command.split()) == 0
    assert opened == ["", "RENTED"]
    told = json.loads(capsys.readouterr().out)
    first, second = (one["label"] for one in told["columns"])
    assert first == "answering" and second.startswith("answering at 127.0.0.1:")
    exact = next(row for row in told["rows"] if row["row"] == "whole call exact")
    assert [rate["right"] for rate in exact["rates"]] == [2, 0]


def test_an_endpoint_is_written_with_its_name_and_the_variable_of_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RENTED", "secret")
    place = _place("RENTED=vendor/model-2@https://example.org/v1")
    assert place and (place.variable, place.name, place.url) == ("RENTED", "vendor/model-2", "https://example.org/v1")
    plain = _place("http://127.0.0.1:8000/v1")
    assert plain and plain.variable is None and plain.name is None
    assert _place("some/folder") is None
    with pytest.raises(UsageError):
        _place("ABSENT=https://example.org/v1")


def test_the_short_form_is_kept_for_this_very_model(
    model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(short, "REPLY_TOKENS", 8)
    questions = short.questions()
    assert len(questions) == 24 and all(isinstance(one, Asked) for one in questions)
    told = rates(asked_all(questions, Answering(knowing)))
    assert all(rate.right == rate.total for rate in told.values()) and len(told) == 6
    folder = converted(model)
    assert kept.kept(folder) is None
    with load(folder) as local:
        hint = serve._tried(Namespace(model="it", no_trial=True), local)
    assert hint and hint.startswith("not tried yet; `moonlet doctor --tools it`")
    assert main(f"doctor {folder} --tools --json".split()) == 0
    found = json.loads(capsys.readouterr().out)["tools"]
    assert {row["row"] for row in found["rows"]} >= {short.TOOL, short.EXACT, short.TALK, short.REFUSED}
    assert kept.kept(folder) == found and "right tool of 12 0 of 12" in kept.line(found)
    with load(folder) as local:
        assert serve._tried(Namespace(model="it", no_trial=False), local) == kept.line(found)


# Public sets


def test_requests_of_public_sets(tmp_path: Path) -> None:
    import lzma

    (tmp_path / "seal-tools").mkdir()
    (tmp_path / "sgd").mkdir()

    def write(name: str, rows: Sequence[object]) -> None:
        (tmp_path / name).write_bytes(lzma.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))

    def tool(name: str) -> dict[str, object]:
        takes = {"town": {"type": "str", "description": "The town"}, "year": {"type": "int", "description": "The year"}}
        own = {"api_name": name, "api_description": f"The {name}", "field": "Towns/All", "parameters": takes}
        return {**own, "required": ["town"], "responses": {}}

    write("seal-tools/tool.jsonl.xz", [tool("getMayor"), tool("getHeight")])
    calls = [{"api": "getMayor", "parameters": {"town": "Bree"}}]
    nested = [{"api": "getHeight", "parameters": {"town": "API_call_0"}}]
    write("seal-tools/dev.jsonl.xz", [{"id": "1", "query": "Who rules Bree?", "calling": calls},
                                      {"id": "2", "query": "q", "calling": nested}])  # fmt: skip
    slot = {"name": "city", "description": "City", "is_categorical": False, "possible_values": []}
    find = {"name": "FindTable", "description": "Find one", "required_slots": ["city"], "optional_slots": {}}
    services = [{"service_name": name, "slots": [slot], "intents": [find]} for name in ("Old_1", "New_1")]
    (tmp_path / "sgd" / "schema_train.json").write_text(json.dumps(services[:1]))
    (tmp_path / "sgd" / "schema_dev.json").write_text(json.dumps(services))
    call = {"method": "FindTable", "parameters": {"city": "Bree"}, "results": [], "n_results": 0}
    dialogues = [
        {"id": name, "services": [name], "turns": [{"who": "U", "text": "A table in Bree."},
         {"who": "S", "text": "None.", "calls": [{**call, "service": name}]}]}
        for name in ("Old_1", "New_1")
    ]  # fmt: skip
    write("sgd/sgd_dev.jsonl.xz", dialogues)
    seal, sgd = public_sets.questions(tmp_path, 0, 300)
    assert isinstance(seal, Asked) and isinstance(sgd, Asked)
    assert (seal.id, sgd.id) == ("seal/1", "sgd/New_1") and len(seal.tools) == 2
    right = called("getMayor", {"town": "bree"})
    assert seal.judge(right) == {"right tool": True, "whole call exact": True}
    assert seal.judge(called("getMayor", {"town": "Rohan"})) == {"right tool": True, "whole call exact": False}
    (name,) = {tool.name for tool in sgd.tools}
    assert all(sgd.judge(called(name, {"city": "Bree"})).values()) and sgd.messages[-1].content == "A table in Bree."
