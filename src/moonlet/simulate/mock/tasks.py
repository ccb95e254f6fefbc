"""Tasks for a mocked server: what its tools can do, asked for in the words of its own descriptions."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from random import Random
from typing import Any

from jsonschema import Draft202012Validator, SchemaError
from referencing.exceptions import Unresolvable

from moonlet.simulate.domains.locale import Language
from moonlet.simulate.episode import Episode, Wanted
from moonlet.simulate.manners import styled
from moonlet.simulate.mock.roles import Known, split
from moonlet.simulate.mock.server import Server
from moonlet.simulate.mock.values import value
from moonlet.simulate.mock.world import Mock, key_of
from moonlet.simulate.phrases import ADMITS, TALK, phrase, ways
from moonlet.simulate.stage import LASTING, Broken, Fault, Stage, State
from moonlet.simulate.tasks import Goal, Key, Reply, Task, TaskError, TaskKind
from moonlet.tools.tool import call

SYSTEM = "You are a helpful assistant. Use the tools when they fit."
ASKS: Mapping[Language, tuple[str, ...]] = {
    "en": ("Please {do}. {how}", "I need you to {do}. {how}", "Can you {do}? {how}"),
    "th": ("ช่วย {do} หน่อย {how}", "ขอ {do} {how}"),
    "zh": ("请 {do}。{how}", "帮我 {do}。{how}"),
}
BEYOND: Mapping[Language, tuple[str, ...]] = {
    "en": ("Book me a haircut for tomorrow morning", "Order two pizzas to my flat", "Call a taxi to the airport", "Water the plants at 6 pm"),
    "th": ("จองร้านตัดผมพรุ่งนี้เช้าให้หน่อย", "สั่งพิซซ่าสองถาด", "เรียกแท็กซี่ไปสนามบิน"),
    "zh": ("帮我约明天早上理发", "订两个披萨送到家里", "叫一辆去机场的出租车"),
}  # fmt: skip
KEPT = 3  # facts of one result that must be told
TOLD = 12  # and that the right way tells, at most
LONGEST = 60  # characters of a fact
TRIES = 40  # of a task whose right way the mock refuses


def kinds(server: Server) -> list[TaskKind]:
    """The kinds of tasks that the server's tools allow."""
    known = _usable(Mock(server))
    found: list[TaskKind] = ["single", "parallel", "retry", "explain", "no_tool", "talk"]
    if any(_open(one) for one in known):
        found.append("clarify")
    if any(_named(one) for one in known):
        found.append("missing")
    if _pairs(known):
        found.append("steps")
    return found


def make_mock(key: Key, server: Server) -> tuple[Task, Stage]:
    """The task of this key and a fresh mock for it. Raises TaskError if the tools allow no such task."""
    if key.kind not in kinds(server):
        raise TaskError(f"the tools of {server.name} allow no {key.kind} tasks")
    for attempt in range(TRIES):
        try:
            return _Making(key, server, attempt).task()
        except TaskError as error:
            failure = error
    raise failure


def _usable(mock: Mock) -> list[Known]:
    """The tools that something can be made up for: their declarations may ask for more than values.py knows, such as a
    pattern. All of them, if that leaves none."""
    return [one for one in mock.known if _can_be_made_up(one)] or list(mock.known)


def _can_be_made_up(one: Known) -> bool:
    parameters = one.offered.spec.parameters
    declared, needed = parameters.get("properties") or {}, parameters.get("required") or ()
    return all(name in declared and _fits(name, json.dumps(declared[name])) for name in needed)


@lru_cache(maxsize=4096)  # asked for each task anew
def _fits(name: str, text: str) -> bool:
    """Whether values made up for a parameter fit its schema."""
    schema, rng = json.loads(text), Random(0)
    try:
        Draft202012Validator.check_schema(schema)
        return all(Draft202012Validator(schema).is_valid(value(schema, name, rng)) for _ in range(3))
    except SchemaError:  # nothing fits what is no schema
        return False
    except Unresolvable:  # it refers outside of itself: nobody can say
        return True


