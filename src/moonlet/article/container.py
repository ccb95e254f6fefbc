"""Opening a recording that nobody vouches for: known containers only, local files only, bounded pictures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from moonlet.article.stages import StageError

# Containers that hold streams themselves. Playlists (hls, dash, concat, ffconcat) name other files and addresses, which
# the decoder would open on behalf of whoever wrote them.
CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,mpegts,mpeg,ogg,wav,w64,aiff,caf,flac,mp3,aac,ac3,eac3,amr,asf,mxf,"
    "wv,ape,tta,h264,hevc,obu,m4v,mpegvideo,gif,nut,dv,rm,au,opus"
)
MAX_PIXELS = 8192 * 4320  # of a frame: what claims more is refused by the decoder before it takes memory
OPTIONS = {"protocol_whitelist": "file", "format_whitelist": CONTAINERS, "max_pixels": str(MAX_PIXELS)}


class MediaError(StageError):
    """A file that cannot be used as a recording."""


def must_be_file(path: Path) -> None:
    """Raises MediaError if it is none."""
    if not path.is_file():
        raise MediaError(f"{path} is not a file" if path.exists() else f"there is no file {path}")


def must_hold_bytes(path: Path) -> None:
    """Raises MediaError if it is no file, or an empty one."""
    must_be_file(path)
    if path.stat().st_size == 0:
        raise MediaError(f"{path} is empty (0 bytes)")


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The open container. Raises MediaError if it is none."""
    must_hold_bytes(path)
    try:
        # As file:NAME: a name with a colon in it must not be taken for a protocol.
        container = av.open(f"file:{path}", options=OPTIONS, metadata_errors="replace")
    except (av.error.FFmpegError, ValueError, OSError) as error:
        raise MediaError(f"{path} is no recording that can be read: {_looks_like(path) or reason(error)}") from None
    try:
        yield container
    finally:
        container.close()


# How files begin that are often taken for recordings, and what they are.
_OTHERS = (
    (b"PK\x03\x04", "it is an archive (zip)"),
    (b"\x1f\x8b", "it is an archive (gzip)"),
    (b"Rar!", "it is an archive (rar)"),
    (b"7z\xbc\xaf", "it is an archive (7z)"),
    (b"%PDF", "it is a PDF document"),
    (b"\x89PNG", "it is a picture (PNG)"),
    (b"\xff\xd8\xff", "it is a picture (JPEG)"),
    (b"GIF8", "it is a picture (GIF)"),
    (b"#EXTM3U", "it is a playlist, and the files and addresses that it names are not opened"),
    (b"ffconcat", "it is a playlist, and the files and addresses that it names are not opened"),
    (b"[playlist]", "it is a playlist, and the files and addresses that it names are not opened"),
)
_PAGE = re.compile(rb"\s*(?:<!doctype html|<html|<head)", re.IGNORECASE)
_MANIFEST = re.compile(rb"\s*<\?xml[^>]*>\s*<MPD|\s*<MPD", re.IGNORECASE)


def _looks_like(path: Path) -> str | None:
    """What a file that cannot be decoded is, by its beginning; None if that says nothing."""
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError:
        return None
    for begins, told in _OTHERS:
        if head.startswith(begins):
            return told
    if _PAGE.match(head):
        return "it is a web page"
    if _MANIFEST.match(head):
        return "it is a playlist, and the files and addresses that it names are not opened"
    if head[4:8] == b"ftyp":
        return "its index is missing: it was cut off, or is not written to its end yet"
    if _is_text(head):
        return "it is text"
    return None


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # a sign may be cut in two where the reading ended
            return False
        text = head[: error.start].decode("utf-8")
    return all(sign.isprintable() or sign in "\r\n\t" for sign in text)


def reason(error: BaseException) -> str:
    """A decoder's complaint in a few words."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split())[:120]


def frames(container: Any, stream: Any, broken: list[str]) -> Iterator[Any]:
    """The frames of one stream, in order of time. What cannot be decoded is left out; the complaints are added to
    `broken`, each kind once. Ends where the file ends, also if it is cut short."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except (av.error.FFmpegError, OSError) as error:
            note(broken, error)
            return
        try:
            decoded = packet.decode()
        except av.error.FFmpegError as error:
            if isinstance(error, EOFError):
                return
            note(broken, error)
            continue
        yield from decoded


def note(broken: list[str], error: BaseException) -> None:
    """Adds a decoder's complaint to those that were heard, each kind once."""
    if reason(error) not in broken:
        broken.append(reason(error))


def seconds(pts: int | None, base: Fraction | None, start: float) -> float | None:
    """A timestamp as seconds from the recording's beginning."""
    return None if pts is None or base is None else float(pts * base) - start


def beginning(container: Any) -> float:
    """The second at which the container's clock begins: subtracted from every time, as players do."""
    return container.start_time / av.time_base if container.start_time is not None else 0.0
