"""The record of a run: whole, owned, and enough to go on from wherever a crash cut it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from moonlet.agent import Agent, CallResult, Ended, Limits
from moonlet.agent.record import Record, RecordError
from moonlet.chat.messages import Message, Text, ToolCall, ToolSpec, to_openai
from moonlet.llm import Usage
from moonlet.llm.scripted import Scripted
from moonlet.tools.tool import Tool, parameters

WORD = parameters(optional={"word": {"type": "string"}})


def _call(name: str, index: int, **arguments: Any) -> ToolCall:
    return ToolCall(f"functions.{name}:{index}", name, json.dumps(arguments))


# A run of four replies: two reads side by side, a change between two reads, another change, the end.
REPLIES = (
    Message("assistant", "", "Look first.", (_call("read", 0, word="a"), _call("read", 1, word="b"))),
    Message("assistant", calls=(_call("read", 2), _call("write", 3, word="c"), _call("read", 4))),
    Message("assistant", calls=(_call("write", 5, word="d"),)),
    Message("assistant", "All done."),
)


def _next(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> Message:
    """What the model says depends on the history alone, so it can be asked again after a crash."""
    answered = {message.call_id for message in messages if message.role == "tool"}
    for message in messages:
        assert all(call.id in answered for call in message.calls), "a call without a result"
    return REPLIES[sum(message.role == "assistant" for message in messages)]


def _tools(ran: Counter[str]) -> list[Tool]:
    def run(name: str) -> Any:
        def work(given: Mapping[str, Any]) -> str:
            ran[f"{name} {given.get('word', '')}"] += 1
            return f"{name} done"

        return work

    return [Tool(ToolSpec("read", "", WORD), run("read")), Tool(ToolSpec("write", "", WORD), run("write"), True)]


def _model() -> Scripted:
    return Scripted([_next] * 9, name="model")


def test_a_record_is_the_history(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "run.jsonl"
    record = Record.create(path, "model")
    agent = Agent(_model(), _tools(Counter()), [Message("system", "Be good.")], record=record)
    end = list(agent.ask("Do it"))[-1]
    assert isinstance(end, Ended)
    record.close()
    assert path.stat().st_mode & 0o777 == 0o600
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["event"] for line in lines[:4]] == ["start", "message", "message", "reply"]
    assert Counter(line["event"] for line in lines) == Counter(
        {"start": 1, "message": 2, "reply": 4, "call": 6, "result": 6, "end": 1}
    )
    again, past = Record.resume(path)
    assert past.history == agent.history and past.ended and not past.open
    assert past.history[2].thinking == "Look first."
    assert past.spent == end.spent and past.spent.calls == 6
    follow = Agent(Scripted(["Anything."]), past=past, record=again)
    assert isinstance(list(follow.ask("And now?"))[-1], Ended)
    again.close()
    assert Record.resume(path)[1].history == follow.history


def test_a_reply_that_was_stopped_is_given_again_whole(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    record = Record.create(path, "model")
    events = Agent(Scripted(["The first half and the rest."]), record=record).ask("Tell me")
    next(event for event in events if isinstance(event, Text))
    events.close()
    record.close()
    record, past = Record.resume(path)
    assert past.broken and past.history[-1].role == "assistant"
    agent = Agent(Scripted(["All of it."]), past=past, record=record)
    assert isinstance(list(agent.run())[-1], Ended)
    record.close()
    assert [message.content for message in agent.history] == ["Tell me", "All of it."]
    assert Record.resume(path)[1].history == agent.history


def test_what_a_run_took_is_known_after_a_crash(tmp_path: Path) -> None:
    """Calls side by side took the time of the longest, and replies to others count."""
    path = tmp_path / "run.jsonl"
    record = Record.create(path, "model")
    agent = Agent(_model(), (), record=record)
    agent.charge(Usage(700, output_tokens=30))
    record.close()
    calls = tuple(ToolCall(f"c{i}", "read", "{}") for i in range(4))
    began = json.loads(path.read_text().splitlines()[-1])["time"]
    with path.open("a") as out:
        reply = {"message": to_openai(Message("assistant", "", calls=calls)), "finish": "tool_calls", "usd": 0}
        lines: list[dict[str, object]] = [
            {
                "event": "reply",
                "time": began + 1,
                "seconds": 1,
                "usage": {"prompt_tokens": 5, "output_tokens": 5},
                **reply,
            }
        ]
        lines += [{"event": "call", "time": began + 1, "index": i, "changes": False} for i in range(4)]
        lines += [{"event": "result", "time": began + 61, "index": i, "text": "x", "seconds": 60} for i in range(3)]
        out.writelines(json.dumps(line) + "\n" for line in lines)
    spent = Record.resume(path)[1].spent
    assert spent.seconds == pytest.approx(61) and spent.prompt_tokens == 705 and spent.output_tokens == 35


def test_a_run_goes_on_from_every_place_where_it_can_be_cut(tmp_path: Path) -> None:
    whole = tmp_path / "whole.jsonl"
    record = Record.create(whole, "model")
    list(Agent(_model(), _tools(Counter()), record=record).ask("Do it"))
    record.close()
    lines = whole.read_bytes().splitlines(keepends=True)
    for count in range(2, len(lines) + 1):
        for torn in (b"", lines[count][: len(lines[count]) // 2]) if count < len(lines) else (b"",):
            path = tmp_path / f"cut-{count}-{len(torn)}.jsonl"
            path.write_bytes(b"".join(lines[:count]) + torn)
            before = [json.loads(line) for line in lines[:count]]
            finished = {line["id"] for line in before if line["event"] == "result"}
            unknown = {line["id"] for line in before if line["event"] == "call" and line["changes"]} - finished
            ran: Counter[str] = Counter()
            record, past = Record.resume(path)
            agent = Agent(_model(), _tools(ran), record=record, past=past, limits=Limits(steps=9))
            if not past.ended:
                end = list(agent.run())[-1]
                assert isinstance(end, Ended) and end.reason == "stop" and end.spent.steps == 4
            record.close()
            assert agent.history[-1].content == "All done."
            results = {message.call_id: message.content for message in agent.history if message.role == "tool"}
            assert len(results) == 6
            for reply in REPLIES:
                for call in reply.calls:
                    key = f"{call.name} {json.loads(call.arguments).get('word', '')}"
                    if call.id in unknown:
                        assert "not known" in results[call.id]
                    else:
                        assert results[call.id].endswith("done")
                    if call.name == "write":  # a change happens once at most, whatever was cut
                        assert ran[key] == (call.id not in unknown | finished)
                    elif call.id in finished and key != "read ":
                        assert ran[key] == 0
            # The order of the history is the order of the calls.
            order = [message.call_id for message in agent.history if message.role == "tool"]
            assert order == [call.id for reply in REPLIES for call in reply.calls]
            assert Record.resume(path)[1].history == agent.history


CHILD = """
import sys, time
from pathlib import Path
from test_agent_record import _model, Tool, ToolSpec, WORD
from moonlet.agent import Agent
from moonlet.agent.record import Record
place = Path(sys.argv[1])
def read(_): return "read done"
def write(given):
    with open(place / "effects", "a") as effects: effects.write(given["word"] + "\\n")
    if given["word"] == "d": time.sleep(60)
    return "write done"
