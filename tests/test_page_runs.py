"""Runs of the page by themselves: their frames, who hears them until when, and how many there may be."""

import asyncio
import json
import threading
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path

import pytest

from moonlet.agent import Event
from moonlet.agent.approval import Question
from moonlet.chat.messages import ToolCall, ToolSpec
from moonlet.ledger.database import open_database
from moonlet.server import page_files, page_kept, page_runs
from moonlet.server.errors import ApiError
from moonlet.server.page_kept import Talks
from moonlet.server.page_runs import Run, Runs
from moonlet.server.watched import KEPT, Watched
from moonlet.tools.tool import Checked, Tool, parameters


def _run(owner: str = "") -> Run:
    return Run(owner, "", None)


def _heard(run: Run, after: int = 0, may: Callable[[], bool] = lambda: True) -> str:
    async def listened() -> str:
        return "".join([part async for part in run.listen(after, may)])

    return asyncio.run(asyncio.wait_for(listened(), 10))


def _nothing(run: Run) -> Generator[Event, None, None]:
    run.running.wait(20)
    yield from ()


def _ended(run: Run) -> Run:
    run._hear(None)
    return run


def test_half_a_surrogate_pair_breaks_no_stream() -> None:
    run, watched = _run(), Watched()
    run.tell({"type": "text", "text": "\ud83d"})
    lines = [line for line in _heard(_ended(run)).splitlines() if line.startswith("data: {")]
    assert json.loads(lines[0][6:])["text"] == "\ud83d" and lines[0].isascii()
    shown = watched.begin("", "", "\ud83d", "m", "page")
    shown.take({"event": "text", "text": "\ud83d"})
    json.dumps([shown.summary(), shown.lines], ensure_ascii=False).encode()


def test_whoever_heard_more_than_there_is_hears_the_end() -> None:
    run = _ended(_run())
    assert _heard(run, 10**9).endswith("data: [DONE]\n\n")
    assert '"over"' in _heard(run)


def test_who_may_no_longer_hears_no_more_however_much_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_runs, "KEEP_ALIVE_S", 0.05)
    run, over = _run(), threading.Event()

    def talk() -> None:
        while not over.wait(0.01):
            run.tell({"type": "text", "text": "x"})

    talking = threading.Thread(target=talk)
    talking.start()
    try:
        assert "[DONE]" not in _heard(run, may=lambda: False)  # so that the page asks again, and is told why not
    finally:
        over.set()
        talking.join()


def test_a_run_that_was_stopped_before_its_question_does_not_wait() -> None:
    run, tool = _run(), Tool(ToolSpec("t", "", parameters({})), lambda _: "", changes=True)
    run.stop()
    question = Question(ToolCall("1", "t", "{}"), Checked(tool, {}), "", "")
    asking = threading.Thread(target=run.ask, args=(question,), daemon=True)
    asking.start()
    asking.join(5)
    assert not asking.is_alive()


def test_one_key_takes_only_so_many_runs_and_the_end_stops_all() -> None:
    runs = Runs()
    began = [runs.add(_run("ann"), _nothing) for _ in range(page_runs.MOST_OF_ONE)]
    with pytest.raises(ApiError, match="of yours"):
        runs.add(_run("ann"), _nothing)
    began.append(runs.add(_run("ben"), _nothing))
    runs.close()
    for run in began:
        assert "cancelled" in _heard(run)


def test_a_run_that_breaks_tells_the_page_nothing_and_the_log_all(caplog: pytest.LogCaptureFixture) -> None:
    run = _run()
    run._hear(RuntimeError("row 17 of the secret table"))
    heard = _heard(run)
    assert "its log says why" in heard and '"status":500' in heard and "secret" not in heard
    assert "a run of the page broke" in caplog.text and "row 17" in caplog.text


def test_looks_are_kept_up_to_a_sum_of_bytes() -> None:
    run = _run()
    for _ in range(20):
        run.tell({"type": "look", "experts": "x" * (1 << 20)})
    assert (1 << 20) < len(_heard(_ended(run))) < page_runs.LOOK_BYTES + 10_000


def test_what_waits_for_its_caller_is_forgotten_when_there_are_many() -> None:
    watched = Watched()
    for number in range(KEPT + 50):
        watched.begin("", "", f"run {number}", "m", "a2a").wait_for_caller()
    assert len(watched.all()) <= KEPT + 1


def test_names_that_no_file_can_have_are_no_files() -> None:
    for name in ("\0", "x" * 5000, "a/" * 3000, "../page_files.py", "\ud83d"):
        assert page_files.find(name) is None


def test_the_oldest_conversations_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_kept, "MOST_OF_ALL", 250)
    with closing(open_database(tmp_path / "ledger")) as database:
        talks = Talks(database)
        for owner in ("ann", "ben"):
            for id in ("1", "2", "3"):
                talks.keep(owner, id, "", {"said": "x" * 90})
        assert [talk["id"] for talk in talks.all("ann")] == ["3", "2"] == [talk["id"] for talk in talks.all("ben")]
