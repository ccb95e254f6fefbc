"""The mean of two runs' weights as a model: python -m moonlet.train.average RUN OTHER SHARE OUT

RUN and OTHER are folders of `moonlet.train.nano`, one of which went on from the other; SHARE is what OTHER counts,
between 0 and 1. Weights that lie on one path of training lie in one valley, and their mean errs less than either
(arXiv 2203.05482). OUT gets `public/` and `model/`, as a run does.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from moonlet.model.config import parse_config
from moonlet.train.checkpoint import CheckpointError, load
from moonlet.train.export import TOKENIZER_FILES
from moonlet.train.nano import CONFIG, FORMATS, LARGE, finish
from moonlet.train.network import Network


class DifferentError(Exception):
    """Two runs whose weights are not of the same names and sizes."""


def mean(one: Mapping[str, Tensor], other: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    """(1 - share) of one and share of the other. Raises DifferentError."""
    if {name: w.shape for name, w in one.items()} != {name: w.shape for name, w in other.items()}:
        raise DifferentError("the two runs are of networks of other sizes")
    return {name: torch.lerp(weight, other[name], share) for name, weight in one.items()}


def main(arguments: list[str] | None = None) -> int:
    """Writes the model. Returns 2, with one line, where the two do not go together."""
    parser = argparse.ArgumentParser(prog="python -m moonlet.train.average", description=str(__doc__).split("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("other", type=Path)
    parser.add_argument("share", type=float)
    parser.add_argument("out", type=Path)
    asked = parser.parse_args(arguments)
    if not 0 <= asked.share <= 1:
        parser.error(f"SHARE lies between 0 and 1, got {asked.share:g}")
    try:
        one, other = (load(run / "run" / "checkpoint.pt") for run in (asked.run, asked.other))
        network = Network(parse_config(_shape(other["network"])))
        network.load_state_dict(mean(one["network"], other["network"], asked.share))
        asked.out.mkdir(parents=True, exist_ok=True)
        for name in TOKENIZER_FILES:
            shutil.copyfile(asked.other / name, asked.out / name)
    except (OSError, RuntimeError, CheckpointError, DifferentError) as error:
        print(f"average: {str(error).splitlines()[0]}", file=sys.stderr)
        return 2
    int4 = other["recipe"].get("int4", False)
    print(finish(network, asked.out, replace(FORMATS, experts="int4") if int4 else FORMATS).folder.path)
    return 0


def _shape(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """Of the two that there are, the one of these weights."""
    width = weights["model.embed_tokens.weight"].shape[1]
    return LARGE if width == LARGE["hidden_size"] else CONFIG


if __name__ == "__main__":
    sys.exit(main())
