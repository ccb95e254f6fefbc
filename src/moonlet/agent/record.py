"""The record of a run: a file that only grows, one JSON object a line. It is the history, and a run goes on from it
after a crash at any point.

A line is written before what it announces happens and after what it reports has happened. Writing is enough for a
process that is killed; where a call has effects its lines are also forced to the disk, before it starts and when it
has ended. A last line that was cut off is dropped when the file is opened again.

Lines, by their `event`: `start` (format, model), `message` (of the system or the user, or what was said of a reply that
was stopped), `reply` (the model's, with its usage), `charge` (a reply to somebody else in its course), `ruling`
(whether a call may run, and who said so), `call` (it starts now), `result`, `notice`, `end`.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from moonlet.agent.events import CallResult, CallStarted, Ended, Notice, Ruling
from moonlet.agent.limits import NOTHING, Spent
from moonlet.chat.messages import Message, MessageError, ToolCall, from_openai, to_openai
from moonlet.llm import Done

FORMAT = 1


class RecordError(Exception):
    """A record that cannot be written, read or continued."""


@dataclass(slots=True)
class Past:
    """What a record tells of its run."""

    model: str = ""
    history: list[Message] = field(default_factory=list)  # up to the last reply; then the results of `open`, in order
    open: tuple[ToolCall, ...] = ()  # calls of the last reply that do not all have results
    settled: int = 0  # of those, how many results are in the history, from the first on
    results: dict[int, str] = field(default_factory=dict)  # by their place in the reply
    started: dict[int, bool] = field(default_factory=dict)  # without a result: whether the call may have changed things
    longer: list[tuple[str, bool]] = field(default_factory=list)  # texts kept for reading on, and who wrote them
    spent: Spent = NOTHING  # by the last request
    ended: bool = False  # the last request came to its end
    broken: bool = False  # the history ends with what was said of a reply that was stopped
    at: float = 0.0  # when the last line was written

    def settle(self) -> None:
        """Results that are there in the order of the calls become history."""
        while self.settled < len(self.open) and self.settled in self.results:
            call = self.open[self.settled]
            self.history.append(Message("tool", self.results[self.settled], name=call.name, call_id=call.id))
            self.settled += 1
        if self.settled == len(self.open):
            self.reply(())

    def reply(self, calls: tuple[ToolCall, ...]) -> None:
        """A new reply with these calls, which nothing is known of yet."""
        self.open, self.results, self.started, self.settled = calls, {}, {}, 0


class Record:
    """An open record, locked: no second process can go on with the same run."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self._writing = threading.Lock()

    @staticmethod
    def create(path: Path, model: str) -> Record:
        """A new record, readable by its owner alone. Raises RecordError; an existing file is never written over."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            record = Record(path, os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_APPEND, 0o600))
        except FileExistsError:
            raise RecordError(f"{path} exists; --resume goes on with it, or name another file") from None
        except OSError as error:
            raise RecordError(f"{path}: cannot be written: {error.strerror}") from None
        record._lock()
        record.write("start", format=FORMAT, model=model)
        return record

    @staticmethod
    def resume(path: Path) -> tuple[Record, Past]:
        """Go on with a record. Raises RecordError."""
        try:
            record = Record(path, os.open(path, os.O_RDWR | os.O_APPEND))
        except OSError as error:
            raise RecordError(f"{path}: cannot be opened: {error.strerror}") from None
        record._lock()
        try:
            data = path.read_bytes()
            whole = data.rfind(b"\n") + 1
            past = past_of(json.loads(line) for line in data[:whole].splitlines())
            if whole < len(data):  # a line that was cut off while it was written; whatever is no record stays whole
                os.ftruncate(record._descriptor, whole)
            return record, past
        except (ValueError, LookupError, TypeError, AttributeError, MessageError, RecursionError) as error:
            record.close()
            raise RecordError(f"{path}: not the record of a run ({error})") from None

    def write(self, event: str, durable: bool = False, **facts: Any) -> None:
        """Append one line; `durable` also forces everything up to it to the disk. Raises RecordError."""
        line = json.dumps({"event": event, "time": round(time.time(), 3), **facts}, ensure_ascii=True) + "\n"
        try:
            data = memoryview(line.encode())
            with self._writing:
                while data:
                    data = data[os.write(self._descriptor, data) :]
                if durable:
                    os.fdatasync(self._descriptor)
        except OSError as error:
            raise RecordError(f"{self.path}: cannot be written: {error.strerror}; the run stops here") from None

    def message(self, message: Message) -> None:
        self.write("message", message=to_openai(message))

    def reply(self, done: Done, usd: float, seconds: float) -> None:
        usage = {name: value for name, value in asdict(done.usage).items() if name != "experts"}
        self.write(
            "reply",
            message=to_openai(done.message),
            finish=done.finish,
            usage=usage,
            usd=usd,
            seconds=round(seconds, 6),
        )

    def charge(self, spent: Spent) -> None:
        self.write("charge", prompt_tokens=spent.prompt_tokens, output_tokens=spent.output_tokens, usd=spent.usd)

    def event(self, event: CallStarted | CallResult | Ruling | Notice | Ended, durable: bool = False) -> None:
        """An event of the loop as its line."""
        match event:
            case CallStarted(index, call, changes):
                self.write("call", durable, index=index, id=call.id, name=call.name, changes=changes)
            case Ruling(index, call, allowed, by):
                self.write("ruling", index=index, id=call.id, allowed=allowed, by=by)
            case CallResult():
                more = {} if event.full is None else {"full": event.full, "outside": "[untrusted" in event.text[:10]}
                self.write(
                    "result",
                    durable,
                    index=event.index,
                    id=event.call.id,
                    text=event.text,
                    failed=event.failed,
                    seconds=round(event.seconds, 6),
                    **more,
                )
            case Notice(text):
                self.write("notice", text=text)
            case Ended(reason, _, spent):
                self.write("end", True, reason=reason, spent=asdict(spent))

    def close(self) -> None:
        os.close(self._descriptor)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.close()
            raise RecordError(f"{self.path} is in use by another process") from None


def past_of(lines: Iterator[Mapping[str, Any]]) -> Past:
    """The state at the end of a record's lines. Raises what malformed lines raise."""
    past = Past()
    first = next(lines, None)
    if first is None or first["event"] != "start" or first["format"] != FORMAT:
        raise ValueError(f"its first line does not begin a record of format {FORMAT}")
    past.model = str(first["model"])
    for line in lines:
        _take(past, line)
        past.at = line["time"]
    return past


