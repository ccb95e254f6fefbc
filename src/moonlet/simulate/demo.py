"""Conversations with the tools of the demonstration world, executed for real in a world of their own."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from random import Random

from moonlet.simulate import answers, foreign, said, slots, talk
from moonlet.simulate.episode import Conversation, Episode, Wanted
from moonlet.simulate.requests import Intent, Request, english, intents, joined, ordered, request
from moonlet.simulate.words import ANY_FIRST, GOODS, LAST_NAMES, MORE_ITEMS
from moonlet.simulate.world import FAMILY, World, contact_of
from moonlet.tools.tool import Tool, call

SEVERAL = "several contacts fit: "
FOREIGN = 0.3  # share of conversations in Thai or Chinese
EXERCISES = 0.5  # share without results, with more requests in their place: answers are learned sooner than calls

WORLD_SEED = 1  # the same calendar, contacts and orders at every start


def demonstration() -> tuple[Sequence[Tool], date]:
    """The tools of a fresh demonstration world, with a real calculator and the real time; and the day it is there."""
    today = date.today()
    return World(WORLD_SEED, today, now=lambda: datetime.now().astimezone()).tools(), today


def system_text(today: date) -> str:
    """The system message of `moonlet run` and of the training conversations."""
    return f"Today is {today}, {today:%A}."


def conversation(rng: Random) -> Conversation:
    """Requests under one list of tools, in one world; a part of the conversations is in Thai or Chinese."""
    world = World(rng.getrandbits(32), date(2025, 1, 1) + timedelta(rng.randrange(1500)))
    every = world.tools()
    # `moonlet run` always shows the whole list, mostly in the order of its declaration here, and choosing among many is
    # the hardest part. The list takes 800 tokens, so that under it many requests follow: they are what is learned from.
    if rng.random() < 0.7:
        chosen, requests = list(every) if rng.random() < 0.75 else rng.sample(every, len(every)), rng.randrange(10, 26)
    else:
        chosen, requests = rng.sample(every, rng.choice((4, 6, 8, 10, 12, 14))), rng.randrange(4, 13)
    exercise = rng.random() < EXERCISES
    if exercise:
        requests *= 2
    if rng.random() < FOREIGN:
        return foreign.conversation(rng, world, chosen, requests, exercise)
    if rng.random() < 0.8:
        make_strange(world, rng)
    return Talk(rng, world, chosen, exercise).run(requests)


def make_strange(world: World, rng: Random) -> None:
    """Gives the world other people, goods and events than those that each of its kind has, so that none is known."""
    firsts = sorted({contact.name.split()[0] for contact in world.contacts} - set(FAMILY))
    new = dict(zip(firsts, rng.sample(ANY_FIRST, len(firsts))))
    lasts = rng.sample(LAST_NAMES, len(world.contacts))  # no two of them are called the same
    world.contacts = [
        contact_of(f"{new[one.name.split()[0]]} {last}", rng) if one.name.split()[0] in new else one
        for one, last in zip(world.contacts, lasts)
    ]
    for order, item in zip(world.orders, rng.sample((*MORE_ITEMS, *GOODS), len(world.orders))):
        order.item = item
    for event in world.events:
        event.title = str(slots.title(rng)[1])


@lru_cache(maxsize=1)
def by_tool() -> dict[str, list[Intent]]:
    """The intents of the English wordings, by tool."""
    found: dict[str, list[Intent]] = {}
    for intent in english():
        found.setdefault(intent.tool, []).append(intent)
    return found


def pick(tool: str, rng: Random) -> Intent:
    """An intent of the tool, by weight."""
    found = by_tool()[tool]
    return rng.choices(found, [intent.weight for intent in found])[0]


class Talk:
    """One user and the assistant in one world. An `exercise` has no results."""

    def __init__(self, rng: Random, world: World, tools: Sequence[Tool], exercise: bool = False):
        self.rng, self.world, self.tools, self.exercise = rng, world, tools, exercise
        self.names = [tool.spec.name for tool in tools]
        self.absent = sorted(set(by_tool()) - set(self.names))
        self.episode = Episode([tool.spec for tool in tools])
        self.last: Wanted | None = None

    def run(self, requests: int) -> Conversation:
        """So many requests, each to its answer."""
        self.begin()
        for _ in range(requests):
            self.turn()
        return self.episode.done()

    def begin(self) -> None:
        """The system message, mostly."""
        if self.rng.random() < 0.9:
            self.episode.system(system_text(self.world.today))

    def turn(self) -> None:
        """One request of whatever kind, to its answer."""
        rng, dice = self.rng, self.rng.random()
        if self.last and dice < 0.16 and self.follow_up(self.last):
            return
        if self.exercise and rng.random() < said.SHARE:
            self.last = said.turn(self.episode, "en", self.names, talk.NO_TOOL, rng) or self.last
        elif dice < 0.26:
            self.say(talk.beyond(rng, self.world), talk.NO_TOOL)
        elif dice < 0.33 and self.absent:
            self.say(request(pick(rng.choice(self.absent), rng), rng, self.world).text, talk.NO_TOOL)
        elif dice < 0.355:
            self.say(*talk.small_talk(rng, self.names))
        elif dice < 0.38:
            self.two_at_once()
        else:
            self.ask(request(pick(rng.choice(self.names), rng), rng, self.world))

    def say(self, text: str, answer: str) -> None:
        self.episode.user(text)
        self.episode.answer(answer)

    def ask(self, wanted: Request) -> None:
        """A request; the assistant asks for what is missing first."""
        self.episode.user(wanted.text)
        self.act(self.clarified(wanted) if wanted.intent.missing else wanted.calls, wanted.intent.flavour)

    def act(self, calls: Sequence[Wanted], flavour: str = "") -> None:
        """The calls, their results and the answer; a name that fits several people is asked back and settled."""
        if self.exercise:
            self.episode.asked(calls)
            self.last = calls[-1]
            return
        results = self.episode.call(calls, lambda wanted: call(self.tools, wanted))
        told = [answers.tell(name, arguments, result, flavour) for (name, arguments), result in zip(calls, results)]
        self.last = calls[-1] if "error" not in results[-1] else None
        problem = str(results[0].get("error", ""))
        if len(calls) > 1 or not problem.startswith(SEVERAL):
            self.episode.answer(" ".join(told))
            return
        self.episode.answer(f"{told[0]} Which one?")
        name, arguments = calls[0]
        full = self.rng.choice(problem.removeprefix(SEVERAL).split(", "))
        self.episode.user(self.rng.choice((full, f"{full} please", f"I mean {full}", f"{full}.")))
        self.act([(name, {**arguments, "to" if "to" in arguments else "name": full})])

    def clarified(self, wanted: Request) -> list[Wanted]:
        """The assistant asks for what is missing and gets it."""
        self.episode.answer(wanted.intent.question)
        argument, how = slots.SLOTS[wanted.intent.missing]
        surface, value = how(self.rng, self.world)
        if wanted.lower:
            surface, value = surface.lower(), value.lower() if isinstance(value, str) else value
        self.episode.user(surface + self.rng.choice(("", "", "", " please", ".")))
        tool, known = wanted.calls[0]
        return [(tool, ordered(tool, {**known, argument: value}))]

    def follow_up(self, last: Wanted) -> bool:
        """A fragment that leans on the last call; False if there is none for its tool or the tool is not here."""
        tool, before = last
        said = {**before, "to": before.get("to", before.get("name"))}
        fitting = [
            intent
            for intent in intents("en_follow_ups")
            if intent.after == tool and intent.tool in self.names and (not intent.kept or intent.kept[0] in said)
        ]
        if not fitting:
            return False
        intent = self.rng.choice(fitting)
        new = request(intent, self.rng, self.world)
        kept = {name: said[name] for name in intent.kept if name in said}
        self.episode.user(new.text)
        self.act([(name, ordered(name, {**kept, **arguments})) for name, arguments in new.calls])
        return True

    def two_at_once(self) -> None:
        """Two commands in one sentence, if the two intents drawn can be commands."""
        first, second = (pick(name, self.rng) for name in self.rng.sample(self.names, 2))
        if any(one.missing or not any(pattern.command for pattern in one.patterns) for one in (first, second)):
            self.ask(request(pick(self.rng.choice(self.names), self.rng), self.rng, self.world))
            return
        both = joined(first, second, self.rng, self.world)
        self.episode.user(both.text)
        self.act(both.calls)
