"""The HTML article in a real browser, in three languages: nothing runs, is fetched, or stands over the edge."""

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from article_talks import Language, made_up
from moonlet.article import compose
from moonlet.article.compose import Composing
from moonlet.article.render import STAGE as RENDER
from moonlet.article.render import RenderSettings
from test_article_writing import _always, _hostile, _prepared, honest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium. Skips where there is none."""
    place = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if place is None or importlib.util.find_spec("playwright") is None:
        pytest.skip("playwright, or a chromium on this machine, is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=place, args=["--no-sandbox"])
        yield found
        found.close()


def _opened(browser: Any, path: Path, columns: int, told: list[str], dark: bool = False) -> Any:
    context = browser.new_context(
        viewport={"width": columns, "height": 800}, color_scheme="dark" if dark else "light", offline=True
    )
    page = context.new_page()
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("dialog", lambda dialog: told.append(dialog.message))
    page.on("request", lambda request: told.append(request.url) if request.url[:5] not in ("file:", "data:") else None)
    page.goto(path.as_uri())
    page.locator("summary").click()
    return page


@pytest.mark.parametrize("language", ["en", "th", "zh"])
def test_it_is_shown_whole_on_every_screen(language: Language, browser: Any, tmp_path: Path) -> None:
    said = made_up()[language]
    compose.compose(_prepared(said, tmp_path), tmp_path, Composing(), _always(honest))
    told: list[str] = []
    for columns, dark in ((320, False), (390, True), (1280, False)):
        page = _opened(browser, tmp_path / "render/article.html", columns, told, dark)
        assert page.evaluate("document.documentElement.scrollWidth") <= columns
        assert page.locator("html").get_attribute("lang").startswith(language)
        assert page.locator("p.line").count() == len(said.sentences)
        assert page.locator("img").evaluate_all("all => all.every(one => one.complete && one.naturalWidth > 0)")
        ink, paper = page.evaluate("(s => [s.color, s.backgroundColor])(getComputedStyle(document.body))")
        assert (sum(_channels(ink)) > sum(_channels(paper))) == dark
        page.context.close()
    assert told == []


def test_nothing_that_was_said_runs(browser: Any, tmp_path: Path) -> None:
    RENDER.run(_hostile(tmp_path), tmp_path, RenderSettings(("html",)), lambda done, of: None)
    told: list[str] = []
    page = _opened(browser, tmp_path / "render/article.html", 390, told)
    page.mouse.move(100, 200)
    assert told == [] and page.evaluate("document.scripts.length") == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.context.close()


def _channels(colour: str) -> list[float]:
    return [float(one) for one in colour.removeprefix("rgb(").rstrip(")").split(",")]
