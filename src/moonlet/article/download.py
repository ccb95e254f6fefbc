"""Recordings from the network, by yt-dlp, in a process of its own that cannot reach private addresses.

yt-dlp follows redirects and asks many hosts. What is judged is therefore not the address that was given but every
connection that Python makes in the process: an audit hook, which no code can take out again, sees the numeric address
at the moment of connecting, behind all redirects and look-ups, and refuses what is not the public internet. Compiled
code that opens sockets itself would not be seen; curl_cffi, which yt-dlp would use, is switched off.
"""

from __future__ import annotations

import ipaddress
import json
import math
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

from moonlet.article.container import MediaError
from moonlet.article.source import Source, digest, link_template
from moonlet.article.stages import Stage, Tell, silent, write_whole
from moonlet.llm.characters import whole_characters
from moonlet.tools.fetch import public

MAX_BYTES = 20 << 30
STALL_S, STALL_BYTES = 600, 256 << 10  # so little in so long is no download
MAX_ENTRIES = 200  # of a playlist
_NAME = "recording"  # of all files that yt-dlp writes, before the first dot
_KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "LD_LIBRARY_PATH")


class DownloadError(MediaError):
    """An address that gives no recording."""


@dataclass(frozen=True, slots=True)
class DownloadSettings:
    """Hosts and networks that may be reached although they are not public."""

    allow: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """What lies at an address: one recording, or the addresses of several."""

    address: str
    title: str
    entries: tuple[str, ...] = ()


def look_up(address: str, settings: DownloadSettings) -> Found:
    """What lies at an address, without downloading it. Raises DownloadError; also for playlists in playlists."""
    told = _ask({"address": check(address), "allow": _networks(settings.allow), "into": None}, silent)
    entries = told.get("entries")
    if entries is None:
        return Found(address, str(told["title"]))
    if any(one["nested"] for one in entries):
        raise DownloadError(f"{address} is a list of playlists; give one of them")
    addresses = tuple(str(one["address"]) for one in entries if one["address"])
    if not addresses:
        raise DownloadError(f"{address} is a playlist without entries")
    if len(addresses) > MAX_ENTRIES:
        raise DownloadError(f"{address} is a playlist of more than {MAX_ENTRIES} entries")
    return Found(address, str(told["title"]), addresses)


def download(address: str, folder: Path, settings: DownloadSettings, tell: Tell = silent) -> Source:
    """Downloads into `folder/download`; what an interrupted run left is continued, what came from another address is
    removed. Raises DownloadError."""
    own = folder / "download"
    request = {"address": check(address), "allow": _networks(settings.allow), "into": str(own)}
    if held(folder) != address:  # yt-dlp takes a file of the name, whole or begun, for the one that it is to fetch
        for one in own.glob(f"{_NAME}.*"):  # and nothing else: a folder that a person named may hold their own files
            one.unlink()
        write_whole(own / ".address", address)
    told = _ask(request, tell)
    if "path" not in told:
        raise DownloadError(f"{address} is a playlist; give one of its recordings")
    path = Path(told["path"])
    if not path.is_file() or path.stat().st_size == 0:
        raise DownloadError(f"{address}: nothing was downloaded")
    subtitles = sorted(one for one in own.glob(f"{_NAME}.*") if one.suffix in (".vtt", ".srt", ".ass"))
    names = tuple(str(one.relative_to(folder)) for one in subtitles)
    link = link_template(str(told.get("page") or address))
    return Source(address, str(path.relative_to(folder)), digest(path, *subtitles), str(told["title"]), link, names)


def held(folder: Path) -> str | None:
    """The address of what lies in `folder/download`, whole or begun; None if that is not known."""
    try:
        return (folder / "download" / ".address").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None


STAGE = Stage("download", 1, str, DownloadSettings, Source, download)


def check(address: str) -> str:
    """The address, if it is one that may be asked. Raises DownloadError."""
    try:
        parts = urlsplit(address)
        port_is_number = parts.port is None or parts.port > 0
    except ValueError:
        raise DownloadError(f"{address!r} is no address") from None
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname or not port_is_number:
        raise DownloadError(f"{address!r}: only http:// and https:// addresses can be downloaded")
    if "@" in parts.netloc:
        raise DownloadError("an address with a name or a password in it is not asked")
    return address


