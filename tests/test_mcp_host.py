"""Servers used as tools: real processes, of which some crash, hang, flood or change."""

import asyncio
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest

from moonlet.chat.messages import Message, ToolCall
from moonlet.tools.mcp import oauth
from moonlet.tools.mcp.config import ConfigError, ServerConfig, read_servers
from moonlet.tools.mcp.host import Host, HostError
from moonlet.tools.running import Running, entered
from moonlet.tools.tool import Tool, call

ODD = str(Path(__file__).parent / "mcp_servers" / "odd.py")

FLOOD = ServerConfig("flood", command=sys.executable, args=(ODD.replace("odd.py", "flood.py"),))  # it starts at once


def odd(name: str = "odd", *args: str, **facts: Any) -> ServerConfig:
    return ServerConfig(name, command=sys.executable, args=(ODD, *args), **facts)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """One well-behaved server for the tests that do it no harm."""
    place = tmp_path_factory.mktemp("state")
    with Host([odd()], place, Yes(), lambda messages, limit: ("42", "small"), [place]) as host:
        assert host.notices() == []
        yield host


class Yes:
    """A person who agrees to everything."""

    def __init__(self) -> None:
        self.lent: list[Sequence[Message]] = []

    def fill(self, server: str, message: str, schema: Mapping[str, Any]) -> Mapping[str, Any] | None:
        assert message == "What do you want?"
        return {"size": "large"}

    def visit(self, server: str, message: str, url: str) -> bool:
        return True

    def lend_model(self, server: str, messages: Sequence[Message]) -> bool:
        self.lent.append(messages)
        return True


class No(Yes):
    def fill(self, server: str, message: str, schema: Mapping[str, Any]) -> Mapping[str, Any] | None:
        return None

    def lend_model(self, server: str, messages: Sequence[Message]) -> bool:
        return False


def said(host: Host, name: str, **arguments: Any) -> str:
    return call(host.tools(), ToolCall("c", name, json.dumps(arguments)))


def tool(host: Host, name: str) -> Tool:
    return next(tool for tool in host.tools() if tool.spec.name == name)


def soon(condition: Any, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.05)


def test_tools_resources_and_prompts(host: Host) -> None:
    assert said(host, "odd__echo", text="hé") == "odd: hé"
    assert said(host, "odd__long", size=9) == "yyyyyyyyy"
    assert "the shop is closed" in json.loads(said(host, "odd__fail"))["error"]
    assert "'text' is missing" in json.loads(said(host, "odd__echo"))["error"]
    listed = json.loads(said(host, "odd__list_resources"))
    assert {"note://today"} <= {one.get("uri") for one in listed} and any("uri_template" in one for one in listed)
    assert said(host, "odd__read_resource", uri="note://today") == "Dentist at three."
    assert said(host, "odd__read_resource", uri="note://friday") == "Nothing on friday."
    assert "error" in said(host, "odd__read_resource", uri="nothing://x")
    assert host.prompt("odd", "greet", {"who": "Ada"}) == [Message("user", "Say hello to Ada.")]
    with pytest.raises(HostError, match="there is no server other"):
        host.prompt("other", "greet", {})
    with pytest.raises(HostError):
        host.prompt("odd", "nothing", {})


def test_a_tool_is_known_by_what_it_may_do(host: Host) -> None:
    echo, crash = tool(host, "odd__echo"), tool(host, "odd__crash")
    assert (echo.changes, echo.sends, echo.outside) == (False, True, True)
    assert (crash.changes, crash.sends, crash.outside) == (True, True, True)
    assert "reads only" in echo.hints and not crash.hints
    assert tool(host, "odd__echo") is echo  # an unchanged tool stays itself


def test_what_a_server_may_ask(host: Host, tmp_path: Path) -> None:
    assert said(host, "odd__order") == "accept {'size': 'large', 'count': 1}"
    assert said(host, "odd__think") == "the model said 42"
    assert said(host, "odd__folders").startswith("file:///")


