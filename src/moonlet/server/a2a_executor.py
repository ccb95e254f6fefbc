"""A task of a caller is a run of the agent: messages in, artifacts and states out.

Everything the agent does is in the task's record before it is told, so a run that is cut off goes on where it stopped:
when the server comes back, or when the caller answers a question.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.tasks import TaskUpdater
from a2a.types import Message as A2AMessage
from a2a.types import Part, Task, TaskState, TaskStatus

from moonlet.agent import Agent, CallStarted, Ended, Event, Limits, Price, Spent, Toolbox
from moonlet.agent.approval import Approvals, Approve, Decision
from moonlet.agent.limits import DEFAULTS
from moonlet.agent.record import Past, RecordError
from moonlet.agent.results import TRUST_NOTE
from moonlet.chat.messages import Message, Text, ToolCall, ToolSpec
from moonlet.ledger.database import Database, DatabaseError
from moonlet.ledger.keys import Key
from moonlet.llm import LLM, Done, LLMError
from moonlet.llm.characters import whole_characters
from moonlet.server.a2a_caller import Caller, caller_of
from moonlet.server.a2a_record import TaskRecord
from moonlet.server.a2a_run import StoppableModel, StoppableTools, work
from moonlet.server.a2a_store import Tasks
from moonlet.server.apart import apart
from moonlet.server.errors import ApiError
from moonlet.server.watched import Watched, WatchedRun
from moonlet.tools.a2a import USAGE, text_of
from moonlet.tools.running import Running
from moonlet.tools.tool import Checked, Tool, parameters

ASK = "ask_caller"
REFUSING = Approvals()  # there is nobody to ask
AT_ONCE = 32  # tasks that are worked on; more wait for their turn
_PIECE_S = 0.3  # between two pieces of an answer: each is a write of the whole task
_log = logging.getLogger("moonlet.server")


@dataclass(frozen=True, slots=True)
class Offered:
    """The agent that callers reach: what it has, and how far it may go. Nobody can be asked for approval while a
    caller waits, so by default calls with effects are refused; what may run is the owner's to say beforehand."""

    tools: Sequence[Tool] | Toolbox = ()
    system: str = TRUST_NOTE
    limits: Limits = DEFAULTS
    approve: Approve = REFUSING
    price: Price | None = None


@dataclass(frozen=True, slots=True)
class _Work:
    """A run about to begin; without `events` there is nothing to do but to ask again."""

    record: TaskRecord
    run: Running
    replies: int  # of the model so far: the number of the last artifact
    last: str  # what it said last
    shown: WatchedRun  # to whoever looks at the page
    question: str = ""
    events: Generator[Event, None, None] | None = None


