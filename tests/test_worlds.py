"""Worlds made from seeds: their tools, tasks, users, judge and rollouts."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from datetime import date
from random import Random

import pytest

from moonlet.chat.messages import ToolCall
from moonlet.llm.scripted import Scripted
from moonlet.simulate import evolve
from moonlet.simulate.domains.every import DOMAINS
from moonlet.simulate.domains.locale import FIELDS, LANGUAGES, POOLS
from moonlet.simulate.domains.slot import email
from moonlet.simulate.keys import suite
from moonlet.simulate.making import kinds, make
from moonlet.simulate.phrases import PHRASES, mentioned, told, ways
from moonlet.simulate.rollout import Trajectory, TrajectoryError, play, replay, rollout, solver, training
from moonlet.simulate.stage import Broken, Stage, effects
from moonlet.simulate.tasks import HELD_OUT, KINDS, PERSONAS, Key, TaskError
from moonlet.simulate.users import PlayedUser, asks
from moonlet.tools.tool import call, check

TODAY = date(2025, 3, 4)
SUITE = suite(220, seed=7)


@pytest.mark.parametrize("domain", DOMAINS.values(), ids=lambda one: one.name)
def test_domains_have_typed_tools_and_words_for_all_of_them(domain) -> None:
    assert len(domain.actions) >= 5
    for action in domain.actions:
        for language in LANGUAGES:
            for wording in action.wordings(language):
                assert set(re.findall(r"\{(\w+)\}", wording)) == set(action.takes), (action.name, language)
        for name, slot in action.takes.items():
            assert slot.schema()["type"], name
    for language in LANGUAGES:
        assert domain.build(Random(5), language, TODAY) == domain.build(Random(5), language, TODAY)


def test_names_are_nobody_elses_and_lists_are_of_one_length() -> None:
    assert len(DOMAINS) >= 14
    actions = Counter(action.name for one in DOMAINS.values() for action in one.actions)
    tables = Counter(table.name for one in DOMAINS.values() for table in one.tables)
    assert max(actions.values()) == max(tables.values()) == 1
    for name, lists in POOLS.items():
        assert len({len(entries.split(",")) for entries in lists}) == 1, name
    assert all(len(one) == 3 for one in (*FIELDS.values(), *PHRASES.values()))
    told = {name for one in DOMAINS.values() for action in one.actions for name in (*action.tells, *action.takes)}
    assert not {name for name in told if not name.endswith("_id")} - set(FIELDS)


def test_data_fit_together_in_every_script() -> None:
    for language in LANGUAGES:
        state = DOMAINS["people"].build(Random(1), language, TODAY)
        assert all(one["email"] == email(one["name"]) for one in state["staff"].values())
        assert all(one["email"].isascii() for one in state["staff"].values())
        assert all(
            one["low_c"] < one["high_c"]
            for one in DOMAINS["weather"].build(Random(1), language, TODAY)["forecasts"].values()
        )


def _stage(faults=()) -> Stage:
    shop = DOMAINS["shop"]
    state = shop.build(Random(3), "en", TODAY)
    order = next(iter(state["orders"].values()))
    order.update(item="tent", status="processing")
    return Stage(state, [shop.operation(action) for action in shop.actions], faults)


def _call(stage: Stage, name: str, **arguments: object) -> dict:
    return json.loads(call(stage.tools(), ToolCall("1", name, json.dumps(arguments))))


def test_tools_act_refuse_and_leave_effects_that_can_be_compared() -> None:
    stage, other = _stage(), _stage()
    (found,) = _call(stage, "find_orders", query="TENT")["results"]
    assert _call(stage, "cancel_order", order_id=found["id"])["status"] == "cancelled"
    assert "status of the order is cancelled" in _call(stage, "cancel_order", order_id=found["id"])["error"]
    assert "no order 'O-1'" in _call(stage, "get_order", order_id="O-1")["error"]
    assert stage.effects() == (f'set orders {found["id"]} status "cancelled"',)
    assert other.effects() == () and stage.copy().effects() == ()
    for one in (stage, other):
        _call(
            one, "place_order", item="Yoga  mat." if one is other else "yoga mat", quantity=2, address="7 Harbour Road"
        )
    assert [one for one in stage.effects() if one.startswith("add")] == list(other.effects())
    assert effects({"a": {"1": {"x": 3}}}, {"a": {"1": {"x": 3.0}}}) == ()


def test_faults_pass_or_last() -> None:
    stage = _stage([Broken("find_orders", "rate_limit", 1), Broken("get_order", "permission", 9)])
    assert "rate limit" in _call(stage, "find_orders", query="tent")["error"]
    assert _call(stage, "find_orders", query="tent")["found"] == 1
    assert "rate limit" in _call(stage, "find_orders", query="lamp")["error"]  # counted by arguments
    assert all("permission denied" in _call(stage, "get_order", order_id="O-1")["error"] for _ in range(3))


def test_the_known_solution_passes_and_replays_from_its_line() -> None:
    seen = Counter()
    for key in SUITE:
        done = rollout(key, None)
        assert done.verdict.passed and done.verdict.arguments, (str(key), done.verdict.faults())
        assert replay(Trajectory.parse(done.line())).line() == done.line()
        seen[key.kind] += 1
        seen[key.language] += 1
    assert set(KINDS) | set(LANGUAGES) <= set(seen)


@pytest.mark.parametrize("said", ["OK.", "Sorry, I cannot do that; not found, no permission, the service timed out."])
def test_nothing_is_passed_by_words_alone(said: str) -> None:
    for key in SUITE:
        if key.kind not in ("talk", "no_tool"):
            assert not rollout(key, Scripted([said] * 12)).verdict.passed, str(key)


def test_wrong_arguments_needless_calls_and_untold_facts_fail() -> None:
    key = next(
        one for one in suite(200, seed=2, only=["single"], personas=["plain"], evolved=0) if make(one)[0].goal.effects
    )
    task, stage = make(key)
    first = task.solution[0].calls[0]
    wrong = replace(task.solution[0], calls=(replace(first, arguments=first.arguments.replace("-", "-9", 1)),))
    if wrong != task.solution[0]:
        assert not play(task, stage.copy(), Scripted([wrong, "Done."])).verdict.state
    often = [replace(task.solution[0], calls=tuple(replace(first, id=f"c{i}") for i in range(5))), task.solution[-1]]
    assert not play(task, stage.copy(), Scripted(often)).verdict.frugal
    key = next(one for one in suite(200, seed=2, only=["single"], personas=["plain"]) if make(one)[0].goal.told)
    task, stage = make(key)
    assert play(task, stage.copy(), Scripted([task.solution[0], "I have looked."])).verdict.faults() == ["told"]


def test_guessing_what_only_the_user_knows_fails() -> None:
    for key in suite(12, seed=4, only=["clarify", "ambiguous"], personas=["plain"]):
        task, stage = make(key)
        calls = [message for message in task.solution if message.calls]
        verdict = play(task, stage, Scripted([*calls, "Done."])).verdict
        assert not verdict.asked and not verdict.passed


def test_guessing_first_and_mending_it_when_told_fails() -> None:
    tried = 0
    for key in suite(40, seed=4, only=["clarify"], personas=["plain"]):
        task, stage = make(key)
        acts = next(message for message in task.solution if message.calls)
        guess = replace(acts, calls=tuple(replace(one, id=f"{one.id}x") for one in acts.calls))
        verdict = play(task, stage, Scripted([guess, "Done. Anything else?", *task.solution[1:]])).verdict
        assert not verdict.asked and not verdict.passed
        tried += 1
    assert tried > 10


@pytest.mark.parametrize(
    ("value", "text", "told"),
    [
        (1476.0, "That comes to 1476 in all.", True),
        (25.0, "每人25元", True),
        (25.0, "It is 25.5.", False),
        (12.5, "It costs 12.50 each.", True),
        ("2025-03-04", "on March 4th", True),
        ("2025-03-04", "the 4th of March", True),
        ("2025-03-22", "22nd March", True),
        ("2025-01-04", "在11月4日", False),
        ("15:30", "at 3:30 PM", True),
        ("09:00", "at 9 am", True),
        ("09:00", "at 9 pm", False),
        ("09:00", "上午9点整", True),
        ("09:00", "上午9点30分", False),
    ],
)
def test_values_are_recognised_in_every_way_to_write_them(value: object, text: str, told: bool) -> None:
    assert any(mentioned(text, way) for way in ways(value)) == told


@pytest.mark.parametrize(
    ("value", "text", "known"),
    [
        ("10:30", "at 10:30 am", True),
        ("10:30", "at 10:30 pm", False),
        ("09:00", "at 9:00 P.M.", False),
        ("10:30", "下午10:30", False),
        ("12:15", "at 12:15 am", False),
        ("2026-05-01", "on 1 May 2026", True),
        ("2026-05-01", "on 1 May, 2027", False),
        ("2026-05-01", "May 1, 2400 baht", True),
        ("2026-05-01", "2026年5月1日", True),
        ("2026-05-01", "2027年5月1日", False),
        ("2026-05-01", "1 พฤษภาคม 2569", True),
        ("2026-05-01", "1 พฤษภาคม 2570", False),
    ],
)
def test_another_year_or_half_of_the_day_is_not_told(value: str, text: str, known: bool) -> None:
    assert told(text, ways(value)) is known


def test_what_the_judge_could_not_be_asked_about_has_not_passed() -> None:
    task, stage = make(suite(1)[0])
    done = play(task, stage, solver(task), critic=Scripted([]))
    assert done.end.startswith("failed: the judge") and not done.verdict.passed
    assert not training([done])


def test_a_changed_line_is_noticed() -> None:
    done = rollout(Key("bank", "single", seed=5), None)
    raw = json.loads(done.line())
    for message in raw["messages"]:
        if message["role"] == "tool":
            message["content"] = '{"id": "A-1", "balance": 1}'
    with pytest.raises(TrajectoryError, match="message"):
        replay(Trajectory.parse(json.dumps(raw)))
    raw = json.loads(done.line())
    raw["verdict"]["state"] = False
    with pytest.raises(TrajectoryError, match="ends differently"):
        replay(Trajectory.parse(json.dumps(raw)))
    for broken in ("", "{}", "[]", done.line()[:-5], done.line().replace("bank/", "bank")):
        with pytest.raises((TrajectoryError, TaskError)):
            Trajectory.parse(broken)


def test_whatever_a_model_writes_is_one_line() -> None:
    done = rollout(Key("bank", "talk", seed=5), Scripted(["half a pair \ud83d and \u2028 an end \x85 of a line"]))
    line = done.line()
    assert len(line.splitlines()) == 1 and line.encode("utf-8")
    assert replay(Trajectory.parse(line)).line() == line


def test_a_model_that_breaks_is_a_record() -> None:
    done = rollout(Key("bank", "single", seed=5), Scripted([]))
    assert done.end.startswith("failed") and not done.verdict.passed
    assert replay(Trajectory.parse(done.line())).line() == done.line()


def test_only_what_passed_becomes_training_data() -> None:
    good, bad = rollout(Key("home", "single", seed=5), None), rollout(Key("home", "single", seed=5), Scripted(["No."]))
    (kept,) = training([bad, good])
    assert kept.messages == good.messages and kept.tools == good.tools


def test_personas_speak_in_their_manner() -> None:
    def said(persona: str, seed: int = 2, kind: str = "single", domain: str = "inventory") -> list[str]:
        done = rollout(Key(domain, kind, "en", persona, HELD_OUT.start + seed), None)  # type: ignore[arg-type]
        return [message.content for message in done.messages if message.role == "user"]

    assert len(said("chatty")[0]) > len(said("terse")[0]) + 20
    assert any(not text.isascii() for text in said("mixed"))
    late = [said("late", seed) for seed in range(12)]
    assert any(len(words) == 2 for words in late)
    minds = [said("changes_mind", seed) for seed in range(12)]
    assert any(len(words) == 2 and re.search("Actually|changed my mind", words[1]) for words in minds)


def test_a_model_can_play_the_user() -> None:
    task, stage = make(Key("home", "single", seed=5))
    user = PlayedUser(Scripted([task.opening, "Great [END]"]), task)
    done = play(task, stage, solver(task), user)
    assert done.verdict.passed
    assert replay(done).messages == done.messages
    assert task.wish in user._system and task.solution[0].calls[0].name not in user._system  # the wish, not the way


def test_evolved_tools_are_called_otherwise_and_do_the_same() -> None:
    changed = 0
    for seed in range(30):
        operations = _stage().operations
        new = evolve.evolve(operations, Random(seed))
        order = next(iter(_stage().state["orders"]))
        name, arguments = new.translated(("get_order", {"order_id": order}))
        plain, other = Stage(_stage().state, operations), Stage(_stage().state, new.operations)
        assert _call(other, name, **arguments) == _call(plain, "get_order", order_id=order)
        name, arguments = new.translated(("place_order", {"item": "tent", "quantity": 1, "address": "x"}))
        _call(other, name, **arguments)
        _call(plain, "place_order", item="tent", quantity=1, address="x")
        assert other.effects() == plain.effects() != ()
        spec = next(one.spec for one in new.operations if one.spec.name == name)
        assert check(arguments, spec.parameters, "arguments") is None
        changed += name != "place_order"
        assert len({one.spec.name for one in new.operations}) == len(new.operations) >= len(operations)
    assert changed > 25


def test_facts_are_recognised_as_people_write_them() -> None:
    assert mentioned("It costs **1,250** euros.", "1250") and not mentioned("It costs 12503.", "1250")
    assert not mentioned("It is 12.5", "2.5") and mentioned("12.50 each", "12.5") and mentioned("It's 12.5.", "12.5")
    assert mentioned("余额是1,200元", "1200") and mentioned("ยอดเงิน 1,200บาท", "1200") and mentioned("12.50元", "12.5")
    assert any(mentioned("It arrives on March 4, 2025", way) for way in ways("2025-03-04"))
    assert any(mentioned("3月4日送达", way) for way in ways("2025-03-04"))
    assert any(mentioned("您的订单已发货", way) for way in ways("shipped"))
    assert not mentioned("It is offline", "off")
    assert asks("Which one do you mean?", "th") and asks("您指的是哪一个", "zh") and not asks("Done.", "en")


def test_keys_are_read_as_they_are_written() -> None:
    for key in SUITE:
        assert Key.parse(str(key)) == key
    for text in ("shop", "shop/single/en/plain/plain/x", "shop/none/en/plain/plain/1", "shop/single/fr/plain/plain/1"):
        with pytest.raises(TaskError):
            Key.parse(text)
    with pytest.raises(TaskError, match="no domain"):
        make(Key("zoo", "single"))
    with pytest.raises(TaskError, match="no steps"):
        make(Key("units", "steps"))
    assert {kind for one in DOMAINS.values() for kind in kinds(one)} == set(KINDS)
    assert {key.persona for key in SUITE} == set(PERSONAS)


def test_training_never_meets_a_held_out_task() -> None:
    mine = {str(key) for key in suite(300, seed=1, held_out=False)}
    assert not mine & {str(key) for key in suite(300, seed=1, held_out=True)}


def test_what_was_renamed_goes_by_its_new_name_when_the_user_thinks_again() -> None:
    """One tool that finds and renames; making this task once ended in a StopIteration."""
    done = rollout(Key.parse("files/steps/en/changes_mind/evolved/1132472748"), None)
    assert done.verdict.passed
    calls = [json.loads(one.arguments) for message in done.messages for one in message.calls]
    assert [one["keywords"] for one in calls] == ["holiday.jpg", "plan.docx"]
