"""Many rollouts at a time. A model that lives in this process is shared by threads, which its engine serves in batches;
everything else runs in processes, or on Ray where that is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from multiprocessing import get_context

from moonlet.llm import LLM, PLAIN, ReplyOptions
from moonlet.llm.remote import Remote
from moonlet.on_ray import RayPool
from moonlet.simulate.mock.server import Server
from moonlet.simulate.rollout import Trajectory, rollout
from moonlet.simulate.tasks import Key


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a model answers; unlike the connection to it, this can be sent to another process."""

    url: str
    model: str | None = None

    def open(self) -> Remote:
        return Remote(self.url, self.model)


@dataclass(frozen=True, slots=True)
class Players:
    """Who takes part besides the tasks. `model` None: the solutions that are known to be right."""

    model: LLM | Endpoint | None = None
    user: Endpoint | None = None
    critic: Endpoint | None = None
    options: ReplyOptions = PLAIN
    server: Server | None = None  # whose tools are mocked, instead of our own worlds


def rollouts(keys: Iterable[Key], players: Players, workers: int = 2, ray: bool = False) -> Iterator[Trajectory]:
    """A trajectory for each task, in the order of the tasks."""
    one = partial(one_rollout, players=players)
    if ray:
        pool = RayPool()
        yield from _ahead(pool, one, keys, max(workers, pool.size))
    elif players.model is not None and not isinstance(players.model, Endpoint):
        yield from _ahead(ThreadPoolExecutor(workers), one, keys, workers)
    elif workers == 1:
        yield from map(one, keys)
    else:
        # Spawned and not forked: a copy of a process that has threads can stop for ever.
        yield from _ahead(ProcessPoolExecutor(workers, get_context("spawn")), one, keys, workers)


def one_rollout(key: Key, players: Players) -> Trajectory:
    """Opens the endpoints that it needs, and closes them."""
    opened: list[Remote] = []

    def at(place: Endpoint | None) -> Remote | None:
        if place is not None:
            opened.append(place.open())
            return opened[-1]
        return None

    try:
        model = at(players.model) if isinstance(players.model, Endpoint) else players.model
        return rollout(key, model, players.options, at(players.user), at(players.critic), players.server)
    finally:
        for remote in opened:
            remote.close()


def _ahead(pool: Executor, one: Callable[[Key], Trajectory], keys: Iterable[Key], workers: int) -> Iterator[Trajectory]:
    """In order, with a few tasks given out ahead, so that an endless stream of them can be read."""
    left = iter(keys)
    with pool:
        waiting: list[Future[Trajectory]] = [pool.submit(one, key) for key in islice(left, 4 * workers)]
        try:
            while waiting:
                done = waiting.pop(0).result()
                waiting += [pool.submit(one, key) for key in islice(left, 1)]
                yield done
        finally:
            for future in waiting:
                future.cancel()
