"""The planner behind the page's sliders: the numbers of `moonlet plan`, quickly, and nothing but names from outside."""

import io
import json
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing, redirect_stdout
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from moonlet.cli import main, page_planner
from moonlet.ledger.database import open_database
from moonlet.llm.scripted import Scripted
from moonlet.planner.machine import catalogue
from moonlet.planner.sliders import Sliders, SlidersError
from moonlet.planner.subject import known_models
from moonlet.server.app import create_app
from serving import serving_app

BOX = "epyc-768gb-1x-rtx-pro-6000"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOONLET_HOME", str(tmp_path / "home"))


def by_command(*arguments: object) -> dict[str, Any]:
    out = io.StringIO()
    with redirect_stdout(out):
        assert main(["plan", *map(str, arguments), "--json"]) == 0
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


@pytest.mark.parametrize(
    ("asked", "flags"),
    [
        ({}, ["kimi-k2-thinking", "--machine", BOX]),
        (
            {"developers": 12, "tokens_per_day": 8_000_000, "tariff": "0.31"},
            ["kimi-k2-thinking", "--machine", BOX, "--team", 12, "--tokens-per-day", 8_000_000, "--tariff", "0.31"],
        ),
        (
            {"model": "moonlight-16b-a3b", "machine": "laptop-32gb", "api": "", "developers": 3},
            ["moonlight-16b-a3b", "--machine", "laptop-32gb", "--team", 3, "--against", "claude-max-20x"],
        ),
        ({"machine": "8x-h200", "developers": 100}, ["kimi-k2-thinking", "--machine", "8x-h200", "--team", 100]),
        (
            {"machine": "gaming-pc-64gb", "developers": 4},
            ["kimi-k2-thinking", "--machine", "gaming-pc-64gb", "--team", 4],
        ),
        ({"model": "kimi-k2-instruct", "machine": "epyc-768gb"}, ["kimi-k2-instruct", "--machine", "epyc-768gb"]),
        ({"machine": "laptop-32gb", "developers": 2}, ["kimi-k2-thinking", "--machine", "laptop-32gb", "--team", 2]),
        (
            {"machine": "8x-h200", "price": "90000", "watts": 5000, "idle_watts": 900},
            ["kimi-k2-thinking", "--machine", "8x-h200", "--price", 90000, "--watts", 5000, "--idle-watts", 900],
        ),
        ({"watts": 500}, ["kimi-k2-thinking", "--machine", BOX, "--watts", 500]),
        ({"idle_watts": 90}, ["kimi-k2-thinking", "--machine", BOX, "--idle-watts", 90]),
    ],
)
def test_the_page_says_what_the_command_says(asked: dict[str, Any], flags: list[object]) -> None:
    said, page = by_command(*flags), json.loads(json.dumps(Sliders().answer(asked, sure=True)))
    assert {name: page[name] for name in said} == said
    quick = json.loads(json.dumps(Sliders().answer(asked)))
    for name, value in (quick.get("money") or {}).items():
        assert said["money"][name] == value, name


def test_curves_go_through_the_numbers_of_the_plan() -> None:
    plan = Sliders().answer({"developers": 7, "machine": "8x-h200"})
    curves, money = plan["curves"], plan["money"]
    here = curves["developers"].index(7)
    assert curves["cash"][here] == pytest.approx(float(money["cash_a_year"]), abs=1e-3)
    assert curves["full"][here] == pytest.approx(float(money["full_a_year"]), abs=1e-3)
    assert curves["machines"][here] == money["machines"]
    for name, values in curves["elsewhere"].items():
        assert values[here] == pytest.approx(float(money["elsewhere_a_year"][name]), abs=1e-3)
    for count, years in money["payback_years"].items():
        drawn = curves["payback_years"][curves["developers"].index(int(count))]
        assert drawn == (None if years is None or float(years) > 100 else pytest.approx(float(years), abs=0.006))


def test_models_and_machines_of_all_sizes_have_an_answer() -> None:
    sliders = Sliders()
    pairs = [("kimi-k2-thinking", machine) for machine in list(catalogue())[::3]]
    for model, machine in [*pairs, *((model, "mac-studio-m3-ultra-256gb") for model in known_models()[::2])]:
        plan = sliders.answer({"model": model, "machine": machine})
        json.dumps(plan)
        assert plan["said"]["kind"] in ("own", "rent", "no fit", "no price")
        assert (plan["curves"] is None) == (plan["said"]["kind"] in ("no fit", "no price"))


