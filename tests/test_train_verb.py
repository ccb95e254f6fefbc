"""`moonlet train`: settings that are wrong are said in one line, right ones reach the training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from moonlet.cli import main
from moonlet.train import nano, torchrun


@pytest.mark.parametrize(
    ("stage", "text", "said"),
    [
        ("pretrain", "", "folder is missing"),
        ("pretrain", "folder = 3", "folder must be text"),
        ("pretrain", 'folder = "x"\nclip = 1', "no setting 'clip'"),
        ("sft", 'folder = "x"\nstart = "nano"\nlr = nan', "lr must be a number above 0, got nan"),
        ("sft", 'folder = "x"\nstart = "nano"\nshare = 0.3', "share goes with trajectories"),
        ("sft", 'folder = "x"\nstart = "nano"\ntrajectories = "nope"', "there is no file nope"),
        ("pretrain", 'folder = "x"\nsteps = true', "steps must be a whole number"),
        ("pretrain", 'folder = "x"\nsteps = 0', "steps must be at least 1, got 0"),
        ("pretrain", 'folder = "x"\nrows = -1', "rows must be at least 1, got -1"),
        ("sft", 'folder = "x"\nstart = "nano"\nthreads = 0', "threads must be at least 1, got 0"),
        ("sft", 'folder = "x"\nstart = "nano"\ndata = "/nowhere"', "there is no folder /nowhere"),
        ("sft", 'folder = "x"\nstart = "nano"\ndata = "/"', "/ has a folder for none of the sets: sgd, "),
        ("pretrain", f'folder = "x"\nseed = {2**64}', "seed is too large"),
        ("rl", f'folder = "x"\nstart = "nano"\nseed = {2**64}', "seed is too large"),
        ("rl", 'folder = "x"\nstart = "nano"\nbudget = nan', "budget must be between 0 and 1e+09, got nan"),
        ("rl", 'folder = "x"\nstart = "nano"\nlr = inf', "lr must be between 0 and 1e+09, got inf"),
        ("rl", 'folder = "x"\nstart = "nano"\npenalty = -1', "penalty must be between 0 and 1e+09, got -1"),
        ("rl", 'folder = "x"\nstart = "nano"\nevolved = 7', "evolved must be between 0 and 1, got 7"),
        ("rl", 'folder = "x"\nstart = "nano"\ntrajectories = 3\nshare = "x"', "no setting 'trajectories'"),
        ("sft", 'folder = "x"\nstart = ""', "start is missing"),
        ("rl", 'folder = "x"\nstart = "nano"\nlanguages = []', "languages must name one at least"),
        ("rl", 'folder = "x"\nstart = "nano"\nlength = 0', "length must be at least 256, got 0"),
        ("rl", 'folder = "x"\nstart = "nano"\nlength = 4096', "reads 4096 tokens"),
        ("pretrain", 'folder = "x"\nint4 = 1', "int4 must be true or false"),
        ("pretrain", 'folder = "x"\nstart = "nano"', "say sft"),
        ("sft", 'folder = "x"', "start is missing"),
        ("sft", "folder = ", "CONFIG"),
    ],
)
def test_wrong_settings(stage: str, text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "CONFIG"
    config.write_text(text)
    assert main(["train", stage, str(config)]) == 2
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1
    assert not (tmp_path / "x").exists()


def test_settings_reach_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    monkeypatch.setattr(nano, "main", lambda arguments: seen.append(arguments) or 130)
    config = tmp_path / "c.toml"
    config.write_text('folder = "here"\nstart = "nano"\nsteps = 7\nint4 = true\n')
    assert main(["train", "sft", str(config)]) == 130
    assert nano._arguments(seen[0]).int4 and not nano._arguments(["here"]).int4
    config.write_text('folder = "here"\nstart = "nano"\nint4 = false\n')
    assert main(["train", "sft", str(config)]) == 130 and nano._arguments(seen[1]).int4 is False
    assert nano._arguments(seen[0]).steps == 7 and nano._arguments(seen[0]).start == "nano"
    config.write_text('folder = "-here"\nstart = "-there"\n')
    assert main(["train", "sft", str(config)]) == 130
    assert (nano._arguments(seen[2]).folder, nano._arguments(seen[2]).start) == (Path("-here"), "-there")


def test_rl_is_not_for_several_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    config = tmp_path / "c.toml"
    config.write_text('folder = "here"\nstart = "nano"\n')
    assert main(["train", "rl", str(config)]) == 2
    assert "one process" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--nodes", "2"], "meet at --leader"),
        (["--leader", "10.0.0.1:29500"], "goes with --nodes"),
        (["--processes", "2", "--leader", "10.0.0.1:29500"], "one meets nobody"),
    ],
)
def test_machines_that_cannot_meet(
    words: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "c.toml"
    config.write_text('folder = "here"\n')
    assert main(["train", "pretrain", str(config), *words]) == 2
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1


def test_processes_are_started_once_and_not_for_rl(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "c.toml"
    config.write_text('folder = "here"\nstart = "nano"\n')
    assert main(["train", "rl", str(config), "--processes", "2"]) == 2
    assert "rl runs in one process" in capsys.readouterr().err
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(["train", "sft", str(config), "--processes", "2"]) == 2
    assert "started already" in capsys.readouterr().err


def test_machines_reach_torchrun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(torchrun, "start", lambda *asked: seen.append(asked) or 130)
    config = tmp_path / "c.toml"
    config.write_text('folder = "here"\n')
    words = ["-m", "moonlet", "train", "pretrain", str(config)]
    assert main([*words[2:], "--nodes", "2", "--leader", "10.0.0.1:29500", "--processes", "8"]) == 130
    assert main([*words[2:], "--nodes", "2", "--leader", "[fd00::1]:29500"]) == 130
    assert main([*words[2:], "--processes", "2"]) == 130
    assert seen == [
        (words, torchrun.Machines(2, "10.0.0.1:29500", 8)),
        (words, torchrun.Machines(2, "[fd00::1]:29500")),
        (words, torchrun.Machines(1, "", 2)),
    ]


def test_on_a_gpu_experts_are_int4_whatever_else_is_said() -> None:
    usual = nano._recipe(nano._arguments(["here"]), gpu=True)
    assert usual == nano.GPU and usual.int4
    asked = nano._recipe(nano._arguments(["here", "--steps", "7"]), gpu=True)
    assert (asked.steps, asked.rows, asked.int4) == (7, nano.GPU.rows, True)
    assert not nano._recipe(nano._arguments(["here"]), gpu=False).int4
    assert nano._recipe(nano._arguments(["here", "--int4"]), gpu=False).int4
