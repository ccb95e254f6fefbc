"""Articles for agents and on the server: who can write, and decoding in a process of its own."""

import json
import os
import signal
import time
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from article_talks import made_up
from moonlet.article.cues import srt
from moonlet.article.tool import article_tool
from moonlet.chat.messages import ToolCall
from moonlet.ledger.database import open_database
from moonlet.local import load
from moonlet.tools.running import Running, entered
from moonlet.tools.tool import Checked, Tool, ToolError, checked_call, run

pytest.importorskip("av", reason="moonlet[article] is not installed")
pytest.importorskip("faster_whisper", reason="moonlet[article] is not installed")

import av

from moonlet.article.prepare import Preparing
from moonlet.article.stages import StageError
from moonlet.cli import article_jobs
from moonlet.llm.scripted import Scripted
from moonlet.server.article_jobs import Jobs, Order
from moonlet.server.articles import add_articles
from recordings import noise, shots, write
from serving import serving

pytestmark = pytest.mark.long


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which a recording lies, with subtitles."""
    write(tmp_path / "boats.mp4", shots([(noise(1), 2.0)], fps=5))
    (tmp_path / "boats.srt").write_text(srt(made_up()["en"]), encoding="utf-8")
    return tmp_path


def _never(*_: Any) -> Any:
    raise AssertionError


def _nothing(stage: str, done: float, of: float) -> None: ...


def _call(tool: Tool, **arguments: Any) -> dict[str, Any]:
    checked = checked_call([tool], ToolCall("1", "make_article", json.dumps(arguments)))
    if not isinstance(checked, Checked):
        return dict(json.loads(checked.text))
    return dict(json.loads(run(checked).text))


def test_the_small_model_is_not_asked_to_write() -> None:
    with load("nano") as nano:
        assert not article_jobs.can_write(nano)
    assert article_jobs.can_write(Scripted(()))


def _with_subtitles(folder: Path) -> Path:
    """The recording with its subtitles as a track in it, as one that is sent by itself has them."""
    made = folder / "sent.mkv"
    with (
        av.open(str(folder / "boats.mp4")) as seen,
        av.open(str(folder / "boats.srt"), format="srt") as said,
        av.open(str(made), "w") as out,
    ):
        copies = [out.add_stream_from_template(one) for one in (seen.streams.video[0], said.streams.subtitles[0])]
        copies[1].metadata["language"] = "eng"
        for source, copy in zip((seen, said), copies):
            for packet in source.demux():
                if packet.dts is not None:
                    packet.stream = copy
                    out.mux(packet)
    return made


def test_the_served_small_model_gives_an_article_of_what_was_said(folder: Path) -> None:
    """The whole way over HTTP: sent, decoded, put together by the program since the model is too small, and fetched."""
    said = {sentence.text for sentence in made_up()["en"].sentences}
    jobs: list[Jobs] = []
    with load("nano") as nano, closing(open_database(folder / "ledger.db")) as database:

        def more(app: FastAPI) -> None:
            made = article_jobs.maker(lambda: article_jobs.can_write(nano))
            jobs.append(Jobs(folder / "articles", made, nano, app.state.accounts, database))
            add_articles(app, jobs[0], article_jobs.WISHES)

        with serving(nano, more=more) as url, httpx.Client(base_url=url.removesuffix("/v1"), timeout=60) as client:
            sent = client.post(
                "/v1/articles",
                content=_with_subtitles(folder).read_bytes(),
                headers={"content-type": "video/x-matroska"},
            )
            place = f"/v1/articles/{sent.raise_for_status().json()['id']}"
            until = time.monotonic() + 60
            while (now := client.get(place).json())["status"] in ("queued", "running") and time.monotonic() < until:
                time.sleep(0.05)
            assert now["status"] == "done", now
            assert (now["article"]["mode"], now["article"]["score"]) == ("extractive", 100)
            article = client.get(f"{place}/article.json").raise_for_status().json()["article"]
            page = client.get(f"{place}/article.html").raise_for_status().text
            jobs[0].close()
    texts = {
        claim["text"] for section in article["sections"] for paragraph in section["paragraphs"] for claim in paragraph
    }
    assert texts and texts <= said and len(article["sections"]) >= 2
    assert "put together by a program" in page


def test_an_agent_makes_an_article(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(article_jobs, "can_write", lambda model: False)
    monkeypatch.setattr("moonlet.article.source.digest", _never)  # the other process reads it through
    heard: list[str] = []
    with entered(Running(tell=heard.append)):
        made = _call(article_jobs.tool(folder, Scripted(())), source="boats.mp4", length="short")
    assert (made["folder"], made["mode"], made["language"], made["score"]) == ("boats.article", "extractive", "en", 100)
    assert (folder / "boats.article" / "render/article.html").is_file() and any("media" in line for line in heard)


@pytest.mark.parametrize(("wish", "told"), [({"spoken": "english!"}, "a code"), ({"audience": " "}, "1 to 200")])
def test_a_wish_that_cannot_be_is_told_before_the_work(
    wish: dict[str, str], told: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(article_jobs, "prepare_apart", _never)
    make = article_jobs.maker(lambda: False)
    order = Order(folder / "a", "boats.mp4", wish, Scripted(()), _nothing, lambda: False)
    with pytest.raises(StageError, match=told):
        make(order)
    assert not (folder / "a").exists()


def test_the_tool_stays_in_its_folder(folder: Path) -> None:
    tool = article_tool(folder, _never)
    (folder / "out.mp4").symlink_to("/etc/hostname")
    (folder / "away.mp4").write_bytes(b"x")
    (folder / "away.article").symlink_to("/tmp")
    for source in ("../boats.mp4", "/etc/passwd", "out.mp4", "none.mp4", "away.mp4", "."):
        assert "error" in _call(tool, source=source), source
    assert "error" in _call(tool, source="boats.mp4", language="tlh")
    with pytest.raises(ToolError):
        article_tool(folder / "boats.mp4", _never)


def _crash(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def _interrupted(told: Connection, *_: Any) -> None:
    for stop in (signal.SIGINT, signal.SIGTERM):
        os.kill(os.getpid(), stop)
    told.send(("failed", "it heard nothing"))


def _sleep(*_: Any) -> None:
    signal.pause()


def test_a_crash_of_the_decoder_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(article_jobs, "_child", _crash)
    with pytest.raises(StageError, match="ended the process"):
        article_jobs.prepare_apart("x.mp4", folder / "a", Preparing(), lambda *told: None, lambda: False)
    monkeypatch.setattr(article_jobs, "_child", _interrupted)
    with pytest.raises(StageError, match="it heard nothing"):
        article_jobs.prepare_apart("x.mp4", folder / "a", Preparing(), lambda *told: None, lambda: False)
    monkeypatch.setattr(article_jobs, "_child", _sleep)
    with pytest.raises(StageError, match="stopped"):
        article_jobs.prepare_apart("x.mp4", folder / "a", Preparing(), lambda *told: None, lambda: True)
