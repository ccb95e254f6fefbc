"""Other agents as tools: each agent's card becomes one tool that gives it a task, and one that looks at its tasks.

A task goes on when the connection is lost or the agent's server is restarted: this side connects again. What an agent
says of itself and what it answers are written by others. Its key is sent to the place that was named, and nowhere else.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import time
import uuid
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
from a2a.client import A2ACardResolver, A2AClientError, Client, ClientConfig, ClientFactory
from a2a.types import (
    AgentCard,
    AgentInterface,
    Artifact,
    CancelTaskRequest,
    GetTaskRequest,
    ListTasksRequest,
    Message,
    Part,
    Role,
    SendMessageRequest,
    StreamResponse,
    SubscribeToTaskRequest,
    Task,
    TaskState,
)
from a2a.utils.errors import A2AError, TaskNotFoundError
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct

from moonlet.chat.messages import ToolSpec
from moonlet.tools.running import here
from moonlet.tools.tool import Tool, ToolError, parameters

USAGE = "urn:moonlet:a2a:usage:1"  # the member of a task's metadata that says what it took
CALL_S = 1800.0  # of one task
LOST_S = 120.0  # that an agent may be away before it is given up
READ_S = 60.0  # without a sign of life on an open stream: servers send one every 15 s
CANCEL_S = 5.0
MOST_TEXT = 400_000  # characters of an answer
MOST_HELD = 16 << 20  # bytes of an answer and its files; what comes when there are so many is not kept
MOST_MESSAGE = 32 << 20  # bytes of a body, or of an event of a stream, as they are sent
_PART = 64  # bytes that a part takes beside its own
_MORE = "[the answer goes on; the rest was left out]"
_ABOUT = 1000  # characters of what an agent says of itself
_FINAL = {
    TaskState.TASK_STATE_COMPLETED: "completed",
    TaskState.TASK_STATE_FAILED: "failed",
    TaskState.TASK_STATE_CANCELED: "canceled",
    TaskState.TASK_STATE_REJECTED: "rejected",
}
_WAITING = (TaskState.TASK_STATE_INPUT_REQUIRED, TaskState.TASK_STATE_AUTH_REQUIRED)
_FAILURES = (A2AError, A2AClientError, httpx.HTTPError, OSError)


class RemoteAgentError(Exception):
    """An agent cannot be reached, or its card cannot be used."""


@dataclass(frozen=True, slots=True)
class Remote:
    """Where an agent is, and what it wants to see."""

    url: str
    key: str | None = field(default=None, repr=False)
    public_key: str | None = None  # PEM: the card must be signed with its other half


@dataclass(frozen=True, slots=True)
class Cost:
    """What a task took at another agent, as that agent says."""

    agent: str
    task: str
    prompt_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0
    usd: float = 0.0

    def __str__(self) -> str:
        usd = f", {self.usd:.6f} USD" if self.usd else ""
        return f"{self.prompt_tokens} + {self.output_tokens} tokens, {self.seconds:.1f} s{usd}"


def connect(
    remote: Remote, taken: Collection[str] = (), noted: Callable[[Cost], None] = lambda _: None
) -> tuple[Tool, Tool]:
    """The two tools of an agent, under names that are not `taken`. `noted` is told what each task cost. Raises
    RemoteAgentError."""
    agent = _Agent(remote, asyncio.run(_card(remote)), noted)
    name = _name(agent.card.name, taken)
    says = " ".join(_clean(agent.card.description).split())[:_ABOUT]
    skills = ", ".join(_clean(skill.name)[:60] for skill in agent.card.skills[:20])
    about = f"Give a task to another agent and wait for its answer. It says of itself: {says} Skills: {skills}"
    message = {"message": {"type": "string", "description": "The task, or the answer to the agent's question"}}
    going_on = {"task": {"type": "string", "description": "Id of the task to go on with, if the agent asked something"}}
    give = Tool(
        ToolSpec(name, about, parameters(message, going_on)),
        lambda arguments: _run(agent.give(arguments["message"], arguments.get("task") or "", name)),
        changes=True,  # what it does with a task is not known here
        sends=True,
        outside=True,
        timeout_s=CALL_S,
        hints=f"an agent at {remote.url}",
    )
    one = {"task": {"type": "string", "description": "Id of a task; without it the latest ones are listed"}}
    look = Tool(
        ToolSpec(f"{name}_tasks", f"Look at tasks given to {name}: states and answers", parameters({}, one)),
        lambda arguments: _run(agent.look(arguments.get("task") or "")),
        sends=True,
        outside=True,
        hints=f"an agent at {remote.url}",
    )
    return give, look


def text_of(parts: Iterable[Part]) -> str:
    """What the parts of a message say, as text. Files are named, not fetched; bytes that are no text are left out."""
    said: list[str] = []
    for part in parts:
        match part.WhichOneof("content"):
            case "text":
                said.append(part.text)
            case "data":
                said.append(json.dumps(MessageToDict(part.data), ensure_ascii=False))
            case "url":
                said.append(f"[file {part.filename or part.media_type}: {part.url}]")
            case "raw" if part.media_type.startswith("text/") or part.media_type == "application/json":
                said.append(part.raw.decode(errors="replace"))
            case "raw":
                said.append(f"[file {part.filename} of {len(part.raw)} bytes, {part.media_type}]")
    return "\n".join(said)


class _Agent:
    """One agent elsewhere. Every call opens its own connection: calls run in threads of their own."""

    def __init__(self, remote: Remote, card: AgentCard, noted: Callable[[Cost], None]) -> None:
        self.card = card
        self._remote, self._noted = remote, noted

    async def give(self, message: str, task_id: str, name: str) -> str:
        """Sends a message and waits for the task's end. Raises ToolError."""
        async with self._connected() as client:
            follow = _Following(here().tell)
            said = Message(
                message_id=uuid.uuid4().hex, role=Role.ROLE_USER, parts=[Part(text=message)], task_id=task_id
            )
            try:
                await self._follow(client, client.send_message(SendMessageRequest(message=said)), follow)
            except asyncio.CancelledError:
                await self._cancel(client, follow.task.id, said.message_id)
                raise
        return self._outcome(follow, name)

    async def look(self, task_id: str) -> str:
        """States and answers of one task or of the latest ones. Raises ToolError."""
        async with self._connected() as client:
            try:
                if task_id:
                    return json.dumps(_seen(await client.get_task(GetTaskRequest(id=task_id))), ensure_ascii=False)
                found = await client.list_tasks(ListTasksRequest(page_size=10, include_artifacts=True))
            except (*_FAILURES, NotImplementedError) as error:  # agents of 0.3 have no lists
                raise ToolError(f"the tasks cannot be seen: {_why(error)}") from None
        return json.dumps([_seen(task) for task in found.tasks], ensure_ascii=False)

    async def _follow(self, client: Client, stream: AsyncIterator[StreamResponse], follow: _Following) -> None:
        """Listen until the task is over or waits for an answer, through losses of the connection."""
        lost_since: float | None = None
        wait_s = 0.25
        while True:
            try:
                async for response in stream:
                    follow.take(response)
                    lost_since = None
                    wait_s = wait_s if response.HasField("task") else 0.25  # the state alone is no news
            except _FAILURES as error:
                why = _why(error)
                if not follow.task.id:
                    unknown = "; whether it has the task is not known, look at its tasks" if _sent(error) else ""
                    raise ToolError(f"the agent did not answer: {why}{unknown}") from None
                if isinstance(error, TaskNotFoundError):
                    raise ToolError(f"the agent no longer knows the task {follow.task.id}") from None
                lost_since = lost_since or time.monotonic()
                if time.monotonic() - lost_since > LOST_S:
                    told = f"the agent has been away for {LOST_S:.0f} s; its task {follow.task.id} may still go on"
                    raise ToolError(f"{told} ({why})") from None
                here().tell(f"connection lost, trying again ({why})")
            if follow.over:
                return
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, 2.0)
            stream = self._again(client, follow)

    async def _again(self, client: Client, follow: _Following) -> AsyncIterator[StreamResponse]:
        """The task as it is by now, and what comes after."""
        task = await client.get_task(GetTaskRequest(id=follow.task.id))
        yield StreamResponse(task=task)
        if not follow.over:
            async for response in client.subscribe(SubscribeToTaskRequest(id=task.id)):
                yield response

    async def _cancel(self, client: Client, task_id: str, message_id: str) -> None:
        """Nobody waits any more: the agent is told, if it listens. A task that has not been heard of yet is known by
        the message that began it."""
        with suppress(*_FAILURES, NotImplementedError, TimeoutError):
            async with asyncio.timeout(CANCEL_S):
                if not task_id:
                    found = await client.list_tasks(ListTasksRequest(page_size=10))
                    began = [task for task in found.tasks if any(one.message_id == message_id for one in task.history)]
                    task_id = began[0].id if began else ""
                if task_id:
                    await client.cancel_task(CancelTaskRequest(id=task_id))

    def _outcome(self, follow: _Following, name: str) -> str:
        if follow.message is not None:
            return text_of(follow.message.parts)[:MOST_TEXT]
        task, cost = follow.task, _cost(self.card.name, follow.task)
        if cost:
            self._noted(cost)
        state, says = task.status.state, text_of(task.status.message.parts)
        foot = f"[task {task.id}" + (f", took {cost}]" if cost else "]")
        answer = "\n\n".join(filter(None, (text_of(artifact.parts) for artifact in _whole(task))))
        if follow.more or len(answer) > MOST_TEXT:
            answer = f"{answer[:MOST_TEXT]}\n{_MORE}"
        if state == TaskState.TASK_STATE_INPUT_REQUIRED:
            told = f"The agent asks: {says}\n[answer by calling {name} with task {task.id}]"
            return "\n\n".join(filter(None, (answer, told)))
        if state != TaskState.TASK_STATE_COMPLETED:
            how = _FINAL.get(state, "wants an authentication that it cannot be given")
            raise ToolError("\n\n".join(filter(None, (f"the task {how}: {says}", answer, foot))))
        return "\n\n".join(filter(None, (answer or says, foot)))

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Client]:
        if all(one.protocol_binding == "GRPC" for one in self.card.supported_interfaces):
            from moonlet.tools import a2a_grpc  # an extra of the package

            secure = self._remote.url.startswith("https:")
            async with a2a_grpc.connected(self.card, secure, self._remote.key) as client:
                yield client
            return
        async with _http(self._remote) as http:
            yield ClientFactory(
                ClientConfig(httpx_client=http, supported_protocol_bindings=["JSONRPC", "HTTP+JSON"])
            ).create(self.card)


