"""The page in a real browser: talking, looking inside, losing the connection, approving; nothing can be injected."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import payloads
import pytest
from window import SHOTS, Served, Slowly, booked

from moonlet.chat.messages import Message, ToolCall
from moonlet.ledger import keys
from moonlet.ledger.database import Database
from moonlet.llm.scripted import Scripted
from moonlet.local import Local
from moonlet.server.keys import Access

Window = Callable[..., Any]
VIEWS = ("talk", "inside", "act", "books", "plan")


def _until(page: Any, condition: str) -> None:
    """Asked from here: the page's policy keeps Playwright from asking again and again inside of it."""
    until = time.monotonic() + 60
    while not page.evaluate(condition):
        assert time.monotonic() < until, f"never: {condition}"
        page.wait_for_timeout(30)


def _say(page: Any, text: str) -> None:
    page.locator("#said").fill(text)
    page.locator("#said").press("Enter")


def _answered(page: Any, count: int = 1) -> Any:
    """The last answer, once it is whole."""
    _until(page, f"document.querySelectorAll('.answer[aria-busy=false] .answer-foot').length >= {count}")
    return page.locator(".answer").last


def test_a_tool_conversation_from_typing_to_the_answer(window: Window, served: str) -> None:
    page = window(served)
    _say(page, "What is 12 times 7?")
    answer = _answered(page)
    card = answer.locator(".card")
    assert "calculate" in card.inner_text() and "84" in card.inner_text()
    assert "84" in answer.locator(".prose").inner_text()
    assert page.title().startswith("Talk") or "moonlet" in page.title()
    _say(page, "What is the weather in Oslo?")
    assert "get_weather" in _answered(page, 2).locator(".card").inner_text()
    # It is kept: after loading the page anew it is in the list, and whole.
    page.wait_for_timeout(600)
    page.reload()
    page.get_by_role("button", name="Conversations").click()
    page.locator(".list-open").first.click()
    _until(page, "document.querySelectorAll('.answer').length === 2")


def test_the_first_visit_offers_three_things(window: Window, served: str) -> None:
    page = window(served)
    tries = page.locator(".tries button")
    tries.first.wait_for()
    assert tries.count() == 3
    tries.nth(0).click()  # a task that changes something: it asks
    card = page.locator(".card.asking")
    card.get_by_role("button", name="Approve").click()
    answer = _answered(page)
    assert answer.locator(".card.done").count() == 1
    assert "milk" in answer.locator(".card").inner_text()


def test_a_browser_that_keeps_nothing_can_be_talked_in(window: Window, served: str) -> None:
    blocked = "Object.defineProperty(window, '{}', {{ get() {{ throw new DOMException('', 'SecurityError'); }} }});"
    page = window(served)
    page.add_init_script("".join(map(blocked.format, ("localStorage", "sessionStorage", "indexedDB"))))
    page.reload()
    _say(page, "What is 12 times 7?")
    assert "84" in _answered(page).inner_text()


def test_what_is_denied_does_not_run(window: Window, served: str) -> None:
    page = window(served)
    _say(page, "Make a note: buy milk")
    page.locator(".card.asking").get_by_role("button", name="Deny").click()
    card = _answered(page).locator(".card")
    assert "refused" in card.inner_text() and "not allowed" in card.inner_text()
    page.get_by_role("button", name="New").click()
    _say(page, "Search my notes for milk")
    assert "buy milk" not in _answered(page).locator(".card .result").inner_text()


def test_editing_makes_a_branch(window: Window, served: str) -> None:
    page = window(served)
    _say(page, "What is 12 times 7?")
    _answered(page)
    page.get_by_role("button", name="Edit and branch").click()
    page.locator(".editing textarea").fill("What is 9 times 9?")
    page.locator(".editing").get_by_role("button", name="Send").click()
    _until(page, "document.querySelector('.answer .prose')?.textContent.includes('81')")
    page.locator(".said").get_by_role("button", name="Version before").click()
    _until(page, "document.querySelector('.answer .prose')?.textContent.includes('84')")
    page.get_by_role("button", name="Copy as a request").click()
    request = page.locator(".request").inner_text()
    assert "12 times 7" in request and f"{served}v1/chat/completions" in request
    page.get_by_role("tab", name="Python").click()
    compile(page.locator(".request").inner_text(), "request.py", "exec")


