"""What a reply of an engine elsewhere took: of the allowance where it is rented, and in the books. Also of one that
is left or fails, and where the engine does not say it."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from foreign import Body, Chunks, Foreign, called, delta, said
from moonlet.chat.messages import CallStart, ToolSpec
from moonlet.fleet.fleet import MOST_TOKENS, Fleet
from moonlet.ledger import report
from moonlet.ledger.books import Books
from moonlet.ledger.database import Database, open_database
from moonlet.ledger.money import Price
from moonlet.llm import Done, LLMError, ReplyOptions, Served
from serving import serving
from test_fleet import BEGUN, CLOCK, RENTED, USER, fleet_of, wait_for

PLACE = ToolSpec("weather", "", {"type": "object", "properties": {"place": {}}, "required": ["place"]})
SILENT = delta(role="assistant", content="")  # how every stream begins


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(open_database(tmp_path / "ledger.sqlite")) as opened:
        yield opened


def spent(database: Database) -> int:
    """What is gone of the only allowance."""
    with database.reading() as connection:
        ((nano_usd,),) = connection.run("SELECT nano_usd FROM spent WHERE key_id LIKE 'overflow:%'")
    return int(nano_usd)


@contextmanager
def only_rented(reply: Callable[[Body], Any], database: Database) -> Iterator[tuple[Fleet, Foreign]]:
    """At 1 dollar a million tokens of the prompt, 2 of the reply."""
    with Foreign(reply) as rented:
        words = ("http://127.0.0.1:9,name=away", f"{rented.url},{RENTED}")
        with fleet_of(*words, database=database) as fleet:
            yield fleet, rented


def breaking(*chunks: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A stream whose line breaks."""
    yield from chunks
    raise ConnectionResetError


# ---- what is left ----


def left_while_it_waits(
    fleet: Fleet, waits: Callable[[], object], then: Callable[[], object], tools: Sequence[ToolSpec] = ()
) -> Done:
    """The end of a reply whose client went before the first of it had come."""
    events, heard = fleet.reply(USER, tools), []
    reading = threading.Thread(target=lambda: heard.extend(events), daemon=True)
    reading.start()
    waits()
    events.close()  # type: ignore[attr-defined]
    then()
    reading.join(10)
    assert not reading.is_alive(), "it goes on"
    *_, done = heard
    assert isinstance(done, Done)
    return done


@pytest.mark.parametrize("tools", [[], [CLOCK]])
def test_what_is_left_before_its_engine_gave_a_sign_costs_its_prompt(
    database: Database, tools: Sequence[ToolSpec]
) -> None:
    go = threading.Event()

    def slow(body: Body) -> Chunks:
        go.wait(5)
        return called(("clock", "{}")) if tools else said("word " * 200)

    with only_rented(slow, database) as (fleet, rented):
        done = left_while_it_waits(fleet, lambda: wait_for(lambda: bool(rented.bodies)), go.set, tools)
        assert done.finish == "cancelled" and done.usage.prompt_tokens == fleet.count(USER, tools) > 0
        assert spent(database) == done.usage.prompt_tokens * 1000


@pytest.mark.parametrize("talks", [False, True], ids=["silent", "without a word"])
def test_what_is_left_while_its_engine_reads_the_prompt_ends_at_once(database: Database, talks: bool) -> None:
    """And the engine is told."""
    go, begun, told = threading.Event(), threading.Event(), threading.Event()

    def reads(body: Body) -> Iterator[dict[str, Any]]:
        try:
            yield SILENT
            begun.set()
            while not go.wait(0.01 if talks else 20):
                yield SILENT
            while True:
                yield SILENT
        finally:
            told.set()

    with only_rented(reads, database) as (fleet, _):
        done = left_while_it_waits(fleet, begun.wait, lambda: None)
        go.set()
        assert told.wait(10)
        assert done.finish == "cancelled" and done.usage.prompt_tokens == fleet.count(USER)
        assert spent(database) == done.usage.prompt_tokens * 1000
        assert all(replica.in_flight == 0 for replica in fleet.replicas) and fleet.replicas[1].up


def test_what_is_left_when_its_calls_are_known_costs_what_the_engine_says(database: Database) -> None:
    with only_rented(lambda body: called(("clock", "{}")), database) as (fleet, _):
        events = fleet.reply(USER, [CLOCK])
        assert [type(next(events)) for _ in range(2)] == [Served, CallStart]
        events.close()  # type: ignore[attr-defined]
        (done,) = events
        assert isinstance(done, Done) and (done.usage.prompt_tokens, done.usage.output_tokens) == (20, 8)
        assert spent(database) == 20 * 1000 + 8 * 2000


def test_nobody_who_has_left_is_asked_again_for(database: Database) -> None:
    begun, go = threading.Event(), threading.Event()

    def again() -> Iterator[dict[str, Any]]:
        yield SILENT
        begun.set()
        go.wait(20)

    reply: Any = lambda body: called(("weather", "{}")) if len(body["messages"]) == 1 else again()
    with only_rented(reply, database) as (fleet, rented):
        done = left_while_it_waits(fleet, begun.wait, go.set, [PLACE])
        assert len(rented.bodies) == 2 and done.usage.output_tokens == 8
        assert spent(database) == (20 + fleet.count(USER, [PLACE])) * 1000 + 8 * 2000