class _Following:
    """A task as its events tell it."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.task = Task()
        self.message: Message | None = None  # an answer without a task
        self.more = False  # came than is kept
        self._tell, self._held = tell, 0

    @property
    def over(self) -> bool:
        state = self.task.status.state
        return self.message is not None or state in _FINAL or state in _WAITING

    def take(self, response: StreamResponse) -> None:
        """One event of the stream."""
        match response.WhichOneof("payload"):
            case "task":
                self.task.CopyFrom(response.task)
                self._held, self.more = sum(map(_size, self.task.artifacts)), False
            case "message":
                self.message = response.message
            case "status_update":
                update = response.status_update
                self.task.id, self.task.context_id = update.task_id, update.context_id
                self.task.status.CopyFrom(update.status)
                self.task.metadata.MergeFrom(update.metadata)
                if said := text_of(update.status.message.parts):
                    self._tell(_clean(said)[:_ABOUT])
            case "artifact_update":
                self._artifact(response)

    def _artifact(self, response: StreamResponse) -> None:
        update = response.artifact_update
        if said := text_of(update.artifact.parts):
            self._tell(_clean(said)[:_ABOUT])
        held = [one for one in self.task.artifacts if one.artifact_id == update.artifact.artifact_id]
        beside = self._held - (_size(held[0]) if held and not update.append else 0)  # what this does not replace
        if beside >= MOST_HELD:
            self.more = True
            return
        self._held = beside + _size(update.artifact)
        if held and update.append:
            held[0].parts.extend(update.artifact.parts)
        elif held:
            held[0].CopyFrom(update.artifact)
        else:
            self.task.artifacts.append(update.artifact)


def _size(artifact: Artifact) -> int:
    size: int = artifact.ByteSize() + _PART * len(artifact.parts)
    return size


def _whole(task: Task) -> Iterable[Any]:
    """Artifacts whose neighbouring pieces of text, as they were streamed, are one text again."""
    for artifact in task.artifacts:
        if all(part.WhichOneof("content") == "text" for part in artifact.parts):
            joined = "".join(part.text for part in artifact.parts)
            del artifact.parts[:]
            artifact.parts.append(Part(text=joined))
        yield artifact


def _seen(task: Task) -> dict[str, Any]:
    state = TaskState.Name(task.status.state).removeprefix("TASK_STATE_").lower().replace("_", "-")
    asked = [text_of(message.parts) for message in task.history if message.role == Role.ROLE_USER]
    return {
        "task": task.id,
        "state": state,
        "asked": asked[0][:_ABOUT] if asked else "",
        "says": text_of(task.status.message.parts)[:_ABOUT],
        "answer": "\n\n".join(text_of(artifact.parts) for artifact in _whole(task))[:MOST_TEXT],
    }


def _cost(agent: str, task: Task) -> Cost | None:
    """What the task took, if the agent says so in a form that can be believed."""
    took = MessageToDict(task.metadata).get(USAGE) if isinstance(task.metadata, Struct) else None
    if not isinstance(took, Mapping):
        return None
    names = ("prompt_tokens", "output_tokens", "seconds", "usd")
    numbers = {name: took.get(name, 0.0) for name in names}
    if not all(isinstance(one, int | float) and math.isfinite(one) and one >= 0 for one in numbers.values()):
        return None
    prompt, output = int(numbers["prompt_tokens"]), int(numbers["output_tokens"])
    return Cost(_clean(agent), task.id, prompt, output, float(numbers["seconds"]), float(numbers["usd"]))


async def _card(remote: Remote) -> AgentCard:
    """The agent's card, checked. Raises RemoteAgentError."""
    origin = _origin(remote.url)
    if origin is None:
        raise RemoteAgentError(f"{remote.url}: an agent's URL begins with http:// or https://")
    base, path = remote.url.rstrip("/"), None
    if base.endswith(".json"):
        base, path = origin, httpx.URL(base).path
    async with _http(remote) as http:
        try:
            card = await A2ACardResolver(http, base).get_agent_card(path)
        except (*_FAILURES, ValueError) as error:
            raise RemoteAgentError(f"{remote.url}: no agent's card: {_why(error)}") from None
    if remote.public_key is not None:
        _verify(card, remote)
    # Whoever wrote the card could otherwise send the key, or our requests, to any place.
    own = [one for one in card.supported_interfaces if _origin(one.url) == origin] or _over_grpc(card, remote)
    if not own:
        raise RemoteAgentError(f"{remote.url}: the agent's card names no address at {origin}")
    del card.supported_interfaces[:]
    card.supported_interfaces.extend(own)
    return card