def test_files_go_along_as_text(window: Window, served: str) -> None:
    page = window(served)
    picker = page.locator("input[type=file]")
    picker.set_input_files([{"name": "list.txt", "mimeType": "text/plain", "buffer": b"eggs\nflour"}])
    _say(page, "Here it is")
    assert "list.txt" in page.locator(".said .file").inner_text()
    picker.set_input_files([{"name": "x.bin", "mimeType": "application/octet-stream", "buffer": b"\0\1"}])
    assert "not text" in page.locator(".composer .notice").inner_text()


@pytest.mark.long
def test_the_map_changes_while_it_streams(window: Window, served: str, nano: Local) -> None:
    page = window(served + "#/inside", motion="no-preference")
    pixels = "document.querySelector('.sky-place canvas').toDataURL()"
    page.wait_for_selector(".sky-place canvas")
    page.wait_for_timeout(100)
    before = page.evaluate(pixels)
    with Slowly(nano, 0.05):
        page.get_by_role("button", name="Ask and watch").click()
        seen = {before}
        page.wait_for_selector(".token")
        for _ in range(4):
            page.wait_for_timeout(120)
            seen.add(page.evaluate(pixels))
        assert len(seen) >= 4
        _until(page, "!document.querySelector('.inside-ask .pulse')")
    text = page.locator(".statement").inner_text()
    assert "4 of 20" in text and "tokens/s" in text
    # A token tells its experts, an expert its tokens.
    page.locator(".token").nth(2).click()
    inspector = page.locator(".inspector")
    assert inspector.locator("tbody tr").count() == 7
    assert page.locator(".weights").first.locator(".weight").count() == 4
    inspector.locator(".weight").first.click()
    told = page.locator(".inspector").inner_text()
    assert "Share of the tokens" in told and "in memory" in told and "Tokens served" in told
    # The map alone, by keys.
    page.locator(".sky-place canvas").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert page.locator(".inspector h2").inner_text().startswith("Layer 3")
    parts = page.locator(".legend").inner_text()
    assert all(name in parts for name in ("attention", "router", "experts", "head"))


@pytest.mark.long
def test_a_restart_of_the_server_is_survived(window: Window, nano: Local) -> None:
    server = Served(nano)
    try:
        page = window(server.url)
        window.expected += [
            "ERR_CONNECTION_REFUSED",
            "404",
            "ERR_INCOMPLETE_CHUNKED",
            "ERR_CONNECTION_RESET",
            "ERR_EMPTY",
        ]
        with Slowly(nano, 0.08):
            _say(page, "What is the weather in Oslo?")
            page.wait_for_selector(".answer .card")
            server.stop()
            page.wait_for_selector(".banner, .waiting.warn")
            server.start()
            page.wait_for_selector(".answer .notice.bad")
        assert "restarted" in page.locator(".answer .notice.bad").inner_text()
        page.wait_for_selector(".banner", state="detached")
        page.get_by_role("button", name="Answer again").click()
        assert _answered(page).locator(".prose").inner_text()
    finally:
        server.stop()


@pytest.mark.long
def test_a_broken_connection_loses_nothing(window: Window, served: str, nano: Local) -> None:
    page = window(served)
    window.expected += ["ERR_INTERNET_DISCONNECTED", "ERR_NETWORK"]
    with Slowly(nano, 0.06):
        _say(page, "What is 12 times 7?")
        page.wait_for_selector(".answer .card")
        page.wait_for_timeout(400)
        page.reload()  # the page itself is gone, and comes again in the middle of the answer
        page.wait_for_timeout(300)
        page.get_by_role("button", name="Conversations").click()
        page.locator(".list-open").first.click()
        assert "84" in _answered(page).locator(".prose").inner_text()


