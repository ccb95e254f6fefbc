"""A checkpoint in the public layout -> a model folder.

While it is made, the folder is called NAME.part; NAME.journal beside it says what is finished. When all is, the folder
gets its name in one rename, so a folder under its final name is always whole. A conversion that was stopped, at
whatever moment, goes on from its journal and ends in the same bytes.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from moonlet.kernels import FORMATS, Format

from .assemble import Assembly, Shards, make_steps, room_needed
from .checkpoint import Checkpoint
from .checksum import Meter, Progress, sha256
from .folder import FolderError, ModelFolder, open_folder, write_meta
from .journal import Journal
from .layout import COPIED, FORMAT
from .recipe import Recipe, make_recipe


class ConvertError(Exception):
    """There is no room for the folder, its place is taken, or it cannot be written."""


@dataclass(frozen=True, slots=True)
class ConvertOptions:
    """Number formats of the folder."""

    dense: Format | None = None  # of all packed matrices that are not routed experts; None: as in the checkpoint
    experts: Format | None = None  # None: as in the checkpoint; int4 and bf16 as they are, fp8 as int8

    def __post_init__(self) -> None:
        for format in (self.dense, self.experts):
            if format is not None and format not in FORMATS:
                raise ValueError(f"number format {format!r} is not one of {', '.join(FORMATS)}")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a checkpoint comes from; `revision` is None for a folder on this machine."""

    name: str
    revision: str | None


@dataclass(frozen=True, slots=True)
class Report:
    """What a conversion made. Errors: relative RMS over the first 32 rows of every matrix, 0 where nothing was lost."""

    folder: ModelFolder
    bytes: int
    dense_error: float
    experts_error: float
    skipped: Mapping[str, int]  # tensors that no model of ours uses, by kind


def convert(
    source: Path,
    target: Path,
    options: ConvertOptions | None = None,
    progress: Progress | None = None,
    name: str | None = None,
) -> Report:
    """Makes the model folder `target` from the checkpoint in `source`, or finishes it where one was begun.

    `name`: of the model, where it is not the source's. `progress` hears of the bytes written, and read again for their
    sha256. Raises ConfigError, CheckpointError, JournalError or ConvertError, each with one line.
    """
    options = options or ConvertOptions()
    origin = Origin(name or source.resolve().name, None)
    with Checkpoint(source) as checkpoint:
        if made := finished(target, origin, options, _files(checkpoint, local=True)):
            return made
        recipe = make_recipe(checkpoint, options.dense, options.experts)
        for shard, weights in checkpoint.by_shard(recipe.weights).items():
            checkpoint.open_shard(shard, weights)  # everything is here: what is wrong with it is said before any work
        here = Shards(lambda shard: None, lambda shard: None, {}, stay=True)
        return convert_shards(checkpoint, recipe, target, origin, here, Meter(progress))


def finished(target: Path, origin: Origin, options: ConvertOptions, files: str | None = None) -> Report | None:
    """The report of a conversion that is done already, None where the place is free. Raises ConvertError otherwise.

    `files`: the digest of a local checkpoint, as the folder may have noted it; names of folders say little.
    """
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return None
    try:
        folder = open_folder(target)
    except FolderError as error:
        raise ConvertError(f"{target} is in the way ({error}); delete it or choose another place") from None
    source = folder.meta.get("source")
    same = isinstance(source, dict) and source.get("name") == origin.name
    if files is not None and folder.meta.get("checkpoint", files) != files:
        same = False
    formats = options.dense in (None, folder.formats.dense) and options.experts in (None, folder.formats.experts)
    if not same or not formats:
        raise ConvertError(f"{target}: holds another model or other number formats; delete it or choose another place")
    beside(target, ".journal").unlink(missing_ok=True)
    return _report(folder)


def beside(target: Path, ending: str) -> Path:
    """The path of something that belongs to a folder in the making."""
    return target.with_name(target.name + ending)


