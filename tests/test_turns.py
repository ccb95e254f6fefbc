"""An agent's long conversation against a real server: each turn reads its new tail, also after a restart."""

import json
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

import moonlet
import speaking
from moonlet.kernels import PAGE
from moonlet.ledger import report
from moonlet.ledger.books import Books
from moonlet.ledger.database import open_database
from serving import serving
from test_team import add_key, rows, server

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": f"{name}s something in the project. " * 12,
            "parameters": {
                "type": "object",
                "properties": {"path": {"enum": ["a.py", "b.py"]}, "line": {"type": "integer", "maximum": 99}},
                "required": ["path"],
                "additionalProperties": False,
            },
        },
    }
    for name in ("read", "edit", "search")
]


def talk(characters: int) -> list[dict[str, Any]]:
    """A coding agent's conversation so far, of more than so many characters, each a token of the tiny vocabulary."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": "You are a coding agent. " * 60}]
    messages.append({"role": "user", "content": "Mend the build."})
    for number in range(characters // 1000):
        call = {"id": f"c{number}", "type": "function"}
        call["function"] = {"name": "read", "arguments": json.dumps({"path": "a.py", "line": number})}
        messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
        text = "\n".join(f"{number}.{line}: def part_{line}(): ..." for line in range(31))
        messages.append({"role": "tool", "tool_call_id": f"c{number}", "content": text})
    return messages


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of random weights whose context is long."""
    place = tmp_path_factory.mktemp("long")
    speaking.write(place, variant="k2.5")
    return place


@pytest.mark.parametrize("tokens", [3_000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_every_turn_of_a_conversation_reads_only_its_tail_also_after_a_restart(
    folder: Path, tmp_path: Path, tokens: int
) -> None:
    ledger = tmp_path / "ledger.sqlite"
    flags = ("--cache-tokens", 32_768, "--prefixes", "1G", "--require-key")
    ann = add_key(ledger, "ann")
    messages = talk(tokens)
    usages: list[dict[str, Any]] = []

    def turn(running: Any) -> None:
        """One turn of the loop: a call is asked for, and what it returned is added."""
        answer = running.ask(ann, messages=messages, tools=TOOLS, tool_choice="required", max_tokens=100)
        assert answer.status_code == 200, answer.text
        said, usage = answer.json()["choices"][0]["message"], answer.json()["usage"]
        usages.append(usage)
        messages.append({**said, "content": said["content"]})
        for call in said["tool_calls"]:
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": "It says: 42. " * 20})

    with server(folder, ledger, *flags) as running:
        turn(running)
        turn(running)
        running.stop()
    with server(folder, ledger, *flags) as running:
        turn(running)
        turn(running)
        watcher = add_key(ledger, "watcher", "--scopes", "admin")
        page = httpx.get(running.url.removesuffix("/v1") + "/metrics", headers={"x-api-key": watcher}, timeout=30).text
    lines = [line for line in page.splitlines() if line.startswith("moonlet_prefix_pages_")]
    counted = {line.split("{")[0]: float(line.split()[-1]) for line in lines}
    assert counted["moonlet_prefix_pages_lost_total"] == 0 and counted["moonlet_prefix_pages_kept_total"] >= 0
    assert 'vllm:kv_cache_usage_perc{model_name="' in page
    first, *later = usages
    assert first["prompt_tokens"] > tokens and first["prompt_tokens_details"]["cached_tokens"] == 0
    for before, usage in zip(usages, later):
        read = usage["prompt_tokens"] - usage["prompt_tokens_details"]["cached_tokens"]
        tail = usage["prompt_tokens"] - before["prompt_tokens"]  # the reply before, and what its calls returned
        assert tail < 1500 and read <= tail + PAGE
    told = [(row["prompt_tokens"], row["cached_tokens"]) for row in rows(ledger)]
    assert told == [(u["prompt_tokens"], u["prompt_tokens_details"]["cached_tokens"]) for u in usages]


@pytest.mark.parametrize("stream", [False, True])
def test_a_request_that_is_left_while_its_prompt_is_read_is_charged_for_what_was_read(
    folder: Path, tmp_path: Path, stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOONLET_HOME", str(tmp_path))
    with (
        moonlet.load(folder, threads=1, cache_tokens=32_768, step_tokens=64) as model,
        closing(Books(open_database(tmp_path / "ledger"))) as books,
        serving(model, books) as url,
    ):
        steps, network = [0], model.engine._network
        step = network.step

        def slow(batch: Any, watched: bool) -> Any:
            steps[0] += 1
            time.sleep(0.02)  # so that somebody can leave in the middle
            return step(batch, watched)

        monkeypatch.setattr(network, "step", slow)
        body = {"model": model.name, "messages": talk(20_000), "stream": stream}
        with httpx.Client(timeout=60 if stream else 0.5) as client:
            if stream:
                with client.stream("POST", f"{url}/chat/completions", json=body) as answer:
                    next(answer.iter_lines())
            else:
                with pytest.raises(httpx.ReadTimeout):
                    client.post(f"{url}/chat/completions", json=body)
        until = time.monotonic() + 20
        while (row := next(report.rows(books.database)))["state"] == "running" and time.monotonic() < until:
            time.sleep(0.02)
        assert row["state"] == "cancelled" and row["output_tokens"] == 0
        assert row["prompt_tokens"] <= steps[0] * 64 < 10_000
        assert row["prompt_tokens"] >= (steps[0] - 1) * 64, "and for no less"
        assert model.engine._scheduler.idle, "its place is free"