def _open(one: Known) -> list[str]:
    """Required parameters that are plain text or numbers, which a user can be asked for."""
    declared = one.offered.spec.parameters.get("properties") or {}
    required = one.offered.spec.parameters.get("required") or ()
    return [name for name in required if declared.get(name, {}).get("type") in ("string", "integer", "number")]


def _named(one: Known) -> bool:
    """Whether the tool is given the key of a record that must be there."""
    alone = len(one.part.key) == 1
    return alone and bool(one.table or one.role == "read") and one.role in ("read", "change", "remove")


def _pairs(known: list[Known]) -> list[tuple[Known, Known]]:
    """A tool that makes a record, and one that reads a record by its key."""
    makes = [one for one in known if one.role == "create" and one.table and not one.member and len(one.part.key) == 1]
    reads = [one for one in known if one.role == "read" and one.part.required and not one.part.items]
    return [(a, b) for a in makes for b in reads if b.table in ("", a.table)]


class _Making:
    """One task in the making."""

    def __init__(self, key: Key, server: Server, attempt: int = 0) -> None:
        self.key, self.language = key, key.language
        self.rng = Random(f"{key} {attempt}" if attempt else str(key))
        self.mock = Mock(server)
        self.examples = [(one.tool, dict(one.arguments)) for one in server.examples]
        self.state: State = self.mock.state(self.rng, key.language)
        self.told: list[tuple[str, ...]] = []
        self.replies: list[Reply] = []

    def task(self) -> tuple[Task, Stage]:
        kind = self.key.kind
        steps = self._steps()
        faults = []
        if kind in ("retry", "explain"):
            passing: tuple[Fault, ...] = ("rate_limit", "timeout")
            fault: Fault = self.rng.choice(passing) if kind == "retry" else "permission"
            faults = [Broken(steps[0][0], fault, 1 if kind == "retry" else LASTING)]
        stage = Stage(self.state, self.mock.operations(), faults)
        self.played = stage.copy()
        self.tools = self.played.tools()
        self.episode = Episode([one.spec for one in stage.operations])
        text, left_out = self._words(steps)
        opening = styled(text, self.key, self.rng)
        self.episode.system(SYSTEM)
        self.episode.user(opening)
        self._play(steps, left_out)
        asked = sum(reply.asked for reply in self.replies)
        calls = tuple(steps) * (2 if kind == "retry" else 1)
        goal = Goal(self.played.effects(), tuple(self.told), calls, asked, steps[0][0] if asked else "")
        solution = tuple(one for one in self.episode.messages if one.role == "assistant")
        wish = " ".join([text, *(reply.text for reply in self.replies)])
        return Task(self.key, SYSTEM, opening, tuple(self.replies), goal, solution, wish), stage

    def _steps(self) -> list[Wanted]:
        """The calls of a right solution."""
        kind, known = self.key.kind, _usable(self.mock)
        if kind == "talk":
            self.talk = self.rng.choice(TALK[self.language])
        if kind in ("talk", "no_tool"):
            return []
        if kind == "steps":
            make, read = self.rng.choice(_pairs(known))
            arguments = self._arguments(make)
            records = arguments[make.part.items] if make.part.items else [arguments]
            return [(make.name, arguments), (read.name, self._pointing(read, key_of(make.part, records[0])))]
        fitting = [one for one in known if kind != "clarify" or _open(one)]
        fitting = [one for one in fitting if kind != "missing" or _named(one)]
        count = min(2, len(fitting)) if kind == "parallel" else 1
        steps: list[Wanted] = [(one.name, self._arguments(one)) for one in self.rng.sample(fitting, count)]
        if kind == "missing":
            self._take_away(steps[0])
        return steps

    def _arguments(self, one: Known) -> dict[str, Any]:
        """Arguments for a tool: recorded ones, or made up so that what must exist is named by its key."""
        recorded = [arguments for tool, arguments in self.examples if tool == one.name]
        if recorded and one.role == "compute":
            return dict(self.rng.choice(recorded))
        made: dict[str, Any] = {}
        declared = one.offered.spec.parameters.get("properties") or {}
        for name in one.offered.spec.parameters.get("required") or ():
            if name not in declared:  # nothing says what it would be
                continue
            for _ in range(5):  # from one zone to the same one is nothing to ask for
                made[name] = value(declared[name], name, self.rng, self.language)
                if list(made.values()).count(made[name]) == 1:
                    break
        if one.part.items:
            by_key = {key_of(one.part, record): record for record in made[one.part.items]}
            made[one.part.items] = list(by_key.values())
        if one.role == "create" and not one.member:
            return made
        if one.role in ("search", "list") or not one.part.key:
            return self._looking(one, made)
        if one.role == "compute" or not self._keys(one):
            return made
        key = self.rng.choice(self._keys(one))
        if one.member:
            return self._member(one, made, key)
        return {**made, **self._pointing(one, key)}

    def _keys(self, one: Known) -> list[str]:
        tables = [one.table] if one.table else [table for table, part in self.mock.tables.items() if len(part.key) == 1]
        return [key for table in tables for key in self.state[table] if _as_declared(key, one) is not None]

    def _pointing(self, one: Known, key: str) -> dict[str, Any]:
        """Arguments that name the record of this key."""
        if one.part.items:
            record = next(records[key] for records in self.state.values() if key in records)
            return {one.part.items: [{name: record[name] for name in one.part.required if name in record}]}
        return {_pointer(one): _as_declared(key, one)}

    def _member(self, one: Known, made: dict[str, Any], key: str) -> dict[str, Any]:
        """Arguments that add to, or take from, a list of one record."""
        record = {**(made[one.part.items][0] if one.part.items else made), one.part.key[0]: key}
        if one.role == "remove":
            there = self.state[one.table][key].get(one.member) or ["-"]
            record.update({name: [there[0]] for name, field in one.part.fields.items() if field.get("type") == "array"})
        return {one.part.items: [record]} if one.part.items else record

    def _looking(self, one: Known, made: dict[str, Any]) -> dict[str, Any]:
        """Arguments of a search that finds something."""
        keys = self._keys(one)
        names = [name for name in made if isinstance(made[name], str)]
        if keys and names:
            key = self.rng.choice(keys)
            for name in names:
                folder = key.startswith("/") and split(name)[-1] in ("path", "directory")
                made[name] = "/" + key.split("/")[1] if folder else key.split(" / ")[0].split("/")[-1]
        return made

    def _take_away(self, step: Wanted) -> None:
        """The records that are named leave the world."""
        said = str(step[1])
        for records in self.state.values():
            for key in [key for key in records if repr(key)[1:-1] in said]:
                del records[key]

    # Words

    def _words(self, steps: list[Wanted]) -> tuple[str, str]:
        """The request, and the parameter that it leaves out."""
        if self.key.kind == "talk":
            return self.talk[0], ""
        if self.key.kind == "no_tool":
            return self.rng.choice(BEYOND[self.language]), ""
        late = self.key.kind == "clarify" or (self.key.persona == "late" and self.key.kind in ("single", "retry"))
        known = {one.name: one for one in self.mock.known}
        open_ones = [name for name in _open(known[steps[0][0]]) if name in steps[0][1]]
        left_out = self.rng.choice(open_ones) if late and open_ones else ""
        texts = [
            self._asked(known[name], arguments, left_out if i == 0 else "") for i, (name, arguments) in enumerate(steps)
        ]
        text = texts[0]
        for other in texts[1:]:
            text = phrase("then" if self.key.kind == "steps" else "also", self.language, self.rng, a=text, b=other)
        return text, left_out

    def _asked(self, one: Known, arguments: Mapping[str, Any], left_out: str) -> str:
        said = [f"{' '.join(split(name))}: {spoken(v)}" for name, v in arguments.items() if name != left_out]
        frame = self.rng.choice(ASKS[self.language])
        return frame.format(do=instruction(one), how="; ".join(said)).strip()

    def _play(self, steps: list[Wanted], left_out: str) -> None:
        kind = self.key.kind
        if kind == "talk":
            if self.talk[1]:
                self.told.append(tuple(self.talk[1].split(",")))
            self.episode.answer(self.talk[2])
            return
        if kind == "no_tool":
            self._admit("no tool")
            return
        if left_out:
            self.episode.answer(phrase("ask", self.language, field=" ".join(split(left_out))))
            self.replies.append(Reply(str(steps[0][1][left_out]), asked=True))
            self.episode.user(self.replies[-1].text)
        results = self._call(steps) if kind == "parallel" else [self._call([step])[0] for step in steps]
        if kind == "retry":
            results = self._call(steps)
        if kind in ("missing", "explain") and "error" in results[0]:
            asked = leaves(steps[0][1])
            self._admit("not found" if kind == "missing" else "permission", label=asked[0][1] if asked else "")
            return
        self.episode.answer(" ".join(self._told(*step, result) for step, result in zip(steps, results)))

    def _call(self, steps: list[Wanted]) -> list[Any]:
        return self.episode.call(steps, lambda one: call(self.tools, one))

    def _told(self, name: str, arguments: Mapping[str, Any], result: Any) -> str:
        """The sentence about a result; of what only looks, the first facts must be told that were not asked with."""
        one = next(one for one in self.mock.known if one.name == name)
        if isinstance(result, Mapping) and isinstance(result.get("error"), str):
            raise TaskError(f"{name}, called as it should be: {result['error']}")
        if one.changes:
            return phrase("changed", self.language)
        facts, asked = list(dict.fromkeys(leaves(result)))[:TOLD], {text for _, text in leaves(arguments)}
        found = list(dict.fromkeys(text for _, text in facts))
        self.told += [ways(text) for text in ([one for one in found if one not in asked] or found)[:KEPT]]
        nothing = phrase("found none", self.language, query=" ".join(split(name)))
        listed = ", ".join(f"{field} {text}".strip() for field, text in facts)
        return phrase("found", self.language, list=listed) if facts else nothing

    def _admit(self, key: str, **values: Any) -> None:
        self.told.append(tuple(ADMITS[key]))
        self.episode.answer(phrase(key, self.language, **values))


