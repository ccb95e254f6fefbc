"""Several processes that train one network, each on its device: FSDP2, with Muon on matrices that lie in pieces.

Every weight is cut along its first axis into as many pieces as there are processes (`fully_shard`); a layer is put
together just before it computes, and its gradient is added up and cut again. Weights, gradients and the optimiser's
state then take 1/P of the memory of one process. A batch's rows are shared out evenly; all processes make the whole
batch, from the same seed, and read their rows, so the stream is that of one process and its place is one number.

What FSDP2 leaves to us: Newton-Schulz needs whole matrices, QK-Clip the largest scores of all rows, the routers' biases
the load of all rows.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from moonlet.train.network import Network
from moonlet.train.processes import Alone
from moonlet.train.rows import Batch


class Together(Alone):
    """The processes that `torchrun` started: over NCCL where there are NVIDIA GPUs (not yet tried), else over gloo."""

    def __init__(self) -> None:
        gpus = torch.cuda.is_available()
        self.device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if gpus else torch.device("cpu")
        if gpus:
            torch.cuda.set_device(self.device)
        if not dist.is_initialized():
            dist.init_process_group("nccl" if gpus else "gloo")
        self.number, self.count = dist.get_rank(), dist.get_world_size()
        self.mesh = init_device_mesh(self.device.type, (self.count,))

    def spread(self, network: Network) -> None:
        network.to(self.device)
        for block in network.model.layers:
            fully_shard(block, mesh=self.mesh)
        fully_shard(network, mesh=self.mesh)  # embedding, last norm and head

    def part(self, batch: Batch) -> Batch:
        rows = len(batch.ids)
        assert rows % self.count == 0, "rows are checked before a run begins"
        own = slice(self.number * rows // self.count, (self.number + 1) * rows // self.count)
        return Batch(batch.ids[own], batch.weights[own], batch.texts[own], batch.real[own])

    def each(self, function: Callable[[Tensor], Tensor], matrices: Iterable[Tensor]) -> Iterator[Tensor]:
        """Matrices in stacks are whole where they lie. Of the others each process is sent every P-th, and sends back.

        They travel in bfloat16, into which Newton-Schulz rounds them first in any case: no bit is lost.
        """
        pieces = list(matrices)
        flat = [piece for piece in pieces if piece.ndim == 2]
        owners = [i % self.count for i in range(len(flat))]
        gathered = [self._gather(piece, owner) for piece, owner in zip(flat, owners, strict=True)]
        done = [None if one is None else function(one) for one in gathered]
        back = (self._scatter(one, like, owner) for one, like, owner in zip(done, flat, owners, strict=True))
        for piece in pieces:
            if piece.ndim == 2:
                yield next(back)
            else:
                assert isinstance(piece, DTensor)
                local = piece.to_local()
                yield _piece(function(local) if len(local) else local, piece)

    def _gather(self, piece: Tensor, owner: int) -> Tensor | None:
        """The matrix, at its owner."""
        assert isinstance(piece, DTensor)
        own = _filled(piece.to_local().bfloat16(), self._height(piece))
        parts = [torch.empty_like(own) for _ in range(self.count)] if owner == self.number else None
        dist.gather(own, parts, dst=owner)
        return None if parts is None else torch.cat(parts)[: len(piece)]

    def _scatter(self, matrix: Tensor | None, like: Tensor, owner: int) -> Tensor:
        """Back in pieces, as `like` is."""
        assert isinstance(like, DTensor)
        height, local = self._height(like), like.to_local()
        own = torch.empty(height, like.shape[1], dtype=torch.bfloat16, device=local.device)
        parts = None if matrix is None else list(torch.split(_filled(matrix, height * self.count), height))
        dist.scatter(own, parts, src=owner)
        return _piece(own[: len(local)].to(local.dtype), like)

    def _height(self, whole: Tensor) -> int:
        """Rows of a process; the last ones may have fewer, or none."""
        return -(-len(whole) // self.count)

    def scale_rows(self, matrix: Tensor, factors: Tensor) -> None:
        assert isinstance(matrix, DTensor)
        local, start = matrix.to_local(), self.number * self._height(matrix)
        local.mul_(factors[start : start + len(local), None])

    def total(self, values: Tensor) -> Tensor:
        return self._reduced(values, dist.ReduceOp.SUM)

    def largest(self, values: Tensor) -> Tensor:
        return self._reduced(values, dist.ReduceOp.MAX)

    def _reduced(self, values: Tensor, how: Any) -> Tensor:
        found = values.to(self.device, copy=True)
        dist.all_reduce(found, how)
        return found.to(values.device)

    def agree(self, wanted: bool) -> bool:
        return bool(self.largest(torch.tensor(float(wanted))))

    def wait(self) -> None:
        dist.barrier()

    def clip(self, network: Network, most: float) -> float:
        norm = torch.nn.utils.clip_grad_norm_(network.parameters(), most)
        return float(norm.full_tensor() if isinstance(norm, DTensor) else norm)

    def whole(self, state: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in state.items():
            if isinstance(value, DTensor):
                value = value.full_tensor()  # every process takes part
            if isinstance(value, dict):
                value = self.whole(value)
            if self.first:
                found[name] = value.cpu() if isinstance(value, Tensor) else value
        return found

    def load(self, network: Network, state: dict[str, Any]) -> None:
        own = network.state_dict()
        network.load_state_dict({name: self._cut(value, own[name]) for name, value in state.items()})

    def share(self, state: dict[str, Any], like: Iterable[Tensor]) -> dict[str, Any]:
        weights = list(like)
        cut = {
            i: {name: self._cut(value, weights[i]) for name, value in one.items()} for i, one in state["state"].items()
        }
        return {**state, "state": cut}

    def _cut(self, whole: Any, like: Tensor) -> Any:
        """This process's piece of a tensor that belongs to the weight `like`; what is no such tensor stays."""
        if not (isinstance(whole, Tensor) and isinstance(like, DTensor) and whole.shape == like.shape):
            return whole
        start, height = self.number * self._height(whole), self._height(whole)
        return _piece(whole[start : start + height].to(self.device, copy=True), like)


def _filled(rows: Tensor, count: int) -> Tensor:
    """With rows of zeros after them, up to `count`."""
    return F.pad(rows, (0, 0, 0, count - len(rows))).contiguous()


def _piece(local: Tensor, like: DTensor) -> Tensor:
    """A piece in the place of the piece of `like`."""
    found: Tensor = DTensor.from_local(
        local, like.device_mesh, like.placements, run_check=False, shape=like.shape, stride=like.stride()
    )
    return found


def leave(code: int) -> NoReturn:
    """Ends one of several processes without taking the interpreter apart.

    A thread of gloo may still hold the tensors of the last exchange; one that lets go of them while Python ends is
    ended by Python, in the middle of C++, and aborts the process: a run that is complete would count as failed.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
