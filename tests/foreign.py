"""An engine of somebody else: a real server on this machine that speaks OpenAI's chat, with prepared replies."""

import json
import threading
import time
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Chunks = Sequence[dict[str, Any]]
Body = dict[str, Any]


def delta(finish: str | None = None, **parts: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": parts, "finish_reason": finish}]}


def usage(prompt: int, output: int, cached: int = 0) -> dict[str, Any]:
    details = {"cached_tokens": cached}
    return {
        "choices": [],
        "usage": {"prompt_tokens": prompt, "completion_tokens": output, "prompt_tokens_details": details},
    }


def said(text: str, finish: str = "stop", piece: int = 5) -> Chunks:
    pieces = [text[i : i + piece] for i in range(0, len(text), piece)]
    return [*(delta(content=part) for part in pieces), delta(finish), usage(10, len(pieces))]


def called(*calls: tuple[str, str], finish: str = "tool_calls", id: str = "call_abc") -> Chunks:
    """A reply that makes calls of (name, arguments), each in two parts."""
    parts = []
    for index, (name, arguments) in enumerate(calls):
        half = len(arguments) // 2
        begun = {"index": index, "id": f"{id}{index}", "type": "function"}
        parts.append(delta(tool_calls=[begun | {"function": {"name": name, "arguments": arguments[:half]}}]))
        parts.append(delta(tool_calls=[{"index": index, "function": {"arguments": arguments[half:]}}]))
    return [*parts, delta(finish), usage(20, 8)]


class Foreign:
    """Answers request after request with what `reply` makes of its body: chunks, an HTTP status that is an error, or
    the words of a refusal.
    `pause_s` lies before each chunk."""

    def __init__(
        self, reply: Callable[[Body], Chunks | int | str], model: str = "k2", port: int = 0, pause_s: float = 0.0
    ) -> None:
        self.bodies: list[Body] = []
        self.headers: list[dict[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._whole(200, {"object": "list", "data": [{"id": model}]})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.bodies.append(body)
                outer.headers.append(dict(self.headers))
                chunks = reply(body)
                if isinstance(chunks, str):
                    return self._whole(400, {"error": {"message": chunks}})
                if isinstance(chunks, int):
                    return self._whole(chunks, {"error": {"message": f"status {chunks}"}})
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.end_headers()
                try:
                    for chunk in chunks:
                        time.sleep(pause_s)
                        self.wfile.write(
                            f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode("utf-8", "replace")
                        )
                        self.wfile.flush()
                    self.wfile.write(b"data: [DONE]\n\n")
                except OSError:
                    pass

            def _whole(self, status: int, body: Body) -> None:
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

        self.server = Server(("127.0.0.1", port), Handler)
        self.port = self.server.server_port
        self.name = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.name}/v1"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def __enter__(self) -> "Foreign":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """From now on nobody is there."""
        self.server.shutdown()
        self.server.server_close()
