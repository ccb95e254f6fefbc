"""What somebody is asked is what runs, what was said is kept, and a busy server is not a lost one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import httpx
import pytest
from window import Served

from moonlet.chat.messages import Message, ToolCall, ToolSpec
from moonlet.llm.scripted import Scripted
from moonlet.server.app import create_app
from moonlet.server.keys import Access
from moonlet.server.page_tools import Workbench
from moonlet.tools.tool import Tool, parameters

pytestmark = pytest.mark.long

Window = Callable[..., Any]
SUM = "12345678901234567"  # the nearest that JavaScript can hold ends in 568
BODY = {"messages": [{"role": "user", "content": "Pay them"}], "tools": ["pay"]}


def _reply(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> Message:
    said = messages[-1].content
    if "said" in said:
        return Message("assistant", "You " + said)
    if "nested" in said:
        return Message("assistant", ">" * 20_000 + " deep")
    if "look" in said:
        return Message("assistant", "I look.", calls=(ToolCall("functions.look:0", "look", "{}"),))
    if messages[-1].role == "user":
        call = ToolCall("functions.pay:0", "pay", f'{{"cents": {SUM}, "to": "first\\nsecond"}}')
        return Message("assistant", "I pay.", calls=(call,))
    return Message("assistant", "Paid.")


class Bank(Served):
    """The page's server with a tool that asks first, and that covers what its text says."""

    def __init__(self) -> None:
        spec = ToolSpec("pay", "Pays", parameters({"cents": {"type": "integer"}, "to": {"type": "string"}}))
        tool = Tool(spec, lambda given: str(given["cents"]), changes=True, covers=lambda given: "to \u202eevil")
        look = Tool(ToolSpec("look", "Looks", parameters({})), lambda given: "[" * 6000 + "]" * 6000)
        model = Scripted(itertools.repeat(_reply))
        self._make = lambda: create_app(model, bench=Workbench(Access(), own=[tool, look]))
        self.port = 0
        self.start()


@pytest.fixture(scope="module")
def bank() -> Iterator[str]:
    server = Bank()
    yield server.url
    server.stop()


def test_numbers_are_those_that_were_written(window: Window, bank: str) -> None:
    page = window(bank)
    texts = {
        '{"a": 1, "b": -2.5, "c": "12345678901234567, 1e400"}': True,
        '{"a": 12345678901234567}': False,
        '{"a": [0.12345678901234567]}': False,
        '{"a": 1e400}': False,
        '{"a": 1E3}': False,
        '{"a": "\\"", "b": 12345678901234567}': False,
        '{"a": ': False,
        "[" * 50 + "]" * 50: True,
        "[" * 51 + "]" * 51: False,
    }
    script = """(texts) => import(new URL('page/exact.js', document.baseURI))
        .then(({ exact }) => texts.map((text) => exact(text) !== undefined))"""
    assert page.evaluate(script, list(texts)) == list(texts.values())


def test_a_question_shows_what_runs(window: Window, bank: str) -> None:
    page = window(bank)
    page.locator("#said").fill("Pay them")
    page.locator("#said").press("Enter")
    card = page.locator(".card.asking")
    card.get_by_role("button", name="Approve").wait_for()
    assert SUM in card.inner_text()
    assert "Always in this run: to \\u202eevil" in card.inner_text()
    card.get_by_role("button", name="Deny").click()
    page.wait_for_selector(".card.denied")


def test_questions_of_two_runs_are_two(window: Window, bank: str) -> None:
    page = window(bank + "#/act")
    for _ in range(2):
        assert httpx.post(f"{bank}api/runs", json=BODY).status_code == 201
    page.wait_for_selector(".ask >> nth=1")
    asks = page.locator(".ask")
    assert SUM in asks.first.inner_text() and "to \\u202eevil" in asks.first.inner_text()
    asks.first.get_by_role("button", name="Deny").click()
    page.wait_for_selector(".ask >> nth=1", state="detached")
    asks.get_by_role("button", name="Deny").click(timeout=20_000)  # it is not taken for the one that was answered
    page.wait_for_selector(".ask", state="detached")


def test_two_conversations_that_end_together_are_both_kept(window: Window, bank: str) -> None:
    page = window(bank)
    script = """async () => {
        const from = (name) => import(new URL(`page/${name}.js`, document.baseURI));
        const [{ keep }, { shelf }] = [await from('views/talk'), await from('talks')];
        for (const id of ['A', 'B'])
          keep({ id, title: id, changed: 1, leaf: 'n', nodes: { n: { id: 'n', parent: null, role: 'user', text: id }}});
        await new Promise((done) => setTimeout(done, 600));
        return (await shelf('browser').all()).map((one) => one.id).sort();
    }"""
    assert page.evaluate(script) == ["A", "B"]


