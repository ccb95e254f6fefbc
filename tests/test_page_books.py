"""The page's books: who sees which lines, quotas, and who waits for what."""

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest

from moonlet.ledger import keys
from moonlet.ledger.books import Books, Took
from moonlet.ledger.database import open_database
from moonlet.ledger.energy import Counter, Meter
from moonlet.ledger.keys import Key, Limits
from moonlet.ledger.money import Price
from moonlet.llm.scripted import Scripted
from moonlet.server import page_books
from moonlet.server.accounts import Account
from moonlet.server.app import create_app
from moonlet.server.keys import Access
from moonlet.server.page_who import Viewer
from serving import serving_app

DAY_S = 86400.0
CLOSED = Access(hosts=None, keys_needed=True)


@dataclass
class Shop:
    """A server with a ledger whose clock can be turned."""

    url: str
    books: Books
    secrets: Mapping[str, str]

    def get(self, path: str, name: str | None = None) -> Any:
        return self.ask("GET", path, name).json()

    def ask(self, method: str, path: str, name: str | None = None, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.secrets[name]}"} if name else {}
        return httpx.request(method, f"{self.url}/api/{path}", headers=headers, timeout=30, **more)


@contextmanager
def shop(place: Path, access: Access = CLOSED) -> Iterator[Shop]:
    ticks = iter(range(10**9))
    meter = Meter([Counter("modelled", lambda: 100.0 * next(ticks))])
    with closing(
        Books(open_database(place / "ledger"), Price.read("0.6/0.15/2.5"), meter, clock=lambda: now[0])
    ) as books:
        made = {
            "ann": keys.add(books.database, "ann", limits=Limits(tokens_per_day=10_000, concurrent=2)),
            "bob": keys.add(books.database, "bob", owner="research"),
            "boss": keys.add(books.database, "boss", scopes=("chat", "admin")),
        }
        now = [time.time() - 2 * DAY_S]
        for name, days_ago in (("ann", 2), ("ann", 0), ("bob", 0)):
            now[0] = time.time() - days_ago * DAY_S
            entry = books.admit(made[name][0], "chat.completions", "nano", 100, 50)
            books.settle(entry, "done", Took(prompt_tokens=100, cached_tokens=40, output_tokens=20, decode_s=1.0))
        app = create_app(Scripted([]), books, access)
        app.state.against = against
        with serving_app(app) as url:
            yield Shop(url, books, {name: secret for name, (_, secret) in made.items()})


def against(asked: Mapping[str, Any]) -> dict[str, Any]:
    """As `moonlet ledger --against` tells it."""
    if not asked.get("machine"):
        raise ValueError("what the machine cost is not known")
    part = {"requests": 1, "cash": "1.5", "full": "9", "elsewhere": "4"}
    return {
        "verdict": "so it is", "against": "them", "since": 1.0, "until": 2.0, "currency": "USD", "cash": "3",
        "full": "18", "elsewhere": "8", "saved": "5", "paid_share": 0.1, "sentences": [], "notes": [], "price": "100",
        "parts": [{"name": "ann", **part}, {"name": "bob", **part}],
    }  # fmt: skip


def test_a_key_sees_its_own_lines_an_admin_all(tmp_path: Path) -> None:
    with shop(tmp_path) as it:
        assert it.ask("GET", "books").status_code == 401
        own = it.get("books?days=7", "ann")
        assert own["own"] and own["who"] == "ann" and own["total"]["requests"] == 2
        assert [line["name"] for line in own["keys"]] == ["ann"] and [key["name"] for key in own["quotas"]] == ["ann"]
        assert {one["name"] for one in own["daily_keys"]} == {"ann"}
        every = it.get("books?days=7", "boss")
        assert not every["own"] and every["total"]["requests"] == 3
        assert [line["name"] for line in every["keys"]] == ["ann", "bob"]
        assert [key["name"] for key in every["quotas"]] == ["ann", "bob", "boss"]
        assert len(every["days"]) == 7 and [line["day"] for line in every["daily"]] == [
            every["days"][-3],
            every["days"][-1],
        ]
        # The money is what the ledger has: 60 computed, 40 cached and 20 written tokens each.
        assert every["total"]["usd"] == pytest.approx(3 * (60 * 0.6 + 40 * 0.15 + 20 * 2.5) / 1e6)
        assert every["total"]["wh_measured"] is None and every["total"]["wh_modelled"] > 0
        assert it.get("books?days=1", "boss")["total"]["requests"] == 2
        text = it.ask("GET", "books?days=7", "boss").text
        assert "sk-moonlet" not in text and all(secret not in text for secret in it.secrets.values())


_MANY = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150000)
INSERT INTO requests (id, server, started, ended, day, key_id, key_name, owner, api, model, state, prompt_tokens,
    cached_tokens, output_tokens, charged_tokens, charged_nano_usd)
SELECT 'old' || i, 1, ? - i, ? - i, DATE(? - i, 'unixepoch'), 'k' || i % 9, 'key' || i % 9, 'team', 'messages',
    'nano', 'done', 100, 40, 20, 80, 0 FROM n
