"""Articles in the making: a bounded queue of jobs that outlives the server.

Each job is a folder: `job.json` says what is wanted and how far it is, beside it lies the recording if it was sent, and
all that the stages keep. A server that starts finds what an earlier one left and goes on with it; finished stages are
not done again. How an article is made is handed in: nothing here knows.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import secrets
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from moonlet.ledger.database import Database
from moonlet.ledger.keys import Key, KeyEndedError, by_id
from moonlet.llm import LLM
from moonlet.server.accounts import Accounts
from moonlet.server.charged import Charged
from moonlet.server.errors import ApiError

_log = logging.getLogger("moonlet.server")

State = Literal["queued", "running", "done", "failed", "cancelled"]
OVER: tuple[State, ...] = ("done", "failed", "cancelled")
MOST_WAITING = 16  # of all keys together
MOST_OF_ONE = 4  # waiting or under way, of one key
MOST_KEPT = 100  # of one key, until it deletes some
ATTEMPTS = 3  # a recording that brings the server down is given up after so many
_RETRY_S = 60.0


@dataclass(frozen=True, slots=True)
class Order:
    """What the maker is given. `tell` takes a stage, how much of it is done, and of how much."""

    folder: Path
    source: str  # an address, or the path of what was sent
    wish: Mapping[str, Any]
    llm: LLM
    tell: Callable[[str, float, float], None]
    stopped: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it. Files are below the folder."""

    title: str
    score: float
    mode: str
    language: str
    files: tuple[str, ...]


Make = Callable[[Order], Outcome]


@dataclass(frozen=True, slots=True)
class Job:
    """One article that somebody wants. Times are seconds since 1970."""

    id: str
    owner: str  # who may see it
    key: str | None  # id of the key that pays
    source: str  # an address; for what was sent, the name it was sent under
    sent: str | None  # the file's name in the folder
    wish: Mapping[str, Any]
    state: State = "queued"
    stage: str | None = None
    done: float = 0.0  # of the stage, 0 to 1
    seconds_left: float | None = None  # of the stage, at the pace so far
    error: str | None = None
    outcome: Outcome | None = None
    created: float = field(default_factory=time.time)
    updated: float = field(default_factory=time.time)
    attempts: int = 0


