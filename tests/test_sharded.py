"""Two processes over gloo, each started by torchrun as on a machine of its own, train what one process trains."""

from __future__ import annotations

import csv
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
import torch

import sharded_run
from moonlet.model.folder import open_folder
from moonlet.simulate import said
from moonlet.train.data import conversations
from moonlet.train.fit import Recipe, UnevenError, check_rows
from moonlet.train.vocabulary import texts, train_vocabulary

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]  # three processes import PyTorch, on a crowded machine
torch.set_num_threads(1)
# What `moonlet train --nodes 2 --leader HOST:PORT --processes 1` does on each machine, a script in the verb's place.
NODE = """
import sys
from moonlet.train.torchrun import Machines, start
sys.exit(start(sys.argv[2:], Machines(2, sys.argv[1], 1)))
"""
LOSS = 1e-3  # how far apart losses may be: bfloat16 rounds rows read together and apart differently


@pytest.fixture(scope="module", autouse=True)
def without_what_was_typed() -> Iterator[None]:
    """The loss falls as it did before there were such requests; the processes of sharded_run.py leave them out, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(said, "SHARE", 0.0)
        yield


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vocabulary")
    train_vocabulary(texts(islice(conversations(5), 80)), folder, sharded_run.PIECES)
    return folder


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, words: Path) -> Path:
    """What two processes made: verb/ by the command, parts/ stopped after three steps (handed/) and gone on."""
    if not torch.distributed.is_available():
        pytest.skip("this PyTorch was built without torch.distributed")
    place = tmp_path_factory.mktemp("two")
    script = Path(__file__).with_name("sharded_run.py")
    with socket.create_server(("127.0.0.1", 0)) as bound:
        meeting = f"127.0.0.1:{bound.getsockname()[1]}"
    nodes = [
        subprocess.Popen(
            [sys.executable, "-c", NODE, meeting, script, place, words],
            env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    told = [node.communicate()[1] for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0], "".join(told)[-4000:]
    assert "".join(told).count("step 5 of 5") == 1  # one of them speaks
    return place


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory, words: Path) -> Path:
    folder = tmp_path_factory.mktemp("one")
    list(sharded_run.open_run(folder, words).steps())
    return folder


def record(folder: Path) -> list[dict[str, float]]:
    with (folder / "progress.csv").open() as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    for row in rows:
        del row["tokens_per_s"]
    return rows


def test_two_processes_have_the_losses_of_one(two: Path, one: Path) -> None:
    single, double = record(one), record(two / "verb" / "run")
    assert len(single) == len(double) == sharded_run.RECIPE.steps
    for mine, theirs in zip(single, double, strict=True):
        assert theirs["loss"] == pytest.approx(mine["loss"], abs=LOSS)
        assert theirs["gradient"] == pytest.approx(mine["gradient"], rel=0.01)
        assert theirs["score"] == pytest.approx(mine["score"], rel=0.05)
        assert theirs["busiest"] == pytest.approx(mine["busiest"], rel=0.05)
        assert [theirs[name] for name in ("step", "tokens", "lr")] == [mine[name] for name in ("step", "tokens", "lr")]
    assert single[-1]["loss"] < single[0]["loss"] - 0.2


def test_a_run_that_was_left_goes_on_to_the_same_bits(two: Path) -> None:
    assert record(two / "parts") == record(two / "verb" / "run")
    straight, parted = (torch.load(two / name / "checkpoint.pt") for name in ("verb/run", "parts"))
    for name, weight in straight["network"].items():
        assert torch.equal(weight, parted["network"][name]), name
    for part in ("muon", "adam"):
        for i, state in straight["optimiser"][part]["state"].items():
            for name, value in state.items():
                assert torch.equal(value, parted["optimiser"][part]["state"][i][name]), (part, i, name)


def test_one_process_goes_on_from_the_checkpoint_of_two(two: Path, one: Path, words: Path) -> None:
    run = sharded_run.open_run(two / "handed", words)
    assert run.step == 3
    for mine, theirs in zip([told.loss for told in run.steps()], record(one)[3:], strict=True):
        assert mine == pytest.approx(theirs["loss"], abs=LOSS)


def test_the_command_leaves_a_model(two: Path) -> None:
    folder = open_folder(two / "verb" / "model")
    assert folder.meta["golden"] and folder.config == sharded_run.config()


def test_rows_must_share_out_evenly() -> None:
    check_rows(Recipe(rows=4, long_rows=2), 2)
    with pytest.raises(UnevenError, match="2 rows of a step do not share out evenly among 4 processes: set rows"):
        check_rows(Recipe(rows=4, long_rows=2), 4)
