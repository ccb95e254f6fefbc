"""What a domain is made of: tables, and operations on them that also know how they are asked for and what they tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from random import Random
from typing import Any, Literal

from moonlet.chat.messages import ToolSpec
from moonlet.simulate.domains.locale import LANGUAGES, Language
from moonlet.simulate.domains.slot import Slot, email
from moonlet.simulate.stage import Operation, Record, Stage, State
from moonlet.tools.tool import ToolError, parameters

Sort = Literal["find", "read", "add", "change", "remove", "compute"]
SHOWN = 6  # records that a search returns
TAKES_PERSON = "people"


@dataclass(frozen=True, slots=True)
class Table:
    """Records of one sort. `label` is the field that people know a record by; ids are a prefix and a number."""

    name: str
    prefix: str
    nouns: tuple[str, str, str]  # what one record is called: English, Thai, Chinese
    label: str
    fields: Mapping[str, Slot]
    many: int = 7

    def noun(self, language: Language) -> str:
        return self.nouns[LANGUAGES.index(language)]

    def build(self, rng: Random, language: Language, today: date) -> dict[str, Record]:
        """Records with labels that no two share, as far as there are labels, and fields that fit one another."""
        records: dict[str, Record] = {}
        labels: set[Any] = set()
        for number in sorted(rng.sample(range(100, 1000), self.many)):
            record = {name: slot.draw(rng, language, today) for name, slot in self.fields.items()}
            if record[self.label] in labels:
                continue
            labels.add(record[self.label])
            if "email" in record and self.fields[self.label].of == TAKES_PERSON:
                record["email"] = email(record[self.label])
            if "low_c" in record:
                record["low_c"] = min(record["low_c"], record["high_c"] - 2)
            records[f"{self.prefix}-{number}"] = record
        return records


@dataclass(frozen=True, slots=True)
class Action:
    """One tool of a domain. `tells` names the fields that the user wants to hear; `sets` the values that a change or an
    addition writes by itself, `only` what a record must be like for it."""

    sort: Sort
    name: str
    about: str
    table: str
    takes: Mapping[str, Slot]
    asks: tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]  # wordings: English, Thai, Chinese
    tells: tuple[str, ...] = ()
    sets: Mapping[str, Any] = field(default_factory=dict)
    only: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    run: Callable[[Stage, Mapping[str, Any]], Any] | None = None  # where it does what no table operation does

    @property
    def changes(self) -> bool:
        return self.sort in ("add", "change", "remove")

    @property
    def refs(self) -> list[str]:
        """The parameters that are ids."""
        return [name for name, slot in self.takes.items() if slot.kind == "ref"]

    def wordings(self, language: Language) -> tuple[str, ...]:
        return self.asks[LANGUAGES.index(language)]


@dataclass(frozen=True, slots=True)
class Domain:
    name: str
    tables: tuple[Table, ...]
    actions: tuple[Action, ...]

    def table(self, name: str) -> Table:
        return next(table for table in self.tables if table.name == name)

    def build(self, rng: Random, language: Language, today: date) -> State:
        return {table.name: table.build(rng, language, today) for table in self.tables}

    def operation(self, action: Action) -> Operation:
        """The action as an operation on a stage."""
        required = {name: slot.schema() for name, slot in action.takes.items() if slot.required}
        optional = {name: slot.schema() for name, slot in action.takes.items() if not slot.required}
        spec = ToolSpec(action.name, action.about, parameters(required, optional))
        return Operation(spec, lambda stage, arguments: self._run(stage, action, arguments), action.changes)

    def _run(self, stage: Stage, action: Action, arguments: Mapping[str, Any]) -> Any:
        for name in action.refs:
            if name in arguments:
                table = self.table(action.takes[name].of)
                stage.record(table.name, arguments[name], table.nouns[0])
        if action.run:
            return action.run(stage, arguments)
        assert action.table, f"{action.name} is computed and says nothing of how"
        return PERFORM[action.sort](stage, self.table(action.table), action, arguments)


def _find(stage: Stage, table: Table, action: Action, arguments: Mapping[str, Any]) -> Any:
    words = str(arguments["query"]).casefold().split()
    found = [
        {"id": key, **record}
        for key, record in stage.state[table.name].items()
        if all(word in " ".join(map(str, record.values())).casefold() for word in words)
    ]
    return {"found": len(found), "results": found[:SHOWN]}


def _read(stage: Stage, table: Table, action: Action, arguments: Mapping[str, Any]) -> Any:
    key = arguments[action.refs[0]]
    return {"id": key, **stage.state[table.name][key]}


def _add(stage: Stage, table: Table, action: Action, arguments: Mapping[str, Any]) -> Any:
    records = stage.state[table.name]
    key = f"{table.prefix}-{1 + max((int(one.rsplit('-', 1)[1]) for one in records), default=100)}"
    records[key] = {**action.sets, **arguments}
    return {"id": key, **records[key]}


def _change(stage: Stage, table: Table, action: Action, arguments: Mapping[str, Any]) -> Any:
    key = arguments[action.refs[0]]
    record = stage.state[table.name][key]
    allow(action, record, table.nouns[0])
    record.update(action.sets)
    record.update({name: value for name, value in arguments.items() if name != action.refs[0]})
    return {"id": key, **record}


def _remove(stage: Stage, table: Table, action: Action, arguments: Mapping[str, Any]) -> Any:
    key = arguments[action.refs[0]]
    record = stage.state[table.name][key]
    allow(action, record, table.nouns[0])
    del stage.state[table.name][key]
    return {"removed": key, table.label: record[table.label]}


def allow(action: Action, record: Mapping[str, Any], noun: str) -> None:
    """Raises ToolError if the record is not in a state in which the action can be done."""
    for name, allowed in action.only.items():
        if record.get(name) not in allowed:
            raise ToolError(f"not possible: the {name} of the {noun} is {record.get(name)}, not {' or '.join(allowed)}")


Perform = Callable[[Stage, Table, Action, Mapping[str, Any]], Any]
PERFORM: Mapping[Sort, Perform] = {
    "find": _find, "read": _read, "add": _add, "change": _change, "remove": _remove,
}  # fmt: skip


def asks(en: str, th: str, zh: str) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Wordings in three languages, several of one language parted by |. Slots are {parameter}."""
    return tuple(en.split("|")), tuple(th.split("|")), tuple(zh.split("|"))
