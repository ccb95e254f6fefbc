"""Files and words that are broken or meant badly: one clear line each, exit 2, nothing left behind."""

import os
import re
import struct
import threading
import zipfile
import zlib
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("av", reason="moonlet[article] is not installed")
pytest.importorskip("faster_whisper", reason="moonlet[article] is not installed")

from tests.recordings import claim, noise, shots, slide, tone, write

from moonlet.cli import main

Maker = Callable[[Path], list[str]]
SPOKEN = "1\n00:00:00,000 --> 00:00:01,000\nWords.\n"


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "nice", lambda by: 0)  # the other tests are in this process


def _file(name: str, data: bytes) -> Maker:
    def make(folder: Path) -> list[str]:
        (folder / name).write_bytes(data)
        return [str(folder / name)]

    return make


def _video(folder: Path, sound: bool = True) -> Path:
    return write(folder / "v.mp4", shots([(slide("A slide"), 1.0)]), tone(1.0) if sound else None)


def _silent(folder: Path) -> list[str]:
    return [str(write(folder / "v.mp4", shots([(slide("A slide"), 1.0)]), tone(1.0, level=0.0)))]


def _headless(folder: Path) -> list[str]:
    path = _video(folder)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])  # the index is at the end
    return [str(path)]


def _zip(folder: Path) -> list[str]:
    with zipfile.ZipFile(folder / "z.mp4", "w") as out:
        out.writestr("a.txt", "words" * 100)
    return [str(folder / "z.mp4")]


def _empty_folder(folder: Path) -> list[str]:
    (folder / "queue" / "inner").mkdir(parents=True)
    (folder / "queue" / "inner" / "a.mp4").write_bytes(b"x")
    return [str(folder / "queue")]


def _pipe(folder: Path) -> list[str]:
    os.mkfifo(folder / "pipe.mp4")
    return [str(folder / "pipe.mp4")]


def _loop(folder: Path) -> list[str]:
    (folder / "a.mp4").symlink_to(folder / "a.mp4")
    return [str(folder / "a.mp4")]


