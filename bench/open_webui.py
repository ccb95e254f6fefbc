"""Open WebUI in front of `moonlet serve`, both on this machine and without any other network.

    python -m bench.open_webui PROGRAM [--no-page]

PROGRAM is `open-webui` of an environment of its own. What is shown: it lists the model, a conversation comes back
through its API, streamed and whole, and one through its page in Chromium (`--no-page`: not); the ledger has a row for
each. The model is the small one with a longer context. Open WebUI is started by the line that `moonlet serve` prints,
with what keeps it on this machine.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx

from bench import turns
from moonlet.cli import clients
from moonlet.ledger import report
from moonlet.ledger.database import open_database

START_S = 300.0
ROOM = 32_768  # tokens of the small vocabulary: its page sends tools of its own
# Nobody signs in, nothing is downloaded, nothing is asked of other hosts.
ALONE = {
    "WEBUI_AUTH": "False",
    "OFFLINE_MODE": "True",
    "HF_HUB_OFFLINE": "1",
    "ENABLE_VERSION_UPDATE_CHECK": "False",
    "ENABLE_PERSISTENT_CONFIG": "False",
    "RAG_EMBEDDING_ENGINE": "openai",  # otherwise it wants a model for documents
    "ANONYMIZED_TELEMETRY": "False",
    "DO_NOT_TRACK": "true",
    "SCARF_NO_ANALYTICS": "true",
}
QUESTION = "What is the weather in Oslo?"


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.open_webui")
    parser.add_argument("program", type=Path)
    parser.add_argument("--no-page", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        home, ledger = Path(place), Path(place) / "ledger.sqlite"
        flags = ["--ledger", str(ledger), "--cache-tokens", str(ROOM)]
        with (
            turns.serving(turns.longer(home / "long", ROOM), home, flags) as (url, model),
            opened(asked.program, url, model, home) as webui,
        ):
            shown = through_api(webui, model)
            if not asked.no_page:
                shown |= through_page(webui, home)
            rows = settled(ledger)
        shown["a row each"] = len(rows) >= len(shown) - 1 and all(row["state"] == "done" for row in rows)
    for row in rows:
        print(f"  {row['api']}: {row['prompt_tokens']} read, {row['output_tokens']} written, {row['state']}")
    print(shown)
    return 0 if all(shown.values()) else 1


def settled(ledger: Path) -> list[dict[str, Any]]:
    """What the ledger has, once nothing is under way: behind a reply its page asks for a title and more."""
    until = time.monotonic() + START_S
    while True:
        time.sleep(2)
        with closing(open_database(ledger)) as database:
            rows = list(report.rows(database))
        if all(row["state"] != "running" for row in rows) or time.monotonic() > until:
            return rows


@contextmanager
def opened(program: Path, url: str, model: str, home: Path) -> Iterator[str]:
    """URL of Open WebUI, once it answers."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
    line = dict(clients.lines(url.removesuffix("/v1"), model, "anything", None))["Open WebUI"]
    given = dict(word.split("=", 1) for word in shlex.split(line) if "=" in word)
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "DATA_DIR": str(home / "webui"), **ALONE, **given}
    environment["WEBUI_SECRET_KEY"] = "only for this run"
    command = [str(program), "serve", "--host", "127.0.0.1", "--port", str(port)]
    log = (home / "webui.log").open("w")
    with log, subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=home) as running:
        try:
            until = time.monotonic() + START_S
            while not answers(f"http://127.0.0.1:{port}/health"):
                if running.poll() is not None or time.monotonic() > until:
                    raise SystemExit("it did not start:\n" + (home / "webui.log").read_text()[-4000:])
                time.sleep(0.5)
            yield f"http://127.0.0.1:{port}"
        finally:
            running.terminate()


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def through_api(webui: str, model: str) -> dict[str, bool]:
    """Its version, the model's name in its list, and a conversation, streamed and whole."""
    print("Open WebUI", httpx.get(f"{webui}/api/version", timeout=30).json()["version"])
    signed = httpx.post(f"{webui}/api/v1/auths/signin", json={"email": "", "password": ""}, timeout=60).json()
    with httpx.Client(headers={"Authorization": f"Bearer {signed['token']}"}, base_url=webui, timeout=300) as client:
        listed = [one["id"] for one in client.get("/api/models").json()["data"]]
        body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": QUESTION}], "stream": True}
        said = ""
        with client.stream("POST", "/api/chat/completions", json=body) as answer:
            for each in answer.iter_lines():
                if each.startswith("data: {"):
                    for choice in json.loads(each[6:]).get("choices", ()):
                        said += choice["delta"].get("content") or ""
        whole = client.post("/api/chat/completions", json={**body, "stream": False}).json()
    print(f"streamed: {said!r}")
    text = whole["choices"][0]["message"]["content"]
    return {"the model is listed": model in listed, "streamed": bool(said), "whole": text == said}


def through_page(webui: str, home: Path) -> dict[str, bool]:
    """A conversation in its page; and whether the page asked any other host."""
    from playwright.sync_api import sync_playwright

    elsewhere: list[str] = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page()
        page.on(
            "request",
            lambda one: (
                elsewhere.append(one.url)
                if not one.url.startswith((webui, "data:", "blob:", webui.replace("http", "ws")))
                else None
            ),
        )
        page.goto(webui, wait_until="load", timeout=120_000)
        box = page.locator("#chat-input")
        box.wait_for(timeout=120_000)
        page.keyboard.press("Escape")  # what is new in this version
        box.click()
        page.keyboard.type(QUESTION)
        page.keyboard.press("Enter")
        reply = page.locator(".chat-assistant").last
        reply.wait_for(timeout=120_000)
        until = time.monotonic() + START_S
        while not (said := reply.inner_text().strip()) and time.monotonic() < until:
            time.sleep(0.2)
        page.screenshot(path=str(home / "page.png"))
        browser.close()
    print(f"page: {said!r}; asked of other hosts: {elsewhere[:5]}")
    return {"through its page": bool(said)}


if __name__ == "__main__":
    sys.exit(main())