def _over_grpc(card: AgentCard, remote: Remote) -> list[AgentInterface]:
    """The card's addresses for gRPC, if that is all it has for us."""
    try:
        from moonlet.tools import a2a_grpc  # an extra of the package
    except ImportError:
        return []
    return a2a_grpc.own(card, httpx.URL(remote.url))


def _verify(card: AgentCard, remote: Remote) -> None:
    from a2a.utils.signing import SignatureVerificationError, create_signature_verifier  # needs PyJWT

    assert remote.public_key is not None
    key = remote.public_key
    try:
        create_signature_verifier(lambda kid, jku: key, ["ES256", "RS256", "EdDSA"])(card)
    except SignatureVerificationError as error:
        raise RemoteAgentError(f"{remote.url}: the card is not signed with the key that was given ({error})") from None


def _http(remote: Remote) -> httpx.AsyncClient:
    # Packed, what fits could be a thousand times as much.
    headers = {"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {remote.key}"} if remote.key else {})
    timeout, hooks = httpx.Timeout(10.0, read=READ_S), {"response": [_bound]}
    return httpx.AsyncClient(headers=headers, timeout=timeout, follow_redirects=False, event_hooks=hooks)


async def _bound(response: httpx.Response) -> None:
    """Of a body no more is read than a message may have, or each event of a stream. Raises httpx.ReadError."""
    if response.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise httpx.ReadError("a packed answer, though unpacked was asked for")
    asked, told = response.request.headers.get("accept", ""), response.headers.get("content-type", "")
    events = response.is_success and "text/event-stream" in asked and "text/event-stream" in told
    assert isinstance(response.stream, httpx.AsyncByteStream)
    response.stream = _Bounded(response.stream, events)


