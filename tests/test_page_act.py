"""Runs as the page sees them: lines as they come, approvals, and nothing of others but their steps."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from moonlet.chat.messages import Message, ToolCall, ToolSpec
from moonlet.ledger import keys
from moonlet.ledger.books import Books
from moonlet.ledger.database import open_database
from moonlet.llm.scripted import Scripted
from moonlet.server import page_act
from moonlet.server.app import create_app
from moonlet.server.keys import Access
from moonlet.server.page_tools import Workbench
from moonlet.server.watched import KEPT, Watched
from moonlet.tools.tool import Tool, parameters
from serving import serving_app

CLOSED = Access(hosts=None, keys_needed=True)
CALL = Message("assistant", "I write it.", calls=(ToolCall("c1", "write", '{"text": "secret words"}'),))
BODY = {"messages": [{"role": "user", "content": "write it down"}], "tools": ["write"], "approve": "ask"}


class Office:
    """A server whose agent has one tool that changes something."""

    def __init__(self, url: str, books: Books, secrets: Mapping[str, str], written: list[str]) -> None:
        self.url, self.books, self.secrets, self.written = url, books, secrets, written

    def ask(self, method: str, path: str, name: str | None = None, **more: Any) -> httpx.Response:
        headers = {**({"Authorization": f"Bearer {self.secrets[name]}"} if name else {}), **more.pop("headers", {})}
        return httpx.request(method, f"{self.url}/api/{path}", headers=headers, timeout=30, **more)

    def begin(self, name: str | None = None) -> str:
        begun = self.ask("POST", "runs", name, json=BODY)
        assert begun.status_code == 201, begun.text
        return str(begun.json()["id"])

    def run(self, id: str, name: str | None = None) -> Any:
        return self.ask("GET", f"act/{id}", name).json()

    def until(self, id: str, state: str, name: str | None = None) -> Any:
        until = time.monotonic() + 20
        while (found := self.run(id, name))["state"] != state:
            assert time.monotonic() < until, found
            time.sleep(0.01)
        return found


@contextmanager
def office(place: Path, access: Access = Access(), runs: int = 1) -> Iterator[Office]:
    written: list[str] = []

    def write(arguments: Mapping[str, Any]) -> str:
        written.append(arguments["text"])
        return "written: " + arguments["text"]

    tool = Tool(ToolSpec("write", "Writes a text", parameters({"text": {"type": "string"}})), write, changes=True)
    model = Scripted([CALL, "It is done."] * runs)
    with closing(Books(open_database(place / "ledger"))) as books:
        secrets = {
            name: keys.add(books.database, name, scopes=("chat", "admin"))[1] if name == "boss" else
            keys.add(books.database, name, scopes=("chat",))[1]
            for name in ("ann", "boss")
        }  # fmt: skip
        with serving_app(create_app(model, books, access, Workbench(Access(), own=[tool]))) as url:
            yield Office(url, books, secrets, written)


def frames(it: Office, name: str | None = None, after: str | None = None) -> Iterator[dict[str, Any]]:
    """What the stream sends, parsed, with its id."""
    headers = {"Authorization": f"Bearer {it.secrets[name]}"} if name else {}
    if after:
        headers["Last-Event-ID"] = after
    with httpx.stream("GET", f"{it.url}/api/act/events", headers=headers, timeout=30) as answer:
        id = ""
        for line in answer.iter_lines():
            if line.startswith("id: "):
                id = line[4:]
            elif line == "data: [DONE]":
                return
            elif line.startswith("data: "):
                yield {**json.loads(line[6:]), "id": id}
            elif line.startswith(": "):
                yield {"kind": "alive", "id": id}


def test_a_run_is_asked_for_approval_and_goes_on(tmp_path: Path) -> None:
    with office(tmp_path) as it:
        id = it.begin()
        asking = it.until(id, "asking")
        (question,) = asking["asks"]
        assert (question["name"], json.loads(question["arguments"])) == ("write", {"text": "secret words"})
        assert question["why"] == "can change things" and not it.written
        (listed,) = it.ask("GET", "act").json()["runs"]
        assert listed["id"] == id and listed["title"] == "write it down" and listed["asks"] == [question]
        wrong = it.ask("POST", f"act/{id}/answer", json={"question": question["question"], "answer": "maybe"})
        assert wrong.status_code == 400
        taken = it.ask("POST", f"act/{id}/answer", json={"question": question["question"], "answer": "yes"})
        assert taken.json() == {"answered": "yes"}
        over = it.until(id, "over")
        assert it.written == ["secret words"] and over["reason"] == "stop" and not over["asks"]
        events = [line["event"] for line in over["steps"]]
        assert events == [
            "start",
            "message",
            "message",
            "reply",
            "ask",
            "answer",
            "ruling",
            "call",
            "result",
            "reply",
            "end",
        ]
        again = it.ask("POST", f"act/{id}/answer", json={"question": question["question"], "answer": "no"})
        assert again.status_code == 409


def test_denied_and_stopped(tmp_path: Path) -> None:
    with office(tmp_path, runs=2) as it:
        id = it.begin()
        (question,) = it.until(id, "asking")["asks"]
        it.ask("POST", f"act/{id}/answer", json={"question": question["question"], "answer": "no"})
        over = it.until(id, "over")
        result = next(line for line in over["steps"] if line["event"] == "result")
        assert result["failed"] and not it.written
        id = it.begin()
        assert it.until(id, "asking")["stoppable"]
        assert it.ask("POST", f"act/{id}/stop", json={}).json() == {"stopped": True}
        assert it.until(id, "over")["reason"] == "cancelled" and not it.written


def test_an_answer_given_in_the_talk_shows_here(tmp_path: Path) -> None:
    with office(tmp_path) as it:
        id = it.begin()
        (question,) = it.until(id, "asking")["asks"]
        it.ask("POST", f"runs/{id}/answer", json={"number": int(question["question"]), "answer": "yes"})
        assert any(line["event"] == "answer" for line in it.until(id, "over")["steps"])


def test_others_see_no_words_and_answer_nothing(tmp_path: Path) -> None:
    with office(tmp_path, CLOSED) as it:
        id = it.begin("ann")
        (question,) = it.until(id, "asking", "ann")["asks"]
        seen = it.run(id, "boss")
        assert seen["who"] == "ann" and not seen["own"] and not seen["title"] and not seen["asks"]
        assert "secret words" not in json.dumps(seen) and "write it down" not in json.dumps(seen)
        assert [line["event"] for line in seen["steps"]][-1] == "ask" and seen["steps"][-1]["name"] == "write"
        body = {"question": question["question"], "answer": "yes"}
        assert it.ask("POST", f"act/{id}/answer", "boss", json=body).status_code == 403
        assert it.ask("POST", f"act/{id}/stop", "boss", json={}).status_code == 403
        own = it.begin("boss")
        assert it.ask("GET", f"act/{own}", "ann").status_code == 404
        assert [run["id"] for run in it.ask("GET", "act", "ann").json()["runs"]] == [id]
        assert {run["id"] for run in it.ask("GET", "act", "boss").json()["runs"]} == {id, own}
        for one, name in ((id, "ann"), (own, "boss")):
            it.ask("POST", f"act/{one}/stop", name, json={})


def test_another_page_may_change_nothing(tmp_path: Path) -> None:
    with office(tmp_path) as it:
        id = it.begin()
        (question,) = it.until(id, "asking")["asks"]
        body = {"question": question["question"], "answer": "yes"}
        for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}):
            assert it.ask("POST", f"act/{id}/answer", json=body, headers=headers).status_code == 403
            assert it.ask("POST", "runs", json={**BODY, "approve": "yes"}, headers=headers).status_code == 403
            assert it.ask("GET", "act", headers=headers).status_code == 403
            assert it.ask("GET", f"runs/{id}/events", headers=headers).status_code == 403
        assert it.ask("GET", "act", headers={"Origin": "http://["}).status_code == 403
        assert it.ask("POST", f"act/{id}/answer", data=body).status_code == 415
        assert it.run(id)["state"] == "asking"
        own = {"Origin": it.url, "Sec-Fetch-Site": "same-origin"}
        assert it.ask("POST", f"act/{id}/answer", json=body, headers=own).is_success


def test_the_stream_tells_lines_as_they_come_and_goes_on_where_it_was_cut(tmp_path: Path) -> None:
    with office(tmp_path) as it:
        stream = frames(it)
        assert next(stream)["kind"] == "alive"
        id = it.begin()
        heard = []
        for frame in stream:
            heard.append(frame)
            if frame["kind"] == "line" and frame["step"]["event"] == "ask":
                break
        stream.close()
        assert [one["line"] for one in heard if one["kind"] == "line"] == [0, 1, 2, 3, 4]
        it.ask("POST", f"act/{id}/answer", json={"question": heard[-1]["run"]["asks"][0]["question"], "answer": "yes"})
        for frame in (rest := frames(it, after=heard[-1]["id"])):
            heard += [frame] if frame["kind"] == "line" else []
            if frame["kind"] == "line" and frame["step"]["event"] == "end":
                break
        rest.close()
        lines = [one["line"] for one in heard if one["kind"] == "line"]
        assert lines == list(range(len(lines))) and len(lines) == 11
        # Of another server, or long ago: all has to be asked for again.
        born = heard[0]["id"].split("-")[0]
        for after in ("0000-4", "nonsense", "-", f"{born}-999999", f"{born}-{'9' * 5000}"):
            with closing(frames(it, after=after)) as stream:
                assert [next(stream)["kind"], next(stream)["kind"]] == ["alive", "again"]


def test_a_stream_ends_when_its_key_is_revoked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_act, "KEEP_ALIVE_S", 0.05)
    with office(tmp_path, CLOSED) as it:
        stream = frames(it, "ann")
        assert next(stream)["kind"] == "alive"
        keys.revoke(it.books.database, "ann")
        assert all(frame["kind"] == "alive" for frame in stream)
        assert it.ask("GET", "act", "ann").status_code == 401


def test_what_is_over_is_forgotten_when_there_are_many() -> None:
    watched = Watched()
    first = watched.begin("", "", "kept: it goes on", "m", "page")
    for number in range(KEPT + 50):
        watched.begin("", "", f"run {number}", "m", "page").end("cancelled")
    assert len(watched.all()) <= KEPT + 1 and watched.find(first.id) is first
    assert watched.since(1) is not None and watched.since(10**9) is None
