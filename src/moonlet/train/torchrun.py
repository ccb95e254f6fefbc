"""A training command started by torchrun, in several processes on one machine or on several, which train as one.

Each machine runs the same command; they meet at the leader's address, where one of them opens the port. Which of them
gets which number does not matter: the first process writes, so all of them see one folder.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.elastic.rendezvous.api import RendezvousError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

STOPPED = 130  # the exit code of a run that was stopped, and goes on with the next call
_MEET_S = 600  # for all machines to come
_STOP_S = 120  # for the step under way and its checkpoint, when the run is to stop


class TogetherError(Exception):
    """The processes of a run could not train together."""


@dataclass(frozen=True, slots=True)
class Machines:
    """Where the processes of one run are."""

    count: int = 1
    leader: str = ""  # HOST:PORT, where they meet; for one machine not needed
    each: int | None = None  # processes of each; None: one for each GPU, one where there is none


def start(words: Sequence[str], machines: Machines) -> int:
    """Runs `python WORDS` in all processes of this machine, to its end. The exit code: STOPPED if the run was stopped
    before its own end. Raises TogetherError."""
    here = "127.0.0.1"
    leader = machines.leader or f"{here}:0"
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", str(_STOP_S))
    config = LaunchConfig(
        min_nodes=machines.count,
        max_nodes=machines.count,
        nproc_per_node=machines.each or max(torch.cuda.device_count(), 1),
        run_id="moonlet",
        rdzv_backend="c10d",
        rdzv_endpoint=leader,
        rdzv_configs={"join_timeout": _MEET_S},
        max_restarts=0,  # whoever starts it again goes on from the checkpoint
        local_addr=here if leader.startswith(here) else None,
    )
    try:
        elastic_launch(config, sys.executable)(*words)
    except SignalException:  # it was passed on, and all have stopped between two steps
        return STOPPED
    except ChildFailedError as error:
        codes = {failure.exitcode for failure in error.failures.values()}
        if codes == {STOPPED}:
            return STOPPED
        number, first = error.get_first_failure()
        raise TogetherError(f"process {number} ended with code {first.exitcode}: what it said is above") from None
    except (RendezvousError, RuntimeError, ValueError, OSError) as error:  # nobody came, no such host
        raise TogetherError(" ".join(str(error).split())[:300] or type(error).__name__) from None
    return 0