def _networks(allow: Sequence[str]) -> list[str]:
    """Networks; a name becomes the addresses that it has now."""
    found = []
    for one in allow:
        try:
            found.append(str(ipaddress.ip_network(one, strict=False)))
        except ValueError:
            with suppress(OSError, UnicodeError):
                found += [str(entry[4][0]).split("%")[0] for entry in socket.getaddrinfo(one, None)]
    return found


def _ask(request: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """What the other process answers."""
    command = [sys.executable, "-P", "-m", "moonlet.article.download"]
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    pipe = subprocess.PIPE
    child = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment)
    assert child.stdin and child.stdout and child.stderr
    complaints: list[str] = []
    errors = child.stderr
    reader = threading.Thread(target=lambda: complaints.extend(errors), daemon=True)
    reader.start()
    try:
        with suppress(BrokenPipeError):
            child.stdin.write(json.dumps(request))
            child.stdin.close()
        for line in child.stdout:
            told = whole_characters(json.loads(line))
            if "error" in told:
                raise DownloadError(told["error"])
            if "done" not in told:
                return dict(told)
            tell(told["done"], told["of"])
        reader.join(5)
        raise DownloadError(f"the download ended early: {(complaints or ['no reason given'])[-1].strip()}")
    finally:
        child.kill()
        child.wait()
        for stream in (child.stdout, errors):
            stream.close()


# What follows runs in the other process.


class Refused(Exception):
    """A connection that may not be made."""


def guard(allow: Sequence[str]) -> list[str]:
    """From now on, this process connects only to public addresses and to those that are allowed; for good. Gives the
    list to which refusals are added: whoever is refused may hide it in an error of its own."""
    networks, refusals = [ipaddress.ip_network(one) for one in allow], list[str]()

    def refuse(why: str) -> NoReturn:
        refusals.append(why)
        raise Refused(why)

    def judge(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("socket.connect", "socket.sendto", "socket.sendmsg", "socket.bind"):
            address = arguments[1]
            if event == "socket.sendmsg" and address is None:
                return  # over a connection, which was judged
            host = str(address[0]).split("%")[0] if isinstance(address, tuple) else ""
            if event == "socket.bind" and isinstance(address, tuple):
                return  # needed for a source address; nobody is reached by it
            try:
                numeric = ipaddress.ip_address(host)
            except ValueError:
                refuse(f"it leads to {address!r}, which is no numeric address")
            if not public(numeric) and not any(numeric in network for network in networks):
                refuse(f"it leads to {host}, which is not an address of the public internet")
        elif event == "subprocess.Popen":
            # Programs that join files may run; those that would fetch something themselves are not judged here.
            if any("://" in str(part) for part in arguments[1] or ()):
                refuse("another program would reach the network")
        elif event in ("os.system", "os.exec", "os.posix_spawn", "os.spawn"):
            refuse("another program would be started")

    sys.addaudithook(judge)
    return refusals


class _Stall:
    """Ends this process when hardly anything has come for STALL_S, even a byte now and then."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell = tell
        self._bytes, self._since = 0, time.monotonic()

    def start(self) -> None:
        """From now on, in a thread of its own."""
        threading.Thread(target=self._watch, daemon=True).start()

    def heard(self, told: Mapping[str, Any]) -> None:
        """yt-dlp's word of its progress. When a file is whole, what is done with it takes as long as it takes."""
        count = told.get("downloaded_bytes") or 0
        if told.get("status") == "finished":
            self._since = math.inf
        elif abs(count - self._bytes) >= STALL_BYTES or math.isinf(self._since):
            self._bytes, self._since = count, time.monotonic()

    def _watch(self) -> None:
        while time.monotonic() - self._since < STALL_S:
            time.sleep(min(STALL_S, 1.0))
        self._tell()
        os._exit(1)


def main() -> None:
    """Reads one request from standard input, answers in lines of JSON."""
    request = json.load(sys.stdin)
    out, parent = sys.stdout, os.getppid()
    sys.stdout = sys.stderr  # whatever a library prints

    def answer(told: Mapping[str, Any]) -> None:
        print(json.dumps(told), file=out, flush=True)

    stall = _Stall(lambda: answer({"error": f"{request['address']}: nothing came for {STALL_S // 60} minutes"}))
    stall.start()

    def progress(told: Mapping[str, Any]) -> None:
        if os.getppid() != parent:
            os._exit(1)  # whoever asked is gone
        stall.heard(told)
        if (told.get("downloaded_bytes") or 0) > MAX_BYTES:  # a reply in chunks says no length before
            raise DownloadError(f"it is larger than {MAX_BYTES >> 30} GiB")
        total = told.get("total_bytes") or told.get("total_bytes_estimate") or 0
        if told.get("status") == "downloading" and total:
            answer({"done": told.get("downloaded_bytes") or 0, "of": total})

    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_BYTES, MAX_BYTES))
    sys.modules["curl_cffi"] = None  # type: ignore[assignment]  # it connects in C, where no hook sees it
    try:
        import yt_dlp
    except ImportError:
        answer({"error": "addresses need yt-dlp: pip install 'moonlet[download]'"})
        return
    refusals = guard(request["allow"])
    try:
        answer(_extract(yt_dlp, request, progress))
    except Exception as error:  # told in one line, whatever it was
        answer({"error": f"{request['address']}: {refusals[-1] if refusals else _line(error)}"})


