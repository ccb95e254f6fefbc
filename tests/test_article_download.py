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

from tests.recordings import noise, shots, write

from moonlet.article import download, media
from moonlet.article.download import DownloadError, DownloadSettings, check, look_up
from moonlet.article.media import MediaSettings
from moonlet.article.prepare import Preparing, folder_for, folders_for, prepare
from moonlet.article.source import link_template
from moonlet.article.stages import StageError, inside, read
from moonlet.article.talk import Recording

pytestmark = pytest.mark.long

HERE = DownloadSettings(("127.0.0.1",))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[str]]]:
    """A server on loopback: two videos without sound, redirects, a page; and what was asked of it."""
    folder, asked = tmp_path_factory.mktemp("site"), list[str]()
    videos = {
        f"/{name}": write(folder / name, shots([(noise(seed), 1.0)])).read_bytes()
        for seed, name in enumerate(("talk.mp4", "other.mp4"))
    }

    class Site(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            part = self.headers.get("Range")
            asked.append(f"{self.path} {part}" if part else self.path)
            to = {"/away": "http://127.0.0.2:9/x.mp4", "/file": "file:///etc/passwd", "/on": "/talk.mp4"}.get(self.path)
            if to:
                self.send_response(302)
                self.send_header("Location", to)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            whole = videos.get(self.path, b"<html><title>nothing here</title></html>")
            begin = int(part.removeprefix("bytes=").removesuffix("-")) if part else 0
            self.send_response(206 if part else 200)
            if part:
                self.send_header("Content-Range", f"bytes {begin}-{len(whole) - 1}/{len(whole)}")
            self.send_header("Content-Type", "video/mp4" if self.path in videos else "text/html")
            self.send_header("Content-Length", str(len(whole) - begin))
            self.end_headers()
            if body:
                self.wfile.write(whole[begin:])

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


def _made(asked: str, folder: Path, *redo: str) -> tuple[Recording, bytes]:
    """What an article would be made of, and the bytes of the recording. The site's videos have no sound, so it goes no
    further."""
    with pytest.raises(StageError, match="nothing is said"):
        prepare(asked, folder, Preparing(HERE, MediaSettings(ocr=False)), redo=redo)
    kept = read(media.STAGE, folder)
    assert kept is not None
    return kept.output, (folder / kept.output.video).read_bytes()


@pytest.mark.parametrize("left", ["whole", "begun"])
def test_a_folder_used_for_another_address_has_that_recording(
    left: str, site: tuple[str, list[str]], tmp_path: Path
) -> None:
    first, second = f"{site[0]}/talk.mp4", f"{site[0]}/other.mp4"
    wanted = _made(second, tmp_path / "alone")
    _, before = _made(first, tmp_path / "shared")
    file, mine = tmp_path / "shared/download/recording.mp4", tmp_path / "shared/download/mine.vtt"
    for subtitles in (file.with_name("recording.en.vtt"), mine):
        subtitles.write_text("WEBVTT\n\n00:00.000 --> 00:01.000\nOf the first\n")
    if left == "begun":
        file.unlink()
        file.with_name("recording.mp4.part").write_bytes(before[: len(before) // 2])
    recording, data = _made(second, tmp_path / "shared")
    assert before != wanted[1] == data and (recording.title, recording.source) == ("other", second)
    assert recording == wanted[0]  # and the first one's subtitles are not among its own
    assert mine.is_file()  # yt-dlp wrote no such file
    again, data = _made(first, tmp_path / "shared")
    assert (again.title, data) == ("talk", before)


def test_another_download_that_was_stopped_is_not_taken_for_the_first(
    site: tuple[str, list[str]], tmp_path: Path
) -> None:
    first, second = f"{site[0]}/talk.mp4", f"{site[0]}/other.mp4"
    _, before = _made(first, tmp_path)
    download.download(second, tmp_path, HERE)  # and killed before it was written down
    with pytest.raises(StageError, match=r"other\.mp4 was to take its place"):
        prepare(str(tmp_path), tmp_path, Preparing(HERE), redo=("media",))
    assert _made(first, tmp_path)[1] == before


def test_a_stopped_download_goes_on(site: tuple[str, list[str]], tmp_path: Path) -> None:
    address = f"{site[0]}/talk.mp4"
    _, whole = _made(address, tmp_path)
    file, half = tmp_path / "download/recording.mp4", len(whole) // 2
    file.unlink()
    file.with_name("recording.mp4.part").write_bytes(whole[:half])
    before = len(site[1])
    assert _made(address, tmp_path)[1] == whole
    assert f"/talk.mp4 bytes={half}-" in site[1][before:]
    asked = len(site[1])
    assert _made(address, tmp_path)[1] == whole and len(site[1]) == asked  # nothing is done again


def test_a_download_done_again_fetches_the_recording_again(site: tuple[str, list[str]], tmp_path: Path) -> None:
    address = f"{site[0]}/talk.mp4"
    _, whole = _made(address, tmp_path)
    file = tmp_path / "download/recording.mp4"
    for asked in (address, str(tmp_path)):  # the folder of an article knows its address
        file.write_bytes(whole[:-1])
        file.with_name("recording.en.vtt").write_text("WEBVTT\n\n00:00.000 --> 00:01.000\nTaken down since\n")
        recording, data = _made(asked, tmp_path, "download")
        assert data == whole and recording.subtitles == ()


@pytest.mark.parametrize("by", ["address", "folder"])
def test_a_download_done_again_that_was_stopped_goes_on(
    by: str, site: tuple[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"{site[0]}/talk.mp4"
    _, whole = _made(address, tmp_path)
    asked, half = address if by == "address" else str(tmp_path), len(whole) // 2

    def killed(request: object, tell: object) -> None:
        (tmp_path / "download/recording.mp4.part").write_bytes(whole[:half])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(download, "_ask", killed)
        prepare(asked, tmp_path, Preparing(HERE), redo=("download",))
    before = len(site[1])
    assert _made(asked, tmp_path)[1] == whole
    assert f"/talk.mp4 bytes={half}-" in site[1][before:]


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
    assert "large" in _alone("d.MAX_BYTES = 1000", request)["error"]  # yt-dlp, told 20 GiB, would go on
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
    thai = folder_for(f"https://example.org/{'ก' * 90}", tmp_path)
    assert len(thai.name.encode()) <= 255
    alike = ["https://example.org/a/b", "https://example.org/a?b", "http://example.org:8001/a/b"]
    assert len({folder_for(one, tmp_path) for one in alike}) == 3 == len(set(folders_for(alike, tmp_path)))
    assert folder_for(alike[0], tmp_path).name.startswith("example.org-a-b-")


def test_what_kept_json_names_lies_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "a" / "media").mkdir(parents=True)
    (tmp_path / "secret.jpg").write_bytes(b"x")
    (tmp_path / "a" / "media" / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    assert inside(tmp_path / "a", "media/0.jpg") == tmp_path / "a" / "media" / "0.jpg"
    for name in ("../secret.jpg", str(tmp_path / "secret.jpg"), "media/link.jpg"):
        with pytest.raises(StageError, match="leads out"):
            inside(tmp_path / "a", name)