def test_stop_ends_an_answer(window: Window, served: str, nano: Local) -> None:
    page = window(served)
    with Slowly(nano, 0.2):
        _say(page, "What is the weather in Oslo?")
        page.get_by_role("button", name="Stop").click()
        page.wait_for_selector("text=Stopped.")
    assert page.locator("#said").is_enabled()


@pytest.mark.long
def test_a_revoked_key_shuts_the_door(window: Window, nano: Local, database: Database) -> None:
    key, secret = keys.add(database, "ada")
    with booked(nano, database, Access(keys_needed=True)) as server:
        page = window(server.url)
        window.expected += ["401", "404"]
        assert "asks for a key" in page.locator(".door").inner_text()
        page.locator(".door input[type=password]").fill("sk-moonlet-wrong")
        page.get_by_role("button", name="Enter").click()
        assert "not known" in page.locator(".door .notice").inner_text()
        page.locator(".door input[type=password]").fill(secret)
        page.get_by_role("button", name="Enter").click()
        _say(page, "What is 12 times 7?")
        assert "84" in _answered(page).inner_text()
        # With a key it can be kept on the server, where only that key finds it.
        page.get_by_role("button", name="Settings").click()
        page.get_by_label("Conversations are kept").select_option("server")
        page.keyboard.press("Escape")
        _say(page, "What is 9 times 9?")
        _answered(page, 2)
        page.wait_for_timeout(700)
        with database.reading() as connection:
            owners = connection.run("SELECT owner, title FROM page_talks")
        assert owners == [(key.id, "What is 12 times 7?")]
        keys.revoke(database, "ada")
        _say(page, "And 8 times 8?")
        page.wait_for_selector(".door")
        assert "revoked" in page.locator(".door .notice").inner_text()


# ---- what a model says cannot act ----

_INERT = """(payloads) => import(new URL('page/markdown.js', document.baseURI)).then(({ fragment }) => {
  const place = document.body.appendChild(document.createElement('div'));
  place.id = 'hostile';
  return payloads.map((text) => {
    const one = document.createElement('div');
    one.append(fragment(text));
    place.append(one);
    const bad = [];
    for (const node of one.querySelectorAll('*')) {
      const name = node.tagName.toLowerCase();
      if (!ALLOWED.includes(name)) bad.push(name);
      for (const { name: attribute, value } of node.attributes) {
        if (attribute.startsWith('on') || !ATTRIBUTES.includes(attribute)) bad.push(attribute);
        if (attribute === 'href' && !/^(https?|mailto):/.test(node.href)) bad.push(value);
      }
      if (name === 'a' && (node.target !== '_blank' || !node.rel.includes('noopener'))) bad.push('a link of this tab');
    }
    return bad;
  });
})"""
_ALLOWED = [
    "p",
    "br",
    "strong",
    "em",
    "del",
    "code",
    "pre",
    "blockquote",
    "ul",
    "ol",
    "li",
    "a",
    "h3",
    "h4",
    "h5",
    "h6",
]
_ALLOWED += ["h6", "table", "thead", "tbody", "tr", "th", "td", "hr", "div", "span", "button"]
_ATTRIBUTES = ["href", "class", "start", "align", "target", "rel", "tabindex", "type", "role", "aria-label"]


def test_a_hundred_hostile_texts_are_inert(window: Window, served: str) -> None:
    assert len(payloads.ALL) >= 100 and len(set(payloads.ALL)) == len(payloads.ALL)
    page = window(served)
    page.evaluate("() => { window.hits = 0; window.hit = () => window.hits++; }")
    script = _INERT.replace("ALLOWED", json.dumps(_ALLOWED)).replace("ATTRIBUTES", json.dumps(_ATTRIBUTES))
    found = page.evaluate(script, payloads.ALL)
    bad = {text: one for text, one in zip(payloads.ALL, found) if one}
    assert not bad, bad
    page.wait_for_timeout(500)  # for formulas, and for whatever would load
    state = """() => {
        const all = [...document.querySelectorAll('#hostile *')];
        const alive = 'script img iframe object embed form input video audio style link meta base dialog'.split(' ');
        return {
            hits: window.hits,
            alive: all.filter((one) => alive.includes(one.tagName.toLowerCase())).length,
            handlers: all.filter((one) => [...one.attributes].some((a) => a.name.startsWith('on'))).length,
            links: all.filter((one) => one.tagName === 'A' && !/^(https?|mailto):/.test(one.href)).length,
            here: location.href,
            focused: document.activeElement.tagName,
        };
    }"""
    told = page.evaluate(state)
    assert (told["hits"], told["alive"], told["handlers"], told["links"]) == (0, 0, 0, 0)
    assert told["here"].startswith(served) and told["focused"] == "BODY"