"""


@pytest.mark.long
def test_requests_do_not_wait_for_whoever_looks_at_the_books(tmp_path: Path) -> None:
    with closing(Books(open_database(tmp_path / "ledger"))) as books:
        ann, boss = (keys.add(books.database, name, scopes=("chat", "admin"))[1] for name in ("ann", "boss"))
        with books.database.transaction() as connection:
            connection.run(_MANY, [time.time()] * 3)
        body = {"model": "scripted", "messages": [{"role": "user", "content": "hello"}]}
        app = create_app(Scripted(["hi"] * 10_000), books, CLOSED)
        with serving_app(app) as url, ThreadPoolExecutor(6) as others, httpx.Client(timeout=60) as asked:

            def look(_: int) -> int:
                told = httpx.get(f"{url}/api/books", headers={"x-api-key": boss}, timeout=60).json()
                return int(told["total"]["done"])

            looking = [others.submit(look, n) for n in range(6)]
            slowest, began = 0.0, time.monotonic()
            while not all(one.done() for one in looking):
                last = time.monotonic()
                answer = asked.post(f"{url}/v1/chat/completions", json=body, headers={"x-api-key": ann})
                slowest = max(slowest, time.monotonic() - last)
                assert answer.status_code == 200
            assert slowest < (time.monotonic() - began) / 6, "it waited for one of them"
            assert min(one.result() for one in looking) >= 150_000


def test_quotas_say_what_is_used(tmp_path: Path) -> None:
    with shop(tmp_path) as it:
        (ann,) = it.get("books", "ann")["quotas"]
        assert {one["name"]: (one["used"], one["limit"]) for one in ann["limits"]} == {
            "tokens_per_day": (80, 10_000), "concurrent": (0, 2),
        }  # fmt: skip


def test_who_sits_at_the_machine_sees_all_and_a_revoked_key_nothing(tmp_path: Path) -> None:
    with shop(tmp_path, Access()) as it:
        assert it.get("books")["total"]["requests"] == 3
        assert it.get("books", "ann")["total"]["requests"] == 2  # who shows a key is taken at its word
        keys.revoke(it.books.database, "ann")
        refused = it.ask("GET", "books", "ann")
        assert refused.status_code == 401 and "revoked" in refused.json()["error"]["message"]
        for days in ("0", "367", "x", "-1", "9" * 40, "000000001" + "9" * 4000):
            assert it.ask("GET", f"books?days={days}").status_code == 400
        assert it.get("books/now")["requests"] == []


def test_what_owning_came_to_is_told_to_who_sees_all_and_to_others_their_part(tmp_path: Path) -> None:
    with shop(tmp_path) as it:
        asked = {"against": "them", "machine": "box"}
        every = it.ask("POST", "books/against", "boss", json=asked).json()
        assert every["paid_share"] == 0.1 and len(every["parts"]) == 2
        own = it.ask("POST", "books/against", "ann", json=asked).json()
        assert [part["name"] for part in own["parts"]] == ["ann"] and own["cash"] == "1.5"
        assert not own.keys() & {"paid_share", "saved", "price", "verdict"}
        refused = it.ask("POST", "books/against", "boss", json={})
        assert refused.status_code == 400 and "machine" in refused.json()["error"]["message"]


class Line:
    """A model whose line is as stated."""

    name = "m"

    def __init__(self, *owners: str, batch: tuple[str, ...] = ()) -> None:
        self._line = (*((one, "interactive") for one in owners), *((one, "batch") for one in batch))

    def in_line(self) -> tuple[tuple[str, str], ...]:
        return self._line


def account(key: str, seconds: float, pieces: int = 0, priority: str = "interactive") -> Account:
    made = SimpleNamespace(
        key=cast(Key, SimpleNamespace(id=f"id-{key}", name=key)) if key else None,
        api="messages", since=1000.0 - seconds, pieces=pieces, options=SimpleNamespace(priority=priority),
    )  # fmt: skip
    return cast(Account, made)


def test_the_line_gives_every_waiting_request_its_place() -> None:
    requests = [account("ann", 9, 30), account("ann", 5), account("bob", 4), account("ann", 3), account("", 1)]
    told = page_books.under_way(cast(Any, Line("id-bob", "id-ann", "")), requests, Viewer("", "", True), 1000.0)
    assert [(one["key"], one["state"], one["place"]) for one in told["requests"]] == [
        ("ann", "writing", None), ("ann", "reading", None), ("bob", "waiting", 1), ("ann", "waiting", 2),
        (None, "waiting", 3),
    ]  # fmt: skip
    assert told["waiting"] == 3 and told["requests"][0]["seconds"] == 9.0
    both = [account("", 9, priority="batch"), account("", 5)]  # the older one lets the younger one pass
    told = page_books.under_way(cast(Any, Line(batch=("",))), both, Viewer("", "", True), 1000.0)
    assert [(one["state"], one["place"]) for one in told["requests"]] == [("waiting", 1), ("reading", None)]
    told = page_books.under_way(cast(Any, Line("", batch=("",))), both, Viewer("", "", True), 1000.0)
    assert [one["place"] for one in told["requests"]] == [2, 1]
    bob = page_books.under_way(cast(Any, Line("id-bob")), requests, Viewer("id-bob", "bob", False), 1000.0)
    assert [one["key"] for one in bob["requests"]] == [None, None, "bob", None, None]
    assert [one["api"] for one in bob["requests"]] == ["", "", "messages", "", ""]
