"""The agent offered over A2A: the product's server, the SDK's clients, a scripted model."""

import asyncio
import json
import threading
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
from a2a.client import ClientConfig, ClientFactory
from a2a.types import AgentCard, Message, Part, Role, SendMessageRequest, StreamResponse, TaskState
from google.protobuf.json_format import ParseDict

from a2a_servers import last, offering
from moonlet.agent import Limits
from moonlet.agent.approval import Approvals, allow_all
from moonlet.chat import messages as chat
from moonlet.chat.messages import ToolCall, ToolSpec
from moonlet.cli import main as cli_main
from moonlet.ledger import keys
from moonlet.ledger.database import open_database
from moonlet.llm.scripted import Scripted
from moonlet.server.a2a_card import Signer
from moonlet.server.a2a_executor import Offered
from moonlet.server.a2a_push import PushRefusedError, is_public, place_of
from moonlet.server.a2a_store import prune
from moonlet.server.keys import Access
from moonlet.tools import a2a
from moonlet.tools.a2a import Cost, Remote, RemoteAgentError, connect
from moonlet.tools.running import Running, entered, here
from moonlet.tools.tool import Checked, Tool, ToolError, parameters

HEADERS = {"A2A-Version": "1.0"}


def ask(question: str) -> chat.Message:
    return chat.Message("assistant", calls=(ToolCall("q", "ask_caller", json.dumps({"question": question})),))


def send(url: str, text: str, headers: dict[str, str] | None = None, **message: Any) -> dict[str, Any]:
    """A message over HTTP+JSON; the whole task."""
    said = {"messageId": f"m{time.monotonic_ns()}", "role": "ROLE_USER", "parts": [{"text": text}], **message}
    answer = httpx.post(
        f"{url}/a2a/message:send", json={"message": said}, headers=HEADERS | (headers or {}), timeout=30
    )
    assert answer.is_success, answer.text
    task: dict[str, Any] = answer.json()["task"]
    return task


def rpc(url: str, method: str, params: dict[str, Any], **headers: str) -> Any:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return httpx.post(f"{url}/a2a", json=body, headers=HEADERS | headers, timeout=30).json()


def answer_of(task: dict[str, Any]) -> str:
    return "".join(part["text"] for artifact in task.get("artifacts", []) for part in artifact["parts"])


def slow_tool(begun: threading.Event, stopped: threading.Event) -> Tool:
    def wait(_: Any) -> str:
        begun.set()
        if here().wait(30):
            stopped.set()
        return "waited"

    return Tool(ToolSpec("wait", "Waits", parameters()), wait)


def test_a_task_is_answered_over_both_bindings_and_listed(tmp_path: Path) -> None:
    with offering(Scripted(["Four.", "Nine."]), tmp_path / "l.db") as url:
        first = send(url, "2 * 2?")
        assert first["status"]["state"] == "TASK_STATE_COMPLETED" and answer_of(first) == "Four."
        assert first["metadata"]["urn:moonlet:a2a:usage:1"]["output_tokens"] == 2
        message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "3 * 3?"}]}
        second = rpc(url, "SendMessage", {"message": message})["result"]["task"]
        assert answer_of(second) == "Nine."
        page = rpc(url, "ListTasks", {"pageSize": 1})["result"]
        assert [task["id"] for task in page["tasks"]] == [second["id"]] and page["totalSize"] == 2
        rest = rpc(url, "ListTasks", {"pageSize": 1, "pageToken": page["nextPageToken"]})["result"]
        assert [task["id"] for task in rest["tasks"]] == [first["id"]] and not rest["nextPageToken"]
        assert rpc(url, "ListTasks", {"pageToken": "nonsense"})["error"]["code"] == -32602