def _extract(yt_dlp: Any, request: Mapping[str, Any], progress: Any) -> dict[str, Any]:
    into = request["into"]
    with yt_dlp.YoutubeDL({**_OPTIONS, "paths": {"home": into or "."}, "progress_hooks": [progress]}) as session:
        info = session.extract_info(request["address"], download=into is not None)
    title = str(info.get("title") or "recording")
    if info.get("_type") in ("playlist", "multi_video"):
        found = [
            {
                "address": one.get("webpage_url") or one.get("url"),
                "nested": one.get("_type") == "playlist" or "entries" in one,
            }
            for one in info.get("entries") or ()
        ]
        return {"title": title, "entries": found}
    if into is None:
        return {"title": title}
    files = info.get("requested_downloads") or ()
    if not files:
        raise DownloadError("there is no recording there that can be downloaded")
    return {"title": title, "page": info.get("webpage_url"), "path": files[0]["filepath"]}


class _Quiet:
    """yt-dlp's messages: its errors are raised too."""

    def debug(self, text: str) -> None: ...
    def info(self, text: str) -> None: ...
    def warning(self, text: str) -> None: ...
    def error(self, text: str) -> None: ...


_OPTIONS: dict[str, Any] = {
    "quiet": True,
    "no_warnings": True,
    "noprogress": True,
    "logger": _Quiet(),
    "outtmpl": {"default": f"{_NAME}.%(ext)s"},
    "noplaylist": True,  # of a recording in a list, the recording
    "extract_flat": "in_playlist",
    "playlistend": MAX_ENTRIES + 1,
    "format_sort": ["res:1080"],
    "format": "bestvideo*+bestaudio/best" if shutil.which("ffmpeg") else "best/bestvideo*",
    "merge_output_format": "mkv",
    "fixup": "never",
    "writesubtitles": True,  # written by people; not the automatic ones
    "subtitleslangs": ["all", "-live_chat"],
    "subtitlesformat": "vtt/srt/ass/best",
    "cachedir": False,
    "proxy": "",  # behind a proxy nobody here could judge where it leads
    "socket_timeout": 20,
    "retries": 3,
    "max_filesize": MAX_BYTES,
    "hls_prefer_native": True,
    "external_downloader": {"default": "native"},
    "updatetime": False,
}


def _line(error: BaseException) -> str:
    """The reason in one line, without colours."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error) or type(error).__name__)
    text = re.sub(r"^ERROR: (\[[^\]]+\] )?(\S+: )?", "", text).split(" (caused by")[0]
    return " ".join(text.split()).split("; please report this issue")[0][:300]


if __name__ == "__main__":
    main()