def convert_shards(
    checkpoint: Checkpoint, recipe: Recipe, target: Path, origin: Origin, shards: Shards, meter: Meter
) -> Report:
    """The conversion itself, for files that may come one after the other. The place of `target` must be free, unless
    another process has made the same there meanwhile."""
    work = beside(target, ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        plan = _plan(checkpoint, recipe, origin)
        journal = Journal(beside(target, ".journal"), plan)
        try:
            if target.is_dir() and any(target.iterdir()):  # another process was quicker
                journal.path.unlink(missing_ok=True)
                options = ConvertOptions(recipe.formats.dense, recipe.formats.experts)
                if made := finished(target, origin, options, plan["files"] if origin.revision is None else None):
                    return made
            _check_room(checkpoint, recipe, work, journal, shards)
            work.mkdir(exist_ok=True)
            Assembly(checkpoint, recipe, work, journal, shards, meter).run()
            _write_rest(checkpoint, recipe, work, journal, plan)
            work.rename(target)
            _sync(target.parent)
        finally:
            journal.close()
        journal.path.unlink(missing_ok=True)  # who finds the folder finished removes it too
    except OSError as error:
        raise ConvertError(f"{error.filename or target}: {error.strerror}; mend it and run again to go on") from None
    return _report(open_folder(target))


def drop_unfinished(folder: Path, beginning: str) -> None:
    """Removes the conversions in a folder that were stopped and that nobody works on, of places that begin so."""
    for path in folder.glob(f"{beginning}*.journal"):
        with suppress(OSError), path.open("r+b") as journal:
            fcntl.flock(journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path.with_suffix(".part"), ignore_errors=True)
            path.unlink()


def _plan(checkpoint: Checkpoint, recipe: Recipe, origin: Origin) -> dict[str, Any]:
    """What must be the same for a conversion to go on where it was stopped."""
    files = _files(checkpoint, local=origin.revision is None)  # a revision stands for its files
    return {"format": FORMAT, "source": asdict(origin), "formats": asdict(recipe.formats), "files": files}


def _files(checkpoint: Checkpoint, local: bool) -> str | None:
    """A digest of what a checkpoint is and where its tensors lie, of a local one also of its files, which may be
    replaced; None where one of those is gone."""
    digest = hashlib.sha256((checkpoint.folder / "config.json").read_bytes())
    digest.update(json.dumps(sorted(checkpoint.files.items())).encode())
    for shard in checkpoint.shards if local else ():
        try:
            stat = (checkpoint.folder / shard).stat()
        except OSError:
            return None
        digest.update(f"{shard} {stat.st_size} {stat.st_mtime_ns}".encode())
    return digest.hexdigest()


def _check_room(checkpoint: Checkpoint, recipe: Recipe, work: Path, journal: Journal, shards: Shards) -> None:
    steps = make_steps(checkpoint, recipe.parts, journal.parts)
    needed = room_needed(recipe, work, steps, shards)
    free = shutil.disk_usage(work.parent).free
    if needed > free:
        if not work.exists():
            journal.path.unlink()  # nothing was begun
        raise ConvertError(
            f"{work.parent}: needs {needed / 1e9:.1f} GB of disk, {free / 1e9:.1f} GB are free; make room or choose "
            f"another place"
        )


def _write_rest(checkpoint: Checkpoint, recipe: Recipe, work: Path, journal: Journal, plan: Mapping[str, Any]) -> None:
    """The small files, and moonlet.json about all of them."""
    files: dict[str, Any] = {
        name: {"bytes": layout.size, "sha256": journal.files[name]} for name, layout in recipe.layouts.items()
    }
    for name in COPIED:
        if (checkpoint.folder / name).is_file():
            shutil.copyfile(checkpoint.folder / name, work / name)
            _sync(work / name)
            files[name] = {"bytes": (work / name).stat().st_size, "sha256": sha256(work / name, Meter(None))}
    experts = {part.key for part in recipe.parts if ".experts." in part.key}
    write_meta(
        work,
        {
            "format": FORMAT,
            "formats": asdict(recipe.formats),
            "source": plan["source"],
            **({"checkpoint": plan["files"]} if plan["source"]["revision"] is None else {}),
            "files": dict(sorted(files.items())),
            "golden": None,
            "error": {
                "dense": _relative(journal, (part.key for part in recipe.parts if part.key not in experts)),
                "experts": _relative(journal, experts),
            },
            "skipped": dict(sorted(checkpoint.skipped.items())),
        },
    )
    _sync(work)


def _relative(journal: Journal, keys: Iterable[str]) -> float:
    """Root of the squared differences over the squared weights, four digits; the order of the keys does not matter."""
    errors = [journal.parts[key] for key in keys]
    weights = math.fsum(weight for _, weight in errors)
    return float(f"{math.sqrt(math.fsum(error for error, _ in errors) / weights):.4g}") if weights else 0.0


def _sync(path: Path) -> None:
    """Brings a file, or the names in a folder, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _report(folder: ModelFolder) -> Report:
    meta = folder.meta
    error, skipped = meta["error"], meta["skipped"]
    size = sum(entry["bytes"] for entry in meta["files"].values())
    return Report(folder, size, error["dense"], error["experts"], skipped)
