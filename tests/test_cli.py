"""The command as a person uses it: real processes, a real terminal where one is needed, our own server behind it."""

import io
import json
import os
import pty
import re
import select
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

import speaking
from moonlet.chat.messages import Message, ToolCall, ToolSpec
from moonlet.cli import main, make_parser, progress, whole
from moonlet.cli.view import clean, compact, split_blocks
from moonlet.llm import LLMError
from moonlet.llm.scripted import Prepared, Scripted
from serving import serving

ROOT = Path(__file__).parent.parent
SUM = ToolCall("functions.calculate:0", "calculate", '{"expression": "6 * 7"}')
WRONG = ToolCall("functions.get_weather:1", "get_weather", '{"place": "Atlantis"}')


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MOONLET_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("PROMPT_TOOLKIT_NO_CPR", "1")
    return tmp_path / "home"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder made by `moonlet pull`."""
    place = tmp_path_factory.mktemp("models")
    speaking.write(place / "checkpoint")
    done = moonlet("pull", place / "checkpoint", "--to", place / "folder")
    assert done.returncode == 0, done.stderr
    assert f"ready: moonlet run {place / 'folder'}" in done.stdout
    return place / "folder"


@dataclass
class Result:
    returncode: int
    stdout: str
    stderr: str


def moonlet(*arguments: object, stdin: str = "") -> Result:
    """The command, run in this process."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "stdin", io.StringIO(stdin))
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as leaving:
            code = leaving.code if isinstance(leaving.code, int) else 1
    return Result(code, out.getvalue(), err.getvalue())


