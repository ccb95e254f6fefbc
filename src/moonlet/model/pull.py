"""A model by name, or a folder in the public layout -> a model folder.

A repository is never whole on disk: a file of weights is downloaded, verified, converted and deleted before the next
one comes (a file whose experts go on in the next waits for it). What was downloaded lies in NAME.source beside the
folder in the making; `keep` leaves it there, complete.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from .assemble import Shards
from .checkpoint import Checkpoint
from .checksum import Meter, Progress
from .convert import ConvertOptions, Origin, Report, beside, convert, convert_shards, finished
from .folder import default_path
from .hub import Download, PullError, Repository, find_repository
from .journal import recorded_plan
from .layout import COPIED, META_FILE
from .recipe import make_recipe
from .shards import INDEX, SINGLE, read_shard_index

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


def pull(
    source: str | Path,
    target: Path | None = None,
    options: ConvertOptions | None = None,
    keep: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Makes the model folder `target` (by default folder.default_path of the name) from a folder or a repository.

    `progress` hears of bytes: downloaded, verified, written, and read again for their sha256. What was stopped goes on
    when it is called again, with the commit it began with. Raises PullError, or what `convert` raises; each one line.
    """
    options = options or ConvertOptions()
    folder = Path(os.path.expanduser(source))
    # os.path, as Path raises for names that no file can have; an empty name would be the folder one is in.
    if os.path.isdir(folder) and str(source):
        if (folder / META_FILE).exists():
            raise PullError(f"{folder}: is a model folder already")
        return convert(folder, target or default_path(folder.resolve().name), options, progress)
    name = str(source)
    if not _REPOSITORY.fullmatch(name):
        raise PullError(f"{name!r} is neither a folder nor the name of a repository (like moonshotai/Kimi-K2-Thinking)")
    target = target or default_path(name)
    report = finished(target, Origin(name, None), options)
    if report is None:
        repository = find_repository(name, _begun_commit(target, name))
        report = _pull(repository, target, options, keep, Meter(progress))
    if not keep:
        shutil.rmtree(beside(target, ".source"), ignore_errors=True)
    return report


def _begun_commit(target: Path, name: str) -> str | None:
    """The commit of an unfinished pull into this place: it goes on with the same files, whatever came since."""
    plan = recorded_plan(beside(target, ".journal"))
    source = plan.get("source") if plan else None
    if not isinstance(source, dict) or source.get("name") != name:
        return None
    revision = source.get("revision")
    return revision if isinstance(revision, str) else None


def _pull(repository: Repository, target: Path, options: ConvertOptions, keep: bool, meter: Meter) -> Report:
    for wanted, others in (("config.json", ()), (INDEX, (SINGLE,))):
        if not {wanted, *others} & repository.files.keys():
            raise PullError(f"{repository.name}: holds no {' and no '.join((wanted, *others))}")
    sharded = INDEX in repository.files
    download = Download(repository, beside(target, ".source"), meter)
    small = [name for name in (*COPIED, INDEX) if name in repository.files]
    download.expect(small)
    for name in small:
        download.fetch(name)
    shards = _shards(repository, download.folder, keep) if sharded else (SINGLE,)
    room = download.missing(shards)
    download.expect(shards)
    if not sharded:
        download.fetch(SINGLE)
    with Checkpoint(download.folder) as checkpoint:
        recipe = make_recipe(checkpoint, options.dense, options.experts)
        # A single file is also the list of its tensors, which is needed to the end.
        stay = keep or not sharded
        comings = Shards(download.fetch, lambda shard: download.release(shard, stay), room, stay)
        origin = Origin(repository.name, repository.commit)
        report = convert_shards(checkpoint, recipe, target, origin, comings, meter)
    if keep:
        for shard in download.missing(shards):  # those without a tensor that we use
            download.fetch(shard)
        download.forget_traces()
    return report


def _shards(repository: Repository, folder: Path, keep: bool) -> tuple[str, ...]:
    """The files of weights to fetch: those with tensors that we use; to keep the checkpoint, all that it lists."""
    with Checkpoint(folder) as checkpoint:
        listing = checkpoint.listing
        shards = tuple(sorted(set(read_shard_index(folder)[1].values()))) if keep else checkpoint.shards
    for shard in shards:
        if shard not in repository.files:
            raise PullError(f"{repository.name}: {listing.name} names {shard}, which the repository does not hold")
    return shards
