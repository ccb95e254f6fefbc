"""Pages of the latent cache on disk: files of many pages under a byte budget, valid across restarts.

A folder for each model, number formats, instruction set and build, because pages of another one would be other numbers.
A file holds consecutive pages of one beginning of a conversation:

    magic, identity, number of pages, bytes of a page, keys, sha256 of each page, sha256 of all that; zeros up to a
    multiple of 4096; the pages

It is written beside and renamed, so it is whole or not there. Everything read is compared with its checksum: a torn,
stale or alien file is a miss. A conversation that goes on writes its new pages alone, and takes the last file up into
the new one when that is no larger: so few files hold it, and few large reads bring it back.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import logging
import os
import shutil
import struct
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from moonlet import _native
from moonlet.model.folder import ModelFolder, default_path

Block = NDArray[np.uint8]  # (pages, bytes of a page)

_MAGIC = b"moonlet pages 1\n"
_HEAD = struct.Struct("<16s32sII")
_KEY, _SUM, _ALIGN = 16, 32, 4096
_BLOCK_BYTES = 16 << 20  # read, checked and copied at once
_AGAIN_S = 60.0  # after a failure to write, until the next try

_log = logging.getLogger("moonlet.engine")


class _File:
    """One file of pages."""

    def __init__(self, path: Path, keys: list[bytes], sums: list[bytes], size: int, used: float) -> None:
        self.path, self.keys, self.sums, self.size, self.used = path, keys, sums, size, used


class Spill:
    """Safe for threads. Nothing here raises for what the disk does: what cannot be kept or read is said once."""

    def __init__(self, folder: Path, identity: bytes, page_bytes: int, budget: int) -> None:
        self.kept = self.lost = 0  # pages written; pages that could not be
        self.bytes = 0
        self._folder, self._identity, self._page_bytes, self._budget = folder, identity, page_bytes, budget
        self._block = max(_BLOCK_BYTES // page_bytes, 1)  # pages
        self._files: dict[Path, _File] = {}
        self._where: dict[bytes, tuple[_File, int]] = {}
        self._lock = threading.Lock()
        self._said: set[str] = set()
        self._failed = ""  # why the last try to write failed
        self._rests_until = 0.0
        self._holds = self._open_folder()  # a descriptor whose lock says that this process alone writes here
        self._read_index()

    @property
    def writable(self) -> bool:
        return self._holds is not None

    def close(self) -> None:
        if self._holds is not None:
            os.close(self._holds)
            self._holds = None

    def covers(self, keys: Sequence[bytes]) -> int:
        """How many of `keys`, from the first, have their page here."""
        with self._lock:
            return next((at for at, key in enumerate(keys) if key not in self._where), len(keys))

    def read(self, keys: Sequence[bytes], put: Callable[[int, Block], None]) -> int:
        """Hands the pages of the longest beginning of `keys` that is here to `put`, with the number of the first of
        each block. Returns how many came."""
        done = 0
        while done < len(keys):
            with self._lock:
                found = self._where.get(keys[done])
            if found is None:
                break
            file, first = found
            pairs = zip(keys[done:], file.keys[first:])
            count = next((at for at, (key, kept) in enumerate(pairs) if key != kept), 0)
            count = count or min(len(keys) - done, len(file.keys) - first)
            came = self._read_file(file, first, count, partial(_shifted, put, done))
            done += came
            if came < count:
                break
        self.touch(keys[:done])
        return done

    def write(self, keys: Sequence[bytes], get: Callable[[int, int], Block]) -> None:
        """Keeps the pages of `keys`, as far as they are not here; `get(first, count)` gives a block of them."""
        most = max((self._budget - _data_start(len(keys))) // self._page_bytes, 0)
        if most < len(keys):
            told = f"a conversation is longer than the {self._budget} bytes allowed, its end is dropped"
            self._cannot(len(keys) - most, told)
            keys = keys[:most]
        first, replaced = self._plan(keys)
        if first == len(keys):
            return self.touch(keys)
        new = list(keys[first:])
        if not self.writable or time.monotonic() < self._rests_until:
            self.lost += len(new)
            return
        try:
            self._make_room(_data_start(len(new)) + len(new) * self._page_bytes, keys, replaced)
            file = self._write_file(new, lambda at, count: get(first + at, count))
        except OSError as error:
            self._rests_until = time.monotonic() + _AGAIN_S
            self._failed = f"{self._folder}: {error.strerror or error}"
            return self._cannot(len(new), self._failed)
        with self._lock:
            self._add(file)
        for old in replaced:
            self._drop(old)
        self.kept += len(new)
        self._said.discard(self._failed)
        self.touch(keys)

    def touch(self, keys: Sequence[bytes]) -> None:
        """The files of these pages were of use just now, their beginnings last."""
        with self._lock:
            files = list(dict.fromkeys(self._where[key][0] for key in reversed(keys) if key in self._where))
        for file in files:
            file.used = time.time()
            if self.writable:
                with suppress(OSError):
                    os.utime(file.path)

    # ---- what is here -----------------------------------------------------------------------------------------------

    def _open_folder(self) -> int | None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            self._cannot(0, f"{self._folder}: {error.strerror}")
            return None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            self._cannot(0, f"{self._folder} is in use by another process, which alone writes there")
            return None
        return lock

    def _read_index(self) -> None:
        try:
            paths = sorted(self._folder.iterdir())
        except OSError:
            return
        for path in paths:
            with suppress(OSError):  # of what cannot be read now nothing is known
                if path.suffix == ".part" and self.writable:
                    path.unlink()
                elif path.suffix == ".pages":
                    file = _read_head(path, self._identity, self._page_bytes)
                    if file is not None:
                        self._add(file)
                    elif self.writable:
                        path.unlink()  # torn, or of nobody's
        if self.writable:
            self._make_room(0, (), ())

    def _add(self, file: _File) -> None:
        self._files[file.path] = file
        self.bytes += file.size
        for at, key in enumerate(file.keys):
            self._where[key] = file, at

    def _drop(self, file: _File) -> None:
        """The file is of no more use."""
        with self._lock:
            if self._files.pop(file.path, None) is None:
                return
            self.bytes -= file.size
            for key in file.keys:
                if self._where.get(key, (None,))[0] is file:
                    del self._where[key]
        if self.writable:
            with suppress(OSError):
                file.path.unlink()

    def _make_room(self, size: int, keys: Sequence[bytes], replaced: Sequence[_File]) -> None:
        """Drops the longest unused files until `size` more bytes fit. `replaced` go in any case, but later."""
        size -= sum(file.size for file in replaced)
        with self._lock:
            own = {self._where[key][0].path for key in keys if key in self._where}
            others = sorted((f for f in self._files.values() if f.path not in own), key=lambda f: f.used)
            mine = sorted(
                (f for f in self._files.values() if f.path in own and f not in replaced), key=lambda f: f.used
            )
        for file in [*others, *mine]:
            if self.bytes + size <= self._budget:
                break
            self._drop(file)

    def _cannot(self, pages: int, why: str) -> None:
        self.lost += pages
        if why not in self._said:
            self._said.add(why)
            _log.warning("not all conversations are kept on disk: %s", why)

    # ---- files ------------------------------------------------------------------------------------------------------

    def _plan(self, keys: Sequence[bytes]) -> tuple[int, list[_File]]:
        """The first page that must be written, and the files that are taken up into the new one."""
        first, replaced = self.covers(keys), list[_File]()
        if first == len(keys):
            return first, replaced
        with self._lock:
            while first:
                file, _ = self._where[keys[first - 1]]
                count = len(file.keys)
                if count > len(keys) - first or count > first or file.keys != list(keys[first - count : first]):
                    break
                first -= count
                replaced.append(file)
        return first, replaced

    def _write_file(self, keys: list[bytes], get: Callable[[int, int], Block]) -> _File:
        path = self._folder / f"{keys[-1].hex()}-{len(keys)}.pages"
        part = path.with_suffix(".part")
        start = _data_start(len(keys))
        size = start + len(keys) * self._page_bytes
        out = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            _set_aside(out, size)
            sums = []
            for at in range(0, len(keys), self._block):
                block = get(at, min(self._block, len(keys) - at))
                sums += [hashlib.sha256(page).digest() for page in block]
                _write_all(out, block.data, start + at * self._page_bytes)
            _write_all(out, memoryview(_head(self._identity, self._page_bytes, keys, sums)), 0)
            os.fsync(out)
            _forget_cached(out)
            part.rename(path)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise
        finally:
            os.close(out)
        _sync_folder(self._folder)
        return _File(path, keys, sums, size, time.time())

    def _read_file(self, file: _File, first: int, count: int, put: Callable[[int, Block], None]) -> int:
        """Reads pages in order and hands on those that are what was written; a file with others is dropped. Returns
        how many."""
        start, came = _data_start(len(file.keys)), 0
        block = np.empty((min(self._block, count), self._page_bytes), np.uint8)
        try:
            source = os.open(file.path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                while came < count:
                    part = block[: min(len(block), count - came)]
                    sums = file.sums[first + came : first + came + len(part)]
                    read = _read_all(source, part.reshape(-1).data, start + (first + came) * self._page_bytes)
                    if read < part.nbytes or [hashlib.sha256(page).digest() for page in part] != sums:
                        self._drop(file)
                        break
                    put(came, part)
                    came += len(part)
                _forget_cached(source)
            finally:
                os.close(source)
        except FileNotFoundError:
            self._drop(file)
        except OSError as error:  # too many files are open, say: it may be sound
            self._cannot(0, f"{self._folder}: {error.strerror}")
        return came


def _shifted(put: Callable[[int, Block], None], by: int, first: int, block: Block) -> None:
    put(by + first, block)


def _data_start(pages: int) -> int:
    head = _HEAD.size + pages * (_KEY + _SUM) + _SUM
    return -(-head // _ALIGN) * _ALIGN


def _head(identity: bytes, page_bytes: int, keys: Sequence[bytes], sums: Sequence[bytes]) -> bytes:
    head = _HEAD.pack(_MAGIC, identity, len(keys), page_bytes) + b"".join(keys) + b"".join(sums)
    return (head + hashlib.sha256(head).digest()).ljust(_data_start(len(keys)), b"\0")


def _read_head(path: Path, identity: bytes, page_bytes: int) -> _File | None:
    """The file, if its head is whole, it is of this model and has its size. OSError if that cannot be read."""
    with path.open("rb") as source:
        state = os.fstat(source.fileno())
        fixed = source.read(_HEAD.size)
        if len(fixed) < _HEAD.size:
            return None
        magic, whose, count, bytes_ = _HEAD.unpack(fixed)
        size = _data_start(count) + count * bytes_
        if (magic, whose, bytes_, state.st_size) != (_MAGIC, identity, page_bytes, size):
            return None
        rest = source.read(count * (_KEY + _SUM) + _SUM)
    if hashlib.sha256(fixed + rest[:-_SUM]).digest() != rest[-_SUM:]:
        return None
    keys = [rest[at : at + _KEY] for at in range(0, count * _KEY, _KEY)]
    sums = [rest[at : at + _SUM] for at in range(count * _KEY, count * (_KEY + _SUM), _SUM)]
    return _File(path, keys, sums, size, state.st_mtime)


def _write_all(file: int, data: memoryview, at: int) -> None:
    data = data.cast("B")
    while data:
        count = os.pwrite(file, data, at)
        data, at = data[count:], at + count


def _read_all(file: int, into: memoryview, at: int) -> int:
    done = 0
    while done < len(into):
        count = os.preadv(file, [into[done:]], at + done)
        if not count:
            break
        done += count
    return done


def _set_aside(file: int, size: int) -> None:
    """Finds out that a disk is full before it is filled, where the file system can."""
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(file, 0, size)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                raise


def _forget_cached(file: int) -> None:
    """The page cache is for the weights."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)


