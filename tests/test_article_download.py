"""Recordings by address: what may be reached, also behind redirects, and what a playlist is."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytest.importorskip("av", reason="moonlet[article] is not installed")
pytest.importorskip("yt_dlp", reason="moonlet[download] is not installed")

from tests.recordings import noise, shots, tone, write

from moonlet.article import download
from moonlet.article.download import DownloadError, DownloadSettings, check, look_up
from moonlet.article.prepare import folder_for, folders_for
from moonlet.article.source import link_template
from moonlet.article.stages import StageError, inside

HERE = DownloadSettings(("127.0.0.1",))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[str]]]:
    """A server on loopback: a video, redirects, a page; and what was asked of it."""
    path = write(tmp_path_factory.mktemp("site") / "talk.mp4", shots([(noise(0), 1.0)]), tone(1.0))
    video, asked = path.read_bytes(), list[str]()

    class Site(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            asked.append(self.path)
            to = {"/away": "http://127.0.0.2:9/x.mp4", "/file": "file:///etc/passwd", "/on": "/talk.mp4"}.get(self.path)
            if to:
                self.send_response(302)
                self.send_header("Location", to)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            data = video if self.path == "/talk.mp4" else b"<html><title>nothing here</title></html>"
            self.send_response(200)
            self.send_header("Content-Type", "video/mp4" if data is video else "text/html")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if body:
                self.wfile.write(data)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    server.server_close()


def test_a_recording_is_downloaded_from_an_allowed_host(site: tuple[str, list[str]], tmp_path: Path) -> None:
    steps: list[tuple[float, float]] = []
    found = download.download(f"{site[0]}/on", tmp_path, HERE, lambda done, of: steps.append((done, of)))
    assert (tmp_path / found.path).stat().st_size > 1000 and not Path(found.path).is_absolute()
    assert found.title == "talk" and found.asked == f"{site[0]}/on" and len(found.digest) == 64


def test_loopback_is_refused_and_not_asked(site: tuple[str, list[str]], tmp_path: Path) -> None:
    before = len(site[1])
    with pytest.raises(DownloadError, match=r"127\.0\.0\.1, which is not an address of the public internet"):
        download.download(f"{site[0]}/talk.mp4", tmp_path, DownloadSettings())
    assert len(site[1]) == before


def test_a_redirect_to_a_private_address_is_refused(site: tuple[str, list[str]], tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"127\.0\.0\.2, which is not"):
        download.download(f"{site[0]}/away", tmp_path, HERE)


def test_a_redirect_to_a_file_is_not_followed(site: tuple[str, list[str]], tmp_path: Path) -> None:
    with pytest.raises(DownloadError) as told:
        download.download(f"{site[0]}/file", tmp_path, HERE)
    assert "root:" not in str(told.value) and "\n" not in str(told.value) and len(str(told.value)) < 500


GUARDED = """
import json, socket, subprocess, sys, os
from moonlet.article.download import Refused, guard
guard(json.loads(sys.argv[1]))
told = []
def attempt(name, act):
    try:
        act()
    except Refused as error:
        told.append(name)
    except OSError as error:
        told.append(f"{name}: {type(error).__name__}")
def connect(family, address):
    with socket.socket(family) as one:
        one.settimeout(0.2)
        one.connect(address)