class AgentExecution(AgentExecutor):
    """The SDK's executor that runs our agent."""

    def __init__(
        self, offered: Offered, model: Callable[[Key | None], LLM], database: Database, runs: Watched | None = None
    ) -> None:
        """`model` gives the model at the expense of a key; `runs` are looked at on the page."""
        self._offered, self._model, self._database = offered, model, database
        self._runs = runs or Watched()
        self._tasks = Tasks(database)
        self._room = asyncio.Semaphore(AT_ONCE)

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        """Work on the caller's message until an end, a limit or a question."""
        message, task_id, context_id = context.message, context.task_id, context.context_id
        assert message and task_id and context_id, "the SDK gives every request a message and its ids"
        updater = TaskUpdater(event_queue, task_id, context_id)
        if context.current_task is None:
            begun = TaskStatus(state=TaskState.TASK_STATE_SUBMITTED)
            begun.timestamp.GetCurrentTime()
            await event_queue.enqueue_event(Task(id=task_id, context_id=context_id, status=begun, history=[message]))
        async with self._room:
            await updater.start_work()
            caller = caller_of(context.call_context)
            try:
                ready = await apart(partial(self._prepare, task_id, context_id, caller, message))
            except (RecordError, DatabaseError, ApiError) as error:
                await _fail(updater, _told(error))
                return
            if ready.events is None:
                ready.shown.wait_for_caller()
                await _ask(updater, ready.question)
                return
            await _Telling(updater, ready).tell()

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        """The SDK ends `execute` besides, which stops the run."""
        assert context.task_id and context.context_id, "only a task that is there is cancelled"
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()

    def _prepare(self, task_id: str, context_id: str, caller: Caller, message: A2AMessage) -> _Work:
        """Where the run stands, and how it goes on. Raises RecordError, DatabaseError, ApiError."""
        if caller.user_name and caller.key is None:
            raise ApiError("the key that this task was given with may no longer be used", status=403)
        model = self._model(caller.key)
        record = TaskRecord(self._database, task_id, model.name)
        shown = self._shown(record, task_id, caller, model, message)
        try:
            return self._ready(record, shown, task_id, context_id, caller, model, message)
        except BaseException:
            shown.end("error")
            raise

    def _ready(
        self, record: TaskRecord, shown: WatchedRun, task_id: str, context_id: str, caller: Caller, model: LLM,
        message: A2AMessage,
    ) -> _Work:  # fmt: skip
        taken, past = record.has_taken(message.message_id), record.past()
        asked, answered = _question(past), False
        if asked and taken:
            return _Work(record, Running(), 0, "", shown, question=_words(asked[1]))
        record.message_id = message.message_id
        if asked:
            record.answer(asked[0], asked[1].id, text_of(message.parts))
            past, answered = record.past(), True
        record.message_id = ""  # what was said before is not this message
        before = () if past.history else self._before(task_id, context_id, caller, model)
        run = Running()
        agent = self._agent(model, record, past, before, run)
        record.message_id = message.message_id
        # Of this task: its record begins with the conversation before it, as messages.
        replies = [line["message"].get("content") or "" for line in record.lines if line["event"] == "reply"]
        events = agent.run() if taken or answered else agent.ask(text_of(message.parts))
        return _Work(record, run, len(replies), replies[-1] if replies else "", shown, events=events)

    def _shown(self, record: TaskRecord, task_id: str, caller: Caller, model: LLM, message: A2AMessage) -> WatchedRun:
        """The run for who looks on, with all that its record says."""
        who = caller.key.name if caller.key else ""
        shown = self._runs.begin(caller.user_name, who, text_of(message.parts), model.name, "a2a", task_id)
        shown.recall(record.lines)
        record.heard = shown.take
        return shown

    def _agent(self, model: LLM, record: TaskRecord, past: Past, before: Sequence[Message], run: Running) -> Agent:
        offered = self._offered

        def approve(call: ToolCall, checked: Checked) -> Decision:
            return Decision(True, None) if call.name == ASK else offered.approve(call, checked)

        return Agent(
            StoppableModel(model, run),
            StoppableTools(offered.tools, (_ASKING,), run),
            before,
            offered.limits,
            approve=approve,
            price=offered.price,
            record=record,
            past=past,
            rereadable=True,
        )

    def _before(self, task_id: str, context_id: str, caller: Caller, model: LLM) -> list[Message]:
        """What a new task begins with: the conversation of the task before it in the same context, or our words."""
        before = self._tasks.last_of(context_id, caller.user_name, task_id)
        if before:
            past = TaskRecord(self._database, before, model.name).past()
            # A reply whose calls were never all answered is left out with what there is of its results.
            whole = len(past.history) - (past.settled + 1 if past.open else 0)
            if whole > 0:
                return past.history[:whole]
        return [Message("system", self._offered.system)] if self._offered.system else []


