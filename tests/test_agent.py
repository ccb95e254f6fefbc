"""The agent's loop: reply, execute, append, until an end or a limit."""

import json
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import pytest

from moonlet.agent import Agent, CallResult, Ended, Event, Limits
from moonlet.chat.messages import Message, Text, ToolCall, ToolSpec
from moonlet.llm import LLMError
from moonlet.llm.scripted import Scripted
from moonlet.simulate.world import World
from moonlet.tools.tool import Tool, ToolError, parameters

WORD = parameters(optional={"word": {"type": "string"}})


def _call(name: str, index: int = 0, **arguments: Any) -> ToolCall:
    return ToolCall(f"functions.{name}:{index}", name, json.dumps(arguments))


def _tool(name: str, run: Any, changes: bool = False) -> Tool:
    return Tool(ToolSpec(name, "", WORD), run, changes)


def _ended(events: Sequence[Event]) -> Ended:
    assert isinstance(events[-1], Ended)
    return events[-1]


def test_a_tool_loop_in_the_demonstration_world() -> None:
    world = World(1, date(2025, 3, 3))
    asked = _call("add_event", title="dentist", day="tomorrow", time="3 pm")

    def answer(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> str:
        assert messages[-1].call_id == asked.id
        return "Done: " + json.loads(messages[-1].content)["added"]["title"]

    agent = Agent(Scripted([Message("assistant", calls=(asked,)), answer]), world.tools())
    before = len(world.events)
    events = list(agent.ask("Put the dentist in my calendar"))
    assert len(world.events) == before + 1
    assert [message.role for message in agent.history] == ["user", "assistant", "tool", "assistant"]
    assert agent.history[-1].content == "Done: dentist"
    assert _ended(events).reason == "stop" and len(_ended(events).usages) == 2
    result = next(event for event in events if isinstance(event, CallResult))
    assert not result.failed and result.call == asked


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (_call("nothing"), "there is no tool 'nothing'"),
        (ToolCall("functions.ok:0", "ok", "{broken"), "not valid JSON"),
        (_call("ok", word=3), "word must be string"),
        (_call("refuses"), "the shop is closed"),
        (_call("breaks"), "breaks broke: ZeroDivisionError"),
    ],
)
def test_a_failed_call_is_data_and_the_model_goes_on(call: ToolCall, told: str) -> None:
    def refuse(_: Mapping[str, Any]) -> None:
        raise ToolError("the shop is closed")

    tools = [_tool("ok", lambda _: "fine"), _tool("refuses", refuse), _tool("breaks", lambda _: 1 / 0)]
    agent = Agent(Scripted([Message("assistant", calls=(call,)), "I could not."]), tools)
    results = [event for event in agent.ask("go") if isinstance(event, CallResult)]
    assert [result.failed for result in results] == [True]
    assert told in json.loads(results[0].text)["error"]
    assert agent.history[-1].content == "I could not."


def test_calls_without_effects_run_side_by_side() -> None:
    together = threading.Barrier(3, timeout=10)  # passed only if all three are there at once

    def meet(arguments: Mapping[str, Any]) -> str:
        together.wait()
        return str(arguments["word"])

    calls = tuple(_call("meet", i, word=str(i)) for i in range(3))
    agent = Agent(Scripted([Message("assistant", calls=calls), "ok"]), [_tool("meet", meet)])
    results = [event for event in agent.ask("go") if isinstance(event, CallResult)]
    assert sorted(result.text for result in results) == ["0", "1", "2"]
    assert [message.call_id for message in agent.history if message.role == "tool"] == [call.id for call in calls]


def test_a_call_that_changes_something_keeps_its_place() -> None:
    log: list[str] = []

    def note(name: str) -> Any:
        def run(_: Mapping[str, Any]) -> str:
            time.sleep(0.01 if name == "read" else 0)
            log.append(name)
            return name

        return run

    tools = [_tool("read", note("read")), _tool("write", note("write"), changes=True)]
    names = ["read", "read", "write", "read", "write"]
    calls = tuple(_call(name, i) for i, name in enumerate(names))
    list(Agent(Scripted([Message("assistant", calls=calls), "ok"]), tools).ask("go"))
    assert log == names


def test_the_limit_of_steps_ends_a_model_that_never_stops_calling() -> None:
    again = Message("assistant", calls=(_call("ok"),))
    agent = Agent(Scripted([again] * 9), [_tool("ok", lambda _: "fine")], limits=Limits(steps=3))
    events = list(agent.ask("go"))
    assert _ended(events).reason == "steps" and len(_ended(events).usages) == 3
    assert [message.role for message in agent.history] == ["user"] + ["assistant", "tool"] * 3
    with pytest.raises(ValueError, match="steps"):
        Limits(steps=0)


def test_a_stopped_reply_keeps_what_was_said() -> None:
    model = Scripted(["One two three four", "Again"])
    agent = Agent(model, [])
    events = agent.ask("count")
    assert next(events) == Text("One ") and next(events) == Text("two ")
    events.close()
    assert agent.history == [Message("user", "count"), Message("assistant", "One two ")]
    assert model.closed == 1
    assert _ended(list(agent.ask("again"))).reason == "stop"


@pytest.mark.parametrize("after", ["Done", "CallResult"])
def test_a_stopped_loop_leaves_no_call_without_a_result(after: str) -> None:
    ran: list[int] = []
    calls = (_call("write", 0), _call("write", 1))
    agent = Agent(
        Scripted([Message("assistant", calls=calls)]), [_tool("write", lambda _: ran.append(1), changes=True)]
    )
    for event in (events := agent.ask("go")):
        if type(event).__name__ == after:
            break
    events.close()
    assert [message.role for message in agent.history] == ["user", "assistant", "tool", "tool"]
    assert "stopped" in agent.history[-1].content
    assert len(ran) == (after == "CallResult")


def test_a_failing_model_is_reported_and_the_history_stays() -> None:
    agent = Agent(Scripted([]), [])
    with pytest.raises(LLMError):
        list(agent.ask("hello"))
    assert agent.history == [Message("user", "hello")]
