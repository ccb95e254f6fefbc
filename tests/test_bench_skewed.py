"""Folders whose routers have favourites choose as often as they were made to."""

import random
from pathlib import Path

import numpy as np
import pytest
from bench import shapes, skewed

from moonlet.model.folder import ModelFolder, open_folder
from moonlet.model.layout import Formats
from moonlet.planner import prove
from moonlet.planner.routing import Popularity, measured, zipf

SMALL = {"num_hidden_layers": 3, "vocab_size": 512, "n_routed_experts": 16, "num_experts_per_tok": 4}
SMALL |= {"hidden_size": 256, "intermediate_size": 64, "moe_intermediate_size": 32}


@pytest.fixture(scope="module")
def even(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    path = tmp_path_factory.mktemp("skewed") / "even"
    shapes.write(path, "moonlight", Formats("int4", "int4"), **SMALL)
    return open_folder(path)


def popularity(path: Path) -> Popularity:
    folder, dice = open_folder(path), random.Random(0)
    ids = [dice.randrange(folder.config.vocab) for _ in range(1500)]
    return measured(prove.trace(folder, ids, 1), folder.config)


def test_popularity_falls_as_it_should(even: ModelFolder, tmp_path: Path) -> None:
    wanted = zipf(16, 4, 1).chances
    skewed.write(even.path, tmp_path / "zipf", skewed.biases(wanted, 4))
    assert np.abs(popularity(tmp_path / "zipf").chances - wanted).max() < 0.06
    assert np.abs(popularity(even.path).chances - wanted).max() > 0.3


def test_a_topic_keeps_to_its_experts(even: ModelFolder, tmp_path: Path) -> None:
    skewed.write(even.path, tmp_path / "topic", skewed.topic(even.config, 6))
    found = popularity(tmp_path / "topic").chances
    assert found[6:].sum() == 0 and found[:6].min() > 0.3


def test_a_popularity_is_stretched_to_more_experts(even: ModelFolder) -> None:
    few = zipf(8, 2, 0.5).chances
    many = skewed.stretched(few, even.config)
    assert many.sum() == pytest.approx(4) and many.max() <= 1
    assert many[:8].sum() / 4 == pytest.approx(few[:4].sum() / 2)
    narrow = skewed.stretched(np.array([1.0, 0, 0, 0]), even.config)
    assert narrow.tolist() == [1.0] * 4 + [0.0] * 12
