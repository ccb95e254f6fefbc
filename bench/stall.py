"""How long replies under way stand still while somebody's long prompt is read beside them.

    python -m bench.stall [FOLDER] [--replies 8] [--tokens 20000] [--out FILE]

So many clients stream from a real `moonlet serve`; then a prompt of so many tokens comes. Told are the gaps between
tokens at the clients until its first token, beside those from before it came: the longest should not be above the
engine's 250 ms. Exit code 1 if it is. Without FOLDER it is the small model with a longer context (see bench.turns).
"""

from __future__ import annotations

import gc
import json
import sys
import tempfile
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx

from bench.turns import ask, flags, longer, serving, text_of, words

STALL_S = 0.25
ALONE_S = 3.0  # of writing before the prompt comes


def main() -> int:
    asked = flags("bench.stall", replies=8)
    gc.disable()  # no gap is to be this program's own
    with tempfile.TemporaryDirectory() as home:
        folder = asked.folder or longer(Path(home) / "long", asked.tokens * 2)
        room = ["--cache-tokens", str(asked.tokens * 2 + asked.replies * 8192)]
        with serving(folder, Path(home), room) as (url, name):
            found = measure(url, name, asked.replies, asked.tokens)
    for when in ("before", "beside"):
        gaps = found[when]
        print(
            f"{when:>6} the prompt: {gaps['count']:,} gaps, half below {gaps['median_s'] * 1e3:.0f} ms, "
            f"99 of 100 below {gaps['p99_s'] * 1e3:.0f} ms, longest {gaps['longest_s'] * 1e3:.0f} ms"
        )
    if asked.out:
        asked.out.write_text(json.dumps(found, indent=1) + "\n")
    return 0 if found["beside"]["longest_s"] <= STALL_S else 1


def measure(url: str, name: str, replies: int, tokens: int) -> dict[str, Any]:
    prompt = [{"role": "user", "content": text_of(url, name, tokens, 99)}]
    came: list[list[list[float]]] = [[] for _ in range(replies)]
    over = threading.Event()
    streams = [threading.Thread(target=_stream, args=(url, name, i, came[i], over)) for i in range(replies)]
    for stream in streams:
        stream.start()
    while not all(came):  # every one has its first piece
        time.sleep(0.01)
    time.sleep(ALONE_S)
    began = time.perf_counter()
    long = ask(url, name, prompt)
    ended = began + long["first_token_s"]
    over.set()
    for stream in streams:
        stream.join()
    alone = max(answers[0][0] for answers in came)
    return {
        "replies": replies, "prompt": long["prompt"], "first_token_s": long["first_token_s"],
        "before": _gaps(came, alone, began), "beside": _gaps(came, began, ended),
    }  # fmt: skip


def _stream(url: str, name: str, number: int, came: list[list[float]], over: threading.Event) -> None:
    """One reply after the other, so that there are always as many; the times of the pieces of each."""
    body = {"model": name, "messages": [{"role": "user", "content": words(20, number)}], "max_tokens": 4000}
    body |= {"logprobs": True}  # a piece for each token, also for those whose text is held back
    while not over.is_set():
        times: list[float] = []
        with httpx.stream("POST", f"{url}/chat/completions", json={**body, "stream": True}, timeout=600) as answer:
            for line in answer.iter_lines():
                if over.is_set():
                    return
                if line.startswith("data: {") and _scores(json.loads(line[6:])):
                    times.append(time.perf_counter())
                    if len(times) == 1:
                        came.append(times)


def _scores(chunk: dict[str, Any]) -> bool:
    return any((choice.get("logprobs") or {}).get("content") for choice in chunk["choices"])


def _gaps(came: list[list[list[float]]], begin: float, end: float) -> dict[str, float]:
    """Of the times between two pieces of one reply, where the later one came within [begin, end)."""
    pairs = (pair for answers in came for times in answers for pair in pairwise(times))
    gaps = sorted(later - earlier for earlier, later in pairs if begin <= later < end)
    at = [gaps[min(int(len(gaps) * share), len(gaps) - 1)] for share in (0.5, 0.99)]
    return {"count": len(gaps), "median_s": at[0], "p99_s": at[1], "longest_s": gaps[-1]}


if __name__ == "__main__":
    sys.exit(main())
