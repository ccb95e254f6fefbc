"""The server under bodies that are wrong in every way, and under schemathesis on its own OpenAPI document.

    python -m bench.fuzz [COUNT]        10,000 malformed bodies by default, then schemathesis where it is installed

Nothing may be answered with 5xx, and nothing may hang: an answer that takes 20 seconds fails. The model is a tiny one
of random weights behind the real engine; its replies are at most 60 tokens.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import httpx

import moonlet
import speaking
from malformed import malformed
from serving import serving
from test_malformed import Brief


def main(count: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        speaking.write(Path(folder))
        with moonlet.load(folder, threads=1, cache_tokens=4096) as local, serving(Brief(local)) as url:
            failures = bodies(url.removesuffix("/v1"), local.name, count)
            print(f"{count} malformed bodies, {len(failures)} answered by a fault of the server")
            print("".join(f"  {failure}\n" for failure in failures[:20]), end="")
            return bool(failures) | bool(document(url.removesuffix("/v1")))


def bodies(url: str, model: str, count: int) -> list[str]:
    """The requests that were answered with 5xx, or not in time."""
    failures, statuses, slowest, begun = [], Counter[int](), 0.0, time.perf_counter()
    with httpx.Client(base_url=url, timeout=20, headers={"Content-Type": "application/json"}) as client:
        for number, (path, body) in enumerate(malformed(count, model, seed=1)):
            start = time.perf_counter()
            try:
                answer = client.post(path, content=body)
                statuses[answer.status_code] += 1
                if answer.status_code >= 500 or '"server_error"' in answer.text or '"api_error"' in answer.text:
                    failures.append(f"{answer.status_code} {path} {body[:2000]!r}: {answer.text[:300]}")
            except httpx.HTTPError as error:
                failures.append(f"{type(error).__name__} {path} {body[:2000]!r}")
            slowest = max(slowest, time.perf_counter() - start)
            if number % 500 == 499:
                print(
                    f"{number + 1}: {dict(statuses)}, {len(failures)} faults, {time.perf_counter() - begun:.0f} s",
                    flush=True,
                )
    print(f"slowest answer {slowest:.1f} s")
    return failures


def document(url: str) -> int:
    """Schemathesis on the OpenAPI document: no server errors. Its exit code."""
    if find_spec("schemathesis") is None:
        print("schemathesis is not installed; only the bodies were tried")
        return 0
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json", "--url", url]
    command += ["--checks", "not_a_server_error", "--max-examples", "60", "--request-timeout", "20", "--seed", "1"]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
