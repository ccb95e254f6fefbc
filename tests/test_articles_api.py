"""`/v1/articles` over real HTTP: jobs in a bounded queue, by key, with progress, that outlive the server."""

import errno
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from moonlet.chat.messages import Message, Text, ToolCall
from moonlet.ledger import keys
from moonlet.ledger.books import Books
from moonlet.ledger.database import open_database
from moonlet.llm.scripted import Scripted
from moonlet.server import article_jobs, articles, mcp, page_articles
from moonlet.server.article_call import article_tool
from moonlet.server.article_jobs import Jobs, Order, Outcome
from moonlet.server.articles import add_articles
from moonlet.server.errors import ApiError
from moonlet.server.keys import Access
from moonlet.tools.mcp.config import ServerConfig
from moonlet.tools.mcp.host import Host
from moonlet.tools.tool import call
from serving import serving

WISHES = {"language": ("en", "th", "zh"), "audience": ()}
VIDEO = {"content-type": "video/mp4"}
Make = Callable[[Order], Outcome]


def finished(order: Order) -> Outcome:
    """An article of one answer of the model."""
    said = "".join(one.text for one in order.llm.reply([Message("user", "write")]) if isinstance(one, Text))
    order.tell("write", 1, 2)
    (order.folder / "render").mkdir(parents=True, exist_ok=True)
    (order.folder / "render/article.html").write_text(f"<p>{said}")
    return Outcome(said, 97.5, "written", "en", ("render/article.html",))


@contextmanager
def offered(folder: Path, make: Make, *replies: str) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    """Clients of Ann and of Ben."""
    with closing(open_database(folder / "ledger.db")) as database, closing(Books(database)) as books:
        secrets = folder / "secrets.json"
        if not secrets.exists():
            secrets.write_text(json.dumps([keys.add(database, name)[1] for name in ("ann", "ben")]))
        made: list[Jobs] = []
        model = Scripted(replies)

        def more(app: FastAPI) -> None:
            made.append(Jobs(folder / "articles", make, model, app.state.accounts, database))
            add_articles(app, made[0], WISHES)
            mcp.mount(app, mcp.make_server([article_tool(made[0], WISHES)]), Access(keys_needed=True))

        with serving(model, books, Access(keys_needed=True), more) as url:
            ann, ben = (
                httpx.Client(base_url=url.removesuffix("/v1"), headers={"x-api-key": secret}, timeout=20)
                for secret in json.loads(secrets.read_text())
            )
            with ann, ben:
                yield ann, ben
            made[0].close()


def _until(condition: Callable[[], Any]) -> Any:
    end = time.monotonic() + 10
    while not (value := condition()):
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)
    return value


def _over(client: httpx.Client, id: str) -> dict[str, Any]:
    def job() -> dict[str, Any] | None:
        now: dict[str, Any] = client.get(f"/v1/articles/{id}").raise_for_status().json()
        return now if now["status"] in ("done", "failed", "cancelled") else None

    found: dict[str, Any] = _until(job)
    return found


