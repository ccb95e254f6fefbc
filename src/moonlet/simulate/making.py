"""Makes a task from its key: a world, a wish in it, and one right way, which is played to know the goal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import date, timedelta
from random import Random
from typing import Any

from moonlet.simulate import evolve
from moonlet.simulate.demo import system_text
from moonlet.simulate.domains.domain import Action, Domain
from moonlet.simulate.domains.every import DOMAINS
from moonlet.simulate.domains.locale import field
from moonlet.simulate.episode import Episode, Wanted
from moonlet.simulate.manners import styled
from moonlet.simulate.phrases import ADMITS, phrase, shown, ways
from moonlet.simulate.stage import LASTING, Broken, Fault, Operation, Stage, State
from moonlet.simulate.tasks import Goal, Key, Reply, Task, TaskError, TaskKind
from moonlet.simulate.taught import framed, small_talk
from moonlet.simulate.wishes import Wish, Wishing, finder
from moonlet.tools.tool import call

TRIES = 60
HOPELESS: tuple[TaskKind, ...] = ("explain", "missing", "refused")  # what is wished for cannot be done
STATES = ("closed", "cancelled")  # in which nothing more can be done


def kinds(domain: Domain) -> list[TaskKind]:
    """The kinds of tasks that a domain has."""
    every: list[TaskKind] = ["single", "parallel", "clarify", "no_tool", "retry", "explain", "talk"]
    if domain.tables:
        every += ["steps", "ambiguous", "missing"]
    if any(action.only for action in domain.actions):
        every.append("refused")
    return every


def make(key: Key) -> tuple[Task, Stage]:
    """The task and a fresh world for it. Raises TaskError if the domain has no such task."""
    if key.domain not in DOMAINS:
        raise TaskError(f"there is no domain {key.domain!r}; there are: {', '.join(DOMAINS)}")
    if key.kind not in kinds(DOMAINS[key.domain]):
        raise TaskError(f"the domain {key.domain} has no {key.kind} tasks")
    return Making(key).task()


class Making:
    """One task in the making: the world's state first, then the wish, then the stage on which it is played.

    `before`: a task that is made already, in whose world and conversation this one goes on, under the same tools.
    """

    today: date
    shown: list[Domain]
    state: State
    offered: set[str]  # actions whose tools are shown
    fused: dict[str, str]  # action -> the tool that also looks up what it is about
    evolved: evolve.Evolved
    played: Stage  # the world in which the right way is gone
    episode: Episode

    def __init__(self, key: Key, before: Making | None = None) -> None:
        self.key, self.language, self.before = key, key.language, before
        self.rng = Random(str(key))
        self.domain = DOMAINS[key.domain]
        if before:
            self.today, self.shown, self.state = before.today, before.shown, deepcopy(before.played.state)
        else:
            self.today = date(2025, 1, 1) + timedelta(self.rng.randrange(1500))
            others = [one for name, one in DOMAINS.items() if name != key.domain]
            self.shown = [self.domain, *self.rng.sample(others, self.rng.choice((0, 0, 1, 1, 2)))]
            self.state = {}
            for one in self.shown:
                self.state |= one.build(self.rng, self.language, self.today)
        self.hidden = [one for one in DOMAINS.values() if one not in self.shown]
        self.wishing = Wishing(self.rng, self.state, self.language, self.today)
        self.told: list[tuple[str, ...]] = []
        self.replies: list[Reply] = []
        self.calls: list[Wanted] = []
        self.asks = 0

    def task(self) -> tuple[Task, Stage]:
        """Raises TaskError if the domain, or the tools of the task before, leave no such task."""
        wishes, faults, text = self._plan()
        self.evolved = self._evolved(wishes)
        broken = [replace(one, operation=self.evolved.names.get(one.operation, one.operation)) for one in faults]
        stage = Stage(self.state, self.evolved.operations, broken)
        self.played = stage.copy()
        self.tools = self.played.tools()
        opening = styled(text, self.key, self.rng)
        if self.before:
            self.episode = self.before.episode
        else:
            self.episode = Episode([one.spec for one in stage.operations])
            self.episode.system(system_text(self.today))
        begin, calls = len(self.episode.messages), self.episode.calls
        self.episode.user(opening)
        try:
            self._play(wishes)
        except TaskError:
            del self.episode.messages[begin:]
            self.episode.calls = calls
            raise
        shows, subject = self._shown_by(wishes[0]) if self.key.kind in HOPELESS else ((), ())
        goal = Goal(
            self.played.effects(), tuple(self.told), tuple(self.calls), self.asks, self._waits(wishes), shows, subject
        )
        messages = tuple(one for one in self.episode.messages[begin:] if one.role == "assistant")
        wish = " ".join([text, *(reply.text for reply in self.replies)])
        return Task(self.key, system_text(self.today), opening, tuple(self.replies), goal, messages, wish), stage

    def _plan(self) -> tuple[list[Wish], list[Broken], str]:
        """What is wished for, what is broken, and the user's first words; for some kinds the world changes."""
        kind = self.key.kind
        if kind == "talk":
            self.talk = small_talk(self.key, self.rng)
            return [], [], self.talk[0]
        if kind == "no_tool":
            return [], [], self._beyond()
        wishes = [self._wish(kind)]
        if kind == "parallel" or (kind == "steps" and self.rng.random() < 0.5 and not self._corrected(wishes[0])):
            wishes += self._more(wishes[0])
        faults: list[Broken] = []
        if kind in ("retry", "explain"):
            choices: tuple[Fault, ...] = ("rate_limit", "timeout") if kind == "retry" else ("permission", "timeout")
            faults = [Broken(wishes[0].action.name, self.rng.choice(choices), 1 if kind == "retry" else LASTING)]
        if kind == "ambiguous":
            self._double(wishes[0])
        self.missing = self._left_out(wishes[0])
        texts = [self._asked(wish) for wish in wishes]
        text = texts[0]
        for other in texts[1:]:
            text = framed("also" if kind == "parallel" else "then", self.key, self.rng, a=text, b=other)
        if kind == "missing":
            text = self._without(wishes[0])
        return wishes, faults, text

    def _wish(self, kind: TaskKind) -> Wish:
        """A wish that makes a task of this kind."""
        by_label = kind in ("steps", "ambiguous")
        for _ in range(TRIES):
            action = self.rng.choice(self.domain.actions)
            if (by_label or kind == "missing") and not any(
                finder(self.domain, action.takes[one].of) for one in action.refs
            ):
                continue
            if kind == "missing" and len(action.refs) != 1:
                continue
            if (kind == "refused" and not action.only) or (kind == "explain" and action.sort == "find"):
                continue
            if kind == "refused" and not self._unfit(action):
                continue
            wish = self.wishing.wish(self.domain, action, by_label, refused=kind == "refused")
            if wish and (kind != "clarify" or wish.open) and (kind != "ambiguous" or len(wish.labels) == 1):
                return wish
        raise TaskError(f"the domain {self.domain.name} has no {kind} tasks")

    def _unfit(self, action: Action) -> bool:
        """One record at least is in a state in which the action cannot be done; False if there is none."""
        table = self.domain.table(action.takes[action.refs[0]].of)
        records = list(self.state[table.name].values())
        if not records:
            return False
        record = self.rng.choice(records)
        for name, allowed in action.only.items():
            choices = {*table.fields[name].choices, *STATES} - {*allowed}
            record[name] = self.rng.choice(sorted(choices))
        return True

    def _more(self, first: Wish) -> list[Wish]:
        """Further wishes of one request: about other records and, if they are looked up, by other tools."""
        taken = {value for name, value in first.arguments.items() if name in first.action.refs}
        actions = {first.action.name}
        found: list[Wish] = []
        wanted = 1 if self.key.kind == "steps" else self.rng.choice((1, 1, 2))
        for _ in range(TRIES):
            wish = self.wishing.wish(self.domain, self.rng.choice(self.domain.actions), self.key.kind == "steps")
            if wish is None or wish.action.name in actions:
                continue
            refs = {wish.arguments[name] for name in wish.action.refs}
            if not refs & taken:
                found.append(wish)
                taken |= refs
                actions.add(wish.action.name)
            if len(found) == wanted:
                break
        return found

    def _double(self, wish: Wish) -> None:
        """A second record that is called the same, so that the name alone does not settle which is meant."""
        (name,) = wish.labels
        table = wish.domain.table(wish.action.takes[name].of)
        records = self.state[table.name]
        twin = {**table.build(self.rng, self.language, self.today)}.popitem()[1]
        twin.update({table.label: wish.labels[name], **{one: allowed[0] for one, allowed in wish.action.only.items()}})
        records[f"{table.prefix}-{1 + max(int(one.rsplit('-', 1)[1]) for one in records)}"] = twin

    def _left_out(self, wish: Wish) -> str:
        """The parameter that the user does not say at first, or nothing."""
        late = self.key.persona == "late" and self.key.kind in ("single", "steps", "retry")
        return self.rng.choice(wish.open) if wish.open and (late or self.key.kind == "clarify") else ""

    def _asked(self, wish: Wish) -> str:
        """The request in words; what is left out is only hinted at."""
        if not self.missing or self.missing not in wish.said:
            return self._text(wish)
        slot = wish.action.takes[self.missing]
        vague = phrase("some people" if slot.of in ("people", "email") else f"some {slot.kind}", self.language)
        return self._text(replace(wish, said={**wish.said, self.missing: vague}))

    def _text(self, wish: Wish) -> str:
        return wish.text(self.rng, self.language, self.key.held_out)

    def _without(self, wish: Wish) -> str:
        """The request about something that is not there; the record that it was about leaves the world."""
        (name,) = wish.action.refs
        table = wish.domain.table(wish.action.takes[name].of)
        record = self.state[table.name].pop(wish.arguments[name])
        self.gone = name, wish.arguments[name], str(record[table.label])
        return self._text(wish)

    def _beyond(self) -> str:
        """A request for which no tool is shown."""
        for _ in range(TRIES):
            domain = self.rng.choice(self.hidden)
            state = domain.build(self.rng, self.language, self.today)
            wishing = Wishing(self.rng, state, self.language, self.today)
            wish = wishing.wish(domain, self.rng.choice(domain.actions), by_label=False)
            if wish and wish.action.sort not in ("find",):
                return self._text(wish)
        raise AssertionError("no domain has anything to ask for")

    def _evolved(self, wishes: Sequence[Wish]) -> evolve.Evolved:
        """The tools that are shown, as they are declared."""
        needed = {wish.action.name for wish in wishes}
        needed |= {wish.finder(name).name for wish in wishes for name in wish.labels}
        if self.before:
            self.offered, self.fused = self.before.offered, self.before.fused
            if not needed <= self.offered:
                raise TaskError("a tool that is needed is not among those shown")
            return self.before.evolved
        operations = self._operations(wishes, needed)
        return evolve.evolve(operations, self.rng) if self.key.evolved else evolve.unchanged(operations)

    def _operations(self, wishes: Sequence[Wish], needed: set[str]) -> list[Operation]:
        """Those that are needed, and most of the others."""
        made: list[Operation] = []
        self.fused = {}
        for domain in self.shown:
            for action in domain.actions:
                if action.name in needed or self.rng.random() < 0.8:
                    made.append(domain.operation(action))
        self.offered = {one.spec.name for one in made}
        if self.key.evolved and self.key.kind == "steps":
            for wish in wishes:
                if len(wish.labels) == 1 and len(wish.action.refs) == 1 and self.rng.random() < 0.5:
                    (name,) = wish.labels
                    find, act = wish.domain.operation(wish.finder(name)), wish.domain.operation(wish.action)
                    made.append(evolve.composed(find, act, name, wish.domain.table(wish.action.takes[name].of).label))
                    self.fused[wish.action.name] = made[-1].spec.name
        self.rng.shuffle(made)
        return made

    # One right way

    def _play(self, wishes: Sequence[Wish]) -> None:
        match self.key.kind:
            case "talk":
                if self.talk[1]:
                    self.told.append(tuple(self.talk[1].split(",")))
                self.episode.answer(self.talk[2])
            case "no_tool":
                self._admit("no tool")
            case "parallel":
                results = self._call([(wish.action.name, wish.arguments) for wish in wishes])
                self.episode.answer(" ".join(self._told(wish, result) for wish, result in zip(wishes, results)))
            case "missing":
                self._play_missing(wishes[0])
            case _:
                if self.missing:
                    self._ask(wishes[0])
                self.episode.answer(" ".join([self._done(wish) for wish in wishes]))
                if self._corrected(wishes[0]) and len(wishes) == 1:
                    self._correct(wishes[0])

    def _waits(self, wishes: Sequence[Wish]) -> str:
        """The tool that must not be called before the user was asked; empty if nothing is to be asked."""
        if not self.asks:
            return ""
        name = wishes[0].action.name
        fused = self.fused.get(name) if self.key.kind == "steps" else None
        return self.evolved.names.get(fused or name, fused or name)

    def _shown_by(self, wish: Wish) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The tools that show that the wish cannot be fulfilled, and how its subject is called: the tool that was
        wanted; where it is the record's fault also those that only look. Others find nothing under that id either."""
        tools = [wish.action.name]
        about = [str(wish.arguments[name]) for name in wish.action.refs]
        if self.key.kind != "explain":
            tables = {wish.action.takes[name].of for name in wish.action.refs}
            tools += [one.name for one in wish.domain.actions if one.sort in ("find", "read") and one.table in tables]
            for name in wish.action.refs:
                table = wish.domain.table(wish.action.takes[name].of)
                record = self.state[table.name].get(wish.arguments[name])
                about.append(str(record[table.label]) if record else self.gone[2])
        return tuple(self.evolved.names.get(one, one) for one in tools), tuple(about)

    def _done(self, wish: Wish) -> str:
        """Looks up what is named, acts, and returns what there is to tell."""
        arguments = dict(wish.arguments)
        if wish.action.name in self.fused and self.key.kind == "steps":
            (name,) = wish.labels
            others = {key: value for key, value in arguments.items() if key != name}
            (result,) = self._call([(self.fused[wish.action.name], {"query": wish.labels[name], **others})])
            return self._told(wish, result)
        for name in wish.labels:
            (found,) = self._call([(wish.finder(name).name, {"query": wish.labels[name]})])
            if self.key.kind == "ambiguous":
                self._which(wish, name, found["results"])
        (result,) = self._call([(wish.action.name, arguments)])
        if "try again" in str(result.get("error", "")):
            (result,) = self._call([(wish.action.name, arguments)])
        return self._told(wish, result)

    def _play_missing(self, wish: Wish) -> None:
        name, key, label = self.gone
        if name in wish.labels:
            self._call([(wish.finder(name).name, {"query": label})])
        else:
            self._call([(wish.action.name, wish.arguments)])
        self._admit("not found", label=key)

    def _ask(self, wish: Wish) -> None:
        """The assistant asks for what was left out and is told."""
        slot = wish.action.takes[self.missing]
        self.episode.answer(phrase("ask", self.language, field=field(self.missing, self.language)))
        said = slot.spoken(wish.arguments[self.missing], self.rng, self.language, self.today)
        self._reply(framed("given", self.key, self.rng, value=said), asked=True)

    def _which(self, wish: Wish, name: str, results: Sequence[Mapping[str, Any]]) -> None:
        table = wish.domain.table(wish.action.takes[name].of)
        apart = next(one for one in table.fields if one != table.label)
        listed = ", ".join(f"{one['id']} ({shown(one.get(apart, '-'), self.language)})" for one in results)
        self.episode.answer(phrase("which", self.language, list=listed))
        self._reply(framed("that one", self.key, self.rng, id=wish.arguments[name]), asked=True)

    def _corrected(self, wish: Wish) -> bool:
        """Whether this user changes their mind about this."""
        mind = self.key.persona == "changes_mind" and self.key.kind in ("single", "steps", "clarify", "retry")
        return mind and wish.action.sort == "change" and len(wish.open) == 1 and len(wish.action.refs) == 1

    def _correct(self, wish: Wish) -> None:
        """The user wants something else after all."""
        (name,) = wish.open
        value = self.wishing.other(wish, name)
        said = wish.action.takes[name].spoken(value, self.rng, self.language, self.today)
        self._reply(framed("instead", self.key, self.rng, value=said), asked=False)
        self.told.clear()
        # The id is known by now, unless one tool did both; then it goes by what the record is called by now.
        known = {ref: self._called(wish, ref) for ref in wish.labels if wish.action.name in self.fused}
        self.episode.answer(self._done(replace(wish, arguments={**wish.arguments, name: value}, labels=known)))

    def _called(self, wish: Wish, ref: str) -> str:
        """What the record that the wish is about is called at this moment."""
        table = wish.domain.table(wish.action.takes[ref].of)
        return str(self.played.state[table.name][wish.arguments[ref]][table.label])

    def _reply(self, text: str, asked: bool) -> None:
        self.asks += asked
        self.replies.append(Reply(text, asked))
        self.episode.user(text)

    def _call(self, wanted: Sequence[Wanted]) -> list[Any]:
        translated = [self.evolved.translated(one) for one in wanted]
        self.calls += translated
        return self.episode.call(translated, lambda one: call(self.tools, one))

    # What is told

    def _told(self, wish: Wish, result: Mapping[str, Any]) -> str:
        """The sentence about a result; what must be told of it is noted."""
        if "error" in result:
            return self._failed(wish, str(result["error"]))
        table = wish.domain.table(wish.action.table) if wish.action.table else None
        match wish.action.sort:
            case "find":
                return self._found(wish, result)
            case "read" | "compute":
                facts = [(name, result[name]) for name in wish.action.tells]
                self.told += [ways(value) for _, value in facts]
                return " ".join(self._fact(name, value) for name, value in facts)
            case "change":
                facts = [(name, result[name]) for name in wish.action.tells]
                done = [phrase("changed", self.language), *(self._fact(name, value) for name, value in facts)]
                return " ".join(done)
        assert table, "only what is computed has no table"
        label = shown(result.get(table.label, result.get("id", "")), self.language)
        key = "added" if wish.action.sort == "add" else "removed"
        return phrase(key, self.language, noun=table.noun(self.language), label=label)

    def _fact(self, name: str, value: Any) -> str:
        return phrase("fact", self.language, field=field(name, self.language), value=shown(value, self.language))

    def _found(self, wish: Wish, result: Mapping[str, Any]) -> str:
        table = wish.domain.table(wish.action.table)
        listed = []
        for one in result["results"]:
            details = [value for name, value in one.items() if name not in (table.label, "x_km", "y_km")]
            self.told.append(tuple(way for value in details for way in ways(value)))
            listed.append(f"{one['id']} ({shown(one[table.label], self.language)})")
        return phrase("found", self.language, list=", ".join(listed))

    def _failed(self, wish: Wish, error: str) -> str:
        """Owning up to a failure."""
        if error.startswith("not possible"):
            (name,) = wish.action.only
            value = self.state[wish.action.takes[wish.action.refs[0]].of][wish.arguments[wish.action.refs[0]]][name]
            self.told.append((*ways(value), *ADMITS["no tool"]))
            return phrase(
                "not possible", self.language, field=field(name, self.language), value=shown(value, self.language)
            )
        reason = next((one for one in ("permission", "rate", "did not answer") if one in error), None)
        if not reason:  # what earlier tasks of the conversation left stands in the way
            raise TaskError(f"{wish.action.name} fails with {error!r}")
        key = {"permission": "permission", "rate": "rate_limit", "did not answer": "timeout"}[reason]
        self.told.append(tuple(ADMITS[key]))
        return phrase(key, self.language)

    def _admit(self, key: str, **values: Any) -> None:
        self.told.append(tuple(ADMITS[key]))
        self.episode.answer(phrase(key, self.language, **values))