def process(*arguments: object, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """The command, run as it is by a person."""
    command = [sys.executable, "-m", "moonlet", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60)


def scripted(*replies: Prepared, **settings: Any) -> Scripted:
    return Scripted(replies, name="scripted", **settings)


# What is written about the command.


def test_every_verb_and_flag_is_documented() -> None:
    docs = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    verbs = next(action.choices for action in make_parser()._actions if action.dest == "verb")
    assert isinstance(verbs, dict) and {"run", "serve", "info", "pull", "doctor", "version"} <= set(verbs)
    for verb, parser in verbs.items():
        assert f"moonlet {verb}" in readme, f"README.md does not name moonlet {verb}"
        start = docs.index(f"## moonlet {verb}\n")
        section = docs[start : docs.find("\n## ", start + 3)]
        nested = [action.choices for action in parser._actions if isinstance(action.choices, dict)]
        actions = [
            action for one in (parser, *(p for choices in nested for p in choices.values())) for action in one._actions
        ]
        for action in actions:
            for flag in [option for option in action.option_strings if option not in ("-h", "--help")]:
                assert f"`{flag}" in section, f"docs/cli.md does not tell of moonlet {verb} {flag}"
    for verb in re.findall(r"^## moonlet (\w+)", docs, re.MULTILINE):
        assert verb in verbs, f"docs/cli.md tells of moonlet {verb}, which does not exist"


def test_help_names_every_verb() -> None:
    done = moonlet()
    assert done.returncode == 0 and all(verb in done.stdout for verb in ("run", "serve", "info", "pull", "doctor"))
    assert re.fullmatch(r"moonlet \d+\.\d+.*\n", moonlet("version").stdout)


# Faults of the user and the world.


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["fly"], "invalid choice: 'fly'"),
        (["run", "--temprature", "1"], "--temprature"),
        (["run", "--threads", "0", "hi there"], "at least 1"),
        (["run", "--threads", "4000", "hi there"], "more wait for one another"),
        (["run", "--cache-tokens", "999999999999", "hi there"], "cache_tokens must be at most"),
        (["run", "hello"], "as a prompt: moonlet run nano 'hello'"),
        (["run", "caf\udce9, what is that?"], "not UTF-8"),
        (["run", "--max-tokens", "many", "hi there"], "many"),
        (["run", "--temperature", "9", "hi there"], "temperature must be between 0 and 2"),
        (["serve", "nano", "--cache-tokens", "3"], "cache_tokens must be at least"),
        (["run", "nano", "hello", "--memory", "1000"], "needs at least"),
        (["run", "nano", "hello", "--memory", "much"], "must be a size like 12G"),
        (["run", "http://127.0.0.1:1/v1", "hello", "--memory", "1G"], "--memory and --also are for models on this"),
        (["run", "/no/such/folder", "hi"], "/no/such/folder: neither a folder nor a pulled model"),
        (["run", "x" * 3000, "hi"], "neither a folder nor a pulled model"),
        (["run", "."], "holds no model"),
        (["run", "http://127.0.0.1:9/v1", "hi"], "cannot connect"),
        (["run", "http://127.0.0.1:9/v1", "hi", "--exact"], "--exact"),
        (["run", "nano", "hi", "--exact", "--expanded"], "exact and expanded"),
        (["run", "nano", "hi", "--cache", "int8", "--expanded"], "a cache of int8 excludes"),
        (["run", "nano", "hi", "--cache", "int5"], "--cache"),
        (["run", "http://127.0.0.1:9/v1"], "the prompt is empty"),
        (["serve", "--host", "0.0.0.0"], "at least one key"),
        (["serve", "--port", "99999"], "from 0 to 65535"),
        (["serve", "--a2a", "--a2a-grpc", "0.0.0.0:50051"], "at least one key"),
        (["serve", "--a2a", "--a2a-grpc", "::1:50051"], "[IPV6]:PORT"),
        (["serve", "--a2a-grpc", "50051"], "give both"),
        (["serve", "m", "--engine", "http://127.0.0.1:9/v1,key=NO_SUCH_KEY"], "the environment has no NO_SUCH_KEY"),
        (["serve", "nobody/nothing"], "neither a folder nor a pulled model"),
        (["serve", "http://127.0.0.1:9/v1"], "is an endpoint already"),
        (["info", "nobody/nothing"], "neither a folder nor a pulled model"),
        (["info", "README.md"], "not readable as JSON"),
        (["info"], "MODEL"),
        (["pull", "not a name"], "neither a folder nor the name of a repository"),
        (["pull", "docs"], "docs"),
        (["keys", "add"], "NAME"),
        (["keys", "add", "a b"], "a key's name is"),
        (["keys", "add", "ann", "--scopes", "chat,root"], "root is none of chat, models, admin"),
        (["keys", "add", "ann", "--expires", "soon"], "no day like"),
        (["keys", "add", "ann", "--expires", "2020-01-01"], "is past"),
        (["keys", "add", "ann", "--tokens-per-day", "0"], "no count like"),
        (["keys", "add", "ann", "--usd-per-month", "-3"], "--usd-per-month"),
        (["keys", "add", "ann", "--weight", "0"], "weight must be between"),
        (["keys", "revoke", "ann"], "no key 'ann'"),
        (["keys", "limit", "ann"], "name at least one limit"),
        (["keys", "list", "--ledger", "mysql://ann:geheim@host/x"], "a postgresql:// URL"),
        (["ledger", "--since", "yesterday"], "no day like"),
        (["ledger", "--json", "--csv"], "not both"),
        (["ledger", "--ledger", "README.md"], "not a database"),
        (["serve", "--require-key"], "at least one key"),
        (["serve", "--allow-host", "ai.example.org"], "at least one key"),
        (["serve", "--cors", "*"], "name the origin"),
        (["serve", "--cors", "example.org"], "an origin is like"),
        (["serve", "--price", "3"], "PROMPT/CACHED/OUTPUT"),
        (["serve", "--watts", "-1"], "between 0 and"),
        (["serve", "--cert", "README.md"], "both --cert and --key-file"),
        (["serve", "--cert", "README.md", "--key-file", "README.md"], "--cert README.md"),
        (["serve", "--cert", "no.pem", "--key-file", "no.pem"], "No such file"),
        (["doctor", "nobody/nothing"], "neither a folder nor a pulled model"),
        (["agent", ""], "say what to do"),
        (["ledger", "--ledger", "none/l.sqlite"], "none/l.sqlite: there is no ledger"),
        (["keys", "list", "--ledger", "none.sqlite"], "there is no ledger"),
        (["ledger", "--prompts"], "--prompts is for --rows"),
        (["plan", "--json"], "name the model"),
        (["plan", "nano", "--machine", "epyc-768gb", "--boxes", "3"], "--boxes is for the day"),
        (["eval", "tools", "nano", "--html", "."], "Is a directory: '.'"),
        (["eval", "tools", "nano", "--html", "none/tools.html"], "there is no such folder: 'none'"),
        (["simulate", "nano", "--out", "."], "Is a directory: '.'"),
        (["simulate", "--replay", "README.md"], "README.md, line 1: not a trajectory"),
        (["simulate", "--replay", sys.executable], "line 1: not a trajectory"),
        (["simulate", "--from-mcp", "'one"], "not a command line (No closing quotation)"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_bad_input_is_one_line_and_exit_2(
    home: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], told: str
) -> None:
    monkeypatch.chdir(ROOT)
    anywhere = ["--port", "0"] if arguments[0] == "serve" and "--port" not in arguments else []
    done = moonlet(*arguments, *anywhere)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("moonlet") and done.stderr.count("\n") == 1, done.stderr
    assert told in done.stderr


