"""Requests of MASSIVE as conversations: a few made-up lines in its form stand for the set."""

from __future__ import annotations

import json
import lzma
import re
from pathlib import Path
from random import Random

import jsonschema
import pytest

from moonlet.simulate import massive
from moonlet.simulate.episode import Conversation

SAID = {
    "en-US": {
        "alarm_set": ["wake me at [time : six thirty am]", "i want an alarm [date : tomorrow]", "[time : noon] alarm"],
        "alarm_remove": ["no alarm at [time : nine]", "delete the alarm"],
        "weather_query": ["is it [weather_descriptor : windy] in [place_name : bree]", "how is the sky [date : today]"],
        "qa_currency": ["[currency_name : crowns] in [currency_name : pennies]", "what is a [currency_name : crown]"],
        "play_game": ["play [game_name : riddles] and [game_name : dice]", "a round of [game_name : riddles]"],
        "transport_taxi": ["a cart from [from_place : hobbiton] to [to_place : bree]"],
    },
    "th-TH": {
        "alarm_set": ["ปลุกฉัน [time : หกโมง] [date : พรุ่งนี้]"],
        "alarm_remove": ["ลบนาฬิกาปลุก [time : เก้าโมง]"],
        "weather_query": ["อากาศที่ [place_name : น่าน] เป็นยังไง"],
    },
    "zh-CN": {"alarm_set": ["[time : 六点]叫我"], "weather_query": ["[place_name : 昆明]天气怎么样？"]},
    "zh-TW": {"alarm_set": ["[time : 六點]叫我"], "weather_query": ["[place_name : 臺北]天氣怎麼樣？"]},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets")
    (folder / "massive").mkdir()
    with lzma.open(folder / "massive" / "massive.jsonl.xz", "wt", encoding="utf-8") as file:
        for language, intents in SAID.items():
            for intent, texts in intents.items():
                for said in texts:
                    file.write(json.dumps({"language": language, "intent": intent, "said": said}) + "\n")
    return folder


def drawn(data: Path, count: int = 300) -> list[Conversation]:
    make, rng = massive.maker(data), Random(3)
    return [make(rng) for _ in range(count)]


def test_calls_fit_the_tools_and_their_values_were_said(data: Path) -> None:
    calls = 0
    for conversation in drawn(data):
        specs = {spec.name: spec for spec in conversation.tools}
        assert len(specs) == len(conversation.tools) <= 12
        said = ""
        for message in conversation.messages:
            said = message.content if message.role == "user" else said
            for call in message.calls:
                calls += 1
                arguments = json.loads(call.arguments)
                jsonschema.validate(arguments, {**specs[call.name].parameters, "additionalProperties": False})
                for value in arguments.values():
                    assert all(part in said for part in ([value] if isinstance(value, str) else value)), (said, call)
    assert calls > 500


def test_what_is_refused_fits_no_declared_tool(data: Path) -> None:
    """The tools' names and descriptions tell their intents, the words of the messages theirs."""
    named = {name.replace("_", ""): intent for intent, tool in massive.tools().items() for name in tool.names}
    words = {
        re.sub(r"[^\w]", "", massive.SLOT.sub("", text)).lower(): intent
        for intents in SAID.values()
        for intent, texts in intents.items()
        for text in texts
    }
    refused = 0
    for conversation in drawn(data):
        declared = {named[re.sub("[-_]", "", tool.name).lower()] for tool in conversation.tools}
        for asked, answer in zip(conversation.messages, conversation.messages[1:], strict=False):
            if answer.role == "assistant" and answer.content:
                refused += 1
                language = (
                    "th" if re.search("[ก-๛]", asked.content) else "zh" if re.search("[一-鿿]", asked.content) else "en"
                )
                assert answer.content == massive.NO_TOOL[language]
                said = re.sub(r"[^\w]", "", asked.content).lower()
                intents = {intent for key, intent in words.items() if _within(key, said)}
                assert intents and not intents <= declared
    assert refused > 50


def _within(key: str, said: str) -> bool:
    """Whether the signs of the key stand in the text in their order: slots were between them."""
    rest = iter(said)
    return all(sign in rest for sign in key)


def test_the_same_seed_draws_the_same(data: Path) -> None:
    assert drawn(data, 20) == drawn(data, 20)


def test_a_slot_that_is_taken_once_is_named_once(data: Path) -> None:
    assert massive.requests(data)["en-US"]["play_game"] == ["a round of [game_name : riddles]"]
    assert len(massive.requests(data)["en-US"]["qa_currency"]) == 2


def test_every_intent_has_several_names_and_none_names_two() -> None:
    names = [name for tool in massive.tools().values() for name in tool.names]
    assert len(names) == len(set(names))
    for intent, tool in massive.tools().items():
        assert len(tool.names) >= 4 and len(tool.descriptions) >= 4, intent
        assert all(len(slot.names) >= 3 and len(slot.descriptions) >= 2 for slot in tool.slots), intent
    assert all(other in massive.tools() for found in massive.confused().values() for other in found)


@pytest.mark.parametrize("style", ["snake", "camel"])
def test_parameters_are_spelled_as_beside_their_tools(style: str) -> None:
    assert massive.spelled("time_of_day", style) == {"snake": "time_of_day", "camel": "timeOfDay"}[style]
