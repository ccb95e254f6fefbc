"""Imports point down, never sideways or up, and torch is for training alone."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import moonlet

HOUSE = Path(moonlet.__file__).parent

# What each part may import of the others. Parts of one row never import one another.
BELOW: dict[str, set[str]] = {
    "kernels": {"_native"},
    "chat": set(),
    "ledger": set(),
    "on_ray": set(),
    "model": {"kernels"},
    "tools": {"chat"},
    "engine": {"model", "kernels", "_native"},
    "llm": {"chat", "ledger"},
    "agent": {"llm", "tools", "chat", "ledger"},
    "fleet": {"llm", "chat", "ledger"},
    "local": {"llm", "engine", "chat", "ledger", "model"},
    "simulate": {"agent", "llm", "tools", "chat", "on_ray"},
}
UP_TO_SIMULATE = set(BELOW)
BELOW |= {part: UP_TO_SIMULATE for part in ("server", "train", "evals", "planner", "article", "deploy")}
BELOW["cli"] = set(BELOW)
BELOW["__init__"] = {"local"}
BELOW["__main__"] = {"cli"}

# Upward, but for the type checker alone: the specification of the whole step speaks of a model's sizes.
FOR_TYPES = {("kernels/reference.py", "moonlet.model.config")}

FILES = sorted(HOUSE.rglob("*.py"))


def _imports(source: str, package: Sequence[str]) -> Iterator[str]:
    """Every module that a source text in `package` imports, wherever in it, by its full name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) - node.level + 1]] if node.level else []
            base += [node.module] if node.module else []
            # `from moonlet import x` and `from . import x` import the part x.
            bare = node.module in (None, "moonlet")
            yield from ([".".join([*base, alias.name]) for alias in node.names] if bare else [".".join(base)])


def _part(module: str) -> str:
    return module.split(".")[1]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(HOUSE)))
def test_imports_point_down(file: Path) -> None:
    place = file.relative_to(HOUSE)
    part = place.parts[0].removesuffix(".py")
    assert part in BELOW, f"{part} has no place in the house: give it a row here and in ARCHITECTURE.md"
    for module in _imports(file.read_text(encoding="utf-8"), file.relative_to(HOUSE.parent).parent.parts):
        if (str(place), module) in FOR_TYPES:
            guarded = rf"^if TYPE_CHECKING:.*\n    from {re.escape(module)} import"
            assert re.search(guarded, file.read_text(encoding="utf-8"), re.MULTILINE)
        elif module.startswith("moonlet."):
            other = _part(module)
            assert other == part or other in BELOW[part], f"{part} imports {module}"
        assert module != "moonlet", "say which part is meant"
        if module.split(".")[0] in ("torch", "transformers"):
            assert part == "train", f"{part} imports {module}"


def test_every_way_to_import_is_seen() -> None:
    source = "from moonlet import agent\ndef f():\n from moonlet.llm import x\nfrom ..local import y\nfrom . import z\n"
    found = list(_imports(source + "from .a.b import c\nimport torch.nn as t", ("moonlet", "chat")))
    assert found == ["moonlet.agent", "moonlet.local", "moonlet.chat.z", "moonlet.chat.a.b", "torch.nn", "moonlet.llm"]


def test_importing_moonlet_is_cheap() -> None:
    heavy = "{'numpy', 'tiktoken', 'rich', 'httpx', 'fastapi', 'torch', 'prompt_toolkit'}"
    code = f"import sys, moonlet, moonlet.cli; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