def test_hostile_answers_calls_and_results_are_inert_on_the_whole_page(window: Window) -> None:
    evil = "<img src=x onerror=hit()><script>hit()</script>"
    call = ToolCall("functions.calculate:0", "calculate", json.dumps({"expression": evil}))
    text = "\n\n".join(payloads.HTML[:20] + payloads.MARKDOWN[:12])
    model = Scripted([Message("assistant", f"**{evil}**", thinking=evil, calls=(call,)), Message("assistant", text)])
    server = Served(model)
    try:
        page = window(server.url)
        page.evaluate("() => { window.hits = 0; window.hit = () => window.hits++; }")
        _say(page, evil)
        answer = _answered(page)
        answer.locator("summary").first.click()
        assert page.evaluate("document.querySelectorAll('main :is(script, img, iframe, object, embed)').length") == 0
        assert page.evaluate("window.hits") == 0
        assert "<img src=x" in answer.locator(".card").inner_text()
        assert "<script>" in answer.inner_text()
    finally:
        server.stop()


def test_formulas_code_and_tables_are_set(window: Window) -> None:
    said = (
        "So $e^{i\\pi} = -1$ and\n\n$$\\int_0^1 x^2\\,dx = \\frac13$$\n\n```python\nprint(1)\n```\n\n"
        "| a | b |\n|---|--:|\n| 1 | 2 |\n\n1. one\n2. two\n\n[link](https://example.org) costs $5 and $6."
    )
    server = Served(Scripted([said]))
    try:
        page = window(server.url)
        _say(page, "Set this")
        answer = _answered(page)
        page.wait_for_selector(".prose .katex")
        assert answer.locator(".katex").count() == 2 and answer.locator("table td").count() == 2
        assert (
            answer.locator("pre").inner_text() == "print(1)" and "python" in answer.locator(".code-head").inner_text()
        )
        assert "$5 and $6" in answer.inner_text()
    finally:
        server.stop()


# ---- everybody can use it ----


