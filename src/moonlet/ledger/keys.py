"""Keys: who may ask a server, for what, and how much.

A key's secret is 256 random bits, shown once and kept only as its sha256. Slow hashes (bcrypt, argon2) protect what
people choose and others guess; nobody guesses 256 random bits at any speed, and a slow hash would be paid at every
request. So one fast hash is right here, and its index finds the key.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields, replace
from typing import Literal, get_args

from .database import Connection, Database, Row

Scope = Literal["chat", "models", "admin"]
Priority = Literal["interactive", "batch"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
PRIORITIES: tuple[Priority, ...] = get_args(Priority)
MARK = "sk-moonlet-"  # begins every secret: so that scanners and people see what it is
NANO = 1_000_000_000  # of a dollar in a dollar

_NAME = re.compile(r"[\w][\w.@+-]{0,63}")
_SHOWN = len(MARK) + 6  # characters of a secret by which it is recognised; 220 bits stay unknown


class KeyRefusedError(Exception):
    """A key cannot be made or changed as asked."""


class KeyEndedError(Exception):
    """The key was revoked or has expired."""

    def __init__(self, key: Key) -> None:
        super().__init__(f"the key {key.name} {'was revoked' if key.revoked is not None else 'has expired'}")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a key may use. None: as much as there is. Months and days are UTC; the minute slides."""

    tokens_per_minute: int | None = None
    tokens_per_day: int | None = None
    tokens_per_month: int | None = None
    concurrent: int | None = None
    nano_usd_per_month: int | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not 1 <= value < 1 << 62:
                raise KeyRefusedError(f"{field.name.replace('_', ' ')} must be at least 1 and below 2^62, got {value}")


@dataclass(frozen=True, slots=True)
class Key:
    """A key without its secret."""

    id: str
    name: str
    owner: str  # the person or team it is for; their keys' rows can be summed
    prefix: str
    scopes: tuple[Scope, ...]
    created: float
    expires: float | None
    revoked: float | None
    weight: float  # its share of the machine where others wait too
    priority: Priority
    limits: Limits

    def usable(self, now: float) -> bool:
        return self.revoked is None and (self.expires is None or now < self.expires)


_COLUMNS = "id, name, owner, prefix, scopes, created, expires, revoked, weight, priority"
_LIMITS = ", ".join(field.name for field in fields(Limits))


def add(
    database: Database,
    name: str,
    owner: str | None = None,
    scopes: Sequence[Scope] = ("chat", "models"),
    expires: float | None = None,
    weight: float = 1.0,
    priority: Priority = "interactive",
    limits: Limits = Limits(),
) -> tuple[Key, str]:
    """A new key and its secret, which cannot be had again. Raises KeyRefusedError, DatabaseError."""
    if not _NAME.fullmatch(name):
        raise KeyRefusedError(f"{name!r}: a key's name is 1 to 64 letters, digits and . _ @ + -")
    if not 0.01 <= weight <= 100:
        raise KeyRefusedError(f"weight must be between 0.01 and 100, got {weight:g}")
    secret = MARK + secrets.token_urlsafe(32)
    key = Key(
        id="key_" + secrets.token_hex(8),
        name=name,
        owner=owner or name,
        prefix=secret[:_SHOWN],
        scopes=tuple(scopes),
        created=time.time(),
        expires=expires,
        revoked=None,
        weight=weight,
        priority=priority,
        limits=limits,
    )
    with database.transaction() as connection:
        if connection.run("SELECT 1 FROM keys WHERE name = ?", (name,)):
            raise KeyRefusedError(f"there is a key {name!r} already; a name is used once, so that the books stay clear")
        connection.run(
            f"INSERT INTO keys ({_COLUMNS}, {_LIMITS}, hash) VALUES ({', '.join('?' * 16)})",
            (
                *(key.id, key.name, key.owner, key.prefix, " ".join(key.scopes), key.created, key.expires, key.revoked),
                *(key.weight, key.priority, *astuple(key.limits), _hash(secret)),
            ),
        )
    return key, secret


def all_keys(database: Database) -> list[Key]:
    """In the order in which they were made."""
    with database.reading() as connection:
        return [_key(row) for row in connection.run(f"SELECT {_COLUMNS}, {_LIMITS} FROM keys ORDER BY created, name")]


def of_secret(database: Database, secret: str) -> Key | None:
    """The key that a client holds, None if there is none: it may have expired or been revoked, ask `usable`."""
    with database.reading() as connection:
        rows = connection.run(f"SELECT {_COLUMNS}, {_LIMITS} FROM keys WHERE hash = ?", (_hash(secret),))
    return _key(rows[0]) if rows else None


def revoke(database: Database, name: str) -> Key:
    """From now on the key is refused; its rows stay. Raises KeyRefusedError, DatabaseError."""
    with database.transaction() as connection:
        key = _named(connection, name)
        if key.revoked is None:
            key = replace(key, revoked=time.time())
            connection.run("UPDATE keys SET revoked = ? WHERE id = ?", (key.revoked, key.id))
    return key


def limit(database: Database, name: str, changes: dict[str, int | None]) -> Key:
    """Changes those limits that are named (None: no limit any more). Raises KeyRefusedError, DatabaseError."""
    with database.transaction() as connection:
        key = _named(connection, name)
        key = replace(key, limits=replace(key.limits, **changes))
        connection.run(
            f"UPDATE keys SET {', '.join(f'{field.name} = ?' for field in fields(Limits))} WHERE id = ?",
            (*astuple(key.limits), key.id),
        )
    return key


def by_id(connection: Connection, id: str, hold: bool = True) -> Key:
    """The key as it is now. `hold`: no other transaction can admit its requests or change it until this one ends; where
    nothing can be written, that cannot be had."""
    lock = connection.lock_rows if hold else ""
    return _key(connection.run(f"SELECT {_COLUMNS}, {_LIMITS} FROM keys WHERE id = ?{lock}", (id,))[0])


def _named(connection: Connection, name: str) -> Key:
    rows = connection.run(f"SELECT {_COLUMNS}, {_LIMITS} FROM keys WHERE name = ?{connection.lock_rows}", (name,))
    if not rows:
        raise KeyRefusedError(f"there is no key {name!r}; `moonlet keys list` shows them")
    return _key(rows[0])


def _key(row: Row) -> Key:
    id, name, owner, prefix, scopes, created, expires, revoked, weight, priority, *limits = row
    return Key(
        id, name, owner, prefix, tuple(scopes.split()), created, expires, revoked, weight, priority, Limits(*limits)
    )


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
