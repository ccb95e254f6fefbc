"""Without the extra for recordings: what is missing is told in one line."""

import subprocess
import sys

import pytest

ABSENT = """
import importlib.util
import sys

GONE = ("av", "faster_whisper", "pysubs2")

class Absent:
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in GONE:
            raise ModuleNotFoundError(f"No module named {name!r}")

found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name in GONE else found(name, *more)
sys.meta_path.insert(0, Absent)
from moonlet.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    "verb", [("mcp", "--articles", "."), ("agent", "--tools", "article", "do it"), ("article", "talk.mp4")]
)
def test_the_absent_extra_is_told(verb: tuple[str, ...]) -> None:
    done = subprocess.run([sys.executable, "-c", ABSENT, *verb], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "pip install 'moonlet[article]'" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
