"""Thai and Chinese talk with the tools that were invented: declared in English, asked for as people there do."""

from __future__ import annotations

import json
from itertools import pairwise
from random import Random
from typing import Any

from moonlet.simulate import synthetic
from moonlet.simulate.asking import iso_date
from moonlet.simulate.blueprints import Blueprint
from moonlet.simulate.declaring import Made, make
from moonlet.simulate.episode import Conversation, Episode
from moonlet.simulate.foreign import LANGUAGES
from moonlet.simulate.foreign_answers import NO_TOOL
from moonlet.simulate.worded import worded, wordings

LINKS = {
    "th": (" แล้วก็", " แล้ว", " และ", " จากนั้น", "\n", " อีกเรื่องนึง ", " ด้วยนะ แล้วก็ "),
    "zh": ("，然后", "，再", "。还有，", "，另外", "；", "\n", "，顺便"),
}
EXERCISES = 0.5  # share of conversations without results
ERROR = {"th": "ขออภัย: ", "zh": "抱歉: "}
DONE = {"th": "เรียบร้อยแล้ว", "zh": "已完成。"}
FAILED = {"th": "ทำไม่สำเร็จ", "zh": "没有成功。"}


def conversation(rng: Random) -> Conversation:
    """4 to 10 messages, or twice as many without results, in one language under 2 to 8 tools, half of them of one
    field."""
    language = rng.choice(LANGUAGES)
    known = [one for one in wordings().blueprints if one.key in wordings(language).requests]
    style = rng.choice(("snake", "snake", "camel", "kebab"))
    made: dict[str, Made] = {}
    field = ""
    for _ in range(rng.randint(2, 8)):
        near = [one for one in known if one.field == field] if rng.random() < 0.5 else known
        one = make(rng.choice(near or known), style, rng)
        field = one.blueprint.field
        made.setdefault(one.spec.name, one)
    episode = Episode([one.spec for one in made.values()])
    if rng.random() < 0.3:
        episode.system(f"Today is {iso_date(rng)}.")
    exercise = rng.random() < EXERCISES
    for _ in range(rng.randint(4, 10) * (2 if exercise else 1)):
        _turn(episode, list(made.values()), known, language, exercise, rng)
    return episode.done()


def _turn(
    episode: Episode, made: list[Made], known: list[Blueprint], language: str, exercise: bool, rng: Random
) -> None:
    dice = rng.random()
    if dice < 0.2:
        fields = {one.blueprint.field for one in made}
        other = rng.choice([one for one in known if one.field not in fields])
        episode.user(_wished(make(other, "snake", rng), language, rng)[0])
        episode.answer(NO_TOOL[language])
        return
    ones = rng.sample(made, min(len(made), rng.choice((2, 2, 3)) if dice < 0.35 else 1))
    wishes = [_wished(one, language, rng) for one in ones]
    text = wishes[0][0]
    for (_, before), (said, _) in pairwise(wishes):
        # A stop that belongs to a value stays.
        own = any(str(value).endswith(text[-1]) for value in before.values())
        text = (text if own else text.rstrip("。？！?!")) + rng.choice(LINKS[language]) + said
    episode.user(text)
    calls = [(one.spec.name, arguments) for one, (_, arguments) in zip(ones, wishes, strict=True)]
    if exercise:
        episode.asked(calls)
        return
    results = [synthetic.result(one, rng)[0] for one in ones]
    texts = iter(json.dumps(values, ensure_ascii=False) for values in results)
    episode.call(calls, lambda _: next(texts))
    episode.answer(" ".join(_told(values, language) for values in results))


def _wished(one: Made, language: str, rng: Random) -> tuple[str, dict[str, Any]]:
    found = worded(one, rng, language=language)
    assert found, one.blueprint.key
    return found


def _told(values: dict[str, Any], language: str) -> str:
    """The result in a few words: its names as they are, and what only says whether it was done in the language."""
    if "error" in values:
        return ERROR[language] + str(values["error"])
    return " ".join(
        DONE[language] if value is True else FAILED[language] if value is False else f"{name}: {value}"
        for name, value in values.items()
    )
