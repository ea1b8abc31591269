"""How a network is run: its precision, compiled or not, with gradients shared or not."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from training.config import TrainConfig
from training.team import Team

Run = Callable[[Tensor, Tensor], Tensor]


def mixed_precision(config: TrainConfig, device: torch.device) -> bool:
    """Whether networks run in bfloat16 where it is safe; weights, losses and optimizers are float32 always.

    bfloat16 has float32's range, so no gradient needs to be scaled.
    """
    if config.precision == "auto":
        return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return config.precision == "bfloat16"


def runner(
    network: nn.Module, config: TrainConfig, device: torch.device, team: Team, compiled: bool, learns: bool
) -> Run:
    """The network as a function with a float32 result.

    Where it `learns` from the call, its gradients are the mean over all processes.
    """
    prepared: nn.Module = torch.compile(network) if compiled else network  # type: ignore[assignment]
    if learns:
        prepared = team.averaging(prepared)
    if not mixed_precision(config, device):
        return prepared

    def run(first: Tensor, second: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16):
            result: Tensor = prepared(first, second)
        return result.float()

    return run


def placed(network: nn.Module, device: torch.device, team: Team) -> nn.Module:
    """The network on its device, channels last.

    On several GPUs batch norm takes its statistics over all of them; on CPUs there is no such layer, and each
    process normalises its own share.
    """
    if team.size > 1 and device.type == "cuda":
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    network.to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def use_threads(config: TrainConfig) -> None:
    """Before anything is computed: threads that outnumber the free cores wait for each other."""
    if config.threads is not None:
        torch.set_num_threads(config.threads)


def set_up(device: torch.device) -> None:
    """What makes a GPU fast for batches that are all of one shape."""
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True
        torch.set_float32_matmul_precision("high")  # TensorFloat-32 for what stays in float32
