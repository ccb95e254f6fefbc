"""Who may ask a server and how much: over real HTTP, by the official client, with a real ledger behind it."""

import json
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam
from prometheus_client.parser import text_string_to_metric_families

from moonlet.chat.messages import Message
from moonlet.ledger import keys, report
from moonlet.ledger.books import Books
from moonlet.ledger.database import open_database
from moonlet.ledger.keys import Limits
from moonlet.ledger.money import Price
from moonlet.llm import Done, Event, LLMError, ReplyOptions, Usage
from moonlet.llm.scripted import Prepared, Scripted
from moonlet.server.accounts import Accounts
from moonlet.server.charged import Charged
from moonlet.server.keys import Access
from moonlet.server.metrics import Metrics
from serving import serving

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hello there"}]  # 3 tokens of the scripted model
BODY: dict[str, Any] = {"model": "scripted", "messages": HELLO}
CLOSED = Access(hosts=None, keys_needed=True)
OPEN = Access()


class Team:
    """A server with a ledger."""

    def __init__(self, url: str, books: Books, model: Scripted) -> None:
        self.url, self.books, self.model = url, books, model

    def key(self, name: str, **settings: Any) -> str:
        return keys.add(self.books.database, name, **settings)[1]

    def ask(self, secret: str | None = None, path: str = "/chat/completions", **body: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        return httpx.post(self.url + path, json={**BODY, **body}, headers=headers, timeout=30)

    def get(self, path: str, secret: str | None = None) -> httpx.Response:
        return httpx.get(
            self.url.removesuffix("/v1") + path, headers={"x-api-key": secret} if secret else {}, timeout=30
        )

    def rows(self) -> list[dict[str, Any]]:
        return list(report.rows(self.books.database, prompts=True))

    def metric(self, name: str, secret: str | None = None, **labels: str) -> float:
        page = self.get("/metrics", secret)
        assert page.status_code == 200, page.text
        for family in text_string_to_metric_families(page.text):
            for sample in family.samples:
                if sample.name == name and all(sample.labels.get(label) == value for label, value in labels.items()):
                    return float(sample.value)
        raise AssertionError(f"no {name} {labels}")


@contextmanager
def team(place: Path, *replies: Prepared, access: Access = CLOSED, **settings: Any) -> Iterator[Team]:
    scripted = {name: settings.pop(name) for name in ("piece", "pause_s") if name in settings}
    model = Scripted(replies, **scripted)
    with closing(Books(open_database(place / "ledger"), **settings)) as books, serving(model, books, access) as url:
        yield Team(url, books, model)


def _wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.01)


# Who comes in.


def test_without_a_key_nobody_comes_in(tmp_path: Path) -> None:
    with team(tmp_path, "hi", "hi") as asked:
        ann = asked.key("ann")
        for secret in (None, "anything", ann[:-1], "sk-moonlet-" + "x" * 43):
            answer = asked.ask(secret)
            assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer", answer.text
            assert answer.json()["error"]["code"] == "invalid_api_key"
        for path in ("/v1/models", "/metrics", "/openapi.json", "/nothing"):
            assert asked.get(path).status_code == 401, path
        assert asked.get("/health").status_code == 200
        assert httpx.head(asked.url.removesuffix("/v1") + "/health").status_code == 200
        assert asked.model.asked == [] and asked.rows() == []
        assert asked.ask(ann).status_code == 200
        both = {"Authorization": "Bearer wrong", "x-api-key": ann}
        assert httpx.post(f"{asked.url}/chat/completions", json=BODY, headers=both).status_code == 200
        with pytest.raises(openai.AuthenticationError, match="not known here"):
            openai.OpenAI(base_url=asked.url, api_key="wrong", max_retries=0).models.list()


def test_on_loopback_no_key_is_needed_but_a_wrong_one_is_refused(tmp_path: Path) -> None:
    with team(tmp_path, *["hi"] * 5, access=OPEN) as asked:
        assert asked.ask().status_code == 200
        assert asked.ask("anything").status_code == 200, "clients that insist on a key may send anything"
        assert asked.ask("sk-moonlet-" + "x" * 43).status_code == 401
        ann = asked.key("ann")
        assert asked.ask().status_code == 200 and asked.ask(ann).status_code == 200
        assert asked.ask("anything").status_code == 401
        assert [row["key_name"] for row in asked.rows()] == [None, None, None, "ann"]