@pytest.mark.parametrize("status, end", [(503, "over"), (429, "over"), (404, "lost")])
def test_a_busy_server_is_asked_again(window: Window, bank: str, status: int, end: str) -> None:
    page = window(bank)
    window.expected += [str(status)]  # type: ignore[attr-defined]
    answers = iter([{"status": status, "headers": {"Retry-After": "1"}, "body": "{}"}])
    stream = {"status": 200, "content_type": "text/event-stream", "body": 'id: 1\ndata: {"a": 1}\n\ndata: [DONE]\n\n'}
    page.route("**/api/some/events", lambda route: route.fulfill(**next(answers, stream)))
    script = """async () => {
        const { listen } = await import(new URL('page/api.js', document.baseURI));
        const heard = [];
        const began = performance.now();
        await new Promise((done) => listen('some/events', {
          onFrame: (frame) => heard.push(frame.a),
          onState: (state) => (heard.push(state), ['over', 'lost'].includes(state) && done()),
        }));
        return [heard, performance.now() - began];
    }"""
    heard, took = page.evaluate(script)
    assert heard == (["waiting", "open", 1, "over"] if end == "over" else ["lost"])
    assert end == "lost" or took >= 1000  # as it was told


def _say(page: Any, text: str) -> Any:
    """The answer, which is the last."""
    before = page.locator(".answer").count()
    page.locator("#said").fill(text)
    page.locator("#said").press("Enter")
    return page.locator(".answer").nth(before)


def test_a_question_is_read_out_and_goes_with_its_run(window: Window, bank: str) -> None:
    page = window(bank)
    answer = _say(page, "Pay them")
    answer.get_by_role("button", name="Approve").wait_for()
    assert page.locator(".turns > [role=status]").inner_text() == "Call of pay: waits for you"
    page.get_by_role("button", name="Stop").click()
    page.wait_for_selector(".card.left")
    assert answer.get_by_role("button", name="Approve").count() == 0


def test_what_is_nested_too_deep_is_shown_as_it_is(window: Window, bank: str) -> None:
    page = window(bank)
    answer = _say(page, "look")
    answer.get_by_text("Paid.").wait_for()
    answer.locator("summary").click()
    assert answer.locator(".card-text.result").inner_text().startswith("[[[[")
    _say(page, "nested").locator(".prose").get_by_text("> deep").wait_for()


@pytest.mark.parametrize("text", ["\\[", "$$ "])
def test_formulas_without_an_end_take_no_time(window: Window, bank: str, text: str) -> None:
    page = window(bank)
    script = """(text) => import(new URL('page/markdown.js', document.baseURI)).then(({ fragment }) => {
        const began = performance.now();
        fragment(text);
        return performance.now() - began;
    })"""
    assert page.evaluate(script, text * 20_000) < 3000


def test_code_can_be_copied_where_there_is_no_clipboard(window: Window, bank: str) -> None:
    """As over plain HTTP from another machine."""
    page = window(bank)
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    answer = _say(page, "said")
    answer.get_by_role("button", name="Copy", exact=True).click()
    answer.get_by_role("button", name="Copied").wait_for()
    page.locator("#said").press("Control+V")
    assert page.locator("#said").input_value() == "You said"


def test_nothing_is_not_said(window: Window, bank: str) -> None:
    page = window(bank)
    _say(page, "said").get_by_text("You said").wait_for()
    edit = page.get_by_role("button", name="Edit and branch")
    edit.click()
    page.locator(".editing textarea").fill("  ")
    assert page.locator(".editing").get_by_role("button", name="Send").is_disabled()
    page.keyboard.press("Escape")
    edit.wait_for()
    page.wait_for_timeout(100)
    assert page.evaluate("document.activeElement.ariaLabel") == "Edit and branch"  # where one was


def test_dialogs_give_the_focus_back_and_stay_while_text_is_selected(window: Window, bank: str) -> None:
    page = window(bank)
    page.get_by_role("button", name="Settings").click()
    box = page.locator("dialog textarea").bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + 12)
    page.mouse.down()
    page.mouse.move(100, box["y"] + 12, steps=3)
    page.mouse.up()
    assert page.locator("dialog").count() == 1
    page.mouse.click(100, 100)
    page.wait_for_selector("dialog", state="detached")
    assert page.evaluate("document.activeElement.ariaLabel") == "Settings"


