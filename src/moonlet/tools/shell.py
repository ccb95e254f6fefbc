"""Commands in a sandbox: one folder, no network, nothing of the user's environment, bounded in every way.

The sandbox is bubblewrap's: its own view of the file system (system folders to read, the one folder to write, an empty
/tmp), of processes, of users and of the network, which has no way out. Without bubblewrap there is no shell, unless
whoever starts the agent says so.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from moonlet.chat.messages import ToolSpec
from moonlet.tools.running import here
from moonlet.tools.tool import Tool, ToolError, parameters

TIME_S = 60  # of a command that states no other
MAX_TIME_S = 600
MAX_OUTPUT = 1 << 20  # bytes that are kept; more is read and dropped
# Memory of a process, size of a file it writes, processor seconds; and, where they are one user's, its processes.
LIMITS = "ulimit -v 4194304; ulimit -f 2097152; ulimit -t {seconds}; ulimit -u 512 2>/dev/null; ulimit -c 0"
_SYSTEM = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/ssl/certs",
)


class ShellError(Exception):
    """There can be no shell here."""


def shell_tool(root: Path, unconfined: bool = False) -> Tool:
    """`shell`: runs a command in the folder. `unconfined` lets it do without a sandbox, as the user. Raises
    ShellError."""
    folder = root.expanduser().resolve()
    bwrap = shutil.which("bwrap")
    if not unconfined:
        if bwrap is None:
            raise ShellError(
                "a shell needs bubblewrap (apt install bubblewrap); --shell-unconfined does without, unsafely"
            )
        _try(bwrap, folder)

    def run(arguments: Mapping[str, Any]) -> dict[str, Any]:
        seconds = arguments.get("seconds", TIME_S)
        script = f'{LIMITS.format(seconds=seconds)}; exec /bin/sh -c "$1"'
        inner = ["/bin/sh", "-c", script, "sh", arguments["command"]]
        command = inner if unconfined else [*confined(str(bwrap), folder), *inner]
        return _run(command, folder, seconds)

    about = "Run a shell command in the folder" + ("" if unconfined else ", without network")
    schema = parameters(
        {"command": {"type": "string"}},
        {
            "seconds": {
                "type": "integer",
                "minimum": 1,
                "maximum": MAX_TIME_S,
                "description": f"At most; {TIME_S} if not given",
            }
        },
    )
    return Tool(ToolSpec("shell", about, schema), run, changes=True, outside=True, timeout_s=MAX_TIME_S + 10)


def confined(bwrap: str, folder: Path) -> list[str]:
    """The beginning of a command that runs in the sandbox."""
    command = [bwrap, "--unshare-all", "--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL"]
    for path in _SYSTEM:
        if os.path.islink(path):
            command += ["--symlink", os.readlink(path), path]
        elif os.path.exists(path):
            command += ["--ro-bind", path, path]
    command += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--dir", "/run"]
    command += ["--bind", str(folder), "/work", "--chdir", "/work", "--hostname", "sandbox"]
    for name, value in _environment("/work").items():
        command += ["--setenv", name, value]
    return command


def _environment(home: str) -> dict[str, str]:
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": home, "LANG": "C.UTF-8", "TERM": "dumb"}


def _try(bwrap: str, folder: Path) -> None:
    """Some kernels and containers do not let a user make a sandbox: better to know before the model relies on it."""
    done = subprocess.run([*confined(bwrap, folder), "/bin/sh", "-c", "exit 0"], capture_output=True, text=True)
    if done.returncode:
        told = " ".join(done.stderr.split())[:200]
        raise ShellError(f"bubblewrap cannot make a sandbox here ({told}); --shell-unconfined does without, unsafely")


def _run(command: list[str], folder: Path, seconds: int) -> dict[str, Any]:
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=folder,
        env=_environment(str(folder)),
        start_new_session=True,
    )
    assert process.stdout
    kept, dropped = bytearray(), [0]
    output = process.stdout

    def read() -> None:
        while piece := output.read1(65536):  # type: ignore[attr-defined]
            room = MAX_OUTPUT - len(kept)
            kept.extend(piece[:room])
            dropped[0] += max(0, len(piece) - room)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    call, until = here(), time.monotonic() + seconds
    late = False
    try:
        while process.poll() is None:
            if call.wait(0.02) or (late := time.monotonic() > until):
                break
    finally:
        # The whole group, also what a finished shell left running: in a sandbox it ends with its first process.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        reader.join(2)
    text = bytes(kept).decode("utf-8", "replace")
    if dropped[0]:
        text += f"\n[{dropped[0]} more bytes were dropped]"
    if late:
        raise ToolError(f"the command was stopped after {seconds} s. Its output so far:\n{text}")
    return {"exit_code": process.returncode, "output": text}