def test_revoked_and_expired_keys_are_refused_from_that_moment(tmp_path: Path) -> None:
    with team(tmp_path, "hi", "hi", access=OPEN) as asked:
        ann, bob = asked.key("ann"), asked.key("bob", expires=time.time() + 1.5)
        assert asked.ask(ann).status_code == asked.ask(bob).status_code == 200
        keys.revoke(asked.books.database, "ann")
        assert "was revoked" in asked.ask(ann).text
        _wait_for(lambda: asked.get("/v1/models", bob).status_code == 401)
        assert "has expired" in asked.ask(bob).text


def test_scopes(tmp_path: Path) -> None:
    with team(tmp_path, "hi") as asked:
        chat, admin = asked.key("chat", scopes=("chat",)), asked.key("admin", scopes=("admin",))
        models = asked.key("models", scopes=("models",))
        assert asked.ask(chat).status_code == 200
        assert [asked.ask(secret).status_code for secret in (admin, models)] == [403, 403]
        for path, allowed in (("/v1/models", models), ("/v1/models/scripted", models), ("/metrics", admin)):
            for secret in (chat, admin, models):
                assert asked.get(path, secret).status_code == (200 if secret == allowed else 403), path
        assert "lacks the scope chat" in asked.ask(models).json()["error"]["message"]
        assert asked.metric("moonlet_requests_refused_total", admin, reason="scope") == 9


def test_host_names_and_web_pages(tmp_path: Path) -> None:
    access = Access(("127.0.0.1", "ai.example.org"), True, ("https://chat.example.org",))
    with team(tmp_path, "hi", access=access) as asked:
        ann = asked.key("ann")
        url = f"{asked.url}/models"

        def get(**headers: str) -> httpx.Response:
            return httpx.get(url, headers={"x-api-key": ann, **headers})

        assert get(Host="ai.example.org:443").status_code == 200 and get(Host="evil.example").status_code == 403
        assert (
            get(Origin="https://chat.example.org").headers["access-control-allow-origin"] == "https://chat.example.org"
        )
        assert "access-control-allow-origin" not in get(Origin="https://evil.example").headers
        asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
        allowed = httpx.options(url, headers={"Origin": "https://chat.example.org", **asks})
        assert allowed.status_code == 200 and "authorization" in allowed.headers["access-control-allow-headers"].lower()
        assert httpx.options(url, headers={"Origin": "https://evil.example", **asks}).status_code == 400
        refused = httpx.get(url, headers={"Origin": "https://chat.example.org"})
        assert refused.status_code == 401 and "access-control-allow-origin" in refused.headers, "a page can read why"
    with team(tmp_path, access=OPEN) as asked:
        told = httpx.options(f"{asked.url}/models", headers={"Origin": "https://chat.example.org", **asks})
        assert told.status_code == 405 and "access-control-allow-origin" not in told.headers


# How much.


def test_a_limit_is_told_with_the_time_to_wait(tmp_path: Path) -> None:
    now = [1_795_000_000.0]
    with team(tmp_path, *["hi"] * 4, clock=lambda: now[0]) as asked:
        ann = asked.key("ann", limits=Limits(tokens_per_minute=100))
        assert asked.ask(ann, max_tokens=50).status_code == 200
        refused = asked.ask(ann, max_tokens=97)
        assert refused.status_code == 429 and refused.headers["retry-after"] == "60"
        assert refused.json()["error"]["code"] == "rate_limit_exceeded"
        assert "100 (tokens per minute)" in refused.json()["error"]["message"]
        now[0] += 60
        assert asked.ask(ann, max_tokens=97).status_code == 200
        never = asked.ask(ann, max_tokens=98)
        assert never.status_code == 429 and "retry-after" not in never.headers
        assert never.headers["x-should-retry"] == "false"
        with pytest.raises(openai.RateLimitError, match="whole limit"):
            openai.OpenAI(base_url=asked.url, api_key=ann).chat.completions.create(
                model="scripted", messages=HELLO, max_tokens=98
            )
        now[0] += 60
        assert asked.ask(ann).status_code == 200, "without max_tokens a reply is given what fits"
        assert asked.model.asked[-1][2].max_tokens == 97
        assert len(asked.rows()) == 3, "what is refused is no row"


