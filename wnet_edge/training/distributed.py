"""Data-parallel training in several processes.

`torchrun` starts them, on one machine or several; PyTorch's DistributedDataParallel averages their
gradients (Li et al., Proc. VLDB Endow. 13, 3005, 2020) with the gloo backend. Every process gets
the same batches in the same order and trains on its share of each, weighted so that the average is
the gradient of the whole batch. Frames are simulated or read once: each process does every n-th
task of `wnet_edge.training.workers` and broadcasts the result.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from wnet_edge.training.batch import Batch

_BACKEND = "gloo"


@contextmanager
def joined() -> Iterator[None]:
    """Context in which the processes started by torchrun, if any, form one process group."""
    if not dist.is_torchelastic_launched():
        yield
        return
    dist.init_process_group(_BACKEND)
    try:
        yield
    finally:
        dist.destroy_process_group()


@dataclass(frozen=True)
class Processes:
    """This process's rank and world size.

    Attributes:
        rank: number of this process; rank 0 writes files and reports progress.
        count: world size: number of processes.
    """

    rank: int
    count: int

    @property
    def first(self) -> bool:
        """Whether this is rank 0, which writes files and reports progress."""
        return self.rank == 0

    def share(self, batch: Batch) -> tuple[Batch, float]:
        """This process's share of a batch (every n-th frame), and the weight of its mean loss.

        A process that would get no frame of a small batch takes the first with weight 0, since all
        must take part in every collective operation.
        """
        if self.count == 1:
            return batch, 1.0
        frames = len(batch.counts)
        part = slice(self.rank, None, self.count) if self.rank < frames else slice(0, 1)
        own = Batch(batch.counts[part], batch.amplitude[part], batch.phase_rad[part])
        weight = len(own.counts) if self.rank < frames else 0
        return own, weight * self.count / frames

    def summed(self, values: torch.Tensor) -> torch.Tensor:
        """Sum over processes (all-reduce), of the same shape."""
        if self.count > 1:
            dist.all_reduce(values)
        return values

    def agree(self, value: int) -> bool:
        """Whether all processes have the same value."""
        if self.count == 1:
            return True
        extremes = torch.tensor([value, -value])
        dist.all_reduce(extremes, dist.ReduceOp.MAX)
        return int(extremes[0]) == -int(extremes[1])

    def handed_on(self, result: Any, source: int) -> Any:  # noqa: ANN401 - whatever is made
        """The result of rank `source`, broadcast to all; the other ranks' argument is ignored."""
        holder = [result if self.rank == source else None]
        dist.broadcast_object_list(holder, src=source)
        return holder[0]


def processes() -> Processes:
    """This process's rank and world size; (0, 1) outside `joined`."""
    if not dist.is_initialized():
        return Processes(rank=0, count=1)
    return Processes(dist.get_rank(), dist.get_world_size())


def data_parallel(network: nn.Module) -> nn.Module:
    """Wrap a network for training, so that gradients are averaged over processes.

    Before each step the running statistics of batch norms are broadcast from rank 0; a batch is
    normalised with the statistics of the process's own share.
    """
    return network if processes().count == 1 else DistributedDataParallel(network)


def average_statistics(network: nn.Module) -> None:
    """Average the running means and variances of batch norms over processes, in place."""
    here = processes()
    if here.count == 1:
        return
    for statistics in network.buffers():
        if statistics.is_floating_point():
            here.summed(statistics).div_(here.count)
