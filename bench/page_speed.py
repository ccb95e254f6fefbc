"""How fast the page is in a real Chromium, with a model that writes by a script: three figures and what they rest on.

    python -m bench.page_speed [--turns N]

1. first content: a browser that was never here opens the page; from asking for it until something is drawn, and until
   the first view is whole. Over loopback, and over a line of 40 ms and 10 Mbit/s. Bytes are those on the wire.
2. typing: more than 50 tokens a second stream into a conversation of 5,000 messages, at its end, while somebody types
   ten keys a second. From pressing a key until the next picture, as the browser's Event Timing has it (in steps of
   8 ms; it does not tell what took less than 16 ms, which is counted as 16).
3. scrolling: the same 5,000 messages from their end upwards, a turn of the wheel every 16 ms for eight seconds; times
   between pictures, and tasks that kept the page busy for more than 50 ms.

The load average of the machine stands beside them: a busy one makes all of them worse.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import socket
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import uvicorn
from playwright.sync_api import Browser, Page, sync_playwright

from moonlet.llm.scripted import Scripted
from moonlet.server.app import create_app

MESSAGES = 5000
TOKENS_S = 65  # asked for: each costs a little besides its pause, and at least 50 are to come
STORY = (
    "### What a ledger is\n\nIt keeps **every request** as one row, with `tokens`, *seconds* and joules.\n\n"
    "| kind | a token |\n|---|--:|\n| prompt | 0.2 |\n| written | 1.0 |\n\n"
    "```python\ntotal = sum(row.joules for row in rows)\nprint(f\"{total:.1f} J\")\n```\n\n"
    "1. It is added up by day, by key and by model.\n2. Nothing is rounded on the way.\n\n"
)  # fmt: skip
ROUND_S, BITS_S = 0.04, 10e6  # of the slow line: there and back, and in all each way

PAINT = """() => new Promise((done) => {
  const paint = performance.getEntriesByName('first-contentful-paint')[0];
  const sizes = performance.getEntries().map((one) => one.transferSize ?? 0);
  done({ content: paint?.startTime, whole: performance.now(), bytes: sizes.reduce((sum, one) => sum + one, 0) });
})"""
FILL = """async (count) => {
  const { shelf } = await import(new URL('page/talks.js', document.baseURI));
  const nodes = {};
  let parent = null;
  for (let i = 0; i < count; i++) {
    const id = 'n' + i;
    const text = `Answer **${i}**: it is \\`${i * 7}\\`.\\n\\n- one\\n- two\\n\\n\\`\\`\\`\\nx = ${i}\\n\\`\\`\\`\\n`;
    nodes[id] = i % 2
      ? { id, parent, role: 'assistant', parts: [{ kind: 'text', reply: 0, text }], replies: [], state: 'done' }
      : { id, parent, role: 'user', text: `Message ${i}` };
    parent = id;
  }
  await shelf('browser').keep({ id: 'long', title: 'Long', changed: 1, leaf: parent, nodes });
  location.hash = '#/talk/long';
}"""
WATCH = """() => {
  window.keys = []; window.tasks = []; window.frames = [];
  const hear = (into, options, wanted) => new PerformanceObserver((list) => {
    for (const one of list.getEntries()) if (wanted(one.name)) into.push(one.duration);
  }).observe(options);
  hear(keys, { type: 'event', durationThreshold: 16 }, (name) => name === 'keydown');
  hear(tasks, { type: 'longtask' }, () => true);
  let before = performance.now();
  const next = (now) => { frames.push(now - before); before = now; requestAnimationFrame(next); };
  requestAnimationFrame(next);
}"""


@contextmanager
def served() -> Iterator[str]:
    """A server whose model writes a long story, so many pieces a second."""
    app = create_app(Scripted([STORY * 40] * 20, pause_s=1 / TOKENS_S))
    bound = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join(10)


@contextmanager
def slow_line(url: str) -> Iterator[str]:
    """The same server behind a line of ROUND_S and BITS_S: the browser's own emulation loses answers."""
    loop, free = asyncio.new_event_loop(), [0.0, 0.0]  # when each way has sent what it was given
    place = urlsplit(url)

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: int) -> None:
        with suppress(OSError):
            while data := await reader.read(16_384):
                free[way] = max(free[way], loop.time()) + len(data) * 8 / BITS_S
                loop.call_at(
                    free[way] + ROUND_S / 2, writer.write, data
                )  # in their order, and many on their way at once
        loop.call_at(max(free[way], loop.time()) + ROUND_S / 2, writer.close)

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(ROUND_S)  # to make the connection
        back, forth = await asyncio.open_connection(place.hostname, place.port)
        await asyncio.gather(carry(reader, forth, 0), carry(back, writer, 1))

    server = loop.run_until_complete(asyncio.start_server(accept, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


def first_content(browser: Browser, url: str) -> dict[str, float]:
    """Milliseconds until something is drawn and until the first view is whole, and the bytes that it took."""
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    page = context.new_page()
    page.goto(url, wait_until="commit")
    page.wait_for_selector(".tries button >> nth=2")
    found: dict[str, float] = page.evaluate(PAINT)
    context.close()
    return found


def long_conversation(browser: Browser, url: str) -> tuple[Page, float]:
    """A window in which it is open, and the seconds that opening it took."""
    page = browser.new_context(viewport={"width": 1280, "height": 860}).new_page()
    page.goto(url)
    page.wait_for_selector(".tries")
    page.evaluate(FILL, MESSAGES)
    page.wait_for_selector(f"text=Answer {MESSAGES - 1}")
    page.reload()
    began = time.perf_counter()
    page.wait_for_selector(f"text=Answer {MESSAGES - 1}")
    return page, time.perf_counter() - began


def typing(page: Page) -> tuple[list[float], list[float], float]:
    """Milliseconds of each key, of each long task, and the tokens a second that came meanwhile."""
    page.locator("#said").fill("Tell me a long story")
    page.locator("#said").press("Enter")
    page.wait_for_selector(".answer[aria-busy=true] .prose table")
    page.evaluate(WATCH)
    length = "document.querySelector('.answer[aria-busy=true] .prose').textContent.length"
    page.locator("#said").focus()
    began, before, keys = time.perf_counter(), page.evaluate(length), 0
    while time.perf_counter() - began < 10:
        page.keyboard.press("abcdefgh "[keys % 9])
        keys += 1
        page.wait_for_timeout(max(0.0, began + keys * 0.1 - time.perf_counter()) * 1000)
    pace = (page.evaluate(length) - before) / 4 / (time.perf_counter() - began)
    told: list[float] = page.evaluate("keys")
    return [16.0] * (keys - len(told)) + told, page.evaluate("tasks"), pace


def scrolling(page: Page) -> tuple[list[float], list[float], int]:
    """Milliseconds between pictures, of each long task, and the turns that were drawn in the end."""
    page.get_by_role("button", name="Stop").click()
    page.wait_for_selector(".answer[aria-busy=true]", state="detached")
    page.mouse.move(700, 400)
    page.evaluate("() => { frames.length = 0; tasks.length = 0; }")
    began = time.perf_counter()
    while time.perf_counter() - began < 8:
        page.mouse.wheel(0, -240)
        page.wait_for_timeout(16)
    return page.evaluate("frames"), page.evaluate("tasks"), page.locator(".turns > article").count()


def at(values: Sequence[float], share: float) -> float:
    """The value below which that share of them lies."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=7, help="how often the page is opened")
    turns = parser.parse_args().turns
    chromium = next((there for name in ("chromium", "google-chrome") if (there := shutil.which(name))), None)
    if chromium is None:
        sys.exit("there is no Chromium here: apt install chromium")
    flags = ["--no-sandbox"] if os.getuid() == 0 else []
    with served() as url, slow_line(url) as slow, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        print(f"Chromium {browser.version}; load of the machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        first_content(browser, url)  # the browser itself has begun
        for name, place in (("loopback", url), ("40 ms, 10 Mbit/s", slow)):
            found = [first_content(browser, place) for _ in range(turns)]
            content, whole = ([one[kind] for one in found] for kind in ("content", "whole"))
            print(
                f"first content, {name}: {statistics.median(content):.0f} ms (worst {max(content):.0f}), whole after "
                f"{statistics.median(whole):.0f} ms (worst {max(whole):.0f}), {found[0]['bytes'] / 1000:.0f} kB"
            )
        page, opened = long_conversation(browser, url)
        print(f"{MESSAGES:,} messages: open {opened:.2f} s after loading anew")
        keys, tasks, pace = typing(page)
        print(
            f"typing at {pace:.0f} tokens/s: {len(keys)} keys, half within {at(keys, 0.5):.0f} ms, 98 of 100 within "
            f"{at(keys, 0.98):.0f} ms, worst {max(keys):.0f} ms; {len(tasks)} long tasks, worst "
            f"{max(tasks, default=0):.0f} ms"
        )
        frames, tasks, drawn = scrolling(page)
        late = sum(one > 34 for one in frames) / len(frames)
        print(
            f"scrolling: {len(frames)} pictures, half within {at(frames, 0.5):.0f} ms, 95 of 100 within "
            f"{at(frames, 0.95):.0f} ms, worst {max(frames):.0f} ms, {late:.1%} late; {len(tasks)} long tasks, worst "
            f"{max(tasks, default=0):.0f} ms; {drawn} turns drawn"
        )
        print(f"load of the machine at the end {os.getloadavg()[0]:.1f}")
        browser.close()


if __name__ == "__main__":
    main()