def test_a_dragged_slider_is_answered_at_once() -> None:
    sliders = Sliders()
    sliders.answer({})  # what depends on model and machine alone is worked out once
    least = 1.0
    for developers in range(2, 12):
        began = time.process_time()
        sliders.answer({"developers": developers, "tokens_per_day": developers * 500_000})
        least = min(least, time.process_time() - began)
    assert least < 0.1


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"developers": 0}, "developers must be a whole number within 1 and 10,000, got 0"),
        ({"developers": 1.5}, "developers must be a whole number"),
        ({"developers": True}, "developers must be a number"),
        ({"tokens_per_day": "1e400"}, "tokens_per_day must be a number"),
        ({"tariff": "NaN"}, "tariff must be a number from 0 on, got 'NaN'"),
        ({"tariff": -1}, "tariff must be a number from 0 on"),
        ({"model": "/etc/passwd"}, "there is no model '/etc/passwd' to plan with"),
        ({"model": ["x"]}, "model must be a name"),
        ({"machine": "box.toml"}, "there is no machine 'box.toml' in the catalogue"),
        ({"machine": "this"}, "this machine is not measured yet"),
        ({"api": "nobody/nothing"}, "no price of 'nobody/nothing'"),
        ({"api": "claude-pro"}, "api must be a model with a price"),
        ({"api": "", "seat": ""}, "there must be something to compare with"),
        ({"tariff": "1e-9999999999"}, "tariff must have at most 28 digits and be no finer than 1e-12, got"),
        ({"tariff": "0e-9999999999"}, "tariff must have at most 28 digits"),
        ({"tariff": "0." + "1" * 29}, "tariff must have at most 28 digits"),
        ({"price": "1" * 10**6}, "price must be a number from 0 on, got"),
        ({"watts": "1e9"}, "watts_load of a machine must be within 0 and 100000000, got 1e+09"),
        ({"color": 1}, "there is no 'color' to set"),
    ],
)
def test_what_cannot_be_planned_is_told_in_one_line(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(SlidersError) as caught:
        Sliders().answer(asked)
    assert str(caught.value).startswith(said) and "\n" not in str(caught.value)


def test_a_large_team_has_an_answer_however_many_machines_it_needs() -> None:
    for developers, tokens in ((1000, 200_000_000), (10_000, 10**9)):
        assert Sliders().answer({"developers": developers, "tokens_per_day": tokens})["said"]["machines"] > 1000


@pytest.mark.parametrize(
    "asked", [{"machine": {}}, {"machine": []}, {"against": 3}, {"price": "1e-9999999999"}, {"tariff": {"a": 1}}]
)
def test_what_owning_came_to_is_asked_with_names_and_numbers(asked: dict[str, Any], tmp_path: Path) -> None:
    app = FastAPI()
    with closing(open_database(tmp_path / "ledger")) as database:
        page_planner.offer(Namespace(model=None), app, "nano", database)
        with pytest.raises(ValueError, match="must"):
            app.state.against({"against": "claude-max-20x", "machine": BOX} | asked)


@pytest.fixture
def url() -> Iterator[str]:
    app = create_app(Scripted([]))
    app.state.planner = Sliders(("nano", "nano"))
    with serving_app(app) as place:
        yield place


def test_over_http(url: str) -> None:
    choices = httpx.get(f"{url}/api/plan").json()
    assert choices["models"][0] == "nano" and BOX in [one["name"] for one in choices["machines"]]
    assert choices["usual"]["tariff"] == "0.1786"
    plan = httpx.post(f"{url}/api/plan", json={"developers": 5}).json()
    assert plan == json.loads(json.dumps(Sliders().answer({"developers": 5})))
    assert "saved_a_year" not in plan["money"]
    assert httpx.post(f"{url}/api/plan/sure", json={"developers": 5}).json()["money"]["saved_a_year"]
    assert httpx.post(f"{url}/api/plan", json={"model": "nano"}).json()["model"]["name"] == "nano"
    refused = httpx.post(f"{url}/api/plan", json={"developers": -3})
    assert refused.status_code == 400 and "developers" in refused.json()["error"]["message"]
    assert httpx.post(f"{url}/api/plan", content="{}").status_code == 415
    assert httpx.post(f"{url}/api/plan", json=[1]).status_code == 400