def test_what_is_piped_in_is_utf_8(home: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "moonlet", "run"], input=b"caf\xe9: buy milk", capture_output=True)
    assert done.returncode == 2 and done.stderr == b"moonlet: what was typed or piped in is not UTF-8\n"


def test_only_a_repositorys_name_can_be_pulled(home: Path) -> None:
    assert "moonlet pull nobody/nothing" in moonlet("info", "nobody/nothing").stderr
    assert "moonlet pull" not in moonlet("info", "./nobody").stderr


def test_a_table_in_a_pipe_is_whole(home: Path) -> None:
    assert "moonshotai/kimi-k2-thinking" in moonlet("prices", "kimi-k2-thinking").stdout


def test_a_taken_port_is_told(home: Path, folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = moonlet("serve", folder, "--port", taken.getsockname()[1])
    assert done.returncode == 2 and "choose another --port" in done.stderr and done.stderr.count("\n") == 1


def test_brackets_in_names_are_shown_and_the_farthest_day_too(home: Path) -> None:
    assert moonlet("keys", "add", "ann", "--owner", "[/red] [bold]x", "--expires", "999999w").returncode == 0
    listed = moonlet("keys", "list")
    assert "[/red] [bold]x" in listed.stdout and "9999-12-31" in listed.stdout, listed.stderr


def test_output_that_cannot_be_shown_or_is_closed_ends_nothing(home: Path) -> None:
    other = {**os.environ, "PYTHONIOENCODING": "ascii"}
    words = [sys.executable, "-m", "moonlet", "prices", "kimi"]
    done = subprocess.run([*words[:3], "plan", "kimi-k2.6", "--machine", "8x-h200"], env=other, capture_output=True)
    assert done.returncode == 0 and b"payback in years" in done.stdout and b"Traceback" not in done.stderr
    for closed in ("<&-", ">&-", "2>&-"):
        assert subprocess.run(["bash", "-c", f"{shlex.join(words)} {closed}"], capture_output=True).returncode == 0


def test_what_is_no_file_is_written_to_and_a_link_stays_one(tmp_path: Path) -> None:
    pipe, file, link = (tmp_path / name for name in ("pipe", "file", "link"))
    os.mkfifo(pipe)
    link.symlink_to(file)
    with ThreadPoolExecutor(1) as reader:
        heard = reader.submit(pipe.read_text)
        whole.write(pipe, "to a pipe")
        assert heard.result(10) == "to a pipe" and pipe.is_fifo()
    whole.write(link, "behind a link")
    assert file.read_text() == "behind a link" and link.is_symlink() and len(list(tmp_path.iterdir())) == 3


def test_a_broken_folder_is_one_line(home: Path, folder: Path, tmp_path: Path) -> None:
    for name in ("moonlet.json", "config.json", "dense.safetensors", "tiktoken.model", "tokenizer_config.json"):
        broken = tmp_path / name
        broken.mkdir()
        for file in folder.iterdir():
            (broken / file.name).write_bytes(file.read_bytes()[: 40 if file.name == name else None])
        done = moonlet("run", broken, "hi")
        assert done.returncode == 2 and done.stderr.count("\n") == 1 and name in done.stderr, done.stderr


def test_a_reader_that_leaves_is_no_fault(folder: Path) -> None:
    command = f"{sys.executable} -m moonlet info {folder} --json | head -c 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("{", "")


# One answer.


def test_an_answer_in_a_pipe_is_the_answer_alone(home: Path) -> None:
    call = Message("assistant", "Let me see.", calls=(SUM, WRONG))
    with serving(scripted(call, "It is **42**.\n")) as url:
        done = process("run", url, "What is 6 * 7?")
    assert done.returncode == 0
    assert done.stdout == "Let me see.\nIt is **42**.\n"
    assert "✓ calculate  expression: 6 * 7" in done.stderr and "result: 42" in done.stderr
    assert "✗ get_weather  place: Atlantis" in done.stderr and "no place named 'Atlantis'" in done.stderr
    assert re.search(r"\d+ tokens", done.stderr)


def test_the_prompt_can_come_from_standard_input(home: Path) -> None:
    def echo(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> str:
        return f"{messages[-1].content}|{len(tools)}"

    with serving(scripted(echo, echo)) as url:
        assert process("run", url, stdin="line one\nline two\n").stdout == "line one\nline two|18\n"
        assert moonlet("run", url, "--no-tools", stdin="hello").stdout == "hello|0\n"


def test_json_has_message_calls_results_and_usage(home: Path) -> None:
    with serving(scripted(Message("assistant", calls=(SUM, WRONG)), "42.")) as url:
        done = moonlet("run", url, "What is 6 * 7?", "--json")
    told = json.loads(done.stdout)
    assert told["message"] == {"role": "assistant", "content": "42."} and told["reason"] == "stop"
    assert [call["id"] for call in told["calls"]] == [SUM.id, WRONG.id]  # whichever ended first
    assert told["calls"][0] == {"id": SUM.id, "name": "calculate", "arguments": {"expression": "6 * 7"}}
    assert told["results"][0]["content"]["result"] == 42
    assert [result["failed"] for result in told["results"]] == [False, True]
    assert told["usage"]["output_tokens"] > 0 and done.stderr == ""


def test_a_model_folder_answers_with_the_share_of_its_experts(home: Path, folder: Path) -> None:
    flags = ["--max-tokens", 12, "--temperature", 1, "--threads", 1, "--seed"]
    first = moonlet("run", folder, "hello", *flags, 1)
    assert first.returncode == 0 and "stopped at the limit of tokens" in first.stderr
    assert re.search(r"12 tokens, [\d,]+/s · 6 of 24 experts per token and layer, \d+% in this reply", first.stderr)
    assert moonlet("run", folder, "hello", *flags, 1).stdout == first.stdout
    assert moonlet("run", folder, "hello", *flags, 2).stdout != first.stdout
    told = json.loads(moonlet("run", folder, "hello", "--json", *flags, 1).stdout)
    assert told["usage"]["experts"]["of"] == 24 and 0 < told["usage"]["experts"]["share_seen"] <= 1


def test_an_answer_that_fails_is_one_line(home: Path) -> None:
    def fail(*_: object) -> str:
        raise LLMError("the model is on fire")

    with serving(scripted(fail)) as url:
        done = moonlet("run", url, "hi")
    assert done.returncode == 2 and "the model is on fire" in done.stderr and done.stderr.count("\n") == 1


# The conversation on a terminal.


class Terminal:
    """A process on a terminal of its own."""

    def __init__(self, *arguments: object) -> None:
        self.text = ""  # all that it wrote, without escape sequences
        self._raw = b""
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.execv(sys.executable, [sys.executable, "-m", "moonlet", *map(str, arguments)])

    def wait_for(self, wanted: str, after: int = 0, timeout_s: float = 30) -> int:
        """Where the text ends once it holds `wanted` behind `after`."""
        until = time.monotonic() + timeout_s
        while self.text.find(wanted, after) < 0:
            assert time.monotonic() < until, f"{wanted!r} did not come; the screen:\n{self.text}"
            self._read(0.1)
        return self.text.index(wanted, after) + len(wanted)

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def exit_code(self) -> int:
        until = time.monotonic() + 30
        while (done := os.waitpid(self.pid, os.WNOHANG))[0] == 0:
            assert time.monotonic() < until, f"it does not end; the screen:\n{self.text}"
            self._read(0.1)
        while self._read(0.1):
            pass
        return os.waitstatus_to_exitcode(done[1])

    def close(self) -> None:
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        os.close(self._fd)

    def _read(self, timeout_s: float) -> bool:
        if not select.select([self._fd], [], [], timeout_s)[0]:
            return False
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # the other end is closed
            return False
        self._raw += data
        self.text = re.sub(
            r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[=>]|\x1b\][^\x07]*\x07|\r", "", self._raw.decode("utf-8", "replace")
        )
        return bool(data)


@contextmanager
def conversation(*arguments: object) -> Iterator[Terminal]:
    terminal = Terminal("run", *arguments)
    try:
        yield terminal
    finally:
        terminal.close()


def test_a_conversation_with_a_tool(home: Path) -> None:
    def answer(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> str:
        return f"It is **{json.loads(messages[-1].content)['result']}**, of course."

    with serving(scripted(Message("assistant", calls=(SUM,)), answer, "second\x1b[31m answer")) as url:
        with conversation(url) as it:
            it.wait_for("Three things to try")
            it.wait_for("›")
            it.type("What is 6 * 7?\r")
            here = it.wait_for("✓ calculate  expression: 6 * 7")
            here = it.wait_for("result: 42", here)
            here = it.wait_for("It is 42, of course.", here)  # shown as Markdown: no stars
            here = it.wait_for("›", it.wait_for("tokens", here))
            it.type("/tools\r")
            here = it.wait_for("›", it.wait_for("get_weather", here))
            it.type("/nonsense\r")
            here = it.wait_for("›", it.wait_for("there is no /nonsense", here))
            it.type("and then?\r")
            # What a model writes cannot colour the terminal.
            here = it.wait_for("›", it.wait_for("second[31m answer", here))
            it.type("/quit\r")
            assert it.exit_code() == 0
        with conversation(url) as it:
            it.wait_for("›")
            assert "Three things to try" not in it.text  # only at the first start
            it.type("\x04")
            assert it.exit_code() == 0
    history = home / "history"
    assert "What is 6 * 7?" in history.read_text() and history.stat().st_mode & 0o777 == 0o600


def test_ctrl_c_stops_a_reply_and_twice_leaves(home: Path) -> None:
    def recall(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> str:
        return f"You stopped me at: {messages[-2].content.split()[0]}"

    model = scripted("word " * 3000, recall, lambda m, t: f"{len(m)} messages", pause_s=0.01, piece=5)
    with serving(model) as url, conversation(url) as it:
        it.wait_for("›")
        it.type("go\r")
        here = it.wait_for("word word word")
        it.type("\x03")
        here = it.wait_for("›", it.wait_for("stopped", here))
        it.type("what did you say?\r")
        here = it.wait_for("›", it.wait_for("You stopped me at: word", here))
        it.type("/reset\r")
        here = it.wait_for("›", it.wait_for("a new conversation", here))
        it.type("how many?\r")
        here = it.wait_for("2 messages", here)  # the system's and this one
        here = it.wait_for("›", here)
        it.type("\x03")
        here = it.wait_for("once more leaves", here)
        it.wait_for("›", here)
        it.type("\x03")
        assert it.exit_code() == 0
        assert model.closed == 1


def test_a_failing_model_does_not_end_the_conversation(home: Path) -> None:
    def fail(*_: object) -> str:
        raise LLMError("the model is on fire")

    with serving(scripted(fail, "better now")) as url, conversation(url) as it:
        it.wait_for("›")
        it.type("hi\r")
        here = it.wait_for("›", it.wait_for("the model is on fire"))
        it.type("hi again\r")
        it.wait_for("›", it.wait_for("better now", here))
        it.type("\x04")
        assert it.exit_code() == 0


def test_a_conversation_with_a_model_folder(home: Path, folder: Path) -> None:
    with conversation(folder, "--max-tokens", 8, "--threads", 1) as it:
        it.wait_for("›")
        it.type("hello\r")
        it.wait_for("›", it.wait_for("6 of 24 experts per token and layer"))
        it.type("\x04")
        assert it.exit_code() == 0


# The other verbs.


def test_serve_prints_where_and_stops_on_ctrl_c(home: Path, folder: Path) -> None:
    command = [sys.executable, "-m", "moonlet", "serve", "--no-trial", str(folder), "--port", "0", "--threads", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None and server.stderr is not None
            found = re.search(r"(\S+) answers at (http://127\.0\.0\.1:\d+/v1)", server.stdout.readline())
            assert found
            name, url = found.groups()
            _wait_for(lambda: _healthy(url))
            with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as asked:
                answer = asked.chat.completions.create(
                    model=name, messages=[{"role": "user", "content": "hello"}], max_tokens=4, seed=1
                )
                assert answer.usage and answer.usage.completion_tokens == 4
                # At first a receipt is sent at once; later it is put off for 40 ms, and no answer may wait for it.
                assert min([_seconds(asked.models.list) for _ in range(50)][-20:]) < 0.03
            server.send_signal(signal.SIGINT)
            assert server.wait(20) == 0
            assert "Traceback" not in server.stderr.read()
        finally:
            server.kill()


def _seconds(run: Callable[[], object]) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def _healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url.removesuffix('/v1')}/health").status_code == 200
    except httpx.ConnectError:
        return False


def _wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.05)


def test_info_tells_the_same_of_checkpoint_config_and_folder(home: Path, folder: Path) -> None:
    checkpoint = folder.parent / "checkpoint"
    told = [
        json.loads(moonlet("info", path, "--json").stdout) for path in (folder, checkpoint, checkpoint / "config.json")
    ]
    assert len({one["parameters"] for one in told}) == 1
    assert told[0]["config"]["experts"] == 24 and told[1] == told[2]
    plain = moonlet("info", folder).stdout
    assert f"{told[0]['parameters']:,}" in plain and "cache" in plain


def test_doctor_knows_the_machine_and_a_bad_folder(home: Path, folder: Path, tmp_path: Path) -> None:
    done = moonlet("doctor", folder, "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 0
    assert found["machine"]["cores"] >= 1 and found["machine"]["memory_bytes"] > 1 << 20
    assert found["machine"]["instruction_set"] in found["machine"]["instruction_sets"]
    assert found["model"]["good"] and found["model"]["checksums"] == "good" and found["model"]["golden_gap"] < 0.02
    assert "golden tokens    the same" in moonlet("doctor", folder).stdout
    flipped = tmp_path / "flipped"
    flipped.mkdir()
    for file in folder.iterdir():
        (flipped / file.name).write_bytes(file.read_bytes())
    experts = next(flipped.glob("experts-*"))
    data = bytearray(experts.read_bytes())
    data[-5000] ^= 1
    experts.write_bytes(data)
    done = moonlet("doctor", flipped)
    assert done.returncode == 1 and "BAD" in done.stdout and experts.name in done.stdout
    assert moonlet("doctor").returncode == 0


# Pieces of the view.


def test_progress_away_from_a_terminal_is_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    said = io.StringIO()
    with redirect_stderr(said), progress.bytes_progress("pulling x") as tell:
        tell(1, 10**10)
        assert said.getvalue() == ""
        monkeypatch.setattr(progress, "LINE_S", 0)
        tell(5 * 10**9, 10**10)
    assert re.fullmatch(r"pulling x: 5\.00 of 10\.00 GB, \d+ MB/s, \d+ s left\n", said.getvalue())


@pytest.mark.parametrize(
    ("text", "blocks", "rest"),
    [
        ("one\ntwo", [], "one\ntwo"),
        ("one\n\ntwo", ["one\n"], "two"),
        ("one\n\n\n\ntwo\n\n", ["one\n", "two\n"], ""),
        ("```py\na\n\nb\n", [], "```py\na\n\nb\n"),
        ("```py\na\n\nb\n```\n\nend", ["```py\na\n\nb\n```\n"], "end"),
        ("~~~\n```\n\n~~~\n\n", ["~~~\n```\n\n~~~\n"], ""),
    ],
)
def test_blocks_end_at_empty_lines_outside_code(text: str, blocks: list[str], rest: str) -> None:
    assert split_blocks(text) == (blocks, rest)


def test_results_are_told_in_one_safe_line() -> None:
    assert compact('{"place": "Oslo", "high": 12, "days": ["a", "b"]}') == 'place: Oslo · high: 12 · days: ["a", "b"]'
    assert compact("plain\n text") == "plain text"
    assert compact('"x"') == "x" and len(compact("y" * 999)) == 240
    assert clean("a\x1b]0;title\x07b\x9bc\r\n\td") == "a]0;titlebc\n\td"
