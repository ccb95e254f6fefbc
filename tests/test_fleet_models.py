"""A front of several models: each by its name, with its own engines, behind the same keys and in the same books."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from foreign import Foreign
from moonlet.cli import engines
from moonlet.cli.engines import Wanted
from moonlet.fleet.spec import SpecError, read_specs
from moonlet.ledger import keys, report
from moonlet.ledger.books import Books
from moonlet.ledger.database import Database, open_database
from moonlet.ledger.money import Price
from moonlet.server.app import create_app
from moonlet.server.keys import Access
from serving import serving_app
from test_fleet import hello, wait_for


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(open_database(tmp_path / "ledger.sqlite")) as opened:
        yield opened


def test_each_model_has_its_name_its_engines_and_its_price(database: Database) -> None:
    with Foreign(hello("large")) as large, Foreign(hello("small"), model="s") as small:
        cheap = f"{small.url},as=nano,price=0/0/1"
        specs = read_specs([f"{large.url},price=1/1/2", cheap, f"{small.url},name=b,as=nano"])
        boss = {"Authorization": f"Bearer {keys.add(database, 'boss', scopes=('admin',))[1]}"}
        books, ann = Books(database, Price.read("9/9/9")), keys.add(database, "ann")[1]
        with engines.opened("kimi", Wanted(tuple(specs)), database) as models:
            assert [one.name for one in models] == ["kimi", "nano"]
            wait_for(lambda: all(one.ready for one in models))
            app = create_app(models[0], books, Access(keys_needed=True), others=models[1:])
            with serving_app(app) as root, httpx.Client(headers={"Authorization": f"Bearer {ann}"}) as client:
                listed = client.get(f"{root}/v1/models").json()["data"]
                assert [card["id"] for card in listed] == ["kimi", "nano"]
                assert client.get(f"{root}/v1/models/nano").json()["id"] == "nano"
                body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9}
                for name, word in (("kimi", "large"), ("nano", "small")):
                    answer = client.post(f"{root}/v1/chat/completions", json={**body, "model": name}).json()
                    assert (answer["model"], answer["choices"][0]["message"]["content"]) == (name, word)
                theirs = client.post(f"{root}/v1/messages", json={**body, "model": "nano"}).json()
                assert (theirs["model"], theirs["content"][0]["text"]) == ("nano", "small")
                assert (
                    client.post(f"{root}/v1/responses", json={"model": "nano", "input": "Hi"}).json()["model"] == "nano"
                )
                unknown = client.post(f"{root}/v1/chat/completions", json={**body, "model": "k3"})
                assert unknown.status_code == 404 and "only 'kimi', 'nano'" in unknown.text
                told = client.get(f"{root}/metrics", headers=boss).text
                up = [line for line in told.splitlines() if line.startswith("moonlet_engine_up{")]
                assert len(up) == 3 and 'engine="b"' in up[2] and 'model_name="kimi,nano"' in up[2]
                assert told.count("# TYPE moonlet_engine_up ") == 1
                assert client.get(f"{root}/health").status_code == 200
            books.wait_settled(5)
        rows = {(row["model"], row["engine"], row["price"]) for row in report.rows(database)}
        assert ("kimi", large.name, "1/1/2") in rows and len(small.bodies) == 3
        assert {model for model, _, _ in rows} == {"kimi", "nano"} and ("nano", small.name, "0/0/1") in rows


def test_each_model_needs_an_engine_of_its_own() -> None:
    far = "https://far.example.com/v1,as=nano,price=1/1/1,overflow=5"
    with pytest.raises(SpecError, match="all engines of nano are for overflow"):
        read_specs(["http://gpu1", far])
    assert len(read_specs(["http://gpu1", "http://gpu2,as=nano", far])) == 3
