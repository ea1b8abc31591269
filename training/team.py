"""The processes that train together, as `torchrun` starts them: each has a share of every batch.

`torchrun --nproc-per-node 2 -m training ...` starts two on one machine; its other options join machines.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from training.config import ConfigError, TrainConfig

PATIENCE = timedelta(hours=2)  # while the leader evaluates, the others wait for it


@dataclass(frozen=True)
class Team:
    """This process's place among those that train together; by default it is alone."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether it is the one that writes the run folder and tells how it goes."""
        return self.rank == 0

    def share(self, rows: Tensor) -> Tensor:
        """Its part of a whole batch: [N, ...] -> [N / size, ...]."""
        return rows.chunk(self.size)[self.rank]

    def averaging(self, network: nn.Module) -> nn.Module:
        """The network whose gradients are the mean over all processes; buffers are each one's own."""
        if self.size == 1:
            return network
        return DistributedDataParallel(network, broadcast_buffers=False, gradient_as_bucket_view=True)

    def mean(self, numbers: Tensor) -> Tensor:
        """The mean over all processes of a tensor of the same shape in each."""
        if self.size > 1:
            dist.all_reduce(numbers)
        return numbers / self.size

    def largest(self, number: int) -> int:
        """The largest that any process says. Every process must ask, at the same step."""
        if self.size == 1:
            return number
        device = "cuda" if dist.get_backend() == "nccl" else "cpu"
        said = torch.tensor(number, device=device)
        dist.all_reduce(said, dist.ReduceOp.MAX)
        return int(said)


ALONE = Team()


def expected_size() -> int:
    """So many processes torchrun has started together."""
    return int(os.environ["WORLD_SIZE"]) if dist.is_torchelastic_launched() else 1


def leads() -> bool:
    """Whether this process is the one that tells, also before it has joined the others."""
    return expected_size() == 1 or os.environ["RANK"] == "0"


def check_team(config: TrainConfig) -> None:
    """Raises ConfigError for a batch that has no equal shares of whole packs."""
    size, unit = expected_size(), expected_size() * config.pack
    if config.batch % unit:
        packs = f" of whole packs of {config.pack}" if config.pack > 1 else ""
        raise ConfigError(
            f"--batch {config.batch}: {size} processes each take an equal share{packs}; use "
            f"{max(1, config.batch // unit) * unit}"
        )


@contextmanager
def joined_team(device: torch.device) -> Iterator[Team]:
    """Joins the processes that were started together, if there are others; leaves them at the end."""
    if expected_size() == 1:
        yield ALONE
        return
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield Team(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()
