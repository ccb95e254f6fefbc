"""What a run shows of itself: a picture beside its record, and TensorBoard's files where that is installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from xml.etree import ElementTree

import pytest

from moonlet.train import charts, record
from moonlet.train.curves import Line, picture, smooth
from moonlet.train.fit import Progress


def progress(step: int) -> Progress:
    return Progress(step, 100 * step, 7.0 / step, 0.5, 1.0, 20.0 + step, 1.5, 1e-3, 1000.0)


def texts(svg: str) -> list[str]:
    return [one.text or "" for one in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_a_run_is_drawn_with_its_loads(tmp_path: Path) -> None:
    path = tmp_path / "progress.csv"
    charts.draw(path, [])  # nothing to draw yet
    assert not list(tmp_path.iterdir())
    for step in range(1, 1001):
        record.append(path, progress(step))
    charts.draw(path, [[0.5, 1.5, 1.0, 1.0], [0.0, 2.0, 1.0, 1.0]])
    svg = (tmp_path / "progress.svg").read_text()
    told = texts(svg)
    assert set(charts.PANELS.values()) < set(told) and "load of each expert in step 1000" in told
    assert "from 0.00 to 2.00 times an even share; rows: sparse layers" in told
    assert "sparse layer 2, expert 1: 2.00 times its share" in svg
    assert len(svg) < 40_000  # a curve has at most 400 points
    assert not (tmp_path / "progress.svg.part").exists()


def test_thinned_points_are_means_of_their_steps(tmp_path: Path) -> None:
    rows = [{"step": str(step), "loss": str(step)} for step in range(1, 1001)]
    points = charts._thinned(rows, "loss")
    assert points[0] == (3.0, 2.0) and points[-1] == (1000.0, 1000.0) and len(points) <= charts.POINTS
    assert smooth([(1.0, 0.0), (2.0, 3.0), (3.0, 6.0)], 1) == [(1.0, 1.5), (2.0, 3.0), (3.0, 4.5)]


def test_a_picture_escapes_names_and_has_a_legend() -> None:
    svg = picture({"a < b": [Line("x & y", [(1.0, 2.0), (2.0, 3.0)])]}, ["x & y"])
    assert {"a < b", "x & y", "step"} < set(texts(svg))


def test_tensorboard_gets_every_value(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for begun, steps in ((0, (1, 2, 3)), (2, (3, 4))):  # left after a checkpoint at 2, gone on from there
        board = charts.Board(tmp_path, begun)
        for step in steps:
            board.add(progress(step))
        board.close()
    found = EventAccumulator(str(tmp_path / "tensorboard"))
    found.Reload()
    assert [event.step for event in found.Scalars("loss")] == [1, 2, 3, 4]
    assert "score" in found.Tags()["scalars"] and "step" not in found.Tags()["scalars"]


def test_without_tensorboard_there_is_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    board = charts.Board(tmp_path, 0)
    board.add(progress(1))
    board.close()
    assert not charts.installed() and not list(tmp_path.iterdir())
