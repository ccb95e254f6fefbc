"""A wish: an action with arguments out of the world's own records, and the words in which a user asks for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from random import Random
from typing import Any

from moonlet.simulate.domains.domain import Action, Domain
from moonlet.simulate.domains.locale import Language
from moonlet.simulate.domains.slot import Slot
from moonlet.simulate.phrases import phrase
from moonlet.simulate.stage import Record, State
from moonlet.simulate.taught import asked


@dataclass(frozen=True, slots=True)
class Wish:
    """`labels` names the references that the user makes by a label and not by an id."""

    domain: Domain
    action: Action
    arguments: Mapping[str, Any]
    said: Mapping[str, str]  # parameter -> words
    labels: Mapping[str, str]  # parameter -> label

    def text(self, rng: Random, language: Language, held_out: bool) -> str:
        """The request; held-out tasks have wordings of their own."""
        if held_out:
            return rng.choice(self.action.wordings(language)).format(**self.said)
        return asked(self.domain.name, self.action, language, rng).format(**self.said)

    def finder(self, parameter: str) -> Action:
        """The action that finds what this parameter refers to."""
        found = finder(self.domain, self.action.takes[parameter].of)
        assert found, f"nothing finds a {parameter}"
        return found

    @property
    def open(self) -> list[str]:
        """Required parameters whose values only the user knows."""
        return [name for name, slot in self.action.takes.items() if slot.kind != "ref" and name != "query"]


def finder(domain: Domain, table: str) -> Action | None:
    """The action that searches a table, if the domain has one."""
    return next((one for one in domain.actions if one.sort == "find" and one.table == table), None)


def fits(action: Action, record: Mapping[str, Any]) -> bool:
    """Whether the record is in a state in which the action can be done."""
    return all(record.get(name) in allowed for name, allowed in action.only.items())


@dataclass(frozen=True, slots=True)
class Wishing:
    """Draws wishes in one world."""

    rng: Random
    state: State
    language: Language
    today: date

    def wish(self, domain: Domain, action: Action, by_label: bool, refused: bool = False) -> Wish | None:
        """A wish for the action, None if the world has no record for it. `refused` wants one that it fails on."""
        arguments: dict[str, Any] = {}
        said: dict[str, str] = {}
        labels: dict[str, str] = {}
        current: Mapping[str, Any] = {}
        if action.sort == "find" and not self._whole(domain, action.table):
            return None
        for name, slot in action.takes.items():
            if slot.kind != "ref":
                continue
            records = self._whole(domain, slot.of)
            keys = [key for key, one in records.items() if fits(action, one) is not refused]
            keys = [key for key in keys if key not in arguments.values()]  # from one place to another
            if by_label:
                # What an earlier task of the conversation added may be called as another is.
                label = domain.table(slot.of).label
                called = Counter(str(one.get(label)) for one in self.state[slot.of].values())
                keys = [key for key in keys if called[str(records[key][label])] == 1]
            if not keys:
                return None
            key = self.rng.choice(keys)
            current = records[key]
            table = domain.table(slot.of)
            arguments[name], label = key, str(current[table.label])
            noun = table.noun(self.language)
            if by_label and finder(domain, slot.of):
                labels[name] = label
                said[name] = phrase("by label", self.language, self.rng, noun=noun, label=label)
            else:
                said[name] = phrase("by id", self.language, self.rng, noun=noun, id=key)
        for name, slot in action.takes.items():
            if slot.kind != "ref":
                arguments[name] = self._value(domain, action, name, slot, current)
                said[name] = slot.spoken(arguments[name], self.rng, self.language, self.today)
        return Wish(domain, action, {name: arguments[name] for name in action.takes}, said, labels)

    def _whole(self, domain: Domain, table: str) -> Mapping[str, Record]:
        """The records that have all fields: not those that an earlier task of the conversation added."""
        fields = domain.table(table).fields.keys()
        return {key: one for key, one in self.state[table].items() if fields <= one.keys()}

    def other(self, wish: Wish, name: str) -> Any:
        """Another value for a parameter of a change: neither what was wished for nor what it was before."""
        (key,) = wish.action.refs
        record = self.state[wish.action.takes[key].of][wish.arguments[key]]
        return self._value(wish.domain, wish.action, name, wish.action.takes[name], record, wish.arguments[name])

    def _value(
        self, domain: Domain, action: Action, name: str, slot: Slot, current: Mapping[str, Any], wished: Any = None
    ) -> Any:
        if name == "query" and action.sort == "find":
            table = domain.table(action.table)
            return self.rng.choice([one[table.label] for one in self._whole(domain, table.name).values()])
        value = slot.draw(self.rng, self.language, self.today)
        for _ in range(20):  # a change to what it is already would be no change
            if value not in (current.get(name), wished):
                return value
            value = slot.draw(self.rng, self.language, self.today)
        return value
