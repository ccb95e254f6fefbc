"""Several engines as one model: who is asked, what happens when one fails, what is rented and what it may cost."""

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from foreign import Body, Chunks, Foreign, called, delta, said, usage
from moonlet.chat.messages import Message, Text, ToolSpec
from moonlet.fleet import fleet as fleet_module
from moonlet.fleet.fleet import Fleet
from moonlet.fleet.replica import Replica
from moonlet.fleet.route import SLACK, Known, beginnings, choose
from moonlet.fleet.spec import SpecError, read_spec, read_specs
from moonlet.ledger import keys, report
from moonlet.ledger.allowance import Allowance
from moonlet.ledger.books import Books
from moonlet.ledger.database import Database, open_database
from moonlet.ledger.keys import NANO, Limits
from moonlet.ledger.money import Price
from moonlet.ledger.quota import day
from moonlet.llm import Done, LLMError, ReplyOptions, Served
from moonlet.server.keys import Access
from postgres import postgres
from serving import serving

USER = [Message("user", "Hello")]
RENTED = "price=1/0.5/2,overflow=1"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(open_database(tmp_path / "ledger.sqlite")) as opened:
        yield opened


@contextmanager
def fleet_of(*texts: str, database: Database | None = None, hedge_s: float | None = None) -> Iterator[Fleet]:
    """A fleet of these engines, once each of them was looked at."""
    specs = read_specs(texts)
    allowances = {}
    for spec in specs:
        if spec.overflow_nano_usd is not None:
            assert database is not None
            allowances[spec.name] = Allowance(database, spec.name, spec.overflow_nano_usd)
    with closing(Fleet("kimi", [Replica(spec) for spec in specs], allowances, hedge_s)) as fleet:
        wait_for(lambda: all(replica.why != "was not reached yet" for replica in fleet.replicas))
        yield fleet


def wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.005)


def whole(fleet: Fleet, messages: Sequence[Message] = USER, **options: Any) -> tuple[str, str]:
    """Who answers, and what."""
    first, *_, done = fleet.reply(messages, (), ReplyOptions(**options))
    assert isinstance(first, Served) and isinstance(done, Done) and done.served == first
    return first.engine, done.message.content


def hello(word: str) -> Callable[[Body], Chunks]:
    return lambda body: said(word)


# ---- how an engine is written down ----