tools = [Tool(ToolSpec("read", "", WORD), read), Tool(ToolSpec("write", "", WORD), write, True)]
for event in Agent(_model(), tools, record=Record.create(place / "run.jsonl", "model")).ask("Do it"): pass
"""


def test_a_run_that_is_killed_in_the_middle_of_a_change(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], env=env)
    effects = tmp_path / "effects"
    deadline = time.monotonic() + 60
    while not (effects.exists() and "d" in effects.read_text()):
        assert child.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    with pytest.raises(RecordError, match="in use by another process"):
        Record.resume(tmp_path / "run.jsonl")
    child.send_signal(signal.SIGKILL)
    child.wait()
    record, past = Record.resume(tmp_path / "run.jsonl")
    ran: Counter[str] = Counter()
    events = list(Agent(_model(), _tools(ran), record=record, past=past).run())
    told = [event for event in events if isinstance(event, CallResult)]
    assert len(told) == 1 and told[0].failed and "not known" in told[0].text
    assert not ran, "nothing that was finished or begun ran again"
    assert effects.read_text() == "c\nd\n"


def test_new_words_after_a_crash_leave_no_call_without_a_result(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    record = Record.create(path, "model")
    record.message(Message("user", "Do it"))
    agent = Agent(_model(), _tools(Counter()), record=record)
    for event in (events := agent.ask("again")):
        if type(event).__name__ == "Done":
            break
    events.close()
    record.close()
    lines = [line for line in path.read_bytes().splitlines(keepends=True) if b'"result"' not in line]
    path.write_bytes(b"".join(lines))
    record, past = Record.resume(path)
    assert len(past.open) == 2
    model = Scripted(["Fine."])
    agent = Agent(model, _tools(Counter()), record=record, past=past)
    list(agent.ask("Never mind"))
    assert [message.role for message in model.asked[0][0][-4:]] == ["assistant", "tool", "tool", "user"]
    record.close()
    assert Record.resume(path)[1].history == agent.history


def test_cut_results_can_be_read_on_after_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    long = Tool(ToolSpec("long", "", {}), lambda _: "ab" * 5000, outside=True)
    record = Record.create(path, "model")
    limits = Limits(result_chars=1000)
    first = Scripted([Message("assistant", calls=(_call("long", 0),)), "ok"])
    list(Agent(first, [long], record=record, rereadable=True, limits=limits).ask("go"))
    record.close()
    record, past = Record.resume(path)
    second = Scripted([Message("assistant", calls=(_call("read_result", 1, result="r1", start=9000),)), "ok"])
    agent = Agent(second, [long], record=record, past=past, rereadable=True, limits=limits)
    list(agent.ask("read on"))
    assert "characters 9000 to" in agent.history[-2].content and "[untrusted" in agent.history[-2].content


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "first line"),
        ("hello\n", "not the record of a run"),
        ('{"mcpServers": {}}', "first line"),
        ('{\n  "mcpServers": {}\n}', "not the record of a run"),
        ('{"event": "start", "format": 99, "model": "m"}\n', "format"),
        ('{"event": "start", "format": 1, "model": "m"}\n{"event": "reply"}\n', "not the record"),
        ('{"event": "start", "format": 1, "model": "m"}\n[1]\n', "not the record"),
    ],
)
def test_what_is_no_record_is_refused_and_left_alone(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "file"
    path.write_text(text)
    with pytest.raises(RecordError, match=told):
        Record.resume(path)
    assert path.read_text() == text
    with pytest.raises(RecordError, match="exists"):
        Record.create(path, "model")
    with pytest.raises(RecordError, match="cannot be opened"):
        Record.resume(tmp_path / "nothing")


def test_a_full_disk_stops_the_run_before_the_effect() -> None:
    ran: Counter[str] = Counter()
    record = Record(Path("/dev/full"), os.open("/dev/full", os.O_WRONLY))
    agent = Agent(_model(), _tools(ran))
    agent._record = record
    with pytest.raises(RecordError, match="No space left"):
        list(agent.ask("Do it"))
    assert not ran
