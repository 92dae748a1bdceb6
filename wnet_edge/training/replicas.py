"""Data parallelism in one process: copies of a network, each in a thread of its own.

A small network leaves most of several cores idle, since its layers are too small to be shared among
threads. Each copy takes a share of every batch instead, forward and backward; their gradients are
summed in a fixed order, so that the same number of copies gives the same weights. PyTorch lets go
of the interpreter while it computes.
"""

import copy
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch
from torch import nn

from wnet_edge.models.registry import CountsNetwork
from wnet_edge.training.batch import Batch

LossOf = Callable[[nn.Module, Batch], torch.Tensor]
"""Mean loss of a batch, a scalar with its graph."""


class Replicas:
    """A network and its copies, which share its parameters, but for gradients and statistics.

    Args:
        network: on the processor.
        pool: threads, one for each copy and one for the network itself.
        count: of all, the network included.

    Attributes:
        all: the network, then its copies.
    """

    def __init__(self, network: CountsNetwork, pool: ThreadPoolExecutor, count: int) -> None:
        self._pool = pool
        self.all = [network, *(copy.deepcopy(network) for _ in range(count - 1))]
        for one in self.all[1:]:
            for own, shared in zip(one.parameters(), network.parameters(), strict=True):
                own.data = shared.data  # an optimiser step on the network moves them all

    def backward(self, batch: Batch, loss_of: LossOf) -> float:
        """Add the gradients of the batch's mean loss to the network's; gives that loss."""
        shares = [part for part in _shares(batch, len(self.all)) if len(part.counts)]
        frames = len(batch.counts)

        def work(network: nn.Module, share: Batch) -> float:
            loss = loss_of(network, share) * (len(share.counts) / frames)
            loss.backward()  # type: ignore[no-untyped-call]
            return float(loss.detach())

        losses = list(self._pool.map(work, self.all, shares))
        for one in self.all[1:]:
            for own, summed in zip(one.parameters(), self.all[0].parameters(), strict=True):
                if own.grad is None:
                    continue
                if summed.grad is None:
                    raise ValueError("the network itself has had no share")
                summed.grad += own.grad
                own.grad = None
        return sum(losses)

    def train(self) -> None:
        """Put all in training mode."""
        for one in self.all:
            one.train()

    def average_statistics(self) -> None:
        """Give all of them the mean of their batch norms' running statistics."""
        for buffers in zip(*(one.network.buffers() for one in self.all), strict=True):
            if buffers[0].is_floating_point():
                mean = torch.stack(buffers).mean(dim=0)
                for statistics in buffers:
                    statistics.copy_(mean)


@contextmanager
def replicas(network: CountsNetwork, count: int) -> Iterator[Replicas | None]:
    """Context of a network with copies of it; None for a single one."""
    if count < 2:
        yield None
        return
    with ThreadPoolExecutor(count, "train") as pool:
        yield Replicas(network, pool, count)


def _shares(batch: Batch, count: int) -> list[Batch]:
    """Every n-th frame of a batch for each."""
    return [
        Batch(batch.counts[n::count], batch.amplitude[n::count], batch.phase_rad[n::count])
        for n in range(count)
    ]
