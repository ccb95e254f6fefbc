"""A hub on loopback: the few endpoints through which huggingface_hub finds and downloads a repository.

    with Mirror({"owner/name": folder}) as mirror:      # mirror.url goes into HF_ENDPOINT

Faults are switched on by its attributes; `log` holds what was asked for.
"""

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import unquote

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def digest(path: Path) -> str:
    """What a hub calls a file by: sha256 of large ones, git's sha1 of the others."""
    data = path.read_bytes()
    if path.suffix == ".safetensors":
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Mirror:
    def __init__(self, repositories: dict[str, Path]) -> None:
        self.repositories = repositories
        self.commit = COMMIT
        self.token: str | None = None  # when set, asked of everybody
        self.cut_off: dict[str, int] = {}  # file -> the bytes after which the connection is closed, once each
        self.replaced: dict[str, bytes] = {}  # file -> what is sent instead of it
        self.log: list[str] = []  # "METHOD path", "RANGE file from"
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: Any) -> None: ...

            def do_GET(self) -> None:
                mirror._answer(self, body=True)

            def do_HEAD(self) -> None:
                mirror._answer(self, body=False)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Mirror:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def fetched(self) -> list[str]:
        """The files whose bytes were asked for, in order."""
        return [line.rsplit("/", 1)[1] for line in self.log if line.startswith("GET") and "/resolve/" in line]

    def _answer(self, request: BaseHTTPRequestHandler, body: bool) -> None:
        path = unquote(request.path.partition("?")[0])
        self.log.append(f"{request.command} {path}")
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            self._send(request, 401, b"{}", {"X-Error-Code": "RepoNotFound"}, body)
            return
        for name, folder in self.repositories.items():
            if path.startswith(f"/api/models/{name}"):
                _, _, asked = path.partition("/revision/")
                self._send(request, 200, json.dumps(self._info(name, folder, asked)).encode(), {}, body)
                return
            prefix = f"/{name}/resolve/"
            file = folder / path.removeprefix(prefix).partition("/")[2]
            if path.startswith(prefix) and file.is_file():
                self._send_file(request, file, body)
                return
        self._send(request, 404, b"{}", {"X-Error-Code": "RepoNotFound"}, body)

    def _info(self, name: str, folder: Path, commit: str) -> dict[str, Any]:
        siblings: list[dict[str, Any]] = []
        for file in sorted(folder.iterdir()):
            entry: dict[str, Any] = {"rfilename": file.name, "size": file.stat().st_size, "blobId": digest(file)}
            if file.suffix == ".safetensors":
                entry["lfs"] = {"sha256": digest(file), "size": file.stat().st_size, "pointerSize": 134}
            siblings.append(entry)
        return {"id": name, "sha": commit or self.commit, "siblings": siblings}

    def _send_file(self, request: BaseHTTPRequestHandler, file: Path, body: bool) -> None:
        data = self.replaced.get(file.name, file.read_bytes())
        commit = request.path.partition("/resolve/")[2].partition("/")[0]
        headers = {"ETag": f'"{digest(file)}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        status, begin = 200, 0
        if span := request.headers.get("Range"):
            begin = int(span.removeprefix("bytes=").partition("-")[0])
            status, headers["Content-Range"] = 206, f"bytes {begin}-{len(data) - 1}/{len(data)}"
            self.log.append(f"RANGE {file.name} {begin}")
        cut = self.cut_off.pop(file.name, None) if body else None
        self._send(request, status, data[begin:], headers, body, cut)

    def _send(
        self,
        request: BaseHTTPRequestHandler,
        status: int,
        data: bytes,
        headers: dict[str, str],
        body: bool,
        cut: int | None = None,
    ) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        if body:
            request.wfile.write(data if cut is None else data[:cut])
        if cut is not None:
            request.close_connection = True