def test_a_person_may_say_no(tmp_path: Path) -> None:
    with Host([odd()], tmp_path, No(), lambda messages, limit: ("42", "small")) as host:
        assert said(host, "odd__order") == "decline"
        assert "User rejected" in said(host, "odd__think")
    with Host([odd()], tmp_path) as host:  # nobody sits there: the server is told so before it asks
        assert "error" in said(host, "odd__order") and "error" in said(host, "odd__think")


def test_secrets_of_the_environment_stay_with_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_API_KEY", "s3cret")
    monkeypatch.setenv("WANTED_KEY", "for-it")
    file = tmp_path / "mcp.json"
    entry = {"command": sys.executable, "args": [ODD], "env": {"ITS_KEY": "${WANTED_KEY}", "PLAIN": "1"}}
    file.write_text(json.dumps({"mcpServers": {"odd": entry, "off": {"command": "nothing", "disabled": True}}}))
    (config,) = read_servers(str(file))
    assert config.env == {"ITS_KEY": "for-it", "PLAIN": "1"} and "for-it" not in repr(config)
    with Host([config], tmp_path) as host:
        seen = said(host, "odd__secrets").split()
    assert "ITS_KEY" in seen and "PATH" in seen
    assert not {"OTHER_API_KEY", "WANTED_KEY", "MOONLET_API_KEY"} & set(seen)


def test_progress_is_passed_on(host: Host) -> None:
    told: list[str] = []
    with entered(Running(tell=told.append)):
        assert said(host, "odd__work") == "worked"
    assert told == ["1 of 2 step 1", "2 of 2 step 2"]


