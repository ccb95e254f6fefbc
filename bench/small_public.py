"""The small model in the public layout, as other engines take it: python -m bench.small_public FOLDER

Its weights are those of the package, unpacked (int8) and rounded to bfloat16; `tokenizer.json` and a chat template lie
beside them.
"""

from __future__ import annotations

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


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    write(Path(sys.argv[1]))
