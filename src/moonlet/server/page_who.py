"""Who looks at the page, and what of others they may see."""

from __future__ import annotations

import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from fastapi import Request

from moonlet.ledger import keys
from moonlet.ledger.database import Database, DatabaseError
from moonlet.server.errors import ApiError
from moonlet.server.keys import key_of


@dataclass(frozen=True, slots=True)
class Viewer:
    """Without a key it is whoever sits at the machine: a key is not needed there alone."""

    owner: str  # the id of its key
    name: str
    all: bool  # sees what others use, too, never what they said

    @property
    def sees(self) -> str | None:
        """Whose lines: those of one key, or None for everybody's."""
        return None if self.all else self.owner


def viewer(request: Request) -> Viewer:
    """Who sent this request: its key, or whoever comes without one where none is needed."""
    key = key_of(request)
    return Viewer("", "", True) if key is None else Viewer(key.id, key.name, "admin" in key.scopes)


def same_origin(request: Request) -> None:
    """What changes something, or tells what was said, is for this server's own page, or for no page at all.
    Raises ApiError."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    foreign = origin is not None and _place(origin) != request.headers.get("host")
    if foreign or site not in (None, "same-origin", "none"):
        raise ApiError("this is taken from the server's own page only", status=403)


def _place(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:  # such as http://[
        return None


def may_look(database: Database | None, owner: str) -> bool:
    """Whether whoever listens to a stream may go on: its key, if it has one, may still be used."""
    if not owner or database is None:
        return True
    try:
        with database.reading() as connection:
            return keys.by_id(connection, owner, hold=False).usable(time.time())
    except DatabaseError:
        return True  # a database that is away: as it was
    except LookupError:
        return False
