"""The record of a task's run, in the same database as the task: the lines of `moonlet.agent.record`, one a row.

Beside the lines stands which of the caller's messages they answer, so that a message that comes again after a crash is
not taken for a new one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from moonlet.agent.record import FORMAT, Past, Record, RecordError, past_of
from moonlet.chat.messages import Message, MessageError, to_openai
from moonlet.ledger.database import Database, DatabaseError


class TaskRecord(Record):
    """What an agent writes of its run. Once it is closed nothing is written: the record then looks as if the process
    had ended at that moment, and the run goes on from there another time."""

    def __init__(self, database: Database, task_id: str, model: str) -> None:
        """Opens the record of a task, new or not. Raises RecordError."""
        super().__init__(Path(f"task {task_id}"), -1)
        self._database, self._task_id = database, task_id
        self._closed = False
        self.heard: Callable[[Mapping[str, Any]], None] = lambda _: None  # told every line that is written from now on
        self.message_id = ""  # of the caller's message that is taken next
        self._lines = self._read()
        if not self._lines:
            self.write("start", format=FORMAT, model=model)

    def past(self) -> Past:
        """What the record tells by now. Raises RecordError."""
        try:
            return past_of(iter(self._lines))
        except (ValueError, LookupError, TypeError, AttributeError, MessageError) as error:
            raise RecordError(f"{self.path}: not the record of a run ({error})") from None

    def has_taken(self, message_id: str) -> bool:
        """Whether the caller's message is in the record already."""
        return any(line.get("message_id") == message_id for line in self._lines)

    def write(self, event: str, durable: bool = False, **facts: Any) -> None:
        """Append one line; every line is on the disk when this returns. Raises RecordError."""
        if self._closed:
            return
        line = {"event": event, "time": round(time.time(), 3), **facts}
        try:
            with self._database.transaction() as connection:
                values = (self._task_id, len(self._lines), json.dumps(line))
                connection.run("INSERT INTO a2a_record VALUES (?, ?, ?)", values)
        except DatabaseError as error:
            raise RecordError(f"{self.path}: cannot be written: {error}") from None
        self._lines.append(line)
        self.heard(line)

    @property
    def lines(self) -> Sequence[Mapping[str, Any]]:
        """All of it so far."""
        return self._lines

    def message(self, message: Message) -> None:
        """As any record does; the user's words carry the id of the message that brought them."""
        named: dict[str, Any] = {"message_id": self.message_id} if message.role == "user" and self.message_id else {}
        self.write("message", message=to_openai(message), **named)

    def answer(self, place: int, call_id: str, text: str) -> None:
        """The caller's answer to a question is the result of the call that asked."""
        self.write("result", index=place, id=call_id, text=text, failed=False, seconds=0.0, message_id=self.message_id)

    def close(self) -> None:
        self._closed = True

    def _read(self) -> list[dict[str, Any]]:
        try:
            with self._database.reading() as connection:
                rows = connection.run("SELECT line FROM a2a_record WHERE task_id = ? ORDER BY place", (self._task_id,))
        except DatabaseError as error:
            raise RecordError(f"{self.path}: cannot be read: {error}") from None
        return [json.loads(str(row[0])) for row in rows]
