"""The agent over gRPC: the product's server, the SDK's own clients."""

import asyncio
import random
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import grpc
import httpx
import pytest
from a2a.client import A2AClientError, Client, ClientCallContext, ClientConfig, ClientFactory
from a2a.types import (
    AgentCard,
    GetTaskRequest,
    ListTasksRequest,
    Message,
    Part,
    Role,
    SendMessageRequest,
    StreamResponse,
    SubscribeToTaskRequest,
    TaskState,
    a2a_pb2_grpc,
)
from a2a.utils.errors import TaskNotFoundError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from google.protobuf.json_format import ParseDict

from a2a_servers import offering
from moonlet.ledger import keys
from moonlet.ledger.database import open_database
from moonlet.llm.scripted import Scripted
from moonlet.server.a2a import MAX_BODY
from moonlet.server.a2a_grpc import Place
from moonlet.server.keys import Access
from moonlet.tools.a2a import Remote, RemoteAgentError, connect
from moonlet.tools.tool import ToolError

T = TypeVar("T")
Channel = Callable[[str], Any]


@contextmanager
def both(
    model: Scripted, ledger: Path, access: Access = Access(), certificate: tuple[bytes, bytes] | None = None
) -> Iterator[str]:
    """The URL of a server that is asked over gRPC, too."""
    with offering(model, ledger, access=access, grpc=Place("127.0.0.1", _free_port(), certificate)) as url:
        yield url


def _free_port() -> int:
    """Of those that the system does not give to connections of its own: gRPC takes it a moment later."""
    while True:
        port = random.randrange(20_000, 30_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def card_of(url: str, version: str = "1.0") -> AgentCard:
    """The card, as a client that speaks gRPC alone would read it."""
    card = ParseDict(httpx.get(url + "/.well-known/agent-card.json").json(), AgentCard())
    own = [
        one for one in card.supported_interfaces if (one.protocol_binding, one.protocol_version) == ("GRPC", version)
    ]
    del card.supported_interfaces[:]
    card.supported_interfaces.extend(own)
    return card


def over(card: AgentCard, work: Callable[[Client], Coroutine[Any, Any, T]], channel: Channel | None = None) -> T:
    """What the SDK's client does over gRPC."""

    async def run() -> T:
        made = channel or grpc.aio.insecure_channel
        config = ClientConfig(supported_protocol_bindings=["GRPC"], grpc_channel_factory=made)
        async with ClientFactory(config).create(card) as client:
            return await work(client)

    return asyncio.run(run())


def said(text: str = "hello") -> SendMessageRequest:
    return SendMessageRequest(message=Message(message_id=f"m-{text}", role=Role.ROLE_USER, parts=[Part(text=text)]))


def with_key(secret: str) -> ClientCallContext:
    return ClientCallContext(service_parameters={"authorization": f"Bearer {secret}"})


@pytest.mark.parametrize("version", ["1.0", "0.3"])
def test_the_official_client_streams(tmp_path: Path, version: str) -> None:
    async def talk(client: Client) -> list[StreamResponse]:
        return [event async for event in client.send_message(said())]

    model = Scripted(["A long answer that comes in many pieces."], pause_s=0.05)
    with both(model, tmp_path / "l.db") as url:
        events = over(card_of(url, version), talk)
        (task,) = httpx.get(url + "/a2a/tasks", headers={"A2A-Version": "1.0"}).json()["tasks"]
    pieces = [event.artifact_update for event in events if event.HasField("artifact_update")]
    assert len(pieces) > 2 and pieces[-1].last_chunk
    assert (
        "".join(part.text for one in pieces for part in one.artifact.parts)
        == "A long answer that comes in many pieces."
    )
    assert events[-1].status_update.status.state == TaskState.TASK_STATE_COMPLETED
    assert task["id"] == events[-1].status_update.task_id  # over HTTP it is the same task


def test_a_task_can_be_watched_looked_at_and_missed(tmp_path: Path) -> None:
    async def work(client: Client) -> None:
        events = [event async for event in client.send_message(said("one"))]
        id = events[-1].status_update.task_id
        assert (await client.get_task(GetTaskRequest(id=id))).artifacts[0].parts[0].text == "Yes."
        assert [task.id for task in (await client.list_tasks(ListTasksRequest())).tasks] == [id]
        with pytest.raises(TaskNotFoundError):
            await client.get_task(GetTaskRequest(id="nothing"))
        with pytest.raises(TaskNotFoundError):
            _ = [event async for event in client.subscribe(SubscribeToTaskRequest(id="nothing"))]

    with both(Scripted(["Yes."]), tmp_path / "l.db") as url:
        over(card_of(url), work)


def test_keys_are_asked_for_and_part_their_tasks(tmp_path: Path) -> None:
    with closing(open_database(tmp_path / "l.db")) as database:
        ada, bob = (keys.add(database, name)[1] for name in ("ada", "bob"))
        models = keys.add(database, "models", scopes=("models",))[1]

    async def work(client: Client) -> None:
        for context, code in (
            (None, "UNAUTHENTICATED"),
            (with_key("sk-moonlet-wrong"), "UNAUTHENTICATED"),
            (with_key(models), "PERMISSION_DENIED"),
        ):
            with pytest.raises(A2AClientError, match=code):
                await client.list_tasks(ListTasksRequest(), context=context)
            with pytest.raises(A2AClientError, match=code):
                _ = [event async for event in client.send_message(said(), context=context)]
        events = [event async for event in client.send_message(said(), context=with_key(ada))]
        assert events[-1].status_update.status.state == TaskState.TASK_STATE_COMPLETED
        for secret, count in ((ada, 1), (bob, 0)):
            assert len((await client.list_tasks(ListTasksRequest(), context=with_key(secret))).tasks) == count

    with both(Scripted(["Yes."]), tmp_path / "l.db", Access(keys_needed=True)) as url:
        over(card_of(url), work)
    with closing(open_database(tmp_path / "l.db")) as database, database.reading() as connection:
        assert connection.run("SELECT key_name, api, state FROM requests") == [("ada", "a2a", "done")]


def test_the_servers_certificate_is_used(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]), datetime.now(UTC)
    building = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    building = building.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    alternative = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    chain = (
        building.add_extension(alternative, False).sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    )
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()

    async def talk(client: Client) -> int:
        return len([event async for event in client.send_message(said())])

    def trusting(address: str) -> Any:
        named = (("grpc.ssl_target_name_override", "localhost"),)
        return grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(chain), named)

    certificate = (key.private_bytes(serialization.Encoding.PEM, form, plain), chain)
    with both(Scripted(["Yes."]), tmp_path / "l.db", certificate=certificate) as url:
        assert over(card_of(url), talk, trusting) > 1
        with pytest.raises(A2AClientError, match="UNAVAILABLE"):
            over(card_of(url), talk)  # without TLS nothing is said


