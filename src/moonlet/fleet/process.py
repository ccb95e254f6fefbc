"""An engine's server as a process of ours: started, waited for, started again when it ends, and stopped with us."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from moonlet.fleet.launch import UNTOLD
from moonlet.llm import LLMError

STOP_S = 30.0  # for what it has under way
LONGEST_PAUSE_S = 60.0  # between attempts
_KEPT = 400  # lines of its log
_QUICK = 2  # ends without ever having answered: it will not do so

# What an engine says when it cannot go on; the last such line is the reason, if there is one.
_REASON = re.compile(
    r"(\w*Error|\w*Exception|out of memory|error:|unrecognized|No such file|not found)\b", re.IGNORECASE
)
_FRAME = re.compile(r'^\s*(File "|at |\^|~|Traceback|During handling|The above exception)')
_CALM = re.compile(r"\b(DEBUG|INFO|WARNING)\b")  # a line of these levels is no reason, whatever words are in it
_PREFIX = re.compile(r"^(\([^)]*\)\s*)?(\[[^\]]*\]\s*)?((INFO|ERROR|WARNING|CRITICAL)\b[^\]]*\]\s*)?")


class EngineDiedError(LLMError):
    """An engine that was started ends again and again."""


class EngineProcess:
    """Safe to use from any thread. Stop it."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        ended: Callable[[str], None],
        stop_s: float = STOP_S,
        pause_s: float = 1.0,
    ) -> None:
        """`ended` is told why, whenever it ends by itself. It is started again after `pause_s`, then ever later."""
        self.name = name
        self.starts = 0
        self.gave_up: str | None = None  # why it is not started any more
        self._command, self._ended, self._stop_s = tuple(command), ended, stop_s
        self._pause_s = pause_s
        self._log: deque[str] = deque(maxlen=_KEPT)
        self._over, self._answered = threading.Event(), threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._supervise, name=f"moonlet-{name}", daemon=True)
        self._thread.start()

    @property
    def last_line(self) -> str:
        """Of its log, for who waits."""
        return next((line for line in reversed(self._log.copy()) if line.strip()), "")

    @property
    def pid(self) -> int | None:
        """Of the process that holds it."""
        return self._process.pid if self._process else None

    def answers(self) -> None:
        """It was seen to answer: if it ends now, that is not because of how it was started."""
        self._answered.set()

    def stop(self) -> None:
        """Tells it to end, and waits until it and all it started has."""
        self._over.set()
        process = self._process
        if process is not None and process.stdin is not None:
            process.stdin.close()  # the leash
        self._thread.join()

    def _supervise(self) -> None:
        pause = self._pause_s
        while not self._over.is_set():
            begun = time.monotonic()
            code = self._run()
            if self._over.is_set():
                return
            why = f"{self.name} ended ({_code(code)}): {reason(self._log.copy())}"
            if self.starts >= _QUICK and not self._answered.is_set():
                self.gave_up = why
            self._ended(why)
            if self.gave_up is not None:
                return
            if time.monotonic() - begun > LONGEST_PAUSE_S:  # it was well for a while
                pause = self._pause_s
            self._over.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)

    def _run(self) -> int:
        """Once, from start to end; its exit code."""
        self.starts += 1
        self._log.clear()
        command = [sys.executable, "-m", "moonlet.fleet.leash", str(self._stop_s), *self._command]
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**UNTOLD, **os.environ},  # whoever wants it told sets the variable himself
        )
        self._process = process
        if self._over.is_set() and process.stdin is not None:  # stopped just now, before it could be told
            process.stdin.close()
        assert process.stdout is not None
        for line in process.stdout:
            self._log.append(re.split(r"[\r\n]", line.rstrip())[-1][:500])  # of a progress bar the last state
        return process.wait()


def reason(log: Sequence[str]) -> str:
    """Why an engine ended, as far as its log says it: one line."""
    lines = [line for line in log if line.strip() and not _FRAME.match(line)]
    told = next(
        (line for line in reversed(lines) if _REASON.search(line) and not _CALM.search(line)),
        lines[-1] if lines else "it said nothing",
    )
    return " ".join(_PREFIX.sub("", told).split())[:300]


def _code(code: int) -> str:
    return f"killed by signal {code - 128}" if code > 128 else f"code {code}"


def wait_started(process: EngineProcess, up: Callable[[], bool], tell: Callable[[str], None], every_s: float) -> None:
    """Until it answers; `tell` hears every so many seconds what it says. Raises EngineDiedError."""
    told = time.monotonic()
    while not up():
        if process.gave_up is not None:
            raise EngineDiedError(process.gave_up)
        time.sleep(0.05)
        if time.monotonic() - told >= every_s:
            told = time.monotonic()
            tell(process.last_line or "has said nothing yet")
