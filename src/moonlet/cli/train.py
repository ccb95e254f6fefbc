"""`moonlet train`: a small model from nothing, or further from one that exists, as a file of settings says."""

from __future__ import annotations

import argparse
import importlib.util
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from moonlet.cli import UsageError

KNOWN: Mapping[str, type] = {
    "folder": str,
    "start": str,
    "data": str,
    "seed": int,
    "steps": int,
    "threads": int,
    "samples": int,
}


def main(asked: argparse.Namespace) -> int:
    settings = read(asked.config, asked.stage)
    if importlib.util.find_spec("torch") is None:
        raise UsageError("training needs torch: pip install 'moonlet[train]'")
    from moonlet.train import nano

    flags = [part for name, value in settings.items() if name != "folder" for part in (f"--{name}", str(value))]
    return nano.main([str(settings["folder"]), *flags])


def read(path: Path, stage: str) -> dict[str, Any]:
    """The settings of a TOML file, checked for the stage. Raises UsageError."""
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}") from None
    for name, value in settings.items():
        if name not in KNOWN:
            raise UsageError(f"{path}: there is no setting {name!r}; there are: {', '.join(KNOWN)}")
        if type(value) is not KNOWN[name]:
            raise UsageError(f"{path}: {name} must be {'text' if KNOWN[name] is str else 'a whole number'}")
    if "folder" not in settings:
        raise UsageError(f"{path}: folder is missing: where the run goes")
    if stage == "sft" and "start" not in settings:
        raise UsageError(f"{path}: start is missing: sft goes on from a model; pretrain begins with none")
    if stage == "pretrain" and "start" in settings:
        raise UsageError(f"{path}: pretrain begins with nothing; to go on from {settings['start']} say sft")
    return settings
