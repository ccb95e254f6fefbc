"""Without the extra for recordings: what is missing is told in one line."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

import moonlet
from moonlet.cli import article_extra

# numpy comes with moonlet, ctranslate2 with faster-whisper; what lacks the other two is told where they are wanted.
ELSEWHERE = {"moonlet", "numpy", "ctranslate2", "yt_dlp", "rapidocr"}

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


@pytest.mark.long
@pytest.mark.parametrize(
    "verb", [("mcp", "--articles", "."), ("agent", "--tools", "article", "do it"), ("article", "talk.mp4")]
)
def test_the_absent_extra_is_told(verb: tuple[str, ...]) -> None:
    done = subprocess.run([sys.executable, "-c", ABSENT, *verb], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "pip install 'moonlet[article]'" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr


def test_every_package_that_a_stage_imports_is_looked_for() -> None:
    imported: set[str] = set()
    for path in (Path(moonlet.__file__).parent / "article").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            imported |= {name.partition(".")[0] for name in names}
    assert imported - set(sys.stdlib_module_names) - ELSEWHERE == set(article_extra.PACKAGES) - {"pycrfsuite"}


@pytest.mark.parametrize("gone", article_extra.PACKAGES)
def test_one_that_is_missing_is_named(gone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == gone else object())
    assert article_extra.missing() == f"recordings need more packages ({gone}): pip install 'moonlet[article]'"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    assert article_extra.missing() is None
