"""What an article is made from: a file, an address, or several of them as a batch."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from moonlet.article.container import MediaError, must_be_file, must_hold_bytes

_SUFFIX = re.compile(
    r"\.(mp4|m4v|mov|mkv|webm|avi|flv|m?ts|m2ts|mpe?g|wmv|ogv|3gp|mxf|mp3|m4a|aac|wav|flac|og[ga]|opus|wma|aiff|amr|caf)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Source:
    """A recording on this machine. The digest makes another content another source, whatever its name and date."""

    asked: str  # the path or address that was given
    path: str  # absolute, or below the article's folder if it was downloaded
    digest: str  # sha256 of the file, and of the subtitles
    title: str
    link: str | None = None  # address with {seconds} in it
    subtitles: tuple[str, ...] = ()  # files that came with it


def is_address(text: str) -> bool:
    """Whether this names something on the network, not a file."""
    return urlsplit(text).scheme.lower() in ("http", "https") if "://" in text else False


def must_be_there(path: Path, subtitles: Path | None = None) -> None:
    """Raises MediaError if the recording or its subtitles cannot be; nothing is read."""
    must_hold_bytes(path)
    if subtitles:
        must_be_file(subtitles)


def from_file(path: Path, subtitles: Path | None = None) -> Source:
    """The source that a file is, with these subtitles or those beside it under its name. It is read through, for its
    digest. Raises MediaError."""
    must_be_there(path, subtitles)
    with_it = [subtitles] if subtitles else beside(path)
    title = path.stem.replace("_", " ").strip() or path.name
    return Source(str(path), str(path.resolve()), digest(path, *with_it), title, None, tuple(map(str, with_it)))


def beside(path: Path) -> list[Path]:
    """Subtitle files of the recording's name: `talk.srt`, `talk.en.vtt` for `talk.mp4`."""
    found = []
    for one in sorted(path.parent.iterdir()):
        name = one.name.removeprefix(path.stem)
        if name != one.name and re.fullmatch(r"(\.[A-Za-z-]{2,10})?\.(srt|vtt|ass|ssa)", name) and one.is_file():
            found.append(one.resolve())
    return found


def digest(*paths: Path) -> str:
    """sha256 of a file's content; of several, of their digests."""
    each = []
    for path in paths:
        with path.open("rb") as file:
            each.append(hashlib.file_digest(file, "sha256").hexdigest())
    return each[0] if len(each) == 1 else hashlib.sha256(" ".join(each).encode()).hexdigest()


def batch(folder: Path) -> list[Path]:
    """The recordings that lie in a folder, by name; not those of folders in it. Raises MediaError if there are none."""
    found = sorted(path for path in folder.iterdir() if _SUFFIX.fullmatch(path.suffix) and path.is_file())
    if not found:
        raise MediaError(f"{folder} holds no recordings (files like .mp4, .mkv, .mp3)")
    return found


def link_template(address: str) -> str | None:
    """How a page of a video site is told to begin at a second; None where that is not known."""
    parts = urlsplit(address)
    host = (parts.hostname or "").removeprefix("www.").removeprefix("m.")
    bare = address.split("#")[0]
    if host in ("youtube.com", "youtu.be", "dailymotion.com"):
        name = "start" if host == "dailymotion.com" else "t"
        return f"{bare}{'&' if parts.query else '?'}{name}={{seconds}}"
    if host == "vimeo.com":
        return f"{bare}#t={{seconds}}s"
    if host in ("bilibili.com", "twitch.tv"):
        unit = "s" if host == "twitch.tv" else ""
        return f"{bare}{'&' if parts.query else '?'}t={{seconds}}{unit}"
    if _SUFFIX.fullmatch(Path(parts.path).suffix):  # the file itself: what a player is told
        return f"{bare}#t={{seconds}}"
    return None
