"""The page's files: how they are sent, what they weigh, and that their words are complete."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from window import Served

from moonlet import planner
from moonlet.llm.scripted import Scripted
from moonlet.planner.machine import catalogue
from moonlet.planner.sliders import Sliders
from moonlet.server import page_files

ROOT = page_files.ROOT
LANGUAGES = ("en", "th", "zh")
CATALOGUES = sorted(path.stem for path in (ROOT / "i18n" / "en").glob("*.json"))
SOURCES = {path: path.read_text(encoding="utf-8") for path in ROOT.rglob("*.js") if "vendor" not in path.parts}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = Served(Scripted([]))
    yield server.url
    server.stop()


def test_the_page_is_at_the_root_for_browsers_alone(url: str) -> None:
    page = httpx.get(url, headers={"Accept": "text/html,*/*"})
    assert page.status_code == 200 and page.headers["content-type"] == "text/html; charset=utf-8"
    assert "<title>moonlet</title>" in page.text
    assert httpx.get(url).json() == {"server": "moonlet"}
    assert httpx.head(url).status_code == 200


def test_its_policy_lets_nothing_in(url: str) -> None:
    policy = httpx.get(url, headers={"Accept": "text/html"}).headers["content-security-policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules.pop("default-src") == rules.pop("base-uri") == rules.pop("form-action") == "'none'"
    assert rules.pop("frame-ancestors") == "'none'" and rules.pop("require-trusted-types-for") == "'script'"
    assert rules.pop("trusted-types") == "dompurify"
    assert set(rules.values()) == {"'self'"}
    text = (ROOT / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<script(?![^>]*src=)|\sstyle=|\son\w+=|https?://", text)


def test_the_first_view_is_asked_for_at_once() -> None:
    """Modules that import modules would come one after the other."""
    text = (ROOT / "index.html").read_text(encoding="utf-8")
    asked = {*re.findall(r'rel="modulepreload" href="page/([^"]+)"', text), "app.js"}
    needed, left = set(), ["app.js", "views/talk.js"]
    while left:
        name = left.pop()
        if name not in needed:
            needed.add(name)
            here = (ROOT / name).read_text(encoding="utf-8") if "vendor" not in name else ""
            found = re.findall(r'^import\s[^;]*?"(\.[^"]+)";', here, re.MULTILINE)
            left += [str((ROOT / name).parent.joinpath(one).resolve().relative_to(ROOT)) for one in found]
    assert asked == needed


def test_the_words_of_a_language_are_asked_for_once(url: str) -> None:
    sent = httpx.get(f"{url}page/i18n/th.json").json()
    assert sent == {name: _catalogue("th", name) for name in CATALOGUES}


def test_a_file_is_sent_once_and_compressed(url: str) -> None:
    first = httpx.get(url + "page/app.js", headers={"Accept-Encoding": "gzip"})
    assert first.headers["content-encoding"] == "gzip" and first.headers["cache-control"] == "no-cache"
    assert first.text == (ROOT / "app.js").read_text(encoding="utf-8")
    again = httpx.get(url + "page/app.js", headers={"Accept-Encoding": "gzip", "If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    plain = httpx.get(url + "page/app.js", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers and plain.headers["etag"] != first.headers["etag"]


@pytest.mark.parametrize("path", ["nothing.js", "../app.py", "%2e%2e/app.py", "..%2fkeys.py", "views", ""])
def test_nothing_but_its_files_is_sent(url: str, path: str) -> None:
    assert httpx.get(f"{url}page/{path}").status_code == 404


def test_all_of_it_weighs_less_than_400_kilobytes() -> None:
    """One language, every view, and formulas: of their alphabets those that formulas commonly need."""
    common = ("AMS-Regular", "Main-Regular", "Main-Italic", "Main-Bold", "Math-Italic", "Size", "Caligraphic-Regular")
    weight = 0
    for path in ROOT.rglob("*"):
        if not path.is_file() or {"th", "zh", "licenses"} & set(path.parts) or path.suffix in (".md", ".txt"):
            continue
        data = path.read_bytes()
        if path.suffix != ".woff2":
            weight += len(gzip.compress(data, 9))
        elif path.stem.removeprefix("KaTeX_").startswith(common):
            weight += len(data)
    assert weight < 400_000, weight


def test_what_is_vendored_is_as_it_was_published() -> None:
    told = json.loads((ROOT / "vendor" / "vendor.json").read_text())
    files = {f"vendor/{path.relative_to(ROOT / 'vendor')}" for path in (ROOT / "vendor").rglob("*") if path.is_file()}
    known = {"vendor/vendor.json", "vendor/README.md"}
    for package in told:
        assert package["version"] and (ROOT / package["license"]).is_file()
        known.add(package["license"])
        for file in package["files"]:
            assert hashlib.sha256((ROOT / file["here"]).read_bytes()).hexdigest() == file["sha256"], file
            known.add(file["here"])
    assert files == known


@pytest.mark.parametrize("name", CATALOGUES)
@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_every_language_says_the_same(language: str, name: str) -> None:
    ours, theirs = _catalogue("en", name), _catalogue(language, name)
    assert ours.keys() == theirs.keys()
    for key in ours:
        assert _holes(ours[key]) == _holes(theirs[key]), key
        assert all(text.strip() for text in _forms(theirs[key])), key


def _catalogue(language: str, name: str) -> dict[str, str | dict[str, str]]:
    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        assert len(pairs) == len(dict(pairs)), "a key stands there twice"
        return dict(pairs)

    return json.loads((ROOT / "i18n" / language / f"{name}.json").read_text(encoding="utf-8"), object_pairs_hook=once)


def _forms(message: str | dict[str, str]) -> list[str]:
    return [message] if isinstance(message, str) else list(message.values())


def _holes(message: str | dict[str, str]) -> set[str]:
    return {hole for form in _forms(message) for hole in re.findall(r"\{(\w+)\}", form)}


def test_every_sentence_of_the_planner_has_words() -> None:
    """Its keys are in its source; what stands in a sentence comes with it."""
    words = _catalogue("en", "plan")
    folder = Path(planner.__file__).parent
    keys = {key for path in folder.glob("*.py") for key in re.findall(r'Said\(\s*f?"([\w{}]+)"', path.read_text())}
    assert len(keys) > 40
    for key in keys:
        pattern = re.compile("said_" + re.sub(r"\{\w+\}", r"\\w+", key))
        assert any(pattern.fullmatch(name) for name in words), key
    sliders = Sliders()
    machines = [machine["name"] for machine in sliders.choices()["machines"] if machine["name"] in catalogue()]
    for model, machine in itertools.product(("kimi-k2-thinking", "moonlight-16b-a3b"), machines):
        plan = sliders.answer({"model": model, "machine": machine})
        for sentence in [*plan["sentences"], *plan["notes"]]:
            assert _holes(words[f"said_{sentence['key']}"]) <= sentence["values"].keys(), sentence
        for note in plan["notes"]:
            assert all(f"figure_{name}" in words for name in note["values"].get("figures", ()))


def test_no_words_are_missing_and_none_are_left_over() -> None:
    """Keys are written out, or their beginning is: t("talk.call_" + state)."""
    known = {f"{name}.{key}" for name in CATALOGUES for key in _catalogue("en", name)}
    whole, begun = set(), set()
    names = "|".join(CATALOGUES)
    for text in SOURCES.values():
        whole |= set(re.findall(rf'"((?:{names})\.[\w-]+)"', text))
        begun |= set(re.findall(rf'["`]((?:{names})\.[\w-]*)(?:" \+|\$\{{)', text))
    begun = {one for one in begun if one not in known}
    assert not {one for one in whole - known if not any(key.startswith(one) for key in known) or one not in begun}
    # What a server's data name: kinds, states and reasons.
    used = whole | {key for key in known for one in begun if key.startswith(one)}
    assert not known - used


def test_no_words_stand_in_the_code() -> None:
    """Text between tags comes from a catalogue."""
    for path, text in SOURCES.items():
        for found in re.findall(r"<\w+(?: [^<>]*)?>\s*([A-Za-z][A-Za-z ]{3,}?)\s*</", text):
            assert found.strip() in {"moonlet", "Python"}, f"{path.name}: {found}"


def test_no_source_asks_another_host() -> None:
    for path, text in SOURCES.items():
        urls = set(re.findall(r"https?://[\w.]+", text)) - {"http://www.w3.org"}
        assert not urls, f"{path.name}: {urls}"
        assert not re.search(r"\b(?:eval|innerHTML|outerHTML|insertAdjacentHTML|document\.write|new Function)\b", text)


def test_files_are_listed_for_the_wheel() -> None:
    assert {path.suffix for path in ROOT.rglob("*") if path.is_file()} <= {
        ".js", ".json", ".css", ".html", ".svg", ".woff2", ".md", ".txt",
    }  # fmt: skip
    assert Path(page_files.__file__).parent / "page" == ROOT
