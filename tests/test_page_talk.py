"""What the page's conversations ask of the server: runs, their frames, questions, what is kept and who may what."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

import moonlet
from moonlet.chat.messages import Message, ToolCall, ToolSpec
from moonlet.kernels import TIERS
from moonlet.ledger import keys
from moonlet.ledger.books import Books
from moonlet.ledger.database import open_database
from moonlet.llm import LLM, Done, Look, ReplyOptions
from moonlet.llm.scripted import Scripted
from moonlet.local import Local
from moonlet.server import page_kept
from moonlet.server.keys import Access
from serving import serving

NOTE = Message("assistant", calls=(ToolCall("functions.add_note:0", "add_note", '{"text": "buy milk"}'),))
SAY = {"messages": [{"role": "user", "content": "Add a note: buy milk"}], "conversation": "c1", "tools": ["add_note"]}


@pytest.fixture(scope="module")
def nano() -> Iterator[Local]:
    with moonlet.load("nano") as model:
        yield model


@contextmanager
def client(model: LLM, **settings: Any) -> Iterator[httpx.Client]:
    with serving(model, **settings) as url, httpx.Client(base_url=url.removesuffix("v1") + "api/") as asked:
        yield asked


def _begin(asked: httpx.Client, body: dict[str, Any], **headers: str) -> str:
    answer = asked.post("runs", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def _frames(asked: httpx.Client, run: str, after: int = 0, **headers: str) -> Iterator[tuple[int, dict[str, Any]]]:
    with asked.stream("GET", f"runs/{run}/events", headers={"Last-Event-ID": str(after), **headers}) as stream:
        assert stream.status_code == 200
        number = 0
        for line in stream.iter_lines():
            if line.startswith("id: "):
                number = int(line[4:])
            elif line == "data: [DONE]":
                return
            elif line.startswith("data: "):
                yield number, json.loads(line[6:])


def test_a_question_waits_for_its_answer_and_a_lost_connection_loses_nothing() -> None:
    with client(Scripted([NOTE, "Noted."])) as asked:
        run = _begin(asked, SAY)
        heard = []
        for number, frame in _frames(asked, run):
            heard.append((number, frame))
            if frame["type"] == "question":
                assert json.loads(frame["arguments"]) == {"text": "buy milk"}
                assert asked.post(f"runs/{run}/answer", json={"number": 99, "answer": "yes"}).json() == {"taken": False}
                assert asked.post(f"runs/{run}/answer", json={"number": frame["number"], "answer": "yes"}).json()[
                    "taken"
                ]
        kinds = [frame["type"] for _, frame in heard]
        course = ("called", "question", "ruling", "started", "result", "text", "ended", "over")
        places = [kinds.index(kind) for kind in course]
        assert places == sorted(places)
        assert "".join(frame["text"] for _, frame in heard if frame["type"] == "text") == "Noted."
        assert [number for number, _ in heard] == list(range(1, len(heard) + 1))
        assert list(_frames(asked, run)) == heard and list(_frames(asked, run, after=5)) == heard[5:]


def test_a_call_that_is_denied_or_may_only_read_does_not_run() -> None:
    with client(Scripted([NOTE, "No.", NOTE, "No."])) as asked:
        run = _begin(asked, SAY)
        for _, frame in _frames(asked, run):
            if frame["type"] == "question":
                asked.post(f"runs/{run}/answer", json={"number": frame["number"], "answer": "no"})
            elif frame["type"] == "result":
                assert frame["failed"] and "said no" in frame["text"]
        run = _begin(asked, {**SAY, "approve": "read-only"})
        frames = [frame for _, frame in _frames(asked, run)]
        assert not any(frame["type"] == "question" for frame in frames)
        assert [frame["allowed"] for frame in frames if frame["type"] == "ruling"] == [False]


def test_stop_ends_a_run_that_waits_for_an_answer() -> None:
    with client(Scripted([NOTE])) as asked:
        run = _begin(asked, SAY)
        for _, frame in _frames(asked, run):
            if frame["type"] == "question":
                asked.post(f"runs/{run}/stop", json={})
        assert frame["type"] == "over"


def test_a_model_that_fails_says_so_in_a_frame() -> None:
    with client(Scripted([])) as asked:
        frames = [frame for _, frame in _frames(asked, _begin(asked, SAY))]
        assert [frame["type"] for frame in frames] == ["error", "over"]


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "messages"),
        ({"approve": "maybe"}, "approve"),
        ({"tools": 3}, "tools"),
        ({"temperature": 9}, "temperature"),
        ({"look": "yes"}, "look"),
    ],
)
def test_a_bad_run_is_refused_with_the_field_at_fault(change: dict[str, Any], param: str) -> None:
    with client(Scripted([])) as asked:
        answer = asked.post("runs", json={**SAY, **change})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_no_other_page_can_begin_a_run() -> None:
    """A form of another origin can send text, never JSON; and the server knows nobody under a borrowed name."""
    with client(Scripted([])) as asked:
        assert asked.post("runs", content=json.dumps(SAY), headers={"Content-Type": "text/plain"}).status_code == 415
        assert asked.get("tools", headers={"Host": "evil.example"}).status_code == 403


def test_what_one_key_begins_and_keeps_no_other_finds(tmp_path: Path) -> None:
    with closing(open_database(tmp_path / "ledger")) as database, closing(Books(database)) as books:
        (ada, ada_says), (_, bob_says) = keys.add(database, "ada"), keys.add(database, "bob")
        access = Access(keys_needed=True)
        with client(Scripted(["Hello."]), books=books, access=access) as asked:
            his, hers = ({"Authorization": f"Bearer {secret}"} for secret in (bob_says, ada_says))
            assert asked.get("about").status_code == asked.post("runs", json=SAY).status_code == 401
            assert asked.get("about", headers=hers).json()["key"]["name"] == "ada"
            run = _begin(asked, SAY, **hers)
            assert [frame["type"] for _, frame in _frames(asked, run, **hers)][-1] == "over"
            for path in (f"runs/{run}/events",):
                assert asked.get(path, headers=his).status_code == 404
            assert asked.post(f"runs/{run}/stop", json={}, headers=his).status_code == 404
            kept = {"title": "Milk", "talk": {"id": "c1", "nodes": {}}}
            assert asked.put("talks/c1", json=kept, headers=hers).status_code == 204
            assert [one["title"] for one in asked.get("talks", headers=hers).json()] == ["Milk"]
            assert asked.get("talks/c1", headers=hers).json() == kept["talk"]
            assert asked.get("talks", headers=his).json() == []
            assert asked.get("talks/c1", headers=his).status_code == 404
            assert asked.delete("talks/c1", headers=his).status_code == 204
            assert asked.get("talks/c1", headers=hers).status_code == 200
            assert asked.delete("talks/c1", headers=hers).status_code == 204
            assert asked.get("talks/c1", headers=hers).status_code == 404
        with database.reading() as connection:
            assert connection.run("SELECT key_id, api, state FROM requests") == [(ada.id, "page", "done")]


def test_what_is_kept_has_the_turns_of_every_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two devices read the same conversation, and each goes on with it."""
    turns = {name: {"id": name, "text": name * 60} for name in "abcd"}
    copies = [{"leaf": names[-1], "nodes": {name: turns[name] for name in names}} for names in ("ab", "ac", "ad")]
    with closing(open_database(tmp_path / "ledger")) as database, closing(Books(database)) as books:
        hers = {"Authorization": f"Bearer {keys.add(database, 'ada')[1]}"}
        with client(Scripted([]), books=books, access=Access(keys_needed=True)) as asked:
            keep = lambda talk: asked.put("talks/c1", json={"title": "", "talk": talk}, headers=hers).status_code
            assert [keep(talk) for talk in copies[:2]] == [204, 204]
            whole = {"leaf": "c", "nodes": {name: turns[name] for name in "abc"}}
            assert asked.get("talks/c1", headers=hers).json() == whole
            monkeypatch.setattr(page_kept, "MOST_BYTES", len(json.dumps(whole)))
            assert keep(copies[2]) == 413  # each of them would fit, all of them together do not
            assert asked.get("talks/c1", headers=hers).json() == whole