def test_exactly_as_many_as_fit_are_answered_at_once(tmp_path: Path) -> None:
    with team(tmp_path, *["word " * 30] * 16, pause_s=0.03) as asked:
        ann, bob = asked.key("ann", limits=Limits(concurrent=3)), asked.key("bob", limits=Limits(tokens_per_day=500))
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: asked.ask(ann), range(8)))
            assert sorted(answer.status_code for answer in answers) == [200] * 3 + [429] * 5
            # Each may take 3 + 97, and takes 3 + 38.
            answers = list(pool.map(lambda _: asked.ask(bob, max_tokens=97), range(8)))
            assert [answer.status_code for answer in answers].count(200) == 5
        assert (
            sum(row["prompt_tokens"] + row["output_tokens"] for row in asked.rows() if row["key_name"] == "bob") == 205
        )


def test_money(tmp_path: Path) -> None:
    with team(tmp_path, "hi", "hi", price=Price.read("1000/1000/1000")) as asked:
        ann = asked.key("ann", limits=Limits(nano_usd_per_month=100_000_000))  # a hundred tokens' worth
        assert asked.ask(ann, max_tokens=50).status_code == 200
        (row,) = asked.rows()
        assert row["nano_usd"] == 4_000_000 and row["price"] == "1000/1000/1000"
        refused = asked.ask(ann, max_tokens=94)
        assert refused.status_code == 429 and "money per month" in refused.text and "$0.10" in refused.text


# What is written down.


def test_each_request_is_one_row(tmp_path: Path) -> None:
    def fail(*_: object) -> str:
        raise LLMError("the model is on fire")

    with team(tmp_path, Message("assistant", "hello", thinking="well, well"), "hi", fail) as asked:
        ann = asked.key("ann", owner="team")
        assert asked.ask(ann).status_code == 200
        assert asked.ask(ann, stream=True).status_code == 200
        assert asked.ask(ann).status_code == 500
        assert asked.ask(ann, temperature=9).status_code == 400, "what cannot be read is no request"
        rows = asked.rows()
        assert [row["state"] for row in rows] == ["done", "done", "error"]
        assert rows[2]["error"] == "the model is on fire" and rows[2]["output_tokens"] == 0
        first = rows[0]
        assert (first["api"], first["model"], first["owner"]) == ("chat.completions", "scripted", "team")
        assert (first["prompt_tokens"], first["cached_tokens"], first["output_tokens"]) == (3, 0, 5)
        assert first["ended"] >= first["started"] and first["decode_s"] >= 0 and first["asked"] is None


class Breaks(Scripted):
    """Its replies break before their Done, but those that say hi: a reply beside them breaks when they are through."""

    def __init__(self, replies: list[str]) -> None:
        super().__init__(replies)
        self.through = threading.Event()
        self.through.set()

    def reply(self, *asked: Any) -> Iterator[Event]:
        for event in super().reply(*asked):
            if isinstance(event, Done) and event.message.content != "hi":
                assert self.through.wait(20)
                raise LLMError("the model is on fire", Usage(30, 20, 5))
            yield event
            if isinstance(event, Done):
                self.through.set()


