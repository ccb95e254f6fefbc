"""A real server and a real browser: one Chromium for all tests of the page, a fresh window for each."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from window import Served, chromium

import moonlet
from moonlet.ledger.database import Database, open_database
from moonlet.local import Local


@pytest.fixture(scope="module")
def nano() -> Iterator[Local]:
    with moonlet.load("nano") as model:
        yield model


@pytest.fixture(scope="module")
def served(nano: Local) -> Iterator[str]:
    """The address of a server with the small model, open to this machine."""
    server = Served(nano)
    yield server.url
    server.stop()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = open_database(str(tmp_path / "ledger.db"))
    yield database
    database.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    # Playwright keeps a loop running in this thread while it is open: other files could not run one of their own.
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = chromium()
    with api.sync_playwright() as playwright:
        chrome = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"] if os.getuid() == 0 else [])
        yield chrome
        chrome.close()


@pytest.fixture
def window(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens windows. At the end nothing may have been asked elsewhere, and no console may have an error but `expected`
    ones."""
    with ExitStack() as stack:
        errors: list[str] = []
        elsewhere: list[str] = []

        def open_window(
            url: str, width: int = 1280, height: int = 860, dark: bool = False, language: str = "en", **more: Any
        ) -> Any:
            context = browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme="dark" if dark else "light",
                locale={"en": "en-GB", "th": "th-TH", "zh": "zh-CN"}[language],
                reduced_motion=more.pop("motion", "reduce"),
                **more,
            )
            stack.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(45_000)
            page.on("console", lambda one: errors.append(one.text) if one.type in ("error", "warning") else None)
            page.on("pageerror", lambda one: errors.append(str(one)))
            host = url.split("/")[2]
            page.on("request", lambda one: None if _here(one.url, host) else elsewhere.append(one.url))
            page.goto(url)
            return page

        open_window.errors = errors  # type: ignore[attr-defined]
        open_window.expected = []  # type: ignore[attr-defined]
        yield open_window
        assert not elsewhere, elsewhere
        left = [one for one in errors if not any(known in one for known in open_window.expected)]  # type: ignore[attr-defined]
        assert not left, left


@pytest.fixture(scope="session")
def violations() -> Callable[[Any], list[str]]:
    """What axe finds wrong with a page."""
    pytest.importorskip("axe_playwright_python", reason="axe is not installed")
    axe = (resources.files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    script = "(tags) => axe.run(document, { runOnly: tags }).then((all) => all.violations)"

    def find(page: Any) -> list[str]:
        page.evaluate(axe + ";0")
        found = page.evaluate(script, tags)
        return [
            f"{one['id']}: {node['html'][:200]} {node['failureSummary'][:200]}"
            for one in found
            for node in one["nodes"]
        ]

    return find


@pytest.fixture
def look(violations: Callable[[Any], list[str]]) -> Callable[[Any, str, Path], None]:
    """Takes a picture of a view; nothing may be wider than the screen, no word missing, and axe finds nothing."""

    def take(page: Any, view: str, picture: Path) -> None:
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, picture.name
        assert f"{view}." not in page.locator("#app").inner_text()
        picture.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=picture, full_page=True)
        found = violations(page)
        assert not found, "\n".join(found)

    return take


def _here(url: str, host: str) -> bool:
    return url.startswith((f"http://{host}/", "data:", "blob:"))
