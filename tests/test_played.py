"""Conversations of one's own: what was played in simulated worlds, as training data."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

import moonlet
from moonlet.chat.tokenizer import Tokenizer
from moonlet.cli import main
from moonlet.simulate.episode import Conversation
from moonlet.simulate.rollout import Trajectory
from moonlet.train.checkpoint import CheckpointError, same_source
from moonlet.train.data import DataError, conversations
from moonlet.train.played import among, fitting, read


def played(path: Path, *more: str) -> Path:
    command = ["simulate", "solution", "-n", "22", "--languages", "en", "--workers", "1", "--json", "--out", str(path)]
    assert main([*command, *more]) == 0
    return path


def test_what_passed_is_read_and_what_judges_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = played(tmp_path / "own.jsonl", "--training")
    lines = file.read_text().splitlines()
    assert not any(Trajectory.parse(line).key.held_out for line in lines)
    assert read(file) == [Trajectory.parse(line).conversation() for line in lines]
    failed = [line.replace('"state": true', '"state": false', 1) for line in lines[:3]]
    file.write_text("\n".join([*failed, *lines[3:]]))
    assert len(read(file)) == len(lines) - 3
    for text, complaint in (
        ("\n".join(failed), "none of its 3 trajectories passed"),
        ("", "none of its 0"),
        ("{}", "line 1: not a trajectory"),
        ("[" * 100_000, "line 1: "),
    ):
        file.write_text(text)
        with pytest.raises(DataError, match=complaint):
            read(file)
    config = tmp_path / "own.toml"
    config.write_text(f'folder = "{tmp_path}"\nstart = "nano"\ntrajectories = "{played(tmp_path / "held.jsonl")}"\n')
    capsys.readouterr()
    assert main(["train", "sft", str(config)]) == 2
    assert "this task is of those that judge a model" in capsys.readouterr().err


def test_ones_own_come_among_the_mixture(tmp_path: Path) -> None:
    own = read(played(tmp_path / "own.jsonl", "--training"))
    drawn = list(islice(among(conversations, own, 0.7, 3), 200))
    mine = [one for one in drawn if one in own]
    assert 0.6 < len(mine) / 200 < 0.8
    first = mine[: len(own)]
    assert all(one in first for one in own)  # each, before any comes again
    theirs = [one for one in drawn if one not in own]
    assert theirs == list(islice(conversations(3), len(theirs)))
    assert drawn == list(islice(among(conversations, own, 0.7, 3), 200))
    only: list[Conversation] = list(islice(among(conversations, own, 1.0, 3), 50))
    assert all(one in own for one in only)


def test_what_no_row_holds_is_told(tmp_path: Path) -> None:
    own = read(played(tmp_path / "own.jsonl", "--training"))
    tokenizer = Tokenizer.load(Path(moonlet.__file__).parent / "nano")
    assert fitting(own, tokenizer, "moonlet", 4096) == own
    long = replace(own[0], tools=tuple(replace(tool, description="much " * 5000) for tool in own[0].tools))
    assert fitting([long, own[1]], tokenizer, "moonlet", 4096) == [own[1]]
    with pytest.raises(DataError, match="no trajectory fits: a row has 4096 tokens"):
        fitting([long], tokenizer, "moonlet", 4096)


def test_a_run_goes_on_with_the_same_trajectories(tmp_path: Path) -> None:
    file, run = played(tmp_path / "own.jsonl", "--training"), tmp_path / "run"
    same_source(run, 1, None, None, file, 0.5)
    (run / "checkpoint.pt").touch()
    same_source(run, 1, None, None, file, 0.5)
    with pytest.raises(CheckpointError, match=r"share was 0.5, is 0.7$"):
        same_source(run, 1, None, None, file, 0.7)
    with pytest.raises(CheckpointError, match=r"trajectories was \w+, is None"):
        same_source(run, 1, None, None)
