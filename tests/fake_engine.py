"""A program that looks like an engine's server from outside: it takes a while to load, logs, answers, and can die.

What it does is set by the environment: FAKE_LOAD_S, FAKE_DIES (a line to die with before it answers), FAKE_ARGS (a file
to write its arguments to). A message `die` ends it in the middle of its reply, as a kernel's kill would.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from foreign import Body, Chunks, Foreign, said


def main() -> None:
    arguments = sys.argv[1:]
    if file := os.environ.get("FAKE_ARGS"):
        Path(file).write_text(json.dumps(arguments))
    print("INFO 11-28 10:00:00 [api_server.py:1] loading weights: 10%", flush=True)
    worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])  # engines have workers
    time.sleep(float(os.environ.get("FAKE_LOAD_S", "0")))
    if told := os.environ.get("FAKE_DIES"):
        print(f'Traceback (most recent call last):\n  File "engine.py", line 3, in load\n{told}', flush=True)
        print("[rank0]: destroying the process group", flush=True)
        worker.kill()
        sys.exit(1)
    value = lambda flag: arguments[arguments.index(flag) + 1]

    def reply(body: Body) -> Chunks:
        if body["messages"][-1]["content"] == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if body["messages"][-1]["content"] == "pids":
            return said(f"{os.getpid()} {worker.pid}")
        return said("fake")

    with Foreign(reply, model=value("--served-model-name"), port=int(value("--port"))):
        print("Application startup complete.", flush=True)
        signal.sigwait([signal.SIGTERM])
    worker.kill()


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    main()
