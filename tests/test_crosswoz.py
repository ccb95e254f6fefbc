"""Dialogues of CrossWOZ as conversations: a made-up one in its form stands for the set."""

from __future__ import annotations

import json
import lzma
import re
from pathlib import Path
from random import Random

import jsonschema
import pytest

from moonlet.simulate import crosswoz, star
from moonlet.simulate.episode import Conversation

TURNS = [
    {"who": "U", "text": "找一家有会议室的酒店，评分4.5分以上。"},
    {
        "call": "酒店",
        "arguments": {"评分": "4.5分以上", "酒店设施": ["会议室"]},
        "result": {"count": 1, "results": [{"名称": "布理酒店", "评分": 4.6}]},
    },
    {"who": "S", "text": "布理酒店不错。"},
    {"who": "U", "text": "叫一辆车从车站到布理酒店。"},
    {
        "call": "出租",
        "arguments": {"出发地": "车站", "目的地": "布理酒店"},
        "result": {"车型": "#CX", "车牌": "#CP"},
    },
    {"who": "S", "text": "#CX，#CP。"},
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets") / "crosswoz"
    folder.mkdir()
    with lzma.open(folder / "dialogues.jsonl.xz", "wt", encoding="utf-8") as file:
        file.write(json.dumps({"turns": TURNS}, ensure_ascii=False) + "\n")
    return folder.parent


def drawn(data: Path) -> list[Conversation]:
    make, rng = crosswoz.maker(data), Random(3)
    return [make(rng) for _ in range(100)]


def test_calls_fit_the_tools_and_their_values_were_said(data: Path) -> None:
    for conversation in drawn(data):
        specs = {spec.name: spec for spec in conversation.tools}
        assert 2 <= len(specs) == len(conversation.tools)
        said = ""
        for message in conversation.messages:
            said += message.content
            for call in message.calls:
                arguments = json.loads(call.arguments)
                assert len(arguments) == 2
                jsonschema.validate(arguments, {**specs[call.name].parameters, "additionalProperties": False})
                for value in arguments.values():
                    assert all(part in said for part in ([value] if isinstance(value, str) else value))


def test_a_taxi_has_the_plate_that_its_result_says(data: Path) -> None:
    for conversation in drawn(data):
        result, reply = conversation.messages[-2:]
        assert list(json.loads(result.content).values()) == re.split("[，。]", reply.content)[:2]


def test_fields_of_results_have_names_of_one_language(data: Path) -> None:
    keys = {tuple(json.loads(one.messages[-2].content)) for one in drawn(data)}
    assert keys == {("车型", "车牌"), ("model", "plate")}


def test_the_same_seed_draws_the_same(data: Path) -> None:
    assert drawn(data) == drawn(data)


def test_every_domain_has_several_names() -> None:
    names = [name for one in star.wordings("crosswoz").values() for name in one.names]
    assert len(names) == len(set(names)) == 25
