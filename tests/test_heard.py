"""What was said to a voice assistant, under the demonstration's tools: a few made-up lines stand for the set."""

from __future__ import annotations

import json
import lzma
from pathlib import Path
from random import Random

import jsonschema
import pytest

from moonlet.simulate import heard
from moonlet.simulate.foreign import traditional
from moonlet.simulate.massive import NO_TOOL

SAID = {
    "weather_query": ["how is [place_name : bree] [date : on mersday]", "is it [weather_descriptor : windy]"],
    "datetime_query": ["what hour is it in [place_name : hobbiton]"],
    "calendar_query": ["what do i have [date : tomorrow]"],
    "calendar_set": ["remind me of [event_name : second breakfast] at [time : nine]"],
    "calendar_remove": ["no [event_name : party] after all please"],
    "iot_hue_lightoff": ["make the [house_place : pantry] dark"],
    "email_querycontact": ["[personal_info : phone number] of [person : rosie]"],
    "play_music": ["play [song_name : the road goes on]"],
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets")
    (folder / "massive").mkdir()
    with lzma.open(folder / "massive" / "massive.jsonl.xz", "wt", encoding="utf-8") as file:
        for language in ("en-US", "th-TH", "zh-CN", "zh-TW"):
            for intent, texts in SAID.items():
                for said in texts:
                    file.write(json.dumps({"language": language, "intent": intent, "said": said}) + "\n")
    return folder


def test_calls_fit_and_what_no_tool_does_is_refused(data: Path) -> None:
    make = heard.maker(data)
    found: dict[str, int] = {}
    for seed in range(60):
        conversation = make(Random(seed))
        specs = {spec.name: spec for spec in conversation.tools}
        said = ""
        for message in conversation.messages:
            said = message.content if message.role == "user" else said
            for call in message.calls:
                arguments = json.loads(call.arguments)
                jsonschema.validate(arguments, {**specs[call.name].parameters, "additionalProperties": False})
                if "pantry" in said.lower():
                    assert (call.name, arguments) == ("set_light", {"room": "pantry", "power": "off"})
                    found["light"] = found.get("light", 0) + 1
                if "second breakfast" in said.lower():
                    assert call.name == "set_reminder" and arguments["text"] == "second breakfast"
                    found["reminder"] = found.get("reminder", 0) + 1
            if message.role == "assistant" and "the road goes on" in said.lower():
                assert message.content in {*NO_TOOL.values(), traditional(NO_TOOL["zh"])}
                found["music"] = found.get("music", 0) + 1
    assert all(found.get(name, 0) > 5 for name in ("light", "reminder", "music")), found
    assert make(Random(5)) == make(Random(5))


@pytest.mark.parametrize(
    ("intent", "said"),
    [
        ("calendar_set", "put [event_name : lunch] next [date : friday] in"),  # "next" belongs to the day
        ("calendar_set", "let me know of [event_name : lunch] on [date : friday]"),  # a reminder, or an event
        ("calendar_remove", "away with all my [event_name : meetings]"),
        ("email_querycontact", "[personal_info : street] of [person : rosie]"),
        ("weather_query", "how is it [date : tomorrow]"),  # where?
    ],
)
def test_what_is_not_sure_is_left_out(intent: str, said: str) -> None:
    assert heard.called(intent, said) is None
