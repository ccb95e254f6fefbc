"""Several engines as one model: each request goes to one of them, and to another if that fails before it has answered.

Engines are looked at every CHECK_EVERY_S. One that fails is left out at once, and comes back when it answers. Rented
ones are asked only when every other is busy or away, and only as long as their month's allowance lasts.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import add

from moonlet.chat.messages import CallStart, Message, ToolSpec
from moonlet.fleet.bill import Bill, Money
from moonlet.fleet.counts import Counts
from moonlet.fleet.guard import NoCallError, promised
from moonlet.fleet.hedge import Race, faster
from moonlet.fleet.replica import Replica
from moonlet.fleet.route import Beginnings, beginnings, choose
from moonlet.ledger.allowance import Allowance
from moonlet.llm import (
    PLAIN,
    Assembly,
    BusyError,
    Done,
    Event,
    LLMError,
    RefusedError,
    ReplyOptions,
    Served,
    ToldError,
    Usage,
)
from moonlet.llm.exchange import RemoteReply

CHECK_EVERY_S = 2.0
MOST_TOKENS = 8192  # of a reply that states no limit, as of our own engine
_PER_MESSAGE = 16  # tokens that a template writes around a message, and of the system message that it may add
_BYTES_PER_TOKEN = 3  # of English, code and Chinese a token has more: so prompts are estimated rather too long

_log = logging.getLogger("moonlet.fleet")


class Fleet:
    """Close it, so that nobody looks at the engines any longer."""

    def __init__(
        self,
        name: str,
        replicas: Sequence[Replica],
        allowances: Mapping[str, Allowance] | None = None,
        hedge_s: float | None = None,
    ) -> None:
        """`name`: of the model, to those who ask. `allowances`: by the names of the engines that are for overflow.
        `hedge_s`: an engine that is silent for so long is raced by another one; None: never."""
        self.name = name
        self.hedge_s = hedge_s
        self.replicas = tuple(replicas)
        self.counts = Counts()
        self._allowances = dict(allowances or {})
        assert all(replica.name in self._allowances for replica in replicas if replica.spec.overflow)
        self._over = threading.Event()
        self._look = threading.Event()  # something failed: look again at once
        self._thread = threading.Thread(target=self._watch, name="moonlet-engines", daemon=True)
        self._thread.start()

    @property
    def ready(self) -> bool:
        """Whether any engine answers."""
        return any(replica.up for replica in self.replicas)

    def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = (), options: ReplyOptions = PLAIN
    ) -> Iterator[Event]:
        """As `moonlet.llm.LLM` says; the first event is Served."""
        return _Reply(self, messages, tools, options)

    def complete(self, prompt: str | Sequence[int], options: ReplyOptions = PLAIN) -> Iterator[Event]:
        """No text is gone on with: not every engine has an API for that."""
        raise RefusedError(f"{self.name} answers conversations only")

    def count(self, messages: Sequence[Message], tools: Sequence[ToolSpec] = (), options: ReplyOptions = PLAIN) -> int:
        """An estimate, see `_estimate`."""
        return _estimate(beginnings(messages, tools), tools)

    def close(self) -> None:
        """Ends the watch."""
        self._over.set()
        self._look.set()
        self._thread.join()
        for replica in self.replicas:
            replica.close()

    def failed(self, replica: Replica, error: LLMError) -> None:
        """A request was not answered there."""
        if isinstance(error, BusyError):
            self.counts.add("engine_busy", replica.name)
            return
        self.counts.add("engine_failures", replica.name)
        if isinstance(error, ToldError):  # one request that it cannot take must not keep all others from it
            self._look.set()
            return
        if replica.up:
            self.counts.add("engine_ejected", replica.name)
            _log.warning("%s is left out until it answers: %s", replica.name, error)
        replica.eject(str(error))
        self._look.set()

    def died(self, replica: Replica) -> Callable[[str], None]:
        """What is to be called when the server of an engine has ended and is started again."""

        def ended(why: str) -> None:
            self.counts.add("engine_restarts", replica.name)
            _log.warning("%s", why)
            replica.eject(why)
            self._look.set()

        return ended

    def choose(self, request: Beginnings, tried: Sequence[Replica], overflow: bool) -> Replica | None:
        """Who is asked next; None if there is nobody. `overflow`: whether that may be a rented one."""
        free = [replica for replica in self.replicas if replica.up and replica not in tried]
        own = [replica for replica in free if not replica.spec.overflow]
        idle = [replica for replica in own if not replica.busy]
        rented = [replica for replica in free if replica.spec.overflow and not replica.busy] if overflow else []
        # Where nothing is rented a busy engine is asked all the same: it has a line of its own.
        choice = idle or rented or own
        return choose(choice, request) if choice else None

    def second(self, request: Beginnings, tried: Sequence[Replica]) -> Replica | None:
        """Who may race one that is silent: nobody who is rented, or has as much to do as it takes on."""
        free = [one for one in self.replicas if one.up and not one.busy and not one.spec.overflow and one not in tried]
        return choose(free, request) if free else None

    def allowance(self, replica: Replica) -> Allowance | None:
        """What may be spent there; None: it costs nothing more."""
        return self._allowances.get(replica.name)

    def _watch(self) -> None:
        looks: dict[Replica, threading.Thread] = {}
        while not self._over.is_set():
            self._look.clear()
            for replica in self.replicas:
                # A rented one that works is left in peace; a request will tell if it fails.
                if replica.up and replica.spec.overflow:
                    continue
                if replica in looks and looks[replica].is_alive():  # not waited for: it would hold up all others
                    continue
                looks[replica] = threading.Thread(target=self._check, args=(replica,), daemon=True)
                looks[replica].start()
            self._over.wait(0.05)  # whoever fails all the time is not asked without a pause
            self._look.wait(CHECK_EVERY_S)

    def _check(self, replica: Replica) -> None:
        was = replica.up
        if replica.check() and not self._over.is_set():
            if replica.up:
                _log.warning("%s answers", replica.name)
            elif was:
                self.counts.add("engine_ejected", replica.name)
                _log.warning("%s is left out until it answers: %s", replica.name, replica.why)


class _OutrunError(LLMError):
    """An engine is left at its first word, because another one that was asked the same began before it."""


@dataclass(frozen=True, slots=True)
class _Try:
    """One engine that is asked."""

    replica: Replica
    served: Served
    bill: Bill
    money: Money | None = None
    race: Race = field(default_factory=Race)  # with another engine, or with nobody


_Begun = tuple[_Try, Event, Generator[Event]]  # its first event, and the rest


class _Reply(Iterator[Event]):
    """A reply under way. Unlike a generator it can be closed while another thread waits for its next event; it then
    ends with what it took so far, as far as that can be told from outside, and its engine is free."""

    routed = True  # which engine answers is told by the first event, see `moonlet.server.replies`

    def __init__(
        self, fleet: Fleet, messages: Sequence[Message], tools: Sequence[ToolSpec], options: ReplyOptions
    ) -> None:
        self._fleet, self._messages, self._tools = fleet, messages, tools
        self._options = replace(options, max_tokens=options.max_tokens or MOST_TOKENS)
        self._request = beginnings(messages, tools)
        self._prompt = _estimate(self._request, tools)
        self._said = Assembly()
        self._try: _Try | None = None  # the last
        self._failed: list[tuple[Served, Usage]] = []  # what those took that could not answer
        self._asked: list[RemoteReply] = []  # under way: of two engines, if they race
        self._left = self._ends = self._over = False
        self._pinned: bool | None = None
        self._lock = threading.Lock()
        self._events = self._answered()

    def __next__(self) -> Event:
        if self._over:
            raise StopIteration
        while not self._left or self._ends:
            try:
                event = next(self._events, None)
            except LLMError as error:
                if not self._left:
                    error.tries = tuple(self._failed)
                    error.usage = reduce(add, (took for _, took in self._failed)) if self._failed else None
                    raise
                break
            if isinstance(event, Done):
                self._over = True
                self._events.close()  # its engine is free
                return event
            if event is None:
                break
            if not self._left:
                return event
        self._over = True
        self._events.close()
        usage, served = (self._try.bill.usage, self._try.served) if self._try else (Usage(), None)
        return Done(self._said.message(), "cancelled", usage, served=served)

    def close(self) -> None:
        """Nobody listens any more: it ends at once, or where its engine has given no sign yet, with the first; with its
        Done where that has come too."""
        self._left = True  # before what is asked is looked at, and there the other way round: so neither is missed
        for one in tuple(self._asked):
            one.close()

    def pin(self) -> bool:
        """Whether a rented engine is asked; from now on that stays so, because the client has been told."""
        with self._lock:
            self._pinned = self._try is not None and self._try.served.overflow
            return self._pinned

    def _answered(self) -> Generator[Event]:
        tried: list[Replica] = []
        failure: LLMError | None = None
        while (found := self._next(tried)) is not None:
            tried.append(found.replica)
            try:
                one, first, rest = self._begun(found, tried)
            except (RefusedError, NoCallError):
                raise
            except LLMError as error:
                failure = failure if isinstance(failure, BusyError) else error
                continue
            self._try = one
            self._ends = isinstance(first, CallStart | Done)  # calls are held until the engine is done
            with closing(rest):  # not left to the collector: money is given back, and its engine is free
                yield one.served
                yield self._heard(first)
                try:
                    yield from map(self._heard, rest)
                except (RefusedError, NoCallError):
                    raise
                except LLMError as error:
                    self._fleet.failed(one.replica, error)
                    raise
            return
        if failure is None:
            away = "; ".join(f"{replica.name} {replica.why}" for replica in self._fleet.replicas if replica.why)
            failure = LLMError(f"no engine answers: {away}" if away else "no engine may be asked")
        raise failure

    def _next(self, tried: list[Replica]) -> _Try | None:
        """Who is asked next; None if nobody is left."""
        passed = list(tried)
        while True:
            with self._lock:
                overflow = self._pinned is not False and self._options.priority != "batch"
                replica = self._fleet.choose(self._request, passed, overflow)
                if replica is None or (self._pinned and not replica.spec.overflow):
                    return None
                served = Served(replica.name, replica.spec.overflow, replica.spec.price)
                money = None
                if (allowance := self._fleet.allowance(replica)) is not None:
                    money = Money(allowance, served, self._prompt, self._options)
                    if not money.taken:
                        passed.append(replica)
                        continue
                self._try = found = _Try(replica, served, Bill(self._prompt), money)
            self._count(replica)
            return found

    def _begun(self, one: _Try, tried: list[Replica]) -> _Begun:
        """A reply's first event, of this engine; or of another one, if both are our own and this one is silent."""
        if self._fleet.hedge_s is None or one.served.overflow:
            return self._first(one)

        def run(one: _Try) -> _Begun:
            try:
                return self._first(one)
            except _OutrunError:
                tried.remove(one.replica)  # it has not failed: should the other one do so, it is asked again
                raise
            except LLMError:
                one.race.fails(one)
                raise

        def other() -> Callable[[], _Begun] | None:
            if one.race.begun:  # a call, of which nothing is heard before its end
                return None
            if (replica := self._fleet.second(self._request, tried)) is None:
                return None
            tried.append(replica)
            self._fleet.counts.add("engine_hedged", replica.name)
            served = Served(replica.name, False, replica.spec.price)
            return lambda: run(_Try(replica, served, Bill(self._prompt), race=one.race))

        return faster(lambda: run(one), other, self._fleet.hedge_s, lambda late: late[2].close())

    def _first(self, one: _Try) -> _Begun:
        events = self._answer(one)
        try:
            return one, next(events), events
        except (RefusedError, NoCallError, _OutrunError):
            raise
        except LLMError as error:
            self._fleet.failed(one.replica, error)
            raise

    def _answer(self, one: _Try) -> Generator[Event]:
        replica, bill = one.replica, one.bill

        def ask(messages: Sequence[Message], tools: Sequence[ToolSpec], options: ReplyOptions) -> Iterator[Event]:
            """Once for the reply, and again for calls that are wrong."""
            with self._listening(replica.reply(messages, tools, options), bill) as events:
                try:
                    for event in events:
                        if not one.race.begins(one):
                            raise _OutrunError(f"{replica.name} was slower than another engine")
                        yield bill.hear(event)
                except BusyError as error:
                    replica.rest(error.retry_s)
                    raise

        try:
            with replica.working(self._request):
                for event in promised(ask, self._messages, self._tools, self._options, self._fleet.counts):
                    if isinstance(event, Done):
                        if event.finish != "cancelled":
                            self._fleet.counts.add("engine_replies", replica.name)
                        event = replace(event, usage=bill.usage, served=one.served)
                    yield event
        except _OutrunError:
            raise
        except LLMError:
            self._failed.append((one.served, bill.usage))
            raise
        finally:
            if one.money is not None:
                one.money.settle(bill)

    @contextmanager
    def _listening(self, asked: RemoteReply, bill: Bill) -> Iterator[Iterator[Event]]:
        """While it is listened to: whoever closes this reply closes it too."""
        bill.begin(asked.exchange)
        self._asked.append(asked)
        try:
            if self._left:
                asked.close()
            yield asked
        finally:
            self._asked.remove(asked)
            asked.close()

    def _heard(self, event: Event) -> Event:
        if not isinstance(event, Done):
            self._said.add(event)
            self._ends |= isinstance(event, CallStart)
        return event

    def _count(self, replica: Replica) -> None:
        known, whole = replica.known.characters(self._request), self._request[-1][1] if self._request else 0
        why = "overflow" if replica.spec.overflow else "prefix" if known else "load"
        self._fleet.counts.add("engine_routed", why)
        self._fleet.counts.add("engine_prefix_characters", "all", whole)
        self._fleet.counts.add("engine_prefix_characters", "known", known)


def _estimate(request: Beginnings, tools: Sequence[ToolSpec]) -> int:
    """Tokens of a prompt, rather too many: the engines' own tokenisers are not here."""
    size = request[-1][1] if request else 0
    return size // _BYTES_PER_TOKEN + _PER_MESSAGE * (len(request) + len(tools))