def _pointer(one: Known) -> str:
    """The parameter that names a record by its key."""
    return one.pair[0] if one.pair else one.part.key[0]


def _as_declared(key: str, one: Known) -> Any:
    """A record's key as the tool takes it; None if it cannot."""
    if one.part.items or not one.part.key:
        return key
    declared = one.part.fields[_pointer(one)]
    kind = declared.get("type") if isinstance(declared, Mapping) else None
    if kind in ("integer", "number"):
        try:
            return int(key) if kind == "integer" else float(key)
        except ValueError:
            return None
    return [key] if kind == "array" else key


def instruction(one: Known) -> str:
    """What the tool does, as its description begins."""
    first = re.split(r"(?<=\w)[.\n;](?:\s|$)|\s\(", one.offered.spec.description.strip() or " ".join(split(one.name)))[
        0
    ]
    return first[0].lower() + first[1:]


def spoken(said: Any) -> str:
    """A value of any form, in words."""
    if isinstance(said, Mapping):
        return ", ".join(f"{' '.join(split(str(name)))} {spoken(one)}" for name, one in said.items())
    if isinstance(said, list):
        return " and ".join(map(spoken, said))
    return str(said).lower() if isinstance(said, bool) else str(said)


def leaves(result: Any, field: str = "") -> list[tuple[str, str]]:
    """The short texts and numbers in a result, in their order, each with the words of what it is."""
    if isinstance(result, Mapping):
        own = {name: " ".join(split(str(name))) for name in result}
        words = {name: one if one.startswith(field) else f"{field} {one}" for name, one in own.items()}
        return [leaf for name, one in result.items() for leaf in leaves(one, words[name])]
    if isinstance(result, list):
        return [leaf for one in result for leaf in leaves(one, field)]
    short = isinstance(result, str | int | float) and not isinstance(result, bool) and 0 < len(str(result)) <= LONGEST
    return [(field, str(result))] if short else []
