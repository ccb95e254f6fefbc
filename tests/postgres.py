"""A PostgreSQL server of the test's own, on a Unix socket in a folder of its own, run as an ordinary user."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of an empty database; the test is skipped where no server is installed."""
    pytest.importorskip("psycopg", reason="psycopg, the driver of PostgreSQL, is not installed")
    programs = _programs()
    if programs is None:
        pytest.skip("no PostgreSQL server is installed (Debian: apt-get install postgresql)")
    place = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))  # a socket's path must be short
    user = _user()
    if user is not None:
        os.chown(place, user.pw_uid, user.pw_gid)
    data = place / "data"
    options = f"-c listen_addresses= -c unix_socket_directories={place} -c fsync=off -c max_connections=50"

    def run(*command: object) -> None:
        done = subprocess.run(
            [str(part) for part in command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=place,
            user=user.pw_uid if user else None,
            group=user.pw_gid if user else None,
            extra_groups=[] if user else None,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout

    try:
        run(programs / "initdb", "-D", data, "-U", "books", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
        run(programs / "pg_ctl", "-D", data, "-l", place / "log", "-w", "-t", "60", "-o", options, "start")
        try:
            yield f"postgresql://books@/postgres?host={place}"
        finally:
            run(programs / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _programs() -> Path | None:
    found = [Path(path).parent for name in ("initdb",) if (path := shutil.which(name))]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in found if (folder / "pg_ctl").exists()), None)


def _user() -> pwd.struct_passwd | None:
    """Whom to run it as: PostgreSQL refuses to be run by root."""
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    pytest.skip("run by root, and there is no ordinary user to run PostgreSQL as")