# ---- what fails ----


@pytest.mark.parametrize(
    ("reply", "prompts", "tokens"),
    [
        (lambda: 500, 0, 0),
        (lambda: breaking(SILENT), 1, 0),
        (lambda: breaking(delta(content="one"), delta(reasoning_content="two")), 1, 2 * 2000),
        (lambda: [BEGUN, {"error": {"message": "out of memory"}}], 1, 2 * 2000),
        (lambda: said("No."), 0, 3 * (10 * 1000 + 2000)),  # a call is owed and asked for again, twice: each is counted
    ],
    ids=["refused", "silent", "in the text", "in a call", "owed"],
)
def test_what_fails_costs_what_was_answered_of_it(
    database: Database, reply: Callable[[], Any], prompts: int, tokens: int
) -> None:
    with only_rented(lambda body: reply(), database) as (fleet, _):
        with pytest.raises(LLMError) as caught:
            list(fleet.reply(USER, [CLOCK], ReplyOptions(tool_choice="required")))
        cost = prompts * fleet.count(USER, [CLOCK]) * 1000 + tokens
        took = caught.value.usage
        assert spent(database) == cost
        assert took is not None and took.prompt_tokens * 1000 + took.output_tokens * 2000 == cost


@pytest.mark.parametrize("sent", [False, True])
def test_what_cannot_be_known_stays_taken(database: Database, sent: bool) -> None:
    """An engine that was sent the request and gave no sign may have worked; one that is away has not."""

    def dies(body: Body) -> Chunks:
        raise ConnectionResetError

    with only_rented(dies, database) as (fleet, rented):
        rented.server.handle_error = lambda *_: None  # type: ignore[method-assign]
        if not sent:
            rented.close()
        with pytest.raises(LLMError):
            list(fleet.reply(USER, (), ReplyOptions(max_tokens=5)))
        assert spent(database) == (fleet.count(USER) * 1000 + 5 * 2000) * sent


def test_what_cannot_be_known_stays_taken_also_when_its_client_has_left(database: Database) -> None:
    go = threading.Event()

    def dies(body: Body) -> Chunks:
        go.wait(20)
        raise ConnectionResetError

    with only_rented(dies, database) as (fleet, rented):
        rented.server.handle_error = lambda *_: None  # type: ignore[method-assign]
        done = left_while_it_waits(fleet, lambda: wait_for(lambda: bool(rented.bodies)), go.set)
        assert done.finish == "cancelled"
        wait_for(lambda: fleet.replicas[1].in_flight == 0)
        assert spent(database) == fleet.count(USER) * 1000 + MOST_TOKENS * 2000


def test_a_call_that_breaks_when_it_is_asked_for_again_costs_what_came_of_that(database: Database) -> None:
    first = [delta(content="Let me look. "), *called(("weather", "{}"))]
    reply: Any = lambda body: first if len(body["messages"]) == 1 else breaking(BEGUN)
    with only_rented(reply, database) as (fleet, _):
        *_, done = fleet.reply(USER, [PLACE])
        prompt = 20 + fleet.count(USER, [PLACE])
        assert isinstance(done, Done) and (done.usage.prompt_tokens, done.usage.output_tokens) == (prompt, 8 + 2)
        assert spent(database) == prompt * 1000 + 10 * 2000


@pytest.mark.parametrize(("chunks", "pieces"), [(said("one two"), 2), (called(("clock", "{}")), 3)])
def test_what_an_engine_does_not_count_is_not_free(database: Database, chunks: Chunks, pieces: int) -> None:
    with only_rented(lambda body: chunks[:-1], database) as (fleet, _):
        *_, done = fleet.reply(USER, [CLOCK])
        prompt = fleet.count(USER, [CLOCK])
        assert isinstance(done, Done) and (done.usage.prompt_tokens, done.usage.output_tokens) == (prompt, pieces)
        assert spent(database) == prompt * 1000 + pieces * 2000


# ---- in the books ----


def test_a_reply_that_breaks_is_a_row_with_its_prompt_and_what_came(tmp_path: Path) -> None:
    """What nobody measured is empty there, not zero."""
    ask = {"model": "kimi", "messages": [{"role": "user", "content": "Hello"}]}
    thinks = [delta(reasoning_content="Hm"), delta(reasoning_content="m"), *said("Yes")]
    replies: list[Any] = [breaking(delta(reasoning_content="Hm"), delta(content="Yes")), thinks]
    books = Books(open_database(tmp_path / "books"), Price.read("1/1/1"))
    with (
        Foreign(lambda body: replies.pop(0)) as engine,
        closing(books),
        fleet_of(engine.url) as fleet,
        serving(fleet, books) as url,
    ):
        assert httpx.post(f"{url}/chat/completions", json=ask).status_code == 500
        wait_for(lambda: fleet.ready)
        assert httpx.post(f"{url}/chat/completions", json=ask).status_code == 200
        books.wait_settled(5)
        broken, whole = report.rows(books.database)
        prompt = fleet.count(USER)
        names = ("state", "prompt_tokens", "output_tokens", "thinking_tokens", "nano_usd", "engine", "queue_s")
        assert [broken[name] for name in names] == ["error", prompt, 2, 1, (prompt + 2) * 1000, engine.name, None]
        assert [whole[name] for name in names] == ["done", 10, 1, 1, 11_000, engine.name, None]


