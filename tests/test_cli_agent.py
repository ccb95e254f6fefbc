"""`moonlet agent` and `moonlet mcp` as a person and a client use them, against a model that is scripted."""

import io
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from moonlet.chat.messages import Message, ToolCall
from moonlet.cli import main
from moonlet.cli.agent import parse_limits
from moonlet.cli.mcp import offered
from moonlet.cli.terminal import plain
from moonlet.ledger import keys, report
from moonlet.ledger.books import Books
from moonlet.ledger.database import open_database
from moonlet.llm.scripted import Scripted
from moonlet.server.app import create_app
from moonlet.server.keys import Access
from moonlet.server.mcp import OWN, ask_tool, make_server, mount
from moonlet.tools.mcp.config import ServerConfig
from moonlet.tools.mcp.host import Host
from moonlet.tools.tool import call
from serving import serving

ODD = str(Path(__file__).parent / "mcp_servers" / "odd.py")


def calling(name: str, **arguments: Any) -> Message:
    return Message("assistant", calls=(ToolCall(f"functions.{name}:0", name, json.dumps(arguments)),))


def agent(*arguments: object, stdin: str = "") -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "stdin", io.StringIO(stdin))
        code = main(["agent", *map(str, arguments)])
    return code, out.getvalue(), err.getvalue()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MOONLET_HOME", str(tmp_path / "home"))
    return tmp_path


def test_a_task_is_done_recorded_and_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("milk\nbread\n")
    record = tmp_path / "run.jsonl"
    model = Scripted([calling("read_file", path="list.txt"), "Milk and bread.", "You are welcome."], name="m")
    with serving(model) as url:
        code, out, err = agent("What is on the list?", "--model", url, "--folder", tmp_path, "--record", record)
        assert (code, out) == (0, "Milk and bread.\n"), err
        assert "read_file" in err and f"record: {record}" in err and "2 steps, 1 calls" in err
        code, out, err = agent("Thanks", "--model", url, "--folder", tmp_path, "--resume", record)
        assert (code, out) == (0, "You are welcome.\n"), err
    last = model.asked[-1][0]
    assert [message.role for message in last] == ["system", "user", "assistant", "tool", "assistant", "user"]
    assert "[untrusted" in last[3].content and "milk" in last[3].content
    assert agent("--resume", record, "--model", "http://127.0.0.1:9/v1")[0] == 2


def test_a_change_needs_a_person_or_a_flag(tmp_path: Path) -> None:
    write = calling("write_file", path="new.txt", text="x")
    for flags, done in (((), False), (("--read-only",), False), (("--yes",), True), (("--allow", "write_*"), True)):
        with serving(Scripted([write, "ok"])) as url:
            code, _, err = agent("Write", "--model", url, "--folder", tmp_path, *flags)
        assert code == 0
        assert (tmp_path / "new.txt").exists() is done, err
        (tmp_path / "new.txt").unlink(missing_ok=True)


def test_json_tells_everything_a_line_at_a_time(tmp_path: Path) -> None:
    with serving(Scripted([calling("calculate", expression="6*7"), "42"])) as url:
        code, out, _ = agent("6*7?", "--model", url, "--json", "--folder", tmp_path)
    told = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and [one["event"] for one in told] == ["reply", "call", "result", "reply", "end"]
    assert told[-1]["spent"]["calls"] == 1


def test_json_tells_the_name_of_a_file_that_is_no_text(tmp_path: Path) -> None:
    (folder := tmp_path / "folder").mkdir()
    Path(os.fsdecode(os.fsencode(folder) + b"/a\xff.txt")).touch()
    with serving(Scripted([calling("list_files"), "One."])) as url:
        code, out, err = agent("What is there?", "--model", url, "--json", "--folder", folder)
    assert code == 0 and "a\ufffd.txt" in out.encode().decode(), err