class _Bounded(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream, events: bool) -> None:
        """`events`: it is read event by event, and not as a whole."""
        self._inner, self._events = inner, events

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for piece in self._inner:
            size += len(piece)
            if self._events and (end := max(piece.rfind(b"\n\n"), piece.rfind(b"\n\r\n")) + 1):  # of an event
                size = len(piece) - end
            if size > MOST_MESSAGE:
                raise httpx.ReadError(f"a message of more than {MOST_MESSAGE >> 20} MiB")
            yield piece

    async def aclose(self) -> None:
        await self._inner.aclose()


def _origin(url: str) -> str | None:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError):
        return None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        return None
    return f"{parsed.scheme}://{parsed.netloc.decode('ascii')}"


def _name(given: str, taken: Collection[str]) -> str:
    # Whoever wrote the card chooses the rest: without a prefix it could look like a tool that the user has allowed.
    plain = "agent_" + (re.sub(r"[^a-z0-9]+", "_", given.lower()).strip("_")[:48] or "unnamed")
    names = (plain if n == 1 else f"{plain}_{n}" for n in range(1, 1000))
    return next(name for name in names if name not in taken and f"{name}_tasks" not in taken)


def _clean(text: str) -> str:
    return "".join(sign for sign in text if sign.isprintable() or sign in "\n\t")


def _sent(error: BaseException) -> bool:
    """Whether the request may have arrived, though nothing came back."""
    cause = error.__cause__ if isinstance(error, A2AClientError) else error
    if code := getattr(cause, "code", None):  # of gRPC
        return code().name in ("UNAVAILABLE", "CANCELLED", "INTERNAL", "UNKNOWN")
    return isinstance(cause, httpx.HTTPError) and not isinstance(cause, httpx.ConnectError | httpx.HTTPStatusError)


def _why(error: BaseException) -> str:
    return " ".join(_clean(str(error)).split())[:300] or type(error).__name__


def _run(work: Coroutine[Any, Any, str]) -> str:
    """The work in an event loop of this call's thread; stopping the call cancels it. Raises ToolError."""
    call = here()

    async def stoppable() -> str:
        task, loop = asyncio.ensure_future(work), asyncio.get_running_loop()

        def stop() -> None:
            with suppress(RuntimeError):  # the loop is closed: it is over anyhow
                loop.call_soon_threadsafe(task.cancel)

        call.on_stop(stop)
        return await task

    try:
        return asyncio.run(stoppable())
    except asyncio.CancelledError:
        raise ToolError("stopped; the agent was told to stop, too") from None
