"""Who calls the agent: the holder of a key of this server, or anybody where none is needed."""

from __future__ import annotations

import time

from a2a.auth.user import User
from a2a.server.context import ServerCallContext
from a2a.server.routes.common import DefaultServerCallContextBuilder
from starlette.requests import Request

from moonlet.ledger import keys
from moonlet.ledger.database import Database
from moonlet.ledger.keys import Key
from moonlet.server.keys import key_of


class Caller(User):
    """Its name is the id of its key: tasks belong to keys."""

    def __init__(self, key: Key | None, name: str = "") -> None:
        self.key = key
        self._name = key.id if key else name

    @property
    def is_authenticated(self) -> bool:
        return self.key is not None

    @property
    def user_name(self) -> str:
        return self._name


class Contexts(DefaultServerCallContextBuilder):
    """Builds the SDK's context of a call from what the server found out about its key."""

    def build_user(self, request: Request) -> User:
        return Caller(key_of(request))


def caller_of(context: ServerCallContext) -> Caller:
    """Who makes this call."""
    assert isinstance(context.user, Caller), "every context of ours names its caller"
    return context.user


def caller_again(database: Database, owner: str) -> Caller:
    """The caller of an earlier task; without a key if theirs may no longer be used. Raises DatabaseError."""
    if not owner:
        return Caller(None)
    try:
        with database.reading() as connection:
            key = keys.by_id(connection, owner, hold=False)
    except LookupError:
        return Caller(None, owner)
    return Caller(key if key.usable(time.time()) else None, owner)