def test_an_engine_is_a_url_and_what_is_to_be_known_of_it() -> None:
    spec = read_spec("https://api.example.com/v1/,model=k2,key=K2_KEY,price=0.6/0.15/2.5,overflow=50,slots=8,name=far")
    assert (spec.url, spec.name, spec.model, spec.key, spec.slots) == (
        "https://api.example.com/v1", "far", "k2", "K2_KEY", 8
    )  # fmt: skip
    assert spec.overflow_nano_usd == 50 * NANO and str(spec.price) == "0.6/0.15/2.5"
    plain = read_spec("http://gpu1:8000")
    assert (plain.url, plain.name, plain.overflow) == ("http://gpu1:8000/v1", "gpu1:8000", False)


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (["gpu1:8000"], "an engine is a URL"),
        (["http://"], "an engine is a URL"),
        (["http://[::1"], "not a URL"),
        (["http://a:b@gpu1"], "a key does not belong into a URL"),
        (["http://gpu1/v1?x=1"], "ends before /chat/completions"),
        (["http://gpu1,fast=yes"], "'fast=yes' is none of model=, name="),
        (["http://gpu1,price=1"], "a price is"),
        (["http://gpu1,price=1/1/1,price=1/1/1"], "given twice"),
        (["http://gpu1,slots=0"], "whole number"),
        (["http://gpu1,overflow=5"], "needs price="),
        (["http://gpu1,price=1/1/1,overflow=free"], "dollars a month"),
        (["http://gpu1,price=1/1/1,overflow=5"], "one must be there to flow over"),
        (["http://gpu1", "http://gpu1"], "two engines are called gpu1"),
    ],
)
def test_what_cannot_be_meant_is_one_line(texts: list[str], told: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_specs(texts)
    assert told in str(caught.value) and "\n" not in str(caught.value) and "b@" not in str(caught.value)


# ---- who is asked ----


class Idle:
    """What routing sees of an engine."""

    def __init__(self, in_flight: int = 0, answered: int = 0, *sent: Sequence[Message]) -> None:
        self.known, self.in_flight, self.answered = Known(), in_flight, answered
        for messages in sent:
            self.known.add(beginnings(messages, ()))


def test_the_longest_known_beginning_decides_unless_it_is_much_busier() -> None:
    system, turn = Message("system", "You are."), Message("user", "One?")
    first, later = [system, turn], [system, turn, Message("assistant", "One."), Message("user", "Two?")]
    knows, partly, other = Idle(2, 9, first), Idle(0, 9, [system]), Idle()
    ask = lambda *engines: engines.index(choose(engines, beginnings(later, ())))
    assert ask(other, knows, partly) == 1
    assert ask(other, partly) == 1
    assert ask(other, Idle(SLACK, 0, first)) == 1 and ask(other, Idle(SLACK + 1, 0, first)) == 0
    assert ask(Idle(1), other) == 1 and ask(Idle(0, 3), other) == 1  # load, then turns
    knows.known.forget()
    assert ask(knows, partly) == 1
    assert beginnings(later, ())[0] == beginnings(first, ())[0] != beginnings([turn], ())[0]


def test_conversations_stay_where_their_beginning_is() -> None:
    with Foreign(hello("a")) as one, Foreign(hello("b")) as two, fleet_of(one.url, two.url) as fleet:
        talks = {name: [Message("user", f"I am {name}")] for name in ("ann", "ben", "cho", "dee")}
        homes: dict[str, set[str]] = {name: set() for name in talks}
        for _ in range(3):
            for name, talk in talks.items():
                engine, text = whole(fleet, talk)
                homes[name].add(engine)
                talk += [Message("assistant", text), Message("user", "And?")]
        assert all(len(home) == 1 for home in homes.values())
        assert len(one.bodies) == len(two.bodies) == 6  # and new ones go where there is less to do
        counts = fleet.counts.all()
        assert counts["engine_routed"] == {"prefix": 8, "load": 4, "overflow": 0}
        prefix = counts["engine_prefix_characters"]
        assert 0 < prefix["known"] < prefix["all"]


# ---- when one fails ----


def test_an_engine_that_fails_is_left_out_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet_module, "CHECK_EVERY_S", 0.05)
    one, two = Foreign(hello("one")), Foreign(hello("two"))
    with closing(two), fleet_of(one.url, two.url) as fleet:
        assert whole(fleet) == (one.name, "one")
        one.close()
        assert whole(fleet) == (two.name, "two")  # nothing had been sent: the other answers
        assert not fleet.replicas[0].up and "cannot connect" in fleet.replicas[0].why and fleet.ready
        assert fleet.counts.all()["engine_ejected"][one.name] >= 1  # by the request, or by the watch that came first
        with Foreign(hello("again"), port=one.port):
            wait_for(lambda: fleet.replicas[0].up)
            assert (one.name, "again") in [whole(fleet, [Message("user", word)]) for word in ("new", "newer")]
        wait_for(lambda: not fleet.replicas[0].up)  # seen without a request
        two.close()
        with pytest.raises(LLMError, match=r"no engine answers|cannot connect"):
            whole(fleet)
        wait_for(lambda: not fleet.ready)


def test_an_engine_that_never_ends_its_answer_holds_up_no_other_and_no_end() -> None:
    over = threading.Event()

    def drips(taken: socket.socket) -> None:
        talking, _ = taken.accept()
        with closing(talking):
            talking.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            while not over.wait(0.05):
                talking.sendall(b" ")

    with socket.create_server(("127.0.0.1", 0)) as taken, Foreign(hello("one")) as one:
        thread = threading.Thread(target=drips, args=(taken,), daemon=True)
        thread.start()
        specs = read_specs([f"http://127.0.0.1:{taken.getsockname()[1]}/v1", one.url])
        with closing(Fleet("kimi", [Replica(spec) for spec in specs])) as fleet:
            wait_for(lambda: fleet.ready)
            fleet.failed(fleet.replicas[1], LLMError("it hiccuped"))
            wait_for(lambda: fleet.ready, 10.0)
            assert whole(fleet) == (one.name, "one")
            begun = time.monotonic()
        over.set()
        assert time.monotonic() - begun < 5.0


