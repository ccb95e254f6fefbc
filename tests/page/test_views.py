"""Act, Books and Plan in a real browser: a slider moves curves, an approval is given, a revoked key sees nothing."""

from __future__ import annotations

import argparse
import itertools
import json
import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from window import SHOTS, Served

from moonlet.chat.messages import Message, ToolCall, ToolSpec
from moonlet.cli import page_planner
from moonlet.ledger import keys
from moonlet.ledger.books import Books, Took
from moonlet.ledger.database import Database, open_database
from moonlet.ledger.energy import Counter, Meter
from moonlet.ledger.keys import Limits
from moonlet.ledger.money import Price
from moonlet.llm.scripted import Scripted
from moonlet.planner.sliders import Sliders
from moonlet.server.app import create_app
from moonlet.server.keys import Access
from moonlet.server.page_tools import Workbench
from moonlet.tools.tool import Tool, parameters

Window = Callable[..., Any]
DAY_S = 86400.0
VIEWS = ("act", "books", "plan")
BODY = {"messages": [{"role": "user", "content": "Write the minutes of today's meeting"}], "tools": ["look", "write"]}


def _reply(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> Message:
    """Looks, writes, and says so; a long story to who wants one."""
    last = messages[-1]
    if "story" in last.content:
        return Message("assistant", "Once upon a time there was a machine. " * 200)
    if last.role == "user":
        call = ToolCall("functions.look:0", "look", json.dumps({"where": "calendar"}))
        return Message("assistant", "I look who was there.", thinking="First the calendar.", calls=(call,))
    if last.name == "look":
        call = ToolCall("functions.write:1", "write", json.dumps({"file": "minutes.md", "text": "Ann, Bob: ship it."}))
        return Message("assistant", "Now I write it down.", calls=(call,))
    return Message("assistant", "The minutes are in minutes.md.")


def _tools() -> list[Tool]:
    def look(arguments: Mapping[str, Any]) -> str:
        time.sleep(0.05)
        return "10:00 meeting, Ann and Bob"

    def write(arguments: Mapping[str, Any]) -> str:
        time.sleep(0.05)
        return f"{arguments['file']} written"

    where, file = parameters({"where": {"type": "string"}}), {"file": {"type": "string"}, "text": {"type": "string"}}
    return [
        Tool(ToolSpec("look", "Looks something up", where), look),
        Tool(ToolSpec("write", "Writes a file", parameters(file)), write, changes=True),
    ]


class Office(Served):
    """The page's server with everything that `moonlet serve` gives it."""

    def __init__(self, books: Books, access: Access = Access()) -> None:
        model = Scripted(itertools.repeat(_reply), name="kimi-k2-thinking", pause_s=0.02)
        self._books, self._access = books, access
        self._make = lambda: self._application(model)
        self.port = 0
        self.start()

    def _application(self, model: Scripted) -> Any:
        app = create_app(model, self._books, self._access, Workbench(Access(), own=_tools()))
        page_planner.offer(argparse.Namespace(model=None), app, "nano", self._books.database)
        return app

    def begin(self, secret: str = "") -> str:
        """A run that soon waits for an approval."""
        headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        begun = httpx.post(f"{self.url}api/runs", json=BODY, headers=headers)
        assert begun.status_code == 201, begun.text
        return str(begun.json()["id"])


@contextmanager
def office(database: Database, access: Access = Access()) -> Iterator[Office]:
    with closing(Books(database)) as books:
        server = Office(books, access)
        try:
            yield server
        finally:
            server.stop()


def _fill(ledger: Path) -> None:
    """A month of a team of four."""
    dice, now, ticks = random.Random(7), [0.0], itertools.count()
    meter = Meter([Counter("rapl", lambda: 900.0 * next(ticks))])
    database = open_database(ledger)
    books = Books(database, Price.read("0.95/0.16/4"), meter, clock=lambda: now[0])
    limits = {"ann": Limits(tokens_per_day=2_000_000, concurrent=4), "bob": Limits(tokens_per_month=9_000_000),
              "ci-runner": Limits(tokens_per_day=400_000, nano_usd_per_month=25 * 10**9), "lin": Limits()}  # fmt: skip
    made = {name: keys.add(database, name, limits=limit)[0] for name, limit in limits.items()}
    for day in range(32, -1, -1):
        for name, key in made.items():
            for _ in range(dice.randint(0, 2)):
                now[0] = time.time() - day * DAY_S - dice.random() * 3600
                entry = books.admit(key, "chat.completions", "kimi-k2-thinking" if name != "lin" else "nano", 10, 10)
                prompt = dice.randint(20_000, 240_000)
                now[0] += dice.uniform(20, 400)
                took = Took(
                    prompt, int(prompt * dice.uniform(0.6, 0.95)), dice.randint(300, 4000), None, 0.5, 8.0, 60.0
                )
                books.settle(entry, "done" if dice.random() < 0.97 else "error", took)
    books.close()


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    ledger = tmp_path_factory.mktemp("office") / "ledger.db"
    _fill(ledger)
    with office(open_database(ledger)) as server:
        yield server


# ---- plan ----


def test_a_slider_moves_the_curves_and_the_numbers_are_the_planners(window: Window, filled: Office) -> None:
    page = window(filled.url + "#/plan")
    asked: list[str | None] = []
    page.on("request", lambda one: asked.append(one.post_data) if one.url.endswith("api/plan") else None)
    page.wait_for_selector(".plan-answer[aria-busy=false] .verdict")
    page.wait_for_selector(".plan-charts canvas")
    picture = "() => [...document.querySelectorAll('.plan-charts canvas')].map((one) => one.toDataURL())"
    before, line = page.evaluate(picture), page.locator(".verdict-line").inner_text()
    slider = page.get_by_label("Developers", exact=False).first
    slider.focus()
    for _ in range(17):
        page.keyboard.press("ArrowRight")
    page.wait_for_function("(line) => document.querySelector('.verdict-line').textContent !== line", arg=line)
    page.wait_for_selector(".plan-answer[aria-busy=false]")
    page.wait_for_function("(old) => (([a, b]) => a !== old[0] && b !== old[1])((" + picture + ")())", arg=before)
    moves = [json.loads(one) for one in asked if one]
    assert moves[-1]["developers"] == 100 and len(moves) < 18  # not every move is a question
    told = Sliders().answer({"developers": 100})
    text = page.locator(".verdict").inner_text()
    for sentence in told["sentences"]:  # as the command says it, with as many digits as the page shows
        assert re.split(r" at about|, by \$| take", sentence["text"])[0] in text
    saved = f"{abs(float(told['said']['saved_a_year'])):,.0f}"
    assert saved in page.locator(".verdict-line").inner_text()
    # The numbers behind the curve, for who sees no picture.
    page.locator(".plan-charts .figures summary").nth(1).click()
    row = page.locator(".plan-charts .figures").nth(1).get_by_role("row").filter(has_text="100").last.inner_text()
    here = told["curves"]["developers"].index(100)
    assert f"{told['curves']['full'][here]:,.0f}" in row


@pytest.mark.long
def test_another_machine_and_model_and_how_sure(window: Window, filled: Office) -> None:
    page = window(filled.url + "#/plan")
    page.get_by_label("Machine", exact=False).first.select_option("8x-h200")
    page.wait_for_selector("text=kimi-k2-thinking runs on 8x-h200")
    page.wait_for_selector("text=How sure this is")
    assert "price of the machine" in page.locator(".plan-answer").inner_text()
    verdict = page.locator(".verdict").inner_text()
    page.evaluate(
        """() => {  // as when a price was typed for a machine that has none
            const kept = JSON.parse(localStorage.getItem("moonlet.plan"));
            localStorage.setItem("moonlet.plan", JSON.stringify({ ...kept, price: "5000", watts: "300" }));
        }"""
    )
    page.reload()
    page.wait_for_selector("text=How sure this is")
    assert page.locator(".verdict").inner_text() == verdict
    page.get_by_label("Machine", exact=False).first.select_option("laptop-32gb")
    page.wait_for_selector("text=does not fit on laptop-32gb")
    assert "Cheapest that runs it" in page.locator(".verdict").inner_text()
    assert page.locator(".plan-charts").count() == 0
    page.get_by_label("Model", exact=True).select_option("nano")
    page.wait_for_selector(".plan-charts canvas")
    page.reload()  # where the sliders stood is remembered
    page.wait_for_selector("text=nano runs on laptop-32gb")


# ---- act ----


def test_a_call_is_approved_and_one_denied(window: Window, tmp_path: Path) -> None:
    with office(open_database(tmp_path / "ledger.db")) as server:
        page = window(server.url + "#/act")
        page.wait_for_selector("text=No runs yet")
        server.begin()  # seen without loading anything anew
        card = page.locator(".ask")
        card.get_by_role("button", name="Approve").click()
        page.wait_for_selector(".act-run .tag.good >> text=done")
        text = page.locator(".timeline").inner_text()
        assert "look" in text and "write" in text and "allowed" in text
        assert page.locator(".timeline-track .call").count() == 2
        call = page.locator(".timeline .nested", has_text="write")
        call.locator("summary").click()
        assert "minutes.md written" in call.locator(".timeline-said").inner_text()
        server.begin()
        page.locator(".ask").get_by_role("button", name="Deny").click()
        page.wait_for_selector(".act-list li:nth-child(2)")
        page.locator(".act-list a").first.click()
        page.wait_for_selector(".timeline .tag.bad >> text=denied")
        page.wait_for_selector(".ask", state="detached")


@pytest.mark.long
def test_act_finds_its_place_again_when_the_server_was_restarted(window: Window, tmp_path: Path) -> None:
    with office(open_database(tmp_path / "ledger.db")) as server:
        page = window(server.url + "#/act")
        window.expected += ["ERR_", "Failed to load", "404"]  # type: ignore[attr-defined]
        server.begin()
        page.wait_for_selector(".ask")
        server.stop()
        server.start()
        page.wait_for_selector("text=No runs yet", timeout=20_000)
        server.begin()
        page.locator(".ask").get_by_role("button", name="Deny").click()
        page.wait_for_selector(".act-run .tag.good >> text=done")
        assert page.locator(".act-list li").count() == 1  # the server that was before took its run with it
        assert "denied" in page.locator(".timeline").inner_text()


# ---- books ----


def test_books_by_day_key_and_model_and_what_owning_came_to(window: Window, filled: Office) -> None:
    page = window(filled.url + "#/books")
    page.wait_for_selector("canvas")
    for name in ("ann", "bob", "ci-runner", "lin", "kimi-k2-thinking"):
        assert name in page.locator("main").inner_text()
    picture = "document.querySelector('canvas').toDataURL()"
    before = page.evaluate(picture)
    page.get_by_label("Show", exact=True).select_option("usd")
    page.get_by_label("by", exact=True).select_option("keys")
    page.wait_for_function(f"(old) => {picture} !== old", arg=before)
    assert page.locator(".legend li").count() == 4
    page.get_by_label("The machine", exact=True).select_option("epyc-768gb")
    meter = page.get_by_role("meter", name="Paid back")
    meter.wait_for()
    assert "of US$" in page.locator(".payback").inner_text()
    assert page.get_by_role("meter").count() >= 4


@pytest.mark.long
def test_who_waits_now_is_told(window: Window, filled: Office) -> None:
    page = window(filled.url + "#/books")
    page.wait_for_selector("text=Nobody is asking")
    over = threading.Event()

    def listen() -> None:
        body = {"model": "kimi-k2-thinking", "messages": [{"role": "user", "content": "a story"}], "stream": True}
        with httpx.stream("POST", f"{filled.url}v1/chat/completions", json=body, timeout=30) as answer:
            for _ in answer.iter_lines():
                if over.is_set():
                    return

    asking = threading.Thread(target=listen)
    asking.start()
    page.wait_for_selector("text=chat.completions")
    assert "Nobody is asking" not in page.locator("main").inner_text()
    over.set()
    asking.join(10)
    assert not asking.is_alive()
    page.wait_for_selector("text=Nobody is asking")
    assert "chat.completions" not in page.locator("main").inner_text()


@pytest.mark.long
def test_a_key_sees_its_own_lines_until_it_is_revoked(window: Window, tmp_path: Path) -> None:
    _fill(tmp_path / "ledger.db")
    database = open_database(tmp_path / "ledger.db")
    _, secret = keys.add(database, "zoe")
    with office(database, Access(keys_needed=True)) as server:
        page = window(server.url + "#/books")
        window.expected += ["401"]  # type: ignore[attr-defined]
        page.locator(".door input[type=password]").fill(secret)
        page.get_by_role("button", name="Enter").click()
        page.wait_for_selector("text=What the key zoe used")
        assert "bob" not in page.locator("main").inner_text()
        page.goto(server.url + "#/act")
        page.wait_for_selector("text=No runs yet")
        server.begin(secret)
        page.wait_for_selector(".ask")
        keys.revoke(database, "zoe")
        page.locator(".ask").get_by_role("button", name="Approve").click()
        page.wait_for_selector(".door")
        assert "revoked" in page.locator(".door .notice").inner_text()


# ---- everybody can use it ----


def _ready(page: Any, view: str) -> None:
    """Everything that the view has to show is there."""
    page.wait_for_selector(f"[data-view={view}] h1", state="attached")
    if view == "plan":
        page.wait_for_selector("[data-view=plan] .panel >> nth=8")
        page.wait_for_selector(".plan-charts canvas >> nth=2")
    elif view == "books":
        page.wait_for_selector(".payback")
        page.wait_for_selector("canvas")
    else:
        page.wait_for_selector(".ask")
        page.wait_for_selector(".act-list li", state="attached")
    page.wait_for_timeout(150)


KEPT = {"moonlet.owning": {"against": "moonshotai/kimi-k2.6", "machine": "epyc-768gb", "price": "", "watts": ""},
        "moonlet.plan": {"developers": 40, "machine": "8x-rtx-pro-6000", "tokens_per_day": 5_000_000}}  # fmt: skip


def _kept(server: Office) -> dict[str, Any]:
    """A browser that was here before."""
    values = [{"name": name, "value": json.dumps(value)} for name, value in KEPT.items()]
    return {"cookies": [], "origins": [{"origin": server.url.rstrip("/"), "localStorage": values}]}


@pytest.fixture(scope="module")
def busy(filled: Office) -> Office:
    """Two runs that are over, one that waits."""
    for _ in range(2):
        id = filled.begin()
        _until(filled, id, "asking")
        (question,) = httpx.get(f"{filled.url}api/act/{id}").json()["asks"]
        body = {"question": question["question"], "answer": "yes" if _ else "no"}
        httpx.post(f"{filled.url}api/act/{id}/answer", json=body)
        _until(filled, id, "over")
    _until(filled, filled.begin(), "asking")
    return filled


def _until(server: Office, id: str, state: str) -> None:
    until = time.monotonic() + 20
    while httpx.get(f"{server.url}api/act/{id}").json()["state"] != state:
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.long
@pytest.mark.parametrize("language", ["en", "th", "zh"])
@pytest.mark.parametrize("view", VIEWS)
def test_in_every_language_on_a_phone_and_wide_light_and_dark(
    window: Window, busy: Office, look: Any, view: str, language: str
) -> None:
    """No word is missing, nothing is wider than the screen, axe finds nothing; pictures are written for looking at."""
    for name, width, height, dark in (("phone", 360, 740, language == "th"), ("wide", 1440, 900, language == "zh")):
        page = window(f"{busy.url}#/{view}", width, height, dark, language, storage_state=_kept(busy))
        _ready(page, view)
        look(page, view, SHOTS / f"{view}-full-{language}-{name}.png")
        page.context.close()
