"""What becomes of conversations: the deleted stay away, two tabs lose nothing of each other, two answers are two."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from window import Served, booked

from moonlet.chat.messages import Message, ToolSpec
from moonlet.ledger import keys
from moonlet.ledger.database import Database
from moonlet.llm.scripted import Scripted
from moonlet.server import page_runs
from moonlet.server.keys import Access

pytestmark = pytest.mark.long

Window = Callable[..., Any]
PLACES = ("browser", "server")
KEPT_MS = 500  # after which a turn has been kept
STORY_MS = 2500  # after which a short story has ended
NONE = "No conversation yet"


def _reply(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> str:
    said = messages[-1].content
    return "Once upon a time. " * (200 if "long" in said else 12) if "story" in said else f"You said: {said}"


@contextmanager
def _serving(database: Database) -> Iterator[tuple[Served, str]]:
    """A server that tells stories slowly, and a key."""
    _, secret = keys.add(database, "ada")
    model = Scripted(itertools.repeat(_reply), pause_s=0.03)
    with booked(model, database, Access(keys_needed=True)) as server:
        yield server, secret


def _open(window: Window, server: Served, secret: str, place: str = "browser") -> Any:
    """A window of whoever has the key, where conversations are kept in that place."""
    kept = {"moonlet.key": secret, "moonlet.settings": json.dumps({"place": place})}
    origin = {
        "origin": server.url.rstrip("/"),
        "localStorage": [{"name": name, "value": value} for name, value in kept.items()],
    }
    window.expected += ["404"]  # type: ignore[attr-defined]  # a conversation at whose address nothing is any more
    return window(server.url, storage_state={"cookies": [], "origins": [origin]})


def _beside(page: Any, url: str) -> Any:
    """Another tab of the same browser."""
    other = page.context.new_page()
    other.set_default_timeout(45_000)
    other.goto(url)
    return other


def _say(page: Any, text: str) -> None:
    page.locator("#said").fill(text)
    page.locator("#said").press("Enter")


def _answered(page: Any, count: int = 1) -> None:
    """Waits until that many answers are whole, and kept."""
    page.locator(".answer[aria-busy=false] .answer-foot").nth(count - 1).wait_for()
    page.wait_for_timeout(KEPT_MS)


def _conversations(page: Any) -> Any:
    page.get_by_role("button", name="Conversations").click()
    return page.locator("dialog")


def _delete(page: Any, title: str) -> None:
    _conversations(page).get_by_role("button", name=f"Delete “{title}”").click()
    page.get_by_text(NONE).wait_for()


def _go_to(page: Any, title: str) -> None:
    shown = _conversations(page)
    page.wait_for_timeout(KEPT_MS)  # until the list stands still: what is kept goes to its top
    shown.get_by_text(title, exact=True).click()
    page.locator(".said").get_by_text(title, exact=True).wait_for()


def _nothing_comes_back(page: Any) -> None:
    page.wait_for_timeout(STORY_MS)
    page.reload()
    shown = _conversations(page)
    shown.locator(".list-open").or_(shown.get_by_text(NONE)).first.wait_for()
    assert shown.get_by_text(NONE).count() == 1
    assert page.locator(".answer").count() == 0


def _ends(server: Served, secret: str) -> list[str]:
    """How the runs ended."""
    found = httpx.get(f"{server.url}api/act", headers={"Authorization": f"Bearer {secret}"})
    return [run["reason"] for run in found.json()["runs"]]


# ---- deleted ----


@pytest.mark.parametrize("place", PLACES)
def test_what_was_deleted_stays_away_when_its_answer_ends(window: Window, database: Database, place: str) -> None:
    with _serving(database) as (server, secret):
        page = _open(window, server, secret, place)
        _say(page, "A story")
        page.locator(".answer .prose").wait_for()
        page.wait_for_timeout(KEPT_MS)
        _delete(page, "A story")
        page.locator(".tries").wait_for()
        _nothing_comes_back(page)
        assert _ends(server, secret) == ["cancelled"]


def test_what_was_deleted_stays_away_when_its_answer_begins(window: Window, database: Database) -> None:
    with _serving(database) as (server, secret):
        page = _open(window, server, secret)
        held: list[Any] = []
        page.route("**/api/runs", lambda route: held.append(route))
        _say(page, "A story")
        page.wait_for_timeout(KEPT_MS)
        _delete(page, "A story")
        held[0].continue_()
        _nothing_comes_back(page)
        assert _ends(server, secret) == ["cancelled"]


def test_what_one_tab_deletes_no_other_brings_back(window: Window, database: Database) -> None:
    with _serving(database) as (server, secret):
        page = _open(window, server, secret)
        _say(page, "A story")
        page.locator(".answer .prose").wait_for()
        page.wait_for_timeout(KEPT_MS)
        _delete(_beside(page, server.url), "A story")
        page.locator(".tries").wait_for()
        _nothing_comes_back(page)
        assert _ends(server, secret) == ["cancelled"]


# ---- two tabs ----


@pytest.mark.parametrize("place", PLACES)
def test_two_tabs_lose_nothing_of_each_other(window: Window, database: Database, place: str) -> None:
    with _serving(database) as (server, secret):
        page = _open(window, server, secret, place)
        _say(page, "Hello")
        _answered(page)
        other = _beside(page, page.url)
        _answered(other)
        _say(page, "From the first tab")
        _answered(page, 2)
        _say(other, "From the second tab")
        _answered(other, 2)
        other.reload()
        other.locator(".prose").get_by_text("You said: From the second tab").wait_for()
        other.get_by_role("button", name="Version before").click()
        other.locator(".prose").get_by_text("You said: From the first tab").wait_for()


def test_what_another_tab_went_on_with_is_seen(window: Window, database: Database) -> None:
    """Also if this tab, which does not know of it, has turned versions since."""
    with _serving(database) as (server, secret):
        page = _open(window, server, secret)
        _say(page, "Hello")
        _answered(page)
        page.get_by_role("button", name="Answer again").click()
        page.get_by_text("2/2").wait_for()
        _answered(page)
        other = _beside(page, page.url)
        _answered(other)
        _say(page, "Go on")
        _answered(page, 2)
        other.get_by_role("button", name="Version before").click()
        other.get_by_text("1/2").wait_for()
        other.get_by_role("button", name="Next version").click()
        other.get_by_text("2/2").wait_for()
        other.wait_for_timeout(KEPT_MS)
        other.reload()
        other.locator(".prose").get_by_text("You said: Go on").wait_for()


# ---- two answers ----


def test_two_conversations_at_once_have_an_answer_each(window: Window, database: Database) -> None:
    with _serving(database) as (server, secret):
        page = _open(window, server, secret)
        stop = page.get_by_role("button", name="Stop")
        _say(page, "A long story")
        stop.wait_for()
        page.get_by_role("button", name="New").click()
        page.locator(".tries").wait_for()
        assert stop.count() == 0
        _say(page, "Another long story")
        stop.wait_for()
        # Back in the first, its own answer is under way: it takes no second message, and can be stopped.
        _go_to(page, "A long story")
        _say(page, "Too early")
        assert page.locator(".said").count() == 1
        stop.click(timeout=5000)
        page.get_by_text("Stopped.").wait_for()
        assert stop.count() == 0
        # The other one did not hear of that.
        _go_to(page, "Another long story")
        stop.click(timeout=5000)
        page.get_by_text("Stopped.").wait_for()


def test_an_answer_is_stopped_before_the_server_said_that_it_began(window: Window, database: Database) -> None:
    with _serving(database) as (server, secret):
        page = _open(window, server, secret)
        held: list[Any] = []
        page.route("**/api/runs", lambda route: held.append(route))
        _say(page, "A long story")
        page.get_by_role("button", name="Stop").click(timeout=5000)
        held[0].continue_()
        page.get_by_text("Stopped.").wait_for()


def test_a_question_that_was_on_its_way_can_be_asked_again(window: Window, database: Database) -> None:
    """The page was left before the server had answered that the run had begun."""
    with _serving(database) as (server, secret):
        page = _open(window, server, secret)
        page.route("**/api/runs", lambda route: None)
        _say(page, "Hello")
        page.wait_for_timeout(KEPT_MS)
        page.unroute("**/api/runs")
        page.reload()
        page.locator(".answer .notice.bad").wait_for(timeout=5000)
        assert "page was left" in page.locator(".answer .notice.bad").inner_text()
        page.get_by_role("button", name="Answer again").click()
        page.locator(".prose").get_by_text("You said: Hello").wait_for()


def test_another_key_finds_nothing_of_the_one_before(window: Window, database: Database) -> None:
    with _serving(database) as (server, secret):
        other_key, other = keys.add(database, "bob")
        page = _open(window, server, secret, "server")
        _say(page, "my diary")
        _answered(page)
        _say(page, "a long story")
        page.locator(".answer[aria-busy=true]").wait_for()
        page.get_by_role("button", name="Your key").click()
        page.get_by_label("Key", exact=True).fill(other)
        page.get_by_role("button", name="Enter").click()
        page.wait_for_timeout(STORY_MS)
        assert "diary" not in page.locator("body").inner_text()
        _say(page, "something else")
        _answered(page)
        with database.reading() as connection:
            told = dict(connection.run("SELECT owner, title FROM page_talks"))
        assert told[other_key.id] == "something else" and "my diary" in told.values()


def test_an_answer_whose_key_is_revoked_is_not_whole(
    window: Window, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_runs, "KEEP_ALIVE_S", 0.2)
    with _serving(database) as (server, secret):
        page = _open(window, server, secret)
        window.expected += ["401"]  # type: ignore[attr-defined]
        _say(page, "A long story")
        page.locator(".answer .prose").wait_for()
        keys.revoke(database, "ada")
        page.get_by_text("was revoked").wait_for()
        assert page.locator(".door").count() == 1


def test_whoever_scrolls_up_a_little_stays_there(window: Window, database: Database) -> None:
    with _serving(database) as (server, secret):
        page = _open(window, server, secret)
        page.set_viewport_size({"width": 1000, "height": 400})
        _say(page, "A long story")
        below = "document.documentElement.scrollHeight - innerHeight - scrollY"
        while page.evaluate("scrollY") < 200:
            page.wait_for_timeout(100)
        page.mouse.move(500, 150)
        page.mouse.wheel(0, -60)
        page.wait_for_timeout(1000)
        assert page.evaluate(below) >= 50
