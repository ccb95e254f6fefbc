"""What is taught in the simulated worlds: tasks solved in one conversation, and in other words than held-out ones."""

from __future__ import annotations

import re
from itertools import pairwise
from random import Random

import pytest

from moonlet.simulate import lessons, taught
from moonlet.simulate.domains.every import DOMAINS
from moonlet.simulate.domains.locale import LANGUAGES, Language
from moonlet.simulate.making import Making
from moonlet.simulate.phrases import TALK
from moonlet.simulate.tasks import Key, TaskError
from moonlet.simulate.wishes import Wish


def test_lessons_are_tasks_solved_one_after_another_under_the_same_tools() -> None:
    rng = Random(1)
    longest = 0
    for _ in range(25):
        one = lessons.conversation(rng)
        asked = [message for message in one.messages if message.role == "user"]
        longest = max(longest, len(asked))
        assert one.messages[0].role == "system" and one.messages[-1].role == "assistant"
        names = {tool.name for tool in one.tools}
        calls = [call for message in one.messages for call in message.calls]
        assert {call.name for call in calls} <= names
        assert [call.id.rsplit(":")[-1] for call in calls] == [str(i) for i in range(len(calls))]
    assert longest > 4


def test_a_task_that_cannot_be_finished_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    play, tried = Making._play, 0

    def every_second(self: Making, wishes: list[Wish]) -> None:
        nonlocal tried
        play(self, wishes)
        tried += 1
        if tried % 2 == 0:
            raise TaskError("another record stands in the way")

    monkeypatch.setattr(Making, "_play", every_second)
    for seed in range(10):
        messages = lessons.conversation(Random(seed)).messages
        assert all(one.role != "user" or next_.role == "assistant" for one, next_ in pairwise(messages))
        calls = [call for message in messages for call in message.calls]
        assert [call.id.rsplit(":")[-1] for call in calls] == [str(i) for i in range(len(calls))]


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_wording_of_a_held_out_task_is_ever_taught(language: Language) -> None:
    for domain in DOMAINS.values():
        for action in domain.actions:
            kept = {taught.plain(one) for one in action.wordings(language)}
            drawn = {taught.asked(domain.name, action, language, Random(seed)) for seed in range(60)}
            assert len(drawn) >= 5 and not {taught.plain(one) for one in drawn} & kept
            for one in drawn:
                assert sorted(re.findall(r"{(\w+)}", one)) == sorted(action.takes), one
    said = {taught.small_talk(Key("mail", "talk", language), Random(seed))[0] for seed in range(300)}
    assert len(said) > 30 and not said & {one[0] for one in TALK[language]}
