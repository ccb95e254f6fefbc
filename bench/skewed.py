"""A model folder whose routers have favourites: random weights of `bench.shapes`, linked, with biases of its own.

    python -m bench.skewed FOLDER OUT --zipf 1      the popularity of a layer's experts falls as rank to the power of -1
    python -m bench.skewed FOLDER OUT --trace FILE  it falls as in a trace (`moonlet bench --trace`) of another model
    python -m bench.skewed FOLDER OUT --topic 24    every token chooses evenly among 24 experts of each layer

Which experts are the favourites is drawn for each layer. What tokens have in common is these favourites, nothing else.
`bench.stream OUT` then shows what a cache of experts and several replies at once gain from them.
"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from moonlet.cli.plan import read_trace
from moonlet.model.config import ModelConfig
from moonlet.model.folder import open_folder
from moonlet.model.layout import DENSE_FILE, file_layouts
from moonlet.planner.routing import zipf

ROUNDS, TOKENS = 3000, 256


def biases(chances: NDArray[np.float64], per_token: int, seed: int = 0) -> NDArray[np.float32]:
    """Biases (E,) with which sigmoid scores of even routers choose each expert that often.

    Found as training balances them (arXiv 2408.15664), only that the load aimed at is `chances` and not an even one.
    """
    random = np.random.default_rng(seed)
    bias = np.zeros(len(chances))
    for round in range(ROUNDS):
        logits = random.standard_normal((TOKENS, len(chances)))  # as of rows of deviation d^-0.5 and normed states
        scores = 1 / (1 + np.exp(-logits)) + bias
        chosen = np.argpartition(scores, -per_token, axis=1)[:, -per_token:]
        load = np.bincount(chosen.reshape(-1), minlength=len(chances)) / TOKENS
        bias += 0.2 / (1 + round / 100) * (chances - load)
    return bias.astype(np.float32)


def ranked(chosen: NDArray[np.int32]) -> NDArray[np.float64]:
    """Chances (E,) by rank of a trace's choices (layers, T, K), whatever model it is of."""
    counts = np.stack([np.bincount(layer.reshape(-1), minlength=chosen.max() + 1) for layer in chosen])
    chances: NDArray[np.float64] = np.sort(counts, axis=1)[:, ::-1].mean(axis=0) / chosen.shape[1]
    return chances


def stretched(chances: NDArray[np.float64], config: ModelConfig) -> NDArray[np.float64]:
    """A popularity of other counts (E',) as one of this model's (E,): the same share of choices by the same share of
    experts, none chosen more than once by a token."""
    shares = np.concatenate([[0], np.cumsum(chances) / chances.sum()])
    at = np.linspace(0, 1, config.experts + 1)
    chances = np.diff(np.interp(at, np.linspace(0, 1, len(shares)), shares)) * config.experts_per_token
    while chances.max() > 1:  # what is beyond goes to the others
        over = chances >= 1
        rest = chances[~over]
        chances = np.where(over, 1, chances * (config.experts_per_token - over.sum()) / rest.sum())
    return chances


def topic(config: ModelConfig, experts: int) -> NDArray[np.float32]:
    """Biases (E,) that leave so many experts to choose from."""
    bias = np.full(config.experts, -2, np.float32)  # no score makes up for it
    bias[:experts] = 0
    return bias


def write(source: Path, out: Path, bias: NDArray[np.float32], seed: int = 0) -> None:
    """The folder again with these biases, in another order in each layer. OSError if they are not on one drive."""
    folder, random = open_folder(source), np.random.default_rng(seed)
    out.mkdir(parents=True)
    for file in source.iterdir():
        if file.name != DENSE_FILE:
            os.link(file, out / file.name)
    shutil.copyfile(source / DENSE_FILE, out / DENSE_FILE)
    places = file_layouts(folder.config, folder.formats)[DENSE_FILE].tensors
    with (out / DENSE_FILE).open("r+b") as file:
        for name, place in places.items():
            if name.endswith("router_bias"):
                file.seek(place.begin)
                file.write(random.permutation(bias).tobytes())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--zipf", type=float, metavar="S")
    kind.add_argument("--trace", type=Path, metavar="FILE")
    kind.add_argument("--topic", type=int, metavar="EXPERTS")
    asked = parser.parse_args()
    config = open_folder(asked.source).config
    if asked.topic is not None:
        if not config.experts_per_token <= asked.topic <= config.experts:
            parser.error(f"--topic must be {config.experts_per_token} to {config.experts}: a token chooses that many")
        bias = topic(config, asked.topic)
    else:
        if asked.trace:
            chances = stretched(ranked(read_trace(asked.trace)), config)
        else:
            chances = zipf(config.experts, config.experts_per_token, asked.zipf).chances
        bias = biases(chances, config.experts_per_token)
    write(asked.source, asked.out, bias)


if __name__ == "__main__":
    main()