@pytest.fixture(scope="module")
def used(nano: Local, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with books in which something happened."""
    from moonlet.ledger.database import open_database

    database = open_database(tmp_path_factory.mktemp("books") / "ledger.db")
    with booked(nano, database) as server:
        yield server
    database.close()


@pytest.mark.long
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing(window: Window, used: Served, violations: Any, view: str, dark: bool) -> None:
    page = window(f"{used.url}#/{view}", dark=dark)
    page.wait_for_selector(f"[data-view={view}] h1")
    if view in ("talk", "inside"):
        _begin(page, view)
    page.wait_for_timeout(300)
    assert not violations(page)


@pytest.mark.long
def test_axe_finds_nothing_in_what_opens(window: Window, served: str, violations: Any) -> None:
    page = window(served)
    page.locator(".tries button").first.click()
    page.locator(".card.asking").wait_for()
    assert not violations(page)
    page.locator(".card.asking").get_by_role("button", name="Deny").click()
    _answered(page)
    for name in ("Settings", "Conversations", "Copy as a request"):
        page.get_by_role("button", name=name).click()
        page.wait_for_timeout(300)
        for one in page.locator("dialog summary").all():
            one.click()
        assert not violations(page), name
        page.keyboard.press("Escape")
        page.wait_for_selector("dialog", state="detached")


def test_look_inside_says_that_a_call_waits(window: Window, served: str) -> None:
    page = window(served + "#/inside")
    page.locator("#inside-said").fill("Make a note: buy milk")
    page.keyboard.press("Enter")
    page.locator(".inside-ask .notice a").click()
    page.locator(".ask").get_by_role("button", name="Deny").first.click()


def _begin(page: Any, view: str) -> None:
    if view == "talk":
        _say(page, "What is 12 times 7?")
        _answered(page)
    else:
        page.locator(".inside-ask button").click()
        page.wait_for_selector(".token")
        _until(page, "!document.querySelector('.inside-ask .pulse')")


@pytest.mark.long
@pytest.mark.parametrize("language", ["en", "th", "zh"])
@pytest.mark.parametrize("view", VIEWS)
def test_every_view_in_every_language_on_a_phone_and_wide(
    window: Window, used: Served, view: str, language: str
) -> None:
    """No word is missing, nothing is wider than the screen; pictures are written for looking at."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    for name, width, height, dark in (("phone", 360, 740, language == "th"), ("wide", 1440, 900, language == "zh")):
        page = window(f"{used.url}#/{view}", width, height, dark, language)
        page.wait_for_selector(f"[data-view={view}] h1", state="attached")
        if view == "talk":
            page.wait_for_selector(".tries")
            page.screenshot(path=SHOTS / f"first-{language}-{name}.png")
        if view in ("talk", "inside"):
            _begin(page, view)
        page.wait_for_timeout(150)
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, name
        words = page.locator("#app").inner_text()
        assert not any(f"{one}." in words and f"{one}.{key}" in words for one in VIEWS for key in ("title", "of")), (
            words
        )
        assert page.evaluate("document.documentElement.lang").startswith(language)
        page.screenshot(path=SHOTS / f"{view}-{language}-{name}.png", full_page=view not in ("talk",))
        page.context.close()


def test_the_keyboard_reaches_everything(window: Window, served: str) -> None:
    page = window(served)
    page.locator("#said").wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    reached = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.getAttribute('href') || ''"))
    assert {"#/inside", "#/plan", "language", "said"} <= reached


def test_a_long_conversation_opens_at_its_end(window: Window, served: str) -> None:
    """5,000 messages: a window of them is drawn, and typing is answered at once."""
    page = window(served)
    page.evaluate(
        """async () => {
        const { shelf } = await import(new URL('page/talks.js', document.baseURI));
        const nodes = {};
        let parent = null;
        for (let i = 0; i < 5000; i++) {
          const id = 'n' + i;
          const parts = [{ kind: 'text', reply: 0, text: `Answer **${i}**` }];
          nodes[id] = i % 2
            ? { id, parent, role: 'assistant', parts, replies: [], state: 'done' }
            : { id, parent, role: 'user', text: `Message ${i}` };
          parent = id;
        }
        await shelf('browser').keep({ id: 'long', title: 'Long', changed: 1, leaf: parent, nodes });
        location.hash = '#/talk/long';
      }"""
    )
    page.wait_for_selector("text=Answer 4999")
    assert page.locator(".turns > article").count() <= 80
    # Also behind a short one, of which all is drawn.
    page.get_by_role("button", name="New").click()
    _say(page, "What is 12 times 7?")
    _answered(page)
    most = "Math.max(window.most, document.querySelectorAll('.turns > article').length)"
    watch = f"new MutationObserver(() => (window.most = {most}))"
    page.evaluate(
        f"""() => {{
        window.most = 0;
        {watch}.observe(document.body, {{ childList: true, subtree: true }});
        location.hash = '#/talk/long';
      }}"""
    )
    page.wait_for_selector("text=Answer 4999")
    assert 0 < page.evaluate("window.most") <= 80
    began = time.perf_counter()
    page.locator("#said").press_sequentially("quick")
    assert time.perf_counter() - began < 2
    page.evaluate("scrollTo(0, 0)")
    _until(page, "document.querySelectorAll('.turns > article').length > 80")