def test_a_revoked_key_ends_a_run_at_its_next_reply(tmp_path: Path) -> None:
    heard = threading.Event()

    def revoke(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> Message:
        assert heard.wait(20)
        keys.revoke(database, "ada")
        return NOTE

    with closing(open_database(tmp_path / "ledger")) as database, closing(Books(database)) as books:
        hers = {"Authorization": f"Bearer {keys.add(database, 'ada')[1]}"}
        model = Scripted([revoke, "Noted."])
        with client(model, books=books, access=Access(keys_needed=True)) as asked:
            run = _begin(asked, {**SAY, "approve": "yes"}, **hers)
            with asked.stream("GET", f"runs/{run}/events", headers=hers) as stream:  # opened while the key is good
                heard.set()
                said = "".join(stream.iter_text())
            assert '"message":"the key ada was revoked","status":401' in said and "Noted" not in said
            assert len(model.asked) == 1
        with database.reading() as connection:
            assert connection.run("SELECT state FROM requests") == [("done",)]


def test_tools_that_act_are_for_the_owner(tmp_path: Path) -> None:
    from moonlet.server.page_tools import Workbench
    from moonlet.tools.files import file_tools

    own = file_tools(tmp_path)
    bench = Workbench(Access(keys_needed=True), own, lambda: {"calendar": ()})
    with closing(open_database(tmp_path / "ledger")) as database:
        (plain, _), (admin, _) = keys.add(database, "ada"), keys.add(database, "root", scopes=("chat", "admin"))
    groups = lambda key: {group.id for group in bench.groups(key, "", "", "big")}
    assert groups(plain) == {"basic", "demo"} and groups(admin) == {"basic", "own", "mcp:calendar", "demo"}
    names = [tool.spec.name for tool in own]
    assert bench.chosen(plain, "", "", "big", names)[0] == []  # naming them does not help
    assert [tool.spec.name for tool in bench.chosen(admin, "", "", "big", names)[0]] == names


def test_a_conversation_has_a_world_of_its_own() -> None:
    def search(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> Message:
        return Message("assistant", calls=(ToolCall("functions.search_notes:0", "search_notes", '{"query": "milk"}'),))

    with client(Scripted([NOTE, "Noted.", search, "Yes.", search, "No."])) as asked:
        say = {**SAY, "approve": "yes", "tools": ["add_note", "search_notes"]}
        list(_frames(asked, _begin(asked, say)))
        found = [
            next(frame["text"] for _, frame in _frames(asked, _begin(asked, one)) if frame["type"] == "result")
            for one in (say, {**say, "conversation": "c2"})
        ]
        assert "buy milk" in found[0] and "buy milk" not in found[1]


# ---- looking inside ----


def test_frames_tell_the_experts_of_every_written_token(nano: Local) -> None:
    body = {"messages": [{"role": "user", "content": "What is 12 times 7?"}], "look": True, "tools": ["calculate"]}
    config = nano.config
    with client(nano) as asked:
        frames = [frame for _, frame in _frames(asked, _begin(asked, body))]
        plain = [frame for _, frame in _frames(asked, _begin(asked, {**body, "look": False}))]
        assert asked.get("tiers").json()["names"] == list(TIERS)
    assert not any(frame["type"] == "look" for frame in plain)
    text = lambda told: "".join(frame["text"] for frame in told if frame["type"] == "text")
    assert text(frames) == text(plain)
    looks = [frame for frame in frames if frame["type"] == "look" and not frame["prompt"]]
    replies = [frame["usage"] for frame in frames if frame["type"] == "reply"]
    # The last token of a reply is never read, unless what ended it was a mark that was read with it.
    written = sum(frame["count"] for frame in looks)
    assert sum(one["output_tokens"] for one in replies) - len(replies) <= written
    for frame in looks:
        size = frame["count"] * config.sparse_layers * config.experts_per_token
        experts = np.frombuffer(base64.b64decode(frame["experts"]), "<u2")
        weights = np.frombuffer(base64.b64decode(frame["weights"]), np.uint8)
        assert len(experts) == len(weights) == size and experts.max() < config.experts
        assert len(frame["tokens"]) == frame["count"]
        sums = weights.reshape(-1, config.experts_per_token).sum(1, dtype=int)
        assert (abs(sums - 255) <= config.experts_per_token).all()
    first = next(frame for frame in frames if frame["type"] == "look")
    counts = np.frombuffer(base64.b64decode(first["counts"]), "<u2").reshape(config.sparse_layers, first["width"])
    assert (counts.sum(1) == first["count"] * config.experts_per_token).all()


def test_looking_is_asked_for_and_costs_one_event_a_step(nano: Local) -> None:
    said = [Message("user", "What is 12 times 7?")]
    plain = list(nano.reply(said, (), ReplyOptions(max_tokens=8)))
    seen = list(nano.reply(said, (), ReplyOptions(max_tokens=8, look=True)))
    looks = [event for event in seen if isinstance(event, Look)]
    assert [event for event in seen if not isinstance(event, Look | Done)] == plain[:-1]
    assert looks[0].prompt and not looks[-1].prompt
    done = seen[-1]
    assert (
        isinstance(done, Done) and sum(len(one.tokens) for one in looks if not one.prompt) <= done.usage.output_tokens
    )


def test_a_run_goes_on_when_nobody_listens() -> None:
    """A tab that is closed in the middle finds the rest when it is opened again."""
    gate = threading.Event()

    def slow(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> str:
        gate.wait(10)
        return "It went on."

    with client(Scripted([slow])) as asked:
        run = _begin(asked, SAY)
        with asked.stream("GET", f"runs/{run}/events"):
            pass  # gone at once
        gate.set()
        time.sleep(0.05)
        frames = [frame for _, frame in _frames(asked, run)]
        assert "".join(frame["text"] for frame in frames if frame["type"] == "text") == "It went on."
