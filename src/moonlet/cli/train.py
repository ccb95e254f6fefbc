"""`moonlet train`: a small model from nothing, or further from one that exists, as a file of settings says."""

from __future__ import annotations

import argparse
import importlib.util
import math
import os
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from moonlet.cli import UsageError

KNOWN: Mapping[str, type] = {
    "folder": str,
    "start": str,
    "data": str,
    "trajectories": str,
    "share": float,
    "lr": float,
    "seed": int,
    "steps": int,
    "rows": int,
    "int4": bool,
    "threads": int,
    "samples": int,
}
COUNTS = {"steps", "rows", "threads", "samples"}
MOST = 2**63  # what a seed stays below
NAMES: Mapping[type, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    tuple: "a list of texts",
}


def main(asked: argparse.Namespace) -> int:
    settings = read(asked.config, asked.stage)
    if importlib.util.find_spec("torch") is None:
        raise UsageError("training needs torch: pip install 'moonlet[train]'")
    if machines := _machines(asked):
        from moonlet.train import torchrun

        return torchrun.start(["-m", "moonlet", "train", asked.stage, str(asked.config)], torchrun.Machines(**machines))
    if asked.stage == "rl":
        if int(os.environ.get("WORLD_SIZE", 1)) > 1:
            raise UsageError("rl runs in one process: start it without torchrun")
        return _rl(asked.config, settings)
    from moonlet.train import nano

    return nano.main([*_flags(settings), "--", str(settings["folder"])])


def _machines(asked: argparse.Namespace) -> dict[str, Any]:
    """Where the processes of the run are to be; empty: this one is all, or one of them. Raises UsageError."""
    if not (asked.nodes or asked.processes):
        if asked.leader:
            raise UsageError("--leader goes with --nodes, the number of machines")
        return {}
    if "WORLD_SIZE" in os.environ:
        raise UsageError("--nodes and --processes start torchrun, by which this was started already")
    if asked.stage == "rl":
        raise UsageError("rl runs in one process: leave --nodes and --processes out")
    count = asked.nodes or 1
    if (count > 1) != bool(asked.leader):
        raise UsageError("several --nodes meet at --leader HOST:PORT, an address of one of them; one meets nobody")
    host, port = asked.leader or ("", 0)
    leader = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return {"count": count, "leader": leader if host else "", "each": asked.processes}


def _flags(settings: Mapping[str, Any]) -> list[str]:
    found = []
    for name, value in settings.items():
        if isinstance(value, bool):
            found.append(f"--{name}" if value else f"--no-{name}")
        elif name != "folder":
            found.append(f"--{name}={value}")
    return found


def read(path: Path, stage: str) -> dict[str, Any]:
    """The settings of a TOML file; those that say where a run begins are checked for the stage. Raises UsageError."""
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}") from None
    if stage != "rl":
        _check(path, settings, KNOWN)
        _check_own(path, settings)
    if not settings.get("folder"):
        raise UsageError(f"{path}: folder is missing: where the run goes")
    if stage != "pretrain" and not settings.get("start"):
        raise UsageError(f"{path}: start is missing: {stage} goes on from a model; pretrain begins with none")
    if stage == "pretrain" and "start" in settings:
        raise UsageError(f"{path}: pretrain begins with nothing; to go on from {settings['start']} say sft")
    if (data := settings.get("data")) is not None:
        if not (isinstance(data, str) and Path(data).is_dir()):
            raise UsageError(f"{path}: data: there is no folder {data}")
        from moonlet.train.data import SETS

        if not any((Path(data) / name).is_dir() for name in SETS):
            raise UsageError(f"{path}: data: {data} has a folder for none of the sets: {', '.join(SETS)}")
    return settings


def _rl(path: Path, settings: dict[str, Any]) -> int:
    from moonlet.train import rl
    from moonlet.train.practice import Recipe

    plain = Recipe()
    own = {one.name: type(getattr(plain, one.name)) for one in fields(Recipe)}
    where = {name: KNOWN[name] for name in ("folder", "start", "data", "threads")}
    _check(path, settings, {**where, **own})
    given: dict[str, Any] = {
        name: tuple(value) if own[name] is tuple else value for name, value in settings.items() if name in own
    }
    try:
        recipe = Recipe(**given)
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from None
    data = settings.get("data")
    chosen = rl.Settings(
        Path(settings["folder"]), settings["start"], Path(data) if data else None, settings.get("threads", 1)
    )
    return rl.main(chosen, recipe)


def _check_own(path: Path, settings: Mapping[str, Any]) -> None:
    if "share" in settings and "trajectories" not in settings:
        raise UsageError(f"{path}: share goes with trajectories, a file of `moonlet simulate --training --out`")
    if not 0 < settings.get("share", 1) <= 1:
        raise UsageError(f"{path}: share must be above 0 and at most 1, got {settings['share']}")
    if not 0 < settings.get("lr", 1) < math.inf:
        raise UsageError(f"{path}: lr must be a number above 0, got {settings['lr']}")
    if "trajectories" in settings and not Path(settings["trajectories"]).is_file():
        raise UsageError(f"{path}: trajectories: there is no file {settings['trajectories']}")


def _check(path: Path, settings: Mapping[str, Any], known: Mapping[str, type]) -> None:
    for name, value in settings.items():
        if name not in known:
            raise UsageError(f"{path}: there is no setting {name!r}; there are: {', '.join(known)}")
        wanted = known[name]
        texts = wanted is tuple and isinstance(value, list) and all(isinstance(one, str) for one in value)
        if not (type(value) is wanted or texts or (wanted is float and type(value) is int)):
            raise UsageError(f"{path}: {name} must be {NAMES[wanted]}")
        if name in COUNTS and value < 1:
            raise UsageError(f"{path}: {name} must be at least 1, got {value}")
        if type(value) is int and abs(value) >= MOST:
            raise UsageError(f"{path}: {name} is too large: {value}")
