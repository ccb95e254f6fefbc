"""Articles in a real browser: sent, followed by stage, opened with the recording, cancelled, gone on with, deleted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from window import SHOTS, Served

from moonlet.ledger import keys
from moonlet.ledger.books import Books
from moonlet.ledger.database import Database
from moonlet.llm.scripted import Scripted
from moonlet.server import page_articles
from moonlet.server.app import create_app
from moonlet.server.article_jobs import Jobs, Order, Outcome
from moonlet.server.articles import add_articles
from moonlet.server.keys import Access

pytestmark = pytest.mark.long

Window = Callable[..., Any]
WISHES = {
    "language": ("en", "th", "zh"), "tone": ("neutral", "friendly", "formal"), "length": ("short", "medium", "long"),
    "audience": (), "unsupported": ("drop", "flag"), "spoken": (),
}  # fmt: skip
STAGES = ("media", "transcript", "glossary", "outline", "write", "check", "render")
HTML = (
    '<!doctype html><html lang="en"><title>On water</title><style>p{color:rgb(0, 100, 0)}</style>'
    '<p>It boils. <a href="../../sent/talk.mp4#t=1.0">0:01</a></p><script>document.title = "hit"</script>'
)


class Press(Served):
    """The page's server with a maker of articles that goes on when it is told to."""

    def __init__(self, folder: Path, database: Database, access: Access = Access()) -> None:
        self.step, self.orders = threading.Semaphore(0), list[Order]()
        self._folder, self._database, self._access = folder, database, access
        self.books = Books(database)
        self._make = self._application
        self.port = 0
        self.start()

    def _application(self) -> Any:
        model = Scripted(["On water"] * 20, name="kimi-k2-thinking")
        app = self._app = create_app(model, self.books, self._access)
        self.jobs = Jobs(self._folder, self._write, model, app.state.accounts, self._database)
        add_articles(app, self.jobs, WISHES)
        page_articles.mount(app, self.jobs, WISHES, self._database)
        return app

    def _write(self, order: Order) -> Outcome:
        self.orders.append(order)
        for stage in STAGES:
            for done in (0, 1):
                order.tell(stage, done, 2)
                while not self.step.acquire(timeout=0.02):
                    if order.stopped():
                        raise OSError("it was stopped")
        if "broken" in order.source:
            raise OSError("no video and no sound in it")
        (order.folder / "render").mkdir(parents=True, exist_ok=True)
        for kind, text in (("html", HTML), ("md", "# On water"), ("json", "{}")):
            (order.folder / f"render/article.{kind}").write_text(text)
        files = ("render/article.html", "render/article.md", "render/article.json")
        return Outcome("On water", 97.5, "written", "en", files)

    def finish(self) -> None:
        """All that is under way, and the next."""
        self.step.release(2 * len(STAGES))

    def stop(self) -> None:
        self._app.state.watched.close()  # as `moonlet serve` does: streams end
        super().stop()
        self.jobs.close()


@pytest.fixture
def press(tmp_path: Path, database: Database) -> Iterator[Press]:
    server = Press(tmp_path / "articles", database)
    yield server
    server.stop()
    server.books.close()


def _send(page: Any, name: str) -> None:
    page.locator("#recording").set_input_files([{"name": name, "mimeType": "video/mp4", "buffer": b"film" * 4096}])
    page.get_by_role("button", name="Make the article").click()