@pytest.mark.parametrize("binding", ["JSONRPC", "HTTP+JSON"])
@pytest.mark.parametrize("version", ["1.0", "0.3"])
def test_the_official_client_streams(tmp_path: Path, binding: str, version: str) -> None:
    model = Scripted(["A long answer that comes in many pieces."], pause_s=0.05)
    with offering(model, tmp_path / "l.db") as url:
        card = httpx.get(url + "/a2a/.well-known/agent-card.json").json()
        assert card["url"] and card["protocolVersion"].startswith("0.3")  # what a client of 0.3 reads
        clean = httpx.get(url + "/.well-known/agent-card.json").json()
        assert "url" not in clean and "protocolVersion" not in clean
        found = ParseDict(clean, AgentCard())
        only = [
            one
            for one in found.supported_interfaces
            if (one.protocol_binding, one.protocol_version) == (binding, version)
        ]
        del found.supported_interfaces[:]
        found.supported_interfaces.extend(only)

        async def talk() -> list[StreamResponse]:
            config = ClientConfig(supported_protocol_bindings=[binding])
            async with ClientFactory(config).create(found) as client:
                said = Message(message_id="m", role=Role.ROLE_USER, parts=[Part(text="hello")])
                return [event async for event in client.send_message(SendMessageRequest(message=said))]

        events = asyncio.run(talk())
    pieces = [event.artifact_update for event in events if event.HasField("artifact_update")]
    assert len(pieces) > 2 and pieces[-1].last_chunk and not pieces[0].append
    said = "".join(part.text for piece in pieces for part in piece.artifact.parts)
    assert said == "A long answer that comes in many pieces."
    with offering(model, tmp_path / "l.db") as url:
        (kept,) = rpc(url, "ListTasks", {"includeArtifacts": True})["result"]["tasks"]
        assert [part["text"] for part in kept["artifacts"][0]["parts"]] == [said]
    assert events[-1].status_update.status.state == TaskState.TASK_STATE_COMPLETED


def test_a_question_waits_for_its_answer_also_over_a_restart(tmp_path: Path) -> None:
    def goes_on(messages: Sequence[chat.Message], _: Sequence[ToolSpec]) -> str:
        told = last(messages, "tool")
        assert told is not None
        return f"Painted it {told.content}."

    with offering(Scripted([ask("Which colour?")]), tmp_path / "l.db") as url:
        task = send(url, "paint the shed")
        assert task["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
        assert task["status"]["message"]["parts"][0]["text"] == "Which colour?"
    with offering(Scripted([goes_on]), tmp_path / "l.db") as url:
        done = send(url, "green", taskId=task["id"])
        assert done["id"] == task["id"] and done["contextId"] == task["contextId"]
        assert done["status"]["state"] == "TASK_STATE_COMPLETED" and answer_of(done) == "Painted it green."
        again = rpc(
            url,
            "SendMessage",
            {"message": {"messageId": "x", "role": "ROLE_USER", "parts": [{"text": "?"}], "taskId": task["id"]}},
        )
        assert again["error"]["code"] == -32004  # it is over


def test_old_tasks_are_pruned_and_what_is_worked_on_is_not(tmp_path: Path) -> None:
    with offering(Scripted(["done"]), tmp_path / "l.db") as url:
        send(url, "count")
    with closing(open_database(tmp_path / "l.db")) as database:
        prune(database, time.time() - 60)
        with database.reading() as connection:
            assert len(connection.run("SELECT id FROM a2a_tasks")) == 1
        with database.transaction() as connection:
            connection.run("UPDATE a2a_tasks SET state = ?", (int(TaskState.TASK_STATE_WORKING),))
        prune(database, time.time() + 60)
        with database.transaction() as connection:
            assert len(connection.run("SELECT id FROM a2a_tasks")) == 1
            connection.run("UPDATE a2a_tasks SET state = ?", (int(TaskState.TASK_STATE_COMPLETED),))
        prune(database, time.time() + 60)
        with database.reading() as connection:
            for table in ("a2a_tasks", "a2a_record", "a2a_push"):
                assert not connection.run(f"SELECT * FROM {table}"), table


def test_a_context_is_one_conversation(tmp_path: Path) -> None:
    model = Scripted(["Hello Ada.", "Ada."])
    with offering(model, tmp_path / "l.db") as url:
        first = send(url, "I am Ada")
        second = send(url, "Who am I?", contextId=first["contextId"])
    assert second["id"] != first["id"]
    assert [one["artifacts"][0]["artifactId"] for one in (first, second)] == ["reply-1", "reply-1"]
    said = [(message.role, message.content) for message in model.asked[1][0] if message.role != "system"]
    assert said == [("user", "I am Ada"), ("assistant", "Hello Ada."), ("user", "Who am I?")]


def test_a_cancelled_task_stops_its_calls(tmp_path: Path) -> None:
    begun, stopped = threading.Event(), threading.Event()
    model = Scripted([chat.Message("assistant", calls=(ToolCall("w", "wait", "{}"),)), "never"])
    offered = Offered((slow_tool(begun, stopped),), approve=allow_all)
    with offering(model, tmp_path / "l.db", offered) as url:
        body = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "wait"}]}
        configuration = {"returnImmediately": True}
        sent = httpx.post(
            f"{url}/a2a/message:send/", json={"message": body, "configuration": configuration}, headers=HEADERS
        )
        task = sent.json()["task"]
        assert begun.wait(10)
        ended = httpx.post(f"{url}/a2a/tasks/{task['id']}:cancel/", headers=HEADERS).json()
        assert ended["status"]["state"] == "TASK_STATE_CANCELED"
        assert stopped.wait(10)
        assert rpc(url, "CancelTask", {"id": task["id"]})["error"]["code"] == -32002
        assert len(model.asked) == 1


