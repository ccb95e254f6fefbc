"""The small model in the package: it is whole, it fits, and it acts."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date

import moonlet
from moonlet.agent import Agent, CallResult
from moonlet.chat.messages import Message
from moonlet.local import find, golden_gap
from moonlet.model.folder import open_folder
from moonlet.simulate.demo import system_text
from moonlet.simulate.world import World

LARGEST = 25_000_000  # bytes


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "moonlet", *arguments], capture_output=True, text=True, timeout=120)


def test_it_is_small_and_whole() -> None:
    folder = open_folder(find("nano"))
    assert sum(file.stat().st_size for file in folder.path.iterdir()) < LARGEST
    folder.verify_checksums()
    assert (folder.path / "README.md").exists(), "data and licences are named beside the weights"


def test_it_says_what_it_said_when_it_was_made() -> None:
    with moonlet.load("nano") as model:
        gap = golden_gap(model)
    assert gap is not None and gap < 0.02


def test_it_calls_a_tool_and_tells_the_result() -> None:
    today = date(2026, 11, 23)  # on another day the weather, and the prompt, would be others
    with moonlet.load("nano") as model:
        agent = Agent(model, World(1, today).tools(), [Message("system", system_text(today))])
        events = list(agent.ask("What's the weather in Oslo tomorrow?"))
    (result,) = [event for event in events if isinstance(event, CallResult)]
    assert result.call.name == "get_weather"
    assert json.loads(result.call.arguments) == {"place": "Oslo", "day": "tomorrow"}
    weather = json.loads(result.text)
    said = agent.history[-1].content
    assert all(str(weather[fact]) in said for fact in ("place", "day", "sky", "high_c", "low_c"))


def test_the_command_answers_with_it() -> None:
    told = json.loads(run("run", "What is 17% of 240?", "--json").stdout)
    assert told["model"] == "nano" and told["reason"] == "stop"
    assert told["usage"]["experts"]["chosen"] == 4 and told["usage"]["experts"]["of"] == 20
    assert json.loads(run("info", "nano", "--json").stdout)["parameters"] == 27_922_944
