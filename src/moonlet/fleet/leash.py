"""Runs a command that must not outlive whoever started it: `python -m moonlet.fleet.leash SECONDS COMMAND...`.

Standard input is held open by the one who started it. When it ends, because he wants so or because he was killed, the
command and all it started are told to end, and killed after so many seconds.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress


def main() -> int:
    seconds, *command = sys.argv[1:]
    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        return 127
    threading.Thread(target=_watch, args=(child, float(seconds)), daemon=True).start()
    for name in (signal.SIGINT, signal.SIGTERM):  # of a terminal, or of a service that ends: the holder says when
        signal.signal(name, signal.SIG_IGN)
    code = child.wait()
    _end(child, signal.SIGKILL)  # what it has left behind
    return code if code >= 0 else 128 - code


def _watch(child: subprocess.Popen[bytes], seconds: float) -> None:
    while os.read(0, 4096):
        pass
    _end(child, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        child.wait(seconds)
    _end(child, signal.SIGKILL)


def _end(child: subprocess.Popen[bytes], how: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, how)


if __name__ == "__main__":
    sys.exit(main())
