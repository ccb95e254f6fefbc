"""A world in which tools act: tables of records, operations on them, faults, and what has changed since the beginning.

A state is plain JSON, so that it can be copied, compared and written down: table -> id -> record. A stage is made from
a seed, used once and thrown away.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, Literal

from moonlet.chat.messages import ToolSpec
from moonlet.tools.tool import Tool, ToolError

Record = dict[str, Any]
State = dict[str, dict[str, Record]]
Fault = Literal["rate_limit", "timeout", "permission"]

FAULTS: Mapping[Fault, str] = {
    "rate_limit": "rate limit exceeded; try again in a moment",
    "timeout": "the service did not answer in time; try again",
    "permission": "permission denied: the account is not allowed to do this",
}
LASTING = 1_000_000  # times: a fault that does not go away


@dataclass(frozen=True, slots=True)
class Operation:
    """What one tool does to a stage. `run` takes checked arguments and raises ToolError where the world says no."""

    spec: ToolSpec
    run: Callable[[Stage, Mapping[str, Any]], Any]
    changes: bool = False


@dataclass(frozen=True, slots=True)
class Broken:
    """An operation whose first calls fail. Calls with other arguments are counted apart, so that calls made side by
    side fail in the same way whichever comes first."""

    operation: str
    fault: Fault
    times: int = 1


class Stage:
    """State, operations and faults of one world."""

    def __init__(self, state: State, operations: Sequence[Operation], faults: Sequence[Broken] = ()) -> None:
        self.state = state
        self.operations = tuple(operations)
        self.faults = {fault.operation: fault for fault in faults}
        self._begin = deepcopy(state)
        self._failed: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()

    def copy(self) -> Stage:
        """The same world at its beginning, to be used by somebody else."""
        return Stage(deepcopy(self._begin), self.operations, tuple(self.faults.values()))

    def tools(self) -> list[Tool]:
        """The operations as tools. Two calls of one stage never run in the same moment."""
        return [Tool(one.spec, self._runner(one), one.changes) for one in self.operations]

    def effects(self) -> tuple[str, ...]:
        """What has changed since the beginning, in one comparable form."""
        return effects(self._begin, self.state)

    def record(self, table: str, key: str, noun: str) -> Record:
        """The record of this id. Raises ToolError."""
        found = self.state[table].get(key)
        if found is None:
            raise ToolError(f"not found: there is no {noun} {key!r}")
        return found

    def _runner(self, operation: Operation) -> Callable[[Mapping[str, Any]], Any]:
        def run(arguments: Mapping[str, Any]) -> Any:
            with self._lock:
                self._break(operation.spec.name, arguments)
                return operation.run(self, arguments)

        return run

    def _break(self, name: str, arguments: Mapping[str, Any]) -> None:
        fault = self.faults.get(name)
        key = (name, canonical(arguments))
        if fault and self._failed.get(key, 0) < fault.times:
            self._failed[key] = self._failed.get(key, 0) + 1
            raise ToolError(FAULTS[fault.fault])


def effects(before: State, after: State) -> tuple[str, ...]:
    """The differences of two states, sorted: records added (their ids are left out, for they only count), removed, and
    fields set. Letter case, spaces and a closing full stop make no difference."""
    found = []
    for table in sorted({*before, *after}):
        old, new = before.get(table, {}), after.get(table, {})
        found += [f"remove {table} {key}" for key in old if key not in new]
        found += [f"add {table} {canonical(new[key])}" for key in new if key not in old]
        for key in old.keys() & new.keys():
            fields = [name for name in {*old[key], *new[key]} if old[key].get(name) != new[key].get(name)]
            found += [f"set {table} {key} {name} {canonical(new[key].get(name))}" for name in fields]
    return tuple(sorted(found))


def canonical(value: Any) -> str:
    """One spelling of a JSON value for comparing: 3.0 is 3, and words are the same in any case."""
    return json.dumps(_plain(value), ensure_ascii=False, sort_keys=True)


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return " ".join(value.casefold().split()).rstrip(".。!?！？")
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items() if one is not None}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


def renamed(operation: Operation, spec: ToolSpec, back: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> Operation:
    """The operation under another declaration; `back` gives the arguments that it knows."""
    return replace(operation, spec=spec, run=lambda stage, arguments: operation.run(stage, back(arguments)))
