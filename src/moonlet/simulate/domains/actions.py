"""The sorts of actions, each made in one line of a domain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from moonlet.simulate.domains.domain import Action, asks
from moonlet.simulate.domains.slot import Slot, ref
from moonlet.simulate.stage import Stage

Wordings = tuple[str, str, str]  # English, Thai, Chinese; several of one language parted by |
NOTHING: Mapping[str, Any] = {}


def find(name: str, about: str, table: str, wordings: Wordings) -> Action:
    """Look for records by words in any of their fields."""
    return Action("find", name, about, table, {"query": Slot("text", "Words to look for")}, asks(*wordings))


def read(name: str, about: str, table: str, key: str, tells: str, wordings: Wordings) -> Action:
    """Show one record; `tells` are the fields that people ask for."""
    return Action("read", name, about, table, {key: _key(table, key)}, asks(*wordings), tuple(tells.split()))


def add(
    name: str, about: str, table: str, takes: Mapping[str, Slot], wordings: Wordings, sets: Mapping[str, Any] = NOTHING
) -> Action:
    """Make a record of what is given."""
    return Action("add", name, about, table, takes, asks(*wordings), sets=sets)


def change(
    name: str,
    about: str,
    table: str,
    key: str,
    wordings: Wordings,
    takes: Mapping[str, Slot] = NOTHING,
    sets: Mapping[str, Any] = NOTHING,
    only: Mapping[str, tuple[Any, ...]] = NOTHING,
) -> Action:
    """Set fields of a record: those given, and those that the action stands for."""
    return Action(
        "change",
        name,
        about,
        table,
        {key: _key(table, key), **takes},
        asks(*wordings),
        tuple(takes or sets),
        sets,
        only,
    )


def remove(
    name: str, about: str, table: str, key: str, wordings: Wordings, only: Mapping[str, tuple[Any, ...]] = NOTHING
) -> Action:
    return Action("remove", name, about, table, {key: _key(table, key)}, asks(*wordings), only=only)


def compute(
    name: str,
    about: str,
    takes: Mapping[str, Slot],
    run: Callable[[Stage, Mapping[str, Any]], Any],
    tells: str,
    wordings: Wordings,
) -> Action:
    """Something that is worked out and changes nothing."""
    return Action("compute", name, about, "", takes, asks(*wordings), tuple(tells.split()), run=run)


def _key(table: str, key: str) -> Slot:
    return ref(f"Id of the {key.removesuffix('_id')}", table)