class _Telling:
    """Turns the events of one run into those of its task."""

    def __init__(self, updater: TaskUpdater, ready: _Work) -> None:
        self._updater, self._ready = updater, ready
        self._heard: asyncio.Queue[Event | Exception | None] = asyncio.Queue()
        self._number = ready.replies + 1  # of the reply that comes
        self._last = ready.last
        self._text: list[str] = []  # not told yet
        self._due = 0.0  # when the next piece is to be told
        self._told = False  # a piece of this reply
        self._spoke = False
        self._asked: ToolCall | None = None

    async def tell(self) -> None:
        """Until the run is over. Cancelling this stops the run as if the process had ended."""
        loop, ready = asyncio.get_running_loop(), self._ready
        assert ready.events is not None
        work(ready.events, ready.run, lambda item: _hand(loop, self._heard, item), self._pauses)
        try:
            while (item := await self._next()) is not None:
                if isinstance(item, Exception):
                    await self._broke(item)
                    return
                await self._event(item)
            if self._asked:
                ready.shown.wait_for_caller()
                await _ask(self._updater, _words(self._asked))
        finally:
            if not self._asked:
                ready.shown.end("cancelled")  # unless it has ended
            ready.record.close()
            loop.run_in_executor(None, ready.run.stop)  # it may wait for the books

    def _pauses(self, event: Event) -> bool:
        """In the run's thread: a question ends it at the point where the answer will be wanted."""
        if isinstance(event, CallStarted) and event.call.name == ASK:
            self._ready.record.close()
            return True
        return False

    async def _next(self) -> Event | Exception | None:
        """The next event; text that waits is told every _PIECE_S."""
        getting = asyncio.ensure_future(self._heard.get())
        try:
            while True:
                left = self._due - time.monotonic()
                if (await asyncio.wait((getting,), timeout=max(left, 0) if len(self._text) > 1 else None))[0]:
                    return getting.result()
                await self._piece()
        finally:
            getting.cancel()

    async def _event(self, event: Event) -> None:
        match event:
            case Text(text):
                self._text.append(text)
                if len(self._text) > 1 and time.monotonic() >= self._due:
                    await self._piece()
            case Done(message):
                await self._piece(last=True)
                self._last, self._told = message.content, False
                self._number += 1
            case CallStarted(_, call):
                if call.name == ASK:
                    self._asked = call
                else:
                    await self._updater.start_work(self._message(f"calls {call.name}"))
            case Ended():
                await self._ended(event)
            case _:
                pass

    async def _piece(self, last: bool = False) -> None:
        """Tell the text that waits. The newest bit is kept back until the reply is whole, so that its last piece is
        never empty."""
        self._due = time.monotonic() + _PIECE_S
        kept = [] if last else self._text[-1:]
        text = "".join(self._text if last else self._text[:-1])
        self._text = kept
        if text:
            await self._artifact(text, self._number, self._told, last)
            self._told = self._spoke = True

    async def _artifact(self, text: str, number: int, append: bool, last: bool) -> None:
        name = f"reply-{number}"
        parts = [Part(text=text, media_type="text/plain")]
        await self._updater.add_artifact(parts, artifact_id=name, name=name, append=append, last_chunk=last)

    async def _ended(self, ended: Ended) -> None:
        took = {USAGE: _usage(ended.spent)}
        if ended.reason == "stop":
            if not self._spoke and self._last:  # it had said it before the server ended
                await self._artifact(self._last, self._number - 1, False, True)
            await self._updater.update_status(TaskState.TASK_STATE_COMPLETED, metadata=took)
        elif ended.reason != "cancelled" or not self._ready.run.stopped:
            why = "was cancelled" if ended.reason == "cancelled" else f"ended at its limit of {ended.reason}"
            await self._updater.update_status(
                TaskState.TASK_STATE_FAILED, self._message(f"the run {why}"), metadata=took
            )

    async def _broke(self, error: Exception) -> None:
        self._ready.shown.end("error")
        if not isinstance(error, LLMError | RecordError | ApiError):
            _log.error("a task broke", exc_info=error)
        if isinstance(error, ApiError) and error.status == 429 and self._number == 1:
            await self._updater.reject(self._message(str(error)))
        else:
            await _fail(self._updater, _told(error))

    def _message(self, text: str) -> A2AMessage:
        return _message(self._updater, text)


_ASKING = Tool(
    ToolSpec(
        ASK,
        "Ask whoever gave you this task a question that you cannot go on without. The answer comes as the result",
        parameters({"question": {"type": "string"}}),
    ),
    run=lambda _: "",  # never: the run pauses before it, and the answer is written in its place
    changes=True,  # so that it comes alone and in its place
)


def _question(past: Past) -> tuple[int, ToolCall] | None:
    """The question that the run stopped at, with its place in the reply."""
    for place, call in enumerate(past.open):
        if place not in past.results:
            return (place, call) if call.name == ASK and place in past.started else None
    return None


def _words(call: ToolCall) -> str:
    arguments: Mapping[str, Any] = json.loads(call.arguments)  # checked before the call started
    return str(whole_characters(arguments["question"]))


def _hand(
    loop: asyncio.AbstractEventLoop, heard: asyncio.Queue[Event | Exception | None], item: Event | Exception | None
) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(heard.put_nowait, item)


async def _ask(updater: TaskUpdater, question: str) -> None:
    await updater.requires_input(_message(updater, question))


async def _fail(updater: TaskUpdater, why: str) -> None:
    await updater.failed(_message(updater, why))


def _message(updater: TaskUpdater, text: str) -> A2AMessage:
    return updater.new_agent_message([Part(text=text, media_type="text/plain")])


def _told(error: Exception) -> str:
    """What a caller is told. What is our own fault stays in the log."""
    known = isinstance(error, LLMError | RecordError | ApiError)
    return str(error) if known else "the server failed on this task; its log says why"


def _usage(spent: Spent) -> dict[str, Any]:
    return {name: round(value, 9) for name, value in asdict(spent).items()}