def _scrambled(folder: Path) -> list[str]:
    path = _video(folder)
    data = bytearray(path.read_bytes())
    at = data.find(b"mdat") + 8
    data[at : at + len(data) // 2] = np.random.default_rng(0).bytes(len(data) // 2)[: len(data) - at]
    path.write_bytes(data)
    return [str(path)]


def _huge_picture(folder: Path) -> list[str]:
    """An AVI whose one frame is a PNG of 60,000 x 60,000 by its own word."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    png = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )

    def riff(name: bytes, body: bytes) -> bytes:
        return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)

    main_header = struct.pack("<14I", 40_000, 0, 0, 0x10, 1, 0, 1, 0, 60_000, 60_000, 0, 0, 0, 0)
    stream = struct.pack("<4s4sIHHIIIIIIII4H", b"vids", b"MPNG", 0, 0, 0, 0, 1, 25, 0, 1, 0, 0, 0, 0, 0, 0, 0)
    bitmap = struct.pack("<IiiHH4sIiiII", 40, 60_000, 60_000, 1, 24, b"MPNG", 0, 0, 0, 0, 0)
    streams = riff(b"LIST", b"strl" + riff(b"strh", stream) + riff(b"strf", bitmap))
    body = riff(b"LIST", b"hdrl" + riff(b"avih", main_header) + streams)
    body += riff(b"LIST", b"movi" + riff(b"00dc", png))
    (folder / "huge.avi").write_bytes(riff(b"RIFF", b"AVI " + body))
    return [str(folder / "huge.avi")]


def _with(*flags: str, **files: bytes) -> Maker:
    """A good video, with files beside it and flags that name them as {name}."""

    def make(folder: Path) -> list[str]:
        for name, data in files.items():
            (folder / f"{name}.txt").write_bytes(data)
        return [str(_video(folder)), *(flag.replace("@", f"{folder}/") for flag in flags)]

    return make


def _words(*words: str) -> Maker:
    return lambda folder: list(words)


PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:9,\nhttp://127.0.0.1:PORT/piece.ts\n#EXT-X-ENDLIST\n"
NESTED = b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nhttp://127.0.0.1:PORT/inner.m3u8\n"
CONCAT = b"ffconcat version 1.0\nfile 'http://127.0.0.1:PORT/a.mp4'\n"
DASH = (
    b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period>'
    b'<AdaptationSet mimeType="video/mp4">'
    b"<Representation><BaseURL>http://127.0.0.1:PORT/a.mp4</BaseURL></Representation></AdaptationSet></Period></MPD>"
)

CASES: dict[str, tuple[Maker, str]] = {
    "no such file": (_words("/nowhere/at/all.mp4"), "there is no file"),
    "0 bytes": (_file("a.mp4", b""), "is empty"),
    "text named mp4": (_file("a.mp4", b"This is not a video at all.\n" * 50), "it is text"),
    "noise named mp4": (_file("a.mp4", np.random.default_rng(7).bytes(50_000)), "no recording that can be read"),
    "a page named mp4": (_file("a.mp4", b"<!doctype html><html><body>404</body></html>"), "it is a web page"),
    "an archive named mp4": (_zip, "it is an archive"),
    "a picture named mp4": (_file("a.mp4", b"\x89PNG\r\n\x1a\n" + b"\0" * 200), "it is a picture"),
    "a header alone": (_file("a.mp4", b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + b"\0" * 50), "its index is missing"),
    "cut off before its index": (_headless, "its index is missing"),
    "hls playlist named mp4": (_file("a.mp4", PLAYLIST), "it is a playlist"),
    "nested hls playlist": (_file("a.m3u8", NESTED), "it is a playlist"),
    "concat script": (_file("a.mp4", CONCAT), "it is a playlist"),
    "dash manifest": (_file("a.mp4", DASH), "it is a playlist"),
    "a folder without recordings": (_empty_folder, "holds no recordings"),
    "a pipe": (_pipe, "is not a file"),
    "a link to itself": (_loop, "there is no file"),
    "a picture of 10 GB": (_huge_picture, "holds neither sound nor pictures that can be decoded"),
    "no sound": (lambda folder: [str(_video(folder, sound=False))], "it has no sound"),
    "silence": (_silent, "only silence"),
    "a tone, no speech": (lambda folder: [str(_video(folder))], "holds no speech"),
    "scrambled inside": (_scrambled, "nothing is said"),
    "broken subtitles": (_with("--subtitles", "@s.txt", s=b"no subtitles"), "subtitles"),
    "subtitles in another encoding": (_with("--subtitles", "@s.txt", s=SPOKEN.encode("utf-8") + b"\xff\xe4"), "UTF-8"),
    "no such subtitles": (_with("--subtitles", "@none.srt"), "there is no file"),
    "no such glossary": (_with("--glossary", "@none.txt"), "none.txt"),
    "a glossary without a name": (_with("--glossary", "@g.txt", g=b"ok\n: variant\n"), "line 2"),
    "a glossary of bytes": (_with("--glossary", "@g.txt", g=b"\xff\xfe\x00\xd8"), "UTF-8"),
    "a language that is none": (_with("--language", "english!"), "must be a code"),
    "too many figures": (_with("--figures", "501"), "from 0 to 500"),
    "a stage that is none": (_with("--again", "nothing"), "is no stage"),
    "a file address": (_words("file:///etc/passwd"), "only http:// and https://"),
    "an address with a password": (_words("http://a:secret@example.org/v"), "a name or a password"),
    "an address without a host": (_words("http:///v.mp4"), "only http:// and https://"),
}


@pytest.mark.parametrize("name", CASES)
def test_one_clear_line(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make, why = CASES[name]
    arguments = make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert main(["article", *arguments, "--to", str(tmp_path / "out")]) == 2
    told = capsys.readouterr()
    (line,) = (one for one in told.err.splitlines() if not re.match(r"\w+: \d+%", one))  # a slow machine tells how far
    assert told.out == "" and line.startswith("moonlet: ") and told.err.endswith(f"{line}\n"), told.err
    assert why in line and "secret" not in told.err and len(line) < 500 + 2 * len(str(tmp_path))
    if "out" in {path.name for path in set(tmp_path.rglob("*")) - set(before)}:
        assert list((tmp_path / "out").glob("*.json")), "a folder was left in which nothing is"


def test_a_file_where_the_folder_would_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "taken").write_bytes(b"mine")
    for to in ("taken", "taken/below"):
        assert main(["article", str(_video(tmp_path)), "--to", str(tmp_path / to)]) == 2
        assert "cannot be a folder" in capsys.readouterr().err
    assert (tmp_path / "taken").read_bytes() == b"mine"


def test_there_are_25_of_them() -> None:
    assert len(CASES) >= 25


@pytest.mark.parametrize("script", [PLAYLIST, NESTED, CONCAT, DASH], ids=["hls", "nested", "concat", "dash"])
def test_a_file_cannot_make_us_ask_the_network(script: bytes, tmp_path: Path) -> None:
    asked: list[str] = []

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        for name in ("a.mp4", "a.m3u8", "a.ffconcat", "a.mpd"):
            (tmp_path / name).write_bytes(script.replace(b"PORT", str(server.server_address[1]).encode()))
            assert main(["article", str(tmp_path / name), "--to", str(tmp_path / "out")]) == 2
    finally:
        server.shutdown()
        server.server_close()
    assert asked == []


def test_in_a_batch_the_others_are_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    queue = tmp_path / "queue"
    queue.mkdir()
    (queue / "a.mp4").write_bytes(b"nothing")
    write(queue / "b.mp4", shots([(noise(1), 1.0)]))
    (queue / "b.srt").write_text(SPOKEN)
    (queue / "notes.txt").write_text("not one of them")
    claim(write(queue / "c.mkv", shots([(noise(1), 1.0)])), 36_000)
    assert main(["article", str(queue), "--to", str(tmp_path / "out")]) == 2
    told = capsys.readouterr()
    assert "1 of 3" in told.err and "a.mp4 is no recording" in told.err and "nothing is said in" in told.err
    assert "b: en, 1 sentences" in told.out
    assert (tmp_path / "out" / "b.article" / "glossary.json").is_file()
    assert not (tmp_path / "out" / "a.article").exists()
