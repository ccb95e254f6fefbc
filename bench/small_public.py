"""The small model in the public layout, as other engines take it: python -m bench.small_public FOLDER

Its weights are those of the package, unpacked (int8) and rounded to bfloat16; `tokenizer.json` and a chat template lie
beside them.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import moonlet
from moonlet.model.folder import open_folder
from moonlet.train.export import export
from moonlet.train.network import Network
from moonlet.train.restore import restore


def write(target: Path) -> Path:
    """The checkpoint, in the folder of that name."""
    folder = open_folder(Path(moonlet.__file__).parent / "nano")
    network = Network(folder.config)
    restore(network, folder)
    export(network, folder.path, target)
    return target


def for_vllm_on_cpu(checkpoint: Path, target: Path) -> Path:
    """The same model with its positions said as YaRN that stretches nothing, where it has none: vLLM 0.32 computes
    others wrongly on a processor when attention is in its expanded form (seen: 3.6 nats in the mean, so 0.01)."""
    shutil.copytree(checkpoint, target)
    config = json.loads((target / "config.json").read_text(encoding="utf-8"))
    positions = config["max_position_embeddings"]
    yarn = {"type": "yarn", "factor": 1.0, "beta_fast": 32, "beta_slow": 1, "mscale": 1.0, "mscale_all_dim": 1.0}
    config.setdefault("rope_scaling", yarn | {"original_max_position_embeddings": positions})
    (target / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    return target


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    write(Path(sys.argv[1]))
