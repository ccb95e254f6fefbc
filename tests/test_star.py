"""Dialogues of STAR as conversations: two made-up ones in its form stand for the set."""

from __future__ import annotations

import json
import lzma
from pathlib import Path
from random import Random

import jsonschema
import pytest

from moonlet.simulate import star
from moonlet.simulate.episode import Conversation

BOOKED = {"Name": "Legume", "Time": "7 pm", "PartySize": 2, "CustomerName": "Merry"}
DIALOGUES = [
    [
        {"who": "U", "text": "A table for 2 at Legume, 7 pm, for Merry."},
        {
            "call": "restaurant_book",
            "arguments": {**BOOKED, "RequestType": "Check"},
            "result": {"Message": "Available"},
        },
        {"who": "S", "text": "They are happy to have you. Shall I book?"},
        {"who": "U", "text": "Yes."},
        {"call": "restaurant_book", "arguments": {**BOOKED, "RequestType": "Book"}, "result": {"Message": "Confirmed"}},
        {"who": "S", "text": "It is booked."},
    ],
    [
        {"who": "U", "text": "Will it rain in Chicago on Monday?"},
        {"call": "weather", "arguments": {"Day": "Monday", "City": "Chicago"}, "result": {"Weather": "Raining"}},
        {"who": "S", "text": "It will."},
    ],
]
CLOSED = {
    "Name": ["Legume", "Lucca"],
    "RequestType": ["Check", "Book"],
    "Day": ["Monday", "Tuesday"],
    "City": ["Chicago", "Detroit"],
}
REQUIRED = {"restaurant_book": [*BOOKED, "RequestType"], "weather": ["Day"]}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets") / "star"
    folder.mkdir()
    apis = {
        name: {
            "inputs": {
                key: {"kind": "integer" if key == "PartySize" else "string", "closed": CLOSED.get(key, [])}
                for key in one.keys
            },
            "required": REQUIRED.get(name, []),
        }
        for name, one in star.wordings().items()
    }
    (folder / "apis.json").write_text(json.dumps(apis))
    with lzma.open(folder / "dialogues.jsonl.xz", "wt") as file:
        file.writelines(json.dumps({"turns": turns}) + "\n" for turns in DIALOGUES)
    return folder.parent


def drawn(data: Path) -> list[Conversation]:
    make, rng = star.maker(data), Random(3)
    return [make(rng) for _ in range(200)]


def test_calls_fit_the_tools_and_their_values_were_said_or_are_choices(data: Path) -> None:
    for conversation in drawn(data):
        specs = {spec.name: spec for spec in conversation.tools}
        assert len(specs) == len(conversation.tools)
        said = ""
        for message in conversation.messages:
            said += message.content.lower()
            for call in message.calls:
                schema = specs[call.name].parameters
                arguments = json.loads(call.arguments)
                jsonschema.validate(arguments, {**schema, "additionalProperties": False})
                for key, value in arguments.items():
                    assert str(value).lower() in said or value in schema["properties"][key].get("enum", ())


def test_every_call_has_its_result_and_a_reply(data: Path) -> None:
    roles = {tuple(message.role for message in conversation.messages) for conversation in drawn(data)}
    step = ("user", "assistant", "tool", "assistant")
    assert roles == {step, step * 2}


def test_all_that_is_given_has_a_parameter(data: Path) -> None:
    for conversation in drawn(data):
        for message in conversation.messages:
            for call in message.calls:
                assert len(json.loads(call.arguments)) in (2, 5)


def test_the_same_seed_draws_the_same(data: Path) -> None:
    assert drawn(data) == drawn(data)


def test_every_api_has_several_names_and_none_names_two() -> None:
    names = [name for one in star.wordings().values() for name in one.names]
    assert all(len(one.names) >= 4 and len(one.descriptions) >= 3 for one in star.wordings().values())
    assert len(names) - len(set(names)) < 5, "two tools of one name are never declared together"