def test_limits_and_effects_are_the_owners(tmp_path: Path) -> None:
    calls = [chat.Message("assistant", calls=(ToolCall(f"c{n}", "wipe", "{}"),)) for n in range(3)]
    wiped: list[str] = []
    tool = Tool(ToolSpec("wipe", "Wipes", parameters()), lambda _: wiped.append("x"), changes=True)
    model = Scripted(calls)
    with offering(model, tmp_path / "l.db", Offered((tool,), limits=Limits(steps=2))) as url:
        task = send(url, "wipe it")
    assert task["status"]["state"] == "TASK_STATE_FAILED" and "limit of steps" in json.dumps(task["status"])
    assert not wiped  # nobody could be asked


def test_keys_part_their_tasks_and_pay(tmp_path: Path) -> None:
    with closing(open_database(tmp_path / "l.db")) as database:
        ada, bob = (keys.add(database, name)[1] for name in ("ada", "bob"))
    with offering(Scripted(["Yes."] * 3), tmp_path / "l.db", access=Access(keys_needed=True)) as url:
        assert httpx.get(url + "/.well-known/agent-card.json").json()["securityRequirements"]
        assert httpx.post(url + "/a2a", json={}).status_code == 401
        mine, theirs = ({"Authorization": f"Bearer {secret}"} for secret in (ada, bob))
        task = send(url, "hello", mine)
        assert httpx.get(f"{url}/a2a/tasks/{task['id']}", headers=HEADERS | mine).is_success
        assert httpx.get(f"{url}/a2a/tasks/{task['id']}", headers=HEADERS | theirs).status_code == 404
        assert rpc(url, "ListTasks", {}, **theirs)["result"]["tasks"] == []
        extended = rpc(url, "GetExtendedAgentCard", {}, **mine)["result"]
        assert extended["name"] == "worker"
        give, _ = connect(Remote(url, ada))
        assert give.run({"message": "hello"}).startswith("Yes.")
        with pytest.raises(ToolError, match="401"):
            connect(Remote(url, "moonlet-wrong"))[0].run({"message": "hello"})
    with closing(open_database(tmp_path / "l.db")) as database, database.reading() as connection:
        rows = connection.run("SELECT key_name, api, state FROM requests")
    assert rows == [("ada", "a2a", "done")] * 2


