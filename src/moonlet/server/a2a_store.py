"""A2A tasks and their push notifications in the ledger's database, so that they outlive the server.

A task is one row: its JSON, and beside it what is searched for. What one key made, no other key finds. `server` is the
opening of the database that last wrote the task: when that one has ended, the task has nobody who works on it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from a2a.server.context import ServerCallContext
from a2a.server.tasks.push_notification_config_store import (
    PushNotificationConfigStore,
    normalize_push_notification_config,
)
from a2a.server.tasks.task_store import TaskStore
from a2a.types import Artifact, ListTasksRequest, ListTasksResponse, Task, TaskPushNotificationConfig, TaskState
from a2a.utils.constants import DEFAULT_LIST_TASKS_PAGE_SIZE
from a2a.utils.errors import InternalError, InvalidParamsError
from a2a.utils.task import ListTasksCursor, decode_list_tasks_cursor, encode_list_tasks_cursor
from google.protobuf.json_format import MessageToJson, Parse

from moonlet.ledger.database import Database, DatabaseError, Row, Value

_log = logging.getLogger("moonlet.server")

_TABLES = (
    """CREATE TABLE IF NOT EXISTS a2a_tasks (
        id TEXT PRIMARY KEY,
        owner TEXT NOT NULL,
        context_id TEXT NOT NULL,
        state BIGINT NOT NULL,
        updated_ns BIGINT NOT NULL,
        server BIGINT NOT NULL,
        task TEXT NOT NULL
    )""",
    "CREATE INDEX IF NOT EXISTS a2a_tasks_of_owner ON a2a_tasks (owner, updated_ns)",
    "CREATE INDEX IF NOT EXISTS a2a_tasks_in_state ON a2a_tasks (state)",
    """CREATE TABLE IF NOT EXISTS a2a_push (
        task_id TEXT NOT NULL,
        id TEXT NOT NULL,
        owner TEXT NOT NULL,
        config TEXT NOT NULL,
        PRIMARY KEY (task_id, id, owner)
    )""",
    """CREATE TABLE IF NOT EXISTS a2a_record (
        task_id TEXT NOT NULL,
        place BIGINT NOT NULL,
        line TEXT NOT NULL,
        PRIMARY KEY (task_id, place)
    )""",
)
MOST_PUSH = 16  # configurations of one task
_WORK = (TaskState.TASK_STATE_SUBMITTED, TaskState.TASK_STATE_WORKING)


def make_tables(database: Database) -> None:
    """The tables of A2A, if they are not there: a ledger that never offers an agent has none. Raises DatabaseError."""
    with database.transaction() as connection:
        for statement in _TABLES:
            connection.run(statement)


def owner_of(context: ServerCallContext) -> str:
    """Whose tasks a call sees: those of its key, or of all who come without one."""
    return context.user.user_name


@dataclass(frozen=True, slots=True)
class Left:
    """A task that its server left unfinished."""

    owner: str
    task: Task


P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What the database is asked, away from the event loop. Raises InternalError, which tells callers nothing of where
    the ledger lies."""
    try:
        return await asyncio.to_thread(work, *args, **kwargs)
    except DatabaseError as error:
        _log.error("%s", error)
        raise InternalError(message="the tasks cannot be read or written at the moment") from None


def prune(database: Database, before: float) -> None:
    """Deletes tasks that last changed before then and are not worked on, with all that hangs on them. Raises
    DatabaseError."""
    make_tables(database)
    old = "SELECT id FROM a2a_tasks WHERE updated_ns < ? AND state NOT IN (?, ?)"
    values = (int(before * 1e9), *(int(state) for state in _WORK))
    with database.transaction() as connection:
        for table, column in (("a2a_push", "task_id"), ("a2a_record", "task_id"), ("a2a_tasks", "id")):
            connection.run(f"DELETE FROM {table} WHERE {column} IN ({old})", values)


