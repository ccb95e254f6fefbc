"""The stateful mock: records of the tables that the tools can create, and operations on them by role."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from random import Random
from typing import Any

from moonlet.simulate.domains.locale import Language
from moonlet.simulate.mock.roles import QUERIES, Known, Part, split, tables_of, understood
from moonlet.simulate.mock.server import Server
from moonlet.simulate.mock.values import value
from moonlet.simulate.stage import Operation, Record, Stage, State, canonical
from moonlet.tools.tool import ToolError

MANY = 5  # records of a table at the beginning


class Mock:
    """A server's tools, understood. Makes states and operations; keeps none itself."""

    def __init__(self, server: Server) -> None:
        self.known = understood(server.tools)
        self.tables = tables_of(self.known)
        self._recorded = {(one.tool, canonical(one.arguments)): one.result for one in server.examples}
        self._likely = {one.tool: one.result for one in server.examples}

    def state(self, rng: Random, language: Language) -> State:
        """Records of every table; fields that name a record of another table name one that is there."""
        state: State = {}
        for table, part in self.tables.items():
            records: dict[str, Record] = {}
            for _ in range(MANY):
                record = {name: value(part.fields[name], name, rng, language) for name in part.required}
                links = [name for name in part.key if len(part.key) > 1 and name in ("from", "to", "source", "target")]
                others = [key for other in state.values() for key in other]
                for name, key in zip(links, rng.sample(others, min(len(links), len(others)))):
                    record[name] = key
                records.setdefault(key_of(part, record), record)
            state[table] = records
        return state

    def operations(self) -> list[Operation]:
        return [Operation(one.offered.spec, self._runner(one), one.changes) for one in self.known]

    def _runner(self, one: Known) -> Any:
        def run(stage: Stage, arguments: Mapping[str, Any]) -> Any:
            if one.role == "compute":
                return self._computed(one, arguments)
            return ROLES[one.role](self, stage, one, arguments)

        return run

    def _computed(self, one: Known, arguments: Mapping[str, Any]) -> Any:
        """The recorded result of this call; else one of the declared form, always the same for the same arguments."""
        recorded = self._recorded.get((one.name, canonical(arguments)))
        if recorded is not None:
            return deepcopy(recorded)
        rng = Random(one.name + canonical(arguments))
        if one.offered.output.get("properties"):
            made = value({"type": "object", **one.offered.output}, one.name, rng)
            echoed: Any = _echoed(made, arguments, ())
            return echoed
        return deepcopy(self._likely.get(one.name, {"result": rng.randint(10, 999)}))

    # Operations by role

    def _create(self, stage: Stage, one: Known, arguments: Mapping[str, Any]) -> Any:
        made = []
        for record in _records(one.part, arguments):
            if one.member:
                target = self._target(stage, one, record)
                target[one.member] = [*target.get(one.member, []), *_values(one.part, record)]
                made.append(target)
            else:
                stage.state[one.table][key_of(one.part, record)] = dict(record)
                made.append(dict(record))
        return {one.table: deepcopy(made)}

    def _change(self, stage: Stage, one: Known, arguments: Mapping[str, Any]) -> Any:
        if one.pair:
            old, new = (str(arguments[name]) for name in one.pair)
            table, record = self._anywhere(stage, one, old)
            del stage.state[table][old]
            key = self.tables[table].key[0]
            stage.state[table][new] = {**record, key: new}
            return {"moved": old, "to": new}
        for wanted in _records(one.part, arguments):
            self._target(stage, one, wanted).update({name: v for name, v in wanted.items() if name not in one.part.key})
        return {"success": True}

    def _remove(self, stage: Stage, one: Known, arguments: Mapping[str, Any]) -> Any:
        if one.member:
            for wanted in _records(one.part, arguments):
                target, gone = self._target(stage, one, wanted), _values(one.part, wanted)
                target[one.member] = [one_value for one_value in target.get(one.member, []) if one_value not in gone]
            return {"success": True}
        for key in _keys(one.part, arguments):
            table, _ = self._anywhere(stage, one, key)
            del stage.state[table][key]
        return {"success": True}

    def _read(self, stage: Stage, one: Known, arguments: Mapping[str, Any]) -> Any:
        keys = _keys(one.part, arguments) if one.part.required else []
        if not keys:
            return self._list(stage, one, arguments)
        found = [deepcopy(self._anywhere(stage, one, key)[1]) for key in keys]
        return found[0] if len(found) == 1 else {"results": found}

    def _list(self, stage: Stage, one: Known, arguments: Mapping[str, Any]) -> Any:
        wanted = [str(arguments[name]) for name in one.part.required if isinstance(arguments.get(name), str)]
        return {
            table: [
                deepcopy(record)
                for key, record in stage.state[table].items()
                if all(key.startswith(start) or start in map(str, record.values()) for start in wanted)
            ]
            for table in self._where(one)
        }

    def _search(self, stage: Stage, one: Known, arguments: Mapping[str, Any]) -> Any:
        names = [name for name in arguments if split(name)[-1] in QUERIES] or list(one.part.required)[:1]
        words = [word for name in names for word in str(arguments.get(name, "")).replace("*", " ").casefold().split()]
        return {
            table: [
                deepcopy(record)
                for record in stage.state[table].values()
                if all(word in json.dumps(record, ensure_ascii=False).casefold() for word in words)
            ]
            for table in self._where(one)
        }

    def _where(self, one: Known) -> list[str]:
        return [one.table] if one.table else list(self.tables)

    def _anywhere(self, stage: Stage, one: Known, key: str) -> tuple[str, Record]:
        """The table and the record of a key. Raises ToolError."""
        for table in [*self._where(one), *self.tables]:
            if key in stage.state[table]:
                return table, stage.state[table][key]
        raise ToolError(f"not found: {key}")

    def _target(self, stage: Stage, one: Known, wanted: Mapping[str, Any]) -> Record:
        return self._anywhere(stage, one, key_of(one.part, wanted))[1]


ROLES = {
    "create": Mock._create, "change": Mock._change, "remove": Mock._remove, "read": Mock._read, "list": Mock._list,
    "search": Mock._search,
}  # fmt: skip


def _echoed(made: Any, arguments: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    """The made-up result, with what was given where a field has the name of a parameter: source.zone of source_zone."""
    if isinstance(made, dict):
        return {name: _echoed(one, arguments, (*path, *split(name))) for name, one in made.items()}
    given = {tuple(split(name)): one for name, one in arguments.items()}
    return given.get(path, made)


def key_of(part: Part, record: Mapping[str, Any]) -> str:
    """What a record is known by."""
    return " / ".join(str(record.get(name, "")) for name in part.key)


def _records(part: Part, arguments: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return list(arguments.get(part.items) or []) if part.items else [arguments]


def _values(part: Part, record: Mapping[str, Any]) -> list[Any]:
    """What is in a record besides its key, as one list."""
    found: list[Any] = []
    for name, one in record.items():
        if name not in part.key:
            found += one if isinstance(one, list) else [one]
    return found


def _keys(part: Part, arguments: Mapping[str, Any]) -> list[str]:
    """The keys that a call names: of records, of a list of keys, or the one."""
    if part.items:
        return [key_of(part, record) for record in _records(part, arguments)]
    named = arguments.get(part.key[0]) if part.key else None
    if isinstance(named, list):
        return [str(key) for key in named]
    return [key_of(part, arguments)]