def test_what_a_reply_that_failed_took_is_charged(tmp_path: Path) -> None:
    model = Breaks(["oh", "hi", "oh", "oh"])
    with closing(Books(open_database(tmp_path / "ledger"), Price.read("1/0/1"))) as books, serving(model, books) as url:
        asked = Team(url, books, model)
        ann = asked.key("ann", limits=Limits(tokens_per_day=1000))
        assert asked.ask(ann).status_code == 500
        model.through.clear()
        assert asked.ask(ann, n=2, max_tokens=100).status_code == 500
        charged = Charged(model, Accounts([model], Metrics("scripted"), books), keys.all_keys(books.database)[0], "a2a")
        with pytest.raises(LLMError):
            list(charged.reply([Message("user", "hello")], (), ReplyOptions(max_tokens=100)))
        books.wait_settled(5)
        names = ("state", "prompt_tokens", "cached_tokens", "output_tokens", "nano_usd")
        one, two, three = ([row[name] for name in names] for row in asked.rows())
        assert one == three == ["error", 30, 20, 5, 15_000] and two == ["error", 33, 20, 6, 19_000]
        assert f"{15 + 19 + 15} used" in asked.ask(ann, max_tokens=990).text


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_is_a_cancelled_row(tmp_path: Path, stream: bool) -> None:
    with team(tmp_path, "word " * 2000, piece=5, pause_s=0.01) as asked:
        headers = {"Authorization": f"Bearer {asked.key('ann', limits=Limits(concurrent=1))}"}
        body = {**BODY, "stream": stream}
        with httpx.Client(timeout=None if stream else 0.5) as other:
            if stream:
                with other.stream("POST", f"{asked.url}/chat/completions", json=body, headers=headers) as answer:
                    next(line for line in answer.iter_lines() if "word" in line)
            else:
                with pytest.raises(httpx.ReadTimeout):
                    other.post(f"{asked.url}/chat/completions", json=body, headers=headers)
        _wait_for(lambda: asked.rows()[0]["state"] == "cancelled")
        assert 0 < asked.rows()[0]["output_tokens"] < 1000


def test_prompts_are_kept_when_that_is_asked_for(tmp_path: Path) -> None:
    with team(tmp_path, "hi", keep_prompts=True, access=OPEN) as asked:
        asked.ask()
        assert json.loads(asked.rows()[0]["asked"]) == HELLO


def test_secrets_and_prompts_are_nowhere_in_logs_ledger_and_metrics(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)

    def break_(*_: object) -> str:
        raise ZeroDivisionError

    words = "the words of the prompt"
    with team(tmp_path, "hi", break_, "the words of the reply") as asked:
        ann, admin = asked.key("ann"), asked.key("admin", scopes=("admin",))
        wrong = "sk-moonlet-" + "w" * 43
        body = {"messages": [{"role": "user", "content": words}]}
        for secret in (ann, ann, wrong, ann):
            asked.ask(secret, **body)
        page = asked.get("/metrics", admin).text
    told = caplog.text + "".join(capfd.readouterr())
    stored = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    for secret in (ann, admin, wrong, words, "the words of the reply"):
        assert secret not in told and secret not in page and secret.encode() not in stored
    assert "ZeroDivisionError" in told


# Metrics.


def test_metrics_follow_the_requests(tmp_path: Path) -> None:
    def fail(*_: object) -> str:
        raise LLMError("no")

    with team(tmp_path, "word " * 8, "hi", fail, "word " * 200, access=OPEN, pause_s=0.005) as asked:
        for _ in range(3):
            asked.ask()
        thread = threading.Thread(target=asked.ask)
        thread.start()
        _wait_for(lambda: asked.metric("moonlet_num_requests_running") == 1)
        thread.join()
        page = asked.get("/metrics")
        assert page.headers["content-type"].startswith("text/plain; version=0.0.4")
        for prefix in ("moonlet_", "vllm:"):
            assert asked.metric(f"{prefix}num_requests_running") == asked.metric(f"{prefix}num_requests_waiting") == 0
            assert asked.metric(f"{prefix}prompt_tokens_total") == 9
            assert asked.metric(f"{prefix}generation_tokens_total") == 10 + 1 + 250
            assert asked.metric(f"{prefix}time_to_first_token_seconds_count") == 3
            assert asked.metric(f"{prefix}time_per_output_token_seconds_bucket", le="+Inf") == 3
            assert asked.metric(f"{prefix}request_time_per_output_token_seconds_count") == 3
            assert asked.metric(f"{prefix}inter_token_latency_seconds_count") == 10 + 1 + 250
            assert asked.metric(f"{prefix}e2e_request_latency_seconds_count") == 4
            assert asked.metric(f"{prefix}request_success_total", finished_reason="stop") == 3
            assert asked.metric(f"{prefix}time_to_first_token_seconds_bucket", le="0.001") <= 3
        assert asked.metric("moonlet_requests_total", state="done") == 3
        assert asked.metric("moonlet_requests_total", state="error") == 1
        assert asked.metric("moonlet_prefix_cache_hit_ratio") == 0
        assert asked.metric("moonlet_ledger_rows_waiting", model_name="scripted") == 0


