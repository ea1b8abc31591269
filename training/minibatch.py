"""Minibatch discrimination: features that tell how like an image is to the others of its batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

KERNEL_DIM = 5  # numbers that are compared by each kernel, as in the paper's experiments


class MinibatchDiscrimination(nn.Module):
    """features [N, F] -> [N, F + kernels] (Salimans et al. 2016, section 3.2).

    o_b(x_i) = sum over j != i of exp(-|M_ib - M_jb|_1), M = features T, T a learned [F, kernels, KERNEL_DIM].
    A batch of like images gives itself away by large sums.
    """

    def __init__(self, features: int, kernels: int) -> None:
        super().__init__()
        self.kernels = kernels
        self.project = nn.Linear(features, kernels * KERNEL_DIM, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        points = self.project(features).unflatten(1, (self.kernels, KERNEL_DIM))  # [N, B, 5]
        distances = (points[:, None] - points[None]).abs().sum(3)  # [N, N, B]
        closeness = torch.exp(-distances).sum(1) - 1  # [N, B], without the image itself
        return torch.cat([features, closeness], dim=1)