@pytest.mark.parametrize("status", [500, 502, 429, 503])
def test_an_engine_that_cannot_or_will_not_just_now_is_passed_over(status: int) -> None:
    with Foreign(lambda body: status) as one, Foreign(hello("two")) as two, fleet_of(one.url, two.url) as fleet:
        assert whole(fleet) == (two.name, "two")
        counts = fleet.counts.all()
        assert counts["engine_busy" if status in (429, 503) else "engine_failures"] == {one.name: 1}


def test_a_request_at_which_an_engine_fails_takes_it_from_nobody_else() -> None:
    """vLLM answers 500, or breaks its stream off with an error, where one request's grammar cannot be compiled."""
    broken: Chunks = [*said("x")[:1], {"error": {"message": "Invalid grammar specification"}}]
    for bad in (500, broken):

        def reply(body: Body, bad: Any = bad) -> Any:
            return bad if "bad" in str(body) else said("well")

        with Foreign(reply) as one, fleet_of(one.url) as fleet:
            for _ in range(20):
                with pytest.raises(LLMError, match=r"status 500|Invalid grammar"):
                    whole(fleet, [Message("user", "bad")])
                assert whole(fleet) == (one.name, "well")
            assert fleet.counts.all()["engine_failures"] == {one.name: 20}


def test_a_request_that_is_wrong_is_wrong_everywhere() -> None:
    with Foreign(lambda body: 400) as one, Foreign(hello("two")) as two, fleet_of(one.url, two.url) as fleet:
        with pytest.raises(LLMError, match="status 400"):
            whole(fleet)
        assert not two.bodies and fleet.replicas[0].up


def test_a_limit_beyond_the_context_s_end_means_what_room_there_is() -> None:
    """Agents ask for 32,000 tokens however long the conversation is; vLLM refuses what does not fit together."""

    def reply(body: Body) -> Chunks | str:
        if "max_tokens" in body:
            return (
                "This model's maximum context length is 4096 tokens. However, you requested 32000 output tokens and..."
            )
        return hello("there")(body)

    with Foreign(reply) as one, fleet_of(one.url) as fleet:
        assert whole(fleet, max_tokens=32_000) == (one.name, "there")
        assert fleet.replicas[0].up


def test_what_has_begun_is_not_begun_again() -> None:
    broken = [*said("It rai")[:-2], {"error": {"message": "out of memory"}}]
    with Foreign(lambda body: broken) as one, Foreign(hello("two")) as two, fleet_of(one.url, two.url) as fleet:
        events = fleet.reply(USER)
        assert isinstance(next(events), Served) and next(events) == Text("It ra")
        with pytest.raises(LLMError, match="out of memory"):
            list(events)
        assert not two.bodies


def test_a_call_that_is_owed_comes_from_another_engine_where_one_fails_at_it() -> None:
    wrong, owed = called(("clock", '{"zone": 1}')), ReplyOptions(tool_choice="required")
    with (
        Foreign(lambda body: wrong if len(body["messages"]) == 1 else 429) as one,
        Foreign(lambda body: called(("clock", "{}"))) as two,
        fleet_of(one.url, two.url) as fleet,
    ):
        *_, done = fleet.reply(USER, [CLOCK], owed)
        assert isinstance(done, Done) and len(done.message.calls) == 1
        assert done.served == Served(two.name) and len(one.bodies) == 2


def test_an_engine_without_the_model_is_not_asked() -> None:
    with Foreign(hello("x"), model="other") as one, fleet_of(f"{one.url},model=k2") as fleet:
        assert not fleet.ready and "has no model 'k2', only other" in fleet.replicas[0].why


def test_no_line_ends_but_with_a_line_feed() -> None:
    text = "one\u2028two\x85three\x0cfour\r\nfive \u2029"
    with Foreign(lambda body: said(text, piece=3)) as one, fleet_of(one.url) as fleet:
        assert whole(fleet) == (one.name, text)


def test_a_reply_that_is_left_ends_and_says_what_it_took() -> None:
    with Foreign(lambda body: said("word " * 200), pause_s=0.002) as one, fleet_of(one.url) as fleet:
        events = fleet.reply(USER)
        heard = [next(events) for _ in range(4)]
        events.close()  # type: ignore[attr-defined]
        *_, done = events
        assert isinstance(done, Done) and done.finish == "cancelled" and done.usage.output_tokens == 3
        assert done.usage.prompt_tokens > 0 and isinstance(heard[0], Served)
        wait_for(lambda: fleet.replicas[0].in_flight == 0)


