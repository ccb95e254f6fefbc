"""A tiny checkpoint with random weights that can be talked to: it has the small model's chat format."""

import json
from pathlib import Path

import tiny


def write(folder: Path, seed: int = 0, variant: str = "k2") -> None:
    """A checkpoint in the public layout. Every id of the model is one of the vocabulary's."""
    tiny.write(folder, variant, seed=seed, changes={"vocab_size": 256 + 32})
    file = folder / "tokenizer_config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**config, "moonlet_template": "moonlet"}), encoding="utf-8")
