"""How long a K2-shaped folder takes from process start to its first token, with its files in the page cache.

    python -m bench.load [FOLDER]

Without a folder, one is written (about 8 GB; K2's own widths, 3 layers, 96 experts, 32,768 pieces). Each figure is the
median of five fresh processes.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import shapes
from moonlet.model.layout import Formats

CHILD = """
import json, sys, time
start = time.perf_counter()
from pathlib import Path
from moonlet.engine.engine import Engine, EngineOptions
from moonlet.engine.sampler import Sampling
from moonlet.model.folder import open_folder
imported = time.perf_counter()
with Engine(open_folder(Path(sys.argv[1])), EngineOptions(cache_tokens=1024)) as engine:
    loaded = time.perf_counter()
    next(iter(engine.submit([1, 2, 3], Sampling(max_tokens=2, temperature=0))))
    answered = time.perf_counter()
print(json.dumps({"import_s": imported - start, "load_s": loaded - imported, "first_token_s": answered - start}))
"""


def main() -> None:
    if len(sys.argv) > 1:
        report(Path(sys.argv[1]))
    else:
        write_and_report()


def write_and_report() -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "k2"
        changes = {"num_hidden_layers": 3, "n_routed_experts": 96, "vocab_size": 32_768}
        shapes.write(folder, "k2", Formats("bf16", "int4"), **changes)
        report(folder)


def report(folder: Path) -> None:
    size = sum(file.stat().st_size for file in folder.iterdir())
    for file in folder.iterdir():
        with file.open("rb", buffering=0) as data:
            while data.read(1 << 24):
                pass
    runs = [json.loads(subprocess.check_output([sys.executable, "-c", CHILD, str(folder)])) for _ in range(5)]
    print(f"{folder.name}: {size / 1e9:.1f} GB in the page cache, median of {len(runs)} processes")
    for name in runs[0]:
        times = [run[name] for run in runs]
        print(f"  {name:14} {statistics.median(times):6.2f} s   ({min(times):.2f} to {max(times):.2f})")


if __name__ == "__main__":
    main()