class Tasks(TaskStore):
    """The task store of the A2A SDK over our database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(self, task: Task, context: ServerCallContext) -> None:
        """Insert or replace; the pieces in which an answer was told become one text in `task` too. Raises
        InternalError."""
        for artifact in task.artifacts:
            _join(artifact)
        values = (task.id, owner_of(context), task.context_id, int(task.status.state), _updated_ns(task))
        await in_thread(self._save, values, MessageToJson(task, indent=None))

    def _save(self, values: tuple[Value, ...], text: str) -> None:
        # Two keys cannot come to one id: ids are ours, and a named one is looked up with its owner first.
        with self._database.transaction() as connection:
            connection.run(
                "INSERT INTO a2a_tasks (id, owner, context_id, state, updated_ns, server, task) "
                "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET state = excluded.state, "
                "updated_ns = excluded.updated_ns, server = excluded.server, task = excluded.task "
                "WHERE a2a_tasks.owner = excluded.owner",
                (*values, self._database.server, text),
            )

    async def get(self, task_id: str, context: ServerCallContext) -> Task | None:
        """The task, if it belongs to the caller. Raises InternalError."""
        sql = "SELECT task FROM a2a_tasks WHERE id = ? AND owner = ?"
        rows = await in_thread(self._read, sql, (task_id, owner_of(context)))
        return _task(rows[0]) if rows else None

    async def list(self, params: ListTasksRequest, context: ServerCallContext) -> ListTasksResponse:
        """The caller's tasks, newest first. Raises InternalError, InvalidParamsError."""
        size = params.page_size or DEFAULT_LIST_TASKS_PAGE_SIZE
        where, values = _filter(params, owner_of(context))
        counted = await in_thread(self._read, f"SELECT COUNT(*) FROM a2a_tasks WHERE {where}", values)
        if params.page_token:
            more, after = _after(params.page_token)
            where, values = f"{where} AND {more}", (*values, *after)
        sql = f"SELECT task FROM a2a_tasks WHERE {where} ORDER BY updated_ns DESC, id DESC LIMIT {size + 1}"
        tasks = [_task(row) for row in await in_thread(self._read, sql, values)]
        page = tasks[:size]
        cursor = ListTasksCursor(_updated_ns(page[-1]), page[-1].id) if len(tasks) > size else None
        token = encode_list_tasks_cursor(cursor) if cursor else ""
        total = int(counted[0][0])
        return ListTasksResponse(tasks=page, next_page_token=token, page_size=size, total_size=total)

    async def delete(self, task_id: str, context: ServerCallContext) -> None:
        """Forget a task and all that hangs on it. Raises InternalError."""
        await in_thread(self._delete, task_id, owner_of(context))

    def _delete(self, task_id: str, owner: str) -> None:
        with self._database.transaction() as connection:
            if connection.run("SELECT id FROM a2a_tasks WHERE id = ? AND owner = ?", (task_id, owner)):
                for table, column in (("a2a_push", "task_id"), ("a2a_record", "task_id"), ("a2a_tasks", "id")):
                    connection.run(f"DELETE FROM {table} WHERE {column} = ?", (task_id,))

    def last_of(self, context_id: str, owner: str, but: str) -> str | None:
        """The id of the newest task of a conversation, `but` for one. Raises DatabaseError."""
        sql = "SELECT id FROM a2a_tasks WHERE context_id = ? AND owner = ? AND id <> ? ORDER BY updated_ns DESC LIMIT 1"
        rows = self._read(sql, (context_id, owner, but))
        return str(rows[0][0]) if rows else None

    def take_over(self) -> Sequence[Left]:
        """Tasks whose server has ended while they were worked on; from now on they are this server's. Raises
        DatabaseError."""
        marks = ", ".join("?" * len(_WORK))
        servers = self._read(f"SELECT DISTINCT server FROM a2a_tasks WHERE state IN ({marks})", _WORK)
        left: list[Left] = []
        for (server,) in servers:
            if server == self._database.server or not self._database.is_dead(server):
                continue
            with self._database.transaction() as connection:
                rows = connection.run(
                    f"UPDATE a2a_tasks SET server = ? WHERE server = ? AND state IN ({marks}) RETURNING owner, task",
                    (self._database.server, server, *_WORK),
                )
            left += [Left(str(owner), _task((text,))) for owner, text in rows]
        return left

    def _read(self, sql: str, values: Sequence[Value]) -> Sequence[Row]:
        with self._database.reading() as connection:
            return connection.run(sql, values)


