"""A Ray cluster (extra `ray`) as a pool of workers: what `concurrent.futures` does with the processes of one machine.

What is submitted travels as a pickle: ids, paths, texts and addresses, never weights. Workers need this package, in the
same version, and in their own environment the keys of endpoints. A worker or a machine that is lost takes nothing with
it: what it had is done again elsewhere.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

AGAIN = 8  # times that work is begun anew after a machine was lost with it; a mistake of its own is never tried again

P = ParamSpec("P")
T = TypeVar("T")


class RayMissingError(Exception):
    def __init__(self) -> None:
        super().__init__("ray is not installed: pip install 'moonlet[ray]', or leave --ray out")


class ClusterError(Exception):
    """The cluster cannot be reached, or lost the same work again and again."""


def connected() -> Any:
    """Ray, connected to the cluster that RAY_ADDRESS names or that runs here; where there is none, to one of this
    machine alone. Raises RayMissingError, ClusterError."""
    try:
        import ray
    except ImportError:
        raise RayMissingError from None
    _told_beside(sys.modules.get("ray._private.worker"))
    if not ray.is_initialized():
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody asked to tell its makers
        try:
            ray.init(log_to_driver=False, logging_level=logging.WARNING)
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            raise ClusterError(f"the Ray cluster: {_line(error)}") from None
    return ray


def _told_beside(worker: Any) -> None:
    """What Ray tells of its machines goes to stderr; it would print that to stdout, where results are."""
    tell = getattr(worker, "print_to_stdstream", None)
    if tell is not None and tell.__module__ == worker.__name__:

        def beside(data: dict[str, Any], *args: Any, **kwargs: Any) -> None:
            tell({**data, "is_err": True}, *args, **kwargs)

        worker.print_to_stdstream = beside


class RayPool(Executor):
    """The cluster's workers."""

    def __init__(self) -> None:
        """Raises RayMissingError, ClusterError."""
        self._ray = connected()
        self._call: Any = self._ray.remote(max_retries=AGAIN)(_call)
        self._under_way: dict[Any, Future[Any]] = {}

    @property
    def size(self) -> int:
        """Workers that the cluster has room for now."""
        return max(int(self._ray.cluster_resources().get("CPU", 1)), 1)

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Its result, or what it raised; ClusterError if it was lost for good."""
        promise: Future[T] = Future()
        reference = self._call.remote(function, args, kwargs)
        self._under_way[reference] = promise
        reference.future().add_done_callback(lambda done: self._over(reference, promise, done))
        return promise

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """What nobody wants any more is stopped, or not begun; what is wanted is waited for."""
        for reference, promise in list(self._under_way.items()):
            if promise.cancelled() or (cancel_futures and promise.cancel()):
                self._ray.cancel(reference)
            elif wait:
                promise.exception()

    def _over(self, reference: Any, promise: Future[T], done: Future[T]) -> None:
        self._under_way.pop(reference, None)
        if not promise.set_running_or_notify_cancel():
            return
        error = done.exception()
        if error is None:
            promise.set_result(done.result())
        elif isinstance(error, self._ray.exceptions.RayTaskError):
            promise.set_exception(error.cause)  # as it was raised
        elif isinstance(error, self._ray.exceptions.RayError):
            promise.set_exception(ClusterError(f"the Ray cluster: {_line(error)}"))
        else:
            promise.set_exception(error)


def _call(function: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
    return function(*args, **kwargs)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