# ---- rented engines ----


def test_only_what_the_others_cannot_take_flows_over(database: Database) -> None:
    go = threading.Event()

    def waits(body: Body) -> Chunks:
        go.wait(5)
        return said("own")

    with (
        Foreign(waits) as own,
        Foreign(hello("rented")) as rented,
        fleet_of(f"{own.url},slots=1", f"{rented.url},{RENTED}", database=database) as fleet,
    ):
        first = fleet.reply(USER)
        reading = threading.Thread(target=lambda: next(first))
        reading.start()
        wait_for(lambda: bool(own.bodies))
        assert whole(fleet, max_tokens=5) == (rented.name, "rented")
        go.set()
        reading.join()
        *_, done = first
        assert isinstance(done, Done) and done.served == Served(own.name)
        assert whole(fleet) == (own.name, "own")
        assert len(rented.bodies) == 1 and rented.bodies[0]["max_tokens"] == 5
        # 10 tokens of the prompt, 2 of the reply, at 1 and 2 dollars a million: to the last billionth.
        with database.reading() as connection:
            spent = connection.run("SELECT nano_usd FROM spent WHERE key_id = ?", (f"overflow:{rented.name}",))
        assert spent == [(10 * 1000 + 2 * 2000,)]


CLOCK = ToolSpec("clock", "", {"type": "object", "properties": {}})
BEGUN = delta(tool_calls=[{"index": 0, "id": "a", "function": {"name": "clock", "arguments": "{"}}])