def test_going_back_leads_to_the_conversation_before(window: Window, bank: str) -> None:
    page = window(bank)
    for text in ("said first", "said second"):
        if page.locator(".said").count():
            page.get_by_role("button", name="New").click()
            page.locator(".tries").wait_for()
        _say(page, text).get_by_text(f"You {text}").wait_for()
    page.wait_for_timeout(500)
    page.go_back()
    page.locator(".said").get_by_text("said first").wait_for()
    page.evaluate("location.hash = '#/talk'")  # as the name of the view leads to
    page.wait_for_timeout(200)
    page.reload()
    page.locator(".said").get_by_text("said first").wait_for()


def test_another_view_has_the_focus_and_a_stray_percent_sign_is_an_address(window: Window, bank: str) -> None:
    page = window(f"{bank}#/act/%")
    window.expected += ["404"]  # type: ignore[attr-defined]
    page.locator("main h1").wait_for()
    page.locator("nav a[href='#/plan']").click()
    page.wait_for_selector("[data-view=plan] h1:focus")


def test_a_view_comes_when_the_server_is_there_again(window: Window) -> None:
    server = Bank()
    try:
        page = window(server.url)
        window.expected += ["ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_EMPTY"]  # type: ignore[attr-defined]
        page.locator("#said").wait_for()
        server.stop()
        page.locator("nav a[href='#/plan']").click()
        page.get_by_text("the server does not answer", exact=True).wait_for()
        page.locator("nav a[href='#/talk']").click()
        page.locator("#said").wait_for()  # what is there is shown
        page.locator("nav a[href='#/plan']").click()
        server.start()
        page.wait_for_selector("[data-view=plan] h1")
    finally:
        server.stop()


def test_what_a_busy_server_is_asked_for_comes_later(window: Window, bank: str) -> None:
    page = window(bank)
    window.expected += ["503"]  # type: ignore[attr-defined]
    page.locator("#said").wait_for()
    busy = {"status": 503, "headers": {"Retry-After": "1"}, "body": '{"error": {"message": "busy just now"}}'}
    asked = {"about": itertools.count(), "plan": itertools.count()}

    def late(route: Any) -> None:
        again = next(asked[route.request.url.rpartition("/")[2]]) > 2
        route.continue_() if again else route.fulfill(**busy)

    page.route("**/api/about", late)
    page.route("**/api/plan", late)
    page.goto(f"{bank}#/plan")
    page.reload()
    page.get_by_text("busy just now").wait_for()
    page.get_by_text("This server plans nothing").wait_for()


def test_conversations_that_cannot_be_read_are_not_none(window: Window, bank: str) -> None:
    page = window(bank)
    window.expected += ["503"]  # type: ignore[attr-defined]
    page.evaluate("localStorage.setItem('moonlet.settings', JSON.stringify({ place: 'server' }))")
    page.route("**/api/talks**", lambda route: route.fulfill(status=503, body='{"error": {"message": "away"}}'))
    page.route("**/api/talks/**", lambda route: route.fulfill(status=503, body='{"error": {"message": "away"}}'))
    page.goto(f"{bank}#/talk/one")
    page.reload()
    page.locator(".talk > .notice").get_by_text("Conversations cannot be read: away").wait_for()
    page.get_by_role("button", name="Conversations").click()
    page.locator("dialog .notice").get_by_text("Conversations cannot be read: away").wait_for()
    assert page.locator("dialog").get_by_text("No conversation yet").count() == 0


def test_a_task_of_one_long_word_stays_in_its_frame(window: Window, bank: str) -> None:
    page = window(bank)
    _say(page, "said" * 100).get_by_text("You said").wait_for()
    page.evaluate("location.hash = '#/act'")
    page.wait_for_selector(".act-run h2")
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_a_version_of_ten_thousand_messages_is_turned_to_at_once(window: Window, bank: str) -> None:
    page = window(bank)
    script = """() => import(new URL('page/talks.js', document.baseURI)).then(({ turnTo }) => {
        const nodes = {};
        for (let i = 0; i < 10000; i++) nodes[`n${i}`] = { id: `n${i}`, parent: i ? `n${i - 1}` : null };
        nodes.other = { id: 'other', parent: 'n9000' };
        const talk = { nodes, leaf: null };
        const began = performance.now();
        turnTo(talk, nodes.n0);
        return [talk.leaf, performance.now() - began];
    })"""
    leaf, took = page.evaluate(script)
    assert leaf == "other" and took < 1000