class Jobs:
    """All articles of a server. Safe to use from any thread."""

    def __init__(self, folder: Path, make: Make, model: LLM, accounts: Accounts, database: Database | None) -> None:
        """Goes on with what lies in `folder`, which must be this server's alone."""
        self._folder, self._make, self._model = folder, make, model
        self._accounts, self._database = accounts, database
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = threading.Condition()
        self._jobs: dict[str, Job] = {}
        self._queue: deque[str] = deque()
        self._coming: dict[str, str] = {}  # owners of what is being sent, by its id
        self._stops: dict[str, threading.Event] = {}
        self._closing = False
        self._hold = _held(folder)
        self._find()
        self._thread = threading.Thread(target=self._work, name="moonlet-articles", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """What is under way stops at the next moment that it can; it goes on with the next server."""
        with self._lock:
            self._closing = True
            for stop in self._stops.values():
                stop.set()
            self._lock.notify_all()
        self._thread.join(10)
        os.close(self._hold)

    def room(self, owner: str, new: bool = True) -> None:
        """Raises ApiError if no more is taken of this owner now. What is being sent counts as waiting."""
        with self._lock:
            own = [job for job in self._jobs.values() if job.owner == owner]
            coming = list(self._coming.values())
            under_way = sum(job.state not in OVER for job in own) + coming.count(owner)
            if len(self._queue) + len(coming) >= MOST_WAITING or under_way >= MOST_OF_ONE:
                told = "as many articles wait as are taken on"
                raise ApiError(told, code="rate_limit_exceeded", status=429, retry_s=_RETRY_S)
            if new and len(own) + coming.count(owner) >= MOST_KEPT:
                raise ApiError(f"{MOST_KEPT} articles are kept; delete some", status=409)

    @contextmanager
    def place(self, owner: str) -> Iterator[tuple[str, Path]]:
        """A new job's id and folder; without `add` it is gone afterwards. Raises ApiError if there is no room."""
        id = f"article_{secrets.token_hex(12)}"
        folder = self._folder / id
        with self._lock:
            self.room(owner)
            self._coming[id] = owner
        try:
            try:
                folder.mkdir(mode=0o700)
            except OSError as error:
                raise _unkept(error) from None
            yield id, folder
        finally:
            with self._lock:
                self._coming.pop(id, None)
                added = id in self._jobs
            if not added:
                threading.Thread(target=shutil.rmtree, args=(folder, True), name="moonlet-articles-rm").start()

    def add(self, job: Job) -> Job:
        """Takes on the job of a `place`. Raises ApiError, also if the disk is full: then there is no such job."""
        with self._lock:
            self._coming.pop(job.id, None)
            self.room(job.owner)
            self._set(job)
            self._queue.append(job.id)
            self._lock.notify_all()
        return job

    def find(self, owner: str, id: str) -> Job:
        """Raises ApiError if this owner has no such job."""
        with self._lock:
            job = self._jobs.get(id)
        if job is None or job.owner != owner:
            raise ApiError(f"there is no article {id[:60]!r}", code="not_found", status=404)
        return job

    def of(self, owner: str) -> list[Job]:
        """Newest first."""
        with self._lock:
            return sorted((j for j in self._jobs.values() if j.owner == owner), key=lambda j: -j.created)

    def ahead(self, id: str) -> int:
        """How many wait before it."""
        with self._lock:
            return self._queue.index(id) if id in self._queue else 0

    def cancel(self, owner: str, id: str) -> Job:
        """Stops it; what is done stays, so that it can go on. One that is over stays as it is."""
        with self._lock:
            return self._cancel(self.find(owner, id), keep=True)

    def _cancel(self, job: Job, keep: bool) -> Job:
        """The lock is held."""
        if job.state == "running":
            self._stops[job.id].set()
        if job.state in OVER:
            return job
        cancelled = self._set(replace(job, state="cancelled"), keep)
        if job.state == "queued":
            self._queue.remove(job.id)
        return cancelled

    def resume(self, owner: str, id: str) -> Job:
        """Goes on with one that failed or was cancelled. Raises ApiError."""
        with self._lock:
            job = self.find(owner, id)
            if job.state not in ("failed", "cancelled") or id in self._stops:
                raise ApiError(f"the article is {job.state}: only failed and cancelled ones can go on", status=409)
            self.room(owner, new=False)
            job = self._set(replace(job, state="queued", error=None, attempts=0, stage=None, done=0.0))
            self._queue.append(id)
            self._lock.notify_all()
            return job

    def delete(self, owner: str, id: str) -> None:
        """With all that was made. Raises ApiError while it is worked on."""
        with self._lock:
            job = self.find(owner, id)
            try:
                self._cancel(job, keep=True)  # else the next server would go on with it
            except ApiError:  # the disk is full
                self._cancel(job, keep=False)
            if id in self._stops:
                raise ApiError("it is being stopped; try again in a moment", status=409, retry_s=2.0)
            del self._jobs[id]
            with suppress(OSError):  # first, so that no later server finds it half gone
                (self._folder / id / "job.json").unlink(missing_ok=True)
        shutil.rmtree(self._folder / id, ignore_errors=True)

    def file(self, owner: str, id: str, kind: str) -> Path:
        """A finished file by its kind, like html. Raises ApiError."""
        job = self.find(owner, id)
        for name in job.outcome.files if job.outcome else ():
            if name.endswith(f"article.{kind}"):
                return self._folder / id / "work" / name
        raise ApiError(f"the article has no {kind[:20]!r} (yet); it is {job.state}", code="not_found", status=404)

    def path(self, owner: str, id: str, name: str) -> Path:
        """What lies at a path below a job's folder, if it is a finished file or the recording that was sent. Raises
        ApiError."""
        job = self.find(owner, id)
        shown = {f"work/{made}" for made in job.outcome.files} if job.outcome else set()
        path = self._folder / id / name
        if name not in shown | {job.sent} or not path.is_file():
            raise ApiError(f"the article has no {name[:60]!r}", code="not_found", status=404)
        return path

    def _find(self) -> None:
        """What earlier servers left, in the order in which it was asked for."""
        found = []
        for folder in self._folder.glob("article_*"):
            if not (folder / "job.json").exists():  # sent in part, or deleted in part
                shutil.rmtree(folder, ignore_errors=True)
        for path in self._folder.glob("article_*/job.json"):
            try:
                found.append(_read(path))
            except (OSError, ValueError, TypeError, KeyError):
                _log.warning("%s cannot be read; it is left alone", path)
        for job in sorted(found, key=lambda one: one.created):
            self._jobs[job.id] = job
            if job.state not in OVER:
                if job.attempts >= ATTEMPTS:
                    told = f"the server ended {job.attempts} times while it was made"
                    job = replace(job, state="failed", error=told)
                else:
                    job = replace(job, state="queued")
                    self._queue.append(job.id)
                with suppress(ApiError):  # a full disk: what it says there leads here again
                    self._set(job)
                self._jobs[job.id] = job

    def _set(self, job: Job, keep: bool = True) -> Job:
        """The lock is held, or nobody else is there yet. What is kept is written first. Raises ApiError if it can not
        be, with the job as it was."""
        job = replace(job, updated=time.time())
        if keep:
            try:
                _write(self._folder / job.id / "job.json", job)
            except OSError as error:
                raise _unkept(error) from error
        self._jobs[job.id] = job
        return job

    def _give_up(self, id: str, error: Exception) -> None:
        """The state of a job cannot be written down: it failed, as far as memory goes. The lock is held."""
        _log.error("an article could not be written down: %s", error)
        self._set(replace(self._jobs[id], state="failed", seconds_left=None, error=str(error)), keep=False)

    def _work(self) -> None:
        while True:
            with self._lock:
                while not self._queue and not self._closing:
                    self._lock.wait()
                if self._closing:
                    return
                id = self._queue.popleft()
                now = self._jobs[id]
                try:
                    job = self._set(replace(now, state="running", attempts=now.attempts + 1))
                except ApiError as error:
                    self._give_up(id, error)
                    continue
                stop = self._stops[id] = threading.Event()
            try:
                self._one(job, stop)
            except ApiError as error:
                with self._lock:
                    self._give_up(id, error)
            finally:
                with self._lock:
                    self._stops.pop(id, None)

    def _one(self, job: Job, stop: threading.Event) -> None:
        folder = self._folder / job.id
        source = str(folder / job.sent) if job.sent else job.source
        outcome, error = None, None
        try:
            llm = Charged(self._model, self._accounts, self._key(job), "articles")
            telling = _Telling(self, job.id)
            outcome = self._make(Order(folder / "work", source, job.wish, llm, telling, stop.is_set))
        except Exception as broken:
            error = broken
        with self._lock:
            now = self._jobs[job.id]
            if now.state != "running":
                return  # it was cancelled
            if outcome is not None:
                self._set(replace(now, state="done", stage=None, done=1.0, seconds_left=None, outcome=outcome))
            elif self._closing and stop.is_set():
                self._set(replace(now, attempts=now.attempts - 1))  # goes on with the next server
            else:
                assert error is not None
                self._set(replace(now, state="failed", seconds_left=None, error=_told(error)))

    def _key(self, job: Job) -> Key | None:
        """Who pays. Raises ApiError if they may no longer."""
        if job.key is None or self._database is None:
            return None
        with self._database.transaction() as connection:
            key = by_id(connection, job.key)
        if not key.usable(time.time()):
            raise ApiError(str(KeyEndedError(key)), status=401)
        return key

    def tell(self, id: str, stage: str, done: float, seconds_left: float | None) -> None:
        """Progress; it is kept in memory alone."""
        with self._lock:
            job = self._jobs.get(id)
            if job and job.state == "running":
                self._set(replace(job, stage=stage, done=done, seconds_left=seconds_left), keep=False)


class _Telling:
    """Progress of one job, with the time left at the pace of its stage."""

    def __init__(self, jobs: Jobs, id: str) -> None:
        self._jobs, self._id = jobs, id
        self._stage, self._begun = "", 0.0

    def __call__(self, stage: str, done: float, of: float) -> None:
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._begun = stage, now
        share = min(max(done / of, 0.0), 1.0) if of > 0 else 0.0
        left = (now - self._begun) * (1 - share) / share if share > 0.02 else None
        self._jobs.tell(self._id, stage, share, left)


def _told(error: Exception) -> str:
    """What the owner of a job is told of its failure: nothing of our own mistakes, which the log has."""
    if type(error).__module__.startswith("moonlet.") or isinstance(error, OSError):
        return " ".join(str(error).split())[:500]
    _log.error("an article broke", exc_info=error)
    return "the server failed on this article; its log says why"


def _unkept(error: OSError) -> ApiError:
    why = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror or str(error)
    return ApiError(f"the article cannot be kept: {why}", status=507)


def _held(folder: Path) -> int:
    """A lock on the folder that ends with this process. Raises ApiError if another server has it."""
    descriptor = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise ApiError(f"another server makes its articles in {folder}") from None
    return descriptor


def _write(path: Path, job: Job) -> None:
    beside = path.with_name(".job.json.part")
    with beside.open("w", encoding="utf-8") as file:
        json.dump(asdict(job), file, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)


def _read(path: Path) -> Job:
    raw = json.loads(path.read_text(encoding="utf-8"))
    known = {one.name for one in fields(Job)}
    given = {name: value for name, value in raw.items() if name in known}
    if given.get("outcome"):
        given["outcome"] = Outcome(**{**given["outcome"], "files": tuple(given["outcome"]["files"])})
    job = Job(**given)
    if job.id != path.parent.name or job.state not in ("queued", "running", *OVER):
        raise ValueError(f"{path} is no job")
    with suppress(OSError):
        (path.parent / ".job.json.part").unlink(missing_ok=True)
    return job