def _take(past: Past, line: Mapping[str, Any]) -> None:
    match line["event"]:
        case "message":
            (message,) = from_openai([line["message"]])
            past.history.append(message)
            past.broken = message.role == "assistant"
            if message.role == "user":
                past.spent, past.ended = Spent(), False
        case "charge":
            past.spent += Spent(0, line["prompt_tokens"], line["output_tokens"], usd=line["usd"])
        case "reply":
            if past.broken:  # it was given again, whole
                past.history.pop()
                past.broken = False
            (message,) = from_openai([line["message"]])
            past.history.append(message)
            past.reply(message.calls)
            usage = line["usage"]
            past.spent += Spent(
                1, usage["prompt_tokens"], usage["output_tokens"], seconds=line["seconds"], usd=line["usd"]
            )
        case "call":
            past.started[line["index"]] = line["changes"]
            past.spent += Spent(calls=1)
        case "result":
            past.results[line["index"]] = line["text"]
            # Of calls side by side only what each took longer than the ones before it.
            past.spent += Spent(seconds=min(line["seconds"], max(line["time"] - past.at, 0.0)))
            past.started.pop(line["index"], None)
            if "full" in line:
                past.longer.append((line["full"], line["outside"]))
            past.settle()
        case "end":
            past.ended = True
            past.spent = Spent(**line["spent"])