def test_a_names_odd_characters_are_escaped() -> None:
    from moonlet.server.metrics import Metrics

    metrics = Metrics('a"b\\c\nd')
    names = {s.labels["model_name"] for f in text_string_to_metric_families(metrics.text()) for s in f.samples}
    assert names == {'a"b\\c\nd'}


def test_refusals_have_each_apis_own_shape(tmp_path: Path) -> None:
    with team(tmp_path, "hi", "hi") as asked:
        ann = asked.key("ann", limits=Limits(tokens_per_day=50))
        body = {**BODY, "max_tokens": 60}
        for secret, status, kind in ((None, 401, "authentication_error"), (ann, 429, "rate_limit_error")):
            answer = asked.ask(secret, "/messages", **body)
            assert answer.status_code == status and answer.json()["type"] == "error", answer.text
            assert answer.json()["error"]["type"] == kind
            assert asked.ask(secret, "/responses", input="hello", max_output_tokens=60).status_code == status
        assert asked.ask(ann, "/messages", max_tokens=20).status_code == 200
        assert asked.ask(ann, "/completions", prompt=["one", "two"], n=2, max_tokens=20).status_code == 429
        assert asked.ask(ann, "/messages/count_tokens").status_code == 200
        assert [row["api"] for row in asked.rows()] == ["messages"]


def test_several_replies_are_one_row_and_charged_together(tmp_path: Path) -> None:
    with team(tmp_path, *["word"] * 4) as asked:
        ann = asked.key("ann", limits=Limits(tokens_per_day=100))
        assert asked.ask(ann, n=4, max_tokens=23).status_code == 429  # four times 3 and 23
        assert asked.ask(ann, n=4, max_tokens=22).status_code == 200
        (row,) = asked.rows()
        assert (row["state"], row["output_tokens"]) == ("done", 4)


@pytest.mark.long
def test_a_ledger_that_another_program_locks_holds_up_one_request_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moonlet.ledger.database.WAIT_S", 3.0)
    with team(tmp_path, *["hi"] * 1000) as asked:
        ann = asked.key("ann", limits=Limits(tokens_per_day=1_000_000))
        with closing(sqlite3.connect(tmp_path / "ledger", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")  # as a back-up may do, or somebody with the sqlite3 command
            assert asked.ask(ann).status_code == 200, "it waits, and finds out"
            slowest, sent, until = 0.0, 1, time.monotonic() + 5
            while time.monotonic() < until:
                began = time.monotonic()
                assert asked.ask(ann, max_tokens=9).status_code == 200
                slowest, sent = max(slowest, time.monotonic() - began), sent + 1
            assert slowest < 1.5 and asked.rows() == []
        _wait_for(lambda: asked.books.waiting == 0)
        assert [row["state"] for row in asked.rows()] == ["done"] * sent


def test_while_keys_cannot_be_read_nobody_comes_in_by_one(tmp_path: Path) -> None:
    with team(tmp_path, "hi", "hi", access=OPEN) as asked:
        ann = asked.key("ann")
        asked.books.database.close()
        refused = asked.ask(ann)
        assert refused.status_code == 503 and refused.headers["retry-after"] == "5"
        assert asked.ask().status_code == 200, "without one, on loopback, there is nothing to read"
        assert asked.metric("moonlet_ledger_rows_waiting") == 1 and asked.metric("moonlet_ledger_failures_total") >= 1