TOOL = {"type": "function", "function": {"name": "clock", "parameters": {"type": "object"}}}


@pytest.mark.parametrize(
    ("count", "reply", "prompts", "tokens"),
    [
        (1, lambda: said("No."), 0, 3 * (10 + 1)),
        (2, lambda: said("No."), 0, 3 * (10 + 1)),  # and what the other took until it was left
        (1, lambda: breaking(SILENT), 1, 0),
    ],
    ids=["a call is owed", "of two replies", "it breaks"],
)
@pytest.mark.parametrize("own", [None, Price.read("1/1/1")], ids=["no price", "a lower price"])
def test_a_reply_that_fails_before_it_begins_is_charged_at_its_engine_s_price(
    tmp_path: Path, own: Price | None, count: int, reply: Callable[[], Any], prompts: int, tokens: int
) -> None:
    ask = {"model": "kimi", "messages": [{"role": "user", "content": "Hello"}], "n": count}
    books = Books(open_database(tmp_path / "books"), own, others=[Price.read("3/3/3")])
    with (
        Foreign(lambda body: reply()) as engine,
        closing(books),
        fleet_of(f"{engine.url},price=3/3/3") as fleet,
        serving(fleet, books) as url,
    ):
        answer = httpx.post(f"{url}/chat/completions", json=ask | {"tools": [TOOL], "tool_choice": "required"})
        assert answer.status_code == 500
        books.wait_settled(5)
        (row,) = report.rows(books.database)
        tokens += prompts * fleet.count(USER, [ToolSpec("clock", "", {"type": "object"})])
        assert (row["state"], row["engine"], row["price"]) == ("error", engine.name, "3/3/3")
        took = row["prompt_tokens"] + row["output_tokens"]
        assert row["nano_usd"] == took * 3000 and (took == tokens if count == 1 else took >= tokens)


@pytest.mark.parametrize("other", [500, 429, None], ids=["fails", "is busy", "breaks, too"])
def test_where_every_engine_fails_all_that_they_took_is_charged(tmp_path: Path, other: int | None) -> None:
    """Each at its own price. Which is asked first is decided by what they have to do: nothing, here."""
    ask = {"model": "kimi", "messages": [{"role": "user", "content": "Hello"}]}
    books = Books(open_database(tmp_path / "books"), others=[Price.read("3/3/3"), Price.read("5/5/5")])
    second = lambda body: breaking(SILENT) if other is None else other
    for turned in (False, True):
        with Foreign(lambda body: breaking(SILENT)) as breaks, Foreign(second) as fails:
            engines = [f"{breaks.url},price=3/3/3", f"{fails.url},price=5/5/5"]
            with fleet_of(*engines[:: -1 if turned else 1]) as fleet, serving(fleet, books) as url:
                assert httpx.post(f"{url}/chat/completions", json=ask).status_code >= 429
                books.wait_settled(5)
                assert len(breaks.bodies) == len(fails.bodies) == 1
                prompt = fleet.count(USER)
    with closing(books):
        tries = 2 if other is None else 1
        cost = prompt * (3000 + 5000 * (other is None))
        rows = [(row["prompt_tokens"], row["nano_usd"]) for row in report.rows(books.database)]
        assert rows == [(prompt * tries, cost)] * 2


def test_a_reply_that_is_late_ends_at_its_engine_and_is_a_row_with_its_prompt(tmp_path: Path) -> None:
    ask = {"model": "kimi", "messages": [{"role": "user", "content": "Hello"}]}
    go = threading.Event()

    def reads(body: Body) -> Iterator[dict[str, Any]]:
        yield SILENT
        go.wait(30)

    books = Books(open_database(tmp_path / "books"), Price.read("1/1/1"), others=[Price.read("3/3/3")])
    with (
        Foreign(reads) as engine,
        closing(books),
        fleet_of(f"{engine.url},price=3/3/3") as fleet,
        serving(fleet, books) as url,
    ):
        headers = {"x-moonlet-deadline": "0.2"}
        assert httpx.post(f"{url}/chat/completions", json=ask, headers=headers, timeout=20).status_code == 504
        wait_for(lambda: fleet.replicas[0].in_flight == 0, 10)
        go.set()
        books.wait_settled(5)
        (row,) = report.rows(books.database)
        assert (row["state"], row["prompt_tokens"], row["output_tokens"]) == ("error", fleet.count(USER), 0)
        assert (row["engine"], row["nano_usd"]) == (engine.name, fleet.count(USER) * 3000)
        assert fleet.ready