def test_servers_of_an_mcp_json_are_used(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    entry = {"command": sys.executable, "args": [ODD], "alwaysAllow": ["echo"]}
    file.write_text(json.dumps({"mcpServers": {"odd": entry}}))
    replies = [calling("odd__echo", text="hi"), calling("odd__crash"), "done"]
    model = Scripted(replies)
    with serving(model) as url:
        code, out, err = agent("Go", "--model", url, "--mcp", file, "--folder", tmp_path)
        assert (code, out) == (0, "done\n"), err
        texts = [message.content for message in model.asked[-1][0] if message.role == "tool"]
        assert "odd: hi" in texts[0] and "nobody can be asked" in texts[1]
        code, out, _ = agent("--list", "--model", url, "--mcp", file, "--folder", tmp_path)
        assert code == 0 and "odd__echo: Say it again." in out and "--prompt odd:greet who=..." in out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--tools", "fly", "x"], "there is no fly"),
        (["--limits", "steps=none", "x"], "'none' is not a number"),
        (["--limits", "wings=2", "x"], "write NAME=NUMBER"),
        (["--limits", "steps=0", "x"], "at least 1"),
        (["--limits", "usd=1", "x"], "needs --price"),
        (["--price", "cheap", "x"], "write INPUT/OUTPUT"),
        (["--price", "nan/1", "--limits", "usd=1", "x"], "write INPUT/OUTPUT"),
        (["--resume", "/nothing/here", "x"], "cannot be opened"),
        (["--mcp", "nothing.json", "x"], "cannot be read"),
        (["--folder", "/nothing/here", "x"], "is not a folder"),
        ([], "say what to do"),
    ],
)
def test_faults_are_one_line(arguments: list[str], told: str) -> None:
    with serving(Scripted([])) as url:
        code, out, err = agent(*arguments, "--model", url)
    assert (code, out) == (2, "") and told in err and err.count("\n") == 1, err


def test_limits_as_they_are_written() -> None:
    limits = parse_limits("steps=3, tokens=100,seconds=1.5,usd=0.1")
    assert (limits.steps, limits.tokens, limits.seconds, limits.usd) == (3, 100, 1.5, 0.1)
    assert parse_limits(None).steps == 50


def test_what_is_asked_about_shows_what_it_is() -> None:
    assert plain("a\x1b[2Kb\u202ec\u200bd\r") == "a\\u001b[2Kb\\u202ec\\u200bd\\u000d"
    assert plain("ok\n\tไทย 中文") == "ok\n\tไทย 中文"
    assert "and 10 more characters" in plain("x" * 6010)


# The other way round: our things for MCP clients.


@contextmanager
def offering(model: Scripted, books: Books | None = None, access: Access = OWN) -> Iterator[str]:
    """The address of a server's /mcp."""
    app = create_app(model, books, access)
    mount(app, make_server([ask_tool(model, app.state.accounts)]), access)
    bound = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/mcp"
    finally:
        server.should_exit = True
        thread.join(10)


def test_the_server_answers_mcp_clients(tmp_path: Path) -> None:
    with offering(Scripted(["Forty-two."], name="m")) as url:
        with Host([ServerConfig("own", url=url)], tmp_path) as host:
            assert host.notices() == []
            assert call(host.tools(), ToolCall("c", "own__ask", '{"question": "6 x 7?"}')) == "Forty-two."
            assert "no reply left" in call(host.tools(), ToolCall("c", "own__ask", '{"question": "again"}'))
            assert "'question' is missing" in call(host.tools(), ToolCall("c", "own__ask", "{}"))
            (connection, _) = host.offers()["own"]
            assert connection.version == "2026-07-28"
        for headers in ({"Host": "evil.test"}, {"Origin": "https://evil.test"}):
            assert httpx.post(url, json={}, headers=headers).status_code in (403, 421)


def test_who_asks_over_mcp_needs_a_key_and_is_in_the_books(tmp_path: Path) -> None:
    with closing(Books(open_database(str(tmp_path / "ledger")))) as books:
        secret = keys.add(books.database, "ada")[1]
        with offering(Scripted(["Yes."], name="m"), books, Access(keys_needed=True)) as url:
            assert httpx.post(url, json={}).status_code == 401
            config = ServerConfig("own", url=url, headers={"Authorization": f"Bearer {secret}"})
            with Host([config], tmp_path) as host:
                assert host.notices() == []
                assert call(host.tools(), ToolCall("c", "own__ask", '{"question": "There?"}')) == "Yes."
        rows = list(report.rows(books.database, prompts=False))
    assert [(row["key_name"], row["api"]) for row in rows] == [("ada", "mcp.ask")]


def test_what_is_offered_over_standard_input_and_output(tmp_path: Path) -> None:
    assert offered(Scripted([], name="m"))[0].spec.name == "ask"
    with serving(Scripted(["Hello."], name="m")) as url:
        config = ServerConfig("own", command=sys.executable, args=("-m", "moonlet", "mcp", url))
        with Host([config], tmp_path) as host:
            assert host.notices() == []
            assert call(host.tools(), ToolCall("c", "own__ask", '{"question": "Hi"}')) == "Hello."
            told = json.loads(call(host.tools(), ToolCall("c", "own__info", '{"model": "nano"}')))
            assert "error" not in told