def test_a_recording_becomes_an_article_that_opens_with_its_seconds(window: Window, press: Press) -> None:
    page = window(press.url)
    page.get_by_role("link", name="Articles").click()
    page.wait_for_selector("text=No articles yet")
    page.locator(".figures summary", has_text="How it should be").click()
    page.get_by_label("Length", exact=True).select_option("short")
    page.get_by_label("Written for", exact=True).fill("nurses")
    _send(page, "talk.mp4")
    card = page.locator(".article")
    card.locator("[aria-current=step]", has_text="Look through").wait_for()
    assert press.orders[0].wish == {"length": "short", "audience": "nurses"}
    press.step.release(3)  # into the middle of the transcript
    card.locator("[aria-current=step]", has_text="Listen").wait_for()
    page.wait_for_selector(".article [role=meter][aria-valuenow='50']")
    press.finish()
    card.get_by_role("link", name="Open", exact=True).wait_for()
    assert "On water" in card.inner_text() and "97.5%" in card.inner_text() and "talk.mp4" in card.inner_text()
    with page.context.expect_page() as opened:
        card.get_by_role("link", name="Open", exact=True).click()
    article = opened.value
    article.wait_for_selector("text=It boils.")
    assert article.title() == "On water"  # its script did not run, its style is there
    assert article.locator("p").evaluate("(one) => getComputedStyle(one).color") == "rgb(0, 100, 0)"
    recording = article.locator("a").evaluate("(one) => one.href").split("#")[0]
    film = httpx.get(recording, headers={"Range": "bytes=4-7"})
    assert (film.status_code, film.content, film.headers["content-type"]) == (206, b"film", "video/mp4")
    assert httpx.get(recording.replace("sent/talk.mp4", "job.json")).status_code == 404
    window.expected += ["Blocked script execution"]  # type: ignore[attr-defined]
    with page.expect_download() as saved:
        card.get_by_role("link", name="Download as MD").click()
    assert saved.value.suggested_filename == "On water.md"
    card.get_by_role("button", name="Delete “On water”").click()
    card.get_by_role("button", name="Delete with everything made").click()
    page.wait_for_selector("text=No articles yet")


def test_cancelled_gone_on_with_and_failed(window: Window, press: Press) -> None:
    page = window(press.url + "#/articles")
    page.get_by_label("Or its address").fill("https://video.example/talk")
    page.get_by_role("button", name="Make the article").click()
    first = page.locator(".article", has_text="video.example/talk")
    first.locator(".stages").wait_for()
    assert "Fetch" in first.locator(".stages").inner_text()
    _send(page, "broken.mp4")
    second = page.locator(".article", has_text="broken.mp4")
    second.get_by_text("1 is made before it.").wait_for()
    first.get_by_role("button", name="Cancel").click()
    first.get_by_text("cancelled").wait_for()
    second.locator(".stages").wait_for()  # what waited has moved up
    press.finish()
    second.get_by_text("no video and no sound in it").wait_for()
    first.get_by_role("button", name="Go on").click()
    first.locator(".stages").wait_for()
    press.finish()
    page.locator(".article", has_text="On water").get_by_role("link", name="Open", exact=True).wait_for()


def test_a_key_opens_its_articles_until_it_is_revoked(window: Window, tmp_path: Path, database: Database) -> None:
    _, secret = keys.add(database, "ann")
    server = Press(tmp_path / "articles", database, Access(keys_needed=True))
    with closing(server.books):
        page = window(server.url)
        window.expected += ["401", "404"]  # type: ignore[attr-defined]
        page.locator(".door input[type=password]").fill(secret)
        page.get_by_role("button", name="Enter").click()
        page.get_by_role("link", name="Articles").click()
        _send(page, "talk.mp4")
        server.finish()
        link = page.get_by_role("link", name="Open", exact=True)
        link.wait_for()
        address = link.evaluate("(one) => one.href")
        assert httpx.get(address).status_code == 200 and secret not in address
        keys.revoke(database, "ann")
        assert httpx.get(address).status_code == 404
        page.reload()
        page.wait_for_selector(".door")
        server.stop()


def test_a_server_that_makes_none_says_so(window: Window) -> None:
    server = Served(Scripted([]))
    try:
        page = window(server.url + "#/articles")
        page.wait_for_selector("text=moonlet serve --articles")
        assert page.get_by_role("link", name="Articles").count() == 0
    finally:
        server.stop()


@pytest.mark.parametrize("language", ["en", "th", "zh"])
def test_in_every_language_on_a_phone_and_wide(window: Window, press: Press, look: Any, language: str) -> None:
    for name in ("done", "broken", "talk"):
        body = {"content": b"film", "headers": {"content-type": "video/mp4"}}
        assert httpx.post(f"{press.url}v1/articles?name={name}.mp4", **body).status_code == 202
    press.finish()
    press.finish()
    press.step.release(5)
    until = time.monotonic() + 10
    while len(press.orders) < 3:
        assert time.monotonic() < until
        time.sleep(0.02)
    for name, width, height, dark in (("phone", 360, 740, language == "th"), ("wide", 1440, 900, language == "zh")):
        page = window(press.url + "#/articles", width, height, dark, language)
        page.wait_for_selector(".article >> nth=2")
        page.locator("summary").first.click()
        page.wait_for_selector(".article .primary")
        look(page, "articles", SHOTS / f"articles-{language}-{name}.png")
        page.context.close()