class PushConfigs(PushNotificationConfigStore):
    """Where callers want to be told of their tasks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def set_info(
        self, task_id: str, notification_config: TaskPushNotificationConfig, context: ServerCallContext
    ) -> TaskPushNotificationConfig:
        """Insert or replace. Raises InternalError, InvalidParamsError if the task has too many."""
        config = normalize_push_notification_config(task_id, notification_config)
        await in_thread(self._set, config, owner_of(context))
        return config

    def _set(self, config: TaskPushNotificationConfig, owner: str) -> None:
        values = (config.task_id, config.id, owner)
        with self._database.transaction() as connection:
            connection.run("DELETE FROM a2a_push WHERE task_id = ? AND id = ? AND owner = ?", values)
            held = connection.run("SELECT COUNT(*) FROM a2a_push WHERE task_id = ?", (config.task_id,))
            if int(held[0][0] or 0) >= MOST_PUSH:
                raise InvalidParamsError(message=f"a task has at most {MOST_PUSH} push notification configurations")
            connection.run("INSERT INTO a2a_push VALUES (?, ?, ?, ?)", (*values, MessageToJson(config, indent=None)))

    async def get_info(self, task_id: str, context: ServerCallContext) -> list[TaskPushNotificationConfig]:
        """Those of the caller. Raises InternalError."""
        sql = "SELECT config FROM a2a_push WHERE task_id = ? AND owner = ? ORDER BY id"
        return await in_thread(self._get, sql, (task_id, owner_of(context)))

    async def get_info_for_dispatch(self, task_id: str) -> list[TaskPushNotificationConfig]:
        """Those of anybody: whoever set one was allowed to. Raises InternalError."""
        sql = "SELECT config FROM a2a_push WHERE task_id = ? ORDER BY id"
        return await in_thread(self._get, sql, (task_id,))

    def _get(self, sql: str, values: Sequence[Value]) -> list[TaskPushNotificationConfig]:
        with self._database.reading() as connection:
            rows = connection.run(sql, values)
        return [Parse(str(row[0]), TaskPushNotificationConfig(), ignore_unknown_fields=True) for row in rows]

    async def delete_info(self, task_id: str, context: ServerCallContext, config_id: str | None = None) -> None:
        """One of the caller's, or all of them; one that is not there is no mistake. Raises InternalError."""
        await in_thread(self._drop, task_id, owner_of(context), config_id)

    def _drop(self, task_id: str, owner: str, config_id: str | None) -> None:
        one, values = ("", ()) if config_id is None else (" AND id = ?", (config_id,))
        with self._database.transaction() as connection:
            connection.run(f"DELETE FROM a2a_push WHERE task_id = ? AND owner = ?{one}", (task_id, owner, *values))


def _task(row: Row) -> Task:
    task = Task()
    Parse(str(row[0]), task, ignore_unknown_fields=True)
    return task


def _join(artifact: Artifact) -> None:
    parts = artifact.parts
    if len(parts) > 1 and all(part.media_type == "text/plain" and part.HasField("text") for part in parts):
        text = "".join(part.text for part in parts)
        del parts[1:]
        parts[0].text = text


def _updated_ns(task: Task) -> int:
    return int(task.status.timestamp.ToNanoseconds())  # 0 where there is none: such tasks are the last of a list


def _filter(params: ListTasksRequest, owner: str) -> tuple[str, tuple[Value, ...]]:
    where, values = "owner = ?", [owner]
    conditions: list[tuple[bool, str, Value]] = [
        (bool(params.context_id), "context_id = ?", params.context_id),
        (bool(params.status), "state = ?", int(params.status)),
    ]
    if params.HasField("status_timestamp_after"):
        conditions.append((True, "updated_ns >= ?", params.status_timestamp_after.ToNanoseconds()))
    for wanted, condition, value in conditions:
        if wanted:
            where, values = f"{where} AND {condition}", [*values, value]  # type: ignore[list-item]
    return where, tuple(values)


def _after(token: str) -> tuple[str, tuple[Value, ...]]:
    cursor = decode_list_tasks_cursor(token)
    if cursor is None or cursor.timestamp_ns is None or abs(cursor.timestamp_ns) >= 1 << 63:
        raise InvalidParamsError(message="the page token is none that this server gave out")
    last = cursor.timestamp_ns
    return "(updated_ns < ? OR (updated_ns = ? AND id < ?))", (last, last, cursor.task_id)
