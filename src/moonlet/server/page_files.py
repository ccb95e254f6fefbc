"""The page's files: read once, sent compressed, and sent again only when they have changed.

They hold no secrets and come without a key; what the page shows it asks for with the key of whoever looks at it. Its
policy lets nothing run but these files, and nothing be asked but this server.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import mimetypes
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from moonlet.server.errors import ApiError

ROOT = Path(__file__).parent / "page"
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "font-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types dompurify",
    )
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # Asked for anew each time, and mostly answered with 304: a page that was updated is never half old.
    "Cache-Control": "no-cache",
    "Vary": "Accept-Encoding",
}
_KINDS = {".js": "text/javascript", ".json": "application/json", ".svg": "image/svg+xml", ".woff2": "font/woff2"}
_PACKED = {".woff2", ".png"}  # compressed by themselves
_WORDS = {f"i18n/{language}.json" for language in ("en", "th", "zh")}


@dataclass(frozen=True, slots=True)
class File:
    """What is sent of a file, and its tag."""

    kind: str  # of its content, for Content-Type
    plain: bytes
    packed: bytes | None  # gzip, where that is smaller
    tag: str


def find(name: str) -> File | None:
    """A file of the page by its path below it, or None. What has changed on disk is read anew."""
    path = ROOT / name
    if name in _WORDS:
        return _words(path.with_suffix(""), max(one.stat().st_mtime_ns for one in path.with_suffix("").iterdir()))
    try:
        # Resolved, so that no path leads out of the folder.
        if not path.resolve().is_relative_to(ROOT.resolve()) or not path.is_file():
            return None
        return _read(path, path.stat().st_mtime_ns)
    except (OSError, ValueError):  # a name that no file can have, or one that is just being replaced
        return None


@lru_cache(maxsize=512)
def _read(path: Path, changed_ns: int) -> File:
    return _file(path, path.read_bytes())


@lru_cache(maxsize=16)
def _words(folder: Path, changed_ns: int) -> File:
    """All catalogues of a language in one, so that they are asked for once."""
    all_of_it = {path.stem: json.loads(path.read_bytes()) for path in sorted(folder.glob("*.json"))}
    return _file(folder.with_suffix(".json"), json.dumps(all_of_it, ensure_ascii=False).encode())


def _file(path: Path, plain: bytes) -> File:
    packed = None if path.suffix in _PACKED else gzip.compress(plain, 9, mtime=0)
    kind = _KINDS.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    text = kind.startswith("text/") or kind.endswith("json")
    return File(f"{kind}; charset=utf-8" if text else kind, plain, packed, hashlib.sha256(plain).hexdigest()[:24])


def send(request: Request, name: str) -> Response:
    """The file, or 304 if the browser has it. Raises ApiError 404."""
    file = find(name)
    if file is None:
        raise ApiError(f"GET {request.url.path}: there is no such file", status=404)
    # Each coding has a tag of its own, so that caches never mix them.
    packs = file.packed is not None and "gzip" in request.headers.get("accept-encoding", "")
    tag = f'"{file.tag}{"-gz" if packs else ""}"'
    headers = {**_HEADERS, "ETag": tag}
    known = {one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")}
    if tag in known:
        return Response(status_code=304, headers=headers)
    if packs:
        headers["Content-Encoding"] = "gzip"
    return Response(file.packed if packs else file.plain, headers=headers, media_type=file.kind)


def mount(app: FastAPI) -> None:
    """The page at / for browsers, its files below /page/; clients that ask for no HTML are told who is there."""

    @app.head("/", include_in_schema=False)
    @app.get("/", include_in_schema=False)
    async def root(request: Request) -> Response:
        if "text/html" in request.headers.get("accept", ""):
            return send(request, "index.html")
        return JSONResponse({"server": "moonlet"}, headers={"Vary": "Accept"})

    @app.get("/page/{name:path}", include_in_schema=False)
    async def file(request: Request, name: str) -> Response:
        return send(request, name)