def test_a_recording_that_is_sent_becomes_an_article(tmp_path: Path) -> None:
    seen: list[Order] = []

    def make(order: Order) -> Outcome:
        seen.append(order)
        assert Path(order.source).read_bytes() == b"film" * 1000
        return finished(order)

    with offered(tmp_path, make, "On water") as (ann, ben):
        sent = ann.post("/v1/articles?language=th&name=../../talk.MP4", content=b"film" * 1000, headers=VIDEO)
        assert sent.status_code == 202 and sent.headers["location"] == f"/v1/articles/{sent.json()['id']}"
        id = sent.json()["id"]
        job = _over(ann, id)
        assert (job["status"], job["error"], job["options"]) == ("done", None, {"language": "th"})
        assert job["article"] == {
            "title": "On water", "score": 97.5, "mode": "written", "language": "en",
            "files": {"html": f"/v1/articles/{id}/article.html"},
        }  # fmt: skip
        page = ann.get(job["article"]["files"]["html"])
        assert page.text == "<p>On water" and "sandbox" in page.headers["content-security-policy"]
        assert ann.get(f"/v1/articles/{id}/article.docx").status_code == 404
        assert ann.get(f"/v1/articles/{id}/article.exe").status_code == 404
        # What Ann made is Ann's alone, and on her account.
        assert [one["id"] for one in ann.get("/v1/articles").json()["data"]] == [id]
        assert ben.get("/v1/articles").json()["data"] == []
        for path in ("", "/events", "/article.html"):
            assert ben.get(f"/v1/articles/{id}{path}").status_code == 404
        assert ben.post(f"/v1/articles/{id}/cancel").status_code == ben.delete(f"/v1/articles/{id}").status_code == 404
        assert ann.delete(f"/v1/articles/{id}").json()["deleted"] and not (tmp_path / "articles" / id).exists()
    assert Path(seen[0].source) == tmp_path / "articles" / id / "sent/talk.mp4" and seen[0].wish == {"language": "th"}
    with closing(open_database(tmp_path / "ledger.db")) as database, database.reading() as connection:
        assert connection.run("SELECT api, state FROM requests") == [("articles", "done")]


def test_progress_is_told_as_it_happens(tmp_path: Path) -> None:
    step = threading.Semaphore(0)

    def make(order: Order) -> Outcome:
        for done in (0, 1, 2):
            order.tell("transcript", done, 4)
            step.acquire()
        return finished(order)

    with offered(tmp_path, make, "x") as (ann, _):
        id = ann.post("/v1/articles", json={"source": "https://video.example/1"}).json()["id"]
        told = []
        with ann.stream("GET", f"/v1/articles/{id}/events") as stream:
            for line in stream.iter_lines():
                if line.startswith("data: "):
                    told.append(json.loads(line.removeprefix("data: ")))
                    step.release()
        assert told[-1]["status"] == "done"
        running = [one["progress"] for one in told if one["status"] == "running"]
        stages = [(one["stage"], one["done"]) for one in running if one["stage"]]  # at first it has none
        assert ("transcript", 0.25) in stages and stages == sorted(stages)
        assert next(one for one in told if one["progress"]["done"] == 0.25)["progress"]["seconds_left"] is not None


