"""Small networks of fully connected layers, for points in the plane."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from training.config import TrainConfig
from training.minibatch import MinibatchDiscrimination

LAYERS = 3  # hidden ones of the discriminator; the generator has one more


class PointGenerator(nn.Module):
    """latent [N, latent_dim] -> points [N, 2]."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        sizes = [config.latent_dim, *[config.generator_width] * (LAYERS + 1)]
        layers: list[nn.Module] = []
        for before, after in pairwise(sizes):
            layers.append(nn.Linear(before, after))
            if config.generator_norm == "batch":
                layers.append(nn.BatchNorm1d(after))
            layers.append(nn.ReLU())
        self.layers = nn.Sequential(*layers, nn.Linear(sizes[-1], 2))

    def forward(self, latent: Tensor) -> Tensor:
        points: Tensor = self.layers(latent)
        return points


class PointDiscriminator(nn.Module):
    """points [N, 2 pack] -> logits [N]; labels are not looked at: the game is without classes."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        sizes = [2 * config.pack, *[config.discriminator_width] * LAYERS]
        self.layers = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(sizes))
        kernels = config.minibatch_kernels
        self.compare = MinibatchDiscrimination(sizes[-1], kernels) if kernels else nn.Identity()
        self.score = nn.Linear(sizes[-1] + kernels, 1)
        if config.spectral_norm:
            for layer in [*self.layers, self.score]:
                spectral_norm(layer)

    def forward(self, points: Tensor, labels: Tensor) -> Tensor:
        hidden = points
        for layer in self.layers:
            hidden = torch.nn.functional.leaky_relu(layer(hidden), 0.2)
        logits: Tensor = self.score(self.compare(hidden))  # [N, 1]
        return logits.squeeze(1)
