"""Tools that touch the world: files, shell, pages. Each is tried with what it must not do."""

import gzip
import http.server
import ipaddress
import json
import os
import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from moonlet.chat.messages import ToolCall
from moonlet.tools import fetch
from moonlet.tools.fetch import fetch_tool, page_text, public
from moonlet.tools.files import file_tools
from moonlet.tools.running import Running, entered
from moonlet.tools.shell import ShellError, shell_tool
from moonlet.tools.tool import Tool, ToolError, call


def said(tools: Sequence[Tool], name: str, **arguments: Any) -> str:
    return call(tools, ToolCall("c", name, json.dumps(arguments)))


# Files.


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a few files, beside it something that is none of its business."""
    (tmp_path / "secret.txt").write_text("secret")
    inside = tmp_path / "inside"
    (inside / "notes").mkdir(parents=True)
    (inside / "notes" / "today.txt").write_text("dentist\nat three\nlunch\n")
    (inside / "code.py").write_text("print('dentist')\n")
    (inside / "good-link").symlink_to("notes/today.txt")
    (inside / "notes" / "up-link").symlink_to("../code.py")
    (inside / "out-link").symlink_to("../secret.txt")
    (inside / "far-link").symlink_to(tmp_path / "secret.txt")
    (inside / "out-folder").symlink_to("..")
    (inside / "loop").symlink_to("loop")
    (inside / "data.bin").write_bytes(b"\0\1\2")
    os.mkfifo(inside / "pipe")
    return inside


def test_files_are_listed_read_found_and_changed(place: Path) -> None:
    tools = file_tools(place)
    assert "notes/" in said(tools, "list_files") and "code.py  17 bytes" in said(tools, "list_files")
    assert said(tools, "list_files", pattern="*.txt") == "notes/today.txt  23 bytes"
    assert said(tools, "read_file", path="notes/today.txt", first=2, lines=1) == "at three\n"
    assert said(tools, "read_file", path="notes/today.txt", first=2.0, lines=1.0) == "at three\n"
    assert said(tools, "read_file", path=str(place / "code.py")) == "print('dentist')\n"
    assert said(tools, "read_file", path="good-link").startswith("dentist")
    assert said(tools, "read_file", path="notes/up-link") == "print('dentist')\n"
    found = said(tools, "find_in_files", text="dentist").splitlines()
    assert found == ["code.py:1: print('dentist')", "notes/today.txt:1: dentist"]
    assert said(tools, "find_in_files", text="lunch", path="notes") == "notes/today.txt:3: lunch"
    assert json.loads(said(tools, "write_file", path="new/deep/a.txt", text="hé"))["bytes"] == 3
    assert (place / "new/deep/a.txt").read_text() == "hé"
    said(tools, "edit_file", path="notes/today.txt", old="three", new="four")
    assert "at four" in (place / "notes/today.txt").read_text()
    assert "occurs 0 times" in said(tools, "edit_file", path="notes/today.txt", old="three", new="")
    said(tools, "delete_file", path="new/deep/a.txt")
    assert not (place / "new/deep/a.txt").exists()
    assert [tool.changes for tool in tools] == [False] * 3 + [True] * 3


@pytest.mark.parametrize(
    "path",
    [
        "../secret.txt", "notes/../../secret.txt", "/etc/passwd", "out-link", "far-link", "out-folder/secret.txt",
        "loop", "notes/../out-folder/secret.txt", "./././../secret.txt", "a\0b", "good-link/../../../secret.txt",
    ],
)  # fmt: skip
def test_nothing_outside_is_reached(place: Path, path: str) -> None:
    tools = file_tools(place)
    before = {one.name for one in place.parent.iterdir()}
    for name, more in (("read_file", {}), ("write_file", {"text": "x"}), ("edit_file", {"old": "secret", "new": "x"})):
        told = json.loads(said(tools, name, path=path, **more))
        assert "error" in told and "secret" not in told["error"].replace("secret.txt", "")
    said(tools, "delete_file", path=path)
    assert (place.parent / "secret.txt").read_text() == "secret"
    assert {one.name for one in place.parent.iterdir()} == before


@pytest.mark.parametrize("path", ["good-link", "notes/up-link", "out-link", "out-folder", "loop", "dangling"])
def test_of_a_link_the_link_itself_is_deleted(place: Path, path: str) -> None:
    (place / "dangling").symlink_to("nothing")
    files = {one for one in place.parent.rglob("*") if not one.is_symlink()}
    assert json.loads(said(file_tools(place), "delete_file", path=path)) == {"deleted": path}
    assert not (place / path).is_symlink()
    assert {one for one in place.parent.rglob("*") if not one.is_symlink()} == files


def test_what_is_no_text_file_is_refused(place: Path) -> None:
    tools = file_tools(place)
    begun = time.monotonic()
    assert "not a file" in said(tools, "read_file", path="pipe")
    assert "not a text file" in said(tools, "read_file", path="data.bin")
    assert "error" in said(tools, "read_file", path="notes")
    assert "is a folder" in said(tools, "write_file", path=".", text="x")
    assert "not a file" in said(tools, "write_file", path="pipe", text="x")
    assert "secret" not in said(tools, "find_in_files", text="secret")
    assert time.monotonic() - begun < 5
    with pytest.raises(ToolError):
        file_tools(place / "code.py")


def test_a_second_name_of_a_file_outside_is_not_written_through(place: Path) -> None:
    os.link(place.parent / "secret.txt", place / "twin.txt")
    said(file_tools(place), "write_file", path="twin.txt", text="mine")
    assert (place / "twin.txt").read_text() == "mine"
    assert (place.parent / "secret.txt").read_text() == "secret"


def test_a_folder_that_turns_into_a_link_meanwhile_leads_nowhere(place: Path) -> None:
    """Another process swaps a folder for a link to the outside, over and over."""
    (place.parent / "outside").mkdir()
    (place.parent / "outside" / "today.txt").write_text("outside")
    over = threading.Event()

    def swap() -> None:
        while not over.is_set():
            with suppress(OSError):  # the tool may have made the folder anew in between
                (place / "notes").rename(place / "kept")
            with suppress(OSError):
                (place / "notes").symlink_to("../outside")
                (place / "notes").unlink()
            with suppress(OSError):
                (place / "kept").rename(place / "notes")

    thread = threading.Thread(target=swap)
    thread.start()
    tools = file_tools(place)
    try:
        for _ in range(400):
            assert said(tools, "read_file", path="notes/today.txt") != "outside"
            said(tools, "write_file", path="notes/today.txt", text="inside")
    finally:
        over.set()
        thread.join()
    assert (place.parent / "outside" / "today.txt").read_text() == "outside"
    assert [one.name for one in (place.parent / "outside").iterdir()] == ["today.txt"]


# Shell.


@pytest.fixture(scope="module")
def sandboxed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tool, Path]:
    folder = tmp_path_factory.mktemp("shell")
    (folder.parent / "beside").write_text("beside")
    try:
        return shell_tool(folder), folder
    except ShellError as error:
        pytest.skip(str(error))


def run(sandboxed: tuple[Tool, Path], command: str, **more: Any) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(said([sandboxed[0]], "shell", command=command, **more))
    return told


def test_a_command_works_in_its_folder(sandboxed: tuple[Tool, Path]) -> None:
    assert run(sandboxed, "echo hello > a.txt; cat a.txt; pwd; exit 3") == {"exit_code": 3, "output": "hello\n/work\n"}
    assert (sandboxed[1] / "a.txt").read_text() == "hello\n"
    assert run(sandboxed, "echo oops >&2")["output"] == "oops\n"
    assert run(sandboxed, "ulimit -t", seconds=9.0)["output"] == "9\n"
    assert sandboxed[0].changes


def test_a_command_sees_nothing_else(sandboxed: tuple[Tool, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_API_KEY", "s3cret")
    told = run(sandboxed, f"env; cat {sandboxed[1].parent}/beside; ls /root /home /var; cat /etc/shadow; id -u")[
        "output"
    ]
    assert "s3cret" not in told and "beside\n" not in told.replace("/beside", "") and "root:" not in told
    assert run(sandboxed, "echo x > /usr/x || echo no; touch /x || echo no")["output"].count("no") >= 2


def test_a_command_has_no_network(sandboxed: tuple[Tool, Path]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        script = f"import socket; socket.create_connection(('127.0.0.1', {port}), 2)"
        told = run(sandboxed, f'/usr/bin/python3 -c "{script}" 2>&1 || (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>&1')
        assert told["exit_code"] != 0
        server.settimeout(0.2)
        with pytest.raises(TimeoutError):
            server.accept()
    assert "lo" in run(sandboxed, "cat /proc/net/dev")["output"]
    assert run(sandboxed, "tail -n +3 /proc/net/dev | wc -l")["output"].strip() == "1"


def test_a_command_is_bounded(sandboxed: tuple[Tool, Path]) -> None:
    begun = time.monotonic()
    assert "stopped after 1 s" in run(sandboxed, "echo early; sleep 60", seconds=1)["error"]
    flood = run(sandboxed, "yes | head -c 3000000")
    assert len(flood["output"]) < 1_100_000 and "more bytes were dropped" in flood["output"]
    assert run(sandboxed, "(sleep 60 &) ; echo left")["output"] == "left\n"
    assert time.monotonic() - begun < 30
    running = Running()
    threading.Timer(0.3, running.stop).start()
    with entered(running):
        run(sandboxed, "sleep 60")
    assert time.monotonic() - begun < 40


def test_without_a_sandbox_there_is_no_shell_unless_forced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ShellError, match="needs bubblewrap"):
        shell_tool(tmp_path)
    forced = shell_tool(tmp_path, unconfined=True)
    monkeypatch.setenv("OTHER_API_KEY", "s3cret")
    told = json.loads(said([forced], "shell", command="pwd; env"))
    assert told["output"].startswith(str(tmp_path)) and "s3cret" not in told["output"]


# Pages.


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("93.184.216.34", True), ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False), ("10.1.2.3", False), ("172.16.0.1", False), ("192.168.1.1", False),
        ("169.254.169.254", False), ("0.0.0.0", False), ("100.64.0.1", False), ("224.0.0.1", False),
        ("255.255.255.255", False), ("192.0.2.1", False), ("::1", False), ("::", False), ("fe80::1", False),
        ("fc00::1", False), ("ff02::1", False), ("2001:db8::1", False), ("::ffff:127.0.0.1", False),
        ("::ffff:10.0.0.1", False), ("::127.0.0.1", False), ("64:ff9b::7f00:1", False), ("64:ff9b::a00:1", False),
        ("2002:7f00:1::", False), ("2002:a00:1::1", False), ("192.0.0.192", False), ("::ffff:192.0.0.192", False),
        ("fec0::1", False), ("3fff::1", False),
    ],
)  # fmt: skip
def test_which_addresses_are_public(address: str, allowed: bool) -> None:
    assert public(ipaddress.ip_address(address)) is allowed


class _Site(http.server.BaseHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        type(self).asked.append(self.path)
        pages: dict[str, tuple[int, dict[str, str], bytes]] = {
            "/": (
                200,
                {"Content-Type": "text/html; charset=utf-8"},
                b"<title>T</title><p>Hello <a href='/b'>there</a>",
            ),
            "/json": (200, {"Content-Type": "application/json"}, b'{"a": 1}'),
            "/same": (302, {"Location": "/json"}, b""),
            "/loop": (302, {"Location": "/loop"}, b""),
            "/private": (302, {"Location": "http://169.254.169.254/latest/meta-data/"}, b""),
            "/other": (302, {"Location": "http://other.test/x"}, b""),
            "/image": (200, {"Content-Type": "image/png"}, b"x"),
            "/packed": (200, {"Content-Type": "text/plain", "Content-Encoding": "gzip"}, gzip.compress(b"packed")),
            "/members": (
                200,
                {"Content-Type": "text/plain", "Content-Encoding": "gzip"},
                gzip.compress(b"pack") + gzip.compress(b"ed") * 2 + bytes(100),
            ),
            "/broken": (200, {"Content-Type": "text/plain", "Content-Encoding": "gzip"}, b"not packed"),
            "/bomb": (200, {"Content-Type": "text/plain", "Content-Encoding": "gzip"}, gzip.compress(bytes(50 << 20))),
            "/odd": (200, {"Content-Type": "text/html; charset=Punycode"}, "<p>a-b ä".encode()),
            "/odder": (200, {"Content-Type": "text/plain; charset=idna"}, b"a-b"),
            "/large": (200, {"Content-Type": "text/plain"}, b"x" * (5 << 20)),
        }
        status, headers, body = pages.get(self.path, (404, {}, b""))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def site() -> Iterator[tuple[str, type[_Site]]]:
    handler = type("Site", (_Site,), {"asked": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", handler
        finally:
            server.shutdown()


def test_pages_are_read() -> None:
    with site() as (url, _):
        tools = [fetch_tool(["127.0.0.1"])]
        assert said(tools, "fetch_page", url=url) == f"T\nHello there ({url}/b)"
        assert said(tools, "fetch_page", url=f"{url}/json") == '{"a": 1}'
        assert said(tools, "fetch_page", url=f"{url}/same") == '{"a": 1}'
        assert said(tools, "fetch_page", url=f"{url}/packed") == "packed"
        assert said(tools, "fetch_page", url=f"{url}/members") == "packeded"
        assert said(tools, "fetch_page", url=f"{url}/odd") == "a-b ä"
        assert said(tools, "fetch_page", url=f"{url}/odder") == "a-b"
        for path, told in [
            ("loop", "more than 5 redirects"), ("image", "image/png, not text"), ("bomb", "larger than"),
            ("large", "larger than"), ("nothing", "HTTP 404"), ("broken", "packing is broken"),
        ]:  # fmt: skip
            assert told in said(tools, "fetch_page", url=f"{url}/{path}")
    assert tools[0].sends and not tools[0].changes and tools[0].outside
    assert tools[0].covers is not None and tools[0].covers({"url": "https://a.test/x?q=1"}) == "pages of a.test"


class _Endless(http.server.BaseHTTPRequestHandler):
    """Headers without an end: /early one answer before the answer after another, /slowly one letter after another."""

    def do_GET(self) -> None:
        early = self.path == "/early"
        with suppress(OSError):
            self.wfile.write(b"" if early else b"HTTP/1.1 200 OK\r\n")
            while True:
                self.wfile.write(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100 if early else b"X")
                time.sleep(0 if early else 0.05)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.mark.parametrize("path", ["early", "slowly"])
def test_headers_that_never_end_are_given_up_in_time(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moonlet.tools.fetch.TIME_S", 0.5)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Endless) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/{path}"
        assert re.search("too long|timed out", said([fetch_tool(["127.0.0.1"])], "fetch_page", url=url))
        server.shutdown()


def test_this_machine_is_refused_under_every_name() -> None:
    with site() as (url, handler):
        port = url.split(":")[-1]
        tools = [fetch_tool()]
        hosts = [
            "127.0.0.1",
            "localhost",
            "127.1",
            "2130706433",
            "0x7f000001",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "0.0.0.0",
        ]
        for host in hosts:
            assert "error" in said(tools, "fetch_page", url=f"http://{host}:{port}/")
        assert handler.asked == []
    for bad in (
        "file:///etc/passwd",
        "ftp://x.test/",
        "http://user:pass@x.test/",
        "http://",
        "gopher://x",
        "http://x:y/",
    ):
        assert "error" in said(tools, "fetch_page", url=bad)


def test_a_redirect_to_a_private_address_is_not_followed() -> None:
    with site() as (url, _):
        tools = [fetch_tool(["127.0.0.1"])]
        told = said(tools, "fetch_page", url=f"{url}/private")
        assert "leads to another host: http://169.254.169.254/" in told
        assert "169.254.169.254, which is not" in said(
            tools, "fetch_page", url="http://169.254.169.254/latest/meta-data/"
        )
        assert "leads to another host: http://other.test/x" in said(tools, "fetch_page", url=f"{url}/other")


def test_a_name_that_changes_its_address_gains_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: public when it is looked at, private when it is connected to."""
    answers = iter(["93.184.216.34", "127.0.0.1"])
    looked: list[str] = []

    def look(host: str, port: int, **more: Any) -> list[Any]:
        looked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    connected: list[str] = []

    def connect(self: Any, host: str, port: int, *more: Any) -> Any:
        connected.append(host)
        raise fetch.httpcore.ConnectError("no network in tests")

    monkeypatch.setattr(socket, "getaddrinfo", look)
    monkeypatch.setattr(fetch.httpcore.SyncBackend, "connect_tcp", connect)
    tools = [fetch_tool()]
    assert "error" in said(tools, "fetch_page", url="http://rebind.test/")
    assert looked == ["rebind.test"] and connected == ["93.184.216.34"]  # looked up once, connected to what was judged
    assert "127.0.0.1, which is not" in said(tools, "fetch_page", url="http://rebind.test/")
    assert connected == ["93.184.216.34"]


def test_one_private_address_among_public_ones_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 80)) for one in ("93.184.216.34", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *given, **more: both)
    assert "10.0.0.1, which is not" in said([fetch_tool()], "fetch_page", url="http://mixed.test/")


def test_a_page_as_text() -> None:
    html = "<head><title>News</title><script>evil()</script></head><h1>A &amp; B</h1><ul><li>one<li>two</ul><style>x"
    assert page_text(html, "http://x.test/") == "News\nA & B\n- one\n- two"


@pytest.mark.parametrize("unfinished", ["<a ", "<a x='", "<!--", "</", "<script></"])
def test_a_page_of_unfinished_tags_is_read_in_seconds(unfinished: str) -> None:
    begun = time.monotonic()
    assert page_text("<p>told" + unfinished * (1_000_000 // len(unfinished)), "http://x.test/") == "told"
    assert time.monotonic() - begun < 5


def test_a_long_page_loses_nothing() -> None:
    words = "word & " * 20_000
    page = f"<p>{words}<script>{'x' * 400_000}</script><img src='data:{'A' * 700_000}'><p>{words}R&D"
    assert page_text(page, "http://x.test/").split() == [*words.split(), *words.split(), "R&D"]