def test_a_call_that_is_stopped_is_cancelled_at_the_server(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with Host([odd(env={"ODD_LOG": str(log)})], tmp_path) as host:
        running, texts = Running(), []

        def work() -> None:
            with entered(running):
                texts.append(said(host, "odd__hang"))

        thread = threading.Thread(target=work)
        thread.start()
        soon(log.exists)
        running.stop()
        thread.join(10)
        assert "stopped" in texts[0]
        soon(lambda: "cancelled" in log.read_text())
        assert said(host, "odd__echo", text="still here") == "odd: still here"


@pytest.mark.long
def test_a_server_that_crashes_is_reported_and_started_again(tmp_path: Path) -> None:
    with Host([odd(), odd("other", "other")], tmp_path) as host:
        assert "it ended (exit code 7): it hurts" in said(host, "odd__crash")
        assert said(host, "other__echo", text="fine") == "other: fine"
        assert said(host, "odd__echo", text="back") == "odd: back"
        assert host.notices() == ["server odd: it ended (exit code 7): it hurts"]


@pytest.mark.parametrize("code", [-32000, -32600, -32603])
def test_a_refusal_in_the_words_of_an_end_is_no_end(tmp_path: Path, code: int) -> None:
    """Another call is under way meanwhile, and goes on."""
    log = tmp_path / "log"
    with Host([odd(env={"ODD_LOG": str(log)})], tmp_path) as host:
        running, texts = Running(), []

        def work() -> None:
            with entered(running):
                texts.append(said(host, "odd__hang"))

        thread = threading.Thread(target=work)
        thread.start()
        soon(log.exists)
        assert "account 404 is closed" in said(host, "odd__refuse", code=code)
        assert said(host, "odd__echo", text="still here") == "odd: still here"
        assert log.read_text() == "began\n" and host.notices() == [] and not texts
        running.stop()
        thread.join(10)
        assert "stopped" in texts[0]


class Forgetful(ThreadingHTTPServer):
    """A server behind a URL with sessions, as they were until 2026."""

    daemon_threads = True

    def __init__(self, forgotten: str) -> None:
        """`forgotten`: what it says, beside the status, to a session that it does not know."""
        self.sessions: list[str] = []
        self.begun = 0
        self.says: Callable[[int], Iterator[object]] | None = None  # messages in answer to a call with that id
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                head = {"Content-Type": "application/json"}
                if asked["method"] == "initialize":
                    outer.begun += 1
                    outer.sessions = [f"s{outer.begun}"]
                    head["Mcp-Session-Id"] = outer.sessions[0]
                elif "Mcp-Session-Id" in self.headers and self.headers["Mcp-Session-Id"] not in outer.sessions:
                    return self._answer(404, forgotten, head)
                if "id" not in asked:
                    return self._answer(202, "", head)
                if asked["method"] == "tools/call" and outer.says:
                    return self._stream(outer.says(asked["id"]))
                results = {
                    "initialize": {
                        "protocolVersion": "2025-06-18",
                        "capabilities": {"tools": {}},
                        "serverInfo": {"name": "forgetful", "version": "1"},
                    },
                    "tools/list": {"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]},
                    "tools/call": {"content": [{"type": "text", "text": "here"}]},
                }
                found: dict[str, Any] = {"error": {"code": -32601, "message": "no such method"}}
                if asked["method"] in results:
                    found = {"result": results[asked["method"]]}
                self._answer(200, json.dumps({"jsonrpc": "2.0", "id": asked["id"], **found}), head)

            def do_GET(self) -> None:
                self._answer(405, "", {})

            do_DELETE = do_GET

            def _stream(self, messages: Iterator[object]) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.end_headers()
                with suppress(OSError):
                    for message in messages:
                        self.wfile.write(f"data: {json.dumps(message)}\n\n".encode())

            def _answer(self, status: int, text: str, head: Mapping[str, str]) -> None:
                self.send_response(status)
                for name, value in {**head, "Content-Length": str(len(text.encode()))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *args: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def __exit__(self, *error: object) -> None:
        self.shutdown()
        super().__exit__(*error)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("", "Session terminated"),
        ('{"jsonrpc": "2.0", "id": null, "error": {"code": -32001, "message": "Who are you?"}}', "Who are you?"),
    ],
)
def test_a_server_that_forgot_its_session_is_met_anew(tmp_path: Path, words: str, told: str) -> None:
    with Forgetful(words) as server:
        far = ServerConfig("far", url=f"http://127.0.0.1:{server.server_port}/mcp")
        with Host([far], tmp_path) as host:
            assert said(host, "far__echo") == "here" and server.begun == 1
            server.sessions = []  # it was started again
            assert told in said(host, "far__echo")
            assert said(host, "far__echo") == "here" and server.begun == 2 and host.notices() == []


def test_a_server_behind_a_url_has_the_same_bounds(tmp_path: Path) -> None:
    def large(id: int, size: int = 2 << 20) -> Iterator[object]:
        yield {"jsonrpc": "2.0", "id": id, "result": {"content": [{"type": "text", "text": "x" * size}]}}

    with Forgetful("") as server:
        far = ServerConfig("far", url=f"http://127.0.0.1:{server.server_port}/mcp")
        with Host([far], tmp_path) as host:
            server.says = large
            assert said(host, "far__echo") == "x" * (2 << 20)
            server.says = lambda id: large(id, 17 << 20)
            assert f"{16 << 20} byte limit" in said(host, "far__echo")
            logged = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x"}}
            server.says = lambda id: repeat(logged)
            assert "it flooded us: 2000 messages" in said(host, "far__echo")
            assert any("it flooded us" in notice for notice in host.notices())
            server.says = None
            assert said(host, "far__echo") == "here" and server.begun == 2


@pytest.mark.parametrize("before", [b"", b"GET /favicon.ico HTTP/1.1\r\n\r\n"])
def test_a_browser_that_connects_beforehand_does_not_hold_up_the_login(tmp_path: Path, before: bytes) -> None:
    far = ServerConfig("far", url="http://127.0.0.1:9/mcp")
    auth, bound = oauth.provider(far, tmp_path, lambda url: True, nullcontext)
    assert auth.context.callback_handler

    async def login() -> tuple[str | None, str | None, bytes]:
        idle = socket.create_connection(bound.getsockname())
        idle.sendall(before)
        come = asyncio.create_task(auth.context.callback_handler())
        reader, writer = await asyncio.open_connection(*bound.getsockname())
        writer.write(b"GET /callback?code=c&state=s HTTP/1.1\r\n\r\n")
        result = await asyncio.wait_for(come, 5)
        page = await reader.read()
        writer.close()
        idle.close()
        await asyncio.sleep(0.05)
        return result.code, result.state, page

    with bound:
        code, state, page = asyncio.run(login())
    assert (code, state) == ("c", "s") and page.endswith(b"you can close this.")


@pytest.mark.parametrize(("tool", "told"), [("line", "more than 16 MiB"), ("messages", "it flooded us")])
def test_a_server_that_floods_is_stopped(tmp_path: Path, tool: str, told: str) -> None:
    with Host([FLOOD], tmp_path) as host:
        assert told in said(host, f"flood__{tool}")
        assert said(host, "flood__echo") == "here"


@pytest.mark.long
def test_servers_that_do_not_come_up_leave_the_others_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moonlet.tools.mcp.connection.CONNECT_S", 4.0)
    missing = ServerConfig("missing", command="no-such-command-anywhere")
    refused = ServerConfig("refused", url="http://127.0.0.1:9/mcp")
    mute = ServerConfig("mute", command="sleep", args=("600",))
    dead = ServerConfig("dead", command="sh", args=("-c", "echo no such database >&2; exit 3"))
    begun = time.monotonic()
    with Host([mute, dead, missing, refused, FLOOD], tmp_path) as host:
        notices = "\n".join(sorted(host.notices()))
        assert "server dead: it ended (exit code 3): no such database" in notices
        assert "server missing: there is no command no-such-command-anywhere" in notices
        assert "server mute: it did not answer in time" in notices
        assert "server refused: " in notices
        assert said(host, "flood__echo") == "here"
    assert time.monotonic() - begun < 60


def test_a_server_that_changes_its_tools_is_reported(tmp_path: Path) -> None:
    with Host([odd()], tmp_path) as host:
        before = tool(host, "odd__echo")
        assert said(host, "odd__change") == "changed"
        soon(lambda: any(one.spec.name == "odd__later" for one in host.tools()))
        assert host.notices() == ["server odd: it changed its tools: added later; removed fail"]
        assert said(host, "odd__later") == "later"
        assert "there is no tool 'odd__fail'" in said(host, "odd__fail")
        assert tool(host, "odd__echo") is before


def test_what_can_be_read_is_offered_once_there_is_something(tmp_path: Path) -> None:
    with Host([odd("bare", "bare")], tmp_path) as host:
        assert not [one for one in host.tools() if one.spec.name.endswith("_resource")]
        assert said(host, "bare__publish") == "published"
        soon(lambda: any(one.spec.name == "bare__read_resource" for one in host.tools()))
        assert said(host, "bare__read_resource", uri="note://late") == "It is late."


CARELESS = r"""
import json, sys
answers = {
    "initialize": {
        "protocolVersion": "2025-06-18",
        "capabilities": {"tools": {}, "prompts": {}, "resources": {}},
        "serverInfo": {"name": "careless", "version": "1"},
    },
    "tools/list": {"tools": [{"name": "cut", "inputSchema": {"type": "object"}}]},
    "tools/call": {"content": [{"type": "text", "text": "a picture: \ud83d"}]},
}
for line in sys.stdin:
    asked = json.loads(line)
    known = asked["method"] in answers
    answer = {"result": answers[asked["method"]]} if known else {"error": {"code": -32601, "message": "not found"}}
    if "id" in asked:
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], **answer}), flush=True)
"""


def test_a_server_that_lists_less_than_it_says_and_cuts_letters_apart_is_used(tmp_path: Path) -> None:
    careless = ServerConfig("careless", command=sys.executable, args=("-c", CARELESS))
    with Host([careless], tmp_path) as host:
        assert host.notices() == []
        assert said(host, "careless__cut") == "a picture: ?"


@pytest.mark.long
def test_a_helper_that_a_server_leaves_behind_is_no_traceback(tmp_path: Path) -> None:
    leaves = "import subprocess\nsubprocess.Popen(['sleep', '8'], start_new_session=True)\n" + CARELESS
    script = (
        "import sys\nfrom pathlib import Path\nfrom moonlet.tools.mcp.config import ServerConfig\n"
        "from moonlet.tools.mcp.host import Host\n"
        "server = ServerConfig('leaves', command=sys.executable, args=('-c', sys.argv[1]))\n"
        "with Host([server], Path(sys.argv[2])) as host:\n    print(*[tool.spec.name for tool in host.tools()])\n"
    )
    ran = subprocess.run([sys.executable, "-c", script, leaves, str(tmp_path)], capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("leaves__cut\n", "")


@pytest.mark.long
def test_servers_of_one_name_are_kept_apart(tmp_path: Path) -> None:
    with Host([odd("a b", "one"), odd("a_b", "two"), odd("a__b", "three")], tmp_path) as host:
        names = [tool.spec.name for tool in host.tools()]
        assert len(names) == len(set(names))
        told = {said(host, name, text="x") for name in names if name.endswith("__echo")}
        assert told == {"one: x", "two: x", "three: x"}
        assert all(name.count("__") == 1 and len(name) <= 64 for name in names)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "not JSON"),
        ("[]", "holds no mcpServers"),
        ('{"mcpServers": {"x": {}}}', "x: needs either a command or a url"),
        ('{"mcpServers": {"x": {"command": "a", "url": "http://b"}}}', "either"),
        ('{"mcpServers": {"x": {"url": "ftp://b"}}}', "must begin with http"),
        ('{"mcpServers": {"x": {"command": "a", "args": "b"}}}', "args must be a list"),
        ('{"mcpServers": {"x": {"command": "a", "env": {"K": "${NO_SUCH_VARIABLE_X}"}}}}', "NO_SUCH_VARIABLE_X is not"),
        ('{"servers": {"x": {"command": "a", "env": {"K": "${input:key}"}}}}', "input:key} is asked for by an editor"),
        ('{"mcpServers": {"x": {"url": "http://b", "oauth": {"callbackPort": "x"}}}}', "callbackPort must be a port"),
        ('{"servers": {"x": {"command": "a", "envFile": "no.env"}}}', "envFile no.env: No such file"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "mcp.json"
    file.write_text(text)
    with pytest.raises(ConfigError, match=told):
        read_servers(str(file))


def test_every_familiar_way_to_name_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "t0ken")
    file = tmp_path / "mcp.json"
    server = {"type": "http", "url": "https://x.test/mcp", "headers": {"Authorization": "Bearer ${env:TOKEN}"}}
    oauth = {"clientId": "me", "clientSecret": "${NONE:-s}", "callbackPort": 4321}
    file.write_text(json.dumps({"servers": {"far": {**server, "oauth": oauth, "alwaysAllow": ["look"]}}}))
    (far,) = read_servers(str(file))
    assert far.headers == {"Authorization": "Bearer t0ken"} and far.allowed == ("look",)
    assert (far.oauth.client_id, far.oauth.client_secret, far.oauth.port) == ("me", "s", 4321)
    assert "t0ken" not in repr(far)
    (tmp_path / "its.env").write_text("# of the shop\nexport KEY='se=cret'\nPLAIN = 1\n\n")
    file.write_text("""\ufeff{ // an editor's
      "inputs": [],
      "servers": {"near": {"command": "x", "args": ["${workspaceFolder}/a//b", "/*"], "envFile": "its.env",
        "env": {"PLAIN": "2",},},},  /* and so on */
    }""")
    (near,) = read_servers(str(file), tmp_path)
    assert near.args == (f"{tmp_path.resolve()}/a//b", "/*") and near.env == {"KEY": "se=cret", "PLAIN": "2"}
    (url,) = read_servers("http://127.0.0.1:1/mcp")
    assert (url.name, url.url) == ("127.0.0.1", "http://127.0.0.1:1/mcp")
    (line,) = read_servers("npx -y @modelcontextprotocol/server-filesystem '/tmp/my folder'")
    assert (line.name, line.command, line.args[-1]) == ("filesystem", "npx", "/tmp/my folder")
    assert read_servers("mcp-server-time")[0].name == "time"
    assert read_servers("mcp-server-memory --file /nowhere/mem.json")[0].args == ("--file", "/nowhere/mem.json")
    (tmp_path / "mcp-server-own").touch(0o700)
    assert read_servers(str(tmp_path / "mcp-server-own"))[0].command == str(tmp_path / "mcp-server-own")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_servers(str(tmp_path / "nothing.json"))