def test_the_month_s_allowance_is_never_exceeded_however_many_ask(database: Database) -> None:
    most = 10
    allowance = Allowance(database, "far", most * 1000)
    taken: list[str] = []

    def take() -> None:
        for _ in range(5):
            if (period := allowance.take(1000)) is not None:
                taken.append(period)

    threads = [threading.Thread(target=take) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == most
    allowance.give_back(taken[0], 400)
    assert allowance.take(400) and allowance.take(1) is None


def test_where_the_allowance_is_used_up_a_busy_engine_is_asked_after_all(database: Database) -> None:
    with (
        Foreign(hello("own")) as own,
        Foreign(hello("rented")) as rented,
        fleet_of(f"{own.url},slots=1", f"{rented.url},price=1/1/1,overflow=0.0001", database=database) as fleet,
    ):
        fleet.replicas[0].in_flight = 1  # somebody is there
        assert whole(fleet, max_tokens=8000)[0] == own.name
        assert whole(fleet, max_tokens=5)[0] == rented.name


def test_what_can_wait_is_never_rented(database: Database) -> None:
    with (
        Foreign(hello("own")) as own,
        Foreign(hello("rented")) as rented,
        fleet_of(f"{own.url},slots=1", f"{rented.url},{RENTED}", database=database) as fleet,
    ):
        fleet.replicas[0].in_flight = 1  # somebody is there
        assert whole(fleet, priority="batch") == (own.name, "own") and not rented.bodies
        assert whole(fleet) == (rented.name, "rented")
        # Whichever engine it is, a reply without a limit has the one of our own engine.
        assert own.bodies[0]["max_tokens"] == rented.bodies[0]["max_tokens"] == 8192
        fleet.replicas[0].eject("is away")
        with pytest.raises(LLMError, match="is away"):
            whole(fleet, priority="batch")


def test_a_client_that_was_told_is_not_moved_to_a_rented_engine(database: Database) -> None:
    go = threading.Event()

    def fails(body: Body) -> int:
        go.wait(5)
        return 500

    with (
        Foreign(fails) as own,
        Foreign(hello("rented")) as rented,
        fleet_of(own.url, f"{rented.url},{RENTED}", database=database) as fleet,
    ):
        events = fleet.reply(USER)
        failed: list[Exception] = []

        def read() -> None:
            try:
                next(events)
            except LLMError as error:
                failed.append(error)

        reading = threading.Thread(target=read)
        reading.start()
        wait_for(lambda: bool(own.bodies))
        assert events.pin() is False  # type: ignore[attr-defined]
        go.set()
        reading.join()
        assert failed and not rented.bodies


# ---- the whole way: a client, the server, the books ----


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_of_the_server_meets_whichever_engine(tmp_path: Path, stream: bool) -> None:
    books = Books(open_database(tmp_path / "books"), Price.read("1/1/1"), others=[Price.read("1/0.5/2")])
    with (
        Foreign(hello("rented")) as rented,
        closing(books),
        fleet_of("http://127.0.0.1:9,name=away", f"{rented.url},{RENTED}", database=books.database) as fleet,
        serving(fleet, books) as url,
        openai.OpenAI(base_url=url, api_key="anything", max_retries=0) as client,
    ):
        api = client.chat.completions.with_raw_response
        raw = api.create(model="kimi", messages=[{"role": "user", "content": "Hi"}], max_tokens=9, stream=stream)
        assert raw.headers["x-moonlet-engine"] == rented.name and raw.headers["x-moonlet-overflow"] == "true"
        text = "".join(c.choices[0].delta.content or "" for c in raw.parse()) if stream else (
            raw.parse().choices[0].message.content
        )  # fmt: skip
        assert text == "rented"
        books.wait_settled(5)
        (row,) = report.rows(books.database)
        assert (row["engine"], row["overflow"], row["price"], row["nano_usd"]) == (rented.name, 1, "1/0.5/2", 14_000)
        (line,) = report.sums(books.database, "engine")
        assert line.name == f"{rented.name} (overflow)"
        metrics = httpx.get(url.removesuffix("/v1") + "/metrics").text
        assert f'moonlet_engine_up{{model_name="kimi",engine="{rented.name}"}} 1' in metrics
        assert 'moonlet_engine_up{model_name="kimi",engine="away"} 0' in metrics
        assert 'moonlet_engine_routed_total{model_name="kimi",by="overflow"} 1' in metrics
        assert httpx.get(url.removesuffix("/v1") + "/health").status_code == 200


def test_a_failure_before_the_first_word_has_its_status_also_when_it_is_streamed(tmp_path: Path) -> None:
    with fleet_of("http://127.0.0.1:9,name=away") as fleet, serving(fleet) as url:
        body = {"model": "kimi", "messages": [{"role": "user", "content": "Hi"}]}
        for stream in (False, True):
            answer = httpx.post(f"{url}/chat/completions", json=body | {"stream": stream})
            assert answer.status_code == 500 and "no engine answers: away" in answer.json()["error"]["message"]
        assert httpx.get(url.removesuffix("/v1") + "/health").status_code == 503
        assert httpx.post(f"{url}/completions", json={"model": "kimi", "prompt": "x"}).status_code == 400


def test_every_api_passes_calls_and_a_key_meets_its_limit(tmp_path: Path) -> None:
    tool = {"name": "clock", "description": "", "parameters": {"type": "object", "properties": {}}}
    books = Books(open_database(tmp_path / "books"), Price.read("1/1/1"))
    _, secret = keys.add(books.database, "ann", limits=Limits(tokens_per_day=600))
    with (
        Foreign(lambda body: called(("clock", ""))) as engine,
        closing(books),
        fleet_of(engine.url) as fleet,
        serving(fleet, books, Access(keys_needed=True)) as url,
        httpx.Client(base_url=url, headers={"Authorization": f"Bearer {secret}"}, timeout=30) as client,
    ):
        ask = {"model": "kimi", "max_tokens": 100, "messages": [{"role": "user", "content": "When?"}]}
        chat = client.post("/chat/completions", json=ask | {"tools": [{"type": "function", "function": tool}]}).json()
        assert chat["choices"][0]["message"]["tool_calls"][0]["function"] == {"name": "clock", "arguments": "{}"}
        assert chat["choices"][0]["finish_reason"] == "tool_calls" and chat["usage"]["prompt_tokens"] == 20
        theirs = {"name": "clock", "input_schema": tool["parameters"]}
        told = client.post("/messages", json=ask | {"tools": [theirs]}).json()
        assert told["stop_reason"] == "tool_use" and told["content"][0]["input"] == {}
        asked = {"model": "kimi", "input": "When?", "max_output_tokens": 100, "tools": [tool | {"type": "function"}]}
        response = client.post("/responses", json=asked).json()
        assert response["output"][0]["type"] == "function_call"
        refused = client.post("/chat/completions", json=ask | {"max_tokens": 5000})
        assert refused.status_code == 429
        books.wait_settled(5)
        assert sum(line.requests for line in report.sums(books.database, "engine")) == 3
        assert json.dumps(engine.headers).find(secret) < 0  # a client's key is not passed on


def test_an_engine_s_key_goes_to_that_engine_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAR_KEY", "far-secret")
    monkeypatch.setenv("MOONLET_API_KEY", "mine")
    with Foreign(lambda body: 500) as one, Foreign(hello("x")) as two:
        with fleet_of(one.url, f"{two.url},key=FAR_KEY") as fleet:
            whole(fleet)
        assert "Authorization" not in one.headers[0] and two.headers[0]["Authorization"] == "Bearer far-secret"


def test_usage_of_the_engine_is_the_usage() -> None:
    chunks = [*said("ab")[:-1], usage(50, 7, cached=30)]
    with Foreign(lambda body: chunks) as one, fleet_of(one.url) as fleet:
        *_, done = fleet.reply(USER)
        assert isinstance(done, Done) and (done.usage.prompt_tokens, done.usage.cached_tokens) == (50, 30)
        assert done.usage.output_tokens == 7


# ---- two fronts on one database ----


@pytest.mark.long
def test_two_fronts_on_one_postgres_share_limits_and_allowance(monkeypatch: pytest.MonkeyPatch) -> None:
    """While an engine goes away and comes back. Killing the fronts too takes processes: `python -m bench.fleet`."""
    monkeypatch.setattr(fleet_module, "CHECK_EVERY_S", 0.05)
    each = 20 + 12  # tokens that a reply takes: as the engine counts them
    with (
        postgres() as url,
        Foreign(lambda body: [*said("word")[:-1], usage(20, 12)]) as engine,
        Foreign(lambda body: [*said("rented")[:-1], usage(20, 12)]) as rented,
        ExitStack() as stack,
    ):
        fronts = []
        for _ in range(2):
            books = stack.enter_context(closing(Books(open_database(url), Price.read("1/1/1"))))
            words = (f"{engine.url},name=own", f"{rented.url},name=far,price=1/1/1,overflow=0.0005")
            fleet = stack.enter_context(fleet_of(*words, database=books.database))
            fronts.append((books, fleet, stack.enter_context(serving(fleet, books, Access(keys_needed=True)))))
        ann = keys.add(books.database, "ann", limits=Limits(tokens_per_day=40 * each))[1]
        statuses: list[int] = []

        def ask(number: int) -> None:
            with httpx.Client(headers={"Authorization": f"Bearer {ann}"}, timeout=30) as client:
                for turn in range(8):
                    body = {"model": "kimi", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 12}
                    answer = client.post(f"{fronts[(number + turn) % 2][2]}/chat/completions", json=body)
                    statuses.append(answer.status_code)

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        wait_for(lambda: len(statuses) > 8)
        engine.close()  # what it had is answered by the rented one, as far as its allowance goes
        wait_for(lambda: len(statuses) > 16)
        stack.enter_context(Foreign(lambda body: [*said("word")[:-1], usage(20, 12)], port=engine.port))
        for thread in threads:
            thread.join()
        for books, _, _ in fronts:
            books.wait_settled(5)
        rows = list(report.rows(books.database))
        states = Counter(row["state"] for row in rows)
        assert states["running"] == 0 and len({row["id"] for row in rows}) == len(rows)
        assert states["done"] == statuses.count(200) and len(rows) == len(statuses) - statuses.count(429)
        assert 0 < states["done"] <= 40
        with books.database.reading() as connection:
            spent = dict(connection.run("SELECT key_id, tokens FROM spent WHERE period = ?", (day(time.time()),)))
            far = connection.run("SELECT nano_usd FROM spent WHERE key_id = ?", ("overflow:far",))
        assert sum(spent.values()) == states["done"] * each  # an error took nothing
        flowed = sum(bool(row["overflow"]) and row["state"] == "done" for row in rows)
        assert not far or (far == [(flowed * each * 1000,)] and far[0][0] <= 500_000)
