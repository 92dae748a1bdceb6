"""Several processes that train one network: what they share, and when.

`torchrun` starts them, on one machine or several; PyTorch's DistributedDataParallel averages their
gradients (Li et al., Proc. VLDB Endow. 13, 3005, 2020) over gloo. Every process sees the same
batches in the same order and trains on its share of each, weighted so that the average is the
gradient of the whole batch. Frames are made once: each process makes every n-th task of
`wnet_edge.training.workers` and hands the result to the others.
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
    """The processes that torchrun started act together in the block; without it, this one alone."""
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
    """This process among those that train together.

    Attributes:
        rank: its number; 0 writes and tells.
        count: of processes.
    """

    rank: int
    count: int

    @property
    def first(self) -> bool:
        """Whether it is the one that writes and tells."""
        return self.rank == 0

    def share(self, batch: Batch) -> tuple[Batch, float]:
        """Every n-th frame of a batch, and what its mean loss weighs in the average of processes.

        One that a small batch leaves without a frame takes the first, with weight 0: all take
        part in every exchange.
        """
        if self.count == 1:
            return batch, 1.0
        frames = len(batch.counts)
        part = slice(self.rank, None, self.count) if self.rank < frames else slice(0, 1)
        own = Batch(batch.counts[part], batch.amplitude[part], batch.phase_rad[part])
        weight = len(own.counts) if self.rank < frames else 0
        return own, weight * self.count / frames

    def summed(self, values: torch.Tensor) -> torch.Tensor:
        """The sum over processes, of the same shape."""
        if self.count > 1:
            dist.all_reduce(values)
        return values

    def agree(self, value: int) -> bool:
        """Whether all processes give the same number."""
        if self.count == 1:
            return True
        extremes = torch.tensor([value, -value])
        dist.all_reduce(extremes, dist.ReduceOp.MAX)
        return int(extremes[0]) == -int(extremes[1])

    def handed_on(self, result: Any, source: int) -> Any:  # noqa: ANN401 - whatever is made
        """What process `source` has made; what the others give is not looked at."""
        holder = [result if self.rank == source else None]
        dist.broadcast_object_list(holder, src=source)
        return holder[0]


def processes() -> Processes:
    """This process among its like; alone outside `joined`."""
    if not dist.is_initialized():
        return Processes(rank=0, count=1)
    return Processes(dist.get_rank(), dist.get_world_size())


def data_parallel(network: nn.Module) -> nn.Module:
    """The network to call in training: gradients are averaged over processes.

    Before each step the first process's running statistics of batch norms become everyone's; each
    batch is normalised by the statistics of a process's own share.
    """
    return network if processes().count == 1 else DistributedDataParallel(network)


def average_statistics(network: nn.Module) -> None:
    """Make running means and variances the same everywhere: their average over processes."""
    here = processes()
    if here.count == 1:
        return
    for statistics in network.buffers():
        if statistics.is_floating_point():
            here.summed(statistics).div_(here.count)