attempt("loopback", lambda: connect(socket.AF_INET, ("127.0.0.1", 9)))
attempt("name", lambda: connect(socket.AF_INET, ("localhost", 9)))
attempt("six", lambda: connect(socket.AF_INET6, ("::1", 9)))
attempt("mapped", lambda: connect(socket.AF_INET6, ("::ffff:127.0.0.1", 9)))
attempt("metadata", lambda: connect(socket.AF_INET, ("169.254.169.254", 80)))
attempt("private", lambda: connect(socket.AF_INET, ("10.1.2.3", 80)))
attempt("unix", lambda: connect(socket.AF_UNIX, "/run/x.sock"))
attempt("created", lambda: socket.create_connection(("localhost", 9), 0.2))
attempt("udp", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 53)))
attempt("sendmsg", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendmsg([b"x"], [], 0, ("127.0.0.1", 53)))
attempt("program", lambda: subprocess.run(["curl", "http://127.0.0.1:9/"]))
attempt("shell", lambda: os.system("true"))
attempt("allowed", lambda: connect(socket.AF_INET, ("127.0.0.3", 9)))
print(json.dumps(told))
"""


def test_no_way_out_of_the_guarded_process_leads_to_a_private_address() -> None:
    done = subprocess.run(
        [sys.executable, "-c", GUARDED, json.dumps(["127.0.0.3/32"])], capture_output=True, text=True, check=True
    )
    refused = ["loopback", "name", "six", "mapped", "metadata", "private", "unix", "created", "udp", "sendmsg"]
    refused += ["program", "shell"]
    assert json.loads(done.stdout) == [*refused, "allowed: ConnectionRefusedError"]


def _alone(change: str, request: dict[str, object]) -> dict[str, str]:
    """What the other process answers, after a change to its module."""
    program = f"from moonlet.article import download as d; {change}; d.main()"
    done = subprocess.run(
        [sys.executable, "-c", program], input=json.dumps(request), capture_output=True, text=True, timeout=60
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_a_recording_larger_than_it_may_be_is_given_up(site: tuple[str, list[str]], tmp_path: Path) -> None:
    request = {"address": f"{site[0]}/talk.mp4", "allow": ["127.0.0.1"], "into": str(tmp_path)}
    assert (
        "large" in _alone("d.MAX_BYTES = 1000", request)["error"]
    )  # although yt-dlp, which is told 20 GiB, would go on
    assert all(one.stat().st_size <= 1000 for one in tmp_path.iterdir())


def test_a_site_that_sends_nothing_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/talk.mp4"
        told = _alone("d.STALL_S = 2", {"address": address, "allow": ["127.0.0.1"], "into": str(tmp_path)})
    assert "nothing came" in told["error"]


@pytest.mark.parametrize(
    "address", ["ftp://example.org/a.mp4", "file:///etc/passwd", "http://", "http://a:b@example.org/x", "http://[::1"]
)
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(DownloadError):
        check(address)


def test_playlists(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def answers(entries: list[dict[str, object]] | None) -> None:
        told = {"title": "t"} if entries is None else {"title": "t", "entries": entries}
        monkeypatch.setattr(download, "_ask", lambda request, tell: told)

    address = "https://example.org/list"
    answers(None)
    assert look_up(address, DownloadSettings()).entries == ()
    answers([{"address": f"https://example.org/{n}", "nested": False} for n in range(3)])
    assert len(look_up(address, DownloadSettings()).entries) == 3
    with pytest.raises(DownloadError, match="is a playlist; give one of its recordings"):
        download.download(address, tmp_path, DownloadSettings())
    answers([{"address": "https://example.org/other", "nested": True}])
    with pytest.raises(DownloadError, match="list of playlists"):
        look_up(address, DownloadSettings())
    answers([{"address": None, "nested": False}])
    with pytest.raises(DownloadError, match="without entries"):
        look_up(address, DownloadSettings())
    answers([{"address": f"https://example.org/{n}", "nested": False} for n in range(201)])
    with pytest.raises(DownloadError, match="more than 200"):
        look_up(address, DownloadSettings())


@pytest.mark.parametrize(
    ("address", "link"),
    [
        ("https://www.youtube.com/watch?v=abc", "https://www.youtube.com/watch?v=abc&t={seconds}"),
        ("https://youtu.be/abc", "https://youtu.be/abc?t={seconds}"),
        ("https://vimeo.com/123#x", "https://vimeo.com/123#t={seconds}s"),
        ("https://example.org/a.mp4", "https://example.org/a.mp4#t={seconds}"),
        ("https://example.org/talk", None),
    ],
)
def test_links_to_a_second(address: str, link: str | None) -> None:
    assert link_template(address) == link


def test_every_article_of_a_batch_has_a_folder_of_its_own(tmp_path: Path) -> None:
    talks = [str(tmp_path / name) for name in ("talk.mp4", "talk.mkv", "other.mp4")]
    names = [folder.name for folder in folders_for(talks, tmp_path)]
    assert names == ["talk.mp4.article", "talk.mkv.article", "other.article"]
    long = [f"https://example.org/{'x' * 90}/{n}" for n in range(3)]
    assert len(set(folders_for(long, tmp_path))) == 3 == len({folder_for(one, tmp_path) for one in long})
    assert len(set(folders_for(["https://example.org/a/b", "https://example.org/a?b"], tmp_path))) == 2


def test_what_kept_json_names_lies_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "a" / "media").mkdir(parents=True)
    (tmp_path / "secret.jpg").write_bytes(b"x")
    (tmp_path / "a" / "media" / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    assert inside(tmp_path / "a", "media/0.jpg") == tmp_path / "a" / "media" / "0.jpg"
    for name in ("../secret.jpg", str(tmp_path / "secret.jpg"), "media/link.jpg"):
        with pytest.raises(StageError, match="leads out"):
            inside(tmp_path / "a", name)
