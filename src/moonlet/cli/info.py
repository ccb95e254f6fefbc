"""`moonlet info`: what a model is made of, from its configuration alone."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from moonlet.local import find
from moonlet.model import anatomy
from moonlet.model.anatomy import Anatomy, Formats
from moonlet.model.config import ModelConfig, read_config
from moonlet.model.folder import open_folder


def main(asked: argparse.Namespace) -> int:
    path = Path(asked.model).expanduser()
    path = path if path.is_file() else find(asked.model)
    config, formats = _read(path)
    whole = anatomy.anatomy(config, formats)
    if asked.json:
        print(json.dumps(_json(config, whole), indent=2))
    elif Console().is_terminal:
        _show(config, whole)
    else:
        print(anatomy.text(config, whole))
    return 0


def _read(path: Path) -> tuple[ModelConfig, Formats]:
    """Config and number formats of a model folder, a checkpoint, or a config alone."""
    if (path / "moonlet.json").exists():
        folder = open_folder(path)
        return folder.config, anatomy.folder_formats(folder.formats.dense, folder.formats.experts)
    config = read_config(path)
    file = path / "config.json" if path.is_dir() else path
    return config, anatomy.checkpoint_formats(json.loads(file.read_text(encoding="utf-8")))


def _show(config: ModelConfig, whole: Anatomy) -> None:
    console = Console()
    told = Table.grid(padding=(0, 2))
    for name, sentence in anatomy.summary(config, whole):
        told.add_row(f"[dim]{name}", sentence)
    table = Table(box=box.SIMPLE_HEAD)
    for i, title in enumerate(anatomy.HEADER):
        table.add_column(title, justify="right" if i else "left")
    *rows, total = anatomy.rows(whole)
    for row in rows:
        table.add_row(*row)
    table.add_section()
    table.add_row(*total, style="bold")
    console.print(told, table)


def _json(config: ModelConfig, whole: Anatomy) -> dict[str, Any]:
    parts = [
        {
            "name": part.name,
            "parameters": part.parameters,
            "active": part.active,
            "format": part.format,
            "stored_bytes": part.stored_bytes,
            "read_bytes": part.read_bytes,
        }
        for part in whole.parts
    ]
    return {
        "parameters": whole.parameters,
        "active": whole.active,
        "active_with_embedding": whole.active_with_embedding,
        "parameters_per_expert": whole.parameters_per_expert,
        "bytes_per_expert": whole.bytes_per_expert,
        "stored_bytes": whole.stored_bytes,
        "read_bytes_per_token": whole.read_bytes,
        "cache_bytes_per_token": whole.cache_bytes_per_token,
        "parts": parts,
        "config": asdict(config),
    }
