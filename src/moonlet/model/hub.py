"""A repository of the Hugging Face hub, or of a mirror: what it holds, and its files fetched one by one, verified."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .checksum import Meter, sha256

_TRACES = Path(".cache", "huggingface")  # what huggingface_hub keeps beside the files of a folder


class PullError(Exception):
    """The model cannot be found or downloaded, or what came is not what the hub announced."""


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a repository: its size in bytes and the one of two digests that the hub knows of it."""

    size: int
    sha256: str | None  # of large files
    git_sha1: str | None  # of the others, as git computes it


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository at one commit."""

    name: str
    commit: str
    files: Mapping[str, HubFile]


def find_repository(name: str, commit: str | None = None) -> Repository:
    """Asks the hub ($HF_ENDPOINT, $HF_TOKEN) for a repository, at its newest commit by default. Raises PullError."""
    from huggingface_hub import HfApi

    try:
        info = HfApi(endpoint=_endpoint()).model_info(name, revision=commit, files_metadata=True)
    except Exception as error:  # of several libraries, by version
        raise _readable(name, error) from None
    files: dict[str, HubFile] = {}
    for sibling in info.siblings or ():
        if sibling.size is not None:
            large = sibling.lfs.sha256 if sibling.lfs else None
            files[sibling.rfilename] = HubFile(sibling.size, large, None if large else sibling.blob_id)
    if not info.sha or not files:
        raise PullError(f"{name}: the hub does not say what the repository holds")
    return Repository(name, info.sha, files)


def _endpoint() -> str | None:
    # Read when it is needed: huggingface_hub itself reads it once, when it is imported.
    return os.environ.get("HF_ENDPOINT") or None


def _readable(name: str, error: Exception) -> PullError:
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        return PullError(f"{name}: is gated; accept its terms on its page and set HF_TOKEN")
    if isinstance(error, errors.RepositoryNotFoundError):
        return PullError(f"{name}: there is no such repository, or it is private (then set HF_TOKEN)")
    reason = " ".join(str(error).split()) or type(error).__name__
    return PullError(f"{name}: cannot be fetched from {_endpoint() or 'the hub'} ({reason}); run it again to go on")


class Download:
    """Files of a repository fetched into a folder. `meter` counts each twice: coming, and read again for its digest."""

    def __init__(self, repository: Repository, folder: Path, meter: Meter) -> None:
        self.repository, self.folder, self.meter = repository, folder, meter
        self._fetched: set[str] = set()
        self._tidy = False

    def missing(self, names: Iterable[str]) -> dict[str, int]:
        """Bytes of those of these files that are not there."""
        return {n: self.repository.files[n].size for n in names if not (self.folder / n).exists()}

    def fetch(self, name: str) -> None:
        """Brings a file here, unless it is, and compares it with what the hub said of it. Raises PullError."""
        from huggingface_hub import hf_hub_download

        if not self._tidy:
            self._remove_torn()
        there = (self.folder / name).exists()
        try:
            hf_hub_download(
                self.repository.name,
                name,
                revision=self.repository.commit,
                local_dir=self.folder,
                endpoint=_endpoint(),
                tqdm_class=_counting_bar(self.meter),
            )
        except Exception as error:  # of several libraries, by version
            raise _readable(f"{self.repository.name}/{name}", error) from None
        if there:
            self.meter.add(self.repository.files[name].size)
        self._verify(name)
        self._fetched.add(name)

    def _verify(self, name: str) -> None:
        path, expected = self.folder / name, self.repository.files[name]
        found = path.stat().st_size
        fault = f"has {found} bytes, the hub says {expected.size}" if found != expected.size else ""
        if not fault and expected.sha256 is not None and sha256(path, self.meter) != expected.sha256:
            fault = "its sha256 differs from the hub's"
        if not fault and expected.sha256 is None:
            self.meter.add(found)
            if expected.git_sha1 is not None and _git_sha1(path) != expected.git_sha1:
                fault = "its digest differs from the hub's"
        if fault:
            path.unlink()
            raise PullError(f"{self.repository.name}/{name}: {fault}; it was deleted, run it again to fetch it anew")

    def expect(self, names: Iterable[str]) -> None:
        """Announces the work of fetching these files to the meter."""
        self.meter.total += sum(2 * self.repository.files[name].size for name in names)

    def release(self, name: str, keep: bool) -> None:
        """A file is done with; deletes it unless it is kept."""
        if name not in self._fetched:  # in an earlier run
            self.meter.add(2 * self.repository.files[name].size)
        if not keep:
            (self.folder / name).unlink(missing_ok=True)

    def _remove_torn(self) -> None:
        """A download that was killed leaves a file under a name that nobody will ask for again."""
        for torn in (self.folder / _TRACES / "download").glob("*.incomplete"):
            torn.unlink(missing_ok=True)
        self._tidy = True

    def forget_traces(self) -> None:
        """Leaves the files alone, without what huggingface_hub noted about them."""
        shutil.rmtree(self.folder / _TRACES.parts[0], ignore_errors=True)


def _git_sha1(path: Path) -> str:
    data = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _counting_bar(meter: Meter) -> type[Any]:
    """The class of progress bar that huggingface_hub is given: it draws nothing and counts."""
    from tqdm import tqdm  # type: ignore[import-untyped]

    class Bar(tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "disable": True})

        def update(self, n: float | None = 1) -> None:
            meter.add(int(n or 0))

        # With these, the hub's faster protocol uses one bar, for what reached the disk.
        def update_transfer(self, n: float | None = 1) -> None: ...

        def set_transfer_postfix_str(self, text: str = "", refresh: bool = True) -> None: ...

    return Bar