def _sync_folder(folder: Path) -> None:
    """As far as the file system can: a file that a power cut loses is a miss."""
    with suppress(OSError):
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def open_spill(model: ModelFolder, root: Path | None, variant: str, page_bytes: int, budget: int) -> Spill:
    """The pages of this model under `root`, by default beside the pulled models. Those of the same folder with other
    weights, or by another build, can never be used again and go. `variant`: of the arithmetic."""
    root = root or default_path("").parent / "prefixes"
    place = hashlib.sha256(str(model.path.resolve()).encode()).hexdigest()[:12]
    made = _made_of(model)
    name = f"{place}-{made[:16]}-{variant}"
    if root.is_dir():
        for old in root.glob(f"{place}-*"):
            if not old.name.startswith(f"{place}-{made[:16]}-"):
                _remove_unused(old)
    return Spill(root / name, hashlib.sha256(f"{made}-{variant}".encode()).digest(), page_bytes, budget)


def _made_of(model: ModelFolder) -> str:
    """A digest of all that the numbers in a page depend on but the tokens: the weights and the native module."""
    digest = hashlib.sha256(Path(_native.__file__).read_bytes())
    for name, entry in sorted(model.meta["files"].items()):
        state = (model.path / name).stat()
        digest.update(f"{name} {entry['sha256']} {state.st_size} {state.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _remove_unused(folder: Path) -> None:
    with suppress(OSError):
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)