@pytest.mark.parametrize(
    ("sent", "status", "told"),
    [
        ({"json": {"source": "/etc/passwd"}}, 400, "begins with http"),
        ({"json": {"source": "file:///etc/passwd"}}, 400, "begins with http"),
        ({"json": {}}, 400, "source"),
        ({"json": {"source": 5}}, 400, "source must be a string"),
        ({"json": ["https://x.example"]}, 400, "JSON object"),
        ({"json": {"source": "https://x.example", "language": "tlh"}}, 400, "language must be one of"),
        ({"json": {"source": "https://x.example", "audience": "x" * 201}}, 400, "1 to 200"),
        ({"content": b"", "headers": VIDEO}, 400, "empty"),
        ({"content": b"x" * 2000, "headers": VIDEO}, 413, "larger"),
        ({"content": b"a=b", "headers": {"content-type": "application/x-www-form-urlencoded"}}, 415, "send JSON"),
    ],
)
def test_what_is_refused(
    tmp_path: Path, sent: dict[str, Any], status: int, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(articles, "MAX_UPLOAD", 1000)
    with offered(tmp_path, finished) as (ann, _):
        answer = ann.post("/v1/articles", **sent)
        assert answer.status_code == status and told in answer.json()["error"]["message"]
        assert ann.get("/v1/articles").json()["data"] == []
    assert [path.name for path in (tmp_path / "articles").iterdir()] == [".lock"]  # nothing is left behind


def test_an_mcp_client_has_an_article_made(tmp_path: Path) -> None:
    with offered(tmp_path, finished, "On water") as (ann, ben):
        headers = {"x-api-key": ann.headers["x-api-key"]}
        server = ServerConfig("own", url=str(ann.base_url.join("/mcp")), headers=headers)
        with Host([server], tmp_path) as host:

            def made(**arguments: str) -> Any:
                return json.loads(call(host.tools(), ToolCall("c", "own__make_article", json.dumps(arguments))))

            article = made(source="https://video.example/1", language="th")
            assert (article["title"], article["mode"]) == ("On water", "written")
            assert ann.get(article["files"]["html"]).text == "<p>On water"
            assert ben.get(article["files"]["html"]).status_code == 404
            assert "begins with http" in made(source="/etc/passwd")["error"]
            assert "language" in made(source="https://video.example/1", language="xx")["error"]
            assert "no reply left" in made(source="https://video.example/2")["error"]  # the maker failed
        assert [one["options"] for one in ann.get("/v1/articles").json()["data"]] == [{}, {"language": "th"}]


def test_the_queue_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(article_jobs, "MOST_WAITING", 2)
    monkeypatch.setattr(article_jobs, "MOST_OF_ONE", 2)
    go = threading.Event()

    def make(order: Order) -> Outcome:
        go.wait(10)
        return finished(order)

    with offered(tmp_path, make, "a", "b", "c") as (ann, ben):

        def ask(client: httpx.Client) -> httpx.Response:
            return client.post("/v1/articles", json={"source": "https://video.example/1"})

        first = ask(ann).json()["id"]
        _until(lambda: ann.get(f"/v1/articles/{first}").json()["status"] == "running")
        second = ask(ann)
        assert second.json()["ahead"] == 0
        refused = ask(ann)  # Ann has two
        assert refused.status_code == 429 and int(refused.headers["retry-after"]) > 0
        third = ask(ben)
        assert third.json()["ahead"] == 1
        assert ask(ben).status_code == 429  # the queue is full
        go.set()
        assert {_over(ann, second.json()["id"])["status"], _over(ben, third.json()["id"])["status"]} == {"done"}


def test_cancelled_and_failed_ones_go_on(tmp_path: Path) -> None:
    attempts: list[str] = []

    def make(order: Order) -> Outcome:
        attempts.append(order.folder.parent.name)
        if len(attempts) == 1:
            _until(order.stopped)
            raise ApiError("it was stopped")
        if len(attempts) == 2:
            raise ApiError("the recording is broken")
        if len(attempts) == 3:
            raise RuntimeError("secret of our own")
        return finished(order)

    with offered(tmp_path, make, "x") as (ann, _):
        id = ann.post("/v1/articles", content=b"film", headers=VIDEO).json()["id"]
        _until(lambda: attempts)
        assert ann.post(f"/v1/articles/{id}/cancel").json()["status"] == "cancelled"
        _until(lambda: ann.post(f"/v1/articles/{id}/resume").status_code == 202)
        assert _over(ann, id)["error"] == {"message": "the recording is broken"}
        assert ann.get(f"/v1/articles/{id}/article.html").status_code == 404
        _until(lambda: ann.post(f"/v1/articles/{id}/resume").status_code == 202)
        assert "secret" not in _over(ann, id)["error"]["message"]
        _until(lambda: ann.post(f"/v1/articles/{id}/resume").status_code == 202)
        assert _over(ann, id)["status"] == "done" and len(attempts) == 4
        assert ann.post(f"/v1/articles/{id}/resume").status_code == 409


def test_jobs_outlive_the_server(tmp_path: Path) -> None:
    began = threading.Event()

    def slow(order: Order) -> Outcome:
        order.folder.mkdir(exist_ok=True)
        (order.folder / "media.json").write_text("{}")  # a stage that is finished
        began.set()
        _until(order.stopped)
        raise ApiError("it was stopped")

    def make(order: Order) -> Outcome:
        assert (order.folder / "media.json").exists() and Path(order.source).read_bytes() == b"film"
        return finished(order)

    with offered(tmp_path, slow) as (ann, _):
        id = ann.post("/v1/articles?audience=engineers", content=b"film", headers=VIDEO).json()["id"]
        assert began.wait(10)
        other = ann.post("/v1/articles", content=b"film", headers=VIDEO).json()["id"]
    broken = tmp_path / "articles" / "article_broken"
    broken.mkdir()
    (broken / "job.json").write_text("{")
    with offered(tmp_path, lambda order: make(order) if id in str(order.folder) else finished(order), "a", "b") as (
        ann,
        _,
    ):
        assert _over(ann, id)["status"] == _over(ann, other)["status"] == "done"
        assert _over(ann, id)["options"] == {"audience": "engineers"}


def test_one_that_was_to_be_deleted_does_not_go_on_with_the_next_server(tmp_path: Path) -> None:
    began = threading.Event()

    def slow(order: Order) -> Outcome:
        began.set()
        _until(order.stopped)
        time.sleep(0.3)
        raise ApiError("it was stopped")

    with offered(tmp_path, slow) as (ann, _):
        id = ann.post("/v1/articles", content=b"film", headers=VIDEO).json()["id"]
        assert began.wait(10)
        assert ann.delete(f"/v1/articles/{id}").status_code == 409
    with offered(tmp_path, finished, "x") as (ann, _):
        assert ann.get(f"/v1/articles/{id}").json()["status"] == "cancelled"
        assert ann.delete(f"/v1/articles/{id}").status_code == 200


def test_one_that_failed_goes_on_where_as_many_are_kept_as_may_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(article_jobs, "MOST_KEPT", 1)
    attempts: list[str] = []

    def make(order: Order) -> Outcome:
        attempts.append(order.source)
        if len(attempts) == 1:
            raise ApiError("the recording is broken")
        return finished(order)

    with offered(tmp_path, make, "x") as (ann, _):
        id = ann.post("/v1/articles", content=b"film", headers=VIDEO).json()["id"]
        assert _over(ann, id)["status"] == "failed"
        assert ann.post("/v1/articles", content=b"film", headers=VIDEO).status_code == 409
        assert ann.post(f"/v1/articles/{id}/resume").status_code == 202
        assert _over(ann, id)["status"] == "done"


def test_who_stops_sending_is_no_fault_of_the_server(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with offered(tmp_path, finished) as (ann, _):
        head = f"POST /v1/articles HTTP/1.1\r\nHost: x\r\nx-api-key: {ann.headers['x-api-key']}\r\n"
        head += "content-type: video/mp4\r\ncontent-length: 1000\r\n\r\n"
        with socket.create_connection((ann.base_url.host, ann.base_url.port or 80)) as line:
            line.sendall(head.encode() + b"film")
            time.sleep(0.3)
        time.sleep(0.3)
        assert ann.get("/v1/articles").json()["data"] == []
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_one_that_ends_the_server_is_given_up(tmp_path: Path) -> None:
    with offered(tmp_path, finished, "x") as (ann, _):
        id = ann.post("/v1/articles", content=b"film", headers=VIDEO).json()["id"]
        _over(ann, id)
    path = tmp_path / "articles" / id / "job.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "state": "running", "attempts": 3, "outcome": None}))
    with offered(tmp_path, finished) as (ann, _):
        job = ann.get(f"/v1/articles/{id}").json()
        assert job["status"] == "failed" and "ended 3 times" in job["error"]["message"]
        with pytest.raises(ApiError, match="another server"), closing(open_database(tmp_path / "other.db")) as database:
            Jobs(tmp_path / "articles", finished, Scripted(()), None, database)  # type: ignore[arg-type]


def test_a_key_that_was_revoked_pays_no_more(tmp_path: Path) -> None:
    go = threading.Event()

    def make(order: Order) -> Outcome:
        go.wait(10)
        return finished(order)

    with offered(tmp_path, make, "a", "b") as (ann, ben):
        ann.post("/v1/articles", content=b"film", headers=VIDEO)
        id = ben.post("/v1/articles", content=b"film", headers=VIDEO).json()["id"]
        with closing(open_database(tmp_path / "ledger.db")) as database:
            keys.revoke(database, "ben")
        go.set()
        path = tmp_path / "articles" / id / "job.json"
        job = _until(lambda: (kept := json.loads(path.read_text()))["state"] == "failed" and kept)
        assert "revoked" in job["error"]


def test_a_key_that_is_revoked_meanwhile_pays_for_no_further_answer(tmp_path: Path) -> None:
    answers: list[str] = []

    def make(order: Order) -> Outcome:
        for name in ("ben", "ann"):  # the key of another does not matter
            answers.append(finished(order).title)
            with closing(open_database(tmp_path / "ledger.db")) as database:
                keys.revoke(database, name)
        return finished(order)

    with offered(tmp_path, make, "a", "b", "c") as (ann, _):
        id = ann.post("/v1/articles", content=b"film", headers=VIDEO).json()["id"]
        path = tmp_path / "articles" / id / "job.json"
        job = _until(lambda: (kept := json.loads(path.read_text()))["state"] in ("failed", "done") and kept)
    assert (job["state"], job["error"], answers) == ("failed", "the key ann was revoked", ["a", "b"])


def test_who_opens_an_article_waits_for_the_books_and_nobody_else(tmp_path: Path) -> None:
    with closing(open_database(tmp_path / "ledger.db")) as database, closing(Books(database)) as books:
        key = {"x-api-key": keys.add(database, "ann")[1]}
        made: list[Jobs] = []

        def more(app: FastAPI) -> None:
            made.append(Jobs(tmp_path / "articles", finished, Scripted(["Boats"]), app.state.accounts, database))
            add_articles(app, made[0], WISHES)
            page_articles.mount(app, made[0], WISHES, database)

        with serving(Scripted([]), books, Access(keys_needed=True), more) as url, ThreadPoolExecutor(1) as beside:
            with httpx.Client(base_url=url.removesuffix("/v1"), timeout=20) as asked:
                asked.headers.update(key)
                id = asked.post("/v1/articles", content=b"film", headers=VIDEO).json()["id"]
                _over(asked, id)
                below = asked.post("/api/articles/open").json()["below"]
                with database.reading():  # as somebody else who takes long
                    opening = beside.submit(asked.get, f"/{below}{id}/work/render/article.html")
                    for _ in range(20):
                        assert asked.get("/health", timeout=2).status_code == 200
                        time.sleep(0.02)
                    assert not opening.done()
                assert opening.result().text == "<p>Boats"
            made[0].close()


def test_a_full_disk_fails_a_job_and_not_the_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, full = article_jobs._write, threading.Event()

    def kept(path: Path, job: article_jobs.Job) -> None:
        if full.is_set():
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, job)

    monkeypatch.setattr(article_jobs, "_write", kept)
    with offered(tmp_path, finished, *["Boats"] * 3) as (ann, _):
        full.set()
        refused = ann.post("/v1/articles", content=b"video", headers=VIDEO)
        assert refused.status_code == 507 and "the disk is full" in refused.text
        assert ann.get("/v1/articles").json()["data"] == []
        full.clear()
        id = ann.post("/v1/articles", content=b"video", headers=VIDEO).json()["id"]
        until = time.monotonic() + 20
        while ann.get(f"/v1/articles/{id}").json()["status"] != "done":
            assert time.monotonic() < until
            time.sleep(0.02)


def test_what_is_being_sent_takes_a_place(tmp_path: Path) -> None:
    with closing(Jobs(tmp_path / "more", finished, Scripted([]), None, None)) as jobs:  # type: ignore[arg-type]
        with ExitStack() as sending:
            for _ in range(article_jobs.MOST_OF_ONE):
                sending.enter_context(jobs.place("ann"))
            with pytest.raises(ApiError), jobs.place("ann"):
                raise AssertionError
            with jobs.place("ben"):
                pass
        jobs.room("ann")
