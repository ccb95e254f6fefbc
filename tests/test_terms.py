"""How urgent a request is and until when its reply is of use: deadlines and priorities, over real HTTP."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

import moonlet
import speaking
from moonlet.ledger import keys, report
from moonlet.ledger.books import Books
from moonlet.ledger.database import open_database
from moonlet.llm.scripted import Scripted
from moonlet.server import replies
from moonlet.server.keys import Access
from serving import serving

HELLO = [{"role": "user", "content": "hello"}]
PATHS = {
    "/chat/completions": {"messages": HELLO, "max_tokens": 4000},
    "/completions": {"prompt": "hello", "max_tokens": 4000},
    "/messages": {"messages": HELLO, "max_tokens": 4000},
    "/responses": {"input": "hello", "max_output_tokens": 4000},
}
SHORT = {"x-moonlet-deadline": "0.05"}
LATE = {"x-moonlet-deadline": "0.5"}  # long enough for the first tokens, on a busy machine too


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Any, Books]]:
    """A server with the real engine, which takes longer than the deadline for its four thousand tokens."""
    place = tmp_path_factory.mktemp("checkpoint")
    speaking.write(place)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOONLET_HOME", str(tmp_path_factory.mktemp("home")))
        with moonlet.load(place, threads=1, cache_tokens=8192) as model:
            network = model.engine._network
            step = network.step

            def slow(*asked: Any) -> Any:
                time.sleep(0.002)
                return step(*asked)

            patch.setattr(network, "step", slow)
            with closing(Books(open_database(place / "ledger"))) as books, serving(model, books) as served:
                yield served, model, books


@pytest.mark.parametrize("path", PATHS)
def test_a_reply_that_is_late_fails_in_its_apis_own_shape(url: tuple[str, Any, Books], path: str) -> None:
    served, model, books = url
    body = {"model": model.name, **PATHS[path], "temperature": 0}
    whole = httpx.post(served + path, json=body, headers=LATE, timeout=30)
    assert whole.status_code == 504 and whole.headers["x-should-retry"] == "false", whole.text
    assert "the deadline of 0.5 s passed after" in whole.json()["error"]["message"]
    streamed = httpx.post(served + path, json={**body, "stream": True}, headers=LATE, timeout=30)
    assert streamed.status_code == 200 and "the deadline of 0.5 s passed after" in streamed.text
    until = time.monotonic() + 20
    while any(row["state"] == "running" for row in report.rows(books.database)) and time.monotonic() < until:
        time.sleep(0.01)
    told = list(report.rows(books.database))[-1]
    assert told["state"] == "error" and "deadline" in told["error"]
    assert told["prompt_tokens"] and told["output_tokens"], "what it took is in the books"
    assert model.engine._scheduler.idle
    in_time = httpx.post(served + path, json={**body, **_brief(path)}, headers={"x-moonlet-deadline": "60"})
    assert in_time.status_code == 200


def _brief(path: str) -> dict[str, int]:
    return {"max_output_tokens" if path == "/responses" else "max_tokens": 2}


@pytest.mark.parametrize("stream", [False, True])
def test_a_model_that_knows_no_deadlines_is_ended_too(monkeypatch: pytest.MonkeyPatch, stream: bool) -> None:
    monkeypatch.setattr(replies, "_GRACE_S", 0.0)
    model = Scripted(["word " * 2000], pause_s=0.01)
    with serving(model) as served:
        body = {"model": "scripted", "messages": HELLO, "stream": stream}
        answer = httpx.post(f"{served}/chat/completions", json=body, headers=SHORT, timeout=30)
        until = time.monotonic() + 20
        while not model.closed and time.monotonic() < until:
            time.sleep(0.01)
    assert model.closed == 1 and answer.status_code == (200 if stream else 504)
    assert "the deadline of 0.05 s passed" in answer.text


@pytest.mark.parametrize(
    ("header", "value"),
    [("deadline", "soon"), ("deadline", "0"), ("deadline", "-1"), ("deadline", "nan"), ("priority", "urgent")],
)
def test_what_cannot_be_meant_is_refused(header: str, value: str) -> None:
    with serving(Scripted([])) as served:
        body = {"model": "scripted", "messages": HELLO}
        answer = httpx.post(f"{served}/chat/completions", json=body, headers={f"x-moonlet-{header}": value})
    assert answer.status_code == 400 and answer.json()["error"]["param"] == f"x-moonlet-{header}"


def test_a_request_may_wait_where_its_key_need_not_but_not_the_other_way(tmp_path: Path) -> None:
    model = Scripted(["ok"] * 6)
    access = Access(hosts=None, keys_needed=True)
    with closing(Books(open_database(tmp_path / "ledger"))) as books, serving(model, books, access) as served:
        quick = keys.add(books.database, "quick")[1]
        slow = keys.add(books.database, "slow", priority="batch")[1]
        for secret, header, tier, path in (
            (quick, None, "auto", "chat/completions"),
            (quick, "batch", None, "chat/completions"),
            (quick, None, "flex", "chat/completions"),
            (quick, "interactive", "flex", "responses"),
            (slow, "interactive", "priority", "chat/completions"),
        ):
            body: dict[str, Any] = {"model": "scripted", "service_tier": tier, "messages": HELLO, "input": "hello"}
            headers = {"Authorization": f"Bearer {secret}", **({"x-moonlet-priority": header} if header else {})}
            answer = httpx.post(f"{served}/{path}", json=body, headers=headers)
            assert answer.status_code == 200, answer.text
            if path == "responses":
                assert answer.json()["service_tier"] == "flex"
    wanted = ["interactive", "batch", "batch", "batch", "batch"]
    assert [options.priority for _, _, options in model.asked] == wanted