def test_a_key_over_its_limit_is_rejected(tmp_path: Path) -> None:
    with closing(open_database(tmp_path / "l.db")) as database:
        ada = keys.add(database, "ada", limits=keys.Limits(tokens_per_day=1))[1]
    with offering(Scripted(["Yes."]), tmp_path / "l.db", access=Access(keys_needed=True)) as url:
        task = send(url, "hello, a question that takes tokens", {"Authorization": f"Bearer {ada}"})
    assert task["status"]["state"] == "TASK_STATE_REJECTED"


def test_a_signed_card_is_verified_and_another_key_is_not(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    signer, other = Signer.open(tmp_path / "a.pem"), Signer.open(tmp_path / "b.pem")
    assert (tmp_path / "a.pem").stat().st_mode & 0o777 == 0o600
    assert Signer.open(tmp_path / "a.pem").key_id == signer.key_id

    def public(one: Signer) -> str:
        key = serialization.load_pem_private_key(one.private_pem(), None)
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()

    with offering(Scripted([]), tmp_path / "l.db", signer=signer) as url:
        assert httpx.get(url + "/.well-known/jwks.json").json()["keys"][0]["kid"] == signer.key_id
        connect(Remote(url, public_key=public(signer)))
        with pytest.raises(RemoteAgentError, match="not signed"):
            connect(Remote(url, public_key=public(other)))


class Hook(BaseHTTPRequestHandler):
    """Keeps what it is told."""

    heard: ClassVar[list[tuple[str, str, Any]]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        Hook.heard.append((self.headers["X-A2A-Notification-Token"], self.headers["Authorization"], body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


def test_notifications_come_in_order_with_their_credentials(tmp_path: Path) -> None:
    Hook.heard = []
    with HTTPServer(("127.0.0.1", 0), Hook) as hook:
        threading.Thread(target=hook.serve_forever, daemon=True).start()
        with offering(Scripted(["Done."]), tmp_path / "l.db", push_hosts=("127.0.0.1",)) as url:
            config = {
                "url": f"http://127.0.0.1:{hook.server_port}/hook",
                "token": "t0",
                "authentication": {"scheme": "Bearer", "credentials": "c0"},
            }
            body = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "go"}]}
            both = {"message": body, "configuration": {"taskPushNotificationConfig": config}}
            task = rpc(url, "SendMessage", both)["result"]["task"]
            kept = rpc(url, "ListTaskPushNotificationConfigs", {"taskId": task["id"]})["result"]["configs"]
            assert kept[0]["url"] == config["url"]
            end = time.monotonic() + 20
            while not any("COMPLETED" in json.dumps(body) for _, _, body in Hook.heard):
                assert time.monotonic() < end, Hook.heard
                time.sleep(0.05)
        hook.shutdown()
    assert {(token, authorization) for token, authorization, _ in Hook.heard} == {("t0", "Bearer c0")}
    kinds = [next(iter(body)) for _, _, body in Hook.heard]
    assert kinds[0] == "task" and kinds[-1] == "statusUpdate" and "artifactUpdate" in kinds


PRIVATE = [
    "http://127.0.0.1/x",
    "http://localhost:8080/x",
    "http://[::1]/x",
    "http://10.1.2.3/x",
    "http://192.168.0.1/x",
    "http://169.254.169.254/latest/meta-data",
    "http://100.64.0.1/x",
    "http://0.0.0.0/x",
    "http://[::ffff:127.0.0.1]/x",
    "http://[64:ff9b::7f00:1]/x",
    "http://[2002:7f00:1::]/x",
    "http://[fe80::1]/x",
    "http://192.0.0.192/x",
    "http://[fec0::1]/x",
    "http://2130706433/x",
    "http://xn--zzzz--/x",
    "http://user:password@8.8.8.8/x",
    "ftp://8.8.8.8/x",
    "file:///etc/passwd",
    "nonsense",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_notifications_to_our_own_machines_are_refused(address: str) -> None:
    with pytest.raises(PushRefusedError):
        asyncio.run(place_of(address))


def test_a_public_address_or_an_allowed_host_may_be_notified() -> None:
    assert is_public("8.8.8.8") and is_public("2606:4700::1111")
    url, host = asyncio.run(place_of("http://127.0.0.1:8080/hook?a=1", ("127.0.0.1:8080",)))
    assert (str(url), host) == ("http://127.0.0.1:8080/hook?a=1", "127.0.0.1:8080")
    with pytest.raises(PushRefusedError, match="not a public"):
        asyncio.run(place_of("http://127.0.0.1:8081/hook", ("127.0.0.1:8080",)))


def test_a_private_address_is_refused_when_it_is_set(tmp_path: Path) -> None:
    with offering(Scripted(["Done."]), tmp_path / "l.db") as url:
        task = send(url, "go")
        config = {"taskId": task["id"], "url": "http://169.254.169.254/"}
        assert rpc(url, "CreateTaskPushNotificationConfig", config)["error"]["code"] == -32602


def test_bodies_of_other_types_and_paths_with_a_slash(tmp_path: Path) -> None:
    with offering(Scripted(["Yes.", "Yes."]), tmp_path / "l.db") as url:
        text = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ListTasks", "params": {}})
        for path in ("/a2a", "/a2a/", "/a2a/message:send"):
            # What a web page can send to this machine without asking.
            assert httpx.post(url + path, content=text, headers={"Content-Type": "text/plain"}).status_code == 415
        assert (
            "result"
            in httpx.post(url + "/a2a/", content=text, headers=HEADERS | {"Content-Type": "application/json"}).json()
        )
        for path in ("/.well-known/agent-card.json/", "/a2a/tasks/", "/a2a/tasks"):
            assert httpx.get(url + path, headers=HEADERS).status_code == 200
        unknown = {"messageId": "m", "role": "ROLE_USER", "parts": [{"raw": "eA==", "mediaType": "image/png"}]}
        assert rpc(url, "SendMessage", {"message": unknown})["error"]["code"] == -32005
        sent = httpx.get(url + "/a2a/tasks", headers=HEADERS | {"Accept": "application/a2a+json"})
        assert sent.headers["content-type"] == "application/a2a+json"


def test_another_agent_is_a_tool_with_progress_and_a_cost(tmp_path: Path) -> None:
    step = Tool(ToolSpec("step", "One step", parameters()), lambda _: "ok")
    replies = [chat.Message("assistant", calls=(ToolCall("s", "step", "{}"),)), ask("How many?"), "Five it is."]
    with offering(Scripted(replies), tmp_path / "l.db", Offered((step,))) as url:
        costs: list[Cost] = []
        give, look = connect(Remote(url), noted=costs.append)
        assert (give.spec.name, look.spec.name) == ("agent_worker", "agent_worker_tasks")
        assert give.changes and give.sends and give.outside and not look.changes
        assert connect(Remote(url), taken=("agent_worker",))[0].spec.name == "agent_worker_2"
        told: list[str] = []
        with entered(Running(tell=told.append)):
            asked = give.run({"message": "count"})
            assert "The agent asks: How many?" in asked
            task = asked.rpartition("task ")[2].rstrip("]")
            answer = give.run({"message": "five", "task": task})
        assert answer.startswith("Five it is.") and "calls step" in told
        assert costs[-1].output_tokens > 0 and costs[-1].agent == "worker"
        (seen,) = json.loads(look.run({}))
        assert seen["state"] == "completed" and seen["answer"] == "Five it is." and seen["asked"] == "count"
        with pytest.raises(ToolError, match="terminal"):
            give.run({"message": "more", "task": task})


def test_no_agent_is_named_like_a_tool_that_the_user_allowed(tmp_path: Path) -> None:
    with offering(Scripted([]), tmp_path / "l.db", name="Files helper") as url:
        tools = connect(Remote(url))
    for allow, allowed in (("files_*", False), ("agent_files_*", True)):
        rules = Approvals(allow=[allow])
        for tool in tools:
            call = ToolCall("c", tool.spec.name, '{"message": "x"}')
            assert rules(call, Checked(tool, {"message": "x"})).allowed is allowed


def test_of_an_agent_that_does_not_stop_talking_the_beginning_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(a2a, "MOST_HELD", 100_000)
    monkeypatch.setattr(a2a, "MOST_MESSAGE", 150_000)  # less than all events together
    text = "0123456789" * 39_000  # all of it would be shown
    with offering(Scripted([text], piece=10_000, pause_s=0.05), tmp_path / "l.db") as url:
        answer, _, rest = connect(Remote(url))[0].run({"message": "talk"}).partition("\n[the answer goes on")
    assert text.startswith(answer) and 100_000 <= len(answer) < 300_000 and "[task " in rest


class _Endless(BaseHTTPRequestHandler):
    """A card without an end, which looks like a stream of events."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        with suppress(OSError):
            while True:
                self.wfile.write(b" \n\n" * 1000)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def test_a_card_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(a2a, "MOST_MESSAGE", 1 << 20)
    with HTTPServer(("127.0.0.1", 0), _Endless) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(RemoteAgentError, match="a message of more than 1 MiB"):
            connect(Remote(f"http://127.0.0.1:{server.server_port}"))
        server.shutdown()


def test_stopping_the_tool_cancels_the_task_elsewhere(tmp_path: Path) -> None:
    begun, stopped = threading.Event(), threading.Event()
    model = Scripted([chat.Message("assistant", calls=(ToolCall("w", "wait", "{}"),))])
    with offering(model, tmp_path / "l.db", Offered((slow_tool(begun, stopped),), approve=allow_all)) as url:
        give, look = connect(Remote(url))
        call = Running()
        failed: list[str] = []

        def work() -> None:
            with entered(call):
                try:
                    give.run({"message": "wait"})
                except ToolError as error:
                    failed.append(str(error))

        thread = threading.Thread(target=work)
        thread.start()
        assert begun.wait(10)
        call.stop()
        thread.join(15)
        assert failed and "stopped" in failed[0] and stopped.wait(10)
        assert json.loads(look.run({}))[0]["state"] == "canceled"


def test_a_card_cannot_send_us_elsewhere(tmp_path: Path) -> None:
    with offering(Scripted([]), tmp_path / "l.db") as url:
        with pytest.raises(RemoteAgentError, match="names no address at"):
            connect(Remote(url.replace("127.0.0.1", "localhost"), "secret"))
        with pytest.raises(RemoteAgentError, match="no agent's card"):
            connect(Remote(url + "/elsewhere"))
    with pytest.raises(RemoteAgentError, match="begins with http"):
        connect(Remote("ftp://127.0.0.1"))
    assert "secret" not in repr(Remote(url, "secret"))


def test_the_command_lists_other_agents_and_keeps_keys_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MOONLET_HOME", str(tmp_path))
    with offering(Scripted([]), tmp_path / "l.db") as url:
        listing = ["agent", "--list", "--model", "nano", "--tools", "none", "--a2a", url, "--a2a", url]
        assert cli_main(listing) == 0
        listed = capsys.readouterr().out
        assert all(f"{name}: " in listed for name in ("agent_worker", "agent_worker_tasks", "agent_worker_2_tasks"))
        assert cli_main([*listing[:-1], f"NO_SUCH_KEY={url}"]) == 2
        assert "the environment has no NO_SUCH_KEY" in capsys.readouterr().err


def test_a_task_is_a_run_that_the_page_shows(tmp_path: Path) -> None:
    with offering(Scripted([ask("Which one?"), "The blue one it is."]), tmp_path / "ledger.sqlite") as url:
        task = send(url, "Choose one")
        (run,) = httpx.get(f"{url}/api/act").json()["runs"]
        assert (run["id"], run["origin"], run["state"], run["title"]) == (task["id"], "a2a", "waiting", "Choose one")
        send(url, "The blue one", taskId=task["id"], contextId=task["contextId"])
        over = httpx.get(f"{url}/api/act/{task['id']}").json()
        assert (over["state"], over["reason"]) == ("over", "stop")
        told = [line["event"] for line in over["steps"]]
        assert told[:2] == ["start", "message"] and told.count("reply") == 2 and told[-1] == "end"