def test_what_is_no_call_of_ours_is_refused(tmp_path: Path) -> None:
    async def work(client: Client) -> None:
        stub = a2a_pb2_grpc.A2AServiceStub(client._transport.channel)  # type: ignore[attr-defined, no-untyped-call]
        for request, metadata, code in (
            (said(), (("a2a-version", "99.0"),), grpc.StatusCode.FAILED_PRECONDITION),
            (said("x" * MAX_BODY), (), grpc.StatusCode.RESOURCE_EXHAUSTED),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.SendMessage(request, metadata=metadata)
            assert refused.value.code() == code

    model = Scripted(["never"])
    with both(model, tmp_path / "l.db") as url:
        over(card_of(url), work)
    assert not model.asked


def test_what_breaks_inside_is_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def breaks(*_: Any) -> None:
        raise ValueError("the password is swordfish")

    async def work(client: Client) -> str:
        with pytest.raises(A2AClientError, match="INTERNAL") as told:
            await client.list_tasks(ListTasksRequest())
        return str(told.value)

    monkeypatch.setattr("moonlet.server.a2a_store.Tasks.list", breaks)
    with both(Scripted([]), tmp_path / "l.db") as url:
        told = over(card_of(url), work)
    assert "its log says why" in told and "swordfish" not in told


def test_an_agent_that_speaks_grpc_alone_is_a_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from moonlet.server import a2a_card

    made = a2a_card.make_card

    def alone(*given: Any) -> AgentCard:
        card = made(*given)
        own = [one for one in card.supported_interfaces if one.protocol_binding == "GRPC"]
        del card.supported_interfaces[:]
        card.supported_interfaces.extend(own)
        return card

    monkeypatch.setattr("moonlet.server.a2a.make_card", alone)
    with closing(open_database(tmp_path / "l.db")) as database:
        ada = keys.add(database, "ada")[1]
    with both(Scripted(["Yes."]), tmp_path / "l.db", Access(keys_needed=True)) as url:
        give, look = connect(Remote(url, ada))
        assert give.run({"message": "hello"}).startswith("Yes.")
        assert '"state": "completed"' in look.run({})
        with pytest.raises(ToolError, match="UNAUTHENTICATED"):
            connect(Remote(url))[0].run({"message": "hello"})
        with pytest.raises(RemoteAgentError, match="names no address"):  # the card is of another host
            connect(Remote(url.replace("127.0.0.1", "localhost"), ada))
