"""`make bench`: writes random-weight folders of real shapes and measures loading and speed on them."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from bench import shapes
from moonlet.model.layout import Formats


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        k2, moonlight = Path(place) / "k2", Path(place) / "moonlight"
        shapes.write(k2, "k2", Formats("bf16", "int4"), num_hidden_layers=3, n_routed_experts=96, vocab_size=32_768)
        subprocess.run([sys.executable, "-m", "bench.load", str(k2)], check=True)
        subprocess.run([sys.executable, "-m", "bench.speed", str(k2)], check=True)
        shapes.write(moonlight, "moonlight", Formats("int8", "int4"))
        subprocess.run([sys.executable, "-m", "bench.speed", str(moonlight)], check=True)


if __name__ == "__main__":
    main()
