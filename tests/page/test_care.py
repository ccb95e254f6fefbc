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

Window = Callable[..., Any]
SUM = "12345678901234567"  # the nearest that JavaScript can hold ends in 568
BODY = {"messages": [{"role": "user", "content": "Pay them"}], "tools": ["pay"]}


def _reply(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> Message:
    if messages[-1].role == "user":
        call = ToolCall("functions.pay:0", "pay", f'{{"cents": {SUM}, "to": "first\\nsecond"}}')
        return Message("assistant", "I pay.", calls=(call,))
    return Message("assistant", "Paid.")


class Bank(Served):
    """The page's server with a tool that asks first, and that covers what its text says."""

    def __init__(self) -> None:
        spec = ToolSpec("pay", "Pays", parameters({"cents": {"type": "integer"}, "to": {"type": "string"}}))
        tool = Tool(spec, lambda given: str(given["cents"]), changes=True, covers=lambda given: "to \u202eevil")
        model = Scripted(itertools.repeat(_reply))
        self._make = lambda: create_app(model, bench=Workbench(Access(), own=[tool]))
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
