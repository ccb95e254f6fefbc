"""Who looks at the page, and what of others they may see."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from fastapi import Request

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
    key = key_of(request)
    return Viewer("", "", True) if key is None else Viewer(key.id, key.name, "admin" in key.scopes)


def same_origin(request: Request) -> None:
    """What changes something is taken from this server's own page, or from no page at all. Raises ApiError."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    foreign = origin is not None and urlsplit(origin).netloc != request.headers.get("host")
    if foreign or site not in (None, "same-origin", "none"):
        raise ApiError("this is taken from the server's own page only", status=403)
